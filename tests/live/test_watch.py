"""A watch reports the states of all runs that match, on the connection that carries everything else.

About `gateway/graphwire_gateway/runs/watch.py`, `clients/python/graphwire/watching.py` and
`clients/python/graphwire/watch_queue.py`.
"""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

import graphwire
import pytest
from graphwire_conformance.graphs import build_ask, build_fails
from graphwire_gateway import Gateway
from graphwire_gateway.runs import watch

from tests.support.graphs import Gate, counter, gated
from tests.support.peer import Peer, everything


def _infos(peer: Peer, sub: int) -> list[tuple[str, str]]:
    return [(frame["run"], frame["status"]) for frame in peer.of(sub) if frame["type"] == "run_info"]


async def _until_told(peer: Peer, sub: int, run: str, status: str) -> None:
    if (run, status) not in _infos(peer, sub):
        await peer.until(
            lambda frame: (frame.get("sub"), frame.get("run"), frame.get("status")) == (sub, run, status)
        )


async def test_a_watch_tells_what_is_there_then_synced_then_every_change(serve, connect) -> None:
    gate = Gate()
    server = await serve({"counter": counter(), "gated": gated(gate)})
    peer = await connect(server)
    for sub, run in enumerate(("old", "older")):
        await peer.run("counter", {"count": 1}, everything(sub), run=run)
        await peer.closed(sub)
    reply = await peer.ask(type="watch", sub=7)
    assert reply == {"type": "subscribed", "id": reply["id"], "sub": 7}
    await peer.until(lambda frame: frame["type"] == "synced" and "seq" not in frame)
    assert _infos(peer, 7) == [("older", "completed"), ("old", "completed")], "newest first"
    assert "seq" not in peer.of(7)[-1]
    await peer.run("gated", {}, run="new", metadata={"team": "a"})
    await _until_told(peer, 7, "new", "running")
    gate.open()
    await _until_told(peer, 7, "new", "completed")
    assert _infos(peer, 7)[2:] == [("new", "running"), ("new", "completed")]
    listed = (await peer.ask(type="list", what="runs"))["runs"][0]
    last = {name: value for name, value in peer.of(7)[-1].items() if name not in ("type", "sub")}
    assert last == listed, "the rows of a list"
    assert last["metadata"] == {"team": "a"}


async def test_a_watch_tells_the_change_by_which_a_run_stops_matching_and_no_later_one(
    serve, connect
) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate), "counter": counter()})
    peer = await connect(server)
    await peer.ask(type="watch", sub=1, status=["running"], graphs=["gated"], metadata={"k": 1})
    await peer.run("gated", {}, run="mine", metadata={"k": 1, "more": 2})
    await peer.run("gated", {}, run="other-metadata", metadata={"k": 2})
    await peer.run("counter", {"count": 1}, everything(9), run="other-graph", metadata={"k": 1})
    await peer.closed(9)
    await _until_told(peer, 1, "mine", "running")
    await peer.ask(type="cancel", run="mine")
    await _until_told(peer, 1, "mine", "cancelled")
    gate.open()
    await peer.settled()
    assert _infos(peer, 1) == [("mine", "running"), ("mine", "cancelled")]


async def test_another_principals_runs_are_in_no_watch(serve, connect) -> None:
    server = await serve({"counter": counter()}, tokens={"a": "alice", "b": "bob"})
    alice, bob = await connect(server, token="a"), await connect(server, token="b")
    await bob.ask(type="watch", sub=1)
    await alice.run("counter", {"count": 1}, everything(1), run="hers")
    await alice.closed(1)
    await bob.run("counter", {"count": 1}, everything(2), run="his")
    await bob.closed(2)
    await _until_told(bob, 1, "his", "completed")
    assert {run for run, _ in _infos(bob, 1)} == {"his"}


