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

    ``readers`` counts the subscriptions of all connections; ``on_empty`` is called when the last one leaves.
    """

    __slots__ = ("_waiting", "head", "on_empty", "readers")

    def __init__(self) -> None:
        self.head: Seq = 0
        self.readers = 0
        self.on_empty: Callable[[], None] | None = None
        self._waiting: dict[Reader, None] = {}

    def grown(self, head: Seq) -> None:
        """The store's log ends at ``head`` now."""
        self.head = head
        if self._waiting:
            waiting, self._waiting = self._waiting, {}
            for reader in waiting:
                reader.wake()

    def join(self) -> None:
        """Somebody subscribes."""
        self.readers += 1

    def wait(self, reader: Reader) -> None:
        """Wake ``reader`` once when the log grows."""
        self._waiting[reader] = None

    def leave(self, reader: Reader) -> None:
        """Somebody's subscription is over."""
        self._waiting.pop(reader, None)
        self.readers -= 1
        if not self.readers and self.on_empty is not None:
            self.on_empty()
