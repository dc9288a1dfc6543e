"""The gateway: the settings of a server that a program makes of its graphs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from graphwire_protocol.projection import Encoders

from graphwire_gateway.connections.auth import Origins, Tokens, is_loopback, own_page
from graphwire_gateway.connections.console_files import ConsoleFiles, console_files
from graphwire_gateway.connections.langgraph_auth import Authenticated
from graphwire_gateway.connections.openings import (
    check_origins,
    check_start,
    check_tokens,
    open_behind_a_proxy,
)
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.execution.encode import encoders_of
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.load import resolve
from graphwire_gateway.graphs.memory_saver import ThreadLimits
from graphwire_gateway.graphs.savers import Savers
from graphwire_gateway.graphs.spec import GraphSpec, RunsOn
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.store import Store
from graphwire_gateway.server import Part, Server
from graphwire_gateway.stores import is_shared, needs_redis, saver_for, store_of

if TYPE_CHECKING:  # they need redis-py, which only those have who use it
    from graphwire_gateway.cluster.gateway_server import GatewayServer
    from graphwire_gateway.cluster.worker import Worker


class _Opening(NamedTuple):
    """Who may connect, and what they may see."""

    expose: bool
    origins: Origins
    open_to_proxied: Sequence[str]
    console: ConsoleFiles | None


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
    async def serve(self, host: str = "127.0.0.1", port: int = 8765) -> AsyncIterator[Server]:
        """Load the graphs and listen on ``host`` and ``port`` while the context lasts. Port 0: any free one.

        Leaving the context cancels the runs that are left; call ``Server.drain`` first to let them end.
        Raises ``CannotServe`` for a graph that cannot be loaded, for an address that is not loopback if there
        is no authentication, and for an address that is not available.
        """
        expose, origins, open_to_proxied, console = await self._opening(host)
        store = store_of(self._store, self._limits.of_log())
        server = self._server(
            store,
            self._limits,
            self._tokens,
            expose,
            self._catalog(store),
            origins,
            open_to_proxied,
            console,
        )
        try:
            await server.open(host, port)
            yield server
        finally:
            await server.close()

    @contextlib.asynccontextmanager
    async def relay(self, host: str = "127.0.0.1", port: int = 8765) -> AsyncIterator["GatewayServer"]:
        """Listen as ``serve`` does, and pass everything on to the workers of the store, which is in Redis.

        The graphs are those of the workers; this gateway runs none. Raises ``CannotServe``.
        """
        url = self._shared_store("gateways")
        from graphwire_gateway.cluster.directory import Directory
        from graphwire_gateway.cluster.gateway_server import GatewayServer

        expose, origins, open_to_proxied, console = await self._opening(host)
        front = GatewayServer(
            directory=Directory(url),
            limits=self._limits,
            tokens=self._tokens,
            failures=Failures(expose),
            origins=origins,
            open_to_proxied=open_to_proxied,
            console=console,
        )
        try:
            await front.open(host, port)
            yield front
        finally:
            await front.close()

    @contextlib.asynccontextmanager
    async def work(self, host: str = "127.0.0.1", *, group: str = "") -> AsyncIterator["Worker"]:
        """Load the graphs, and run them for the gateways of the store, which is in Redis.

        ``host`` is the address of this machine where gateways reach it; they prove themselves with a secret
        that is kept in the store, over connections that are not encrypted. Workers of one ``group`` run the
        same graphs; those of another group run others, for the same gateways. Leaving the context cancels the
        runs that are left; call ``Worker.drain`` first to let them end. Raises ``CannotServe`` for a graph
        that cannot be loaded, and for a store that is not in Redis, or that a server has alone.
        """
        url = self._shared_store("workers")
        from graphwire_gateway.cluster.directory import Directory
        from graphwire_gateway.cluster.groups import check_group
        from graphwire_gateway.cluster.worker import Worker, home_limits

        check_group(group)
        beside = store_of(self._store, self._limits.of_log())  # never opened: savers use its server
        catalog = self._catalog(beside)
        limits = home_limits(self._limits)

        def make_home(store: Store, tokens: Tokens, part: Part) -> Server:
            nobody = Origins([], loopback=False)
            return self._server(store, limits, tokens, bool(self._expose_errors), catalog, nobody, part=part)

        worker = Worker(
            url,
            Directory(url),
            catalog,
            self._limits,
            make_home,
            group=group,
            shares_threads=self._shared_threads,
        )
        try:
            await worker.open(host)
            yield worker
        finally:
            await worker.close()
            await beside.aclose()

    def _shared_store(self, who: str) -> str:
        if isinstance(self._store, str) and is_shared(self._store):
            needs_redis()
            return self._store
        store_of(self._store, self._limits.of_log())  # which refuses what is no store at all
        kept = self._store if isinstance(self._store, str) else type(self._store).__name__
        raise CannotServe(
            f"{who} share a store in Redis, and this one is {kept}: name one, as in --store "
            "redis://localhost:6379/0. With any other, one process does all (graphwire serve)"
        )

    async def _opening(self, host: str) -> "_Opening":
        """Check who may connect. Raises ``CannotServe``."""
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
        console = await asyncio.to_thread(console_files) if self._console else None
        return _Opening(expose, origins, proxied if loopback else (), console)

    def _catalog(self, store: Store) -> Catalog:
        saver = saver_for(self._checkpointer, store)
        return Catalog(self._specs, Savers(saver, self._graph_store, self._thread_limits))

    def _server(
        self,
        store: Store,
        limits: Limits,
        tokens: Tokens,
        expose: bool,
        catalog: Catalog,
        origins: Origins,
        open_to_proxied: Sequence[str] = (),
        console: ConsoleFiles | None = None,
        part: Part | None = None,
    ) -> Server:
        return Server(
            store=store,
            limits=limits,
            tokens=tokens,
            failures=Failures(expose),
            catalog=catalog,
            origins=origins,
            shared_threads=self._shared_threads,
            encoders=self._encoders,
            open_to_proxied=open_to_proxied,
            console=console,
            part=part,
        )


def _tokens(tokens: Mapping[str, str] | None, auth: Any, ignore_authorization: bool) -> Tokens:
    if auth is None:
        check_tokens(tokens or {})
        return Tokens(tokens)
    if tokens:
        raise CannotServe("tokens and auth are both given; only one of them can authenticate clients")
    found, source = resolve("auth", auth)
    return Authenticated(found, source, ignore_authorization=ignore_authorization)
