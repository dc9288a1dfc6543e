"""``graphwire graphs``: what the server can run."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

import typer
from graphwire_protocol.replies import Edge, GraphRow, Subgraph
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from graphwire.cli.listing import refuse_unknown, show_list
from graphwire.cli.options import DEFAULT_URL, Json, Token, Url
from graphwire.cli.outcome import FINE, LISTS, talk, visible
from graphwire.cli.show import piped
from graphwire.client import Client

_COLUMNS = ("graph", "description", "nodes", "input")

HELP = f"""List the graphs that the server offers you. Those that you name are drawn: their nodes, where each
leads to, and the subgraphs in them.

Example: [bold]graphwire graphs --url ws://127.0.0.1:8765/ws[/bold], or [bold]graphwire graphs joke[/bold]

{piped(*_COLUMNS)}

{LISTS}
"""


def graphs(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[GRAPH]...", help="Draw these graphs.")
    ] = None,
    as_json: Json = False,
    url: Url = DEFAULT_URL,
    token: Token = None,
) -> None:
    """List or draw graphs. ``HELP`` is the text for users."""
    wanted = names or []

    async def rows(client: Client) -> AsyncIterator[GraphRow]:
        for row in await client.graphs():
            if not wanted or row.name in wanted:
                yield row

    async def draw(client: Client) -> int:
        await refuse_unknown(client, wanted)
        async for row in rows(client):
            tree = Tree(_title(row.name, row.description))
            _grow(tree, row)
            Console(soft_wrap=True).print(tree, highlight=False)
        return FINE

    if wanted and not as_json:
        raise typer.Exit(talk(url, token, draw))
    show_list(
        rows, _COLUMNS, _cells, nothing="no graphs", graphs=wanted, as_json=as_json, url=url, token=token
    )


def _cells(row: GraphRow) -> tuple[str, ...]:
    input_keys = ", ".join((row.input_schema or {}).get("properties", {}))
    return row.name, row.description or "", ", ".join(row.nodes), input_keys


def _grow(tree: Tree, graph: GraphRow | Subgraph) -> None:
    """Add the nodes of a graph to a tree, in the order in which edges lead to them."""
    inner = {part.node: part for part in graph.subgraphs or ()}
    for node in _ordered(graph.nodes, graph.edges):
        targets = [
            f"{_end(edge.target)}{'?' if edge.conditional else ''}"
            for edge in graph.edges
            if edge.source == node
        ]
        part = inner.get(node)
        remark = "its subgraph is too deep or too large to be shown" if part and part.cut else None
        branch = tree.add(_title(f"{node} → {', '.join(targets)}" if targets else node, remark))
        if part is not None:
            _grow(branch, part)


def _ordered(nodes: Sequence[str], edges: Sequence[Edge]) -> list[str]:
    found = dict.fromkeys(edge.target for edge in edges if edge.source == "__start__")
    pending = list(found)
    for node in pending:  # which grows
        new = [edge.target for edge in edges if edge.source == node and edge.target not in found]
        found.update(dict.fromkeys(new))
        pending += dict.fromkeys(new)
    return [*(node for node in found if node in nodes), *(node for node in nodes if node not in found)]


def _end(name: str) -> str:
    return "end" if name == "__end__" else name


def _title(name: str, remark: str | None) -> Text:
    text = Text(visible(name))
    return text.append(f"  {visible(' '.join(remark.split()))}", style="dim") if remark else text
