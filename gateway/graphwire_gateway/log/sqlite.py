"""Logs in a SQLite file: what a client was shown is on disk first.

An append is one transaction for the logs of a whole tick, on a thread of its own. What decides about it is
known here, on the loop: of each log its epoch, its head and how much it has. So a stale writer is refused
without reading, and readers are woken when the transaction is committed, not before. The newest records stay
in memory (``log/tails.py``), so only a reader that is far behind asks the disk.

Where SQLite fails, because the disk is full or cannot be written, nothing of that transaction is kept, and
the committer sends it again. The same holds while the file is not where it was opened: it was deleted, or
moved. A log that could not be deleted goes with the next one that is. One whose events are damaged is named,
and nobody reads it; the others stay as they are.

A new log costs no transaction of its own: the file has it with its first records. Where SQLite has just
failed, or nothing has been written for a while, it is written at once, so that whoever asks for it hears
whether the file takes it.

Long because what is known of a log without the disk changes with each thing that the file does.
"""

import asyncio
import os
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from graphwire_protocol.types import Durability, Seq

from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.database import Database, Folded, Synchronous
from graphwire_gateway.log.eviction import first, over
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.shares import FLOOR, shares
from graphwire_gateway.log.store import Batch, Damaged, Fenced, Kept, NoLog, Page, SeqGap, StoreAway, Unshared
from graphwire_gateway.log.tails import Tails
from graphwire_gateway.telemetry import logger

log = logger("store")

T = TypeVar("T")

_SLICE = 512  # records that are folded in one transaction
_SLICE_BYTES = 256 << 10  # and about how many bytes of them
_IDLE_S = 1.0  # without a write, after which a new log shows whether the file takes one
_SLACK = 8  # evict an eighth at once, so that a full log does not fold at every append


class _StoredLog:
    """What is known of a log without the disk."""

    __slots__ = ("base_size", "count", "epoch", "evicted", "id", "principal", "size", "start", "wakes")

    def __init__(self, id: int, principal: str, epoch: str, start: bytes | None = None) -> None:
        self.id = id
        self.principal = principal
        self.epoch = epoch
        self.start = start
        """What it is created with, until the file has it."""
        self.evicted: Seq = 0
        self.count = 0
        """Records behind ``evicted``."""
        self.size = 0
        """Bytes of those."""
        self.base_size = 0
        self.wakes: list[Callable[[Seq], None]] = []

    @property
    def head(self) -> Seq:
        return self.evicted + self.count

    @property
    def total(self) -> int:
        return self.size + self.base_size


