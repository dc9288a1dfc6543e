"""What a store of logs is: records, and the Protocol that every store keeps.

A store gives each record its place in the log, keeps the newest, folds the evicted into the log's base and
wakes whoever follows the log. It knows nothing of connections, filters or graphs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from graphwire_protocol.filters import Address
from graphwire_protocol.types import Durability, Seq

from graphwire_gateway.log.fold import Fold

RECORD_OVERHEAD = 160
"""What a record is counted for beyond its bytes: the object itself and its place in the log."""


class Record:
    """One event of a log, encoded once.

    ``body`` is the JSON of an event's fields from ``mode`` on, without braces; ``data`` within it lies at
    ``body[start:stop]``. Of a message's delta, ``message`` is the message's id, ``meta`` its metadata as
    JSON, and ``previous`` the seq of the delta before it (0 if there is none), so that delivery can tell
    without a set whether an attachment has been told the metadata.
    """

    __slots__ = ("address", "body", "message", "meta", "patch", "previous", "size", "start", "stop")

    def __init__(
        self,
        address: Address,
        body: bytes,
        start: int,
        stop: int,
        message: str | None = None,
        meta: bytes | None = None,
    ) -> None:
        self.address = address
        self.body = body
        self.start = start
        self.stop = stop
        self.message = message
        self.meta = meta
        self.previous: Seq = 0
        self.patch: tuple[Seq, bytes] | None = None
        """Of a values event, once somebody asked: from which seq, and the operations from there."""
        self.size = len(body) + RECORD_OVERHEAD
        """What the record counts in bytes."""

    @property
    def data(self) -> bytes:
        """The JSON of the event's ``data``."""
        return self.body[self.start : self.stop]


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to append to the log of ``run`` in its incarnation ``epoch``, from ``first_seq`` on."""

    run: str
    epoch: str
    first_seq: Seq
    records: Sequence[Record]
    size: int
    """What the records count together."""


class Fenced(Exception):
    """The log has another epoch than the writer: another worker has it, or it is gone."""


class SeqGap(Exception):
    """``first_seq`` is not the log's next one; ``head`` is the last that the log holds."""

    def __init__(self, head: Seq) -> None:
        super().__init__(f"the log's head is {head}")
        self.head = head


class NoLog(Exception):
    """The store has no log of that run."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records of a log in order: ``records[0]`` has seq ``after + 1``.

    ``evicted`` is the last seq that lies in the base and no longer in the log; where it is greater than the
    ``after`` that was asked for, ``records`` is empty. ``head`` is the log's last seq.
    """

    epoch: str
    evicted: Seq
    head: Seq
    records: Sequence[Record]


class Store(Protocol):
    """Where logs live. ``run`` is a key that is unique among all principals' runs."""

    @property
    def durability(self) -> Durability:
        """What survives: ``none`` a process, ``crash`` a crash of it, ``power`` a power cut."""

    @property
    def size(self) -> int:
        """Bytes that all logs take; 0 where the store bounds itself."""

    async def create(self, run: str, epoch: str) -> None:
        """Begin an empty log."""

    async def append(self, batches: Sequence[Batch]) -> list[Seq | Fenced | SeqGap]:
        """Append many batches at once; return for each its log's head, or why nothing of it was taken.

        When this returns, what was taken is held at the store's durability.
        """

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        """Return at most ``limit`` records behind ``after``. Raises ``NoLog``."""

    async def base(self, run: str) -> Fold:
        """Return what the evicted records fold to, for the caller to keep. Raises ``NoLog``."""

    def tail(self, run: str, wake: Callable[[Seq], None]) -> Callable[[], None]:
        """Call ``wake(head)`` whenever the log has grown; return how to stop that."""

    async def close(self, run: str, ttl_s: float) -> None:
        """The log has its last record; fold it wholly into its base after ``ttl_s`` seconds."""

    async def delete(self, run: str) -> None:
        """Forget the log."""

    async def aclose(self) -> None:
        """Release what the store holds."""
