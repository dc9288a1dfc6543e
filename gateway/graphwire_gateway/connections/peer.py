"""The WebSocket of one peer, guarded below the protocol: floods of control frames, and plain HTTP methods."""

import asyncio
import contextlib
import time
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from graphwire_gateway.connections.descriptors import is_out
from graphwire_gateway.connections.http import OTHER_METHODS, log_crowded, not_allowed
from graphwire_gateway.telemetry import logger

log = logger("connection")

_CONTROL_BURST = 100  # WebSocket pings and pongs that may come at once
_CONTROL_PER_S = 10.0  # and in the long run

_PROBE_S = 1.0  # between two probes


class Peer(ServerConnection):
    """A WebSocket that drops a flood of control frames, and answers requests that want no WebSocket."""

    _has_begun = False
    _control = float(_CONTROL_BURST)
    _control_at = 0.0
    _is_dropped = False
    _pinged_at: float | None = None  # when the oldest ping without an answer was sent
    _probed_at = 0.0
    _probe: "asyncio.Task[None] | None" = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Drop a connection that takes one of the last descriptors."""
        super().connection_made(transport)
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
        super().data_received(data)

    def process_event(self, event: Any) -> None:
        """Count control frames."""
        if self._is_dropped:
            return
        if isinstance(event, Frame) and event.opcode is Opcode.PONG and self._pinged_at is not None:
            self._pinged_at = None  # this one was asked for
        elif isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
            now = time.monotonic()
            self._control = min(_CONTROL_BURST, self._control + (now - self._control_at) * _CONTROL_PER_S)
            self._control_at = now
            self._control -= 1
            if self._control < 0:
                log.warning("dropped a connection that floods control frames", peer=self.remote_address)
                self._is_dropped = True
                self.transport.abort()
                return
        super().process_event(event)

    def forget_headers(self) -> None:
        """Let go of the handshake's headers: some kilobytes that nobody reads any more."""
        for message in (self.request, self.response):
            if message is not None:
                message.headers.clear()

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
