"""A gateway's WebSocket to the home of one shard, on behalf of one client's connection.

It is opened when the client first asks for something there. Commands wait in it until it is open, so that
those of one shard keep their order and none holds up another shard's. It is not opened again: a client whose
subscriptions were there comes back by itself, with its cursors.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from graphwire_protocol.version import SUBPROTOCOLS
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.groups import words
from graphwire_gateway.cluster.home_tokens import home_token

PATIENCE_S = 15.0
"""How long a command waits for its shard to have a home: the lease of one that was killed, and a start."""

_AGAIN_S = 0.1
_OPEN_S = 5.0
_MESSAGES = (2, 0)  # of a home that wait to be passed on


class Link:
    """The way to the home of ``shard`` for ``principal``.

    ``received(link, message)`` gets each message. ``ended(link, reason)`` is called once, when there is no
    home or the connection has ended; not if ``close`` was called. ``failed(error)`` is for a fault of ours.
    """

    def __init__(
        self,
        shard: int,
        principal: str,
        directory: Directory,
        received: "Callable[[Link, bytes], Awaitable[None]]",
        ended: "Callable[[Link, str], None]",
        failed: Callable[[Exception], None],
    ) -> None:
        self.shard = shard
        self.url = ""
        """The home's address, once it is known."""
        self.is_passing = False
        """Whether the client may lack a message that was received."""
        self.alone_since: float | None = None
        """When its shard lost its home, in the loop's time; None if it has one."""
        self.is_repeating = False
        """Whether another home says the same behind its last reply: both answer one command."""
        self._principal = principal
        self._directory = directory
        self._received = received
        self._ended = ended
        self._failed = failed
        self._waiting: deque[str | bytes] = deque()
        self.waiting_bytes = 0
        """What waits to be sent."""
        self._has_work = asyncio.Event()
        self._is_closed = False
        self._task = asyncio.ensure_future(self._main())

    def send(self, data: str | bytes) -> None:
        """Send one frame, behind those that wait."""
        self._waiting.append(data)
        self.waiting_bytes += len(data)
        self._has_work.set()

    async def _main(self) -> None:
        reason = "a worker of this server has gone"
        try:
            socket = await self._opened()
            if socket is None:
                group = self._directory.groups.group_at(self.shard)
                reason = f"{words(group) if group else 'a part of this server'} has no worker now"
            elif self._is_closed:  # wait_for swallows a cancellation now and then, below Python 3.12
                await _leave(socket)
            else:
                await self._serve(socket)
        except Exception as error:
            self._failed(error)
        finally:
            if not self._is_closed:
                self._ended(self, reason)

    async def _serve(self, socket: ClientConnection) -> None:
        """Send and receive until the connection ends."""
        tasks = [asyncio.ensure_future(work) for work in (self._read(socket), self._write(socket))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)  # no exceptions: these would hold all of this in cycles
            await _leave(socket)
        for task in tasks:
            error = None if task.cancelled() else task.exception()
            if error is not None and not isinstance(error, WebSocketException | OSError):
                raise error

    async def _opened(self) -> ClientConnection | None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + PATIENCE_S
        while loop.time() < ends_at and not self._is_closed:
            if self._directory.groups.group_at(self.shard) in self._directory.groups_away:
                return None
            url = self._directory.homes.get(self.shard)
            if url is not None:
                with contextlib.suppress(WebSocketException, OSError, TimeoutError, asyncio.TimeoutError):
                    socket = await asyncio.wait_for(self._greeted(url), _OPEN_S)
                    if socket is not None:
                        self.url = url
                        return socket
            await asyncio.sleep(_AGAIN_S)
        return None

    async def _greeted(self, url: str) -> ClientConnection | None:
        """Connect and say for whom; None if another shard's home is there now."""
        socket = await connect(
            url,
            subprotocols=[Subprotocol(token) for token in SUBPROTOCOLS],
            compression=None,
            max_size=None,
            max_queue=_MESSAGES,
            ping_interval=None,
            open_timeout=_OPEN_S,
            close_timeout=1,
            user_agent_header=None,
            proxy=None,
        )
        try:
            token = home_token(self._directory.secret, self.shard, self._principal)
            await socket.send(orjson.dumps({"type": "hello", "id": 0, "token": token}).decode())
            answer = await _answer(socket)
        except BaseException:
            await _leave(socket)
            raise
        if answer == "welcome":
            return socket
        await _leave(socket)
        return None

    async def _read(self, socket: ClientConnection) -> None:
        while True:
            message = await socket.recv(decode=False)
            assert isinstance(message, bytes)
            self.is_passing = True
            await self._received(self, message)
            self.is_passing = False

    async def _write(self, socket: ClientConnection) -> None:
        while True:
            await self._has_work.wait()
            self._has_work.clear()
            while self._waiting:
                data = self._waiting[0]
                await socket.send(data, text=True)
                self._waiting.popleft()
                self.waiting_bytes -= len(data)

    def close(self) -> None:
        """End it at once."""
        self._is_closed = True
        self._task.cancel()

    async def closed(self) -> None:
        """Wait until it has ended."""
        await asyncio.wait([self._task])
        for name in ("_task", "_received", "_ended", "_failed"):  # without the cycles, all goes at once
            delattr(self, name)


async def _answer(socket: ClientConnection) -> Any:
    """Return the type of a home's answer. One that drains says so first, and serves until it ends."""
    while True:
        message = orjson.loads(await socket.recv(decode=False))
        for frame in message if isinstance(message, list) else [message]:
            if frame["type"] != "goaway":
                return frame["type"]


async def _leave(socket: ClientConnection) -> None:
    socket.transport.abort()
    await socket.wait_closed()
