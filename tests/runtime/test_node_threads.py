"""Nodes and routers without async code run in threads that are borrowed from the loop's executor.

About `runtime/graphwire_runtime/drive/node_threads.py`.
"""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import traceback
import weakref
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, TypedDict

import pytest
from graphwire_runtime import START, StateGraph
from graphwire_runtime.drive import node_threads
from graphwire_runtime.drive.node_threads import NodeCall, in_thread, use_threads
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.waiting import until


class State(TypedDict, total=False):
    number: int


def chain(length: int, seen: list[str], *, sync_node: bool = True) -> Any:
    """A graph of nodes with a router behind each; `seen` gets the names of the threads of what is sync."""

    def here() -> None:
        seen.append(threading.current_thread().name)

    def count(state: State) -> State:
        here()
        return {"number": state["number"] + 1}

    async def count_async(state: State) -> State:
        return {"number": state["number"] + 1}

    def to(target: str) -> Any:
        def router(state: State) -> str:
            here()
            return target

        return router

    builder: Any = StateGraph(State)
    for index in range(length):
        builder.add_node(f"node{index}", count if sync_node else count_async)
        if index:
            builder.add_conditional_edges(f"node{index - 1}", to(f"node{index}"))
    return builder.add_edge(START, "node0").compile()


def use_executor(threads: int) -> None:
    """Give the running loop a default executor with so many threads."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, "own"))


@pytest.fixture
async def patient(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Let borrowed threads wait long, so that a slow machine does not change which thread has a call."""
    monkeypatch.setattr(node_threads, "IDLE_S", 5.0)
    monkeypatch.setattr(node_threads, "LEASE_S", 1000.0)
    yield
    monkeypatch.setattr(node_threads, "IDLE_S", 0.0)
    await in_thread(int)  # the thread that waits takes this call, and then goes


@pytest.mark.parametrize("sync_node", [True, False])
async def test_one_thread_of_the_default_executor_has_all_sync_code_of_a_run_of_single_nodes(
    sync_node: bool, patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_executor(8)
    asked: list[Any] = []
    loop: Any = asyncio.get_running_loop()
    ask = type(loop).run_in_executor
    monkeypatch.setattr(
        type(loop), "run_in_executor", lambda loop, *args: asked.append(args) or ask(loop, *args)
    )
    seen: list[str] = []
    result = await chain(20, seen, sync_node=sync_node).ainvoke({"number": 0})
    assert result == {"number": 20}
    assert len(seen) == (39 if sync_node else 19)
    assert len(set(seen)) == 1
    assert seen[0].startswith("own")
    assert len(asked) == 1


async def test_a_superstep_of_a_sync_node_and_its_router_is_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[NodeCall] = []
    start = node_threads.BorrowedThreads.start

    def noted(self: node_threads.BorrowedThreads, call: NodeCall) -> None:
        started.append(call)
        start(self, call)

    monkeypatch.setattr(node_threads.BorrowedThreads, "start", noted)
    await chain(10, []).ainvoke({"number": 0})
    assert len(started) == 10


async def test_calls_at_once_have_a_thread_each_up_to_what_the_executor_has() -> None:
    use_executor(4)
    barrier = threading.Barrier(4)
    at_once = most = 0
    lock = threading.Lock()

    def work(number: int) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        barrier.wait(10)
        with lock:
            at_once -= 1
        return number

    assert await asyncio.gather(*(in_thread(work, number) for number in range(16))) == [*range(16)]
    assert most == 4


async def test_others_get_a_thread_though_calls_follow_each_other_without_a_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(node_threads, "IDLE_S", 1.0)  # only the end of the lease lets others in
    use_executor(1)
    is_over = False

    async def busy() -> int:
        calls = 0
        while not is_over:
            await in_thread(int)
            calls += 1
        return calls

    at_work = asyncio.create_task(busy())
    await in_thread(int)
    loop = asyncio.get_running_loop()
    for _ in range(3):
        assert await asyncio.wait_for(loop.run_in_executor(None, int, "7"), 10) == 7
    is_over = True
    assert await at_work > 10


async def test_a_thread_that_gets_no_call_goes_back_to_the_executor() -> None:
    use_executor(1)
    await in_thread(int)
    loop = asyncio.get_running_loop()
    assert await asyncio.wait_for(loop.run_in_executor(None, int, "7"), 10) == 7
    assert await in_thread(int, "8") == 8


async def test_a_call_of_a_cancelled_run_that_has_not_begun_never_does_and_leaves_its_turn_to_others() -> (
    None
):
    use_executor(1)
    release, ran = threading.Event(), list[str]()
    first = asyncio.create_task(in_thread(release.wait, 10))
    await asyncio.sleep(0)
    cancelled = asyncio.create_task(in_thread(ran.append, "cancelled"))
    await asyncio.sleep(0)
    last = asyncio.create_task(in_thread(ran.append, "last"))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    release.set()
    assert await first
    await last
    assert ran == ["last"]


async def test_a_cancelled_call_at_work_goes_on_and_its_thread_has_the_next_one() -> None:
    use_executor(1)
    at_work, release, ended = threading.Event(), threading.Event(), list[str]()

    def work() -> None:
        at_work.set()
        release.wait(10)
        ended.append("first")

    first = asyncio.create_task(in_thread(work))
    await until(at_work.is_set)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(in_thread(ended.append, "second"))
    release.set()
    await asyncio.wait_for(second, 10)
    assert ended == ["first", "second"]


async def test_a_call_sees_the_context_of_its_caller_and_changes_only_a_copy() -> None:
    var: ContextVar[str] = ContextVar("var", default="nobody")

    def work() -> str:
        was = var.get()
        var.set("the thread")
        return was

    async def caller(name: str) -> None:
        var.set(name)
        for _ in range(3):
            assert await in_thread(work) == name
        assert var.get() == name

    await asyncio.gather(*(caller(name) for name in "abcdef"))
    assert await in_thread(work) == "nobody"


@pytest.mark.parametrize("kind", [ValueError, TimeoutError, asyncio.CancelledError, SystemExit])
async def test_what_a_call_raises_comes_back_itself_with_its_traceback(kind: type[BaseException]) -> None:
    raised = kind("from the thread")

    def fails() -> None:
        raise raised

    with pytest.raises(kind) as caught:
        await in_thread(fails)
    assert caught.value is raised
    assert "fails" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert await in_thread(int, "7") == 7


async def test_a_thread_that_waits_keeps_nothing_alive(patient: None) -> None:
    class Thing:
        pass

    async def call() -> weakref.ref[Any]:
        thing = Thing()
        await in_thread(lambda: thing)
        return weakref.ref(thing)

    gone = await call()

    def is_freed() -> bool:
        gc.collect()
        return gone() is None

    await until(is_freed)
    threads: Any = node_threads._OF_LOOPS[asyncio.get_running_loop()]
    assert len(threads._idle) == 1, "it waits still"


async def test_the_loop_is_not_blocked_while_a_call_is_at_work() -> None:
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0.001)

    ticking = asyncio.create_task(tick())
    await in_thread(time.sleep, 0.1)
    ticking.cancel()
    assert ticks > 5


