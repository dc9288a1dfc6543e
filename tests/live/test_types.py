"""TypeScript's types of graphs of both libraries, written by the command from a real server.

About `clients/python/graphwire/cli/types.py`, `clients/python/graphwire/cli/typescript.py` and
`gateway/graphwire_gateway/graphs/description.py`.
"""

import asyncio
from pathlib import Path
from typing import Annotated, Any

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
