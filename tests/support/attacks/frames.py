"""Frames that are large, malformed, never finished or too many."""

import asyncio
import contextlib

import orjson

from tests.support.attacks.attack import Attacker, Attacks, Report, listed
from tests.support.peer import Peer, spec
from tests.support.wire import Declined, Gone, packed

FRAMES: Attacks = {}

_WIDE = orjson.dumps(
    {
        "type": "subscribe",
        "id": 1,
        "sub": 1,
        "run": "r",
        "filter": {"modes": ["values"], **{f"{number:x}": 1 for number in range(98_000)}},
    }
)
"""A frame of just under 1 MiB with 98,000 faults."""

_FLOOD_S = 3


async def _until_gone(peer: Peer) -> None:
    with contextlib.suppress(Gone):
        while True:
            await peer.next()


@listed(FRAMES, mib_each=2.5)
async def large_frames_before_hello(server: Attacker) -> Report:
    """Sixteen peers without a token each send a frame with 98,000 faults, again and again."""
    assert len(_WIDE) < 1 << 20
    await server.ready()

    async def flood() -> None:
        while server.lasts(_FLOOD_S):
            with contextlib.suppress(Gone):
                peer = await server.shake()
                await peer.text(_WIDE.decode())
                await _until_gone(peer)
                peer.wire.abort()

    await asyncio.gather(*(flood() for _ in range(16)))
    return {"connections": 16}


@listed(FRAMES, worst_ping_s=2, grows_mib=80, keeps_mib=80)  # one frame of each
async def large_frames_behind_hello(server: Attacker) -> Report:
    """Thirty-two connections send frames with 98,000 faults each, and wait for every answer."""
    peers = [await server.connect() for _ in range(32)]
    await server.ready()

    async def flood(peer: Peer) -> None:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):  # they share their principal's time
            while server.lasts(_FLOOD_S):
                await peer.text(_WIDE.decode())
                await peer.next()

    await asyncio.gather(*map(flood, peers))
    return {"connections": len(peers)}


@listed(FRAMES, limits={"max_active_runs": 100_000}, grows_mib=300, keeps_mib=300)
async def inputs_of_many_messages(server: Attacker) -> None:
    """One connection starts runs whose inputs are 27,000 messages each, which LangChain has to make."""
    messages = [{"type": "human", "content": ""}] * 27_000
    peer = await server.connect()
    await server.ready()
    while server.lasts(_FLOOD_S):
        started = await peer.run("plain", {"messages": messages})
        assert started["type"] == "started", started


@listed(FRAMES, worst_ping_s=4, mib_each=4)
async def fragments_without_end(server: Attacker) -> Report:
    """Eight peers without a token each send one message in empty fragments, without end."""
    await server.ready()

    async def flood() -> None:
        while server.lasts(_FLOOD_S):
            with contextlib.suppress(Gone):
                peer = await server.shake()
                peer.wire.raw(packed(b'{"type":', fin=False))
                while server.lasts(_FLOOD_S):
                    peer.wire.raw(packed(b"", 0, fin=False) * 1000)
                    await peer.wire.drain()

    await asyncio.gather(*(flood() for _ in range(8)))
    return {"connections": 8}


@listed(FRAMES, limits={"message_timeout_s": 2}, cut_within_s=4, mib_each=2.5, keeps_mib=500, grows_mib=500)
async def unfinished_messages(server: Attacker) -> Report:
    """Two hundred connections each send 1 MiB of a message that they never finish."""
    peers = [await server.connect() for _ in range(200)]
    await server.ready()
    for peer in peers:
        peer.wire.raw(packed(b'{"type":"ping","t":"' + b"x" * 1_000_000, fin=False))
        await peer.wire.drain()
    began = server.since_s()
    await asyncio.gather(*(_until_gone(peer) for peer in peers))
    return {"connections": len(peers), "cut_s": server.since_s() - began}


@listed(FRAMES)
async def a_flood_of_credit(server: Attacker) -> None:
    """One connection grants credit as fast as it can."""
    peer = await server.connect()
    await peer.run("holder", {}, spec(1, "custom", credit=0))
    flood = packed(b'{"type":"credit","sub":1,"events":1}') * 1000
    await _flood(server, peer, flood)


@listed(FRAMES)
async def a_flood_of_lists(server: Attacker) -> None:
    """One connection lists twenty runs as fast as it can, far beyond its rate."""
    peer = await server.connect()
    for _ in range(20):
        await peer.run("holder", {})
    await _flood(server, peer, packed(b'{"type":"list","id":7,"what":"runs"}') * 500)


async def _flood(server: Attacker, peer: Peer, flood: bytes) -> None:
    await server.ready()
    reading = asyncio.create_task(_until_gone(peer))
    with contextlib.suppress(Gone):
        while server.lasts(_FLOOD_S):
            peer.wire.raw(flood)
            await asyncio.wait([asyncio.ensure_future(peer.wire.drain())], timeout=0.1)
    reading.cancel()


@listed(FRAMES)
async def guessed_tokens(server: Attacker) -> Report:
    """Eight peers guess tokens, each as fast as it is answered."""
    await server.ready()
    guesses = 0

    async def guess() -> None:
        nonlocal guesses
        while server.lasts(_FLOOD_S):
            guesses += 1
            with contextlib.suppress(Gone):
                peer = await server.shake()
                await peer.send({"type": "hello", "id": 1, "token": f"guess {guesses}"})
                await _until_gone(peer)

    await asyncio.gather(*(guess() for _ in range(8)))
    return {"connections": 8, "guesses": guesses}


@listed(FRAMES, worst_ping_s=2)
async def values_of_one_hash(server: Attacker) -> Report:
    """Runs are asked for whose input is a set, or a map, of 20,000 integers and more of one hash."""
    peer = await server.connect()
    numbers = [{"$int": str(number * (2**61 - 1))} for number in range(1, 24_001)]
    values = ({"$set": numbers}, {"$map": [[number, 1] for number in numbers[:20_000]]})
    await server.ready()
    codes = []
    for id, value in enumerate(values, start=1):
        await peer.send({"type": "run", "id": id, "graph": "echo", "input": {"text": value}})
        codes.append((await peer.answer(id)).get("code"))
    return {"codes": codes}


@listed(FRAMES)
async def odd_origins(server: Attacker) -> Report:
    """Pages whose origins only look as if they were of this machine connect."""
    await server.ready()
    admitted = []
    for origin in (
        "http://evil.com\\@localhost",
        "//localhost",
        "http://localhost@evil.com",
        "http://localhost.evil.com",
    ):
        with contextlib.suppress(Gone, Declined):
            peer = await server.shake(headers=[("Origin", origin)])
            await peer.send({"type": "hello", "id": 1, "token": "x"})
            if await peer.gone() != 4403:
                admitted.append(origin)
    return {"admitted": admitted}
