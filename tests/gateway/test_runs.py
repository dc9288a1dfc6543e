"""About `gateway/graphwire_gateway/runs/runs.py`, `gateway/graphwire_gateway/runs/checks.py`,
`gateway/graphwire_gateway/runs/holdings.py` and `gateway/graphwire_gateway/runs/asking.py`.

The registry on a store that the test can hold, with real graphs to ask and executions that the test plays.

Long because each promise of the registry is tried at each point where a start can be cut short.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import orjson
import pytest
from graphwire_gateway.execution.execution import Outcome
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog, GraphSpec
from graphwire_gateway.graphs.runner import ThreadRunner
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.store import NoLog
from graphwire_gateway.runs import asking, watch
from graphwire_gateway.runs.asking import ask_within, has_checkpoint
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.watch import RunInfoWatch
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.replies import ThreadRow
from graphwire_protocol.types import TERMINAL
from graphwire_runtime import END, START, StateGraph
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.executions import PlayedExecutor
from tests.support.steps import lines_of
from tests.support.waiting import settle, until

FAILURES = Failures(expose=True)
DONE = Outcome("completed", b"1")
CANCELLED = Outcome("cancelled")
ASKS = Outcome("interrupted", b"null", (PendingInterrupt(id="a", value="?"),))


class Broken(Exception):
    """What a block raises."""


class State(TypedDict, total=False):
    said: str


def graph(checkpointer: Any = None) -> Any:
    building = StateGraph(State)
    building.add_node("say", lambda state: {"said": "hello"})
    building.add_edge(START, "say")
    building.add_edge("say", END)
    return building.compile(checkpointer=checkpointer)


class HeldStore(MemoryStore):
    """A store that stops in the operations named in ``held`` until the test releases them."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.stands: list[str] = []
        self.error: Exception | None = None
        self._released = asyncio.Event()

    async def _pass(self, operation: str) -> None:
        if operation in self.held:
            self.stands.append(operation)
            await self._released.wait()

    def release(self) -> None:
        self.held.clear()
        self._released.set()

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        await self._pass("create")
        if self.error is not None:
            raise self.error
        await super().create(run, epoch)

    async def delete(self, run: str) -> None:
        await self._pass("delete")
        await super().delete(run)

    async def append(self, batches: Any) -> Any:
        await self._pass("append")
        return await super().append(batches)


def thread_rows(bench: "Bench") -> list[ThreadRow]:
    return [thread.row() for thread in bench.runs.known_threads.of("p")]


class Bench:
    """Runs of the graphs ``plain``, ``own`` (with a checkpointer) and ``none`` (that can have none)."""

    def __init__(self, catalog: Catalog, *, shared: bool = False, **limits: Any) -> None:
        self.catalog = catalog
        self.store = HeldStore()
        self.committer = Committer(self.store)
        self.executor = PlayedExecutor()
        self.limits = Limits(**{"cancel_grace_s": 60, **limits})
        self.runs = Runs(catalog, self.executor, self.store, self.committer, self.limits, shared)  # type: ignore[arg-type]
        self.committing = asyncio.ensure_future(self.committer.main(self.runs.holdings.make_room))

    async def start(self, run: str, *, principal: str = "p", **fields: Any) -> Run:
        async with self.runs.starting(command(run, **fields), principal) as (started, _):
            pass
        return started

    async def break_off(self, run: str, work: Callable[[Run], Any], **fields: Any) -> None:
        """Start a run with a block that does some work and raises."""
        async with self.runs.starting(command(run, **fields), "p") as (started, _):
            done = work(started)
            if done is not None:
                await done
            raise Broken

    async def find(self, run: str) -> Run:
        return await asyncio.wait_for(self.runs.find("p", run), 5)

    async def end(self, run: Run, outcome: Outcome = DONE) -> None:
        self.executor.of(run).end(outcome)
        await self.settled()

    async def settled(self) -> None:
        await self.committer.settle()
        await settle()

    def rows(self, principal: str = "p", **fields: Any) -> dict[str, str]:
        listing = commands.List.model_validate({"id": 1, "what": "runs", **fields})
        return {row.run: row.status for row in self.runs.page(principal, listing)[0]}

    def scope(self, thread: str) -> Any:
        return self.runs.scope(self.catalog.get("own"), thread, "p", "run")

    async def check_nothing_is_left(self, run: str, thread: str = "t") -> None:
        """Check that a run that was not started is nowhere any more."""
        with pytest.raises(Refusal) as refused:
            await self.find(run)
        assert refused.value.code == "not_found"
        assert self.rows() == {}
        assert self.runs.of_thread(self.scope(thread)) == []
        self.runs.hold(self.scope(thread))()  # nobody has the thread
        self.store.release()
        await settle()
        with pytest.raises(NoLog):
            await self.store.read(f"p/{run}", 0, 1)
        again = await self.start(run, graph="own", thread=thread)  # max_active_runs has room for it
        await self.settled()
        assert (again.status, (await self.store.read(f"p/{run}", 0, 9)).head) == ("running", 1)
        assert len(self.executor.started) == 1


def command(run: str | None, **fields: Any) -> commands.Run:
    what = {} if "command" in fields else {"input": {}}
    return commands.Run.model_validate({"id": 1, "graph": "plain", "run": run, **what, **fields})


@pytest.fixture
async def catalog() -> AsyncIterator[Catalog]:
    graphs = {"plain": graph(), "own": graph(InMemorySaver()), "none": graph(False)}
    catalog = Catalog({name: GraphSpec(served, "inline") for name, served in graphs.items()})
    await catalog.open()
    yield catalog
    await catalog.close(5)


