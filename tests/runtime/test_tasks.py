"""The tasks and debug modes: when each task starts and how it ends.

About `runtime/graphwire_runtime/stream/display.py`.
"""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Any, TypedDict

import pytest
from graphwire_runtime import START, Command, Send, StateGraph


class Work(TypedDict, total=False):
    a: int
    b: int


def two() -> Any:
    graph = StateGraph(Work).add_sequence([("one", lambda s: {"a": 1}), ("two", lambda s: {"b": s["a"] + 1})])
    return graph.set_entry_point("one").compile()


async def test_a_task_shows_its_input_when_it_starts_and_its_writes_when_it_ends(drain: Any) -> None:
    start, end, *_ = await drain(two(), {"a": 0}, stream_mode="tasks")
    assert start == {"id": start["id"], "name": "one", "input": {"a": 0}, "triggers": ("branch:to:one",)}
    assert end == {"id": start["id"], "name": "one", "error": None, "result": {"a": 1}, "interrupts": []}
    assert [len(part) for part in start["id"].split("-")] == [8, 4, 4, 4, 12]


async def test_debug_is_the_same_with_step_and_time_around_it_and_comes_second(drain: Any) -> None:
    chunks = await drain(two(), {}, stream_mode=["debug", "tasks"])
    assert [mode for mode, _ in chunks] == ["tasks", "debug"] * 4
    for (_, payload), (_, event) in zip(chunks[::2], chunks[1::2], strict=True):
        assert event["payload"] == payload
        assert datetime.fromisoformat(event["timestamp"]).tzinfo is not None
    assert [(event["step"], event["type"]) for _, event in chunks[1::2]] == [
        (1, "task"),
        (1, "task_result"),
        (2, "task"),
        (2, "task_result"),
    ]


async def test_all_tasks_of_a_step_are_announced_before_any_ends(drain: Any) -> None:
    graph = StateGraph(Work).add_node("each", lambda n: None)
    graph.add_conditional_edges(START, lambda s: [Send("each", n) for n in range(3)])
    chunks = await drain(graph.compile(), {}, stream_mode="tasks")
    assert [chunk.get("input", "ended") for chunk in chunks] == [0, 1, 2, "ended", "ended", "ended"]
    assert {chunk["triggers"] for chunk in chunks[:3]} == {("__pregel_push",)}
    assert len({chunk["id"] for chunk in chunks}) == 3


async def test_a_failure_is_in_the_result_and_its_task_in_the_notes_of_the_exception(drain: Any) -> None:
    def break_down(state: Work) -> None:
        raise ValueError("broken")

    graph = StateGraph(Work).add_node(break_down).add_edge(START, "break_down").compile()
    chunks: list[Any] = []
    with pytest.raises(ValueError, match="broken") as caught:
        await drain(graph, {}, stream_mode="tasks", into=chunks)
    assert chunks[1]["error"] is caught.value
    assert chunks[1]["result"] == {}
    if sys.version_info >= (3, 11):
        assert caught.value.__notes__ == [f"During task with name 'break_down' and id '{chunks[1]['id']}'"]


async def test_several_writes_of_one_key_are_all_in_the_result(drain: Any) -> None:
    def node(state: Work) -> Any:
        return [Command(update={"a": 1}), {"b": 2}]

    graph = StateGraph(Work).add_node(node).add_edge(START, "node").compile()
    assert (await drain(graph, {}, stream_mode="tasks"))[1]["result"] == {"a": 1, "b": 2}


async def test_tags_and_metadata_of_the_caller_and_the_node_are_shown(drain: Any) -> None:
    graph = (
        StateGraph(Work).add_node("n", lambda s: None, metadata={"node": 1}).add_edge(START, "n").compile()
    )
    config = {"tags": ["t"], "metadata": {"user": 2}, "configurable": {"thread_id": "x"}}
    start, _ = await drain(graph, {}, stream_mode="tasks", config=config)
    assert start["metadata"] == {"user": 2, "node": 1, "tags": ["t"]}


async def test_the_order_of_all_modes_within_a_step(drain: Any, speaker: Any) -> None:
    def node(state: Work, writer: Any) -> dict[str, Any]:
        writer("begin")
        speaker(words="word").invoke("hi")
        writer("end")
        return {"b": 1}

    graph = StateGraph(Work).add_node(node).add_edge(START, "node").compile()
    modes = ["custom", "messages", "tasks", "updates", "values"]
    for asked in (modes, modes[::-1]):
        chunks = await drain(graph, {"a": 0}, stream_mode=asked)
        assert [mode for mode, _ in chunks] == (
            ["values", "tasks", "custom", "messages", "messages", "custom", "updates", "tasks", "values"]
        )
