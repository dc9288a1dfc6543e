"""What one watch of threads delivered and its reader has not taken yet. ``watch_queue`` has its bound."""

from collections.abc import Mapping

from graphwire_protocol.commands import Watch
from graphwire_protocol.frames import ThreadGone as ThreadGoneFrame
from graphwire_protocol.frames import ThreadInfo
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.replies import ThreadRow
from graphwire_protocol.titles import has_title

from graphwire.rows import ThreadGone, restored_row
from graphwire.watch_queue import Key, WatchItem, WatchQueue


class ThreadWatchQueue(WatchQueue):
    """The queue of one watch of threads. ``asked`` is its frame, which says what it asks for."""

    def __init__(self, sub: int, asked: Watch) -> None:
        super().__init__(sub)
        self._asked = asked

    def put(self, delivered: Delivered) -> None:
        """Add what a frame says; frames that say nothing of threads are ignored."""
        match delivered.frame:
            case ThreadInfo() as info:
                fields = {name: getattr(info, name) for name in ThreadRow.model_fields}
                row = restored_row(ThreadRow.model_construct(**fields))
                key, version = (row.graph, row.thread), (row.run, row.status)
                self._put_row(key, version, row, is_matching=self._asks_for(row))
            case ThreadGoneFrame(graph=graph, thread=thread, reason=reason):
                self._put_gone((graph, thread), reason)
            case _:
                super().put(delivered)

    def _asks_for(self, row: ThreadRow) -> bool:
        """Tell whether the server would list the row; one that has stopped matching is not listed again."""
        asked, metadata = self._asked, row.metadata or {}
        return (
            (asked.status is None or row.status in asked.status)
            and _has_all(metadata, asked.metadata or {})
            and has_title(metadata, asked.search)
        )

    def _gone_item(self, run: Key, reason: str) -> WatchItem:
        assert isinstance(run, tuple)
        graph, thread = run
        return ThreadGone(graph, thread, reason)


def _has_all(metadata: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    return all(name in metadata and metadata[name] == value for name, value in wanted.items())