@pytest.fixture
async def make(catalog) -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def bench(**options: Any) -> Bench:
        made.append(Bench(catalog, **options))
        return made[-1]

    yield bench
    for each in made:
        each.store.release()
        each.committing.cancel()
        await asyncio.gather(each.committing, return_exceptions=True)


async def stopped(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.wait([task], timeout=5)
    assert task.cancelled()


# ── starting ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_new_run_has_its_log_but_no_event_before_its_block_ends(make) -> None:
    bench = make()
    async with bench.runs.starting(command("r"), "p") as (run, is_new):
        assert is_new
        assert (run.id, run.status, run.is_queued) == ("r", "queued", False)
        await bench.settled()
        assert (await bench.store.read("p/r", 0, 9)).head == 0
        assert bench.executor.started == []
    await bench.settled()
    assert (run.status, bench.executor.of(run).owner, run.log.head) == ("running", run, 1)


async def test_a_run_without_an_id_gets_one(make) -> None:
    bench = make()
    first = await bench.start(None)
    second = await bench.start(None)
    assert first.id != second.id
    assert await bench.find(first.id) is first


async def test_a_known_run_is_found_and_not_started_again(make) -> None:
    bench = make()
    run = await bench.start("r", graph="own", thread="t")
    async with bench.runs.starting(command("r", graph="own"), "p") as found:
        assert found == (run, False)
    async with bench.runs.starting(command("r", graph="own", thread="t"), "p") as found:
        assert found == (run, False)
    assert len(bench.executor.started) == 1


async def test_a_block_that_raises_for_a_known_run_leaves_it_alone(make) -> None:
    bench = make()
    run = await bench.start("r")
    with pytest.raises(Broken):
        await bench.break_off("r", lambda run: None)
    assert (await bench.find("r"), run.log.is_deleted) == (run, False)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"graph": "plain", "thread": "t"}, "runs graph 'own'"),
        ({"graph": "own", "thread": "u"}, "another thread"),
    ],
)
async def test_a_known_id_with_another_graph_or_thread_is_a_conflict(make, fields, reason) -> None:
    bench = make()
    await bench.start("r", graph="own", thread="t")
    with pytest.raises(Refusal, match=reason) as refused:
        await bench.start("r", **fields)
    assert refused.value.code == "conflict"


async def test_an_id_belongs_to_its_principal(make) -> None:
    bench = make()
    mine, theirs = await bench.start("r"), await bench.start("r", principal="q")
    assert mine is not theirs
    assert await bench.find("r") is mine
    with pytest.raises(Refusal):
        await bench.runs.find("other", "r")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"graph": "unknown"}, "not_found"),
        ({"graph": "none", "thread": "t"}, "invalid_argument"),
        ({"graph": "own", "config": {"configurable": {"thread_id": "x"}}}, "invalid_argument"),
        ({"graph": "own", "thread": "t", "checkpoint": "nowhere"}, "not_found"),
    ],
)
async def test_a_start_that_is_refused_leaves_nothing(make, fields, code) -> None:
    bench = make(max_active_runs=1)
    with pytest.raises(Refusal) as refused:
        await bench.start("r", **fields)
    assert refused.value.code == code
    await bench.check_nothing_is_left("r")


async def test_a_graph_without_threads_says_how_it_could_have_them(make) -> None:
    bench = make()
    with pytest.raises(Refusal, match="compile it without checkpointer=False"):
        await bench.start("r", graph="none", thread="t")


# ── a start that is cut short ────────────────────────────────────────────────────────────────────


async def test_a_block_that_raises_takes_its_run_out_again(make) -> None:
    bench = make(max_active_runs=1)
    woken: list[int] = []

    class Reader:
        def wake(self) -> None:
            woken.append(1)

    with pytest.raises(Broken):
        await bench.break_off("r", lambda run: run.log.join(Reader()), graph="own", thread="t")
    assert woken == [1]
    await bench.check_nothing_is_left("r")


async def test_a_start_that_is_cancelled_in_its_block_takes_its_run_out_again(make) -> None:
    bench = make(max_active_runs=1)
    inside = asyncio.Event()

    async def start() -> None:
        async with bench.runs.starting(command("r", graph="own", thread="t"), "p"):
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(start())
    await inside.wait()
    await stopped(task)
    await bench.check_nothing_is_left("r")


async def test_a_drain_does_not_wait_for_a_start_that_failed(make) -> None:
    bench = make()
    inside, leave = asyncio.Event(), asyncio.Event()

    async def start() -> None:
        async with bench.runs.starting(command("r"), "p"):
            inside.set()
            await leave.wait()
            raise Broken

    starting = asyncio.ensure_future(start())
    await inside.wait()
    draining = asyncio.ensure_future(bench.runs.drain(60))
    await settle()
    assert not draining.done()
    leave.set()
    with pytest.raises(Broken):
        await starting
    await asyncio.wait_for(draining, 5)


async def test_a_start_that_is_cancelled_while_the_log_is_created_takes_its_run_out_again(make) -> None:
    bench = make(max_active_runs=1)
    bench.store.held = {"create"}
    task = asyncio.ensure_future(bench.start("r", graph="own", thread="t"))
    await until(lambda: bench.store.stands)
    await stopped(task)
    await bench.check_nothing_is_left("r")


