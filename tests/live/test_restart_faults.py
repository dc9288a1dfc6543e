"""A server on a SQLite file whose disk is full, and what a kill at that moment leaves of what clients heard.

About `gateway/graphwire_gateway/runs/runs.py`, `gateway/graphwire_gateway/runs/recovery.py` and
`gateway/graphwire_gateway/log/sqlite.py`.
"""

import asyncio
import math
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway import CannotServe, Gateway, Server
from graphwire_gateway.log import commit

from tests.live.test_interrupts import asked
from tests.live.test_restart import history, killed, reached, row, threads, url
from tests.live.test_server import http_get
from tests.support.graphs import OURS, Gate, gated, talker
from tests.support.peer import everything, spec
from tests.support.questions import asker
from tests.support.waiting import poll


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


@contextmanager
def full(server: Server, *names: str) -> Iterator[None]:
    """Let what the file's ``names`` do find no room on the disk."""
    store: Any = server._store
    store._written_at = math.inf  # a new log is not tried out
    database: Any = store._file

    def no_room(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    for name in names:
        setattr(database, name, no_room)
    try:
        yield
    finally:
        for name in names:
            delattr(database, name)


async def test_no_client_should_come_while_the_disk_is_full(
    serve, connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "AWAY_S", 0.1)
    gate = Gate()
    server = await serve({"gated": gated(gate)}, store=url(path))
    peer = await connect(server)
    await peer.run("gated", {"count": 1}, spec(1, "custom"), run="r")
    await peer.until(lambda frame: frame.get("data") == {"i": 2})
    with full(server, "append"):
        gate.open()
        away = await poll(lambda: http_get(server, "/readyz"), lambda answer: answer[0] != 200)
        assert away[-1] == (503, "the store is away\n")
    await peer.closed(1)
    monkeypatch.setattr(commit, "AWAY_S", 1e-9)
    await poll(lambda: http_get(server, "/readyz"), lambda answer: answer == (200, "ready\n"))


async def test_a_run_whose_delete_was_answered_does_not_come_back(serve, connect, path: Path) -> None:
    """A disk may have room for a row and none for a transaction that frees a long log."""
    server = await serve({"talker": talker(OURS)}, store=url(path))
    before = await connect(server)
    await before.run("talker", {"count": 1}, everything(1), run="r")
    await before.closed(1)
    with full(server, "delete"):
        assert (await before.ask(type="delete", run="r"))["type"] == "ok"
        after = await connect(await serve({"talker": talker(OURS)}, store=url(killed(path))))
    assert (await after.ask(type="list", what="runs"))["runs"] == []
    assert (await after.ask(type="result", run="r"))["code"] == "not_found"


async def test_a_delete_is_not_answered_before_the_store_has_it(serve, connect, path: Path) -> None:
    server = await serve({"talker": talker(OURS)}, store=url(path), limits={"state_timeout_s": 0.2})
    before = await connect(server)
    await before.ask(type="watch", what="runs", sub=2)
    await before.run("talker", {"count": 1}, everything(1), run="r")
    await before.closed(1)
    with full(server, "append", "delete"):
        refused = await before.ask(type="delete", run="r")
        assert refused["code"] == "unavailable"
        assert "may be deleted yet" in refused["message"]
        assert [one["run"] for one in (await before.ask(type="list", what="runs"))["runs"]] == ["r"]
        assert not [frame for frame in before.of(2) if frame["type"] == "run_gone"]
        after = await connect(await serve({"talker": talker(OURS)}, store=url(killed(path))))
        assert (await row(after))["status"] == "completed"
    await before.until(lambda frame: frame["type"] == "run_gone")  # it goes when the disk has room
    assert (await before.ask(type="list", what="runs"))["runs"] == []


async def test_nobody_sees_a_run_that_a_kill_would_take_back(serve, connect, path: Path) -> None:
    server = await serve({"gated": gated(Gate())}, store=url(path))
    starter, other = await connect(server), await connect(server)
    with full(server, "append"):
        await starter.send(
            {"type": "run", "id": 77, "graph": "gated", "input": {"done": 0}, "run": "r", "thread": "t"}
        )
        while "anonymous/r" not in server._store._logs:  # type: ignore[attr-defined]
            await other.ask(type="list", what="graphs")
        assert (await other.ask(type="list", what="runs"))["runs"] == []
        assert await threads(other) == {}
        await other.ask(type="watch", what="runs", sub=1)
        await other.ask(type="list", what="graphs")
        assert not [frame for frame in other.of(1) if frame["type"] == "event"], other.of(1)
        await starter.send({"type": "cancel", "id": 78, "run": "r"})
    assert (await starter.answer(77))["type"] == "started"
    assert (await starter.answer(78))["type"] == "ok"


async def test_a_start_that_waits_for_the_disk_holds_up_nothing_else(serve, connect, path: Path) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate), "asker": asker(OURS)}, store=url(path))
    peer = await connect(server)
    await peer.run("gated", {"done": 0}, spec(1, "lifecycle"), run="other")
    await reached(peer, gate)
    with full(server, "append"):
        start = {"graph": "gated", "input": {"done": 0}, "run": "r", "subscribe": [everything(2)]}
        await peer.send({"type": "run", "id": 77, **start}, {"type": "unsubscribe", "id": 79, "sub": 2})
        await peer.send({"type": "run", "id": 80, **start, "subscribe": [everything(3)]})
        await peer.send({"type": "cancel", "id": 78, "run": "other"})
        rows = await asyncio.wait_for(peer.ask(type="list", what="runs"), 5)
        assert [one["run"] for one in rows["runs"]] == ["other"]
    gate.open()
    for id, created in ((77, True), (80, False)):
        started = await peer.answer(id)
        assert (started["type"], started["created"]) == ("started", created)
    await peer.closed(1)
    await peer.closed(3)
    assert peer.events(3)[0]["seq"] == 1
    order = [frame["id"] for frame in peer.frames if frame.get("id") in (77, 79, 80)]
    assert [order[0], order[-1]] == [77, 80]  # each behind the one that names the same
    assert set(order) == {77, 79, 80}


