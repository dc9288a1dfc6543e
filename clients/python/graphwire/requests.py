"""Requests with one reply each: lists, threads and their states, deletions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeVar

from graphwire_protocol.commands import Delete, List, Request, State, StateHistory, StateUpdate, ThreadUpdate
from graphwire_protocol.replies import GraphRow, Ok, RunRow, ThreadRow
from graphwire_protocol.types import Status

from graphwire.arguments import checked, projected
from graphwire.blocking import LoopThread, needs_event_loop, require_elsewhere
from graphwire.errors import Refused
from graphwire.events import restored
from graphwire.exchange import Exchange
from graphwire.rows import restored_row
from graphwire.state import StateSnapshot, snapshot_of
from graphwire.state_update import state_update

T = TypeVar("T")

_PAGE = 100


class Requests:
    """The part of a client that sends one request and returns its reply, or a list page by page."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._thread: LoopThread | None = None  # of a client that was entered by ``with``

    @property
    def url(self) -> str:
        """The server's address."""
        return self._exchange.url

    def _loop_for_waiting(self) -> asyncio.AbstractEventLoop:
        """Return the loop that this client lives on, for code that may wait for it.

        Raises ``RuntimeError`` on that loop, and when it does not run.
        """
        require_elsewhere(self._exchange.loop)
        return self._exchange.loop

    # ── lists ────────────────────────────────────────────────────────────────────────────────────

    @needs_event_loop
    async def graphs(self) -> list[GraphRow]:
        """Return the graphs that the server offers this user."""
        rows: list[GraphRow] = []
        async for page in self._pages({"what": "graphs"}):
            rows.extend(page.graphs or ())
        return rows

    @needs_event_loop
    async def runs(
        self,
        *,
        graph: str | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[RunRow]:
        """Iterate over this user's runs, newest first, at most ``limit``. Pages are requested as needed.

        Only runs of this ``graph`` and ``thread``, with one of these ``status`` values, whose metadata
        contains ``metadata``.
        """
        fields: dict[str, Any] = {"what": "runs", "graph": graph, "thread": thread}
        fields["status"] = None if status is None else tuple(status)
        fields["metadata"] = None if metadata is None else projected(dict(metadata), "metadata")
        async for row in self._rows(fields, limit, lambda page: page.runs):
            yield restored_row(row)

    async def waiting_run(self, graph: str, thread: str) -> str | None:
        """Return the id of the run that waits for answers on a thread; ``None`` if the server knows none."""
        rows = [row async for row in self.runs(graph=graph, thread=thread, status=["interrupted"], limit=1)]
        return rows[0].run if rows else None

    # ── threads ──────────────────────────────────────────────────────────────────────────────────

    @needs_event_loop
    async def state(
        self,
        graph: str,
        thread: str,
        *,
        checkpoint: str | None = None,
        ns: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        subgraphs: bool = False,
    ) -> StateSnapshot:
        """Return a thread's state at its latest checkpoint, or at ``checkpoint``.

        ``ns`` is the path of a subgraph, as in events. ``keys`` selects from the values. With ``subgraphs``,
        tasks hold the states of interrupted subgraphs. A thread that was never written has no values and an
        empty ``next``.

        Raises ``Refused`` with code ``not_found`` for an unknown graph or checkpoint, ``invalid_argument``
        for a graph without a checkpointer, ``too_large`` for a state larger than the server's
        ``max_event_bytes``: ask for some of its ``keys`` then.
        """
        fields = _thread_fields(graph, thread, checkpoint, ns)
        fields |= {"keys": None if keys is None else tuple(keys), "subgraphs": subgraphs}
        checked(State, {"id": 0, **fields})
        return snapshot_of(await self._ok(lambda id: State(id=id, **fields)))

    @needs_event_loop
    async def state_history(
        self,
        graph: str,
        thread: str,
        *,
        checkpoint: str | None = None,
        ns: Sequence[str] | None = None,
        keys: Sequence[str] | None = None,
        before: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """Iterate over a thread's states, newest first, at most ``limit``. Pages are requested as needed.

        With ``before``, a checkpoint id, only earlier states; with ``metadata``, only states whose metadata
        contains it. Of a state larger than the server's ``max_event_bytes`` the largest values are ``Cut``.
        The other arguments and the errors are those of ``state()``.
        """
        fields = _thread_fields(graph, thread, checkpoint, ns)
        fields["keys"] = None if keys is None else tuple(keys)
        fields["metadata"] = None if metadata is None else projected(dict(metadata), "metadata")
        left = limit
        while left is None or left > 0:
            fields["limit"] = size = _PAGE if left is None else min(left, _PAGE)
            fields["before"] = before
            page = checked(StateHistory, {"id": 0, **fields})
            reply = await self._ok(lambda id, page=page: page.model_copy(update={"id": id}))  # type: ignore[misc]
            states = reply.states or ()
            for state in states:
                snapshot = snapshot_of(state)
                before = snapshot.checkpoint
                yield snapshot
            # A server of 1.0 gives no cursor, and only whole pages have another one behind them.
            before = reply.cursor or (before if len(states) == size else None)
            if before is None:
                return
            left = None if left is None else left - len(states)

    @needs_event_loop
    async def update_state(
        self,
        graph: str,
        thread: str,
        values: Any,
        *,
        as_node: str | None = None,
        task: str | None = None,
        checkpoint: str | None = None,
        ns: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Write ``values`` into a thread's state as a node would; return the new checkpoint's ``config``.

        The update counts as written by ``as_node``, by default the node that wrote last. With ``checkpoint``
        the history branches there; a run with the new checkpoint continues on that branch.

        Raises ``Refused`` with code ``busy`` while a run writes to the thread, ``invalid_argument`` for an
        update that the graph does not accept, ``unavailable`` if the connection was lost before the reply
        (the update may have been written, and is not sent again), and like ``state()``.
        """
        fields = _thread_fields(graph, thread, checkpoint, ns)
        fields |= {"values": projected(state_update(values), "values"), "as_node": as_node, "task": task}
        checked(StateUpdate, {"id": 0, **fields})
        reply = await self._ok(lambda id: StateUpdate(id=id, **fields))
        config: dict[str, Any] = restored(reply.config or {})
        return config

    @needs_event_loop
    async def threads(
        self,
        *,
        graph: str | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        search: str | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[ThreadRow]:
        """Iterate over this user's threads, the last to change first, at most ``limit``.

        Only threads of this ``graph``, with one of these ``status`` values, whose metadata contains
        ``metadata``, and whose title, ``metadata["title"]``, contains the text ``search``, whatever its case.
        The last two raise ``Refused`` with code ``unsupported`` if the server does not know them.
        """
        fields: dict[str, Any] = {"what": "threads", "graph": graph, "thread": thread, "search": search}
        fields["status"] = None if status is None else tuple(status)
        fields["metadata"] = None if metadata is None else projected(dict(metadata), "metadata")
        if metadata is not None or search is not None:
            self._require_threads("threads(metadata=, search=)")
        async for row in self._rows(fields, limit, lambda page: page.threads):
            yield restored_row(row)

    @needs_event_loop
    async def thread(self, graph: str, thread: str) -> ThreadRow | None:
        """Return the row of one thread: its status, its latest run, what it asks, its metadata.

        ``None`` if the server does not know the thread: it has no run, no checkpoint and no metadata.
        """
        rows = [row async for row in self.threads(graph=graph, thread=thread, limit=1)]
        return rows[0] if rows else None

    @needs_event_loop
    async def update_thread(self, graph: str, thread: str, metadata: Mapping[str, Any]) -> ThreadRow:
        """Set keys of a thread's metadata, such as its ``title``; return its row.

        Other keys stay as they are; ``None`` removes a key. Of two clients that set the same key, the later
        wins. The thread may be in use, or not exist yet: then it does from here on, without a run. Metadata
        lives as long as the thread does, but no longer than the server's process.

        Raises ``Refused`` with code ``limit_exceeded`` for more metadata than the server keeps
        (``max_metadata_bytes``, ``store_bytes``), ``busy`` while the thread is being deleted, ``unsupported``
        if the server does not know threads as objects, and like ``state()``.
        """
        fields = {"graph": graph, "thread": thread, "metadata": projected(dict(metadata), "metadata")}
        checked(ThreadUpdate, {"id": 0, **fields})
        self._require_threads("update_thread()")
        reply = await self._ok(lambda id: ThreadUpdate(id=id, **fields))
        assert reply.thread is not None
        return restored_row(reply.thread)

    def _require_threads(self, what: str) -> None:
        """Check that the server knows threads as objects. Raises ``Refused(unsupported)``."""
        welcome = self._exchange.welcome
        if welcome is not None and "threads" not in welcome.features:
            server = f"{welcome.server.name} {welcome.server.version}"
            message = f"{what} needs a server with the feature 'threads', which {server} does not have"
            raise Refused("unsupported", message)

    @needs_event_loop
    async def delete(
        self, *, run: str | None = None, graph: str | None = None, thread: str | None = None
    ) -> None:
        """Delete a ``run``, or a ``thread`` of a ``graph`` with all its runs, checkpoints and metadata.

        Raises ``Refused`` with code ``conflict`` while a run is running or queued, ``not_found`` if there is
        no such run or thread.
        """
        fields: dict[str, Any] = {"run": run, "graph": graph, "thread": thread}
        checked(Delete, {"id": 0, **fields})
        await self._ok(lambda id: Delete(id=id, **fields))

    # ── sending ───────────────────────────────────────────────────────────────────────────────────

    async def _ok(self, make: Callable[[int], Request]) -> Ok:
        reply = await self._exchange.ask(make)
        assert isinstance(reply, Ok)
        return reply

    async def _rows(
        self, fields: dict[str, Any], limit: int | None, rows_of: Callable[[Ok], tuple[T, ...] | None]
    ) -> AsyncIterator[T]:
        left = limit
        async for page in self._pages(fields, limit):
            rows = rows_of(page) or ()
            for row in rows[:left]:
                yield row
            left = None if left is None else left - len(rows)
            if left is not None and left <= 0:
                return

    async def _pages(self, fields: dict[str, Any], limit: int | None = None) -> AsyncIterator[Ok]:
        size = _PAGE if limit is None else max(1, min(limit, _PAGE))
        fields = {**fields, "limit": size}
        checked(List, {"id": 0, **fields})
        cursor: str | None = None
        while True:
            page = {**fields, "cursor": cursor}
            reply = await self._ok(lambda id, page=page: List(id=id, **page))  # type: ignore[misc]
            yield reply
            cursor = reply.cursor
            if cursor is None:
                return


def _thread_fields(
    graph: str, thread: str, checkpoint: str | None, ns: Sequence[str] | None
) -> dict[str, Any]:
    if isinstance(ns, str):
        raise ValueError(f"ns is a list of segments, such as [{ns!r}], not a string")
    path = None if ns is None else tuple(ns)
    return {"graph": graph, "thread": thread, "checkpoint": checkpoint, "ns": path}
