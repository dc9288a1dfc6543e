"""``graphwire run``: start a run, or find one by its id, and stream it to the terminal."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from graphwire.blocking import CANCEL_TIMEOUT_S
from graphwire.cli.answers import ask, how_to_answer, how_to_leave, is_interactive, value_of
from graphwire.cli.hints import Hints
from graphwire.cli.options import (
    DEFAULT_URL,
    Json,
    Keys,
    Modes,
    Namespaces,
    Nodes,
    Tags,
    Token,
    Url,
    path_segments,
)
from graphwire.cli.outcome import FAILED, FINE, INTERRUPTED, STREAMS, WAITING, say, saying_so, talk, words
from graphwire.cli.show import Flow, JsonLines, print_json
from graphwire.client import Client
from graphwire.errors import Refused
from graphwire.events import LifecycleEvent
from graphwire.run import Run
from graphwire.streams import DEFAULT_MODES

HELP = f"""Run a graph on the server and watch it.

INPUT is the graph's input as JSON text, @file.json, or - for stdin; -f gives single fields instead.

Tokens appear as flowing text after the name of the node that writes them, every other event as one line.
Ctrl-C cancels the run. If the connection is lost it is made again, and nothing is shown twice.

When the graph asks something, you are asked at a terminal; elsewhere the command exits with 5 and prints the
command that answers.

Example: [bold]graphwire run joke -f topic=cats -m messages -m updates[/bold]

A conversation: [bold]graphwire run chat -f messages=hi --thread mine[/bold], and again with the same thread.

{STREAMS}
"""


def run(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="The graph's name; see: graphwire graphs")],
    input: Annotated[
        str | None,
        typer.Argument(metavar="INPUT", help="""JSON, @file.json or -, as in '{"topic": "cats"}'."""),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            "-f",
            metavar="KEY=VALUE",
            help="A field of the input: JSON if it can be read as JSON, else text. Repeatable.",
        ),
    ] = None,
    mode: Modes = None,
    namespace: Namespaces = None,
    node: Nodes = None,
    tag: Tags = None,
    key: Keys = None,
    run_id: Annotated[
        str | None,
        typer.Option(
            "--run-id",
            metavar="ID",
            help="The run's id. If the run exists, watch it instead of starting one.",
        ),
    ] = None,
    thread: Annotated[
        str | None,
        typer.Option("--thread", metavar="ID", help="The conversation to continue, or to begin."),
    ] = None,
    checkpoint: Annotated[
        str | None,
        typer.Option(
            "--checkpoint", metavar="ID", help="Where in the thread to start; see: graphwire state --history"
        ),
    ] = None,
    if_busy: Annotated[
        str,
        typer.Option(
            "--if-busy",
            metavar="WHAT",
            help="If the thread has a run already: reject this one, enqueue it, or interrupt the other.",
        ),
    ] = "reject",
    resume: Annotated[
        str | None,
        typer.Option(
            "--resume",
            metavar="JSON",
            help="The answer that the thread waits for, instead of INPUT.",
        ),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the run, print its id, and exit.")] = False,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Run a graph and watch it. ``HELP`` is the text for users."""
    given = read_input(input, field or [], sys.stdin)
    if resume is not None and given is not None:
        raise typer.BadParameter("--resume continues what the thread has; it takes no INPUT and no -f")
    if resume is not None and thread is None:
        raise typer.BadParameter("--resume answers what a thread asks; name that with --thread")
    if checkpoint is not None and thread is None:
        raise typer.BadParameter("--checkpoint belongs to a thread; name that with --thread")
    arguments: dict[str, Any] = {"run": run_id, "nodes": node, "tags": tag, "keys": key}
    arguments |= {"thread": thread, "checkpoint": checkpoint, "if_busy": if_busy}
    if resume is not None:
        arguments["command"] = {"resume": value_of(resume)}
    arguments["modes"] = mode or DEFAULT_MODES
    if namespace:
        arguments["namespaces"] = [path_segments(path) for path in namespace]

    # Only without a filter does a resumed run that shows nothing mean that there was nothing to resume.
    is_plain_resume = resume is not None and not (mode or namespace or node or tag or key)

    async def work(client: Client) -> int:
        with saying_so("the server has not started the run yet"):
            started = await client.run(graph, given, **arguments)
        if detach:
            await started.detach()
            _print_start(started, as_json)
            return FINE
        return await watch(started, as_json, Hints(url, token), is_plain_resume)

    raise typer.Exit(talk(url, token, work))


