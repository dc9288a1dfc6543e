"""Threads as objects: rows, metadata, and a list that is kept by ``client.watch_threads()``.

About `clients/python/graphwire/requests.py`, `clients/python/graphwire/watching.py` and
`clients/python/graphwire/thread_watch_queue.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import graphwire
import pytest
from graphwire_protocol.commands import List, ThreadUpdate, Unsubscribe, Watch
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.replies import ThreadRow

from tests.support.model_run import AT
from tests.support.model_server import ModelServer, settle
from tests.support.waiting import until

SYNCED = {"type": "synced"}


@pytest.fixture
def server() -> ModelServer:
    """A server with threads as objects; the client of ``conftest`` is connected to it."""
    server = ModelServer()
    server.minor, server.features = 1, ("threads",)
    return server


def info(thread: str, status: str = "completed", title: str | None = None, **fields: Any) -> dict[str, Any]:
    row = {"graph": "chat", "thread": thread, "status": status, "updated_at": AT}
    named = {} if title is None else {"metadata": {"title": title}}
    return {"type": "thread_info", **row, **named, **fields}


async def take(items: AsyncIterator[Any], count: int) -> list[Any]:
    taken = [await asyncio.wait_for(anext(items), 5) for _ in range(count)]
    return [(item.thread, item.status) for item in taken]


def tell(server: ModelServer, frame: dict[str, Any]) -> None:
    """Send a frame of the latest watch."""
    server.say({**frame, "sub": server.of(Watch)[-1].sub})


# ── requests ─────────────────────────────────────────────────────────────────────────────────────


async def test_an_update_sends_what_changes_and_returns_the_row(client, server) -> None:
    row = await client.update_thread("chat", "t", {"title": "Cats", "draft": None, "tags": ("a", "b")})
    assert (row.graph, row.thread, row.status) == ("chat", "t", "completed")
    (sent,) = server.of(ThreadUpdate)
    assert sent.metadata == {"title": "Cats", "draft": None, "tags": ["a", "b"]}


async def test_a_thread_is_a_row_or_nothing(client, server) -> None:
    asked = PendingInterrupt(id="i", value={"$bytes": "aGk="})
    waits = {"status": "interrupted", "interrupts": ("i",), "questions": (asked,)}
    server.threads = [ThreadRow(graph="chat", thread="t", updated_at=AT, **waits)]
    row = await client.thread("chat", "t")
    assert row.questions[0].value == b"hi", "as it was before it was sent"
    server.threads = []
    assert await client.thread("chat", "u") is None
    fields = [(sent.what, sent.graph, sent.thread, sent.limit) for sent in server.of(List)]
    assert fields == [("threads", "chat", "t", 1), ("threads", "chat", "u", 1)]


async def test_a_list_is_asked_for_by_metadata_and_title(client, server) -> None:
    assert [row async for row in client.threads(metadata={"team": "red"}, search="cats")] == []
    (asked,) = server.of(List)
    assert (asked.what, asked.metadata, asked.search) == ("threads", {"team": "red"}, "cats")


@pytest.mark.parametrize(("minor", "features"), [(0, ()), (1, ("patch", "state", "watch"))])
async def test_a_server_without_threads_as_objects_is_refused_by_name(
    client, server, minor, features
) -> None:
    server.minor, server.features = minor, features
    server.cut()
    await until(lambda: client.server.features == features)
    for work in (
        lambda: client.update_thread("chat", "t", {"title": "x"}),
        lambda: anext(client.watch_threads()),
        lambda: anext(client.threads(search="x")),
        lambda: anext(client.threads(metadata={"a": 1})),
    ):
        with pytest.raises(graphwire.Refused, match="feature 'threads', which model 0 does not") as refused:
            await work()
        assert refused.value.code == "unsupported"
    assert [row async for row in client.threads(graph="chat", status=["running"])] == [], "as ever"
    assert await client.thread("chat", "t") is None
    assert server.of(ThreadUpdate) == server.of(Watch) == []


async def test_what_no_server_takes_is_a_value_error(client, server) -> None:
    with pytest.raises(ValueError, match="thread"):
        await client.update_thread("chat", "not a name", {})
    with pytest.raises(ValueError, match="search"):
        await anext(client.watch_threads(search=""))


# ── watches ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_watch_yields_rows_and_what_is_gone(client, server) -> None:
    server.board = [info("b", "running", run="r"), info("a", title="Cats"), SYNCED]
    watch = client.watch_threads(graphs=["chat"], status=["running", "completed"], metadata={"k": 1})
    assert await take(watch, 2) == [("b", "running"), ("a", "completed")]
    tell(server, {"type": "thread_gone", "graph": "chat", "thread": "a", "reason": "deleted"})
    assert await anext(watch) == graphwire.ThreadGone("chat", "a", "deleted")
    (asked,) = server.of(Watch)
    assert (asked.what, asked.graphs, asked.status) == ("threads", ("chat",), ("running", "completed"))
    assert (asked.metadata, asked.search, asked.progress) == ({"k": 1}, None, None)
    await watch.aclose()
    await settle()
    assert len(server.of(Unsubscribe)) == 1


async def test_rows_that_were_not_taken_are_yielded_once_as_they_are_last(client, server) -> None:
    server.board = [SYNCED]
    watch = client.watch_threads(synced=True)
    assert await anext(watch) == graphwire.WatchSynced()
    for title in ("one", "two", "three"):
        tell(server, info("t", "running", title, run="r"))
    tell(server, info("t", "completed", "three", run="r"))
    await settle()
    rows = [await anext(watch), await anext(watch)]
    assert [(row.status, row.metadata) for row in rows] == [
        ("running", {"title": "three"}),
        ("completed", {"title": "three"}),
    ]


async def test_what_is_not_listed_after_a_reconnect_is_gone(client, server) -> None:
    server.board = [info("a"), info("a", graph="other"), SYNCED]
    watch = client.watch_threads()
    assert await take(watch, 2) == [("a", "completed")] * 2
    server.board = [info("a"), SYNCED]
    server.cut()
    assert await take(watch, 1) == [("a", "completed")]
    assert await anext(watch) == graphwire.ThreadGone("other", "a", "unlisted")


@pytest.mark.parametrize(
    ("asked", "row"),
    [
        ({"search": "CATS"}, info("a", title="dogs")),
        ({"search": "CATS"}, info("a")),
        ({"metadata": {"title": "cats"}}, info("a", title="dogs")),
        ({"status": ["completed"]}, info("a", "running", "cats")),
    ],
)
async def test_a_thread_that_stopped_matching_is_not_gone_after_a_reconnect(
    client, server, asked, row
) -> None:
    server.board = [info("a", title="cats"), SYNCED]
    watch = client.watch_threads(**asked, synced=True)
    assert (await anext(watch)).thread == "a"
    assert await anext(watch) == graphwire.WatchSynced()
    tell(server, row)
    assert (await anext(watch)).metadata == row.get("metadata")
    server.board = [SYNCED]
    server.cut()
    assert await anext(watch) == graphwire.WatchSynced()
