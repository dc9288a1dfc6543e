"""Opening a WebSocket: each way to fail is one sentence, and messages arrive whole.

About `clients/python/graphwire/transport.py`.
"""

import asyncio
import ssl
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
        ({"process_request": answer(HTTPStatus.NOT_FOUND, "use /ws")}, "HTTP 404: use /ws$", False),
        ({"process_request": answer(HTTPStatus.FORBIDDEN, "no")}, "HTTP 403: no", True),
        ({"process_request": answer(HTTPStatus.BAD_GATEWAY, "<html>")}, "HTTP 502; a proxy answered", False),
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


async def test_headers_of_the_application_arrive_with_the_handshake():
    seen: list[str] = []

    def look(connection: ServerConnection, request: Request) -> None:
        seen.append(request.headers["X-Tenant"])

    async with serve(echo, "127.0.0.1", 0, subprotocols=SPEAKS, process_request=look) as server:
        transport = await open_websocket(address(server), 5, headers={"X-Tenant": "ann"})
        await transport.close()
    assert seen == ["ann"]


async def test_a_named_proxy_is_asked_also_for_this_machine_s_addresses():
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with proxy:
        port = proxy.sockets[0].getsockname()[1]
        with pytest.raises(NotOpened):
            await open_websocket("ws://127.0.0.1:9/ws", 5, proxy=f"http://127.0.0.1:{port}")
    assert asked == [b"CONNECT 127.0.0.1:9 HTTP/1.1\r\n"]


async def test_a_proxy_s_address_that_is_none_is_final():
    with pytest.raises(NotOpened, match="proxy") as refused:
        await open_websocket("ws://127.0.0.1:9/ws", 5, proxy="ftp://nowhere")
    assert refused.value.is_final


@pytest.mark.parametrize("proxy", [True, False])
async def test_the_environment_s_proxy_is_none_for_this_machine(monkeypatch, proxy):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with serve(echo, "127.0.0.1", 0, subprotocols=SPEAKS) as server:
        transport = await open_websocket(address(server), 5, proxy=proxy)
        await transport.close()


async def test_tls_settings_are_the_application_s():
    class Noted(ssl.SSLContext):
        is_used = False

        def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
            Noted.is_used = True
            return super().wrap_bio(*args, **kwargs)

    async with serve(echo, "127.0.0.1", 0, subprotocols=SPEAKS) as server:
        with pytest.raises(NotOpened):
            await open_websocket(
                address(server).replace("ws:", "wss:"), 5, tls=Noted(ssl.PROTOCOL_TLS_CLIENT)
            )
    assert Noted.is_used
