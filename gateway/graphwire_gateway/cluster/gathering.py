"""What all shards are asked at once: lists and watches, whose parts become one answer.

Each shard has its rows newest first. A list's cursor names the last row that was given and its shard; rows
of one moment are in the order of their shards, so that no page repeats or leaves out one. A watch begins with
the rows of all shards, so the first ones wait for the last shard; what changes meanwhile takes the place of
what waits.
"""

import base64
import math
from collections.abc import Iterable
from typing import Any, TypeAlias

import orjson
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal

from graphwire_gateway.cluster.groups import words
from graphwire_gateway.runs.paging import cursor_of, fitting

Frame: TypeAlias = dict[str, Any]

_TIME = {"runs": "created_at", "threads": "updated_at"}  # graphs have none
_NAMES = {"runs": ("run",), "threads": ("graph", "thread"), "graphs": ("name",)}


class Answers:
    """Collects an answer of each shard. Of several refusals the first counts."""

    def __init__(self, command: Any, shards: Iterable[int]) -> None:
        self.command = command
        self.missing = set(shards)
        self.found: dict[int, Frame] = {}
        self.refusal: Frame | None = None

    def answer(self, shard: int, frame: Frame) -> None:
        """A shard has answered."""
        self.missing.discard(shard)
        if frame["type"] == "error":
            self.refusal = self.refusal or frame
        else:
            self.found[shard] = frame

    def leave_out(self, shards: Iterable[int]) -> None:
        """These answer no more, and are not waited for."""
        self.missing.difference_update(shards)

    def result(self) -> Frame:
        """Return the first refusal, or what any shard has said."""
        return self.refusal or next(iter(self.found.values()))


class GatheredList(Answers):
    """A ``list``. ``most_bytes`` bounds a page. It is known then who has to be asked: what is ``missing``.

    Graphs come from one shard of each group, all those of a shard together.
    """

    def __init__(self, command: commands.List, shards: Iterable[int], most_bytes: int) -> None:
        place = _read(command.cursor)
        if command.what == "graphs" and place is not None:
            shards = [shard for shard in shards if shard >= place[0]]
        super().__init__(command, shards)
        self.command: commands.List = command
        self._most = most_bytes
        self._what = str(command.what)
        self._place = place

    def asked_of(self, shard: int) -> commands.List:
        """Return what a shard is asked: the rows behind those that were given."""
        if self._place is None:
            return self.command
        last, key = self._place
        if shard == last:
            cursor = cursor_of(key)
        elif shard < last:  # its rows of that moment were given: only older ones follow
            cursor = cursor_of((key[0][:-1], ""))
        else:
            cursor = cursor_of((key[0], ""))
        asked: commands.List = self.command.model_copy(update={"cursor": cursor})
        return asked

    def result(self) -> Frame:
        """Return one page of all shards' rows."""
        if self.refusal is not None:
            return self.refusal
        names, limit = _NAMES[self._what], math.inf if self._what == "graphs" else self.command.limit
        rows = [(row, shard) for shard in sorted(self.found) for row in self.found[shard].get(self._what, ())]
        rows.sort(key=lambda one: self._time(one[0]), reverse=True)
        more = {shard for shard, frame in self.found.items() if frame.get("cursor")}
        left = {shard: len(frame.get(self._what, ())) for shard, frame in self.found.items()}
        page: list[tuple[Frame, int]] = []
        for row, shard in rows:
            page.append((row, shard))
            left[shard] -= 1
            if len(page) == limit or (not left[shard] and shard in more):
                break  # what is next may be on that shard's next page
        given = fitting((_Plain(row) for row, _ in page), self._most)
        ok: Frame = {"type": "ok", "id": self.command.id, self._what: [one.row for one in given]}
        if len(given) < len(rows) or more:
            row, shard = page[len(given) - 1]
            ok["cursor"] = _written(shard, (self._time(row), *(row[name] for name in names)))
        return ok

    def _time(self, row: Frame) -> str:
        return str(row[_TIME[self._what]]) if self._what in _TIME else ""


class _Plain:
    """A row as ``fitting`` takes it."""

    def __init__(self, row: Frame) -> None:
        self.row = row

    def to_wire(self) -> Frame:
        return self.row


def _written(shard: int, key: tuple[str, ...]) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([shard, *key])).decode("ascii")


def _read(cursor: str | None) -> tuple[int, tuple[str, ...]] | None:
    if cursor is None:
        return None
    try:
        shard, *key = orjson.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        if isinstance(shard, int) and key and all(isinstance(part, str) for part in key):
            return shard, tuple(key)
    except (ValueError, TypeError):
        pass
    raise Refusal("invalid_argument", "list.cursor: not a cursor that this server gave")


class GatheredWatch(Answers):
    """A ``watch``: the shards' lists become one of ``most`` rows at most, then every change passes."""

    def __init__(self, command: commands.Watch, shards: Iterable[int], most: int) -> None:
        super().__init__(command, shards)
        self.command: commands.Watch = command
        self._what = "threads" if command.what == "threads" else "runs"
        self._most = most
        self._unsynced = set(self.missing)
        self._cut = 0
        self._is_listed = False
        self._rows: dict[tuple[str, ...], tuple[int, Frame]] = {}

    @property
    def is_synced(self) -> bool:
        """Whether the list has been sent, so that frames pass as they come."""
        return self._is_listed

    def leave_out(self, shards: Iterable[int]) -> None:
        """These answer no more, and are not waited for."""
        super().leave_out(shards)
        self._unsynced.difference_update(shards)

    def rest(self) -> list[Frame]:
        """Return the list, if what was left out was all that it waited for."""
        return [] if self._unsynced or self._is_listed else self._list()

    def take(self, shard: int, frame: Frame) -> list[Frame]:
        """A frame of the watch has come before it was synced; return what the client gets now."""
        if frame["type"] == "synced":
            self._unsynced.discard(shard)
            self._cut += frame.get("cut") or 0
            return [] if self._unsynced else self._list()
        key = tuple(str(frame[name]) for name in _NAMES[self._what])
        if frame["type"].endswith("_gone"):
            self._rows.pop(key, None)
        else:
            self._rows[key] = shard, frame
        return []

    def _list(self) -> list[Frame]:
        time = _TIME[self._what]
        rows = sorted(self._rows.values(), key=lambda one: (one[1][time], -one[0]), reverse=True)
        synced: Frame = {"type": "synced", "sub": self.command.sub}
        cut = self._cut + max(0, len(rows) - self._most)
        if cut:
            synced["cut"] = cut
        self._rows.clear()
        self._is_listed = True
        return [*(frame for _, frame in rows[: self._most]), synced]


def left_out(groups: list[str]) -> tuple[Frame, ...]:
    """Return the notice that rows of these groups are missing."""
    if not groups:
        return ()
    message = f"left out is what {' and '.join(map(words, groups))} has: no worker of it is there now"
    return ({"type": "notice", "code": "partial", "message": message},)
