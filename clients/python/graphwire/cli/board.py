"""The runs of a watch as lines of a terminal: one for each run, and one for what it asks or why it ended.

A board keeps what a watch yields. It reads no clock: whoever puts a row or asks for the lines says when.
"""

from collections import Counter, deque
from collections.abc import Sequence

from graphwire_protocol.replies import RunRow, ThreadRow
from graphwire_protocol.types import TERMINAL
from rich.text import Text

from graphwire.cli.listing import time_of
from graphwire.cli.outcome import visible
from graphwire.cli.show import short
from graphwire.rows import RunGone, WatchSynced

_RATE_S = 5.0  # the time over which events are counted for a rate
_WIDEST = 24  # of the columns graph and thread
COLORS = {
    "queued": "dim",
    "running": "blue",
    "interrupted": "yellow",
    "completed": "green",
    "failed": "red",
    "cancelled": "red",
}
RANKS = {"interrupted": 0, "running": 1, "queued": 2}  # what needs somebody first, what has ended last
_HEAD = ("status", "graph", "thread", "elapsed", "events", "ev/s", "run")


class Board:
    """All runs of a watch: what waits for an answer, what runs, what has ended, each newest first.

    ``cut`` is how many runs the server left out of its list.
    """

    def __init__(self) -> None:
        self.cut = 0
        self.is_synced = False
        self._rows: dict[str, RunRow] = {}
        self._heads: dict[str, deque[tuple[float, int]]] = {}  # of the last _RATE_S seconds

    def put(self, item: RunRow | RunGone | WatchSynced, at: float) -> None:
        """Take in what the watch yields; ``at`` is the time, in seconds since 1970."""
        match item:
            case WatchSynced(cut=cut):
                self.cut, self.is_synced = cut, True
            case RunGone(run=run):
                self._rows.pop(run, None)
                self._heads.pop(run, None)
            case row:
                self._rows[row.run] = row
                self._heads.setdefault(row.run, deque()).append((at, row.head))
                self._forget_heads(row.run, at)

    def rate(self, run: str, at: float) -> float:
        """Return how many events a second the run makes."""
        heads = self._forget_heads(run, at)
        begin, first = heads[0]
        return (heads[-1][1] - first) / max(at - begin, 1.0)

    def _forget_heads(self, run: str, at: float) -> deque[tuple[float, int]]:
        heads = self._heads[run]
        while len(heads) > 1 and heads[1][0] <= at - _RATE_S:
            heads.popleft()
        return heads

    def lines(self, width: int, height: int, at: float, remark: str = "") -> list[Text]:
        """Return the board as at most ``height`` lines of ``width`` columns."""
        rows = sorted(self._rows.values(), key=lambda row: row.created_at, reverse=True)
        rows.sort(key=lambda row: RANKS.get(row.status, len(RANKS)))
        entries = [self._entry(row, at) for row in rows]
        head = Text(self._summary(remark), "bold")
        if not entries:
            return [head]
        table = [_HEAD, *(cells for cells, _ in entries)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        has_room = sum(widths) + 2 * (len(widths) - 1) <= width
        shown = len(widths) if has_room else len(widths) - 1  # without room the id has a line of its own
        out = [head, _line(_HEAD, widths, shown, "dim")]
        for number, ((cells, note), row) in enumerate(zip(entries, rows, strict=True)):
            lines = [_line(cells, widths, shown, COLORS.get(row.status, ""))]
            below = note if has_room else "  ".join(filter(None, (row.run, note)))
            if below:
                lines.append(Text(f"  {below}", "" if row.status == "interrupted" else "dim"))
            is_last = number == len(rows) - 1
            if len(out) + len(lines) > height - (0 if is_last else 1):
                out.append(Text(f"… and {len(rows) - number} more", "dim"))
                break
            out += lines
        for line in out:
            line.truncate(width, overflow="ellipsis")
        return out

    def _summary(self, remark: str) -> str:
        counts: Counter[str] = Counter(row.status for row in self._rows.values())
        of = ", ".join(f"{counts[status]} {status}" for status in COLORS if counts[status])
        runs = "1 run" if len(self._rows) == 1 else f"{len(self._rows)} runs"
        parts = [f"{runs}: {of}" if of else ("no runs" if self.is_synced else "…")]
        if self.cut:
            parts.append(f"{self.cut} older ones are not shown")
        return "; ".join(filter(None, (remark, *parts)))

    def _entry(self, row: RunRow, at: float) -> tuple[Sequence[str], str]:
        is_running = row.status == "running"
        cells = (
            row.status,
            shortened(row.graph),
            shortened(row.thread or ""),
            elapsed(row, at),
            str(row.head),
            f"{self.rate(row.run, at):.0f}" if is_running else "",
            row.run,
        )
        return cells, note_of(row)


def note_of(row: RunRow) -> str:
    """Return what a run asks or why it ended, as one line; empty if there is nothing to say."""
    if row.status == "interrupted":
        return asks_of(row)
    if row.error is not None:
        return f"{row.error.code}: {short(row.error.message)}"
    return short(row.reason) if row.reason else ""


def asks_of(row: RunRow | ThreadRow) -> str:
    """Return what a run or a thread asks, as one line; empty if it does not wait."""
    if row.status == "interrupted":
        questions = row.questions or ()
        more = len(row.interrupts or ()) - len(questions)
        asked = [short(question.value) for question in questions] + ([f"{more} more"] if more > 0 else [])
        return f"asks: {'; '.join(asked)}" if asked else "waits to be continued"
    return ""


def elapsed(row: RunRow, at: float) -> str:
    """Return how long the run took, or has taken until ``at``; empty before it begins."""
    if row.started_at is None:
        return ""
    end = at if row.ended_at is None else time_of(row.ended_at).timestamp()
    if row.status == "interrupted" or (row.ended_at is None and row.status in TERMINAL):
        return ""
    seconds = max(0.0, end - time_of(row.started_at).timestamp())
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest:02}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02}m"


def shortened(name: str) -> str:
    """Return a name as wide as its column may be."""
    name = visible(name)
    return name if len(name) <= _WIDEST else f"{name[: _WIDEST - 1]}…"


def _line(cells: Sequence[str], widths: Sequence[int], shown: int, style: str) -> Text:
    numbers = (3, 4, 5)  # aligned to the right
    padded = [
        cell.rjust(width) if index in numbers else cell.ljust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    line = Text("  ".join(padded[:shown]).rstrip())
    line.stylize(style, 0, widths[0])
    return line
