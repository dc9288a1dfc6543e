"""Graphs for the tests, built with either library, and a model whose text is given."""

import asyncio
import importlib
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from operator import add
from typing import Annotated, Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from typing_extensions import TypedDict


@dataclass(frozen=True)
class Library:
    """Where ``StateGraph`` and its companions come from."""

    name: str
    StateGraph: Any
    START: str
    END: str
    get_stream_writer: Callable[[], Callable[[Any], None]]
    StreamWriter: Any


def library(name: str) -> Library:
    """Return a graph library; a test that asks for one that is not installed is skipped."""
    if name == "langgraph":
        graph = pytest.importorskip("langgraph.graph")
        writer = importlib.import_module("langgraph.config").get_stream_writer
        types = importlib.import_module("langgraph.types")
        return Library(name, graph.StateGraph, graph.START, graph.END, writer, types.StreamWriter)
    runtime = importlib.import_module("graphwire_runtime")
    return Library(
        name, runtime.StateGraph, runtime.START, runtime.END, runtime.get_stream_writer, runtime.StreamWriter
    )


def needs_context(lib: Library) -> None:
    """Skip where LangGraph's coroutines cannot write: before Python 3.11 tasks take no context."""
    if lib.name == "langgraph" and sys.version_info < (3, 11):
        pytest.skip("LangGraph's coroutines write and interrupt from Python 3.11 on")


OURS = library("graphwire_runtime")
LIBRARIES = ["graphwire_runtime", "langgraph"]


class Speaker(BaseChatModel):
    """Streams ``words``, each a chunk."""

    words: list[str]

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(self.words)))])

    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        for word in self.words:
            yield ChatGenerationChunk(message=AIMessageChunk(word))

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for number, word in enumerate(self.words):
            yield ChatGenerationChunk(message=AIMessageChunk(word))
            if not number % 8:
                await asyncio.sleep(0)


class Hesitant(Speaker):
    """Streams ``words``, and waits at ``gate`` before number ``at``."""

    gate: Any
    at: int

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for number, word in enumerate(self.words):
            if number == self.at:
                await self.gate.wait()
            yield ChatGenerationChunk(message=AIMessageChunk(word))


class Counted(TypedDict, total=False):
    """A state with a sum, a list and a note."""

    topic: str
    steps: Annotated[list[int], add]
    joke: str
    note: str


def talker(lib: Library, words: int = 40) -> Any:
    """A graph with everything: two models with tags in parallel, a subgraph, custom data, updates.

    One run yields about ``2 * words + 60`` events to a subscription to everything.
    """
    needs_context(lib)

    async def plan(state: Counted, writer) -> Counted:
        for number in range(10):
            writer({"planned": number})
        return {"note": "planned", "steps": [1]}

    async def joke(state: Counted, config: RunnableConfig) -> Counted:
        model = Speaker(words=[f"j{number} " for number in range(words)], tags=["joke", "funny"])
        answer = await model.ainvoke("tell a joke", config)
        return {"joke": str(answer.content), "steps": [2]}

    async def poem(state: Counted, config: RunnableConfig) -> Counted:
        model = Speaker(words=[f"p{number} " for number in range(words)], tags=["poem"])
        await model.ainvoke("tell a poem", config)
        return {"steps": [3]}

    async def search(state: Counted, config: RunnableConfig, writer) -> Counted:
        for number in range(10):
            writer({"found": number})
        model = Speaker(words=[f"s{number} " for number in range(8)], tags=["search"])
        await model.ainvoke("search", config)
        return {"note": "searched"}

    def rate(state: Counted) -> Counted:
        return {"steps": [4]}

    inner = lib.StateGraph(Counted).add_node(search).add_node(rate)
    inner.add_edge(lib.START, "search").add_edge("search", "rate").add_edge("rate", lib.END)
    graph = lib.StateGraph(Counted).add_node(plan).add_node(joke).add_node(poem)
    graph.add_node("researcher", inner.compile())
    graph.add_edge(lib.START, "plan").add_edge("plan", "joke").add_edge("plan", "poem")
    graph.add_edge(["joke", "poem"], "researcher").add_edge("researcher", lib.END)
    return graph.compile()


class Counter(TypedDict, total=False):
    """How many events to make, and how many there are."""

    count: int
    done: int