async def test_a_start_that_is_cancelled_behind_an_older_log_takes_its_run_out_again(make) -> None:
    bench = make(max_active_runs=1)
    with pytest.raises(Broken):
        await bench.break_off("r", lambda run: bench.store.held.add("delete"), graph="own", thread="t")
    task = asyncio.ensure_future(bench.start("r", graph="own", thread="t"))
    await until(lambda: bench.store.stands)
    await settle()
    assert bench.rows() == {"r": "queued"}
    await stopped(task)
    await bench.check_nothing_is_left("r")


async def test_a_start_that_is_cancelled_while_its_checkpoint_is_looked_for_leaves_nothing(make) -> None:
    bench = make(max_active_runs=1)
    saver = bench.catalog.get("own").graph.checkpointer
    stands = asyncio.Event()

    async def find(config: Any) -> None:
        stands.set()
        await asyncio.Event().wait()

    saver.aget_tuple, found = find, saver.aget_tuple
    task = asyncio.ensure_future(bench.start("r", graph="own", thread="t", checkpoint="c"))
    await asyncio.wait_for(stands.wait(), 5)
    await stopped(task)
    saver.aget_tuple = found
    await bench.check_nothing_is_left("r")


async def test_a_store_that_is_away_refuses_the_start_and_leaves_nothing(make) -> None:
    bench = make(max_active_runs=1)
    bench.store.error = ConnectionError("away")
    with pytest.raises(Refusal) as refused:
        await bench.start("r", graph="own", thread="t")
    assert (refused.value.code, refused.value.after_ms) == ("unavailable", 1000)
    bench.store.error = None
    await bench.check_nothing_is_left("r")


@pytest.mark.parametrize("how", ["is cancelled", "fails"])
async def test_others_that_wait_for_a_start_hear_that_it_was_given_up(make, how) -> None:
    bench = make()
    bench.store.held = {"create"}
    first = asyncio.ensure_future(bench.start("r"))
    await until(lambda: bench.store.stands)
    others = [asyncio.ensure_future(work) for work in (bench.start("r"), bench.find("r"))]
    await settle()
    assert not any(other.done() for other in others)
    if how == "is cancelled":
        await stopped(first)
    else:
        bench.store.error = ConnectionError("away")
        bench.store.release()
        await asyncio.wait([first], timeout=5)
    await until(lambda: all(other.done() for other in others))
    assert [getattr(other.exception(), "code", None) for other in others] == ["unavailable"] * 2
    assert first.cancelled() or first.exception().code == "unavailable"


async def test_a_caller_that_stops_waiting_for_a_start_does_not_stop_it(make) -> None:
    bench = make()
    bench.store.held = {"create"}
    first = asyncio.ensure_future(bench.start("r"))
    await until(lambda: bench.store.stands)
    other = asyncio.ensure_future(bench.start("r"))
    await settle()
    await stopped(other)
    bench.store.release()
    assert (await first).status == "running"


@pytest.mark.parametrize("is_deleted", [False, True])
async def test_a_run_that_is_cancelled_in_its_block_never_begins(make, is_deleted) -> None:
    bench = make(max_active_runs=1)
    async with bench.runs.starting(command("r", graph="own", thread="t"), "p") as (run, _):
        run.cancel("mine")
        if is_deleted:
            await asyncio.wait_for(bench.runs.remove(run), 5)
    await bench.settled()
    assert (run.status, bench.executor.started) == ("cancelled", [])
    assert bench.rows() == ({} if is_deleted else {"r": "cancelled"})
    await bench.start("next", graph="own", thread="t")  # thread and max_active_runs have room


async def test_a_run_that_is_cancelled_in_a_block_that_raises_is_counted_out_once(make) -> None:
    bench = make(max_active_runs=2)
    await bench.start("other")
    for is_stored in (True, False):

        async def cancel(run: Run, is_stored: bool = is_stored) -> None:
            run.cancel()
            if is_stored:
                await bench.settled()

        with pytest.raises(Broken):
            await bench.break_off("r", cancel, graph="own", thread="t")
        await bench.settled()
        assert bench.rows() == {"other": "running"}
    await bench.start("second", graph="own", thread="t")
    with pytest.raises(Refusal, match="max_active_runs"):
        await bench.start("third")


async def test_a_block_that_raises_late_does_not_touch_the_next_run_of_its_id(make) -> None:
    bench = make()
    began: list[Run] = []

    async def replace(old: Run) -> None:
        old.cancel()
        await asyncio.wait_for(bench.runs.remove(old), 5)
        began.append(await bench.start("r"))

    with pytest.raises(Broken):
        await bench.break_off("r", replace)
    new = began[0]
    await bench.settled()
    bench.executor.of(new).make(1)
    await bench.settled()
    assert (await bench.find("r"), new.status, new.log.head) == (new, "running", 2)
    assert (await bench.store.read("p/r", 0, 9)).head == 2


# ── limits ───────────────────────────────────────────────────────────────────────────────────────


async def test_each_principal_has_so_many_active_runs(make) -> None:
    bench = make(max_active_runs=2)
    first, _ = await bench.start("a"), await bench.start("b")
    with pytest.raises(Refusal, match="max_active_runs") as refused:
        await bench.start("c")
    assert (refused.value.code, refused.value.after_ms) == ("limit_exceeded", 1000)
    await bench.start("c", principal="q")
    await bench.end(first)
    await bench.start("c")


