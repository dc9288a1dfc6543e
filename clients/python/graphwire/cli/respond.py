"""``graphwire respond``: answer the questions of an interrupted run, and watch it continue."""

import re
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from graphwire.cli.answers import PLACEHOLDER, is_interactive, list_questions, value_of
from graphwire.cli.hints import Hints
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import FINE, STREAMS, USAGE, WAITING, say, talk
from graphwire.cli.run import watch
from graphwire.cli.show import print_json
from graphwire.client import Client
from graphwire.errors import Refused
from graphwire.events import Interrupt
from graphwire.run import Run

HELP = f"""Answer the questions of an interrupted run, and watch it continue.

ANSWER alone fits a single question; with several, ID=ANSWER names the one that is answered. An answer is
JSON if it can be read as JSON, else text.

Without answers, you are asked at a terminal; elsewhere the questions are listed, and a run at a breakpoint
continues.

With --graph and --thread there is no RUN: the thread's questions are answered, also after a restart of the
server, which forgets runs.

Example: [bold]graphwire respond run-7f3a yes[/bold], or [bold]graphwire respond --graph chat --thread ann
14f0d5a4=yes[/bold]

{STREAMS}
"""

_NAMED = re.compile(r"""([^\s='"{}\[\]]+)=(.*)""", re.DOTALL)  # what JSON or a sentence never begins with


def respond(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="The run's id; see: graphwire runs --status interrupted"),
    ] = None,
    answer: Annotated[
        list[str] | None,
        typer.Argument(metavar="ANSWER", help="The answer to the only question, or ID=ANSWER for each."),
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
    named, alone = read_answers(given)
    hints = Hints(url, token)

    async def work(client: Client) -> int:
        id, answers = run, named
        if graph is not None and thread is not None:
            id = await client.waiting_run(graph, thread)
        if alone:
            asked = await questions(client, id, graph, thread)
            if len(asked) != 1 or alone[0] == asked[0].id:
                say(_unclear(alone[0], asked, id, graph, thread, hints))
                return USAGE
            answers = {asked[0].id: value_of(alone[0])}
        if id is None:
            assert graph is not None
            assert thread is not None
            asked = () if answers else await questions(client, None, graph, thread)
            if asked:
                say(list_questions(f"thread {thread}", asked, hints, "--graph", graph, "--thread", thread))
                return WAITING
            found = await client.resume_thread(graph, thread, answers, partial=partial)
            return await after(client, found, found.status, bool(answers))
        if not answers and not detach and is_interactive() and not as_json:
            return await watch(await client.attach(id, start="snapshot"), as_json, hints)
        found = await client.attach(id, start="now")
        return await after(client, found, await found.respond(answers, partial=partial), bool(answers))

    async def after(client: Client, found: Run, status: str | None, has_answered: bool) -> int:
        if detach:
            await found.detach()
            print_json({"run": found.id, "status": status}) if as_json else print(status)
            return FINE
        if status != "interrupted":
            return await watch(found, as_json, hints)
        if has_answered:
            say(f"run {found.id} waits for more answers; --partial continues without them")
        else:
            say(list_questions(f"run {found.id}", await questions(client, found.id), hints, found.id))
        return WAITING

    raise typer.Exit(talk(url, token, work))


async def questions(
    client: Client, run: str | None, graph: str | None = None, thread: str | None = None
) -> Sequence[Interrupt]:
    """Return the open questions of a run, or of a thread whose run the server has forgotten.

    Raises ``Refused`` for one that is not interrupted.
    """
    if run is None:
        assert graph is not None
        assert thread is not None
        state = await client.state(graph, thread)
        if not state.next and not state.interrupts:
            raise Refused("conflict", f"thread {thread!r} of graph {graph!r} waits for no answer")
        return state.interrupts
    view = await client.attach(run, modes=["lifecycle"], start="snapshot")
    async for _ in view:
        break  # the snapshot, which has the questions
    if view.status != "interrupted":
        raise Refused("conflict", f"run {run} is {view.status}, not interrupted")
    return view.interrupts


def _unclear(
    answer: str,
    asked: Sequence[Interrupt],
    run: str | None,
    graph: str | None,
    thread: str | None,
    hints: Hints,
) -> str:
    """Return why an answer without an id is not sent."""
    if answer in [one.id for one in asked]:
        return f"{answer} is the id of a question; answer it with {answer}={PLACEHOLDER}"
    who = f"thread {thread}" if run is None else f"run {run}"
    if not asked:
        return f"{who} asks nothing; leave out the answer"
    target = ["--graph", graph or "", "--thread", thread or ""] if run is None else [run]
    return f"an answer without an id fits a single question; {list_questions(who, asked, hints, *target)}"


def read_answers(given: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the answers by interrupt, and the text of one without an id. Raises ``typer.BadParameter``."""
    named: dict[str, Any] = {}
    alone: list[str] = []
    for text in given:
        found = _NAMED.fullmatch(text)
        id, value = found.groups() if found else (None, text)
        if value == PLACEHOLDER:
            raise typer.BadParameter(f"{PLACEHOLDER} stands for what you answer")
        if id is None:
            alone.append(value)
            continue
        if id in named:
            raise typer.BadParameter(f"interrupt {id} has two answers")
        named[id] = value_of(value)
    if len(named) + len(alone) > 1 and alone:
        raise typer.BadParameter(
            f"of several answers each is ID=ANSWER, as in 14f0d5a4=yes; {alone[0]!r} names no question"
        )
    return named, alone
