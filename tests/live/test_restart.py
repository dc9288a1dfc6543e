"""What a server finds in its SQLite file after the one before it stopped, or was killed.

About `gateway/graphwire_gateway/runs/recovery.py`, `gateway/graphwire_gateway/runs/standing.py`,
`gateway/graphwire_gateway/stores.py` and `gateway/graphwire_gateway/graphs/sqlite_saver.py`.

A killed process leaves the files as they are at that moment. So does a copy of them, which a second server of
the same test then opens, while the first one goes on.

Long because each kind of run, and of thread, has its tests, which share how a store is copied.
"""

import asyncio
import contextlib
import shutil
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import graphwire
import pytest
from graphwire_gateway import CannotServe, Gateway

from tests.live.test_interrupts import answer, asked, said, statuses
from tests.support.graphs import OURS, Gate, gated, node, talker
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.questions import asker, checkpointer, several
from tests.support.waiting import poll, until

LIFECYCLE = spec(1, "lifecycle", "custom")


def url(path: Path) -> str:
    return f"sqlite:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def killed(path: Path, name: str = "copy") -> Path:
    """Return a copy of the store as a kill would leave it now."""
    folder = path.parent / name
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        if not file.name.endswith("-lock"):
            shutil.copy(file, folder / file.name)
    return folder / path.name


async def reached(peer: Peer, gate: Gate) -> None:
    """Wait until a node stands at the gate, and the store has the events before it."""
    await until(lambda: gate.reached > 0)
    await peer.settled()


async def row(peer: Peer, run: str = "r") -> Frame:
    rows = (await peer.ask(type="list", what="runs"))["runs"]
    return next(row for row in rows if row["run"] == run)


async def history(
    peer: Peer, sub: int, run: str = "r", *modes: str, **fields: Any
) -> tuple[Frame, list[Frame]]:
    """Read a run to its end, in all modes or some; return the reply, and the events."""
    wanted = spec(sub, *modes, **fields) if modes else everything(sub, **fields)
    subscribed = await peer.ask(type="subscribe", run=run, **wanted)
    assert subscribed["type"] == "subscribed", subscribed
    await peer.closed(sub)
    return subscribed, peer.events(sub)


# ── runs that have ended ─────────────────────────────────────────────────────────────────────────


