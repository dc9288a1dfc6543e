"""Graphs whose logs are known before they run, event by event, and filters that are applied to them by hand.

Nothing in here asks the code under test what it should have done: what a run writes is arithmetic on its
input, and what a filter lets through is said by a Python function beside it.
"""

import asyncio
import bisect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from typing_extensions import TypedDict

from tests.support.graphs import OURS, Library, Speaker

RECORD = {"modes": ["custom", "messages", "updates", "values"], "subgraphs": True}
"""What every run records, so that its log is the same whoever watches."""


@dataclass(frozen=True)
class Input:
    """What a run is asked for: so many blocks, each of ``burst`` custom events and ``words`` tokens."""

    blocks: int
    burst: int
    words: int
    pause_ms: int = 0

    @property
    def fields(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("blocks", "burst", "words", "pause_ms")}


class State(TypedDict, total=False):
    blocks: int
    burst: int
    words: int
    pause_ms: int
    said: int
    dug: int
    done: int


class Teller(Speaker):
    """Streams ``words`` under a message id that is known beforehand."""

    message_id: str

    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        for word in self.words[:-1]:
            yield ChatGenerationChunk(message=AIMessageChunk(word, id=self.message_id))
        last = AIMessageChunk(self.words[-1], id=self.message_id, chunk_position="last")
        yield ChatGenerationChunk(message=last)


def story(lib: Library = OURS) -> Any:
    """A graph that numbers all it says: custom data, tokens, updates, values, and the same in a subgraph."""

    async def tell(message: str, words: int, tag: str) -> None:
        if words:
            text = [_word(number) for number in range(words)]
            await Teller(words=text, tags=[tag], message_id=message).ainvoke("go on")

    async def talk(state: State) -> State:
        writer = lib.get_stream_writer()
        said = 0
        for block in range(state["blocks"]):
            for _ in range(state["burst"]):
                writer({"i": said})
                said += 1
            await tell(f"m{block}", state["words"], _tag(block))
            await asyncio.sleep(state["pause_ms"] / 1000)
        return {"said": said}

    async def dig(state: State) -> State:
        writer = lib.get_stream_writer()
        for number in range(state["burst"]):
            writer({"d": number})
        await tell("deep", state["words"], "deep")
        return {"dug": state["burst"]}

    async def finish(state: State) -> State:
        return {"done": state["said"] + state["dug"]}

    inner = lib.StateGraph(State).add_node(dig).add_edge(lib.START, "dig").compile()
    graph = lib.StateGraph(State).add_node(talk).add_node("inner", inner).add_node(finish)
    graph.add_edge(lib.START, "talk").add_edge("talk", "inner").add_edge("inner", "finish")
    return graph.compile()


def _tag(block: int) -> str:
    return "soft" if block % 2 else "loud"


def _word(number: int) -> str:
    return f"{number} "


# ── what such a run writes ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Item:
    """One event of a log as it must be; ``data`` of a lifecycle event is its status."""

    mode: str
    data: Any
    node: str | None = None
    is_inner: bool = False
    tag: str | None = None


@lru_cache(maxsize=64)
def items(input: Input) -> tuple[Item, ...]:
    """Return the whole log of a run that nobody cancels: seq 1 stands at index 0."""
    state: dict[str, int] = dict(input.fields)
    out = [Item("lifecycle", "running"), Item("values", dict(state))]
    said = 0
    for block in range(input.blocks):
        for _ in range(input.burst):
            out.append(Item("custom", {"i": said}))
            said += 1
        out += _tokens(f"m{block}", input.words, "talk", _tag(block))
    state["said"] = said
    out += [Item("updates", {"talk": {"said": said}}, "talk"), Item("values", dict(state))]
    out.append(Item("values", dict(state), is_inner=True))
    out += [Item("custom", {"d": number}, is_inner=True) for number in range(input.burst)]
    out += _tokens("deep", input.words, "dig", "deep")
    state["dug"] = input.burst
    out.append(Item("updates", {"dig": {"dug": input.burst}}, "dig", is_inner=True))
    out.append(Item("values", dict(state), is_inner=True))
    out += [Item("updates", {"inner": dict(state)}, "inner"), Item("values", dict(state))]
    state["done"] = said + input.burst
    out += [Item("updates", {"finish": {"done": state["done"]}}, "finish"), Item("values", dict(state))]
    out.append(Item("lifecycle", "completed"))
    return tuple(out)


def _tokens(id: str, words: int, node: str, tag: str) -> list[Item]:
    out = []
    for number in range(words):
        delta = {"type": "AIMessageChunk", "content": _word(number)}
        if number == words - 1:
            delta["chunk_position"] = "last"
        out.append(Item("messages", {"id": id, "delta": delta}, node, node == "dig", tag))
    return out


