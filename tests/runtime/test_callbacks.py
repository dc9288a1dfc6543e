"""The caller's callbacks are called for the graph, its nodes, its routers, and graphs inside it.

About `runtime/graphwire_runtime/drive/trace.py` and `runtime/graphwire_runtime/plan/config.py`.
"""

from __future__ import annotations

from typing import Any, TypedDict
from uuid import UUID

import pytest
from graphwire_runtime import END, START, StateGraph
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler


class S(TypedDict, total=False):
    a: str


class Listener(BaseCallbackHandler):
    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.names: dict[UUID | None, str] = {None: ""}

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: Any = None, **kw: Any
    ) -> None:
        self.names[run_id] = kw["name"]
        self.calls.append(("start", self.names[parent_run_id], kw["name"]))

    def on_chain_end(self, outputs: Any, *, run_id: UUID, **kw: Any) -> None:
        self.calls.append(("end", self.names[run_id], outputs))

    def on_chain_error(self, error: BaseException, *, run_id: UUID, **kw: Any) -> None:
        self.calls.append(("error", self.names[run_id], str(error)))

    def on_llm_new_token(self, token: Any, **kw: Any) -> None:
        self.calls.append(("token", token))


def write(state: S) -> dict[str, Any]:
    return {"a": "x"}


def route(state: S) -> str:
    return END


async def test_callbacks_are_called_for_graph_node_and_router_in_order(drain: Any) -> None:
    graph = StateGraph(S).add_node(write).add_edge(START, "write").add_conditional_edges("write", route)
    listener = Listener()
    await drain(graph.compile(name="Writer"), {}, config={"callbacks": [listener]})
    assert listener.calls == [
        ("start", "", "Writer"),
        ("start", "Writer", "write"),
        ("start", "write", "route"),
        ("end", "route", END),
        ("end", "write", {"a": "x"}),
        ("end", "Writer", {"a": "x"}),
    ]


async def test_callbacks_are_called_for_an_inner_graph_and_its_models_below_their_node(
    drain: Any, speaker: Any
) -> None:
    inner = StateGraph(S).add_node("speak", lambda s: {"a": speaker(words="hi").invoke("x").content})
    graph = StateGraph(S).add_node("outer", inner.add_edge(START, "speak").compile(name="Inner"))
    listener = Listener()
    compiled = graph.add_edge(START, "outer").compile(name="Outer")
    chunks = await drain(
        compiled, {}, config={"callbacks": [listener]}, stream_mode="messages", subgraphs=True
    )
    assert [entry[1:] for entry in listener.calls if entry[0] == "start"] == [
        ("", "Outer"),
        ("Outer", "outer"),
        ("outer", "Inner"),
        ("Inner", "speak"),
    ]
    assert ("token", "hi") in listener.calls
    assert [message.content for _, (message, _) in chunks] == ["hi", ""]


async def test_callbacks_are_called_for_failures(drain: Any) -> None:
    def fail(state: S) -> None:
        raise ValueError("broken")

    listener = Listener()
    graph = StateGraph(S).add_node(fail).add_edge(START, "fail").compile(name="G")
    with pytest.raises(ValueError, match="broken"):
        await drain(graph, {}, config={"callbacks": [listener]})
    assert listener.calls[-2:] == [("error", "fail", "broken"), ("error", "G", "broken")]


async def test_async_callbacks_are_awaited() -> None:
    calls: list[str] = []

    class AsyncListener(AsyncCallbackHandler):
        async def on_chain_end(self, outputs: Any, **kw: Any) -> None:
            calls.append(repr(outputs))

    graph = StateGraph(S).add_node(write).add_edge(START, "write").compile()
    await graph.ainvoke({}, {"callbacks": [AsyncListener()]})
    assert calls == ["{'a': 'x'}"] * 2


async def test_a_graph_with_its_own_config_uses_it_in_every_run(drain: Any) -> None:
    seen: list[Any] = []

    def look(state: S, config: Any) -> None:
        seen.append((config["tags"], config["configurable"]["depth"], config["metadata"]["thread_id"]))

    graph = StateGraph(S).add_node(look).add_edge(START, "look").compile()
    bound = graph.with_config({"tags": ["own"], "configurable": {"depth": 1}})
    await drain(bound, {}, config={"tags": ["call"], "configurable": {"thread_id": "t"}})
    assert seen == [(["own", "call"], 1, "t")]
