"""`SettledCache`: a cache for LangGraph in which a superstep finds what the one before it has stored."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from langgraph.cache.memory import InMemoryCache


class SettledCache(InMemoryCache):
    """A cache that is not read before all that was to be stored is stored.

    For LangGraph, which looks up `set` or `aset` when a result is on its way and calls it later, in a
    thread or a task of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._coming = 0
        self._changed = threading.Condition()

    def __getattribute__(self, name: str) -> Any:
        if name not in ("set", "aset"):
            return super().__getattribute__(name)
        with self._changed:
            self._coming += 1
        return self._store if name == "set" else self._astore

    def _store(self, pairs: Any) -> None:
        with self._changed:
            InMemoryCache.set(self, pairs)
            self._coming -= 1
            self._changed.notify_all()

    async def _astore(self, pairs: Any) -> None:
        self._store(pairs)

    def get(self, keys: Any) -> Any:
        with self._changed:
            assert self._changed.wait_for(lambda: not self._coming, timeout=60)
        return super().get(keys)

    async def aget(self, keys: Any) -> Any:
        while self._coming:  # noqa: ASYNC110  # what is on its way needs turns of this loop
            await asyncio.sleep(0)
        return super().get(keys)
