"""Following a thread: its messages so far, the run that executes, and every later one, without a hole.

Three things are read beside each other. One watch names the runs of the thread, each with its number and the
checkpoint that it began from (``follow_order`` keeps the order). The log of one run is read at a time, from
its start. The thread's state is asked for where only it is exact: before a run, and after it unless the run's
own values said the same. A state read after run ``k`` may be touched by ``k + 1`` already. The reply names
the latest run that had begun, so such a state is not taken: ``k + 1`` names the checkpoint that it began
from.

Where the numbers have a hole, or a run's log is gone, everything begins anew from the state, and the reader
gets a ``FollowDiscard``.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal

from graphwire_protocol.commands import List, State, Watch
from graphwire_protocol.filters import Filter
from graphwire_protocol.replies import Ok, RunRow
from graphwire_protocol.types import TERMINAL, Mode

from graphwire.errors import Refused
from graphwire.events import Event, ValuesEvent, cut_bytes, restored
from graphwire.exchange import Exchange
from graphwire.follow_events import Because, FollowDiscard, FollowEvent, FollowMessages, FollowRun
from graphwire.follow_log import FollowedLog, given_of, messages_in
from graphwire.follow_order import Label, RunOrder
from graphwire.follow_view import ThreadView
from graphwire.follow_watch import ThreadWatch
from graphwire.run import Run, RunEvents, Values
from graphwire.run_tracker import RunTracker

FOLLOWED_MODES: tuple[Mode, ...] = ("messages", "custom")
"""What a chat page shows: tokens, and what the graph's writers write."""

_RETRY_S = 1.0
_PAGE = 100


class _Anew(Exception):
    """Following has to begin anew from the thread's state."""

    def __init__(self, reason: Literal["lost", "missed"], run: str | None = None) -> None:
        super().__init__(reason)
        self.reason: Literal["lost", "missed"] = reason
        self.run = run


@dataclass(frozen=True, slots=True)
class _Read:
    """A state as it was read: its messages, and the latest run that had begun then."""

    messages: tuple[Any, ...] | None
    label: Label | None
    bytes: int | None = None

    def shown(self, because: Because, run: str | None = None) -> FollowMessages:
        return FollowMessages(messages=self.messages or (), because=because, run=run, cut_bytes=self.bytes)


