"""Who reads a run's log in this process: the subscriptions that wait at its head.

A subscription is in one place at a time: in its connection's turns, waiting here, or stalled for want of
credit. Growth moves everyone who waits into their connections' turns, and costs nothing for who does not.
"""

from collections.abc import Callable
from typing import Protocol

from graphwire_protocol.types import Seq


class Reader(Protocol):
    """Somebody who waits for a log to grow."""

    def wake(self) -> None:
        """The log has grown."""


class Feed:
    """The head of one log, and who waits for it to move.

    ``on_empty`` is called when the last reader leaves.
    """

    __slots__ = ("_readers", "_waiting", "head", "is_deleted", "on_empty")

    def __init__(self) -> None:
        self.head: Seq = 0
        self.is_deleted = False
        """Whether the log is gone; the store may have another one of that run's id by now."""
        self.on_empty: Callable[[], None] | None = None
        self._readers: set[Reader] = set()
        self._waiting: dict[Reader, None] = {}

    @property
    def readers(self) -> int:
        """How many subscriptions there are, of all connections."""
        return len(self._readers)

    def grown(self, head: Seq) -> None:
        """The store's log ends at ``head`` now."""
        self.head = head
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for reader in waiting:
                reader.wake()

    def deleted(self) -> None:
        """The log is gone: everybody is told, also who lacks the credit for more."""
        self.is_deleted = True
        self._waiting.clear()
        for reader in self._readers:
            reader.wake()

    def join(self, reader: Reader) -> None:
        """Somebody subscribes."""
        self._readers.add(reader)

    def wait(self, reader: Reader) -> None:
        """Wake ``reader`` once when the log grows."""
        self._waiting[reader] = None

    def leave(self, reader: Reader) -> None:
        """Somebody's subscription is over."""
        self._waiting.pop(reader, None)
        self._readers.discard(reader)
        if not self._readers and self.on_empty is not None:
            self.on_empty()