def _print_start(run: Run, as_json: bool) -> None:
    if as_json:
        print_json({"run": run.id, "status": run.status, "created": run.created, "epoch": run.epoch})
    else:
        print(run.id)


async def watch(run: Run, as_json: bool, hints: Hints, resumes: bool = False) -> int:
    """Show a run to its end and return the exit code; at a terminal, ask the person what the run asks.

    If the run ``resumes`` a thread and does nothing, or another's run has nothing to show, say so.
    """
    shown: JsonLines | Flow = JsonLines() if as_json else Flow(Console(highlight=False, soft_wrap=True))
    has_explained_keys = has_acted = has_asked = False
    try:
        while True:
            async for event in run:
                shown.show(event)
                has_acted = has_acted or not isinstance(event, LifecycleEvent)
                has_asked = isinstance(event, LifecycleEvent) and event.reason == "interrupted"
            if run.status != "interrupted" or as_json or not is_interactive():
                break
            shown.end()
            if not has_explained_keys:
                has_explained_keys = True
                say(how_to_leave(run.id, run.interrupts, hints, run.created))
            if not await _answered(run):
                break
    except asyncio.CancelledError:
        shown.end()
        await _stop(run)
        return INTERRUPTED
    finally:
        shown.end()
    match run.status:
        case "failed":
            say(str(run.failure()))
            return FAILED
        case "cancelled":
            return FAILED
        case "interrupted":
            say(how_to_answer(run.id, run.interrupts, hints))
            return WAITING
        case "completed" if has_asked:
            await run.result()  # raises if nobody can answer
    if resumes and not has_acted:
        say(f"nothing to resume: thread {run.thread} waits for no answer")
    elif not has_acted and not run.created:
        say(f"run {run.id} has completed; there was nothing to show")
    return FINE


async def _answered(run: Run) -> bool:
    """Ask the person until the server takes the answers; return False if they close the input."""
    while True:
        answers = await ask(run.interrupts)
        if answers is None:
            return False
        try:
            await run.respond(answers)
        except Refused as refused:
            if refused.code != "invalid_argument":
                raise
            say(refused.message)
        else:
            return True


async def _stop(run: Run) -> None:
    if not run.created:
        say(f"left run {run.id} as it is")
        return
    try:
        await asyncio.wait_for(run.cancel("stopped at the terminal"), CANCEL_TIMEOUT_S)
    except asyncio.TimeoutError:
        say(f"run {run.id} could not be cancelled: no answer from the server; it may still run")
    else:
        say(f"cancelled run {run.id}")


def read_input(text: str | None, fields: list[str], stdin: Any) -> Any:
    """Return the graph's input. Raises ``typer.BadParameter``."""
    value = None if text is None else _parse(*_source(text, stdin))
    if not fields:
        return value
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise typer.BadParameter("-f adds fields to an object, and INPUT is no object")
    for field in fields:
        name, equals, text = field.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"-f takes KEY=VALUE, as in -f topic=cats, not {field!r}")
        value[name] = value_of(text)
    return value


def _source(text: str, stdin: Any) -> tuple[str, str]:
    if text == "-":
        return stdin.read(), "stdin"
    if text.startswith("@"):
        try:
            return Path(text[1:]).read_text(encoding="utf-8"), text[1:]
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"cannot read {text[1:]}: {words(error)}") from None
    return text, "INPUT"


def _parse(text: str, name: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"""{name} is not JSON ({error}); write '{{"topic": "cats"}}', or -f topic=cats"""
        ) from None
