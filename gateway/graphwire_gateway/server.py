"""The gateway: what it is made of, how it listens, how it goes away."""

import asyncio
import contextlib
import socket as sockets
from collections.abc import AsyncIterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from graphwire_protocol.commands import Product
from graphwire_protocol.version import SUBPROTOCOLS
from websockets.asyncio.server import Server as Listener
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from graphwire_gateway.connections.auth import Origins, Tokens, is_loopback
from graphwire_gateway.connections.connection import Connection, Peer
from graphwire_gateway.connections.dispatch import House
from graphwire_gateway.connections.http import PATH, Handshake
from graphwire_gateway.connections.langgraph_auth import Authenticated
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.load import resolve
from graphwire_gateway.graphs.savers import Savers
from graphwire_gateway.graphs.spec import GraphSpec, RunsOn
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.store import Store
from graphwire_gateway.runs.listing import Listing
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.states import States
from graphwire_gateway.telemetry import logger

log = logger("server")

_SOCKET_BYTES = 64 << 10  # of the kernel's buffer: a reply may not queue behind much more than this
_RECONNECT_MS = 1000


class Gateway:
    """Serves graphs over WebSockets.

    ``graphs`` maps names to graphs, to what makes them, to targets of either (``"module:attr"``,
    ``"./file.py:attr"``) or to ``GraphSpec``. ``store`` is a URL (``memory://``) or a ``Store``. ``tokens``
    maps tokens to principals; without any, only loopback addresses are served unless ``insecure``.
    ``expose_errors`` and the loopback origins are on by default exactly where the server listens on loopback.
    ``runner`` says where graphs that do not say it themselves run: ``inline`` on the caller's loop,
    ``thread`` together on another one, ``own`` each on its own. With
    ``shared_threads`` a thread of a graph is the same for every principal; else each has its own.
    """

    def __init__(
        self,
        graphs: Mapping[str, Any],
        *,
        store: str | Store = "memory://",
        limits: Limits | None = None,
        tokens: Mapping[str, str] | None = None,
        auth: Any = None,
        ignore_authorization: bool = False,
        allowed_origins: Sequence[str] | None = None,
        allowed_origin_regex: str | None = None,
        checkpointer: Any = None,
        graph_store: Any = None,
        expose_errors: bool | None = None,
        runner: RunsOn = "inline",
        insecure: bool = False,
        shared_threads: bool = False,
    ) -> None:
        if not isinstance(graphs, Mapping):
            raise TypeError(f"graphs maps names to graphs, {{'joke': graph}}, not a {type(graphs).__name__}")
        self._specs = {
            name: graph if isinstance(graph, GraphSpec) else GraphSpec(graph, runner)
            for name, graph in graphs.items()
        }
        self._limits = limits or Limits()
        self._store = store
        self._tokens = _tokens(tokens, auth, ignore_authorization)
        self._allowed_origins = allowed_origins
        self._allowed_origin_regex = allowed_origin_regex
        self._checkpointer = checkpointer
        self._graph_store = graph_store
        self._expose_errors = expose_errors
        self._insecure = insecure
        self._shared_threads = shared_threads

    @contextlib.asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 8765) -> AsyncIterator["Server"]:
        """Listen on ``host`` and ``port`` (0: any free one) while the context lasts; then drain at once.

        Raises ``CannotServe`` for a graph that does not import, and where the address may not or cannot be
        listened on.
        """
        loopback = is_loopback(host)
        if not loopback and not self._tokens and not self._insecure:
            raise CannotServe(
                f"{host} is not a loopback address and there is no authentication: anybody could run these "
                "graphs. Give tokens ([auth] tokens, Gateway(tokens=...)), or say --insecure (insecure=True)"
            )
        expose = loopback if self._expose_errors is None else self._expose_errors
        server = Server(
            store=_open_store(self._store, self._limits),
            limits=self._limits,
            tokens=self._tokens,
            failures=Failures(expose),
            catalog=Catalog(self._specs, Savers(self._checkpointer, self._graph_store)),
            origins=Origins(self._allowed_origins, loopback=loopback, pattern=self._allowed_origin_regex),
            shared_threads=self._shared_threads,
        )
        try:
            await server.open(host, port)
            yield server
        finally:
            await server.close()


