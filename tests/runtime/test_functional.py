"""What entrypoints and tasks do beyond what a comparison shows: errors, descriptions, edits, caches.

About `runtime/graphwire_runtime/functional/entrypoint.py`, `runtime/graphwire_runtime/functional/task.py`,
`runtime/graphwire_runtime/functional/workflow.py`, `runtime/graphwire_runtime/drive/calls.py` and
`runtime/graphwire_runtime/drive/future.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest
from graphwire_runtime import (
    CachePolicy,
    Command,
    StateGraph,
    entrypoint,
    interrupt,
    task,
)
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import OURS, THEIRS

CONFIG: Any = {"configurable": {"thread_id": "t"}}


@task
def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    return a + b


def test_a_task_keeps_the_name_and_the_text_of_its_function() -> None:
    assert (add.__name__, add.__doc__) == ("add", "Add two numbers.")
    assert task(name="other")(add.func).__name__ == "other"
    assert add.func.__name__ == "add"


def test_a_task_is_refused_where_no_graph_runs() -> None:
    with pytest.raises(RuntimeError, match="'add' was called where no graph is running"):
        add(1)


def test_a_task_is_refused_when_its_caller_is_over() -> None:
    late: list[Any] = []

    @entrypoint()
    def main(x: int) -> int:
        context = copy_context()
        late.append(lambda: context.run(add, x))
        return x

    main.invoke(1)
    with pytest.raises(RuntimeError, match="'add' was called by 'main', which is not at work"):
        late[0]()


async def test_so_it_is_on_an_event_loop() -> None:
    late: list[Any] = []

    @entrypoint()
    async def main(x: int) -> int:
        context = copy_context()
        late.append(lambda: context.run(add, x))
        return x

    await main.ainvoke(1)
    with pytest.raises(RuntimeError, match="'add' was called by 'main', which is not at work"):
        late[0]()


def test_an_async_task_is_refused_in_a_blocking_run() -> None:
    @task
    async def later() -> None: ...

    @entrypoint()
    def main(x: int) -> Any:
        return later().result()

    with pytest.raises(RuntimeError, match="'later' is an async function"):
        main.invoke(1)


def test_functions_that_cannot_be_entrypoints_are_refused_as_by_langgraph() -> None:
    def one(x: int) -> Iterator[int]:
        yield x

    async def two(x: int) -> Any:
        yield x

    def nothing() -> None: ...

    def wrong(x: int) -> Any: ...

    for lib in (OURS, THEIRS):
        for function in (one, two):
            with pytest.raises(NotImplementedError):
                lib.entrypoint()(function)
        with pytest.raises(ValueError, match="parameter"):
            lib.entrypoint()(nothing)
        with pytest.raises(ValueError, match=r"timeout|async"):
            lib.task(timeout=1)(wrong)


def test_what_is_no_saver_cache_or_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="checkpointer"):
        entrypoint(checkpointer=object())
    with pytest.raises(TypeError, match="cache"):
        entrypoint(cache=object())
    with pytest.raises(TypeError, match="cache_policy of task 'add'"):
        task(cache_policy=object())(add.func)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="'main' was given a timeout"):

        @entrypoint(timeout=1)
        def main(x: int) -> None: ...


def test_an_entrypoint_is_described_as_by_langgraph() -> None:
    class Question(TypedDict):
        text: str

    for annotation in (int, list[str], Question, Any):
        described = []
        for lib in (OURS, THEIRS):

            def main(x: Any) -> Any: ...

            final = lib.entrypoint.final[annotation, str]
            main.__annotations__ = {"x": annotation, "return": final}
            graph = lib.entrypoint(context_schema=Question)(main)
            described.append(
                (
                    graph.get_input_jsonschema(),
                    graph.get_output_jsonschema(),
                    graph.get_context_jsonschema(),
                    graph.name,
                    graph.output_channels,
                    graph.stream_channels,
                    list(graph.nodes),
                    [(edge.source, edge.target) for edge in graph.get_graph().edges],
                    set(graph.get_graph().nodes),
                )
            )
        assert described[0] == described[1]


def test_an_edit_is_what_the_function_would_have_returned() -> None:
    for lib in (OURS, THEIRS):

        @lib.entrypoint(checkpointer=InMemorySaver())
        def main(x: int, previous: Any) -> Any:
            return lib.entrypoint.final(value=[x, previous], save=x)  # noqa: B023

        main.invoke(1, CONFIG)
        main.update_state(CONFIG, lib.entrypoint.final(value="edited", save="kept"))
        assert main.get_state(CONFIG).values == "edited"
        assert main.invoke(2, CONFIG) == [2, "kept"]
        before = [state for state in main.get_state_history(CONFIG) if state.values == [1, None]][-1]
        assert main.invoke(3, before.config) == [3, 1]


def test_the_results_of_a_task_are_cleared() -> None:
    calls: list[int] = []

    @task(cache_policy=CachePolicy(key_func=lambda x: str(x)))
    def count(x: int) -> int:
        calls.append(x)
        return len(calls)

    cache = InMemoryCache()

    @entrypoint(cache=cache)
    def main(x: int) -> Any:
        return count(x).result()

    assert [main.invoke(1), main.invoke(1)] == [1, 1]
    count.clear_cache(cache)
    assert main.invoke(1) == 2
    asyncio.run(count.aclear_cache(cache))
    assert main.invoke(1) == 3


def test_a_finished_task_is_kept_at_once() -> None:
    """A process that ends in the middle of an entrypoint has lost nothing that had come to its end."""
    saver = InMemorySaver()
    seen: list[Any] = []

    class State(TypedDict):
        x: int

    def look() -> None:
        (saved,) = saver.list(CONFIG, limit=1)
        seen.append([value for _, channel, value in saved.pending_writes or () if channel == "__return__"])

    @entrypoint(checkpointer=saver)
    def main(x: int) -> Any:
        add(x).result()
        add(2).result()
        look()

    main.invoke(1, CONFIG)

    def node(state: State) -> State:
        add(5).result()
        add(6).result()
        look()
        return {"x": 1}

    graph = StateGraph(State).add_node(node).add_edge("__start__", "node").compile(saver)
    graph.invoke({"x": 1}, {"configurable": {"thread_id": "t"}})
    assert 2 in seen[0]
    assert seen[1] == [6, 7]


async def test_a_future_of_a_blocking_run_can_be_awaited() -> None:
    @entrypoint()
    def main(x: int) -> Any:
        async def both() -> Any:
            return await asyncio.gather(add(x), add(x + 1))

        return asyncio.run(both())

    assert await asyncio.to_thread(main.invoke, 1) == [2, 3]


def test_a_question_that_nobody_waits_for_stops_a_graph_around() -> None:
    class State(TypedDict):
        x: Any

    @task
    def ask() -> Any:
        return interrupt("unheard")

    @entrypoint()
    def inner(x: Any) -> Any:
        ask()
        return {"x": 1}

    graph = StateGraph(State).add_node("inner", inner).add_edge("__start__", "inner").compile(InMemorySaver())
    assert [each.value for each in graph.invoke({"x": 0}, CONFIG)["__interrupt__"]] == ["unheard"]
    assert graph.invoke(Command(resume="a"), CONFIG) == {"x": 1}
