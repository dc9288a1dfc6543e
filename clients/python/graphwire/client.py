"""``connect()`` and ``Client``: opening, closing, and what a client is made of.

``Requests`` asks for one answer each, ``Watching`` watches runs, ``Streams`` opens them; ``RemoteGraph``
looks like a local graph and is made of both. The ``Exchange`` carries all of it, and the ``Reconnector``
keeps that connected.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from ssl import SSLContext
from types import TracebackType
from typing import Any

from graphwire_protocol.commands import Product, Watch
from graphwire_protocol.replies import Welcome
from graphwire_protocol.types import Mode
from graphwire_protocol.url import TOKEN_IN_URL, holds_token

from graphwire import blocking
from graphwire.arguments import IfBusy, checked, filter_of
from graphwire.backoff import Backoff
from graphwire.blocking import LoopThread, needs_event_loop, was_forked
from graphwire.exchange import Exchange
from graphwire.follow import FOLLOWED_MODES, ThreadFollower
from graphwire.graph import RemoteGraph
from graphwire.reconnector import ConnectionState, Reconnector, Token
from graphwire.streams import Streams
from graphwire.transport import Open, open_websocket

DEFAULT_URL = "ws://127.0.0.1:8765/ws"


def connect(
    url: str = DEFAULT_URL,
    *,
    token: Token = None,
    window: int = 256,
    backoff: Backoff | None = None,
    open_timeout: float = 10.0,
    on_state: Callable[[ConnectionState], object] | None = None,
    open: Open | None = None,
    headers: Mapping[str, str] | None = None,
    ssl: SSLContext | None = None,
    proxy: str | bool = True,
    wait: float = 0.0,
) -> "Client":
    """Return a client for the server at ``url``; ``async with`` connects it.

    Code without an event loop uses ``with`` instead, and the blocking methods of ``client.graph(name)``: the
    client then has a loop of its own, in a thread that ends with the block.

    One client is enough for a program: any number of tasks of its event loop may share it, each with runs of
    its own. Other threads share it by the blocking methods.

    Args:
        url: a WebSocket address, ``ws://HOST:PORT/ws`` or ``wss://``.
        token: identifies the user. A string, or a callable (plain or async) that returns a fresh token and
            is called before each connection.
        window: how many events of one run may wait for their reader, at least 1. When so many wait, the
            server stops sending.
        backoff: the waits between attempts to connect.
        open_timeout: seconds from the first byte to the server's welcome.
        on_state: called with each new ``connection_state``. What it raises is logged, and ends nothing.
        open: opens a transport; for tests.
        headers: HTTP headers of the handshake, for what stands in front of the server.
        ssl: the TLS settings of a ``wss://`` address, such as the certificates to trust.
        proxy: the URL of an HTTP or SOCKS proxy; ``False`` for none. ``True`` takes the environment's, except
            for addresses of this machine.
        wait: seconds for which a first connection that fails is tried again, for a server that is not up yet.
            What waiting cannot mend, such as a refused token, is raised at once.

    Raises ``ValueError`` for a window below 1, a negative ``wait``, ``ssl`` for another address than
    ``wss://``, and a URL that holds a token or a user.
    """
    if holds_token(url):
        raise ValueError(f"{TOKEN_IN_URL}; what a proxy in front asks for goes into headers=")
    if wait < 0:
        raise ValueError(f"wait is a number of seconds, at least 0, not {wait:g}")
    if ssl is not None and not url.lower().startswith("wss:"):
        raise ValueError(f"ssl is for a wss:// address, not for {url}")
    opener = open or functools.partial(open_websocket, headers=headers, tls=ssl, proxy=proxy)
    return Client(url, token, window, backoff or Backoff(), open_timeout, on_state, opener, wait)


class Client(Streams):
    """One connection to a server, shared by any number of runs; made by ``connect()``.

    Any number of tasks of one event loop may share it. A lost connection is made again, and every run
    continues where it was. A request that is ``rate_limited`` is sent again, for 5 s at most.

    All methods raise ``Refused`` when the server refuses a request, and ``ConnectionClosed`` once the client
    is closed for good.
    """

    def __init__(
        self,
        url: str,
        token: Token,
        window: int,
        backoff: Backoff,
        open_timeout: float,
        on_state: Callable[[ConnectionState], object] | None,
        open: Open,
        wait: float = 0.0,
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1 event, not {window}")
        product = Product(name="graphwire-python", version=installed_version() or "0")
        super().__init__(Exchange(url, product), window)
        self._reconnector = Reconnector(self._exchange, token, backoff, open_timeout, on_state, open, wait)

    @property
    def connection_state(self) -> ConnectionState:
        """``connecting``, ``connected``, ``waiting`` (for the next attempt) or ``closed``."""
        return self._reconnector.state

    @property
    def server(self) -> Welcome | None:
        """The server's latest ``welcome``: version, limits, principal; ``None`` before the first one."""
        return self._exchange.welcome

    async def open(self) -> None:
        """Connect, as ``async with`` does. Raises ``CannotConnect`` or ``Unauthenticated``."""
        await self._reconnector.open()

    async def close(self) -> None:
        """Close the connection. Runs continue unless started with ``on_disconnect="cancel"``."""
        await self._reconnector.close()

    async def __aenter__(self) -> "Client":
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __enter__(self) -> "Client":
        self._thread = LoopThread()
        try:
            blocking.wait(self._thread.start(), self.open)
        except BaseException:
            self._thread.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._thread is not None
        if was_forked(self._exchange.loop):
            return  # the connection and the thread are the parent's
        try:
            blocking.wait(self._exchange.loop, self.close)
        finally:
            self._thread.stop()

    def graph(self, name: str, *, if_busy: IfBusy = "reject") -> RemoteGraph:
        """Return the graph ``name`` with LangGraph's methods. Nothing is sent yet.

        ``if_busy`` says what its runs do on a thread that has a run already: ``reject`` raises ``Refused``
        with code ``busy``, ``enqueue`` waits for its end, ``interrupt`` cancels it and takes over. Raises
        ``ValueError`` for any other value.
        """
        return RemoteGraph(self, name, if_busy)

    @needs_event_loop
    def follow(
        self,
        graph: str,
        thread: str,
        *,
        modes: Sequence[Mode] = FOLLOWED_MODES,
        namespaces: Sequence[Sequence[str]] | None = None,
        nodes: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        exclude: Mapping[str, Any] | None = None,
        key: str = "messages",
        window: int | None = None,
    ) -> ThreadFollower:
        """Follow a thread, whoever runs it: its messages so far, the run that executes, and every later run.

            async with client.follow("chat", "ann") as follower:
                async for event in follower:
                    show(follower.messages)

        It yields the events of one run after the other, each once, between a ``FollowRun`` and the
        ``FollowMessages`` of its end. It survives reconnects and restarts of the server: what was lost with
        the process is withdrawn by a ``FollowDiscard``. Only the application ends it.

        Args:
            graph: the graph's name.
            thread: the thread's id; it need not exist yet.
            modes: as in ``run()``. A run that does not record all of them is read with those it does.
            namespaces: as in ``run()``.
            nodes: as in ``run()``.
            tags: as in ``run()``.
            exclude: as in ``run()``.
            key: the key of the state that holds the messages.
            window: as in ``run()``.

        Raises ``ValueError`` for a malformed filter or thread, and in the loop ``Refused`` with code
        ``not_found`` for an unknown graph, ``invalid_argument`` for a graph without a checkpointer.
        """
        filter = filter_of(modes, namespaces, nodes, tags, None, exclude)
        checked(Watch, {"id": 0, "sub": 0, "thread": thread, "graphs": (graph,)})
        return ThreadFollower(
            self._exchange, graph, thread, key=key, filter=filter, window=window or self._window
        )


def installed_version() -> str | None:
    """Return the version of this package; ``None`` in a source tree that is not installed."""
    try:
        return version("graphwire")
    except PackageNotFoundError:
        return None
