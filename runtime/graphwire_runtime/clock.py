"""Time, waiting, random numbers and fresh ids: all that a run takes from outside besides its input.

A test that needs fixed times or ids replaces these functions where they are imported.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timezone
from os import urandom
from threading import Lock
from time import monotonic, sleep, time, time_ns
from uuid import uuid4

__all__ = ["apause", "chance", "checkpoint_id", "fresh_id", "pause", "seconds", "time", "timestamp"]


def timestamp(seconds: float) -> str:
    """A moment that `time` returned, in UTC, as ISO 8601 with microseconds."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def seconds() -> float:
    """Seconds on a monotonic clock; only differences mean anything."""
    return monotonic()


def chance() -> float:
    """A random number from 0 up to, but not including, 1."""
    return random.random()


def pause(seconds: float) -> None:
    """Block the thread for this many seconds."""
    sleep(seconds)


async def apause(seconds: float) -> None:
    """Wait for this many seconds."""
    await asyncio.sleep(seconds)


def fresh_id() -> str:
    """A new random UUID, as a string."""
    return str(uuid4())


def checkpoint_id(step: int) -> str:
    """A new id for the checkpoint of superstep `step`: a UUID of version 6, as a string.

    Later ids sort after earlier ones. Savers rely on that to find the latest checkpoint of a thread.
    """
    ticks = f"{_ticks.next() & 0xFFF_FFFF_FFFF_FFFF:015x}"
    variant = 0x8000 | step & 0x3FFF
    return f"{ticks[:8]}-{ticks[8:12]}-6{ticks[12:]}-{variant:04x}-{urandom(6).hex()}"


class _Ticks:
    """The time as UUIDs count it, in units of 100 ns since 1582-10-15; no value comes twice."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, time_ns() // 100 + 0x01B2_1DD2_1381_4000)
            return self._last


_ticks = _Ticks()
