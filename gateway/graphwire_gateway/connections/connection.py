"""One WebSocket: bytes to commands, batches to bytes, and how it ends."""

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

from graphwire_protocol import codes
from graphwire_protocol.commands import Command
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.replies import Goaway
from graphwire_protocol.server import ServerSession
from websockets.exceptions import ConnectionClosed

from graphwire_gateway.connections.peer import Peer
from graphwire_gateway.connections.services import ConnectionServices
from graphwire_gateway.telemetry import logger

log = logger("connection")

_MAX_FRAGMENTS = 4096  # WebSocket frames that one message may consist of

_CHECKS = 4  # of the socket's buffer within ``send_timeout_s``


class Outgoing(Protocol):
    """What leaves on a connection."""

    def reply(self, frame: bytes) -> None:
        """Send a frame before any event."""

    async def room(self) -> None:
        """Wait until the queued replies are below their bound."""

    async def main(self) -> None:
        """Send what is ready until cancelled, or closed."""

    async def flushed(self) -> None:
        """Wait until the socket has taken everything that is ready."""

    def drop(self) -> None:
        """Send replies alone from here on."""

    def close(self) -> None:
        """The connection is gone."""


class Carried(Protocol):
    """Whoever carries out the commands of a connection."""

    @property
    def whose(self) -> str:
        """With whose other work that of this connection takes turns."""

    async def handle(self, command: Command, data: str | bytes) -> None:
        """Carry out one command, which came as ``data``. Raises the ``Refusal`` that ends the connection."""

    def refuse(self, error: bytes, refusal: Refusal) -> None:
        """Reply ``error`` to a frame that is none, or comes at a wrong time."""

    async def close(self) -> None:
        """Let go of everything that the connection held."""


Parts: TypeAlias = "Callable[[Connection, ServerSession], tuple[Outgoing, Carried]]"
"""Makes what a connection has of its own."""


