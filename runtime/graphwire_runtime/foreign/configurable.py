"""`Configurable`: the `configurable` of a task's config, which also speaks to LangGraph's parts.

LangGraph's parts find the task that they run in through keys of `configurable`: its runtime, its answers, its
stream, its saver. To make all of them takes longer than a short node does, and most nodes hold no part that
reads one. So they are made when the first of them is read, or when the mapping is copied.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from graphwire_runtime.foreign.handles import PREFIX, TASK_ID, handles_of
from graphwire_runtime.foreign.words import TASK

__all__ = ["Configurable", "plain"]


class Configurable(dict[str, Any]):
    """The mapping; see the module. It must hold the task."""

    __slots__ = ()

    def empty(self) -> None:
        """Drop what was made, so that it is made anew when it is read again."""
        for key in [key for key in dict.keys(self) if key.startswith(PREFIX)]:
            del self[key]

    def __missing__(self, key: str) -> Any:
        if not _is_made(key) or dict.__contains__(self, TASK_ID):
            raise KeyError(key)
        return self._full()[key]

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        if dict.__contains__(self, key):
            return self[key]
        return dict.get(self._full(), key, default) if _is_made(key) else default

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or (_is_made(key) and dict.__contains__(self._full(), key))

    def __iter__(self) -> Iterator[str]:
        return dict.__iter__(self._full())

    def __bool__(self) -> bool:
        return True  # or `__len__` would be asked, and make all keys

    def __len__(self) -> int:
        return dict.__len__(self._full())

    def keys(self) -> KeysView[str]:  # type: ignore[override]
        """All keys."""
        return dict.keys(self._full())

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """All values."""
        return dict.values(self._full())

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """All items."""
        return dict.items(self._full())

    def copy(self) -> dict[str, Any]:
        """A plain mapping with all keys."""
        return dict(self.items())

    def _full(self) -> Configurable:
        if not dict.__contains__(self, TASK_ID):
            dict.update(self, handles_of(dict.__getitem__(self, TASK)))
        return self


def plain(configurable: Any) -> dict[str, Any]:
    """A copy without what is made for LangGraph's parts."""
    if type(configurable) is not Configurable:
        return dict(configurable)
    copied = dict(dict.items(configurable))
    if TASK_ID in copied:
        copied = {key: value for key, value in copied.items() if not key.startswith(PREFIX)}
    return copied


def _is_made(key: object) -> bool:
    return isinstance(key, str) and key.startswith(PREFIX)
