"""What clients saw of a run, and what must hold of it, whatever stopped in between."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

from tests.support.cluster_soak.graphs import TICKS
from tests.support.peer import Frame

ENDED = ("completed", "failed", "cancelled")
ENDS = (*ENDED, "forgotten")
"""``forgotten`` is a run that Redis lost whole."""


_OBEYED_S = 1.0
"""A run whose cancel was answered says nothing more: its code was cancelled before. This is for load."""


class Wrong(AssertionError):
    """Something that must not happen."""


class View:
    """The events of one epoch that a client got, behind ``base``; Redis was in its life ``lives`` by then."""

    def __init__(self, run: str, epoch: str, base: int, lives: int) -> None:
        self.run = run
        self.epoch = epoch
        self.base = base
        self.lives = lives
        self.events: list[Frame] = []

    @property
    def cursor(self) -> Frame | str:
        """Where to go on."""
        seq = self.events[-1]["seq"] if self.events else self.base
        return {"epoch": self.epoch, "seq": seq}

    def took(self, frame: Frame) -> None:
        """Take an event that is due; nothing else but ``synced`` may come."""
        if frame["type"] == "event":
            due = self.base + len(self.events) + 1
            if frame["seq"] != due:
                raise Wrong(self.run, "seq is", frame["seq"], "and not", due, "in", self.epoch)
            self.events.append(frame)
        elif frame["type"] in ("gap", "snapshot"):
            raise Wrong(self.run, "nothing that was shown is gone", frame)


class Seen:
    """One run as its clients saw it."""

    def __init__(self, id: str, graph: str, thread: str | None) -> None:
        self.id = id
        self.graph = graph
        self.thread = thread
        self.views: list[View] = []
        self.log: View | None = None
        """The log as it was read last."""
        self.end: str | None = None
        self.heard: str | None = None
        """The status with which a cancel got its ``ok``."""
        self.heard_in = ""
        """The epoch that was known when that was asked."""
        self.heard_at = 0
        """When it was answered, as events say when they were made."""
        self.attempt = 1
        """The last one."""
        self.answer: Any = None
        """What an answer said that got its ``ok``."""

    @property
    def view(self) -> View | None:
        """What was seen last."""
        return self.views[-1] if self.views else None

    @property
    def epochs(self) -> list[str]:
        return [view.epoch for view in self.views]

    @property
    def epoch(self) -> str:
        """The one that was seen last. It changes once, at most, for each time that Redis is started again."""
        return self.views[-1].epoch if self.views else ""

    @property
    def status(self) -> str | None:
        """The last status that was shown."""
        if self.end is not None:
            return self.end
        for event in reversed(self.views[-1].events if self.views else []):
            if event["mode"] == "lifecycle":
                return str(event["data"]["status"])
        return None

    @property
    def was_taken_over(self) -> bool:
        """Whether another process has gone on with it."""
        events = [event for view in self.views for event in view.events]
        return any(event["mode"] == "lifecycle" and event["data"]["attempt"] > 1 for event in events)

    @property
    def question(self) -> str | None:
        """What the run asks, in the epoch that was seen last."""
        asked = [event for event in self.views[-1].events if event["mode"] == "interrupt"]
        return asked[-1]["data"]["interrupts"][0]["id"] if asked else None

    def forgotten(self) -> None:
        """Note that Redis has lost the run."""
        self.end = "forgotten"

    def attached(self, reply: Frame, lives: int) -> "Attached":
        """Begin to read: behind what was seen, or behind a gap."""
        epoch = reply["epoch"]
        view = self.view
        if view is None:
            self.views.append(View(self.id, epoch, 0, lives))
        elif view.epoch != epoch and len(self.views) >= lives:
            raise Wrong(self.id, "epoch", epoch, "after", self.epochs, "and Redis was started", lives)
        return Attached(self, epoch, has_gap=view is not None and view.epoch != epoch)


class Attached:
    """One attachment of a reader: its events are numbered from 1."""

    def __init__(self, seen: Seen, epoch: str, *, has_gap: bool) -> None:
        self._seen = seen
        self._epoch = epoch
        self._awaits = "gap" if has_gap else ""
        self._number = 0

    def took(self, frame: Frame, lives: int) -> None:
        """Take the next frame of the subscription."""
        seen, view, kind = self._seen, self._seen.views[-1], frame["type"]
        if self._awaits:
            if kind != self._awaits:
                raise Wrong(seen.id, self._awaits, "is due, and there is", frame)
            self._awaits = "snapshot" if kind == "gap" else ""
            if kind == "snapshot":
                seen.views.append(View(seen.id, self._epoch, frame["seq"], lives))
            return
        if kind == "event":
            self._number += 1
            if frame["n"] != self._number:
                raise Wrong(seen.id, "n is", frame["n"], "and not", self._number)
        if kind == "closed":
            if frame["reason"] == "deleted" and view.lives < lives:
                seen.forgotten()
                return
            raise Wrong(seen.id, "closed before its end", frame)
        view.took(frame)
        view.lives = lives


def check_log(seen: Seen, log: View, closed: Frame) -> None:
    """Compare what was seen of a run with its whole log. Raises ``Wrong``."""
    check_shown(seen, log)
    statuses = [event["data"]["status"] for event in log.events if event["mode"] == "lifecycle"]
    if [status for status in statuses if status in ENDED] != statuses[-1:]:
        raise Wrong(seen.id, "does not end once", statuses)
    if log.events[-1]["mode"] != "lifecycle" or closed.get("status") != statuses[-1]:
        raise Wrong(seen.id, "its end", log.events[-1], closed)
    if statuses[-1] != seen.status:
        raise Wrong(seen.id, "ended", seen.status, "and then", statuses[-1])
    _check_makers(seen, log.events)
    _check_promises(seen, log, statuses)
    _check_counted(seen, log.events, statuses)


def check_shown(seen: Seen, log: View) -> None:
    """What was shown is in the log. Raises ``Wrong``."""
    for view in seen.views:
        if view.epoch == log.epoch:
            kept = log.events[view.base : view.base + len(view.events)]
            if len(kept) < len(view.events):
                raise Wrong(
                    seen.id, "was shown", len(view.events), "events behind", view.base, "of", len(kept)
                )
            for shown, found in zip(view.events, kept, strict=True):
                if _content(shown) != _content(found):
                    raise Wrong(seen.id, "was shown", _content(shown), "and is now", _content(found))


def _check_makers(seen: Seen, log: list[Frame]) -> None:
    """Behind each ``running`` are events of one process, in the order in which it made them."""
    by, at = "", 0
    for event in log:
        if event["mode"] == "lifecycle":
            by = "" if event["data"]["status"] == "running" else by
        elif event["mode"] == "custom":
            made = event["data"]
            if by and made["by"] != by:
                raise Wrong(seen.id, "an event of", made["by"], "behind one of", by, event)
            if made["at"] <= at:
                raise Wrong(seen.id, "an event stands behind one that was made later", event)
            by, at = made["by"], made["at"]


def _check_promises(seen: Seen, log: View, statuses: list[str]) -> None:
    last = log.events[-1]
    if seen.heard is not None and seen.heard_in == log.epoch:
        ends = (seen.heard,) if seen.heard in ENDED else ("cancelled", "completed")
        if statuses[-1] not in ends and not _is_lost(last):
            raise Wrong(seen.id, "a cancel had its ok with", seen.heard, "and the run ended", last)
        made = [event["data"]["at"] for event in log.events if event["mode"] == "custom"]
        late_s = (max(made, default=0) - seen.heard_at) / 1e9
        if late_s > _OBEYED_S:
            raise Wrong(seen.id, "was cancelled, and went on for", late_s, "seconds")
    if statuses[-1] == "failed":
        if not _is_lost(last):
            raise Wrong(seen.id, "failed by itself", last)
        if seen.thread is not None and seen.views[0].epoch == log.epoch:
            raise Wrong(seen.id, "its thread is in Redis, so it goes on", last)


def _is_lost(event: Frame) -> bool:
    return event["data"].get("error", {}).get("code") == "lost"


def _check_counted(seen: Seen, log: list[Frame], statuses: list[str]) -> None:
    counting = _without_void(seen, log)
    saved, described = _checkpoints(counting, "checkpoints"), _checkpoints(counting, "debug")
    if saved != described and statuses[-1] == "completed":
        raise Wrong(seen.id, "a takeover let go a part of a step", saved, described)
    data = [event["data"] for event in counting if event["mode"] == "custom"]
    counted = [made["i"] for made in data]
    if seen.graph == "ticks":
        if counted != list(range(TICKS if statuses[-1] == "completed" else len(counted))):
            raise Wrong(seen.id, "counted", counted)
    elif statuses[-1] == "completed":
        answers = [made.get("answer") for made in data[-8:]]
        if counted[-8:] != list(range(1, 9)) or (seen.answer is not None and set(answers) != {seen.answer}):
            raise Wrong(seen.id, "answered", seen.answer, "and made", data)


def _checkpoints(events: list[Frame], mode: str) -> list[str]:
    """Return the checkpoints that a mode speaks of; two do, one behind the other."""
    data = [event["data"] for event in events if event["mode"] == mode]
    if mode == "debug":
        data = [each["payload"] for each in data if each["type"] == "checkpoint"]
    return [each["config"]["configurable"]["checkpoint_id"] for each in data]


def _without_void(seen: Seen, log: list[Frame]) -> list[Frame]:
    """Return the events that count; an attempt that takes others back is the next one."""
    out: list[Frame] = []
    attempt = 1
    for event in log:
        if event["mode"] == "lifecycle":
            after = event["data"].get("void_after")
            attempt += after is not None
            if event["data"]["attempt"] != attempt:
                raise Wrong(seen.id, "is attempt", event, "and not", attempt)
            if after is not None:
                out = [each for each in out if each["seq"] <= after]
        out.append(event)
    return out


def check_threads(runs: list[Seen]) -> None:
    """No thread has events of two runs at once. Raises ``Wrong``."""
    spans: dict[Any, list[tuple[int, int, str]]] = defaultdict(list)
    for seen in runs:
        if seen.thread is not None and seen.log is not None:
            for first, last in _spans(seen.log.events):
                spans[seen.graph, seen.thread].append((first, last, seen.id))
    for thread, found in spans.items():
        for (_, last, one), (first, _, other) in pairwise(sorted(found)):
            if first <= last and one != other:
                raise Wrong(thread, "has two runs at once", one, other)


def _spans(log: list[Frame]) -> list[tuple[int, int]]:
    """Return when a run made events, for each time that it was executing."""
    spans: list[list[int]] = []
    made: list[int] = []
    for event in log:
        if event["mode"] == "lifecycle":
            made = []
        elif event["mode"] == "custom":
            if not made:
                spans.append(made)
            made.append(event["data"]["at"])
    return [(found[0], found[-1]) for found in spans]


def _content(event: Frame) -> Frame:
    return {name: value for name, value in event.items() if name not in ("sub", "n", "meta")}
