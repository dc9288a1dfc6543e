"""One run as its viewer sees it: events to iterate over, its result, and how to stop it.

A run remembers what its reader took. Leaving the loop detaches from the log and stops nothing; the next loop
goes on from there. Reconnecting is the connection's business and not visible here.
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
    Response,
    Result,
    Subscribe,
)
from graphwire_protocol.filters import Filter
from graphwire_protocol.frames import Closed, Gap, Snapshot
from graphwire_protocol.frames import Event as EventFrame
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.replies import Ok
from graphwire_protocol.types import Status

from graphwire.arguments import projected
from graphwire.connection import Connection
from graphwire.errors import GraphwireError, Refused, RunCancelled, RunFailed, RunInterrupted
from graphwire.events import Event, EventReader, Interrupt, LifecycleEvent, SnapshotEvent, restored
from graphwire.feed import Feed, Known

_LIFECYCLE = Filter(modes=("lifecycle",), namespaces=())
_ENDED = frozenset({"failed", "cancelled"})
_FEW = 16  # the window of a subscription that gets lifecycle events alone, which cost no credit


Values: TypeAlias = Literal["full", "patch"]
"""How states travel: whole, or as the difference from the one before. The application sees whole ones."""


class Run:
    """A run on the server, made by ``client.run()`` or ``client.attach()``.

    ``async for event in run`` yields its events in order, each once, until the run has ended or is
    interrupted with nothing behind it and no answer given: ``respond()`` within the loop lets it go on, and
    iterating again goes on behind the last event that was taken. One loop at a time: a second one takes over
    from the first. A viewer that is too slow for the log's limits gets a ``GapEvent`` and a
    ``SnapshotEvent``, never silence.
    """

    def __init__(
        self,
        connection: Connection,
        id: str,
        graph: str | None,
        filter: Filter,
        start: From,
        window: int,
        known: Known,
        values: Values = "full",
    ) -> None:
        self.id = id
        self.graph = graph
        """The graph's name; ``None`` for a run that was attached to, which does not tell it."""
        self.thread: str | None = None
        self.created = False
        """Whether this client's request has started the run, rather than found it."""
        self._connection = connection
        self._filter = filter
        self._cursor: From = start
        self._window = window
        self._values: Values = values
        self._known = known
        self._feed: Feed | None = None
        self._reader = EventReader(id)
        self._is_exhausted = False
        self._loop: object = None  # names the loop that takes the events; no reference to it, so that
        # dropping a loop is noticed at once

    # ── what is known ────────────────────────────────────────────────────────────────────────────

    @property
    def epoch(self) -> str | None:
        """The incarnation of the log that ``position`` belongs to; ``None`` while that is not known."""
        self._look_at_start()
        return self._cursor.epoch if isinstance(self._cursor, Position) else None

    @property
    def position(self) -> int:
        """The ``seq`` of the last event that was taken, 0 before the first; with ``epoch`` it is where
        another client may attach.
        """
        self._look_at_start()
        return self._cursor.seq if isinstance(self._cursor, Position) else 0

    @property
    def status(self) -> Status | None:
        """The status as last heard, which may be ahead of the events taken; ``None`` before any was heard."""
        return self._known.status

    @property
    def interrupts(self) -> tuple[Interrupt, ...]:
        """The questions that the run waits for, as last heard."""
        return self._known.interrupts

    @property
    def head(self) -> int:
        """The highest ``seq`` of the log that was heard of."""
        start = self._feed.start if self._feed is not None else None
        return max(self._known.head, (start.head or 0) if start is not None else 0)

    def __repr__(self) -> str:
        return f"<Run {self.id} of {self.graph or 'unknown graph'}: {self.status}, at {self.position}>"

    # ── events ───────────────────────────────────────────────────────────────────────────────────

    def __aiter__(self) -> "RunEvents":
        return RunEvents(self)

    async def _next(self, loop: "RunEvents") -> Event | None:
        """Return the next event; None at the end of the loop."""
        while self._loop is loop.name and not self._is_exhausted:
            feed = self._feed
            is_answered = loop.pause is None or loop.pause <= self._known.answered
            if not is_answered and (feed is None or not len(feed)):
                return None
            if feed is None:
                feed = await self._attach(loop.name)
            try:
                delivered = await feed.take(loop.name)
            except GraphwireError:
                self._detach(feed)
                raise
            event = None if delivered is None else self._taken(feed, delivered)
            if event is not None:
                loop.pause = event.seq if self._pauses_at(feed, event) else None
                return event
        if self._loop is not None and self._loop is not loop.name:
            raise RuntimeError("another loop over this run has taken over; attach again for a second reader")
        return None

    def _begin(self, loop: object) -> None:
        self._loop = loop
        if self._feed is not None:
            self._feed.read_by(loop)

    async def _attach(self, loop: object) -> Feed:
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

        _, feed = await self._connection.subscribe(make, self._window, self._known)
        if self._feed is not None or self._loop is not loop:
            self._connection.leave(feed)  # another loop was faster, or this one has been left meanwhile
            return self._feed or feed
        self._feed = feed
        feed.read_by(loop)
        return feed

    def _taken(self, feed: Feed, delivered: Delivered) -> Event | None:
        """Account for a frame that leaves the queue; return its event, if it is one."""
        frame = delivered.frame
        self._look_at_start()
        if isinstance(frame, Closed):
            self._detach(feed)
            if frame.reason == "end":
                self._is_exhausted = True
                return None
            raise Refused(
                "forbidden" if frame.reason == "forbidden" else "not_found",
                f"run {self.id}: the subscription was closed, the run's log is {frame.reason}",
            )
        if not isinstance(frame, EventFrame | Gap | Snapshot):
            return None
        # A gap leaves the cursor where it is until its snapshot is taken.
        if not isinstance(frame, Gap) and delivered.epoch is not None:
            self._cursor = Position(epoch=delivered.epoch, seq=frame.seq)
        if isinstance(frame, EventFrame):
            self._connection.took(feed, frame.mode)
        return self._reader.read(frame)

    def _look_at_start(self) -> None:
        """Begin where the first attachment did, rather than at another "now" or "snapshot"."""
        start = self._feed.start if self._feed is not None else None
        if start is None or isinstance(self._cursor, Position):
            return
        if start.epoch is not None and start.after is not None:
            self._cursor = Position(epoch=start.epoch, seq=start.after)

    def _pauses_at(self, feed: Feed, event: Event) -> bool:
        """Tell whether the run waits for an answer and the log ends with ``event``."""
        head = feed.start.head if feed.start is not None else None
        return (
            isinstance(event, LifecycleEvent | SnapshotEvent)
            and event.status == "interrupted"
            and event.seq >= (head or 0)
        )

    def _detach(self, feed: Feed) -> None:
        self._look_at_start()
        beyond = self._connection.cursor(feed)
        if beyond is not None and isinstance(self._cursor, Position) and beyond[0] == self._cursor.epoch:
            self._cursor = Position(epoch=beyond[0], seq=max(beyond[1], self._cursor.seq))
        if self._feed is feed:
            self._feed = None
        self._connection.leave(feed)

    async def detach(self) -> None:
        """Stop receiving: a loop over this run ends. The run goes on; iterating again attaches anew behind
        the last event that was taken.
        """
        self._leave()

    def _leave(self) -> None:
        self._loop = None
        if self._feed is not None:
            self._feed.read_by(None)
            self._detach(self._feed)

    def __del__(self) -> None:
        # A run that nobody holds any more must not stay attached: its queue would fill and stand.
        feed = getattr(self, "_feed", None)
        if feed is not None:
            with contextlib.suppress(RuntimeError):  # the loop may close in this moment
                self._connection.leave(feed)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    async def respond(
        self, responses: Mapping[str, Any] | None = None, *, partial: bool = False
    ) -> Status | None:
        """Answer what the run waits for: ``{interrupt's id: value}``; return its status as it is now.

        It goes on in the same log (``running``) once every pending interrupt has its answer, and stays
        ``interrupted`` till then. ``partial`` lets it go on at once; the graph asks the rest again. A static
        breakpoint, where nothing is asked, takes no ``responses``.

        Raises ``Refused``: ``not_found`` for an interrupt that it does not wait for, ``conflict`` where
        somebody else was faster or the run is not interrupted. An answer whose reply is lost with the
        connection is sent again; ``conflict`` may then mean that it had arrived.
        """
        if not isinstance(responses, Mapping | None):
            raise TypeError(
                f"respond() takes a dict, {{interrupt's id: answer}}, not {type(responses).__name__}; "
                "where the run asks one thing, answer(value) needs no id"
            )
        answers = tuple(
            Response(interrupt=id, value=projected(value, f"responses[{id!r}]"))
            for id, value in (responses or {}).items()
        )
        known = self._known
        pause, resumed = known.pause if known.status == "interrupted" else None, known.resumed
        reply = await self._connection.ask(
            lambda id: Respond(id=id, run=self.id, responses=answers, partial=partial)
        )
        assert isinstance(reply, Ok)
        if reply.status != "interrupted":
            known.answer([answer.interrupt for answer in answers], pause, resumed)
        return reply.status

    async def answer(self, value: Any) -> Status | None:
        """Answer the one question that the run asks, as ``respond()`` does.

        Raises ``ValueError`` unless exactly one is heard of; see ``interrupts``.
        """
        asked = [item.id for item in self.interrupts]
        if len(asked) != 1:
            which = f"{len(asked)} things ({', '.join(asked)})" if asked else "nothing, as far as was heard"
            raise ValueError(f"run {self.id} asks {which}; respond({{id: value}}) names what it answers")
        return await self.respond({asked[0]: value})

    # ── the end ──────────────────────────────────────────────────────────────────────────────────

    async def cancel(self, reason: str | None = None) -> Status | None:
        """Ask the server to stop the run; return its status as it is now.

        Harmless if it has ended. The last event, ``cancelled``, arrives in the log.
        """
        reply = await self._connection.ask(lambda id: Cancel(id=id, run=self.id, reason=reason))
        assert isinstance(reply, Ok)
        return reply.status

    async def delete(self) -> None:
        """Delete the run, its log and its result; its thread stays. Viewers of it get ``Refused``.

        Raises ``Refused``: ``conflict`` while it runs or is queued, ``not_found`` if it is gone.
        """
        await self._connection.ask(lambda id: Delete(id=id, run=self.id))

    async def result(self) -> Any:
        """Wait for the run's end and return what ``invoke`` would.

        Raises ``RunFailed``, ``RunCancelled`` or ``RunInterrupted``; behind ``respond()`` it waits again.
        Needs no loop over the events; takes none away from one.
        """
        while True:
            reply = await self._connection.ask(lambda id: Result(id=id, run=self.id))
            assert isinstance(reply, Ok)
            status = reply.status
            if status == "completed":
                return restored(reply.output)
            if self._known.status != status or status not in _ENDED:
                await self._follow()
            if status in _ENDED or (status == "interrupted" and self._known.status == status):
                raise self._why(status)

    def _why(self, status: Status | None) -> GraphwireError:
        known = self._known
        if status == "cancelled":
            return RunCancelled(self.id, known.reason)
        if status == "interrupted":
            return RunInterrupted(self.id, known.interrupts)
        return self.failure()

    def failure(self) -> RunFailed:
        """Return the error that says why the run failed, as far as that is known."""
        failure = self._known.failure
        if failure is None:
            return RunFailed(self.id, "lost", "the server no longer tells why")
        return RunFailed(self.id, failure.code, failure.message, failure.error_id, failure.type)

    async def _follow(self) -> None:
        """Hear of the run's statuses until it has ended or is interrupted."""
        events = Run(self._connection, self.id, self.graph, _LIFECYCLE, "start", _FEW, self._known)
        async for _ in events:
            pass


class RunEvents(AsyncIterator[Event]):
    """One loop over a run's events.

    Dropping it, as ``break`` does, or ``aclose()`` detaches from the log. A wait that is cancelled loses
    nothing: the next one gets the event.
    """

    def __init__(self, run: Run) -> None:
        self.name = object()
        self.pause: int | None = None  # the place of the pause that the log ends with
        self._run = run
        run._begin(self.name)

    async def __anext__(self) -> Event:
        event = await self._run._next(self)
        if event is None:
            self._end()
            raise StopAsyncIteration
        return event

    async def aclose(self) -> None:
        """End the loop; the next one over the run goes on behind the last event that was taken."""
        self._end()

    def _end(self) -> None:
        if self._run._loop is self.name:
            self._run._leave()

    def __del__(self) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop may close in this moment
            self._end()
