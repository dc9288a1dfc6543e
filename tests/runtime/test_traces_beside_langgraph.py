"""What tracers see of a run: the tree of runs that LangGraph's has, with names, tags, inputs and outputs.

About `runtime/graphwire_runtime/drive/trace.py`, `runtime/graphwire_runtime/plan/call.py` and
`runtime/graphwire_runtime/step/task.py`.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any
from unittest.mock import MagicMock

import pytest
from langchain_core.callbacks import AsyncCallbackHandler
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


def yields(state: Any) -> Iterator[Any]:
    yield {"log": ["first"]}
    yield {"log": ["last"]}


async def ayields(state: Any) -> AsyncIterator[Any]:
    for each in yields(state):
        yield each


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
    "a generator": lambda lib: line(lib, yields),
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


class Broken(Trees):
    """Raises wherever it is called."""

    def _persist_run(self, run: Any) -> None:
        raise LookupError("persist")

    def _start_trace(self, run: Any) -> None:
        raise LookupError("start")

    def _end_trace(self, run: Any) -> None:
        raise LookupError("end")


class BrokenAsync(AsyncCallbackHandler):
    async def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
        raise LookupError("start")

    async def on_chain_end(self, *args: Any, **kwargs: Any) -> None:
        raise LookupError("end")

    async def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        raise LookupError("model")

    async def on_llm_new_token(self, *args: Any, **kwargs: Any) -> None:
        raise LookupError("token")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("handler", [Broken, BrokenAsync])
@pytest.mark.parametrize("name", CASES)
async def test_a_tracer_that_raises_changes_nothing(name: str, handler: Any, how: str) -> None:
    modes = ["updates", "values", "messages", "tasks"]
    seen = []
    for lib in (OURS, THEIRS):
        for callbacks in ([handler()], []):
            config: Any = {"configurable": {"thread_id": "1"}, "callbacks": callbacks}
            seen.append(await recorded(CASES[name](lib), {"log": []}, how, config=config, stream_mode=modes))
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert seen[0][0]


def fan(lib: Any) -> Any:
    def spread(state: Any) -> Any:
        return [lib.Send("one", {"log": ["sent"]})]

    graph = lib.StateGraph(Pad).add_node("one", lambda state: {"log": state["log"]})
    return graph.add_conditional_edges("__start__", spread, ["one"]).compile(InMemorySaver())


def handled(lib: Any) -> Any:
    graph = lib.StateGraph(Pad).add_node("one", fails, error_handler=lambda state: {"log": ["mended"]})
    return graph.add_edge("__start__", "one").compile(InMemorySaver())


def tasks(lib: Any) -> Any:
    @lib.task
    async def add(number: int) -> int:
        return number + 1

    @lib.entrypoint(InMemorySaver())
    async def main(given: Any) -> Any:
        return [await add(len(given["log"])), await add(7)]

    return main


EVENTS: dict[str, Any] = {
    **{name: made for name, made in CASES.items() if name not in ("a generator", "a runnable")},
    "an async generator": lambda lib: line(lib, ayields),
    "a Send": fan,
    "an error handler": handled,
    "tasks": tasks,
}
"""In LangGraph, an async stream of events fails at a sync generator, and has a Runnable stream to it."""


@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's nodes lose their context there")
@pytest.mark.parametrize("name", EVENTS)
async def test_a_stream_of_events_is_that_of_langgraph(name: str) -> None:
    """Above all, each node, task and generator that comes to its end gives its output as a chunk."""
    found = []
    for lib in (OURS, THEIRS):
        graph, view, seen = EVENTS[name](lib), View(), []
        config: Any = {"configurable": {"thread_id": "1"}, "run_name": "Run"}
        try:
            async for event in graph.astream_events({"log": ["in"]}, config, version="v2"):
                if event["name"] != "spread":  # which gives a Send of its library's
                    seen.append(view(event))  # noqa: PERF401  # a failure leaves what came before
            ended = True
        except LookupError:
            ended = False
        # which of two runs tells first of a moment is chance
        found.append((sorted(seen, key=lambda event: event["run_id"]), ended))
    assert found[0] == found[1]
    chunks = [event for event in found[0][0] if event["event"] == "on_chain_stream" and event["parent_ids"]]
    assert bool(chunks) == (name not in ("a failure", "a question"))


async def test_a_log_of_a_run_has_the_output_of_each_node() -> None:
    found = []
    for lib in (OURS, THEIRS):
        log: Any = None
        async for patch in routed(lib).astream_log({"log": []}, {"configurable": {"thread_id": "1"}}):
            log = patch if log is None else log + patch
        found.append({name: each["streamed_output"] for name, each in log.state["logs"].items()})
    assert found[0] == found[1]
    assert found[0]["one"] == [{"log": ["one"]}]


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
