"""What the oldest records of a log in Redis fold to, made of what was read there; and how many of them go."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from graphwire_protocol.types import Seq

from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.packed import unpacked

_BURST = 4  # nothing younger than min_age_s goes below this many times the limits

Stop = Callable[[int, float], bool]
"""``stop(size, age_s)`` is asked before each record that is to be folded."""


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


def over(count: int, size: int, limits: LogLimits, most: int) -> Stop:
    """Stop when a log of ``count`` records and ``size`` bytes is within the limits, or after ``most``."""
    left, held, gone = count, size, 0

    def stop(size: int, age_s: float) -> bool:
        nonlocal left, held, gone
        factor = 1 if age_s >= limits.min_age_s else _BURST
        if left <= 1 or gone >= most or (left <= limits.events * factor and held <= limits.bytes * factor):
            return True
        left, held, gone = left - 1, held - size, gone + 1
        return False

    return stop


def first(count: int, most: int, most_bytes: int) -> Stop:
    """Stop after ``count`` records, after ``most``, or about ``most_bytes``."""
    left, size = min(count, most), 0

    def stop(of_one: int, age_s: float) -> bool:
        nonlocal left, size
        if left <= 0 or (size and size + of_one > most_bytes):
            return True
        left, size = left - 1, size + of_one
        return False

    return stop


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
