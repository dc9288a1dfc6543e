"""About `gateway/graphwire_gateway/runs/slots.py`.

Runs that only remember what was asked of them.
"""

import gc
import weakref
from typing import Any

import pytest
from graphwire_gateway.runs.slots import Slots
from graphwire_protocol.types import Status


class Run:
    """A run whose status the slots move."""

    def __init__(self, principal: str = "p") -> None:
        self.principal = principal
        self.status: Status = "queued"
        self.is_queued = False
        self.calls: list[str] = []

    def queue(self) -> None:
        self.is_queued = True
        self.calls.append("queue")

    def start(self) -> None:
        self.status, self.is_queued = "running", False
        self.calls.append("start")

    def resume(self) -> None:
        self.status = "running"
        self.calls.append("resume")


@pytest.fixture
def slots() -> Any:
    return Slots(2)


def started(slots: Any, count: int, principal: str = "p") -> list[Run]:
    runs = [Run(principal) for _ in range(count)]
    for run in runs:
        slots.start(run)
    return runs


def test_runs_start_while_there_are_slots_and_the_others_are_queued(slots) -> None:
    runs = started(slots, 4)
    assert [run.calls for run in runs] == [["start"], ["start"], ["queue"], ["queue"]]


def test_a_slot_that_is_released_goes_to_the_run_that_waits_longest(slots) -> None:
    first, second, third, fourth = started(slots, 4)
    slots.release(second)
    assert (third.calls, fourth.calls) == (["queue", "start"], ["queue"])
    slots.release(first)
    assert fourth.calls == ["queue", "start"]


def test_a_slot_that_is_released_goes_to_the_principal_with_the_fewest_runs(slots) -> None:
    first, second, third, fourth = started(slots, 4, "many")
    late, later = started(slots, 2, "few")
    slots.release(first)
    assert (late.status, third.status) == ("running", "queued")
    slots.release(late)
    assert (later.status, third.status) == ("running", "queued")
    slots.release(second)
    assert (third.status, fourth.status) == ("running", "queued")


def test_of_principals_with_as_many_runs_the_one_that_was_served_last_is_last(slots) -> None:
    running = started(slots, 2)
    principals = ("a", "b", "c")
    waiting = {principal: started(slots, 3, principal) for principal in principals}
    order: list[Run] = []
    for _ in range(9):
        slots.release(running.pop(0))
        started_now = [
            run for runs in waiting.values() for run in runs if run.status == "running" and run not in order
        ]
        order += started_now
        running += started_now
    assert [run.principal for run in order] == ["a", "b", "c"] * 3


def test_a_run_that_is_queued_already_is_not_queued_again(slots) -> None:
    started(slots, 2)
    run = Run()
    run.queue()
    slots.start(run)
    assert run.calls == ["queue"]


def test_a_run_without_a_slot_releases_nothing(slots) -> None:
    *_, third = started(slots, 3)
    slots.release(Run())
    assert third.calls == ["queue"]


def test_a_slot_is_released_once(slots) -> None:
    first, _, third, fourth = started(slots, 4)
    slots.release(first)
    slots.release(first)
    assert (third.calls, fourth.calls) == (["queue", "start"], ["queue"])


@pytest.mark.parametrize("is_released", [True, False])
def test_a_run_that_ended_while_it_waited_is_passed_over(slots, is_released) -> None:
    first, _, third, fourth = started(slots, 4)
    third.status = "cancelled"
    if is_released:
        slots.release(third)
    slots.release(first)
    assert (third.calls, fourth.calls) == (["queue"], ["queue", "start"])


def test_runs_that_ended_while_they_waited_are_not_kept(slots) -> None:
    started(slots, 2)
    gone = started(slots, 5)
    kept = weakref.WeakSet(gone)
    while gone:
        gone[-1].status = "cancelled"
        slots.release(gone.pop())
    gc.collect()
    assert len(kept) == 0


def test_a_run_that_was_admitted_once_resumes_without_a_free_slot_and_takes_one(slots) -> None:
    first, second, third = started(slots, 3)
    slots.release(first)  # it waits for answers
    assert third.status == "running"
    slots.resume(first)
    late = started(slots, 1)[0]
    assert (first.calls, late.calls) == (["start", "resume"], ["queue"])
    slots.release(second)
    assert late.calls == ["queue"]  # two still run
    slots.release(third)
    assert late.calls == ["queue", "start"]
