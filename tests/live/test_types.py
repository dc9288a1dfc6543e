"""What a list says of graphs of both libraries: their schemas as types of TypeScript, and their subgraphs.

About `clients/python/graphwire/cli/types.py`, `clients/python/graphwire/cli/graphs.py`,
`gateway/graphwire_gateway/graphs/subgraphs.py` and
`gateway/graphwire_gateway/graphs/description.py`.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import graphwire
import pytest
from graphwire.cli.app import run
from langchain_core.messages import AnyMessage
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.support.graphs import LIBRARIES, Library, library


class Step(BaseModel):
    name: str
    parts: list["Step"] = []


class State(TypedDict):
    messages: Annotated[list[AnyMessage], lambda old, new: old + new]
    plan: Step


@pytest.mark.parametrize("kind", LIBRARIES)
async def test_types_are_those_of_the_state(serve: Any, tmp_path: Path, kind: Library) -> None:
    graph = library(kind).StateGraph(State)
    graph.add_node("plan", lambda state: {}).add_edge("__start__", "plan")
    server = await serve({"chat": graph.compile()})
    file = tmp_path / "graphs.ts"
    assert await asyncio.to_thread(run, ["types", server.url, "--out", str(file)]) == 0
    assert await asyncio.to_thread(run, ["types", server.url, "--check", str(file)]) == 0
    text = file.read_text("utf-8")
    assert "chat: { input: ChatInput; state: ChatState };" in text
    assert "export interface ChatInput {\n  messages: MessageInput[];\n  plan: Step;\n}" in text
    assert "export interface ChatState {\n  messages: Message[];\n  plan: Step;\n}" in text
    assert "export interface Step {\n  name: string;\n  parts?: Step[];\n}" in text


@pytest.mark.parametrize("kind", LIBRARIES)
async def test_a_list_has_the_graphs_in_the_nodes(serve: Any, capsys: Any, kind: Library) -> None:
    lib: Any = library(kind)
    leaf = lib.StateGraph(State).add_node("think", lambda state: {}).add_edge("__start__", "think").compile()
    graph = lib.StateGraph(State).add_node("agent", leaf).add_edge("__start__", "agent").compile()
    server = await serve({"chat": graph, "flat": leaf})
    async with graphwire.connect(server.url) as client:
        chat, flat = await client.graphs()
    assert chat.subgraphs is not None
    (agent,) = chat.subgraphs
    assert (agent.node, agent.nodes, agent.subgraphs, agent.cut) == ("agent", ("think",), None, None)
    assert [(edge.source, edge.target) for edge in agent.edges][:1] == [("__start__", "think")]
    assert flat.subgraphs is None
    assert await asyncio.to_thread(run, ["graphs", "chat", "--url", server.url]) == 0
    drawn = capsys.readouterr().out.splitlines()
    assert [line.split(" → ")[0] for line in drawn] == ["chat", "└── agent", "    └── think"]
