"""A run's log: the ordered, append-only list of its events, as this process writes and reads it.

Everything that a server does meets here. A run appends records. The committer takes them in batches, gives
them to the store, and comes back when the store holds them. Readers, one for each subscription, follow the
log from wherever they are. The log itself keeps no event once the store has it; it keeps only positions.
The store evicts old events.

An event has three moments, and they are kept apart because each allows something else:

1. **Appended.** The record waits in ``pending``. Its seq is decided by its order here, but no reader can see
   it, and if the process dies now, nobody was promised anything.
2. **Batched.** ``batch()`` numbers what is pending and links each call's deltas (``Record.previous``).
   One batch is on its way to the store at a time, so numbers have no holes.
3. **Stored.** The store holds the batch. It moves ``head``, which wakes the readers that wait there, and
   ``stored()`` tells the owner, which may let its graph go on and publish a new status. Only now may a client
   see the event: what was shown is never taken back.

A log ends in one of three ways. ``seal(status)`` says that nothing follows what is pending; once that is
stored, ``end`` holds the run's terminal status and readers at the head are finished. ``lost()`` says that
the store refuses this writer: another worker has the log, or it is gone. ``delete()`` says that the log was
removed, and every reader is woken to hear it, even one without credit.

A reader is in one state at a time: in its connection's turns, waiting here at the head, or stalled without
credit. Growth moves every waiting reader into its connection's turns and costs nothing for the others.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from graphwire_protocol.types import Seq, Status

from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import Batch

Changes: TypeAlias = tuple[bytes | None, bytes | None]
"""What a store is to keep of a run, in place of what it has: its standing and its start; None leaves that."""

UNCHANGED: Changes = (None, None)

_KNOWN_MESSAGES = 4096
"""Messages whose latest seq is remembered. The metadata of an older one is sent once more."""


class Follower(Protocol):
    """Something that reads a log and waits for it to grow."""

    def wake(self) -> None:
        """The log has grown, or was deleted."""


class Owner(Protocol):
    """Whoever writes a log, and hears what became of the records."""

    def changes(self) -> Changes:
        """Return what has changed of what the store is to keep, since this was last asked."""

    def stored(self, batch: Batch) -> None:
        """The store holds ``batch``."""

    def sealed(self) -> None:
        """The store holds the log's last record."""

    def lost(self, *, is_taken: bool) -> None:
        """The store takes no more records from this writer; another one has the log if it ``is_taken``."""


class _Nobody:
    """The owner of a log that was deleted."""

    def changes(self) -> Changes:
        return UNCHANGED

    def stored(self, batch: Batch) -> None:
        pass

    def sealed(self) -> None:
        pass

    def lost(self, *, is_taken: bool) -> None:
        pass


_NOBODY = _Nobody()


