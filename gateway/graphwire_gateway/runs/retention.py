"""Closes and deletes the logs of ended runs in the background, in order for each log.

``Runs`` decides when. The store evicts the records of a log that is still written.
"""

import asyncio
import contextlib
from collections.abc import Coroutine
from typing import Any

from graphwire_gateway.log.store import NoLog, Store


class Retention:
    """Closes and deletes logs in the background; work on one log happens in the order of the calls."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: dict[str, asyncio.Task[None]] = {}  # by log: the last work on it
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self, key: str, ttl_s: float) -> asyncio.Task[None]:
        """Let the store fold the log into its base after ``ttl_s`` seconds."""
        return self._behind(key, self._store.close(key, ttl_s))

    def delete(self, key: str) -> asyncio.Task[None]:
        """Delete the log."""
        return self._behind(key, self._store.delete(key))

    async def wait(self, key: str) -> None:
        """Wait for the work on this log that is under way."""
        last = self._last.get(key)
        if last is not None:
            await asyncio.wait([last])

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run ``work`` as a task that ``finish`` waits for; a log that is gone is no error in it."""

        async def guarded() -> None:
            with contextlib.suppress(NoLog):
                await work

        task = asyncio.ensure_future(guarded())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def finish(self, timeout_s: float) -> None:
        """Wait at most ``timeout_s`` seconds for all work that is under way; what is left then is ended."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=timeout_s)
            for task in left:  # it waits for a store that is away
                task.cancel()

    def _behind(self, key: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        before = self._last.get(key)

        async def in_order() -> None:
            if before is not None:
                await asyncio.wait([before])
            try:
                await work
            finally:
                if self._last.get(key) is task:
                    del self._last[key]

        task = self._last[key] = self.spawn(in_order())
        return task
