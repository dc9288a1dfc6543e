"""`Sketch`: what LangChain's drawable `Graph` is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.runnables import Runnable, RunnableLambda
from langchain_core.runnables.graph import Graph

from graphwire_runtime.types import END, START

__all__ = ["Sketch"]


@dataclass(frozen=True, slots=True)
class Sketch:
    """The nodes and edges of a graph, as they are drawn."""

    nodes: Mapping[str, tuple[Any, Mapping[str, Any] | None]]
    """By name: what the node runs, and its metadata."""
    edges: Sequence[tuple[str, str, str | None, bool]]
    """(source, target, label or None, whether it is conditional)"""

    def graph(self, xray: int | bool = False) -> Graph:
        """The drawable graph. `xray` opens graphs inside it: True for all levels, an int for that many."""
        drawn = Graph()
        drawn.add_node(RunnableLambda(_nothing, name=START), START)
        inner: dict[str, tuple[str, str]] = {}
        for name, (action, metadata) in self.nodes.items():
            opened = self._opened(action, xray)
            if opened is not None:
                first, last = drawn.extend(opened, prefix=name)
                if first is not None and last is not None:
                    inner[name] = (first.id, last.id)
                    continue
            drawn.add_node(_runnable(name, action), name, metadata=dict(metadata) if metadata else None)
        if any(target == END for _, target, _, _ in self.edges):
            drawn.add_node(RunnableLambda(_nothing, name=END), END)
        for source, target, label, conditional in self.edges:
            start = drawn.nodes.get(inner[source][1] if source in inner else source)
            end = drawn.nodes.get(inner[target][0] if target in inner else target)
            if start is not None and end is not None:
                drawn.add_edge(start, end, label, conditional=conditional)
        return drawn

    @staticmethod
    def _opened(action: Any, xray: int | bool) -> Graph | None:
        if not xray or not isinstance(action, Runnable):
            return None
        deeper = xray if isinstance(xray, bool) else xray - 1
        try:
            graph = action.get_graph(xray=deeper)  # type: ignore[call-arg]
        except TypeError:
            return None  # a plain runnable, not a graph of nodes
        graph.trim_first_node()
        graph.trim_last_node()
        return graph


def _runnable(name: str, action: Any) -> Runnable[Any, Any]:
    return action if isinstance(action, Runnable) else RunnableLambda(_nothing, name=name)


def _nothing(state: Any) -> Any:
    return state
