"""Runs that were executing when their server was killed go on from their thread's last checkpoint.

About `gateway/graphwire_gateway/runs/resumption.py` and `gateway/graphwire_gateway/runs/steps.py`.

Logs and threads are in two files, and a kill may come between the writes to them. So the copies that a kill
leaves are made of both at every moment of a run, and each is joined with each: whatever the second server
finds, a client that drops what is void has the same as one of a run that nothing happened to.

Long because every kind of run has its moments, and the same checks.
"""

import asyncio
import shutil
from collections.abc import Sequence
from operator import add
from pathlib import Path
from typing import Annotated, Any

import graphwire
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from tests.live.test_restart import history, killed, row, url
from tests.support.graphs import LIBRARIES, OURS, Gate, Hesitant, Speaker, library, needs_context
from tests.support.peer import Frame, Peer, everything
from tests.support.questions import words
from tests.support.waiting import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


SPEAKERS = ("start", "a", "b", "in_one", "in_two", "end")


class State(TypedDict, total=False):
    """What the nodes of these graphs write."""

    said: Annotated[list[str], add]
    topic: str


class Moments:
    """Where a graph can be caught: ``at`` calls what the test put into ``stop`` before it goes on."""

    def __init__(self) -> None:
        self.visited: list[str] = []
        self.reached: asyncio.Queue[tuple[str, Gate]] | None = None

    async def at(self, name: str) -> None:
        self.visited.append(name)
        if self.reached is not None:
            gate = Gate()
            self.reached.put_nowait((name, gate))
            await gate.wait()


def winding(lib: Any, moments: Moments) -> Any:
    """A graph with a step of three tasks that end one after another, one of them a graph of two steps."""
    needs_context(lib)
    first_has_ended: dict[str, asyncio.Event] = {}

    def speaks(name: str, wait_for: str = "", sets: str = "") -> Any:
        async def speak(state: State, config: RunnableConfig, writer: Any) -> State:
            if wait_for:
                await first_has_ended.setdefault(wait_for, asyncio.Event()).wait()
            writer({"begins": name})
            await moments.at(f"{name} begins")
            model = Speaker(words=[f"{name} ", "says ", "so"], tags=[name])
            answer = await model.ainvoke("speak", config)
            await moments.at(f"{name} has spoken")
            writer({"ends": name})
            if sets:
                first_has_ended.setdefault(sets, asyncio.Event()).set()
            return {"said": [str(answer.content)]}

        speak.__annotations__["writer"] = lib.StreamWriter
        return speak

    inner = lib.StateGraph(State).add_node("in_one", speaks("in_one", wait_for="b", sets="in"))
    inner.add_node("in_two", speaks("in_two")).add_edge(lib.START, "in_one").add_edge("in_one", "in_two")
    graph = lib.StateGraph(State).add_node("a", speaks("a", sets="a")).add_node("b", speaks("b", "a", "b"))
    graph.add_node("inner", inner.compile()).add_node("start", speaks("start")).add_node("end", speaks("end"))
    graph.add_edge(lib.START, "start")
    for name in ("a", "b", "inner"):
        graph.add_edge("start", name)
    graph.add_edge(["a", "b", "inner"], "end").add_edge("end", lib.END)
    return graph.compile()


def of_run(events: Sequence[Frame]) -> list[Frame]:
    """Return the events that count, as a client has them that drops what is void."""
    out: list[Frame] = []
    for event in events:
        after = event["data"].get("void_after") if event["mode"] == "lifecycle" else None
        if after is not None:
            out = [each for each in out if each["seq"] <= after or each["mode"] == "lifecycle"]
        out.append(event)
    return out


def said(events: Sequence[Frame]) -> list[Any]:
    """Return what a run's graph said, in order, without ids and without states that are sent again."""
    out: list[Any] = []
    for event in of_run(events):
        data, ns = event["data"], [part.partition(":")[0] for part in event.get("ns", ())]
        if event["mode"] == "messages":
            piece = data.get("delta", data.get("message"))
            out.append(("messages", ns, event.get("node"), piece.get("content")))
        elif event["mode"] in ("custom", "updates"):
            out.append((event["mode"], ns, data))
    return out


def last_values(events: Sequence[Frame]) -> Any:
    return [event["data"] for event in of_run(events) if event["mode"] == "values" and not event.get("ns")][
        -1
    ]


def checkpoints(events: Sequence[Frame], mode: str) -> list[str]:
    """Return the checkpoints of the root that a mode has spoken of."""
    data = [event["data"] for event in of_run(events) if event["mode"] == mode and not event.get("ns")]
    if mode == "debug":
        data = [each["payload"] for each in data if each["type"] == "checkpoint"]
    return [each["config"]["configurable"]["checkpoint_id"] for each in data]