# ── what a filter lets through ───────────────────────────────────────────────────────────────────

NOTHING = object()
Let = Callable[[Item], Any]


def _root(*modes: str) -> Let:
    return lambda item: item.data if item.mode in modes and not item.is_inner else NOTHING


def _said(item: Item) -> Any:
    """Cut root values and updates to the key ``said``."""
    if item.is_inner or item.mode not in ("values", "updates"):
        return NOTHING
    if item.mode == "values":
        return {"said": item.data["said"]} if "said" in item.data else NOTHING
    update = {node: {"said": state["said"]} for node, state in item.data.items() if "said" in state}
    return update or NOTHING


def _if(condition: Callable[[Item], bool]) -> Let:
    return lambda item: item.data if condition(item) else NOTHING


FILTERS: tuple[tuple[dict[str, Any], Let], ...] = (
    ({"modes": ["custom", "messages", "updates", "values"], "namespaces": [["**"]]}, _if(lambda item: True)),
    ({"modes": ["custom"]}, _root("custom")),
    ({"modes": ["messages"]}, _root("messages")),
    ({"modes": ["custom", "messages"]}, _root("custom", "messages")),
    ({"modes": ["values", "updates"], "keys": ["said"]}, _said),
    (
        {"modes": ["messages"], "namespaces": [["**"]], "tags": ["s?ft", "deep"]},
        _if(lambda item: item.mode == "messages" and item.tag in ("soft", "deep")),
    ),
    (
        {"modes": ["messages", "custom"], "namespaces": [["**"]], "exclude": {"tags": ["loud"]}},
        _if(lambda item: item.mode == "custom" or (item.mode == "messages" and item.tag != "loud")),
    ),
    (
        {"modes": ["custom", "updates", "messages"], "namespaces": [["inner"]], "nodes": ["d*"]},
        _if(lambda item: item.is_inner and item.mode in ("custom", "updates", "messages")),
    ),
    (
        {"modes": ["custom", "updates"], "nodes": ["finish"]},
        _if(
            lambda item: (
                not item.is_inner
                and (item.mode == "custom" or (item.mode == "updates" and item.node == "finish"))
            )
        ),
    ),
    ({"modes": ["lifecycle"]}, _if(lambda item: False)),
    (
        {"modes": ["custom", "values"], "namespaces": [["**"]], "exclude": {"namespaces": [["inner"]]}},
        _root("custom", "values"),
    ),
)
"""Filters, and beside each what it does, in plain words of Python; lifecycle events pass every one."""

_GIVEN_BACK = ("messages", "lifecycle")


@dataclass(frozen=True)
class View:
    """A log seen through a filter: ``seqs[i]`` is the place of ``items[i]``."""

    log: tuple[Item, ...]
    let: Let
    seqs: list[int] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def behind(self, seq: int) -> int:
        """Return the index of the first event behind ``seq``."""
        return bisect.bisect_right(self.seqs, seq)

    def lost(self, after: int, upto: int) -> list[str]:
        """Return the modes that no snapshot gives back of the events behind ``after``, up to ``upto``."""
        there = self.items[self.behind(after) : self.behind(upto)]
        return sorted(
            {
                item.mode
                for item in there
                if item.mode not in _GIVEN_BACK and (item.mode != "values" or item.is_inner)
            }
        )

    def values(self, upto: int) -> Any:
        """Return the root's values as a snapshot at ``upto`` shows them."""
        state: Any = NOTHING
        for item in self.log[:upto]:
            if item.mode == "values" and not item.is_inner:
                state = self.let(item)
        return state

    def messages(self, upto: int) -> dict[str, tuple[str, Item]]:
        """Return the text of each message as a snapshot at ``upto`` shows it, and one of its tokens."""
        out: dict[str, tuple[str, Item]] = {}
        for item in self.items[: self.behind(upto)]:
            if item.mode == "messages":
                text = out[item.data["id"]][0] if item.data["id"] in out else ""
                out[item.data["id"]] = (text + item.data["delta"]["content"], item)
        return out


@lru_cache(maxsize=512)
def view(input: Input, filter: int) -> View:
    """Return the log of a run with ``input`` through ``FILTERS[filter]``."""
    log = items(input)
    let = FILTERS[filter][1]
    out = View(log, let)
    for seq, item in enumerate(log, 1):
        data = item.data if item.mode == "lifecycle" else let(item)
        if data is not NOTHING:
            out.seqs.append(seq)
            out.items.append(item if data is item.data else Item(item.mode, data, item.node, item.is_inner))
    return out
