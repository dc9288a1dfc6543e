"""``graphwire thread``: one thread, what it asks, and its metadata, which the command can set."""

from typing import Annotated, Any

import typer
from graphwire_protocol.replies import ThreadRow
from rich.table import Table

from graphwire.cli.board import asks_of
from graphwire.cli.listing import refuse_unknown, short_time
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url, pairs_of
from graphwire.cli.outcome import FINE, INTERRUPTED, REFUSED, UNREACHABLE, USAGE, exit_codes, talk
from graphwire.cli.show import piped, print_json, print_table, short
from graphwire.client import Client
from graphwire.errors import Refused

HELP = f"""Show a thread: its status, its latest run, what it asks, and its metadata. Set its metadata.

A value of --set is JSON if it can be read as such, else text. A thread that does not exist yet is made by
setting its metadata; graphwire state shows what it holds, graphwire delete deletes it.

Example: [bold]graphwire thread chat mine --title "About cats" --set team=red --unset draft[/bold]

{piped("name", "value")}

{exit_codes(FINE, USAGE, UNREACHABLE, REFUSED, INTERRUPTED)}
"""


def thread(
    graph: Annotated[str, typer.Argument(metavar="GRAPH", help="The graph of the thread.")],
    thread: Annotated[str, typer.Argument(metavar="THREAD", help="The thread; see: graphwire threads")],
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Set its title, which lists show.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a key of its metadata. Repeatable."),
    ] = None,
    unset: Annotated[
        list[str] | None,
        typer.Option("--unset", metavar="KEY", help="Remove a key of its metadata. Repeatable."),
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """Show a thread. ``HELP`` is the text for users."""
    metadata: dict[str, Any] = {**dict.fromkeys(unset or ()), **pairs_of(set_, "--set")}
    if title is not None:
        metadata["title"] = title

    async def work(client: Client) -> int:
        await refuse_unknown(client, [graph])
        if metadata:
            row = await client.update_thread(graph, thread, metadata)
        else:
            found = await client.thread(graph, thread)
            if found is None:
                raise Refused("not_found", f"no thread {thread!r} of graph {graph!r}")
            row = found
        if as_json:
            print_json(row.to_wire())
        else:
            print_table(_table(row))
        return FINE

    raise typer.Exit(talk(url, token, work))


def _table(row: ThreadRow) -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    cells = {
        "graph": row.graph,
        "thread": row.thread,
        "status": row.status,
        "run": row.run or "",
        "note": asks_of(row),
        "created": "" if row.created_at is None else short_time(row.created_at),
        "updated": short_time(row.updated_at),
        **{f"metadata.{key}": short(value) for key, value in (row.metadata or {}).items()},
    }
    for name, cell in cells.items():
        if cell:
            table.add_row(name, cell)
    return table
