"""Nodes whose results are cached: what streams show of them, compared with LangGraph.

About `runtime/graphwire_runtime/drive/cache.py` and `runtime/graphwire_runtime/plan/policies.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from pickle import PicklingError
from typing import Annotated, Any

import pytest
from graphwire_runtime import START, CachePolicy, Command, StateGraph, interrupt
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, in_any_order, recorded

MODES = ["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]


class Log(TypedDict, total=False):
    number: int
    log: Annotated[list[Any], operator.add]


@dataclass
class Card:
    number: int = 0


def speaks(lg: Any) -> Callable[[Any], Any]:
    def node(state: Any) -> Any:
        lg.get_stream_writer()("spoken")
        return {"number": state["number"] + 1, "log": ["speaks"]}

    return node


def line(lg: Any, *nodes: Any, schema: Any = Log, route: Any = None) -> Any:
    graph = lg.StateGraph(schema).add_edge(lg.START, "n0")
    for index, (action, policy) in enumerate(nodes):
        graph.add_node(f"n{index}", action, cache_policy=policy)
        if route is None and index:
            graph.add_edge(f"n{index - 1}", f"n{index}")
    return graph if route is None else graph.add_conditional_edges("n0", route)


def fan(lg: Any) -> Any:
    graph = lg.StateGraph(Log).add_node("end", lambda state: {"log": ["end"]})
    for name, policy in (("a", None), ("b", lg.CachePolicy()), ("c", lg.CachePolicy())):
        graph.add_node(name, lambda state, name=name: {"log": [name]}, cache_policy=policy)
        graph.add_edge(lg.START, name)
    return graph.add_edge(["b", "c"], "end")


def commands(lg: Any) -> Any:
    def node(state: Any) -> Any:
        return lg.Command(update={"log": ["sent"]}, goto=[lg.Send("n1", {"number": 7}), "n1"])

    return (
        lg.StateGraph(Log)
        .add_edge(lg.START, "n0")
        .add_node("n0", node, cache_policy=lg.CachePolicy())
        .add_node("n1", lambda state: {"log": [state["number"]]}, cache_policy=lg.CachePolicy())
    )


def fails(state: Any) -> Any:
    raise ValueError("no result, nothing to keep")


CASES: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "a node and one without a policy": lambda lg: (
        line(lg, (speaks(lg), lg.CachePolicy()), (lambda state: {"log": ["plain"]}, None)),
        {"number": 1},
    ),
    "a node that returns nothing": lambda lg: (
        line(lg, (lambda state: None, lg.CachePolicy())),
        {"number": 1},
    ),
    "a node with a router": lambda lg: (
        line(
            lg,
            (speaks(lg), lg.CachePolicy()),
            (lambda state: {"log": [state["number"]]}, None),
            route=lambda state: "n1",
        ),
        {"number": 1},
    ),
    "a key of one's own": lambda lg: (
        line(lg, (speaks(lg), lg.CachePolicy(key_func=lambda state: "same", ttl=60))),
        {"number": 1},
    ),
    "a key in bytes": lambda lg: (
        line(lg, (speaks(lg), lg.CachePolicy(key_func=lambda state: b"same"))),
        {"number": 1},
    ),
    "commands and sends": lambda lg: (commands(lg), {"number": 1}),
    "a graph inside": lambda lg: (
        line(lg, (line(lg, (speaks(lg), lg.CachePolicy())).compile(), lg.CachePolicy())),
        {"number": 1},
    ),
    "a policy inside a graph whose parent has the cache": lambda lg: (
        line(lg, (line(lg, (speaks(lg), lg.CachePolicy())).compile(), None)),
        {"number": 1},
    ),
    "a message that a node returns": lambda lg: (
        line(
            lg,
            (lambda state: {"messages": [AIMessage("hey", id="a")]}, lg.CachePolicy()),
            schema=lg.MessagesState,
        ),
        {"messages": [HumanMessage("hi", id="h")]},
    ),
    "a dataclass state": lambda lg: (
        line(lg, (lambda state: {"number": state.number + 1}, lg.CachePolicy()), schema=Card),
        {"number": 1},
    ),
    "a node that fails": lambda lg: (line(lg, (fails, lg.CachePolicy())), {"number": 1}),
}


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("saver", [False, True], ids=["", "thread"])
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_cached_results_stream_the_same(case: Any, how: str, saver: bool) -> None:
    seen: list[list[Any]] = []
    for lg in (OURS, THEIRS):
        builder, value = case(lg)
        graph = builder.compile(cache=InMemoryCache(), checkpointer=InMemorySaver() if saver else None)
        seen.append([])
        for turn in range(3):
            config = {"configurable": {"thread_id": str(turn)}}
            alike = case is CASES["commands and sends"]
            chunks, error = await recorded(
                graph, value, how, alike=alike, stream_mode=MODES, subgraphs=True, config=config
            )
            seen[-1].append((in_any_order(chunks) if alike else chunks, error))
            if saver:
                view = View()
                seen[-1].append([view(snapshot) for snapshot in graph.get_state_history(config)])
            if turn == 1:
                graph.clear_cache()
    assert seen[0] == seen[1]


@pytest.mark.filterwarnings("default")
async def test_cached_tasks_are_shown_before_those_that_run(drain: Any) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        graph = fan(lg).compile(cache=InMemoryCache())
        await drain(graph, {"number": 1})
        seen.append(await drain(graph, {"number": 1}, stream_mode=["updates", "values"]))
    assert seen[0] == seen[1]
    known = {"__metadata__": {"cached": True}}
    assert [chunk for mode, chunk in seen[0] if mode == "updates"][:2] == [
        {"b": {"log": ["b"]}, **known},
        {"c": {"log": ["c"]}, **known},
    ]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("policy", "value"),
    [({"key_func": lambda state: 5}, {"number": 1}), ({}, {"log": [lambda: 1]})],
    ids=["a key that is none", "an input that cannot be pickled"],
)
async def test_a_node_whose_input_has_no_key_does_not_start(policy: Any, value: Any, drain: Any) -> None:
    kinds = []
    for lg in (OURS, THEIRS):
        graph = line(lg, (speaks(lg), lg.CachePolicy(**policy))).compile(cache=InMemoryCache())
        with pytest.raises((TypeError, AttributeError, PicklingError)) as caught:
            await drain(graph, value, stream_mode=["tasks"], into=(chunks := []))
        kinds.append((caught.type, chunks))
    assert kinds[0] == kinds[1]


async def test_a_result_that_needed_an_answer_is_cached_too(drain: Any) -> None:
    def ask(state: Log) -> Log:
        return {"log": [interrupt("what?")]}

    builder = line(OURS, (ask, CachePolicy()))
    graph = builder.compile(cache=InMemoryCache(), checkpointer=InMemorySaver())
    first, second = ({"configurable": {"thread_id": name}} for name in "ab")
    await drain(graph, {"number": 1}, config=first)
    await drain(graph, Command(resume="this"), config=first)
    chunks = await drain(graph, {"number": 1}, config=second)
    assert chunks == [{"n0": {"log": ["this"]}, "__metadata__": {"cached": True}}]


async def test_equal_inputs_have_one_key_whatever_their_order(drain: Any) -> None:
    runs: list[Any] = []

    def work(state: Any) -> Any:
        runs.append(state)

    graph = line(OURS, (work, CachePolicy()), schema=dict_state()).compile(cache=InMemoryCache())
    for value in ({"a": 1, "b": {2, 3}}, {"b": {3, 2}, "a": 1}, {"a": 1, "b": [2, 3]}):
        await drain(graph, {"value": value})
    assert len(runs) == 2


def dict_state() -> Any:
    return TypedDict("dict_state", {"value": dict})


async def test_a_result_is_cached_although_a_node_beside_it_fails() -> None:
    cache = InMemoryCache()
    graph = fan(OURS).add_node("bad", fails)
    graph.add_edge(START, "bad")
    broken = graph.compile(cache=cache)
    with pytest.raises(ValueError, match="nothing to keep"):
        list(broken.stream({"number": 1}, config={"max_concurrency": 1}))
    whole = fan(OURS).compile(cache=cache)
    assert [chunk for chunk in whole.stream({"number": 1}) if "__metadata__" in chunk]


def test_a_cleared_node_runs_again_and_others_do_not() -> None:
    graph = fan(OURS).compile(cache=InMemoryCache())
    graph.invoke({"number": 1})
    graph.clear_cache(["b"])
    known = [name for chunk in graph.stream({"number": 1}) if "__metadata__" in chunk for name in chunk]
    assert known == ["c", "__metadata__"]


async def test_a_cache_is_cleared_on_the_event_loop_too() -> None:
    graph = fan(OURS).compile(cache=InMemoryCache())
    await graph.ainvoke({"number": 1})
    await graph.aclear_cache()
    assert not [chunk async for chunk in graph.astream({"number": 1}) if "__metadata__" in chunk]


def test_unknown_nodes_cannot_be_cleared() -> None:
    with pytest.raises(ValueError, match="has no cache to clear"):
        fan(OURS).compile().clear_cache()
    with pytest.raises(ValueError, match="'z' is no node"):
        fan(OURS).compile(cache=InMemoryCache()).clear_cache(["z"])


def test_an_object_that_is_no_cache_or_no_policy_is_refused() -> None:
    with pytest.raises(TypeError, match=r"got a dict, which has no aget\(\)"):
        fan(OURS).compile(cache={})
    with pytest.raises(TypeError, match="cache_policy of node 'n' must be a CachePolicy"):
        StateGraph(Log).add_node("n", fails, cache_policy=60)  # type: ignore[arg-type]


def test_a_default_policy_applies_to_nodes_without_their_own() -> None:
    ran: list[str] = []

    def node(state: Log) -> Log:
        ran.append("ran")
        return {"log": ["kept"]}

    built = StateGraph(Log).add_node("node", node).add_edge(START, "node")
    graph = built.set_node_defaults(cache_policy=CachePolicy()).compile(cache=InMemoryCache())
    assert [graph.invoke({"number": 1})["log"] for _ in range(2)] == [["kept"], ["kept"]]
    assert ran == ["ran"]
