"""The console over real sockets: its files, and the pages that may connect from it.

About `gateway/graphwire_gateway/connections/console_files.py`,
`gateway/graphwire_gateway/connections/http.py`, `gateway/graphwire_gateway/connections/auth.py` and
`gateway/graphwire_gateway/server.py`.
"""

import asyncio
import gzip
import socket
from typing import Any

import pytest
from graphwire_gateway import Gateway
from graphwire_gateway import gateway as gateways
from graphwire_gateway.connections.console_files import POLICY, ConsoleFiles

from tests.support.graphs import counter
from tests.support.peer import Peer
from tests.support.wire import Gone, Wire

PAGE = b"<!doctype html><title>graphwire</title>"
SCRIPT = b"console.log('hello');\n" * 5000
FONT = b"w" * (16 << 20)  # more than the kernel's buffers hold
FILES = {"/index.html": PAGE, "/assets/index-1a2b.js": SCRIPT, "/assets/font-5e6f.woff2": FONT}
CONSOLE = ConsoleFiles(FILES)


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateways, "console_files", lambda: CONSOLE)


async def get(
    server: Any, path: str, *headers: str, method: str = "GET"
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of the response that ends with its connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write("\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode())
    try:
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    first, *lines = head.decode().split("\r\n")
    named = dict(line.split(": ", 1) for line in lines)
    return int(first.split()[1]), {name.lower(): value for name, value in named.items()}, body


async def test_the_page_and_its_files_are_served_beside_the_socket(serve, connect) -> None:
    server = await serve({"counter": counter()}, console=True)
    status, headers, body = await get(server, "/")
    assert (status, body) == (200, PAGE)
    assert headers["content-security-policy"] == POLICY
    assert (await get(server, "/", f"If-None-Match: {headers['etag']}"))[::2] == (304, b"")
    status, headers, body = await get(server, "/assets/index-1a2b.js", "Accept-Encoding: gzip, br")
    assert (status, headers["content-encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == SCRIPT
    assert (await get(server, "/assets/index-1a2b.js"))[2] == SCRIPT
    assert (await get(server, "/", method="HEAD"))[::2] == (200, b"")
    assert (await get(server, "/../console_files.py"))[0] == 404
    assert (await get(server, "/healthz"))[::2] == (200, b"ok\n")
    await (await connect(server)).settled()
    assert server.console_url == f"http://127.0.0.1:{server.port}/"


async def test_a_gateway_serves_no_page_unless_it_is_asked_to(serve) -> None:
    server = await serve({"counter": counter()})
    assert server.console_url is None
    assert (await get(server, "/"))[::2] == (
        404,
        b"there is nothing here; clients connect by WebSocket to /ws\n",
    )


async def test_a_console_that_is_not_built_is_said_at_the_start_and_to_the_browser(
    serve, connect, caplog, monkeypatch
) -> None:
    monkeypatch.setattr(gateways, "console_files", lambda: ConsoleFiles({}))
    server = await serve({"counter": counter()}, console=True)
    assert server.console_url is None
    assert "the console is not built" in caplog.text
    status, _, body = await get(server, "/")
    assert status == 404
    assert b"make console" in body
    await (await connect(server)).settled()


@pytest.mark.one_process
async def test_who_reads_a_file_slowly_is_cut_and_holds_no_descriptor(serve) -> None:
    server = await serve({"counter": counter()}, console=True, limits={"hello_timeout_s": 1})
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(5):
        raw = socket.socket()
        raw.setblocking(False)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(raw, ("127.0.0.1", server.port))
        await loop.sock_sendall(raw, b"GET /assets/font-5e6f.woff2 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await loop.sock_recv(raw, 12)).startswith(b"HTTP/1.1 200")
        readers.append(raw)
    serving = set(server._listener.sockets.handler_tasks)
    assert serving, "nobody has read the file to its end"
    _, waiting = await asyncio.wait(serving, timeout=5)
    for raw in readers:
        raw.close()
    assert not waiting


# ── which pages may connect ────────────────────────────────────────────────────────────────────


async def shake(server: Any, origin: str, host: str) -> Peer:
    """Connect as a page of ``origin`` does, which reaches the server as ``host``."""
    port = str(server.port)
    headers = [("Origin", origin.replace("PORT", port))]
    return Peer(await Wire.open(server.port, headers=headers, name=host.replace("PORT", port)))


async def is_admitted(server: Any, origin: str, host: str, **hello: str) -> bool:
    peer = await shake(server, origin, host)
    try:
        assert (await peer.ask(type="hello", **hello))["type"] == "welcome"
        return True
    except Gone as end:
        if end.code != 4403 or "--allow-origin" not in end.reason:
            raise
        return False
    finally:
        peer.wire.abort()
        await peer.wire.lost()


ADDRESS = ("http://127.0.0.1:PORT", "127.0.0.1:PORT")
LOCALHOST = ("http://localhost:PORT", "localhost:PORT")
LAN = ("http://192.168.1.5:PORT", "192.168.1.5:PORT")
NAME = ("http://devbox:PORT", "devbox:PORT")
REBOUND = ("http://evil.example:PORT", "evil.example:PORT")
BEHIND_TLS = ("https://graphs.example", "graphs.example")
WITH_PORT = ("https://graphs.example", "graphs.example:443")
ELSEWHERE = ("https://evil.example", "graphs.example")
OTHER_PORT = ("http://192.168.1.5:3000", "192.168.1.5:PORT")
PAGES = [ADDRESS, LOCALHOST, LAN, NAME, REBOUND, BEHIND_TLS, WITH_PORT, ELSEWHERE, OTHER_PORT]


async def admitted(server: Any, **hello: str) -> list[tuple[str, str]]:
    return [page for page in PAGES if await is_admitted(server, *page, **hello)]


async def test_on_loopback_without_authentication_only_pages_of_loopback_connect(serve) -> None:
    server = await serve({"counter": counter()}, console=True)
    assert await admitted(server) == [ADDRESS, LOCALHOST]


async def test_a_name_that_leads_to_loopback_gets_the_page_and_no_run(serve) -> None:
    server = await serve({"counter": counter()}, console=True)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: evil.example:%d\r\n\r\n" % server.port)
    assert PAGE in await asyncio.wait_for(reader.read(), 10)  # public, and without any data
    writer.close()
    await writer.wait_closed()
    assert not await is_admitted(server, *REBOUND)


async def test_where_tokens_are_needed_the_page_of_the_server_s_own_address_connects(serve) -> None:
    server = await serve({"counter": counter()}, console=True, tokens={"a-long-token-of-ann": "ann"})
    own = [page for page in PAGES if page not in (ELSEWHERE, OTHER_PORT)]
    assert await admitted(server, token="a-long-token-of-ann") == own


async def test_beyond_loopback_without_authentication_no_name_connects_that_a_stranger_could_have(
    connect,
) -> None:
    gateway = Gateway({"counter": counter()}, console=True, insecure=True)
    async with gateway.serve("0.0.0.0", 0) as server:
        assert await admitted(server) == [ADDRESS, LOCALHOST, LAN, BEHIND_TLS, WITH_PORT]


async def test_without_the_console_the_server_has_no_page_of_its_own(serve) -> None:
    server = await serve({"counter": counter()}, tokens={"a-long-token-of-ann": "ann"})
    assert await admitted(server, token="a-long-token-of-ann") == [ADDRESS, LOCALHOST]


async def test_an_empty_list_of_origins_admits_not_even_the_console_and_says_so(serve, caplog) -> None:
    server = await serve({"counter": counter()}, console=True, allowed_origins=[])
    assert "the console is served and cannot connect: allowed_origins is empty" in caplog.text
    assert await admitted(server) == []
