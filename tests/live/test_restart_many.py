"""A restart with thousands of runs, with a large input, and one that is killed itself while it takes runs up.

About `gateway/graphwire_gateway/runs/recovery.py`, `gateway/graphwire_gateway/runs/runs.py` and
`gateway/graphwire_gateway/runs/standing.py`.
"""

from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway.log.record import server_record
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Batch
from graphwire_gateway.runs.clock import now
from graphwire_gateway.runs.recovery import Recovery
from graphwire_gateway.runs.retention import Retention
from graphwire_gateway.runs.standing import RunStanding, RunStart
from graphwire_protocol import commands
from graphwire_protocol.payloads import Lifecycle

from tests.live.test_interrupts import asked
from tests.live.test_restart import history, killed, reached, row, url
from tests.support.graphs import OURS, Gate, gated, talker
from tests.support.peer import everything, spec
from tests.support.questions import asker
from tests.support.waiting import poll, until

COUNT = 600


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


async def with_ended_runs(path: Path) -> None:
    """Make a file with as many runs as ``COUNT`` says, which have ended."""
    store, at = SqliteStore(path), now()
    await store.open()
    batches = []
    for number in range(COUNT):
        frame = commands.Run(id=1, graph="talker", record=commands.RecordOptions(modes=("custom",)))
        await store.create(f"anonymous/r{number}", "e", RunStart("anonymous", f"r{number}", at, frame).dump())
        records = [
            server_record("lifecycle", Lifecycle(status=status, attempt=1, at=at))
            for status in ("running", "completed")
        ]
        standing = RunStanding(status="completed", at=at, ended_at=at, epoch="e").dump(None)
        size = sum(record.size for record in records)
        batches.append(Batch(f"anonymous/r{number}", "e", 1, records, size, standing))
    await store.append(batches)
    await store.aclose()


async def test_many_ended_runs_cost_no_task_each_and_are_kept_as_long_as_others(
    serve, connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_ended_runs(path)
    spawned: list[Any] = []
    spawn = Retention.spawn
    monkeypatch.setattr(Retention, "spawn", lambda self, work: spawned.append(work) or spawn(self, work))
    server = await serve({"talker": talker(OURS)}, store=url(path), limits={"log_ttl_s": 1})
    assert len(spawned) < 10
    peer = await connect(server)
    assert (await row(peer, f"r{COUNT - 1}"))["status"] == "completed"
    await until(lambda: all(log.count == 1 for log in server._store._logs.values()))
    await history(peer, 1, "r7", "lifecycle")
    assert [event["data"]["status"] for event in peer.events(1)] == ["completed"], "the rest was folded"


async def test_ended_runs_of_an_earlier_process_go_when_their_time_is_over(
    serve, connect, path: Path
) -> None:
    await with_ended_runs(path)
    server = await serve({"talker": talker(OURS)}, store=url(path), limits={"result_ttl_s": 0.5})
    peer = await connect(server)
    await poll(lambda: peer.ask(type="list", what="runs"), lambda reply: reply["runs"] == [])
    await until(lambda: not server._store._logs)
    again = await connect(await serve({"talker": talker(OURS)}, store=url(killed(path))))
    assert (await again.ask(type="list", what="runs"))["runs"] == []


async def test_a_start_that_is_killed_can_be_made_again_at_any_point(
    serve, connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    graphs = {"talker": talker(OURS), "asker": asker(OURS), "gated": gated(gate)}
    before = await connect(await serve(graphs, store=url(path)))
    await before.run("talker", {"count": 2}, everything(1), run="ended")
    await before.closed(1)
    await before.run("asker", {"topic": "cats"}, everything(2), run="asks", thread="t")
    await asked(before, 2)
    await before.run("gated", {"done": 0}, spec(3, "lifecycle"), run="runs", thread="u")
    await reached(before, gate)
    await before.run("gated", {"done": 0}, run="waits", thread="u", if_busy="enqueue")
    copy, copies = killed(path), list[Path]()
    take_up = Recovery._take_up

    def kill_behind(self: Recovery, *args: Any) -> Any:
        run = take_up(self, *args)
        copies.append(killed(copy, f"inside{len(copies)}"))
        return run

    gate.open()
    with monkeypatch.context() as patch:
        patch.setattr(Recovery, "_take_up", kill_behind)
        await serve(graphs, store=url(copy))
        copies.append(killed(copy, "listening"))
    assert len(copies) == 5
    for one in copies:
        after = await connect(await serve(graphs, store=url(one)))
        await history(after, 1, "waits", "lifecycle")
        _, events = await history(after, 2, "ended")
        assert [event["data"] for event in events] == [event["data"] for event in before.events(1)]
        shown = {name: await row(after, name) for name in ("ended", "asks", "runs", "waits")}
        assert [each["status"] for each in shown.values()] == [
            "completed",
            "interrupted",
            "completed",  # it went on
            "completed",
        ]
    await before.closed(3)


async def test_a_queued_run_with_an_input_of_15_mib_starts_in_the_next_process(
    serve, connect, path: Path
) -> None:
    gate, text = Gate(), "x" * (15 << 20)
    limits = {"max_frame_bytes": 17 << 20, "max_event_bytes": 16 << 20}
    graphs = {"gated": gated(gate), "talker": talker(OURS)}
    before = await connect(await serve(graphs, store=url(path), limits=limits), held=64 << 20)
    await before.run("gated", {"done": 0}, spec(1, "lifecycle"), run="first", thread="t")
    await reached(before, gate)
    await before.run("gated", {"done": 0, "text": text}, run="large", thread="t", if_busy="enqueue")
    copy = killed(path)
    assert copy.with_name("runs.db-wal").stat().st_size + copy.stat().st_size > len(text)
    gate.open()
    await before.closed(1)
    after = await connect(await serve(graphs, store=url(copy), limits=limits), held=64 << 20)
    await history(after, 1, "large", "lifecycle")
    assert (await row(after, "large"))["status"] == "completed"
