"""How many of a log's oldest records go into its base, in the stores that fold outside of the process."""

from collections.abc import Callable

from graphwire_gateway.limits import LogLimits

_BURST = 4  # nothing younger than min_age_s goes below this many times the limits

Stop = Callable[[int, float], bool]
"""``stop(size, age_s)`` is asked before each record that is to be folded."""


def over(count: int, size: int, limits: LogLimits, most: int) -> Stop:
    """Stop when a log of ``count`` records and ``size`` bytes is within the limits, or after ``most``."""
    left, held, gone = count, size, 0

    def stop(size: int, age_s: float) -> bool:
        nonlocal left, held, gone
        factor = 1 if age_s >= limits.min_age_s else _BURST
        if left <= 1 or gone >= most or (left <= limits.events * factor and held <= limits.bytes * factor):
            return True
        left, held, gone = left - 1, held - size, gone + 1
        return False

    return stop


def first(count: int, most: int, most_bytes: int) -> Stop:
    """Stop after ``count`` records, after ``most``, or about ``most_bytes``."""
    left, size = min(count, most), 0

    def stop(of_one: int, age_s: float) -> bool:
        nonlocal left, size
        if left <= 0 or (size and size + of_one > most_bytes):
            return True
        left, size = left - 1, size + of_one
        return False

    return stop
