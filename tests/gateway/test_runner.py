"""The hand-over: what a graph's loop produces reaches the main loop once, in order, in one call a tick.

About `gateway/graphwire_gateway/graphs/runner.py`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from graphwire_gateway.graphs.runner import InlineRunner, Runner, ThreadRunner


class Home:
    def __init__(self) -> None:
        self.ticks: list[list[Any]] = []
        self.threads: set[int] = set()
        self.came = asyncio.Event()

    def __call__(self, items: list[Any]) -> None:
        self.ticks.append(items)
        self.threads.add(threading.get_ident())
        self.came.set()

    async def until(self, count: int) -> list[Any]:
        while sum(map(len, self.ticks)) < count:
            self.came.clear()
            await asyncio.wait_for(self.came.wait(), 10)
        return [item for tick in self.ticks for item in tick]


class Source:
    """Collects numbers, as a drive collects records."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._made: list[int] = []

    def put(self, number: int) -> None:
        if not self._made:
            self._runner.put(self)
        self._made.append(number)

    def collect(self) -> list[int]:
        made, self._made = self._made, []
        return made


Make = Callable[[], tuple[Home, Runner]]


@pytest.fixture(params=["inline", "thread"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    runners: list[Runner] = []

    def new() -> tuple[Home, Runner]:
        home = Home()
        runners.append(InlineRunner(home) if request.param == "inline" else ThreadRunner("test", home))
        return home, runners[-1]

    yield new
    for runner in runners:
        await runner.close(5)


async def test_everything_comes_home_in_order_on_the_home_loop(make: Make) -> None:
    home, runner = make()
    source = Source(runner)

    async def work() -> None:
        for number in range(1000):
            source.put(number)
            if number % 10 == 9:
                await asyncio.sleep(0)

    runner.start(work)
    end = asyncio.get_running_loop().time() + 10
    while sum(len(made) for tick in home.ticks for made in tick) < 1000:
        home.came.clear()
        await asyncio.wait_for(home.came.wait(), max(0.01, end - asyncio.get_running_loop().time()))
    assert [number for tick in home.ticks for made in tick for number in made] == list(range(1000))
    assert home.threads == {threading.get_ident()}
    assert len(home.ticks) <= 110


async def test_many_jobs_of_a_tick_come_home_in_one_call(make: Make) -> None:
    home, runner = make()
    sources = [Source(runner) for _ in range(20)]
    gate: list[Any] = []

    async def begin() -> None:
        for number, source in enumerate(sources):
            source.put(number)
        gate.append(asyncio.get_running_loop())

    runner.start(begin)
    assert await home.until(20) == [[number] for number in range(20)]
    assert len(home.ticks) == 1
    assert gate[0] is runner.loop


async def test_a_cancel_reaches_a_job_at_any_time_and_it_hears_of_it(make: Make) -> None:
    home, runner = make()
    heard: list[int] = []
    began: list[int] = []

    def job(number: int) -> Callable[[], Any]:
        source = Source(runner)

        async def work() -> None:
            began.append(number)
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard.append(number)
                source.put(number)

        return work

    jobs = [runner.start(job(number)) for number in range(10)]
    for each in jobs:
        each.cancel()  # in the same breath as its start
    assert sorted(number for made in await home.until(10) for number in made) == list(range(10))
    assert sorted(heard) == sorted(began) == list(range(10))
    for each in jobs:
        each.cancel()


async def test_a_call_returns_what_the_function_returns_or_raises(make: Make) -> None:
    _, runner = make()
    assert await runner.call(lambda: 7) == 7
    with pytest.raises(SystemExit):
        await runner.call(lambda: exec("raise SystemExit(1)"))
    assert await runner.call(lambda: asyncio.get_running_loop() is runner.loop)


async def test_closing_cancels_what_is_at_work_and_waits_for_it(make: Make) -> None:
    _, runner = make()
    ended = threading.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            ended.set()

    runner.start(work)
    await runner.close(10)
    assert ended.is_set()


async def test_a_thread_ends_the_tasks_that_graph_code_has_left_behind() -> None:
    runner = ThreadRunner("test", Home())
    ended = threading.Event()
    kept: list[Any] = []

    async def left() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    async def work() -> None:
        kept.append(asyncio.ensure_future(left()))
        await asyncio.sleep(0)

    runner.start(work)
    while not kept:
        await runner.call(lambda: None)
    await runner.close(10)
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "graphwire-test"]


async def test_code_that_ends_the_process_ends_its_job_alone() -> None:
    home = Home()
    runner = ThreadRunner("test", home)
    source = Source(runner)

    async def leave() -> None:
        raise SystemExit(3)

    async def work() -> None:
        source.put(1)

    runner.start(leave)
    runner.start(work)
    assert await home.until(1) == [[1]]
    await runner.close(10)
