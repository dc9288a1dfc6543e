"""What runs take of ``store_bytes``: logs, and beside those requests, results and private threads; and what
threads take: their metadata, which nothing but the end of its thread frees.

A principal's share is the limit, divided by the principals of whom something is kept. Whatever is over the
limit is freed in this order: runs that have ended go, the oldest of the principal who has most first, until
nobody with such runs has more than the share; the logs of those that have not are shortened, the largest
first, and of the principal who has most; then the other runs that have ended go. If that is not enough, no
run starts of a principal that has its share already. Nor does one start of a principal whose runs hold half
of the limit until they end, since nothing can free that. So nobody pushes out what is kept for others.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from typing import Protocol

from graphwire_protocol.errors import Refusal

from graphwire_gateway.log.store import Store, StoreAway
from graphwire_gateway.telemetry import RateLimitedLogger, logger

_SLACK = 8  # free an eighth of the limit more than needed, so that it is not needed again at once


class Holder(Protocol):
    """A run, or a thread that has metadata, as far as it is counted."""

    key: str
    principal: str

    @property
    def has_ended(self) -> bool:
        """Whether it can be let go."""
        ...

    @property
    def held_bytes(self) -> int:
        """What is kept of it beside its log."""
        ...


class Holdings:
    """Counts what all runs take, next to what ``store`` holds, and keeps it below ``limit`` bytes.

    ``evict`` lets the run of a principal go that ended first; ``evictable`` is a view of the principals that
    have such runs.
    """

    def __init__(
        self, store: Store, limit: int, evictable: Collection[str], evict: Callable[[str], Awaitable[None]]
    ) -> None:
        self.beside_logs = 0
        """Bytes that are kept of all runs beside their logs."""
        self._store = store
        self._limit = limit
        self._evictable = evictable
        self._evict = evict
        self._sizes: dict[str, int] = {}
        self._fixed: dict[str, int] = {}  # the same, of runs that have not ended
        self._principals: Counter[str] = Counter()
        self._fixed_of: Counter[str] = Counter()
        self._making_room = asyncio.Lock()
        self._log = RateLimitedLogger(logger("holdings"), burst=1, every_s=60)

    def count(self, run: Holder) -> None:
        """Count what is kept of the run now."""
        size = run.held_bytes
        self.beside_logs += size - self._sizes.get(run.key, 0)
        _set(self._sizes, self._principals, run, size)
        _set(self._fixed, self._fixed_of, run, 0 if run.has_ended else size)

    def drop(self, run: Holder) -> None:
        """Nothing is kept of the run any more."""
        self.beside_logs -= self._sizes.get(run.key, 0)
        _set(self._sizes, self._principals, run, 0)
        _set(self._fixed, self._fixed_of, run, 0)

    @property
    def excess(self) -> int:
        """The bytes by which all of it exceeds the limit; not above 0 if it does not."""
        return self._store.size + self.beside_logs - self._limit

    async def make_room(self) -> None:
        """Free what is over the limit, as far as that is possible."""
        if self.excess <= 0:
            return
        async with self._making_room:
            await self._let_go(self._limit // max(1, len(self._principals)))
            excess = self.excess
            if excess > 0:
                before = self._store.size
                try:
                    await self._store.trim(excess + self._limit // _SLACK)
                except StoreAway as error:  # nothing grows meanwhile
                    self._log.warning("the store could not make room; trying again", error=str(error))
                    return
                self._log.warning(
                    "store_bytes are full: events of runs that have not ended were folded, and readers that "
                    "had not come to them get a snapshot instead",
                    limit=self._limit,
                    bytes=before - self._store.size,
                )
                await self._let_go(0)

    async def _let_go(self, share: int) -> None:
        """Let ended runs of principals go who have more than ``share``, as many as are over the limit."""
        while self.excess > 0 and self._evictable:
            principal = max(self._evictable, key=self._held)
            if self._held(principal) <= share:
                break
            await self._evict(principal)

    def _held(self, principal: str) -> int:
        return self._principals[principal] + self._store.size_of(principal)

    async def check_room(self, principal: str) -> None:
        """Check that there is room for a new run. Raises ``Refusal(limit_exceeded)``."""
        await self.make_room()
        self.check_share(principal)

    def check_share(self, principal: str) -> None:
        """Check that a principal does not hold too much already. Raises ``Refusal(limit_exceeded)``."""
        fixed, held = self._fixed_of[principal], self._principals[principal]
        if fixed >= max(1, self._limit // 2):
            whole = f"your runs and threads hold {fixed} bytes, half of what the server keeps or more,"
        elif self.excess > 0 and held and held >= self._limit // len(self._principals):
            whole = f"the runs of this server take all of {self._limit} bytes (store_bytes), and yours {held}"
        else:
            return
        raise Refusal(
            "limit_exceeded",
            f"{whole} for what they were given and wait for (store_bytes); let some of yours end, or cancel "
            "them, or delete threads that have metadata",
            details={"limit": "store_bytes"},
            after_ms=1000,
        )


def _set(sizes: dict[str, int], sums: Counter[str], run: Holder, size: int) -> None:
    """Note what a run takes, and what its principal's take in all. What takes nothing is not kept."""
    sums[run.principal] += size - sizes.pop(run.key, 0)
    if size:
        sizes[run.key] = size
    if not sums[run.principal]:
        del sums[run.principal]
