"""A run's whole log, and what a filter admits of it: the events that a subscription must have received."""

import itertools
from collections.abc import Iterable
from typing import Any

from graphwire_conformance.protocol import call_of
from graphwire_protocol.filters import NOTHING, Address, Filter, Matcher

Frame = dict[str, Any]


class Log:
    """A run's whole log, from the events of a subscription to everything."""

    def __init__(self, events: Iterable[Frame]) -> None:
        self.events = list(events)
        assert [event["seq"] for event in self.events] == list(range(1, len(self.events) + 1))
        assert [event["n"] for event in self.events] == list(range(1, len(self.events) + 1))
        self._metas: dict[str, Frame] = {}
        for event in self.events:
            if "meta" in event:
                call = call_of(event["data"])
                assert call not in self._metas, "meta comes once a call"
                self._metas[call] = event["meta"]

    @property
    def head(self) -> int:
        return len(self.events)

    def through(self, filter: dict[str, Any], after: int = 0) -> list[Frame]:
        """Return the events that an attachment behind ``after`` must get, but for ``sub``."""
        matcher = Matcher(Filter.model_validate(filter))
        out: list[Frame] = []
        told: set[str] = set()
        for event in self.events[after:]:
            if not matcher.admits(self._address(event)):
                continue
            frame = {name: value for name, value in event.items() if name not in ("sub", "meta")}
            frame["data"] = matcher.project(event["mode"], event["data"])
            if frame["data"] is NOTHING:
                continue
            call = call_of(event["data"]) if event["mode"] == "messages" else None
            if call is not None and call not in told:
                told.add(call)
                frame["meta"] = self._metas[call]
            frame["n"] = len(out) + 1
            out.append(frame)
        return out

    def _address(self, event: Frame) -> Address:
        tags: tuple[str, ...] = ()
        if event["mode"] == "messages":
            tags = tuple(self._metas[call_of(event["data"])].get("tags", ()))
        return Address(event["mode"], tuple(event.get("ns", ())), event.get("node"), tags)


def check_exact(frames: list[Frame], log: Log, filter: dict[str, Any], after: int = 0) -> None:
    """Check that ``frames``, all of one attachment that is over, are what ``log`` says, and nothing else."""
    events = [
        {name: value for name, value in frame.items() if name != "sub"}
        for frame in frames
        if frame["type"] == "event"
    ]
    expected = log.through(filter, after)
    assert events == expected
    seqs = [event["seq"] for event in events]
    assert all(left < right for left, right in itertools.pairwise(seqs))
    terminal = [event for event in events if is_terminal(event)]
    assert terminal == events[-1:]
    kinds = [frame["type"] for frame in frames]
    assert kinds[0] == "subscribed"
    assert kinds.count("closed") == 1
    assert kinds[-1] == "closed"
    closed = frames[-1]
    assert closed["reason"] == "end"
    assert closed["seq"] == log.head
    assert closed["status"] == terminal[0]["data"]["status"]
    assert (closed["delivered"], closed["skipped"]) == (len(expected), log.head - after - len(expected))


def is_terminal(event: Frame) -> bool:
    """Tell whether an event frame is the last of a log."""
    return event["mode"] == "lifecycle" and event["data"]["status"] in ("completed", "failed", "cancelled")
