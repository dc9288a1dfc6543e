"""What a watch of runs and a watch of threads have in common: a list of rows, then their changes.

A watch begins with a list. It remembers what is on it, and makes each row when the connection has room for
it. Of the changes it keeps one row for each subject and status that it has not sent yet. So a slow reader
costs no more than what changed, and a status that came twice meanwhile is sent once. A change is encoded once
for all watches, and so is a row that many of them list.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from graphwire_protocol import commands
from graphwire_protocol.base import Wire
from graphwire_protocol.codec import encode
from graphwire_protocol.frames import Synced
from graphwire_protocol.types import Status

RowT = TypeVar("RowT", bound=Wire)
RowT_co = TypeVar("RowT_co", bound=Wire, covariant=True)

Key: TypeAlias = Hashable
"""Names a subject among those of its principal: a run's id, or the graph and the name of a thread."""

_GONE = "gone"
_ROWS_BYTES = 4 << 20  # of encoded rows that are kept for other watches that list the same subjects


class Matchable(Protocol):
    """What decides, beside its status, whether a run or a thread matches."""

    @property
    def graph(self) -> str:
        """The graph's name."""
        ...

    @property
    def thread(self) -> str | None:
        """The caller's name of the thread."""
        ...

    @property
    def metadata(self) -> Mapping[str, Any]:
        """Its metadata."""
        ...


class Watched(Matchable, Protocol[RowT_co]):
    """A run or a thread as watches see it."""

    principal: str

    @property
    def id(self) -> Key:
        """Its key."""
        ...

    @property
    def shown_status(self) -> Status:
        """The last status that the store holds."""
        ...

    @property
    def shown_version(self) -> object:
        """Equal to an earlier one only if its row is the same."""
        ...

    def shown_row(self) -> RowT_co:
        """Return its row with that status."""
        ...


def matches(
    subject: Matchable,
    status: Status,
    command: commands.Watch | commands.List,
    graphs: tuple[str, ...] | None,
) -> bool:
    """Tell whether a watch or a list asks for a run or a thread in this status.

    ``graphs`` are the graphs that it names.
    """
    return (
        (graphs is None or subject.graph in graphs)
        and (command.thread is None or subject.thread == command.thread)
        and (command.status is None or status in command.status)
        and all(
            name in subject.metadata and subject.metadata[name] == value
            for name, value in (command.metadata or {}).items()
        )
    )


class ListedRows:
    """Rows as JSON, each made once for all watches that list its subject before it changes."""

    def __init__(self) -> None:
        self._bodies: dict[tuple[str, Key], tuple[object, bytes]] = {}
        self._size = 0

    def body(self, subject: Watched[Any]) -> bytes:
        """Return the subject's row."""
        key, version = (subject.principal, subject.id), subject.shown_version
        known = self._bodies.get(key)
        if known is not None and known[0] == version:
            return known[1]
        self.forget(*key)
        body = encode(subject.shown_row())
        if self._size + len(body) > _ROWS_BYTES:
            self._bodies.clear()
            self._size = 0
        self._bodies[key] = version, body
        self._size += len(body)
        return body

    def forget(self, principal: str, id: Key) -> None:
        """Let go of the row of a subject that is no longer there."""
        known = self._bodies.pop((principal, id), None)
        if known is not None:
            self._size -= len(known[1])


class RowWatch(Generic[RowT]):
    """What one ``watch`` frame asked for. It takes turns among its connection's subscriptions.

    ``ready(watch)`` is called when it has frames to send.
    """

    info = ""
    """The type of the frames that carry its rows."""

    def __init__(
        self, command: commands.Watch, principal: str, ready: "Callable[[RowWatch[Any]], None]"
    ) -> None:
        self.sub = command.sub
        self.command = command
        self.principal = principal
        self.is_over = False
        self._ready = ready
        self._known: dict[Key, bool] = {}  # each subject that has matched: whether it matches now
        self._listed: dict[Key, Watched[RowT]] = {}  # what the list still has to name
        self._cut = 0
        self._frames: dict[tuple[Key, Key], bytes] = {}  # by subject and status: the JSON of a row
        self._rows: ListedRows  # those of the list, once it begins
        self._is_synced = False
        self._has_turn = False

    # ── what a subject is ────────────────────────────────────────────────────────────────────────

    def key_of(self, row: RowT) -> Key:
        """Return the key of a row's subject."""
        raise NotImplementedError

    def version_of(self, row: RowT) -> Key:
        """Return what two rows of a subject differ in if each is sent, not only the later one."""
        raise NotImplementedError

    def asks_for(self, row: RowT) -> bool:
        """Tell whether the watch asks for a row."""
        raise NotImplementedError

    def gone_frame(self, key: Key, reason: str) -> Wire:
        """Return the frame that says that a subject is gone."""
        raise NotImplementedError

    # ── what becomes of subjects ─────────────────────────────────────────────────────────────────

    def begin(self, subjects: Iterable[Watched[RowT]], limit: int, rows: ListedRows) -> None:
        """List ``subjects``, all of which match now, newest first and at most ``limit``; then every change.

        ``rows`` are shared with other watches.
        """
        self._rows = rows
        for subject in subjects:
            self._known[subject.id] = True
            if len(self._listed) < limit:
                self._listed[subject.id] = subject
            else:
                self._cut += 1
        self._wake()

    def changed(self, row: RowT, body: bytes) -> None:
        """A subject of this principal has changed; ``body`` is its row as JSON."""
        key, is_matching = self.key_of(row), self.asks_for(row)
        if is_matching or self._known.get(key):
            self._known[key] = is_matching
            self._put(row, body)

    def knows(self, key: Key) -> bool:
        """Tell whether a subject has matched at some time."""
        return key in self._known

    def gone(self, key: Key, reason: str) -> None:
        """A subject of this principal is no longer there."""
        if self._known.pop(key, None) is None:
            return
        self._listed.pop(key, None)
        self._frames.pop((key, _GONE), None)
        self._frames[key, _GONE] = encode(self.gone_frame(key, reason))
        self._wake()

    def _put(self, row: RowT, body: bytes) -> None:
        key, version = self.key_of(row), self.version_of(row)
        if key in self._listed:
            return  # the list names it as it is then
        self._frames.pop((key, version), None)
        self._frames[key, version] = body
        self._wake()

    # ── turns ────────────────────────────────────────────────────────────────────────────────────

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
        return b'{"type":"%s","sub":%d,%s' % (self.info.encode(), self.sub, body[1:])
