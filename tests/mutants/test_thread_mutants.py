"""The conformance kit names the case that each planted bug of threads, answers and deletions breaks.

A mutant patches a named function for the time of one case; none of it is in the packages.

About `protocol/graphwire_conformance/graphs.py`, `gateway/graphwire_gateway/runs/run.py` and
`gateway/graphwire_gateway/runs/threads.py`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from graphwire_conformance.graphs import TARGETS
from graphwire_conformance.servers.judge import judge_server
from graphwire_gateway import Gateway, GraphSpec
from graphwire_gateway.execution.execution import Execution
from graphwire_gateway.execution.request import RunRequest
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.log import Log
from graphwire_gateway.runs import runs
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.threads import ThreadQueue
from graphwire_gateway.scope import Scope
from langgraph.checkpoint.memory import InMemorySaver

Patch = pytest.MonkeyPatch
Plant = Callable[[Patch], None]

MUTANTS: list[Any] = []


def mutant(case: str) -> Callable[[Plant], Plant]:
    """Enlist a mutant with the case that catches it."""

    def enlist(plant: Plant) -> Plant:
        MUTANTS.append(pytest.param(plant, case, id=plant.__name__.replace("_", " ")))
        return plant

    return enlist


@mutant("ask/kept until all are answered")
def an_answer_may_be_given_twice(patch: Patch) -> None:
    right = Run.answer

    def answer(self: Run, answers: Any, *, is_partial: bool) -> bool:
        for id in answers:
            self._answers.pop(id, None)
        return right(self, answers, is_partial=is_partial)

    patch.setattr(Run, "answer", answer)


@mutant("ask/kept until all are answered")
def answers_are_not_kept(patch: Patch) -> None:
    right = Run.resume

    def resume(self: Run) -> None:
        self._answers = dict(list(self._answers.items())[-1:])
        right(self)

    patch.setattr(Run, "resume", resume)


@mutant("ask/kept until all are answered")
def the_first_answer_is_enough(patch: Patch) -> None:
    right = Run.answer
    patch.setattr(Run, "answer", lambda self, answers, is_partial: right(self, answers, is_partial=True))


@mutant("ask/partial")
def partial_is_not_heard(patch: Patch) -> None:
    right = Run.answer
    patch.setattr(Run, "answer", lambda self, answers, is_partial: right(self, answers, is_partial=False))


@mutant("ask/one bad id")
def what_stands_before_a_bad_id_is_kept(patch: Patch) -> None:
    right = Run.answer

    def answer(self: Run, answers: Any, *, is_partial: bool) -> bool:
        if any(id not in self._interrupts for id in answers):
            self._answers |= {id: value for id, value in answers.items() if id in self._interrupts}
        return right(self, answers, is_partial=is_partial)

    patch.setattr(Run, "answer", answer)


@mutant("ask/answered by id")
def the_graph_begins_anew_instead_of_going_on(patch: Patch) -> None:
    right = RunRequest.resumed

    def resumed(self: RunRequest, answers: Any) -> RunRequest:
        request = right(self, answers)
        object.__setattr__(request, "command", {**(request.command or {}), "goto": "plan"})
        return request

    patch.setattr(RunRequest, "resumed", resumed)


@mutant("ask/answered by id")
def seq_begins_anew_behind_the_pause(patch: Patch) -> None:
    right = Run.resume

    def resume(self: Run) -> None:
        log = self.log
        log._numbered += 1
        right(self)
        log.append(log._pending[-1:])

    patch.setattr(Run, "resume", resume)


@mutant("ask/answered by id")
def an_answer_counts_as_an_attempt(patch: Patch) -> None:
    right = Run._enter

    def enter(self: Run, status: Any, reason: Any = None, error: Any = None) -> None:
        is_again = self.status == "interrupted" and status == "running"
        right(self, status, reason, error)
        if is_again:
            record = self.log._pending[-1]
            record.body = record.body.replace(b'"attempt":1', b'"attempt":2')

    patch.setattr(Run, "_enter", enter)


@mutant("ask/replay and snapshot")
def a_snapshot_forgets_what_is_asked(patch: Patch) -> None:
    right = Fold.snapshot
    patch.setattr(Fold, "snapshot", lambda self, matcher: {**right(self, matcher), "interrupts": []})


@mutant("ask/static breakpoint")
def a_breakpoint_that_asks_nothing_is_passed_by(patch: Patch) -> None:
    right = Execution._follow

    def follow(self: Execution, ns: Any, mode: str, chunk: Any) -> None:
        right(self, ns, mode, chunk)
        self._is_interrupted = self._is_interrupted and bool(self._asked)

    patch.setattr(Execution, "_follow", follow)


@mutant("thread/superseded")
def a_superseded_run_is_not_told(patch: Patch) -> None:
    right = ThreadQueue.claim
    patch.setattr(
        ThreadQueue,
        "claim",
        lambda self, run: [one for one in right(self, run) if one is not self.interrupted],
    )


@mutant("thread/superseded")
def a_queued_run_supersedes(patch: Patch) -> None:
    right = ThreadQueue.enter

    def enter(self: ThreadQueue, run: Run, if_busy: Any) -> None:
        right(self, run, "reject" if if_busy == "enqueue" and not self.is_busy else if_busy)

    patch.setattr(ThreadQueue, "enter", enter)


@mutant("thread/enqueue")
def the_order_of_the_queue_is_lost(patch: Patch) -> None:
    right = ThreadQueue.leave

    def leave(self: ThreadQueue, who: Any) -> Any:
        self.waiting.reverse()
        return right(self, who)

    patch.setattr(ThreadQueue, "leave", leave)


@mutant("thread/busy")
def two_runs_write_one_thread(patch: Patch) -> None:
    patch.setattr(ThreadQueue, "is_busy", property(lambda self: False))


@mutant("thread/interrupt")
def a_run_that_interrupts_does_not_wait(patch: Patch) -> None:
    right = Runs._begin

    def begin(self: Runs, run: Run) -> None:
        queue = self._queue(run)
        if queue is not None and run in queue.waiting:
            self._slots.start(run)
            queue.waiting.remove(run)
            queue.holder, before = run, queue.holder
            if isinstance(before, Run):
                before.cancel("superseded")
            return
        right(self, run)

    patch.setattr(Runs, "_begin", begin)


@mutant("state/of a run that asks")
def the_checkpointers_id_leaks(patch: Patch) -> None:
    patch.setattr(Scope, "clear", lambda self, data: data)


@mutant("state/busy")
def a_state_is_written_beside_a_run(patch: Patch) -> None:
    patch.setattr(Runs, "hold", lambda self, scope: lambda: None)


@mutant("state/updated")
def a_checkpoint_is_not_heard(patch: Patch) -> None:
    whole = runs.run_request

    def run_request(command: Any, values: Any, entry: Any, **rest: Any) -> RunRequest:
        changed = command.model_copy(update={"checkpoint": None})
        return whole(changed, replace(values, input={"text": "anew"}), entry, **rest)

    patch.setattr(runs, "run_request", run_request)


@mutant("thread/listed and deleted")
def viewers_are_not_told_of_a_deletion(patch: Patch) -> None:
    patch.setattr(Log, "delete", lambda self: None)


@mutant("thread/listed and deleted")
def a_deletion_leaves_the_checkpoints(patch: Patch) -> None:
    async def adelete_thread(self: Any, thread_id: str) -> None:
        pass

    patch.setattr(InMemorySaver, "adelete_thread", adelete_thread)


async def judged(case: str, patience_s: float = 10.0) -> list[tuple[str, str]]:
    gateway = Gateway({name: GraphSpec(target) for name, target in TARGETS.items()})
    async with gateway.serve("127.0.0.1", 0) as server:
        verdicts = await judge_server(server.url, only=[case], patience_s=patience_s)
    return [(verdict.case, verdict.outcome) for verdict in verdicts if verdict.case != "open"]


@pytest.mark.parametrize(("plant", "case"), MUTANTS)
async def test_the_kit_catches(monkeypatch: Patch, plant: Plant, case: str) -> None:
    assert await judged(case) == [(case, "passed")]
    plant(monkeypatch)
    assert await judged(case, patience_s=0.5) == [(case, "failed")]
