"""``graphwire graphs``: what the server can run."""

import typer
from rich.table import Table

from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import EXIT_CODES, FINE, talk
from graphwire.cli.show import print_json, print_table
from graphwire.client import Client

HELP = f"""List the graphs that the server offers you.

Example: [bold]graphwire graphs --url ws://127.0.0.1:8765/ws[/bold]

{EXIT_CODES}
"""


def graphs(as_json: Json = False, url: Url = DEFAULT_URL, token: Token = None) -> None:
    """List graphs; the help's text stands in ``HELP``."""

    async def work(client: Client) -> int:
        rows = await client.graphs()
        if as_json:
            for row in rows:
                print_json(row.to_wire())
            return FINE
        table = Table("graph", "description", "nodes", "input", box=None)
        for row in rows:
            fields = ", ".join((row.input_schema or {}).get("properties", {}))
            table.add_row(row.name, row.description or "", ", ".join(row.nodes), fields)
        print_table(table if rows else "no graphs")
        return FINE

    raise typer.Exit(talk(url, token, work))