async def test_beyond_the_server_s_runs_others_are_queued_in_order(make) -> None:
    bench = make(max_server_runs=1)
    first, second, third = [await bench.start(id) for id in "abc"]
    await bench.settled()
    assert bench.rows() == {"a": "running", "b": "queued", "c": "queued"}
    await bench.end(first)
    assert bench.rows() == {"a": "completed", "b": "running", "c": "queued"}
    second.cancel()
    await bench.end(second, CANCELLED)
    assert third.status == "running"


# ── threads ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_busy_thread_refuses_queues_or_gives_way_as_it_was_asked(make) -> None:
    bench = make()
    first = await bench.start("first", graph="own", thread="t")
    with pytest.raises(Refusal) as refused:
        await bench.start("refused", graph="own", thread="t")
    assert refused.value.code == "busy"
    waits = await bench.start("waits", graph="own", thread="t", if_busy="enqueue")
    urgent = await bench.start("urgent", graph="own", thread="t", if_busy="interrupt")
    assert (first.cancelled_by, waits.status, urgent.status) == ("superseded", "queued", "queued")
    await bench.end(first, CANCELLED)
    assert (waits.status, urgent.status) == ("queued", "running")
    await bench.end(urgent)
    assert waits.status == "running"


async def test_a_thread_is_free_when_the_code_has_stopped_and_not_before(make) -> None:
    bench = make(cancel_grace_s=0.01)
    deaf = await bench.start("deaf", graph="own", thread="t")
    waits = await bench.start("waits", graph="own", thread="t", if_busy="enqueue")
    deaf.cancel()
    await until(lambda: deaf.status == "cancelled")
    await bench.settled()
    assert waits.status == "queued"
    bench.executor.of(deaf).stop()
    assert waits.status == "running"


async def test_a_run_that_asks_frees_its_slot_and_takes_it_again_with_the_answer(make) -> None:
    bench = make(max_server_runs=1)
    asks = await bench.start("asks", graph="own", thread="t")
    waits = await bench.start("waits")
    await bench.end(asks, ASKS)
    assert (asks.status, waits.status) == ("interrupted", "running")
    await bench.runs.respond(asks, answer(a=1))
    assert asks.status == "running"
    with pytest.raises(Refusal):
        await bench.runs.respond(asks, answer(a=1))
    third = await bench.start("third")
    await bench.end(waits)
    assert third.status == "queued"
    await bench.end(asks)
    assert third.status == "running"


async def test_an_answer_waits_for_a_request_that_has_the_thread(make) -> None:
    bench = make()
    asks = await bench.start("asks", graph="own", thread="t")
    await bench.end(asks, ASKS)
    release = bench.runs.hold(bench.scope("t"))
    with pytest.raises(Refusal) as refused:
        await bench.runs.respond(asks, answer(a=1))
    assert (refused.value.code, asks.status) == ("busy", "interrupted")
    release()
    await bench.runs.respond(asks, answer(a=1))
    assert asks.status == "running"


async def test_a_later_run_supersedes_one_that_asks(make) -> None:
    bench = make()
    asks = await bench.start("asks", graph="own", thread="t")
    await bench.end(asks, ASKS)
    later = await bench.start("later", graph="own", thread="t")
    await bench.settled()
    assert (asks.status, asks.cancelled_by, later.status) == ("cancelled", "superseded", "running")


async def test_a_request_holds_a_free_thread_and_a_run_that_comes_meanwhile_waits(make) -> None:
    bench = make()
    release = bench.runs.hold(bench.scope("t"))
    with pytest.raises(Refusal) as refused:
        bench.runs.hold(bench.scope("t"))
    assert refused.value.code == "busy"
    run = await bench.start("r", graph="own", thread="t")
    assert run.status == "queued"
    release()
    assert run.status == "running"
    with pytest.raises(Refusal):
        bench.runs.hold(bench.scope("t"))


async def test_threads_are_shared_where_the_operator_says_so(make) -> None:
    own, shared = make(), make(shared=True)
    for bench in (own, shared):
        await bench.start("a", graph="own", thread="t")
    await own.start("b", principal="q", graph="own", thread="t")
    with pytest.raises(Refusal) as refused:
        await shared.start("b", principal="q", graph="own", thread="t")
    assert refused.value.code == "busy"


def answer(**answers: Any) -> commands.Respond:
    responses = [{"interrupt": id, "value": value} for id, value in answers.items()]
    return commands.Respond.model_validate({"id": 2, "run": "asks", "responses": responses})


# ── lists and watches ────────────────────────────────────────────────────────────────────────────


async def test_a_list_has_the_principal_s_runs_the_newest_first(make) -> None:
    bench = make()
    for id in "abc":
        await bench.start(id, metadata={"id": id})
    await bench.start("d", principal="q")
    assert list(bench.rows()) == ["c", "b", "a"]
    assert bench.rows(status=["running"], graph="plain") == dict.fromkeys("cba", "running")
    assert bench.rows(graph="own") == {}
    assert bench.rows("q") == {"d": "running"}


async def test_each_thread_has_the_status_of_its_latest_run_and_private_ones_are_not_listed(make) -> None:
    bench = make()
    first = await bench.start("a", graph="own", thread="t")
    await bench.end(first)
    await bench.start("b", graph="own", thread="t")
    await bench.start("c", graph="own")
    await bench.start("d", principal="q", graph="own", thread="u")
    assert [(row.thread, row.status, row.run) for row in thread_rows(bench)] == [("t", "running", "b")]


