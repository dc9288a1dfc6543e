"""Watches: each reports the states of all runs that match, to one subscription of one connection.

A watch keeps one row for each run and status that it has not sent yet. So a slow reader costs no more than
the runs that changed, and a status that came twice meanwhile is sent once.
"""

import itertools
from collections.abc import Callable, Iterable

from graphwire_protocol import commands
from graphwire_protocol.codec import encode
from graphwire_protocol.frames import RunInfo, Synced
from graphwire_protocol.replies import RunRow


def matches(row: RunRow, command: commands.Watch | commands.List, graphs: tuple[str, ...] | None) -> bool:
    """Tell whether a watch or a list asks for a run in this state; ``graphs`` are the graphs it names."""
    return (
        (graphs is None or row.graph in graphs)
        and (command.thread is None or row.thread == command.thread)
        and (command.status is None or row.status in command.status)
        and all(
            name in row.metadata and row.metadata[name] == value
            for name, value in (command.metadata or {}).items()
        )
    )


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
        self._matching: set[str] = set()
        self._rows: dict[tuple[str, str], RunRow] = {}
        self._is_synced = False
        self._has_turn = False

    def begin(self, rows: Iterable[RunRow]) -> None:
        """Send ``rows``, all of which match now, newest first; then every change."""
        for row in rows:
            self._add(row)
        self._wake()

    def changed(self, row: RunRow) -> None:
        """A run of this principal has a new status."""
        if matches(row, self.command, self.command.graphs):
            self._add(row)
        elif row.run in self._matching:
            self._matching.discard(row.run)
            self._rows[row.run, row.status] = row
        else:
            return
        self._wake()

    def forget(self, run: str) -> None:
        """A run was deleted."""
        self._matching.discard(run)

    def _add(self, row: RunRow) -> None:
        self._matching.add(row.run)
        self._rows.pop((row.run, row.status), None)
        self._rows[row.run, row.status] = row

    def _wake(self) -> None:
        if not self._has_turn:
            self._has_turn = True
            self._ready(self)

    def take(self, out: list[bytes], room: int) -> int:
        """Append frames to ``out``, about ``room`` bytes; return how many bytes."""
        self._has_turn = False
        size = 0
        while self._rows and size < room:
            row = self._rows.pop(next(iter(self._rows)))
            frame = encode(RunInfo(sub=self.sub, **row.__dict__))
            out.append(frame)
            size += len(frame)
        if self._rows:
            self._wake()
        elif not self._is_synced:
            self._is_synced = True
            frame = encode(Synced(sub=self.sub))
            out.append(frame)
            size += len(frame)
        return size


class Watches:
    """The open watches of all principals. A watch begins with at most ``limit`` runs (``max_watch_runs``)."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._watches: dict[str, set[Watch]] = {}

    def open(self, watch: Watch, rows: Iterable[RunRow]) -> None:
        """Begin a watch. ``rows`` are all runs of its principal, newest first."""
        command = watch.command
        matching = (row for row in rows if matches(row, command, command.graphs))
        watch.begin(list(itertools.islice(matching, self._limit)))
        self._watches.setdefault(watch.principal, set()).add(watch)

    def close(self, watch: Watch) -> None:
        """End a watch."""
        watches = self._watches.get(watch.principal, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.principal, None)

    def changed(self, principal: str, row: RunRow) -> None:
        """A run of ``principal`` has a new status."""
        for watch in self._watches.get(principal, ()):
            watch.changed(row)

    def forget(self, principal: str, run: str) -> None:
        """A run of ``principal`` was deleted."""
        for watch in self._watches.get(principal, ()):
            watch.forget(run)
