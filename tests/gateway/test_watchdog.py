"""Code that blocks a loop is reported once, by file and line, and so is the end of the block.

About `gateway/graphwire_gateway/graphs/watchdog.py`.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from graphwire_gateway.graphs.runner import ThreadRunner
from graphwire_gateway.graphs.watchdog import Watchdog


class Told(logging.Handler):
    """What the watchdog says, and a wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: queue.Queue[dict[str, Any]] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        assert isinstance(record.msg, dict)
        self.entries.put(record.msg)

    async def next(self) -> dict[str, Any]:
        return await asyncio.to_thread(self.entries.get, timeout=10)


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    log = logging.getLogger("graphwire.watchdog")
    log.addHandler(handler)
    before, log.level = log.level, logging.INFO
    yield handler
    log.removeHandler(handler)
    log.setLevel(before)


async def test_a_block_is_told_once_with_its_place_and_its_end(told: Told) -> None:
    runner = ThreadRunner("dull", lambda items: None)
    watchdog = Watchdog(patience_s=0.02)
    at_work, release = threading.Event(), threading.Event()

    async def blocks() -> None:
        at_work.set()
        release.wait(20)

    try:
        await runner.call(lambda: watchdog.watch(runner.loop, threading.get_ident()))
        work = asyncio.ensure_future(runner.ask(blocks))
        assert await asyncio.to_thread(at_work.wait, 10)
        warning = await told.next()
        assert warning["level"] == "warning"
        assert __file__ in warning["where"]
        assert warning["where"].endswith("in blocks")
        release.set()
        await work
        assert (await told.next())["event"] == "the graphs' loop goes on"
    finally:
        release.set()
        watchdog.close()
        await runner.close(5)


async def test_a_loop_that_turns_is_not_told_of(told: Told) -> None:
    runner = ThreadRunner("brisk", lambda items: None)
    watchdog = Watchdog(patience_s=0.5)
    turns = 0

    async def turning() -> None:
        nonlocal turns
        while turns < 2000:
            turns += 1
            await asyncio.sleep(0)

    try:
        await runner.call(lambda: watchdog.watch(runner.loop, threading.get_ident()))
        await runner.ask(turning)
        assert told.entries.empty()
    finally:
        watchdog.close()
        await runner.close(5)
