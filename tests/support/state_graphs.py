"""Graphs of the differential tests whose states are not TypedDicts: models, dataclasses, single values."""

import dataclasses
import operator
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from tests.support.graphs import Library
from tests.support.story_graphs import words


class Model(BaseModel):
    """A state with fields that no node writes."""

    n: int = 0
    log: Annotated[list[str], operator.add] = Field(default_factory=list)
    messages: list[AnyMessage] = Field(default_factory=list)
    note: str | None = None
    level: int = 3


class ModelOutput(BaseModel):
    """An output with a field that nobody writes."""

    n: int = 0
    extra: str = "default"
    tags: list[str] = Field(default_factory=lambda: ["made"])


@dataclasses.dataclass
class Record:
    """A state with fields that no node writes."""

    n: int = 0
    log: Annotated[list[str], operator.add] = dataclasses.field(default_factory=list)
    messages: list[AnyMessage] = dataclasses.field(default_factory=list)
    note: str | None = None
    level: int = 3


@dataclasses.dataclass
class RecordOutput:
    """An output that is less than the state."""

    n: int = 0
    note: str | None = None


class DictOutput(TypedDict):
    """An output that has no defaults."""

    n: int
    note: str


STATES: dict[str, tuple[type[Any], type[Any] | None]] = {
    "model": (Model, None),
    "model and its output": (Model, ModelOutput),
    "model and a record as its output": (Model, RecordOutput),
    "model and a dict as its output": (Model, DictOutput),
    "record": (Record, None),
    "record and a model as its output": (Record, ModelOutput),
    "record and its output": (Record, RecordOutput),
}
"""State and output classes, by what they are."""


def counting(lib: Library, state: type[Any], output: type[Any] | None = None, *, asks: bool = False) -> Any:
    """A node, a subgraph with the same state, and a question between them if it ``asks``."""

    def one(state: Any) -> dict[str, Any]:
        return {"n": state.n + 1, "log": ["one"], "messages": [AIMessage("one", id="m1")]}

    def ask(state: Any) -> dict[str, Any]:
        return {"log": [words(lib).interrupt({"n": state.n})]} if asks else {}

    def two(state: Any) -> dict[str, Any]:
        return {"n": state.n * 10}

    inner = lib.StateGraph(state).add_node("two", two).add_edge(lib.START, "two").compile()
    building = lib.StateGraph(state, **({} if output is None else {"output_schema": output}))
    building.add_node("one", one).add_node("ask", ask).add_node("inner", inner)
    building.add_edge(lib.START, "one").add_edge("one", "ask").add_edge("ask", "inner")
    return building.compile(checkpointer=InMemorySaver())


class Answer(BaseModel):
    """The result of a functional graph."""

    a: int
    note: str | None = None


def functional(kind: str) -> Any:
    """A functional graph of LangGraph, with a result of that kind."""
    from langgraph.func import entrypoint, task

    @task
    def double(x: int) -> int:
        return 2 * x

    results: dict[str, Any] = {
        "model": lambda x: Answer(a=x),
        "dict": lambda x: {"double": x},
        "list": lambda x: [x, {"x": x}],
        "number": lambda x: x,
        "nothing": lambda x: None,
        "message": lambda x: AIMessage(f"{x}", id="m1"),
    }
    annotations: dict[str, Any] = {"model": Answer, "dict": dict, "list": list, "number": int}

    def entry(x):
        return results[kind](double(x).result())

    entry.__annotations__ = {"x": int, "return": annotations.get(kind, Any)}
    return entrypoint(checkpointer=InMemorySaver())(entry)


def asking_functional() -> Any:
    """A functional graph that asks, and returns an object."""
    from langgraph.func import entrypoint
    from langgraph.types import interrupt

    @entrypoint(checkpointer=InMemorySaver())
    def entry(x: int) -> Answer:
        return Answer(a=x, note=interrupt({"x": x}))

    return entry


def root_of(kind: str) -> Any:
    """A graph of LangGraph whose whole state is one value."""
    from langgraph.graph import START, StateGraph

    builds: dict[str, tuple[Any, Any]] = {
        "dict": (dict, lambda state: {**state, "n": 1}),
        "list": (Annotated[list, operator.add], lambda state: ["n"]),
        "number": (int, lambda state: state + 1),
    }
    cls, node = builds[kind]
    return StateGraph(cls).add_node("n", node).add_edge(START, "n").compile(checkpointer=InMemorySaver())
