"""About `gateway/graphwire_gateway/runs/run.py`, `gateway/graphwire_gateway/runs/questions.py` and
`gateway/graphwire_gateway/runs/starters.py`.

One run on a log that the test stores, with an execution that the test plays. What a run may do is the table
``RUN``; each test compares what the log tells with it.

Long because it follows one run through every status, with the events that lead there.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from typing import Any

import pytest
from graphwire_gateway.execution.execution import Made, Outcome
from graphwire_gateway.execution.request import RunRequest
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.log import Log
from graphwire_gateway.log.record import Record
from graphwire_gateway.runs.details import StatusDetails
from graphwire_gateway.runs.numbers import Numbering
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.standing import RunStart
from graphwire_gateway.scope import Scope
from graphwire_protocol.errors import Refusal
from graphwire_protocol.payloads import Failure, PendingInterrupt
from graphwire_protocol.replies import RunRow
from graphwire_protocol.state import RUN
from graphwire_protocol.types import TERMINAL
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.executions import PlayedExecution, PlayedExecutor, data_of
from tests.support.waiting import settle, until

THREAD = Scope("g/p/t", "t")
PRIVATE = Scope("graphwire:p/r", "r", is_private=True)

DONE = Outcome("completed", b'{"done":1}')
FAILED = Outcome("failed", failure=Failure(code="graph_error", message="why"))
CANCELLED = Outcome("cancelled")


def asks(*ids: str) -> Outcome:
    return Outcome("interrupted", b"null", tuple(PendingInterrupt(id=id, value=f"{id}?") for id in ids))


class Bench:
    """A run; ``heard`` has what its listener was called with, in order."""

    def __init__(
        self,
        *,
        scope: Scope | None = THREAD,
        has_log: bool = True,
        numbering: Numbering | None = None,
        start: RunStart | None = None,
        **limits: Any,
    ) -> None:
        self.heard: list[str] = []
        self.rows: list[RunRow] = []
        self.moves = 0
        self.records: list[Record] = []
        self.kept_start: bytes | None = None
        self.standing: bytes | None = None
        self.executor = PlayedExecutor()
        self.run = Run(
            RunRequest(run="r", graph="g", input={}, config={}, modes=frozenset({"custom"}), scope=scope),
            key="p/r",
            principal="p",
            epoch="e",
            executor=self.executor,  # type: ignore[arg-type]
            commit=lambda log: None,
            listener=self,
            limits=Limits(**{"cancel_grace_s": 60, "interrupt_ttl_s": 60, **limits}),
            metadata={"k": 1},
            numbering=numbering,
            start=start,
        )
        if has_log:
            self.run.created.set_result(None)

    # ── the listener ─────────────────────────────────────────────────────────────────────────────

    def run_changed(self, run: Run, row: RunRow) -> None:
        self.heard.append(row.status)
        self.rows.append(row)

    def row_changed(self, run: Run, row: RunRow) -> None:
        self.rows.append(row)

    def run_moved(self, run: Run) -> None:
        self.moves += 1

    def run_paused(self, run: Run) -> None:
        self.heard.append("paused")

    def run_ended(self, run: Run) -> None:
        self.heard.append("ended")

    def run_stopped(self, run: Run) -> None:
        self.heard.append("stopped")

    # ── the store ────────────────────────────────────────────────────────────────────────────────

    def store(self) -> None:
        """Store everything that is pending."""
        log: Log = self.run.log
        while (batch := log.batch()) is not None:
            self.records.extend(batch.records)
            self.standing = batch.standing or self.standing
            self.kept_start = batch.start or self.kept_start
            log.grow(len(self.records))
            log.stored(batch)

    # ── what the test sees ───────────────────────────────────────────────────────────────────────

    @property
    def execution(self) -> PlayedExecution:
        return self.executor.of(self.run)

    @property
    def log(self) -> list[Any]:
        """What the log holds, shortly: statuses (with a reason or a code), questions, custom data."""
        out: list[Any] = []
        for record in self.records:
            data = data_of(record)
            match record.address.mode:
                case "lifecycle":
                    why = data.get("reason") or (data.get("error") or {}).get("code")
                    out.append(data["status"] if why is None else (data["status"], why))
                case "interrupt":
                    out.append([item["id"] for item in data["interrupts"]])
                case _:
                    out.append(data)
        return out

    def check(self) -> None:
        """Check what holds of every run at every time."""
        entered = [data_of(record)["status"] for record in self.records if record.address.mode == "lifecycle"]
        assert all(step in RUN for step in pairwise([None, *entered])), entered
        assert not any(status in TERMINAL for status in entered[:-1])
        if entered and entered[-1] in TERMINAL:
            assert self.records[-1].address.mode == "lifecycle"
        assert self.heard.count("ended") <= 1


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def bench(**options: Any) -> Bench:
        made.append(Bench(**options))
        return made[-1]

    yield bench
    for each in made:
        each.check()


def running(bench: Bench) -> Bench:
    bench.run.start()
    bench.store()
    return bench


def interrupted(bench: Bench, *ids: str) -> Bench:
    running(bench).execution.end(asks(*ids))
    bench.store()
    return bench


# ── from the start to the end ────────────────────────────────────────────────────────────────────


async def test_a_run_that_is_queued_starts_makes_events_and_completes(make) -> None:
    bench = make()
    bench.run.queue()
    assert bench.run.is_queued
    bench.run.start()
    assert not bench.run.is_queued
    bench.execution.make(1, 2)
    bench.execution.end(3, DONE)
    assert bench.run.status == "completed"
    bench.store()
    assert bench.log == ["queued", "running", 1, 2, 3, "completed"]
    assert bench.run.output == b'{"done":1}'
    assert bench.heard == ["stopped", "queued", "running", "completed", "ended"]


async def test_a_status_is_shown_when_the_log_holds_it_and_not_before(make) -> None:
    bench = make()
    bench.run.start()
    bench.execution.end(DONE)
    early = bench.run.log.batch()
    assert bench.heard == ["stopped"]
    bench.run.log.stored(early)
    assert bench.heard == ["stopped", "running", "completed", "ended"]
    assert [row.status for row in bench.rows] == ["running", "completed"]


async def test_a_status_whose_event_comes_in_the_next_batch_is_not_shown_with_this_one(make) -> None:
    bench = make()
    bench.run.start()
    early = bench.run.log.batch()
    bench.execution.end(DONE)
    bench.run.log.stored(early)
    assert bench.heard == ["stopped", "running"]
    bench.run.log.stored(bench.run.log.batch())
    assert bench.heard == ["stopped", "running", "completed", "ended"]


async def test_each_row_has_the_times_of_its_run(make) -> None:
    bench = make()
    bench.run.queue()
    bench.store()
    bench.run.start()
    bench.store()
    bench.execution.end(DONE)
    bench.store()
    queued, running, completed = bench.rows
    assert (queued.started_at, queued.ended_at) == (None, None)
    assert (running.started_at is None, running.ended_at) == (False, None)
    assert completed.ended_at is not None
    assert queued.created_at == completed.created_at <= completed.started_at <= completed.ended_at
    assert (completed.run, completed.graph, completed.thread) == ("r", "g", "t")
    assert (completed.metadata, completed.modes, completed.epoch) == ({"k": 1}, ("custom",), "e")


async def test_a_failure_is_in_the_last_event_and_kept(make) -> None:
    bench = running(make())
    bench.execution.end(1, FAILED)
    bench.store()
    assert bench.log == ["running", 1, ("failed", "graph_error")]
    assert (bench.run.failure, bench.run.output) == (FAILED.failure, None)


async def test_the_end_waits_until_the_code_has_stopped(make) -> None:
    bench = running(make())
    bench.execution.make(DONE)
    bench.store()
    assert (bench.run.status, bench.heard) == ("running", ["running"])
    bench.execution.stop()
    bench.store()
    assert bench.heard == ["running", "stopped", "completed", "ended"]


async def test_an_end_whose_code_does_not_stop_comes_after_the_grace_and_keeps_the_thread(make) -> None:
    bench = running(make(cancel_grace_s=0.01))
    bench.execution.make(DONE)
    await until(lambda: bench.run.status == "completed")
    bench.store()
    assert bench.heard == ["running", "completed", "ended"]
    bench.execution.stop()
    assert bench.heard[-1] == "stopped"


async def test_what_comes_after_the_end_is_dropped(make) -> None:
    bench = running(make())
    bench.execution.end(DONE)
    bench.execution.make(1, FAILED)
    bench.store()
    assert bench.log == ["running", "completed"]


async def test_the_execution_hears_how_much_is_stored(make) -> None:
    bench = make()
    bench.run.start()
    bench.execution.make(1, 2)
    bench.store()
    bench.execution.make(3)
    bench.store()
    assert bench.execution.asked("stored") == [("stored", 3), ("stored", 1)]


async def test_a_private_thread_is_deleted_when_the_code_has_stopped_and_no_list_shows_it(make) -> None:
    bench = running(make(scope=PRIVATE))
    bench.execution.make(DONE)
    assert bench.execution.asked("delete_private_thread") == []
    bench.execution.stop()
    assert len(bench.execution.asked("delete_private_thread")) == 1
    assert bench.run.thread is None


# ── cancel ───────────────────────────────────────────────────────────────────────────────────────


async def test_a_queued_run_is_cancelled_at_once_and_frees_its_thread(make) -> None:
    bench = make()
    bench.run.queue()
    bench.run.cancel("no more")
    bench.store()
    assert bench.log == ["queued", ("cancelled", "no more")]
    assert bench.heard == ["stopped", "queued", "cancelled", "ended"]
    assert bench.executor.started == []


async def test_a_run_that_is_cancelled_before_its_first_event_was_queued_first(make) -> None:
    bench = make()
    bench.run.cancel()
    bench.store()
    assert bench.log == ["queued", ("cancelled", "cancelled")]


async def test_a_cancel_waits_for_the_log_to_be_created(make) -> None:
    bench = make(has_log=False)
    bench.run.cancel("early")
    await settle()
    assert (bench.run.cancelled_by, bench.run.status) == (None, "queued")
    bench.run.created.set_result(None)
    await until(lambda: bench.run.status == "cancelled")
    bench.store()
    assert bench.log == ["queued", ("cancelled", "early")]


async def test_a_run_whose_log_is_never_created_is_not_cancelled(make) -> None:
    bench = make(has_log=False)
    bench.run.cancel()
    bench.run.created.set_exception(Refusal("unavailable", "away"))
    bench.run.created.exception()
    await settle()
    bench.store()
    assert (bench.log, bench.heard) == ([], [])


async def test_a_running_run_ends_when_its_code_has_heard_of_the_cancel(make) -> None:
    bench = running(make())
    bench.run.cancel("first")
    bench.run.cancel("second")
    assert bench.execution.asked("cancel") == [("cancel", 60)]
    assert (bench.run.status, bench.run.cancelled_by) == ("running", "first")
    bench.execution.end(1, CANCELLED)
    bench.store()
    assert bench.log == ["running", 1, ("cancelled", "first")]
    assert bench.heard == ["running", "stopped", "cancelled", "ended"]


@pytest.mark.parametrize("outcome", [DONE, FAILED, asks("a")], ids=lambda outcome: outcome.kind)
async def test_a_cancel_wins_over_an_outcome_whose_code_has_not_stopped(make, outcome) -> None:
    bench = running(make())
    if outcome.kind == "interrupted":
        bench.run.cancel("mine")
        bench.execution.make(outcome)
    else:
        bench.execution.make(outcome)
        bench.run.cancel("mine")
    bench.execution.stop()
    bench.store()
    assert bench.log == ["running", ("cancelled", "mine")]
    assert (bench.run.output, bench.run.failure) == (None, None)


async def test_deaf_code_ends_as_cancelled_after_the_grace_but_holds_its_thread(make) -> None:
    bench = running(make(cancel_grace_s=0.01))
    bench.run.cancel("enough")
    await until(lambda: bench.run.status == "cancelled")
    assert len(bench.execution.asked("drop")) == 1
    bench.execution.make(1)
    bench.store()
    assert bench.log == ["running", ("cancelled", "enough")]
    assert bench.heard == ["running", "cancelled", "ended"]
    bench.execution.end(DONE)
    bench.store()
    assert bench.heard == ["running", "cancelled", "ended", "stopped"]


async def test_an_interrupted_run_is_cancelled_at_once(make) -> None:
    bench = interrupted(make(scope=PRIVATE), "a")
    bench.run.cancel("enough")
    bench.store()
    assert bench.log == ["running", ["a"], "interrupted", ("cancelled", "enough")]
    assert bench.heard == ["running", "paused", "interrupted", "stopped", "cancelled", "ended"]
    assert len(bench.execution.asked("delete_private_thread")) == 1


async def test_a_cancel_of_a_run_that_has_ended_does_nothing(make) -> None:
    bench = running(make())
    bench.execution.end(DONE)
    bench.run.cancel("late")
    bench.store()
    assert (bench.log, bench.run.cancelled_by) == (["running", "completed"], None)


# ── questions and answers ────────────────────────────────────────────────────────────────────────


async def test_a_run_that_asks_pauses_without_waiting_for_its_code_to_stop(make) -> None:
    bench = running(make())
    bench.execution.make(1, asks("a", "b"))
    assert bench.heard == ["running", "paused"]
    bench.store()
    assert bench.log == ["running", 1, ["a", "b"], "interrupted"]
    assert bench.run.row().interrupts == ("a", "b")
    bench.execution.stop()
    assert "stopped" not in bench.heard


async def test_only_an_interrupted_run_s_row_has_its_interrupts(make) -> None:
    bench = interrupted(make(), "a")
    assert [row.interrupts for row in bench.rows] == [None, ("a",)]
    assert bench.run.row(StatusDetails("running")).interrupts is None
    bench.run.cancel()
    assert bench.run.row().interrupts is None


async def test_a_row_says_what_the_run_asks_and_why_it_ended(make) -> None:
    bench = interrupted(make(), "a")
    bench.run.answer({"a": 1}, is_partial=False)
    bench.run.resume()
    bench.execution.end(FAILED)
    bench.store()
    shown = [(row.status, row.reason, row.error, row.questions) for row in bench.rows]
    questions = (PendingInterrupt(id="a", value="a?"),)
    assert shown == [
        ("running", None, None, None),
        ("interrupted", None, None, questions),
        ("running", None, None, None),
        ("failed", None, FAILED.failure, None),
    ]
    other = running(make())
    other.run.cancel("enough")
    other.execution.end(CANCELLED)
    other.store()
    assert (other.rows[-1].status, other.rows[-1].reason) == ("cancelled", "enough")


async def test_a_row_of_an_earlier_status_says_what_was_then(make) -> None:
    bench = running(make())
    bench.execution.end(asks("a"))
    bench.run.answer({"a": 1}, is_partial=False)
    bench.run.resume()
    bench.execution.end(DONE)
    bench.store()
    assert [row.interrupts for row in bench.rows] == [None, ("a",), None, None]
    assert [row.ended_at is not None for row in bench.rows] == [False, False, False, True]


async def test_what_is_shown_is_the_last_status_that_the_store_holds(make) -> None:
    bench = running(make())
    bench.execution.end(FAILED)
    assert (bench.run.shown_status, bench.run.shown_row().error, bench.run.row().status) == (
        "running",
        None,
        "failed",
    )
    bench.store()
    assert (bench.run.shown_status, bench.run.shown_row()) == ("failed", bench.run.row())


async def test_every_batch_that_is_stored_moves_the_run(make) -> None:
    bench = running(make())
    assert bench.moves == 1
    bench.execution.make(1, 2)
    assert bench.moves == 1
    bench.store()
    assert bench.moves == 2


async def test_a_run_resumes_in_the_same_log_when_it_has_every_answer(make) -> None:
    bench = interrupted(make(), "a", "b")
    assert not bench.run.answer({"a": 1}, is_partial=False)
    assert bench.run.status == "interrupted"
    assert bench.run.answer({"b": 2}, is_partial=False)
    first = bench.execution
    bench.run.resume()
    assert first.asked("resume") == [("resume", {"a": 1, "b": 2})]
    bench.execution.end(7, DONE)
    bench.store()
    assert bench.log == ["running", ["a", "b"], "interrupted", "running", 7, "completed"]
    assert bench.heard[-3:] == ["running", "completed", "ended"]


async def test_a_partial_answer_is_enough_where_there_is_one(make) -> None:
    bench = interrupted(make(), "a", "b")
    assert not bench.run.answer({}, is_partial=True)
    assert bench.run.answer({"b": 2}, is_partial=True)
    first = bench.execution
    bench.run.resume()
    assert first.asked("resume") == [("resume", {"b": 2})]
    bench.execution.end(asks("a"))
    assert bench.run.answer({"a": 1}, is_partial=False)


async def test_at_a_breakpoint_nothing_is_asked_and_no_answer_is_needed(make) -> None:
    bench = interrupted(make())
    assert bench.run.row().interrupts is None
    assert bench.run.answer({}, is_partial=False)


async def test_an_answer_that_is_refused_changes_nothing(make) -> None:
    bench = interrupted(make(), "a", "b")
    bench.run.answer({"a": 1}, is_partial=False)
    for answers, code in (({"b": 2, "x": 0}, "not_found"), ({"b": 2, "a": 9}, "conflict")):
        with pytest.raises(Refusal) as refused:
            bench.run.answer(answers, is_partial=False)
        assert refused.value.code == code
    assert bench.run.answer({"b": 3}, is_partial=False)
    first = bench.execution
    bench.run.resume()
    assert first.asked("resume") == [("resume", {"a": 1, "b": 3})]


@pytest.mark.parametrize("status", ["queued", "running", "completed"])
async def test_a_run_that_asks_nothing_takes_no_answer(make, status) -> None:
    bench = make()
    bench.run.queue()
    if status != "queued":
        running(bench)
    if status == "completed":
        bench.execution.end(DONE)
    with pytest.raises(Refusal) as refused:
        bench.run.answer({"a": 1}, is_partial=False)
    assert refused.value.code == "conflict"
    assert status in refused.value.message


async def test_what_the_paused_execution_still_makes_is_dropped_after_the_answer(make) -> None:
    bench = running(make())
    first = bench.execution
    first.make(asks("a"))
    bench.run.answer({"a": 1}, is_partial=False)
    bench.run.resume()
    first.make(1, DONE)
    first.stop()
    bench.store()
    assert bench.log == ["running", ["a"], "interrupted", "running"]
    assert bench.run.status == "running"


async def test_without_a_thread_nobody_can_answer_so_the_run_completes(make) -> None:
    bench = interrupted(make(scope=None), "a")
    assert bench.log == ["running", ["a"], ("completed", "interrupted")]
    assert (bench.run.output, "paused" in bench.heard) == (b"null", False)


async def test_a_question_that_nobody_answers_expires(make) -> None:
    bench = interrupted(make(interrupt_ttl_s=0.01), "a")
    await until(lambda: bench.run.status == "cancelled")
    bench.store()
    assert bench.log[-1] == ("cancelled", "expired")
    assert bench.heard[-3:] == ["stopped", "cancelled", "ended"]


async def test_an_answered_question_does_not_expire(make) -> None:
    answered = interrupted(make(interrupt_ttl_s=0.02), "a")
    answered.run.answer({"a": 1}, is_partial=False)
    answered.run.resume()
    later = interrupted(make(interrupt_ttl_s=0.02), "a")
    await until(lambda: later.run.status == "cancelled")
    assert (answered.run.status, answered.run.cancelled_by) == ("running", None)


# ── how long a run may take ──────────────────────────────────────────────────────────────────────


async def test_a_run_that_takes_too_long_fails_and_its_code_is_cancelled(make) -> None:
    bench = running(make(max_run_s=0.01))
    await until(lambda: bench.run.status == "failed")
    bench.store()
    assert bench.log == ["running", ("failed", "timeout")]
    assert "max_run_s" in bench.run.failure.message
    assert [call[0] for call in bench.execution.calls[1:]] == ["cancel", "drop", "stored"]
    assert bench.heard == ["running", "failed", "ended"]
    bench.execution.stop()
    assert bench.heard[-1] == "stopped"


async def test_the_time_in_which_a_run_waits_for_answers_does_not_count(make) -> None:
    waits = interrupted(make(max_run_s=0.02), "a")
    other = running(make(max_run_s=0.02))
    await until(lambda: other.run.status == "failed")
    assert waits.run.status == "interrupted"
    waits.run.answer({"a": 1}, is_partial=False)
    waits.run.resume()
    await until(lambda: waits.run.status == "failed")


# ── disconnection ────────────────────────────────────────────────────────────────────────────────


class Reader:
    def wake(self) -> None: ...


async def test_a_run_is_cancelled_when_its_starter_is_gone_and_nobody_reads(make) -> None:
    bench = running(make())
    bench.run.adopt("connection", 0)
    bench.run.abandon("connection")
    await until(lambda: bench.run.cancelled_by == "disconnected")


async def test_a_reader_keeps_the_run_of_a_starter_that_is_gone_until_it_leaves(make) -> None:
    bench, other = running(make()), running(make())
    reader = Reader()
    bench.run.log.join(reader)
    for each in (bench, other):
        each.run.adopt("connection", 0)
        each.run.abandon("connection")
    await until(lambda: other.run.cancelled_by)
    assert bench.run.cancelled_by is None
    bench.run.log.leave(reader)
    await until(lambda: bench.run.cancelled_by == "disconnected")


@pytest.mark.parametrize("who", ["a reader", "a starter"])
async def test_a_newcomer_within_the_grace_keeps_the_run(make, who) -> None:
    bench, other = running(make()), running(make())
    for each in (bench, other):
        each.run.adopt("connection", 0.01)
        each.run.abandon("connection")
    if who == "a reader":
        bench.run.log.join(Reader())
    else:
        bench.run.adopt("another", 0.01)
    await until(lambda: other.run.cancelled_by)
    await settle()
    assert bench.run.cancelled_by is None


async def test_a_run_lives_while_one_of_its_starters_does(make) -> None:
    bench = running(make())
    bench.run.adopt("one", 0)
    bench.run.adopt("two", 0)
    bench.run.abandon("one")
    await settle()
    assert bench.run.cancelled_by is None
    bench.run.abandon("two")
    await until(lambda: bench.run.cancelled_by == "disconnected")


async def test_a_disconnection_after_the_end_does_nothing(make) -> None:
    bench = running(make())
    bench.run.adopt("connection", 0)
    bench.execution.end(DONE)
    bench.run.abandon("connection")
    await settle()
    assert (bench.run.status, bench.run.cancelled_by) == ("completed", None)


# ── a lost log ───────────────────────────────────────────────────────────────────────────────────


def lose(bench: Bench) -> None:
    """Let the store refuse what is pending, as the committer reports it."""
    bench.heard.clear()
    bench.run.log.batch()
    bench.run.log.lost(is_taken=False)


def check_lost(bench: Bench) -> None:
    row = bench.run.row()
    assert (row.status, row.ended_at is not None, row.interrupts) == ("failed", True, None)
    assert bench.run.failure.code == "lost"
    assert bench.heard.count("failed") == 1
    assert bench.heard.count("ended") == 1
    assert bench.run.log.batch() is None
    assert bench.run.shown_row() == row
    assert row.error is not None
    assert row.error.code == "lost"


async def test_a_queued_run_that_loses_its_log_fails_and_frees_its_thread(make) -> None:
    bench = make()
    bench.run.queue()
    lose(bench)
    check_lost(bench)
    assert bench.heard == ["failed", "ended", "stopped"]


async def test_a_running_run_that_loses_its_log_fails_and_frees_its_thread_when_its_code_stops(make) -> None:
    bench = running(make())
    bench.execution.make(1)
    lose(bench)
    check_lost(bench)
    assert bench.heard == ["failed", "ended"]
    assert [call[0] for call in bench.execution.calls] == ["stored", "cancel", "drop"]
    bench.execution.end(2, CANCELLED)
    assert bench.heard == ["failed", "ended", "stopped"]
    check_lost(bench)


async def test_an_interrupted_run_that_loses_its_log_fails_and_frees_its_thread(make) -> None:
    bench = running(make(interrupt_ttl_s=0.01))
    bench.execution.end(asks("a"))
    lose(bench)
    check_lost(bench)
    assert bench.heard == ["failed", "ended", "stopped"]
    with pytest.raises(Refusal):
        bench.run.answer({"a": 1}, is_partial=False)
    other = interrupted(make(interrupt_ttl_s=0.02), "a")
    await until(lambda: other.run.status == "cancelled")
    check_lost(bench)  # its question does not expire


@pytest.mark.parametrize("outcome", [DONE, FAILED, CANCELLED], ids=lambda outcome: outcome.kind)
async def test_a_run_whose_end_is_not_stored_keeps_its_status_where_the_log_is_lost(make, outcome) -> None:
    bench = running(make())
    bench.execution.end(outcome)
    ended_at = bench.run.row().ended_at
    lose(bench)
    assert (bench.run.status, bench.run.row().ended_at) == (outcome.kind, ended_at)
    assert bench.run.failure is outcome.failure
    assert bench.heard.count(outcome.kind) == 1
    assert bench.heard.count("ended") == 1


# ── what a filter may ask for ────────────────────────────────────────────────────────────────────


async def test_a_filter_for_what_the_log_does_not_record_is_refused_with_what_it_does(make) -> None:
    run = make().run
    run.check_records(frozenset({"custom"}), False, "here")
    for modes, below_root, what in (({"values"}, False, "'values'"), ({"custom"}, True, "subgraphs")):
        with pytest.raises(Refusal) as refused:
            run.check_records(frozenset(modes), below_root, "here")
        assert refused.value.code == "unsupported"
        assert refused.value.message.startswith("here: ")
        assert what in refused.value.message
        assert refused.value.details == {"recorded": {"modes": ["custom"], "subgraphs": False}}


# ── whatever happens in whatever order ───────────────────────────────────────────────────────────

STEPS = ["queue", "start", "make", "complete", "fail", "ask", "stop", "cancel", "answer", "store", "lose"]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(STEPS), max_size=14), st.booleans())
def test_a_run_obeys_its_table_and_ends_once_whatever_happens(steps: list[str], has_thread: bool) -> None:
    async def main() -> None:
        bench = Bench(scope=THREAD if has_thread else None)
        run, has_started, is_lost = bench.run, False, False
        for step in steps:
            is_begun = run.is_queued or has_started or run.status in TERMINAL
            if step == "queue" and not is_begun:
                run.queue()
            elif step == "start" and not has_started and run.status == "queued":
                run.start()
                has_started = True
            elif step == "cancel":
                run.cancel()
            elif step == "answer" and run.status == "interrupted":
                assert run.answer({"a": 1}, is_partial=False)
                run.resume()
            elif step == "store" and not is_lost:
                bench.store()
            elif step == "lose" and not is_lost and run.log.batch() is not None:
                run.log.lost(is_taken=False)
                is_lost = True
            elif has_started and not bench.execution.is_over:
                play(bench.execution, step)
            bench.check()
        run.cancel()
        if has_started and not bench.execution.is_over:
            if not bench.execution.has_outcome:
                bench.execution.make(CANCELLED)
            bench.execution.stop()
        bench.store()
        assert run.status in TERMINAL
        assert run.row().ended_at is not None
        assert bench.heard.count("ended") == 1
        assert "stopped" in bench.heard
        shown = [row.status for row in bench.rows]
        assert [status for status in shown if status in TERMINAL] == [run.status]
        assert is_lost or shown == [data["status"] for data in lifecycle(bench)]
        bench.check()

    asyncio.run(main())


def play(execution: PlayedExecution, step: str) -> None:
    """Let the execution take a step, as one does: nothing follows its outcome but its end."""
    outcome = {"complete": DONE, "fail": FAILED, "ask": asks("a")}.get(step)
    if step == "stop" and execution.has_outcome:
        execution.stop()
    elif step == "make" and not execution.has_outcome:
        execution.make(1)
    elif outcome is not None and not execution.has_outcome:
        execution.make(outcome)


def lifecycle(bench: Bench) -> list[Any]:
    return [data_of(record) for record in bench.records if record.address.mode == "lifecycle"]


# ── its place in its thread ──────────────────────────────────────────────────────────────────────


def places(bench: Bench) -> list[tuple[str, int | None, str | None]]:
    return [(row.status, row.thread_seq, row.checkpoint) for row in bench.rows]


async def test_a_run_gets_its_number_when_it_begins(make) -> None:
    numbering = Numbering()
    numbering.next()
    bench = make(numbering=numbering)
    bench.run.queue()
    bench.store()
    assert bench.run.row().thread_seq is None
    assert bench.run.row().thread_epoch is None
    running(bench)
    assert [(row.thread_seq, row.thread_epoch) for row in bench.rows] == [(None, None), (2, numbering.epoch)]
    bench.execution.end(asks("a"))
    bench.run.answer({"a": 1}, is_partial=False)
    bench.run.resume()
    assert bench.run.row().thread_seq == 2


async def test_a_run_that_is_cancelled_before_it_begins_takes_no_number(make) -> None:
    numbering = Numbering()
    bench = make(numbering=numbering)
    bench.run.queue()
    bench.run.cancel()
    bench.store()
    assert (bench.run.row().thread_seq, numbering.last) == (None, 0)


async def test_a_row_is_shown_again_when_the_checkpoint_is_known(make) -> None:
    bench = running(make(numbering=Numbering(), scope=THREAD))
    bench.execution.owner.receive(bench.execution, Made([], None, "c1"))
    assert places(bench) == [("running", 1, None), ("running", 1, "c1")]
    assert bench.heard == ["running"]


async def test_a_checkpoint_is_not_shown_before_the_status_is_stored(make) -> None:
    bench = make(numbering=Numbering(), scope=THREAD)
    bench.run.start()
    bench.execution.owner.receive(bench.execution, Made([], None, ""))
    assert bench.rows == []
    bench.store()
    assert places(bench) == [("running", 1, "")]


@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_private_thread_stays_where_another_server_goes_on_with_it(make, is_taken: bool) -> None:
    bench = running(make(scope=PRIVATE))
    bench.run.log.batch()
    bench.run.log.lost(is_taken=is_taken)
    bench.execution.stop()
    assert len(bench.execution.asked("delete_private_thread")) == (0 if is_taken else 1)


async def test_a_private_thread_has_neither_number_nor_checkpoint(make) -> None:
    bench = running(make(scope=PRIVATE))
    assert places(bench) == [("running", None, None)]