def counter(lib: Library = OURS, burst: int = 20) -> Any:
    """A graph that writes ``{"i": 0}`` up to ``count``, ``burst`` of them a turn of the loop."""
    needs_context(lib)

    async def count(state: Counter, writer) -> Counter:
        for number in range(state.get("count", 100)):
            writer({"i": number})
            if number % burst == burst - 1:
                await asyncio.sleep(0)
        return {"done": state.get("count", 100)}

    return lib.StateGraph(Counter).add_node(count).add_edge(lib.START, "count").compile()


class Gate:
    """What a node waits at, across threads, until a test opens it."""

    def __init__(self) -> None:
        self._open = False
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self.reached = 0

    async def wait(self) -> None:
        """Wait for the gate to open."""
        self.reached += 1
        if self._open:
            return
        event = asyncio.Event()
        self._waiting.append((asyncio.get_running_loop(), event))
        if not self._open:
            await event.wait()

    def open(self) -> None:
        """Let everybody through from here on."""
        self._open = True
        for loop, event in self._waiting:
            loop.call_soon_threadsafe(event.set)


def gated(gate: Gate, before: int = 3, after: int = 3, lib: Library = OURS) -> Any:
    """A graph that writes ``before`` events, waits at the gate, and writes ``after`` more."""
    needs_context(lib)

    async def first(state: Counter, writer) -> Counter:
        for number in range(before):
            writer({"i": number})
        return {"done": before}

    async def wait(state: Counter) -> Counter:
        await gate.wait()
        return {}

    async def second(state: Counter, writer) -> Counter:
        for number in range(before, before + after):
            writer({"i": number})
        return {"done": before + after}

    graph = lib.StateGraph(Counter).add_node(first).add_node(wait).add_node(second)
    graph.add_edge(lib.START, "first").add_edge("first", "wait").add_edge("wait", "second")
    return graph.compile()


def node(function: Callable[..., Any], lib: Library = OURS, schema: Any = Counter) -> Any:
    """A graph of one node."""
    return lib.StateGraph(schema).add_node("node", function).add_edge(lib.START, "node").compile()


def storyteller(gate: Gate, lib: Library = OURS) -> Any:
    """A graph that says a word of each sort, and waits at the gate in the middle of its second message."""
    needs_context(lib)

    async def begin(state: Counted, config: RunnableConfig, writer) -> Counted:
        for number in range(20):
            writer({"begun": number})
        model = Speaker(words=[f"a{number} " for number in range(30)], tags=["first"])
        answer = await model.ainvoke("begin", config)
        return {"note": "begun", "joke": str(answer.content)}

    async def tell(state: Counted, config: RunnableConfig) -> Counted:
        model = Hesitant(words=[f"b{number} " for number in range(60)], tags=["second"], gate=gate, at=40)
        answer = await model.ainvoke("tell", config)
        return {"note": "told", "joke": str(answer.content)}

    async def finish(state: Counted, writer) -> Counted:
        for number in range(20):
            writer({"finished": number})
        return {"note": "finished", "steps": [9]}

    graph = lib.StateGraph(Counted).add_node(begin).add_node(tell).add_node(finish)
    graph.add_edge(lib.START, "begin").add_edge("begin", "tell").add_edge("tell", "finish")
    return graph.compile()


class Stream:
    """A graph that is nothing but an ``astream``, pulled item by item: ``items(input)`` yields its parts."""

    name = "stream"
    checkpointer = None
    output_channels = ("done",)

    def __init__(self, items: Callable[[Any], AsyncIterator[tuple[str, Any]]]) -> None:
        self._items = items
        self.nodes: dict[str, Any] = {"node": None}
        self._pulls: list[Any] = []  # shared by copies, as a server makes one to give the graph its saver

    @property
    def pulled(self) -> int:
        """How many parts were pulled."""
        return len(self._pulls)

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[Any]:
        modes = kwargs["stream_mode"]
        async for mode, data in self._items(input):
            self._pulls.append(mode)
            if mode in modes:
                yield ((), mode, data) if kwargs.get("subgraphs") else (mode, data)

    def get_graph(self, config: Any = None, *, xray: Any = False) -> Any:
        return node(lambda state: state).get_graph()

    def get_input_jsonschema(self, config: Any = None) -> dict[str, Any]:
        return {}

    get_output_jsonschema = get_context_jsonschema = get_input_jsonschema
