"""Routers, Send and Command: what runs next.

About `runtime/graphwire_runtime/plan/plan.py`, `runtime/graphwire_runtime/step/schedule.py`,
`runtime/graphwire_runtime/step/task.py` and `runtime/graphwire_runtime/types.py`.
"""

from __future__ import annotations

import logging
import operator
from typing import Annotated, Any

import pytest
from graphwire_runtime import (
    END,
    START,
    Command,
    EmptyInputError,
    InvalidUpdateError,
    ParentCommand,
    Send,
    StateGraph,
)
from typing_extensions import TypedDict


class Trip(TypedDict, total=False):
    stops: Annotated[list[Any], operator.add]
    fuel: int


def stop(name: str) -> Any:
    return lambda state: {"stops": [name]}


def trip(first: Any, *others: str) -> StateGraph:
    graph = StateGraph(Trip).add_node("first", first).add_edge(START, "first")
    for name in others:
        graph.add_node(name, stop(name))
    return graph


async def stops(drain: Any, graph: StateGraph, value: Any = None, **kwargs: Any) -> Any:
    chunks = await drain(graph.compile(), {} if value is None else value, stream_mode="values", **kwargs)
    return chunks[-1]["stops"]


async def test_a_router_sees_the_state_with_its_nodes_own_update(drain: Any) -> None:
    graph = trip(lambda state: {"stops": ["first"], "fuel": state["fuel"] - 1}, "on")
    graph.add_conditional_edges(
        "first", lambda s: "on" if (s["stops"], s["fuel"]) == (["home", "first"], 4) else END
    )
    assert await stops(drain, graph, {"stops": ["home"], "fuel": 5}) == ["home", "first", "on"]


@pytest.mark.parametrize(
    ("answer", "path_map", "expected"),
    [
        ("left", None, ["first", "left"]),
        (END, None, ["first"]),
        (["left", "right"], None, ["first", "left", "right"]),
        (("right", END), None, ["first", "right"]),
        (True, {True: "left", False: "right"}, ["first", "left"]),
        ("left", ["left", END], ["first", "left"]),
        ([], None, ["first"]),
        (Send("left", None), {"x": "right"}, ["first", "left"]),
    ],
)
async def test_answers_that_a_router_may_give(
    answer: Any, path_map: Any, expected: list[str], drain: Any
) -> None:
    graph = trip(stop("first"), "left", "right")
    graph.add_conditional_edges("first", lambda state: answer, path_map)
    assert await stops(drain, graph) == expected


@pytest.mark.parametrize(
    ("answer", "path_map", "error", "words"),
    [
        (None, None, ValueError, "router 'route' of node 'first' returned NoneType None"),
        ("up", {"left": "left"}, KeyError, "answered 'up'.*knows 'left'"),
        (Send(END, 1), None, InvalidUpdateError, "to END"),
    ],
)
async def test_answers_that_a_router_may_not_give(
    answer: Any, path_map: Any, error: Any, words: str, drain: Any
) -> None:
    def route(state: Trip) -> Any:
        return answer

    graph = trip(stop("first"), "left").add_conditional_edges("first", route, path_map).compile()
    with pytest.raises(error, match=words):
        await drain(graph, {})


async def test_the_update_of_a_node_whose_router_fails_is_shown(drain: Any) -> None:
    def route(state: Trip) -> Any:
        raise LookupError("no map")

    graph = trip(stop("first")).add_conditional_edges("first", route).compile()
    chunks: list[Any] = []
    with pytest.raises(LookupError, match="no map"):
        await drain(graph, {}, stream_mode=["updates", "tasks"], into=chunks)
    assert chunks[1] == ("updates", {"first": {"stops": ["first"]}})
    result = chunks[2][1]
    assert (repr(result["error"]), result["result"]) == ("LookupError('no map')", {"stops": ["first"]})


