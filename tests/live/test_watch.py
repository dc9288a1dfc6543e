"""A watch reports the states of all runs that match, on the connection that carries everything else.

About `gateway/graphwire_gateway/runs/watch.py` and `clients/python/graphwire/watch_queue.py`.
"""

import asyncio
from typing import Any

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


async def test_the_client_watches_over_a_cut(serve, connect) -> None:
    import graphwire

    gate = Gate()
    server = await serve({"gated": gated(gate)})
    seen: list[tuple[str, str]] = []
    async with graphwire.connect(server.url) as client:
        await client.run("gated", {}, run="r", modes=["custom"])

        async def look() -> None:
            async for info in client.watch(graphs=["gated"]):
                seen.append((info.run, info.status))
                if info.status == "running" and len(seen) == 1:
                    await _cut(client)
                    gate.open()
                if info.status == "completed":
                    return

        await asyncio.wait_for(look(), 10)
    assert seen[0] == ("r", "running")
    assert seen[-1] == ("r", "completed")


async def _cut(client: Any) -> None:
    peer = client._reconnector._transport
    peer._socket.transport.abort()
