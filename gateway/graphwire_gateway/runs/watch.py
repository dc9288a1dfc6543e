"""Watches: each reports the states of all runs that match, to one subscription of one connection.

A watch begins with a list. It remembers which runs are on it, and makes each row when the connection has
room for it. Of the changes it keeps one row for each run and status that it has not sent yet. So a slow
reader costs no more than the runs that changed, and a status that came twice meanwhile is sent once. The
change of a run is encoded once for all watches, and so is a row that many of them list.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from graphwire_protocol import commands
from graphwire_protocol.codec import encode
from graphwire_protocol.frames import RunGone, Synced
from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import Status

PROGRESS_S = 1.0
"""Seconds: a watch that asks for progress hears of a run that moves at most once in this time."""

_GONE = "gone"
_ROWS_BYTES = 4 << 20  # of encoded rows that are kept for other watches that list the same runs
_AT_ONCE = 1000  # rows of moved runs for watches, before the rest of the process gets the loop


class Matchable(Protocol):
    """What decides, beside its status, whether a run matches."""

    @property
    def graph(self) -> str:
        """The graph's name."""
        ...

    @property
    def thread(self) -> str | None:
        """The caller's name of its thread."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Its metadata."""
        ...


class WatchedRun(Matchable, Protocol):
    """A run as watches see it."""

    id: str
    principal: str

    @property
    def shown_status(self) -> Status:
        """The last status that the store holds."""
        ...

    @property
    def shown_version(self) -> object:
        """Equal to an earlier one of the run only if its row is the same."""
        ...

    def shown_row(self) -> RunRow:
        """Return its row with that status."""
        ...


def matches(
    run: Matchable, status: Status, command: commands.Watch | commands.List, graphs: tuple[str, ...] | None
) -> bool:
    """Tell whether a watch or a list asks for a run in this status; ``graphs`` are the graphs it names."""
    return (
        (graphs is None or run.graph in graphs)
        and (command.thread is None or run.thread == command.thread)
        and (command.status is None or status in command.status)
        and all(
            name in run.metadata and run.metadata[name] == value
            for name, value in (command.metadata or {}).items()
        )
    )


class ListedRows:
    """The rows of runs as JSON, each made once for all watches that list it before it changes."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[str, str], tuple[object, bytes]] = {}
        self._size = 0

    def body(self, run: WatchedRun) -> bytes:
        """Return the run's row."""
        key, version = (run.principal, run.id), run.shown_version
        known = self._bodies.get(key)
        if known is not None and known[0] == version:
            return known[1]
        if known is not None:
            del self._bodies[key]
            self._size -= len(known[1])
        body = encode(run.shown_row())
        if self._size + len(body) > _ROWS_BYTES:
            self._bodies.clear()
            self._size = 0
        self._bodies[key] = version, body
        self._size += len(body)
        return body


