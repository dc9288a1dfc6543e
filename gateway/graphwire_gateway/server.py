"""The gateway and its server: how the parts are put together, started, drained and closed."""

import asyncio
import contextlib
import socket as sockets
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.metadata import version
from typing import Any

from graphwire_protocol.commands import Product
from graphwire_protocol.projection import Encoders
from graphwire_protocol.version import SUBPROTOCOLS
from websockets.asyncio.server import Server as Listener
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from graphwire_gateway.connections.auth import Origins, Tokens, is_loopback, own_page
from graphwire_gateway.connections.connection import Connection
from graphwire_gateway.connections.console_files import NOT_BUILT, ConsoleFiles, console_files
from graphwire_gateway.connections.http import PATH, Handshake
from graphwire_gateway.connections.intake import Intake
from graphwire_gateway.connections.langgraph_auth import Authenticated
from graphwire_gateway.connections.openings import (
    check_origins,
    check_start,
    check_tokens,
    open_behind_a_proxy,
)
from graphwire_gateway.connections.peer import MAX_QUEUE, Peer
from graphwire_gateway.connections.services import Services
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.execution.encode import encoders_of
from graphwire_gateway.execution.execution import Executor
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.load import resolve
from graphwire_gateway.graphs.memory_saver import ThreadLimits
from graphwire_gateway.graphs.savers import Savers
from graphwire_gateway.graphs.spec import GraphSpec, RunsOn
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.commit import Committer
from graphwire_gateway.log.store import Store
from graphwire_gateway.runs.command_replies import CommandReplies
from graphwire_gateway.runs.listing import Listing
from graphwire_gateway.runs.recovery import Recovery
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.states import States
from graphwire_gateway.stores import saver_for, store_of
from graphwire_gateway.telemetry import logger

log = logger("server")

_SENT_BYTES = 64 << 10
"""The kernel's send buffer of a connection. Small, since a reply waits behind all that is in it."""
_RECEIVED_BYTES = 128 << 10
"""The kernel's receive buffer of a connection, which it would else let grow to some MiB."""
_RECONNECT_MS = 1000
"""How long clients should wait before they reconnect to a server that goes away."""
_IMPORTED_LATER = (
    "jsonschema",
    "jsonschema_specifications",
    "langchain_core.messages.block_translators.langchain_v0",
    "langchain_core.tracers.context",
    "langchain_core.tracers.run_collector",
    "langchain_core.tracers.stdout",
)
"""What the first run or the first answer would import: a server that has few descriptors left cannot."""


