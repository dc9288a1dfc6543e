"""About `gateway/graphwire_gateway/runs/steps.py` and `gateway/graphwire_gateway/runs/resumption.py`.

Where a run goes on, by what its log and its saver have. ``tests/live/test_going_on.py`` tests the rest.
"""

from typing import Any

import pytest
from graphwire_gateway.graphs.pause import Pause
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.store import Batch
from graphwire_gateway.runs.resumption import _base, calls_behind
from graphwire_gateway.runs.standing import RunStanding
from graphwire_gateway.runs.steps import Place, Steps
from graphwire_gateway.scope import Scope
from langchain_core.messages import AIMessageChunk
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver

from tests.gateway.test_fold import encoded, metas
from tests.gateway.test_standing import start

THREAD = Scope("g/p/t", "t")
PAUSE = Pause(checkpoint="c", newest="d", graphs=())


def test_only_the_newest_checkpoints_are_known_and_none_of_void_events() -> None:
    steps = Steps()
    steps.begin(2)
    for seq in range(3, 10):
        steps.mark(seq, f"c{seq}")
    assert steps.marks == ((6, "c6"), (7, "c7"), (8, "c8"), (9, "c9"))
    steps.go_on(Place(7, "c7", with_input=False))
    assert (steps.began, steps.marks) == (2, ((6, "c6"), (7, "c7")))
    steps.go_on(Place(2, "", with_input=True))
    assert (steps.began, steps.marks) == (2, ())
    steps.mark(11, "c11")
    steps.wait(None)
    assert (steps.began, steps.marks) == (None, ())


def test_what_a_run_continued_with_is_known_until_enough_checkpoints_are_behind_it() -> None:
    steps = Steps()
    steps.begin(2)
    steps.mark(3, "c3")
    steps.wait(PAUSE)
    assert (steps.began, steps.marks, steps.answered) == (None, (), None)
    steps.resume(7, {"i": "yes"})
    for seq in (8, 9, 10):
        steps.mark(seq, f"c{seq}")
        assert (steps.pause, steps.answered, steps.answers) == (PAUSE, 7, {"i": "yes"})
    steps.go_on(Place(7, "c", with_input=False, pause=PAUSE))
    assert (steps.marks, steps.answered) == ((), 7)
    for seq in (18, 19, 20, 21):
        steps.mark(seq, f"c{seq}")
    assert (steps.pause, steps.answered, steps.answers) == (None, None, {})
    steps.wait(None)
    steps.resume(30, {"i": "no"})
    assert (steps.pause, steps.answered, steps.answers) == (None, None, {})


async def saver_with(*times: str) -> InMemorySaver:
    saver = InMemorySaver()
    config: Any = {"configurable": {"thread_id": THREAD.saved, "checkpoint_ns": ""}}
    for number, time in enumerate(times):
        await saver.aput(config, {**empty_checkpoint(), "id": f"c{number}", "ts": time}, {}, {})
    return saver


def at(second: int, more: str = "000123") -> str:
    return f"2026-01-01T00:00:{second:02}.{more}+00:00"


@pytest.mark.parametrize(
    ("times", "base"),
    [
        ((), ""),
        ((at(1), at(2)), "c1"),
        ((at(1), at(6), at(7)), "c0"),
        ((at(6), at(7)), ""),
        ((at(1), at(5), at(6)), None),
    ],
)
async def test_the_checkpoint_before_a_run_is_found_by_its_time(times: tuple[str, ...], base: Any) -> None:
    """Where it began is not known yet if the process ends at once. In the same millisecond nothing tells."""
    standing = RunStanding(status="running", at=at(5), started_at="2026-01-01T00:00:05.000Z")
    saver = await saver_with(*times)
    assert await _base(saver, THREAD, start(), standing) == base
    known = standing.model_copy(update={"checkpoint": "known"})
    assert await _base(saver, THREAD, start(), known) == "known"
    assert await _base(saver, THREAD, start(thread="t", checkpoint="asked"), known) == "asked"
    private = Scope("graphwire:p/r", "r", is_private=True)
    assert await _base(saver, private, start(private), standing) == ""


@pytest.mark.parametrize("kept", [1000, 3])
async def test_the_calls_that_are_void_are_found_in_the_log_and_in_its_base(kept: int) -> None:
    store = MemoryStore(LogLimits(events=kept, min_age_s=0))
    await store.create("p/r", "e")
    log = [
        ("part", (), "messages", (AIMessageChunk(content="x", id=id), metas[0]))
        for id in ("m1", "m2", "m3", "m1", "m4", "m5", "m5", "m5")
    ]
    records = encoded(log)
    for seq, record in enumerate(records, 1):
        await store.append([Batch("p/r", "e", seq, [record], record.size, None, None)])
    page = await store.read("p/r", 0, 1)
    assert (page.evicted > 0) == (kept == 3)
    for after in range(9):
        due = {"m1": 4, "m2": 2, "m3": 3, "m4": 5, "m5": 8}
        found = await calls_behind(store, "p/r", after, 8)
        assert sorted(found) == [call for call, last in due.items() if last > after]
