"""How much one turn of the loop takes in from all peers together.

A turn of the event loop reads whatever has arrived on every socket. If hundreds of peers send a large message
at once, that is hundreds of megabytes, and everybody else waits. So a peer that sends much stops being read
once a turn has taken enough, and the next turns take up a few of those peers each, in the order in which they
stopped. What is small is always read: it never waits behind what is large.
"""

import asyncio
from collections import deque
from collections.abc import Callable

_LARGE = 16 << 10  # bytes of one read that count
_TURN = 1 << 20  # bytes, of large reads, that one turn takes
_READ = 256 << 10  # bytes that one socket gives at once, at most


class Intake:
    """Shares what each turn of the loop reads among the peers of a server."""

    def __init__(self) -> None:
        self._taken = 0
        self._resting: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def takes(self, size: int) -> bool:
        """Count what a peer sent. False if it should rest now: the turn has taken enough."""
        if size < _LARGE:
            return True
        self._taken += size
        self._schedule()
        return self._taken < _TURN

    def rest(self, resume: Callable[[], None]) -> None:
        """Call ``resume`` in a later turn, when those who rest longer have been read."""
        self._resting.append(resume)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        self._is_scheduled = False
        self._taken = 0
        for _ in range(min(len(self._resting), _TURN // _READ)):
            self._resting.popleft()()
        if self._resting:
            self._schedule()
