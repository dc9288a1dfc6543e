"""Where bytes leave and enter: the ``Transport`` protocol, and a WebSocket that implements it.

``Reconnector`` decides when to open the next transport; the protocol's session knows what the bytes mean.
Tests pass a transport made of queues.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from graphwire_protocol import SUBPROTOCOL, codes
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

_FINAL_STATUSES = frozenset({400, 401, 403})
_NO_SERVER = "; a proxy answered, and behind it no server does: is graphwire serve running there?"
_HINTS = {404: "; the path is usually /ws", 502: _NO_SERVER, 504: _NO_SERVER}
_CLOSE_TIMEOUT_S = 2  # for the peer's close frame


class Lost(Exception):
    """The transport is closed: ``code`` is the WebSocket close code, ``reason`` the peer's text."""

    def __init__(self, code: int = codes.LOST, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class NotOpened(Exception):
    """The transport could not be opened: ``reason`` says why, ``is_final`` that trying again is useless."""

    def __init__(self, reason: str, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class Transport(Protocol):
    """Carries whole messages, in order, both ways."""

    async def send(self, message: bytes) -> None:
        """Send one text message. Raises ``Lost``."""

    async def recv(self) -> bytes:
        """Wait for the next message. Raises ``Lost``, also when ``close()`` is called meanwhile."""

    async def close(self) -> None:
        """Close the transport. Calling it again does nothing."""


Open: TypeAlias = Callable[[str, float], Awaitable[Transport]]
"""``await open(url, timeout_s)`` returns a transport, or raises ``NotOpened``."""


class WebSocket:
    """A transport over a WebSocket."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        """Send ``message`` as a text frame."""
        try:
            await self._socket.send(message, text=True)
        except ConnectionClosed as closed:
            raise _lost(closed) from None

    async def recv(self) -> bytes:
        """Return the next message's bytes."""
        try:
            return await self._socket.recv(decode=False)
        except ConnectionClosed as closed:
            raise _lost(closed) from None

    async def close(self) -> None:
        """Close with code 1000, and wait a short time for the peer's close frame."""
        await self._socket.close()


def _lost(closed: ConnectionClosed) -> Lost:
    # The peer's close frame says why. Without one, this side's own frame may: its library found an error.
    if closed.rcvd is not None:
        return Lost(closed.rcvd.code, closed.rcvd.reason)
    if closed.sent is not None and closed.sent.code != codes.NORMAL:
        return Lost(closed.sent.code, closed.sent.reason)
    return Lost()


async def open_websocket(
    url: str,
    timeout_s: float,
    *,
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    proxy: str | bool = True,
) -> Transport:
    """Open a WebSocket with this subprotocol within ``timeout_s`` seconds. Raises ``NotOpened``."""
    host = urlsplit(url).hostname or ""
    if proxy is True and (host in ("localhost", "::1") or host.startswith("127.")):
        proxy = False  # no proxy of the environment can reach this machine's own addresses
    options: dict[str, Any] = {} if tls is None else {"ssl": tls}  # websockets takes no ssl=None
    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            # What the server announces bounds it, and a server of 1.0 announces no bound for all messages.
            max_size=None,
            open_timeout=timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            additional_headers=headers,
            proxy=proxy or None,
            **options,
        )
    except InvalidProxy as error:
        raise NotOpened(f"not the address of a proxy: {error}", is_final=True) from None
    except ImportError as error:
        raise NotOpened(f"this kind of proxy needs another package: {error}", is_final=True) from None
    except InvalidURI:
        raise NotOpened("not a WebSocket address; write ws://HOST:PORT/ws", is_final=True) from None
    except InvalidStatus as error:
        raise _http_refusal(error) from None
    except InvalidHandshake as error:
        raise NotOpened(f"the server there is no WebSocket server ({error})") from None
    except TimeoutError:
        raise NotOpened(f"no answer within {timeout_s:g} s") from None
    except ssl.SSLError as error:
        raise NotOpened(f"TLS failed: {error.reason or error}; is it ws:// rather than wss://?") from None
    except OSError as error:
        reason = _system_reason(error)
        raise NotOpened(f"{reason}; is the server running? start one with: graphwire serve") from None
    except EOFError:
        raise NotOpened("the server closed the connection during the handshake") from None
    if socket.subprotocol != SUBPROTOCOL:
        await socket.close()
        raise NotOpened(f"the server there does not speak {SUBPROTOCOL}", is_final=True)
    return WebSocket(socket)


def _system_reason(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or str(error) or type(error).__name__


def _http_refusal(error: InvalidStatus) -> NotOpened:
    response = error.response
    body = (response.body or b"").decode("utf-8", "replace").strip()
    text = f": {body[:200]}" if body and not body.startswith("<") else ""
    hint = "" if "/ws" in text else _HINTS.get(response.status_code, "")  # graphwire's server says the path
    return NotOpened(
        f"the server answered HTTP {response.status_code}{text}{hint}",
        is_final=response.status_code in _FINAL_STATUSES,
    )
