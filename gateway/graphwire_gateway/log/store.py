"""What a store of logs is: the Protocol that every store implements, and what it takes and returns.

A store keeps the newest records of each log, folds the evicted ones into the log's base, and reports growth
to whoever follows the log. It knows nothing of connections, filters or graphs.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from graphwire_protocol.types import Durability, Seq

from graphwire_gateway.fence import Fence
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.record import Record


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to append to the log of ``run`` in its incarnation ``epoch``, from ``first_seq`` on."""

    run: str
    epoch: str
    first_seq: Seq
    records: Sequence[Record]
    size: int
    """What the records count together."""
    standing: bytes | None = None
    """What is to be kept of the run from these records on, in place of what was; None leaves it. A batch may
    have only this."""
    start: bytes | None = None
    """What is to be kept in place of what the log was created with; None leaves that."""


class Fenced(Exception):
    """The log has another epoch than the batch: another worker writes it, or it is gone."""


class SeqGap(Exception):
    """``first_seq`` is not the log's next seq; ``head`` is the last one that the log holds."""

    def __init__(self, head: Seq) -> None:
        super().__init__(f"the log's head is {head}")
        self.head = head


class Rewound(SeqGap):
    """The store has lost the log's end behind ``head``, which it had taken: its database went down, say.

    Readers may have seen what is gone. So nothing may follow ``head`` but in another epoch. Such a log is
    deleted; its run fails, and its readers hear of it.
    """


class NoLog(Exception):
    """The store has no log of that run."""


class Damaged(NoLog):
    """The store cannot read what it has of that run's log: its file was damaged."""


class StoreAway(Exception):
    """The store does not answer now, or cannot do it now; the same may be asked again later."""


@dataclass(frozen=True, slots=True)
class Page:
    """Records of a log in order: ``records[0]`` has seq ``after + 1``.

    ``evicted`` is the last seq that is only in the base now. If it is greater than the requested ``after``,
    ``records`` is empty. ``head`` is the log's last seq.
    """

    epoch: str
    evicted: Seq
    head: Seq
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Kept:
    """A run as a store that outlives the process has it: the key, the epoch and the head of its log.

    ``start`` is what the log was created with, or what came with a batch in its place; ``standing`` is the
    last one that came with a batch, None if none has.
    """

    run: str
    epoch: str
    head: Seq
    start: bytes
    standing: bytes | None


class Store(Protocol):
    """Where logs live. ``run`` is a key that is unique among all runs: its principal, a slash, its id."""

    @property
    def durability(self) -> Durability:
        """What survives: ``none`` a process, ``crash`` a crash of it, ``power`` a power cut. Known once the
        store is open.
        """

    @property
    def outlives(self) -> bool:
        """Whether the next process finds what this one has stored."""

    @property
    def taken(self) -> asyncio.Event:
        """Set once another server has the store, so that this one can write nothing more."""

    @property
    def is_ours(self) -> bool:
        """Whether no other server can have the store by now. ``taken`` may be late: it has to be heard of."""

    @property
    def fence(self) -> Fence | None:
        """What others write with who write for this store, beside it; None if no other can take it."""

    @property
    def away_s(self) -> float:
        """Seconds since which a store has asked its server in vain, though nobody asks the store; else 0."""

    @property
    def size(self) -> int:
        """Bytes that all logs take; 0 where the store bounds itself."""

    def size_of(self, principal: str) -> int:
        """Return the bytes that the logs of a principal's runs take; 0 where the store bounds itself."""

    async def open(self) -> list[Kept]:
        """Make ready; return what is kept of each run, in the order in which their logs were created.

        A store that does not outlive the process keeps nothing, and needs neither ``start`` nor standings.
        Raises ``CannotServe``.
        """

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        """Begin an empty log, and keep ``start`` with it: from its first batch on, or from now."""

    async def append(self, batches: Sequence[Batch]) -> Sequence[Seq | Fenced | SeqGap | StoreAway]:
        """Append many batches at once; return for each its log's new head, or why it was refused whole.

        When this returns, accepted records survive as ``durability`` says. After an exception the same
        batches are sent again, others with them perhaps, and so is one whose answer is ``StoreAway``. Of a
        store behind a network, some may have been taken, if only the answer was lost: it knows them again,
        and answers as if they had just been taken.
        """

    async def read(self, run: str, after: Seq, limit: int) -> Page:
        """Return at most ``limit`` records behind ``after``. Raises ``NoLog``."""

    async def base(self, run: str) -> Fold:
        """Return a copy of what the evicted records fold to. Raises ``NoLog``."""

    def tail(self, run: str, wake: Callable[[Seq], None]) -> Callable[[], None]:
        """Call ``wake(head)`` whenever the log has grown; return how to stop that. Raises ``NoLog``."""

    async def close(self, run: str, ttl_s: float) -> None:
        """Fold a log that has its last record into its base after ``ttl_s`` seconds. Raises ``NoLog``."""

    async def trim(self, size: int) -> None:
        """Free about ``size`` bytes, as far as possible: fold logs, and cut what they fold to.

        They are the largest logs of the principals whose logs take most. Nothing happens where the store
        bounds itself. Gives the loop away in between.
        """

    async def delete(self, run: str) -> None:
        """Forget the log; an unknown one is no error."""

    async def threads(self) -> dict[str, bytes]:
        """Return what is kept of threads, by their ids in their savers."""

    async def keep_thread(self, thread: str, data: bytes | None) -> None:
        """Keep ``data`` of a thread in place of what is kept of it; None: nothing any more.

        When this returns it survives as ``durability`` says. Calls take effect in their order.
        """

    async def aclose(self) -> None:
        """Release what the store holds."""


class Unshared:
    """What is the same of all stores that no other process can take."""

    def __init__(self) -> None:
        self.taken = asyncio.Event()
        """Never set: nobody else can have it."""

    @property
    def is_ours(self) -> bool:
        """Always: nobody else can open it."""
        return True

    @property
    def fence(self) -> Fence | None:
        """None: no other can take it."""
        return None

    @property
    def away_s(self) -> float:
        """Always 0: it does nothing unasked."""
        return 0.0