def _tokens(tokens: Mapping[str, str] | None, auth: Any, ignore_authorization: bool) -> Tokens:
    if auth is None:
        return Tokens(tokens)
    if tokens:
        raise CannotServe("there are tokens and an auth object; only one of them can say who connects")
    found, source = resolve("auth", auth)
    return Authenticated(found, source, ignore_authorization=ignore_authorization)


def _open_store(store: str | Store, limits: Limits) -> Store:
    if not isinstance(store, str):
        return store
    if store == "memory://":
        return MemoryStore(limits.of_log())
    scheme = store.partition(":")[0]
    raise CannotServe(f"store {scheme!r} is not known; this version has memory://")


class Server:
    """A gateway that listens. Made by ``Gateway.serve``."""

    def __init__(
        self,
        *,
        store: Store,
        limits: Limits,
        tokens: Tokens,
        failures: Failures,
        catalog: Catalog,
        origins: Origins,
        shared_threads: bool = False,
    ) -> None:
        self.host = ""
        self.port = 0
        self._store = store
        self._limits = limits
        self._origins = origins
        self._committer = Committer(store)
        self.catalog = catalog
        self._runs = Runs(catalog, store, self._committer, failures, limits, shared_threads)
        self._house = House(
            server=Product(name="graphwire", version=version("graphwire")),
            limits=limits,
            durability=store.durability,
            tokens=tokens,
            catalog=catalog,
            runs=self._runs,
            states=States(catalog, self._runs, failures, limits.max_event_bytes),
            listing=Listing(catalog, self._runs),
            failures=failures,
        )
        self._connections: set[Connection] = set()
        self._listener: Listener | None = None
        self._committing: asyncio.Task[None] | None = None
        self._draining: asyncio.Future[None] | None = None

    @property
    def url(self) -> str:
        """Where clients connect to."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}{PATH}"

    async def open(self, host: str, port: int) -> None:
        """Import the graphs and listen."""
        await self.catalog.open(self._committer.take)
        self._committing = asyncio.create_task(self._committer.main())
        limits = self._limits
        try:
            self._listener = await serve(
                self._serve,
                host,
                port,
                subprotocols=[Subprotocol(token) for token in SUBPROTOCOLS],
                process_request=Handshake(self._origins, lambda: not self._runs.draining),
                create_connection=Peer,
                compression=None,
                max_size=limits.max_frame_bytes,
                ping_interval=limits.heartbeat_s,
                ping_timeout=limits.heartbeat_s,
                open_timeout=limits.hello_timeout_s,
                close_timeout=limits.send_timeout_s,
                server_header=None,
            )
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {host}:{port}: {error.strerror or error}; is another server running "
                "there? Choose another port with --port"
            ) from error
        listening = next(iter(self._listener.sockets))
        self.host, self.port = listening.getsockname()[:2]
        log.info("listening", url=self.url)

    async def _serve(self, socket: ServerConnection) -> None:
        raw = socket.transport.get_extra_info("socket")
        if raw is not None:
            with contextlib.suppress(OSError):
                raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _SOCKET_BYTES)
        connection = Connection(socket, self._house, self._store)
        self._connections.add(connection)
        try:
            if self._runs.draining:
                connection.goaway(self._limits.drain_s, _RECONNECT_MS)
            await connection.main()
        finally:
            self._connections.discard(connection)

    async def drain(self, timeout_s: float | None = None) -> None:
        """Go away politely: announce it, refuse new runs, let the others end for ``timeout_s`` seconds
        (``drain_s`` if None), cancel the rest, deliver every terminal event, close every connection.

        Asked once more with 0, one that is under way waits no longer.
        """
        if self._draining is None:
            seconds = self._limits.drain_s if timeout_s is None else timeout_s
            self._draining = asyncio.ensure_future(self._drain(seconds))
        elif timeout_s == 0:
            self._runs.hurry()
        await asyncio.shield(self._draining)

    async def _drain(self, seconds: float) -> None:
        for connection in self._connections:
            connection.goaway(seconds, _RECONNECT_MS)
        await self._runs.drain(seconds)
        if self._listener is not None:
            self._listener.close(close_connections=False)  # who is sent away may not come back here
        await asyncio.gather(*(connection.leave() for connection in list(self._connections)))

    async def close(self) -> None:
        """Drain without patience and release everything."""
        await self.drain(0)
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
        await self.catalog.close(self._limits.cancel_grace_s + 1)
        if self._committing is not None:
            self._committing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._committing
        await self._store.aclose()
