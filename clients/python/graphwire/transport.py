"""The one place where bytes leave and enter: a transport, and the WebSocket that is one.

What the bytes mean is the session's business, when to open the next transport the connection's. Tests put a
transport made of queues here.
"""

import ssl
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from graphwire_protocol import SUBPROTOCOL, codes
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

_REFUSALS = frozenset({400, 401, 403})
_CLOSE_TIMEOUT_S = 2  # a peer that answers no close frame is gone


class Lost(Exception):
    """The transport is closed: ``code`` is the WebSocket close code, ``reason`` the peer's words."""

    def __init__(self, code: int = codes.LOST, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class NotOpened(Exception):
    """No transport; ``reason`` says why and what to do. ``is_final`` if another attempt cannot end better."""

    def __init__(self, reason: str, is_final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_final = is_final


class Transport(Protocol):
    """Carries whole messages, in order."""

    async def send(self, message: bytes) -> None:
        """Send one text message; raise ``Lost``."""

    async def recv(self) -> bytes:
        """Return the next message; raise ``Lost``, also when ``close`` is called meanwhile."""

    async def close(self) -> None:
        """Close; harmless if that has happened already."""


Open: TypeAlias = Callable[[str, float], Awaitable[Transport]]
"""Opens a transport to a URL within so many seconds, or raises ``NotOpened``."""


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
        """Say goodbye with 1000, and wait for the answer a short time."""
        await self._socket.close()


def _lost(closed: ConnectionClosed) -> Lost:
    # The close frame that came first tells why; what this side closed with is no news.
    if closed.rcvd is not None:
        return Lost(closed.rcvd.code, closed.rcvd.reason)
    if closed.sent is not None and closed.sent.code != codes.NORMAL:
        return Lost(closed.sent.code, closed.sent.reason)
    return Lost()


async def open_websocket(url: str, timeout_s: float) -> Transport:
    """Open a WebSocket that speaks this protocol. Raises ``NotOpened``."""
    host = urlsplit(url).hostname or ""
    is_local = host in ("localhost", "::1") or host.startswith("127.")
    try:
        socket = await connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            compression=None,
            # A snapshot may be larger than any one event; what arrives is bounded by credit, not by size.
            max_size=None,
            open_timeout=timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            # A proxy never knows the way to this machine.
            proxy=None if is_local else True,
        )
    except InvalidURI:
        raise NotOpened("that is no WebSocket address; write ws://HOST:PORT/ws", is_final=True) from None
    except InvalidStatus as error:
        raise _turned_away(error) from None
    except InvalidHandshake as error:
        raise NotOpened(f"what listens there is no WebSocket server ({error})") from None
    except TimeoutError:
        raise NotOpened(f"no answer within {timeout_s:g} s") from None
    except ssl.SSLError as error:
        raise NotOpened(f"TLS failed: {error.reason or error}; is it ws:// rather than wss://?") from None
    except OSError as error:
        reason = _words(error)
        raise NotOpened(f"{reason}; is the server running? start one with: graphwire serve") from None
    except EOFError:
        raise NotOpened("the server hung up during the handshake") from None
    if socket.subprotocol != SUBPROTOCOL:
        await socket.close()
        raise NotOpened(f"the server there does not speak {SUBPROTOCOL}", is_final=True)
    return WebSocket(socket)


def _words(error: OSError) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or str(error) or type(error).__name__


def _turned_away(error: InvalidStatus) -> NotOpened:
    response = error.response
    body = (response.body or b"").decode("utf-8", "replace").strip()
    told = f": {body[:200]}" if body and not body.startswith("<") else ""
    hint = "; the path is usually /ws" if response.status_code == 404 else ""
    return NotOpened(
        f"the server answered HTTP {response.status_code}{told}{hint}",
        is_final=response.status_code in _REFUSALS,
    )