class SqliteStore(Unshared):
    """The logs of one process in the file ``path``.

    With ``synchronous`` ``full`` events survive a loss of power, each at the price of a wait for the disk;
    with ``normal`` they survive every end of the process.
    """

    def __init__(
        self, path: Path | str, limits: LogLimits | None = None, synchronous: Synchronous = "normal"
    ) -> None:
        self.path = Path(path)
        self._limits = limits or LogLimits()
        self._synchronous: Synchronous = synchronous
        self._begin()

    def _begin(self) -> None:
        self._logs: dict[str, _StoredLog] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._folding: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[Any]] = set()
        self._sizes: Counter[str] = Counter()  # by principal
        self._doomed: list[int] = []  # logs that are to be deleted
        self._next_id = 1
        self._is_away = False  # whether the file has not taken the last records
        self._written_at = time.monotonic()
        self._damaged: set[str] = set()  # the runs that were named
        self._tails = Tails()
        self._writer = ThreadPoolExecutor(1, "graphwire-store-writes")
        self._reader = ThreadPoolExecutor(1, "graphwire-store-reads")
        self._database: Database | None = None
        super().__init__()
        self.size = 0
        """Bytes held by all logs, as their records count."""

    @property
    def durability(self) -> Durability:
        """What was committed survives the process; with ``full`` also the machine."""
        return "power" if self._synchronous == "full" else "crash"

    @property
    def outlives(self) -> bool:
        """The file stays."""
        return True

    def size_of(self, principal: str) -> int:
        """Return the bytes held by the logs of a principal's runs."""
        return self._sizes[principal]

    async def open(self) -> list[Kept]:
        """Open the file; return what it has of each run, the oldest first. Raises ``CannotServe``."""
        self._begin()  # it may have been open before
        make = partial(Database, self.path, self._synchronous, lambda: os.urandom(6).hex())
        self._database = await self._write(make)
        if self._database.renewed:
            log.warning(
                "the machine went down while this store was open, which may have cost the last events: "
                "each log has a new epoch",
                file=str(self.path),
                logs=self._database.renewed,
            )
        kept = []
        for row in await self._read(self._database.rows):
            stored = self._logs[row.run] = _StoredLog(row.id, _principal(row.run), row.epoch)
            stored.evicted, stored.count = row.evicted, row.count
            self._count(stored, row.size, row.base_size)
            kept.append(Kept(row.run, row.epoch, stored.head, row.start, row.standing))
        self._next_id = await self._read(self._database.next_id)
        return kept

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        """Begin an empty log; see ``Store``."""
        if self._doomed:  # an older log of that run may be among them
            await self._delete_doomed()
        stored = _StoredLog(self._next_id, _principal(run), epoch, start)
        self._next_id += 1
        if not self._is_away and time.monotonic() - self._written_at < _IDLE_S:
            self._logs[run] = stored
            return
        # Whoever asked may be gone before the file answers. What it has is known here all the same.
        await asyncio.shield(self._whole(self._create(run, stored)))

    async def _create(self, run: str, stored: _StoredLog) -> None:
        await self._write(self._file.append, [_new(run, stored)], (), (), time.time())
        self._logs[run] = stored
        stored.start, self._is_away, self._written_at = None, False, time.monotonic()

    def _whole(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    async def append(self, batches: Sequence[Batch]) -> list[Seq | Fenced | SeqGap]:
        """Append many batches at once; see ``Store``."""
        answers: list[Seq | Fenced | SeqGap] = []
        taken: list[tuple[_StoredLog, Batch]] = []
        for batch in batches:
            stored = self._logs.get(batch.run)
            if stored is None or stored.epoch != batch.epoch:
                answers.append(Fenced())
            elif batch.first_seq != stored.head + 1:
                answers.append(SeqGap(stored.head))
            else:
                answers.append(stored.head + len(batch.records))
                taken.append((stored, batch))
        if taken:
            new = [_new(batch.run, stored) for stored, batch in taken if stored.start is not None]
            records = [(stored.id, batch.first_seq, batch.records) for stored, batch in taken]
            standings = [
                (batch.standing, batch.start, stored.id)
                for stored, batch in taken
                if batch.standing is not None or batch.start is not None
            ]
            try:
                await self._write(self._file.append, new, records, standings, time.time())
            except Exception:
                self._is_away = True
                raise
            self._is_away, self._written_at = False, time.monotonic()
        for stored, batch in taken:
            stored.start = None
            if batch.records and self._logs.get(batch.run) is stored:  # else it was deleted meanwhile
                self._grow(stored, batch)
        for stored, batch in taken:
            if self._is_over_limits(stored):
                try:
                    await self._evict(batch.run, stored, 2 * len(batch.records))
                except Damaged as error:
                    self._name_damaged(batch.run, error)
                except Exception as error:  # the records are taken all the same, and must not be sent again
                    log.warning(
                        "a log was not shortened; trying again with its next event", error=repr(error)
                    )
        return answers

    def _grow(self, stored: _StoredLog, batch: Batch) -> None:
        stored.count += len(batch.records)
        self._count(stored, batch.size, 0)
        self._tails.extend(batch.run, batch.first_seq, batch.records, batch.size)
        head = stored.head
        for wake in stored.wakes:
            wake(head)

    def _count(self, stored: _StoredLog, size: int, base_size: int) -> None:
        stored.size += size
        stored.base_size += base_size
        self.size += size + base_size
        self._sizes[stored.principal] += size + base_size
        if not self._sizes[stored.principal]:
            del self._sizes[stored.principal]

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        """Return at most ``limit`` records behind ``after``; see ``Store``."""
        stored = self._log(run)
        epoch, evicted, head = stored.epoch, stored.evicted, stored.head
        if limit == 0 or after >= head or after < evicted:
            return Page(epoch, evicted, head, ())
        records = self._tails.read(run, after, limit)
        if records is None:
            found = await self._readable(run, self._file.read, stored.id, after, limit)
            if found is None:
                raise NoLog(run)
            evicted, records = found
        return Page(epoch, evicted, head, records)

    async def base(self, run: str) -> Fold:
        """Return what the evicted records fold to; see ``Store``."""
        stored = self._log(run)
        if not stored.evicted:
            return Fold()
        base = await self._readable(run, self._file.base, stored.id)
        if base is None:
            raise NoLog(run)
        return base

    def tail(self, run: str, wake: Callable[[Seq], None]) -> Callable[[], None]:
        """Call ``wake(head)`` whenever the log has grown; return how to stop that."""
        wakes = self._log(run).wakes
        wakes.append(wake)
        return lambda: wakes.remove(wake) if wake in wakes else None

    def _log(self, run: str) -> _StoredLog:
        stored = self._logs.get(run)
        if stored is None:
            raise NoLog(run)
        return stored

    # ── what goes ────────────────────────────────────────────────────────────────────────────────

    def _is_over_limits(self, stored: _StoredLog) -> bool:
        events, size = self._limits.events, self._limits.bytes
        return stored.count > events + events // _SLACK or stored.size > size + size // _SLACK

    async def _evict(self, run: str, stored: _StoredLog, most: int) -> None:
        """Fold what is over the limits, ``most`` records about; what is young stays longer."""
        now, stop = time.time(), over(stored.count, stored.size, self._limits, max(most, _SLICE))
        await self._fold(run, stored, lambda size, at: stop(size, now - at))

    async def _fold_slice(self, run: str, stored: _StoredLog, keep: int) -> bool:
        """Fold some of the records but for the newest ``keep``; return whether there were any."""
        return await self._fold(run, stored, first(stored.count - keep, _SLICE, _SLICE_BYTES))

    async def _fold(self, run: str, stored: _StoredLog, stop: Callable[[int, float], bool]) -> bool:
        async def fold() -> bool:
            folded = await self._write(self._file.fold, stored.id, stop, self._limits.bytes)
            return self._note_folded(run, stored, folded)

        return await asyncio.shield(self._whole(fold()))

    def _note_folded(self, run: str, stored: _StoredLog, folded: Folded | None) -> bool:
        if folded is None or self._logs.get(run) is not stored:  # deleted meanwhile
            return False
        stored.evicted += folded.count
        stored.count -= folded.count
        self._count(stored, -folded.size, folded.base_size - stored.base_size)
        return folded.count > 0

    async def close(self, run: str, ttl_s: float) -> None:
        """Fold the log wholly into its base after ``ttl_s`` seconds; see ``Store``."""
        stored = self._log(run)
        loop = asyncio.get_running_loop()
        self._timers[run] = loop.call_later(ttl_s, self._expire, run, stored)

    def _expire(self, run: str, stored: _StoredLog) -> None:
        self._timers.pop(run, None)
        self._tails.forget(run)
        folding = asyncio.ensure_future(self._fold_ended(run, stored))
        self._folding.add(folding)
        folding.add_done_callback(self._folding.discard)

    async def _fold_ended(self, run: str, stored: _StoredLog) -> None:
        # The terminal event stays, for who comes late.
        try:
            while stored.count > 1 and self._logs.get(run) is stored:
                if not await self._fold_slice(run, stored, 1):
                    return
        except Exception as error:
            log.warning("an ended log was not folded", error=repr(error))  # it goes with its run

    async def trim(self, size: int) -> None:
        """Free ``size`` bytes if that is possible; see ``Store``."""
        logs = ((stored.principal, stored.total) for stored in self._logs.values())
        most = shares(logs, self._sizes, self.size - size)
        for run, stored in list(self._logs.items()):
            share = most.get(stored.principal)
            if share is None:
                continue
            try:
                await self._shorten(run, stored, share)
            except Damaged as error:
                self._name_damaged(run, error)

    async def _shorten(self, run: str, stored: _StoredLog, share: int) -> None:
        while stored.count and stored.total > share and self._logs.get(run) is stored:
            if not await self._fold_slice(run, stored, 0):
                break
        if stored.total > share and self._logs.get(run) is stored:
            limit = max(share - stored.size, FLOOR)
            shrunk = await self._write(self._file.shrink, stored.id, limit)
            self._note_folded(run, stored, shrunk)

    async def delete(self, run: str) -> None:
        """Forget the log; see ``Store``."""
        timer = self._timers.pop(run, None)
        if timer is not None:
            timer.cancel()
        if run not in self._logs:  # one that is being created, perhaps
            await self._write(int)
        stored = self._logs.pop(run, None)
        if stored is None:
            return
        self._tails.forget(run)
        self._count(stored, -stored.size, -stored.base_size)
        self._doomed.append(stored.id)
        try:
            await self._delete_doomed()
        except Exception as error:
            log.warning("a log was not deleted; trying again with the next one", error=repr(error))

    async def _delete_doomed(self) -> None:
        doomed, self._doomed = self._doomed, []
        try:
            await self._write(self._file.delete, doomed)
        except BaseException:
            self._doomed += doomed
            raise

    # ── threads ──────────────────────────────────────────────────────────────────────────────────

    async def threads(self) -> dict[str, bytes]:
        """Return what is kept of threads; see ``Store``."""
        return await self._read(self._file.threads)

    async def keep_thread(self, thread: str, data: bytes | None) -> None:
        """Keep something of a thread; see ``Store``."""
        await self._write(self._file.keep_thread, thread, data)

    # ── the file ─────────────────────────────────────────────────────────────────────────────────

    @property
    def _file(self) -> Database:
        assert self._database is not None, "open() makes it"
        return self._database

    async def _write(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, function, *args)

    async def _read(self, function: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._reader, function, *args)

    async def _readable(self, run: str, function: Callable[..., T], *args: object) -> T:
        try:
            return await self._read(function, *args)
        except Damaged as error:
            self._name_damaged(run, error)
            raise

    def _name_damaged(self, run: str, error: Damaged) -> None:
        if run not in self._damaged:
            self._damaged.add(run)
            log.error("a run's events are damaged, and nobody can read them", run=run, error=str(error))

    async def aclose(self) -> None:
        """Close the file."""
        for timer in self._timers.values():
            timer.cancel()
        folding = list(self._folding)
        for task in folding:
            task.cancel()
        await asyncio.gather(*folding, return_exceptions=True)
        await asyncio.gather(*self._working, return_exceptions=True)
        if self._database is not None:
            database, self._database = self._database, None
            new = [_new(run, stored) for run, stored in self._logs.items() if stored.start is not None]
            try:
                await self._write(database.append, new, (), (), time.time())
            except (sqlite3.Error, StoreAway) as error:
                log.warning("logs without events were not kept", logs=len(new), error=repr(error))
            await self._write(database.close)
        self._writer.shutdown(wait=False)
        self._reader.shutdown(wait=False)


def _new(run: str, stored: _StoredLog) -> tuple[int, str, str, bytes | None]:
    return stored.id, run, stored.epoch, stored.start


def _principal(run: str) -> str:
    return run.rpartition("/")[0]
