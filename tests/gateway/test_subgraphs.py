"""The graphs in a graph's nodes, as a list shows them: every level, within bounds, whatever a graph raises.

About `gateway/graphwire_gateway/graphs/subgraphs.py`, `gateway/graphwire_gateway/graphs/description.py` and
`gateway/graphwire_gateway/runs/listing.py`.
"""

from typing import Any

import orjson
import pytest
from graphwire_gateway.graphs.subgraphs import MAX_BYTES, MAX_DEPTH, subgraphs_of
from graphwire_gateway.runs.listing import _fitting
from graphwire_protocol.replies import GraphRow, Subgraph

from tests.support.graphs import LIBRARIES, OURS, Counted, library


def nested(lib: Any, **inner: Any) -> Any:
    """A graph whose nodes are graphs, and a node ``last`` behind them."""
    graph = lib.StateGraph(Counted)
    graph.add_node("last", lambda state: {})
    for name, node in inner.items():
        graph.add_node(name, node)
        graph.add_edge(lib.START, name)
        graph.add_edge(name, "last")
    if not inner:
        graph.add_edge(lib.START, "last")
    return graph.add_edge("last", lib.END).compile()


def names(parts: tuple[Subgraph, ...] | None) -> dict[str, Any]:
    return {part.node: "cut" if part.cut else names(part.subgraphs) for part in parts or ()}


@pytest.mark.parametrize("kind", LIBRARIES)
def test_every_level_has_its_nodes_and_edges(kind: str) -> None:
    lib = library(kind)
    leaf = nested(lib)

    async def calls(state: Counted) -> Counted:
        return await leaf.ainvoke(state)

    graph = nested(lib, a=nested(lib, b=leaf), c=leaf, d=calls)
    found = subgraphs_of("g", graph)
    assert names(found) == {"a": {"b": {}}, "c": {}, "d": {}}
    assert found is not None
    middle = found[0]
    assert set(middle.nodes) == {"b", "last"}
    ends = {(edge.source, edge.target) for edge in middle.edges}
    assert ends == {("__start__", "b"), ("b", "last"), ("last", "__end__")}
    assert subgraphs_of("g", leaf) is None


def test_what_is_too_deep_is_marked() -> None:
    graph = nested(OURS)
    for _ in range(MAX_DEPTH + 3):
        graph = nested(OURS, inner=graph)
    found, levels = subgraphs_of("g", graph), 0
    while found and not found[0].cut:
        found, levels = found[0].subgraphs, levels + 1
    assert levels == MAX_DEPTH
    assert found == (Subgraph(node="inner", nodes=(), edges=(), cut=True),)


def test_what_is_too_large_is_marked_and_the_upper_levels_come_first() -> None:
    graph = nested(OURS)
    for _ in range(MAX_DEPTH):  # 6 ** 8 graphs, were they all shown
        graph = nested(OURS, **{f"inner_{number}": graph for number in range(6)})
    found = subgraphs_of("g", graph)
    assert found is not None
    assert [part.cut for part in found] == [None] * 6
    level, marks = found, 0
    while level:
        marks += sum(bool(part.cut) for part in level)
        assert all(part.cut or len(part.subgraphs or ()) in (0, 6) for part in level)
        level = tuple(below for part in level for below in part.subgraphs or ())
    assert marks
    assert len(orjson.dumps([part.to_wire() for part in found])) < 2 * MAX_BYTES


class Broken:
    """A graph that cannot be described."""

    nodes = {"x": None}

    def get_subgraphs(self) -> Any:
        raise SystemExit("no")


def test_a_graph_that_cannot_be_described_is_served_without() -> None:
    assert subgraphs_of("g", Broken()) is None
    assert subgraphs_of("g", type("Plain", (), {"nodes": {}, "get_graph": None})()) is None


def test_a_row_that_is_too_large_marks_its_subgraphs_before_it_loses_anything_else() -> None:
    inner = Subgraph(node="a", nodes=("x" * 1000,), edges=())
    row = GraphRow(
        name="g", input_schema={"type": "object"}, nodes=("a",), edges=(), modes=(), subgraphs=(inner,)
    )
    assert _fitting(row, 5000) == row
    marked = row.model_copy(update={"subgraphs": (Subgraph(node="a", nodes=(), edges=(), cut=True),)})
    assert _fitting(row, 300) == marked
    assert _fitting(row, 100) == GraphRow(name="g", nodes=("a",), edges=(), modes=())
