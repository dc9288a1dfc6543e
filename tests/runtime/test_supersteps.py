"""Supersteps: what runs together, in which order writes count, joins, deferral and the limit.

About `runtime/graphwire_runtime/step/prepare.py`, `runtime/graphwire_runtime/step/schedule.py` and
`runtime/graphwire_runtime/step/standing.py`.
"""

from __future__ import annotations

import asyncio
import operator
import threading
from contextvars import ContextVar
from typing import Annotated, Any

import pytest
from graphwire_runtime import (
    END,
    START,
    EmptyInputError,
    GraphRecursionError,
    InvalidUpdateError,
    Send,
    StateGraph,
)
from typing_extensions import TypedDict


class Diary(TypedDict, total=False):
    lines: Annotated[list[Any], operator.add]
    mood: str


def writes(*lines: Any) -> Any:
    return lambda state: {"lines": list(lines)}


def fan(*names: str, **nodes: Any) -> StateGraph:
    graph = StateGraph(Diary)
    for name in names:
        graph.add_node(name, nodes.get(name, writes(name))).add_edge(START, name)
    return graph


def test_sync_nodes_of_a_step_run_at_the_same_time() -> None:
    meeting = threading.Barrier(3)

    def meet(state: Diary) -> dict[str, Any]:
        meeting.wait(timeout=5)
        return {"lines": ["met"]}

    assert fan("a", "b", "c", a=meet, b=meet, c=meet).compile().invoke({}) == {"lines": ["met"] * 3}


async def test_async_nodes_of_a_step_run_at_the_same_time() -> None:
    rang = asyncio.Event()

    async def wait(state: Diary) -> dict[str, Any]:
        await asyncio.wait_for(rang.wait(), 5)
        return {"lines": ["received"]}

    async def ring(state: Diary) -> dict[str, Any]:
        rang.set()
        return {"lines": ["rang"]}

    graph = fan("first", "second", first=wait, second=ring).compile()
    chunks = [chunk async for chunk in graph.astream({}, stream_mode=["updates", "values"])]
    assert chunks == [
        ("updates", {"second": {"lines": ["rang"]}}),
        ("updates", {"first": {"lines": ["received"]}}),
        ("values", {"lines": ["received", "rang"]}),
    ], "updates come as nodes end, writes count in the order of names"


@pytest.mark.parametrize("most", [1, 2])
async def test_max_concurrency_caps_how_many_run_at_once(most: int, drain: Any) -> None:
    lock, now, peak = threading.Lock(), 0, 0
    full = threading.Semaphore(0)

    def work(state: Diary) -> dict[str, Any]:
        nonlocal now, peak
        with lock:
            now += 1
            peak = max(peak, now)
        if most > 1:
            full.release()
            full.acquire(timeout=5)
        with lock:
            now -= 1
        return {"lines": [1]}

    graph = fan("a", "b", "c", "d", a=work, b=work, c=work, d=work).compile()
    await drain(graph, {}, config={"max_concurrency": most})
    assert peak <= most


async def test_no_context_leaks_from_one_task_to_the_next_in_line(drain: Any) -> None:
    mark: ContextVar[str] = ContextVar("mark", default="clean")

    def touch(state: Diary) -> dict[str, Any]:
        before = mark.get()
        mark.set("dirty")
        return {"lines": [before]}

    graph = fan("a", "b", "c", a=touch, b=touch, c=touch).compile()
    chunks = await drain(graph, {}, config={"max_concurrency": 1}, stream_mode="values")
    assert chunks[-1] == {"lines": ["clean"] * 3}
    assert mark.get() == "clean"


async def test_writes_are_applied_in_the_order_of_names_then_of_sends(drain: Any) -> None:
    graph = StateGraph(Diary)
    graph.add_node("plan", lambda state: None).add_edge(START, "plan")
    graph.add_node("zebra", writes("zebra")).add_node("ant", writes("ant"))
    graph.add_node("each", lambda payload: {"lines": [payload]})
    graph.add_conditional_edges("plan", lambda state: ["zebra", Send("each", 2), "ant", Send("each", 1)])
    chunks = await drain(graph.compile(), {}, stream_mode="values")
    assert chunks == [{"lines": ["ant", "zebra", 2, 1]}]


async def test_two_writes_to_a_key_without_reducer_fail_after_both_updates(drain: Any) -> None:
    graph = fan("a", "b", a=lambda s: {"mood": "up"}, b=lambda s: {"mood": "down"}).compile()
    chunks: list[Any] = []
    with pytest.raises(InvalidUpdateError, match=r"'mood'.*one value per superstep.*reducer"):
        await drain(graph, {}, stream_mode=["updates", "values"], into=chunks)
    assert sorted(map(repr, chunks)) == [
        "('updates', {'a': {'mood': 'up'}})",
        "('updates', {'b': {'mood': 'down'}})",
    ]


