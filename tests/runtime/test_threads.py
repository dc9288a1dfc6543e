"""Threads that outlive a run: interrupted, answered, failed, continued, in files, in other processes.

About `runtime/graphwire_runtime/drive/start.py`, `runtime/graphwire_runtime/step/answers.py`,
`runtime/graphwire_runtime/step/interrupt.py`, `runtime/graphwire_runtime/step/writes.py` and
`runtime/graphwire_runtime/thread/checkpoints.py`.
"""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
from graphwire_runtime import START, Command, Interrupt, StateGraph, StateUpdate, interrupt
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.programs import run_program


class Trip(TypedDict, total=False):
    to: str
    log: Annotated[list[str], operator.add]


THREAD: Any = {"configurable": {"thread_id": "t"}}


def stop(name: str) -> Callable[[Trip], Any]:
    return lambda state: {"log": [name]}


def ask(state: Trip) -> Any:
    return {"log": [f"paid {interrupt('how much?')}"]}


def trip(*nodes: Any, **kwargs: Any) -> Any:
    graph = StateGraph(Trip).add_sequence(nodes).add_edge(START, nodes[0][0])
    return graph.compile(**kwargs)


def toll_road(**kwargs: Any) -> Any:
    return trip(("go", stop("go")), ("toll", ask), ("arrive", stop("arrive")), **kwargs)


@pytest.fixture
def saver() -> InMemorySaver:
    return InMemorySaver()


async def test_an_interrupt_ends_the_stream_and_an_answer_continues_the_thread(
    drain: Any, saver: Any
) -> None:
    road = toll_road(checkpointer=saver)
    (asked,) = (await drain(road, {"to": "sea"}, config=THREAD))[-1]["__interrupt__"]
    assert asked == Interrupt("how much?", asked.id)
    assert road.get_state(THREAD).next == ("toll",)
    assert await drain(road, Command(resume=5), config=THREAD) == [
        {"toll": {"log": ["paid 5"]}},
        {"arrive": {"log": ["arrive"]}},
    ]
    assert road.get_state(THREAD).values == {"to": "sea", "log": ["go", "paid 5", "arrive"]}


async def test_an_open_question_keeps_its_id_and_the_next_one_has_another(drain: Any, saver: Any) -> None:
    road = trip(("ask", lambda s: {"log": [interrupt("a"), interrupt("b")]}), checkpointer=saver)
    ids = []
    for value in ({"to": "sea"}, None, Command(resume="x"), None):
        (asked,) = (await drain(road, value, config=THREAD))[-1]["__interrupt__"]
        ids.append((asked.value, asked.id))
    assert ids[0] == ids[1]
    assert ids[2] == ids[3]
    assert ids[1] != ids[2]


def test_an_old_answer_never_answers_a_new_question(saver: Any) -> None:
    road = trip(("ask", lambda s: {"log": [interrupt("a"), interrupt("b")]}), checkpointer=saver)
    road.invoke({}, THREAD)
    road.invoke(Command(resume="for a"), THREAD)
    (asked,) = road.invoke(None, THREAD)["__interrupt__"]
    assert asked.value == "b"


def test_invoke_returns_the_state_with_what_is_asked(saver: Any) -> None:
    road = toll_road(checkpointer=saver)
    result = road.invoke({"to": "sea"}, THREAD)
    assert result["log"] == ["go"]
    assert [asked.value for asked in result["__interrupt__"]] == ["how much?"]
    output = road.invoke(Command(resume=1), THREAD, version="v2")
    assert output.value["log"] == ["go", "paid 1", "arrive"]
    assert output.interrupts == ()


async def test_nodes_that_finished_beside_an_interrupt_or_a_failure_do_not_run_again(
    saver: Any, drain: Any
) -> None:
    runs: list[str] = []

    def counted(state: Trip) -> Any:
        runs.append("counted")
        return {"log": ["counted"]}

    road = StateGraph(Trip).add_node("counted", counted).add_node("ask", ask)
    road = road.add_edge(START, "counted").add_edge(START, "ask").compile(checkpointer=saver)
    await drain(road, {"to": "sea"}, config=THREAD)
    chunks = await drain(road, Command(resume=2), config=THREAD)
    assert {"counted": {"log": ["counted"]}, "__metadata__": {"cached": True}} in chunks
    assert runs == ["counted"]
    assert road.get_state(THREAD).values["log"] == ["paid 2", "counted"]


