"""The queues between a connection and its readers.

About `clients/python/graphwire/event_queue.py` and `clients/python/graphwire/watch_queue.py`.
"""

import asyncio
from typing import Any

import pytest
from graphwire.errors import ConnectionClosed
from graphwire.event_queue import EventQueue
from graphwire.rows import RunGone, WatchSynced
from graphwire.run_tracker import RunTracker
from graphwire.watch_queue import MOST_GONE, WatchQueue
from graphwire_protocol.frames import Event, RunInfo, Synced
from graphwire_protocol.frames import RunGone as RunGoneFrame
from graphwire_protocol.happenings import Delivered

from tests.support.model_run import AT
from tests.support.model_server import settle


def closed() -> ConnectionClosed:
    return ConnectionClosed(1000, "over")


def custom(seq: int) -> Delivered:
    return Delivered(1, Event(sub=1, n=seq, seq=seq, mode="custom", data=seq), "e1")


def info(run: str, status: str) -> Delivered:
    fields = {"run": run, "graph": "joke", "status": status, "attempt": 1, "epoch": "e1", "head": 1}
    return Delivered(
        1, RunInfo.model_validate({"sub": 1, **fields, "metadata": {}, "created_at": AT, "modes": ["custom"]})
    )


async def test_a_failed_queue_gives_what_it_holds_before_its_error():
    queue = EventQueue(1, RunTracker())
    queue.read_by("reader")
    queue.put(custom(1))
    queue.fail(closed)
    assert await queue.take("reader") == custom(1)
    with pytest.raises(ConnectionClosed, match="over"):
        await queue.take("reader")
    assert queue.tracker.head == 1


async def test_another_reader_ends_the_wait_of_the_first():
    queue = EventQueue(1, RunTracker())
    queue.read_by("first")
    waiting = asyncio.ensure_future(queue.take("first"))
    await settle()
    queue.read_by("second")
    assert await waiting is None
    queue.put(custom(1))
    assert await queue.take("second") == custom(1)


async def test_a_row_that_comes_again_replaces_the_one_that_waits():
    queue = WatchQueue(1)
    for run, status in (("a", "running"), ("b", "running"), ("a", "running"), ("a", "completed")):
        queue.put(info(run, status))
    queue.fail(closed)
    rows: list[Any] = [await queue.take() for _ in range(3)]
    assert [(row.run, row.status) for row in rows] == [
        ("b", "running"),
        ("a", "running"),
        ("a", "completed"),
    ]
    with pytest.raises(ConnectionClosed):
        await queue.take()


# ── runs that are gone ───────────────────────────────────────────────────────────────────────────


def gone(run: str, reason: str = "deleted") -> Delivered:
    return Delivered(1, RunGoneFrame(sub=1, run=run, reason=reason))


def synced(cut: int | None = None) -> Delivered:
    return Delivered(1, Synced(sub=1, cut=cut))


async def taken(queue: WatchQueue) -> list[Any]:
    """Take everything that is queued; return it, shortly."""
    out: list[Any] = []
    while len(queue):
        match await queue.take():
            case RunGone(run=run, reason=reason):
                out.append((run, "gone", reason))
            case WatchSynced(cut=cut):
                out.append(("synced", cut))
            case row:
                out.append((row.run, row.status))
    return out


async def test_a_list_after_a_reconnect_tells_what_is_gone_before_it_is_complete():
    queue = WatchQueue(1)
    for delivered in (info("c", "running"), info("b", "running"), info("a", "running"), synced()):
        queue.put(delivered)
    assert await taken(queue) == [("c", "running"), ("b", "running"), ("a", "running"), ("synced", 0)]
    queue.begin_list()
    for delivered in (info("d", "running"), info("b", "completed"), synced()):
        queue.put(delivered)
    unlisted = [("c", "gone", "unlisted"), ("a", "gone", "unlisted")]
    assert await taken(queue) == [("d", "running"), ("b", "completed"), *unlisted, ("synced", 0)]
    queue.begin_list()
    for delivered in (info("d", "running"), info("b", "completed"), synced()):
        queue.put(delivered)
    assert await taken(queue) == [("d", "running"), ("b", "completed"), ("synced", 0)]


async def test_a_list_that_is_cut_says_nothing_of_what_it_does_not_name():
    queue = WatchQueue(1)
    for delivered in (info("b", "running"), info("a", "running"), synced()):
        queue.put(delivered)
    await taken(queue)
    queue.begin_list()
    queue.put(info("b", "running"))
    queue.put(synced(7))
    assert await taken(queue) == [("b", "running"), ("synced", 7)]
    queue.begin_list()
    queue.put(info("b", "running"))
    queue.put(synced())
    assert await taken(queue) == [("b", "running"), ("a", "gone", "unlisted"), ("synced", 0)]


async def test_a_run_that_has_stopped_matching_is_not_missed_on_the_next_list():
    queue = WatchQueue(1, ("running",))
    for delivered in (info("a", "running"), info("b", "running"), synced(), info("a", "completed")):
        queue.put(delivered)
    await taken(queue)
    queue.begin_list()
    queue.put(synced())
    assert await taken(queue) == [("b", "gone", "unlisted"), ("synced", 0)]
    queue.put(gone("a"))
    assert await taken(queue) == [("a", "gone", "deleted")]


async def test_a_run_that_went_before_the_connection_was_lost_is_told_once():
    queue = WatchQueue(1)
    for delivered in (info("a", "running"), synced(), info("a", "cancelled"), gone("a")):
        queue.put(delivered)
    queue.begin_list()
    queue.put(synced())
    assert await taken(queue) == [
        ("a", "running"),
        ("a", "cancelled"),
        ("a", "gone", "deleted"),
        ("synced", 0),
    ]


async def test_a_new_run_with_the_id_of_one_that_is_gone_is_shown_behind_it():
    queue = WatchQueue(1)
    for delivered in (info("a", "running"), gone("a"), info("a", "queued"), info("a", "running")):
        queue.put(delivered)
    assert await taken(queue) == [("a", "gone", "deleted"), ("a", "queued"), ("a", "running")]


async def test_a_reader_that_takes_nothing_does_not_make_the_queue_grow_with_runs_that_come_and_go():
    queue = WatchQueue(1)
    queue.put(info("known", "running"))
    await queue.take()
    queue.put(gone("known"))
    for number in range(3 * MOST_GONE):
        for status in ("queued", "running", "completed"):
            queue.put(info(f"r{number}", status))
        queue.put(gone(f"r{number}"))
    assert len(queue) == 1 + 4 * MOST_GONE
    first, second = (await taken(queue))[:2]
    assert first == ("known", "gone", "deleted")
    assert second == (f"r{2 * MOST_GONE}", "queued")
