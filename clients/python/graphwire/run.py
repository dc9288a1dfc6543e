"""``Run``: one run as a client sees it. Iterate over its events, await its result, answer it, cancel it.

A ``Run`` remembers the position of the last event that was taken. Leaving a loop unsubscribes and stops
nothing on the server; the next loop continues after that position. Reconnecting happens below, in the
``Reconnector``, and is not visible here.

Long because the loop over a run, and what is asked of the run, move the same state.
"""

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, TypeAlias

from graphwire_protocol.commands import (
    Cancel,
    Delete,
    From,
    Position,
    Respond,
    Result,
    Subscribe,
)
from graphwire_protocol.filters import Filter
from graphwire_protocol.frames import Closed, Gap, Snapshot
from graphwire_protocol.frames import Event as EventFrame
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.replies import Ok
from graphwire_protocol.types import Status

from graphwire.arguments import responses_of
from graphwire.errors import GraphwireError, Refused, RunCancelled, RunFailed, RunInterrupted, lost_for
from graphwire.event_queue import EventQueue
from graphwire.event_reader import EventReader
from graphwire.events import (
    Event,
    Interrupt,
    LifecycleEvent,
    SnapshotEvent,
    asked_of,
    whole_output,
)
from graphwire.exchange import Exchange, MakeRequest
from graphwire.run_tracker import RunTracker

_LIFECYCLE = Filter(modes=("lifecycle",), namespaces=())
_ENDED = frozenset({"failed", "cancelled"})
_LIFECYCLE_WINDOW = 16  # any would do: lifecycle events cost no credit


Values: TypeAlias = Literal["full", "patch"]
"""How states are sent: whole, or as the difference from the one before. Events hold whole states."""


