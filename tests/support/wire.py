"""A WebSocket client that shares nothing with the code under test, and can break its rules.

``Wire`` reads whatever comes as it comes: it answers pings and a close at once, unless more is unread than it
holds. Then it reads nothing, as a client that is stuck.
"""

import asyncio
import os
import socket as sockets
from base64 import b64encode
from collections import deque
from collections.abc import Iterable
from hashlib import sha1

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
PROTOCOL = "graphwire.v1.json"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DEADLINE_S = 10.0


class Gone(Exception):
    """The connection is over; ``code`` is the close code, 1006 if none came."""

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Declined(Gone):
    """The server answered the handshake with ``status`` and ``body``."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(1006, f"HTTP status {status}: {body}")
        self.status = status
        self.body = body


def packed(payload: bytes, opcode: int = TEXT, *, fin: bool = True) -> bytes:
    """Return a client's frame: masked, with a mask of zeros, which is one."""
    size = len(payload)
    first = fin << 7 | opcode
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


class Wire(asyncio.Protocol):
    """One connection, made by ``open``. Sending and receiving raise ``Gone`` once it is over."""

    def __init__(self, held: int) -> None:
        self._held = held
        self._key = b64encode(os.urandom(16))
        self._data = bytearray()
        self._messages: deque[bytes] = deque()
        self._unread = 0
        self._pongs = 0
        self._end: Gone | None = None
        self._changed = asyncio.Event()
        self._is_lost = asyncio.Event()
        self._may_write = asyncio.Event()
        self._may_write.set()
        self.headers: dict[str, str] | None = None
        """The headers of the server's answer, names in lower case; None before it came."""

        self.transport: asyncio.Transport

    @classmethod
    async def open(
        cls,
        port: int,
        deadline_s: float = _DEADLINE_S,
        *,
        host: str = "127.0.0.1",
        path: str = "/ws",
        protocols: Iterable[str] | None = (PROTOCOL,),
        headers: Iterable[tuple[str, str]] = (),
        name: str = "127.0.0.1",
        held: int = 1 << 17,
        buffer: int | None = None,
    ) -> "Wire":
        """Connect and shake hands. Raises ``Gone`` for whatever goes wrong, ``Declined`` for an HTTP answer.

        ``name`` is the server's in the ``Host`` header. It reads until more than ``held`` bytes of messages
        are unread; ``buffer`` is the size of the socket's receive buffer.
        """
        loop = asyncio.get_running_loop()
        wire = cls(held)
        raw = sockets.socket()
        raw.setblocking(False)
        try:
            if buffer is not None:
                raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, buffer)
            await loop.sock_connect(raw, (host, port))
            await loop.create_connection(lambda: wire, sock=raw)
        except OSError:
            raw.close()
            raise Gone from None
        except asyncio.CancelledError:
            raw.close()
            raise
        timer = loop.call_later(deadline_s, wire.abort)
        try:
            await wire._shake_hands(path, protocols, (("Host", name), *headers))
        except BaseException:
            wire.abort()
            raise
        finally:
            timer.cancel()
        return wire

    async def _shake_hands(
        self, path: str, protocols: Iterable[str] | None, headers: Iterable[tuple[str, str]]
    ) -> None:
        offered = [] if protocols is None else [("Sec-WebSocket-Protocol", ", ".join(protocols))]
        lines = [
            f"GET {path} HTTP/1.1",
            *(f"{name}: {value}" for name, value in (*headers, *offered)),
            *("Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"),
            f"Sec-WebSocket-Key: {self._key.decode()}",
        ]
        self.raw("".join(f"{line}\r\n" for line in (*lines, "")).encode())
        while self.headers is None and self._end is None:
            self._changed.clear()
            await self._changed.wait()
        if self.headers is None:
            assert self._end is not None
            raise self._end

    # ── what the connection says ─────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes in, and note whole messages."""
        self._data += data
        if self.headers is None and not self._is_upgraded():
            return
        self._read_frames()
        if self._unread > self._held:
            self.transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        if self._end is None:
            self._end = Gone() if self.headers is not None else self._declined()
        self._is_lost.set()
        self._may_write.set()
        self._changed.set()

    def pause_writing(self) -> None:
        """Let ``drain`` wait."""
        self._may_write.clear()

    def resume_writing(self) -> None:
        """Let ``drain`` return."""
        self._may_write.set()

    def _declined(self) -> Gone:
        head, end, body = self._data.partition(b"\r\n\r\n")
        return Declined(int(head.split()[1]), body.decode()) if end else Gone()

    def _is_upgraded(self) -> bool:
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end or not head.startswith(b"HTTP/1.1 101 "):
            return False  # an answer that declines is read to the end of the connection
        pairs = (line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
        headers = {name.lower(): value for name, value in pairs}
        if headers["sec-websocket-accept"].encode() != b64encode(sha1(self._key + _GUID).digest()):
            self._finish(Gone(1002, "the server accepted another handshake"))
            return False
        self._data = bytearray(rest)
        self.headers = headers
        self._changed.set()
        return True

    def _read_frames(self) -> None:
        data, at = self._data, 0
        while len(data) >= at + 2:
            start, size = at + 2, data[at + 1]
            if size > 127:
                self._finish(Gone(1002, "a server masks no frames"))
                return
            if size > 125:
                start += 2 if size == 126 else 8
                if len(data) < start:
                    break
                size = int.from_bytes(data[at + 2 : start], "big")
            if len(data) < start + size:
                break
            self._frame(data[at], bytes(data[start : start + size]))
            at = start + size
        del data[:at]

    def _frame(self, first: int, payload: bytes) -> None:
        match first:
            case 0x81:
                self._messages.append(payload)
                self._unread += len(payload)
            case 0x88:
                code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 1005
                if not self.transport.is_closing():
                    self.transport.write(packed(payload[:2], CLOSE))
                self._end = self._end or Gone(code, payload[2:].decode())
            case 0x89:
                if not self.transport.is_closing():
                    self.transport.write(packed(payload, PONG))
            case 0x8A:
                self._pongs += 1
            case _:
                self._finish(Gone(1002, f"a frame that begins with {first:#x}"))
        self._changed.set()

    def _finish(self, end: Gone) -> None:
        self._end = self._end or end
        self.abort()

    # ── what a test says ─────────────────────────────────────────────────────────────────────────────

    def send(self, *payloads: bytes) -> None:
        """Write text messages, all at once."""
        self.raw(b"".join(map(packed, payloads)))

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        if self._end is not None or self.transport.is_closing():
            raise self._end or Gone()
        self.transport.write(data)

    async def drain(self) -> None:
        """Wait until most of what was written has left this process."""
        await self._may_write.wait()
        if self._is_lost.is_set():
            raise self._end or Gone()

    async def recv(self) -> bytes:
        """Return the next text message. Those that came before the end are still returned after it."""
        while not self._messages:
            if self._end is not None:
                raise Gone(self._end.code, self._end.reason)
            self._changed.clear()
            await self._changed.wait()
        message = self._messages.popleft()
        self._unread -= len(message)
        if self._unread <= self._held:
            self.transport.resume_reading()
        return message

    async def ping(self) -> None:
        """Send a WebSocket ping and wait for a pong."""
        before = self._pongs
        self.raw(packed(b"ping", PING))
        while self._pongs == before:
            if self._end is not None:
                raise self._end
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Close in order: say so, and wait until the server has ended the connection."""
        if self._end is None and not self.transport.is_closing():
            self.raw(packed((1000).to_bytes(2, "big"), CLOSE))
            self.transport.resume_reading()
            self._held = 1 << 60
        await self.lost()

    def abort(self) -> None:
        """End the connection without a word."""
        self.transport.abort()

    async def lost(self) -> None:
        """Wait until the connection is gone, whoever ended it."""
        await asyncio.wait_for(self._is_lost.wait(), _DEADLINE_S)
