"""``graphwire threads``: your conversations, newest first; ``graphwire thread`` is one of them."""

from typing import Annotated, Any

import typer
from graphwire_protocol.replies import ThreadRow

from graphwire.cli.listing import short_time, show_list
from graphwire.cli.options import DEFAULT_URL, Json, OnlyMetadata, Search, Token, Url, pairs_of
from graphwire.cli.outcome import LISTS
from graphwire.cli.show import piped, short

_COLUMNS = ("graph", "thread", "status", "updated", "run", "title")

HELP = f"""List your threads on the server, newest first.

The title is "title" in a thread's metadata, which graphwire thread --title sets.

Example: [bold]graphwire threads --graph chat --status interrupted[/bold]

{piped(*_COLUMNS)}

{LISTS}
"""


def threads(
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="GRAPH", help="Only threads of this graph.")
    ] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status", metavar="STATUS", help="Only threads whose latest run has this status. Repeatable."
        ),
    ] = None,
    search: Search = None,
    metadata: OnlyMetadata = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="List N threads at most.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List threads. ``HELP`` is the text for users."""
    statuses: Any = status or None  # checked by the client
    wanted = pairs_of(metadata, "--metadata") or None
    show_list(
        lambda client: client.threads(
            graph=graph, status=statuses, search=search, metadata=wanted, limit=limit
        ),
        _COLUMNS,
        _cells,
        nothing="no threads",
        graphs=[graph] if graph is not None else (),
        as_json=as_json,
        url=url,
        token=token,
    )


def _cells(row: ThreadRow) -> tuple[str, ...]:
    return row.graph, row.thread, row.status, short_time(row.updated_at), row.run or "", title_of(row)


def title_of(row: ThreadRow) -> str:
    """Return a thread's title as one line; empty if it has none."""
    title = (row.metadata or {}).get("title")
    return short(title) if isinstance(title, str) else ""
