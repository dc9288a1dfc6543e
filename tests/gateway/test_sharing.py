"""What many readers need is made once, one large piece in each turn of the loop, and kept for a short time.

About `gateway/graphwire_gateway/connections/sharing.py`. What is counted here are steps, not seconds.
"""

import asyncio
import weakref
from typing import Any

import orjson
import pytest
from graphwire_gateway.connections import sharing as module
from graphwire_gateway.connections.sharing import SMALL, Sharing
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.record import Record
from graphwire_protocol.filters import NOTHING, Address, Filter, Matcher
from graphwire_protocol.limits import DEFAULTS
from hypothesis import given
from hypothesis import strategies as st

from tests.support.logs import LogWriter, event
from tests.support.waiting import until

LARGE = {"n": 1, "text": "x" * 2 * SMALL, "more": [{"a": 1}] * 9}


class Counting(Matcher):
    """A filter that counts how often it cuts data."""

    def __init__(self, *keys: str) -> None:
        super().__init__(Filter(modes=("values", "updates", "messages"), keys=keys))
        self.cuts = 0

    def project(self, mode: str, data: Any) -> Any:
        self.cuts += 1
        return super().project(mode, data)


async def _log(*records: Record, limits: LogLimits | None = None) -> LogWriter:
    writer = await LogWriter(MemoryStore(limits or LogLimits(min_age_s=0)), "r").create()
    if records:
        await writer.store_records(list(records))
    return writer


