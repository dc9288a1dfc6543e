"""The events of all runs of a tick go to the store together and in order, until the store has taken them.

About `gateway/graphwire_gateway/log/commit.py` and `gateway/graphwire_gateway/log/log.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import orjson
import pytest
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.execution import Drive, Outcome
from graphwire_gateway.execution.request import Task
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Entry
from graphwire_gateway.log import commit
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.store import Batch, Fenced, SeqGap
from graphwire_gateway.runs.run import Run
from graphwire_protocol.projection import Projector
from graphwire_protocol.types import TERMINAL

from tests.support.graphs import Gate, gated
from tests.support.stores import DelayingStore, FlakyStore, GatedStore


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


class _Runner:
    """Starts nothing; what a drive would make comes from the test."""

    def start(self, work: Any, over: Any = None) -> Any:
        class Job:
            is_over = True

            def cancel(self, again_s: float | None = None) -> None:
                pass

        return Job()

    def later(self, function: Any) -> None:
        function()


class House:
    def __init__(self, store: Any) -> None:
        self.store = Recorder(store)
        self.committer = Committer(self.store)
        self.task = asyncio.ensure_future(self.committer.main())
        self.ended: list[str] = []
        self.encoder = Encoder(Projector(), 1 << 20)

    async def run(self, key: str) -> Run:
        entry = Entry("g", gated(Gate()), _Runner())  # type: ignore[arg-type]
        task = Task(entry=entry, input={}, config={}, modes=frozenset({"custom"}))
        run = Run(
            key=key,
            id=key,
            principal="p",
            graph="g",
            epoch="e",
            task=task,
            runner=_Runner(),  # type: ignore[arg-type]
            encoder=self.encoder,
            failures=Failures(expose=True),
            commit=self.committer.add,
            on_end=lambda run: self.ended.append(run.id),
            on_pause=lambda run: None,
            on_leave=lambda run: None,
            cancel_grace_s=60,
            interrupt_ttl_s=60,
            max_run_s=None,
            metadata={},
        )
        await self.store.create(key, "e")
        self.store.tail(key, run.feed.grown)
        run.created.set_result(None)
        run.start()
        return run

    def make(self, *items: tuple[Run, list[Any]]) -> None:
        """Hand over what the drives of some runs made in one tick; numbers are custom events."""
        out = []
        for run, made in items:
            records = [
                self.encoder.part((), "custom", item) if isinstance(item, int) else item for item in made
            ]
            assert isinstance(run._drive, Drive)
            out.append((run._drive, records))
        self.committer.take(out)

    async def log(self, key: str) -> list[Any]:
        page = await self.store.read(key, 0, 10_000)
        return [orjson.loads(record.data) for record in page.records]


DONE = Outcome("completed", b'{"done":1}')


@pytest.fixture(params=[MemoryStore, DelayingStore])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    house = House(request.param())
    yield house
    house.task.cancel()
    await asyncio.gather(house.task, return_exceptions=True)


async def _with(store: Any) -> House:
    return House(store)


async def _stop(house: House) -> None:
    house.task.cancel()
    await asyncio.gather(house.task, return_exceptions=True)


async def test_runs_of_one_tick_go_together_and_each_is_dense(house: House) -> None:
    runs = [await house.run(f"r{number}") for number in range(5)]
    await house.committer.settle()
    before = len(house.store.groups)
    for tick in range(4):
        house.make(*((run, [tick * 10, tick * 10 + 1]) for run in runs))
        await house.committer.settle()
    house.make(*((run, [99, DONE]) for run in runs))
    await house.committer.settle()
    assert len(house.store.groups) == before + 5
    assert all(len(group) == 5 for group in house.store.groups[before:])
    assert sorted(house.ended) == [run.id for run in runs]
    for run in runs:
        log = await house.log(run.key)
        assert log[1:-1] == [0, 1, 10, 11, 20, 21, 30, 31, 99]
        assert [log[0]["status"], log[-1]["status"]] == ["running", "completed"]
        assert (run.status, run.is_sealed, run.output) == ("completed", True, b'{"done":1}')


async def test_what_comes_while_the_store_is_at_work_goes_in_one_group_behind(monkeypatch) -> None:
    store = GatedStore()
    house = await _with(store)
    run = await house.run("r")
    await house.committer.settle()
    before = len(house.store.groups)
    store.gate.clear()
    for number in range(50):
        house.make((run, [number]))
        await asyncio.sleep(0)
    assert len(house.store.groups) == before + 1
    assert not run.is_sealed
    store.gate.set()
    house.make((run, [DONE]))
    await house.committer.settle()
    assert len(house.store.groups) <= before + 3
    assert (await house.log("r"))[1:-1] == list(range(50))
    await _stop(house)


async def test_a_store_that_is_away_is_asked_again_until_it_is_back(monkeypatch) -> None:
    monkeypatch.setattr(commit, "_RETRY_S", (0.0, 0.001))
    store = FlakyStore()
    house = await _with(store)
    run = await house.run("r")
    await house.committer.settle()
    store.is_away = True
    house.make((run, [1, 2]))
    end = asyncio.get_running_loop().time() + 5
    while store.refused < 5:
        await asyncio.wait([house.task], timeout=0.002)
        assert asyncio.get_running_loop().time() < end
    house.make((run, [3, DONE]))
    assert house.ended == []
    store.is_away = False
    await house.committer.settle()
    assert (await house.log("r"))[1:-1] == [1, 2, 3]
    assert house.ended == ["r"]
    await _stop(house)


async def test_a_run_that_is_fenced_ends_here_and_no_other_does(house: House) -> None:
    lost, other = await house.run("lost"), await house.run("other")
    await house.committer.settle()
    await house.store.delete("lost")
    house.make((lost, [1]), (other, [1]))
    await house.committer.settle()
    assert house.ended == ["lost"]
    assert lost.status in TERMINAL
    house.make((lost, [2, DONE]), (other, [2, DONE]))
    await house.committer.settle()
    assert house.ended == ["lost", "other"]
    assert (await house.log("other"))[1:-1] == [1, 2]


@pytest.mark.parametrize("answer", [Fenced(), SeqGap(7)])
async def test_a_lost_run_s_waiting_readers_look_at_the_log(house: House, answer: Exception) -> None:
    run = await house.run("r")
    await house.committer.settle()
    woken: list[int] = []

    class Reader:
        def wake(self) -> None:
            woken.append(1)

    run.feed.wait(Reader())
    run.lost()
    assert woken == [1]


@pytest.mark.parametrize("kind", ["completed", "failed", "cancelled", "interrupted"])
async def test_one_terminal_event_whatever_comes_late(house: House, kind: Any) -> None:
    run = await house.run("r")
    error = ValueError("x") if kind in ("failed", "cancelled") else None
    house.make((run, [1, Outcome(kind, b"1", error=error)]))
    run.cancel("too late")
    house.make((run, [2, 3]))
    house.make((run, [DONE]))
    run.cancel("again")
    await house.committer.settle()
    log = await house.log("r")
    ends = [item for item in log if isinstance(item, dict) and item.get("status") in TERMINAL]
    assert len(ends) == 1
    assert log[-1] == ends[0]
    assert [item for item in log if isinstance(item, int)] == [1]
    assert house.ended == ["r"]


async def test_a_cancel_before_the_outcome_wins_and_the_outcome_is_no_result(house: House) -> None:
    run = await house.run("r")
    run.cancel("first")
    run.cancel("second")
    house.make((run, [1, DONE]))
    await house.committer.settle()
    log = await house.log("r")
    assert (log[-1]["status"], log[-1]["reason"]) == ("cancelled", "first")
    assert (run.status, run.output) == ("cancelled", None)


async def test_deltas_of_a_message_know_the_one_before(house: House) -> None:
    from langchain_core.messages import AIMessageChunk

    run = await house.run("r")
    parts = [
        house.encoder.part((), "messages", (AIMessageChunk(content="x", id=id), {"langgraph_node": "n"}))
        for id in ("a", "b", "a", "a", "b")
    ]
    house.make((run, [*parts[:2], 7, *parts[2:4]]))
    await house.committer.settle()
    house.make((run, parts[4:]))
    await house.committer.settle()
    records = (await house.store.read("r", 0, 99)).records
    previous = [record.previous for record in records if record.message is not None]
    assert previous == [0, 0, 2, 5, 3]
