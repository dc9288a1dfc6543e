"""The client: what a user asks a server, in Python's words.

It checks and projects arguments and makes runs of the answers. The connection below it reconnects; the run
beside it is what is iterated over.
"""

import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from types import TracebackType
from typing import Any, Literal, TypeVar

import orjson
from graphwire_protocol.base import Wire
from graphwire_protocol.commands import (
    From,
    GraphCommand,
    List,
    Position,
    Product,
    Record,
    RunConfig,
    RunOptions,
    Spec,
    Subscribe,
    Watch,
)
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.filters import Filter
from graphwire_protocol.projection import Projector, TagError, restore
from graphwire_protocol.replies import GraphRow, Ok, RunRow, Started, Subscribed, Welcome
from graphwire_protocol.types import Mode, Status
from pydantic import ValidationError

from graphwire.backoff import Backoff
from graphwire.connection import Connection, State, Token
from graphwire.errors import Refused
from graphwire.feed import Known
from graphwire.graph import RemoteGraph
from graphwire.run import Run, Start, Values
from graphwire.transport import Open, open_websocket

DEFAULT_URL = "ws://127.0.0.1:8765/ws"
DEFAULT_MODES: tuple[Mode, ...] = ("updates", "messages", "custom")
"""What a viewer most often wants: each step's update, tokens, and what the graph's writers say."""

_PAGE = 100
_PROJECTOR = Projector()
W = TypeVar("W", bound=Wire)


def connect(
    url: str = DEFAULT_URL,
    *,
    token: Token = None,
    window: int = 256,
    backoff: Backoff | None = None,
    open_timeout: float = 10.0,
    on_state: Callable[[State], object] | None = None,
    open: Open = open_websocket,
) -> "Client":
    """Return a client for the server at ``url``; ``async with`` connects it.

    ``token`` identifies the user: a string, or a callable (plain or async) that returns a fresh one, asked
    before each connection. ``window`` is how many events of one run may wait for their reader; then the
    server holds back. ``open_timeout`` bounds, in seconds, the way from the first byte to the server's
    welcome. ``on_state`` is called with each new ``state``. ``open`` opens a transport, for tests.
    """
    return Client(url, token, window, backoff or Backoff(), open_timeout, on_state, open)


