"""Graphs that pause and ask, built with either library, with or without a checkpointer of their own."""

import importlib
from operator import add
from typing import Annotated, Any

from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.support.graphs import Gate, Library


class Asked(TypedDict, total=False):
    """A state that keeps what was said."""

    topic: str
    said: Annotated[list[Any], add]


def words(lib: Library) -> Any:
    """The library's names that the larger half of its users write."""
    return importlib.import_module("langgraph.types" if lib.name == "langgraph" else "graphwire_runtime")


def checkpointer(kind: str) -> Any:
    """A saver for ``own``; None for ``server``, whose saver keeps the threads."""
    return InMemorySaver() if kind == "own" else None


def asker(lib: Library, saver: Any = None, **options: Any) -> Any:
    """Plan, ask one question, repeat the answer; each run appends to ``said``."""
    interrupt = words(lib).interrupt

    def plan(state: Asked) -> Asked:
        return {"said": [f"plan {state.get('topic')}"]}

    def ask(state: Asked) -> Asked:
        return {"said": [interrupt({"about": state.get("topic")})]}

    def done(state: Asked) -> Asked:
        return {"said": ["done"]}

    graph = lib.StateGraph(Asked).add_node(plan).add_node(ask).add_node(done)
    graph.add_edge(lib.START, "plan").add_edge("plan", "ask").add_edge("ask", "done").add_edge(
        "done", lib.END
    )
    return graph.compile(checkpointer=saver, **options)


def several(lib: Library, saver: Any = None) -> Any:
    """Three nodes side by side, each with a question, one of them in a subgraph."""
    interrupt = words(lib).interrupt

    def left(state: Asked) -> Asked:
        return {"said": [("left", interrupt("left?"))]}

    def right(state: Asked) -> Asked:
        return {"said": [("right", interrupt("right?"))]}

    def deep(state: Asked) -> Asked:
        return {"said": [("deep", interrupt("deep?"))]}

    inner = lib.StateGraph(Asked).add_node(deep).add_edge(lib.START, "deep").compile()
    graph = lib.StateGraph(Asked).add_node(left).add_node(right).add_node("inner", inner)
    for name in ("left", "right", "inner"):
        graph.add_edge(lib.START, name)
    return graph.compile(checkpointer=saver)


class Decision(BaseModel):
    """An answer with a form."""

    ok: bool
    why: str | None = None


DECISION = Decision.model_json_schema()


def decider(lib: Library, schema: Any = Decision, saver: Any = None) -> Any:
    """Ask for an answer of this schema, in a subgraph; say what came, as text."""
    interrupt = words(lib).interrupt

    def ask(state: Asked) -> Asked:
        return {"said": [repr(interrupt("sure?", response_schema=schema))]}

    inner = lib.StateGraph(Asked).add_node(ask).add_edge(lib.START, "ask").compile()
    graph = lib.StateGraph(Asked).add_node("inner", inner).add_edge(lib.START, "inner")
    return graph.compile(checkpointer=saver)


def stepper(lib: Library, saver: Any = None, **options: Any) -> Any:
    """Three plain steps, each of which appends its name; for breakpoints and histories."""
    graph = lib.StateGraph(Asked)
    names = ("one", "two", "three")
    for name in names:
        graph.add_node(name, lambda state, name=name: {"said": [name]})
    for source, target in zip((lib.START, *names), (*names, lib.END), strict=True):
        graph.add_edge(source, target)
    return graph.compile(checkpointer=saver, **options)


def held(lib: Library, gate: Gate, saver: Any = None) -> Any:
    """Waits at the gate, then says its topic."""

    async def hold(state: Asked) -> Asked:
        await gate.wait()
        return {"said": [state.get("topic")]}

    graph = lib.StateGraph(Asked).add_node(hold).add_edge(lib.START, "hold")
    return graph.compile(checkpointer=saver)
