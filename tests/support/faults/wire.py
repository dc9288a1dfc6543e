"""A WebSocket client of a hundred lines that shares nothing with the code under test, and can be rude."""

import asyncio
import os
import socket as sockets
from base64 import b64encode

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10

_REQUEST = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: graphwire.v1.json\r\n\r\n"
)


class Gone(Exception):
    """The connection is over; ``code`` is the close code, 1006 where none came."""

    def __init__(self, code: int = 1006, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def packed(payload: bytes, opcode: int = TEXT) -> bytes:
    """Return a client's frame: masked, with a mask of zeros, which is one."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


class Wire:
    """One connection; ``send`` and ``recv`` raise ``Gone``."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, timeout_s: float) -> "Wire":
        """Connect and shake hands. Raises ``Gone``, whatever went wrong."""
        loop = asyncio.get_running_loop()
        raw = sockets.socket()
        raw.setblocking(False)
        try:
            await loop.sock_connect(raw, ("127.0.0.1", port))
            reader, writer = await asyncio.open_connection(sock=raw)
        except OSError:
            raw.close()
            raise Gone from None
        except asyncio.CancelledError:
            raw.close()
            raise
        timer = loop.call_later(timeout_s, writer.transport.abort)
        try:
            writer.write(_REQUEST.format(key=b64encode(os.urandom(16)).decode()).encode())
            head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, EOFError):
            writer.transport.abort()
            raise Gone from None
        except asyncio.CancelledError:
            writer.transport.abort()
            raise
        finally:
            timer.cancel()
        if not head.startswith(b"HTTP/1.1 101 "):
            writer.transport.abort()
            raise Gone(1006, head.split(b"\r\n")[0].decode("latin-1"))
        return cls(reader, writer)

    def send(self, *payloads: bytes) -> None:
        """Write text messages, all in one flight."""
        self.raw(b"".join(map(packed, payloads)))

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        if self.writer.transport.is_closing():
            raise Gone
        self.writer.write(data)

    async def recv(self) -> bytes:
        """Return the next text message; answer pings meanwhile."""
        reader = self._reader
        try:
            while True:
                first, second = await reader.readexactly(2)
                size = second
                if second == 126:
                    size = int.from_bytes(await reader.readexactly(2), "big")
                elif second == 127:
                    size = int.from_bytes(await reader.readexactly(8), "big")
                payload = await reader.readexactly(size)
                opcode = first & 15
                if opcode == TEXT:
                    return payload
                if opcode == PING:
                    self.raw(packed(payload, PONG))
                elif opcode == CLOSE:
                    code = int.from_bytes(payload[:2], "big") if len(payload) > 1 else 1005
                    raise Gone(code, payload[2:].decode())
        except (OSError, EOFError):
            raise Gone from None

    def abort(self) -> None:
        """Be gone without a word."""
        self.writer.transport.abort()
