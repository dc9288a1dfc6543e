"""What several readers of one server need is made once: projected states, differences, snapshots.

What was made is kept while readers ask for it: all of it together takes at most ``KEPT_BYTES``, the least
recently used goes first, and what nobody has asked for within ``KEPT_S`` goes, too.

Large pieces of work are done one in each turn of the loop, whoever asks for them. So a thousand readers, each
on a connection of its own, hold up nobody for longer than one piece takes.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary

import orjson
from graphwire_protocol.filters import NOTHING, Matcher
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.patches import difference
from graphwire_protocol.types import Seq

from graphwire_gateway.cutting import cut_snapshot
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.log import Log
from graphwire_gateway.log.record import RECORD_OVERHEAD, Record, first_of
from graphwire_gateway.log.store import Store

T = TypeVar("T")

KEPT_BYTES = 32 << 20
"""The most bytes that are kept for readers to come."""

KEPT_S = 1.0
"""Seconds: what nobody asks for is kept for at most twice this time."""

SMALL = 4 << 10
"""Bytes: work on less than this waits for no turn."""

_FOLDED_BYTES = 256 << 10  # of records that are folded in one piece
_FOLDED_RECORDS = 256

_HEAD = b'{"type":"snapshot","sub":0'
_LEAF_BYTES = 250  # of a key and its value beside their text
_LEVELS = {"values": 1, "updates": 2}  # objects above the keys of states


class ShownFold(NamedTuple):
    """A log up to ``upto`` as one filter shows it."""

    upto: Seq
    body: bytes
    """The frame behind its ``sub``."""
    lacks_messages: bool
    """Whether messages were left out because it would be too large."""

    def frame(self, sub: int) -> bytes:
        """Return the frame for a subscription."""
        return b'{"type":"snapshot","sub":%d%s' % (sub, self.body)


class Sharing:
    """What the readers of one server share."""

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self.size = 0
        """Bytes kept, about."""
        self._most = most_bytes
        self._kept: dict[Hashable, tuple[Any, int]] = {}  # with its size; the least recently used is first
        self._idle: set[Hashable] = set()  # what nobody has asked for since the last look
        self._gate = asyncio.Lock()
        self._folding: WeakValueDictionary[Log, asyncio.Lock] = WeakValueDictionary()
        self._timer: asyncio.TimerHandle | None = None

    # ── states ───────────────────────────────────────────────────────────────────────────────────

    async def projected(self, log: Log, seq: Seq, record: Record, matcher: Matcher) -> bytes | None:
        """Return the data of ``record``, event ``seq``, as ``keys`` leave it; None if they leave nothing."""
        if matcher.keys is None:
            return record.data
        mode = record.address.mode
        if record.size <= SMALL:  # to share it would cost as much
            return _json(matcher.project(mode, orjson.loads(record.data)))
        return await self._made(
            (log, seq, matcher.keys),
            lambda: _json(matcher.project(mode, self._parsed(log, seq, record))),
            record.size,
        )

    def _parsed(self, log: Log, seq: Seq, record: Record) -> Any:
        """Return the data of ``record`` parsed as far as ``keys`` look into it."""
        key = (log, seq)
        known = self._find(key)
        if known is not None:
            return known[0]
        tree, size = _split(orjson.loads(record.data), _LEVELS[record.address.mode])
        self._keep(key, tree, size)
        return tree

    async def patch(
        self, store: Store, log: Log, base: Seq, seq: Seq, data: bytes, matcher: Matcher
    ) -> bytes:
        """Return the operations from the state of event ``base`` to ``data``, that of event ``seq``.

        They are empty if the whole state is shorter, or the base was evicted.
        """
        key = (log, base, seq, matcher.keys)
        known = self._find(key)
        if known is not None:
            return bytes(known[0])
        page = await store.read(log.key, base - 1, 1)
        before = await self.projected(log, base, page.records[0], matcher) if page.records else None
        if before is None:
            return b""

        def compare() -> bytes:
            patch = orjson.dumps(difference(orjson.loads(before), orjson.loads(data)))
            return patch if len(patch) < len(data) else b""

        return await self._made(key, compare, len(before) + len(data))

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────

    async def snapshot(
        self, store: Store, log: Log, matcher: Matcher, limits: AnnouncedLimits, *, is_of_base: bool
    ) -> tuple[ShownFold, Fold]:
        """Return the snapshot of a log's head, or of its base, and what it was made of. Raises ``NoLog``.

        The fold of a head goes on with the log.
        """
        lock = self._folding.get(log)
        if lock is None:
            lock = self._folding[log] = asyncio.Lock()
        async with lock:
            make = self._base if is_of_base else self._head
            fold = await make(store, log)

            def show() -> ShownFold:
                frame = {"type": "snapshot", "sub": 0, **fold.snapshot(matcher)}
                encoded, lacks_messages = cut_snapshot(orjson.dumps(frame), limits)
                return ShownFold(fold.upto, encoded[len(_HEAD) :], lacks_messages)

            # It has no reference to the fold: of each log one base is kept, and it is counted by itself.
            return await self._made((log, is_of_base, fold.upto, matcher), show, fold.size), fold

    async def _base(self, store: Store, log: Log) -> Fold:
        known = self._find((log, "base"))
        if known is not None:
            fold: Fold = known[0]
            if (await store.read(log.key, 0, 0)).evicted == fold.upto:
                return fold
        fold = await store.base(log.key)
        self._keep((log, "base"), fold, fold.size)
        return fold

    async def _head(self, store: Store, log: Log) -> Fold:
        known = self._find((log, "head"))
        fold = await store.base(log.key) if known is None else known[0]
        head = log.head
        while fold.upto < head:
            page = await store.read(log.key, fold.upto, _FOLDED_RECORDS)
            if page.evicted > fold.upto:
                fold = await store.base(log.key)
                continue
            records, size = first_of(page.records[: head - fold.upto], _FOLDED_BYTES)
            async with self._piece(size):
                for record in records:
                    fold.add(record)
        self._keep((log, "head"), fold, fold.size)
        return fold

    # ── pieces of work, and what was made ────────────────────────────────────────────────────────

    async def _made(self, key: Hashable, make: Callable[[], T], size: int) -> T:
        """Return what ``make`` makes out of ``size`` bytes, or what it made for another reader."""
        known = self._find(key)
        if known is None:
            async with self._piece(size):
                known = self._find(key)  # another reader may have been first
                if known is None:
                    known = (make(),)
                    self._keep(key, known[0], _size(known[0]))
        made: T = known[0]
        return made

    @asynccontextmanager
    async def _piece(self, size: int) -> AsyncIterator[None]:
        """Do a piece of work on ``size`` bytes; of large ones only one in a turn of the loop."""
        if size <= SMALL:
            yield
            return
        async with self._gate:
            yield
            await asyncio.sleep(0)

    def _find(self, key: Hashable) -> tuple[Any, ...] | None:
        known = self._kept.pop(key, None)
        if known is not None:
            self._kept[key] = known
            self._idle.discard(key)
        return known

    def _keep(self, key: Hashable, made: Any, size: int) -> None:
        size += RECORD_OVERHEAD
        self._drop(key)
        self._kept[key] = (made, size)
        self.size += size
        while self.size > self._most:
            self._drop(next(iter(self._kept)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEPT_S, self._let_go)

    def _drop(self, key: Hashable) -> None:
        known = self._kept.pop(key, None)
        if known is not None:
            self.size -= known[1]
            self._idle.discard(key)

    def _let_go(self) -> None:
        """Drop what nobody has asked for since the last look."""
        for key in list(self._idle):
            self._drop(key)
        self._idle = set(self._kept)
        self._timer = asyncio.get_running_loop().call_later(KEPT_S, self._let_go) if self._kept else None


def _json(data: Any) -> bytes | None:
    return None if data is NOTHING else orjson.dumps(data)


def _size(made: Any) -> int:
    match made:
        case ShownFold():
            return len(made.body)
        case bytes():
            return len(made)
    return 0


def _split(data: Any, levels: int) -> tuple[Any, int]:
    """Return ``data`` with JSON below so many levels of objects, and about how many bytes that takes."""
    if isinstance(data, dict):
        inner = data.get("$obj") if len(data) == 1 else None
        if levels and isinstance(inner, dict):
            tree, size = _split(inner, levels)
            return {"$obj": tree}, size + _LEAF_BYTES
        if levels:
            parts = {key: _split(value, levels - 1) for key, value in data.items()}
            size = sum([_LEAF_BYTES + len(key) + part[1] for key, part in parts.items()])
            return {key: part[0] for key, part in parts.items()}, size
    if levels and isinstance(data, list):
        items = [_split(item, levels) for item in data]
        return [item[0] for item in items], sum([item[1] for item in items]) + _LEAF_BYTES
    leaf = orjson.dumps(data)
    return orjson.Fragment(leaf), len(leaf) + _LEAF_BYTES
