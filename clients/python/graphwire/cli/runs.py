"""``graphwire runs``: your runs, newest first."""

from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table

from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import EXIT_CODES, FINE, talk
from graphwire.cli.show import print_json, print_table
from graphwire.client import Client

HELP = f"""List your runs on the server, newest first.

Example: [bold]graphwire runs --status running --graph joke[/bold]

{EXIT_CODES}
"""


def runs(
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="GRAPH", help="Only runs of this graph.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            metavar="STATUS",
            help="Only these: queued, running, interrupted, completed, failed, cancelled.",
        ),
    ] = None,
    thread: Annotated[
        str | None, typer.Option("--thread", metavar="ID", help="Only runs of this conversation.")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List runs; the help's text stands in ``HELP``."""
    wanted: Any = status or None

    async def work(client: Client) -> int:
        rows = [row async for row in client.runs(graph=graph, thread=thread, status=wanted, limit=limit)]
        if as_json:
            for row in rows:
                print_json(row.to_wire())
            return FINE
        table = Table("run", "graph", "thread", "status", "events", "created", "seconds", box=None)
        for row in rows:
            seconds = _seconds(row.started_at, row.ended_at)
            created = row.created_at[:19].replace("T", " ")
            table.add_row(row.run, row.graph, row.thread or "", row.status, str(row.head), created, seconds)
        print_table(table if rows else "no runs")
        return FINE

    raise typer.Exit(talk(url, token, work))


def _seconds(begin: str | None, end: str | None) -> str:
    if begin is None or end is None:
        return ""
    # Python 3.10 reads no Z.
    first, last = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (begin, end))
    return f"{(last - first).total_seconds():.1f}"
