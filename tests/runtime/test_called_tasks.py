"""Tasks side by side: how many are at work, and what ends them: cancellation, timeouts, failures, closing.

About `runtime/graphwire_runtime/drive/calls.py`, `runtime/graphwire_runtime/drive/execute.py` and
`runtime/graphwire_runtime/drive/future.py`.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError, as_completed
from typing import Any

import pytest
from graphwire_runtime import (
    NodeCancelledError,
    NodeTimeoutError,
    RetryPolicy,
    entrypoint,
    task,
)


@task
def add(a: int, b: int = 1) -> int:
    return a + b


def test_tasks_that_wait_for_tasks_leave_them_their_turn() -> None:
    """With one at a time, each of a caller's tasks may still call and wait."""

    @task
    def deep(n: int) -> int:
        return 0 if n == 0 else 1 + deep(n - 1).result()

    @entrypoint()
    def main(x: int) -> Any:
        return sorted(future.result() for future in as_completed([deep(x), deep(x + 1)]))

    assert main.invoke(5, {"max_concurrency": 1}) == [5, 6]


async def test_so_they_do_on_an_event_loop() -> None:
    @task
    async def deep(n: int) -> int:
        return 0 if n == 0 else 1 + await deep(n - 1)

    @entrypoint()
    async def main(x: int) -> Any:
        return await asyncio.gather(deep(x), deep(x + 1))

    assert await main.ainvoke(5, {"max_concurrency": 1}) == [5, 6]


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_max_concurrency_bounds_the_tasks_of_a_caller(how: str) -> None:
    at_work, most, lock = 0, 0, threading.Lock()
    both = threading.Barrier(2)

    @task
    def work(n: int) -> int:
        nonlocal at_work, most
        with lock:
            at_work += 1
            most = max(most, at_work)
        both.wait(10)  # two are there at once
        with lock:
            at_work -= 1
        both.wait(10)
        return n

    @entrypoint()
    def main(x: int) -> Any:
        return [future.result() for future in [work(n) for n in range(x)]]

    config: Any = {"max_concurrency": 2}
    found = main.invoke(6, config) if how == "invoke" else await main.ainvoke(6, config)
    assert (found, most) == (list(range(6)), 2)


async def test_a_cancelled_run_cancels_its_tasks_and_leaves_none() -> None:
    started, ended = asyncio.Event(), []

    @task
    async def wait(n: int) -> None:
        try:
            if n == 0:
                await wait(1)
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.append(n)

    @entrypoint()
    async def main(x: int) -> Any:
        try:
            return await asyncio.gather(wait(0), wait(2))
        finally:
            ended.append("main")

    before = asyncio.all_tasks()
    run = asyncio.create_task(main.ainvoke(1))
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert sorted(map(str, ended)) == ["0", "1", "2", "main"]
    assert asyncio.all_tasks() == before


async def test_a_failing_entrypoint_cancels_the_tasks_at_work() -> None:
    ended, started = [], asyncio.Event()

    @task
    async def wait() -> None:
        try:
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    @entrypoint()
    async def main(x: int) -> Any:
        wait()
        await started.wait()
        raise ValueError(x)

    with pytest.raises(ValueError, match="1"):
        await main.ainvoke(1)
    assert ended == ["task"]


async def test_an_entrypoint_in_a_thread_hears_that_its_task_is_cancelled() -> None:
    started, heard = asyncio.Event(), threading.Event()
    events = asyncio.get_running_loop()

    @task
    async def wait() -> None:
        started.set()
        await asyncio.Event().wait()

    @entrypoint()
    def main(x: int) -> Any:
        try:
            wait().result()
        except CancelledError:
            heard.set()
            with pytest.raises((CancelledError, RuntimeError)):
                add(1).result()  # no task begins any more
            events.call_soon_threadsafe(over.set)

    over = asyncio.Event()
    run = asyncio.create_task(main.ainvoke(1))
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    await asyncio.wait_for(over.wait(), 10)
    assert heard.is_set()


async def test_a_caller_that_stops_waiting_cancels_its_task_alone() -> None:
    ended = []

    @task
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("task")

    @entrypoint()
    async def main(x: int) -> Any:
        try:
            await asyncio.wait_for(wait(), 0.01)
        except (TimeoutError, asyncio.TimeoutError):
            return await add(x)

    assert await main.ainvoke(1) == 2
    assert ended == ["task"]


async def test_a_task_that_cancels_itself_has_failed() -> None:
    @task
    async def stop() -> None:
        raise asyncio.CancelledError

    @entrypoint()
    async def main(x: int) -> Any:
        await stop()

    with pytest.raises(NodeCancelledError, match="'stop'"):
        await main.ainvoke(1)


async def test_a_timeout_limits_an_attempt_of_a_task_and_of_an_entrypoint() -> None:
    attempts = []

    @task(timeout=0.01, retry_policy=RetryPolicy(initial_interval=0.001, jitter=False))
    async def slow() -> None:
        attempts.append(1)
        await asyncio.Event().wait()

    @entrypoint()
    async def main(x: int) -> Any:
        await slow()

    with pytest.raises(NodeTimeoutError, match="'slow'"):
        await main.ainvoke(1)
    assert len(attempts) == 3

    @entrypoint(timeout=0.01)
    async def whole(x: int) -> Any:
        await asyncio.Event().wait()

    with pytest.raises(NodeTimeoutError, match="'whole'"):
        await whole.ainvoke(1)


def test_an_iterator_that_is_closed_leaves_no_thread_and_begins_no_task() -> None:
    begun, at_work, go = [], threading.Event(), threading.Event()

    @task
    def work(n: int) -> int:
        begun.append(n)
        at_work.set()
        go.wait(10)
        return n

    @entrypoint()
    def main(x: int) -> Any:
        futures = [work(n) for n in range(x)]
        return [future.result() for future in futures]

    stream = main.stream(3, {"max_concurrency": 1}, stream_mode="tasks")
    assert [next(stream)["name"], next(stream)["name"]] == ["main", "work"]
    assert at_work.wait(10)
    threading.Timer(0.05, go.set).start()
    stream.close()
    assert begun == [0]
    assert not [each.name for each in threading.enumerate() if each.name.startswith("graphwire-task")]
