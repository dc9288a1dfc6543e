"""One run: its status, from its start to the end of its result's life.

A run has a log, which it writes, and an execution, which runs its graph. It decides every change of status;
the table ``RUN`` of the protocol says which ones are legal. That table is the lifecycle as a log tells it. A
run that has lost its log fails from any status, and no log tells of it.

Long because every change of a run's status is decided here, with what goes with it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from graphwire_protocol.errors import Refusal
from graphwire_protocol.payloads import Failure, Interrupts, Lifecycle, PendingInterrupt
from graphwire_protocol.replies import RunRow
from graphwire_protocol.state import RUN, advance
from graphwire_protocol.types import TERMINAL, Mode, Seq, Status

from graphwire_gateway.execution.execution import Execution, Executor, Made, Outcome
from graphwire_gateway.execution.request import RunRequest, held_size
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.log import Changes, Log
from graphwire_gateway.log.record import server_record
from graphwire_gateway.log.store import Batch
from graphwire_gateway.runs.clock import left, now
from graphwire_gateway.runs.details import StatusDetails, details_of
from graphwire_gateway.runs.keeper import Keeper
from graphwire_gateway.runs.numbers import Numbering
from graphwire_gateway.runs.questions import Questions
from graphwire_gateway.runs.standing import FoundRun, RunStanding, RunStart
from graphwire_gateway.runs.starters import Starters
from graphwire_gateway.runs.steps import Place, Steps

_TRANSITIONS: dict[tuple[Status | None, Status], Status] = {
    **RUN,
    ("queued", "failed"): "failed",
    ("interrupted", "failed"): "failed",
}
"""``RUN``, and the transitions that only a lost log brings about."""


class RunListener(Protocol):
    """Whoever keeps runs, and hears of what becomes of each."""

    def run_changed(self, run: "Run", row: RunRow) -> None:
        """The log holds a new status; ``row`` shows the run as it was when it got that status."""

    def row_changed(self, run: "Run", row: RunRow) -> None:
        """The row shows more of the run, which has no new status."""

    def run_moved(self, run: "Run") -> None:
        """The log has grown."""

    def run_paused(self, run: "Run") -> None:
        """The run waits for answers; nothing of it executes."""

    def run_ended(self, run: "Run") -> None:
        """The log holds the run's terminal event, or the log is lost."""

    def run_stopped(self, run: "Run") -> None:
        """The run has ended and its code has stopped: its thread is free."""


