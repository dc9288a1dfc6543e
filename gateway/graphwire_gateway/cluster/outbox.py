"""What leaves on a client's connection to a gateway: replies of the gateway's own, and what homes send.

Homes send whole messages, a frame or an array of frames, in the order in which the client is to have them.
While the client takes no more, nothing more is read from the homes, which then wait as for any slow client.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from graphwire_gateway.connections.delivery import BATCH_BYTES

_WAITING_BYTES = 64 << 10
"""Bytes that wait for the socket, beyond which a home's next message waits outside."""


class Outbox:
    """The outgoing side of one connection. ``send(message)`` writes one, when ``turn()`` has returned."""

    def __init__(
        self,
        send: Callable[[bytes], Awaitable[None]],
        turn: Callable[[], Awaitable[None]],
        done: Callable[[], None],
    ) -> None:
        self._send = send
        self._turn = turn
        self._done = done
        self._waiting: deque[bytes] = deque()
        self._size = 0
        self._has_work = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._is_idle = asyncio.Event()
        self._is_idle.set()
        self._is_dropping = False
        self._is_closed = False

    def reply(self, frame: bytes) -> None:
        """Send a frame of the gateway's own."""
        if self._is_closed:
            return
        self._waiting.append(frame)
        self._size += len(frame)
        if self._size > _WAITING_BYTES:
            self._has_room.clear()
        self._is_idle.clear()
        self._has_work.set()

    async def room(self) -> None:
        """Wait until little waits for the socket."""
        await self._has_room.wait()

    async def pass_on(self, message: bytes) -> None:
        """Send a home's message, once there is room for it."""
        await self._has_room.wait()
        self.pass_now(message)

    def pass_now(self, message: bytes) -> None:
        """Send a home's message, whether or not there is room."""
        if not self._is_dropping:
            self.reply(message)

    async def main(self) -> None:
        """Send what is ready until cancelled, or closed."""
        while not self._is_closed:
            if not self._waiting:
                self._has_work.clear()
                self._is_idle.set()
                await self._has_work.wait()
                continue
            await self._turn()
            message = self._taken()
            self._done()
            await self._send(message)

    def _taken(self) -> bytes:
        """Take messages that fit into one."""
        taken = [self._waiting.popleft()]
        size = len(taken[0])
        while self._waiting and size + len(self._waiting[0]) < BATCH_BYTES:
            taken.append(self._waiting.popleft())
            size += len(taken[-1]) + 1
        self._size = sum(map(len, self._waiting)) if self._waiting else 0
        if self._size <= _WAITING_BYTES:
            self._has_room.set()
        return taken[0] if len(taken) == 1 else b"[" + b",".join(map(_frames, taken)) + b"]"

    async def flushed(self) -> None:
        """Wait until the socket has taken everything that is ready."""
        if not self._is_closed:
            await self._is_idle.wait()

    def drop(self) -> None:
        """Pass on nothing more from homes."""
        self._is_dropping = True

    def close(self) -> None:
        """The connection is gone."""
        self._is_closed = self._is_dropping = True
        self._send, self._turn = _send_nothing, _wait_for_nothing  # without the cycles, all goes at once
        self._waiting.clear()
        for waited in (self._has_work, self._has_room, self._is_idle):
            waited.set()


async def _send_nothing(message: bytes) -> None:
    """Send nothing: the connection is gone."""


async def _wait_for_nothing() -> None:
    """Wait for no turn."""


def _frames(message: bytes) -> bytes:
    """Return the frames of a message, with commas between them."""
    return message[1:-1] if message.startswith(b"[") else message
