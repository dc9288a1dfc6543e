"""The events of all runs of a tick go to the store together and in order, until the store has taken them.

About `gateway/graphwire_gateway/log/commit.py` and `gateway/graphwire_gateway/log/log.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.execution import Outcome
from graphwire_gateway.execution.request import RunRequest
from graphwire_gateway.limits import Limits
from graphwire_gateway.log import commit
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.store import Batch, Fenced, SeqGap, StoreAway
from graphwire_gateway.runs.run import Run
from graphwire_protocol.payloads import Failure
from graphwire_protocol.projection import Projector
from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import TERMINAL

from tests.support.executions import PlayedExecutor
from tests.support.logs import LogWriter, event
from tests.support.stores import DelayingStore, FlakyStore, GatedStore
from tests.support.waiting import until


class Recorder:
    """A store that notes the groups that it is given."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.groups: list[list[tuple[str, int, int]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    async def append(self, batches: Sequence[Batch]) -> Any:
        self.groups.append([(batch.run, batch.first_seq, len(batch.records)) for batch in batches])
        return await self.store.append(batches)


class Bench:
    """A committer on a store, with runs whose graphs are played by the test. It listens to the runs."""

    def __init__(self, store: Any) -> None:
        self.store = Recorder(store)
        self.committer = Committer(self.store)
        self.task = asyncio.ensure_future(self.committer.main())
        self.executor = PlayedExecutor(are_over=True)
        self.ended: list[str] = []
        self.changed: list[tuple[str, str]] = []
        self.encoder = Encoder(Projector(), 1 << 20)

    async def run(self, key: str) -> Run:
        run = Run(
            RunRequest(run=key, graph="g", input={}, config={}, modes=frozenset({"custom"})),
            key=key,
            principal="p",
            epoch="e",
            executor=self.executor,  # type: ignore[arg-type]
            commit=self.committer.add,
            listener=self,
            limits=Limits(cancel_grace_s=60, interrupt_ttl_s=60),
            metadata={},
        )
        await self.store.create(key, "e")
        self.store.tail(key, run.log.grow)
        run.created.set_result(None)
        run.start()
        return run

    def make(self, *items: tuple[Run, list[Any]]) -> None:
        """Hand over what the executions of some runs made in one tick."""
        for run, made in items:
            self.executor.of(run).make(*made)

    def run_changed(self, run: Run, row: RunRow) -> None:
        self.changed.append((run.id, row.status))

    def row_changed(self, run: Run, row: RunRow) -> None: ...

    def run_moved(self, run: Run) -> None: ...

    def run_paused(self, run: Run) -> None: ...

    def run_ended(self, run: Run) -> None:
        self.ended.append(run.id)

    def run_stopped(self, run: Run) -> None: ...

    async def log(self, key: str) -> list[Any]:
        page = await self.store.read(key, 0, 10_000)
        return [orjson.loads(record.data) for record in page.records]


DONE = Outcome("completed", b'{"done":1}')


@pytest.fixture(params=[MemoryStore, DelayingStore])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    bench = Bench(request.param())
    yield bench
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def _with(store: Any) -> Bench:
    return Bench(store)


async def _stop(bench: Bench) -> None:
    bench.task.cancel()
    await asyncio.gather(bench.task, return_exceptions=True)


async def test_runs_of_one_tick_go_together_and_each_is_dense(bench: Bench) -> None:
    runs = [await bench.run(f"r{number}") for number in range(5)]
    await bench.committer.settle()
    before = len(bench.store.groups)
    for tick in range(4):
        bench.make(*((run, [tick * 10, tick * 10 + 1]) for run in runs))
        await bench.committer.settle()
    bench.make(*((run, [99, DONE]) for run in runs))
    await bench.committer.settle()
    assert len(bench.store.groups) == before + 5
    assert all(len(group) == 5 for group in bench.store.groups[before:])
    assert sorted(bench.ended) == [run.id for run in runs]
    for run in runs:
        log = await bench.log(run.key)
        assert log[1:-1] == [0, 1, 10, 11, 20, 21, 30, 31, 99]
        assert [log[0]["status"], log[-1]["status"]] == ["running", "completed"]
        assert (run.status, run.log.end, run.output) == ("completed", "completed", b'{"done":1}')


