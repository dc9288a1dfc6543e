"""What one watch delivered and its reader has not taken yet: at most one row for a run and status.

A row that comes again, as after a reconnect, replaces the one that is still queued. Of runs that are gone,
the queue keeps the rows of the last ``MOST_GONE``, and of those before only that they are gone, if the reader
knows them. So it is bounded by the runs that match, and by what the reader has taken. The queue of threads,
``thread_watch_queue``, is the same.

After a reconnect the server lists what matches now. What was shown before and is not on that list is gone;
the queue says so before it says that the list is complete.
"""

import asyncio
from collections.abc import Callable, Collection, Hashable
from typing import TypeAlias

from graphwire_protocol.frames import RunGone as RunGoneFrame
from graphwire_protocol.frames import RunInfo, Synced
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.replies import RunRow, Subscribed, ThreadRow

from graphwire.errors import GraphwireError
from graphwire.rows import RunGone, ThreadGone, WatchSynced, restored_row

MOST_GONE = 1024

WatchItem: TypeAlias = RunRow | RunGone | ThreadRow | ThreadGone | WatchSynced
"""What a watch yields: of runs the first two, of threads the next."""

Key: TypeAlias = Hashable
"""Names a run, or a thread with its graph; or a version of a row, of which each is yielded."""

_GONE, _SYNCED = "gone", "synced"


class WatchQueue:
    """The queue of one watch for runs in one of ``statuses``; None is any.

    ``is_cut(listed)`` tells, for a server that does not say so itself, whether a list of so many runs may
    have left some out.
    """

    def __init__(
        self,
        sub: int,
        statuses: Collection[str] | None = None,
        is_cut: Callable[[int], bool] = lambda listed: False,
    ) -> None:
        self.sub = sub
        self.start: Subscribed | None = None
        self._statuses = statuses
        self._is_cut = is_cut
        self._items: dict[tuple[Key, Key], WatchItem] = {}
        self._shown: dict[Key, bool] = {}  # runs that match: whether the reader has taken a row of it
        self._gone: dict[Key, bool] = {}  # runs whose end is queued: the same
        self._listed: set[Key] | None = set()  # runs of the list that is coming in; None behind it
        self._make_error: Callable[[], GraphwireError] | None = None
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    def put(self, delivered: Delivered) -> None:
        """Add what a frame says; frames that say nothing of runs are ignored."""
        match delivered.frame:
            case RunInfo() as info:
                fields = {name: getattr(info, name) for name in RunRow.model_fields}
                is_matching = self._statuses is None or info.status in self._statuses
                row = restored_row(RunRow.model_construct(**fields))
                self._put_row(info.run, info.status, row, is_matching=is_matching)
            case RunGoneFrame(run=run, reason=reason):
                self._put_gone(run, reason)
            case Synced(cut=cut):
                self._end_list(cut or 0)

    def begin_list(self) -> None:
        """The connection is lost: the server lists what matches once more."""
        self._listed = set()

    def _put_row(self, run: Key, version: Key, row: WatchItem, *, is_matching: bool) -> None:
        if self._listed is not None:
            self._listed.add(run)
        if is_matching:
            self._shown.setdefault(run, False)
        else:
            self._shown.pop(run, None)  # it does not match any more; no later list names it
        self._put(run, version, row)

    def _gone_item(self, run: Key, reason: str) -> WatchItem:
        return RunGone(str(run), reason)

    def _put_gone(self, run: Key, reason: str) -> None:
        self._gone.pop(run, None)
        self._gone[run] = self._shown.pop(run, True)
        self._put(run, _GONE, self._gone_item(run, reason))
        if len(self._gone) > MOST_GONE:
            self._shorten(next(iter(self._gone)))

    def _shorten(self, run: Key) -> None:
        """Keep of a run that is gone only that it is, and nothing if the reader does not know it."""
        was_taken = self._gone.pop(run)
        if run in self._shown:
            return  # there is another run of that id
        for key in [key for key in self._items if key[0] == run and (key[1] != _GONE or not was_taken)]:
            del self._items[key]

    def _end_list(self, cut: int) -> None:
        listed, self._listed = self._listed, None
        if listed is not None and not cut and not self._is_cut(len(listed)):
            for run in [run for run in self._shown if run not in listed]:
                self._put_gone(run, "unlisted")
        self._put("", _SYNCED, WatchSynced(cut))

    def _put(self, run: Key, version: Key, item: WatchItem) -> None:
        self._items.pop((run, version), None)
        self._items[run, version] = item
        self._wake.set()

    def fail(self, make_error: Callable[[], GraphwireError]) -> None:
        """End the queue: after what is queued, the reader gets the error that ``make_error`` makes."""
        self._make_error = make_error
        self._wake.set()

    async def take(self) -> WatchItem:
        """Wait for the next item and return it."""
        while not self._items:
            if self._make_error is not None:
                raise self._make_error()
            self._wake.clear()
            await self._wake.wait()
        run, status = key = next(iter(self._items))
        if status == _GONE:
            self._gone.pop(run, None)
        elif run in self._shown:
            self._shown[run] = True
        elif run in self._gone:
            self._gone[run] = True
        return self._items.pop(key)
