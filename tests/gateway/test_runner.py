"""What a graph's loop makes reaches the main loop once, in order, by one call a tick.

About `gateway/graphwire_gateway/graphs/runner.py` and `gateway/graphwire_gateway/graphs/job.py`.
"""

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from graphwire_gateway.graphs import job
from graphwire_gateway.graphs.node_threads import NodeThreads
from graphwire_gateway.graphs.runner import InlineRunner, Runner, ThreadRunner

from tests.support.waiting import until

_HANDOVER: contextvars.ContextVar[list[Any]] = contextvars.ContextVar("handover")


class Receiver:
    """The receiving side on the main loop; ``ticks`` has what each callback of that loop handed over.

    A callback has a context of its own, so what one callback hands over shares a context variable.
    """

    def __init__(self) -> None:
        self.ticks: list[list[Any]] = []
        self.threads: set[int] = set()
        self.came = asyncio.Event()

    def receive(self, made: list[int]) -> None:
        tick = _HANDOVER.get(None)
        if tick is None:
            tick = []
            _HANDOVER.set(tick)
            self.ticks.append(tick)
        tick.append(made)
        self.threads.add(threading.get_ident())
        self.came.set()

    async def until(self, count: int) -> list[Any]:
        while sum(map(len, self.ticks)) < count:
            self.came.clear()
            await asyncio.wait_for(self.came.wait(), 10)
        return [item for tick in self.ticks for item in tick]


class Source:
    """Makes numbers, as an execution makes records."""

    def __init__(self, runner: Runner, receiver: Receiver) -> None:
        self._runner = runner
        self._receiver = receiver
        self._made: list[int] = []

    def put(self, number: int) -> None:
        if not self._made:
            self._runner.put(self)
        self._made.append(number)

    def collect(self) -> Callable[[], None]:
        made, self._made = self._made, []
        return partial(self._receiver.receive, made)


Make = Callable[[], tuple[Receiver, Runner]]


@pytest.fixture(params=["inline", "thread"])
async def make(request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    runners: list[Runner] = []

    def new() -> tuple[Receiver, Runner]:
        receiver = Receiver()
        runners.append(InlineRunner() if request.param == "inline" else ThreadRunner("test"))
        return receiver, runners[-1]

    yield new
    for runner in runners:
        await runner.close(5)


async def test_everything_arrives_in_order_on_the_main_loop(make: Make) -> None:
    receiver, runner = make()
    source = Source(runner, receiver)

    async def work() -> None:
        for number in range(1000):
            source.put(number)
            if number % 10 == 9:
                await asyncio.sleep(0)

    runner.start(work)
    end = asyncio.get_running_loop().time() + 10
    while sum(len(made) for tick in receiver.ticks for made in tick) < 1000:
        receiver.came.clear()
        await asyncio.wait_for(receiver.came.wait(), max(0.01, end - asyncio.get_running_loop().time()))
    assert [number for tick in receiver.ticks for made in tick for number in made] == list(range(1000))
    assert receiver.threads == {threading.get_ident()}
    assert len(receiver.ticks) <= 110


async def test_what_the_main_loop_begins_belongs_to_no_job(make: Make) -> None:
    receiver, runner = make()
    source = Source(runner, receiver)
    seen: list[Any] = []
    receiver.receive = lambda made: seen.append(job.current_job())  # type: ignore[method-assign]

    async def work() -> None:
        assert job.current_job() is not None
        source.put(1)

    runner.start(work, lambda _: seen.append(job.current_job()))
    await until(lambda: len(seen) == 2)
    assert seen == [None, None]


async def test_many_jobs_of_a_tick_arrive_in_one_call(make: Make) -> None:
    receiver, runner = make()
    sources = [Source(runner, receiver) for _ in range(20)]
    gate: list[Any] = []

    async def begin() -> None:
        for number, source in enumerate(sources):
            source.put(number)
        gate.append(asyncio.get_running_loop())

    runner.start(begin)
    assert await receiver.until(20) == [[number] for number in range(20)]
    assert len(receiver.ticks) == 1
    assert gate[0] is runner.loop


async def test_a_cancel_reaches_a_job_at_any_time_and_it_hears_of_it(make: Make) -> None:
    receiver, runner = make()
    heard: list[int] = []
    began: list[int] = []

    def job(number: int) -> Callable[[], Any]:
        source = Source(runner, receiver)

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
    assert sorted(number for made in await receiver.until(10) for number in made) == list(range(10))
    assert sorted(heard) == sorted(began) == list(range(10))
    for each in jobs:
        each.cancel()


async def test_a_call_returns_what_the_function_returns_or_raises(make: Make) -> None:
    _, runner = make()
    assert await runner.call(lambda: 7) == 7
    with pytest.raises(LookupError):
        await runner.call(lambda: {}["x"])
    assert await runner.call(lambda: asyncio.get_running_loop() is runner.loop)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, asyncio.CancelledError, StopIteration])
async def test_an_exit_or_a_cancellation_by_graph_code_is_the_caller_s_error(
    make: Make, kind: type[BaseException]
) -> None:
    _, runner = make()

    def fail() -> None:
        raise kind

    async def work() -> None:
        raise kind

    with pytest.raises(RuntimeError, match=kind.__name__):
        await asyncio.wait_for(runner.call(fail), 5)
    with pytest.raises(RuntimeError, match=kind.__name__):
        await runner.ask(work)
    assert await runner.call(lambda: 7) == 7