def test_two_questions_need_answers_by_their_ids(saver: Any) -> None:
    road = StateGraph(Trip).add_node("one", ask).add_node("two", ask)
    road = road.add_edge(START, "one").add_edge(START, "two").compile(checkpointer=saver)
    asked = road.invoke({}, THREAD)["__interrupt__"]
    with pytest.raises(RuntimeError, match=f"waits at 2 interrupts.*{asked[0].id}"):
        road.invoke(Command(resume=1), THREAD)
    answers = {each.id: index for index, each in enumerate(asked)}
    assert road.invoke(Command(resume=answers), THREAD)["log"] == ["paid 0", "paid 1"]


def test_errors_say_what_is_missing() -> None:
    with pytest.raises(ValueError, match=r"pass config=.*thread_id.*configurable has 'user'"):
        toll_road(checkpointer=InMemorySaver()).invoke({}, {"configurable": {"user": "u"}})
    with pytest.raises(ValueError, match="has no checkpointer, so there is no thread"):
        toll_road().get_state(THREAD)
    with pytest.raises(RuntimeError, match="there is no graph around it"):
        toll_road(checkpointer=True).invoke({}, THREAD)
    with pytest.raises(RuntimeError, match="where no node is running"):
        interrupt("ok?")
    with pytest.raises(RuntimeError, match="has no checkpointer that could have kept"):
        toll_road().invoke(Command(resume=1))


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_a_run_that_is_closed_early_can_be_continued(durability: Any, saver: Any) -> None:
    road = trip(("a", stop("a")), ("b", stop("b")), ("c", stop("c")), checkpointer=saver)
    chunks = road.astream({"to": "sea"}, THREAD, durability=durability)
    assert await anext(chunks) == {"a": {"log": ["a"]}}
    assert await anext(chunks) == {"b": {"log": ["b"]}}
    await chunks.aclose()
    rest = [chunk async for chunk in road.astream(None, THREAD)]
    assert rest[-1] == {"c": {"log": ["c"]}}
    assert (await road.aget_state(THREAD)).values["log"] == ["a", "b", "c"]


async def test_a_cancelled_run_keeps_what_had_finished(saver: Any) -> None:
    started, forever = asyncio.Event(), asyncio.Event()

    async def wait(state: Trip) -> Any:
        started.set()
        await forever.wait()
        return {"log": ["waited"]}

    async def quick(state: Trip) -> Any:
        return {"log": ["quick"]}

    road = StateGraph(Trip).add_node("quick", quick).add_node("wait", wait)
    road = road.add_edge(START, "quick").add_edge(START, "wait").compile(checkpointer=saver)
    run = asyncio.create_task(road.ainvoke({"to": "sea"}, THREAD))
    await started.wait()
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    forever.set()
    snapshot = await road.aget_state(THREAD)
    assert snapshot.next == ("wait",)
    assert snapshot.values["log"] == ["quick"]


