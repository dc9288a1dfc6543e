"""Runs that end early: closed, cancelled, or failed beside other nodes.

About `runtime/graphwire_runtime/drive/iterate.py` and `runtime/graphwire_runtime/drive/execute.py`.
"""

from __future__ import annotations

import asyncio
import operator
import threading
from typing import Annotated, Any

import pytest
from graphwire_runtime import START, NodeCancelledError, StateGraph, StreamWriter
from typing_extensions import TypedDict


class Log(TypedDict, total=False):
    lines: Annotated[list[str], operator.add]


def side_by_side(**nodes: Any) -> Any:
    graph = StateGraph(Log)
    for name, node in nodes.items():
        graph.add_node(name, node).add_edge(START, name)
    return graph.compile()


def test_a_sync_sibling_of_a_failure_is_waited_for_and_its_update_shown() -> None:
    failed = threading.Event()

    def bad(state: Log) -> None:
        failed.set()
        raise ValueError("bad")

    def slow(state: Log) -> dict[str, Any]:
        assert failed.wait(5)
        return {"lines": ["slow"]}

    stream = side_by_side(bad=bad, slow=slow).stream({}, stream_mode="updates")
    assert next(stream) == {"slow": {"lines": ["slow"]}}
    with pytest.raises(ValueError, match="bad"):
        next(stream)


async def test_an_async_sibling_of_a_failure_is_cancelled() -> None:
    cancelled, started = asyncio.Event(), asyncio.Event()

    async def bad(state: Log) -> None:
        await started.wait()
        raise ValueError("bad")

    async def slow(state: Log) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with pytest.raises(ValueError, match="bad"):
        await asyncio.wait_for(side_by_side(bad=bad, slow=slow).ainvoke({}), 5)
    assert cancelled.is_set()


def patient() -> tuple[Any, asyncio.Event, asyncio.Event]:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(state: Log, writer: StreamWriter) -> None:
        writer("started")
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    return side_by_side(wait=wait), started, cancelled


async def test_closing_an_async_stream_cancels_the_node_at_work() -> None:
    graph, _, cancelled = patient()
    stream = graph.astream({}, stream_mode="custom")
    assert await anext(stream) == "started"
    assert not cancelled.is_set()
    await stream.aclose()
    assert cancelled.is_set()


@pytest.mark.parametrize("mode", ["custom", "values"])
async def test_cancelling_the_consumer_cancels_the_node_at_work(mode: str) -> None:
    graph, started, cancelled = patient()

    async def consume() -> None:
        async for _ in graph.astream({}, stream_mode=mode):
            pass

    consumer = asyncio.create_task(consume())
    await asyncio.wait_for(started.wait(), 5)
    consumer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consumer
    assert cancelled.is_set()


async def test_cancelling_an_invocation_cancels_the_nodes_of_nested_graphs() -> None:
    graph, started, cancelled = patient()
    run = asyncio.create_task(side_by_side(outer=graph).ainvoke({}))
    await asyncio.wait_for(started.wait(), 5)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert cancelled.is_set()


async def test_a_node_that_cancels_itself_does_not_look_like_a_cancelled_run() -> None:
    async def quit(state: Log) -> None:
        raise asyncio.CancelledError

    with pytest.raises(NodeCancelledError, match="'quit'"):
        await side_by_side(quit=quit).ainvoke({})


def test_closing_a_sync_stream_waits_for_the_node_and_starts_no_other() -> None:
    closing, ended, after = threading.Event(), threading.Event(), threading.Event()

    def work(state: Log, writer: StreamWriter) -> None:
        writer("first")
        closing.wait(5)
        writer("unheard")
        ended.set()

    graph = StateGraph(Log).add_sequence([("work", work), ("after", lambda state: after.set())])
    stream = graph.set_entry_point("work").compile().stream({}, stream_mode="custom")
    assert next(stream) == "first"
    closing.set()
    stream.close()
    assert ended.is_set()
    assert not after.is_set()


async def test_a_sync_node_in_a_thread_finishes_after_the_stream_is_closed() -> None:
    go, ended = threading.Event(), threading.Event()

    def work(state: Log, writer: StreamWriter) -> None:
        writer("first")
        go.wait(5)
        writer("unheard")
        ended.set()

    stream = side_by_side(work=work).astream({}, stream_mode="custom")
    assert await anext(stream) == "first"
    await stream.aclose()
    assert not ended.is_set()
    go.set()
    assert await asyncio.to_thread(ended.wait, 5)


async def test_after_a_failure_max_concurrency_starts_no_further_node() -> None:
    begun: list[str] = []

    def node(name: str) -> Any:
        def work(state: Log) -> None:
            begun.append(name)
            raise ValueError(name)

        return work

    graph = side_by_side(a=node("a"), b=node("b"), c=node("c"))
    with pytest.raises(ValueError, match="a"):
        graph.invoke({}, {"max_concurrency": 1})
    with pytest.raises(ValueError, match="a"):
        await graph.ainvoke({}, {"max_concurrency": 1})
    assert begun == ["a", "a"]


async def test_a_node_that_fails_at_once_ends_the_run_before_the_others_start() -> None:
    async def fail(state: Log) -> None:
        raise ValueError("at once")

    async def wait(state: Log) -> None:
        await asyncio.Event().wait()

    graph = StateGraph(Log).add_node("fail", fail).add_node("wait", wait)
    graph.add_edge(START, "fail").add_edge(START, "wait")
    with pytest.raises(ValueError, match="at once"):
        await asyncio.wait_for(graph.compile().ainvoke({}), 5)
