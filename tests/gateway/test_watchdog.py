"""Code that blocks a loop is logged once with its file and line, and so is the end of the block.

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


class Captured(logging.Handler):
    """What the watchdog logs, and a wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: queue.Queue[dict[str, Any]] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        self.entries.put(
            {**vars(record)["fields"], "event": vars(record)["event"], "level": record.levelname}
        )

    async def next(self) -> dict[str, Any]:
        return await asyncio.to_thread(self.entries.get, timeout=10)


@pytest.fixture
def captured() -> Iterator[Captured]:
    handler = Captured()
    log = logging.getLogger("graphwire.watchdog")
    log.addHandler(handler)
    before, log.level = log.level, logging.INFO
    yield handler
    log.removeHandler(handler)
    log.setLevel(before)


async def test_a_block_is_logged_once_with_its_line_and_its_end(captured: Captured) -> None:
    runner = ThreadRunner("dull")
    watchdog = Watchdog(patience_s=0.02)
    at_work, release = threading.Event(), threading.Event()

    async def blocks() -> None:
        at_work.set()
        release.wait(20)

    try:
        await runner.call(lambda: watchdog.watch(runner.loop, threading.get_ident()))
        work = asyncio.ensure_future(runner.ask(blocks))
        assert await asyncio.to_thread(at_work.wait, 10)
        warning = await captured.next()
        assert warning["level"] == "WARNING"
        assert __file__ in warning["where"]
        assert warning["where"].endswith("in blocks")
        release.set()
        await work
        assert (await captured.next())["event"] == "the graphs' loop runs again"
    finally:
        release.set()
        watchdog.close()
        await runner.close(5)


async def test_a_loop_that_turns_is_not_logged(captured: Captured) -> None:
    runner = ThreadRunner("brisk")
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
        assert captured.entries.empty()
    finally:
        watchdog.close()
        await runner.close(5)
