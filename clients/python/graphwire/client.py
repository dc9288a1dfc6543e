"""The client: what a user asks a server, in Python's words.

It checks and projects arguments and makes runs of the answers. The connection below it reconnects; the run
beside it is what is iterated over.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Literal

from graphwire_protocol.commands import (
    GraphCommand,
    Product,
    RecordOptions,
    RunConfig,
    RunOptions,
    Spec,
    Subscribe,
    Watch,
)
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.replies import RunRow, Started, Subscribed, Welcome
from graphwire_protocol.types import Mode, Status

from graphwire.arguments import Start, checked, filter_of, position_of, projected
from graphwire.backoff import Backoff
from graphwire.blocking import LoopThread, awaited, require_elsewhere, wait
from graphwire.connection import Connection, Token
from graphwire.connection import State as ConnectionState
from graphwire.errors import Refused
from graphwire.feed import Known
from graphwire.graph import IfBusy, RemoteGraph
from graphwire.langgraph_arguments import command_of, is_command
from graphwire.requests import Requests
from graphwire.run import Run, Values
from graphwire.transport import Open, open_websocket

DEFAULT_URL = "ws://127.0.0.1:8765/ws"
DEFAULT_MODES: tuple[Mode, ...] = ("updates", "messages", "custom")
"""What a viewer most often wants: each step's update, tokens, and what the graph's writers say."""


def connect(
    url: str = DEFAULT_URL,
    *,
    token: Token = None,
    window: int = 256,
    backoff: Backoff | None = None,
    open_timeout: float = 10.0,
    on_state: Callable[[ConnectionState], object] | None = None,
    open: Open = open_websocket,
) -> "Client":
    """Return a client for the server at ``url``; ``async with`` connects it.

    Code without an event loop enters it by ``with``, for the blocking methods of ``client.graph(name)``: the
    client then has a loop of its own, in a thread that ends with the block.

    ``token`` identifies the user: a string, or a callable (plain or async) that returns a fresh one, asked
    before each connection. ``window`` is how many events of one run may wait for their reader; then the
    server holds back. ``open_timeout`` bounds, in seconds, the way from the first byte to the server's
    welcome. ``on_state`` is called with each new ``connection_state``. ``open`` opens a transport, for tests.
    """
    return Client(url, token, window, backoff or Backoff(), open_timeout, on_state, open)


class Client(Requests):
    """One connection to a server, shared by any number of runs; made by ``connect()``.

    A connection that is lost is made again, and every run goes on where it was. All methods raise ``Refused``
    for what the server turns down, and ``ConnectionClosed`` once the connection is over for good.
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
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1 event, not {window}")
        product = Product(name="graphwire-python", version=_version())
        self._connection = Connection(url, token, product, backoff, open_timeout, on_state, open)
        self._window = window
        self._thread: LoopThread | None = None

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    @property
    def connection_state(self) -> ConnectionState:
        """``connecting``, ``connected``, ``waiting`` (for the next attempt) or ``closed``."""
        return self._connection.state

    @property
    def server(self) -> Welcome | None:
        """What the server last said of itself: version, limits, principal; ``None`` before the first time."""
        return self._connection.welcome

    async def open(self) -> None:
        """Connect, as ``async with`` does. Raises ``CannotConnect`` or ``Unauthenticated``."""
        await self._connection.open()

    async def close(self) -> None:
        """Close the connection. Runs go on in the server unless they were started to be cancelled then."""
        await self._connection.close()

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
        loop = self._thread.start()
        try:
            wait(loop, self.open())
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
        try:
            wait(self._connection.loop, self.close())
        finally:
            self._thread.stop()

    def _loop_for_waiting(self) -> asyncio.AbstractEventLoop:
        """Return the loop that this client lives on, for code that may wait for it."""
        loop = self._connection.loop
        require_elsewhere(loop)
        return loop

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

    @awaited
    async def run(
        self,
        graph: str,
        input: Any = None,
        *,
        modes: Sequence[Mode] = DEFAULT_MODES,
        namespaces: Sequence[Sequence[str]] | None = None,
        nodes: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        exclude: Mapping[str, Any] | None = None,
        run: str | None = None,
        thread: str | None = None,
        checkpoint: str | None = None,
        command: Any = None,
        config: Mapping[str, Any] | None = None,
        context: Any = None,
        options: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_busy: IfBusy = "reject",
        on_disconnect: Literal["continue", "cancel"] = "continue",
        start: Start = "start",
        window: int | None = None,
        values: Values = "full",
    ) -> Run:
        """Start a run of ``graph`` and attach to its log before its first event.

        The filter: ``modes`` are LangGraph's stream modes. ``namespaces`` are paths of subgraphs, such as
        ``[["researcher"]]``; ``[["**"]]`` is everything, the default the root only. ``nodes`` and ``tags``
        are globs, ``keys`` names of the state. ``exclude`` is ``{"namespaces", "nodes", "tags"}``.

        ``run`` is the run's id; without it a new one is made. Starting an id that exists attaches to that
        run, so that a start may be repeated. ``thread`` is the conversation to go on with. ``config`` takes
        LangGraph's ``tags``, ``metadata``, ``configurable``, ``recursion_limit``, ``max_concurrency`` and
        ``run_name``; ``options`` its ``interrupt_before``, ``interrupt_after``, ``output_keys`` and
        ``durability``. A ``Command`` may be the ``input``, or the ``command``, which may also be a dict of
        its ``resume``, ``update`` and ``goto``. ``record`` keeps more than the filter asks for in the log,
        ``{"modes", "subgraphs"}``, for viewers that come later. ``metadata`` is found again in lists of runs.
        ``on_disconnect="cancel"`` stops the run when this client has gone for good. With ``values="patch"``
        states travel as what changed in them; you see whole ones all the same, and pay with a little time
        for the bytes.

        Input, context, config and command may hold what JSON has not: datetimes, sets, bytes, messages.
        Raises ``TypeError`` for what cannot travel, ``ValueError`` for a malformed filter or option.
        """
        id = run or f"run-{uuid.uuid4().hex}"
        filter = filter_of(modes, namespaces, nodes, tags, keys, exclude)
        position = position_of(start)
        window = window or self._window
        fields: dict[str, Any] = {
            "graph": graph,
            "run": id,
            "thread": thread,
            "checkpoint": checkpoint,
            "if_busy": if_busy,
            "on_disconnect": on_disconnect,
        }
        if is_command(input):
            if command is not None:
                raise ValueError("the input is a Command, and command= is given too; give one of them")
            input, command = None, input
        if input is not None:
            fields["input"] = projected(input, "input")
        if context is not None:
            fields["context"] = projected(context, "context")
        if metadata is not None:
            fields["metadata"] = projected(dict(metadata), "metadata")
        if command is not None:
            fields["command"] = checked(GraphCommand, projected(command_of(command), "command"), "command")
        if config is not None:
            fields["config"] = checked(RunConfig, projected(dict(config), "config"), "config")
        if options is not None:
            fields["options"] = checked(RunOptions, dict(options), "options")
        if record is not None:
            fields["record"] = checked(RecordOptions, dict(record), "record")
        checked(RunCommand, {"id": 0, **fields})

        def make(id: int, sub: int) -> RunCommand:
            spec = Spec(sub=sub, filter=filter, from_=position, credit=window, values=values)
            return RunCommand(id=id, subscribe=(spec,), **fields)

        known = Known()
        reply, feed = await self._connection.subscribe(make, window, known)
        assert isinstance(reply, Started)
        if known.status is None:
            known.status = reply.status
        out = Run(self._connection, id, graph, filter, position, window, known, values)
        out.thread, out.created = reply.thread, reply.created
        out._feed = feed
        return out

    @awaited
    async def attach(
        self,
        run: str,
        *,
        modes: Sequence[Mode] | None = None,
        namespaces: Sequence[Sequence[str]] | None = None,
        nodes: Sequence[str] | None = None,
        tags: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        exclude: Mapping[str, Any] | None = None,
        start: Start = "start",
        window: int | None = None,
        values: Values = "full",
    ) -> Run:
        """Attach to a run that exists, with a filter as in ``run()``.

        ``start`` is ``"start"`` for the whole log, ``"snapshot"`` for its present state and what follows,
        ``"now"`` for what follows only, or the ``(epoch, position)`` of a run that was viewed before. Without
        ``modes``, those of ``run()`` that the run records.
        """
        position = position_of(start)
        window = window or self._window
        known = Known()

        async def subscribe(modes: Sequence[Mode]) -> Run:
            filter = filter_of(modes, namespaces, nodes, tags, keys, exclude)

            def make(id: int, sub: int) -> Subscribe:
                return Subscribe(
                    id=id,
                    sub=sub,
                    run=run,
                    filter=filter,
                    from_=position,
                    credit=window,
                    values=values,
                )

            checked(Subscribe, {"id": 0, "sub": 0, "run": run, "filter": filter})
            reply, feed = await self._connection.subscribe(make, window, known)
            assert isinstance(reply, Subscribed)
            out = Run(self._connection, run, None, filter, position, window, known, values)
            out._feed = feed
            return out

        if modes is not None:
            return await subscribe(modes)
        try:
            return await subscribe(DEFAULT_MODES)
        except Refused as refused:
            match refused:
                case Refused(code="unsupported", details={"recorded": {"modes": list(recorded)}}):
                    pass
                case _:
                    raise
        return await subscribe([mode for mode in DEFAULT_MODES if mode in recorded] or ["lifecycle"])

    @awaited
    async def watch(
        self,
        *,
        graphs: Sequence[str] | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[RunRow]:
        """Iterate for ever over the states of this user's runs that match: first those that are, newest
        first, then every change, also the one by which a run stops matching.

        Watching keeps no run alive. After a reconnect the present states come again.
        """
        fields: dict[str, Any] = {
            "graphs": None if graphs is None else tuple(graphs),
            "thread": thread,
            "status": None if status is None else tuple(status),
            "metadata": None if metadata is None else projected(dict(metadata), "metadata"),
        }
        checked(Watch, {"id": 0, "sub": 0, **fields})
        feed = await self._connection.watch(lambda id, sub: Watch(id=id, sub=sub, **fields))
        try:
            while True:
                yield await feed.take()
        finally:
            self._connection.leave(feed)

    # ── stand-ins ────────────────────────────────────────────────────────────────────────────────

    def graph(self, name: str, *, if_busy: IfBusy = "reject") -> RemoteGraph:
        """Return a stand-in for the graph ``name``, with LangGraph's methods.

        ``if_busy`` is what its runs do on a thread that has one: ``reject`` raises ``Refused`` with code
        ``busy``, ``enqueue`` waits for its end, ``interrupt`` takes over. Raises ``ValueError`` for another.
        """
        return RemoteGraph(self, name, if_busy)


def _version() -> str:
    try:
        return version("graphwire")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"
