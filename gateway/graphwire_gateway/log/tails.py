"""The newest records of logs that are being written, in memory: readers at the head need no disk.

All tails together have a bound. When they exceed it, the logs that were not written for longest lose theirs.
"""

from collections import OrderedDict
from collections.abc import Sequence

from graphwire_protocol.types import Seq

from graphwire_gateway.log.record import Record

MOST_BYTES = 64 << 20
"""What all tails take together."""

_TAIL_BYTES = 1 << 20
"""What one tail takes; at twice as much its older half goes."""


class _Tail:
    __slots__ = ("first", "records", "size")

    def __init__(self, first: Seq) -> None:
        self.first = first
        self.records: list[Record] = []
        self.size = 0


class Tails:
    """The tails of logs, by the keys of their runs; ``most_bytes`` for all of them."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._tails: OrderedDict[str, _Tail] = OrderedDict()
        self.size = 0
        """Bytes that all tails take."""

    def extend(self, run: str, first: Seq, records: Sequence[Record], size: int) -> None:
        """Add records, the first of which has seq ``first``; ``size`` is what they count together."""
        tail = self._tails.get(run)
        if tail is None or tail.first + len(tail.records) != first:
            self.forget(run)
            tail = self._tails[run] = _Tail(first)
        tail.records.extend(records)
        tail.size += size
        self.size += size
        self._tails.move_to_end(run)
        if tail.size > 2 * _TAIL_BYTES:
            self._shorten(tail)
        while self.size > self._most_bytes and len(self._tails) > 1:
            self.forget(next(iter(self._tails)))

    def read(self, run: str, after: Seq, limit: int) -> Sequence[Record] | None:
        """Return at most ``limit`` records behind ``after``; None if the tail begins later."""
        tail = self._tails.get(run)
        if tail is None or after + 1 < tail.first:
            return None
        at = after + 1 - tail.first
        return tail.records[at : at + limit]

    def forget(self, run: str) -> None:
        """Keep no tail of the log."""
        tail = self._tails.pop(run, None)
        if tail is not None:
            self.size -= tail.size

    def _shorten(self, tail: _Tail) -> None:
        count = size = 0
        for record in tail.records[:-1]:  # the newest stays, however large it is
            if tail.size - size <= _TAIL_BYTES:
                break
            count += 1
            size += record.size
        del tail.records[:count]
        tail.first += count
        tail.size -= size
        self.size -= size
