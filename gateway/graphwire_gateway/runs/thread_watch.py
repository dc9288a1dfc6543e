"""Watches of threads: each reports the rows of all threads that match, to one subscription of a connection.

``row_watch`` has what they share with watches of runs. ``known_threads`` says what has changed.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from graphwire_protocol import commands
from graphwire_protocol.codec import encode
from graphwire_protocol.frames import ThreadGone
from graphwire_protocol.replies import ThreadRow
from graphwire_protocol.titles import has_title
from graphwire_protocol.types import Status

from graphwire_gateway.runs.row_watch import Key, ListedRows, Matchable, RowWatch, Watched, matches

WatchedThread: TypeAlias = Watched[ThreadRow]
"""A thread as watches see it."""


def thread_matches(
    subject: Matchable,
    status: Status,
    command: commands.Watch | commands.List,
    graphs: tuple[str, ...] | None,
) -> bool:
    """Tell whether a watch or a list asks for a thread in this status."""
    return matches(subject, status, command, graphs) and has_title(subject.metadata, command.search)


class RowAsListed:
    """A row that nothing in memory stands behind: what a saver says of a thread at the time of a list."""

    def __init__(self, row: ThreadRow, principal: str) -> None:
        self.principal = principal
        self.id: Key = (row.graph, row.thread)
        self.graph, self.thread = row.graph, row.thread
        self.metadata: Mapping[str, Any] = row.metadata or {}
        self.shown_status: Status = row.status
        self.shown_version: object = row
        self._row = row

    def shown_row(self) -> ThreadRow:
        """Return the row."""
        return self._row


class ThreadInfoWatch(RowWatch[ThreadRow]):
    """A watch of threads."""

    info = "thread_info"

    def key_of(self, row: ThreadRow) -> Key:
        """Return the thread's graph and name."""
        return row.graph, row.thread

    def version_of(self, row: ThreadRow) -> Key:
        """Return its status: a row for each run, too, would cost a slow reader without end."""
        return row.status

    def asks_for(self, row: ThreadRow) -> bool:
        """Tell whether the watch asks for a thread."""
        return thread_matches(RowAsListed(row, self.principal), row.status, self.command, self.command.graphs)

    def _put(self, row: ThreadRow, body: bytes) -> None:
        listed = self._listed
        if self.key_of(row) in listed:
            # The list names it as it is now: the object that was to say so then may be another one meanwhile.
            listed[self.key_of(row)] = RowAsListed(row, self.principal)
        else:
            super()._put(row, body)

    def gone_frame(self, key: Key, reason: str) -> ThreadGone:
        """Return the ``thread_gone`` of a thread."""
        assert isinstance(key, tuple)
        graph, thread = key
        return ThreadGone(sub=self.sub, graph=graph, thread=thread, reason=reason)


class ThreadInfoWatches:
    """The open watches of threads, by whose threads they are. Each begins with at most ``limit`` threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._watches: dict[str, set[ThreadInfoWatch]] = {}
        self._rows = ListedRows()

    def open(self, watch: ThreadInfoWatch, threads: Iterable[WatchedThread]) -> None:
        """Begin a watch. ``threads`` are all that match, newest first."""
        watch.begin(threads, self._limit, self._rows)
        self._watches.setdefault(watch.principal, set()).add(watch)

    def close(self, watch: ThreadInfoWatch) -> None:
        """End a watch, which may not have begun."""
        watches = self._watches.get(watch.principal, set())
        watches.discard(watch)
        if not watches:
            self._watches.pop(watch.principal, None)

    def know(self, owner: str, key: Key) -> bool:
        """Tell whether a watch has shown the thread, or left it out of a list that was too long."""
        return any(watch.knows(key) for watch in self._watches.get(owner, ()))

    def watch_any(self, owner: str) -> bool:
        """Tell whether the owner's threads are watched at all."""
        return owner in self._watches

    def changed(self, owner: str, row: ThreadRow) -> None:
        """A row of the owner's threads has changed."""
        watches = self._watches.get(owner)
        if watches:
            body = encode(row)
            for watch in watches:
                watch.changed(row, body)

    def gone(self, owner: str, key: Key, reason: str) -> None:
        """A thread of the owner is no longer there."""
        self._rows.forget(owner, key)
        for watch in self._watches.get(owner, ()):
            watch.gone(key, reason)
