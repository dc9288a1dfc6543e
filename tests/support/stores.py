"""Stores that behave as over a network: slow, or not reachable for a while."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from graphwire_gateway.fence import Fence
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Batch, Fenced, Kept, Page, SeqGap
from graphwire_protocol.types import Durability, Seq

_LIMITS = LogLimits()


class DelayingStore:
    """A memory store behind a network: each append takes 5 ms, each read a little."""

    def __init__(self, limits: LogLimits = _LIMITS, append_s: float = 0.005, read_s: float = 0.0005) -> None:
        self._store = MemoryStore(limits)
        self._append_s = append_s
        self._read_s = read_s

    @property
    def durability(self) -> Durability:
        return self._store.durability

    @property
    def outlives(self) -> bool:
        return self._store.outlives

    @property
    def taken(self) -> asyncio.Event:
        return self._store.taken

    @property
    def is_ours(self) -> bool:
        return self._store.is_ours

    @property
    def fence(self) -> Fence | None:
        return self._store.fence

    @property
    def away_s(self) -> float:
        return self._store.away_s

    @property
    def size(self) -> int:
        return self._store.size

    def size_of(self, principal: str) -> int:
        return self._store.size_of(principal)

    async def open(self) -> list[Kept]:
        return await self._store.open()

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        await asyncio.sleep(self._append_s)
        await self._store.create(run, epoch, start)

    async def append(self, batches: Sequence[Batch]) -> list[Seq | Fenced | SeqGap]:
        await asyncio.sleep(self._append_s)
        answers = await self._store.append(batches)
        await asyncio.sleep(self._read_s)  # readers hear of the growth before the writer hears of it
        return answers

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        await asyncio.sleep(self._read_s)
        page = await self._store.read(run, after, limit)
        await asyncio.sleep(0)  # the log may grow while the answer is on its way
        return page

    async def base(self, run: str) -> Fold:
        await asyncio.sleep(self._read_s)
        base = await self._store.base(run)
        await asyncio.sleep(0)
        return base

    def tail(self, run: str, wake: Callable[[Seq], None]) -> Callable[[], None]:
        return self._store.tail(run, wake)

    async def close(self, run: str, ttl_s: float) -> None:
        await asyncio.sleep(self._append_s)
        await self._store.close(run, ttl_s)

    async def trim(self, size: int) -> None:
        await self._store.trim(size)

    async def delete(self, run: str) -> None:
        await asyncio.sleep(self._append_s)
        await self._store.delete(run)

    async def threads(self) -> dict[str, bytes]:
        return await self._store.threads()

    async def keep_thread(self, thread: str, data: bytes | None) -> None:
        await self._store.keep_thread(thread, data)

    async def aclose(self) -> None:
        await self._store.aclose()


class FlakyStore(DelayingStore):
    """A store that is away while ``is_away`` is set."""

    def __init__(self, limits: LogLimits = _LIMITS) -> None:
        super().__init__(limits, 0, 0)
        self.is_away = False
        self.refused = 0

    def _check(self) -> None:
        if self.is_away:
            self.refused += 1
            raise ConnectionError("the store is away")

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        self._check()
        await super().create(run, epoch, start)

    async def append(self, batches: Sequence[Batch]) -> list[Seq | Fenced | SeqGap]:
        self._check()
        return await super().append(batches)


class GatedStore(DelayingStore):
    """A store whose appends wait until ``gate`` is open, and whose reads until ``read_gate`` is."""

    def __init__(self, limits: LogLimits = _LIMITS) -> None:
        super().__init__(limits, 0, 0)
        self.gate = asyncio.Event()
        self.gate.set()
        self.read_gate = asyncio.Event()
        self.read_gate.set()
        self.reading = asyncio.Event()
        """Whether somebody stands at the reads' gate."""

    async def append(self, batches: Sequence[Batch]) -> list[Seq | Fenced | SeqGap]:
        await self.gate.wait()
        return await super().append(batches)

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        if not self.read_gate.is_set():
            self.reading.set()
        await self.read_gate.wait()
        return await super().read(run, after, limit)


class CountingStore(DelayingStore):
    """A store that counts its reads."""

    def __init__(self, limits: LogLimits = _LIMITS) -> None:
        super().__init__(limits, 0, 0)
        self.reads = 0

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        self.reads += 1
        return await super().read(run, after, limit)


async def shrink(store: Any, run: str, keep: int) -> None:
    """Evict all but the newest ``keep`` events of an anonymous user's run at once, whatever the limits."""
    if isinstance(store, SqliteStore):
        _shrink_in_file(store, f"anonymous/{run}", keep)
        return
    if isinstance(store, RedisStore):
        known = store._logs[f"anonymous/{run}"]
        while known.count > keep:
            await store._fold_slice(f"anonymous/{run}", known, keep)
        return
    memory = getattr(store, "_store", store)
    log = memory._logs[f"anonymous/{run}"]
    memory._fold(log, len(log.records) - keep, _LIMITS.bytes)


def _shrink_in_file(store: SqliteStore, run: str, keep: int) -> None:
    stored = store._logs[run]
    left = stored.count - keep

    def stop(size: int, at: float) -> bool:
        nonlocal left
        left -= 1
        return left < 0

    folding = store._writer.submit(store._file.fold, stored.id, stop, _LIMITS.bytes)
    store._note_folded(run, stored, folding.result())
