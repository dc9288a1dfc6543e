"""``graphwire respond``: answer the questions of an interrupted run, and watch it continue."""

from typing import Annotated, Any

import typer

from graphwire.cli.answers import is_interactive, list_questions, value_of
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import FINE, STREAMS, WAITING, say, talk
from graphwire.cli.run import watch
from graphwire.cli.show import print_json
from graphwire.client import Client
from graphwire.run import Run

HELP = f"""Answer the questions of an interrupted run, and watch it continue.

ID=ANSWER is the id of an interrupt and its answer: JSON if it can be read as JSON, else text.

Without answers, you are asked at a terminal; elsewhere the questions are listed, and a run at a breakpoint
continues.

With --graph and --thread there is no RUN: the thread's questions are answered, also after a restart of the
server, which forgets runs.

Example: [bold]graphwire respond run-7f3a 14f0d5a4=yes[/bold]
or: [bold]graphwire respond --graph chat --thread ann 14f0d5a4=yes[/bold]

{STREAMS}
"""


def respond(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run's id; see: graphwire runs --status interrupted"),
    ] = None,
    answer: Annotated[
        list[str] | None, typer.Argument(metavar="ID=ANSWER", help="An interrupt's id and its answer.")
    ] = None,
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="NAME", help="The graph of --thread.")
    ] = None,
    thread: Annotated[
        str | None, typer.Option("--thread", metavar="ID", help="Answer what this thread asks.")
    ] = None,
    partial: Annotated[
        bool,
        typer.Option("--partial", help="Continue at once; the graph asks the unanswered questions again."),
    ] = False,
    detach: Annotated[
        bool, typer.Option("--detach", help="Answer, print the run's status, and exit.")
    ] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Answer a run. ``HELP`` is the text for users."""
    if (graph is None) != (thread is None):
        raise typer.BadParameter("--graph and --thread name a thread together")
    given = answer or []
    if thread is not None and run is not None:  # the first argument is an answer, too
        given = [run, *given]
        run = None
    elif thread is None and run is None:
        raise typer.BadParameter("give the id of a RUN, or --graph and --thread")
    answers = read_answers(given)

    async def work(client: Client) -> int:
        id = run
        if graph is not None and thread is not None:
            id = await client.waiting_run(graph, thread)
            if id is None:
                found = await client.resume_thread(graph, thread, answers, partial=partial)
                return await after(client, found, found.status)
        assert id is not None
        if not answers and not detach and is_interactive() and not as_json:
            return await watch(await client.attach(id, start="snapshot"), as_json, url)
        found = await client.attach(id, start="now")
        return await after(client, found, await found.respond(answers, partial=partial))

    async def after(client: Client, found: Run, status: str | None) -> int:
        if detach:
            await found.detach()
            print_json({"run": found.id, "status": status}) if as_json else print(status)
            return FINE
        if status != "interrupted":
            return await watch(found, as_json, url)
        if answers:
            say(f"run {found.id} waits for more answers; --partial continues without them")
        else:
            view = await client.attach(found.id, modes=["lifecycle"], start="snapshot")
            async for _ in view:
                break  # the snapshot, which has the questions
            say(list_questions(found.id, view.interrupts, url))
        return WAITING

    raise typer.Exit(talk(url, token, work))


def read_answers(given: list[str]) -> dict[str, Any]:
    """Return the answers by interrupt. Raises ``typer.BadParameter``."""
    answers: dict[str, Any] = {}
    for text in given:
        id, equals, value = text.partition("=")
        if not equals or not id:
            raise typer.BadParameter(f"an answer is ID=ANSWER, as in 14f0d5a4=yes, not {text!r}")
        if id in answers:
            raise typer.BadParameter(f"interrupt {id} has two answers")
        answers[id] = value_of(value)
    return answers