async def test_a_job_ends_once_whatever_a_task_that_it_left_behind_does_later() -> None:
    runner = ThreadRunner("test")
    ended: list[Any] = []
    gate, late = threading.Event(), threading.Event()
    kept: list[Any] = []

    async def leftover() -> None:
        await asyncio.to_thread(gate.wait, 10)
        late.set()

    async def work() -> None:
        context = contextvars.copy_context()
        kept.append(asyncio.get_running_loop().call_later(0.01, context.run, begin))

    def begin() -> None:
        kept.append(asyncio.ensure_future(leftover()))

    job = runner.start(work, ended.append)
    while not job.is_over or len(kept) < 2:
        await runner.call(lambda: None)
    gate.set()
    while not late.is_set():
        await runner.call(lambda: None)
    for _ in range(3):
        await runner.call(lambda: None)
    await runner.close(10)
    assert ended == [job]


async def test_a_job_ends_behind_what_it_made_last_though_a_call_of_it_ends_in_that_tick() -> None:
    runner = ThreadRunner("test")
    receiver = Receiver()
    source = Source(runner, receiver)
    received_at_end: list[int] = []
    has_ended = asyncio.Event()

    async def work() -> None:
        threads = NodeThreads(asyncio.get_running_loop(), "test-node")
        gate, has_told = threading.Event(), threading.Event()
        call = threads.submit(gate.wait, 10)
        call.add_done_callback(lambda _: has_told.set())  # behind the one that tells the loop of the end
        gate.set()
        assert has_told.wait(10)
        threads.shutdown(wait=False)
        source.put(1)

    def ended(_: Any) -> None:
        received_at_end.extend(number for tick in receiver.ticks for made in tick for number in made)
        has_ended.set()

    runner.start(work, ended)
    await asyncio.wait_for(has_ended.wait(), 10)
    await runner.close(10)
    assert received_at_end == [1]


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
    runner = ThreadRunner("test")
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


async def test_what_a_job_leaves_behind_is_cancelled_and_what_has_a_context_of_its_own_is_not(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(job, "LEFTOVER_S", 0.05)
    _, runner = make()
    ended: list[str] = []
    over = threading.Event()

    async def sleeper(name: str) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(name)
            if len(ended) == 3:
                over.set()

    async def parent() -> None:
        inner = asyncio.create_task(sleeper("grandchild"))
        try:
            await sleeper("child")
        finally:
            await asyncio.wait([inner])

    kept: list[asyncio.Task[None]] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(parent()), asyncio.ensure_future(sleeper("other"))]
        kept.extend(tasks)
        outside = contextvars.Context()
        kept.append(outside.run(loop.create_task, sleeper("outside")))
        await asyncio.sleep(0)

    await asyncio.wait_for(runner.ask(work), 10)
    assert await asyncio.to_thread(over.wait, 10)
    assert sorted(ended) == ["child", "grandchild", "other"]
    assert not kept[2].done()
    assert caplog.text.count("cancelled tasks that a run has left behind") == 1
    assert "tasks=3" in caplog.text
    if isinstance(runner, InlineRunner):
        kept[2].cancel()  # the loop is the application's
        await asyncio.wait(kept)
    else:
        await runner.close(1)
    assert "outside" in ended


async def test_a_thread_ends_though_all_threads_of_the_main_loop_are_stuck() -> None:
    release = threading.Event()
    executor = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(executor)
    stuck = asyncio.ensure_future(asyncio.to_thread(release.wait, 20))
    runner = ThreadRunner("test")
    try:
        await asyncio.wait_for(runner.close(5), 10)
        assert not [thread for thread in threading.enumerate() if thread.name == "graphwire-test"]
    finally:
        release.set()
        await stuck


async def test_code_that_ends_the_process_ends_its_job_alone() -> None:
    receiver = Receiver()
    runner = ThreadRunner("test")
    source = Source(runner, receiver)

    async def leave() -> None:
        raise SystemExit(3)

    async def work() -> None:
        source.put(1)

    runner.start(leave)
    runner.start(work)
    assert await receiver.until(1) == [[1]]
    await runner.close(10)


class Unspeakable(SystemExit):
    def __repr__(self) -> str:
        raise SystemExit(4)


async def test_an_exit_that_cannot_be_described_ends_no_loop() -> None:
    runner = ThreadRunner("exits")
    try:
        for _ in range(2):
            runner.later(partial(_raise, Unspeakable(3)))
            assert await asyncio.wait_for(runner.call(lambda: "alive"), 5) == "alive"
    finally:
        await runner.close(5)


def _raise(error: BaseException) -> None:
    raise error


async def test_a_hand_over_that_fails_takes_no_other_with_it(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    receiver, runner = make()
    source = Source(runner, receiver)

    class Faulty:
        def collect(self) -> Callable[[], None]:
            return partial(divmod, 1, 0)  # type: ignore[arg-type]

    async def work() -> None:
        runner.put(Faulty())
        source.put(1)

    runner.start(work)
    assert await receiver.until(1) == [[1]]
    assert "ZeroDivisionError" in caplog.text