async def test_what_comes_while_the_store_is_at_work_goes_in_one_group_behind(monkeypatch) -> None:
    store = GatedStore()
    bench = await _with(store)
    run = await bench.run("r")
    await bench.committer.settle()
    before = len(bench.store.groups)
    store.gate.clear()
    for number in range(50):
        bench.make((run, [number]))
        await asyncio.sleep(0)
    assert len(bench.store.groups) == before + 1
    assert run.log.end is None
    store.gate.set()
    bench.make((run, [DONE]))
    await bench.committer.settle()
    assert len(bench.store.groups) <= before + 3
    assert (await bench.log("r"))[1:-1] == list(range(50))
    await _stop(bench)


class KeptStore(DelayingStore):
    """A store that says that it outlives the process, or that it does not."""

    def __init__(self, outlives: bool) -> None:
        super().__init__(append_s=0, read_s=0)
        self._outlives = outlives

    @property
    def outlives(self) -> bool:
        return self._outlives


@pytest.mark.parametrize(("outlives", "least", "most"), [(False, 5, 20), (True, 2, 2)])
async def test_only_a_store_that_outlives_the_process_rests_so_that_groups_are_large(
    monkeypatch, outlives: bool, least: int, most: int
) -> None:
    monkeypatch.setattr(commit, "_RESTS", 1e9)  # times what a store in memory takes
    monkeypatch.setattr(commit, "_REST_S", 0.3)
    bench = await _with(KeptStore(outlives))
    run = await bench.run("r")
    await bench.committer.settle()
    before = len(bench.store.groups)
    for number in range(20):
        bench.make((run, [number]))
        await asyncio.sleep(0)
    await bench.committer.settle()
    assert least <= len(bench.store.groups) - before <= most
    assert (await bench.log("r"))[1:] == list(range(20))
    await _stop(bench)


async def test_what_is_alone_waits_for_no_rest(monkeypatch) -> None:
    monkeypatch.setattr(commit, "_RESTS", 1e9)
    monkeypatch.setattr(commit, "_REST_S", 600)
    bench = await _with(KeptStore(True))
    run = await bench.run("r")
    for number in range(20):
        await asyncio.wait_for(bench.committer.settle(), 5)
        bench.make((run, [number]))
    await asyncio.wait_for(bench.committer.settle(), 5)
    assert (await bench.log("r"))[1:] == list(range(20))
    await _stop(bench)


async def test_a_store_that_is_away_is_asked_again_until_it_is_back(monkeypatch) -> None:
    monkeypatch.setattr(commit, "_RETRY_S", (0.0, 0.001))
    store = FlakyStore()
    bench = await _with(store)
    run = await bench.run("r")
    await bench.committer.settle()
    store.is_away = True
    bench.make((run, [1, 2]))
    end = asyncio.get_running_loop().time() + 5
    while store.refused < 5:
        await asyncio.wait([bench.task], timeout=0.002)
        assert asyncio.get_running_loop().time() < end
    bench.make((run, [3, DONE]))
    assert bench.ended == []
    store.is_away = False
    await bench.committer.settle()
    assert (await bench.log("r"))[1:-1] == [1, 2, 3]
    assert bench.ended == ["r"]
    await _stop(bench)


async def test_a_run_that_is_fenced_ends_here_and_no_other_does(bench: Bench) -> None:
    lost, other = await bench.run("lost"), await bench.run("other")
    await bench.committer.settle()
    await bench.store.delete("lost")
    bench.make((lost, [1]), (other, [1]))
    await bench.committer.settle()
    assert bench.ended == ["lost"]
    assert (lost.status, lost.row().ended_at is not None) == ("failed", True)
    assert [status for id, status in bench.changed if id == "lost"] == ["running", "failed"]
    bench.make((lost, [2, DONE]), (other, [2, DONE]))
    await bench.committer.settle()
    assert bench.ended == ["lost", "other"]
    assert (await bench.log("other"))[1:-1] == [1, 2]


@pytest.mark.parametrize("answer", [Fenced(), SeqGap(7)])
async def test_a_lost_run_s_waiting_readers_look_at_the_log(bench: Bench, answer: Exception) -> None:
    run = await bench.run("r")
    await bench.committer.settle()
    woken: list[int] = []

    class Reader:
        def wake(self) -> None:
            woken.append(1)

    run.log.wait(Reader())
    run.log.lost(is_taken=False)
    assert woken == [1]


