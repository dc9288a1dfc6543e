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

from collections.abc import Callable, Sequence
from typing import Protocol

from graphwire_protocol.types import Seq, Status

from graphwire_gateway.log.record import Record
from graphwire_gateway.log.store import Batch

_KNOWN_MESSAGES = 4096
"""Messages whose latest seq is remembered. The metadata of an older one is sent once more."""


class Follower(Protocol):
    """Something that reads a log and waits for it to grow."""

    def wake(self) -> None:
        """The log has grown, or was deleted."""


class Owner(Protocol):
    """Whoever writes a log, and hears what became of the records."""

    def stored(self, batch: Batch) -> None:
        """The store holds ``batch``."""

    def sealed(self) -> None:
        """The store holds the log's last record."""

    def lost(self) -> None:
        """The store takes no more records from this writer."""


class _Nobody:
    """The owner of a log that was deleted."""

    def stored(self, batch: Batch) -> None:
        pass

    def sealed(self) -> None:
        pass

    def lost(self) -> None:
        pass


_NOBODY = _Nobody()


class Log:
    """The log of run ``run``, known to the store as ``key``, in its incarnation ``epoch``.

    ``commit(log)`` is called whenever there are pending records.
    """

    __slots__ = (
        "__weakref__",
        "_commit",
        "_final",
        "_last_seqs",
        "_numbered",
        "_owner",
        "_pending",
        "_readers",
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

    # ── written by its owner ─────────────────────────────────────────────────────────────────────

    def append(self, records: Sequence[Record]) -> Seq:
        """Add records behind all others; return the seq that the last one will have."""
        self._pending.extend(records)
        self._commit(self)
        return self._numbered + len(self._pending)

    def seal(self, status: Status) -> None:
        """Let nothing follow what is pending: the run has ended with ``status``."""
        self._final = status

    # ── carried to the store by the committer ────────────────────────────────────────────────────

    def batch(self) -> Batch | None:
        """Take what is pending, numbered and linked message by message; None if nothing is."""
        records, self._pending = self._pending, []
        if not records:
            return None
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
        return Batch(self.key, self.epoch, first, records, sum([record.size for record in records]))

    def stored(self, batch: Batch) -> None:
        """The store holds ``batch``, which ``batch()`` returned."""
        self._owner.stored(batch)
        if self._final is not None and self.end is None and not self._pending:
            self.end = self._final
            self._wake_waiting()  # a reader that is at the head already has reached the end
            self._owner.sealed()

    def lost(self) -> None:
        """The store takes nothing more: another worker has the log, or it was deleted."""
        self._pending.clear()
        self._wake_waiting()  # a reader that waits here looks at the store, and finds out
        self._owner.lost()

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
        self.head = head
        self._wake_waiting()

    def delete(self) -> None:
        """The log is gone; every reader hears it, also one that has no credit."""
        self.is_deleted = True
        self._owner = _NOBODY  # which has this log: without the cycle, both go at once
        self.on_empty = None
        self._waiting.clear()
        for reader in self._readers:
            reader.wake()

    def _wake_waiting(self) -> None:
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for reader in waiting:
                reader.wake()
