"""The contract of every store. Add a new store to ``STORES`` to test it.

`test_redis_contract` holds the one in Redis to these same tests, since it needs a socket.

About `gateway/graphwire_gateway/log/store.py`, `gateway/graphwire_gateway/log/memory.py` and
`gateway/graphwire_gateway/log/record.py`.

Long because all stores are held to one contract, and it is tested in one place.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import orjson
import pytest
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Batch, Fenced, NoLog, SeqGap, Store
from graphwire_protocol.filters import Address, Filter, Matcher

from tests.support.stores import DelayingStore

STORES: dict[str, Callable[[LogLimits, Path], Any]] = {
    "memory": lambda limits, path: MemoryStore(limits),
    "delay": lambda limits, path: DelayingStore(limits, 0, 0),  # each operation gives the loop away
    "sqlite": lambda limits, path: SqliteStore(path, limits),
}
LARGE = LogLimits(events=10_000, bytes=1 << 30, min_age_s=2)
EVERYTHING = Matcher(Filter(modes=("custom", "values", "messages", "updates"), namespaces=(("**",),)))


Make: TypeAlias = Callable[..., Awaitable[Store]]


@pytest.fixture(params=STORES)
async def make(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Make]:
    """``await make(limits)`` returns an empty store of each kind."""
    stores: list[Store] = []

    async def new(limits: LogLimits = LARGE) -> Store:
        store = STORES[request.param](limits, tmp_path / f"{len(stores)}.db")
        stores.append(store)
        assert await store.open() == []
        return store

    yield new
    for store in stores:
        await store.aclose()


def record(number: int, mode: str = "custom", size: int = 0) -> Record:
    data = orjson.dumps({"i": number, "text": "x" * size})
    body = b'"mode":"%s","data":%s' % (mode.encode(), data)
    return Record(Address(mode), body, len(body) - len(data), len(body))


def batch(run: str, first: int, count: int = 1, epoch: str = "e", **fields: Any) -> Batch:
    records = [record(number, **fields) for number in range(first, first + count)]
    return Batch(run, epoch, first, records, sum(each.size for each in records))


def numbers(page: Any) -> list[int]:
    return [orjson.loads(each.data)["i"] for each in page.records]


async def test_a_store_has_all_that_the_server_may_ask_of_it(make) -> None:
    store = await make()
    names = [name for name in vars(Store) if not name.startswith("_")]
    assert len(names) > 10
    assert [name for name in names if not hasattr(store, name)] == []
    assert not store.taken.is_set()


async def test_what_is_appended_is_read_in_order_from_anywhere(make) -> None:
    store = await make()
    await store.create("r", "e")
    assert await store.append([batch("r", 1, 3)]) == [3]
    assert await store.append([batch("r", 4, 7)]) == [10]
    for after in range(12):
        for limit in (0, 1, 4, 100):
            page = await store.read("r", after, limit)
            assert (page.epoch, page.evicted, page.head) == ("e", 0, 10)
            assert numbers(page) == list(range(after + 1, 11))[:limit]


async def test_many_logs_are_appended_to_at_once_and_keep_apart(make) -> None:
    store = await make()
    for run in "abc":
        await store.create(run, run * 3)
    batches = [batch(run, 1, count, epoch=run * 3) for run, count in zip("abc", (2, 5, 1), strict=True)]
    assert await store.append(batches) == [2, 5, 1]
    for run, count in zip("abc", (2, 5, 1), strict=True):
        page = await store.read(run, 0, 10)
        assert (page.epoch, numbers(page)) == (run * 3, list(range(1, count + 1)))


async def test_a_writer_of_another_epoch_or_of_no_log_is_fenced_and_the_others_are_not(make) -> None:
    store = await make()
    await store.create("r", "e")
    await store.create("s", "e")
    answers = await store.append([batch("r", 1, epoch="old"), batch("nobody", 1), batch("s", 1)])
    assert isinstance(answers[0], Fenced)
    assert isinstance(answers[1], Fenced)
    assert answers[2] == 1
    assert (await store.read("r", 0, 9)).head == 0


async def test_a_seq_is_never_used_twice_and_none_is_left_out(make) -> None:
    store = await make()
    await store.create("r", "e")
    await store.append([batch("r", 1, 3)])
    for first in (1, 3, 5):
        (answer,) = await store.append([batch("r", first)])
        assert isinstance(answer, SeqGap)
        assert answer.head == 3
    assert numbers(await store.read("r", 0, 9)) == [1, 2, 3]


async def test_who_follows_is_woken_with_the_head_until_it_stops(make) -> None:
    store = await make()
    await store.create("r", "e")
    heads: list[int] = []
    others: list[int] = []
    stop = store.tail("r", heads.append)
    store.tail("r", others.append)
    await store.append([batch("r", 1, 2)])
    stop()
    stop()
    await store.append([batch("r", 3)])
    assert (heads, others) == ([2], [2, 3])


async def test_a_log_is_readable_when_its_growth_is_told(make) -> None:
    store = await make()
    await store.create("r", "e")
    seen: list[asyncio.Task[Any]] = []
    store.tail("r", lambda head: seen.append(asyncio.ensure_future(store.read("r", 0, head))))
    await store.append([batch("r", 1, 3)])
    assert numbers(await seen[0]) == [1, 2, 3]


@pytest.mark.parametrize("limits", [LogLimits(16, 1 << 30, 0), LogLimits(10_000, 16 * 170, 0)])
async def test_what_goes_over_the_limits_is_folded_and_never_missing(make, limits: LogLimits) -> None:
    store = await make(limits)
    await store.create("r", "e")
    for first in range(1, 500, 5):
        await store.append([batch("r", first, 5)])
        page = await store.read("r", 0, 10_000)
        evicted = page.evicted
        assert page.head == first + 4
        if evicted:
            assert numbers(page) == []
        kept = await store.read("r", evicted, 10_000)
        assert numbers(kept) == list(range(evicted + 1, first + 5))
        assert len(kept.records) <= 16 * 9 / 8 + 5
        base = await store.base("r")
        assert base.upto == evicted
    assert evicted > 400
    assert base.lost(EVERYTHING, 0) == ["custom"]
    assert base.lost(EVERYTHING, evicted) == []
    assert base.lost(EVERYTHING, evicted - 1) == ["custom"]


async def test_a_burst_of_the_young_may_be_four_times_as_large(make) -> None:
    store = await make(LogLimits(16, 1 << 30, 3600))
    await store.create("r", "e")
    for first in range(1, 500):
        await store.append([batch("r", first)])
    page = await store.read("r", 499, 1)
    assert 64 <= page.head - page.evicted <= 66


async def test_the_newest_event_stays_however_large_it_is(make) -> None:
    store = await make(LogLimits(16, 1000, 0))
    await store.create("r", "e")
    for first in range(1, 5):
        await store.append([batch("r", first, size=100_000)])
        assert numbers(await store.read("r", first - 1, 9)) == [first]


async def test_a_base_is_the_caller_s_own(make) -> None:
    store = await make(LogLimits(8, 1 << 30, 0))
    await store.create("r", "e")
    await store.append([batch("r", 1, 40)])
    mine, again = await store.base("r"), await store.base("r")
    mine.add(record(99, "updates"))
    assert again.upto == mine.upto - 1
    assert "updates" not in (await store.base("r")).lost(EVERYTHING, 0)


async def test_a_closed_log_folds_but_for_its_last_event(make) -> None:
    store = await make()
    await store.create("r", "e")
    await store.append([batch("r", 1, 10)])
    await store.close("r", 0)
    end = asyncio.get_running_loop().time() + 5
    while (page := await store.read("r", 0, 99)).evicted == 0:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0)
    assert (page.evicted, page.head) == (9, 10)
    assert numbers(await store.read("r", 9, 99)) == [10]


async def test_what_is_deleted_is_gone_and_may_begin_anew(make) -> None:
    store = await make()
    await store.create("r", "e")
    await store.append([batch("r", 1, 10, size=1000)])
    assert store.size > 10_000
    await store.delete("r")
    await store.delete("r")
    assert store.size == 0
    for ask in (store.read("r", 0, 1), store.base("r")):
        with pytest.raises(NoLog):
            await ask
    (answer,) = await store.append([batch("r", 11)])
    assert isinstance(answer, Fenced)
    await store.create("r", "e2")
    assert await store.append([batch("r", 1, epoch="e2")]) == [1]


async def test_the_size_counts_logs_and_what_they_were_folded_to(make) -> None:
    store = await make(LogLimits(16, 1 << 30, 0))
    for run in "ab":
        await store.create(run, "e")
        await store.append([batch(run, 1, 200, size=1000)])
    assert 2 * 16_000 < store.size < 2 * 30_000
    values = batch("a", 201, 40, mode="values", size=50_000)
    await store.append([values])
    await store.append([batch("a", 241, 40)])
    assert store.size > 50_000  # the last values live on in the base
    await store.delete("a")
    assert store.size < 30_000
    await store.delete("b")
    assert store.size == 0


# ── what is merged is bounded as well ────────────────────────────────────────────────────────────


MESSAGES = Address("messages")
"""One for all records, as an encoder gives them."""


def delta(call: str, text: str, previous: int = 0) -> Record:
    data = orjson.dumps({"id": call, "delta": {"type": "AIMessageChunk", "content": text}})
    body = b'"mode":"messages","data":' + data
    made = Record(MESSAGES, body, len(body) - len(data), len(body), call=call)
    made.previous = previous
    return made


async def folded(store: Store, records: list[Record]) -> Any:
    """Return the base after ``records`` and one more event, which pushes them out of the log."""
    await store.create("r", "e")
    for seq, each in enumerate([*records, record(0), record(0)], 1):
        await store.append([Batch("r", "e", seq, [each], each.size)])
    return await store.base("r")


TIGHT = LogLimits(events=1, bytes=20_000, min_age_s=0)


async def test_of_merged_messages_the_largest_are_cut_and_lost_and_their_deltas_change_nothing(make) -> None:
    records = [delta("small", "hello"), delta("large", "x" * 19_000)]
    base = await folded(await make(TIGHT), [*records, delta("large", "y" * 900, 2), delta("small", "!", 1)])
    small, large = base.snapshot(EVERYTHING)["messages"]
    assert small["message"]["content"] == "hello!"
    assert sorted(large["message"]) == ["$cut", "type"]
    assert base.lost(EVERYTHING, 0) == ["custom", "messages"]
    base = await folded(await make(TIGHT), [*records, delta("large", "y" * 900, 2), delta("large", "z", 3)])
    assert sorted(base.snapshot(EVERYTHING)["messages"][1]["message"]) == ["$cut", "type"]
    assert "messages" in base.lost(EVERYTHING, 3), "what came behind the cut is lost, too"


async def test_of_many_small_messages_the_oldest_are_dropped_and_none_begins_in_its_middle(make) -> None:
    records = [delta(f"m{number}", "x" * 50) for number in range(300)]
    base = await folded(await make(TIGHT), [*records, delta("m0", "rest", 1)])
    kept = [row["id"] for row in base.snapshot(EVERYTHING)["messages"]]
    assert kept == [f"m{number}" for number in range(300 - len(kept), 300)]
    assert 50 < len(kept) < 200
    assert "messages" in base.lost(EVERYTHING, 299)


async def test_tokens_count_as_their_text_once_they_are_merged(make) -> None:
    records = [delta("long", "word ", number) for number in range(500)]
    base = await folded(await make(TIGHT), records)
    (row,) = base.snapshot(EVERYTHING)["messages"]
    assert row["message"]["content"] == "word " * 500
    assert base.lost(EVERYTHING, 0) == ["custom"]


async def test_a_base_stays_within_the_limit_of_its_log_whatever_is_merged(make) -> None:
    store = await make(TIGHT)
    await store.create("r", "e")
    for seq in range(1, 400):
        made = delta(f"m{seq}", "x" * (seq * 37 % 9_000))
        await store.append([Batch("r", "e", seq, [made], made.size)])
        base = await store.base("r")
        assert base.size <= TIGHT.bytes
        assert sum(len(orjson.dumps(row)) for row in base.snapshot(EVERYTHING)["messages"]) <= TIGHT.bytes


# ── a store that has too much altogether ─────────────────────────────────────────────────────────


async def filled(store: Store, run: str, count: int, size: int = 1000, **fields: Any) -> None:
    await store.create(run, "e")
    await store.append([batch(run, 1, count, size=size, **fields)])


async def kept(store: Store, run: str) -> int:
    """Return how many records the store has of a run."""
    page = await store.read(run, 0, 0)
    return page.head - page.evicted


async def test_the_largest_logs_are_folded_first_and_small_ones_stay_whole(make) -> None:
    store = await make()
    for run, count in (("small", 10), ("large", 400), ("larger", 800)):
        await filled(store, run, count)
    before = store.size
    await store.trim(400_000)
    assert before - 1_100_000 < store.size <= before - 400_000, "some more is freed, since slices are folded"
    assert await kept(store, "small") == 10
    assert await kept(store, "large") == 400
    assert await kept(store, "larger") < 400
    page = await store.read("larger", 0, 9)
    assert (page.head, numbers(page)) == (800, [])
    assert (await store.base("larger")).upto == page.evicted
    await store.trim(store.size)
    assert store.size < 3 * 8192, "each log keeps a little"
    assert await store.append([batch("larger", 801)]) == [801]


async def test_many_logs_of_one_principal_shorten_no_logs_of_another(make) -> None:
    store = await make()
    await filled(store, "few/large", 300)
    for number in range(20):
        await filled(store, f"many/{number}", 100)
    await store.trim(1_000_000)
    assert await kept(store, "few/large") == 300
    await store.trim(store.size_of("few") + store.size_of("many") - 100_000)
    assert await kept(store, "few/large") < 300, "it has more than its half"


async def test_what_logs_fold_to_is_cut_when_that_is_not_enough(make) -> None:
    store = await make()
    await filled(store, "values", 1, size=500_000, mode="values")
    await store.create("messages", "e")
    records = [delta(f"m{number}", "x" * 20_000) for number in range(30)]
    await store.append([Batch("messages", "e", 1, records, sum(each.size for each in records))])
    await store.trim(1_000_000)
    assert store.size < 200_000
    base = await store.base("values")
    cut = {"$cut": {"reason": "size", "bytes": 500_002}}
    assert orjson.loads(orjson.dumps(base.snapshot(EVERYTHING)["values"])) == {"i": 1, "text": cut}
    assert (await store.base("messages")).lost(EVERYTHING, 0) == ["messages"]


async def test_nothing_is_folded_where_nothing_is_to_be_freed(make) -> None:
    store = await make()
    await filled(store, "r", 100)
    await store.trim(0)
    assert await kept(store, "r") == 100


async def test_others_get_the_loop_while_logs_are_folded(make) -> None:
    store = await make()
    await filled(store, "r", 8_000, size=10)
    await filled(store, "large", 16, size=500_000)
    turns = 0
    trimming = asyncio.ensure_future(store.trim(store.size))
    while not trimming.done():
        turns += 1
        await asyncio.sleep(0)
    assert turns > 8_000 // 512 + 16


@pytest.mark.parametrize("work", ["trim", "close"])
async def test_a_log_that_is_deleted_while_it_is_folded_leaves_nothing_behind(make, work) -> None:
    store = await make()
    await filled(store, "r", 5_000, size=10)
    await filled(store, "other", 1)
    folding = asyncio.ensure_future(store.trim(store.size) if work == "trim" else store.close("r", 0))
    end = asyncio.get_running_loop().time() + 5
    while (page := await store.read("r", 0, 0)).evicted == 0:
        assert asyncio.get_running_loop().time() < end
        await asyncio.sleep(0)
    assert page.evicted < 5_000, "the rest is still to be folded"
    await store.delete("r")
    await store.create("r", "e2")
    await store.append([batch("r", 1, 3, epoch="e2")])
    await folding
    for _ in range(50):
        await asyncio.sleep(0)
    await store.delete("other")
    page = await store.read("r", 0, 9)
    assert (page.epoch, numbers(page)) == ("e2", [1, 2, 3])
    await store.delete("r")
    assert store.size == 0


async def test_a_burst_that_ages_is_folded_bit_by_bit(make) -> None:
    store = await make(LogLimits(events=4_000, bytes=1 << 30, min_age_s=1.0))
    await filled(store, "r", 20_000, size=10)
    counts = [await kept(store, "r")]
    assert counts == [16_000], "of what comes at once, four times the limit stays"
    old = asyncio.Event()
    asyncio.get_running_loop().call_later(2, old.set)
    await old.wait()
    for first in range(20_001, 20_041):
        await store.append([batch("r", first)])
        counts.append(await kept(store, "r"))
    assert 4_000 <= counts[-1] <= 4_500
    assert max(before - after for before, after in pairwise(counts)) <= 512
