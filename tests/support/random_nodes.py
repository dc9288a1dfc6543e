"""What the nodes of random graphs do, and the schemas of their states; `random_graphs` draws the graphs."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, make_dataclass
from typing import Annotated, Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import BaseModel, Field, create_model
from typing_extensions import TypedDict

Counts = Counter[str]
"""How often each node has failed."""


@dataclass(frozen=True)
class Node:
    name: str
    kind: str
    """What it does; see `action`."""
    awaits: bool = False
    defer: bool = False
    cached: bool = False
    tagged: bool = False
    times: int = 1
    """How many questions it asks, or how often it calls the graph."""
    targets: tuple[str, ...] = ()
    """Where its Commands lead."""
    inner: Any = None
    """The graph that it is or calls."""


def latest(old: str, new: str) -> str:
    return new


def appended(old: list[Any], new: list[Any]) -> list[Any]:
    """Both, but not without bound: graphs inside return what they were given, so a loop would double it."""
    return (old + new)[-20:]


def _kinds(lg: Any) -> dict[str, tuple[Any, Any]]:
    """The keys of a state: for each its annotation, and what makes its default."""
    return {
        "text": (str, lambda: "blank"),
        "log": (Annotated[list[Any], appended], list),
        "total": (Annotated[int, operator.add], int),
        "note": (Annotated[str, latest], str),
        "messages": (Annotated[list[Any], lg.add_messages], list),
    }


def _dict(lg: Any) -> Any:
    made: Any = TypedDict("State", {key: kind for key, (kind, _) in _kinds(lg).items()}, total=False)  # type: ignore[misc]
    return made


def _model(lg: Any) -> Any:
    fields: Any = {key: (kind, Field(default_factory=new)) for key, (kind, new) in _kinds(lg).items()}
    return create_model("Model", **fields)


def _data(lg: Any) -> Any:
    fields = [(key, kind, field(default_factory=new)) for key, (kind, new) in _kinds(lg).items()]
    return make_dataclass("Data", fields)


class Narrow(TypedDict, total=False):
    text: str
    log: list[Any]


class NarrowModel(BaseModel):
    text: str = "blank"
    log: list[Any] = []


SCHEMAS: dict[str, Callable[[Any], Any]] = {
    "dict": _dict,
    "model": _model,
    "data": _data,
    "narrow": lambda lg: Narrow,
    "narrow model": lambda lg: NarrowModel,
}


class Speaker(BaseChatModel):
    """Streams two words."""

    @property
    def _llm_type(self) -> str:
        return "speaker"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=AIMessage("one two"))])

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **kw: Any) -> Any:
        for word in ("one", "two"):
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def action(lg: Any, node: Node, counts: Counts, inner: Any = None) -> Any:
    """What a node of this kind is: a function, a coroutine function, or the graph inside."""
    if node.kind == "sub":
        return inner
    if node.kind == "call":
        return _calling(node, inner)
    if node.kind == "speak":
        return _speaking(node)
    work = _work(lg, node, counts)
    if not node.awaits:
        return work

    async def awaiting(state: Any) -> Any:
        return work(state)

    return awaiting


def _work(lg: Any, node: Node, counts: Counts) -> Callable[[Any], Any]:
    name, targets = node.name, node.targets
    log = {"log": [name]}

    def asks(state: Any) -> Any:
        return {"log": [f"{name}:{lg.interrupt(f'{name}.{n}')}" for n in range(node.times)]}

    def writes(state: Any) -> Any:
        for n in range(node.times):
            lg.get_stream_writer()(f"{name} {n}")
        return log

    def fails(state: Any) -> Any:
        raise ValueError(name)

    def flaky(state: Any) -> Any:
        counts[name] += 1
        lg.get_stream_writer()(f"{name} tries")
        if counts[name] % 3:
            raise ValueError(name)
        return log

    def goto(state: Any) -> Any:
        if _long(state):
            return log
        return lg.Command(update=log, goto=list(targets))

    def fan(state: Any) -> Any:
        if _long(state):
            return log
        return lg.Command(update=log, goto=[lg.Send(each, _more(state)) for each in targets])

    def parent(state: Any) -> Any:
        return lg.Command(graph=lg.Command.PARENT, update={"log": [name]}, goto=targets[0])

    works: dict[str, Callable[[Any], Any]] = {
        "say": lambda state: {"log": [(name, _size(state))], "text": name} if node.times > 1 else log,
        "count": lambda state: {"total": 1, "log": [name]},
        "note": lambda state: {"note": f"{name} {_size(state)}"},
        "nothing": lambda state: None,
        "writes": writes,
        "tell": lambda state: {"messages": [AIMessage(name)]},
        "overwrite": lambda state: {"log": lg.Overwrite([name])},
        "list": lambda state: [lg.Command(update={"total": 2}), log],
        "fails": fails,
        "handled": fails,
        "handler": lambda state: (
            lg.Command(update={"log": [f"{name} handled"]}, goto=targets[0]) if not _long(state) else log
        ),
        "flaky": flaky,
        "ask": asks,
        "goto": goto,
        "fan": fan,
        "parent": parent,
    }
    return works[node.kind]


def _speaking(node: Node) -> Any:
    model = Speaker()

    def speak(state: Any) -> Any:
        return {"messages": [model.invoke("hi")]}

    async def aspeak(state: Any) -> Any:
        return {"messages": [await model.ainvoke("hi")]}

    return aspeak if node.awaits else speak


def _calling(node: Node, inner: Any) -> Any:
    def call(state: Any) -> Any:
        found = [_last(inner.invoke({"text": f"{node.name}.{n}"})) for n in range(node.times)]
        return {"log": [f"{node.name} got {found}"]}

    async def acall(state: Any) -> Any:
        found = [_last(await inner.ainvoke({"text": f"{node.name}.{n}"})) for n in range(node.times)]
        return {"log": [f"{node.name} got {found}"]}

    return acall if node.awaits else call


def _last(output: Any) -> Any:
    return (output or {}).get("log", [])[-1:]


def _size(state: Any) -> int:
    found = state.get("log") if isinstance(state, dict) else getattr(state, "log", None)
    return len(found or ())


def _more(state: Any) -> dict[str, Any]:
    """What is sent: a longer log, so that nodes which send to each other come to an end."""
    return {"log": ["sent"] * (_size(state) + 2)}


def _long(state: Any) -> bool:
    return _size(state) > 8


def routing(lg: Any, source: str, targets: tuple[str, ...], *, sends: bool, awaits: bool) -> Any:
    """A router: it leads to some of the targets, by the size of the log, and ends when that is long."""

    def route(state: Any) -> Any:
        size = _size(state)
        if size > 8:
            return lg.END
        picked = list(targets[: 1 + size % len(targets)])
        return [lg.Send(each, _more(state)) for each in picked] if sends and size % 2 else picked

    async def aroute(state: Any) -> Any:
        return route(state)

    made = aroute if awaits else route
    made.__name__ = f"route_{source}"
    return made
