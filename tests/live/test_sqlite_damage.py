"""Clients of a server whose SQLite file is damaged or gone: one run is refused, or all new ones, and no more.

About `gateway/graphwire_gateway/log/sqlite.py` and `gateway/graphwire_gateway/connections/reader.py`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from graphwire_gateway.log import sqlite

from tests.live.test_restart import history, killed, url
from tests.support.graphs import OURS, talker
from tests.support.peer import everything


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def damage(path: Path, run: str) -> Path:
    """Damage the events of one run; return the file."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(
            "UPDATE chunks SET data = x'00' WHERE id >> 31 = (SELECT id FROM logs WHERE run = ?)",
            (f"anonymous/{run}",),
        )
    connection.close()
    return path


@contextmanager
def away(path: Path) -> Iterator[None]:
    moved = path.with_name("moved")
    path.rename(moved)
    yield
    moved.rename(path)


@pytest.mark.parametrize("start", ["start", "snapshot"])
async def test_a_run_whose_events_are_damaged_is_refused_and_the_connection_goes_on(
    serve, connect, path: Path, start: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = await connect(await serve({"talker": talker(OURS)}, store=url(path)))
    for sub, run in enumerate(("broken", "whole"), 1):
        await before.run("talker", {"count": 3}, everything(sub), run=run)
        await before.closed(sub)
    copy = damage(killed(path), "broken")
    after = await connect(await serve({"talker": talker(OURS)}, store=url(copy)))
    for sub in (1, 2):
        asked = {**everything(sub), "from": start}
        assert (await after.ask(type="subscribe", run="broken", **asked))["type"] == "subscribed"
        await after.closed(sub)
        assert [frame["reason"] for frame in after.of(sub) if frame["type"] == "closed"] == ["deleted"]
        assert after.events(sub) == []
    await history(after, 3, "whole")
    assert [event["data"] for event in after.events(3)] == [event["data"] for event in before.events(2)]
    assert [one["status"] for one in (await after.ask(type="list", what="runs"))["runs"]] == ["completed"] * 2
    assert (await after.ask(type="delete", run="broken"))["type"] == "ok"
    said = [one.getMessage() for one in caplog.records if "damaged" in one.getMessage()]
    assert len(said) == 1


async def test_a_run_is_refused_while_the_file_is_gone_and_starts_when_it_is_back(
    serve, connect, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_IDLE_S", 0)  # as if nothing had happened for long
    server = await serve({"talker": talker(OURS)}, store=url(path))
    peer = await connect(server)
    with away(path):
        start = {"type": "run", "graph": "talker", "input": {"count": 1}, "run": "r"}
        refused = await peer.ask(**start)
        assert (refused["code"], refused["after_ms"] > 0) == ("unavailable", True)
    await peer.run("talker", {"count": 1}, everything(1), run="r")
    await peer.closed(1)
    after = await connect(await serve({"talker": talker(OURS)}, store=url(killed(path))))
    await history(after, 1, "r")
