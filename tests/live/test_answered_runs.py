"""Runs whose server was killed between an answer and the end of the step that got it go on with that answer.

About `gateway/graphwire_gateway/graphs/pause.py`, `gateway/graphwire_gateway/graphs/paused_saver.py` and
`gateway/graphwire_gateway/runs/resumption.py`.

As in ``test_going_on``, the log of each moment is joined with the threads of each moment that a kill could
leave beside it. What a node says names the process that it says it in, so that a state that was made of what
is void is not taken for one that was made of what counts.

Long because each way to wait is caught, killed and compared in the same terms.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from operator import add
from pathlib import Path
from typing import Annotated, Any

import orjson
import pytest
from graphwire_gateway.graphs.pause import Pause
from graphwire_gateway.graphs.redis_saver import RedisSaver
from graphwire_runtime.clock import checkpoint_id
from langchain_core.runnables import RunnableConfig
from typing_extensions import TypedDict

from tests.live.test_going_on import by_task, joined, of_run, said
from tests.live.test_interrupts import answer, asked
from tests.live.test_restart import history, killed, row, url
from tests.support.graphs import LIBRARIES, OURS, Gate, Library, Speaker, library, needs_context
from tests.support.peer import Frame, Peer, everything
from tests.support.questions import words
from tests.support.redis import RedisProcess
from tests.support.redis_stores import asked as asked_redis
from tests.support.waiting import until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


class State(TypedDict, total=False):
    """What the nodes of these graphs write."""

    said: Annotated[list[str], add]
    inside: Annotated[list[str], add]


class Process:
    """Where the graph of one process can be caught: at the moments that wait, the first of them by name."""

    def __init__(self, name: str, *, is_caught: bool = False) -> None:
        self.name = name
        self.visited: list[str] = []
        self.is_caught = is_caught
        self.waiting: dict[str, Gate] = {}

    async def at(self, moment: str) -> None:
        self.visited.append(moment)
        if self.is_caught:
            gate = self.waiting[moment] = Gate()
            await gate.wait()

    def release(self, moment: str) -> None:
        self.waiting.pop(moment).open()

    def visited_all(self, *moments: str) -> bool:
        return set(moments) <= set(self.visited)


def asking(lib: Library, process: Process, **options: Any) -> Any:
    """A step of four tasks, three of which ask, one twice and one in a graph inside; and a step behind it."""
    needs_context(lib)
    interrupt = words(lib).interrupt

    def speaks(name: str, *questions: str, key: str = "said") -> Any:
        async def speak(state: State, config: RunnableConfig, writer: Any) -> Any:
            answers = []
            for question in questions:
                answers.append(interrupt(question))
                await process.at(f"{name} got {question}")
            model = Speaker(words=[f"{name} ", "says ", "so"], tags=[name])
            await model.ainvoke("speak", config)
            text = f"{name} {answers} {process.name}"
            writer(text)
            await process.at(f"{name} has spoken")
            return {key: [text]}

        speak.__annotations__["writer"] = lib.StreamWriter
        return speak

    inner = lib.StateGraph(State).add_node("in_one", speaks("c_one", "deep?", key="inside"))
    inner.add_node("in_two", speaks("c_two", key="inside"))
    inner.add_edge(lib.START, "in_one").add_edge("in_one", "in_two")
    graph = lib.StateGraph(State).add_node("plain", speaks("plain")).add_node("a", speaks("a", "a?"))
    graph.add_node("inner", inner.compile()).add_node("d", speaks("d", "d?", "again?"))
    graph.add_node("end", speaks("z_end"))
    for name in ("plain", "a", "inner", "d"):
        graph.add_edge(lib.START, name)
    graph.add_edge(["plain", "a", "inner", "d"], "end").add_edge("end", lib.END)
    return graph.compile(**options)


ANSWERS = {"a?": "A", "deep?": {"deep": [1]}, "d?": None, "again?": "D"}


async def respond(peer: Peer, asks: Sequence[Frame], run: str = "r") -> None:
    """Answer the questions one by one."""
    for left, ask in reversed(list(enumerate(asks))):
        reply = await peer.ask(type="respond", run=run, responses=[answer(ask, ANSWERS[ask["value"]])])
        assert reply.get("status") == ("interrupted" if left else "running"), reply


async def until_waiting(process: Process, done: "asyncio.Future[Any]") -> bool:
    """Wait until the graph is caught, or until what is to come has come; return whether it is caught."""
    turns = 0
    while not done.done():
        seen = len(process.visited)
        await asyncio.sleep(0.02)  # what it says, and saves, is on disk in most cases; either way counts
        turns = turns + 1 if process.waiting and len(process.visited) == seen else 0
        if turns == 2:
            return True
    return False


async def copied(process: Process, path: Path, name: str, done: Any) -> list[Path]:
    """Return a copy of the store at each moment until ``done``."""
    copies: list[Path] = []
    done = asyncio.ensure_future(done)
    while await until_waiting(process, done):
        copies.append(killed(path, f"{name}{len(copies)}"))
        process.release(min(process.waiting))
    await done
    return copies


def pauses(events: Sequence[Frame]) -> int:
    return sum(e["mode"] == "lifecycle" and e["data"]["status"] == "interrupted" for e in events)


async def paused_or_closed(peer: Peer, answered: int, sub: int = 1) -> list[Frame]:
    """Wait until the run asks once more than it was ``answered``, or has ended; return what it asks."""
    while True:
        if any(frame["type"] == "closed" for frame in peer.of(sub)):
            return []
        if pauses(peer.events(sub)) > answered:
            return await asked(peer, sub, answered + 1)
        await peer.next()


async def to_the_end(peer: Peer, answered: int, sub: int = 1, run: str = "r") -> list[Frame]:
    """Follow a run that was ``answered`` so often, answer what it asks, and return its events."""
    await peer.ask(type="subscribe", run=run, **everything(sub))
    while asks := await paused_or_closed(peer, answered, sub):
        await respond(peer, asks, run)
        answered += 1
    return peer.events(sub)


def plainly(events: Sequence[Frame], *processes: str) -> dict[str, list[Any]]:
    """Return what was said, task by task, without the names of the processes."""
    text = orjson.dumps(said(events)).decode()
    for name in processes:
        text = text.replace(f' {name}"', ' x"')
    return by_task(orjson.loads(text))


def check(events: Sequence[Frame], undisturbed: Sequence[Frame], *names: str) -> None:
    """Check that everything was said once, and that the state was made of that."""
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert plainly(events, *names) == plainly(undisturbed, *names)
    counting = of_run(events)
    values = [event["data"] for event in counting if event["mode"] == "values" and not event.get("ns")][-1]
    spoken = [event["data"] for event in counting if event["mode"] == "custom"]
    assert sorted(values["said"] + values["inside"]) == sorted(spoken)


class Kills:
    """The copies of one run: for each answer, that of the pause before it, and those of each moment since."""

    def __init__(self) -> None:
        self.pauses: list[Path] = []
        self.moments: list[list[Path]] = []
        self.events: list[Frame] = []

    def pairs(self, is_long: bool) -> list[tuple[int, Path, Path]]:
        """Return what a kill may leave, with the number of answers: a log, and threads."""
        out = []
        for number, moments in enumerate(self.moments):
            threads = [self.pauses[number], *moments, *self.pauses[number + 1 : number + 2]]
            for at, log in enumerate(moments, 1):
                near = range(len(threads)) if is_long else {0, at, len(threads) - 1}
                out += [(number + 1, log, threads[j]) for j in near]
        return out


async def killed_everywhere(serve: Any, connect: Any, path: Path, lib: Library) -> Kills:
    process, kills = Process("one"), Kills()
    peer = await connect(await serve({"g": asking(lib, process)}, store=url(path)))
    await peer.run("g", {"said": []}, everything(1), run="r", thread="t")
    answered = 0
    while asks := await paused_or_closed(peer, answered):
        kills.pauses.append(killed(path, f"pause{answered}-"))
        process.is_caught = True
        await respond(peer, asks)
        answered += 1
        done = paused_or_closed(peer, answered)
        kills.moments.append(await copied(process, path, f"answer{answered}-", done))
        process.is_caught = False
    kills.events = peer.events(1)
    return kills


@pytest.mark.long
@pytest.mark.parametrize("name", LIBRARIES)
async def test_whatever_a_kill_leaves_the_step_is_repeated_with_its_answers(
    serve, connect, path: Path, tmp_path: Path, name: str
) -> None:
    kills = await killed_everywhere(serve, connect, path, library(name))
    assert [len(moments) for moments in kills.moments] == [6, 4]
    check(kills.events, kills.events, "one")
    for number, (answered, log, threads) in enumerate(kills.pairs(is_long=True)):
        process = Process("two")
        store = joined(log, threads, tmp_path / f"at{number}")
        server = await serve({"g": asking(library(name), process)}, store=url(store))
        after = await connect(server)
        events = await to_the_end(after, answered)
        at = (log.parent.name, threads.parent.name)
        life = [event["data"] for event in events if event["mode"] == "lifecycle"]
        assert [each["status"] for each in life][-1] == "completed", (at, life)
        assert [each["attempt"] for each in life][-1] == 2
        assert not [moment for moment in process.visited if "plain" in moment], at
        check(events, kills.events, "one", "two")
        state = await after.ask(type="state", graph="g", thread="t")
        values = [event["data"] for event in events if event["mode"] == "values" and not event.get("ns")]
        assert state["values"] == values[-1]
        await server.close()


async def caught_at(process: Process, moment: str, *before: str) -> None:
    """Let the graph go on until it waits at this moment alone, and has passed those before."""
    while True:
        await until(
            lambda: (
                process.waiting.keys() - {moment}
                or (moment in process.waiting and process.visited_all(*before))
            )
        )
        others = process.waiting.keys() - {moment}
        if not others:
            return
        process.release(min(others))


_COPY = """
for _, key in ipairs(redis.call('KEYS', ARGV[1] .. ':*')) do
    redis.call('COPY', key, ARGV[2] .. string.sub(key, #ARGV[1] + 1))
end
"""  # at one moment, as a kill leaves them


class Threads:
    """The threads of a run, in a Redis or beside its log, which each process finds as a kill left them."""

    def __init__(self, redis: RedisProcess | None) -> None:
        self.redis = redis
        self.savers = AsyncExitStack()

    async def of(self, store: Path, before: Path | None = None) -> Any:
        """Return what a graph of the process on ``store`` is compiled with, which was copied ``before``."""
        if self.redis is None:
            return None
        if before is not None:
            async with asked_redis(self.redis) as client:
                await client.eval(_COPY, 0, _prefix(before), _prefix(store))
        saver = RedisSaver.from_url(self.redis.url, prefix=_prefix(store))
        return await self.savers.enter_async_context(saver)


def _prefix(store: Path) -> str:
    return str(store).replace("/", ".")


@pytest.fixture(params=["store", "redis"])
async def threads(request: pytest.FixtureRequest) -> AsyncIterator[Threads]:
    """They outlast the servers, which use them until they are closed: a test names this before ``serve``."""
    found = Threads(request.getfixturevalue("redis_of_stores") if request.param == "redis" else None)
    yield found
    await found.savers.aclose()


@pytest.mark.long
@pytest.mark.parametrize("name", LIBRARIES)
async def test_kill_after_kill_each_answer_counts_once(
    threads: Threads, serve, connect, path: Path, name: str
) -> None:
    lib, number = library(name), 0

    async def next_one(store: Path, *, is_caught: bool = False) -> tuple[Peer, Process, Path]:
        nonlocal number
        number += 1
        process, copy = Process(f"p{number}", is_caught=is_caught), killed(store, f"copy{number}")
        graph = asking(lib, process, checkpointer=await threads.of(copy, store))
        server = await serve({"g": graph}, store=url(copy), limits={"max_attempts": 9})
        return await connect(server), process, copy

    first = Process("one")
    graph = asking(lib, first, checkpointer=await threads.of(path))
    peer = await connect(await serve({"g": graph}, store=url(path)))
    await peer.run("g", {"said": []}, everything(1), run="r", thread="t")
    asks = await paused_or_closed(peer, 0)
    first.is_caught = True
    await respond(peer, asks)
    await caught_at(first, "d got d?", "a has spoken", "c_two has spoken")
    store = path
    undisturbed, _, _ = await next_one(store)
    for _ in range(2):
        peer, process, store = await next_one(store, is_caught=True)
        await peer.ask(type="subscribe", run="r", **everything(1))
        await caught_at(process, "d got d?", "a has spoken", "c_two has spoken")
    peer, process, store = await next_one(store)
    await peer.ask(type="subscribe", run="r", **everything(1))
    (ask,) = await paused_or_closed(peer, 1)
    assert (ask["value"], (await row(peer))["attempt"]) == ("again?", 4)
    peer, process, store = await next_one(store, is_caught=True)
    await peer.ask(type="subscribe", run="r", **everything(1))
    await respond(peer, await paused_or_closed(peer, 1))
    await caught_at(process, "d has spoken")
    assert process.visited == ["d got d?", "d got again?", "d has spoken"]
    peer, process, store = await next_one(store)
    events = await to_the_end(peer, 2)
    assert process.visited == ["d got d?", "d got again?", "d has spoken", "z_end has spoken"]
    check(events, await to_the_end(undisturbed, 1), *(f"p{each}" for each in range(1, number + 1)), "one")
    assert [e["data"]["attempt"] for e in events if e["mode"] == "lifecycle"][-1] == 5


# ── other ways to wait ───────────────────────────────────────────────────────────────────────────


async def taken_over(
    serve: Any, connect: Any, store: Path, *, lib: Library = OURS, name: str = "two", **options: Any
) -> tuple[Peer, Process]:
    """Serve the graph once more on a store that a kill left."""
    process = Process(name)
    return await connect(
        await serve({"g": asking(lib, process, **options)}, store=url(killed(store, name)))
    ), process


async def answered_run(
    serve: Any, connect: Any, path: Path, lib: Library = OURS, **run: Any
) -> tuple[Peer, Process, list[Frame]]:
    """Start a run and wait until it asks; whatever it does then is caught."""
    process = Process("one")
    peer = await connect(await serve({"g": asking(lib, process)}, store=url(path)))
    await peer.run("g", {"said": []}, everything(1), run="r", thread="t", **run)
    asks = await paused_or_closed(peer, 0)
    process.is_caught = True
    return peer, process, asks


def errors(events: Sequence[Frame]) -> list[str]:
    life = [event["data"] for event in events if event["mode"] == "lifecycle"]
    return [each["error"]["code"] for each in life if "error" in each]


@pytest.mark.parametrize("name", LIBRARIES)
async def test_who_was_answered_alone_is_repeated_alone(serve, connect, path: Path, name: str) -> None:
    lib = library(name)
    peer, process, asks = await answered_run(serve, connect, path, lib)
    for number, question in enumerate(("d?", "a?"), 1):
        (ask,) = [ask for ask in asks if ask["value"] == question]
        given = [answer(ask, ANSWERS[question])]
        await peer.ask(type="respond", run="r", responses=given, partial=True)
        await caught_at(process, f"{question[0]} got {question}")
        if question == "d?":
            process.release("d got d?")
            asks = await paused_or_closed(peer, number)
            assert sorted(ask["value"] for ask in asks) == ["a?", "again?", "deep?"]
    after, again = await taken_over(serve, connect, path, lib=lib)
    await after.ask(type="subscribe", run="r", **everything(1))
    asks = await paused_or_closed(after, 2)
    assert sorted(ask["value"] for ask in asks) == ["again?", "deep?"]
    assert set(again.visited) == {"d got d?", "a got a?", "a has spoken"}
    await respond(after, asks)
    assert await paused_or_closed(after, 3) == []
    customs = [event["data"] for event in of_run(after.events(1)) if event["mode"] == "custom"]
    assert sorted(customs) == [
        "a ['A'] two",
        "c_one [{'deep': [1]}] two",
        "c_two [] two",
        "d [None, 'D'] two",
        "plain [] one",
        "z_end [] two",
    ]
    result = (await after.ask(type="result", run="r"))["output"]
    assert sorted(result["said"] + result["inside"]) == sorted(customs)


@pytest.mark.parametrize("name", LIBRARIES)
@pytest.mark.parametrize("options", [{"interrupt_before": ["end"]}, {"durability": "exit"}])
async def test_a_run_with_breakpoints_goes_on_from_its_last_pause(
    serve, connect, path: Path, name: str, options: Any
) -> None:
    lib = library(name)
    peer, process, asks = await answered_run(serve, connect, path, lib, options=options)
    await respond(peer, asks)
    await caught_at(process, "d got d?")
    after, again = await taken_over(serve, connect, path, lib=lib)
    await after.ask(type="subscribe", run="r", **everything(1))
    asks = await paused_or_closed(after, 1)
    await respond(after, asks)
    if "interrupt_before" in options:
        assert await paused_or_closed(after, 2) == []  # what it asks at a breakpoint
        assert "z_end has spoken" not in again.visited
        again.is_caught = True
        await after.ask(type="respond", run="r", responses=[])
        await caught_at(again, "z_end has spoken")
        after, again = await taken_over(
            serve, connect, path.parent / "two" / path.name, lib=lib, name="three"
        )
        await after.ask(type="subscribe", run="r", **everything(1))
    assert (await after.closed(1))[-1]["status"] == "completed"
    assert again.visited[-1] == "z_end has spoken"
    customs = [event["data"] for event in of_run(after.events(1)) if event["mode"] == "custom"]
    result = (await after.ask(type="result", run="r"))["output"]
    assert sorted(result["said"] + result["inside"]) == sorted(customs)
    assert len(customs) == 6


def two_steps(lib: Library, process: Process) -> Any:
    """Two steps, with a breakpoint between them."""
    needs_context(lib)

    def speaks(name: str) -> Any:
        async def speak(state: State) -> State:
            await process.at(name)
            return {"said": [f"{name} {process.name}"]}

        return speak

    graph = lib.StateGraph(State).add_node("one", speaks("one")).add_node("two", speaks("two"))
    graph.add_edge(lib.START, "one").add_edge("one", "two").add_edge("two", lib.END)
    return graph.compile(interrupt_before=["two"])


@pytest.mark.parametrize("is_edited", [False, True])
@pytest.mark.parametrize("name", LIBRARIES)
async def test_a_run_that_continued_from_an_edited_thread_is_lost(
    serve, connect, path: Path, name: str, is_edited: bool
) -> None:
    lib, process = library(name), Process("first")
    peer = await connect(await serve({"g": two_steps(lib, process)}, store=url(path)))
    await peer.run("g", {"said": []}, everything(1), run="r", thread="t")
    assert await paused_or_closed(peer, 0) == []
    if is_edited:
        edit = {"values": {"said": ["edited"]}, "as_node": "one"}
        reply = await peer.ask(type="state_update", graph="g", thread="t", **edit)
        assert reply["type"] == "ok", reply
    process.is_caught = True
    await peer.ask(type="respond", run="r", responses=[])
    await until(lambda: "two" in process.waiting)
    after = await connect(await serve({"g": two_steps(lib, Process("second"))}, store=url(killed(path))))
    _, events = await history(after, 1)
    assert errors(events) == (["lost"] if is_edited else [])
    if not is_edited:
        assert (await after.ask(type="result", run="r"))["output"]["said"] == ["one first", "two second"]


@pytest.mark.parametrize("command", ["resume", "goto"])
@pytest.mark.parametrize("name", LIBRARIES)
async def test_a_run_that_began_with_a_command_repeats_it(
    serve, connect, path: Path, name: str, command: str
) -> None:
    lib = library(name)
    peer, process, asks = await answered_run(serve, connect, path, lib)
    given: dict[str, Any] = {"command": {"resume": {ask["id"]: ANSWERS[ask["value"]] for ask in asks}}}
    if command == "goto":
        given = {"command": {"update": {"said": ["updated"]}, "goto": "end"}}
    await peer.run("g", None, everything(2), run="next", thread="t", **given)
    moment = "z_end has spoken" if command == "goto" else "d got d?"
    await caught_at(process, moment)
    await peer.until(lambda frame: frame.get("sub") == 2 and frame.get("mode") == "tasks")
    for number in (2, 3):
        again = Process(str(number), is_caught=number == 2)
        path = killed(path, f"copy{number}")
        after = await connect(await serve({"g": asking(lib, again)}, store=url(path)))
        if number == 2:
            await caught_at(again, moment)
    events = await to_the_end(after, 0, run="next")
    assert errors(events) == []
    assert [e["data"]["attempt"] for e in events if e["mode"] == "lifecycle"][-1] == 3
    customs = [event["data"] for event in of_run(events) if event["mode"] == "custom"]
    result = (await after.ask(type="result", run="next"))["output"]
    before = ["plain [] one"] + ["updated"] * (command == "goto")
    assert sorted(result["said"] + result["inside"]) == sorted(customs + before)


def test_a_checkpoint_that_is_saved_late_is_hidden_as_well() -> None:
    """A process that was frozen or cut off, and is replaced, may have sent it before."""
    paused, late = checkpoint_id(1), checkpoint_id(2)
    pause = Pause(checkpoint=paused, newest=paused, graphs=()).repeated(paused, 2)
    assert pause.hides(late)
    assert not pause.hides(paused)
    assert not pause.hides(checkpoint_id(2)), "it is of the next attempt"
