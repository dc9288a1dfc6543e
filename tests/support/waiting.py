"""Waiting for a condition, with a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

DEADLINE_S = 10.0
_PAUSE_S = 0.01  # between two requests: half as many as requests_per_s allows
_Reply = TypeVar("_Reply")


async def until(condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
    """Let the loop run until ``condition()`` holds."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    turns = 0
    while not condition():
        assert loop.time() < end, "it does not come to that"
        turns += 1
        await asyncio.sleep(0 if turns < 100 else 0.001)


async def poll(
    ask: Callable[[], Awaitable[_Reply]], wanted: Callable[[_Reply], Any], deadline_s: float = DEADLINE_S
) -> list[_Reply]:
    """Ask until the reply is ``wanted``, no faster than a server allows; return the replies."""
    loop = asyncio.get_running_loop()
    end = loop.time() + deadline_s
    replies = [await ask()]
    while not wanted(replies[-1]):
        assert loop.time() < end, f"it does not come to that: the last reply was {replies[-1]}"
        await asyncio.sleep(_PAUSE_S)
        replies.append(await ask())
    return replies


async def settle() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)