def by_task(things: list[Any]) -> dict[str, list[Any]]:
    """Return what was said, task by task: tasks of one step may come in another order."""
    out: dict[str, list[Any]] = {}
    for mode, ns, *rest in things:
        out.setdefault(f"{mode} {ns}", []).append(rest)
    return {key: sorted(rows, key=repr) for key, rows in out.items()}


def joined(logs: Path, threads: Path, folder: Path) -> Path:
    """Return a store that has the logs of one copy and the threads of another."""
    folder.mkdir()
    for source, is_threads in ((logs, False), (threads, True)):
        for file in source.parent.glob(f"{source.name}*"):
            if file.name.startswith(f"{source.name}-threads") == is_threads:
                shutil.copy(file, folder / file.name)
    return folder / logs.name


async def caught(
    serve: Any,
    connect: Any,
    path: Path,
    graph: Any,
    moments: Moments,
    *,
    is_first: bool = True,
    **run: Any,
) -> tuple[Peer, list[Path]]:
    """Run a graph to its end; return a copy of the store for each moment that it came to.

    Unless it ``is_first``, another run of its thread comes before.
    """
    before = await connect(await serve({"g": graph}, store=url(path)))
    if not is_first:
        await before.run("g", {"said": ["earlier"]}, everything(2), run="earlier", **run)
        await before.closed(2)
    moments.reached = asyncio.Queue()
    await before.run("g", {"said": ["hello"]}, everything(1), run="r", **run)
    copies: list[Path] = []
    closed = asyncio.ensure_future(before.closed(1))
    while True:
        getting = asyncio.ensure_future(moments.reached.get())
        await asyncio.wait([getting, closed], return_when=asyncio.FIRST_COMPLETED)
        if not getting.done():
            getting.cancel()
            break
        _, gate = getting.result()
        await asyncio.sleep(0.02)  # what it says, and saves, is on disk in most cases; either way counts
        copies.append(killed(path, f"copy{len(copies)}"))
        gate.open()
    moments.reached = None
    await closed
    return before, copies


@pytest.mark.long
@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("name", LIBRARIES)
async def test_whatever_a_kill_leaves_the_run_goes_on_and_says_everything_once(
    serve, connect, path: Path, tmp_path: Path, name: str, is_first: bool
) -> None:
    moments = Moments()
    graph = winding(library(name), moments)
    before, copies = await caught(serve, connect, path, graph, moments, is_first=is_first, thread="t")
    undisturbed = before.events(1)
    assert len(copies) == 12
    everything_said = by_task(said(undisturbed))
    assert len(said(undisturbed)) > 40
    near = {0, -1, 1} if is_first else {-1}
    ends = {0, len(copies) - 1} if is_first else {0}
    pairs = [(i, j) for i in range(len(copies)) for j in {*ends, *(i + by for by in near)}]
    repeated = set()
    for i, j in pairs:
        if not 0 <= j < len(copies):
            continue
        store = joined(copies[i], copies[j], tmp_path / f"at{i}-{j}")
        server = await serve({"g": graph}, store=url(store))
        after = await connect(server)
        moments.visited.clear()
        _, events = await history(after, 1)
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        life = [event["data"] for event in events if event["mode"] == "lifecycle"]
        assert [each["status"] for each in life] == ["running", "running", "completed"], (i, j, life)
        assert [each["attempt"] for each in life] == [1, 2, 2]
        assert by_task(said(events)) == everything_said, (i, j)
        assert last_values(events)["said"] == last_values(undisturbed)["said"], (i, j)
        assert checkpoints(events, "debug") == checkpoints(events, "checkpoints"), (i, j)
        assert (await row(after))["attempt"] == 2
        repeated.add(moments.visited[0])
        await after.ask(type="subscribe", run="r", **everything(2, from_="snapshot"))
        (snapshot,) = [frame for frame in await after.closed(2) if frame["type"] == "snapshot"]
        assert texts(snapshot) == sorted(f"{name} says so" for name in SPEAKERS)
        state = await after.ask(type="state", graph="g", thread="t")
        assert state["values"]["said"] == last_values(undisturbed)["said"]
        await server.close()
    assert {"start begins", "a begins", "end begins"} <= repeated


def texts(snapshot: Frame) -> list[str]:
    return sorted(item["message"]["content"] for item in snapshot["messages"])


