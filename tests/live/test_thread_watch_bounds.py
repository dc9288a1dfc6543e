"""What a watch of threads keeps and asks has a bound, and a thread keeps its beginning.

About `gateway/graphwire_gateway/runs/thread_watch.py` and `gateway/graphwire_gateway/runs/listing.py`.
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

from tests.support.graphs import LIBRARIES, library
from tests.support.questions import stepper
from tests.support.thread_rows import finished, told, watching

OURS = library(LIBRARIES[0])


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


@pytest.mark.one_process
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
