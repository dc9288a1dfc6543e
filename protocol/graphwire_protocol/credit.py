"""Credit: how many more events a server may send on a subscription, as each side counts it."""

from graphwire_protocol.filters import UNCONSTRAINED


class Allowance:
    """The server's side: what is left of the credit; None is no limit, and only the socket paces."""

    __slots__ = ("left",)

    def __init__(self, left: int | None) -> None:
        self.left = left

    def covers(self, mode: str) -> bool:
        """Tell whether an event of ``mode`` may be sent now."""
        return self.left is None or self.left > 0 or mode in UNCONSTRAINED

    def spend(self, mode: str) -> None:
        """Count one event of ``mode`` that is sent."""
        if self.left is not None and mode not in UNCONSTRAINED:
            self.left -= 1

    def add(self, events: int) -> None:
        """Count a ``credit`` frame."""
        if self.left is not None:
            self.left += events


class Window:
    """The client's side: a queue of at most ``size`` events, which the application takes one by one.

    ``opening()`` is the credit for a new attachment. ``take(mode)`` is called for each event that the
    application took, and returns how many events to grant now: usually 0, then half a window at once.
    """

    __slots__ = ("_owed", "held", "size")

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"a window holds at least one event, not {size}")
        self.size = size
        self.held = 0
        self._owed = 0

    def opening(self) -> int:
        """Return the credit to attach with: how many events the queue has room for."""
        self._owed = 0
        return self.size - self.held

    def put(self, mode: str) -> None:
        """Count an event that was queued for the application."""
        if mode not in UNCONSTRAINED:
            self.held += 1

    def take(self, mode: str) -> int:
        """Count an event that the application took; return the credit to grant, 0 for none yet."""
        if mode in UNCONSTRAINED:
            return 0
        self.held -= 1
        self._owed += 1
        if self._owed * 2 < self.size:
            return 0
        owed, self._owed = self._owed, 0
        return owed
