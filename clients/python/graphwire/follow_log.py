"""What the log of a followed run says about the thread's messages; pure."""

from collections.abc import Sequence
from typing import Any

from graphwire_protocol.replies import RunRow
from graphwire_protocol.types import TERMINAL

from graphwire.events import Event, LifecycleEvent, SnapshotEvent, ValuesEvent

_NO_STEP = frozenset({"lifecycle", "interrupt", "snapshot", "gap"})  # modes of events that come from no node


class FollowedLog:
    """What is known of a run from the events of its log that were read."""

    def __init__(self, row: RunRow) -> None:
        self.missing: list[str] = []
        self.status: str | None = None
        self.values: tuple[Any, ...] | None = None
        """The messages of its latest state; None if it did not say them."""
        self._has_values = "values" in row.modes
        self._steps = 0

    def take(self, event: Event, key: str) -> tuple[Any, ...] | None:
        """Take an event into account; return the messages of the root's state if it has them."""
        if isinstance(event, LifecycleEvent | SnapshotEvent):
            self.status = event.status
        if isinstance(event, ValuesEvent) and not event.namespace:
            self.values = messages_in(event.data, key)
            return self.values
        if isinstance(event, SnapshotEvent) and self._has_values:
            self.values = messages_in(event.values, key)
            return self.values
        return None

    def lacks_input(self, event: Event) -> bool:
        """Tell whether the input has to be looked for: at the first step of a run that records no values."""
        if self._has_values or event.mode in _NO_STEP:
            return False
        self._steps += 1
        return self._steps == 1

    @property
    def has_ended(self) -> bool:
        """Whether its terminal event, or a snapshot behind it, was read."""
        return self.status in TERMINAL


def messages_in(values: Any, key: str) -> tuple[Any, ...] | None:
    """Return the list at ``key`` of a state; None if there is none."""
    found = values.get(key) if isinstance(values, dict) else None
    return tuple(found) if isinstance(found, list | tuple) else None


def given_of(before: Sequence[Any] | None, now: Sequence[Any] | None) -> tuple[Any, ...] | None:
    """Return ``now`` up to the first message that the graph itself wrote; None if that is nothing new.

    The log shows what the graph writes, and shows it in order.
    """
    known = list(before or ())
    out: list[Any] = []
    for message in now or ():
        if message not in known and getattr(message, "type", "human") not in ("human", "system"):
            break
        out.append(message)
    return tuple(out) if any(message not in known for message in out) else None
