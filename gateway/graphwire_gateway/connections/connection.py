"""One WebSocket: bytes to commands, batches to bytes, and how it ends."""

import asyncio
import contextlib
import time
from typing import Any

from graphwire_protocol import codes
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.replies import Goaway
from graphwire_protocol.server import ServerSession
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from graphwire_gateway.connections.delivery import Delivery
from graphwire_gateway.connections.dispatch import Dispatch, House
from graphwire_gateway.connections.http import OTHER_METHODS, not_allowed
from graphwire_gateway.log.store import Store
from graphwire_gateway.telemetry import logger

log = logger("connection")

_LOOKS = 4  # at the socket's buffer within ``send_timeout_s``
_CONTROL_BURST = 100  # WebSocket pings and pongs that may come at once
_CONTROL_PER_S = 10.0  # and that may come for ever


class Peer(ServerConnection):
    """A WebSocket that drops a peer who floods control frames, and answers who asks for no WebSocket."""

    _has_begun = False
    _control = float(_CONTROL_BURST)
    _control_at = 0.0
    _is_dropped = False

    def data_received(self, data: bytes) -> None:
        """Look at the request's method, which websockets does not let through."""
        if not self._has_begun:
            self._has_begun = True
            if data.startswith(OTHER_METHODS):
                self.protocol.send_response(not_allowed(self.protocol))
                self.send_data()
                return  # what still comes of the body is discarded, until the peer has the answer and closes
        super().data_received(data)

    def process_event(self, event: Any) -> None:
        """Look at each frame that comes in."""
        if self._is_dropped:
            return
        if isinstance(event, Frame) and event.opcode in (Opcode.PING, Opcode.PONG):
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


class Connection:
    """A connection from its first frame to its end; ``main`` is its whole life."""

    def __init__(self, socket: ServerConnection, house: House, store: Store) -> None:
        self._socket = socket
        self._house = house
        self._limits = house.limits
        self._session = ServerSession(house.limits)
        self._delivery = Delivery(store, self._send, self._session.release)
        self._dispatch = Dispatch(house, self._session, self._delivery)
        self._writer: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def main(self) -> None:
        """Serve the connection until it is closed, by either side."""
        self._writer = self._loop.create_task(self._write())
        try:
            await self._read()
        except ConnectionClosed:
            pass
        finally:
            self._writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
            self._session.close()
            self._delivery.close()
            await self._dispatch.close()

    async def _read(self) -> None:
        try:
            data = await asyncio.wait_for(self._socket.recv(), self._limits.hello_timeout_s)
        except (TimeoutError, asyncio.TimeoutError):
            await self._close(codes.TIMEOUT, f"no hello within {self._limits.hello_timeout_s:g} s")
            return
        while True:
            try:
                await self._receive(data)
            except Refusal as refusal:
                await self._close(refusal.close or codes.MISUSE, refusal.message)
                return
            await self._delivery.room()
            data = await self._socket.recv()

    async def _receive(self, data: str | bytes) -> None:
        """Take one message in. Raises the ``Refusal`` that ends the connection."""
        try:
            command = self._session.receive(data, time.monotonic())
        except Refusal as refusal:
            self._delivery.reply(self._session.refuse(refusal))
            if refusal.close is not None:
                raise
            return
        await self._dispatch.handle(command)

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    async def _write(self) -> None:
        try:
            await self._delivery.main()
        except ConnectionClosed:
            pass
        except Exception as error:
            self._house.failures.internal(error, "delivery")
            await self._socket.close(codes.INTERNAL, "a fault of the server")
        finally:
            self._delivery.close()  # the reader may wait for replies to leave

    async def _send(self, batch: bytes) -> None:
        """Write one message; abort the connection if it takes nothing for ``send_timeout_s``."""
        seconds = self._limits.send_timeout_s / _LOOKS
        self._timer = self._loop.call_later(seconds, self._check_progress, seconds, None, 0)
        try:
            await self._socket.send(batch, text=True)
        finally:
            self._timer.cancel()

    def _check_progress(self, seconds: float, left_before: int | None, stuck: int) -> None:
        left = self._socket.transport.get_write_buffer_size()
        stuck = stuck + 1 if left_before is not None and left >= left_before else 0
        if stuck == _LOOKS:
            log.info(
                "aborted a connection that takes nothing",
                peer=self._socket.remote_address,
                send_timeout_s=self._limits.send_timeout_s,
            )
            self._socket.transport.abort()
            return
        self._timer = self._loop.call_later(seconds, self._check_progress, seconds, left, stuck)

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    async def _close(self, code: int, reason: str) -> None:
        """Send the replies that are queued, then close with ``code``."""
        self._delivery.drop()
        await self._flush()
        await self._socket.close(code, _short(reason))

    async def _flush(self) -> None:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._delivery.flushed(), self._limits.send_timeout_s)

    def goaway(self, deadline_s: float, after_ms: int) -> None:
        """Announce that the server goes away."""
        with contextlib.suppress(Misuse, KeyError):
            frame = Goaway(reason="draining", deadline_s=deadline_s, after_ms=after_ms)
            self._delivery.reply(self._session.goaway(frame))

    async def leave(self) -> None:
        """Deliver what is ready, then close for a restart."""
        await self._flush()
        await self._socket.close(codes.RESTART, "the server goes away")


def _short(reason: str) -> str:
    # A close frame holds 123 bytes of reason.
    return reason.encode()[:120].decode("utf-8", "ignore")
