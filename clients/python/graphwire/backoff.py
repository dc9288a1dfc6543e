"""How long to wait before connecting again: exponential, with full jitter.

What counts as a failed attempt is the connection's business. Randomness and sleeping come in as arguments.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

_STEEPEST = 64  # doublings after which the longest wait is reached for sure, and floats do not overflow


@dataclass(frozen=True, slots=True)
class Backoff:
    """The waits between attempts to connect.

    Attempt ``n`` (from 0) waits a random time between 0 and ``first_s * factor**n`` seconds, at most
    ``longest_s``. Full jitter spreads a crowd of clients that lost the same server. A connection that held
    for ``steady_s`` seconds starts anew at attempt 0. ``random`` returns a number in [0, 1); ``sleep`` waits
    that many seconds.
    """

    first_s: float = 0.25
    factor: float = 2.0
    longest_s: float = 20.0
    steady_s: float = 5.0
    random: Callable[[], float] = random.random
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep

    def delay(self, attempt: int, at_least: float = 0.0) -> float:
        """Return the seconds to wait before attempt ``attempt``; the jitter comes on top of ``at_least``."""
        longest = min(self.longest_s, self.first_s * self.factor ** min(attempt, _STEEPEST))
        return at_least + self.random() * longest
