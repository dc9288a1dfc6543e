"""The custom mode: what nodes put into their stream writers; and what else a node can ask of its run.

About `runtime/graphwire_runtime/plan/runtime.py` and `runtime/graphwire_runtime/stream/outlet.py`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from graphwire_runtime import END, START, Runtime, StateGraph, StreamWriter, get_stream_writer
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool


class Job(TypedDict, total=False):
    done: int


def graph_of(node: Callable[..., Any]) -> Any:
    return StateGraph(Job).add_node("work", node).add_edge(START, "work").compile()


def by_function(state: Job) -> None:
    get_stream_writer()("said")


def by_parameter(state: Job, writer: StreamWriter) -> None:
    writer("said")


def by_bare_parameter(state: Job, writer) -> None:  # type: ignore[no-untyped-def]
    writer("said")


def by_keyword(state: Job, *, writer: StreamWriter) -> None:
    writer("said")


def by_runtime(state: Job, runtime: Runtime[Any]) -> None:
    runtime.stream_writer("said")


def by_tool(state: Job) -> None:
    @tool
    def speak(word: str) -> str:
        """Speak."""
        get_stream_writer()(word)
        return word

    speak.invoke({"word": "said"})


class Speaking:
    def __call__(self, state: Job, writer: StreamWriter) -> None:
        writer("said")


@pytest.mark.parametrize(
    "node", [by_function, by_parameter, by_bare_parameter, by_keyword, by_runtime, by_tool, Speaking()]
)
async def test_a_node_finds_its_writer(node: Callable[..., Any], drain: Any) -> None:
    assert await drain(graph_of(node), {}, stream_mode="custom") == ["said"]
    assert await drain(graph_of(node), {}, stream_mode="updates") == [{"work": None}], "no consumer asked"


async def test_an_async_node_finds_its_writer_on_every_python() -> None:
    async def work(state: Job, writer: StreamWriter, config: RunnableConfig) -> dict[str, Any]:
        writer("parameter")
        await asyncio.sleep(0)
        get_stream_writer()("function")
        await asyncio.create_task(child())
        await asyncio.to_thread(lambda: get_stream_writer()("thread"))
        return {"done": len(config["metadata"]["langgraph_node"])}

    async def child() -> None:
        get_stream_writer()("child task")

    chunks = [chunk async for chunk in graph_of(work).astream({}, stream_mode=["custom", "updates"])]
    assert chunks == [
        ("custom", "parameter"),
        ("custom", "function"),
        ("custom", "child task"),
        ("custom", "thread"),
        ("updates", {"work": {"done": 4}}),
    ]


async def test_a_writer_passed_to_a_thread_works_there(drain: Any) -> None:
    def work(state: Job, writer: StreamWriter) -> None:
        thread = threading.Thread(target=writer, args=("from afar",))
        thread.start()
        thread.join()

    assert await drain(graph_of(work), {}, stream_mode="custom") == ["from afar"]


def test_there_is_no_writer_where_no_node_runs() -> None:
    with pytest.raises(RuntimeError, match="no node is running"):
        get_stream_writer()


async def test_payloads_are_passed_on_without_a_copy(drain: Any) -> None:
    payload = object()

    def work(state: Job, writer: StreamWriter) -> None:
        writer(None)
        writer(payload)

    assert await drain(graph_of(work), {}, stream_mode="custom") == [None, payload]


def test_chunks_are_delivered_while_the_node_is_still_at_work() -> None:
    received = threading.Event()

    def work(state: Job, writer: StreamWriter) -> dict[str, Any]:
        writer("early")
        return {"done": int(received.wait(timeout=5))}

    stream = graph_of(work).stream({}, stream_mode=["custom", "updates"])
    assert next(stream) == ("custom", "early")
    received.set()
    assert list(stream) == [("updates", {"work": {"done": 1}})]


async def test_async_chunks_are_delivered_while_the_node_is_still_at_work() -> None:
    received = asyncio.Event()

    async def work(state: Job, writer: StreamWriter) -> dict[str, Any]:
        writer("early")
        await asyncio.wait_for(received.wait(), 5)
        return {"done": 1}

    stream = graph_of(work).astream({}, stream_mode=["custom", "updates"])
    assert await anext(stream) == ("custom", "early")
    received.set()
    assert [chunk async for chunk in stream] == [("updates", {"work": {"done": 1}})]


async def test_what_was_written_before_a_failure_is_delivered(drain: Any) -> None:
    def work(state: Job, writer: StreamWriter) -> None:
        writer("last words")
        raise ValueError("gone")

    graph, chunks = graph_of(work), []
    with pytest.raises(ValueError, match="gone"):
        await drain(graph, {}, stream_mode="custom", into=chunks)
    assert chunks == ["last words"]


async def test_custom_data_of_a_router_comes_before_the_update_of_its_node(drain: Any) -> None:
    def route(state: Job, writer: StreamWriter) -> str:
        writer("this way")
        return END

    graph = StateGraph(Job).add_node("work", lambda state: {"done": 1}).add_edge(START, "work")
    graph.add_conditional_edges("work", route)
    assert await drain(graph.compile(), {}, stream_mode=["custom", "updates"]) == [
        ("custom", "this way"),
        ("updates", {"work": {"done": 1}}),
    ]


async def test_a_parameter_of_that_name_with_its_own_meaning_is_left_alone(drain: Any) -> None:
    def work(state: Job, writer: int = 3) -> dict[str, Any]:
        return {"done": writer}

    assert await drain(graph_of(work), {}) == [{"work": {"done": 3}}]


async def test_the_context_reaches_nodes_through_the_runtime(drain: Any) -> None:
    from dataclasses import dataclass

    @dataclass
    class Who:
        name: str
        age: int = 7

    def work(state: Job, runtime: Runtime[Who]) -> dict[str, Any]:
        return {"done": runtime.context.age if runtime.context else -1}

    graph = StateGraph(Job, context_schema=Who).add_node("work", work).add_edge(START, "work").compile()
    assert await drain(graph, {}, context={"name": "Ada"}) == [{"work": {"done": 7}}]
    assert await drain(graph, {}, context=Who("Ada", 9)) == [{"work": {"done": 9}}]
    assert await drain(graph, {}) == [{"work": {"done": -1}}]
    outer = StateGraph(Job).add_node("inner", graph).add_edge(START, "inner").compile()
    assert await drain(outer, {}, context=Who("Ada", 5)) == [{"inner": {"done": 5}}]


async def test_modes_can_be_printed_beside_the_stream(drain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    graph = StateGraph(Job).add_node("node", lambda state: {"done": 1}).add_edge(START, "node").compile()
    assert await drain(graph, {}, print_mode=["values", "updates"]) == [{"node": {"done": 1}}]
    assert capsys.readouterr().out.splitlines() == [
        "\x1b[1m[updates]\x1b[0m {'node': {'done': 1}}",
        "\x1b[1m[values]\x1b[0m {'done': 1}",
    ]
