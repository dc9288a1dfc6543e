"""How long to wait before connecting again: exponential backoff with full jitter.

``Reconnector`` counts the attempts, which have no limit, and decides from the close code whether to try again
at all. Randomness and sleeping are arguments, for tests.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_MAX_EXPONENT = 64  # beyond it the longest wait is reached anyway, and floats would overflow


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits between attempts to connect.

    Attempt ``n`` (from 0) waits a random time between 0 and ``first_s * factor**n`` seconds, at most
    ``longest_s``. Full jitter spreads the clients that lost the same server. After a connection that lasted
    ``steady_s`` seconds, counting starts again at attempt 0. ``random()`` returns a number in [0, 1);
    ``sleep(seconds)`` waits.
    """

    first_s: float = 0.25
    factor: float = 2.0
    longest_s: float = 20.0
    steady_s: float = 5.0
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def delay(self, attempt: int, at_least: float = 0.0) -> float:
        """Return the seconds to wait before attempt ``attempt`` (from 0): ``at_least`` plus the jitter."""
        longest = min(self.longest_s, self.first_s * self.factor ** min(attempt, _MAX_EXPONENT))
        return at_least + self.random() * longest