def test_a_closed_loop_is_freed_with_its_threads() -> None:
    async def run() -> weakref.ref[Any]:
        await in_thread(int)
        return weakref.ref(asyncio.get_running_loop())

    loop = asyncio.run(run())
    gc.collect()
    assert loop() is None


async def test_the_owner_of_a_loop_names_other_threads() -> None:
    made: list[NodeCall] = []

    class Threads:
        def start(self, call: NodeCall) -> None:
            made.append(call)
            call.work()
            call.end()

        def withdraw(self, call: NodeCall) -> None:
            pass

    loop = asyncio.get_running_loop()
    use_threads(loop, Threads())
    assert await in_thread(threading.get_ident) == threading.get_ident()
    assert len(made) == 1
    use_threads(loop, None)
    assert await in_thread(threading.get_ident) != threading.get_ident()


async def test_a_lone_sync_node_that_fails_is_replaced_by_its_error_handler() -> None:
    def fails(state: State) -> State:
        raise ValueError("no")

    def mends(state: State) -> State:
        return {"number": 7}

    builder: Any = StateGraph(State).add_node(fails, error_handler=mends)
    graph = builder.add_edge(START, "fails").compile()
    assert await graph.ainvoke({"number": 0}) == {"number": 7}
    assert [chunk async for chunk in graph.astream({"number": 0}, stream_mode="values")] == [
        {"number": 0},
        {"number": 7},
    ]


async def test_a_lone_sync_node_whose_run_is_cancelled_is_kept_as_one_that_failed() -> None:
    at_work, release = threading.Event(), threading.Event()

    def waits(state: State) -> State:
        at_work.set()
        release.wait(10)
        return {"number": 1}

    saver = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    graph = StateGraph(State).add_node(waits).add_edge(START, "waits").compile(checkpointer=saver)
    run = asyncio.create_task(graph.ainvoke({"number": 0}, config))
    try:
        await until(at_work.is_set)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    finally:
        release.set()
    kept = await saver.aget_tuple(config)
    assert kept is not None
    assert [(key, value) for _, key, value in kept.pending_writes or ()] == [
        ("__error__", "CancelledError()")
    ]
    assert await graph.ainvoke(None, config) == {"number": 1}
