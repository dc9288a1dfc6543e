"""Entrypoints and tasks of both libraries: on one thread in turn, and inside each other.

About `runtime/graphwire_runtime/functional/task.py`, `runtime/graphwire_runtime/step/called.py`,
`runtime/graphwire_runtime/foreign/handles.py` and `runtime/graphwire_runtime/foreign/innermost.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from tests.support import workflows
from tests.support.comparison import OURS, THEIRS, View
from tests.support.workflows import ACTS, ASYNC, UNORDERED, Ask, Pad

CONFIG: Any = {"configurable": {"thread_id": "t"}}
IN_TURN = [
    name for name in ACTS if name not in (*ASYNC, *UNORDERED, "talking", "cached", "cached_whole", "failing")
]


@pytest.fixture(params=["memory", "sqlite"])
def saver(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield InMemorySaver()
    else:
        with SqliteSaver.from_conn_string(":memory:") as made:
            yield made


def lived(graphs: list[Any], libs: list[Any], name: str) -> list[Any]:
    """What comes of the acts of a program, which the graphs do in turn, and what its thread is then."""
    view, seen = View(), []
    for turn, act in enumerate(ACTS[name]):
        graph, lib = graphs[turn % len(graphs)], libs[turn % len(graphs)]
        try:
            value = lib.Command(resume=act.answer) if isinstance(act, Ask) else act
            seen.append(once(view(graph.invoke(value, CONFIG))))
        except (ValueError, RuntimeError) as error:
            seen.append(type(error).__name__)
        seen.append(once(view(graph.get_state(CONFIG))))
    return [*seen, [once(view(each)) for each in graphs[0].get_state_history(CONFIG)]]


def once(value: Any) -> Any:
    """A value in which no question stands twice: LangGraph repeats those of tasks in graphs inside."""
    if isinstance(value, dict):
        return {key: once(each) for key, each in value.items()}
    if type(value) not in (list, tuple):
        return value
    items = [once(each) for each in value]
    asked = [item for item in items if type(item) is tuple and item[:1] == ("Interrupt",)]
    return type(value)(asked[:1] if asked and asked == asked[:1] * len(items) else items)


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("name", IN_TURN)
def test_a_thread_is_continued_by_the_other_library(name: str, first: str, saver: Any) -> None:
    program = getattr(workflows, name)
    libs = [OURS, THEIRS] if first == "ours" else [THEIRS, OURS]
    seen = lived([program(lib, saver) for lib in libs], libs, name)
    # each graph counts for itself how often its functions ran, which some outputs tell
    assert counted(seen) == alone(name)


@cache
def alone(name: str) -> str:
    """What comes of a program in LangGraph only."""
    return counted(lived([getattr(workflows, name)(THEIRS, InMemorySaver())], [THEIRS], name))


def counted(seen: list[Any]) -> str:
    text = repr(seen)
    for number in "123":
        text = text.replace(f"x {number}", "x n").replace(f"last {number}", "last n")
    return text


@pytest.mark.parametrize("name", [name for name in ACTS if name not in (*ASYNC, *UNORDERED)])
def test_what_a_thread_holds_is_what_langgraph_stores(name: str) -> None:
    assert stored(OURS, name) == stored(THEIRS, name)


def stored(lib: Any, name: str) -> list[Any]:
    """The checkpoints of all graphs of a thread, with the writes beside them, without what is chance."""
    saver = InMemorySaver()
    lived([getattr(workflows, name)(lib, saver)], [lib], name)
    view, found = View(alike=True), []
    for saved in saver.list({"configurable": {"thread_id": "t"}}):
        checkpoint = saved.checkpoint
        seen = {
            node: sorted(versions)
            for node, versions in checkpoint["versions_seen"].items()
            if node[:2] != "__"
        }
        # LangGraph repeats an answer with what its task has written; either way it is known once
        writes = {
            (view(task), channel, repr(once(view(value))))
            for task, channel, value in saved.pending_writes or ()
            if not (task.startswith("00000000-") or channel == "__error__")
        }
        values = {key: repr(view(value)) for key, value in checkpoint["channel_values"].items()}
        where = view(saved.config["configurable"]["checkpoint_ns"])
        led = sorted(checkpoint["updated_channels"] or ())
        versions = sorted(checkpoint["channel_versions"])
        found.append((where, sorted(values.items()), seen, versions, led, sorted(writes)))
    return sorted(found, key=lambda each: repr(each[:3]))


def working(lib: Any, saver: Any, done: list[Any]) -> Any:
    """An entrypoint that fails at first, then asks, between tasks that note that they were run."""

    @lib.task
    def work(x: str) -> int:
        done.append(x)
        return len(done)

    @lib.entrypoint(checkpointer=saver)
    def main(x: str) -> Any:
        first = work(x).result()
        if "failed" not in done:
            done.append("failed")
            raise ValueError(x)
        return [first, lib.interrupt("?"), work("y").result()]

    return main


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_finished_task_is_not_run_again_by_the_other_library(first: str, saver: Any) -> None:
    libs = [OURS, THEIRS] if first == "ours" else [THEIRS, OURS]
    done: list[Any] = []
    one, two = (working(lib, saver, done) for lib in libs)
    with pytest.raises(ValueError, match="x"):
        one.invoke("x", CONFIG)
    assert [each.value for each in two.invoke(None, CONFIG)["__interrupt__"]] == ["?"]
    assert one.get_state(CONFIG).next == ("main",)
    assert one.invoke(libs[0].Command(resume="a"), CONFIG) == [1, "a", 3]
    assert done == ["x", "failed", "y"]
    assert two.get_state(CONFIG).values == [1, "a", 3]


@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
@pytest.mark.parametrize("around", ["ours", "theirs"])
async def test_a_task_of_one_library_is_called_in_the_entrypoint_of_the_other(around: str, how: str) -> None:
    if (how == "ainvoke" or around == "theirs") and sys.version_info < (3, 11):
        pytest.skip("LangGraph's nodes lose their context in an async run there")
    host, guest = (OURS, THEIRS) if around == "ours" else (THEIRS, OURS)
    attempts: list[int] = []

    @guest.task(name="other", retry_policy=guest.RetryPolicy(initial_interval=0.001, retry_on=ValueError))
    def work(x: int, *, y: int = 1) -> Any:
        attempts.append(x)
        if len(attempts) == 1:
            raise ValueError(x)
        return [x + y, host.interrupt("?")]

    @host.entrypoint(checkpointer=InMemorySaver())
    def main(x: int) -> Any:
        return work(x, y=2).result()

    async def run(value: Any) -> Any:
        return main.invoke(value, CONFIG) if how == "invoke" else await main.ainvoke(value, CONFIG)

    asked = (await run(1))["__interrupt__"]
    assert [each.value for each in asked] == ["?"]
    assert await run(host.Command(resume="a")) == [3, "a"]
    assert attempts == [1, 1, 1]
    events = [chunk async for chunk in main.astream(1, CONFIG, stream_mode="tasks")]
    assert [event["name"] for event in events] == ["main", "other", "main"]


async def test_an_async_task_of_one_library_is_awaited_in_the_other() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("LangGraph's async nodes lose their context there")
    for host, guest in ((OURS, THEIRS), (THEIRS, OURS)):

        @guest.task(timeout=5)
        async def work(x: int) -> int:
            return x + 1

        @host.entrypoint()
        async def main(x: int, work: Any = work) -> Any:
            return await work(await work(x))

        assert await main.ainvoke(1) == 3


@pytest.mark.parametrize("around", ["ours", "theirs"])
@pytest.mark.parametrize("as_node", [True, False])
def test_an_entrypoint_runs_in_a_node_of_the_other_library(around: str, as_node: bool) -> None:
    host, guest = (OURS, THEIRS) if around == "ours" else (THEIRS, OURS)

    @guest.task
    def add(x: int) -> int:
        return x + 1

    @guest.entrypoint()
    def inner(state: Any) -> Any:
        return {"log": [add(len(state["log"])).result(), guest.interrupt("?")]}

    def call(state: Any) -> Any:
        return inner.invoke(state)

    graph = host.StateGraph(Pad).add_node("inner", inner if as_node else call).add_edge("__start__", "inner")
    graph = graph.compile(InMemorySaver())
    chunks = list(graph.stream({"log": ["in"]}, CONFIG, stream_mode="updates", subgraphs=True))
    assert View()(chunks[0]) == (("inner:id0",), {"add": 2})
    assert graph.invoke(host.Command(resume="a"), CONFIG) == {"log": ["in", 2, "a"]}