async def test_a_watch_ends_with_its_unsubscription_and_keeps_no_run_alive(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate), "counter": counter()}, limits={"disconnect_grace_s": 0})
    starter, peer = await connect(server), await connect(server)
    await peer.ask(type="watch", sub=1)
    await starter.run("gated", {}, run="r", on_disconnect="cancel")
    await _until_told(peer, 1, "r", "running")
    starter.wire.abort()
    await _until_told(peer, 1, "r", "cancelled")
    assert (await peer.ask(type="unsubscribe", sub=1))["type"] == "ok"
    told = len(peer.of(1))
    await peer.run("counter", {"count": 1}, everything(1), run="after")
    frames = await peer.closed(1)
    assert [frame for frame in frames[told:] if frame["type"] == "run_info"] == []
    gate.open()


async def test_at_most_max_watch_runs_are_told_at_first(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"max_watch_runs": 3})
    peer = await connect(server)
    for number in range(6):
        await peer.run("counter", {"count": 1}, everything(number), run=f"r{number}")
        await peer.closed(number)
    await peer.ask(type="watch", sub=20)
    await peer.until(lambda frame: frame["type"] == "synced" and "seq" not in frame)
    assert [run for run, _ in _infos(peer, 20)] == ["r5", "r4", "r3"]
    assert peer.of(20)[-1] == {"type": "synced", "sub": 20, "cut": 3}
    await peer.ask(type="delete", run="r0")
    await peer.until(lambda frame: frame["type"] == "run_gone")
    assert peer.of(20)[-1] == {"type": "run_gone", "sub": 20, "run": "r0", "reason": "deleted"}


def _gone(peer: Peer, sub: int) -> list[tuple[str, str]]:
    return [(frame["run"], frame["reason"]) for frame in peer.of(sub) if frame["type"] == "run_gone"]


async def test_runs_that_are_deleted_with_their_thread_are_gone(serve, connect) -> None:
    server = await serve({"ask": build_ask()})
    peer = await connect(server)
    await peer.ask(type="watch", sub=1)
    await peer.run("ask", {"topic": "t"}, run="first", thread="t")
    await _until_told(peer, 1, "first", "interrupted")
    await peer.run("ask", {"topic": "t"}, run="second", thread="t", if_busy="interrupt")
    await _until_told(peer, 1, "second", "interrupted")
    reply = await peer.ask(type="delete", graph="ask", thread="t")
    assert reply["type"] == "ok"
    await peer.until(lambda _: len(_gone(peer, 1)) == 2)
    assert set(_gone(peer, 1)) == {("first", "deleted"), ("second", "deleted")}
    assert [frame["type"] for frame in peer.of(1) if frame.get("run") == "second"][-1] == "run_gone"


async def test_a_run_whose_result_is_forgotten_is_gone(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"result_ttl_s": 0.05})
    peer = await connect(server)
    await peer.ask(type="watch", sub=1)
    await peer.run("counter", {"count": 1}, run="r")
    await peer.until(lambda frame: frame["type"] == "run_gone")
    assert _infos(peer, 1)[-1] == ("r", "completed")
    assert _gone(peer, 1) == [("r", "expired")]


async def test_a_row_says_what_a_run_asks_and_why_it_failed(serve, connect) -> None:
    server = await serve({"ask": build_ask(), "fails": build_fails()}, expose_errors=True)
    peer = await connect(server)
    await peer.ask(type="watch", sub=1)
    await peer.run("ask", {"topic": "t"}, run="asking", thread="t")
    await _until_told(peer, 1, "asking", "interrupted")
    (asking,) = (await peer.ask(type="list", what="runs"))["runs"]
    assert [question["value"] for question in asking["questions"]] == [{"about": "t"}]
    assert [question["id"] for question in asking["questions"]] == asking["interrupts"]
    await peer.ask(type="cancel", run="asking", reason="enough")
    await _until_told(peer, 1, "asking", "cancelled")
    assert peer.of(1)[-1]["reason"] == "enough"
    assert "questions" not in peer.of(1)[-1]
    await peer.run("fails", {}, run="failing")
    await _until_told(peer, 1, "failing", "failed")
    error = peer.of(1)[-1]["error"]
    assert (error["code"], error["message"]) == ("graph_error", "this graph fails, as it is meant to")


