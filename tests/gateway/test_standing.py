"""About `gateway/graphwire_gateway/runs/standing.py`, `gateway/graphwire_gateway/runs/keeper.py` and
`gateway/graphwire_gateway/runs/clock.py`, and what ``Run`` makes of them and of its ``Steps``.

A run on a store that outlives the process: what the store is given with each batch, and what another run
makes of that, which takes it up.

Long because it follows one run through all that a kill may come between.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import orjson
import pytest
from graphwire_gateway.execution.execution import Outcome
from graphwire_gateway.execution.request import RunRequest
from graphwire_gateway.graphs.pause import Pause, PausedGraph, PausedTask
from graphwire_gateway.log.store import Kept
from graphwire_gateway.runs.numbers import Numbering
from graphwire_gateway.runs.standing import FoundRun, RunStanding, RunStart, found_run, start_of
from graphwire_gateway.runs.steps import Place
from graphwire_gateway.scope import Scope
from graphwire_protocol.codec import decode_command, encode
from graphwire_protocol.commands import Run as RunFrame
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.types import TERMINAL
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.gateway.test_run import DONE, FAILED, PRIVATE, THREAD, Bench, asks
from tests.support.executions import data_of
from tests.support.waiting import settle

FRAME = {
    "type": "run",
    "id": 1,
    "graph": "g",
    "input": {"text": "a\nb\u2028"},
    "run": "r",
    "config": {"recursion_limit": 5, "configurable": {"k": None}},
    "context": [None],
    "options": {"durability": "exit"},
    "metadata": {"k": 1},
    "if_busy": "enqueue",
    "on_disconnect": "cancel",
    "subscribe": [{"sub": 1, "filter": {"modes": ["values"]}}],
}


def frame_of(fields: dict[str, Any]) -> RunFrame:
    command = decode_command(orjson.dumps(fields))
    assert isinstance(command, RunFrame)
    return command


def start(scope: Scope | None = THREAD, **fields: Any) -> RunStart:
    request = RunRequest(
        run="r",
        graph="g",
        input={},
        config={"configurable": {"graphwire_principal": "p"}},
        modes=frozenset({"custom"}),
        subgraphs=True,
        scope=scope,
    )
    return start_of(frame_of({**FRAME, **fields}), request, "2026-01-01T00:00:00.000Z")


class KeptBench(Bench):
    """A run on a store that keeps its start and its standing."""

    def __init__(self, scope: Scope | None = THREAD, **options: Any) -> None:
        super().__init__(scope=scope, start=start(scope), numbering=Numbering(), **options)
        self.kept_start = self.run.take_start()
        self.said = 0  # events that its graph has made

    @property
    def standing_now(self) -> RunStanding:
        """What the store has of its standing."""
        standing = self.found.standing
        assert standing is not None
        return standing

    @property
    def found(self) -> FoundRun:
        """What the store has of it now."""
        assert self.kept_start is not None
        return found_run(Kept("p/r", "e", len(self.records), self.kept_start, self.standing))

    def after_a_kill(self) -> "KeptBench":
        """Return a run of another process that has taken this one up."""
        found = self.found
        bench = KeptBench(self.run.scope, has_log=False)
        bench.records, bench.standing = list(self.records), self.standing
        request = RunRequest(run="r", graph="g", input=None, config={}, scope=self.run.scope)
        answers = {} if found.standing is None else found.standing.answers or {}
        bench.run.take_up(found, request, answers)
        return bench


@pytest.fixture
async def make() -> AsyncIterator[Callable[..., KeptBench]]:
    made: list[KeptBench] = []

    def bench(*args: Any, **options: Any) -> KeptBench:
        made.append(KeptBench(*args, **options))
        return made[-1]

    yield bench
    for each in made:
        each.check()


# ── what is written is read ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("scope", [None, THREAD, PRIVATE, Scope("graphwire:p/r", "r", True, True)])
def test_a_start_is_read_as_it_was_written(scope: Scope | None) -> None:
    written = start(scope)
    read = RunStart.load(written.dump())
    assert (read.principal, read.run, read.created_at, read.scope) == (
        "p",
        "r",
        "2026-01-01T00:00:00.000Z",
        scope,
    )
    assert encode(read.frame) == encode(written.frame)
    assert read.frame.subscribe == ()
    assert (read.modes, read.subgraphs) == (frozenset({"custom"}), True)
    assert read.frame.model_copy(update={"subscribe": (), "record": None}) == frame_of(FRAME).model_copy(
        update={"subscribe": (), "record": None}
    )


def test_an_input_as_deep_as_a_frame_may_have_is_read_again() -> None:
    depth = 1
    deep: Any = 1
    while True:  # as deep as a frame is read
        deeper = {"a": deep}
        try:
            frame_of({**FRAME, "input": deeper})
        except Exception:
            break
        deep, depth = deeper, depth + 1
    assert depth > 50
    written = start(input=deep)
    assert RunStart.load(written.dump()).frame.input == deep


def test_a_start_loses_what_the_run_needs_no_longer() -> None:
    paused = start().without_input()
    assert (paused.frame.input, paused.frame.context) == (None, [None])
    ended = RunStart.load(start().without_arguments().dump())
    assert (ended.frame.input, ended.frame.context, ended.frame.config, ended.frame.options) == (None,) * 4
    assert (ended.frame.metadata, ended.frame.graph, ended.modes) == ({"k": 1}, "g", frozenset({"custom"}))


@pytest.mark.parametrize("output", [None, b"", b'{"a":\n"b"}', b"null"])
def test_an_output_is_read_byte_for_byte(output: bytes | None) -> None:
    standing = RunStanding(status="completed", at="2026-01-01T00:00:00Z", has_output=output is not None)
    found = found_run(Kept("p/r", "e", 3, start().dump(), standing.dump(output)))
    assert (found.output, found.standing, found.head) == (output, standing, 3)


@pytest.mark.parametrize("data", [b"", b"{}", b"{}\n{}", b"\xff\n", b'{"principal":1}\n{"type":"run"}'])
def test_what_cannot_be_read_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011, whatever pydantic says
        found_run(Kept("p/r", "e", 0, data, None))


# ── what the store is given ──────────────────────────────────────────────────────────────────────


async def test_a_graph_is_not_called_before_the_store_knows_that_its_run_has_begun(make) -> None:
    bench = make()
    bench.run.start()
    assert bench.executor.started == []
    assert bench.run.known_status == "queued"
    bench.store()
    assert len(bench.executor.started) == 1
    assert bench.found.standing.status == bench.run.known_status == "running"
    bench.execution.end(1, asks("a"))
    bench.store()
    assert bench.run.answer({"a": 1}, is_partial=False, sent={"a": 1})
    bench.run.resume()
    assert bench.execution.following is None
    bench.store()
    bench.execution.end(DONE)
    bench.store()
    assert bench.found.standing.status == "completed"


@pytest.mark.parametrize("begin", ["start", "resume"])
@pytest.mark.parametrize("end", ["cancel", "timeout", "lost"])
async def test_a_run_that_ends_before_that_calls_its_graph_never(make, begin: str, end: str) -> None:
    bench = make(PRIVATE, max_run_s=None)
    if begin == "resume":
        bench.run.start()
        bench.store()
        bench.execution.end(asks("a"))
        bench.store()
        bench.run.answer({"a": 1}, is_partial=False)
        bench.run.resume()
    else:
        bench.run.start()
    if end == "cancel":
        bench.run.cancel("why")
    elif end == "timeout":
        bench.run._time_out(1)
    else:
        bench.run.lost(is_taken=False)
    bench.store()
    assert len(bench.executor.started) == (begin == "resume")
    assert bench.heard.count("stopped") == 1
    assert bench.run.has_ended
    if begin == "resume":
        assert bench.execution.asked("delete_private_thread")
        assert bench.execution.following is None


async def test_what_is_told_is_what_the_store_holds(make) -> None:
    bench = make()
    bench.run.start()
    bench.store()
    bench.execution.end(DONE)
    assert (bench.run.status, bench.run.known_status, bench.run.row().status) == (
        "completed",
        "running",
        "running",
    )
    settled = bench.run.settled()
    assert not settled.done()
    bench.store()
    assert settled.done()
    assert (bench.run.known_status, bench.run.row().status) == ("completed", "completed")
    assert bench.run.settled().done()


async def test_a_cancel_is_kept_before_it_has_its_effect(make) -> None:
    bench = make()
    bench.run.start()
    bench.store()
    bench.run.cancel("enough")
    assert not bench.run.settled().done()
    bench.store()
    assert bench.found.standing.cancelled_by == "enough"
    assert bench.records[-1].address.mode == "lifecycle"
    after = bench.after_a_kill()
    after.run.lose("not said")
    after.store()
    assert after.log[-1] == ("cancelled", "enough")


async def test_an_answer_that_waits_for_others_is_kept_before_it_is_acknowledged(make) -> None:
    bench = make()
    bench.run.start()
    bench.store()
    bench.execution.end(asks("a", "b"))
    bench.store()
    assert not bench.run.answer({"a": [1]}, is_partial=False, sent={"a": {"$sent": 1}})
    assert not bench.run.settled().done()
    bench.store()
    assert bench.found.standing.answers == {"a": {"$sent": 1}}
    after = bench.after_a_kill()
    assert after.run.answer({"b": 2}, is_partial=False, sent={"b": 2})
    after.run.resume()
    after.store()
    (paused,) = after.executor.started
    assert paused.asked("resume") == [("resume", {"a": {"$sent": 1}, "b": 2})]


async def test_a_run_that_asked_and_cannot_be_answered_fails_as_logs_may_tell_it(make) -> None:
    bench = make()
    bench.run.start()
    bench.store()
    bench.execution.end(asks("a"))
    bench.store()
    after = bench.after_a_kill()
    after.run.lose("what to do")
    after.store()
    assert after.log[-3:] == ["interrupted", "running", ("failed", "lost")]
    assert after.run.failure.message == "what to do"


async def test_a_private_thread_is_needed_until_the_store_has_the_end(make) -> None:
    bench = make(PRIVATE)
    bench.run.start()
    bench.store()
    bench.execution.end(asks("a"))
    bench.store()
    bench.run.cancel("enough")
    assert not bench.execution.asked("delete_private_thread")
    bench.store()
    assert bench.execution.asked("delete_private_thread")


async def test_the_start_shrinks_with_what_the_run_needs(make) -> None:
    bench = make()
    bench.run.start()
    bench.store()
    assert bench.found.start.frame.input == FRAME["input"]
    bench.execution.end(asks("a"))
    bench.store()
    assert (bench.found.start.frame.input, bench.found.start.frame.context) == (None, [None])
    bench.run.cancel()
    bench.store()
    assert bench.found.start.frame.context is None


async def test_a_run_on_a_store_in_memory_keeps_nothing_and_waits_for_nothing() -> None:
    bench = Bench()
    assert bench.run.take_start() == b""
    bench.run.start()
    assert len(bench.executor.started) == 1
    assert bench.run.known_status == "running"
    assert bench.run.settled().done()
    bench.store()
    assert bench.standing is None


async def test_a_graph_that_cannot_be_called_fails_its_run_and_nobody_waits(make) -> None:
    bench = make()

    def start(*args: Any) -> Any:
        raise RuntimeError("the loop is closed")

    bench.executor.start = start
    bench.run.start()
    settled = bench.run.settled()
    with pytest.raises(RuntimeError):
        bench.store()
    assert settled.done()
    bench.store()
    assert bench.log[-1] == ("failed", "internal")
    assert bench.heard.count("stopped") == 1


async def test_a_run_that_rests_is_not_cancelled_because_its_client_goes(make) -> None:
    bench = make()
    bench.run.adopt("client", 0)
    bench.run.start()
    bench.store()
    bench.execution.end(asks("a"))
    bench.store()
    bench.run.stop_timers()
    bench.run.abandon("client")
    await settle()
    assert not bench.run._starters.is_waiting
    assert bench.run.status == "interrupted"


# ── what another process makes of it ─────────────────────────────────────────────────────────────

STEPS = ["start", "event", "ask", "answer_one", "answer_all", "cancel", "complete", "fail", "mark"]


def step(bench: KeptBench, name: str) -> None:
    """Do one thing, if it can be done now."""
    run = bench.run
    is_running = run.status == "running" and run._launch is None
    if name == "start" and not run.is_queued and run.status == "queued":
        run.start()
    elif name == "event" and is_running:
        bench.execution.make(len(bench.records))
        bench.said += 1
    elif name == "ask" and is_running:
        asked = tuple(PendingInterrupt(id=id, value=id) for id in ("a", "b"))
        bench.execution.end(Outcome("interrupted", b"null", asked, schemas={"a": {"type": "integer"}}))
    elif name == "answer_one" and run.status == "interrupted" and "a" not in run._questions.answers:
        run.answer({"a": 1}, is_partial=False, sent={"a": 1})
    elif name == "answer_all" and run.status == "interrupted":
        left = {id: 2 for id in ("a", "b") if id not in run._questions.answers}
        if run.answer(left, is_partial=False, sent=left):
            run.resume()
    elif name == "cancel":
        run.cancel("why")
        if run.status == "running":
            bench.execution.end(Outcome("cancelled"))
    elif name in ("complete", "fail") and is_running:
        bench.execution.end(DONE if name == "complete" else FAILED)
    elif name == "mark" and is_running:  # between two events of one tick
        bench.said += 1
        bench.execution.make("before", "after", marks=[(1, f"behind {bench.said}")])
        bench.said += 1


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.booleans()), max_size=14))
async def test_whenever_the_process_is_killed_another_one_shows_the_run_as_it_was_shown(
    steps: list[tuple[str, bool]],
) -> None:
    bench = KeptBench()
    for name, is_stored in [("start", True), *steps]:
        step(bench, name)
        if is_stored:
            bench.store()
        after = bench.after_a_kill()
        assert after.run.row() == bench.run.row()
        assert after.run.known_status == bench.run.known_status
        if bench.run.known_status in TERMINAL:
            assert after.run.output == bench.run.output
            assert after.run.failure == bench.run.failure
        if bench.run.known_status == bench.run.status == "interrupted" and bench.run.settled().done():
            assert after.run.open_schemas == bench.run.open_schemas
            assert after.run._questions.answers == bench.run._questions.answers
        if after.run.status == "running" and (marks := bench.standing_now.marks):
            _check_that_it_goes_on(after, marks)
        elif after.run.status == "running":
            after.run.lose("the process was killed")
            after.store()
        elif after.run.status == "interrupted":
            left = {id: 3 for id in ("a", "b") if id not in after.run._questions.answers}
            assert after.run.answer(left, is_partial=False, sent=left)
            answers = {**after.run._questions.answers}
            after.run.resume()
            after.store()
            assert after.executor.started[0].events_before == len(bench.records)
            assert after.executor.started[0].asked("resume") == [("resume", answers)]
            after.execution.end(DONE)
            after.store()
        assert after.run.has_ended
        after.check()
        after.run.stop_timers()
    bench.run.stop_timers()


def _check_that_it_goes_on(after: KeptBench, marks: Sequence[tuple[int, str]]) -> None:
    for seq, checkpoint in marks:
        modes = [record.address.mode for record in after.records[:seq]]
        assert f"behind {modes.count('custom')}" == checkpoint
    seq, checkpoint = marks[-1]
    events = len(after.records)
    request = RunRequest(run="r", graph="g", input=None, config={}).at_checkpoint(checkpoint)
    after.run.go_on(request, Place(seq, checkpoint, with_input=False), ("m",))
    assert after.executor.started[1:] == [], "the graph is called when the store has the attempt"
    after.store()
    told = data_of(after.records[-1])
    assert (told["status"], told["attempt"], told["void_after"], told["discard"]) == (
        "running",
        2,
        seq,
        ["m"],
    )
    assert (after.run.row().attempt, after.execution.events_before) == (2, events)
    assert after.execution.request.checkpoint == checkpoint
    again = after.after_a_kill()
    assert (again.run.row().attempt, again.standing_now.marks) == (2, tuple(marks))
    again.run.stop_timers()
    after.execution.end(DONE)
    after.store()
    assert data_of(after.records[-1])["attempt"] == 2


async def test_what_a_run_continued_with_is_kept_until_it_is_not_needed(make) -> None:
    bench = make()
    bench.run.start()
    bench.store()
    asked = tuple(PendingInterrupt(id=id, value=id) for id in ("a", "b"))
    pause = Pause(
        checkpoint="c",
        newest="d",
        graphs=(PausedGraph(ns="", checkpoint="c", tasks=(PausedTask(id="t", result="t~2", answers=3),)),),
        hidden=(("d", "e"),),
        attempt=2,
    )
    bench.execution.end(Outcome("interrupted", b"null", asked, pause=pause))
    bench.store()
    assert bench.run.answer({"a": 1}, is_partial=True, sent={"a": {"$int": "1"}})
    waiting = bench.standing_now
    assert (waiting.pause, waiting.answered) == (pause, None)
    bench.run.resume()
    bench.store()
    continued = bench.standing_now
    answered = len(bench.records)
    assert (continued.pause, continued.answered) == (pause, answered)
    assert continued.answers == {"a": {"$int": "1"}}
    bench.execution.make("said")
    bench.store()

    after = bench.after_a_kill()
    place = Place(answered, "c", with_input=False, pause=pause)
    request = RunRequest(run="r", graph="g", input=None, config={}).resumed({"a": 1})
    after.run.go_on(request, place, ())
    after.store()
    assert data_of(after.records[-1])["void_after"] == answered
    again = after.standing_now
    assert (again.pause, again.answered, again.answers) == (pause, answered, {"a": {"$int": "1"}})
    for number in range(4):
        assert after.standing_now.pause == pause
        after.execution.make("said", marks=[(0, f"c{number}")])
        after.store()
    forgotten = after.standing_now
    assert (forgotten.pause, forgotten.answered, forgotten.answers) == (None, None, None)
    after.run.stop_timers()
    bench.execution.end(DONE)
    bench.store()
    ended = bench.standing_now
    assert (ended.pause, ended.answered, ended.answers) == (None, None, None)


def test_a_standing_of_an_older_version_is_read() -> None:
    old = b'{"status":"running","at":"2026-01-01T00:00:00.000Z","attempt":1,"is_resumed":true,"marks":[]}\n'
    found = found_run(Kept("p/r", "e", 3, start().dump(), old)).standing
    assert found is not None
    assert (found.pause, found.answered, found.answers) == (None, None, None)


def test_what_is_damaged_is_not_read() -> None:
    standing = RunStanding(status="completed", at="2026-01-01T00:00:00.000Z").dump(None)
    assert found_run(Kept("p/r", "e", 0, start().dump(), standing)).standing is not None
    with pytest.raises(ValueError, match="another run"):
        found_run(Kept("p/other", "e", 0, start().dump(), standing))
    with pytest.raises(ValueError, match="isoformat"):
        found_run(Kept("p/r", "e", 0, start().dump(), standing.replace(b"2026-01", b"2026-x1")))
