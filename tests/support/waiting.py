"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Callable
from typing import Any

DEADLINE_S = 10.0


async def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
    """Let the loop run until ``condition()`` holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    turns = 0
    while not condition():
        assert loop.time() < end, "it does not come to that"
        turns += 1
        await asyncio.sleep(0 if turns < 100 else 0.001)


async def settle() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)
