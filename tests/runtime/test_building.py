"""Building: what `StateGraph` accepts, and which mistakes raise where.

About `runtime/graphwire_runtime/graph.py`, `runtime/graphwire_runtime/spec.py` and
`runtime/graphwire_runtime/plan/call.py`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypedDict

import pytest
from graphwire_runtime import END, START, StateGraph
from langchain_core.runnables import RunnableLambda


class S(TypedDict, total=False):
    a: str


def node(state: S) -> dict[str, Any]:
    return {"a": "x"}


def fresh() -> StateGraph:
    return StateGraph(S).add_node("one", node)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda g: g.compile(), ValueError, "no entry"),
        (lambda g: g.add_edge(START, "ghost").compile(), ValueError, "leads to 'ghost'"),
        (
            lambda g: g.add_edge(START, "one").add_edge("ghost", "one").compile(),
            ValueError,
            "starts at 'ghost'",
        ),
        (lambda g: g.add_edge(END, "one"), ValueError, "__end__ cannot be the start"),
        (lambda g: g.add_edge("one", START), ValueError, "__start__ cannot be the end"),
        (lambda g: g.add_edge(["one", "ghost"], "one"), ValueError, "needs a node 'ghost'"),
        (lambda g: g.add_node("one", node), ValueError, "already there"),
        (lambda g: g.add_node(START, node), ValueError, "where the graph starts"),
        (lambda g: g.add_node(END, node), ValueError, "where the graph ends"),
        (lambda g: g.add_node("a:b", node), ValueError, "':' separates"),
        (lambda g: g.add_node("a|b", node), ValueError, "'|' separates"),
        (
            lambda g: g.add_node("__input__", node).add_edge(START, "one").compile(),
            ValueError,
            "keeps for itself",
        ),
        (lambda g: g.add_node("two", 5), TypeError, "'two' must be a function.*got a int: 5"),
        (lambda g: g.add_node("two"), RuntimeError, "gives no action to run"),
        (lambda g: g.add_sequence([]), ValueError, "at least one node"),
        (
            lambda g: g.add_edge(START, "one").add_conditional_edges("one", node, {"x": "ghost"}).compile(),
            ValueError,
            "router 'node' of 'one' leads to 'ghost'",
        ),
        (
            lambda g: g.add_conditional_edges("one", node).add_conditional_edges("one", node),
            ValueError,
            "already has a router named 'node'",
        ),
        (
            lambda g: g.add_edge(START, "one").compile(checkpointer=object()),
            TypeError,
            "got a object, which has no get_tuple",
        ),
        (
            lambda g: g.add_edge(START, "one").compile(interrupt_before=["none"]),
            ValueError,
            "interrupt_before names 'none', which is no node",
        ),
    ],
)
def test_a_wrong_graph_is_refused(
    build: Callable[[StateGraph], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words.replace("|", r"\|")):
        build(fresh())


def test_a_reducer_takes_two_arguments() -> None:
    class Bad(TypedDict):
        a: Annotated[str, lambda old: old]

    with pytest.raises(ValueError, match="reducer of state key 'a'"):
        StateGraph(Bad)


def test_a_schema_has_fields() -> None:
    class Bare:
        pass

    with pytest.raises(TypeError, match="Bare"):
        StateGraph(Bare)


@pytest.mark.parametrize(
    ("action", "name"),
    [
        (node, "node"),
        (RunnableLambda(node), "node"),
        (functools.partial(node), "node"),
        (lambda state: {"a": "x"}, "<lambda>"),
    ],
)
def test_a_node_is_named_after_what_it_runs(action: Any, name: str) -> None:
    graph = StateGraph(S).add_node(action).add_edge(START, name).compile()
    assert list(graph.stream({})) == [{name: {"a": "x"}}]


def test_unusual_graphs_that_are_allowed() -> None:
    assert list(StateGraph(S).add_edge(START, END).compile().stream({"a": "1"}, stream_mode="values")) == [
        {"a": "1"}
    ]
    orphan = fresh().add_node("orphan", node).add_edge(START, "one").compile()
    assert list(orphan.stream({})) == [{"one": {"a": "x"}}]
    same = StateGraph(S).add_node("a", node).add_edge(START, "a").compile()
    assert list(same.stream({})) == [{"a": {"a": "x"}}]


def test_a_compiled_graph_does_not_change_with_its_builder() -> None:
    builder = fresh().add_edge(START, "one")
    before = builder.compile()
    after = builder.add_node("two", lambda state: {"a": "y"}).add_edge("one", "two").compile()
    assert list(before.stream({})) == [{"one": {"a": "x"}}]
    assert list(after.stream({})) == [{"one": {"a": "x"}}, {"two": {"a": "y"}}]


def test_a_call_with_wrong_arguments_is_refused() -> None:
    graph = fresh().add_edge(START, "one").compile()
    with pytest.raises(TypeError, match="'nonsense'"):
        graph.stream({}, nonsense=1)
    with pytest.warns(UserWarning, match="durability='sync' has no effect"):
        graph.invoke({}, durability="sync")
    with pytest.warns(UserWarning, match="has no effect") as warned:
        graph.stream({}, durability="sync")
    assert [warning.filename for warning in warned] == [__file__], "the warning is about its caller"


@pytest.mark.parametrize(("method", "twin"), [("stream", "astream"), ("invoke", "ainvoke")])
async def test_a_call_on_the_event_loop_takes_what_the_blocking_one_takes(method: str, twin: str) -> None:
    graph: Any = fresh().add_edge(START, "one").compile()
    blocking, awaited = (inspect.signature(getattr(graph, name)) for name in (method, twin))
    assert blocking.parameters == awaited.parameters
    assert "stream_mode" in awaited.parameters
    with pytest.raises(TypeError, match="'nonsense'"):
        await graph.ainvoke({}, nonsense=1)
    assert await graph.ainvoke(input={}, config={"tags": ["a"]}, context=None) == {"a": "x"}
    assert await graph.ainvoke({}, stream_mode="updates") == graph.invoke({}, stream_mode="updates")
