"""The WebSocket of one peer, guarded below the protocol.

What a peer can make its server hold, beside the message that is being handled, is bounded: before ``hello``
by ``MAX_HELLO_BYTES``, and then by one large message or ``MAX_QUEUE`` small ones. Small frames take far more
memory than bytes on the wire, so what is read is parsed in slices, and no further while the queue is full.
The rest of a large frame is one slice: it makes nothing but that frame.
"""

import asyncio
import contextlib
import time
from collections.abc import Generator
from typing import Any, cast

from graphwire_protocol import codes
from graphwire_protocol.server import MAX_HELLO_BYTES
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from graphwire_gateway.connections.descriptors import is_out
from graphwire_gateway.connections.http import OTHER_METHODS, log_crowded, not_allowed, refusals
from graphwire_gateway.connections.intake import Intake

MAX_QUEUE = (16, 0)
"""WebSocket frames that may wait to be handled before no more is read, and how many are left when it is."""

_LARGE = 16 << 10  # bytes of a frame that fills the queue alone
_SLICE = 4 << 10  # bytes that are parsed before the queue is looked at

_CONTROL_BURST = 100  # WebSocket pings and pongs that may come at once
_CONTROL_PER_S = 10.0  # and in the long run

_PROBE_S = 1.0  # between two probes


class _Reader(StreamReader):
    """Knows how many bytes the part of a frame has that its parser waits for."""

    wanted = 0

    def read_exact(self, n: int) -> Generator[None, None, bytearray]:
        self.wanted = n
        return super().read_exact(n)


class Peer(ServerConnection):
    """A WebSocket that drops a flood of control frames, and answers requests that want no WebSocket.

    ``intake`` says how much is read at once.
    """

    _has_begun = False
    _is_complete = False  # whether the first message, which is hello, has come
    _begun_bytes = 0  # of the first message's complete frames
    _unparsed = b""
    _last: Frame | None = None
    _control = float(_CONTROL_BURST)
    _control_at = 0.0
    _is_dropped = False
    _pinged_at: float | None = None  # when the oldest ping without an answer was sent
    _probed_at = 0.0
    _probe: "asyncio.Task[None] | None" = None

    def __init__(self, *args: Any, intake: Intake, **options: Any) -> None:
        super().__init__(*args, **options)
        self._intake = intake
        self.protocol.reader.__class__ = _Reader  # in place: the parser of the handshake holds it already

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless the connection takes one of the last descriptors."""
        super().connection_made(transport)
        self.recv_messages.resume = self._resume
        if is_out(transport):
            log_crowded(self.remote_address)
            self._is_dropped = True
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Look at the request's method: websockets closes on most without an answer."""
        if not self._has_begun:
            self._has_begun = True
            if data.startswith(OTHER_METHODS):
                self.protocol.send_response(not_allowed(self.protocol))
                self.send_data()
                return  # the rest of the body is discarded until the peer has the answer and closes
        if self.request is None:
            super().data_received(data)
        else:
            self._unparsed += data
            self._parse()
        if not self._intake.takes(len(data)) and not self.recv_messages.paused:
            self.transport.pause_reading()
            self._intake.rest(self._resume_reading)
        if not self._is_complete and self._held() > MAX_HELLO_BYTES:
            self._refuse_first()

    def _parse(self) -> None:
        """Parse what was read, slice by slice, until the queue of frames is full."""
        read, at, reader = self._unparsed, 0, cast(_Reader, self.protocol.reader)
        while at < len(read) and not self.recv_messages.paused:
            size = max(_SLICE, reader.wanted - len(reader.buffer))
            super().data_received(read[at : at + size])
            at += size
            if not reader.buffer:
                reader.wanted = 0
        self._unparsed = read[at:]

    def _resume(self) -> None:
        self._parse()
        self._resume_reading()

    def _resume_reading(self) -> None:
        if not self.recv_messages.paused:
            self.transport.resume_reading()

    def eof_received(self) -> None:
        """Parse the rest: it may end with a close frame."""
        rest, self._unparsed = self._unparsed, b""
        if rest:
            super().data_received(rest)
        super().eof_received()

    def _held(self) -> int:
        """Return the bytes of an unfinished first message."""
        return 0 if self.request is None else self._begun_bytes + len(self.protocol.reader.buffer)

    def _refuse_first(self) -> None:
        self._is_complete = True
        reason = f"the first frame is 'hello', of at most {MAX_HELLO_BYTES} bytes"
        refusals.warning("refused a connection", peer=self.remote_address, reason=reason)
        self.protocol.fail(codes.MISUSE, reason)
        self.send_data()

    def process_event(self, event: Any) -> None:
        """Count control frames, and what the queue of the others holds."""
        if self._is_dropped:
            return
        if isinstance(event, Frame) and event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            self.recv_messages.high = 0 if len(event.data) > _LARGE else MAX_QUEUE[0]
            self._is_complete = self._is_complete or event.fin
            self._begun_bytes += len(event.data)
            self._last = event
        if isinstance(event, Frame) and event.opcode is Opcode.PONG and self._pinged_at is not None:
            self._pinged_at = None  # this one was asked for
        elif isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
            now = time.monotonic()
            self._control = min(_CONTROL_BURST, self._control + (now - self._control_at) * _CONTROL_PER_S)
            self._control_at = now
            self._control -= 1
            if self._control < 0:
                refusals.warning("dropped a connection that floods control frames", peer=self.remote_address)
                self._is_dropped = True
                self.transport.abort()
                return
        super().process_event(event)

    def forget_headers(self) -> None:
        """Let go of the handshake's headers: some kilobytes that nobody reads any more."""
        for message in (self.request, self.response):
            if message is not None:
                message.headers.clear()

    def forget_message(self) -> None:
        """Let go of the message that was read last: the parser keeps its last frame until the next one."""
        if self._last is not None and not len(self.recv_messages.frames):
            self._last.data = b""
            self._last = None

    async def ping(self, data: Any = None) -> Any:
        """Send a ping, as the base does, and remember when."""
        if self._pinged_at is None:
            self._pinged_at = time.monotonic()
        return await super().ping(data)

    def silent_s(self) -> float:
        """Return for how long the oldest ping has had no answer, in seconds; 0 if none waits for one."""
        return 0.0 if self._pinged_at is None else time.monotonic() - self._pinged_at

    def probe(self) -> None:
        """Send a ping, unless one waits for its answer or has just been answered."""
        now = time.monotonic()
        if self._pinged_at is None and now - self._probed_at >= _PROBE_S:
            self._pinged_at = self._probed_at = now
            self._probe = asyncio.ensure_future(self._send_probe())

    async def _send_probe(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            await super().ping()
