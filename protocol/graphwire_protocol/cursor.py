"""One subscription as its client keeps it: a cursor over a run's log that outlives connections.

This is what makes delivery exact: an event at or below the cursor of its epoch is not shown again, a hole in
``n`` is an error, and patches become whole states. The session decides what to send, and when.
"""

from typing import Any

from graphwire_protocol.commands import From, Position, Spec
from graphwire_protocol.credit import Window
from graphwire_protocol.errors import IllegalTransition
from graphwire_protocol.filters import Filter
from graphwire_protocol.frames import Event, Gap, Mark, Snapshot, SubFrame
from graphwire_protocol.patches import PatchError, apply
from graphwire_protocol.replies import Subscribed
from graphwire_protocol.state import SUBSCRIPTION, SubscriptionState, advance
from graphwire_protocol.types import Namespace


class OutOfStep(Exception):
    """A frame that is illegal here: the server, or something between, is at fault."""


class Subscription:
    """One cursor over a run's log, across connections.

    ``epoch`` and ``seq`` are the cursor, None until the first attachment sets it. A gap moves it only with
    the snapshot that follows: if the connection is lost between the two, both have to be sent again.
    """

    def __init__(self, run: str, spec: Spec, window: Window | None) -> None:
        self.run = run
        self.sub = spec.sub
        self.filter: Filter = spec.filter
        self.state: SubscriptionState = "requested"
        self.epoch: str | None = None
        self.seq: int | None = None
        self.window = window
        self._start: From = spec.from_
        self._values = spec.values
        self._states: dict[Namespace, tuple[int, Any]] = {}  # the last state, if patched
        self._attached: str | None = None  # the epoch of this attachment
        self._n = 0

    @property
    def position(self) -> From:
        """Where the next attachment begins: the cursor, or the spec's own start if there is none yet."""
        if self.epoch is None or self.seq is None:
            return self._start
        return Position(epoch=self.epoch, seq=self.seq)

    def spec(self) -> dict[str, Any]:
        """Begin a new attachment: return the fields of its spec, from the cursor."""
        self.state = "requested"
        self._n = 0
        self._states.clear()
        return {
            "sub": self.sub,
            "filter": self.filter,
            "from_": self.position,
            "credit": None if self.window is None else self.window.opening(),
            "values": self._values,
        }

    def subscribed(self, frame: Subscribed) -> None:
        """Take in the reply that opens the attachment. Raises ``OutOfStep``."""
        self._step("subscribed live" if frame.recovery in (None, "live") else "subscribed")
        self._attached = frame.epoch
        # Without ``after`` a gap or a snapshot follows and says where delivery begins. Within an epoch a
        # reply never moves the cursor back: everything up to it has been shown.
        if frame.after is not None and (self.seq is None or frame.epoch != self.epoch):
            self.epoch, self.seq = frame.epoch, frame.after

    def refused(self) -> None:
        """End: the server refused the attachment. Raises ``OutOfStep`` if it has answered it before."""
        self._step("error")

    @property
    def attached_epoch(self) -> str | None:
        """The epoch of the current attachment; None before the first one."""
        return self._attached

    def receive(self, frame: SubFrame) -> SubFrame | None:
        """Take a frame in; return what the application should see, patches as whole states, or None.

        Raises ``OutOfStep``.
        """
        self._step(frame.type)
        match frame:
            case Event(seq=seq, n=n, mode=mode):
                self._n += 1
                if n != self._n:
                    raise OutOfStep(f"event n={n} where n={self._n} was due")
                if mode == "values" and self._values == "patch":
                    frame = self._whole(frame)
                if self.seq is not None and self.epoch == self._attached and seq <= self.seq:
                    return None
                self.epoch, self.seq = self._attached, seq
                if self.window is not None:
                    self.window.put(mode)
            case Gap():
                self._states.clear()
            case Snapshot(seq=seq):
                self._states.clear()
                self.epoch, self.seq = self._attached, seq
            case Mark(seq=seq, n=n):
                if n is not None and n != self._n:
                    raise OutOfStep(f"a mark behind event n={n}, where n={self._n} was the last to arrive")
                self.seq = max(seq, self.seq or 0)
                return None
        return frame

    def _whole(self, event: Event) -> Event:
        """Return a values event with its whole state; the next patch of its namespace builds on it."""
        state = event.data
        if event.base is not None:
            base, old = self._states.get(event.ns, (None, None))
            if base != event.base:
                raise OutOfStep(f"a patch of seq {event.base}, where this attachment got {base} before")
            try:
                state = apply(old, event.data)
            except PatchError as error:
                raise OutOfStep(str(error)) from None
        self._states[event.ns] = (event.seq, state)
        return event if event.base is None else event.model_copy(update={"data": state, "base": None})

    def _step(self, happening: str) -> None:
        try:
            self.state = advance(SUBSCRIPTION, self.state, happening)
        except IllegalTransition as illegal:
            raise OutOfStep(f"{happening!r} while the subscription is {self.state}") from illegal
