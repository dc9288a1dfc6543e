"""About `gateway/graphwire_gateway/runs/retention.py`.

On a store whose every answer the test gives.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphwire_gateway.log.store import NoLog
from graphwire_gateway.runs.retention import Retention

from tests.support.waiting import settle, until


class Store:
    """Notes what it is asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._answers: list[asyncio.Future[None]] = []

    async def _answer(self, *call: Any) -> None:
        self.asked.append(call)
        self._answers.append(asyncio.get_running_loop().create_future())
        await self._answers[-1]

    async def close(self, run: str, ttl_s: float) -> None:
        await self._answer("close", run, ttl_s)

    async def delete(self, run: str) -> None:
        await self._answer("delete", run)

    def answer(self, number: int, error: Exception | None = None) -> None:
        """Answer the question of that number."""
        if error is None:
            self._answers[number].set_result(None)
        else:
            self._answers[number].set_exception(error)


@pytest.fixture
async def store() -> Store:
    return Store()


@pytest.fixture
async def retention(store) -> AsyncIterator[Retention]:
    retention = Retention(store)
    yield retention
    for answer in store._answers:
        if not answer.done():
            answer.set_result(None)
    await retention.finish(5)


async def test_work_on_one_log_is_done_in_order(store, retention) -> None:
    retention.close("a", 5)
    deleted = retention.delete("a")
    await settle()
    assert store.asked == [("close", "a", 5)]
    store.answer(0)
    await until(lambda: len(store.asked) == 2)
    assert store.asked[1] == ("delete", "a")
    assert not deleted.done()
    store.answer(1)
    await asyncio.wait_for(deleted, 5)


async def test_logs_do_not_wait_for_each_other(store, retention) -> None:
    retention.delete("a")
    retention.close("b", 1)
    await settle()
    assert store.asked == [("delete", "a"), ("close", "b", 1)]


async def test_waiting_for_a_log_ends_with_the_last_work_on_it(store, retention) -> None:
    retention.close("a", 5)
    retention.delete("a")
    waiting = asyncio.ensure_future(retention.wait("a"))
    await settle()
    store.answer(0)
    await until(lambda: len(store.asked) == 2)
    await settle()
    assert not waiting.done()
    store.answer(1)
    await asyncio.wait_for(waiting, 5)


async def test_a_log_without_work_is_not_waited_for(store, retention) -> None:
    retention.close("a", 5)
    await asyncio.wait_for(retention.wait("b"), 5)
    await settle()
    store.answer(0)
    await asyncio.wait_for(retention.wait("a"), 5)
    await asyncio.wait_for(retention.wait("a"), 5)  # what is done is not waited for again


async def test_a_caller_that_stops_waiting_stops_no_work(store, retention) -> None:
    deleted = retention.delete("a")
    waiting = asyncio.ensure_future(retention.wait("a"))
    await settle()
    waiting.cancel()
    await asyncio.wait([waiting])
    store.answer(0)
    await asyncio.wait_for(deleted, 5)
    assert not deleted.cancelled()


async def test_a_log_that_is_gone_is_no_error(store, retention) -> None:
    closed = retention.close("a", 5)
    await settle()
    store.answer(0, NoLog("a"))
    await asyncio.wait_for(closed, 5)


async def test_work_that_fails_is_followed_by_the_next(store, retention) -> None:
    closed = retention.close("a", 5)
    deleted = retention.delete("a")
    await settle()
    store.answer(0, ConnectionError("away"))
    await until(lambda: len(store.asked) == 2)
    with pytest.raises(ConnectionError):
        await closed
    store.answer(1)
    await asyncio.wait_for(deleted, 5)


async def test_finishing_waits_for_everything_under_way(store, retention) -> None:
    other = asyncio.Event()

    async def work() -> None:
        await other.wait()

    retention.delete("a")
    spawned = retention.spawn(work())
    finishing = asyncio.ensure_future(retention.finish(60))
    await settle()
    store.answer(0)
    await settle()
    assert not finishing.done()
    other.set()
    await asyncio.wait_for(finishing, 5)
    assert spawned.done()


async def test_finishing_gives_up_after_its_time_and_ends_at_once_without_work(store, retention) -> None:
    await asyncio.wait_for(retention.finish(60), 5)
    deleted = retention.delete("a")
    await asyncio.wait_for(retention.finish(0.01), 5)
    with pytest.raises(asyncio.CancelledError):
        await deleted
