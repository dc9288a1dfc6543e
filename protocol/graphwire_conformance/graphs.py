"""The graphs that the conformance kit runs, and their contract: another server must offer the same.

Each graph has no checkpointer of its own, so that a server that serves threads keeps theirs; it keeps its
state by overwriting, and does exactly this:

``conformance.counter``
    Input ``{"count": N, "burst"?: B, "pause_s"?: P}``. One node, ``count``: writes the custom data
    ``{"i": 0}`` to ``{"i": N-1}``, lets others run after every ``B`` of them (50) and waits ``P`` seconds
    there (0), and returns ``{"done": N}``. Recorded with mode ``custom`` alone, its log is
    ``lifecycle running`` at seq 1, ``{"i": k}`` at seq ``k+2`` and ``lifecycle completed`` at seq ``N+2``.
``conformance.values``
    Input ``{"text": T}``. Node ``first`` returns ``{"first": T + "1"}``, then node ``second``
    ``{"second": T + "2"}``; ``T`` is not changed. The output is all three.
``conformance.echo``
    Input ``{"value": V}``. Node ``echo`` writes the custom data ``{"value": V}`` and returns the same.
``conformance.talk``
    Input ``{"words": N}``. Nodes ``left`` and ``right`` run in one step; each calls a chat model, tagged
    ``left`` and ``spoken``, or ``right`` and ``spoken``, that streams ``N`` tokens: ``"l0 "`` to
    ``"l{N-1} "``, or ``"r0 "`` to ``"r{N-1} "``. Each returns its text, under ``left`` and ``right``.
``conformance.filters``
    Input ``{"topic": T}``. One node after the other: ``plan`` writes ``{"planned": 0}`` and
    ``{"planned": 1}`` and returns ``{"note": "planned"}``; ``tell`` calls a model tagged ``joke`` and
    ``funny`` that streams ``"one "``, ``"two "``, ``"three "``, and returns its text as ``joke``;
    ``research`` is a subgraph of the same state in which ``search`` writes ``{"found": 0}``, calls a model
    tagged ``search`` that streams ``"here "``, ``"there "``, and returns ``{"note": "searched"}``, and then
    ``rate`` returns ``{"score": 5}``; ``hush`` calls a model tagged ``joke`` and ``nostream`` and then one
    without tags that streams ``"plain "``, ``"words "``, and returns ``{"done": true}``.
``conformance.nested``
    Input any object. Node ``top`` writes ``{"at": "root"}``; then the subgraph ``child``, in which node
    ``middle`` writes ``{"at": "child"}`` and then the subgraph ``leaf``, whose node ``deep`` writes
    ``{"at": "leaf"}``. Each of the three returns ``{"seen": where}``, the same text.
``conformance.fails``
    Input ``{"after": N}``. Node ``fail`` writes ``{"i": 0}`` to ``{"i": N-1}`` and raises.
``conformance.slow``
    Input any object. Node ``wait`` writes ``{"waiting": true}`` and waits until it is cancelled.

Where ``welcome.features`` has ``state``, these, too:

``conformance.ask``
    Input ``{"topic": T}``. Node ``plan`` returns ``{"plan": T}``; node ``ask`` interrupts with the value
    ``{"about": T}`` and returns ``{"answer": A}``, ``A`` being what it is answered; node ``done`` returns
    ``{"done": true}``.
``conformance.asks``
    Input any object. Nodes ``left`` and ``right`` run in one step; each interrupts, with the value
    ``"left?"`` or ``"right?"``, and returns its answer under its own name. From 1.1 on, the second has the
    ``response_schema`` ``{"type": "integer"}``.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from graphwire_runtime import END, START, StateGraph, StreamWriter, interrupt
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import RunnableConfig
from typing_extensions import TypedDict


class FixedModel(BaseChatModel):
    """Streams ``words``, whatever it is asked."""

    words: list[str]

    @property
    def _llm_type(self) -> str:
        return "fixed"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("".join(self.words)))])

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in self.words:
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))
            await asyncio.sleep(0)


async def _say(words: list[str], tags: list[str], config: RunnableConfig) -> str:
    reply = await FixedModel(words=words, tags=tags or None).ainvoke("go on", config)
    return str(reply.text)


def _one_node(state: Any, name: str, node: Any) -> Any:
    return StateGraph(state).add_node(name, node).add_edge(START, name).add_edge(name, END).compile()


class CounterState(TypedDict, total=False):
    """How many events to make, how fast, and how many were made."""

    count: int
    burst: int
    pause_s: float
    done: int


def build_counter() -> Any:
    """Custom events with a counter."""

    async def count(state: CounterState, writer: StreamWriter) -> CounterState:
        total, burst = state["count"], state.get("burst", 50)
        for number in range(total):
            writer({"i": number})
            if number % burst == burst - 1:
                await asyncio.sleep(state.get("pause_s", 0))
        return {"done": total}

    return (
        StateGraph(CounterState)
        .add_node("count", count)
        .add_edge(START, "count")
        .add_edge("count", END)
        .compile()
    )


class ValuesState(TypedDict, total=False):
    """A text and what two steps made of it."""

    text: str
    first: str
    second: str


def build_values() -> Any:
    """Two steps, one after the other."""

    async def first(state: ValuesState) -> ValuesState:
        return {"first": state["text"] + "1"}

    async def second(state: ValuesState) -> ValuesState:
        return {"second": state["text"] + "2"}

    graph = StateGraph(ValuesState).add_node("first", first).add_node("second", second)
    return graph.add_edge(START, "first").add_edge("first", "second").add_edge("second", END).compile()


class EchoState(TypedDict, total=False):
    """Any value."""

    value: Any


def build_echo() -> Any:
    """What comes in goes out."""

    async def echo(state: EchoState, writer: StreamWriter) -> EchoState:
        writer({"value": state.get("value")})
        return {"value": state.get("value")}

    return (
        StateGraph(EchoState).add_node("echo", echo).add_edge(START, "echo").add_edge("echo", END).compile()
    )


class TalkState(TypedDict, total=False):
    """How many words, and both texts."""

    words: int
    left: str
    right: str


def build_talk() -> Any:
    """Two models at once."""

    async def left(state: TalkState, config: RunnableConfig) -> TalkState:
        words = [f"l{number} " for number in range(state["words"])]
        return {"left": await _say(words, ["left", "spoken"], config)}

    async def right(state: TalkState, config: RunnableConfig) -> TalkState:
        words = [f"r{number} " for number in range(state["words"])]
        return {"right": await _say(words, ["right", "spoken"], config)}

    graph = StateGraph(TalkState).add_node("left", left).add_node("right", right)
    graph.add_edge(START, "left").add_edge(START, "right")
    return graph.add_edge("left", END).add_edge("right", END).compile()


class FiltersState(TypedDict, total=False):
    """The state of ``conformance.filters``, in the root and below."""

    topic: str
    note: str
    joke: str
    score: int
    done: bool


def build_filters(library: Any = StateGraph) -> Any:
    """Something of each sort for filters to tell apart, in one order."""

    async def plan(state: FiltersState, writer: StreamWriter) -> FiltersState:
        writer({"planned": 0})
        writer({"planned": 1})
        return {"note": "planned"}

    async def tell(state: FiltersState, config: RunnableConfig) -> FiltersState:
        return {"joke": await _say(["one ", "two ", "three "], ["joke", "funny"], config)}

    async def search(state: FiltersState, config: RunnableConfig, writer: StreamWriter) -> FiltersState:
        writer({"found": 0})
        await _say(["here ", "there "], ["search"], config)
        return {"note": "searched"}

    async def rate(state: FiltersState) -> FiltersState:
        return {"score": 5}

    async def hush(state: FiltersState, config: RunnableConfig) -> FiltersState:
        await _say(["never ", "seen "], ["joke", "nostream"], config)
        await _say(["plain ", "words "], [], config)
        return {"done": True}

    inner = library(FiltersState).add_node("search", search).add_node("rate", rate)
    inner.add_edge(START, "search").add_edge("search", "rate").add_edge("rate", END)
    graph = library(FiltersState).add_node("plan", plan).add_node("tell", tell)
    graph.add_node("research", inner.compile()).add_node("hush", hush)
    graph.add_edge(START, "plan").add_edge("plan", "tell").add_edge("tell", "research")
    return graph.add_edge("research", "hush").add_edge("hush", END).compile()


class SeenState(TypedDict, total=False):
    """Where the run was last."""

    seen: str


def build_nested() -> Any:
    """A subgraph within a subgraph."""

    async def top(state: SeenState, writer: StreamWriter) -> SeenState:
        writer({"at": "root"})
        return {"seen": "root"}

    async def middle(state: SeenState, writer: StreamWriter) -> SeenState:
        writer({"at": "child"})
        return {"seen": "child"}

    async def deep(state: SeenState, writer: StreamWriter) -> SeenState:
        writer({"at": "leaf"})
        return {"seen": "leaf"}

    leaf = StateGraph(SeenState).add_node("deep", deep).add_edge(START, "deep").add_edge("deep", END)
    child = StateGraph(SeenState).add_node("middle", middle).add_node("leaf", leaf.compile())
    child.add_edge(START, "middle").add_edge("middle", "leaf").add_edge("leaf", END)
    graph = StateGraph(SeenState).add_node("top", top).add_node("child", child.compile())
    return graph.add_edge(START, "top").add_edge("top", "child").add_edge("child", END).compile()


class FailsState(TypedDict, total=False):
    """After how many events to fail."""

    after: int


def build_fails() -> Any:
    """A node that raises."""

    async def fail(state: FailsState, writer: StreamWriter) -> FailsState:
        for number in range(state.get("after", 0)):
            writer({"i": number})
        raise RuntimeError("this graph fails, as it is meant to")

    return (
        StateGraph(FailsState).add_node("fail", fail).add_edge(START, "fail").add_edge("fail", END).compile()
    )


def build_slow() -> Any:
    """A node that waits until it is cancelled."""

    async def wait(state: SeenState, writer: StreamWriter) -> SeenState:
        writer({"waiting": True})
        await asyncio.Event().wait()
        return {"seen": "the end"}

    return (
        StateGraph(SeenState).add_node("wait", wait).add_edge(START, "wait").add_edge("wait", END).compile()
    )


class AskState(TypedDict, total=False):
    """What is asked about, and what was answered."""

    topic: str
    plan: str
    answer: Any
    done: bool


def build_ask() -> Any:
    """One question between two steps."""

    def plan(state: AskState) -> AskState:
        return {"plan": state["topic"]}

    def ask(state: AskState) -> AskState:
        return {"answer": interrupt({"about": state["topic"]})}

    def done(state: AskState) -> AskState:
        return {"done": True}

    graph = StateGraph(AskState).add_node("plan", plan).add_node("ask", ask).add_node("done", done)
    graph.add_edge(START, "plan").add_edge("plan", "ask").add_edge("ask", "done")
    return graph.add_edge("done", END).compile()


class AsksState(TypedDict, total=False):
    """What both were answered."""

    topic: str
    left: Any
    right: Any


def build_asks() -> Any:
    """Two questions at once."""

    def left(state: AsksState) -> AsksState:
        return {"left": interrupt("left?")}

    def right(state: AsksState) -> AsksState:
        return {"right": interrupt("right?", response_schema={"type": "integer"})}

    graph = StateGraph(AsksState).add_node("left", left).add_node("right", right)
    graph.add_edge(START, "left").add_edge(START, "right")
    return graph.add_edge("left", END).add_edge("right", END).compile()


counter = build_counter()
values = build_values()
echo = build_echo()
talk = build_talk()
filters = build_filters()
nested = build_nested()
fails = build_fails()
slow = build_slow()
ask = build_ask()
asks = build_asks()

TARGETS = {
    f"conformance.{name}": f"{__name__}:{name}"
    for name in ("counter", "values", "echo", "talk", "filters", "nested", "fails", "slow", "ask", "asks")
}
"""What ``graphwire serve --conformance-graphs`` offers, by the names that the kit asks for."""
