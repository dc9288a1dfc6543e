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
from websockets.asyncio.server import ServerConnection

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


def ping(size: int) -> bytes:
    """Return a ping of about so many bytes."""
    return packed(orjson.dumps({"type": "ping", "t": "x" * (size - 24)}))


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
    peer.wire.raw(packed(b'{"type":"hello","id":1}') + ping(900_000) + packed(b"", PING))
    assert (await peer.next())["type"] == "welcome"
    assert len((await peer.next())["t"]) > 800_000


@pytest.mark.parametrize(
    "message",
    [ping(1_000_000), ping(60_000), ping(40), ping(60_000) + ping(40) * 20_000],
    ids=["large", "middle", "small", "large and small"],
)
async def test_a_connection_over_its_rate_fills_no_memory_and_no_kernel(
    serve, connect, received, message
) -> None:
    server = await serve(GRAPHS, limits={"requests_per_s": 0.5, "request_burst": 1})
    peer = await connect(server)
    (socket,) = received
    before = received[socket]
    gc.collect()
    tracemalloc.start()
    try:
        flood = asyncio.ensure_future(send_all(peer, message * (8 * MIB // len(message))))
        await until(lambda: not socket.transport.is_reading() and received[socket] > before)
        current = received[socket]
        frames = socket.recv_messages.frames
        held = held_bytes()
    finally:
        tracemalloc.stop()
        flood.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await flood
    assert current - before < 2 * MIB
    assert len(frames) < 1000
    assert held < 1.5 * MIB


def held_bytes() -> int:
    """Return what the code of connections has allocated and not let go."""
    files = ("websockets", "/connections/", "codecs")
    stats = tracemalloc.take_snapshot().statistics("filename")
    return sum(stat.size for stat in stats if any(name in stat.traceback[0].filename for name in files))


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


async def test_a_fragment_is_kept_once(serve, connect, received) -> None:
    server = await serve(GRAPHS)
    peer = await connect(server)
    (socket,) = received
    gc.collect()
    tracemalloc.start()
    try:
        peer.wire.raw(packed(b'{"type":"ping","t":"' + b"x" * 900_000, fin=False))
        await until(lambda: received[socket] > 900_000 and not len(socket.recv_messages.frames))
        held = held_bytes()
    finally:
        tracemalloc.stop()
    assert 0.8 * MIB < held < 1.5 * MIB


async def test_a_large_frame_is_parsed_in_few_steps(serve, connect, monkeypatch) -> None:
    server = await serve(GRAPHS)
    peer = await connect(server)
    steps = 0
    data_received = ServerConnection.data_received

    def count(self: ServerConnection, data: bytes) -> None:
        nonlocal steps
        steps += 1
        data_received(self, data)

    monkeypatch.setattr(ServerConnection, "data_received", count)
    peer.wire.raw(ping(900_000))
    assert len((await peer.next())["t"]) > 800_000
    assert steps < 120  # one for each read, whose least size is that of the kernel's buffer; and a few


async def test_hundreds_of_large_messages_are_read_a_few_at_a_time(serve, connect, monkeypatch) -> None:
    server = await serve(GRAPHS)
    peers = [await connect(server) for _ in range(60)]
    loop = asyncio.get_running_loop()
    turns = [0]
    data_received = Socket.data_received

    def count(self: Socket, data: bytes) -> None:
        if not turns[-1]:
            loop.call_soon(turns.append, 0)
        turns[-1] += len(data)
        data_received(self, data)

    monkeypatch.setattr(Socket, "data_received", count)
    for peer in peers:
        peer.wire.raw(ping(900_000))
    for peer in peers:
        assert len((await peer.next())["t"]) > 800_000
    assert sum(turns) > 60 * 900_000
    assert sorted(turns)[-3] < 3 * MIB  # all that had arrived is read once; then they rest
