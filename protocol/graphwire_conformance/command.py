"""``graphwire conformance``: judges a server or a client, and shows the verdicts.

It is plugged into the command line by the entry point ``conformance`` of the group ``graphwire.commands``.
"""

import asyncio
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from graphwire_conformance.verdict import Verdict, as_json, section

FINE = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130

HELP = "Judge a server or a client by the protocol, from outside."

_CODES = """Exit codes: 0 every case passed or was left out; 1 a case failed, or none has the name;
2 wrong usage; 130 stopped by Ctrl-C; 141 the reader of the output has gone."""

SERVER_HELP = f"""Judge the server at URL with raw connections.

It has to offer the kit's graphs; ours does with: graphwire serve --conformance-graphs

Example: [bold]graphwire conformance server ws://127.0.0.1:8765/ws[/bold]

{_CODES}
"""

CLIENT_HELP = f"""Judge a client: COMMAND is run once for each case against a scripted, faulty server.

COMMAND finds the server in GRAPHWIRE_URL (and in the place of a literal {{url}}) and what to do in
GRAPHWIRE_TASK, and prints what it shows its application, one JSON line each. The whole contract stands in
graphwire_conformance/clients/judge.py.

Example: [bold]graphwire conformance client -- python my_client.py[/bold]

{_CODES}
"""

conformance = typer.Typer(help=HELP, no_args_is_help=True, rich_markup_mode="rich")
"""What the entry point names: the group of both commands."""

Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="GRAPHWIRE_TOKEN",
        metavar="TOKEN",
        help="Who you are to the server. Prefer the environment: other users see a command's options.",
        show_envvar=True,
    ),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="NAME", help="A case, a group of cases, or a glob. Repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, and nothing else there.")]
Listing = Annotated[bool, typer.Option("--list", help="Name the cases and their rules, and try none.")]


@conformance.command(help=SERVER_HELP)
def server(
    url: Annotated[str, typer.Argument(metavar="URL", help="The server's address, ws://HOST:PORT/ws")] = "",
    token: Token = None,
    as_json: AsJson = False,
    only: Only = None,
    listing: Listing = False,
    slow: Annotated[bool, typer.Option("--slow", help="Try what takes seconds, too.")] = False,
    drain_command: Annotated[
        str | None,
        typer.Option(
            "--drain-command",
            metavar="COMMAND",
            help="What makes the server drain, such as 'kill -TERM 4711'; without it that is not tried.",
        ),
    ] = None,
) -> None:
    """Judge a server; ``SERVER_HELP`` is the help."""
    from graphwire_conformance.servers.judge import judge_server, names

    if listing:
        _list(names())
        return
    if not url:
        _say("which server? give its address, as in: graphwire conformance server ws://127.0.0.1:8765/ws")
        raise typer.Exit(USAGE)

    async def drain() -> None:
        assert drain_command is not None
        process = await asyncio.create_subprocess_exec(*shlex.split(drain_command))
        await process.wait()

    report = _Report(as_json)
    wanted = drain if drain_command else None
    try:
        verdicts = asyncio.run(
            judge_server(url, token=token, only=only or (), drain=wanted, slow=slow, on_verdict=report.show)
        )
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(report.end(verdicts))


@conformance.command(help=CLIENT_HELP)
def client(
    command: Annotated[
        list[str] | None, typer.Argument(metavar="COMMAND", help="The client under test, behind --")
    ] = None,
    as_json: AsJson = False,
    only: Only = None,
    listing: Listing = False,
    jobs: Annotated[
        int, typer.Option("--jobs", metavar="N", min=1, help="Cases that are tried at once.")
    ] = 2,
) -> None:
    """Judge a client; ``CLIENT_HELP`` is the help."""
    from graphwire_conformance.clients.judge import by_command, judge_client, names

    if listing:
        _list(names())
        return
    if not command:
        _say("which client? give its command, as in: graphwire conformance client -- python my_client.py")
        raise typer.Exit(USAGE)
    report = _Report(as_json)
    try:
        verdicts = asyncio.run(
            judge_client(by_command(command), only=only or (), jobs=jobs, on_verdict=report.show)
        )
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    raise typer.Exit(report.end(verdicts))


def _say(sentence: str) -> None:
    """Print a sentence for the user to stderr, where it is no part of the output."""
    print(f"graphwire: {sentence}", file=sys.stderr, flush=True)


def _print_json(document: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(document) + b"\n")
    sys.stdout.buffer.flush()


def _list(names: Sequence[tuple[str, str]]) -> None:
    for name, rule in names:
        print(f"{name}\t{rule}")


class _Report:
    """Prints verdicts: one JSON document, or each case that did not pass and a table of the groups."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False, soft_wrap=True)

    def show(self, verdict: Verdict) -> None:
        """Print a verdict unless the case passed."""
        if self._as_json or verdict.outcome == "passed":
            return
        if verdict.outcome == "skipped":
            self._print(f"left out  {verdict.case}: {verdict.came}", "yellow")
            return
        self._print(f"FAILED    {verdict.case}", "bold red")
        for name, text in (
            ("rule", f"{verdict.rule} ({section(verdict.rule)})"),
            ("expected", verdict.expected),
            ("came", verdict.came),
        ):
            self._print(f"          {name:9}{text}", "")

    def _print(self, line: str, style: str) -> None:
        self._console.print(Text(line, style=style))

    def end(self, verdicts: Sequence[Verdict]) -> int:
        """Print the summary; return the exit code."""
        has_failed = any(verdict.outcome == "failed" for verdict in verdicts)
        code = FAILED if has_failed or not verdicts else FINE
        if not verdicts:
            _say("no case has that name; --list names them")
        if self._as_json:
            _print_json(as_json(verdicts))
            return code
        table = Table("cases", "passed", "failed", "left out", "seconds", box=None)
        groups: dict[str, list[Verdict]] = {}
        for verdict in verdicts:
            groups.setdefault(verdict.case.partition("/")[0], []).append(verdict)
        for name, members in [*groups.items(), ("all", list(verdicts))]:
            counts = [
                sum(verdict.outcome == outcome for verdict in members)
                for outcome in ("passed", "failed", "skipped")
            ]
            style = "red" if counts[1] else "bold" if name == "all" else None
            seconds = sum(verdict.seconds for verdict in members)
            table.add_row(name, *map(str, counts), f"{seconds:.1f}", style=style)
        self._console.print(table)
        return code