class Client:
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
        on_state: Callable[[State], object] | None,
        open: Open,
    ) -> None:
        if window < 1:
            raise ValueError(f"window must be at least 1 event, not {window}")
        product = Product(name="graphwire-python", version=_version())
        self._connection = Connection(url, token, product, backoff, open_timeout, on_state, open)
        self._window = window

    @property
    def url(self) -> str:
        """The server's address."""
        return self._connection.url

    @property
    def state(self) -> State:
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

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

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
        command: Mapping[str, Any] | None = None,
        config: Mapping[str, Any] | None = None,
        context: Any = None,
        options: Mapping[str, Any] | None = None,
        record: Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        if_busy: Literal["reject", "enqueue", "interrupt"] = "reject",
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
        ``durability``; ``command`` its ``resume``, ``update`` and ``goto``, instead of ``input``. ``record``
        keeps more than the filter asks for in the log, ``{"modes", "subgraphs"}``, for viewers that come
        later. ``metadata`` is found again in lists of runs. ``on_disconnect="cancel"`` stops the run when
        this client has gone for good. With ``values="patch"`` states travel as what changed in them; you see
        whole ones all the same, and pay with a little time for the bytes.

        Input, context, config and command may hold what JSON has not: datetimes, sets, bytes, messages.
        Raises ``TypeError`` for what cannot travel, ``ValueError`` for a malformed filter or option.
        """
        id = run or f"run-{uuid.uuid4().hex}"
        filter = _filter(modes, namespaces, nodes, tags, keys, exclude)
        position = _position(start)
        window = window or self._window
        fields: dict[str, Any] = {
            "graph": graph,
            "run": id,
            "thread": thread,
            "checkpoint": checkpoint,
            "if_busy": if_busy,
            "on_disconnect": on_disconnect,
        }
        if input is not None:
            fields["input"] = _projected(input, "input")
        if context is not None:
            fields["context"] = _projected(context, "context")
        if metadata is not None:
            fields["metadata"] = _projected(dict(metadata), "metadata")
        if command is not None:
            fields["command"] = _checked(GraphCommand, _projected(dict(command), "command"), "command")
        if config is not None:
            fields["config"] = _checked(RunConfig, _projected(dict(config), "config"), "config")
        if options is not None:
            fields["options"] = _checked(RunOptions, dict(options), "options")
        if record is not None:
            fields["record"] = _checked(Record, dict(record), "record")
        _checked(RunCommand, {"id": 0, **fields}, "")

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
        position = _position(start)
        window = window or self._window
        known = Known()

        async def subscribe(modes: Sequence[Mode]) -> Run:
            filter = _filter(modes, namespaces, nodes, tags, keys, exclude)

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

            _checked(Subscribe, {"id": 0, "sub": 0, "run": run, "filter": filter}, "")
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

    # ── lists ────────────────────────────────────────────────────────────────────────────────────

    async def graphs(self) -> list[GraphRow]:
        """Return the graphs that the server offers to this user."""
        rows: list[GraphRow] = []
        async for page in self._pages({"what": "graphs"}):
            rows.extend(page.graphs or ())
        return rows

    async def runs(
        self,
        *,
        graph: str | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[RunRow]:
        """Iterate over this user's runs, newest first, at most ``limit``; pages are asked for as needed."""
        fields: dict[str, Any] = {"what": "runs", "graph": graph, "thread": thread}
        fields["status"] = None if status is None else tuple(status)
        fields["metadata"] = None if metadata is None else _projected(dict(metadata), "metadata")
        left = limit
        async for page in self._pages(fields, limit):
            for row in page.runs or ():
                if left == 0:
                    return
                left = None if left is None else left - 1
                yield row
            if left == 0:
                return

    async def watch(
        self,
        *,
        graphs: Sequence[str] | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[RunRow]:
        """Iterate for ever over the states of this user's runs that match: first those that are, newest
        first, then every change, also the one by which a run stops matching.

        Watching keeps no run alive. After a reconnect the present states come again.
        """
        fields: dict[str, Any] = {
            "graphs": None if graphs is None else tuple(graphs),
            "status": None if status is None else tuple(status),
            "metadata": None if metadata is None else _projected(dict(metadata), "metadata"),
        }
        _checked(Watch, {"id": 0, "sub": 0, **fields}, "")
        feed = await self._connection.watch(lambda id, sub: Watch(id=id, sub=sub, **fields))
        try:
            while True:
                yield await feed.take()
        finally:
            self._connection.leave(feed)

    async def _pages(self, fields: dict[str, Any], limit: int | None = None) -> AsyncIterator[Ok]:
        size = _PAGE if limit is None else max(1, min(limit, _PAGE))
        fields = {**fields, "limit": size}
        _checked(List, {"id": 0, **fields}, "")
        cursor: str | None = None
        while True:
            asked = {**fields, "cursor": cursor}
            reply = await self._connection.ask(lambda id, asked=asked: List(id=id, **asked))  # type: ignore[misc]
            assert isinstance(reply, Ok)
            yield reply
            cursor = reply.cursor
            if cursor is None:
                return

    # ── stand-ins ────────────────────────────────────────────────────────────────────────────────

    def graph(self, name: str) -> RemoteGraph:
        """Return a stand-in for the graph ``name`` with LangGraph's ``astream`` and ``ainvoke``."""
        return RemoteGraph(self, name)


def _version() -> str:
    try:
        return version("graphwire")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"


def _projected(value: Any, name: str) -> Any:
    """Return ``value`` as the wire's JSON. Raises ``TypeError`` for what a graph could not be given."""
    plain = orjson.loads(_PROJECTOR.dumps(value))
    try:
        restore(plain, inbound=True, path=name)
    except TagError as error:
        raise TypeError(
            f"{error.path or name} cannot be sent to a server: it holds an object that JSON has no form for, "
            "a cycle, or too deep a nesting"
        ) from None
    return plain


def _checked(model: type[W], fields: dict[str, Any], name: str) -> W:
    try:
        return model(**fields)
    except ValidationError as error:
        raise ValueError(_sentence(error, name)) from None


def _sentence(error: ValidationError, name: str) -> str:
    fault = error.errors(include_url=False, include_input=False)[0]
    parts = [str(part) for part in fault["loc"]]
    return f"{'.'.join([name, *parts]) if name else '.'.join(parts)}: {fault['msg']}"


def _filter(
    modes: Sequence[Mode],
    namespaces: Sequence[Sequence[str]] | None,
    nodes: Sequence[str] | None,
    tags: Sequence[str] | None,
    keys: Sequence[str] | None,
    exclude: Mapping[str, Any] | None,
) -> Filter:
    given = {"modes": modes, "nodes": nodes, "tags": tags, "keys": keys, "namespaces": namespaces}
    for name, value in given.items():
        if isinstance(value, str):
            raise ValueError(f"{name} is a list, such as {name}=[{value!r}], not a string")
    for pattern in namespaces or ():
        if isinstance(pattern, str):
            raise ValueError(f"each of namespaces is a list of segments, such as [{pattern!r}], not a string")
    fields = {name: value for name, value in given.items() if value is not None}
    if exclude is not None:
        fields["exclude"] = dict(exclude)  # type: ignore[assignment]
    return _checked(Filter, fields, "filter")


def _position(start: Start) -> From:
    if isinstance(start, str):
        if start not in ("start", "now", "snapshot"):
            raise ValueError(f'start is "start", "now", "snapshot" or (epoch, seq), not {start!r}')
        return start  # type: ignore[return-value]
    epoch, seq = start
    return _checked(Position, {"epoch": epoch, "seq": seq}, "start")