class Log:
    """The log of run ``run``, known to the store as ``key``, in its incarnation ``epoch``.

    ``commit(log)`` is called whenever there are pending records, or the owner wants something to be kept.
    """

    __slots__ = (
        "__weakref__",
        "_commit",
        "_final",
        "_is_away",
        "_is_over",
        "_is_touched",
        "_last_seqs",
        "_numbered",
        "_owner",
        "_pending",
        "_readers",
        "_settled_next",
        "_settled_now",
        "_waiting",
        "end",
        "epoch",
        "head",
        "is_deleted",
        "key",
        "on_empty",
        "run",
    )

    def __init__(self, key: str, run: str, epoch: str, owner: Owner, commit: "Callable[[Log], None]") -> None:
        self.key = key
        self.run = run
        self.epoch = epoch
        self.head: Seq = 0
        """The last seq that the store holds."""
        self.end: Status | None = None
        """The run's terminal status, once the store holds the event that says so."""
        self.is_deleted = False
        """Whether the log is gone. The store may have another one with the same key by now."""
        self.on_empty: Callable[[], None] | None = None
        """Called when the last reader has left."""
        self._owner = owner
        self._commit = commit
        self._pending: list[Record] = []
        self._numbered: Seq = 0
        self._final: Status | None = None
        self._last_seqs: dict[str, Seq] = {}  # by a call's key: the seq of its latest delta
        self._readers: set[Follower] = set()
        self._waiting: dict[Follower, None] = {}
        self._is_over = False  # whether the store takes nothing more
        self._is_touched = False
        self._is_away = False  # whether a batch is on its way to the store
        # Done when the store holds that batch, or the next one.
        self._settled_now: list[asyncio.Future[None]] = []
        self._settled_next: list[asyncio.Future[None]] = []

    # ── written by its owner ─────────────────────────────────────────────────────────────────────

    def append(self, records: Sequence[Record]) -> Seq:
        """Add records behind all others; return the seq that the last one will have."""
        self._pending.extend(records)
        self._commit(self)
        return self._numbered + len(self._pending)

    def touch(self) -> None:
        """Let the store hear what its owner wants to be kept, with the next batch or as one of its own."""
        if not self._is_over:
            self._is_touched = True
            self._commit(self)

    def expect(self) -> None:
        """Let ``settled`` wait for the first thing that its owner writes."""
        self._is_touched = True

    def seal(self, status: Status) -> None:
        """Let nothing follow what is pending: the run has ended with ``status``."""
        self._final = status

    def take_up(self, head: Seq, end: Status | None) -> None:
        """Go on behind ``head``, the last seq of an earlier process; with ``end``, nothing follows it."""
        self.head = self._numbered = head
        self.end = self._final = end
        self._is_touched = False

    @property
    def is_over(self) -> bool:
        """Whether the store takes nothing more of it, though it has no end."""
        return self._is_over

    def settled(self) -> "asyncio.Future[None]":
        """Return what is done when the store holds all that was appended and touched, or takes no more."""
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._is_over:
            settled.set_result(None)
        elif self._pending or self._is_touched:
            self._settled_next.append(settled)
        elif self._is_away:
            self._settled_now.append(settled)
        else:
            settled.set_result(None)
        return settled

    # ── carried to the store by the committer ────────────────────────────────────────────────────

    def batch(self) -> Batch | None:
        """Take what is pending, numbered and linked message by message, and what is to be kept.

        None if there is neither, or the store takes nothing more.
        """
        records, self._pending = self._pending, []
        if self._is_over or not (records or self._is_touched):
            return None
        self._is_touched, self._is_away = False, True
        self._settled_now, self._settled_next = self._settled_next, []
        first = seq = self._numbered + 1
        last_seqs = self._last_seqs
        for record in records:
            if record.call is not None:
                record.previous = last_seqs.get(record.call, 0)
                last_seqs[record.call] = seq
            seq += 1
        self._numbered = seq - 1
        while len(last_seqs) > _KNOWN_MESSAGES:
            del last_seqs[next(iter(last_seqs))]
        size = sum([record.size for record in records])
        return Batch(self.key, self.epoch, first, records, size, *self._owner.changes())

    def stored(self, batch: Batch) -> None:
        """The store holds ``batch``, which ``batch()`` returned."""
        self._is_away = False
        try:
            self._owner.stored(batch)
            if self._final is not None and self.end is None and not self._pending:
                self.end = self._final
                self._wake_waiting()  # a reader that is at the head already has reached the end
                self._owner.sealed()
        finally:
            self._settle()

    def lost(self, *, is_taken: bool) -> None:
        """The store takes nothing more: another worker has the log if it ``is_taken``, or it is gone."""
        self._pending.clear()
        self._wake_waiting()  # a reader that waits here looks at the store, and finds out
        self._is_over = True
        self._owner.lost(is_taken=is_taken)
        self._settle_all()

    def _settle_all(self) -> None:
        self._settled_now += self._settled_next
        self._settled_next = []
        self._settle()

    def _settle(self) -> None:
        settled, self._settled_now = self._settled_now, []
        for each in settled:
            if not each.done():
                each.set_result(None)

    # ── read by followers ────────────────────────────────────────────────────────────────────────

    @property
    def readers(self) -> int:
        """How many readers there are, on all connections."""
        return len(self._readers)

    def join(self, reader: Follower) -> None:
        """Count ``reader`` among the readers."""
        self._readers.add(reader)

    def wait(self, reader: Follower) -> None:
        """Wake ``reader`` once when the log grows."""
        self._waiting[reader] = None

    def leave(self, reader: Follower) -> None:
        """Forget ``reader``."""
        self._waiting.pop(reader, None)
        self._readers.discard(reader)
        if not self._readers and self.on_empty is not None:
            self.on_empty()

    def grow(self, head: Seq) -> None:
        """The store's log ends at ``head`` now; the store calls this (see ``Store.tail``)."""
        if head < self.head:  # it is gone, or the store has lost its end, which was shown
            if self.end is not None:
                self.delete()
                return
            self.touch()  # then the store says so, and the run fails
        self.head = max(self.head, head)
        self._wake_waiting()

    def delete(self) -> None:
        """The log is gone; every reader hears it, also one that has no credit."""
        self.is_deleted = True
        self._owner = _NOBODY  # which has this log: without the cycle, both go at once
        self._is_over = True
        self._settle_all()
        self.on_empty = None
        self._waiting.clear()
        for reader in self._readers:
            reader.wake()

    def _wake_waiting(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for reader in waiting:
                reader.wake()
