"""Graphs for the tests that make it hard for the console: long texts, hostile names, large and deep values.

What a graph does is in the last message of a person, or in `how` of its input.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any

from graphwire_conformance.graphs import FixedModel
from graphwire_runtime import END, START, MessagesState, StateGraph, StreamWriter, interrupt
from langchain_core.messages import AIMessage, AIMessageChunk, ToolMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableConfig
from typing_extensions import NotRequired, TypedDict

HTML = '<img src="//evil.example/x.png" onerror="window.hurt = 1"><script>window.hurt = 1</script>'
BIDI = "x\u202egnp.exe\u200b\u2066"
HOSTILE = f"{HTML} {BIDI}"


class SteadyModel(FixedModel):
    """Streams its words, `rate` a second; what a pause was too long by, the next ones make up for."""

    rate: float

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        began = time.monotonic()
        for number, word in enumerate(self.words):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            await asyncio.sleep(max(0.0, began + (number + 1) / self.rate - time.monotonic()))


async def speak(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
    """Answer `300 at 50` with 300 words, 50 a second, and `large` with 1 MiB in 16 pieces."""
    said = str(state["messages"][-1].content)
    count, _, rate = ("16", "", "20") if said == "large" else said.split()
    numbered = ["y" * 65_536] * 16 if said == "large" else [f"w{number:04} " for number in range(int(count))]
    return {"messages": [await SteadyModel(words=numbered, rate=float(rate)).ainvoke("?", config)]}


_words = StateGraph(MessagesState).add_node("speak", speak)
words = _words.add_edge(START, "speak").add_edge("speak", END).compile()


# ── questions ────────────────────────────────────────────────────────────────────────────────────

UNIQUE = {
    "type": "object",
    "properties": {
        "names": {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "title": "Names"}
    },
    "required": ["names"],
}
"""A form does not check `uniqueItems`; the server does."""


async def ask(state: MessagesState) -> dict[str, Any]:
    """Ask as it is told: for names, each once, something large or hostile, or just so; or call tools."""
    said = str(state["messages"][-1].content)
    if said == "large":
        answer = interrupt({"question": "Is this good?", "draft": "z" * (1 << 20)})
    elif said == "hostile":
        schema = {"type": "object", "title": HOSTILE, "properties": {HOSTILE: {"description": HOSTILE}}}
        answer = interrupt({"question": HOSTILE, HOSTILE: HOSTILE}, response_schema=schema)
    elif said == "tools":
        calls = [{"name": HOSTILE, "args": {HOSTILE: HOSTILE}, "id": "t"}]
        asked = AIMessage(HOSTILE, name=HOSTILE, tool_calls=calls)
        return {"messages": [asked, ToolMessage(HOSTILE, tool_call_id="t", name=HOSTILE)]}
    elif said == "strict":
        answer = interrupt("Who comes?", response_schema=UNIQUE)
    else:
        answer = interrupt("Who comes?")
    return {"messages": [AIMessage(f"It is {answer}.")]}


_asks = StateGraph(MessagesState).add_node("ask", ask)
asks = _asks.add_edge(START, "ask").add_edge("ask", END).compile()


# ── breakpoints, and states to go back to ────────────────────────────────────────────────────────


class Steps(TypedDict):
    """A number, and what was done to it."""

    number: int
    done: NotRequired[list[str]]


async def double(state: Steps) -> dict[str, Any]:
    """Double it."""
    return {"number": state["number"] * 2, "done": [*state.get("done", []), "double"]}


async def add(state: Steps) -> dict[str, Any]:
    """Add one."""
    return {"number": state["number"] + 1, "done": [*state.get("done", []), "add"]}


_steps = StateGraph(Steps).add_node("double", double).add_node("add", add)
_steps.add_edge(START, "double").add_edge("double", "add").add_edge("add", END)
steps = _steps.compile()
pauses = _steps.compile(interrupt_before=["add"])


async def greet(state: MessagesState) -> dict[str, Any]:
    """Greet."""
    return {"messages": [AIMessage("Behind the breakpoint.")]}


_careful = StateGraph(MessagesState).add_node("greet", greet)
careful = _careful.add_edge(START, "greet").add_edge("greet", END).compile(interrupt_before=["greet"])


# ── hostile, large and deep ──────────────────────────────────────────────────────────────────────


def last(_: Any, new: Any) -> Any:
    """Take the new value."""
    return new


State = TypedDict("State", {"how": str, "deep": NotRequired[Any], HOSTILE: NotRequired[Annotated[Any, last]]})  # type: ignore[misc]


async def act(state: Any, writer: StreamWriter) -> dict[str, Any]:
    """Write hostile data, and fail, ask, or write much, as it is told."""
    how = state["how"]
    writer({HOSTILE: HOSTILE, "text": HOSTILE})
    if how == "fail":
        raise ValueError(HOSTILE)
    if how == "many":
        for number in range(10_000):
            writer({"number": number, "text": "word " * 10})
            if number % 200 == 0:
                await asyncio.sleep(0)
        return {}
    if how == "deep":
        value: Any = "the bottom"
        for level in range(200):
            value = {f"level {200 - level}": value} if level % 2 else [value]
        return {"deep": value}
    return {HOSTILE: HOSTILE}


_hostile = StateGraph(State).add_node(HOSTILE, act).add_edge(START, HOSTILE).add_edge(HOSTILE, END)
hostile: Any = _hostile.compile()
hostile.description = HOSTILE
