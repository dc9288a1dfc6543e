"""What a hostile connection makes its server hold is bounded: unfinished, unread and handled messages.

About `gateway/graphwire_gateway/connections/peer.py` and
`gateway/graphwire_gateway/connections/connection.py`.
"""

import asyncio
import contextlib
import gc
import tracemalloc
from typing import Any

import orjson
import pytest
from graphwire_gateway.connections.peer import Peer as Socket
from graphwire_protocol.server import MAX_HELLO_BYTES

from tests.support.graphs import node
from tests.support.waiting import until
from tests.support.wire import PING, Gone, packed

pytestmark = pytest.mark.abuse

MIB = 1 << 20


async def nothing(state: dict[str, Any]) -> dict[str, Any]:
    return {}


GRAPHS = {"g": node(nothing)}


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> dict[Socket, int]:
    """Count the bytes that the server has read, by connection."""
    counts: dict[Socket, int] = {}
    data_received = Socket.data_received

    def count(self: Socket, data: bytes) -> None:
        counts[self] = counts.get(self, 0) + len(data)
        data_received(self, data)

    monkeypatch.setattr(Socket, "data_received", count)
    return counts


def begun(size: int) -> bytes:
    """Return the beginning of a message of 1 MB: ``size`` bytes of it."""
    return packed(b" " * 1_000_000)[:size]


@pytest.mark.parametrize(
    "data",
    [begun(200_000), packed(b" " * 10_000, fin=False) + packed(b" " * 10_000, 0, fin=False)],
    ids=["one frame", "fragments"],
)
async def test_before_hello_no_more_is_held_than_a_hello_may_have(serve, connect, received, data) -> None:
    server = await serve(GRAPHS)
    peer = await connect(server, hello=False)
    peer.wire.raw(data)
    with pytest.raises(Gone) as caught:
        await peer.next()
    assert (caught.value.code, str(MAX_HELLO_BYTES) in caught.value.reason) == (4400, True)


async def test_what_follows_hello_at_once_may_be_large(serve, connect) -> None:
    server = await serve(GRAPHS)
    peer = await connect(server, hello=False)
    ping = orjson.dumps({"type": "ping", "t": "x" * 900_000})
    peer.wire.raw(packed(b'{"type":"hello","id":1}') + packed(ping) + packed(b"", PING))
    assert (await peer.next())["type"] == "welcome"
    assert len((await peer.next())["t"]) == 900_000


@pytest.mark.parametrize("size", [1_000_000, 60_000, 40])
async def test_a_connection_over_its_rate_fills_no_memory_and_no_kernel(
    serve, connect, received, size
) -> None:
    server = await serve(GRAPHS, limits={"requests_per_s": 0.5, "request_burst": 1})
    peer = await connect(server)
    (socket,) = received
    before = received[socket]
    message = packed(orjson.dumps({"type": "ping", "t": "x" * (size - 24)}))
    gc.collect()
    tracemalloc.start()
    try:
        flood = asyncio.ensure_future(send_all(peer, message * (8 * MIB // len(message))))
        await until(lambda: not socket.transport.is_reading() and received[socket] > before)
        current = received[socket]
        frames = socket.recv_messages.frames
        held = sum(stat.size for stat in tracemalloc.take_snapshot().statistics("filename") if is_held(stat))
    finally:
        tracemalloc.stop()
        flood.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flood
    assert current - before < 2 * MIB
    assert len(frames) < 1000
    assert held < 1.5 * MIB


def is_held(stat: tracemalloc.Statistic) -> bool:
    name = stat.traceback[0].filename
    return "websockets" in name or "/connections/" in name


async def send_all(peer: Any, data: bytes) -> None:
    peer.wire.raw(data)
    await peer.wire.drain()


async def test_an_idle_connection_keeps_nothing_of_its_last_message(serve, connect) -> None:
    server = await serve(GRAPHS)
    peers = [await connect(server) for _ in range(5)]
    message = orjson.dumps({"type": "cancel", "id": 1, "run": "r", "x": "\U0001f600" + "x" * 900_000})
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for peer in peers:
            await peer.text(message.decode())
            assert (await peer.answer(1))["type"] == "error"
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < MIB