async def test_a_server_that_cannot_listen_leaves_queued_runs_as_they_are(serve, connect, path: Path) -> None:
    gate = Gate()
    before = await connect(await serve({"gated": gated(gate)}, store=url(path)))
    await before.run("gated", {"done": 0}, spec(1, "lifecycle"), run="first", thread="t")
    await reached(before, gate)
    await before.run("gated", {"done": 0}, run="q", thread="t", if_busy="enqueue")
    copy = killed(path)
    gateway = Gateway({"gated": gated(gate)}, store=url(copy))
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(CannotServe, match="cannot listen"),
    ):
        async with gateway.serve("127.0.0.1", taken.getsockname()[1]):
            pass
    gate.open()
    after = await connect(await serve({"gated": gated(gate)}, store=url(copy)))
    await history(after, 1, "q", "lifecycle")
    assert (await row(after, "q"))["status"] == "completed"
    first = await row(after, "first")
    assert (first["status"], first["attempt"]) == ("completed", 2)
    await before.closed(1)


async def test_a_watch_of_threads_shows_them_as_before(serve, connect, path: Path) -> None:
    graphs = {"asker": asker(OURS)}
    before = await connect(await serve(graphs, store=url(path)))
    await before.run("asker", {"topic": "cats"}, everything(1), run="r", thread="t")
    await asked(before, 1)
    shown = await watched_threads(before)
    assert [one["status"] for one in shown] == ["interrupted"]
    after = await connect(await serve(graphs, store=url(killed(path))))
    assert await watched_threads(after) == shown
    assert await threads(after) == await threads(before)


async def watched_threads(peer: Any) -> list[Any]:
    await peer.ask(type="watch", what="threads", sub=9)
    await peer.until(lambda frame: frame["type"] == "synced")
    return [frame for frame in peer.of(9) if frame["type"] == "thread_info"]


async def test_a_drain_ends_in_its_time_although_the_disk_is_full(
    serve, connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graphwire_gateway.runs.runs.PATIENCE_S", 1)
    gate = Gate()
    limits = {"cancel_grace_s": 0}
    async with Gateway({"gated": gated(gate)}, store=url(path), limits=limits).serve(
        "127.0.0.1", 0
    ) as server:
        before = await connect(server)
        await before.run("gated", {"done": 0}, run="r", thread="t")
        await reached(before, gate)
        began_at = asyncio.get_running_loop().time()
        with full(server, "append", "delete"):
            await server.drain(0)
            seconds = asyncio.get_running_loop().time() - began_at
            copy = killed(path)
        gate.open()
    assert 1 <= seconds < 1.9  # once, and not for each thing that waits
    after = await connect(await serve({"gated": gated(gate)}, store=url(copy)))
    # It is shown as running until it has ended: nothing of its cancel was stored, so it went on.
    *_, shown = await poll(lambda: row(after), lambda shown: shown["status"] != "running")
    assert (shown["status"], shown["attempt"]) == ("completed", 2)
