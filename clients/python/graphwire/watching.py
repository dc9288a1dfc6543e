"""Watching: the states of all of a user's runs or threads that match, and every change of them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, cast, overload

from graphwire_protocol.commands import Watch
from graphwire_protocol.replies import RunRow, ThreadRow
from graphwire_protocol.types import Status

from graphwire.arguments import checked, projected
from graphwire.blocking import needs_event_loop
from graphwire.requests import Requests
from graphwire.rows import RunGone, ThreadGone, WatchSynced
from graphwire.thread_watch_queue import ThreadWatchQueue


class Watching(Requests):
    """The part of a client that watches runs and threads."""

    @overload
    def watch(
        self,
        *,
        graphs: Sequence[str] | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: bool = False,
        synced: Literal[False] = False,
    ) -> AsyncIterator[RunRow | RunGone]: ...

    @overload
    def watch(
        self,
        *,
        graphs: Sequence[str] | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: bool = False,
        synced: Literal[True],
    ) -> AsyncIterator[RunRow | RunGone | WatchSynced]: ...

    @needs_event_loop
    async def watch(
        self,
        *,
        graphs: Sequence[str] | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        progress: bool = False,
        synced: bool = False,
    ) -> AsyncIterator[RunRow | RunGone | WatchSynced]:
        """Iterate without end over this user's matching runs: first their present states, newest first, then
        every change, including the one after which a run no longer matches.

            async for row in client.watch(graphs=["joke"]):
                if row.status == "gone":
                    board.pop(row.run, None)
                else:
                    board[row.run] = row

        A run that is no longer there, because it was deleted or its time was over, is yielded as a
        ``RunGone``. After a reconnect the present states are yielded again, and a ``RunGone`` for each run
        that was shown before and does not match now.

        Args:
            graphs: only runs of these graphs.
            thread: only runs of this thread.
            status: only runs with one of these statuses.
            metadata: only runs whose metadata contains this.
            progress: yield a row also when a run's log has grown (``row.head``), at most once a second for
                each run. Servers of protocol 1.0 do not know it.
            synced: yield a ``WatchSynced`` when the present states are complete, after the start and after
                each reconnect. It says how many runs the server left out.

        Watching does not keep a run alive.
        """
        fields: dict[str, Any] = {
            "graphs": None if graphs is None else tuple(graphs),
            "thread": thread,
            "status": None if status is None else tuple(status),
            "metadata": None if metadata is None else projected(dict(metadata), "metadata"),
            "progress": progress or None,
        }
        checked(Watch, {"id": 0, "sub": 0, **fields})
        queue = await self._exchange.watch(
            lambda id, sub: Watch(id=id, sub=sub, **fields), statuses=fields["status"]
        )
        try:
            while True:
                item = cast("RunRow | RunGone | WatchSynced", await queue.take())
                if synced or not isinstance(item, WatchSynced):
                    yield item
        finally:
            self._exchange.leave(queue)

    @overload
    def watch_threads(
        self,
        *,
        graphs: Sequence[str] | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        search: str | None = None,
        synced: Literal[False] = False,
    ) -> AsyncIterator[ThreadRow | ThreadGone]: ...

    @overload
    def watch_threads(
        self,
        *,
        graphs: Sequence[str] | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        search: str | None = None,
        synced: Literal[True],
    ) -> AsyncIterator[ThreadRow | ThreadGone | WatchSynced]: ...

    @needs_event_loop
    async def watch_threads(
        self,
        *,
        graphs: Sequence[str] | None = None,
        thread: str | None = None,
        status: Sequence[Status] | None = None,
        metadata: Mapping[str, Any] | None = None,
        search: str | None = None,
        synced: bool = False,
    ) -> AsyncIterator[ThreadRow | ThreadGone | WatchSynced]:
        """Iterate without end over this user's matching threads: first their present rows, newest first, then
        every change of a row: a new run, a status, a question, metadata; and the change after which a thread
        no longer matches.

            async for row in client.watch_threads(graphs=["chat"]):
                if row.status == "gone":
                    sidebar.pop(row.thread, None)
                else:
                    sidebar[row.thread] = row

        A thread that is no longer there is yielded as a ``ThreadGone``. After a reconnect the present rows
        are yielded again, and a ``ThreadGone`` for each thread that was shown before and does not match now.

        Args:
            graphs: only threads of these graphs.
            thread: only this thread.
            status: only threads with one of these statuses.
            metadata: only threads whose metadata contains this.
            search: only threads whose title, ``metadata["title"]``, contains this text, whatever its case.
            synced: yield a ``WatchSynced`` when the present rows are complete, after the start and after each
                reconnect.

        Raises ``Refused`` with code ``unsupported`` if the server does not know threads as objects.
        """
        fields: dict[str, Any] = {
            "what": "threads",
            "graphs": None if graphs is None else tuple(graphs),
            "thread": thread,
            "status": None if status is None else tuple(status),
            "metadata": None if metadata is None else projected(dict(metadata), "metadata"),
            "search": search,
        }
        asked = checked(Watch, {"id": 0, "sub": 0, **fields})
        self._require_threads("watch_threads()")
        queue = await self._exchange.watch_into(
            lambda id, sub: Watch(id=id, sub=sub, **fields), lambda sub: ThreadWatchQueue(sub, asked)
        )
        try:
            while True:
                item = cast("ThreadRow | ThreadGone | WatchSynced", await queue.take())
                if synced or not isinstance(item, WatchSynced):
                    yield item
        finally:
            self._exchange.leave(queue)