async def test_an_ended_run_is_shown_and_replays_as_before(serve, connect, path: Path) -> None:
    graphs = {"talker": talker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    started = await before.run(
        "talker", {"count": 1}, everything(1), run="r", thread="t", metadata={"for": ["a", {"b": None}]}
    )
    await before.closed(1)
    events, shown = before.events(1), await row(before)
    result = await before.ask(type="result", run="r")
    state = await before.ask(type="state", graph="talker", thread="t")

    after = await connect(await serve(graphs, store=url(killed(path))))
    subscribed, replayed = await history(after, 1)
    assert subscribed["epoch"] == started["epoch"]
    assert [{**event, "sub": 1} for event in replayed] == events
    assert await row(after) == shown
    again = await after.ask(type="result", run="r")
    assert {**again, "id": 0} == {**result, "id": 0}
    assert again["status"] == "completed"
    reply = await after.ask(type="state", graph="talker", thread="t")
    assert {**reply, "id": 0} == {**state, "id": 0}
    (thread,) = (await after.ask(type="list", what="threads"))["threads"]
    assert (thread["thread"], thread["status"]) == ("t", "completed")
    same = await after.run("talker", {"count": 1}, run="r", thread="t")
    assert (same["created"], same["status"]) == (False, "completed")


async def test_threads_are_listed_where_their_graph_is_not_served_any_more(
    serve, connect, path: Path
) -> None:
    before = await connect(await serve({"talker": talker(OURS)}, store=url(path)))
    await before.ask(type="thread_update", graph="talker", thread="t", metadata={"title": "cats"})
    after = await connect(await serve({"other": talker(OURS)}, store=url(killed(path))))
    reply = await after.ask(type="list", what="threads")
    assert [(row["graph"], row["thread"]) for row in reply["threads"]] == [("talker", "t")]
    await after.ask(type="watch", what="threads", sub=1)
    await after.until(lambda frame: frame["type"] == "synced")
    assert [frame["thread"] for frame in after.of(1) if frame["type"] == "thread_info"] == ["t"]


async def test_an_ended_run_replays_where_its_graph_is_not_served_any_more(
    serve, connect, path: Path
) -> None:
    before = await connect(await serve({"talker": talker(OURS)}, store=url(path)))
    await before.run("talker", {"count": 3}, everything(1), run="r")
    await before.closed(1)
    after = await connect(await serve({"other": talker(OURS)}, store=url(killed(path))))
    _, replayed = await history(after, 1)
    assert replayed == before.events(1)
    assert (await after.ask(type="result", run="r"))["status"] == "completed"


async def test_a_reader_goes_on_behind_its_cursor(serve, connect, path: Path) -> None:
    graphs = {"talker": talker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    started = await before.run("talker", {"count": 1}, everything(1), run="r")
    await before.closed(1)
    cursor = {"epoch": started["epoch"], "seq": 7}
    after = await connect(await serve(graphs, store=url(killed(path))))
    _, rest = await history(after, 2, from_=cursor)
    assert [event["seq"] for event in rest] == [event["seq"] for event in before.events(1)[7:]]
    assert not [frame for frame in after.of(2) if frame["type"] == "gap"]


async def test_what_is_kept_of_an_ended_run_is_let_go_when_its_time_is_over(
    serve, connect, path: Path
) -> None:
    before = await connect(await serve({"talker": talker(OURS)}, store=url(path)))
    await before.run("talker", {"count": 1}, everything(1), run="r")
    await before.closed(1)
    copy = killed(path)
    after = await connect(await serve({"talker": talker(OURS)}, store=url(copy), limits={"result_ttl_s": 0}))
    await after.poll(lambda reply: not reply["runs"], type="list", what="runs")
    assert (await after.ask(type="result", run="r"))["code"] == "not_found"
    last = await connect(await serve({"talker": talker(OURS)}, store=url(killed(copy, "again"))))
    assert (await last.ask(type="list", what="runs"))["runs"] == []


async def test_a_deleted_run_does_not_come_back(serve, connect, path: Path) -> None:
    before = await connect(await serve({"talker": talker(OURS)}, store=url(path)))
    await before.run("talker", {"count": 1}, everything(1), run="r")
    await before.closed(1)
    assert (await before.ask(type="delete", run="r"))["type"] == "ok"
    after = await connect(await serve({"talker": talker(OURS)}, store=url(killed(path))))
    assert (await after.ask(type="list", what="runs"))["runs"] == []


# ── runs that wait for answers ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("thread", ["t", None])
async def test_a_run_that_asks_waits_on_and_is_answered_in_the_same_log(
    serve, connect, path: Path, thread: str | None
) -> None:
    graphs = {"asker": asker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    named = {} if thread is None else {"thread": thread}
    await before.run("asker", {"topic": "cats"}, everything(1), run="r", **named)
    (ask,) = await asked(before, 1)
    shown, head = await row(before), before.events(1)[-1]["seq"]

    copy = killed(path)
    after = await connect(await serve(graphs, store=url(copy)))
    assert await row(after) == shown
    await after.ask(type="subscribe", run="r", **everything(1))
    assert await asked(after, 1) == [ask]
    reply = await after.ask(type="respond", run="r", responses=[answer(ask, "yes")])
    assert reply.get("status") == "running", reply
    await after.closed(1)
    assert statuses(after, 1) == ["running", "interrupted", "running", "completed"]
    seqs = [event["seq"] for event in after.events(1)]
    assert seqs == list(range(1, len(seqs) + 1))
    assert seqs[-1] > head
    assert await said(after, "r") == ["plan cats", "yes", "done"]
    if thread is None:
        last = await serve(graphs, store=url(killed(copy, "again")))
        assert await kept_threads(copy) == []
        assert await said(await connect(last), "r") == ["plan cats", "yes", "done"]


async def kept_threads(path: Path) -> list[str]:
    """The threads in the saver's file."""
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    async with AsyncSqliteSaver.from_conn_string(str(path.with_name(f"{path.name}-threads"))) as saver:
        return sorted({item.config["configurable"]["thread_id"] async for item in saver.alist(None)})


async def test_answers_that_wait_for_others_are_kept(serve, connect, path: Path) -> None:
    graphs = {"several": several(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    await before.run("several", {"topic": "x"}, everything(1), run="r", thread="t")
    asks = {ask["value"]: ask for ask in await asked(before, 1)}
    for text in ("left?", "deep?"):
        reply = await before.ask(type="respond", run="r", responses=[answer(asks[text], [text, None])])
        assert reply["status"] == "interrupted"

    after = await connect(await serve(graphs, store=url(killed(path))))
    await after.ask(type="subscribe", run="r", **everything(1))
    again = await after.ask(type="respond", run="r", responses=[answer(asks["left?"], "other")])
    assert again["code"] == "conflict"
    last = await after.ask(type="respond", run="r", responses=[answer(asks["right?"], 3)])
    assert last["status"] == "running"
    await after.closed(1)
    assert sorted(await said(after, "r"), key=str) == [
        ["deep", ["deep?", None]],
        ["left", ["left?", None]],
        ["right", 3],
    ]


async def test_a_run_whose_threads_were_in_memory_is_lost_and_says_what_to_do(
    serve, connect, path: Path
) -> None:
    before = await connect(await serve({"asker": asker(OURS, checkpointer("own"))}, store=url(path)))
    await before.run("asker", {"topic": "cats"}, everything(1), run="r", thread="t")
    await asked(before, 1)
    after = await connect(await serve({"asker": asker(OURS, checkpointer("own"))}, store=url(killed(path))))
    _, events = await history(after, 1)
    assert statuses(after, 1) == ["running", "interrupted", "running", "failed"]
    error = events[-1]["data"]["error"]
    assert error["code"] == "lost"
    assert "in memory" in error["message"]
    assert (await row(after))["status"] == "failed"


async def test_a_run_of_a_graph_that_is_not_served_now_waits_for_a_server_that_has_it(
    serve, connect, path: Path
) -> None:
    before = await connect(await serve({"asker": asker(OURS)}, store=url(path)))
    await before.run("asker", {"topic": "cats"}, everything(1), run="r", thread="t")
    (ask,) = await asked(before, 1)
    first = killed(path, "first")
    without = await connect(await serve({"talker": talker(OURS)}, store=url(first)))
    assert (await row(without))["status"] == "interrupted"
    refused = await without.ask(type="respond", run="r", responses=[answer(ask, "yes")])
    assert refused["code"] == "not_found"
    assert "asker" in refused["message"]
    after = await connect(await serve({"asker": asker(OURS)}, store=url(killed(first, "second"))))
    assert (await after.ask(type="respond", run="r", responses=[answer(ask, "yes")]))["status"] == "running"
    await history(after, 1)
    assert await said(after, "r") == ["plan cats", "yes", "done"]


async def test_times_go_on_while_no_server_runs(serve, connect, path: Path) -> None:
    graphs = {"asker": asker(OURS), "talker": talker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    await before.run("asker", {"topic": "cats"}, everything(1), run="asks", thread="t")
    await asked(before, 1)
    await before.run("talker", {"count": 1}, everything(2), run="ended")
    await before.closed(2)
    limits = {"interrupt_ttl_s": 3600, "result_ttl_s": 3600}
    soon = await connect(await serve(graphs, store=url(killed(path, "soon")), limits=limits))
    assert (await row(soon, "asks"))["status"] == "interrupted"
    assert (await row(soon, "ended"))["status"] == "completed"
    later = killed(path, "later")
    with closing(sqlite3.connect(later)) as file, file:
        year = (await row(before, "asks"))["created_at"][:4]
        file.execute(
            "UPDATE logs SET standing = CAST(replace(standing, ?, ?) AS BLOB)", (f'"{year}-', '"2001-')
        )
    after = await connect(await serve(graphs, store=url(later), limits=limits))
    _, events = await history(after, 1, "asks")
    assert (events[-1]["data"]["status"], events[-1]["data"]["reason"]) == ("cancelled", "expired")

    def is_forgotten(reply: Frame) -> bool:
        return all(row["run"] != "ended" for row in reply["runs"])

    await after.poll(is_forgotten, type="list", what="runs")


async def test_who_follows_a_thread_sees_a_run_go_on_that_waited_over_a_restart(
    serve, connect, path: Path
) -> None:
    graphs = {"asker": asker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    await before.run("asker", {"topic": "dogs"}, everything(1), run="gone", thread="t")
    await asked(before, 1)
    await before.run("asker", {"topic": "cats"}, everything(2), run="r", thread="t")
    await asked(before, 2)
    server = await serve(graphs, store=url(killed(path)))
    async with graphwire.connect(server.url) as client, client.follow("asker", "t") as follower:
        told: list[str] = []
        async for event in follower:
            told.append(type(event).__name__)
            if isinstance(event, graphwire.InterruptEvent):
                assert follower.run is not None
                assert follower.run.id == "r"
                await follower.run.respond({ask.id: "yes" for ask in event.interrupts})
            if isinstance(event, graphwire.LifecycleEvent) and event.status == "completed":
                break
        assert "FollowDiscard" not in told


async def test_a_number_is_not_given_twice_though_its_run_was_deleted(serve, connect, path: Path) -> None:
    before = await connect(await serve({"talker": talker(OURS)}, store=url(path)))
    for sub, run in enumerate(("first", "second", "third"), 1):
        await before.run("talker", {"count": 1}, everything(sub), run=run, thread="t")
        await before.closed(sub)
    epoch = (await row(before, "first"))["thread_epoch"]
    await before.ask(type="delete", run="third")
    copy = killed(path)
    after = await connect(await serve({"talker": talker(OURS)}, store=url(copy)))
    await after.run("talker", {"count": 1}, everything(1), run="fourth", thread="t")
    await after.closed(1)
    fourth = await row(after, "fourth")
    assert (fourth["thread_epoch"], fourth["thread_seq"]) == (epoch, 4)


# ── runs that were executing ─────────────────────────────────────────────────────────────────────


async def test_a_run_that_was_executing_without_a_thread_is_lost(serve, connect, path: Path) -> None:
    gate = Gate()
    before = await connect(await serve({"gated": gated(gate)}, store=url(path)))
    await before.run("gated", {"done": 0}, everything(1), run="r")
    await reached(before, gate)
    other = Gate()
    other.open()
    after = await connect(await serve({"gated": gated(other)}, store=url(killed(path))))
    gate.open()
    _, events = await history(after, 1)
    assert statuses(after, 1) == ["running", "failed"]
    error = events[-1]["data"]["error"]
    assert (error["code"], "start it again" in error["message"]) == ("lost", True)
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    await before.closed(1)
    *_, shown = await poll(lambda: row(after), lambda shown: shown["status"] != "running")
    assert shown["error"]["code"] == "lost"


async def test_the_log_says_how_many_runs_go_on_and_which_attempt_that_is(
    serve, connect, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "graphwire")
    gate = Gate()

    def logged(name: str, event: str) -> list[dict[str, Any]]:
        records = [record for record in caplog.records if record.name == f"graphwire.{name}"]
        return [vars(record)["fields"] for record in records if vars(record)["event"] == event]

    graphs = {"gated": gated(gate), "talker": talker(OURS), "asker": asker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    for run, thread in (("goes", {"thread": "a"}), ("goes-too", {"thread": "b"}), ("lost", {})):
        await before.run("gated", {"done": 0}, run=run, **thread)
    await before.run("gated", {"done": 0}, run="next", thread="a", if_busy="enqueue")
    await before.run("talker", {"count": 1}, everything(1), run="ended", thread="c")
    await before.closed(1)
    await before.run("asker", {"topic": "cats"}, run="asks", thread="d")
    await before.poll(lambda reply: reply.get("status") == "interrupted", type="result", run="asks")
    await until(lambda: gate.reached == 3)
    await before.settled()
    assert [fields for fields in logged("runs", "run started") if "attempt" in fields] == []
    caplog.clear()
    first = killed(path)
    await connect(await serve({**graphs, "gated": gated(Gate())}, store=url(first)))
    (counts,) = logged("recovery", "runs of an earlier process")
    assert counts == {"ended": 1, "waiting": 1, "queued": 1, "going_on": 2, "lost": 1}
    (lost,) = logged("recovery", "a run is lost")
    ids = {"graph": "gated", "principal": "anonymous"}
    assert {**lost, "run": "lost", "was": "running", **ids} == lost
    assert "thread" not in lost
    await until(lambda: len(logged("runs", "run started")) == 2)
    found = sorted(logged("runs", "run started"), key=lambda fields: fields["run"])
    goes = [("goes", "a"), ("goes-too", "b")]
    assert found == [{"run": run, "thread": thread, "attempt": 2, **ids} for run, thread in goes]
    await until(lambda: logged("runs", "run ended"))
    caplog.clear()
    await connect(await serve({**graphs, "gated": gated(Gate())}, store=url(killed(first, "again"))))
    (counts,) = logged("recovery", "runs of an earlier process")
    assert counts == {"ended": 2, "waiting": 1, "queued": 1, "going_on": 2, "lost": 0}
    await until(lambda: len(logged("runs", "run started")) == 2)
    assert [fields["attempt"] for fields in logged("runs", "run started")] == [3, 3]


async def test_a_run_that_was_being_cancelled_is_cancelled(serve, connect, path: Path) -> None:
    gate = Gate()
    stubborn = stubborn_graph(gate)
    before = await connect(
        await serve({"stubborn": stubborn}, store=url(path), limits={"cancel_grace_s": 60})
    )
    await before.run("stubborn", {"done": 0}, everything(1), run="r")
    await reached(before, gate)
    reply = await before.ask(type="cancel", run="r", reason="enough")
    assert reply["status"] == "running"
    after = await connect(await serve({"stubborn": stubborn}, store=url(killed(path))))
    _, events = await history(after, 1)
    assert (events[-1]["data"]["status"], events[-1]["data"]["reason"]) == ("cancelled", "enough")
    gate.open()
    await before.closed(1)


def stubborn_graph(gate: Gate) -> Any:
    """A graph that goes on when it is cancelled, until the gate is open."""

    async def go_on(state: Mapping[str, Any]) -> dict[str, Any]:
        waiting = asyncio.ensure_future(gate.wait())
        while not waiting.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(waiting)
        return {"done": 1}

    return node(go_on)


# ── runs that were queued ────────────────────────────────────────────────────────────────────────


async def test_queued_runs_start_in_their_order(serve, connect, path: Path) -> None:
    gate, after_gate = Gate(), Gate()
    before = await connect(await serve({"gated": gated(gate)}, store=url(path)))
    await before.run("gated", {"done": 0}, LIFECYCLE, run="first", thread="t")
    await reached(before, gate)
    for number, busy in enumerate(["enqueue", "enqueue"]):
        queued = await before.run("gated", {"done": number}, run=f"q{number}", thread="t", if_busy=busy)
        assert queued["status"] == "queued"
    after_gate.open()
    after = await connect(await serve({"gated": gated(after_gate)}, store=url(killed(path))))
    for sub, run in ((1, "q0"), (2, "q1")):
        _, events = await history(after, sub, run, "lifecycle")
        assert statuses(after, sub) == ["queued", "running", "completed"]
        assert events[0]["data"]["at"] <= events[1]["data"]["at"]
    q0, q1 = await row(after, "q0"), await row(after, "q1")
    assert q0["ended_at"] <= q1["started_at"]
    assert (q0["thread_seq"], q1["thread_seq"]) == (2, 3)
    assert q0["thread_epoch"] == q1["thread_epoch"] == (await row(after, "first"))["thread_epoch"]
    first = await row(after, "first")
    assert (first["status"], first["attempt"]) == ("completed", 2)
    assert first["ended_at"] <= q0["started_at"]
    gate.open()
    await before.closed(1)


async def test_a_run_that_interrupts_goes_before_those_in_line(serve, connect, path: Path) -> None:
    gate = Gate()
    graphs = {"stubborn": stubborn_graph(gate)}
    before = await connect(await serve(graphs, store=url(path), limits={"cancel_grace_s": 60}))
    await before.run("stubborn", {"done": 0}, everything(1), run="holder", thread="t")
    await reached(before, gate)
    for run, if_busy in (("a", "enqueue"), ("z", "interrupt")):
        await before.run("stubborn", {"done": 0}, run=run, thread="t", if_busy=if_busy)
    opened = Gate()
    opened.open()
    after = await connect(await serve({"stubborn": stubborn_graph(opened)}, store=url(killed(path))))
    for sub, run in ((1, "z"), (2, "a")):
        await history(after, sub, run, "lifecycle")
    first, second = await row(after, "z"), await row(after, "a")
    assert (first["thread_seq"], second["thread_seq"]) == (2, 3)
    holder = await row(after, "holder")
    assert (holder["status"], holder["reason"]) == ("cancelled", "superseded")
    gate.open()
    await before.closed(1)


async def test_a_queued_run_of_a_graph_that_is_not_served_now_waits(serve, connect, path: Path) -> None:
    gate = Gate()
    before = await connect(await serve({"gated": gated(gate)}, store=url(path)))
    await before.run("gated", {"done": 0}, LIFECYCLE, run="first", thread="t")
    await reached(before, gate)
    await before.run("gated", {"done": 0}, run="q", thread="t", if_busy="enqueue")
    first = killed(path, "first")
    gate.open()
    without = await connect(await serve({"talker": talker(OURS)}, store=url(first)))
    assert (await row(without, "q"))["status"] == "queued"
    after = await connect(await serve({"gated": gated(gate)}, store=url(killed(first, "second"))))
    await history(after, 1, "q", "lifecycle")
    assert (await row(after, "q"))["status"] == "completed"
    assert (await without.ask(type="cancel", run="q"))["status"] == "cancelled"
    await before.closed(1)


async def test_a_run_to_be_cancelled_without_its_client_is_cancelled(serve, connect, path: Path) -> None:
    before = await connect(await serve({"asker": asker(OURS)}, store=url(path)))
    await before.run("asker", {"topic": "cats"}, everything(1), run="r", thread="t", on_disconnect="cancel")
    await asked(before, 1)
    limits = {"disconnect_grace_s": 0}
    after = await connect(await serve({"asker": asker(OURS)}, store=url(killed(path)), limits=limits))
    _, events = await history(after, 1)
    assert (events[-1]["data"]["status"], events[-1]["data"]["reason"]) == ("cancelled", "disconnected")


# ── threads ──────────────────────────────────────────────────────────────────────────────────────


async def test_metadata_of_threads_survives_and_a_deleted_one_does_not(serve, connect, path: Path) -> None:
    graphs = {"asker": asker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    for thread in ("named", "used", "deleted"):
        metadata = {"title": thread, "of": [None]}
        reply = await before.ask(type="thread_update", graph="asker", thread=thread, metadata=metadata)
        assert reply["type"] == "ok", reply
    await before.run("asker", {"topic": "cats"}, everything(1), run="r", thread="used")
    await asked(before, 1)
    await before.ask(type="thread_update", graph="asker", thread="used", metadata={"of": None, "n": 1})
    await before.ask(type="delete", graph="asker", thread="deleted")
    shown = await threads(before)
    assert set(shown) == {"named", "used"}

    copy = killed(path)
    after = await connect(await serve(graphs, store=url(copy)))
    assert await threads(after) == shown
    assert shown["used"]["metadata"] == {"title": "used", "n": 1}
    await after.ask(type="delete", run="r")
    await after.ask(type="delete", graph="asker", thread="used")
    last = await connect(await serve(graphs, store=url(killed(copy, "again"))))
    assert set(await threads(last)) == {"named"}


async def threads(peer: Peer) -> dict[str, Frame]:
    rows = (await peer.ask(type="list", what="threads"))["threads"]
    return {row["thread"]: row for row in rows}


# ── the end of a server ──────────────────────────────────────────────────────────────────────────


async def one_of_each(peer: Peer, gate: Gate) -> Frame:
    """Start runs that wait for an answer, for the gate, and in line; return what is asked."""
    await peer.run("asker", {"topic": "cats"}, everything(1), run="asks", thread="t")
    (ask,) = await asked(peer, 1)
    await peer.run("gated", {"done": 0}, spec(2, "lifecycle"), run="runs", thread="t")
    await reached(peer, gate)
    await peer.run("gated", {"done": 0}, spec(3, "lifecycle"), run="waits", thread="t", if_busy="enqueue")
    return ask


async def test_a_server_that_is_stopped_leaves_what_waits_for_the_next_one(
    serve, connect, path: Path
) -> None:
    gate = Gate()
    graphs = {"asker": asker(OURS), "gated": gated(gate)}
    async with Gateway(graphs, store=url(path)).serve("127.0.0.1", 0) as server:
        ask = await one_of_each(await connect(server), gate)
        await server.drain(0)
    gate.open()
    after = await connect(await serve(graphs, store=url(path)))
    assert (await row(after, "runs"))["reason"] == "shutdown"
    await history(after, 1, "waits", "lifecycle")
    assert (await row(after, "waits"))["status"] == "completed"
    assert (await after.ask(type="respond", run="asks", responses=[answer(ask, "y")]))["status"] == "running"
    await history(after, 2, "asks")
    assert await said(after, "asks") == ["plan cats", "y", "done"]


async def test_a_server_that_is_stopped_starts_no_queued_run_and_takes_no_answer(
    serve, connect, path: Path
) -> None:
    gate = Gate()
    graphs = {"asker": asker(OURS), "gated": gated(gate)}
    async with Gateway(graphs, store=url(path)).serve("127.0.0.1", 0) as server:
        before = await connect(server)
        ask = await one_of_each(before, gate)
        draining = asyncio.ensure_future(server.drain(60))
        await before.until(lambda frame: frame["type"] == "goaway")
        refused = await before.ask(type="respond", run="asks", responses=[answer(ask, "y")])
        assert (refused["code"], refused["retry"]) == ("draining", "after")
        gate.open()
        await draining
        await before.closed(2)
        assert statuses(before, 2)[-1] == "completed"
        assert statuses(before, 3) == ["queued"]


async def test_a_second_server_on_the_file_is_refused_by_name(serve, path: Path) -> None:
    await serve({"talker": talker(OURS)}, store=url(path))
    with pytest.raises(CannotServe, match="open in another process"):
        async with Gateway({"talker": talker(OURS)}, store=url(path)).serve("127.0.0.1", 0):
            pass


async def test_welcome_says_what_survives(serve, connect, path: Path) -> None:
    peer = await connect(await serve({"talker": talker(OURS)}, store=url(path)), hello=False)
    assert (await peer.ask(type="hello"))["durability"] == "crash"
    full = f"{url(path.with_name('full.db'))}?synchronous=full"
    peer = await connect(await serve({"talker": talker(OURS)}, store=full), hello=False)
    assert (await peer.ask(type="hello"))["durability"] == "power"


@pytest.mark.parametrize(
    ("store", "words"),
    [
        ("mysql://x", "is not known"),
        ("sqlite://runs.db", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///.", "names no file"),
        ("sqlite:runs.db", "lacks the slashes behind the colon, as in sqlite:///runs.db"),
        ("sqlite:/runs.db", "lacks the slashes"),
        ("redis:127.0.0.1:6379", "lacks the slashes behind the colon, as in redis://"),
        ("runs.db", "a file is sqlite:///runs.db"),
        ("sqlite:////no/such/folder/runs.db", "there is no folder /no/such/folder"),
        ("sqlite:////tmp", "it is a folder"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///runs.db?sync=1", "'sync' is not known"),
        ("sqlite:///runs.db?synchronous=no", "normal or full"),
        ("sqlite:////no/such/folder/runs.db", "cannot be opened"),
    ],
)
async def test_what_names_no_store_is_refused(store: str, words: str) -> None:
    with pytest.raises(CannotServe, match=words):
        async with Gateway({"talker": talker(OURS)}, store=store).serve("127.0.0.1", 0):
            pass


async def test_a_memory_store_has_no_threads_to_go_with_it() -> None:
    with pytest.raises(CannotServe, match="only sqlite:// and redis:// stores have"):
        async with Gateway({"talker": talker(OURS)}, checkpointer="store").serve("127.0.0.1", 0):
            pass
