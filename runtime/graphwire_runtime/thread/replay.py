"""`Replay`: how the graphs inside a run are wound back when that run starts from an older checkpoint.

A graph inside that keeps one history for the whole thread (`checkpointer=True`) would otherwise continue from
its latest checkpoint, which is later than the one that the outermost graph starts from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Replay", "begins_branch", "older"]


def begins_branch(metadata: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was made by an edit or by a replay, so that a run from it needs no copy of it."""
    return metadata.get("source") in ("update", "fork")


def older(saved: Any) -> str:
    """The id of the checkpoint at which the graphs inside stood as they are to stand at this one.

    It is its own or, since an edit is made after they have run, that of the one before.

    Args:
        saved: the saver's tuple.
    """
    by = saved.parent_config if begins_branch(saved.metadata) and saved.parent_config else saved.config
    return str(by["configurable"]["checkpoint_id"])


class Replay:
    """One replay, shared by the outermost run and all runs inside it.

    Args:
        before: the id of the checkpoint that the graphs inside are wound back to: they start from their
            latest checkpoint that is older than it.
    """

    __slots__ = ("_before", "_theirs", "_visited")

    def __init__(self, before: str) -> None:
        self._before = before
        self._visited: set[str] = set()
        self._theirs: Any = None

    def bound(self, namespace: str) -> str | None:
        """The id to look before, for the first run of a graph; None from the second on, which continues."""
        graph = namespace.rpartition(":")[0] or namespace  # the same in every task that runs the graph
        if graph in self._visited:
            return None
        self._visited.add(graph)
        return self._before

    def for_langgraph(self, kind: Any) -> Any:
        """The replay as LangGraph's graphs inside know it, one for all of them; `kind` is its class."""
        if self._theirs is None and kind is not None:
            self._theirs = kind(self._before)
        return self._theirs
