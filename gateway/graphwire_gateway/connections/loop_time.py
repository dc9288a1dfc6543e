"""Whose work is next on the loop of the connections, when there is more than one turn of it should take.

A turn of the event loop that handles one message of each of a thousand connections holds up everybody else.
So whatever a connection does, message by message and batch by batch, waits here for its time. Within the time
of a turn nobody waits. Beyond it the principals share the loop, not their connections: the next one is the
principal who has had least of its time while others waited. Whoever has a thousand connections, or sends what
takes long, delays others by one piece of work. The pieces of one principal begin in the order in which they
came, so that no connection passes its own reader. A message needs some turns to be read, handled and
answered, so turns are short, a principal that has just come is a little ahead of those that work without a
pause, and one whose piece of work took far too long begins nothing in the few turns behind it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Any

from graphwire_gateway.connections.wrong_tokens import address_of

TURN_S = 0.002
"""Seconds: for so long one turn of the loop begins more pieces of work."""

AHEAD_S = 0.005
"""Seconds that a principal may have more than others who wait, if it did nothing before."""

FAR_TOO_LONG_S = 0.01
"""Seconds: a piece of work that takes more is followed by rests. A large batch for a client takes half."""

_RESTS = 4
"""Turns behind such a piece."""

_MOST = 256  # pieces of work that are called up for one turn


def sharer(principal: str | None, peer: Any) -> str:
    """Return who shares the time with others: a principal, or before ``hello`` an address."""
    return f"address {address_of(peer)}" if principal is None else f"principal {principal}"


class LoopTime:
    """Shares the loop's time among principals.

    ``clock`` is in seconds; by default those of the loop's own thread, so that nobody is charged with what
    other threads and processes do meanwhile.
    """

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._waiting: dict[str, list[tuple[int, asyncio.Future[None]]]] = {}
        """For each principal a heap of tickets and those who wait with them. Tickets count upwards."""
        self._tickets = count()
        self._used: dict[str, float] = {}
        """The time that each principal has had since anybody began to wait."""
        self._least = 0.0
        """The least of these, of the principals that wait. Nobody saves up more than ``AHEAD_S`` by not being
        there.
        """
        self._working: tuple[str, float] | None = None  # who, and since when
        self._ends_at: float | None = None  # of the turn under way; None before its first piece of work
        self._called: Counter[str] = Counter()  # those called up for this turn that have not begun yet
        self._served = 0  # of those that were called up for this turn
        self._is_scheduled = False
        self._rests = 0  # turns in which nothing of ``_resting`` begins
        self._resting = ""

    async def wait(self, principal: str) -> None:
        """Return when the principal may do one piece of work, which begins at once; then call ``done``."""
        if self._begins(principal, is_called=False):
            return
        ticket = next(self._tickets)
        while True:
            await self._line_up(principal, ticket)
            self._called[principal] -= 1
            if self._begins(principal, is_called=True):
                self._served += 1
                return

    def done(self) -> None:
        """The piece of work is done. One that is followed by another one at once need not say so."""
        self._settle(self._clock())

    def _begins(self, principal: str, *, is_called: bool) -> bool:
        now = self._clock()
        self._settle(now)
        if self._ends_at is None:
            self._ends_at = now + TURN_S
            self._schedule()
        if now >= self._ends_at or (self._rests and principal == self._resting):
            return False
        if not is_called and not self._is_first(principal):
            return False
        self._working = principal, now
        return True

    def _is_first(self, principal: str) -> bool:
        """Tell whether nobody else who waits, or was called up, has had less, and no other piece of the same
        principal does.
        """
        if principal in self._waiting or self._called[principal] > 0:
            return False
        used = self._time_of(principal)
        if used <= self._least - AHEAD_S:
            return True  # nobody can have had less; there may be thousands
        called = (other for other, pieces in self._called.items() if pieces > 0)
        return all(used <= self._time_of(other) for other in (*called, *self._waiting))

    def _time_of(self, principal: str) -> float:
        return max(self._used.get(principal, 0.0), self._least - AHEAD_S)

    def _settle(self, now: float) -> None:
        """Count the time of the piece of work that has come to its end."""
        if self._working is not None:
            principal, since = self._working
            self._used[principal] = self._time_of(principal) + now - since
            if now - since > FAR_TOO_LONG_S:
                self._rests, self._resting = _RESTS, principal
            self._working = None

    def _line_up(self, principal: str, ticket: int) -> "asyncio.Future[None]":
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting.setdefault(principal, []), (ticket, waiter))
        self._schedule()
        return waiter

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _end_turn(self) -> None:
        """Call up, for the next turn, twice as many as found time in this one."""
        self._is_scheduled = False
        self._ends_at = None
        self._settle(self._clock())
        room = min(2 * max(1, self._served), _MOST)
        self._served = 0
        self._called.clear()
        if not self._waiting:
            self._used.clear()
            self._least = 0.0
            return
        if self._rests:
            self._rests -= 1
        order = sorted(self._waiting, key=self._time_of)
        self._least = max(self._least, self._time_of(order[0]))
        self._used = {
            principal: used for principal, used in self._used.items() if used > self._least - AHEAD_S
        }
        self._call_up(order, room)
        self._schedule()

    def _call_up(self, order: list[str], room: int) -> None:
        while room and order:
            for principal in order[:room]:
                line = self._waiting[principal]
                _, waiter = heappop(line)
                if not line:
                    del self._waiting[principal]
                if not waiter.done():  # else its connection is gone
                    waiter.set_result(None)
                    self._called[principal] += 1
                    room -= 1
            order = [principal for principal in order if principal in self._waiting]
