"""Which run writes a thread, which waits for it, and which gives way: the bookkeeping alone.

About `gateway/graphwire_gateway/runs/threads.py`.
"""

from typing import Any, cast

import pytest
from graphwire_gateway.runs.run import Run
from graphwire_gateway.runs.threads import ThreadQueues
from graphwire_protocol.errors import Refusal


class _Run:
    def __init__(self, id: str) -> None:
        self.id = id

    def __repr__(self) -> str:
        return self.id


def a_run(id: str) -> Run:
    return cast("Run", _Run(id))


def code(caught: Any) -> tuple[str, Any]:
    return caught.value.code, caught.value.after_ms


A, B, C, D = (a_run(id) for id in "ABCD")


def test_the_first_one_holds_a_thread_and_who_rejects_is_told_that_it_is_busy() -> None:
    thread = ThreadQueues().get("t")
    thread.enter(A, "reject")
    assert thread.claim(A) == []
    with pytest.raises(Refusal) as caught:
        thread.enter(B, "reject")
    assert code(caught) == ("busy", 1000)
    assert thread.leave(A) is None
    thread.enter(B, "reject")
    assert thread.holder is B


def test_those_that_are_enqueued_follow_in_their_order_and_the_thread_stays_busy() -> None:
    thread = ThreadQueues().get("t")
    thread.enter(A, "reject")
    thread.enter(B, "enqueue")
    thread.enter(C, "enqueue")
    with pytest.raises(Refusal):
        thread.enter(D, "reject")
    assert thread.claim(B) == thread.claim(C) == []
    assert thread.leave(A) is B
    assert thread.leave(B) is C
    assert thread.leave(C) is None
    assert thread.is_idle


def test_one_that_interrupts_supersedes_the_running_one_and_goes_before_the_queue() -> None:
    thread = ThreadQueues().get("t")
    thread.enter(A, "reject")
    thread.enter(B, "enqueue")
    thread.enter(C, "interrupt")
    assert thread.holder is A
    assert thread.claim(C) == [A]
    assert thread.leave(A) is C
    assert thread.leave(C) is B


def test_of_several_that_interrupt_the_last_one_remains() -> None:
    thread = ThreadQueues().get("t")
    thread.enter(A, "reject")
    thread.enter(B, "interrupt")
    thread.enter(C, "interrupt")
    assert thread.claim(C) == [A, B]
    assert thread.leave(B) is None
    assert thread.leave(A) is C


def test_a_run_that_asks_is_superseded_by_the_next_and_awaited_by_a_queued_one() -> None:
    thread = ThreadQueues().get("t")
    thread.enter(A, "reject")
    thread.pause(A)
    thread.enter(B, "enqueue")
    assert thread.claim(B) == []
    assert thread.holder is None
    thread.resume(A)
    assert thread.leave(A) is B
    thread.pause(B)
    thread.enter(C, "interrupt")
    assert thread.claim(C) == [B]
    with pytest.raises(Refusal) as caught:
        thread.check_free(B)
    assert code(caught)[0] == "conflict"
    assert thread.leave(B) is None
    assert thread.holder is C


def test_a_request_that_writes_a_thread_makes_runs_wait_and_answers_busy() -> None:
    thread = ThreadQueues().get("t")
    thread.enter(A, "reject")
    thread.pause(A)
    thread.holder = "update"
    with pytest.raises(Refusal) as caught:
        thread.check_free(A)
    assert code(caught)[0] == "busy"
    thread.leave(A)
    thread.enter(B, "reject")
    with pytest.raises(Refusal):
        thread.enter(C, "reject")
    thread.enter(D, "interrupt")
    assert thread.claim(D) == []
    assert thread.leave("update") is D


def test_one_that_gives_up_waiting_holds_nobody_up() -> None:
    thread = ThreadQueues().get("t")
    thread.enter(A, "reject")
    thread.enter(B, "interrupt")
    assert thread.leave(B) is None
    assert thread.leave(B) is None
    thread.enter(C, "interrupt")
    assert thread.claim(C) == [A]
    assert thread.leave(A) is C


def test_threads_that_nobody_uses_are_forgotten() -> None:
    threads = ThreadQueues()
    thread = threads.get("t")
    thread.enter(A, "reject")
    threads.tidy("t")
    assert threads.get("t") is thread
    thread.leave(A)
    threads.tidy("t")
    assert threads.get("t") is not thread