class Connection:
    """A connection from its first frame to its end; ``main`` is its whole life."""

    def __init__(self, socket: Peer, services: ConnectionServices, parts: "Parts") -> None:
        self._socket = socket
        self._services = services
        self._limits = services.limits
        self._session = ServerSession(services.limits)
        self._delivery, self._dispatch = parts(self, self._session)
        self._writer: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def main(self) -> None:
        """Serve the connection until it is closed, by either side."""
        self._writer = self._loop.create_task(self._write())
        log.debug("connection opened", peer=self._socket.remote_address)
        began_at = time.monotonic()
        try:
            await self._read()
        except ConnectionClosed:
            pass
        finally:
            self._writer.cancel()
            self._delivery.close()  # first: a store that waits for its server may swallow the cancellation
            with contextlib.suppress(asyncio.CancelledError):
                await self._writer
            self._session.close()
            await self._dispatch.close()
            log.debug(
                "connection closed",
                peer=self._socket.remote_address,
                seconds=round(time.monotonic() - began_at, 3),
            )

    async def _read(self) -> None:
        try:
            data = [await asyncio.wait_for(self._message(), self._limits.hello_timeout_s)]
        except (TimeoutError, asyncio.TimeoutError):
            await self._close(codes.TIMEOUT, f"no hello within {self._limits.hello_timeout_s:g} s")
            return
        self._socket.forget_headers()
        await self.turn()  # wait_for may have read it in a task of its own, whose time is over
        while True:
            try:
                await self._receive(data.pop())  # nothing keeps it while the next one is waited for
                self._services.loop_time.done()
            except Refusal as refusal:
                if refusal.close != codes.UNAUTHENTICATED:  # that is logged by address
                    self._services.refusals.warning(
                        "refused a connection", peer=self.peer, code=refusal.code, reason=refusal.message
                    )
                await self._close(refusal.close or codes.MISUSE, refusal.message)
                return
            if self._session.pause and await self._is_gone_within(self._session.pause):
                return  # what it sent too fast before it left is worth no wait
            await self._delivery.room()
            data.append(await self._message())

    async def _is_gone_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._socket.wait_closed(), seconds)
        return self._socket.transport.is_closing()

    async def _message(self) -> str | bytes:
        """Read one message. A peer that does not finish one it has begun, or divides it endlessly, is cut."""
        timer: asyncio.TimerHandle | None = None
        fragments: list[str | bytes] = []
        try:
            async for fragment in self._socket.recv_streaming():
                fragments.append(fragment)
                self._socket.forget_message()
                await self.turn()
                if timer is None:
                    seconds = self._limits.message_timeout_s
                    timer = self._loop.call_later(seconds, self.abort, "did not finish a message")
                elif len(fragments) == _MAX_FRAGMENTS:
                    self.abort("sent a message in too many fragments")
        finally:
            if timer is not None:
                timer.cancel()
        first = fragments[0]
        if len(fragments) == 1:
            return first
        return "".join(fragments) if isinstance(first, str) else b"".join(fragments)  # type: ignore[arg-type]

    async def turn(self) -> None:
        """Let others have their turns: many messages, or parts of one, may be there without a wait."""
        await self._services.loop_time.wait(self._dispatch.whose)

    async def _receive(self, data: str | bytes) -> None:
        """Receive one message. Raises the ``Refusal`` that ends the connection."""
        try:
            command = self._session.receive(data, time.monotonic())
        except Refusal as refusal:
            self._dispatch.refuse(self._session.refuse(refusal), refusal)
            if refusal.close is not None:
                raise
            return
        await self._dispatch.handle(command, data)

    # ── out ──────────────────────────────────────────────────────────────────────────────────────

    async def _write(self) -> None:
        try:
            await self._delivery.main()
        except ConnectionClosed:
            pass
        except Exception as error:
            self._services.failures.internal(error, "delivery")
            await self._socket.close(codes.INTERNAL, "a fault of the server")
        finally:
            self._delivery.close()  # the receiving side may wait for replies to leave

    async def send(self, batch: bytes) -> None:
        """Write one message; abort the connection if it takes nothing for ``send_timeout_s``."""
        seconds = self._limits.send_timeout_s / _CHECKS
        self._timer = self._loop.call_later(seconds, self._check_progress, seconds, None, 0)
        try:
            await self._socket.send(batch, text=True)
        finally:
            self._timer.cancel()

    def _check_progress(self, seconds: float, left_before: int | None, stuck: int) -> None:
        left = _unsent(self._socket.transport)
        stuck = stuck + 1 if left_before is not None and left >= left_before else 0
        if stuck == _CHECKS:
            self.abort("takes nothing")
            return
        self._timer = self._loop.call_later(seconds, self._check_progress, seconds, left, stuck)

    def silent_s(self) -> float:
        """Return for how long the oldest ping has had no answer, in seconds; 0 if none waits for one."""
        return self._socket.silent_s()

    @property
    def peer(self) -> Any:
        """The address of the other side."""
        return self._socket.remote_address

    async def ended(self) -> None:
        """Wait until the connection has ended."""
        await self._socket.wait_closed()

    def probe(self) -> None:
        """Send a ping, unless one waits for its answer."""
        self._socket.probe()

    def abort(self, reason: str) -> None:
        """End the connection at once; ``reason`` is for the log."""
        self._services.refusals.warning(
            "aborted a connection", peer=self._socket.remote_address, reason=f"it {reason}"
        )
        self._socket.transport.abort()

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
        with contextlib.suppress(Misuse):
            frame = Goaway(reason="draining", deadline_s=deadline_s, after_ms=after_ms)
            self._delivery.reply(self._session.goaway(frame))

    async def leave(self) -> None:
        """Deliver what is ready, then close for a restart."""
        await self._flush()
        await self._socket.close(codes.RESTART, "the server goes away")


def _unsent(transport: asyncio.Transport) -> int:
    """Return how many bytes the peer has not acknowledged, in our buffer and, where it can tell, in the
    kernel's: that takes the buffer of a slow reader in few, large parts.
    """
    unsent = transport.get_write_buffer_size()
    with contextlib.suppress(ImportError, OSError, AttributeError, ValueError):
        import fcntl  # Windows has neither
        import termios

        answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, bytes(4))
        unsent += int.from_bytes(answer, sys.byteorder)
    return unsent


def _short(reason: str) -> str:
    # A close frame holds 123 bytes of reason.
    return reason.encode()[:120].decode("utf-8", "ignore")