async def test_a_watch_begins_with_what_is_there_and_follows_every_change(make) -> None:
    bench = make()
    run = await bench.start("a")
    await bench.settled()
    asked = commands.Watch.model_validate({"id": 1, "sub": 1})
    ready: list[RunInfoWatch] = []
    watch = RunInfoWatch(asked, "p", ready.append)
    bench.runs.watch(watch)
    first: list[bytes] = []
    ready.pop().take(first, 1 << 20)
    await bench.end(run)
    then: list[bytes] = []
    ready.pop().take(then, 1 << 20)
    assert [b'"status":"running"' in first[0], b'"type":"synced"' in first[1]] == [True, True]
    assert b'"status":"completed"' in then[0]
    bench.runs.unwatch(watch)
    await bench.start("b")
    await bench.settled()
    assert ready == []


class Board:
    """A watch of all runs; ``news`` takes what it has to send, shortly."""

    def __init__(self, bench: Bench, **fields: Any) -> None:
        self._ready: list[RunInfoWatch] = []
        asked = commands.Watch.model_validate({"id": 1, "sub": 1, **fields})
        self.watch = RunInfoWatch(asked, "p", self._ready.append)
        bench.runs.watch(self.watch)
        self.news()

    def news(self) -> list[tuple[str, Any]]:
        out: list[bytes] = []
        while self._ready:
            self._ready.pop().take(out, 1 << 20)
        frames = [orjson.loads(frame) for frame in out]
        return [
            (frame["run"], frame["reason"] if frame["type"] == "run_gone" else frame["status"])
            for frame in frames
            if frame["type"] != "synced"
        ]


async def test_a_watch_hears_of_a_run_that_is_deleted_behind_its_end(make) -> None:
    bench = make()
    run = await bench.start("r", graph="own", thread="t")
    await bench.end(run, ASKS)
    board = Board(bench)
    await bench.runs.remove(run)
    assert board.news() == [("r", "cancelled"), ("r", "deleted")]


async def test_a_watch_hears_of_a_result_that_is_forgotten(make) -> None:
    bench = make(result_ttl_s=0.01)
    board = Board(bench)
    await bench.end(await bench.start("r"))
    await until(lambda: bench.rows() == {})
    assert board.news() == [("r", "running"), ("r", "completed"), ("r", "expired")]


async def test_a_watch_hears_of_a_run_that_makes_room_for_others(make) -> None:
    bench = make(store_bytes=1_000)
    run = await bench.start("r")
    bench.executor.of(run).make("x" * 1_500)
    board = Board(bench)
    await bench.end(run)
    await until(lambda: bench.rows() == {})
    assert board.news() == [("r", "running"), ("r", "completed"), ("r", "evicted")]


async def test_a_watch_hears_of_a_run_that_it_has_listed_and_whose_start_then_failed(make) -> None:
    bench = make()
    boards: list[Board] = []
    with pytest.raises(Broken):
        await bench.break_off("r", lambda run: boards.append(Board(bench)))
    assert boards[0].news() == [("r", "deleted")]


async def test_a_watch_begins_with_what_the_store_holds(make) -> None:
    bench = make()
    run = await bench.start("r")
    await bench.settled()
    bench.store.held = {"append"}
    bench.executor.of(run).end(DONE)
    board = Board(bench, status=["running"])
    assert (run.status, board.news()) == ("completed", [])
    bench.store.release()
    await bench.settled()
    assert board.news() == [("r", "completed")]


async def test_a_watch_that_asks_hears_how_far_the_store_is(make, monkeypatch) -> None:
    monkeypatch.setattr(watch, "PROGRESS_S", 0.0)
    bench = make()
    run = await bench.start("r")
    await bench.settled()
    board, other = Board(bench, progress=True), Board(bench)
    bench.executor.of(run).make(1, 2)
    await bench.settled()
    assert (board.news(), other.news()) == ([("r", "running")], [])
    bench.store.held = {"append"}
    bench.executor.of(run).make(3)
    await settle()
    assert board.news() == []
    bench.store.release()
    await bench.settled()
    assert board.news() == [("r", "running")]


# ── letting go ───────────────────────────────────────────────────────────────────────────────────


async def test_a_result_is_forgotten_after_its_time(make) -> None:
    bench = make(result_ttl_s=0.01)
    run = await bench.start("r")
    await bench.end(run)
    await until(lambda: bench.rows() == {})
    await until(lambda: bench.store.size == 0)
    assert run.log.is_deleted
    with pytest.raises(Refusal):
        await bench.find("r")


async def test_the_runs_that_ended_first_are_deleted_while_the_store_is_too_large(make) -> None:
    bench = make(store_bytes=5_000)
    first, second, third, running = [await bench.start(id) for id in ("a", "b", "c", "d")]
    for run in (first, second, third, running):
        bench.executor.of(run).make("x" * 1_500)
    await bench.settled()
    assert bench.store.size > 5_000
    await bench.end(second)
    await until(lambda: list(bench.rows()) == ["d", "c", "a"])
    assert second.log.is_deleted
    await until(lambda: bench.store.size < 7_000)
    await bench.end(third)
    await until(lambda: list(bench.rows()) == ["d", "a"])
    await until(lambda: bench.store.size <= 5_000)
    await bench.end(first)  # now everything has room
    assert bench.rows() == {"d": "running", "a": "completed"}


async def test_a_list_and_a_watch_cost_the_same_however_many_runs_others_have(make) -> None:
    bench = make()

    def cost() -> int:
        listing = commands.List.model_validate({"id": 1, "what": "runs", "graph": "own"})
        return lines_of(
            lambda: (bench.runs.page("p", listing), thread_rows(bench), Board(bench, graphs=["own"]))
        )

    await bench.start("r")
    await bench.settled()
    cost()
    before = cost()
    for number in range(50):
        await bench.start(f"{number}", principal="q")
    await bench.settled()
    assert cost() == before