class ThreadFollower(AsyncIterator[FollowEvent]):
    """What ``client.follow()`` returns: an async iterator without end, and the thread's messages as they are.

    A wait that is cancelled loses no event. ``aclose()``, or leaving ``async with``, ends it; runs continue.
    """

    def __init__(
        self,
        exchange: Exchange,
        graph: str,
        thread: str,
        *,
        key: str,
        filter: Filter,
        window: int,
    ) -> None:
        self.graph = graph
        self.thread = thread
        self._exchange = exchange
        self._key = key
        self._filter = filter
        self._window = window
        self._order = RunOrder()
        self._view = ThreadView()
        self._run: Run | None = None
        self._settled: tuple[Any, ...] | None = None  # the messages of the last state
        self._events = self._follow()
        self._step: asyncio.Future[FollowEvent] | None = None

    # ── the reader ───────────────────────────────────────────────────────────────────────────────

    @property
    def messages(self) -> tuple[Any, ...]:
        """The thread's messages now, the ones that are being written included: what a chat page shows."""
        return self._view.messages

    @property
    def run(self) -> Run | None:
        """The run whose events are read, to cancel or to answer; ``None`` between runs. Do not iterate it."""
        return self._run

    def __aiter__(self) -> "ThreadFollower":
        return self

    async def __anext__(self) -> FollowEvent:
        if self._step is None:
            self._step = asyncio.ensure_future(anext(self._events))
        if not self._step.done():  # else a reader that waits for no time at all would never get it
            await asyncio.wait({self._step})
        step, self._step = self._step, None
        event = step.result()
        self._view.apply(event)
        return event

    async def aclose(self) -> None:
        """End the loop, and stop receiving events. Runs continue on the server."""
        step, self._step = self._step, None
        if step is not None:
            step.cancel()
            await asyncio.wait({step})
            with contextlib.suppress(BaseException):
                step.result()
        await self._events.aclose()

    async def __aenter__(self) -> "ThreadFollower":
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    # ── all runs ─────────────────────────────────────────────────────────────────────────────────

    async def _follow(self) -> AsyncGenerator[FollowEvent, None]:
        welcome = self._exchange.welcome
        if welcome is not None and welcome.minor < 1:
            raise Refused("unsupported", "the server is too old to follow a thread: it does not number runs")
        watch = await self._exchange.watch_into(
            lambda id, sub: Watch(id=id, sub=sub, graphs=(self.graph,), thread=self.thread),
            lambda sub: ThreadWatch(sub, self._order, lambda: self._exchange.connections),
        )
        try:
            anew: _Anew | None = None
            while True:
                try:
                    async with contextlib.aclosing(self._begin(watch, anew)) as events:
                        async for event in events:
                            yield event
                    while True:
                        row = self._order.following() if watch.is_current else None
                        if row == "missed":
                            raise _Anew("missed")
                        if row is not None:
                            async with contextlib.aclosing(self._follow_run(watch, row)) as events:
                                async for event in events:
                                    yield event
                            self._order.done()
                        elif watch.is_synced and not watch.is_current:
                            async with contextlib.aclosing(self._refresh(watch)) as events:
                                async for event in events:
                                    yield event
                        else:
                            await watch.change()
                except _Anew as again:
                    anew = again
                finally:
                    self._run = None
        finally:
            self._exchange.leave(watch)

    async def _begin(self, watch: ThreadWatch, anew: _Anew | None) -> AsyncGenerator[FollowEvent, None]:
        """Begin, or begin anew, from the thread's state."""
        order = self._order
        if anew is not None:
            if anew.run is not None:
                order.forget(anew.run)
            yield FollowDiscard(reason=anew.reason, run=anew.run if anew.reason == "lost" else None)
        while not watch.is_synced:
            await watch.change()
        before = order.now
        event = await self._start_from(await watch.compare(self._read), before)
        if event is not None:
            yield event

    async def _start_from(self, read: _Read, before: int) -> FollowMessages | None:
        """Go on behind a state; return what to show of it, None if the run that it names is shown instead."""
        order, label = self._order, read.label
        is_shown = label is not None and (label == order.shown or order.has_ended(label, before))
        if label is not None and not is_shown and order.find(label) is None:
            await self._list()  # a watch may leave out runs, if there are too many
            is_shown = order.find(label) is None  # nobody shows it to this user: another's, or forgotten
        order.begin(label, is_shown=is_shown, before=before)
        if label is not None and not is_shown:
            return None
        self._settled = read.messages
        return read.shown("state")

    async def _refresh(self, watch: ThreadWatch) -> AsyncGenerator[FollowEvent, None]:
        """Compare with the thread's state after a reconnect, during which anything may have happened."""
        order = self._order
        read = await watch.compare(self._read)
        if read.label == order.shown:
            if read.messages != self._settled:
                self._settled = read.messages
                yield read.shown("state")
            return
        is_same = read.label is not None and order.epoch in (None, read.label[0])
        if not is_same or read.label is None or order.find((read.label[0], order.next)) is None:
            raise _Anew("missed")

    async def _list(self) -> None:
        """Take the rows of all runs of the thread into account."""
        cursor: str | None = None
        while True:
            page = {"what": "runs", "graph": self.graph, "thread": self.thread, "cursor": cursor}
            reply = await self._ask(lambda id, page=page: List(id=id, limit=_PAGE, **page))
            for row in reply.runs or ():
                self._order.add(row)
            cursor = reply.cursor
            if cursor is None:
                return

    # ── one run ──────────────────────────────────────────────────────────────────────────────────

    async def _follow_run(self, watch: ThreadWatch, row: RunRow) -> AsyncGenerator[FollowEvent, None]:
        is_shown_already = False
        try:
            async with contextlib.aclosing(self._read_run(watch, row)) as events:
                async for event in events:
                    is_shown_already = True
                    yield event
        except Refused as refused:
            if refused.code != "not_found" or refused.details.get("kind", "run") != "run":
                raise
            raise _Anew("lost" if is_shown_already else "missed", row.run) from None
        finally:
            run, self._run = self._run, None
            if run is not None:
                await run.detach()

    async def _read_run(self, watch: ThreadWatch, row: RunRow) -> AsyncGenerator[FollowEvent, None]:
        row = await self._located(watch, row)
        label = (row.thread_epoch or "", row.thread_seq or 0)
        log = FollowedLog(row)
        events, first = await self._attach(row, log)
        yield FollowRun(
            run=row.run,
            number=label[1],
            status=row.status,
            checkpoint=row.checkpoint,
            missing=tuple(log.missing),
        )
        if row.checkpoint is not None:
            base = _Read((), None) if row.checkpoint == "" else await self._read(row.checkpoint)
            self._settled = base.messages
            yield base.shown("start", row.run)
        event: Event | None = first
        while True:
            if event is None:
                if log.has_ended or self._run is None or self._run.status in TERMINAL:
                    break
                read = await self._read()
                if read.label == label:
                    self._settled = read.messages
                    yield read.shown("pause", row.run)
                assert self._run is not None
                events = aiter(self._run)
            else:
                if log.lacks_input(event):
                    read = await self._read()
                    given = given_of(self._settled, read.messages)
                    if read.label == label and given is not None:
                        yield FollowMessages(messages=given, because="input", run=row.run)
                values = log.take(event, self._key)
                if values is not None:
                    yield FollowMessages(messages=values, because="values", run=row.run)
                if not isinstance(event, ValuesEvent) or "values" in self._filter.modes:
                    yield event
            event = await anext(events, None)
        self._run = None
        if log.values is not None and log.status == "completed":
            self._settled = log.values
            yield FollowMessages(messages=log.values, because="end", run=row.run)
            return
        read = await self._read()
        if read.label == label:
            self._settled = read.messages
            yield read.shown("end", row.run)
        elif not await self._has_next(read.label):
            raise _Anew("missed")

    async def _has_next(self, latest: Label | None) -> bool:
        """Tell whether the run that touched the state since is one that will be shown."""
        order = self._order
        if latest is None or latest[0] != order.epoch:
            return False
        following = (latest[0], order.next + 1)
        if order.find(following) is None:
            await self._list()
        return order.find(following) is not None

    async def _located(self, watch: ThreadWatch, row: RunRow) -> RunRow:
        """Wait until it is known from where the run began, or that it never did."""
        label = (row.thread_epoch or "", row.thread_seq or 0)
        while row.checkpoint is None and row.status not in TERMINAL:
            await watch.change()
            found = self._order.find(label)
            if found is None and watch.is_synced:
                raise _Anew("missed")
            row = found or row
        return row

    async def _attach(self, row: RunRow, log: FollowedLog) -> tuple[RunEvents, Event | None]:
        """Read the run's log from its start; return its events, and the first."""
        wanted = self._filter
        log.missing = [mode for mode in wanted.modes if mode not in row.modes]
        modes = [mode for mode in wanted.modes if mode in row.modes]
        if "values" in row.modes and "values" not in modes:
            modes.append("values")
        fields: dict[str, Any] = {**wanted.__dict__, "modes": tuple(modes) or ("lifecycle",)}
        if "values" in modes and not {"values", "updates"} & set(wanted.modes):
            fields["keys"] = (self._key,)
        try:
            return await self._open(row, Filter(**fields))
        except Refused as refused:
            if refused.code != "unsupported" or not wanted.below_root:
                raise
        log.missing.append("subgraphs")
        return await self._open(row, Filter(**{**fields, "namespaces": ((),)}))

    async def _open(self, row: RunRow, filter: Filter) -> tuple[RunEvents, Event | None]:
        welcome = self._exchange.welcome
        values: Values = "patch" if welcome is not None and "patch" in welcome.features else "full"
        run = Run(self._exchange, row.run, self.graph, filter, "start", self._window, RunTracker(), values)
        run.thread = self.thread
        self._run = run
        events = aiter(run)
        return events, await anext(events, None)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def _read(self, checkpoint: str | None = None) -> _Read:
        """Read the thread's messages, now or at a checkpoint."""
        place = {"graph": self.graph, "thread": self.thread, "checkpoint": checkpoint, "keys": (self._key,)}
        try:
            reply = await self._ask(lambda id: State(id=id, **place))  # type: ignore[arg-type]
        except Refused as refused:
            if refused.code == "too_large":
                without = {**place, "keys": ()}
                reply = await self._ask(lambda id: State(id=id, **without))  # type: ignore[arg-type]
                return _Read(None, _label(reply), refused.details.get("bytes") or 0)
            if refused.code == "not_found" and refused.details.get("kind") == "checkpoint":
                raise _Anew("missed") from None
            raise
        values = restored(reply.values)
        size = cut_bytes(values.get(self._key) if isinstance(values, dict) else values)
        return _Read(None if size is not None else messages_in(values, self._key) or (), _label(reply), size)

    async def _ask(self, make: Any) -> Ok:
        while True:
            try:
                reply = await self._exchange.ask(make)
            except Refused as refused:
                if refused.retry != "after":
                    raise
                await asyncio.sleep(refused.after_s or _RETRY_S)
                continue
            assert isinstance(reply, Ok)
            return reply


def _label(state: Ok) -> Label | None:
    if state.thread_epoch is None or state.thread_seq is None:
        return None
    return state.thread_epoch, state.thread_seq
