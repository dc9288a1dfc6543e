"""One run as its server sees it: status, the way of its events into the log, its end.

A run owns its drive (the execution, on a runner) and its feed (who reads the log in this process). It decides
what the lifecycle says; the committer gives its events their place.
"""

import asyncio
import datetime
from collections.abc import Callable, Mapping
from typing import Any, cast

from graphwire_protocol.errors import Refusal
from graphwire_protocol.payloads import Failure, Interrupts, Lifecycle
from graphwire_protocol.replies import RunRow
from graphwire_protocol.state import RUN
from graphwire_protocol.types import TERMINAL, Mode, Seq, Status

from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.execution.execution import Drive, Outcome
from graphwire_gateway.execution.request import Task
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.runner import Job, Runner
from graphwire_gateway.log.feed import Feed
from graphwire_gateway.log.store import Batch, Record

_KNOWN_MESSAGES = 4096  # messages whose last seq is at hand; an older one's metadata is told once more


def _nobody(row: RunRow) -> None:
    """Nobody watches."""


class Run:
    """A run, from its start to the end of its result's life.

    ``commit(run)`` is called whenever ``pending`` has got records, ``on_change(row)`` when a new status is in
    the log, ``on_end(run)`` when the terminal event is, or the log is lost. ``on_pause(run)`` is called when
    it asks, ``on_leave(run)`` when it is over and its code has stopped: its thread is free.
    """

    def __init__(
        self,
        *,
        key: str,
        id: str,
        principal: str,
        graph: str,
        epoch: str,
        task: Task,
        runner: Runner,
        encoder: Encoder,
        failures: Failures,
        commit: Callable[["Run"], None],
        on_end: Callable[["Run"], None],
        cancel_grace_s: float,
        interrupt_ttl_s: float,
        max_run_s: float | None,
        metadata: dict[str, Any],
        on_pause: Callable[["Run"], None],
        on_leave: Callable[["Run"], None],
        on_change: Callable[[RunRow], None] = _nobody,
    ) -> None:
        self.key = key
        self.id = id
        self.principal = principal
        self.graph = graph
        self.epoch = epoch
        self.feed = Feed()
        self.created: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the store has the log."""
        self.status: Status = "queued"
        self.output: bytes | None = None
        self.failure: Failure | None = None
        self.modes: frozenset[Mode] = task.modes
        self.subgraphs = task.subgraphs
        self.scope = task.scope
        self.pending: list[Record] = []
        self.cancelled_by: str | None = None
        self.is_sealed = False
        """Whether the terminal event is in the log."""
        self._task = task
        self._runner = runner
        self._encoder = encoder
        self._failures = failures
        self._commit = commit
        self._on_end = on_end
        self._on_pause = on_pause
        self._on_leave = on_leave
        self._on_change = on_change
        self._news: list[Status] = []  # entered, and not in a batch yet
        self._flying: list[Status] = []  # in the batch that is being stored
        self._grace = cancel_grace_s
        self._interrupt_ttl = interrupt_ttl_s
        self._max_s = max_run_s
        self._metadata = metadata
        self._starters: set[object] = set()
        self._disconnect_grace = 0.0
        self._alone: asyncio.TimerHandle | None = None
        self._seq: Seq = 0
        self._last: dict[str, Seq] = {}  # message id → seq of its last delta
        self._drive: Drive | None = None
        self._outcome: Outcome | None = None  # until its code has stopped
        self._job: Job | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._created_at = self._changed_at = now()
        self._started_at: str | None = None
        self._ended_at: str | None = None
        self._events = 0  # made until the last interrupt
        self._interrupts: tuple[str, ...] = ()
        self._answers: dict[str, Any] = {}
        self._entered: Status | None = None

    # ── what it is told to do ────────────────────────────────────────────────────────────────────

    def queue(self) -> None:
        """Wait for a free place."""
        self._enter("queued")

    def start(self) -> None:
        """Begin to run the graph."""
        self._started_at = now()
        self._go(self._task)

    def _go(self, task: Task) -> None:
        self._enter("running")
        self._drive = Drive(self, task, self._runner, self._encoder, self._events)
        self._job = self._runner.start(self._drive.work, self._stopped)
        if self._max_s is not None:
            self._after(self._max_s, self._time_out, self._max_s)

    def _stopped(self, job: Job) -> None:
        if job is self._job:
            self._settle()
            if self.status in TERMINAL:
                self._leave()

    def _leave(self) -> None:
        """It is over and its code has stopped."""
        drive = self._drive
        if self.scope is not None and self.scope.is_private and drive and not drive.has_forgotten:
            self._runner.start(drive.forget)
        self._on_leave(self)

    @property
    def is_queued(self) -> bool:
        """Whether it waits, and its log says so."""
        return self._entered == "queued"

    @property
    def changed_at(self) -> str:
        """When its status began."""
        return self._changed_at

    @property
    def thread(self) -> str | None:
        """The caller's thread; a private one is in no list."""
        return None if self.scope is None or self.scope.is_private else self.scope.thread

    def answer(self, answers: Mapping[str, Any], *, is_partial: bool) -> bool:
        """Keep answers by interrupt; return whether the run has all that it needs and may ``resume``.

        Raises ``Refusal``; then nothing is kept.
        """
        if self.status != "interrupted":
            raise Refusal("conflict", f"run {self.id!r} is {self.status}, not interrupted")
        for id in answers:
            if id in self._answers:
                raise Refusal("conflict", f"interrupt {id!r} has its answer", details={"interrupt": id})
            if id not in self._interrupts:
                raise Refusal(
                    "not_found", f"run {self.id!r} does not wait for {id!r}", details={"kind": "interrupt"}
                )
        self._answers.update(answers)
        left = len(self._interrupts) - len(self._answers)
        return not left or (is_partial and bool(self._answers))

    def resume(self) -> None:
        """Go on with the answers that were kept, in the same log."""
        answers, self._answers = self._answers, {}
        self._interrupts = ()
        self._clear_timers()
        self._go(self._task.going_on(answers))

    def cancel(self, reason: str | None = None) -> None:
        """Stop the run; once more is harmless. Its terminal event comes within the grace."""
        if self.status in TERMINAL or self.cancelled_by is not None:
            return
        if not self.created.done():  # there is no log yet that its end could stand in
            self.created.add_done_callback(lambda created: self._cancel_created(created, reason))
            return
        self.cancelled_by = reason or "cancelled"
        if self._job is None or self.status == "interrupted":
            self._end("cancelled", self.cancelled_by)
            self._leave()
            return
        self._job.cancel(self._grace)
        self._after(self._grace, self._end, "cancelled", self.cancelled_by)

    def _cancel_created(self, created: "asyncio.Future[None]", reason: str | None) -> None:
        if created.exception() is None:
            self.cancel(reason)

    def adopt(self, starter: object, grace_s: float) -> None:
        """Cancel the run when ``starter`` has gone for ``grace_s`` seconds and nobody subscribes."""
        self._starters.add(starter)
        self._disconnect_grace = grace_s

    def abandon(self, starter: object) -> None:
        """``starter`` has gone; while another who has adopted the run is there, that is no matter."""
        self._starters.discard(starter)
        self.feed.on_empty = self._left_alone
        self._left_alone()

    def _left_alone(self) -> None:
        if self._alone is not None:
            self._alone.cancel()
            self._alone = None
        if self.status not in TERMINAL and not self._starters and not self.feed.readers:
            loop = asyncio.get_running_loop()
            self._alone = loop.call_later(self._disconnect_grace, self._cancel_if_alone)

    def _cancel_if_alone(self) -> None:
        if not self._starters and not self.feed.readers:
            self.cancel("disconnected")

    def _time_out(self, seconds: float) -> None:
        error = Failure(code="timeout", message=f"the run took longer than {seconds:g} s (max_run_s)")
        if self._job is not None:
            self._job.cancel(self._grace)
        self._end("failed", error=error)

    def _after(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, function, *args))

    # ── what comes from the runner ───────────────────────────────────────────────────────────────

    def take(self, drive: Drive, made: list[Record | Outcome]) -> bool:
        """Take in what the drive handed home; False if it comes too late and is dropped."""
        if drive is not self._drive or self.status in TERMINAL:
            return False
        last = made[-1]
        outcome = last if isinstance(last, Outcome) else None
        if outcome is not None:
            made.pop()
        self.pending.extend(cast("list[Record]", made))
        if outcome is not None:
            self._outcome = outcome
            if self._job is None or self._job.is_over or outcome.kind == "interrupted":
                self._settle()
            else:
                # Its end is told when its thread is free: who starts the next one behind it finds it so.
                self._after(self._grace, self._settle)
        return True

    def _settle(self) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is None or self.status in TERMINAL:
            return
        if self.cancelled_by is not None:
            self._end("cancelled", self.cancelled_by)
        elif outcome.error is not None:
            self._end("failed", error=self._failures.of_run(outcome.error, self.graph, self.id, self.scope))
        elif outcome.kind == "completed":
            self.output = outcome.output
            self._end("completed")
        else:
            self.pending.append(self._encoder.own("interrupt", Interrupts(interrupts=outcome.interrupts)))
            if self.scope is not None:
                self._clear_timers()
                self._events += outcome.events
                self._interrupts = tuple(item.id for item in outcome.interrupts)
                self._enter("interrupted")
                self._after(self._interrupt_ttl, self.cancel, "expired")
                self._on_pause(self)
            else:
                # Nothing keeps its state, so nobody can answer: this is its end.
                self.output = outcome.output
                self._end("completed", "interrupted")

    def _end(self, status: Status, reason: str | None = None, error: Failure | None = None) -> None:
        if self.status in TERMINAL:
            return
        if self._entered is None:
            self._enter("queued")  # it is ended before it could begin
        self._stop()
        self.failure = error
        self._interrupts = ()
        self._ended_at = now()
        self._enter(status, reason, error)

    def _clear_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _stop(self) -> None:
        self._clear_timers()
        if self._alone is not None:
            self._alone.cancel()
        if self._drive is not None:
            self._drive.stop()

    def _enter(self, status: Status, reason: str | None = None, error: Failure | None = None) -> None:
        assert (self._entered, status) in RUN, (self._entered, status)
        self.status = self._entered = status
        self._changed_at = now()
        event = Lifecycle(status=status, attempt=1, at=self._changed_at, reason=reason, error=error)
        self.pending.append(self._encoder.own("lifecycle", event))
        self._news.append(status)
        self._commit(self)

    # ── the way into the log ─────────────────────────────────────────────────────────────────────

    def batch(self) -> Batch | None:
        """Take what is pending, numbered and linked message by message; None if nothing is."""
        records, self.pending = self.pending, []
        if not records:
            return None
        self._flying, self._news = self._news, []
        first = seq = self._seq + 1
        last = self._last
        for record in records:
            if record.message is not None:
                record.previous = last.get(record.message, 0)
                last[record.message] = seq
            seq += 1
        self._seq = seq - 1
        while len(last) > _KNOWN_MESSAGES:
            del last[next(iter(last))]
        return Batch(self.key, self.epoch, first, records, sum([record.size for record in records]))

    def stored(self, batch: Batch) -> None:
        """The store holds these records."""
        if self._drive is not None:
            self._drive.taken(len(batch.records), batch.size)
        for status in self._flying:
            self._on_change(self.row(status))
        self._flying = []
        if self.status in TERMINAL and not self.pending and not self.is_sealed:
            self.is_sealed = True
            self.feed.grown(self.feed.head)  # who has read the last event is told that it was
            self._on_end(self)

    def lost(self) -> None:
        """The store does not take this run's records any more: another worker has it, or it was deleted."""
        if self._job is not None:
            self._job.cancel(self._grace)
        self.status = "failed"
        self._stop()
        self.pending.clear()
        self.feed.grown(self.feed.head)  # who waits there looks at the log, and finds out
        self._on_end(self)
        if self._job is None or self._job.is_over:
            self._leave()

    # ── what is told of it ───────────────────────────────────────────────────────────────────────

    def check_records(self, modes: frozenset[Mode], below_root: bool, where: str) -> None:
        """Refuse a wish for what this run does not record."""
        missing = sorted(modes - self.modes)
        if not missing and (self.subgraphs or not below_root):
            return
        recorded = {"modes": sorted(self.modes), "subgraphs": self.subgraphs}
        what = f"mode {missing[0]!r}" if missing else "subgraphs"
        raise Refusal(
            "unsupported",
            f"{where}: this run does not record {what}; ask for it when the run starts (run.record)",
            details={"recorded": recorded},
        )

    def row(self, status: Status | None = None) -> RunRow:
        """Return what a list tells of it, now or as it was when it entered ``status``."""
        return RunRow(
            run=self.id,
            graph=self.graph,
            thread=self.thread,
            metadata=self._metadata,
            status=status or self.status,
            attempt=1,
            epoch=self.epoch,
            head=self.feed.head,
            created_at=self._created_at,
            started_at=self._started_at,
            ended_at=self._ended_at,
            interrupts=(self._interrupts or None) if (status or self.status) == "interrupted" else None,
            modes=tuple(sorted(self.modes)),
        )


def now() -> str:
    """Return the time as RFC 3339 in UTC, in milliseconds."""
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
