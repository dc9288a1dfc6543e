"""Frames that make the server walk through much: patterns, lists, watches, snapshots, keys."""

import asyncio

from tests.support.attacks.attack import (
    Attacker,
    Attacks,
    Report,
    all_closed,
    all_synced,
    ask_all,
    listed,
)
from tests.support.peer import Peer, spec

WALKS: Attacks = {}


async def _runs(peer: Peer, count: int, graph: str, **fields: object) -> None:
    """Start runs and wait for their ends."""
    for number in range(count):
        await peer.run(graph, {"n": 1}, spec(number + 1, "lifecycle"), **fields)
    await all_closed(peer, range(1, count + 1))


@listed(WALKS, limits={"request_burst": 5000})
async def patterns_that_branch(server: Attacker) -> None:
    """A model with eight tags of 1.9 kB has a hundred subscriptions with 64 patterns like ``*a*a*b`` each."""
    peer = await server.connect()
    pattern = "*a" * 40 + "b"
    config = {"tags": [f"{number}{'a' * 1900}" for number in range(8)]}
    filter = {"modes": ["messages"], "tags": [f"{pattern}{number}" for number in range(64)]}
    await server.ready()
    await peer.run(
        "speaker", {"n": 30}, spec(1, "messages"), run="r", config=config, record={"modes": ["messages"]}
    )
    frames = [{"type": "subscribe", "run": "r", "sub": sub, "filter": filter} for sub in range(2, 102)]
    await ask_all(peer, frames)
    await all_closed(peer, range(1, 102))


@listed(WALKS, limits={"requests_per_s": 10_000, "max_connections": 2000}, keeps_mib=25)
async def watches_that_are_left(server: Attacker) -> None:
    """Nine hundred connections each watch and leave; then three hundred runs come and end."""
    for _ in range(30):
        peers = await asyncio.gather(*(server.connect() for _ in range(30)))
        for peer in peers:
            await peer.ask(type="watch", sub=1)
        for peer in peers:
            peer.wire.abort()
    peer = await server.connect()
    await server.ready()
    await _runs(peer, 300, "echo")


@listed(WALKS, limits={"requests_per_s": 10_000})
async def watches_of_many_runs(server: Attacker) -> None:
    """One connection opens 300 watches of 1,000 runs."""
    peer = await server.connect()
    await _runs(peer, 1000, "echo")
    await server.ready()
    watcher = await server.connect()
    await ask_all(watcher, [{"type": "watch", "sub": sub} for sub in range(1, 301)])
    await all_synced(watcher, range(1, 301))


@listed(WALKS, grows_mib=200)
async def lists_of_large_metadata(server: Attacker) -> Report:
    """Sixty runs with as much metadata as they may have, and thirty lists of all of them."""
    peer = await server.connect()
    await server.ready()
    refused = await peer.run("echo", {}, metadata={"x": "x" * 900_000})
    for _ in range(60):
        await peer.run("echo", {}, metadata={"x": "x" * 16_000})
    for _ in range(30):
        reply = await peer.ask(type="list", what="runs", limit=100)
    return {"code": refused.get("code"), "rows": len(reply["runs"])}


@listed(WALKS, within_s=60, limits={"requests_per_s": 10_000})
async def snapshots_of_many_deltas(server: Attacker) -> None:
    """Four hundred subscriptions ask for a snapshot of a run with 10,000 deltas."""
    peer = await server.connect()
    await peer.run("speaker", {"n": 10_000}, spec(1, "messages"), run="r")
    await peer.closed(1)
    await server.ready()
    asking = await server.connect()
    frames = [
        {"type": "subscribe", "run": "r", **spec(sub, "messages", from_="snapshot")} for sub in range(1, 401)
    ]
    await ask_all(asking, frames)
    await all_closed(asking, range(1, 401))


@listed(WALKS, within_s=60, limits={"requests_per_s": 10_000}, grows_mib=400, keeps_mib=100)  # its log is 18
async def keys_of_large_states(server: Attacker) -> None:
    """A run with 22 states of 0.8 MiB has a thousand subscriptions to a key that is not in them."""
    peer = await server.connect()
    await server.ready()
    filter = {"modes": ["values"], "keys": ["absent"]}
    subscribe = [{"sub": sub, "filter": filter} for sub in range(1, 1001)]
    await peer.run("states", {"n": 22, "size": 800_000, "total": 0}, *subscribe)
    await all_closed(peer, range(1, 1001))
