"""What tracers see of a run: the tree of runs that LangGraph's has, with names, tags, inputs and outputs.

About `runtime/graphwire_runtime/drive/trace.py` and `runtime/graphwire_runtime/step/task.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from typing import Annotated, Any
from unittest.mock import MagicMock

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers import BaseTracer, LangChainTracer
from langgraph.checkpoint.memory import InMemorySaver
from langsmith import get_current_run_tree
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")


class Pad(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


class Trees(BaseTracer):
    """Keeps the roots of what it traces."""

    def __init__(self) -> None:
        super().__init__()
        self.roots: list[Any] = []

    def _persist_run(self, run: Any) -> None:
        self.roots.append(run)


def tree(run: Any, view: View, depth: int = 0) -> Iterator[Any]:
    """Yield a run and those inside it, in their order."""
    seen = [run.name, run.run_type, run.tags, run.extra.get("metadata"), run.inputs, run.outputs]
    yield depth, *map(view, seen), (run.error or "").partition("(")[0], bool(run.serialized)
    for child in sorted(run.child_runs, key=lambda child: child.start_time):
        yield from tree(child, view, depth + 1)


def to_two(state: Any) -> str:
    return "two"


def asks(lib: Any) -> Any:
    return lambda state: {"log": [lib.interrupt("?")]}


def fails(state: Any) -> Any:
    raise LookupError("broken")


def speaks(state: Any) -> Any:
    model = GenericFakeChatModel(messages=iter([AIMessage("hello", id="1")]))
    return {"log": [model.invoke("hi").content]}


def routed(lib: Any, first: Any = lambda state: {"log": ["one"]}) -> Any:
    graph = lib.StateGraph(Pad).add_node("one", first).add_node("two", lambda state: {"log": ["two"]})
    graph.add_edge("__start__", "one").add_conditional_edges("one", to_two)

    def to_end(state: Any) -> str:
        return "__end__"

    return graph.add_conditional_edges("one", to_end).compile(InMemorySaver())


def line(lib: Any, *nodes: Any) -> Any:
    graph = lib.StateGraph(Pad)
    named = [(f"n{index}", node) for index, node in enumerate(nodes)]
    return graph.add_sequence(named).add_edge("__start__", "n0").compile(InMemorySaver())


def from_start(lib: Any) -> Any:
    graph = lib.StateGraph(Pad).add_node("two", lambda state: {"log": ["two"]})
    return graph.add_conditional_edges("__start__", to_two).compile(InMemorySaver())


def nested(lib: Any) -> Any:
    inner = routed(lib)
    return line(lib, inner, lambda state: inner.invoke({"log": state["log"][:1]}), speaks)


CASES: dict[str, Any] = {
    "routers": routed,
    "a router of start": from_start,
    "a failure": lambda lib: line(lib, fails),
    "a question": lambda lib: line(lib, asks(lib)),
    "a model": lambda lib: line(lib, speaks),
    "a runnable": lambda lib: line(lib, RunnableLambda(speaks, name="named")),
    "a command": lambda lib: line(lib, lambda state: lib.Command(update={"log": ["x"]}), lambda state: None),
    "graphs inside": nested,
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", CASES)
async def test_a_tracer_sees_the_tree_that_it_sees_of_langgraph(name: str, how: str) -> None:
    seen = []
    for lib in (OURS, THEIRS):
        tracer, graph = Trees(), CASES[name](lib)
        config: Any = {
            "configurable": {"thread_id": "1"},
            "callbacks": [tracer],
            "tags": ["zeta", "alpha"],
            "metadata": {"who": "me"},
            "run_name": "Run",
        }
        await recorded(graph, {"log": ["in"]}, how, config=config)
        view = View()
        seen.append([each for root in tracer.roots for each in tree(root, view)])
    assert seen[0] == seen[1]
    assert len(seen[0]) > 1


def test_what_langsmith_traces_in_a_node_belongs_to_the_node() -> None:
    for lib in (OURS, THEIRS):
        names = []

        def node(state: Any, names: list[Any] = names) -> Any:
            run = get_current_run_tree()
            names.append(run and (run.name, run.parent_run_id is not None))

        def route(state: Any, names: list[Any] = names) -> str:
            run = get_current_run_tree()
            names.append(run and run.name)
            return "__end__"

        graph = lib.StateGraph(Pad).add_node("node", node).add_edge("__start__", "node")
        compiled = graph.add_conditional_edges("node", route).compile()
        compiled.invoke({"log": []}, {"callbacks": [LangChainTracer(client=MagicMock())]})
        assert names == [("node", True), "route"]
        assert get_current_run_tree() is None