async def test_nobody_pushes_out_the_ended_runs_of_others(make) -> None:
    bench = make(store_bytes=100_000)
    for id in "ab":
        run = await bench.start(id)
        bench.executor.of(run).make("x" * 10_000)
        await bench.end(run, Outcome("completed", b"1" * 10_000))
    for number in range(20):
        run = await bench.start(f"{number}", principal="q")
        bench.executor.of(run).make("x" * 15_000)
        await bench.end(run)
    await until(lambda: bench.runs.holdings.excess <= 0)
    assert list(bench.rows()) == ["b", "a"]
    assert list(bench.rows("q")) == ["19", "18", "17"]


async def test_logs_of_others_that_have_not_ended_push_out_no_ended_runs_either(make) -> None:
    bench = make(store_bytes=100_000)
    kept = await bench.start("kept")
    bench.executor.of(kept).make("x" * 20_000)
    await bench.end(kept)
    running = [await bench.start(f"{number}", principal="q") for number in range(8)]
    for run in running:
        bench.executor.of(run).make(*["x" * 1_000] * 50)
        await bench.settled()
    await until(lambda: bench.runs.holdings.excess <= 0)
    assert list(bench.rows()) == ["kept"]
    assert (await bench.store.read("p/kept", 0, 0)).evicted == 0


async def test_what_is_left_of_others_goes_if_nothing_else_makes_room(make) -> None:
    bench = make(store_bytes=100_000)
    await bench.end(await bench.start("kept"), Outcome("completed", b"1" * 20_000))
    await bench.start("a", principal="q", input={"said": "x" * 90_000})
    await bench.start("b", principal="r")
    assert list(bench.rows()) == []


async def test_logs_of_runs_that_have_not_ended_are_shortened_the_largest_first(make, caplog) -> None:
    bench = make(store_bytes=100_000)
    ended, small, large = [await bench.start(id) for id in ("ended", "small", "large")]
    for run, count in ((ended, 2), (small, 5)):
        bench.executor.of(run).make(*["x" * 1_000] * count)
    await bench.end(ended)
    for _ in range(100):
        bench.executor.of(large).make(*["x" * 1_000] * 3)
        await bench.settled()
        assert bench.runs.holdings.excess <= 0
    assert bench.rows() == {"large": "running", "small": "running"}, "what has ended goes first"
    assert (await bench.store.read("p/small", 0, 0)).evicted == 0
    assert (await bench.store.read("p/large", 0, 0)).evicted > 200
    told = [record.getMessage() for record in caplog.records if "store_bytes are full" in record.getMessage()]
    assert len(told) == 1, "once a minute"
    assert "limit=100000" in told[0]


async def test_no_run_starts_while_what_is_kept_of_others_takes_all_room(make) -> None:
    bench = make(store_bytes=100_000)
    first, _ = [await bench.start(id, input={"said": "x" * 49_000}) for id in ("a", "b")]
    with pytest.raises(
        Refusal, match=r"your runs and threads hold 98\d{3} bytes, half of .* \(store_bytes\)"
    ) as refused:
        await bench.start("c")
    assert (refused.value.code, refused.value.details) == ("limit_exceeded", {"limit": "store_bytes"})
    assert refused.value.after_ms
    assert bench.rows() == {"b": "running", "a": "running"}
    assert (await bench.find("a")) is first, "a run that is there is found all the same"
    async with bench.runs.starting(command("a", input={"said": "x" * 49_000}), "p") as (again, is_new):
        assert (again, is_new) == (first, False)
    await bench.start("c", principal="q", input={"said": "x" * 34_000})
    await bench.start("c", principal="r", input={"said": "x" * 1_000})
    with pytest.raises(Refusal, match=r"all of 100000 bytes \(store_bytes\), and yours 34"):
        await bench.start("d", principal="q")
    await bench.start("d", principal="r")
    assert bench.rows("r") == {"d": "running", "c": "running"}, "others have their share all the same"
    await bench.end(first)
    for run in bench.rows("q"):
        await bench.end(await bench.runs.find("q", run))
    await bench.start("c")
    assert set(bench.rows()) >= {"b", "c"}


async def test_what_a_run_holds_until_it_ends_is_no_more_than_half_for_all_of_a_principal_s(make) -> None:
    bench = make(store_bytes=100_000)
    await bench.end(await bench.start("ended"), Outcome("completed", b"1" * 60_000))
    run = await bench.start("a", input={"said": "x" * 51_000})
    with pytest.raises(Refusal, match="half of what the server keeps"):
        await bench.start("b")
    for number in range(3):
        other = await bench.start(f"{number}", principal="q")
        await bench.end(other, Outcome("completed", b"1" * 10_000))
    assert len(bench.rows("q")) == 3, "what others have is not pushed out"
    await bench.end(run)
    await bench.start("b")


async def test_a_run_that_has_ended_makes_room_for_one_that_starts(make) -> None:
    bench = make(store_bytes=100_000)
    await bench.end(await bench.start("ended"), Outcome("completed", b"1" * 90_000))
    await bench.start("a", input={"said": "x" * 45_000})
    await bench.start("b")
    assert bench.rows() == {"b": "running", "a": "running"}


