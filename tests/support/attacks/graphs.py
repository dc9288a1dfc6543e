"""The graphs of the server under attack: some are healthy, some misbehave as their input says."""

import asyncio
import itertools
import operator
import time
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, TypedDict

from graphwire_runtime import START, StateGraph, StreamWriter, interrupt
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver


class State(TypedDict, total=False):
    n: int
    size: int
    times: int
    kind: str
    text: Any
    total: Annotated[int, operator.add]


def graph(node: Any, saver: Any = None) -> Any:
    """Return a graph of one node."""
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile(checkpointer=saver)


# ── healthy ones ─────────────────────────────────────────────────────────────────────────────────


async def _some_events(state: State, writer: StreamWriter) -> State:
    for number in range(10):
        writer({"i": number})
        await asyncio.sleep(0)
    return {}


async def _echo(state: State) -> State:
    return {}


async def _wait(state: State) -> State:
    return await asyncio.Event().wait() and {}


async def _ask(state: State) -> State:
    return {"text": interrupt("?")}


async def _count(state: State) -> State:
    return {"total": 1}


healthy, plain = graph(_some_events), graph(lambda state: {})
echo, holder, asker = graph(_echo), graph(_wait), graph(_ask, InMemorySaver())
looper = (
    StateGraph(State)
    .add_node("node", _count)
    .add_edge(START, "node")
    .add_conditional_edges("node", lambda state: "node" if state["total"] < state["n"] else "__end__")
    .compile(checkpointer=InMemorySaver())
)


# ── ones that produce much ───────────────────────────────────────────────────────────────────────


class _Model(BaseChatModel):
    """Streams ``n`` chunks of ``size`` characters."""

    n: int
    size: int

    @property
    def _llm_type(self) -> str:
        return "model"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("x" * self.n * self.size))])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for _ in range(self.n):
            yield ChatGenerationChunk(message=AIMessageChunk("x" * self.size))

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for number, chunk in enumerate(self._stream(messages)):
            yield chunk
            if not number % 8:
                await asyncio.sleep(0)


async def _speak(state: State) -> State:
    for _ in range(state.get("times", 1)):
        await _Model(n=state["n"], size=state.get("size", 1)).ainvoke("?")
    return {}


async def _write(state: State, writer: StreamWriter) -> State:
    text = "x" * state.get("size", 1)
    for number in range(state["n"]):
        writer(text)
        if not number % 100:
            await asyncio.sleep(0)
    if state.get("kind") == "stays":
        await asyncio.Event().wait()
    return {}


async def _grow(state: State) -> State:
    return {"total": 1, "text": [{"i": number, "text": "x" * 72} for number in range(state["size"] // 100)]}


speaker, events = graph(_speak), graph(_write)
states = (
    StateGraph(State)
    .add_node("node", _grow)
    .add_edge(START, "node")
    .add_conditional_edges("node", lambda state: "node" if state["total"] < state["n"] else "__end__")
    .compile()
)


# ── ones that block, or leave something behind ───────────────────────────────────────────────────


def _sleep(state: State) -> State:
    time.sleep(state["n"])
    return {}


async def _block(state: State) -> State:
    return _sleep(state)


async def _spin(state: State) -> State:
    end = time.monotonic() + state["n"]
    while time.monotonic() < end:
        pass
    return {}


_left: set[Any] = set()


async def _leave(state: State) -> State:
    async def spin() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0.01)

    _left.update(asyncio.ensure_future(spin()) for _ in range(state["n"]))
    return {}


sleeper, blocker, spinner, leaver = map(graph, (_sleep, _block, _spin, _leave))


# ── ones that raise ──────────────────────────────────────────────────────────────────────────────


class _Unkind(BaseException):
    """An exception whose own code raises."""

    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class _Slow(Exception):
    """An exception that takes its time to say what it is."""

    def __str__(self) -> str:
        time.sleep(1)
        return "slow"


RAISED = {
    "exit": lambda: SystemExit(3),
    "interrupt": KeyboardInterrupt,
    "generator": GeneratorExit,
    "cancelled": asyncio.CancelledError,
    "memory": MemoryError,
    "base": lambda: BaseException("base"),
    "unkind": _Unkind,
    "slow": _Slow,
    "huge": lambda: ValueError("x" * 50_000_000),
    "lines": lambda: ValueError("x\n12:00:00 error    forged line\r\n\x1b[31mforged color\x1b[0m"),
}
"""Every exception by its name."""

KINDS = ("exit", "interrupt", "generator", "cancelled", "memory", "base", "unkind")
"""Those that may end more than they should."""


def _raise(kind: Any) -> None:
    if kind in RAISED:
        raise RAISED[kind]()


async def _fail(state: State) -> State:
    _raise(state["kind"])
    return {}


def _reduce(old: str, new: str) -> str:
    _raise(new)
    return new


class Reduced(TypedDict, total=False):
    kind: Annotated[str, _reduce]


class _Saver(InMemorySaver):
    """A saver that raises what the thread's name says."""

    async def aget_tuple(self, config: RunnableConfig) -> Any:
        for kind in KINDS:
            if config["configurable"]["thread_id"].endswith(f"raises-{kind}"):
                _raise(kind)
        return await super().aget_tuple(config)


class _Hung(InMemorySaver):
    """A saver that writes nothing, and never says so."""

    async def aput(self, *args: Any, **kwargs: Any) -> Any:
        return await asyncio.Event().wait()


def factory(config: RunnableConfig) -> Any:
    """Raise what the thread's name says."""
    thread = str(config.get("configurable", {}).get("thread_id", ""))
    for kind in KINDS:
        if thread.endswith(f"raises-{kind}"):
            _raise(kind)
    return graph(_echo, _factory_saver)


_factory_saver = InMemorySaver()
raiser, saved, hung = graph(_fail), graph(_echo, _Saver()), graph(_echo, _Hung())
reducer = (
    StateGraph(Reduced)
    .add_node("node", lambda state: {})
    .add_edge(START, "node")
    .compile(checkpointer=InMemorySaver())
)
