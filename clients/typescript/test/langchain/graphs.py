"""The graphs of the tests of LangChain's hooks.

``chat`` answers with ``words`` words, ``pause_s`` seconds apart, and fails behind them if ``fails`` says so;
``tools`` calls a tool; ``ask`` asks one question, ``asks`` two; ``nested`` has a subgraph that speaks.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from graphwire_runtime import END, START, MessagesState, StateGraph, StreamWriter, interrupt
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig


class Words(BaseChatModel):
    """Says the words, one piece each."""

    words: list[str]
    pause_s: float = 0

    @property
    def _llm_type(self) -> str:
        return "words"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(self.words)))])

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in self.words:
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            await asyncio.sleep(self.pause_s)


class ToolCaller(Words):
    """Calls the tool ``add`` with arguments that come in pieces."""

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for index, piece in enumerate(['{"a": ', "1, ", '"b": 2}']):
            call = {
                "index": 0,
                "args": piece,
                "id": None if index else "call-1",
                "name": None if index else "add",
            }
            message = AIMessageChunk(content="", tool_call_chunks=[{"type": "tool_call_chunk", **call}])
            yield ChatGenerationChunk(message=message)
            await asyncio.sleep(0)


class State(MessagesState, total=False):
    """A conversation, and how it is answered."""

    words: int
    pause_s: float
    fails: bool
    answer: Any
    left: Any
    right: Any


def _words(state: State) -> list[str]:
    said = str(state["messages"][-1].text)
    return [f"{said}-{number} " for number in range(state.get("words", 5))]


async def _reply(state: State, config: RunnableConfig) -> dict[str, Any]:
    model = Words(words=_words(state), pause_s=state.get("pause_s", 0))
    return {"messages": [await model.ainvoke(state["messages"], config)]}


async def _answer(state: State, config: RunnableConfig, writer: StreamWriter) -> dict[str, Any]:
    writer({"name": "progress", "payload": {"begun": True}})
    made = await _reply(state, config)
    if state.get("fails"):
        raise ValueError("no more words")
    return made


def _line(*nodes: tuple[str, Any]) -> Any:
    graph, before = StateGraph(State), START
    for name, node in nodes:
        graph.add_node(name, node)
        graph.add_edge(before, name)
        before = name
    return graph.add_edge(before, END)


async def _call(state: State, config: RunnableConfig) -> dict[str, Any]:
    return {"messages": [await ToolCaller(words=[]).ainvoke(state["messages"], config)]}


def _add(state: State) -> dict[str, Any]:
    (call,) = state["messages"][-1].tool_calls
    total = call["args"]["a"] + call["args"]["b"]
    return {"messages": [ToolMessage(str(total), tool_call_id=call["id"], name="add")]}


def _ask(key: str) -> Any:
    def node(state: State) -> dict[str, Any]:
        return {key: interrupt({"about": key})}

    return node


chat = _line(("model", _answer)).compile()
tools = _line(("call", _call), ("tools", _add), ("model", _reply)).compile()
ask = _line(("ask", _ask("answer")), ("model", _reply)).compile()
nested = _line(("research", _line(("search", _reply)).compile()), ("model", _reply)).compile()

_asks = StateGraph(State).add_node("left", _ask("left")).add_node("right", _ask("right"))
for side in ("left", "right"):
    _asks.add_edge(START, side)
    _asks.add_edge(side, END)
asks = _asks.compile()
