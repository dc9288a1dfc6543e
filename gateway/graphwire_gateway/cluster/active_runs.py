"""How many active runs each principal has in each shard, so that ``max_active_runs`` holds for all together.

``PREFIX:K:active`` is a hash of shard K: a principal, and how many of its runs are active there. Its home
writes it, and begins anew when it takes the shard. What others have is asked again after ``_FRESH_S``, or at
once where the limit is not far, so two starts at one moment in two shards may be one too many.
"""

import asyncio
import contextlib
import time

from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.log.store import StoreAway

_FRESH_S = 1.0
_AGAIN_S = 1.0  # before another attempt, where Redis was away
_REMEMBERED = 10_000  # principals


class ActiveRuns:
    """Those of the home of ``shard``; see ``Elsewhere``. ``open`` comes first."""

    def __init__(self, directory: Directory, shard: int) -> None:
        self._directory = directory
        self._shard = shard
        self._counts: dict[str, int] = {}  # of this shard, that others do not know yet
        self._found: dict[str, tuple[float, int]] = {}  # of others, and when they were asked
        self._has_changed = asyncio.Event()
        self._is_closed = False
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Forget what an earlier home has written. Raises ``StoreAway``."""
        await self._directory.ask(("DEL", self._directory.active_key(self._shard)))
        self._task = asyncio.create_task(self._write())

    async def active(self, principal: str, most: int) -> int:
        """Return how many runs of a principal are active in other shards.

        If Redis is away, that is what was known last.
        """
        at, count = self._found.get(principal, (-_FRESH_S, 0))
        now = time.monotonic()
        if now < at + _FRESH_S and 2 * count < most:
            return count
        directory = self._directory
        others = [shard for shard in range(directory.shards) if shard != self._shard]
        with contextlib.suppress(StoreAway):
            found = await directory.ask(
                *(("HGET", directory.active_key(shard), principal) for shard in others), ("PING",)
            )
            count = sum(int(each) for each in found[:-1] if each is not None)
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[principal] = now, count
        return count

    def note(self, principal: str, count: int) -> None:
        """A principal has so many active runs in this shard."""
        self._counts[principal] = count
        self._has_changed.set()

    async def _write(self) -> None:
        key = self._directory.active_key(self._shard)
        while not self._is_closed:
            await self._has_changed.wait()
            self._has_changed.clear()
            counts, self._counts = self._counts, {}
            commands = [
                ("HSET", key, principal, count) if count else ("HDEL", key, principal)
                for principal, count in counts.items()
            ]
            try:
                await self._directory.ask(*commands, ("PING",))
            except StoreAway:
                self._counts = {**counts, **self._counts}
                self._has_changed.set()
                await asyncio.sleep(_AGAIN_S)

    async def aclose(self) -> None:
        """Write nothing more."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
