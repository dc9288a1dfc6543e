"""The queues between a connection and its readers.

About `clients/python/graphwire/event_queue.py` and `clients/python/graphwire/watch_queue.py`.
"""

import asyncio

import pytest
from graphwire.errors import ConnectionClosed
from graphwire.event_queue import EventQueue
from graphwire.run_tracker import RunTracker
from graphwire.watch_queue import WatchQueue
from graphwire_protocol.frames import Event, RunInfo
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
    rows = [await queue.take() for _ in range(3)]
    assert [(row.run, row.status) for row in rows] == [
        ("b", "running"),
        ("a", "running"),
        ("a", "completed"),
    ]
    with pytest.raises(ConnectionClosed):
        await queue.take()
