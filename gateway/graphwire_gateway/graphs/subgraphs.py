"""The graphs in the nodes of a graph, level by level, within bounds: for clients that draw them."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson
from graphwire_protocol.replies import Edge, Subgraph

from graphwire_gateway.telemetry import logger

log = logger("graphs")

MAX_DEPTH = 8
"""How many levels of subgraphs are shown."""

MAX_BYTES = 64 << 10
"""How many bytes of JSON all subgraphs of a graph may take; the upper levels come first."""


@dataclass(frozen=True)
class _Drawing:
    """What one graph looks like, and the graphs in its nodes."""

    nodes: tuple[str, ...]
    edges: tuple[Edge, ...]
    inner: tuple[tuple[str, Any], ...]


@dataclass
class _Shown:
    """A subgraph that is shown, before its own subgraphs are known."""

    node: str
    drawing: _Drawing | None
    inner: list["_Shown"] = field(default_factory=list)

    def part(self) -> Subgraph:
        if self.drawing is None:
            return Subgraph(node=self.node, nodes=(), edges=(), cut=True)
        inner = tuple(each.part() for each in self.inner) or None
        return Subgraph(node=self.node, nodes=self.drawing.nodes, edges=self.drawing.edges, subgraphs=inner)


def subgraphs_of(name: str, graph: Any) -> tuple[Subgraph, ...] | None:
    """Return the subgraphs of a graph; None if it has none. Call it on the graph's loop, before any run.

    What is deeper than ``MAX_DEPTH``, or does not fit into ``MAX_BYTES``, is marked as cut.
    """
    drawings: dict[int, _Drawing] = {}  # a graph may be in many nodes
    root = _Shown("", _drawing(name, graph))
    left = MAX_BYTES
    level = deque([(root, 0)])
    while level:
        shown, depth = level.popleft()
        assert shown.drawing is not None
        for node, inner in shown.drawing.inner:
            drawing = drawings.get(id(inner))
            if drawing is None:
                drawing = drawings[id(inner)] = _drawing(name, inner)
            part = _Shown(node, drawing)
            size = len(orjson.dumps(part.part().to_wire()))
            if depth < MAX_DEPTH and size <= left:
                left -= size
                level.append((part, depth + 1))
            else:
                part = _Shown(node, None)
            shown.inner.append(part)
    return tuple(part.part() for part in root.inner) or None


def marked(subgraphs: tuple[Subgraph, ...]) -> tuple[Subgraph, ...]:
    """Return subgraphs without what is in them, each marked as cut."""
    return tuple(Subgraph(node=each.node, nodes=(), edges=(), cut=True) for each in subgraphs)


def nodes_of(graph: Any) -> tuple[str, ...]:
    """Return the names of a graph's nodes."""
    return tuple(name for name in graph.nodes if not name.startswith("__"))


def edges_of(name: str, graph: Any) -> tuple[Edge, ...]:
    """Return a graph's edges; none, and a warning about the graph of that name, if it cannot be drawn."""
    try:
        return tuple(
            Edge(source=edge.source, target=edge.target, conditional=True if edge.conditional else None)
            for edge in graph.get_graph().edges
        )
    except BaseException as error:  # a graph that cannot be drawn is served all the same
        log.warning("a graph's edges cannot be listed", graph=name, exc_info=error)
        return ()


def _drawing(name: str, graph: Any) -> _Drawing:
    try:
        inner = tuple(graph.get_subgraphs()) if hasattr(graph, "get_subgraphs") else ()
        return _Drawing(nodes_of(graph), edges_of(name, graph), inner)
    except BaseException as error:
        log.warning("a graph's subgraphs cannot be listed", graph=name, exc_info=error)
        return _Drawing((), (), ())