class NarrowStore(MemoryStore):
    """A store that has no room for records of the runs ``refused``."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = {"full"}

    async def append(self, batches: Sequence[Batch]) -> Any:
        return [
            StoreAway("no room")
            if batch.run in self.refused
            else (await super(NarrowStore, self).append([batch]))[0]
            for batch in batches
        ]


async def test_what_the_store_has_no_room_for_holds_up_no_other_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commit, "_RETRY_S", (0.01,))
    store = NarrowStore()
    bench = await _with(store)
    full, other = await bench.run("full"), await bench.run("other")
    bench.make((full, [1]), (other, [1]))
    await until(lambda: other.log.head == 2)
    bench.make((full, [2, DONE]), (other, [2, DONE]))
    await until(lambda: bench.ended == ["other"])
    assert bench.committer.hindrance == ""
    store.refused.clear()
    await bench.committer.settle()
    assert (await bench.log("full"))[1:-1] == [1, 2]
    assert bench.ended == ["other", "full"]
    await _stop(bench)


async def test_an_owner_that_fails_costs_no_other_log_its_records(bench: Bench, monkeypatch: Any) -> None:
    broken, other = await bench.run("broken"), await bench.run("other")
    await bench.committer.settle()

    def stored(batch: Batch) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(broken, "stored", stored)
    bench.make((broken, [1, DONE]), (other, [1, DONE]))
    await bench.committer.settle()
    assert (await bench.log("other"))[1] == 1
    assert bench.ended == ["other"]


@pytest.mark.parametrize("kind", ["completed", "failed", "cancelled", "interrupted"])
async def test_one_terminal_event_whatever_comes_late(bench: Bench, kind: Any) -> None:
    run = await bench.run("r")
    failure = Failure(code="graph_error", message="x") if kind == "failed" else None
    bench.make((run, [1, Outcome(kind, b"1", failure=failure)]))
    run.cancel("too late")
    bench.make((run, [2, 3]))
    bench.make((run, [DONE]))
    run.cancel("again")
    await bench.committer.settle()
    log = await bench.log("r")
    ends = [item for item in log if isinstance(item, dict) and item.get("status") in TERMINAL]
    assert len(ends) == 1
    assert log[-1] == ends[0]
    assert [item for item in log if isinstance(item, int)] == [1]
    assert bench.ended == ["r"]


async def test_a_cancel_before_the_outcome_wins_and_the_outcome_is_no_result(bench: Bench) -> None:
    run = await bench.run("r")
    run.cancel("first")
    run.cancel("second")
    bench.make((run, [1, DONE]))
    await bench.committer.settle()
    log = await bench.log("r")
    assert (log[-1]["status"], log[-1]["reason"]) == ("cancelled", "first")
    assert (run.status, run.output) == ("cancelled", None)


async def test_deltas_of_a_message_know_the_one_before(bench: Bench) -> None:
    from langchain_core.messages import AIMessageChunk

    run = await bench.run("r")
    parts = [
        bench.encoder.part((), "messages", (AIMessageChunk(content="x", id=id), {"langgraph_node": "n"}))
        for id in ("a", "b", "a", "a", "b")
    ]
    bench.make((run, [*parts[:2], 7, *parts[2:4]]))
    await bench.committer.settle()
    bench.make((run, parts[4:]))
    await bench.committer.settle()
    records = (await bench.store.read("r", 0, 99)).records
    previous = [record.previous for record in records if record.call is not None]
    assert previous == [0, 0, 2, 5, 3]


async def test_a_store_that_cannot_make_room_takes_events_all_the_same() -> None:
    store, asked = MemoryStore(), 0

    async def make_room() -> None:
        nonlocal asked
        asked += 1
        raise OSError("the disk is full")

    committer = Committer(store)
    writer = await LogWriter(store, "r").create()
    writer.log._commit = committer.add
    committing = asyncio.create_task(committer.main(make_room))
    for seq in (1, 2):
        writer.log.append([event("custom", seq)])
        await asyncio.wait_for(committer.settle(), 5)
    assert ((await store.read("r", 0, 9)).head, asked) == (2, 2)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
