"""The threads of a watch as lines of a terminal: what needs somebody first, then the last to change."""

from graphwire_protocol.replies import ThreadRow
from rich.text import Text

from graphwire.cli.board import COLORS, RANKS, asks_of, shortened
from graphwire.cli.listing import short_time
from graphwire.cli.threads import title_of
from graphwire.rows import ThreadGone, WatchSynced

_HEAD = ("status", "graph", "thread", "updated", "title")


class ThreadBoard:
    """All threads of a watch. ``cut`` is how many threads the server left out of its list."""

    def __init__(self) -> None:
        self.cut = 0
        self.is_synced = False
        self._rows: dict[tuple[str, str], ThreadRow] = {}

    def put(self, item: ThreadRow | ThreadGone | WatchSynced, at: float) -> None:
        """Take in what the watch yields. The time does not matter here."""
        match item:
            case WatchSynced(cut=cut):
                self.cut, self.is_synced = cut, True
            case ThreadGone(graph=graph, thread=thread):
                self._rows.pop((graph, thread), None)
            case row:
                self._rows[row.graph, row.thread] = row

    def lines(self, width: int, height: int, at: float, remark: str = "") -> list[Text]:
        """Return the board as at most ``height`` lines of ``width`` columns."""
        rows = sorted(self._rows.values(), key=lambda row: row.updated_at, reverse=True)
        rows.sort(key=lambda row: RANKS.get(row.status, len(RANKS)))
        out = [Text(self._summary(remark), "bold")]
        cells = [_cells(row) for row in rows]
        widths = [max(map(len, column)) for column in zip(_HEAD, *cells, strict=True)]
        if rows:
            out.append(_line(_HEAD, widths, "dim"))
        for number, row in enumerate(rows):
            lines = [_line(cells[number], widths, COLORS.get(row.status, ""))]
            if note := asks_of(row):
                lines.append(Text(f"  {note}"))
            is_last = number == len(rows) - 1
            if len(out) + len(lines) > height - (0 if is_last else 1):
                out.append(Text(f"… and {len(rows) - number} more", "dim"))
                break
            out += lines
        for line in out:
            line.truncate(width, overflow="ellipsis")
        return out

    def _summary(self, remark: str) -> str:
        count = len(self._rows)
        threads = "1 thread" if count == 1 else f"{count} threads"
        parts = [threads if count else ("no threads" if self.is_synced else "…")]
        if self.cut:
            parts.append(f"{self.cut} older ones are not shown")
        return "; ".join(filter(None, (remark, *parts)))


def _cells(row: ThreadRow) -> tuple[str, ...]:
    return row.status, shortened(row.graph), shortened(row.thread), short_time(row.updated_at), title_of(row)


def _line(cells: tuple[str, ...], widths: list[int], style: str) -> Text:
    line = Text("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
    line.stylize(style, 0, widths[0])
    return line
