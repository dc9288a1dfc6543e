"""Checks each frame of a subscription and each event of an iterator against what the run has to write."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from tests.support.faults.report import Report, Violation
from tests.support.faults.truth import FILTERS, NOTHING, Input, Item, View, items, view

Frame = dict[str, Any]

_FREE = ("lifecycle", "interrupt")
_TERMINAL = ("completed", "failed", "cancelled")


class Watched:
    """A run, and what all its readers must agree on: its epoch, and where and how it ended."""

    def __init__(self, id: str, input: Input) -> None:
        self.id = id
        self.input = input
        self.is_cancelled = False  # somebody has asked for that
        self.epoch: str | None = None
        self.head: int | None = None
        self.status: str | None = None
        self.created = 0

    @property
    def length(self) -> int:
        return len(items(self.input))

    def started(self, frame: Frame) -> None:
        """Take a ``started`` in."""
        self.created += frame["created"]
        if self.created > 1:
            raise Violation("twice", f"run {self.id} was started twice")
        self.is_of(frame["epoch"])

    def is_of(self, epoch: str) -> None:
        """Whoever tells the epoch tells the same one."""
        if self.epoch is None:
            self.epoch = epoch
        if self.epoch != epoch:
            raise Violation("epoch", f"{self.id}: epoch {epoch} where it was {self.epoch}")

    def ended(self, seq: int, status: str) -> None:
        """Somebody was told where and how the log ends."""
        if self.head is None:
            whole = seq == self.length and status == "completed"
            if not whole and not (self.is_cancelled and status == "cancelled" and seq <= self.length):
                raise Violation("terminal", f"{self.id}: {status} at {seq}, the log has {self.length}")
            self.head, self.status = seq, status
        if (self.head, self.status) != (seq, status):
            told = f"{self.id}: {status} at {seq}, and before {self.status} at {self.head}"
            raise Violation("terminal", told)

    def is_there(self, item: Item, seq: int) -> bool:
        """Whether the log of the run as it went has this event of the run as it would have gone."""
        return self.head is None or seq < self.head or (seq == self.head and item.data == self.status)


class Follower:
    """One reader of one run through one filter, across its connections: where it must go on."""

    def __init__(self, report: Report, run: Watched, filter: int, name: str) -> None:
        self.report = report
        self.run = run
        self.filter_index = filter
        self.name = name
        self.recent: deque[Any] = deque(maxlen=12)
        self.seq = 0
        self.is_over = False
        self.has_terminal = False
        self._view: View = view(run.input, filter)
        self._at = 0

    @property
    def filter(self) -> dict[str, Any]:
        return FILTERS[self.filter_index][0]

    def refilter(self, filter: int) -> None:
        """Go on from the same place through another filter."""
        self.filter_index = filter
        self._view = view(self.run.input, filter)
        self._at = self._view.behind(self.seq)

    def event(self, seq: int, mode: str, data: Any, node: str | None, is_inner: bool) -> None:
        """Take the next event in: it is the one that is due, or the promise is broken."""
        self.report.figures["events"] += 1
        due = self._view.seqs[self._at] if self._at < len(self._view.seqs) else None
        if mode == "lifecycle" and data in _TERMINAL:
            self._end(seq, data, due)
            return
        if seq <= self.seq:
            self.fail("repeated", f"seq {seq} behind {self.seq}")
        if seq != due:
            if due is not None and due < seq:
                self.fail("lost", f"seq {due} was due, {seq} came")
            self.fail("widened", f"seq {seq} ({mode}) is held back by {self.filter}; {due} was due")
        item = self._view.items[self._at]
        if mode != item.mode or data != item.data or node != item.node or is_inner is not item.is_inner:
            self.fail("wrong", f"at {seq}: {(mode, data, node, is_inner)}, not {item}")
        self.seq = seq
        self._at += 1

    def _end(self, seq: int, status: str, due: int | None) -> None:
        if self.has_terminal:
            self.fail("terminal", f"a second terminal event, {status} at {seq}")
        if seq <= self.seq:
            self.fail("repeated", f"{status} at {seq} behind {self.seq}")
        if due is not None and due < seq:
            self.fail("lost", f"seq {due} was due, {status} came at {seq}")
        self.run.ended(seq, status)
        self.has_terminal = True
        self.seq = seq
        self._at = len(self._view.seqs)

    def passed(self, seq: int, kind: str) -> None:
        """A frame says that nothing up to ``seq`` is still to come."""
        if self._at < len(self._view.seqs) and self._view.seqs[self._at] <= seq:
            item = self._view.items[self._at]
            if self.run.is_there(item, self._view.seqs[self._at]):
                self.fail(kind, f"{kind} {seq} stands before event {self._view.seqs[self._at]}")

    def gap(self, after: int, upto: int, reason: str, lost: Iterable[str], from_: int) -> None:
        """Check a gap from the cursor ``from_``."""
        self.report.figures["gaps"] += 1
        if reason != "evicted":
            if after != from_:
                self.fail("gap", f"a gap from {after} where {from_} was asked for")
        elif after < self.seq:
            self.fail("gap", f"a gap from {after} where the cursor is {self.seq}")
        else:
            self.passed(after, "gap")
        if upto <= after and reason == "evicted":
            self.fail("gap", f"a gap of nothing, {after} to {upto}")
        due = self._view.lost(after if reason == "evicted" else 0, upto)
        told = set(lost)
        # Which keys an evicted update had nobody knows any more.
        if set(due) - told or (told - set(due) and "keys" not in self.filter):
            self.fail("gap", f"lost {sorted(told)} where it is {due}, {after} to {upto}")

    def snapshot(self, seq: int, status: str, values: Any, messages: dict[str, tuple[Any, ...]]) -> None:
        """Check a snapshot: it is the log up to ``seq``, no event more or less, and delivery goes on there.

        ``messages`` is ``id → (text, node, is inner, node of its metadata)``.
        """
        self.report.figures["snapshots"] += 1
        run = self.run
        if status in _TERMINAL:
            run.ended(seq, status)
        elif status != ("running" if seq else "queued"):
            self.fail("snapshot", f"{status!r} at {seq}")
        upto = seq - 1 if status == "cancelled" else seq
        want: dict[str, tuple[Any, ...]] = {
            id: (text, item.node, item.is_inner, item.node)
            for id, (text, item) in self._view.messages(upto).items()
        }
        if messages != want:
            wrong = {id: (messages.get(id), want.get(id)) for id in {*messages, *want}}
            wrong = {id: pair for id, pair in wrong.items() if pair[0] != pair[1]}
            self.fail("snapshot", f"messages at {seq}, told and true: {str(wrong)[:500]}")
        true = self._view.values(upto)
        if values != (None if true is NOTHING else true):
            self.fail("snapshot", f"values at {seq}: {values}, not {true}")
        self.seq = seq
        self._at = self._view.behind(seq)
        if status in _TERMINAL:
            self.has_terminal, self._at = True, len(self._view.seqs)

    def closed(self, status: str | None) -> None:
        """Check that the end came when all was told."""
        if not self.has_terminal:
            self.fail("terminal", f"closed ({status}) without a terminal event, at {self.seq}")
        if status is not None and status != self.run.status:
            self.fail("terminal", f"closed {status}, the log ended {self.run.status}")
        self.is_over = True

    def fail(self, kind: str, told: str) -> None:
        raise Violation(kind, f"{self.name}, run {self.run.id} ({self.run.input}): {told}", self.recent)


class Cursor(Follower):
    """A follower at the raw frames: it also keeps the books of numbers, credit, metadata and replies."""

    def __init__(self, report: Report, run: Watched, filter: int, name: str, credit: int | None) -> None:
        super().__init__(report, run, filter, name)
        self.window = credit
        self.is_attached = False
        self.wish: Any = "start"
        self.start: Any = "start"  # what this attachment has asked for
        self.has_cursor = False
        self.leaving: int | None = None  # the id of an unsubscription that is under way
        self.has_left = False
        self.taken = 0
        self._left: int | None = None
        self._n = 0
        self._begin: int | None = 0
        self._told: set[str] = set()
        self._gap: Frame | None = None
        self._wait = False
        self._head = 0
        self._hole: tuple[int, str] | None = None

    def spec(self, sub: int, start: Any = None) -> Frame:
        """Return what is asked for now: from the cursor, or from ``start``."""
        self._look_for_hole()
        self.is_attached = False
        here = {"epoch": self.run.epoch, "seq": self.seq} if self.has_cursor else self.wish
        self.start = start or here
        self._left = self.window
        self.taken = 0
        out = {"sub": sub, "filter": self.filter, "from": self.start}
        return out if self.window is None else {**out, "credit": self.window}

    def frame(self, frame: Frame) -> None:
        """Take a frame of this subscription in."""
        kind = frame["type"]
        if self._hole is not None:
            self._look_for_hole(frame)
        if kind == "event" and self.is_attached:
            self._event(frame)
            return
        if kind == "subscribed":
            self._subscribed(frame)
            return
        if not self.is_attached:
            if self.leaving is None or self.has_left:
                self.fail("late", f"{kind} before subscribed, or behind the answer to unsubscribe")
            return  # of the attachment before; whoever asks again from the cursor gets it again
        self.recent.append(frame)
        if self.is_over:
            self.fail("terminal", f"{kind} behind closed")
        if self._gap is not None and kind != "snapshot":
            self.fail("gap", f"{kind} between a gap and its snapshot")
        match kind:
            case "gap":
                is_here = frame["reason"] == "evicted"
                asked = self.seq
                if not is_here and isinstance(self.start, dict):
                    asked = self.start["seq"]
                self.gap(frame["after_seq"], frame["upto_seq"], frame["reason"], frame["lost"], asked)
                self._gap, self._wait = frame, False
            case "snapshot":
                self._snapshot(frame)
            case "mark":
                self.report.figures["marks"] += 1
                if frame["seq"] < self.seq:
                    self.fail("mark", f"mark {frame['seq']} behind {self.seq}")
                self.passed(frame["seq"], "mark")
                self.seq = frame["seq"]
            case "synced":
                self.passed(frame["seq"], "synced")
                if frame["seq"] < self._head:
                    self.fail("synced", f"synced {frame['seq']}, the head was {self._head}")
            case "closed":
                self._closed(frame)
            case _:
                self.fail("frame", str(frame))

    def _subscribed(self, frame: Frame) -> None:
        self.recent.append(frame)
        self.run.is_of(frame["epoch"])
        start, after, recovery = self.start, frame.get("after"), frame["recovery"]
        asked = start["seq"] if isinstance(start, dict) else 0
        if start == "snapshot":
            is_right = (recovery, after) == ("snapshot", None)
        elif start == "now":
            is_right = (recovery, after) == ("live", frame["head"])
        elif isinstance(start, dict) and start["epoch"] != self.run.epoch:
            is_right = (recovery, after) == ("gap", None)
        elif recovery == "gap":
            is_right = after is None
        else:
            is_right = after == asked and recovery == ("live" if asked == frame["head"] else "replayed")
        if not is_right:
            kind = "epoch" if isinstance(start, dict) and start["epoch"] != self.run.epoch else "cursor"
            self.fail(kind, f"from {start}: recovery {recovery}, after {after}, head {frame['head']}")
        self.is_attached, self.leaving, self.has_left = True, None, False
        self._n, self._head, self._gap = 0, frame["head"], None
        self._told.clear()
        self._begin = after
        self._wait = recovery in ("gap", "snapshot")
        if after is not None:
            self.has_cursor = True
        if start == "now":
            self.seq = after
            self._at = self._view.behind(after)

    def _event(self, frame: Frame) -> None:
        self.recent.append(frame)
        mode, data, seq = frame["mode"], frame["data"], frame["seq"]
        self._n += 1
        if frame["n"] > self._n:
            self._hole = (self._n, f"n={frame['n']} where {self._n} was due, at seq {seq} behind {self.seq}")
            return
        if frame["n"] != self._n:
            self.fail("n", f"n={frame['n']} where {self._n} is due, at seq {seq} behind {self.seq}")
        if self._wait or self._gap is not None:
            self.fail("gap", f"event {seq} before the gap or the snapshot that was announced")
        if self.is_over:
            self.fail("terminal", f"event {seq} behind closed")
        if mode == "messages":
            self._meta(frame, data["id"])
        if mode not in _FREE:
            self.taken += 1
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    self.fail("credit", f"event {seq} is more than the credit that was given")
        elif mode == "lifecycle":
            data = data["status"]
        ns = frame.get("ns")
        if ns is not None and not (len(ns) == 1 and ns[0].startswith("inner:")):
            self.fail("wrong", f"ns {ns} at {seq}")
        self.event(seq, mode, data, frame.get("node"), ns is not None)

    def _look_for_hole(self, frame: Frame | None = None) -> None:
        """What comes behind a hole says what it is: the event that was due, too late, or it is lost."""
        if self._hole is None:
            return
        n, told = self._hole
        if frame is not None:
            self.recent.append(frame)
        self.fail("reordered" if frame is not None and frame.get("n") == n else "lost", told)

    def _meta(self, frame: Frame, id: str) -> None:
        meta = frame.get("meta")
        if id in self._told:
            if meta is not None:
                self.fail("meta", f"metadata of {id} once more")
            return
        if meta is None or meta["langgraph_node"] != frame["node"]:
            self.fail("meta", f"no metadata with the first event of {id} on this attachment: {meta}")
        self._told.add(id)

    def _snapshot(self, frame: Frame) -> None:
        if self._gap is not None and frame["seq"] != self._gap["upto_seq"]:
            self.fail("snapshot", f"snapshot at {frame['seq']}, the gap goes to {self._gap['upto_seq']}")
        if self._gap is None and (not self._wait or frame["seq"] < self._head):
            self.fail("snapshot", f"a snapshot at {frame['seq']} that was not asked for")
        rows = {
            row["id"]: (
                row["message"].get("content", ""),
                row.get("node"),
                bool(row["ns"]),
                row.get("meta", {}).get("langgraph_node"),
            )
            for row in frame["messages"]
        }
        if len(rows) != len(frame["messages"]):
            self.fail("snapshot", "a message stands there twice")
        self.snapshot(frame["seq"], frame["status"], frame.get("values"), rows)
        self._gap, self._wait, self._begin = None, False, None
        self.has_cursor = True
        self._told.clear()

    def _closed(self, frame: Frame) -> None:
        if frame["reason"] != "end":
            self.fail("terminal", f"closed: {frame['reason']}")
        self.closed(frame["status"])
        if frame["seq"] != self.run.head:
            self.fail("terminal", f"closed at {frame['seq']}, the log ends at {self.run.head}")
        if frame["delivered"] != self._n:
            self.fail("n", f"closed says {frame['delivered']} delivered, {self._n} came")
        if self._begin is not None and frame["skipped"] != frame["seq"] - self._begin - self._n:
            self.fail("n", f"closed says {frame['skipped']} skipped, from {self._begin}: {frame}")

    def grant(self) -> int:
        """Return the credit to give back now, for what was taken."""
        taken, self.taken = self.taken, 0
        if self._left is None or not self.is_attached:
            return 0
        self._left += taken
        return taken
