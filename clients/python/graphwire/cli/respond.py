"""``graphwire respond``: answer the questions of an interrupted run, and watch it continue."""

from typing import Annotated, Any

import typer

from graphwire.cli.answers import is_interactive, value_of
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import EXIT_CODES, FINE, WAITING, say, talk
from graphwire.cli.run import watch
from graphwire.cli.show import print_json
from graphwire.client import Client

HELP = f"""Answer the questions of an interrupted run, and watch it continue.

ID=ANSWER is the id of an interrupt and its answer: JSON if it can be read as JSON, else text.

Without answers, you are asked at a terminal; elsewhere the run continues past its breakpoint.

Example: [bold]graphwire respond run-7f3a 14f0d5a4=yes[/bold]

{EXIT_CODES}
"""


def respond(
    run: Annotated[
        str, typer.Argument(metavar="RUN", help="The run's id; see: graphwire runs --status interrupted")
    ],
    answer: Annotated[
        list[str] | None, typer.Argument(metavar="ID=ANSWER", help="An interrupt's id and its answer.")
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
    answers = read_answers(answer or [])

    async def work(client: Client) -> int:
        if not answers and not detach and not as_json and is_interactive():
            return await watch(await client.attach(run, start="snapshot"), as_json, url)
        found = await client.attach(run, start="now")
        status = await found.respond(answers, partial=partial)
        if detach:
            await found.detach()
            print_json({"run": run, "status": status}) if as_json else print(status)
            return FINE
        if status == "interrupted":
            say(f"run {run} waits for more answers; --partial continues without them")
            return WAITING
        return await watch(found, as_json, url)

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
