"""Connections that read nothing, say nothing, or are too many."""

import asyncio
import contextlib
import socket

from tests.support.attacks.attack import ATTACKER, Attacker, Attacks, Report, all_closed, ask_all, listed
from tests.support.peer import Frame, spec
from tests.support.wire import Gone

CONNECTIONS: Attacks = {}


@listed(
    CONNECTIONS,
    limits={"send_timeout_s": 1, "heartbeat_s": 600, "log_events": 200_000, "log_bytes": 256 << 20},
    cut_within_s=2.5,
)
async def stalled_readers(server: Attacker) -> Report:
    """Thirty connections each ask for the same 100,000 events and read nothing."""
    peers = [await server.connect(held=0, buffer=4096) for _ in range(30)]
    await peers[0].run("events", {"n": 100_000}, spec(1, "custom", credit=0), spec(2, "lifecycle"), run="r")
    await all_closed(peers[0], [2])
    for peer in peers:
        peer.wire.transport.pause_reading()
    await server.ready()
    for peer in peers:
        await peer.send({"type": "subscribe", "id": 9, "run": "r", **spec(3, "custom")})
    began = server.since_s()
    await server.cut(peers)
    return {"connections": len(peers), "cut_s": server.since_s() - began}


@listed(CONNECTIONS, mib_each=0.03)
async def idle_connections(server: Attacker) -> Report:
    """A thousand connections follow a run that waits, and say nothing."""
    first = await server.connect()
    await first.run("holder", {}, spec(1, "custom"), run="r")
    await server.ready()
    peers = []
    for _ in range(20):
        peers += await asyncio.gather(*(server.connect() for _ in range(50)))
        for peer in peers[-50:]:
            await peer.ask(type="subscribe", run="r", **spec(1, "custom"))
    return {"connections": len(peers)}


@listed(CONNECTIONS, limits={"max_connections": 300, "heartbeat_s": 600}, within_s=15)
async def a_herd_that_vanished(server: Attacker) -> Report:
    """Three hundred connections, all that a principal may have, fall silent; three hundred come instead."""
    vanished = [await server.connect() for _ in range(300)]
    for peer in vanished:
        peer.wire.transport.pause_reading()
    await server.ready()
    refused = 0

    async def come() -> None:
        nonlocal refused
        while True:
            peer = await server.shake()
            with contextlib.suppress(Gone):
                reply = await peer.ask(type="hello", token=ATTACKER)
                if reply["type"] == "welcome":
                    return
                refused += 1
                await asyncio.sleep(reply["after_ms"] / 1000)

    await asyncio.gather(*(come() for _ in range(300)))
    return {"last_in_s": server.since_s(), "refused": refused}


@listed(CONNECTIONS, descriptors=200)
async def all_descriptors(server: Attacker) -> Report:
    """Three hundred connections that say nothing, for a server that may have 200 file descriptors."""
    await server.ready()
    loop = asyncio.get_running_loop()
    opened = []
    for _ in range(300):
        half = socket.socket()
        half.setblocking(False)
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(loop.sock_connect(half, ("127.0.0.1", server.port)), 1)
        opened.append(half)
    await server.stays(2)
    for half in opened:
        half.close()
    return {"connections": len(opened)}


_CROWD_S = 3


async def _crowd(server: Attacker, asked: Frame) -> Report:
    """Let two hundred connections of one principal each send a request as fast as it is answered."""
    peers = [await server.connect() for _ in range(200)]
    await server.ready()
    answered = 0

    async def ask_on(number: int) -> None:
        nonlocal answered
        while server.lasts(_CROWD_S):
            await peers[number].send({"id": 1, **asked})
            await peers[number].next(60)
            peers[number].forget()
            peers[number].messages.clear()
            answered += 1

    await asyncio.gather(*(ask_on(number) for number in range(len(peers))))
    return {"connections": len(peers), "answered": answered}


@listed(CONNECTIONS)
async def a_crowd_that_lists(server: Attacker) -> Report:
    """Two hundred connections of one principal each list five hundred runs, as fast as they are answered."""
    peer = await server.connect()
    await ask_all(peer, [{"type": "run", "graph": "healthy", "input": {"n": 1}} for _ in range(500)])
    return await _crowd(server, {"type": "list", "what": "runs"})


@listed(CONNECTIONS)
async def a_crowd_that_runs(server: Attacker) -> Report:
    """Two hundred connections of one principal each start runs, as fast as they are answered."""
    return await _crowd(server, {"type": "run", "graph": "plain", "input": {"n": 1}})