def uneven(join: bool, defer: bool = False) -> Any:
    graph = StateGraph(Diary)
    for name in ("quick", "slow", "slower"):
        graph.add_node(name, writes(name))
    graph.add_node("last", writes("last"), defer=defer)
    graph.add_edge(START, "quick").add_edge(START, "slow").add_edge("slow", "slower")
    if join:
        graph.add_edge(["quick", "slower"], "last")
    else:
        graph.add_edge("quick", "last").add_edge("slower", "last")
    return graph.compile()


@pytest.mark.parametrize(
    ("join", "defer", "lines"),
    [
        (False, False, ["quick", "slow", "last", "slower", "last"]),
        (True, False, ["quick", "slow", "slower", "last"]),
        (False, True, ["quick", "slow", "slower", "last"]),
    ],
    ids=[
        "plain edges run it once per arrival",
        "a list-edge waits for all",
        "a deferred node runs at the end",
    ],
)
async def test_arms_of_different_length(join: bool, defer: bool, lines: list[str], drain: Any) -> None:
    assert (await drain(uneven(join, defer), {}, stream_mode="values"))[-1] == {"lines": lines}


async def test_a_join_waits_again_after_it_has_fired(drain: Any) -> None:
    graph = StateGraph(Diary)
    for name in ("left", "right", "both"):
        graph.add_node(name, writes(name))
    graph.add_edge(START, "left").add_edge(START, "right").add_edge(["left", "right"], "both")
    graph.add_conditional_edges("both", lambda state: ["left", "right"] if len(state["lines"]) < 6 else END)
    chunks = await drain(graph.compile(), {}, stream_mode="values")
    assert chunks[-1] == {"lines": ["left", "right", "both"] * 2}


async def test_arrivals_at_a_join_that_has_fired_count_only_after_its_node_has_run(drain: Any) -> None:
    graph = StateGraph(Diary)
    for name in ("left", "right", "again"):
        graph.add_node(name, writes(name))
    graph.add_node("both", writes("both"), defer=True)
    graph.add_edge(START, "left").add_edge(START, "right").add_edge(["left", "right"], "both")
    graph.add_conditional_edges("left", lambda state: "again" if state["lines"].count("left") < 2 else END)
    graph.add_edge("again", "left").add_edge("both", END)
    chunks = await drain(graph.compile(), {}, stream_mode="values")
    assert chunks[-1] == {"lines": ["left", "right", "again", "left", "both"]}
    graph.add_conditional_edges("both", lambda state: "right" if state["lines"].count("both") < 2 else END)
    chunks = await drain(graph.compile(), {}, stream_mode="values")
    assert chunks[-1] == {"lines": ["left", "right", "again", "left", "both", "right"]}, (
        "left has not come again"
    )


def counter() -> Any:
    class Count(TypedDict):
        n: int

    def add(state: Count) -> dict[str, int]:
        return {"n": state["n"] + 1}

    return StateGraph(Count).add_node(add).add_edge(START, "add").add_edge("add", "add").compile()


async def test_the_recursion_limit_allows_that_many_supersteps(drain: Any) -> None:
    graph, chunks = counter(), []
    with pytest.raises(GraphRecursionError, match="3 supersteps"):
        await drain(graph, {"n": 0}, config={"recursion_limit": 3}, stream_mode="values", into=chunks)
    assert chunks == [{"n": 0}, {"n": 1}, {"n": 2}, {"n": 3}]
    with pytest.raises(RecursionError):
        await drain(graph, {"n": 0}, config={"recursion_limit": 1})
    with pytest.raises(ValueError, match="at least 1, got 0"):
        await drain(graph, {"n": 0}, config={"recursion_limit": 0})


async def test_a_run_that_uses_up_its_limit_fails_even_with_nothing_left(drain: Any) -> None:
    graph = fan("only").compile()
    with pytest.raises(GraphRecursionError):
        await drain(graph, {}, config={"recursion_limit": 1})
    assert await drain(graph, {}, config={"recursion_limit": 2}) == [{"only": {"lines": ["only"]}}]


async def test_nothing_runs_before_the_first_chunk_is_asked_for_nor_between_steps() -> None:
    ran: list[str] = []

    def note(name: str) -> Any:
        return lambda state: ran.append(name)

    graph = (
        StateGraph(Diary).add_sequence([("a", note("a")), ("b", note("b"))]).set_entry_point("a").compile()
    )
    stream = graph.stream({}, stream_mode="updates")
    assert ran == []
    next(stream)
    assert ran == ["a"]
    stream.close()
    assert ran == ["a"]


async def test_one_graph_serves_many_runs_at_once() -> None:
    gate = asyncio.Event()

    async def wait(state: Diary) -> dict[str, Any]:
        await gate.wait()
        return {"mood": state["mood"] + "!"}

    graph = StateGraph(Diary).add_node(wait).add_edge(START, "wait").compile()
    runs = [asyncio.create_task(graph.ainvoke({"mood": str(n), "lines": [n]})) for n in range(20)]
    gate.set()
    assert await asyncio.gather(*runs) == [{"mood": f"{n}!", "lines": [n]} for n in range(20)]


async def test_none_is_no_input(drain: Any) -> None:
    with pytest.raises(EmptyInputError, match=r"^the graph was given None as input"):
        await drain(fan("a").compile(), None)
