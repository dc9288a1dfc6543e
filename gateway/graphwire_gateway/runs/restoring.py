"""Values of clients become Python's: small ones at once, large ones in a thread.

A frame may hold thirty thousand messages, each of which LangChain validates; together they take a second. The
loop that serves the connections goes on meanwhile, and each principal has one such thread at most.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")

_AT_ONCE = 64 << 10
"""Bytes of JSON that are restored on the connections' loop, in some ten milliseconds at most."""


class Restoring:
    """Restores values where it holds up nobody."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def run(self, principal: str, size: int, restore: Callable[[], T]) -> T:
        """Return ``restore()``, which restores ``size`` bytes of JSON for a principal."""
        if size <= _AT_ONCE:
            return restore()
        lock = self._locks.get(principal)
        if lock is None:
            lock = self._locks[principal] = asyncio.Lock()
        async with lock:
            return await asyncio.to_thread(restore)
