"""``graphwire runs``: your runs, newest first."""

from typing import Annotated, Any

import typer
from graphwire_protocol.replies import RunRow

from graphwire.cli.listing import short_time, show_list, time_of
from graphwire.cli.options import DEFAULT_URL, Json, OnlyStatuses, OnlyThread, Token, Url
from graphwire.cli.outcome import LISTS
from graphwire.cli.show import piped

_COLUMNS = ("run", "graph", "thread", "status", "events", "created", "seconds")

HELP = f"""List your runs on the server, newest first.

Example: [bold]graphwire runs --status running --graph joke[/bold]

{piped(*_COLUMNS)}

{LISTS}
"""


def runs(
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="GRAPH", help="Only runs of this graph.")
    ] = None,
    status: OnlyStatuses = None,
    thread: OnlyThread = None,
    limit: Annotated[int, typer.Option("--limit", min=1, metavar="N", help="List N runs at most.")] = 20,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List runs. ``HELP`` is the text for users."""
    statuses: Any = status or None  # checked by the client
    show_list(
        lambda client: client.runs(graph=graph, thread=thread, status=statuses, limit=limit),
        _COLUMNS,
        _cells,
        nothing="no runs",
        graphs=[graph] if graph is not None else (),
        as_json=as_json,
        url=url,
        token=token,
    )


def _cells(row: RunRow) -> tuple[str, ...]:
    seconds = _seconds(row.started_at, row.ended_at)
    created = short_time(row.created_at)
    return row.run, row.graph, row.thread or "", row.status, str(row.head), created, seconds


def _seconds(started_at: str | None, ended_at: str | None) -> str:
    if started_at is None or ended_at is None:
        return ""
    return f"{(time_of(ended_at) - time_of(started_at)).total_seconds():.1f}"
