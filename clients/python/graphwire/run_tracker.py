"""The latest status of one run, however many subscriptions and requests it is learnt from.

Three sources arrive in any order: the events of several subscriptions, each at its own position in the log;
their snapshots; and the replies to ``respond``. A position in the log (``seq``) decides which event is newer.
A reply has none, which makes pauses the hard part: see ``answer()``.
"""

from collections.abc import Collection

from graphwire_protocol.frames import Closed, Event, Snapshot
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.payloads import Interrupts, Lifecycle
from graphwire_protocol.types import TERMINAL, Status
from pydantic import ValidationError

from graphwire.events import Failure, Interrupt, failure_of, interrupts_of


class RunTracker:
    """What is known of one run.

    ``status``, ``interrupts``, ``reason`` and ``failure`` are those of the newest event. ``head`` is the
    highest known ``seq`` of the log. Pauses up to ``seq`` ``answered`` were answered by this client; they
    do not end iteration. ``resumed`` counts the ``running`` events.
    """

    def __init__(self, status: Status | None = None) -> None:
        self.status = status
        self.interrupts: tuple[Interrupt, ...] = ()
        self.head = 0
        self.reason: str | None = None
        self.failure: Failure | None = None
        self.answered = 0
        self.resumed = 0
        self._epoch: str | None = None
        self._seq = 0  # of the newest event that was taken into account
        self._pause = 0  # the seq of the latest pause
        self._answered_ids: set[str] = set()  # of interrupts
        self._answered_breakpoints = 0  # answered here before their pause arrived

    def update(self, delivered: Delivered) -> None:
        """Take a frame into account, as it arrives."""
        frame = delivered.frame
        if isinstance(frame, Closed) and frame.status in TERMINAL:
            self.status = frame.status
        if not isinstance(frame, Event | Snapshot):
            return
        if delivered.epoch != self._epoch:
            self._epoch, self._seq, self.head = delivered.epoch, 0, 0
            self._pause = self.answered = 0
        self.head = max(self.head, frame.seq)
        if frame.seq < self._seq:
            return  # from a subscription that is behind another
        if isinstance(frame, Snapshot):
            self._seq = frame.seq
            self.status, self.interrupts = frame.status, interrupts_of(frame.interrupts)
            if frame.status == "interrupted":
                self._update_pause(frame.seq)
        elif frame.mode == "lifecycle":
            self._update_status(frame)
        elif frame.mode == "interrupt":
            try:
                self.interrupts = interrupts_of(Interrupts.model_validate(frame.data).interrupts)
            except ValidationError:
                return
            self._seq = frame.seq

    def _update_status(self, frame: Event) -> None:
        try:
            life = Lifecycle.model_validate(frame.data)
        except ValidationError:
            return  # a status that this version does not know
        self._seq = frame.seq
        self.status, self.reason, self.failure = life.status, life.reason, failure_of(life)
        if life.status == "interrupted":
            self._update_pause(frame.seq)
        else:
            self.interrupts = ()
            if life.status == "running":
                self.resumed += 1
                self._answered_breakpoints = 0  # their pauses lie before this event

    def _update_pause(self, seq: int) -> None:
        open_ids = {item.id for item in self.interrupts}
        if seq > self._pause:
            self._pause = seq
            if open_ids & self._answered_ids:
                self.answered = seq
            elif self._answered_breakpoints and not open_ids:
                self._answered_breakpoints -= 1
                self.answered = seq
        if seq <= self.answered:
            self.status, self.interrupts = "running", ()

    @property
    def pause(self) -> int:
        """The ``seq`` of the latest known pause, 0 before the first."""
        return self._pause

    def answer(self, interrupts: Collection[str], pause: int | None, resumed: int) -> None:
        """Take into account that the server accepted the answers to ``interrupts`` and resumed the run.

        ``interrupts`` are ids, none for a breakpoint. ``pause`` is the ``seq`` of the pause that was known
        when the answers were sent, None if none was; ``resumed`` is the count at that time. Both are needed
        since the reply may arrive before the events of the answered pause, or after those of the next one.
        """
        self._answered_ids.update(interrupts)
        open_ids = {item.id for item in self.interrupts}
        if pause is not None:
            self.answered = max(self.answered, pause)
        elif self.resumed != resumed:
            pass  # the run has passed that pause
        elif self.status == "interrupted" and (open_ids & self._answered_ids or not (open_ids or interrupts)):
            self.answered = self._pause
        elif not interrupts:
            self._answered_breakpoints += 1
        if self.status == "interrupted" and self._pause <= self.answered:
            self.status, self.interrupts = "running", ()
