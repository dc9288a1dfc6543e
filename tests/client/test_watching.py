"""Watching runs: a board that is kept by ``client.watch()`` shows what the server has, whatever is lost.

About `clients/python/graphwire/watching.py` and `clients/python/graphwire/rows.py`.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import graphwire
import pytest
from graphwire_protocol.commands import Unsubscribe, Watch

from tests.support.model_run import AT
from tests.support.model_server import ModelServer, settle

SYNCED = {"type": "synced"}


def info(run: str, status: str = "running", **fields: Any) -> dict[str, Any]:
    row = {"run": run, "graph": "joke", "metadata": {}, "status": status, "attempt": 1, "epoch": "e1"}
    return {"type": "run_info", **row, "head": 1, "created_at": AT, "modes": ["custom"], **fields}


async def take(items: AsyncIterator[Any], count: int) -> list[Any]:
    taken = [await asyncio.wait_for(anext(items), 5) for _ in range(count)]
    return [(item.run, item.status) for item in taken]


def tell(server: ModelServer, frame: dict[str, Any]) -> None:
    """Send a frame of the latest watch."""
    server.say({**frame, "sub": server.of(Watch)[-1].sub})


async def test_a_watch_yields_rows_and_what_is_gone(client, server):
    server.board = [info("b"), info("a"), SYNCED]
    watch = client.watch(graphs=["joke"], thread="t", status=["running"], metadata={"k": 1})
    assert await take(watch, 2) == [("b", "running"), ("a", "running")]
    tell(server, {"type": "run_gone", "run": "a", "reason": "expired"})
    assert await anext(watch) == graphwire.RunGone("a", "expired")
    (asked,) = server.of(Watch)
    assert (asked.graphs, asked.thread, asked.status) == (("joke",), "t", ("running",))
    assert (asked.metadata, asked.progress) == ({"k": 1}, None)
    await watch.aclose()
    await settle()
    assert len(server.of(Unsubscribe)) == 1


async def test_a_board_loses_its_ghosts_when_the_server_was_restarted(client, server):
    server.board = [info("c"), info("b"), info("a"), SYNCED]
    watch = client.watch()
    board = dict(await take(watch, 3))
    server.board = [info("b", "failed"), SYNCED]
    server.cut()
    board.update(await take(watch, 3))
    assert board == {"c": "gone", "b": "failed", "a": "gone"}


async def test_a_run_that_stopped_matching_is_not_told_to_be_gone_after_a_reconnect(client, server):
    server.board = [info("b"), info("a"), SYNCED]
    watch = client.watch(status=["running"])
    await take(watch, 2)
    tell(server, info("a", "completed"))
    assert await take(watch, 1) == [("a", "completed")]
    server.board = [info("c"), SYNCED]
    server.cut()
    await settle()
    tell(server, info("d"))
    assert await take(watch, 3) == [("c", "running"), ("b", "gone"), ("d", "running")]


async def test_whoever_asks_hears_when_the_list_is_complete_and_whether_it_is_cut(client, server):
    server.board = [{**SYNCED, "cut": 2}]
    watch = client.watch(synced=True)
    assert await anext(watch) == graphwire.WatchSynced(cut=2)
    server.board = [info("a"), SYNCED]
    server.cut()
    assert await take(watch, 1) == [("a", "running")]
    assert await anext(watch) == graphwire.WatchSynced(cut=0)


@pytest.mark.parametrize(
    ("minor", "expected"),
    [
        (0, [("c", "running"), ("d", "running")]),
        (1, [("c", "running"), ("b", "gone"), ("a", "gone"), ("d", "running")]),
    ],
)
async def test_a_full_list_of_an_older_server_may_be_cut(client, server, minor, expected):
    server.minor, server.limits["max_watch_runs"] = minor, 1
    server.cut()
    await settle()
    server.board = [info("b"), SYNCED]
    watch = client.watch()
    await take(watch, 1)
    tell(server, info("a"))
    await take(watch, 1)
    server.board = [info("c"), SYNCED]
    server.cut()
    await settle()
    tell(server, info("d"))
    assert await take(watch, len(expected)) == expected


async def test_progress_is_asked_for(client, server):
    server.board = [info("a", head=7), SYNCED]
    row = await anext(client.watch(progress=True))
    assert (row.head, server.of(Watch)[0].progress) == (7, True)


async def test_what_a_row_asks_is_as_it_was_before_it_was_sent(client, server):
    question = {"id": "i1", "value": {"sum": {"$int": str(10**30)}}, "ns": []}
    cut = {"id": "i2", "value": {"$cut": {"reason": "size", "bytes": 9000}}}
    server.board = [info("a", "interrupted", questions=[question, cut], interrupts=["i1", "i2"]), SYNCED]
    row = await anext(client.watch())
    assert row.questions[0].value == {"sum": 10**30}
    assert row.questions[1].value.bytes == 9000


async def test_a_watch_ends_with_its_client(client, server):
    server.board = [SYNCED]
    watch = client.watch()
    await client.close()
    with pytest.raises(graphwire.ConnectionClosed):
        await anext(watch)
