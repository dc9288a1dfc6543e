"""Which run of a thread comes next, and whether one was missed.

Pure bookkeeping about three sources: the rows of a watch, which come again after each reconnect, newest
first; the number that each reply to ``state`` carries; and which runs were shown. ``follow`` asks.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import TERMINAL

MOST_ROWS = 1000
"""Rows that wait to be shown; beyond that the oldest are forgotten, and following begins anew there."""

Label: TypeAlias = tuple[str, int]
"""``(thread_epoch, thread_seq)``: a run of the thread, by its numbering and its number."""


@dataclass(slots=True)
class _Known:
    row: RunRow
    at: int  # when it came, counted by rows


class RunOrder:
    """The runs of one thread that have begun, of which ``epoch`` and ``next`` say which one to show next.

    ``epoch`` is None while no run of the thread is known: whatever numbering begins next is expected.
    """

    def __init__(self) -> None:
        self.epoch: str | None = None
        self.next = 1
        self.now = 0
        """How many rows have come."""
        self._rows: dict[Label, _Known] = {}
        self._list_began = 0

    # ── the watch ────────────────────────────────────────────────────────────────────────────────

    def add(self, row: RunRow) -> None:
        """Take in a row; one of a run that has not begun, or was shown, says nothing."""
        if row.thread_seq is None or row.thread_epoch is None:
            return
        if row.thread_epoch == self.epoch and row.thread_seq < self.next:
            return
        self.now += 1
        self._rows[row.thread_epoch, row.thread_seq] = _Known(row, self.now)
        if len(self._rows) > MOST_ROWS:
            del self._rows[min(self._rows, key=lambda label: (label[0] == self.epoch, label[1]))]

    def begin_list(self) -> None:
        """A watch was opened, maybe again: the runs that it knows come now."""
        self._list_began = self.now

    def end_list(self, *, is_cut: bool = False) -> None:
        """The list is complete: the server has forgotten a run that it does not name, unless it was cut."""
        if not is_cut:
            self._rows = {label: known for label, known in self._rows.items() if known.at > self._list_began}

    def forget(self, run: str) -> None:
        """The server has forgotten this run."""
        self._rows = {label: known for label, known in self._rows.items() if known.row.run != run}

    def find(self, label: Label) -> RunRow | None:
        """Return the latest row of a run."""
        known = self._rows.get(label)
        return None if known is None else known.row

    # ── states ───────────────────────────────────────────────────────────────────────────────────

    def has_ended(self, label: Label | None, before: int) -> bool:
        """Tell whether the run was known to have ended when ``before`` rows had come.

        Then a state that was requested at that time and is labelled with the run holds all that it wrote.
        """
        known = None if label is None else self._rows.get(label)
        return known is not None and known.at <= before and known.row.status in TERMINAL

    def begin(self, label: Label | None, *, is_shown: bool, before: int) -> None:
        """Begin from a state with this label, which shows the whole run of the label if ``is_shown``.

        ``before`` rows had come when it was requested: of those, other numberings are over.
        """
        self.epoch, number = (None, 0) if label is None else label
        self.next = number + 1 if is_shown or label is None else number
        self._rows = {
            other: known
            for other, known in self._rows.items()
            if (other[0] == self.epoch and other[1] >= self.next)
            or (other[0] != self.epoch and known.at > before)
        }

    @property
    def shown(self) -> Label | None:
        """The label of a state in which nothing is new."""
        return None if self.epoch is None else (self.epoch, self.next - 1)

    # ── runs ─────────────────────────────────────────────────────────────────────────────────────

    def following(self) -> RunRow | Literal["missed"] | None:
        """Return the run to show next; None to wait for it; ``missed`` if it will not come any more."""
        if not self._rows:
            return None
        if self.epoch is None:
            (epoch, _), _ = max(self._rows.items(), key=lambda item: item[1].at)
            if (epoch, 1) not in self._rows:
                return "missed"
            self.epoch, self.next = epoch, 1
        if any(epoch != self.epoch for epoch, _ in self._rows):
            return "missed"
        known = self._rows.get((self.epoch, self.next))
        return "missed" if known is None else known.row

    def done(self) -> None:
        """The next run was shown to its end."""
        assert self.epoch is not None
        self._rows.pop((self.epoch, self.next), None)
        self.next += 1
