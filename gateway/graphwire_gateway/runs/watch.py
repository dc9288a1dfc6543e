"""Watches of runs: each reports the states of all runs that match, to one subscription of one connection.

``row_watch`` has what they share with watches of threads. A watch of runs may also ask how far they are.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeAlias

from graphwire_protocol.codec import encode
from graphwire_protocol.frames import RunGone
from graphwire_protocol.replies import RunRow

from graphwire_gateway.runs.row_watch import Key, ListedRows, RowWatch, Watched, matches

PROGRESS_S = 1.0
"""Seconds: a watch that asks for progress hears of a run that moves at most once in this time."""

_AT_ONCE = 1000  # rows of moved runs for watches, before the rest of the process gets the loop

WatchedRun: TypeAlias = Watched[RunRow]
"""A run as watches see it."""


class RunInfoWatch(RowWatch[RunRow]):
    """A watch of runs."""

    info = "run_info"

    def key_of(self, row: RunRow) -> Key:
        """Return the run's id."""
        return row.run

    def version_of(self, row: RunRow) -> Key:
        """Return the run's status."""
        return row.status

    def asks_for(self, row: RunRow) -> bool:
        """Tell whether the watch asks for a run."""
        return matches(row, row.status, self.command, self.command.graphs)

    def gone_frame(self, key: Key, reason: str) -> RunGone:
        """Return the ``run_gone`` of a run."""
        return RunGone(sub=self.sub, run=str(key), reason=reason)

    def moved(self, row: RunRow, body: bytes) -> None:
        """The log of a run of this principal has grown."""
        if self.command.progress and self._known.get(row.run):
            self._put(row, body)


class Watches:
    """The open watches of all principals. A watch begins with at most ``limit`` runs (``max_watch_runs``).

    ``later(seconds, function)`` calls the function once, after a while; by default the running loop does.
    """

    def __init__(
        self, limit: int, later: Callable[[float, Callable[[], None]], asyncio.TimerHandle] | None = None
    ) -> None:
        self._limit = limit
        self._later = later
        self._watches: dict[str, set[RunInfoWatch]] = {}
        self._rows = ListedRows()
        self._progressing: Counter[str] = Counter()  # by principal: the watches that ask for progress
        self._moved: dict[tuple[str, Key], WatchedRun] = {}
        self._reported: dict[tuple[str, Key], WatchedRun] = {}  # of those, the ones whose time has come
        self._timer: asyncio.TimerHandle | None = None

    def open(self, watch: RunInfoWatch, runs: Iterable[WatchedRun]) -> None:
        """Begin a watch. ``runs`` are all runs of its principal, newest first."""
        command = watch.command
        watch.begin(
            (run for run in runs if matches(run, run.shown_status, command, command.graphs)),
            self._limit,
            self._rows,
        )
        self._watches.setdefault(watch.principal, set()).add(watch)
        if command.progress:
            self._progressing[watch.principal] += 1

    def close(self, watch: RunInfoWatch) -> None:
        """End a watch."""
        watches = self._watches.get(watch.principal, set())
        if watch not in watches:
            return
        watches.discard(watch)
        if not watches:
            del self._watches[watch.principal]
        if watch.command.progress:
            self._progressing[watch.principal] -= 1
            if not self._progressing[watch.principal]:
                del self._progressing[watch.principal]
        if not self._progressing and self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._moved.clear()
            self._reported.clear()

    def changed(self, principal: str, row: RunRow) -> None:
        """A run of ``principal`` has a new status."""
        self._forget_move(principal, row.run)  # the row says how far it is
        self._show(principal, row, RunInfoWatch.changed)

    def moved(self, run: WatchedRun) -> None:
        """The log of a run has grown; watches that ask for progress hear of it within ``PROGRESS_S``."""
        if run.principal not in self._progressing:
            return
        self._moved[run.principal, run.id] = run
        if self._timer is None:
            self._wait(PROGRESS_S)

    def _wait(self, seconds: float) -> None:
        later = self._later or asyncio.get_running_loop().call_later
        self._timer = later(seconds, self._report)

    def _forget_move(self, principal: str, run: str) -> None:
        self._moved.pop((principal, run), None)
        self._reported.pop((principal, run), None)

    def _report(self) -> None:
        """Show runs that have moved, as many as may be shown at once; the others follow at once."""
        self._timer = None
        if not self._reported:
            self._reported, self._moved = self._moved, {}
        left = _AT_ONCE
        while self._reported and left > 0:
            run = self._reported.pop(next(iter(self._reported)))
            self._show(run.principal, run.shown_row(), RunInfoWatch.moved)
            left -= 1 + len(self._watches.get(run.principal, ()))
        if self._reported:
            self._wait(0)
        elif self._moved:
            self._wait(PROGRESS_S)

    def _show(self, principal: str, row: RunRow, show: Callable[[RunInfoWatch, RunRow, bytes], None]) -> None:
        watches = self._watches.get(principal)
        if watches:
            body = encode(row)
            for watch in watches:
                show(watch, row, body)

    def gone(self, principal: str, run: str, reason: str) -> None:
        """A run of ``principal`` is no longer there."""
        self._forget_move(principal, run)
        self._rows.forget(principal, run)
        for watch in self._watches.get(principal, ()):
            watch.gone(run, reason)