class Slow(InMemorySaver):
    """Does not write before `gate` is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.written: list[int] = []

    async def aput(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        await self.gate.wait()
        self.written.append(metadata["step"])
        return super().put(config, checkpoint, metadata, new_versions)


async def test_async_durability_writes_during_the_next_superstep_and_sync_before_it() -> None:
    for durability, runs_ahead in (("async", True), ("sync", False)):
        saver, began = Slow(), asyncio.Event()

        async def node(state: Trip, began: asyncio.Event = began) -> Any:
            began.set()

        road = trip(("node", node), checkpointer=saver)
        run = asyncio.create_task(road.ainvoke({"to": "sea"}, THREAD, durability=durability))
        for _ in range(20):
            await asyncio.sleep(0)
        assert (began.is_set(), saver.written) == (runs_ahead, [])
        saver.gate.set()
        await run
        assert saver.written == [-1, 0, 1]


class Broken(InMemorySaver):
    def put(self, *args: Any) -> Any:
        raise OSError("disk full")


async def test_a_saver_that_fails_fails_the_run(drain: Any) -> None:
    with pytest.raises(OSError, match="disk full"):
        await drain(trip(("a", stop("a")), checkpointer=Broken()), {"to": "sea"}, config=THREAD)


def test_threads_run_beside_each_other(saver: Any) -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(state: Trip) -> Any:
        both.wait()
        return {"log": [state["to"]]}

    road = trip(("meet", meet), ("toll", ask), checkpointer=saver)

    def run(name: str) -> None:
        config: Any = {"configurable": {"thread_id": name}}
        road.invoke({"to": name}, config)
        road.invoke(Command(resume=name), config)

    runs = [threading.Thread(target=run, args=(name,)) for name in ("one", "two")]
    for each in runs:
        each.start()
    for each in runs:
        each.join()
    for name in ("one", "two"):
        state = road.get_state({"configurable": {"thread_id": name}})
        assert state.values == {"to": name, "log": [name, f"paid {name}"]}


def test_the_config_in_a_snapshot_of_a_graph_inside_names_that_graph(saver: Any) -> None:
    inner = trip(("pre", stop("pre")), ("ask", ask))
    outer = trip(("inner", inner), checkpointer=saver)
    outer.invoke({"to": "sea"}, THREAD)
    (task,) = outer.get_state(THREAD, subgraphs=True).tasks
    assert task.state.next == ("ask",)
    assert outer.get_state(task.state.config).values == {"to": "sea", "log": ["pre"]}
    below = outer.get_state(THREAD).tasks[0].state
    assert next(outer.get_state_history(below)).next == ("ask",)
    edited = outer.update_state(task.state.config, {"log": ["edited"]}, as_node="pre")
    assert outer.invoke(Command(resume=3), edited)["log"] == ["pre", "edited", "paid 3"]
    assert [name for name, _ in outer.get_subgraphs()] == ["inner"]


def test_several_edits_make_as_many_checkpoints(saver: Any) -> None:
    road = toll_road(checkpointer=saver)
    road.bulk_update_state(
        THREAD, [[StateUpdate({"to": "sea"}, START)], [StateUpdate({"log": ["went"]}, "go")]]
    )
    assert [snapshot.next for snapshot in road.get_state_history(THREAD)] == [("toll",), ("go",)]


@pytest.mark.processes
def test_threads_are_kept_without_langgraph() -> None:
    output = run_program("""
        assert not [name for name in sys.modules if name.startswith("langgraph")]
        from langgraph.checkpoint.memory import InMemorySaver
        road = graph.compile(checkpointer=InMemorySaver())
        asked = road.invoke({}, config)["__interrupt__"]
        print(asked[0].value, road.invoke(Command(resume=5), config)["log"])
    """)
    assert output == "toll ['toll: 5', 'end']"


async def test_another_saver_continues_a_thread_in_a_file(tmp_path: Path) -> None:
    sqlite = pytest.importorskip("langgraph.checkpoint.sqlite")
    later = pytest.importorskip("langgraph.checkpoint.sqlite.aio")
    file = str(tmp_path / "threads.db")
    with sqlite.SqliteSaver.from_conn_string(file) as saver:
        toll_road(checkpointer=saver).invoke({"to": "sea"}, THREAD)
    async with later.AsyncSqliteSaver.from_conn_string(file) as saver:
        road = toll_road(checkpointer=saver)
        assert (await road.aget_state(THREAD)).interrupts[0].value == "how much?"
        chunks = [chunk async for chunk in road.astream(Command(resume=7), THREAD)]
        assert chunks == [{"toll": {"log": ["paid 7"]}}, {"arrive": {"log": ["arrive"]}}]
        steps = [each.metadata["step"] async for each in road.aget_state_history(THREAD)]
        assert steps == [3, 2, 1, 0, -1]


@pytest.mark.processes
def test_another_process_continues_a_thread_in_a_file(tmp_path: Path) -> None:
    pytest.importorskip("langgraph.checkpoint.sqlite")
    file = str(tmp_path / "threads.db")
    assert (
        run_program(
            """
        from langgraph.checkpoint.sqlite import SqliteSaver
        with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
            print(graph.compile(checkpointer=saver).invoke({}, config)["__interrupt__"][0].value)
        """,
            file,
        )
        == "toll"
    )
    assert run_program(
        """
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
        async def main():
            async with AsyncSqliteSaver.from_conn_string(sys.argv[1]) as saver:
                road = graph.compile(checkpointer=saver)
                assert (await road.aget_state(config)).interrupts[0].value == "toll"
                print([chunk async for chunk in road.astream(Command(resume=7), config)])
                print([snapshot.metadata["step"] async for snapshot in road.aget_state_history(config)])
        asyncio.run(main())
        """,
        file,
    ).splitlines() == ["[{'pay': {'log': ['toll: 7']}}, {'end': {'log': ['end']}}]", "[2, 1, 0, -1]"]
