"""Watches: feeds of the states of all runs that match, one connection's each.

What a watch still has to tell is one row a run and status, so that a slow reader costs no more than the runs
that changed; a state that has come again meanwhile is told once.
"""

from collections.abc import Callable

from graphwire_protocol.codec import encode
from graphwire_protocol.commands import List
from graphwire_protocol.commands import Watch as Wish
from graphwire_protocol.frames import RunInfo, Synced
from graphwire_protocol.replies import RunRow


def is_like(row: RunRow, wish: Wish | List, graphs: tuple[str, ...] | None) -> bool:
    """Tell whether a watch or a list asks for a run in this state; ``graphs`` are the ones that it names."""
    return (
        (graphs is None or row.graph in graphs)
        and (wish.thread is None or row.thread == wish.thread)
        and (wish.status is None or row.status in wish.status)
        and all(
            name in row.metadata and row.metadata[name] == value
            for name, value in (wish.metadata or {}).items()
        )
    )


class Watch:
    """A principal's feed, on one connection. It takes turns among the connection's subscriptions."""

    def __init__(self, wish: Wish, principal: str, ready: "Callable[[Watch], None]") -> None:
        self.sub = wish.sub
        self.principal = principal
        self.is_over = False
        self._wish = wish
        self._ready = ready
        self._matching: set[str] = set()
        self._rows: dict[tuple[str, str], RunRow] = {}
        self._is_synced = False
        self._has_turn = False

    def begin(self, rows: list[RunRow]) -> None:
        """Tell ``rows``, all of which match now, newest first; then every change."""
        for row in rows:
            self._add(row)
        self._wake()

    def changed(self, row: RunRow) -> None:
        """A run of this principal is in a new state."""
        if is_like(row, self._wish, self._wish.graphs):
            self._add(row)
        elif row.run in self._matching:
            self._matching.discard(row.run)
            self._rows[row.run, row.status] = row
        else:
            return
        self._wake()

    def forget(self, run: str) -> None:
        """A run is gone for good."""
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
        """Append frames to ``out``, about ``room`` bytes; return their bytes."""
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