async def test_what_a_run_begins_with_counts_until_it_needs_it_no_more(make) -> None:
    bench = make()
    big, metadata = "x" * 50_000, {"k": "y" * 1_000}
    fields = {"input": {"said": big}, "context": {"c": "z" * 10_000}, "metadata": metadata}
    run = await bench.start("r", graph="own", thread="t", **fields)
    assert 61_000 < bench.runs.holdings.beside_logs < 62_200
    await bench.end(run, ASKS)
    assert 11_000 < bench.runs.holdings.beside_logs < 12_200, "the input is not needed to continue"
    respond = {"id": 2, "run": "r", "responses": [{"interrupt": "a", "value": "v" * 5_000}]}
    await bench.runs.respond(run, commands.Respond.model_validate(respond))
    assert 16_000 < bench.runs.holdings.beside_logs < 17_200
    await bench.end(run, Outcome("completed", b"1" * 2_000))
    assert 3_000 < bench.runs.holdings.beside_logs < 3_600, "its row and its result"
    await bench.runs.remove(run)
    assert bench.runs.holdings.beside_logs == 0


@pytest.mark.parametrize("field", ["input", "metadata"])
async def test_what_is_small_on_the_wire_and_large_in_memory_counts_as_what_it_takes(make, field) -> None:
    bench = make()
    await bench.start("r", graph="own", thread="t", **{field: {"said": [[]] * 1_000}})
    assert bench.runs.holdings.beside_logs > 1_000 * sys.getsizeof([])


async def test_a_run_that_never_began_holds_no_request_when_it_is_cancelled(make) -> None:
    bench = make(max_server_runs=1)
    await bench.start("first")
    before = bench.runs.holdings.beside_logs
    run = await bench.start("r", input={"said": "x" * 50_000})
    assert bench.runs.holdings.beside_logs > before + 50_000
    run.cancel()
    await bench.settled()
    assert bench.runs.holdings.beside_logs < before + 500


@pytest.mark.parametrize("where", ["metadata", "config.metadata", "config.tags", "config.run_name"])
async def test_what_lists_and_traces_repeat_is_limited(make, where) -> None:
    bench = make(max_metadata_bytes=100)

    def fields(size: int) -> dict[str, Any]:
        value: Any = "x" * (size - len('""'))
        if where == "config.tags":
            value = [value[2:]]
        elif where.endswith("metadata"):
            value = {"k": value[len('{"k":}') :]}
        return {"config": {where.removeprefix("config."): value}} if "." in where else {where: value}

    await bench.start("fits", **fields(100))
    with pytest.raises(Refusal, match=rf"run.{where}: it takes 101 bytes.*max_metadata_bytes") as refused:
        await bench.start("r", **fields(101))
    assert refused.value.code == "limit_exceeded"
    assert refused.value.details == {"path": where, "bytes": 101, "limit": "max_metadata_bytes"}
    assert list(bench.rows()) == ["fits"]


async def test_a_run_that_waits_for_answers_counts_among_the_active_ones_until_it_ends(make) -> None:
    bench = make(max_active_runs=1)
    run = await bench.start("r", graph="own", thread="t")
    await bench.end(run, ASKS)
    with pytest.raises(Refusal, match="max_active_runs"):
        await bench.start("other")
    run.cancel()
    await bench.settled()
    await bench.start("other")


async def test_as_many_runs_are_deleted_as_the_store_needs(make) -> None:
    bench = make(store_bytes=5_000)
    small, other, large = [await bench.start(id) for id in ("a", "b", "c")]
    for run in (small, other):
        bench.executor.of(run).make("x" * 500)
        await bench.end(run)
    assert list(bench.rows()) == ["c", "b", "a"]
    bench.executor.of(large).make("x" * 4_000)
    await bench.end(large)
    await until(lambda: list(bench.rows()) == ["c"])
    await until(lambda: bench.store.size <= 5_000)


async def test_deleting_a_run_cancels_an_interrupted_one_and_refuses_an_active_one(make) -> None:
    bench = make()
    run = await bench.start("r", graph="own", thread="t")
    with pytest.raises(Refusal) as refused:
        await bench.runs.remove(run)
    assert refused.value.code == "conflict"
    await bench.end(run, ASKS)
    await asyncio.wait_for(bench.runs.remove(run), 5)
    assert (run.status, run.cancelled_by, run.log.is_deleted) == ("cancelled", "deleted", True)
    assert bench.rows() == {}
    with pytest.raises(NoLog):
        await bench.store.read("p/r", 0, 1)
    bench.runs.hold(bench.scope("t"))()


async def test_a_deletion_waits_until_the_end_is_stored(make) -> None:
    bench = make()
    run = await bench.start("r")
    await bench.settled()
    bench.store.held = {"append"}
    bench.executor.of(run).end(DONE)
    deleting = asyncio.ensure_future(bench.runs.remove(run))
    await until(lambda: bench.store.stands)
    await settle()
    assert not deleting.done()
    bench.store.release()
    await asyncio.wait_for(deleting, 5)
    assert bench.rows() == {}


@pytest.mark.parametrize("status", ["queued", "running", "interrupted"])
async def test_a_run_that_loses_its_log_is_counted_out_and_frees_thread_and_slot(make, status) -> None:
    bench = make(max_active_runs=1, max_server_runs=1)
    if status == "queued":
        await bench.start("first", principal="q")
    run = await bench.start("r", graph="own", thread="t")
    await bench.settled()
    if status == "interrupted":
        await bench.end(run, ASKS)
    assert run.status == status
    run.log.lost(is_taken=False)
    if status == "running":
        bench.executor.of(run).end(CANCELLED)
    await bench.settled()
    assert bench.rows() == {"r": "failed"}
    following = await bench.start("next", graph="own", thread="t")
    assert following.status == ("queued" if status == "queued" else "running")