class Watch:
    """What one ``watch`` frame asked for. It takes turns among its connection's subscriptions.

    ``ready(watch)`` is called when it has frames to send.
    """

    def __init__(self, command: commands.Watch, principal: str, ready: "Callable[[Watch], None]") -> None:
        self.sub = command.sub
        self.command = command
        self.principal = principal
        self.is_over = False
        self._ready = ready
        self._known: dict[str, bool] = {}  # each run that has matched: whether it matches now
        self._listed: dict[str, WatchedRun] = {}  # what the list still has to name
        self._cut = 0
        self._frames: dict[tuple[str, str], bytes] = {}  # by run and status: the JSON of a row
        self._rows: ListedRows  # those of the list, once it begins
        self._is_synced = False
        self._has_turn = False

    def begin(self, runs: Iterable[WatchedRun], limit: int, rows: ListedRows) -> None:
        """List ``runs``, all of which match now, newest first and at most ``limit``; then every change.

        ``rows`` are shared with other watches.
        """
        self._rows = rows
        for run in runs:
            self._known[run.id] = True
            if len(self._listed) < limit:
                self._listed[run.id] = run
            else:
                self._cut += 1
        self._wake()

    def changed(self, row: RunRow, body: bytes) -> None:
        """A run of this principal has a new status; ``body`` is its row as JSON."""
        is_matching = matches(row, row.status, self.command, self.command.graphs)
        if is_matching or self._known.get(row.run):
            self._known[row.run] = is_matching
            self._put(row, body)

    def moved(self, row: RunRow, body: bytes) -> None:
        """The log of a run of this principal has grown."""
        if self.command.progress and self._known.get(row.run):
            self._put(row, body)

    def gone(self, run: str, reason: str) -> None:
        """A run of this principal is no longer there."""
        if self._known.pop(run, None) is None:
            return
        self._listed.pop(run, None)
        self._frames.pop((run, _GONE), None)
        self._frames[run, _GONE] = encode(RunGone(sub=self.sub, run=run, reason=reason))
        self._wake()

    def _put(self, row: RunRow, body: bytes) -> None:
        if row.run in self._listed:
            return  # the list names it as it is then
        self._frames.pop((row.run, row.status), None)
        self._frames[row.run, row.status] = body
        self._wake()

    def _wake(self) -> None:
        if not self._has_turn and not self.is_over:
            self._has_turn = True
            self._ready(self)

    def take(self, out: list[bytes], room: int) -> int:
        """Append frames to ``out``, about ``room`` bytes; return how many bytes."""
        self._has_turn = False
        size = 0
        while size < room and (frame := self._next()) is not None:
            out.append(frame)
            size += len(frame)
        if self._listed or self._frames:
            self._wake()
        elif not self._is_synced:
            self._is_synced = True
            frame = encode(Synced(sub=self.sub, cut=self._cut or None))
            out.append(frame)
            size += len(frame)
        return size

    def _next(self) -> bytes | None:
        if self._listed:
            return self._info(self._rows.body(self._listed.pop(next(iter(self._listed)))))
        if not self._frames:
            return None
        key = next(iter(self._frames))
        frame = self._frames.pop(key)
        return frame if key[1] == _GONE else self._info(frame)

    def _info(self, body: bytes) -> bytes:
        return b'{"type":"run_info","sub":%d,%s' % (self.sub, body[1:])


class Watches:
    """The open watches of all principals. A watch begins with at most ``limit`` runs (``max_watch_runs``).

    ``later(seconds, function)`` calls the function once, after a while; by default the running loop does.
    """

    def __init__(
        self, limit: int, later: Callable[[float, Callable[[], None]], asyncio.TimerHandle] | None = None
    ) -> None:
        self._limit = limit
        self._later = later
        self._watches: dict[str, set[Watch]] = {}
        self._rows = ListedRows()
        self._progressing: Counter[str] = Counter()  # by principal: the watches that ask for progress
        self._moved: dict[tuple[str, str], WatchedRun] = {}
        self._reported: dict[tuple[str, str], WatchedRun] = {}  # of those, the ones whose time has come
        self._timer: asyncio.TimerHandle | None = None

    def open(self, watch: Watch, runs: Iterable[WatchedRun]) -> None:
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

    def close(self, watch: Watch) -> None:
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
        self._show(principal, row, Watch.changed)

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
            self._show(run.principal, run.shown_row(), Watch.moved)
            left -= 1 + len(self._watches.get(run.principal, ()))
        if self._reported:
            self._wait(0)
        elif self._moved:
            self._wait(PROGRESS_S)

    def _show(self, principal: str, row: RunRow, show: Callable[[Watch, RunRow, bytes], None]) -> None:
        watches = self._watches.get(principal)
        if watches:
            body = encode(row)
            for watch in watches:
                show(watch, row, body)

    def gone(self, principal: str, run: str, reason: str) -> None:
        """A run of ``principal`` is no longer there."""
        self._forget_move(principal, run)
        for watch in self._watches.get(principal, ()):
            watch.gone(run, reason)
