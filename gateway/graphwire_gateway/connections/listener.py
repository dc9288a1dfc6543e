"""The socket that clients connect to: handshakes, and the connections that are open."""

import asyncio
import contextlib
import socket as sockets
from collections.abc import Callable
from functools import partial

from graphwire_protocol.version import SUBPROTOCOLS
from websockets.asyncio.server import Server as WebSockets
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from graphwire_gateway.connections.connection import Connection, Parts
from graphwire_gateway.connections.console_files import ConsoleFiles
from graphwire_gateway.connections.http import PATH, Handshake
from graphwire_gateway.connections.intake import Intake
from graphwire_gateway.connections.peer import MAX_QUEUE, Peer
from graphwire_gateway.connections.services import ConnectionServices
from graphwire_gateway.errors import CannotServe

_SENT_BYTES = 64 << 10
"""The kernel's send buffer of a connection. Small, since a reply waits behind all that is in it."""
_RECEIVED_BYTES = 128 << 10
"""The kernel's receive buffer of a connection, which it would else let grow to some MiB."""
_RECONNECT_MS = 1000
"""How long clients should wait before they reconnect to a server that goes away."""


class Listener:
    """Listens, and serves each connection until it ends; ``parts`` makes what one has of its own.

    ``is_leaving()`` says whether a newcomer is sent away soon.
    """

    def __init__(
        self,
        services: ConnectionServices,
        handshake: Handshake,
        parts: Parts,
        is_leaving: Callable[[], bool],
    ) -> None:
        self.host = ""
        self.port = 0
        self._services = services
        self._limits = services.limits
        self._handshake = handshake
        self._parts = parts
        self._is_leaving = is_leaving
        self.connections: set[Connection] = set()
        """Those that are open."""
        self.sockets: WebSockets | None = None
        """What listens, once it does."""

    @property
    def url(self) -> str:
        """The address for clients, such as ``ws://127.0.0.1:8765/ws``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}{PATH}"

    async def bind(self, host: str, port: int) -> None:
        """Take the address; ``start`` serves it. Raises ``CannotServe``."""
        limits = self._limits
        try:
            self.sockets = await serve(
                self._serve,
                host,
                port,
                subprotocols=[Subprotocol(token) for token in SUBPROTOCOLS],
                process_request=self._handshake.in_turns(self._services.loop_time),
                create_connection=partial(Peer, intake=Intake()),  # type: ignore[arg-type]  # it takes any callable
                compression=None,
                max_size=limits.max_frame_bytes,
                max_queue=MAX_QUEUE,
                ping_interval=limits.heartbeat_s,
                ping_timeout=limits.heartbeat_s,
                open_timeout=limits.hello_timeout_s,
                close_timeout=limits.send_timeout_s,
                server_header=None,
                start_serving=False,
            )
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {host}:{port}: {error.strerror or error}; is another server running "
                "there? Choose another port with --port"
            ) from error
        self.host, self.port = next(iter(self.sockets.sockets)).getsockname()[:2]

    async def start(self) -> None:
        """Serve who connects."""
        assert self.sockets is not None
        await self.sockets.start_serving()

    async def _serve(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        refusal = self._handshake.refusal(socket.request)
        if refusal is not None:
            await socket.close(*refusal)
            return
        raw = socket.transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _SENT_BYTES)
                raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, _RECEIVED_BYTES)
        assert isinstance(socket, Peer)
        connection = Connection(socket, self._services, self._parts)
        self.connections.add(connection)
        try:
            if self._is_leaving():
                connection.goaway(self._limits.drain_s, _RECONNECT_MS)
            await connection.main()
        finally:
            self.connections.discard(connection)

    def announce_end(self, deadline_s: float) -> None:
        """Let all clients know that the server goes away within so many seconds."""
        for connection in self.connections:
            connection.goaway(deadline_s, _RECONNECT_MS)

    async def leave(self) -> None:
        """Take nobody any more; deliver what is ready to the others, and close their connections."""
        if self.sockets is not None:
            self.sockets.close(close_connections=False)  # clients that reconnect must go elsewhere
        await asyncio.gather(*(connection.leave() for connection in list(self.connections)))

    async def aclose(self) -> None:
        """End at once."""
        if self.sockets is not None:
            self.sockets.close()
            await self.sockets.wait_closed()


class Listening:
    """Whatever has a ``Listener``: where it listens, and where its console is."""

    _listener: Listener
    _console: ConsoleFiles | None

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._listener.host

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._listener.port

    @property
    def url(self) -> str:
        """The address for clients, such as ``ws://127.0.0.1:8765/ws``."""
        return self._listener.url

    @property
    def console_url(self) -> str | None:
        """The address of the console for browsers, ``http://127.0.0.1:8765/``; None if it is not served."""
        return f"http{self.url.removeprefix('ws').removesuffix(PATH)}/" if self._console else None
