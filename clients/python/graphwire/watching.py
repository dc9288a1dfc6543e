"""Watching: the states of all of a user's runs that match, and every change of them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, overload

from graphwire_protocol.commands import Watch
from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import Status

from graphwire.arguments import checked, projected
from graphwire.blocking import needs_event_loop
from graphwire.requests import Requests
from graphwire.rows import RunGone, WatchSynced


class Watching(Requests):
    """The part of a client that watches runs."""

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
                item = await queue.take()
                if synced or not isinstance(item, WatchSynced):
                    yield item
        finally:
            self._exchange.leave(queue)
