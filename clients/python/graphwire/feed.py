"""What one subscription has delivered and its reader has not taken yet, and what is known of its run.

Credit bounds the queue: the server sends no more than the window that the subscription was opened with.
Attaching and leaving is the connection's business, meaning is the reader's.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection

from graphwire_protocol.frames import Closed, Event, Snapshot
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.payloads import Interrupts, Lifecycle
from graphwire_protocol.replies import Subscribed
from graphwire_protocol.types import TERMINAL, Status
from pydantic import ValidationError

from graphwire.errors import GraphwireError
from graphwire.events import Failure, Interrupt, failure_of, interrupts_of


class Known:
    """The latest that was heard of a run, by whichever of its subscriptions.

    ``head`` is the highest place in its log that was heard of; ``answered`` the place up to which its pauses
    have their answers from here, so that none of them is an end.
    """

    def __init__(self, status: Status | None = None) -> None:
        self.status = status
        self.interrupts: tuple[Interrupt, ...] = ()
        self.head = 0
        self.reason: str | None = None
        self.failure: Failure | None = None
        self.answered = 0
        self.resumed = 0
        """How often it was heard that the run goes on."""
        self._epoch: str | None = None
        self._seq = 0
        self._pause = 0  # where the latest pause is
        self._answers: set[str] = set()  # the interrupts that were answered
        self._unheard = 0  # answered breakpoints of which nothing was heard yet

    def hear(self, delivered: Delivered) -> None:
        """Learn from a frame as it arrives."""
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
            return  # a subscription further back tells what another has told
        if isinstance(frame, Snapshot):
            self._seq = frame.seq
            self.status, self.interrupts = frame.status, interrupts_of(frame.interrupts)
            if frame.status == "interrupted":
                self._hear_pause(frame.seq)
        elif frame.mode == "lifecycle":
            self._hear_lifecycle(frame)
        elif frame.mode == "interrupt":
            try:
                self.interrupts = interrupts_of(Interrupts.model_validate(frame.data).interrupts)
            except ValidationError:
                return
            self._seq = frame.seq

    def _hear_lifecycle(self, frame: Event) -> None:
        try:
            life = Lifecycle.model_validate(frame.data)
        except ValidationError:
            return  # a status that is newer than this client
        self._seq = frame.seq
        self.status, self.reason, self.failure = life.status, life.reason, failure_of(life)
        if life.status == "interrupted":
            self._hear_pause(frame.seq)
        else:
            self.interrupts = ()
            if life.status == "running":
                self.resumed += 1
                self._unheard = 0  # whatever pause was answered lies before this

    def _hear_pause(self, seq: int) -> None:
        asked = {item.id for item in self.interrupts}
        if seq > self._pause:
            self._pause = seq
            if asked & self._answers:
                self.answered = seq
            elif self._unheard and not asked:
                self._unheard -= 1
                self.answered = seq
        if seq <= self.answered:
            self.status, self.interrupts = "running", ()

    @property
    def pause(self) -> int:
        """The place of the latest pause that was heard of."""
        return self._pause

    def answer(self, interrupts: Collection[str], pause: int | None, resumed: int) -> None:
        """The server took the answers to ``interrupts``, and the run goes on.

        ``pause`` is the pause that was known to wait when they were sent, ``resumed`` as it was then. The
        reply to a request may come before the events of that pause as well as behind those of the next.
        """
        self._answers.update(interrupts)
        asked = {item.id for item in self.interrupts}
        if pause is not None:
            self.answered = max(self.answered, pause)
        elif self.resumed != resumed:
            pass  # it is behind that pause already
        elif self.status == "interrupted" and (asked & self._answers or not (asked or interrupts)):
            self.answered = self._pause
        elif not interrupts:
            self._unheard += 1
        if self.status == "interrupted" and self._pause <= self.answered:
            self.status, self.interrupts = "running", ()


class Feed:
    """The queue of one subscription."""

    def __init__(self, sub: int, known: Known) -> None:
        self.sub = sub
        self.known = known
        self.start: Subscribed | None = None
        """How the first attachment began, once that is told."""
        self.reader: object = None
        self._queue: deque[Delivered] = deque()
        self._fault: Callable[[], GraphwireError] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, delivered: Delivered) -> None:
        """Queue a frame."""
        self.known.hear(delivered)
        self._queue.append(delivered)
        self._wake()

    def fail(self, fault: Callable[[], GraphwireError]) -> None:
        """Nothing more comes: behind what is queued, the reader gets the error that ``fault`` makes."""
        self._fault = fault
        self._wake()

    async def take(self, reader: object) -> Delivered | None:
        """Return the next frame, as soon as there is one. Loses none when it is cancelled.

        Returns ``None`` once ``reader`` is not the one that ``read_by`` named last.
        """
        while self.reader is reader:
            if self._queue:
                return self._queue.popleft()
            if self._fault is not None:
                raise self._fault()
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            await waiter
        return None

    def read_by(self, reader: object) -> None:
        """Make ``reader`` the one that takes."""
        self.reader = reader
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
