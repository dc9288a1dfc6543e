"""`Namespace`: which graph something comes from, and what of that is the same in every run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Namespace", "graph_of", "nodes_in", "without_task_ids"]

Namespace = tuple[str, ...]
"""A graph: `"node:task_id"` for each level of nesting, `()` for the outermost.

Behind the task that started it, the second and later graphs of one task have their number.
"""


def without_task_ids(namespace: Iterable[str]) -> Namespace:
    """The names of nodes and the numbers of calls."""
    return tuple(each.partition(":")[0] for each in namespace)


def nodes_in(namespace: Iterable[str]) -> Namespace:
    """The names of nodes alone."""
    return tuple(name for name in without_task_ids(namespace) if not name.isdigit())


def graph_of(metadata: Mapping[str, Any]) -> Namespace:
    """The graph whose node this metadata names; a @task of LangGraph's counts as the node that calls it."""
    path: Any = metadata.get("langgraph_path") or ()
    levels = 1
    while len(path) == 4 and path[-1] is True:
        path, levels = path[1], levels + 1
    return tuple(metadata.get("langgraph_checkpoint_ns", "").split("|")[:-levels])