class Run:
    """A run on the server, made by ``client.run()`` or ``client.attach()``.

    ``async for event in run`` yields the run's events in order, each once. It stops after the last event of
    a run that ended, and after the last event of a run that is interrupted and was not answered. After
    ``respond()`` the same loop continues, if it is called within the loop; otherwise iterate again. A new
    loop continues after the last event that was taken, and ends an older loop.

    If the server's log no longer holds the next event, because the reader was too slow, the loop yields a
    ``GapEvent`` and a ``SnapshotEvent`` instead.
    """

    def __init__(
        self,
        exchange: Exchange,
        id: str,
        graph: str | None,
        filter: Filter,
        start: From,
        window: int,
        tracker: RunTracker,
        values: Values = "full",
    ) -> None:
        self.id = id
        self.graph = graph
        """The graph's name; ``None`` for a run that was attached to."""
        self.thread: str | None = None
        self.created = False
        """Whether this client's request started the run, rather than found it."""
        self._exchange = exchange
        self._filter = filter
        self._cursor: From = start
        self._window = window
        self._values: Values = values
        self._tracker = tracker
        self._queue: EventQueue | None = None
        self._reader = EventReader(id)
        self._is_exhausted = False
        self._known_on = 0  # the latest connection on which the server confirmed this run, by number
        # The token of the loop that takes the events. A reference to the loop itself would keep it alive,
        # and a dropped loop would not be noticed.
        self._loop: object = None

    # ── properties ────────────────────────────────────────────────────────────────────────────

    @property
    def epoch(self) -> str | None:
        """The epoch of the log that ``position`` belongs to; ``None`` before it is known."""
        self._adopt_start()
        return self._cursor.epoch if isinstance(self._cursor, Position) else None

    @property
    def position(self) -> int:
        """The ``seq`` of the last event that was taken, 0 before the first.

        ``client.attach(run.id, start=(run.epoch, run.position))`` continues here, in another process too.
        """
        self._adopt_start()
        return self._cursor.seq if isinstance(self._cursor, Position) else 0

    @property
    def status(self) -> Status | None:
        """The latest known status, which may be ahead of the events taken; ``None`` before the first."""
        return self._tracker.status

    @property
    def interrupts(self) -> tuple[Interrupt, ...]:
        """The questions that wait for an answer, as far as known."""
        return self._tracker.interrupts

    @property
    def head(self) -> int:
        """The highest known ``seq`` of the log."""
        start = self._queue.start if self._queue is not None else None
        return max(self._tracker.head, (start.head or 0) if start is not None else 0)

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.graph or 'unknown graph'}: {self.status}, at {self.position}>"

    # ── events ───────────────────────────────────────────────────────────────────────────────────

    def __aiter__(self) -> "RunEvents":
        return RunEvents(self)

    async def _next(self, loop: "RunEvents") -> Event | None:
        """Wait for the next event and return it; None at the end of the loop."""
        while self._loop is loop.token and not self._is_exhausted:
            queue = self._queue
            is_answered = loop.pause is None or loop.pause <= self._tracker.answered
            if not is_answered and (queue is None or not len(queue)):
                return None
            if queue is None:
                queue = await self._attach(loop.token)
            try:
                delivered = await queue.take(loop.token)
            except GraphwireError as error:
                self._detach(queue)
                raise self._explained(error) from None
            event = None if delivered is None else self._taken(queue, delivered)
            if event is not None:
                loop.pause = event.seq if self._pauses_at(queue, event) else None
                return event
        if self._loop is not None and self._loop is not loop.token:
            raise RuntimeError("another loop over this run took over; for a second reader, attach again")
        return None

    def _begin(self, loop: object) -> None:
        self._loop = loop
        if self._queue is not None:
            self._queue.read_by(loop)

    async def _attach(self, loop: object) -> EventQueue:
        def make(id: int, sub: int) -> Subscribe:
            return Subscribe(
                id=id,
                sub=sub,
                run=self.id,
                filter=self._filter,
                from_=self._cursor,
                credit=self._window,
                values=self._values,
            )

        try:
            _, queue = await self._exchange.subscribe(make, self._window, self._tracker)
        except Refused as refused:
            raise self._explained(refused) from None
        self.known()
        if self._queue is not None or self._loop is not loop:
            self._exchange.leave(queue)  # another loop was faster, or this one was left meanwhile
            return queue if self._queue is None else self._queue
        self._queue = queue
        queue.read_by(loop)
        return queue

    def _taken(self, queue: EventQueue, delivered: Delivered) -> Event | None:
        """Move the cursor past a frame that was taken; return its event, None if it is none."""
        frame = delivered.frame
        self._adopt_start()
        if isinstance(frame, Closed):
            self._detach(queue)
            if frame.reason == "end":
                self._is_exhausted = True
                return None
            raise Refused(
                "forbidden" if frame.reason == "forbidden" else "not_found",
                f"run {self.id}: the subscription was closed: {frame.reason}",
            )
        if not isinstance(frame, EventFrame | Gap | Snapshot):
            return None
        # Between a gap and its snapshot the cursor stays, so that a reconnect brings both again.
        if not isinstance(frame, Gap) and delivered.epoch is not None:
            self._cursor = Position(epoch=delivered.epoch, seq=frame.seq)
        if isinstance(frame, EventFrame):
            self._exchange.took(queue, frame.mode)
        return self._reader.read(frame)

    def _adopt_start(self) -> None:
        """Turn "now" or "snapshot" into the position where the first subscription started.

        Later subscriptions continue there, rather than at a later "now".
        """
        start = self._queue.start if self._queue is not None else None
        if start is None or isinstance(self._cursor, Position):
            return
        if start.epoch is not None and start.after is not None:
            self._cursor = Position(epoch=start.epoch, seq=start.after)

    def _pauses_at(self, queue: EventQueue, event: Event) -> bool:
        """Return whether the run waits for an answer and ``event`` is the last of its log."""
        head = queue.start.head if queue.start is not None else None
        return (
            isinstance(event, LifecycleEvent | SnapshotEvent)
            and event.status == "interrupted"
            and event.seq >= (head or 0)
        )

    def _detach(self, queue: EventQueue) -> None:
        self._adopt_start()
        # The filter may have skipped events since the last one taken.
        beyond = self._exchange.cursor(queue)
        if beyond is not None and isinstance(self._cursor, Position) and beyond[0] == self._cursor.epoch:
            self._cursor = Position(epoch=beyond[0], seq=max(beyond[1], self._cursor.seq))
        if self._queue is queue:
            self._queue = None
        self._exchange.leave(queue)

    async def detach(self) -> None:
        """Stop receiving events; a loop over this run ends. The run continues on the server.

        Iterating again continues after the last event that was taken.
        """
        self._leave()

    def _leave(self) -> None:
        self._loop = None
        if self._queue is not None:
            self._queue.read_by(None)
            self._detach(self._queue)

    def __del__(self) -> None:
        # Nobody reads the queue of a run that is not referenced any more: unsubscribe.
        queue = getattr(self, "_queue", None)
        if queue is not None:
            with contextlib.suppress(RuntimeError):  # the event loop may be closing
                self._exchange.leave(queue)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, make: MakeRequest) -> Ok:
        try:
            reply = await self._exchange.ask(make)
        except Refused as refused:
            raise self._explained(refused) from None
        self.known()
        assert isinstance(reply, Ok)
        return reply

    def known(self) -> None:
        """Note that the server knows this run on the present connection."""
        self._known_on = self._exchange.connections

    def _explained(self, error: GraphwireError) -> GraphwireError:
        """Return ``RunLost`` if the server knew this run on an earlier connection, else ``error``."""
        was_known = 0 < self._known_on < self._exchange.connections
        return lost_for(error, self.id, self.graph, self.thread) if was_known else error

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    async def respond(
        self, responses: Mapping[str, Any] | None = None, *, partial: bool = False
    ) -> Status | None:
        """Answer the questions of an interrupted run: ``{interrupt's id: value}``. Return its new status.

        Once every question has its answer the run continues in the same log, and the status is ``running``;
        until then it is ``interrupted``. With ``partial`` the run continues at once, and the graph asks the
        unanswered questions again. A static breakpoint asks nothing: call ``respond()`` without
        ``responses``.

        Raises ``TypeError`` for ``responses`` that are no mapping or hold a value that cannot be sent,
        ``Refused`` with code ``not_found`` for an interrupt that is not open, and ``conflict`` if the
        question was answered already or the run is not interrupted. If the connection is lost before the
        reply, the answer is sent again; ``conflict`` may then mean that it had arrived.
        """
        answers = responses_of(responses)
        tracker = self._tracker
        pause, resumed = tracker.pause if tracker.status == "interrupted" else None, tracker.resumed
        reply = await self._ask(lambda id: Respond(id=id, run=self.id, responses=answers, partial=partial))
        if reply.status != "interrupted":
            tracker.answer([answer.interrupt for answer in answers], pause, resumed)
        return reply.status

    async def answer(self, value: Any) -> Status | None:
        """Answer the one question that the run asks; return like ``respond()``.

        Raises ``ValueError`` unless exactly one question is known, see ``interrupts``, and like
        ``respond()``.
        """
        ids = [item.id for item in self.interrupts]
        if len(ids) != 1:
            what = f"{len(ids)} questions ({', '.join(ids)})" if ids else "nothing, as far as known"
            raise ValueError(f"run {self.id} asks {what}; respond({{id: value}}) names what it answers")
        return await self.respond({ids[0]: value})

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    async def cancel(self, reason: str | None = None) -> Status | None:
        """Cancel the run; return its status: a queued or interrupted one is ``cancelled`` at once.

        A run that has ended stays as it is. The cancellation is complete when the event ``cancelled``
        arrives. Raises ``Refused`` with code ``not_found`` for an unknown run.
        """
        return (await self._ask(lambda id: Cancel(id=id, run=self.id, reason=reason))).status

    async def delete(self) -> None:
        """Delete the run, its log and its result; its thread stays. Every reader's loop raises ``Refused``.

        Raises ``Refused`` with code ``conflict`` while the run is running or queued, ``not_found`` for an
        unknown run.
        """
        await self._ask(lambda id: Delete(id=id, run=self.id))

    async def result(self) -> Any:
        """Wait for the run's end and return its output, as LangGraph's ``invoke`` does.

        Raises ``RunFailed``, ``RunCancelled`` or ``RunInterrupted``, and ``Refused`` with code ``too_large``
        for an output over the server's ``max_event_bytes``. After ``respond()`` it may be called again. It
        needs no loop over the events, and does not disturb one.
        """
        while True:
            reply = await self._ask(lambda id: Result(id=id, run=self.id))
            status = reply.status
            if status == "completed":
                output, asked = whole_output(self.id, reply.output), reply.interrupts
                if asked is None:
                    return output
                raise RunInterrupted(self.id, asked_of(asked), output, is_over=True)
            if self._tracker.status != status or status not in _ENDED:
                await self._follow()
            if status in _ENDED or (status == "interrupted" and self._tracker.status == status):
                raise self._error_for(status)

    def _error_for(self, status: Status | None) -> GraphwireError:
        tracker = self._tracker
        if status == "cancelled":
            return RunCancelled(self.id, tracker.reason)
        if status == "interrupted":
            return RunInterrupted(self.id, tracker.interrupts)
        return self.failure()

    def failure(self) -> RunFailed:
        """Return the error that says why the run failed, as far as known."""
        failure = self._tracker.failure
        if failure is None:
            return RunFailed(self.id, "lost", "the server no longer knows why")
        return RunFailed(self.id, failure.code, failure.message, failure.error_id, failure.type)

    async def _follow(self) -> None:
        """Update the tracker until the run has ended or is interrupted."""
        events = Run(
            self._exchange, self.id, self.graph, _LIFECYCLE, "start", _LIFECYCLE_WINDOW, self._tracker
        )
        events.thread, events._known_on = self.thread, self._known_on
        async for _ in events:
            pass


class RunEvents(AsyncIterator[Event]):
    """One loop over a run's events.

    Dropping it, as ``break`` does, or ``aclose()`` unsubscribes. A wait that is cancelled loses no event: the
    next wait gets it.
    """

    def __init__(self, run: Run) -> None:
        self.token = object()
        self.pause: int | None = None  # the seq of the pause that the log ends with
        self._run = run
        run._begin(self.token)

    async def __anext__(self) -> Event:
        event = await self._run._next(self)
        if event is None:
            self._end()
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """End the loop. The next one over the run continues after the last event that was taken."""
        self._end()

    def _end(self) -> None:
        if self._run._loop is self.token:
            self._run._leave()

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop may be closing
            self._end()