async def test_jumps_to_unknown_nodes_are_logged_and_ignored(
    drain: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(state: Trip) -> Any:
        return Command(goto=["nowhere", Send("neverland", 1)], update={"stops": ["first"]})

    with caplog.at_level(logging.WARNING):
        assert await stops(drain, trip(lost)) == ["first"]
    assert "'nowhere'" in caplog.text
    assert "'neverland'" in caplog.text


async def test_a_send_gives_its_node_exactly_the_payload(drain: Any) -> None:
    graph = (
        trip(stop("first"))
        .add_node("visit", lambda payload: {"stops": [payload]})
        .add_node("end", stop("end"))
    )
    graph.add_edge("visit", "end")
    graph.add_conditional_edges(
        "first", lambda state: [Send("visit", {"town": n}) for n in range(3)], ["visit"]
    )
    assert await stops(drain, graph) == ["first", {"town": 0}, {"town": 1}, {"town": 2}, "end"]


async def test_routers_may_be_async_and_follow_start() -> None:
    async def route(state: Trip) -> str:
        return "b" if state["fuel"] > 1 else "a"

    graph = StateGraph(Trip).add_node("a", stop("a")).add_node("b", stop("b"))
    compiled = graph.set_conditional_entry_point(route).compile()
    assert (await compiled.ainvoke({"fuel": 2}))["stops"] == ["b"]
    with pytest.raises(TypeError, match="astream"):
        compiled.invoke({"fuel": 2})


async def test_a_command_updates_and_jumps_in_addition_to_the_edges(drain: Any) -> None:
    def both(state: Trip) -> Any:
        return Command(goto="extra", update={"stops": ["first"]})

    graph = trip(both, "extra", "fixed").add_edge("first", "fixed")
    assert await stops(drain, graph) == ["first", "extra", "fixed"]


@pytest.mark.parametrize("update", [{"fuel": 1}, [("fuel", 1), ("wings", 2)], None])
async def test_a_commands_update_is_written_in_any_form(update: Any, drain: Any) -> None:
    graph = trip(lambda state: Command(update=update)).compile()
    assert await drain(graph, {}) == [{"first": {"fuel": 1} if update else None}]


async def test_a_command_for_the_parent_is_the_parents_update(drain: Any) -> None:
    inner = StateGraph(Trip).add_node(
        "deep", lambda s: Command(graph=Command.PARENT, goto="after", update={"stops": ["up"]})
    )
    graph = StateGraph(Trip).add_node("sub", inner.add_edge(START, "deep").compile())
    compiled = graph.add_node("after", stop("after")).add_edge(START, "sub").compile()
    assert await drain(compiled, {}) == [{"sub": {"stops": ["up"]}}, {"after": {"stops": ["after"]}}]
    shown = await drain(compiled, {}, stream_mode=["tasks"], subgraphs=True)
    assert [(len(ns), chunk["name"], "result" in chunk) for ns, _, chunk in shown][:3] == [
        (0, "sub", False),
        (1, "deep", False),
        (0, "sub", True),
    ], "the inner task shows no result"


async def test_a_command_for_the_parent_of_the_outermost_graph_reaches_the_caller(drain: Any) -> None:
    graph = trip(lambda state: Command(graph=Command.PARENT, goto="x")).compile()
    with pytest.raises(ParentCommand):
        await drain(graph, {})


async def test_a_command_as_input_runs_its_target_beside_the_entry(drain: Any) -> None:
    graph = trip(stop("first"), "other")
    assert await stops(drain, graph, Command(goto="other", update={"fuel": 1})) == ["first", "other"]


@pytest.mark.parametrize(
    ("command", "error"),
    [
        (Command(), EmptyInputError),
        (Command(resume=1), RuntimeError),
        (Command(graph=Command.PARENT, update={"fuel": 1}), InvalidUpdateError),
    ],
)
async def test_commands_that_cannot_start_a_run(command: Any, error: Any, drain: Any) -> None:
    with pytest.raises(error):
        await drain(trip(stop("first")).compile(), command)
