"""A watch of threads reports their rows and every change of them.

About `gateway/graphwire_gateway/runs/thread_watch.py` and `gateway/graphwire_gateway/runs/known_threads.py`.
"""

import asyncio
from typing import Any

import pytest
from graphwire_gateway.log.memory import MemoryStore
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import LIBRARIES, Gate, library
from tests.support.peer import everything
from tests.support.questions import asker, held, stepper
from tests.support.thread_rows import brief, finished, named, names, threads, told, update, watching
from tests.support.waiting import until

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
@pytest.mark.one_process
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


@pytest.mark.memory_store
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


class SlowSaver(InMemorySaver):
    """A saver that deletes no thread until the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.is_deleting = False
        self.deletes = asyncio.Event()
        self.deletes.set()

    async def adelete_thread(self, thread_id: str) -> None:
        self.is_deleting = True
        await self.deletes.wait()
        await super().adelete_thread(thread_id)


class HeldStore(MemoryStore):
    """A store that takes no records until the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = asyncio.Event()
        self.takes.set()

    async def append(self, batches: Any) -> Any:
        await self.takes.wait()
        return await super().append(batches)


async def test_a_watch_shows_no_run_and_no_status_before_the_store_holds_it(serve, connect) -> None:
    store = HeldStore()
    gate = Gate()
    peer = await connect(await serve({"held": held(OURS, gate)}, store=store))
    await named(peer, "t", "held", title="Cats")
    await watching(peer, 1)
    store.takes.clear()
    await peer.run("held", {}, run="r", thread="t")
    assert brief(await threads(peer)) == [("t", "r", "running")], "a list has what is so now"
    await named(peer, "t", "held", title="Dogs")
    assert brief(await watching(peer, 2)) == [("t", None, "completed")]
    store.takes.set()
    await told(peer, 1, "t", run="r", status="running")
    rows = [frame for frame in peer.of(1) if frame["type"] == "thread_info"]
    assert brief(rows)[:3] == [("t", None, "completed"), ("t", None, "completed"), ("t", "r", "running")]
    gate.open()
    await told(peer, 1, "t", status="completed", run="r")


async def test_a_run_that_waits_for_a_deletion_begins_its_thread_anew(serve, connect) -> None:
    saver = SlowSaver()
    server = await serve({"steps": stepper(OURS, saver)})
    peer, other = await connect(server), await connect(server)
    await named(peer, "t", title="Cats")
    await watching(peer, 1)
    saver.deletes.clear()
    deleting = asyncio.ensure_future(other.ask(type="delete", graph="steps", thread="t"))
    await until(lambda: saver.is_deleting)
    refused = await update(peer, "t", title="Dogs")
    assert (refused["code"], refused["retry"]) == ("busy", "after")
    await peer.run("steps", {"topic": "x"}, everything(5), run="r", thread="t")
    saver.deletes.set()
    assert (await deleting)["type"] == "ok"
    await peer.closed(5)
    await told(peer, 1, "t", run="r", status="completed")
    frames = [(frame["type"], "metadata" in frame) for frame in peer.of(1) if "thread" in frame]
    assert frames[0] == ("thread_info", True)
    assert frames[1] == ("thread_gone", False)
    assert set(frames[2:]) == {("thread_info", False)}
    assert brief(await threads(peer)) == [("t", "r", "completed")]


async def test_a_thread_from_before_a_restart_keeps_its_beginning_and_shows_what_is_written(
    serve, connect
) -> None:
    saver = InMemorySaver()
    first = await connect(await serve({"steps": stepper(OURS, saver)}))
    await finished(first, "r", "t")
    peer = await connect(await serve({"steps": stepper(OURS, saver)}))
    (listed,) = await watching(peer, 1)
    updated = await peer.ask(
        type="state_update", graph="steps", thread="t", values={"said": ["x"]}, as_node="one"
    )
    assert updated["type"] == "ok"
    written = await told(peer, 1, "t", status="interrupted")
    assert written["updated_at"] >= listed["updated_at"]
    await finished(peer, "r2", "t")
    last = await told(peer, 1, "t", run="r2", status="completed")
    assert listed["created_at"] == written["created_at"] == last["created_at"]
    assert last["created_at"] < last["updated_at"]