class Gateway:
    """Serves graphs over WebSockets: ``async with gateway.serve() as server``.

    ``graphs`` maps the name of each graph to what it is: a graph, compiled or not; a function or context
    manager that makes one; a string that names either, ``"module:attribute"`` or ``"./file.py:attribute"``;
    or a ``GraphSpec`` with settings of its own.

    Every other argument is optional:

    - ``store`` keeps the logs of runs: a URL, ``"memory://"`` (the default), ``"sqlite:///runs.db"`` or
      ``"redis://host"``, which survive a crash; or a ``Store``.
    - ``limits`` bounds what connections, runs and principals may use: ``Limits``, or a mapping of its
      fields. What is left out has its default.
    - ``tokens`` maps each token that clients may present to its principal. Without ``tokens`` and ``auth``
      every client is the principal ``anonymous``, and ``serve`` accepts only loopback addresses.
    - ``auth`` authenticates clients instead of ``tokens``: a ``langgraph_sdk.Auth``, or a target that names
      one.
    - ``ignore_authorization`` accepts an ``auth`` with authorization handlers, which are never called. False:
      such an ``auth`` raises ``CannotServe``.
    - ``allowed_origins`` lists the origins of web pages that may connect, such as ``"https://app.example"``;
      ``"*"`` allows all. Pages from loopback addresses may also connect to a server that listens on a
      loopback address, unless the list is empty. Clients that are no browsers are never refused by this.
    - ``allowed_origin_regex`` is a regular expression; an origin that it matches as a whole may connect, too.
    - ``checkpointer`` keeps the threads of graphs compiled without one: a LangGraph checkpointer, what makes
      one, or a target that names either. None: in memory, or beside a store that survives, which ``"store"``
      asks for. False: such graphs have no threads.
    - ``thread_bytes`` bounds the threads in memory, of each loop that graphs run on: of more, the longest
      idle threads of the principal who has most are let go. Default: 1 GiB. ``thread_ttl_s`` lets a thread
      in memory go that was idle for so many seconds. None: never. Threads that a run uses, or waits on for
      answers, are always kept. Neither applies to threads that another ``checkpointer`` keeps.
    - ``graph_store`` is the store of graphs compiled without one: a LangGraph ``BaseStore``, what makes one,
      or a target that names either. None: in memory.
    - ``encoders`` maps classes to functions, for values of graphs that have no JSON form: what the function
      of a value's class returns is sent in its place. A mapping, or a target that names one. None: a short
      text is sent.
    - ``expose_errors`` sends the type and message of graphs' exceptions to clients. False: clients receive
      only an id to find them by in the server's log. None: True if the server listens on a loopback address.
    - ``runner`` is the loop of graphs that are not given as a ``GraphSpec``: ``"inline"`` (the default) is
      the caller's loop, ``"thread"`` one that they share in a thread, ``"own"`` one in a thread for each.
    - ``insecure`` lets ``serve`` accept other than loopback addresses without authentication. Default: False.
    - ``shared_threads`` makes a thread of a graph the same for all principals. False: each principal has its
      own threads.
    - ``console`` serves the console at ``/``: a page that shows and starts runs, and needs a token where
      other clients do. Default: False, since a program that serves graphs may not mean to serve a page;
      ``graphwire serve`` serves it.

    Raises ``TypeError`` if ``graphs`` is not a mapping, ``ValueError`` for a limit that is none, and
    ``CannotServe`` for ``tokens`` together with ``auth`` and for an ``auth`` or ``encoders`` that cannot be
    used.
    """

    def __init__(
        self,
        graphs: Mapping[str, Any],
        *,
        store: str | Store = "memory://",
        limits: Limits | Mapping[str, Any] | None = None,
        tokens: Mapping[str, str] | None = None,
        auth: Any = None,
        ignore_authorization: bool = False,
        allowed_origins: Sequence[str] | None = None,
        allowed_origin_regex: str | None = None,
        checkpointer: Any = None,
        thread_bytes: int = ThreadLimits().bytes,
        thread_ttl_s: float | None = None,
        graph_store: Any = None,
        encoders: Encoders | str | None = None,
        expose_errors: bool | None = None,
        runner: RunsOn = "inline",
        insecure: bool = False,
        shared_threads: bool = False,
        console: bool = False,
    ) -> None:
        if not isinstance(graphs, Mapping):
            raise TypeError(f"graphs maps names to graphs, {{'joke': graph}}, not a {type(graphs).__name__}")
        self._specs = {
            name: graph if isinstance(graph, GraphSpec) else GraphSpec(graph, runner)
            for name, graph in graphs.items()
        }
        self._limits = limits if isinstance(limits, Limits) else Limits(**(limits or {}))
        self._store = store
        self._tokens = _tokens(tokens, auth, ignore_authorization)
        self._allowed_origins = allowed_origins
        self._allowed_origin_regex = allowed_origin_regex
        self._checkpointer = checkpointer
        self._thread_limits = ThreadLimits(thread_bytes, thread_ttl_s)
        self._graph_store = graph_store
        self._encoders = encoders_of(encoders)
        self._expose_errors = expose_errors
        self._insecure = insecure
        self._shared_threads = shared_threads
        self._console = console

    @contextlib.asynccontextmanager
    async def serve(self, host: str = "127.0.0.1", port: int = 8765) -> AsyncIterator["Server"]:
        """Load the graphs and listen on ``host`` and ``port`` while the context lasts. Port 0: any free one.

        Leaving the context cancels the runs that are left; call ``Server.drain`` first to let them end.
        Raises ``CannotServe`` for a graph that cannot be loaded, for an address that is not loopback if there
        is no authentication, and for an address that is not available.
        """
        loopback = is_loopback(host)
        has_authentication = bool(self._tokens)
        check_start(
            host, is_loopback=loopback, has_authentication=has_authentication, insecure=self._insecure
        )
        expose = loopback if self._expose_errors is None else self._expose_errors
        allowed, pattern = self._allowed_origins, self._allowed_origin_regex
        own = own_page(self._tokens, is_loopback=loopback) if self._console else None
        origins = Origins(allowed, loopback=loopback, pattern=pattern, own=own)
        check_origins(allowed, pattern, has_authentication=has_authentication, has_console=self._console)
        proxied = open_behind_a_proxy(
            has_authentication=has_authentication, exposes_errors=expose and self._expose_errors is None
        )
        store = store_of(self._store, self._limits.of_log())
        server = Server(
            store=store,
            limits=self._limits,
            tokens=self._tokens,
            failures=Failures(expose),
            catalog=Catalog(
                self._specs,
                Savers(saver_for(self._checkpointer, store), self._graph_store, self._thread_limits),
            ),
            origins=origins,
            shared_threads=self._shared_threads,
            encoders=self._encoders,
            open_to_proxied=proxied if loopback else (),
            console=await asyncio.to_thread(console_files) if self._console else None,
        )
        try:
            await server.open(host, port)
            yield server
        finally:
            await server.close()


