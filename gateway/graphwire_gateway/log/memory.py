"""Logs in memory: each keeps its newest records, and older ones are folded into its base."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from graphwire_protocol.types import Durability, Seq

from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.record import Record, first_of
from graphwire_gateway.log.shares import FLOOR, shares
from graphwire_gateway.log.store import Batch, Fenced, Kept, NoLog, Page, SeqGap, Unshared

_BURST = 4  # nothing younger than min_age_s goes below this many times the limits
_SLICE = 512  # records that are folded before others get the loop
_SLICE_BYTES = 256 << 10  # and about how many bytes of them
_SLACK = 8  # evict an eighth at once, so that a full log does not move its tail at every append


class _StoredLog:
    __slots__ = ("ages", "base", "epoch", "principal", "records", "size", "wakes")

    def __init__(self, principal: str, epoch: str) -> None:
        self.principal = principal
        self.epoch = epoch
        self.base = Fold()
        self.records: list[Record] = []
        self.size = 0
        self.ages: deque[tuple[float, Seq]] = deque()  # (when, last seq appended until then)
        self.wakes: list[Callable[[Seq], None]] = []

    @property
    def head(self) -> Seq:
        return self.base.upto + len(self.records)

    @property
    def total(self) -> int:
        """What it takes, with what was evicted of it."""
        return self.size + self.base.size


class MemoryStore(Unshared):
    """A store of one process: nothing of it survives the process."""

    def __init__(self, limits: LogLimits | None = None) -> None:
        self._limits = limits or LogLimits()
        self._logs: dict[str, _StoredLog] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._folding: set[asyncio.Task[None]] = set()
        self._sizes: Counter[str] = Counter()  # by principal
        super().__init__()
        self.size = 0
        """Bytes held by all logs."""

    @property
    def durability(self) -> Durability:
        """Nothing survives."""
        return "none"

    @property
    def outlives(self) -> bool:
        """It ends with the process."""
        return False

    def size_of(self, principal: str) -> int:
        """Return the bytes held by the logs of a principal's runs."""
        return self._sizes[principal]

    def _count(self, log: _StoredLog, size: int) -> None:
        self.size += size
        self._sizes[log.principal] += size
        if not self._sizes[log.principal]:
            del self._sizes[log.principal]

    async def open(self) -> list[Kept]:
        """Nothing is kept from before."""
        return []

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        """Begin an empty log."""
        self._logs[run] = _StoredLog(run.rpartition("/")[0], epoch)

    async def append(self, batches: Sequence[Batch]) -> list[Seq | Fenced | SeqGap]:
        """Append many batches at once; see ``Store``."""
        return [self._append(batch) for batch in batches]

    def _append(self, batch: Batch) -> Seq | Fenced | SeqGap:
        log = self._logs.get(batch.run)
        if log is None or log.epoch != batch.epoch:
            return Fenced()
        head = log.head
        if batch.first_seq != head + 1:
            return SeqGap(head)
        log.records.extend(batch.records)
        log.size += batch.size
        self._count(log, batch.size)
        head += len(batch.records)
        self._note_age(log, head)
        self._evict(log, 2 * len(batch.records))
        for wake in log.wakes:
            wake(head)
        return head

    def _note_age(self, log: _StoredLog, head: Seq) -> None:
        # Two entries per min_age_s are exact enough, and keep a busy log's list short.
        now = asyncio.get_running_loop().time()
        ages = log.ages
        if ages and now - ages[-1][0] < self._limits.min_age_s / 2:
            ages[-1] = (ages[-1][0], head)
        else:
            ages.append((now, head))

    def _evict(self, log: _StoredLog, most: int) -> None:
        # At most ``most`` records are folded, so that a burst that ages does not hold the loop. They are more
        # than have come, so the log shrinks all the same.
        limits = self._limits
        events, size = limits.events, limits.bytes
        if len(log.records) <= events + events // _SLACK and log.size <= size + size // _SLACK:
            return
        old = self._old(log, asyncio.get_running_loop().time())
        count = 0
        records, held = log.records, log.size
        while count < min(len(records) - 1, max(most, _SLICE)):
            left = len(records) - count
            factor = 1 if log.base.upto + count + 1 <= old else _BURST
            if left <= events * factor and held <= size * factor:
                break
            held -= records[count].size
            count += 1
        self._fold(log, count, size)

    def _old(self, log: _StoredLog, now: float) -> Seq:
        """Return the last seq that is surely older than ``min_age_s``: its whole interval is."""
        age, ages = self._limits.min_age_s * 1.5, log.ages
        while len(ages) > 1 and now - ages[1][0] >= age:
            ages.popleft()
        return ages[0][1] if now - ages[0][0] >= age else 0

    def _fold(self, log: _StoredLog, count: int, limit: int) -> None:
        """Fold the ``count`` oldest records into the base, which then holds at most ``limit`` bytes."""
        records, base = log.records, log.base
        before = base.size
        for record in records[:count]:
            base.add(record)
            if base.size > limit:
                base.shrink(limit)
        size = sum([record.size for record in records[:count]])
        del records[:count]
        log.size -= size
        self._count(log, base.size - before - size)

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        """Return at most ``limit`` records behind ``after``; see ``Store``."""
        log = self._log(run)
        evicted = log.base.upto
        at = after - evicted
        return Page(log.epoch, evicted, log.head, log.records[at : at + limit] if at >= 0 else ())

    async def base(self, run: str) -> Fold:
        """Return what the evicted records fold to."""
        return self._log(run).base.copy()

    def tail(self, run: str, wake: Callable[[Seq], None]) -> Callable[[], None]:
        """Call ``wake(head)`` whenever the log has grown; return how to stop that."""
        wakes = self._log(run).wakes
        wakes.append(wake)
        return lambda: wakes.remove(wake) if wake in wakes else None

    def _log(self, run: str) -> _StoredLog:
        log = self._logs.get(run)
        if log is None:
            raise NoLog(run)
        return log

    async def close(self, run: str, ttl_s: float) -> None:
        """Fold the log wholly into its base after ``ttl_s`` seconds."""
        log = self._log(run)
        loop = asyncio.get_running_loop()
        self._timers[run] = loop.call_later(ttl_s, self._expire, run, log)

    def _expire(self, run: str, log: _StoredLog) -> None:
        self._timers.pop(run, None)
        folding = asyncio.ensure_future(self._fold_ended(run, log))
        self._folding.add(folding)
        folding.add_done_callback(self._folding.discard)

    async def _fold_ended(self, run: str, log: _StoredLog) -> None:
        while (
            len(log.records) > 1 and self._logs.get(run) is log
        ):  # the terminal event stays, for who comes late
            await self._fold_slice(log, 1)

    async def _fold_slice(self, log: _StoredLog, keep: int) -> None:
        """Fold some of the records but for the newest ``keep``, and give the loop away."""
        records, _ = first_of(log.records[: min(_SLICE, len(log.records) - keep)], _SLICE_BYTES)
        self._fold(log, len(records), self._limits.bytes)
        await asyncio.sleep(0)

    async def trim(self, size: int) -> None:
        """Free ``size`` bytes if that is possible; see ``Store``."""
        logs = ((log.principal, log.total) for log in self._logs.values())
        most = shares(logs, self._sizes, self.size - size)
        for run, log in list(self._logs.items()):
            share = most.get(log.principal)
            if share is None:
                continue
            while log.records and log.total > share and self._logs.get(run) is log:
                await self._fold_slice(log, 0)
            if log.total > share and self._logs.get(run) is log:
                before = log.base.size
                log.base.shrink(max(share - log.size, FLOOR))
                self._count(log, log.base.size - before)
                await asyncio.sleep(0)

    async def delete(self, run: str) -> None:
        """Forget the log."""
        timer = self._timers.pop(run, None)
        if timer is not None:
            timer.cancel()
        log = self._logs.pop(run, None)
        if log is not None:
            self._count(log, -log.total)

    async def threads(self) -> dict[str, bytes]:
        """Return nothing: the threads end with the process, too."""
        return {}

    async def keep_thread(self, thread: str, data: bytes | None) -> None:
        """Do nothing; see ``threads``."""

    async def aclose(self) -> None:
        """Forget everything."""
        for folding in self._folding:
            folding.cancel()
        for run in list(self._logs):
            await self.delete(run)
