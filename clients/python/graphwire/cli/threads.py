"""``graphwire threads``: your conversations, newest first."""

from typing import Annotated, Any

import typer
from graphwire_protocol.replies import ThreadRow

from graphwire.cli.listing import short_time, show_list
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import LISTS
from graphwire.cli.show import piped

_COLUMNS = ("graph", "thread", "status", "updated")

HELP = f"""List your threads on the server, newest first.

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
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="List N threads at most.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List threads. ``HELP`` is the text for users."""
    statuses: Any = status or None  # checked by the client
    show_list(
        lambda client: client.threads(graph=graph, status=statuses, limit=limit),
        _COLUMNS,
        _cells,
        nothing="no threads",
        graphs=[graph] if graph is not None else (),
        as_json=as_json,
        url=url,
        token=token,
    )


def _cells(row: ThreadRow) -> tuple[str, ...]:
    return row.graph, row.thread, row.status, short_time(row.updated_at)
