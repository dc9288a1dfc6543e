"""Graphs inside nodes: as nodes themselves, invoked, or streamed.

About `runtime/graphwire_runtime/drive/request.py` and `runtime/graphwire_runtime/step/context.py`.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from graphwire_runtime import START, MessagesState, StateGraph, get_stream_writer
from langchain_core.messages import AIMessage, HumanMessage
from typing_extensions import TypedDict


class Page(TypedDict, total=False):
    text: str
    notes: Annotated[list[str], operator.add]


def one(name: str, node: Any, schema: Any = Page) -> Any:
    return StateGraph(schema).add_node(name, node).add_edge(START, name).compile()


def leaf(state: Page) -> dict[str, Any]:
    get_stream_writer()("leaf speaks")
    return {"text": state.get("text", "") + "!"}


def levels(namespace: tuple[str, ...]) -> list[str]:
    return [part.partition(":")[0] for part in namespace]


async def test_without_subgraphs_only_the_outer_graph_is_seen(drain: Any) -> None:
    graph = one("outer", one("leaf", leaf))
    assert await drain(graph, {"text": "a"}, stream_mode=["updates", "custom"]) == [
        ("updates", {"outer": {"text": "a!", "notes": []}})
    ]


@pytest.mark.parametrize("how", ["as a node", "invoked in a node"])
async def test_with_subgraphs_every_level_is_seen_under_its_namespace(how: str, drain: Any) -> None:
    inner = one("leaf", leaf)
    graph = one("outer", inner if how == "as a node" else lambda state: {"text": inner.invoke(state)["text"]})
    chunks = await drain(
        graph, {"text": "a"}, stream_mode=["values", "custom", "updates", "tasks"], subgraphs=True
    )
    assert [(levels(ns), mode) for ns, mode, _ in chunks] == [
        ([], "values"),
        ([], "tasks"),
        (["outer"], "values"),
        (["outer"], "tasks"),
        (["outer"], "custom"),
        (["outer"], "updates"),
        (["outer"], "tasks"),
        (["outer"], "values"),
        ([], "updates"),
        ([], "tasks"),
        ([], "values"),
    ]
    (namespace,) = {ns for ns, *_ in chunks if ns}
    assert namespace == (f"outer:{chunks[1][2]['id']}",), "the namespace names the outer task"


async def test_namespaces_grow_with_each_level(drain: Any) -> None:
    graph = one("top", one("middle", one("leaf", leaf)))
    assert [levels(ns) for ns, _ in await drain(graph, {}, stream_mode="updates", subgraphs=True)] == [
        ["top", "middle"],
        ["top"],
        [],
    ]


async def test_a_second_graph_in_one_node_run_is_numbered(drain: Any) -> None:
    inner = one("leaf", leaf)

    def twice(state: Page) -> Any:
        return {"text": inner.invoke(inner.invoke(state))["text"]}

    chunks = await drain(one("outer", twice), {"text": "a"}, stream_mode="updates", subgraphs=True)
    (first, *none), (second, number) = chunks[0][0], chunks[1][0]
    assert (none, number) == ([], "1")
    assert first == second
    assert chunks[2] == ((), {"outer": {"text": "a!!"}})


async def test_a_shared_reducer_key_is_reduced_again_by_the_parent(drain: Any) -> None:
    graph = one("outer", one("inner", lambda state: {"notes": ["new"]}))
    chunks = await drain(graph, {"notes": ["old"]}, stream_mode="values")
    assert chunks[-1] == {"notes": ["old", "old", "new"]}


async def test_a_node_that_streams_a_graph_takes_its_custom_data(drain: Any) -> None:
    inner = one("leaf", leaf)

    def streaming(state: Page) -> dict[str, Any]:
        return {"notes": [repr(chunk) for chunk in inner.stream(state, stream_mode=["custom", "updates"])]}

    chunks = await drain(
        one("outer", streaming), {"text": "a"}, stream_mode=["custom", "updates"], subgraphs=True
    )
    assert [(levels(ns), mode) for ns, mode, _ in chunks] == [(["outer"], "updates"), ([], "updates")]
    assert chunks[-1][2]["outer"]["notes"] == [
        "('custom', 'leaf speaks')",
        "('updates', {'leaf': {'text': 'a!'}})",
    ]


async def test_async_graphs_nest_in_async_nodes() -> None:
    async def work(state: Page) -> dict[str, Any]:
        get_stream_writer()("async leaf")
        return {"text": "deep"}

    inner = one("work", work)

    async def outer(state: Page) -> dict[str, Any]:
        return {"text": (await inner.ainvoke(state))["text"]}

    graph = one("outer", outer)
    chunks = [c async for c in graph.astream({}, stream_mode=["custom", "updates"], subgraphs=True)]
    assert [(levels(ns), mode) for ns, mode, _ in chunks] == [
        (["outer"], "custom"),
        (["outer"], "updates"),
        ([], "updates"),
    ]


async def test_tokens_of_inner_models_come_with_subgraphs_and_only_once(drain: Any, speaker: Any) -> None:
    inner = one("speak", lambda state: {"messages": [speaker().invoke("hi")]}, MessagesState)
    graph = one("outer", inner, MessagesState)
    start = {"messages": [HumanMessage("hi", id="h")]}
    inside = await drain(graph, start, stream_mode="messages", subgraphs=True)
    assert [message.content for _, (message, _) in inside] == ["one", "two", ""]
    for namespace, (_, metadata) in inside:
        assert levels(namespace) == ["outer"]
        assert metadata["langgraph_node"] == "speak"
        assert metadata["langgraph_checkpoint_ns"].startswith(namespace[0] + "|speak:")
    outside = await drain(graph, start, stream_mode="messages")
    assert [(type(m), m.content, meta["langgraph_node"]) for m, meta in outside] == [
        (AIMessage, "onetwo", "outer")
    ]


async def test_an_inner_failure_is_the_outer_failure(drain: Any) -> None:
    def fail(state: Page) -> None:
        raise ValueError("deep down")

    graph, chunks = one("outer", one("inner", fail)), []
    with pytest.raises(ValueError, match="deep down") as caught:
        await drain(graph, {}, stream_mode="tasks", subgraphs=True, into=chunks)
    assert [(levels(ns), chunk["error"]) for ns, chunk in chunks if "error" in chunk] == [
        (["outer"], caught.value),
        ([], caught.value),
    ]


async def test_config_given_to_an_inner_graph_adds_to_the_nodes(drain: Any) -> None:
    seen: list[Any] = []

    def look(state: Page, config: Any) -> None:
        seen.append((config.get("tags"), config["metadata"].get("user"), config["metadata"].get("inner")))

    inner = one("look", look)
    graph = one("outer", lambda state: inner.invoke(state, {"tags": ["a", "b"], "metadata": {"inner": 2}}))
    await drain(graph, {}, config={"tags": ["a"], "metadata": {"user": 1}})
    assert seen == [(["a", "b"], 1, 2)]