async def test_a_watch_that_asks_for_progress_hears_how_far_a_run_is(serve, connect, monkeypatch) -> None:
    monkeypatch.setattr(watch, "PROGRESS_S", 0.01)
    gate = Gate()
    server = await serve({"gated": gated(gate)})
    peer = await connect(server)
    await peer.ask(type="watch", sub=1, progress=True)
    await peer.ask(type="watch", sub=2)
    await peer.run("gated", {}, run="r", record={"modes": ["custom", "values"]})
    await peer.until(lambda frame: frame["type"] == "run_info" and frame["sub"] == 1 and frame["head"] > 1)
    gate.open()
    await _until_told(peer, 2, "r", "completed")
    assert _infos(peer, 2) == [("r", "running"), ("r", "completed")]


@pytest.mark.one_process
async def test_many_watches_of_a_thousand_runs_are_listed_in_turns_and_keep_no_rows(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"max_active_runs": 2000, "requests_per_s": 10**6})
    peer = await connect(server)
    runs, watches = 1000, 8
    await peer.ask(type="watch", sub=1)
    for number in range(runs):
        await peer.send(
            {"type": "run", "id": number, "graph": "counter", "input": {"count": 0}, "run": f"r{number}"}
        )
    completed: set[str] = set()
    while len(completed) < runs:
        frame = await peer.until(lambda frame: frame.get("status") == "completed", since=len(peer.frames))
        completed.add(frame["run"])
    boards = [await connect(server) for _ in range(watches)]
    for board in boards:
        await board.ask(type="watch", sub=1, progress=True)
    for board in boards:
        await board.until(lambda frame: frame["type"] == "synced")
        assert [run for run, _ in _infos(board, 1)] == [f"r{number}" for number in reversed(range(runs))]
    for number in range(0, runs, 100):
        await peer.ask(type="delete", run=f"r{number}")
    for board in boards:
        await board.until(lambda frame: frame.get("run") == f"r{runs - 100}" and frame["type"] == "run_gone")
        assert [run for run, _ in _gone(board, 1)] == [f"r{number}" for number in range(0, runs, 100)]


async def test_the_client_watches_over_a_cut(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate)})
    seen: list[tuple[str, str]] = []
    async with graphwire.connect(server.url) as client:
        await client.run("gated", {}, run="r", modes=["custom"])

        async def look() -> None:
            async for info in client.watch(graphs=["gated"]):
                if info.status == "queued":
                    continue  # on a slow store, before it holds that the run has begun
                seen.append((info.run, info.status))
                if info.status == "running" and len(seen) == 1:
                    await _cut(client)
                    gate.open()
                if info.status == "completed":
                    return

        await asyncio.wait_for(look(), 10)
    assert seen[0] == ("r", "running")
    assert seen[-1] == ("r", "completed")


async def test_a_board_of_the_client_has_no_ghosts_after_a_restart_of_the_server() -> None:
    board: dict[str, str] = {}
    items: asyncio.Queue[Any] = asyncio.Queue()

    async def keep(client: graphwire.Client) -> None:
        async for item in client.watch(synced=True):
            if not isinstance(item, graphwire.WatchSynced):
                board[item.run] = item.status
            items.put_nowait(item)

    async def synced() -> None:
        while not isinstance(await asyncio.wait_for(items.get(), 10), graphwire.WatchSynced):
            pass

    gate = Gate()
    async with AsyncExitStack() as stack:
        first = AsyncExitStack()
        server = await first.enter_async_context(Gateway({"gated": gated(gate)}).serve("127.0.0.1", 0))
        client = await stack.enter_async_context(graphwire.connect(server.url))
        keeping = asyncio.ensure_future(keep(client))
        stack.callback(keeping.cancel)
        await synced()
        await client.run("gated", {}, run="old", modes=["custom"])
        while board.get("old") != "running":
            await asyncio.wait_for(items.get(), 10)
        gate.open()
        await first.aclose()
        port = urlsplit(server.url).port
        await stack.enter_async_context(Gateway({"gated": gated(Gate())}).serve("127.0.0.1", port))
        await synced()
        assert [row.run async for row in client.runs()] == []
        assert board == {"old": "gone"}


async def _cut(client: Any) -> None:
    peer = client._reconnector._transport
    peer._socket.transport.abort()