# ── draining ─────────────────────────────────────────────────────────────────────────────────────


async def test_a_drain_refuses_new_runs_and_waits_for_the_others(make) -> None:
    bench = make()
    run = await bench.start("r")
    draining = asyncio.ensure_future(bench.runs.drain(60))
    await settle()
    assert bench.runs.draining
    with pytest.raises(Refusal) as refused:
        await bench.start("new")
    assert refused.value.code == "draining"
    assert await bench.start("r") is run  # a known one is found
    assert not draining.done()
    await bench.end(run)
    await asyncio.wait_for(draining, 5)
    assert run.status == "completed"


async def test_a_drain_cancels_what_has_not_ended_in_time_and_what_asks(make) -> None:
    bench = make(cancel_grace_s=0.01)
    asks = await bench.start("asks", graph="own", thread="t")
    await bench.end(asks, ASKS)
    queued = await bench.start("queued", graph="own", thread="t", if_busy="enqueue")
    deaf = await bench.start("deaf")
    assert queued.status == "queued"
    await asyncio.wait_for(bench.runs.drain(0.01), 5)
    for run in (asks, deaf, queued):
        await until(lambda run=run: run.status == "cancelled")
        assert run.cancelled_by == "shutdown"


async def test_a_drain_waits_for_no_run_that_asks(make) -> None:
    bench = make()
    asks = await bench.start("asks", graph="own", thread="t")
    await bench.end(asks, ASKS)
    await asyncio.wait_for(bench.runs.drain(60), 5)
    assert asks.cancelled_by == "shutdown"


async def test_a_drain_that_is_hurried_waits_no_longer(make) -> None:
    bench = make(cancel_grace_s=0.01)
    run = await bench.start("r")
    draining = asyncio.ensure_future(bench.runs.drain(3600))
    await settle()
    assert run.cancelled_by is None
    bench.runs.hurry()
    await asyncio.wait_for(draining, 5)
    assert run.cancelled_by == "shutdown"
    await until(lambda: run.status in TERMINAL)


# ── asking a saver ───────────────────────────────────────────────────────────────────────────────


async def test_a_checkpoint_is_found_where_its_thread_has_it(make) -> None:
    bench = make()
    entry, scope = bench.catalog.get("own"), bench.scope("t")
    config: Any = {"configurable": {"thread_id": scope.saved}}
    await entry.graph.ainvoke({}, config)
    checkpoint = (await entry.graph.aget_state(config)).config["configurable"]["checkpoint_id"]
    assert await has_checkpoint(entry, FAILURES, scope, "ann", checkpoint, "here")
    assert not await has_checkpoint(entry, FAILURES, scope, "ann", "other", "here")
    assert not await has_checkpoint(entry, FAILURES, bench.scope("u"), "ann", checkpoint, "here")
    run = await bench.start("r", graph="own", thread="t", checkpoint=checkpoint)
    request = bench.executor.of(run).request
    assert request.config["configurable"]["checkpoint_id"] == checkpoint


async def test_a_question_that_gets_no_answer_is_given_up_and_the_refusal_names_the_frame(
    make, monkeypatch
) -> None:
    bench = make()
    monkeypatch.setattr(asking, "PATIENCE_S", 0.01)
    was_cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    with pytest.raises(Refusal, match=r"run\.checkpoint: graph 'own' does not answer") as refused:
        await asyncio.wait_for(ask_within(bench.catalog.get("own"), FAILURES, "run.checkpoint", hang, "p"), 5)
    assert (refused.value.code, refused.value.after_ms) == ("unavailable", 1000)
    await asyncio.wait_for(was_cancelled.wait(), 5)


class Unspeakable(Exception):
    def __init__(self, raised: BaseException) -> None:
        self.raised = raised

    def __str__(self) -> str:
        raise self.raised


@pytest.mark.parametrize(
    "raised",
    [
        LookupError("no such"),
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        Unspeakable(ValueError()),
        Unspeakable(SystemExit(4)),
        Unspeakable(KeyboardInterrupt()),
    ],
    ids=repr,
)
async def test_whatever_a_graph_raises_is_described_on_its_loop_and_refuses_the_request(
    make, raised: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = make().catalog.get("own")
    runner = ThreadRunner("own")
    monkeypatch.setattr(entry, "runner", runner)
    described_in: list[int] = []

    class Watching(type(raised)):  # type: ignore[misc]
        def __str__(self) -> str:
            described_in.append(threading.get_ident())
            return str(super().__str__())

    async def fail() -> int:
        raise Watching(*raised.args) if not isinstance(raised, Unspeakable) else Watching(raised.raised)

    async def say() -> int:
        return 7

    try:
        assert await ask_within(entry, FAILURES, "here", say, "p") == 7
        with pytest.raises(Refusal, match="here: the graph or its saver failed: Watching") as refused:
            await ask_within(entry, FAILURES, "here", fail, "p")
        assert refused.value.code == "internal"
        assert refused.value.__cause__ is None
        assert refused.value.details is not None
        assert refused.value.details["error_id"] in refused.value.message
        assert set(described_in) <= {runner.thread}
        assert await ask_within(entry, FAILURES, "here", say, "p") == 7
    finally:
        await runner.close(5)