class Elsewhere(BaseCheckpointSaver[Any]):
    """A saver whose threads are in another process, as far as a server knows."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = InMemorySaver()

    async def aget_tuple(self, config: Any) -> Any:
        return await self.inner.aget_tuple(config)

    async def alist(self, config: Any, **options: Any) -> Any:
        async for saved in self.inner.alist(config, **options):
            yield saved

    async def aput(self, *args: Any) -> Any:
        return await self.inner.aput(*args)

    async def aput_writes(self, *args: Any) -> None:
        await self.inner.aput_writes(*args)

    async def adelete_thread(self, thread_id: str) -> None:
        await self.inner.adelete_thread(thread_id)


def two_steps(gate: Gate, saver: Any = None, lib: Any = OURS) -> Any:
    """Say one thing, wait at the gate in the second step, say another."""
    needs_context(lib)

    async def one(state: State, writer) -> State:
        writer("one")
        return {"said": ["one"]}

    async def two(state: State, writer) -> State:
        writer("two")
        await gate.wait()
        writer("three")
        return {"said": ["two"]}

    graph = lib.StateGraph(State).add_node(one).add_node(two).add_edge(lib.START, "one")
    return graph.add_edge("one", "two").add_edge("two", lib.END).compile(checkpointer=saver)


def customs(events: Sequence[Frame]) -> list[Any]:
    return [event["data"] for event in of_run(events) if event["mode"] == "custom"]


async def begun(serve: Any, connect: Any, path: Path, graph: Any, gate: Gate, **run: Any) -> Peer:
    """Start a run, and wait until the store has what it says before it waits at the gate."""
    before: Peer = await connect(await serve({"g": graph}, store=url(path)))
    await before.run("g", {"said": []}, everything(1), run="r", **run)
    await until(lambda: gate.reached > 0)
    await before.until(lambda frame: frame.get("mode") == "custom" and frame["data"] == "two")
    return before


def opened() -> Gate:
    gate = Gate()
    gate.open()
    return gate


async def test_a_run_without_a_thread_goes_on_where_its_graph_keeps_it(serve, connect, path: Path) -> None:
    gate, saver = Gate(), Elsewhere()
    before = await begun(serve, connect, path, two_steps(gate, saver), gate)
    copy = killed(path)
    after = await connect(await serve({"g": two_steps(opened(), saver)}, store=url(copy)))
    _, events = await history(after, 1)
    assert customs(events) == ["one", "two", "three"]
    assert [event["data"] for event in events if event["mode"] == "custom"].count("one") == 1
    assert (await after.ask(type="result", run="r"))["output"] == {"said": ["one", "two"]}
    await until(lambda: not saver.inner.storage)  # the private thread has gone with its run
    gate.open()
    await before.closed(1)


async def test_a_run_is_tried_as_often_as_the_limit_says(serve, connect, path: Path) -> None:
    gate = Gate()
    await begun(serve, connect, path, two_steps(gate), gate, thread="t")
    copy = killed(path)
    for attempt in (2, 3):
        again = Gate()
        server = await serve({"g": two_steps(again)}, store=url(copy))
        after = await connect(server)
        await until(lambda again=again: again.reached > 0)
        assert (await row(after))["attempt"] == attempt
        copy = killed(copy, f"killed{attempt}")
        again.open()
    last = await connect(await serve({"g": two_steps(opened())}, store=url(copy)))
    _, events = await history(last, 1)
    error = events[-1]["data"]["error"]
    assert (error["code"], "3 times (max_attempts)" in error["message"]) == ("lost", True)
    assert [event["data"]["attempt"] for event in events if event["mode"] == "lifecycle"] == [1, 2, 3, 3]
    more = await connect(
        await serve({"g": two_steps(opened())}, store=url(killed(copy, "more")), limits={"max_attempts": 1})
    )
    assert (await row(more))["status"] == "failed"
    gate.open()


async def test_a_breakpoint_is_not_passed_by_going_on(serve, connect, path: Path) -> None:
    moments = Moments()
    graph = winding(OURS, moments)
    moments.reached = asyncio.Queue()
    first = await connect(await serve({"g": graph}, store=url(path)))
    options = {"interrupt_before": ["end"]}
    await first.run("g", {"said": ["hello"]}, everything(1), run="r", thread="t", options=options)
    for _ in range(4):  # into the second step
        name, gate = await moments.reached.get()
        gate.open()
    name, gate = await moments.reached.get()
    assert name == "b begins"
    copy = killed(path)
    again = Moments()
    after = await connect(await serve({"g": winding(OURS, again)}, store=url(copy)))
    await after.run("g", {"said": []}, everything(1), run="r", thread="t")
    await after.until(lambda frame: frame.get("mode") == "interrupt")
    assert again.visited[0] == "start begins"
    assert "end begins" not in again.visited
    assert (await row(after))["status"] == "interrupted"
    said = (await after.ask(type="state", graph="g", thread="t"))["values"]["said"]
    assert said.count("hello") == 1 + 1  # and the subgraph adds what it was given
    assert (await after.ask(type="state_history", graph="g", thread="t", limit=100))["states"][-1]
    gate.open()


@pytest.mark.parametrize("has_thread", [True, False])
async def test_after_an_answer_a_run_goes_on_behind_the_last_step(
    serve, connect, path: Path, has_thread: bool
) -> None:
    gate, later = Gate(), Gate()
    saver = None if has_thread else Elsewhere()
    named = {"thread": "t"} if has_thread else {}

    async def ask(state: State, writer) -> State:
        answer = words(OURS).interrupt("which?")
        writer(answer)
        await gate.wait()
        return {"said": [answer]}

    async def end(state: State, writer) -> State:
        writer("end")
        await later.wait()
        return {"said": ["end"]}

    def graph() -> Any:
        made = OURS.StateGraph(State).add_node(ask).add_node(end).add_edge(OURS.START, "ask")
        return made.add_edge("ask", "end").add_edge("end", OURS.END).compile(checkpointer=saver)

    before = await connect(await serve({"g": graph()}, store=url(path)))
    await before.run("g", {"said": []}, everything(1), run="r", **named)
    asked = await before.until(lambda frame: frame.get("mode") == "interrupt")
    (question,) = asked["data"]["interrupts"]
    await before.ask(type="respond", run="r", responses=[{"interrupt": question["id"], "value": "this"}])
    await before.until(lambda frame: frame.get("mode") == "custom" and frame["data"] == "this")
    within = killed(path, "within")
    gate.open()
    await until(lambda: later.reached > 0)
    await before.until(lambda frame: frame.get("mode") == "custom" and frame["data"] == "end")
    behind = killed(path, "behind")
    if has_thread:
        later.open()
        again = await connect(await serve({"g": graph()}, store=url(within)))
        _, events = await history(again, 1)
        assert customs(events) == ["this", "end"]
        assert [event["data"] for event in events if event["mode"] == "custom"] == ["this", "this", "end"]
    after = await connect(await serve({"g": graph()}, store=url(behind)))
    later.open()
    _, events = await history(after, 1)
    assert customs(events) == ["this", "end"]
    assert (await after.ask(type="result", run="r"))["output"] == {"said": ["this", "end"]}
    await before.closed(1)


class Chat(TypedDict, total=False):
    """A conversation."""

    messages: Annotated[list[Any], add_messages]


async def test_who_follows_the_thread_sees_the_sentence_that_was_cut_off_once(
    serve, connect, path: Path
) -> None:
    def chat(gate: Gate) -> Any:
        async def greet(state: Chat) -> Chat:
            return {"messages": [await Speaker(words=["good ", "day"]).ainvoke("greet")]}

        async def tell(state: Chat) -> Chat:
            words = ["once ", "upon ", "a ", "time"]
            return {"messages": [await Hesitant(words=words, gate=gate, at=2).ainvoke("tell")]}

        graph = OURS.StateGraph(Chat).add_node(greet).add_node(tell).add_edge(OURS.START, "greet")
        return graph.add_edge("greet", "tell").add_edge("tell", OURS.END).compile()

    gate, again = Gate(), Gate()
    before = await connect(await serve({"g": chat(gate)}, store=url(path)))
    given = {"messages": [{"type": "human", "content": "hi"}]}
    await before.run("g", given, everything(1), run="r", thread="t")
    await before.until(lambda frame: frame.get("mode") == "messages" and "upon" in str(frame["data"]))
    server = await serve({"g": chat(again)}, store=url(killed(path)))
    gate.open()
    async with graphwire.connect(server.url) as client, client.follow("g", "t") as follower:
        shown: list[list[str]] = []
        takeover = 0
        async for event in follower:
            shown.append([message.text for message in follower.messages])
            if isinstance(event, graphwire.LifecycleEvent) and event.void_after is not None:
                takeover = len(shown)
                assert len(event.discard) == 1
                assert shown[-2][-1:] == ["once upon "]  # it reads all of the log, what is void too
                assert shown[-1][-1:] == ["good day"]
            if shown[-1][-1:] == ["once upon "] and takeover:
                again.open()
            if isinstance(event, graphwire.LifecycleEvent) and event.status == "completed":
                break
    assert takeover
    assert shown[-1] == ["hi", "good day", "once upon a time"]
    assert max(map(len, shown)) == 3
