"""The time as runs tell it, and how much of a span is left."""

import datetime


def left(seconds: float, since: str) -> float:
    """Return how many of ``seconds`` are left that began at ``since``, an RFC 3339 time."""
    began = datetime.datetime.fromisoformat(since.replace("Z", "+00:00"))
    passed = (datetime.datetime.now(datetime.timezone.utc) - began).total_seconds()
    return max(0.0, seconds - max(0.0, passed))  # a clock may have been set back


def now() -> str:
    """Return the time as RFC 3339 in UTC, in milliseconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
