"""The one seam to the world outside a run: the time of day, fresh ids, waiting and chance.

Everything else in this package is a function of its inputs; tests that need fixed times or ids patch here.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timezone
from threading import Lock
from time import monotonic, sleep, time, time_ns
from uuid import UUID, uuid4

__all__ = ["apause", "chance", "checkpoint_id", "fresh_id", "pause", "seconds", "time", "timestamp"]


def timestamp() -> str:
    """The present moment in UTC, ISO 8601 with microseconds."""
    return datetime.now(timezone.utc).isoformat()


def seconds() -> float:
    """Seconds since some moment, to measure by."""
    return monotonic()


def chance() -> float:
    """A number from 0 to 1."""
    return random.random()


def pause(seconds: float) -> None:
    """Block the thread for a while."""
    sleep(seconds)


async def apause(seconds: float) -> None:
    """Wait for a while."""
    await asyncio.sleep(seconds)


def fresh_id() -> str:
    """A new random id, shaped like a UUID."""
    return str(uuid4())


def checkpoint_id(step: int) -> str:
    """A new id for the checkpoint of a superstep: a UUID of version 6, so that later ones sort after earlier.

    That is what savers go by when they are asked for the latest checkpoint of a thread.
    """
    ticks = _ticks.next()
    high = ticks >> 12 & 0xFFFF_FFFF_FFFF
    sequence, node = step & 0x3FFF, uuid4().int & 0xFFFF_FFFF_FFFF
    return str(UUID(int=high << 80 | 6 << 76 | (ticks & 0xFFF) << 64 | 2 << 62 | sequence << 48 | node))


class _Ticks:
    """Tenths of microseconds since UUIDs began to count, each given once and later ones greater."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last = 0

    def next(self) -> int:
        with self._lock:
            self._last = max(self._last + 1, time_ns() // 100 + 0x01B2_1DD2_1381_4000)
            return self._last


_ticks = _Ticks()