class Run:
    """A run of ``principal``, which the store knows as ``key`` and clients as ``request.run``.

    It is the owner of its log and of its executions. ``commit(log)`` is passed on to the log. ``start`` is
    what a store that outlives the process keeps of it; None if the store does not outlive it.
    """

    def __init__(
        self,
        request: RunRequest,
        *,
        key: str,
        principal: str,
        epoch: str,
        executor: Executor,
        commit: Callable[[Log], None],
        listener: RunListener,
        limits: Limits,
        metadata: dict[str, Any],
        numbering: Numbering | None = None,
        start: RunStart | None = None,
    ) -> None:
        self.id = request.run
        self.key = key
        self.principal = principal
        self.graph = request.graph
        self.scope = request.scope
        self.modes: frozenset[Mode] = request.modes
        self.subgraphs = request.subgraphs
        self.log = Log(key, request.run, epoch, self, commit)
        self.created: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the store has the log."""
        self.status: Status = "queued"
        self.output: bytes | None = None
        """What ``invoke`` would return, as JSON, of a completed run."""
        self.unanswered: tuple[PendingInterrupt, ...] | None = None
        """What it asked, if it has ended because nobody could answer; empty at a breakpoint."""
        self.failure: Failure | None = None
        self.cancelled_by: str | None = None
        """The reason of the first cancel."""
        self.kept_bytes = 0
        """The size of its private thread in the server's saver."""
        self.is_resumed = False
        """Whether it has continued with answers."""
        self.hindrance = ""
        """Why nothing can continue it, of a run that an earlier process left."""
        self._request: RunRequest | None = request  # until it starts or ends
        self._given_bytes = request.given_bytes
        self._request_bytes = request.kept_bytes
        self._row_bytes = held_size(metadata)
        self._executor = executor
        self._listener = listener
        self._cancel_grace_s = limits.cancel_grace_s
        self._interrupt_ttl_s = limits.interrupt_ttl_s
        self._max_run_s = limits.max_run_s
        self._metadata = metadata
        self._numbering = numbering  # of its thread; None for a private one
        self._thread_seq: int | None = None
        self._thread_epoch: str | None = None
        self._checkpoint = request.checkpoint
        self._entered: Status | None = None  # the status that was appended last
        self._unstored: deque[tuple[Seq, StatusDetails]] = deque()  # statuses whose events the store lacks
        self._execution: Execution | None = None
        self._outcome: Outcome | None = None  # until the execution's code has stopped
        self._timers: list[asyncio.TimerHandle] = []
        self.created_at = now() if start is None else start.created_at
        self._changed_at = self.created_at
        self._details = StatusDetails("queued", at=self.created_at)  # of the status that it has
        self._shown = self._details  # of the last one that the store holds
        self._questions = Questions()
        self._starters = Starters(self.log, self._may_disconnect, self._cancel_disconnected)
        self._is_resting = False  # whether it waits for the next process
        self._started_at: str | None = None
        self._ended_at: str | None = None
        self._keeper = Keeper(self.log, start)
        self.is_known = start is None
        """Whether others may see it: a kill does not take it back. Where none survives one, always."""
        self.is_deleted = False
        """Whether the next process is to find nothing of it."""
        self._attempt = 1
        self._handed_over = 0
        self._is_handing_over = False
        self.is_left = False
        """Whether its code has stopped, and the next server goes on with it."""
        self._steps = Steps()
        self._launch: Callable[[], Execution] | None = None  # once the store has its status
        self._is_taken = False  # whether another server has its log, and goes on with its thread
        self._leaving: Execution | None = None  # whose private thread goes once the store has the end

    # ── commands ─────────────────────────────────────────────────────────────────────────────────

    def queue(self) -> None:
        """Wait to be started."""
        self._enter("queued")

    def start(self) -> None:
        """Begin to run the graph."""
        self._started_at = now()
        if self._numbering is not None:
            self._thread_seq, self._thread_epoch = self._numbering.next(), self._numbering.epoch
        self._steps.begin(self._enter("running"))
        assert self._request is not None
        request, self._request = self._request, None  # the execution has it as long as it needs it
        self._begin(partial(self._executor.start, request, self))
        self._limit_time()

    def _begin(self, launch: Callable[[], Execution]) -> None:
        if not self._keeper.keeps:
            self._execution = launch()
        else:
            # Not before it is known that the run has begun: a graph that takes the process with it would be
            # started again and again.
            self._launch = launch

    def schema_of(self, interrupt: str) -> dict[str, Any] | None:
        """Return the JSON Schema of the answer to an open question; None if there is none."""
        return self._questions.schema_of(interrupt) if self.status == "interrupted" else None

    @property
    def open_schemas(self) -> dict[str, dict[str, Any] | None]:
        """The JSON Schemas of the answers to the open questions, by interrupt."""
        return {interrupt: self.schema_of(interrupt) for interrupt in self._questions.ids}

    def answer(
        self, answers: Mapping[str, Any], *, is_partial: bool, sent: Mapping[str, Any] | None = None
    ) -> bool:
        """Keep answers by interrupt id; return whether the run has all it needs to ``resume``.

        ``sent`` are the answers as the client sent them. Raises ``Refusal``; then nothing is kept.
        """
        if self.status != "interrupted":
            raise Refusal("conflict", f"run {self.id!r} is {self.status}, not interrupted")
        questions = self._questions
        questions.check(answers, self.id)
        questions.answers.update(answers)
        if self._keeper.keeps:
            questions.sent.update(sent or {})
            self._keeper.move()
        self._given_bytes += held_size(*answers.values())
        return questions.are_answered or (is_partial and bool(questions.answers))

    def resume(self) -> None:
        """Continue with the answers that were kept, in the same log."""
        assert self._execution is not None
        sent, answers = self._questions.sent, self._questions.take()
        self.is_resumed = True
        self._clear_timers()
        self._steps.resume(self._enter("running"), sent)
        self._begin(partial(self._execution.resume, answers))
        self._limit_time()

    def cancel(self, reason: str | None = None) -> None:
        """Stop the run; a second call does nothing. Its terminal event comes within ``cancel_grace_s``."""
        if self.status in TERMINAL or self.cancelled_by is not None:
            return
        if not self.created.done():  # no log exists yet that the end could be written to
            self.created.add_done_callback(lambda created: self._cancel_created(created, reason))
            return
        self.cancelled_by = reason or "cancelled"
        self._keeper.move()
        if self._execution is None or self._launch is not None or self.status == "interrupted":
            self._end("cancelled", self.cancelled_by)
            self._leave()
            return
        self._execution.cancel(self._cancel_grace_s)
        self._after(self._cancel_grace_s, self._end, "cancelled", self.cancelled_by)

    def forget(self) -> None:
        """Delete the log: nobody can find the run any more. It no longer keeps its thread's numbering."""
        self._clear_timers()
        self._numbering = None
        self.log.delete()
        self._starters.forget()

    def _cancel_created(self, created: "asyncio.Future[None]", reason: str | None) -> None:
        if created.exception() is None:
            self.cancel(reason)

    # ── the connections that started it with on_disconnect: cancel ───────────────────────────────

    def adopt(self, starter: object, grace_s: float) -> None:
        """Cancel the run once every starter has been gone, without readers, for ``grace_s`` seconds."""
        self._starters.add(starter, grace_s)

    def abandon(self, starter: object) -> None:
        """``starter`` is gone."""
        self._starters.discard(starter)

    def _may_disconnect(self) -> bool:
        return self.status not in TERMINAL and not self._is_resting

    def _cancel_disconnected(self) -> None:
        self.cancel("disconnected")

    # ── the owner of an execution ────────────────────────────────────────────────────────────────

    def receive(self, execution: Execution, made: Made) -> None:
        """Write what the execution made into the log; what comes too late is dropped."""
        if execution is not self._execution or self.status in TERMINAL or self._is_handing_over:
            return
        if made.checkpoint is not None:
            self._checkpoint, self._steps.pause = made.checkpoint, made.pause
            self._keeper.move()
            if not self._unstored:  # else the row that is shown next has it
                self._listener.row_changed(self, self.row())
        if made.records or made.marks:
            before = self.log.append(made.records) - len(made.records)
            for count, checkpoint in made.marks:
                self._steps.mark(before + count, checkpoint)
            if made.marks:
                self._keeper.move()
        if made.outcome is not None:
            self._outcome = made.outcome
            if execution.is_over or made.outcome.kind == "interrupted":
                self._settle()
            else:
                # The end is written when the code has stopped: a run that starts behind it finds the thread
                # free. The grace bounds the wait.
                self._after(self._cancel_grace_s, self._settle)

    def stopped(self, execution: Execution) -> None:
        """All code of the execution has ended."""
        if self._is_handing_over and self.status not in TERMINAL:
            self._be_left()
        elif execution is self._execution:
            self._settle()
            if self._execution is execution and self.status in TERMINAL:
                self._leave()

    def _settle(self) -> None:
        outcome, self._outcome = self._outcome, None
        if outcome is None or self.status in TERMINAL:
            return
        if self.cancelled_by is not None or outcome.kind == "cancelled":
            self._end("cancelled", self.cancelled_by)
        elif outcome.failure is not None:
            self._end("failed", failure=outcome.failure)
        elif outcome.kind == "completed":
            self.output = outcome.output
            self._end("completed")
        else:
            self.log.append([server_record("interrupt", Interrupts(interrupts=outcome.interrupts))])
            if self.scope is not None:
                self._clear_timers()
                self._questions.ask(tuple(item.id for item in outcome.interrupts), outcome.schemas)
                self._given_bytes = 0
                self.kept_bytes += outcome.kept_bytes
                self._keeper.keep(RunStart.without_input)
                self._steps.wait(outcome.pause)
                self._enter("interrupted", asked=outcome.interrupts)
                self._after(self._interrupt_ttl_s, self.cancel, "expired")
                self._listener.run_paused(self)
            else:
                # Without a thread nothing keeps the state, so nobody can answer.
                self.output, self.unanswered = outcome.output, outcome.interrupts
                self._row_bytes += held_size(*(one.to_wire() for one in outcome.interrupts))
                self._end("completed", "interrupted")

    # ── the owner of a log ───────────────────────────────────────────────────────────────────────

    def changes(self) -> Changes:
        """Return what the store is to keep of it from here on, if it outlives the process."""
        return self._keeper.changes(lambda: self._standing().dump(self.output))

    def stored(self, batch: Batch) -> None:
        """The store holds ``batch``: the graph may go on, and new statuses may be shown."""
        if self._execution is not None:
            self._execution.stored(len(batch.records), batch.size)
        head = batch.first_seq + len(batch.records) - 1
        self.is_known = True
        self._listener.run_moved(self)
        while self._unstored and self._unstored[0][0] <= head:
            self._shown = self._unstored.popleft()[1]
            self._listener.run_changed(self, self.row(self._shown))
        if self._launch is not None and not self._unstored:
            launch, self._launch = self._launch, None
            try:
                self._execution = launch()
            except Exception as error:  # the graph's loop has ended, for example
                message = f"the run could not be started: {type(error).__name__}"
                self._end("failed", failure=Failure(code="internal", message=message))
                self._leave()
                raise

    def sealed(self) -> None:
        """The store holds the terminal event."""
        self._listener.run_ended(self)
        self._delete_private_thread()

    def lost(self, *, is_taken: bool) -> None:
        """The store takes no more records: the run fails, and no event can say so.

        If its log ``is_taken``, whoever has that goes on with its private thread, and nobody is shown that it
        failed here.
        """
        had_ended = self.status in TERMINAL
        self._is_taken = is_taken
        if self._execution is not None:
            self._execution.cancel(self._cancel_grace_s)
        if not had_ended:
            self._close()
            self.failure = Failure(code="lost", message="the store takes no more events of this run")
            self._become(details_of("failed", failure=self.failure))
        self._unstored.clear()
        if not is_taken:
            self._shown, self.is_known = self._details, True
            self._listener.run_changed(self, self.row())
        self._listener.run_ended(self)
        if not had_ended and (self._execution is None or self._execution.is_over):
            self._leave()  # else it has left, or leaves when its code stops
        self._delete_private_thread()

    # ── status ───────────────────────────────────────────────────────────────────────────────────

    def _become(self, details: StatusDetails) -> None:
        self.status = status = advance(_TRANSITIONS, self._entered, details.status)
        self._changed_at = now()
        self._entered, self._details = status, replace(details, at=self._changed_at, attempt=self._attempt)
        self._keeper.move()
        if status in TERMINAL:
            self._questions.ids = ()
            self._ended_at = self._changed_at
            self._keeper.keep(RunStart.without_arguments)

    def _enter(
        self,
        status: Status,
        reason: str | None = None,
        failure: Failure | None = None,
        asked: Iterable[PendingInterrupt] = (),
        void_after: Seq | None = None,
        discard: tuple[str, ...] = (),
    ) -> Seq:
        self._become(details_of(status, reason, failure, asked))
        event = Lifecycle(
            status=status,
            attempt=self._attempt,
            at=self._changed_at,
            reason=reason,
            error=failure,
            discard=discard or None,
            void_after=void_after,
        )
        if status in TERMINAL:
            self.log.seal(status)
        seq = self.log.append([server_record("lifecycle", event)])
        self._unstored.append((seq, self._details))
        return seq

    def _end(self, status: Status, reason: str | None = None, failure: Failure | None = None) -> None:
        if self.status in TERMINAL:
            return
        if self._entered is None:
            self._enter("queued")  # it ends before it could begin
        self._close()
        self.failure = failure
        self._enter(status, reason, failure)

    def _close(self) -> None:
        self._clear_timers()
        self._launch = None
        self._starters.stop()
        if self._execution is not None:
            self._execution.drop()

    def _leave(self) -> None:
        self._request = None
        # Its last state is not kept as long as the result.
        self._leaving, self._execution = self._execution, None
        if not self._keeper.keeps or self.log.end is not None or self.log.is_over:
            self._delete_private_thread()
        # else it may be needed: if the process stops before the store has the end, the run still waits
        self._listener.run_stopped(self)

    def _delete_private_thread(self) -> None:
        leaving, self._leaving = self._leaving, None
        if leaving is not None and not self._is_taken:
            leaving.delete_private_thread()

    # ── what outlives the process ────────────────────────────────────────────────────────────────

    def take_start(self) -> bytes:
        """Return what its log is created with, for a store that outlives the process; call it once."""
        return self._keeper.take_first()

    def take_up(self, found: FoundRun, request: RunRequest | None, answers: Mapping[str, Any]) -> None:
        """Be as an earlier process left it; call it at once.

        ``request`` is what starts it if it was queued, else what continues it; None if nothing can.
        ``answers`` are those that it had.
        """
        standing = found.standing
        assert standing is not None
        self._request = request if standing.status == "queued" else None
        self._entered = self.status = standing.status
        self._details = self._shown = standing.details
        self._changed_at = standing.at
        self._started_at, self._ended_at = standing.started_at, standing.ended_at
        self._thread_seq, self._thread_epoch = standing.thread_seq, standing.thread_epoch
        if self._numbering is not None and standing.numbering is not None and standing.epoch == found.epoch:
            self._numbering.go_on(*standing.numbering)  # else numbers may be among what was lost
        self._checkpoint = standing.checkpoint
        self._attempt, self._handed_over = standing.attempt, standing.handed_over
        given = standing.answers if standing.status == "running" else None
        self._steps.restore(standing.began, standing.marks, standing.pause, standing.answered, given)
        self.cancelled_by, self.failure = standing.cancelled_by, standing.failure
        self.unanswered, self.output = standing.unanswered, found.output
        self.is_resumed, self.kept_bytes = standing.is_resumed, standing.kept_bytes
        self.created.set_result(None)
        self.is_known = True
        self._keeper.take_up(found.start, has_ended=standing.status in TERMINAL)
        self.log.take_up(found.head, standing.status if standing.status in TERMINAL else None)
        if request is not None and self._request is None:
            self._execution = self._executor.paused(request, self, found.head)
        if standing.status in TERMINAL:
            self._leave()  # the process may have stopped before the private thread was deleted
        elif standing.status == "interrupted":
            self._questions.ask(standing.interrupts or (), standing.schemas or {})
            self._questions.restore(answers, standing.answers or {})
            self._given_bytes = held_size(*self._questions.sent.values())
            self._after(left(self._interrupt_ttl_s, self._changed_at), self.cancel, "expired")

    @property
    def can_continue(self) -> bool:
        """Whether its graph can go on from where it waits; else ``hindrance`` says why not."""
        return self._execution is not None

    @property
    def is_waiting(self) -> bool:
        """Whether its graph does nothing, and the next process can take it up as it is."""
        return self.status in ("queued", "interrupted") and self.cancelled_by is None

    def go_on(self, request: RunRequest, place: Place, void_calls: tuple[str, ...]) -> None:
        """Repeat what an earlier process was at: ``request`` asks for that.

        ``void_calls`` are the keys of the calls with messages behind ``place``.
        """
        self._attempt += 1
        self._steps.go_on(place)
        self._enter("running", void_after=place.after, discard=void_calls)
        self._begin(partial(self._executor.again, request, self, self.log.head))
        self._limit_time()

    @property
    def can_be_handed_over(self) -> bool:
        """Whether its thread outlives this server, so that the next one can go on from a checkpoint."""
        is_kept = self._keeper.keeps and self.scope is not None and not self.scope.is_held
        return is_kept and self.status == "running" and self.cancelled_by is None

    async def hand_over(self) -> None:
        """Stop its code, and leave it to the next server, which repeats the step that is not finished.

        That does not count as one of ``max_attempts``.
        """
        self._handed_over += 1
        self._keeper.move()
        try:
            await self.settled()
        finally:
            if self.can_be_handed_over:
                self._is_handing_over = True
                self._clear_timers()
                if self._execution is None or self._launch is not None:
                    self._be_left()
                else:
                    self._execution.cancel(self._cancel_grace_s)

    def _be_left(self) -> None:
        self.is_left = self._is_resting = True
        self._launch = None
        self._starters.stop()
        self._leave()

    def lose(self, message: str) -> None:
        """End it, since its graph cannot go on: what it had made is gone with an earlier process."""
        if self.cancelled_by is not None:
            self._end("cancelled", self.cancelled_by)
        else:
            if self.status == "interrupted":
                self._enter("running")  # no log tells of another way to fail
            self._end("failed", failure=Failure(code="lost", message=message))
        self._leave()

    def doom(self) -> "asyncio.Future[None]":
        """Let the next process find nothing of it; return what is done when the store holds that."""
        self.is_deleted = True
        self._keeper.move()
        return self.settled()

    def settled(self) -> "asyncio.Future[None]":
        """Return what is done when the store holds all that happened, if it outlives the process."""
        if self._keeper.keeps:
            return self.log.settled()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def keep_numbering(self) -> None:
        """Let the store know the last number of its thread's runs: the run that had it is forgotten."""
        self._keeper.move()

    def stop_timers(self) -> None:
        """Do nothing more by itself: the process ends, and the run waits for the next one."""
        self._clear_timers()
        self._is_resting = True
        self._starters.stop()

    def _standing(self) -> RunStanding:
        details = self._details
        is_open = self.status == "interrupted"
        steps = Steps() if self.has_ended else self._steps
        return RunStanding(
            status=details.status,
            at=details.at,
            reason=details.reason,
            error=details.error,
            interrupts=details.interrupts,
            questions=details.questions,
            attempt=details.attempt,
            handed_over=self._handed_over,
            began=steps.began,
            marks=steps.marks,
            pause=steps.pause,
            answered=steps.answered,
            started_at=self._started_at,
            ended_at=self._ended_at,
            thread_seq=self._thread_seq,
            thread_epoch=self._thread_epoch,
            numbering=None if self._numbering is None else (self._numbering.epoch, self._numbering.last),
            epoch=self.log.epoch,
            checkpoint=self._checkpoint,
            cancelled_by=self.cancelled_by,
            failure=self.failure,
            unanswered=self.unanswered,
            is_resumed=self.is_resumed,
            kept_bytes=self.kept_bytes,
            has_output=self.output is not None,
            schemas=dict(self._questions.schemas) if is_open else None,
            answers=self._questions.sent if is_open else steps.answers or None,
            is_deleted=self.is_deleted,
        )

    def _limit_time(self) -> None:
        if self._max_run_s is not None:
            self._after(self._max_run_s, self._time_out, self._max_run_s)

    def _time_out(self, seconds: float) -> None:
        failure = Failure(code="timeout", message=f"the run took longer than {seconds:g} s (max_run_s)")
        has_code = self._launch is None
        if self._execution is not None:
            self._execution.cancel(self._cancel_grace_s)
        self._end("failed", failure=failure)
        if not has_code:
            self._leave()  # nothing stops later

    def _after(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, function, *args))

    def _clear_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # ── what others may know ─────────────────────────────────────────────────────────────────────

    @property
    def is_queued(self) -> bool:
        """Whether it waits to be started, and its log says so."""
        return self._entered == "queued"

    @property
    def changed_at(self) -> str:
        """When it got its status, as RFC 3339."""
        return self._changed_at

    @property
    def thread(self) -> str | None:
        """The caller's name of its thread; None for a private one, which no list shows."""
        return None if self.scope is None or self.scope.is_private else self.scope.thread

    def check_records(self, modes: frozenset[Mode], below_root: bool, where: str) -> None:
        """Check that the log records what a filter asks for. Raises ``Refusal(unsupported)``."""
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

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.status in TERMINAL

    @property
    def held_bytes(self) -> int:
        """What is kept of it beside its log, in bytes."""
        size = self._row_bytes + len(self.output or b"")
        if self._request is not None or self._execution is not None:
            size += self._given_bytes + self._request_bytes
        if self.status == "interrupted":
            size += self.kept_bytes
        return size

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata by which lists and watches find it."""
        return self._metadata

    @property
    def known_status(self) -> Status:
        """The status that clients may know: one that a crash cannot take back."""
        return self.details.status

    @property
    def details(self) -> StatusDetails:
        """That status, with what goes with it."""
        return self._details if not self._keeper.keeps else self._shown

    @property
    def shown_details(self) -> StatusDetails:
        """The same as the store holds it."""
        return self._shown

    @property
    def shown_status(self) -> Status:
        """The last status that the store holds, which is the one that watches show."""
        return self._shown.status

    @property
    def shown_version(self) -> object:
        """Equal to an earlier one only if the run's row with that status is the same."""
        return self._shown, self.log.epoch, self.log.head, self._checkpoint, self._thread_seq, self._ended_at

    def shown_row(self) -> RunRow:
        """Return the run's row with the last status that the store holds."""
        return self.row(self._shown)

    def row(self, details: StatusDetails | None = None) -> RunRow:
        """Return the run's row in lists, as it is now or as it was with an earlier status."""
        details = details or self.details
        return RunRow(
            run=self.id,
            graph=self.graph,
            thread=self.thread,
            metadata=self._metadata,
            status=details.status,
            attempt=details.attempt,
            epoch=self.log.epoch,
            head=self.log.head,
            created_at=self.created_at,
            started_at=None if details.status == "queued" else self._started_at,
            ended_at=self._ended_at if details.status in TERMINAL else None,
            interrupts=details.interrupts,
            reason=details.reason,
            error=details.error,
            questions=details.questions,
            modes=tuple(sorted(self.modes)),
            thread_seq=self._thread_seq,
            thread_epoch=self._thread_epoch,
            checkpoint=None if self.thread is None else self._checkpoint,
        )
