"""What the oldest records of a log in Redis fold to, made of what was read there."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from graphwire_protocol.types import Seq

from graphwire_gateway.log.eviction import Stop
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.packed import unpacked


class Found(NamedTuple):
    """What was read of a log at once; ``now`` is the server's time in ms."""

    epoch: str
    head: Seq
    evicted: Seq
    now: int
    base: bytes | None
    entries: Sequence[tuple[Seq, int, bytes]]
    """Of each its first seq, when it was appended (ms), its packed records."""

    @classmethod
    def of(cls, answer: Sequence[Any]) -> "Found":
        """Return what the script ``READ`` has found."""
        epoch, head, evicted, now, base, *rest = answer
        entries = []
        for id, at, data in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
            last, count = map(int, id.split(b"-"))
            entries.append((last - count + 1, int(at), data))
        return cls(epoch.decode(), head, evicted, now, base, entries)


class Base(NamedTuple):
    """A base as it is kept."""

    upto: Seq
    data: bytes
    size: int


def folded(found: Found, stop: Stop, limit: int) -> tuple[Base, int, int]:
    """Return the base, of at most ``limit`` bytes, with records folded in; how many, and their bytes."""
    base = _loaded(found)
    count = size = 0
    for first, at, data in found.entries:
        for record in unpacked(data)[base.upto + 1 - first :]:
            if stop(record.size, (found.now - at) / 1000):
                return _dumped(base), count, size
            count += 1
            size += record.size
            base.add(record)
            if base.size > limit:
                base.shrink(limit)
    return _dumped(base), count, size


def shrunk(found: Found, limit: int) -> Base:
    """Return the base with at most ``limit`` bytes."""
    base = _loaded(found)
    base.shrink(limit)
    return _dumped(base)


def _loaded(found: Found) -> Fold:
    return Fold() if found.base is None else Fold.load(found.base)


def _dumped(base: Fold) -> Base:
    return Base(base.upto, base.dump(), base.size)
