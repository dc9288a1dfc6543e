"""`Sketch`: what LangChain's drawable `Graph` is made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.runnables.graph import Graph

from graphwire_runtime.types import END, START

__all__ = ["DrawnEdge", "DrawnNode", "Sketch"]

SUPERSTEPS = 251
"""After how many supersteps a walk gives up: a loop has no end. It is LangGraph's number."""


class DrawnNode(NamedTuple):
    """A node as it is drawn."""

    action: Any
    metadata: Mapping[str, Any] | None = None
    defer: bool = False


class DrawnEdge(NamedTuple):
    """An edge as it is drawn."""

    source: str
    target: str
    conditional: bool = False
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Sketch:
    """The nodes and edges of a graph, as they are drawn."""

    nodes: Mapping[str, DrawnNode]
    edges: Sequence[DrawnEdge]
    joins: Sequence[tuple[tuple[str, ...], str]] = ()
    """The edges from several nodes."""

    def graph(
        self,
        opened: Mapping[str, Graph] | None = None,
        before: str | Collection[str] = (),
        after: str | Collection[str] = (),
    ) -> Graph:
        """The drawable graph. Only edges that a run may reach are drawn.

        Args:
            opened: the graphs to draw in place of nodes, by the names of the nodes.
            before: the nodes that a run stops before, which are marked; "*" marks none.
            after: the nodes that a run stops after.
        """
        drawn = Graph()
        drawn.add_node(RunnableLambda(_nothing, name=START), START)
        for name, node in self.nodes.items():
            metadata = dict(node.metadata or {})
            if node.defer:
                metadata["defer"] = True
            stops = [when for when, at in (("before", before), ("after", after)) if at != "*" and name in at]
            if stops:
                metadata["__interrupt"] = ",".join(stops)
            tools = getattr(node.action, "tools_by_name", None)
            if isinstance(tools, Mapping) and tools:
                metadata["__tools"] = list(tools)
            drawn.add_node(_runnable(name, node.action), name, metadata=metadata or None)
        known: set[tuple[str, str]] = set()
        for source, target, conditional, label in self._walk():
            if (source, target) in known:
                continue
            known.add((source, target))
            if target == END and END not in drawn.nodes:
                drawn.add_node(None, END)
            text = None if label == target else label
            drawn.add_edge(drawn.nodes[source], drawn.nodes[target], text, conditional)
        for name, graph in (opened or {}).items():
            _open(drawn, name, graph)
        return drawn

    def _walk(self) -> list[DrawnEdge]:
        """The edges that a run may reach, and where it ends: every router leads everywhere the first time."""
        found: set[DrawnEdge] = set()
        waiting: set[str] = set()
        arrived: dict[int, set[str]] = {}
        following, ran, walked = {START}, [START], set[str]()
        for _ in range(SUPERSTEPS):
            if not following:
                break
            ran = sorted(following)
            triggered: set[str] = set()
            leaving = [
                edge
                for edge in self.edges
                if edge.source in ran and not (edge.conditional and edge.source in walked)
            ]
            routed = {edge[:2]: edge for edge in leaving if edge.conditional}
            for edge in leaving:
                found.add(edge if edge.conditional else routed.get(edge[:2], edge))
                triggered.add(edge.target)
            for index, (sources, target) in enumerate(self.joins):
                here = arrived.setdefault(index, set())
                here |= {source for source in sources if source in ran}
                if here == {*sources}:
                    found |= {DrawnEdge(source, target) for source in sources}
                    triggered.add(target)
                    here.clear()
            walked |= {*ran}
            triggered.discard(END)
            waiting |= {name for name in triggered if self.nodes[name].defer}
            following = triggered - waiting
            if not following and waiting:
                late = waiting - triggered  # triggered earlier, so nothing leads from the last nodes to them
                found |= {DrawnEdge(source, name, True) for source in ran for name in late}
                following, waiting = waiting, set()
        return [*sorted(found, key=lambda edge: (*edge[:3], edge.label or "")), *_ends(found, ran)]


def _ends(found: Collection[DrawnEdge], last: Sequence[str]) -> list[DrawnEdge]:
    """The edges to END that nobody has written: from where nothing leads on, or out of a loop."""
    targets = {edge.target for edge in found}
    closing = sorted(targets - {END} - {edge.source for edge in found})
    if closing:
        return [DrawnEdge(source, END) for source in closing]
    return [DrawnEdge(last[0], END, True)] if len(last) == 1 and END not in targets else []


def _open(drawn: Graph, name: str, graph: Graph) -> None:
    """Draw a graph in place of a node, if that has one way in and one way out."""
    if len(graph.nodes) < 2 or graph.first_node() is None or graph.last_node() is None:
        return
    graph.trim_first_node()
    graph.trim_last_node()
    drawn.nodes.pop(name)
    first, last = drawn.extend(graph, prefix=name)
    assert first is not None
    assert last is not None
    for index, edge in enumerate(drawn.edges):
        source = last.id if edge.source == name else edge.source
        target = first.id if edge.target == name else edge.target
        drawn.edges[index] = edge.copy(source=source, target=target)


def _runnable(name: str, action: Any) -> Runnable[Any, Any]:
    return action if isinstance(action, Runnable) else RunnableLambda(_nothing, name=name)


def _nothing(state: Any) -> Any:
    return state
