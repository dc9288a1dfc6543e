"""A watch of threads reports their rows and every change of them.

About `gateway/graphwire_gateway/runs/thread_watch.py` and `gateway/graphwire_gateway/runs/known_threads.py`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from graphwire_gateway.runs import listing
from graphwire_gateway.runs.saved_threads import SavedThreads
from graphwire_gateway.runs.thread_watch import ThreadInfoWatch, ThreadInfoWatches
from graphwire_protocol import commands
from graphwire_protocol.replies import ThreadRow
from graphwire_protocol.types import Status
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import LIBRARIES, Gate, library
from tests.support.peer import everything
from tests.support.questions import asker, held, stepper
from tests.support.thread_rows import brief, finished, named, names, threads, told, watching

OURS = library(LIBRARIES[0])


async def test_a_watch_tells_what_is_there_then_synced_then_every_change(serve, connect) -> None:
    gate = Gate()
    server = await serve({"held": held(OURS, gate), "asks": asker(OURS)})
    peer = await connect(server)
    await named(peer, "old", "held", title="Cats")
    await named(peer, "new", "held", title="Dogs")
    assert [frame["thread"] for frame in await watching(peer, 7)] == ["new", "old"], "newest first"
    await peer.run("held", {}, run="r", thread="old")
    assert (await told(peer, 7, "old", status="running"))["metadata"] == {"title": "Cats"}
    await named(peer, "old", "held", title="Birds")
    await told(peer, 7, "old", status="running", metadata={"title": "Birds"})
    gate.open()
    await told(peer, 7, "old", status="completed")
    await peer.run("asks", {"topic": "tea"}, everything(1), run="q", thread="third")
    asked = await told(peer, 7, "third", status="interrupted")
    assert asked["questions"][0]["value"] == {"about": "tea"}
    assert asked["interrupts"] == [asked["questions"][0]["id"]]
    await peer.ask(type="respond", run="q", responses=[{"interrupt": asked["interrupts"][0], "value": 1}])
    last = await told(peer, 7, "third", status="completed")
    assert "questions" not in last
    listed = await threads(peer, thread="third")
    assert [{"type": "thread_info", "sub": 7, **row} for row in listed] == [last], "the rows of a list"
    await peer.ask(type="delete", graph="held", thread="old")
    gone = await told(peer, 7, "old", type="thread_gone")
    assert gone == {"type": "thread_gone", "sub": 7, "graph": "held", "thread": "old", "reason": "deleted"}
    assert peer.of(7)[-1] is gone


async def test_a_watch_has_only_what_matches_and_the_change_by_which_it_stops(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    await named(peer, "a", title="red cats", team="x")
    assert await watching(peer, 1, search="CATS", metadata={"team": "x"}, status=["completed"]) != []
    await named(peer, "b", title="cats", team="y")
    await named(peer, "c", title="dogs", team="x")
    await named(peer, "a", title="red dogs")
    assert (await told(peer, 1, "a", metadata={"title": "red dogs", "team": "x"}))["status"] == "completed"
    await named(peer, "a", title="dogs again")
    await named(peer, "d", title="cats", team="x")
    await told(peer, 1, "d")
    rows = [(frame["thread"], frame["metadata"]["title"]) for frame in peer.of(1)[1:] if "metadata" in frame]
    assert rows == [("a", "red cats"), ("a", "red dogs"), ("d", "cats")]


async def test_a_watch_lists_no_more_than_its_limit_and_says_how_many_it_left_out(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}, limits={"max_watch_runs": 2}))
    for number in range(5):
        await named(peer, f"t{number}", title="x")
    assert len(await watching(peer, 1)) == 2
    assert [frame.get("cut") for frame in peer.of(1) if frame["type"] == "synced"] == [3]


async def test_a_thread_whose_last_run_is_forgotten_is_shown_as_its_saver_has_it(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    await watching(peer, 1)
    await finished(peer, "r", "t")
    await told(peer, 1, "t", status="completed")
    await peer.ask(type="delete", run="r")
    assert (await told(peer, 1, "t", run=None))["status"] == "completed"
    assert brief(await threads(peer)) == [("t", None, "completed")]


@pytest.mark.parametrize("title", [None, "Cats"])
async def test_a_thread_without_a_checkpoint_is_gone_with_its_last_run_unless_it_has_a_name(
    serve, connect, title: str | None
) -> None:
    gate = Gate()
    server = await serve({"held": held(OURS, gate)}, limits={"max_server_runs": 1})
    peer = await connect(server)
    await watching(peer, 1)
    await peer.run("held", {}, run="first")
    await peer.run("held", {}, run="r", thread="t")
    if title is not None:
        await named(peer, "t", "held", title=title)
    await peer.ask(type="cancel", run="r")
    await told(peer, 1, "t", status="cancelled")
    await peer.ask(type="delete", run="r")
    last = await told(peer, 1, "t", run=None)
    gate.open()
    if title is None:
        assert (last["type"], last["reason"]) == ("thread_gone", "deleted")
        assert await threads(peer) == []
    else:
        assert (last["type"], last["status"]) == ("thread_info", "completed")
        assert [row["metadata"] for row in await threads(peer)] == [{"title": "Cats"}]


async def test_a_thread_that_memory_lets_go_is_gone_with_its_metadata(serve, connect) -> None:
    server = await serve({"steps": stepper(OURS)}, thread_bytes=30_000)
    peer = await connect(server)
    await watching(peer, 1)
    await finished(peer, "r", "t")
    await named(peer, "t", title="Cats")
    await peer.ask(type="delete", run="r")
    await told(peer, 1, "t", run=None, metadata={"title": "Cats"})
    for number in range(20):
        await finished(peer, f"r{number}", "other", sub=100 + number)
    gone = await told(peer, 1, "t", type="thread_gone")
    assert gone["reason"] == "evicted"
    assert await names(peer) == ["other"]


async def test_a_deleted_thread_begins_anew_without_its_metadata(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    await watching(peer, 1)
    await named(peer, "t", title="Cats")
    await finished(peer, "r", "t")
    assert (await peer.ask(type="delete", graph="steps", thread="t"))["type"] == "ok"
    assert await threads(peer) == []
    assert (await peer.ask(type="delete", graph="steps", thread="t"))["code"] == "not_found"
    await finished(peer, "r2", "t")
    await told(peer, 1, "t", run="r2", status="completed")
    frames = [frame for frame in peer.of(1) if frame["type"].startswith("thread_")]
    kinds = [(frame["type"], "metadata" in frame, frame.get("run")) for frame in frames]
    gone = kinds.index(("thread_gone", False, None))
    assert {("metadata" in frame, frame["run"]) for frame in frames[gone + 1 :]} == {(False, "r2")}
    assert all(kind[0] == "thread_info" and kind[1] for kind in kinds[:gone])


async def test_a_watch_ends_with_unsubscribe(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    await watching(peer, 1)
    assert (await peer.ask(type="unsubscribe", sub=1))["type"] == "ok"
    await named(peer, "t", title="x")
    await threads(peer)
    assert [frame["type"] for frame in peer.of(1)] == ["subscribed", "synced"]
    again = await peer.ask(type="watch", sub=1, what="threads")
    assert again["type"] == "subscribed"


@pytest.mark.parametrize("fields", [{"progress": True}, {"search": ""}])
async def test_a_watch_of_threads_that_asks_for_what_threads_do_not_have_is_refused(
    serve, connect, fields
) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    reply = await peer.ask(type="watch", sub=1, what="threads", **fields)
    assert reply["code"] == "invalid_argument"


def test_a_reader_that_stands_still_costs_no_more_the_more_runs_a_thread_has() -> None:
    watches = ThreadInfoWatches(10)
    watch = ThreadInfoWatch(commands.Watch(id=1, sub=1, what="threads"), "p", lambda _: None)
    watches.open(watch, [])
    statuses: tuple[Status, ...] = ("queued", "running", "completed")
    for number in range(50):
        for status in statuses:
            watches.changed("p", row(f"r{number}", status))
    out: list[bytes] = []
    watch.take(out, 1_000_000)
    assert len(out) == 4, "a row for each status, and synced"
    assert b'"run":"r49"' in out[2]
    assert b'"completed"' in out[2]


def row(run: str, status: Status) -> ThreadRow:
    return ThreadRow(graph="g", thread="t", status=status, updated_at="2026-03-01T12:00:00.000Z", run=run)


async def test_a_thread_keeps_its_beginning_when_a_run_follows_one_that_is_forgotten(serve, connect) -> None:
    peer = await connect(await serve({"steps": stepper(OURS)}))
    await watching(peer, 1)
    await finished(peer, "r", "t")
    await peer.ask(type="delete", run="r")
    began = (await told(peer, 1, "t", run=None))["created_at"]
    await asyncio.sleep(0.005)  # another millisecond: times have no more digits
    await finished(peer, "r2", "t", sub=901)
    assert (await told(peer, 1, "t", run="r2", status="completed"))["created_at"] == began


async def test_savers_are_not_asked_about_threads_that_a_watch_leaves_out(
    serve, connect, monkeypatch
) -> None:
    saver = InMemorySaver()
    first = await connect(await serve({"steps": stepper(OURS, saver)}))
    for number in range(5):
        await finished(first, f"r{number}", f"t{number}", sub=number + 1)
    asked: list[str] = []
    standing: Callable[..., Any] = SavedThreads.standing

    async def count(self: SavedThreads, entry: Any, thread: str, principal: str) -> Any:
        asked.append(thread)
        return await standing(self, entry, thread, principal)

    monkeypatch.setattr(SavedThreads, "standing", count)
    monkeypatch.setattr(listing, "_GO_MEANWHILE", 1)
    server = await serve({"steps": stepper(OURS, saver)}, limits={"max_watch_runs": 2})
    peer = await connect(server)
    assert [frame["thread"] for frame in await watching(peer, 1)] == ["t4", "t3"]
    assert [frame.get("cut") for frame in peer.of(1) if frame["type"] == "synced"] == [3]
    assert asked == ["t4", "t3", "t2"]
