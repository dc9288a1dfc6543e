"""Nodes without async code share the threads of a runner, principal by principal.

Each test runs twice: with calls as everybody submits them, and with those of our runtime's nodes.

About `gateway/graphwire_gateway/graphs/node_threads.py`.

Long because each case needs a runner and calls that are stuck, which only this file has.
"""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from graphwire_gateway.graphs import job as job_module
from graphwire_gateway.graphs import node_threads
from graphwire_gateway.graphs.job import Job
from graphwire_gateway.graphs.runner import ThreadRunner
from graphwire_runtime.drive.node_threads import in_thread

from tests.support.waiting import until


@pytest.fixture(params=[asyncio.to_thread, in_thread], ids=["submitted", "started"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How calls come to the threads."""
    monkeypatch.setattr(asyncio, "to_thread", request.param)


async def test_a_node_that_is_stuck_in_a_thread_has_its_time_once_and_keeps_no_process_alive() -> None:
    runner = ThreadRunner("stuck")
    release, at_work = threading.Event(), threading.Event()
    ended: list[Any] = []

    def stuck() -> None:
        at_work.set()
        release.wait(20)

    async def work() -> None:
        await asyncio.to_thread(stuck)

    try:
        job = runner.start(work, ended.append)
        assert await asyncio.to_thread(at_work.wait, 10)
        job.cancel()
        await asyncio.wait_for(runner.close(15), 10)  # it was cancelled before: nothing is waited for
        nodes = [thread for thread in threading.enumerate() if thread.name.startswith("graphwire-stuck-node")]
        assert [thread.daemon for thread in nodes] == [True]
        assert not ended
    finally:
        release.set()
    nodes[0].join(10)
    assert not nodes[0].is_alive()


async def test_nodes_in_threads_run_at_once_up_to_a_bound_and_give_what_they_return_or_raise() -> None:
    runner = ThreadRunner("busy")
    barrier = threading.Barrier(20)

    def node(number: int) -> int:
        barrier.wait(10)
        if number == 7:
            raise ValueError("seven")
        return number

    async def work() -> list[Any]:
        calls = [asyncio.to_thread(node, number) for number in range(20)]
        return await asyncio.gather(*calls, return_exceptions=True)

    async def many() -> int:
        await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.001) for _ in range(1000)))
        return sum(thread.name.startswith("graphwire-busy-node") for thread in threading.enumerate())

    try:
        results = await runner.ask(work)
        assert repr(results.pop(7)) == "ValueError('seven')"
        assert results == [number for number in range(20) if number != 7]
        assert 20 <= await runner.ask(many) <= 128
    finally:
        await runner.close(5)


async def test_a_call_that_raises_stop_iteration_ends_for_who_awaits_it() -> None:
    runner = ThreadRunner("stops")

    def stop() -> None:
        raise StopIteration("why")

    async def work() -> None:
        await asyncio.to_thread(stop)

    try:
        with pytest.raises(RuntimeError, match="StopIteration") as raised:
            await asyncio.wait_for(runner.ask(work), 5)
        assert isinstance(raised.value.__cause__, StopIteration)
    finally:
        await runner.close(5)


async def test_one_principal_leaves_places_in_threads_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 4)
    runner = ThreadRunner("shared")
    release = threading.Event()
    started: list[str] = []

    def node(name: str) -> None:
        started.append(name)
        release.wait(20)

    def work(name: str, calls: int) -> Callable[[], Coroutine[Any, Any, None]]:
        async def run() -> None:
            await asyncio.gather(*(asyncio.to_thread(node, name) for _ in range(calls)))

        return run

    def quick(name: str) -> Callable[[], Coroutine[Any, Any, None]]:
        async def run() -> None:
            await asyncio.to_thread(started.append, name)

        return run

    ended: list[Any] = []
    try:
        greedy = runner.start(work("greedy", 50), ended.append, principal="greedy")
        await until(lambda: len(started) == 4)
        over = asyncio.Event()
        runner.start(quick("other"), lambda _: over.set(), principal="other")
        await asyncio.wait_for(over.wait(), 10)
        assert started == ["greedy"] * 4 + ["other"]
        # Its places are free for its own next run, too, as soon as nobody waits for what is in them.
        greedy.cancel()
        over.clear()
        runner.start(quick("next"), lambda _: over.set(), principal="greedy")
        await asyncio.wait_for(over.wait(), 10)
        assert started == ["greedy"] * 4 + ["other", "next"]
        assert not greedy.is_over
    finally:
        release.set()
    await until(lambda: greedy.is_over)
    assert ended == [greedy]
    await runner.close(5)


async def test_threads_that_are_stuck_for_nobody_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 2)
    monkeypatch.setattr(node_threads, "_MAX_ABANDONED", 3)
    runner = ThreadRunner("stuck")
    release = threading.Event()
    started: list[int] = []

    def node(number: int) -> None:
        started.append(number)
        release.wait(20)

    def work(number: int) -> Callable[[], Coroutine[Any, Any, None]]:
        async def run() -> None:
            await asyncio.to_thread(node, number)

        return run

    try:
        for number in range(5):
            job = runner.start(work(number), principal="p")
            await until(lambda number=number: number in started)
            job.cancel()
            await runner.call(lambda: None)
        waiting = runner.start(work(5), principal="p")
        await runner.call(lambda: None)
        await runner.call(lambda: None)
        assert sorted(started) == [0, 1, 2, 3, 4]
    finally:
        release.set()
    await until(lambda: waiting.is_over)
    assert 5 in started
    await runner.close(5)


async def test_threads_that_a_burst_has_needed_end_when_they_are_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_threads, "IDLE_S", 0.05)
    runner = ThreadRunner("burst")
    barrier = threading.Barrier(20)
    used: list[str] = []

    def left() -> int:
        return sum(thread.name.startswith("graphwire-burst-node") for thread in threading.enumerate())

    async def burst() -> None:
        await asyncio.gather(*(asyncio.to_thread(barrier.wait, 10) for _ in range(20)))

    async def one() -> None:
        await asyncio.to_thread(lambda: used.append(threading.current_thread().name))

    async def one_at_a_time() -> None:
        while left() > 1 or len(used) < 2:
            await runner.ask(one)

    try:
        await runner.ask(burst)
        await asyncio.wait_for(one_at_a_time(), 10)  # the others end beside it
        await until(lambda: not left())
        await runner.ask(one)
    finally:
        await runner.close(5)
    await until(lambda: not left())


async def test_a_call_for_which_no_thread_can_be_started_fails_and_leaves_its_place_to_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 2)
    runner = ThreadRunner("full")
    start = threading.Thread.start
    has_room = False

    def start_if_room(thread: threading.Thread) -> None:
        if not has_room and "-full-node" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    async def work() -> int:
        return await asyncio.to_thread(int, "7")

    monkeypatch.setattr(threading.Thread, "start", start_if_room)
    try:
        for _ in range(5):
            with pytest.raises(RuntimeError, match="can't start new thread"):
                await asyncio.wait_for(runner.ask(work, principal="p"), 10)
        has_room = True
        assert await asyncio.wait_for(runner.ask(work, principal="p"), 10) == 7
    finally:
        await runner.close(5)


async def test_a_request_takes_the_places_of_its_principal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 1)
    runner = ThreadRunner("asked")
    release = threading.Event()
    started: list[str] = []

    def ask(name: str) -> "asyncio.Task[None]":
        def node() -> None:
            started.append(name)
            release.wait(20)

        async def work() -> None:
            await asyncio.to_thread(node)

        return asyncio.ensure_future(runner.ask(work, principal=name))

    try:
        asked = [ask(name) for name in ("greedy", "greedy", "other")]
        await until(lambda: len(started) == 2)
        assert sorted(started) == ["greedy", "other"]
    finally:
        release.set()
    await asyncio.gather(*asked)
    await runner.close(5)


class Sleepers:
    """Jobs of several principals, whose calls end when ``release`` is set."""

    def __init__(self, name: str) -> None:
        self.runner = ThreadRunner(name)
        self.release = threading.Event()
        self.started: list[str] = []

    def node(self, name: str, *_: object) -> None:
        self.started.append(name)
        self.release.wait(20)

    def start(self, name: str, calls: int = 1) -> Job:
        """Start a job of a principal that waits for its calls."""

        async def run() -> None:
            await asyncio.gather(*(asyncio.to_thread(self.node, name) for _ in range(calls)))

        return self.runner.start(run, principal=name)

    def leave(self, name: str, principal: str, calls: int) -> Job:
        """Start a job that ends while its calls run or wait."""
        left: list[asyncio.Task[None]] = []

        async def run() -> None:
            left.extend(asyncio.create_task(asyncio.to_thread(self.node, name)) for _ in range(calls))
            await asyncio.sleep(0)  # each has submitted its call

        return self.runner.start(run, principal=principal)


async def test_a_principal_gets_a_thread_though_others_have_all_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 2)
    monkeypatch.setattr(node_threads, "_ALL_PLACES", 4)
    monkeypatch.setattr(node_threads, "_MAX_BUSY", 6)
    jobs = Sleepers("crowded")
    try:
        greedy = [jobs.start(name, 10) for name in ("a", "b")]
        await until(lambda: sorted(jobs.started) == ["a", "a", "b", "b"])
        others = [jobs.start(name, 3) for name in ("c", "d")]
        await until(lambda: len(jobs.started) == 6)
        assert sorted(jobs.started[4:]) == ["c", "d"], "one each"
        late = jobs.start("e")
        await jobs.runner.call(lambda: None)
        await jobs.runner.call(lambda: None)
        assert "e" not in jobs.started, "threads are bounded"
    finally:
        jobs.release.set()
    await until(lambda: all(job.is_over for job in (*greedy, *others, late)))
    assert len(jobs.started) == 27
    await jobs.runner.close(5)


async def test_a_call_that_has_not_begun_when_its_job_ends_never_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 1)
    monkeypatch.setattr(job_module, "LEFTOVER_S", 1000)  # nothing else ends the calls
    jobs = Sleepers("ended")
    try:
        first = jobs.start("p")
        await until(lambda: jobs.started == ["p"])
        job = jobs.leave("left", "p", 20)
        await until(lambda: job.is_over)
        assert not first.is_over
    finally:
        jobs.release.set()
    await until(lambda: first.is_over)
    last = jobs.start("p")
    await until(lambda: last.is_over)
    assert jobs.started == ["p", "p"]
    await jobs.runner.close(5)


async def test_places_that_a_job_gives_back_do_not_go_to_its_own_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 2)
    jobs = Sleepers("given")
    try:
        job = jobs.leave("left", "p", 50)
        next_one = jobs.start("p")
        await until(lambda: "p" in jobs.started)
        assert sorted(jobs.started) == ["left", "left", "p"]
        assert not job.is_over
    finally:
        jobs.release.set()
    await until(lambda: job.is_over and next_one.is_over)
    assert len(jobs.started) == 3
    await jobs.runner.close(5)


async def test_a_cancelled_call_that_waited_keeps_nothing_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 1)
    jobs = Sleepers("waited")
    held: list[weakref.ref[Any]] = []

    def is_freed() -> bool:
        gc.collect()
        return held[0]() is None

    async def wait() -> None:
        argument = threading.Event()
        held.append(weakref.ref(argument))
        await asyncio.to_thread(jobs.node, "waited", argument)

    try:
        first = jobs.start("p")
        await until(lambda: jobs.started == ["p"])
        job = jobs.runner.start(wait, principal="p")
        await until(lambda: len(held) == 1)
        job.cancel()
        await until(lambda: job.is_over)
        await until(is_freed)
        assert not first.is_over
    finally:
        jobs.release.set()
    await until(lambda: first.is_over)
    await jobs.runner.close(5)


async def test_a_cancelled_call_that_waited_keeps_nothing_alive_while_its_job_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_threads, "PLACES", 1)
    jobs = Sleepers("goes-on")
    held: list[weakref.ref[Any]] = []

    def is_freed() -> bool:
        gc.collect()
        return bool(held) and held[0]() is None

    def wait() -> "asyncio.Task[None]":
        argument = threading.Event()
        held.append(weakref.ref(argument))
        return asyncio.create_task(asyncio.to_thread(jobs.node, "waited", argument))

    async def run() -> None:
        first = asyncio.create_task(asyncio.to_thread(jobs.node, "first"))
        await asyncio.sleep(0)
        waiting = wait()
        await asyncio.sleep(0)
        waiting.cancel()
        del waiting
        await first

    try:
        job = jobs.runner.start(run, principal="p")
        await until(is_freed)
        assert not job.is_over
    finally:
        jobs.release.set()
    await until(lambda: job.is_over)
    assert jobs.started == ["first"]
    await jobs.runner.close(5)


async def test_a_runner_that_is_closed_leaves_its_loop_to_be_freed() -> None:
    runner = ThreadRunner("freed")
    loop = weakref.ref(runner.loop)

    async def work() -> int:
        return await asyncio.to_thread(int, "7")

    assert await runner.ask(work) == 7
    await runner.close(5)
    del runner

    def is_freed() -> bool:
        gc.collect()
        return loop() is None

    await until(is_freed)
