"""``graphwire graphs``: what the server can run."""

from collections.abc import AsyncIterator

from graphwire_protocol.replies import GraphRow

from graphwire.cli.listing import show_list
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import LISTS
from graphwire.cli.show import piped
from graphwire.client import Client

_COLUMNS = ("graph", "description", "nodes", "input")

HELP = f"""List the graphs that the server offers you.

Example: [bold]graphwire graphs --url ws://127.0.0.1:8765/ws[/bold]

{piped(*_COLUMNS)}

{LISTS}
"""


def graphs(as_json: Json = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """List graphs. ``HELP`` is the text for users."""
    show_list(_rows, _COLUMNS, _cells, nothing="no graphs", as_json=as_json, url=url, token=token)


async def _rows(client: Client) -> AsyncIterator[GraphRow]:
    for row in await client.graphs():
        yield row


def _cells(row: GraphRow) -> tuple[str, ...]:
    input_keys = ", ".join((row.input_schema or {}).get("properties", {}))
    return row.name, row.description or "", ", ".join(row.nodes), input_keys
