"""What ``graphs``, ``runs`` and ``threads`` share: rows from the server, as a table or as JSON lines.

Also the check of the graphs that they, ``watch`` and ``cancel`` name.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timezone
from typing import Protocol, TypeVar

import typer
from graphwire_protocol.suggest import no_graph
from rich.table import Table

from graphwire.cli.outcome import FINE, talk
from graphwire.cli.show import print_json, print_table
from graphwire.client import Client
from graphwire.errors import Refused


class Row(Protocol):
    """A row of a list, as the server sent it."""

    def to_wire(self) -> object:
        """Return the row as JSON values."""


R = TypeVar("R", bound=Row)


def show_list(
    rows_of: Callable[[Client], AsyncIterator[R]],
    columns: Sequence[str],
    cells_of: Callable[[R], Sequence[str]],
    *,
    nothing: str,
    graphs: Sequence[str] = (),
    as_json: bool,
    url: str,
    token: str | None,
) -> None:
    """Connect, print the rows that ``rows_of(client)`` yields, and exit.

    As a table each row has the cells ``cells_of(row)``, one for each of ``columns``; an empty table is the
    sentence ``nothing``. As JSON each row is one line, and no row is no line.
    A name in ``graphs`` that the server does not have is refused.
    """

    async def work(client: Client) -> int:
        await refuse_unknown(client, graphs)
        rows = [row async for row in rows_of(client)]
        if as_json:
            for row in rows:
                print_json(row.to_wire())
            return FINE
        table = Table(*columns, box=None)
        for row in rows:
            table.add_row(*cells_of(row))
        print_table(table if rows else nothing)
        return FINE

    raise typer.Exit(talk(url, token, work))


async def refuse_unknown(client: Client, graphs: Sequence[str]) -> None:
    """Raise ``Refused`` if the server does not have one of these graphs: nothing could match its name."""
    if not graphs:
        return
    served = [row.name for row in await client.graphs()]
    for name in graphs:
        if name not in served:
            raise Refused("not_found", no_graph(name, served))  # as the server says it of a run


def time_of(rfc3339: str) -> datetime:
    """Return a time as an object. Raises ``ValueError``."""
    # datetime.fromisoformat() of Python 3.10 does not know "Z".
    return datetime.fromisoformat(rfc3339.replace("Z", "+00:00"))


def short_time(rfc3339: str) -> str:
    """Return a time to the second, in UTC and without ``T``: ``2026-03-01 12:00:00Z``."""
    try:
        time = time_of(rfc3339)
    except ValueError:  # of a saver that writes times in its own way
        return rfc3339
    if time.tzinfo is None:
        return f"{time:%Y-%m-%d %H:%M:%S}"
    return f"{time.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}Z"
