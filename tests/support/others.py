"""How long others wait while somebody attacks the server."""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

from tests.support.peer import Peer, spec
from tests.support.wire import Gone

_EVERY_S = 0.01
_RUN_EVERY_S = 0.1


async def worst_ping_s(other: Peer, attack: Coroutine[Any, Any, None]) -> float:
    """Return the longest that a ``ping`` of ``other`` took while the attack was under way, in seconds."""
    worst = 0.0
    attacking = asyncio.ensure_future(attack)
    while not attacking.done():
        began = time.perf_counter()
        await other.settled()
        worst = max(worst, time.perf_counter() - began)
        await asyncio.wait([attacking], timeout=_EVERY_S)
    attacking.result()
    return worst


class Times:
    """How long each ping and each run of others took, in seconds, counted from when it was due.

    One that is due while the last is not answered is sent all the same, or counted as if it had been: a
    stall of two seconds makes two hundred pings wait, not one.
    """

    def __init__(self) -> None:
        self.pings: list[float] = []
        self.runs: list[float] = []


@asynccontextmanager
async def timed(pinging: Peer, running: Peer, graph: str) -> AsyncIterator[Times]:
    """Ping all the time on one connection, and run a graph ten times a second on another one."""
    times = Times()
    stop = asyncio.Event()
    tasks = [
        asyncio.create_task(_measure(pinging, times.pings, _EVERY_S, stop, _ping, _pong)),
        asyncio.create_task(_measure(running, times.runs, _RUN_EVERY_S, stop, _run(graph), _closed)),
    ]
    try:
        yield times
    finally:
        stop.set()
        await asyncio.gather(*tasks)


async def _measure(
    peer: Peer, times: list[float], every_s: float, stop: asyncio.Event, asked: Any, answered: Any
) -> None:
    clock = time.perf_counter
    due: dict[int, float] = {}
    number = 0
    mark = len(peer.frames) + 1  # numbers are used once on a connection
    began = clock()
    reading = asyncio.create_task(_read(peer, times, due, answered))
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            due[mark + number] = began + number * every_s
            await peer.send(asked(mark + number))
            number += 1
            left = began + number * every_s - clock()
            if left > 0:
                await asyncio.wait([stopped, reading], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                break
        end = clock() + 10
        while due and not reading.done() and clock() < end:
            await asyncio.wait([reading], timeout=0.01)
    finally:
        reading.cancel()
        stopped.cancel()
        await asyncio.wait([reading, stopped])
    times += [clock() - since for since in due.values()]  # not answered at all


async def _read(peer: Peer, times: list[float], due: dict[int, float], answered: Any) -> None:
    while True:
        try:
            frame = await peer.next(60)
        except (Gone, asyncio.TimeoutError):
            return
        since = due.pop(answered(frame), None)
        if since is not None:
            times.append(time.perf_counter() - since)


def _ping(number: int) -> dict[str, Any]:
    return {"type": "ping", "t": number}


def _pong(frame: dict[str, Any]) -> int | None:
    return frame["t"] if frame["type"] == "pong" else None


def _run(graph: str) -> Any:
    def run(number: int) -> dict[str, Any]:
        subscribe = [spec(number, "custom")]
        return {
            "type": "run",
            "id": number,
            "graph": graph,
            "input": {"n": 1},
            "run": uuid4().hex,
            "subscribe": subscribe,
        }

    return run


def _closed(frame: dict[str, Any]) -> int | None:
    return frame["sub"] if frame["type"] == "closed" else None
