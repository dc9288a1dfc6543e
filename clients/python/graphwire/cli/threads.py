"""``graphwire threads``: your conversations, newest first."""

from typing import Annotated, Any

import typer
from rich.table import Table

from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import EXIT_CODES, FINE, talk
from graphwire.cli.show import print_json, print_table
from graphwire.client import Client

HELP = f"""List your threads on the server, newest first.

Example: [bold]graphwire threads --graph chat --status interrupted[/bold]

{EXIT_CODES}
"""


def threads(
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="GRAPH", help="Only threads of this graph.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option("--status", metavar="STATUS", help="Only where the latest run is so."),
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="At most so many.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List threads; the help's text stands in ``HELP``."""
    wanted: Any = status or None

    async def work(client: Client) -> int:
        rows = [row async for row in client.threads(graph=graph, status=wanted, limit=limit)]
        if as_json:
            for row in rows:
                print_json(row.to_wire())
            return FINE
        table = Table("graph", "thread", "status", "updated", box=None)
        for row in rows:
            table.add_row(row.graph, row.thread, row.status, row.updated_at[:19].replace("T", " "))
        print_table(table if rows else "no threads")
        return FINE

    raise typer.Exit(talk(url, token, work))
