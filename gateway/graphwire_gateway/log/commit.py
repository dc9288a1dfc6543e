"""Group commit: what all logs have pending in a tick is appended to the store at once.

One append is under way at a time, so a slow store gets larger groups instead of longer queues. What an append
costs is for the most part the same for one event and for a hundred: a transaction, and the way to the store
and back. So a store that outlives the process, and to which more came meanwhile, rests after each, three
times as long as it has taken, but no longer than ``_REST_S``. A busy server has large groups for that, and a
run that is alone waits for nothing.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from graphwire_protocol.types import Seq

from graphwire_gateway.log.log import Log
from graphwire_gateway.log.store import Batch, Fenced, Rewound, SeqGap, Store, StoreAway
from graphwire_gateway.telemetry import RateLimitedLogger, logger

log = logger("commit")

AWAY_S = 5.0
"""A store that takes nothing for so many seconds is away, as ``/readyz`` has it."""

_REST_S = 0.005
_RESTS = 3  # times the last append
_RETRY_S = (0.05, 0.2, 1.0)  # waits between attempts while the store fails; the last one repeats


class Committer:
    """Moves pending records of logs into the store. ``main`` is its task."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._most_rest_s = _REST_S if store.outlives else 0.0
        self._away = RateLimitedLogger(log, burst=1, every_s=60)
        self._dirty: dict[Log, None] = {}
        self._deleting: set[asyncio.Future[None]] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._trying_since: float | None = None

    @property
    def hindrance(self) -> str:
        """Why no client should come now: the store has failed for ``AWAY_S``; empty if it has not."""
        trying_s = 0.0 if self._trying_since is None else time.monotonic() - self._trying_since
        return "the store is away" if max(trying_s, self._store.away_s) >= AWAY_S else ""

    def add(self, written: Log) -> None:
        """Commit what ``written`` has pending in the next group."""
        self._dirty[written] = None
        self._idle.clear()
        self._wake.set()

    async def settle(self) -> None:
        """Wait until everything that is pending now is stored."""
        await self._idle.wait()

    async def main(self, make_room: Callable[[], Awaitable[None]] | None = None) -> None:
        """Commit until cancelled; ``make_room`` is awaited after each group, before the next."""
        rested_at = 0.0
        left: list[tuple[Log, Batch]] = []  # what the store has not taken
        attempts = 0
        while True:
            if not self._dirty and not left:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            if rested_at > (now := time.monotonic()):
                await asyncio.sleep(rested_at - now)
            group = self._with_dirty(left)
            if group:
                began_at = time.monotonic()
                self._trying_since = self._trying_since or began_at
                left = await self._append(group)
                if left:
                    await asyncio.sleep(_RETRY_S[min(attempts, len(_RETRY_S) - 1)])
                    attempts += 1
                    continue
                self._trying_since = None
                if attempts:
                    log.info("the store takes events again", attempts=attempts)
                    attempts = 0
                if self._dirty and self._most_rest_s:
                    took = time.monotonic() - began_at
                    rested_at = time.monotonic() + min(_RESTS * took, self._most_rest_s)
                if make_room is not None:
                    await self._make_room(make_room)

    def _with_dirty(self, left: list[tuple[Log, Batch]]) -> list[tuple[Log, Batch]]:
        """Return what is left, and what other logs have pending: a log's batches go one by one."""
        busy = {written for written, _ in left}
        dirty, self._dirty = self._dirty, dict.fromkeys(self._dirty.keys() & busy)
        found = ((written, written.batch()) for written in dirty if written not in busy)
        return left + [(written, batch) for written, batch in found if batch is not None]

    def _delete(self, key: str) -> None:
        deleting = asyncio.ensure_future(self._store.delete(key))  # a store that is away tries it again
        self._deleting.add(deleting)
        deleting.add_done_callback(self._deleting.discard)

    async def _make_room(self, make_room: Callable[[], Awaitable[None]]) -> None:
        try:
            await make_room()
        except Exception as error:  # a full disk, say; the next group asks for it again
            log.warning("the store could not make room; trying again", error=repr(error))

    async def _append(self, group: list[tuple[Log, Batch]]) -> list[tuple[Log, Batch]]:
        """Append a group; return what the store has not taken, which comes again as it is."""
        try:
            results = await self._store.append([batch for _, batch in group])
        except Exception as error:
            left, failure = group, error
        else:
            left = []
            for (written, batch), result in zip(group, results, strict=True):
                if isinstance(result, StoreAway):
                    left.append((written, batch))
                    failure = result
                else:
                    self._appended(written, batch, result)
        if left:
            # No client has seen these events, so they can wait. Graphs pause at their hand-over's bound.
            self._away.warning(
                "the store does not take events; trying again", error=repr(failure), logs=len(left)
            )
        return left

    def _appended(self, written: Log, batch: Batch, result: Seq | Fenced | SeqGap) -> None:
        try:
            if isinstance(result, Fenced | SeqGap):
                log.error("a run lost its log", run=written.run, reason=repr(result))
                written.lost(is_taken=isinstance(result, Fenced) and self._store.outlives)
                if isinstance(result, Rewound):  # nothing can follow it, and its readers must hear that
                    written.delete()
                    self._delete(written.key)
            else:
                written.stored(batch)
        except Exception as error:  # the other logs must hear of their records all the same
            log.error("a log's owner failed", run=written.run, error=repr(error), exc_info=error)
