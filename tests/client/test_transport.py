"""Opening a WebSocket: each way to fail is one sentence, and messages arrive whole.

About `clients/python/graphwire/transport.py`.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from graphwire.transport import Lost, NotOpened, open_websocket
from graphwire_protocol import SUBPROTOCOL
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

SPEAKS = [Subprotocol(SUBPROTOCOL)]


def address(server: Server) -> str:
    (listener,) = server.sockets
    return f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"


async def echo(socket: ServerConnection) -> None:
    async for message in socket:
        await socket.send(message)


async def test_messages_come_back_as_bytes_until_it_is_closed():
    async with serve(echo, "127.0.0.1", 0, subprotocols=SPEAKS) as server:
        transport = await open_websocket(address(server), 5)
        await transport.send(b'{"n": 1}')
        assert await transport.recv() == b'{"n": 1}'
        await transport.close()
        await transport.close()
        with pytest.raises(Lost):
            await transport.recv()
        with pytest.raises(Lost):
            await transport.send(b"{}")


async def test_the_peer_s_close_code_and_reason_are_told():
    async def turn_away(socket: ServerConnection) -> None:
        await socket.close(4429, "too many")

    async with serve(turn_away, "127.0.0.1", 0, subprotocols=SPEAKS) as server:
        transport = await open_websocket(address(server), 5)
        with pytest.raises(Lost) as lost:
            await transport.recv()
        assert (lost.value.code, lost.value.reason) == (4429, "too many")


def answer(status: HTTPStatus, body: str) -> Callable[[ServerConnection, Request], Response]:
    return lambda connection, request: connection.respond(status, body)


@pytest.mark.parametrize(
    ("options", "reason", "is_final"),
    [
        ({}, f"does not speak {SUBPROTOCOL}", True),
        ({"process_request": answer(HTTPStatus.NOT_FOUND, "")}, "HTTP 404; the path is usually /ws", False),
        ({"process_request": answer(HTTPStatus.FORBIDDEN, "no")}, "HTTP 403: no", True),
        ({"process_request": answer(HTTPStatus.BAD_GATEWAY, "<html>")}, "HTTP 502$", False),
    ],
)
async def test_a_server_that_refuses_is_one_sentence(options: dict[str, Any], reason: str, is_final: bool):
    async with serve(echo, "127.0.0.1", 0, **options) as server:
        with pytest.raises(NotOpened, match=reason) as refused:
            await open_websocket(address(server), 5)
    assert refused.value.is_final is is_final


async def test_a_port_where_nothing_listens_says_how_to_start_a_server():
    async with serve(echo, "127.0.0.1", 0) as server:
        url = address(server)
    with pytest.raises(NotOpened, match="connection refused; is the server running") as refused:
        await open_websocket(url, 5)
    assert not refused.value.is_final


async def test_an_address_that_is_none_is_final():
    with pytest.raises(NotOpened, match="write ws://HOST:PORT/ws") as refused:
        await open_websocket("http://127.0.0.1:1/ws", 5)
    assert refused.value.is_final