def _tokens(tokens: Mapping[str, str] | None, auth: Any, ignore_authorization: bool) -> Tokens:
    if auth is None:
        check_tokens(tokens or {})
        return Tokens(tokens)
    if tokens:
        raise CannotServe("tokens and auth are both given; only one of them can authenticate clients")
    found, source = resolve("auth", auth)
    return Authenticated(found, source, ignore_authorization=ignore_authorization)


class Server:
    """A gateway that listens. ``Gateway.serve`` makes it; ``host`` and ``port`` are where it listens."""

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
        encoders: Encoders | None = None,
        open_to_proxied: Sequence[str] = (),
        console: ConsoleFiles | None = None,
    ) -> None:
        self.host = ""
        self.port = 0
        self._store = store
        self._limits = limits
        self._committer = Committer(store)
        self.catalog = catalog
        executor = Executor(
            catalog,
            failures,
            limits.max_event_bytes,
            encoders,
            limits.max_frame_bytes,
            limits.state_timeout_s,
            outlives=store.outlives,
        )
        self._runs = Runs(catalog, executor, store, self._committer, limits, shared_threads)
        catalog.savers.is_in_use = self._runs.uses
        states = States(catalog, self._runs, failures, limits, encoders)
        listing = Listing(catalog, self._runs, failures, limits.max_event_bytes, encoders)
        self._services = Services(
            server=Product(name="graphwire", version=version("graphwire")),
            limits=limits,
            durability=store.durability,
            tokens=tokens,
            catalog=catalog,
            runs=self._runs,
            replies=CommandReplies(catalog, self._runs, states, listing, limits),
            listing=listing,
            failures=failures,
        )
        self._console = console
        self._handshake = Handshake(origins, lambda: self._runs.hindrance, open_to_proxied, console)
        self._connections: set[Connection] = set()
        self._listener: Listener | None = None
        self._committing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._draining: asyncio.Future[None] | None = None

    @property
    def url(self) -> str:
        """The address for clients, such as ``ws://127.0.0.1:8765/ws``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ws://{host}:{self.port}{PATH}"

    @property
    def taken(self) -> asyncio.Event:
        """Set once another server has taken the store, in Redis: this one sends its clients away."""
        return self._store.taken

    @property
    def console_url(self) -> str | None:
        """The address of the console for browsers, ``http://127.0.0.1:8765/``; None if it is not served."""
        return f"http{self.url.removeprefix('ws').removesuffix(PATH)}/" if self._console else None

    async def open(self, host: str, port: int) -> None:
        """Load the graphs and listen. Raises ``CannotServe``."""
        if self._console is not None and not self._console:
            log.warning(NOT_BUILT)
        for name in _IMPORTED_LATER:
            import_module(name)
        loop, saver_let_go = asyncio.get_running_loop(), self._runs.known_threads.saver_let_go

        def let_go(thread: str) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(saver_let_go, thread)

        self.catalog.savers.let_go = let_go
        kept = await self._store.open()
        self._services.durability = self._store.durability
        await self.catalog.open()
        listener = await self._bind(host, port)  # first: without an address, runs wait on
        await Recovery(self._runs, self.catalog, self._store, self._limits).take_up(kept)
        self._committing = asyncio.create_task(self._committer.main(self._runs.holdings.make_room))
        self._watching = asyncio.create_task(self._leave_store(self._store.taken))
        await listener.start_serving()
        log.info("listening", url=self.url)

    async def _leave_store(self, taken: asyncio.Event) -> None:
        await taken.wait()
        log.error("another server has taken the store; this one sends its clients away")
        await self.drain(0)

    async def _bind(self, host: str, port: int) -> Listener:
        limits = self._limits
        try:
            self._listener = await serve(
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
        self.host, self.port = next(iter(self._listener.sockets)).getsockname()[:2]
        return self._listener

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
        connection = Connection(socket, self._services, self._store)
        self._connections.add(connection)
        try:
            if self._runs.draining:
                connection.goaway(self._limits.drain_s, _RECONNECT_MS)
            await connection.main()
        finally:
            self._connections.discard(connection)

    async def drain(self, timeout_s: float | None = None) -> None:
        """Announce the end to clients, refuse new runs, and wait up to ``timeout_s`` seconds for the others.

        Then cancel the runs that are left, deliver every terminal event, and close every connection. None
        waits for ``limits.drain_s`` seconds. A second call joins the first; with 0 it ends the waiting.
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
            self._listener.close(close_connections=False)  # clients that reconnect must go elsewhere
        await asyncio.gather(*(connection.leave() for connection in list(self._connections)))

    async def close(self) -> None:
        """Drain without waiting, then release everything."""
        await self.drain(0)
        if self._watching is not None:
            self._watching.cancel()
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
        await self.catalog.close(self._limits.cancel_grace_s + 1)
        if self._committing is not None:
            self._committing.cancel()
            await asyncio.gather(self._committing, return_exceptions=True)
        await self._store.aclose()