async def test_readers_with_the_same_keys_share_a_cut_and_others_the_parsed_state(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    writer, record, sharing = await _log(), event("values", LARGE), Sharing()
    parsed = 0
    loads = orjson.loads

    def counted(data: bytes) -> Any:
        nonlocal parsed
        parsed += 1
        return loads(data)

    monkeypatch.setattr(module.orjson, "loads", counted)
    first, second = Counting("n", "more"), Counting("text")
    cuts = await asyncio.gather(
        *(sharing.projected(writer.log, 1, record, matcher) for matcher in [first, second] * 50)
    )
    assert (parsed, first.cuts, second.cuts) == (1, 1, 1)
    assert {loads(cut or b"").keys() == {"n", "more"} for cut in cuts[::2]} == {True}
    assert set(cuts[1::2]) == {orjson.dumps({"text": LARGE["text"]})}


async def test_large_pieces_of_many_readers_are_done_one_in_each_turn_of_the_loop() -> None:
    writer, record, sharing = await _log(), event("values", LARGE), Sharing()
    matchers = [Counting("n", f"other {number}") for number in range(40)]
    work = asyncio.gather(*(sharing.projected(writer.log, 1, record, matcher) for matcher in matchers))
    done, most = 0, 0
    while not work.done():
        await asyncio.sleep(0)
        now = sum(matcher.cuts for matcher in matchers)
        done, most = now, max(most, now - done)
    assert done == 40
    assert most == 1


async def test_what_is_kept_has_a_bound_and_goes_when_nobody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_S", 0.01)
    most = 50 * SMALL
    writer, sharing = await _log(), Sharing(most)
    for seq in range(1, 60):
        await sharing.projected(writer.log, seq, event("values", LARGE), Counting("text"))
        assert 0 < sharing.size <= most
    await until(lambda: not sharing.size)
    assert await sharing.projected(writer.log, 1, event("values", LARGE), Counting("n")) == b'{"n":1}'


async def test_a_state_that_is_larger_than_the_bound_is_cut_and_not_kept() -> None:
    writer, sharing = await _log(), Sharing(SMALL)
    assert await sharing.projected(writer.log, 1, event("values", LARGE), Counting("n")) == b'{"n":1}'
    assert sharing.size <= SMALL


_MESSAGES = Address("messages")


def _delta(number: int) -> Record:
    record = event("messages", {"id": "m", "delta": {"type": "AIMessageChunk", "content": f"{number},"}})
    record.address, record.call = _MESSAGES, "m"
    return record


async def test_snapshots_of_one_log_are_folded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = await _log(*map(_delta, range(1000)))
    added = 0
    add = Fold.add

    def counted(fold: Fold, record: Record) -> None:
        nonlocal added
        added += 1
        add(fold, record)

    monkeypatch.setattr(Fold, "add", counted)
    sharing, matcher = Sharing(), Counting("n")

    async def snapshot() -> dict[str, Any]:
        made, _ = await sharing.snapshot(writer.store, writer.log, matcher, DEFAULTS, is_of_base=False)
        frame: dict[str, Any] = orjson.loads(made.frame(7))
        return frame

    snapshots = await asyncio.gather(*(snapshot() for _ in range(50)))
    assert added == 1000
    assert all(frame == snapshots[0] for frame in snapshots)
    assert (snapshots[0]["sub"], snapshots[0]["seq"]) == (7, 1000)
    text = "".join(f"{number}," for number in range(1000))
    assert snapshots[0]["messages"][0]["message"]["content"] == text
    added = 0
    await writer.store_records([_delta(1000)])
    assert (await snapshot())["messages"][0]["message"]["content"] == f"{text}1000,"
    assert added == 1, "a fold goes on from where it was"


async def test_a_base_is_copied_once_until_more_is_evicted(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = await _log(*map(_delta, range(100)), limits=LogLimits(events=8, min_age_s=0))
    copied = 0
    base = writer.store.base

    async def counted(run: str) -> Fold:
        nonlocal copied
        copied += 1
        fold: Fold = await base(run)
        return fold

    monkeypatch.setattr(writer.store, "base", counted)
    sharing, matcher = Sharing(), Counting("n")
    for expected in (1, 2):
        evicted = (await writer.store.read("r", 0, 0)).evicted
        for _ in range(5):
            made, fold = await sharing.snapshot(writer.store, writer.log, matcher, DEFAULTS, is_of_base=True)
            assert made.upto == fold.upto == evicted
        assert copied == expected
        await writer.store_records([_delta(number) for number in range(100, 130)])


async def test_of_a_base_that_grows_only_the_last_one_is_kept() -> None:
    writer = await _log(*map(_delta, range(100)), limits=LogLimits(events=8, min_age_s=0))
    sharing, matcher = Sharing(), Counting("n")
    bases: list[weakref.ref[Fold]] = []
    for _ in range(5):
        _, fold = await sharing.snapshot(writer.store, writer.log, matcher, DEFAULTS, is_of_base=True)
        bases.append(weakref.ref(fold))
        del fold
        await writer.store_records([_delta(number) for number in range(100, 130)])
    assert [base() is None for base in bases] == [True, True, True, True, False]


async def test_what_a_log_asks_counts_twice_in_the_fold_and_in_the_snapshot_of_it() -> None:
    question = {"id": "i", "ns": [], "value": "x" * 100_000}
    writer = await _log(event("interrupt", {"interrupts": [question]}))
    sharing, matcher = Sharing(), Counting("n")
    await sharing.snapshot(writer.store, writer.log, matcher, DEFAULTS, is_of_base=False)
    assert 200_000 < sharing.size < 202_000


_PARTS = st.sampled_from([None, 1, "a", [], [1, {"a": 1}], {"a": 1}, {"$obj": {"a": {"b": 1}}}, {"$x": [{}]}])
_STATES = st.dictionaries(st.sampled_from(["a", "b", "$x", "$obj"]), _PARTS)
_UPDATES = st.dictionaries(st.sampled_from(["n", "$obj"]), _STATES | st.lists(_STATES | _PARTS) | _PARTS)


@given(data=_STATES | _UPDATES | st.lists(_STATES), mode=st.sampled_from(["values", "updates"]))
def test_a_large_record_is_cut_as_a_small_one(data: Any, mode: str) -> None:
    small = event(mode, data)
    large = event(mode, data)
    large.size = SMALL + 1  # it takes the way of large ones
    matcher = Counting("a", "$x")

    async def cut() -> bytes | None:
        writer = LogWriter(None, "r")
        sharing = Sharing()
        return await sharing.projected(writer.log, 1, large, matcher)

    expected = matcher.project(mode, orjson.loads(small.data))
    made = asyncio.run(cut())
    assert made == (None if expected is NOTHING else orjson.dumps(expected))
