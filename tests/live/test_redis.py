"""Several stores on one Redis, and what Redis goes through; `test_redis_contract` has what all stores share.

About `gateway/graphwire_gateway/log/redis.py`, `gateway/graphwire_gateway/log/redis_scripts.py`,
`gateway/graphwire_gateway/log/redis_growth.py` and `tests/support/redis.py`.
"""

import asyncio
import signal
from contextlib import AsyncExitStack
from typing import Any

import pytest
from graphwire_gateway.log import redis_recent
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.store import Batch, Fenced, Kept, NoLog, Rewound, SeqGap, StoreAway
from redis.crc import key_slot

from tests.gateway.test_store import batch, numbers
from tests.support.redis import RedisProcess, Relay, redis_server
from tests.support.redis_stores import asked, on_disk, opened, seen
from tests.support.waiting import until

# ── several stores ───────────────────────────────────────────────────────────────────────────────


async def test_what_one_writes_others_read_and_follow(redis: RedisProcess) -> None:
    async with opened(redis.url) as writer, opened(redis.url) as reader, opened(redis.url) as third:
        await writer.create("ann/r", "e")
        heads: list[int] = []
        others: list[int] = []
        stop = reader.tail("ann/r", heads.append)
        third.tail("ann/r", others.append)
        await writer.append([batch("ann/r", 1, 3)])
        await until(lambda: heads == [3] and others == [3])
        assert await seen(reader, "ann/r") == [1, 2, 3]
        await writer.append([batch("ann/r", 4, 200)])
        await until(lambda: heads == [3, 203] and others == [3, 203])
        assert await seen(third, "ann/r") == list(range(1, 204))
        stop()
        await writer.append([batch("ann/r", 204)])
        await until(lambda: others == [3, 203, 204])
        assert heads == [3, 203]
        assert reader.size == third.size == 0 < writer.size == writer.size_of("ann")


async def test_who_begins_to_follow_late_hears_where_the_log_is(redis: RedisProcess) -> None:
    async with opened(redis.url) as writer, opened(redis.url) as reader:
        await writer.create("r", "e")
        await writer.append([batch("r", 1, 3)])
        heads: list[int] = []
        later: list[int] = []
        reader.tail("r", heads.append)
        await until(lambda: heads == [3])
        reader.tail("r", later.append)
        await writer.append([batch("r", 4)])
        await until(lambda: heads[-1] == 4 and later == [4])


async def test_a_log_that_is_deleted_or_begun_anew_wakes_who_follows_it(redis: RedisProcess) -> None:
    async with opened(redis.url) as writer, opened(redis.url) as reader:
        await writer.create("r", "e")
        await writer.append([batch("r", 1, 3)])
        heads: list[int] = []
        reader.tail("r", heads.append)
        await until(lambda: heads == [3])
        await writer.delete("r")
        await until(lambda: heads == [3, 0])
        with pytest.raises(NoLog):
            await reader.read("r", 0, 1)
        await writer.create("r", "e2")
        await writer.append([batch("r", 1, 2, epoch="e2")])
        await until(lambda: heads[-1] == 2)
        assert (await reader.read("r", 0, 9)).epoch == "e2"


async def test_who_follows_a_log_is_forgotten_with_it_where_it_is_deleted(redis: RedisProcess) -> None:
    async with opened(redis.url) as store, opened(redis.url) as other, asked(redis) as client:
        heads: list[int] = []
        for run in "ab":
            await store.create(run, "e")
            store.tail(run, heads.append)
            await store.append([batch(run, 1)])
        await store.delete("a")
        assert list(store._growth._followed) == ["b"]
        channels = [store._server.channel(run) for run in "ab"]
        while await client.pubsub_numsub(*channels) != [(channels[0].encode(), 0), (channels[1].encode(), 1)]:
            await other.read("b", 0, 0)
        await other.create("a", "e2")
        await other.claim("b", "e", "e")
        await other.append([batch("a", 1, 5, epoch="e2"), batch("b", 2)])
        await until(lambda: heads == [1, 1, 2])


@pytest.mark.parametrize("is_alone", [False, True])
async def test_a_claimed_log_refuses_whoever_wrote_it(redis: RedisProcess, is_alone: bool) -> None:
    claiming = opened(redis.url, is_alone=is_alone)
    async with opened(redis.url) as before, claiming as after, opened(redis.url) as reader:
        await before.create("r", "e")
        await before.append([batch("r", 1, 2)])
        heads: list[int] = []
        others: list[int] = []
        before.tail("r", heads.append)
        reader.tail("r", others.append)
        await until(lambda: others == [2])
        with pytest.raises(Fenced):
            await after.claim("r", "other", "e2")
        with pytest.raises(NoLog):
            await after.claim("nobody", "e", "e2")
        assert await after.claim("r", "e", "e2") == 2
        assert await seen(after, "r") == [1, 2]
        await until(lambda: others == [2, 2])
        assert before.size > 0
        (answer,) = await before.append([batch("r", 3)])
        assert isinstance(answer, Fenced)
        assert before.size == 0, "it is another's now"
        assert await after.append([batch("r", 3, epoch="e2")]) == [3]
        assert await seen(before, "r") == [1, 2, 3]
        assert (await before.read("r", 0, 0)).epoch == "e2"
        await until(lambda: heads[-1] == 3)


async def test_a_store_that_opens_finds_all_runs_in_the_order_of_their_creation(redis: RedisProcess) -> None:
    url = f"{redis.url}?prefix=a[x]*"
    async with opened(url) as store, opened(f"{redis.url}?prefix=axb") as other:
        for run in ("ann/b", "bob/}x", "ann/a"):
            await store.create(run, f"epoch {run}", run.encode())
        await other.create("theirs", "e")
        first = batch("ann/b", 1, 150, epoch="epoch ann/b")
        await store.append([Batch("ann/b", first.epoch, 1, first.records, first.size, b"one")])
        await store.append([Batch("bob/}x", "epoch bob/}x", 1, [], 0, b"two")])
        await store.append([Batch("bob/}x", "epoch bob/}x", 1, [], 0, None, b"other start")])
        sizes = store.size, store.size_of("ann"), store.size_of("bob")
    async with AsyncExitStack() as stack:
        store = RedisStore(url)
        stack.push_async_callback(store.aclose)
        assert await store.open() == [
            Kept("ann/b", "epoch ann/b", 150, b"ann/b", b"one"),
            Kept("bob/}x", "epoch bob/}x", 0, b"other start", b"two"),
            Kept("ann/a", "epoch ann/a", 0, b"ann/a", None),
        ]
        assert (store.size, store.size_of("ann"), store.size_of("bob")) == sizes
        await store.claim("ann/b", "epoch ann/b", "epoch ann/b")
        assert await store.append([batch("ann/b", 151, epoch="epoch ann/b")]) == [151]


async def test_a_log_that_is_begun_a_second_time_is_left_as_it_is(redis: RedisProcess) -> None:
    async with opened(redis.url) as store, opened(redis.url) as other:
        await store.create("r", "e")
        await store.append([batch("r", 1, 3)])
        await other.create("r", "e")  # as a question does that a network has held up
        assert await store.append([batch("r", 4)]) == [4]
        assert await seen(store, "r") == [1, 2, 3, 4]


async def test_what_is_kept_of_threads_is_there_for_all_stores(redis: RedisProcess) -> None:
    async with opened(redis.url) as store, opened(redis.url) as other:
        assert await store.threads() == {}
        some = {f"thread {number}": b"x" * 200 for number in range(3000)}
        await asyncio.gather(*(store.keep_thread(thread, data) for thread, data in some.items()))
        assert await other.threads() == some
        for number in range(20):
            data = None if number == 19 else b"%d" % number
            await asyncio.gather(*(store.keep_thread("t", each) for each in (b"first", b"second", data)))
            assert (await other.threads()).get("t") == data
        async with opened(f"{redis.url}?prefix=another") as third:
            assert await third.threads() == {}


def test_the_keys_of_a_run_are_in_one_slot() -> None:
    keys = RedisStore("redis://localhost")._server.keys
    for run in ("ann/r", "}", "{", "a}b", ""):
        one, other = keys(run)
        assert one != other
        assert key_slot(one.encode()) == key_slot(other.encode())
    assert len({key_slot(keys(f"r{number}")[0].encode()) for number in range(20)}) > 10


# ── answers that get lost, and servers that do ───────────────────────────────────────────────────


async def test_batches_whose_answer_got_lost_are_known_again(redis: RedisProcess) -> None:
    async with Relay(redis.port) as relay, opened(relay.url) as store:
        for run in "ab":
            await store.create(run, "e")
        await store.append([batch("a", 1, 3)])
        more = batch("a", 4, 100)
        sent = [Batch("a", "e", 4, more.records, more.size, b"stands"), batch("b", 1, 2)]
        relay.loses_answers = True
        with pytest.raises(StoreAway):
            await store.append(sent)
        relay.loses_answers = False
        assert relay.lost == 1
        async with asked(redis) as client:
            assert await client.hget(store._server.keys("a")[0], "head") == b"103", "it was taken"
        for _ in range(2):
            assert await store.append(sent) == [103, 2]
        assert await seen(store, "a") == list(range(1, 104))
        size = store.size
        (answer,) = await store.append([batch("a", 103)])
        assert isinstance(answer, SeqGap), "only the same batch is known again"
        assert not isinstance(answer, Rewound)
        assert await store.append([batch("a", 104)]) == [104]
        async with opened(redis.url) as other:
            assert other.size == store.size > size


async def test_a_server_that_stands_still_holds_nobody_for_long(redis: RedisProcess) -> None:
    async with opened(f"{redis.url}?socket_timeout=0.3") as store:
        await store.create("r", "e")
        await store.append([batch("r", 1, 3)])
        loop = asyncio.get_running_loop()
        redis.signal(signal.SIGSTOP)
        try:
            asks = [lambda: store.append([batch("r", 4, 2)]), lambda: store.read("r", 0, 9)]
            asks += [lambda: store.base("r"), lambda: store.touch(["r"]), lambda: store.create("s", "e")]
            for ask in asks:
                begin = loop.time()
                with pytest.raises(StoreAway):
                    await ask()
                assert loop.time() - begin < 3
        finally:
            redis.signal(signal.SIGCONT)
        # What was asked meanwhile is carried out now, though nobody waits for it any more.
        assert await store.append([batch("r", 4, 2)]) == [5]
        assert await seen(store, "r") == [1, 2, 3, 4, 5]


async def test_growth_while_the_connection_is_cut_is_heard_of_later(redis: RedisProcess) -> None:
    async with Relay(redis.port) as relay, opened(redis.url) as writer, opened(relay.url) as reader:
        heads: dict[str, list[int]] = {run: [] for run in "abc"}
        for run in heads:
            await writer.create(run, "e")
            reader.tail(run, heads[run].append)
            await writer.append([batch(run, 1)])
        await until(lambda: all(found == [1] for found in heads.values()))
        relay.is_refusing = True
        relay.cut()
        await writer.append([batch("a", 2, 5), batch("b", 2)])
        with pytest.raises(StoreAway):
            await reader.read("a", 0, 9)
        relay.is_refusing = False
        await until(lambda: heads == {"a": [1, 6], "b": [1, 2], "c": [1]})
        await writer.append([batch("c", 2)])
        await until(lambda: heads["c"] == [1, 2])
        assert await seen(reader, "a") == [1, 2, 3, 4, 5, 6]


async def test_a_connection_that_says_nothing_is_given_up(redis: RedisProcess) -> None:
    async with opened(redis.url) as writer, opened(f"{redis.url}?socket_timeout=0.2", ping_s=0.1) as reader:
        await writer.create("r", "e")
        heads: list[int] = []
        reader.tail("r", heads.append)
        await writer.append([batch("r", 1)])
        await until(lambda: heads == [1])
        hearing = reader._growth._hear

        deaf = asyncio.Event()

        async def ended(pubsub: Any) -> None:
            try:
                await hearing(pubsub)
            finally:
                deaf.set()

        reader._growth._hear = ended  # type: ignore[method-assign]
        async with asked(redis) as client:
            await client.client_kill_filter(_type="pubsub")  # so that it is heard through ``ended``
        await writer.append([batch("r", 2)])
        await until(lambda: heads == [1, 2])
        deaf.clear()
        redis.signal(signal.SIGSTOP)
        try:
            await asyncio.wait_for(deaf.wait(), 5)
        finally:
            redis.signal(signal.SIGCONT)
        await writer.append([batch("r", 3)])
        await until(lambda: heads == [1, 2, 3])


async def test_a_connection_on_which_nothing_happens_stays(redis: RedisProcess) -> None:
    async with opened(redis.url, ping_s=0.05) as reader, asked(redis) as client:
        await reader.create("r", "e")
        heads: list[int] = []
        reader.tail("r", heads.append)
        await reader.append([batch("r", 1)])
        await client.config_resetstat()
        end = asyncio.get_running_loop().time() + 5
        while (await client.info("commandstats")).get("cmdstat_ping", {"calls": 0})["calls"] < 8:
            assert asyncio.get_running_loop().time() < end
        assert (await client.info("stats"))["total_connections_received"] == 0


async def test_scripts_that_the_server_forgot_are_sent_again(redis: RedisProcess) -> None:
    async with opened(redis.url) as store, asked(redis) as client:
        for run in "ab":
            await store.create(run, "e")
        for first in (1, 2, 3):
            await client.script_flush()
            assert await store.append([batch("a", first), batch("b", first)]) == [first, first]
            await client.script_flush()
            assert await seen(store, "a") == list(range(1, first + 1))


async def test_a_server_that_is_full_takes_nothing_and_the_same_batches_later(redis: RedisProcess) -> None:
    async with opened(redis.url) as store, asked(redis) as client:
        await store.create("r", "e")
        await store.append([batch("r", 1)])
        await client.config_set("maxmemory", "1")
        try:
            with pytest.raises(StoreAway, match="maxmemory"):
                await store.append([batch("r", 2, 5)])
            assert numbers(await store.read("r", 0, 9)) == [1], "what it has is read all the same"
        finally:
            await client.config_set("maxmemory", "0")
        assert await store.append([batch("r", 2, 5)]) == [6]


async def test_nothing_is_lost_when_a_server_that_writes_is_killed() -> None:
    with redis_server(appendonly="yes", appendfsync="everysec") as own:
        async with opened(own.url) as store, opened(own.url) as reader:
            assert store.durability == "crash"
            await store.create("r", "e")
            heads: list[int] = []
            reader.tail("r", heads.append)
            for first in range(1, 101, 10):
                await store.append([batch("r", first, 10)])
            await on_disk(own)
            own.kill()
            with pytest.raises(StoreAway):
                await store.append([batch("r", 101)])
            own.start()
            assert await seen(reader, "r") == list(range(1, 101))
            assert await store.append([batch("r", 101)]) == [101]
            await until(lambda: heads[-1] == 101)


async def test_a_server_that_lost_the_end_of_a_log_says_so_to_its_writer_and_readers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_recent, "KEPT_S", -1.0)  # it was longer ago than is kept
    with redis_server() as own:
        async with opened(own.url) as store, opened(own.url) as reader:
            assert store.durability == "none"
            for run in ("r", "s", "t"):
                await store.create(run, "e")
                await store.append([batch(run, 1, 5)])
            await store.create("u", "e")
            heads: list[int] = []
            reader.tail("r", heads.append)
            async with asked(own) as client:
                await client.save()
            await store.append([batch("r", 6, 3), batch("s", 6, 3), batch("u", 1)])
            await store.create("new", "e")
            await until(lambda: heads and heads[-1] == 8)
            own.kill()
            own.start()
            with pytest.raises(StoreAway):
                await store.append([batch("r", 9)])
            sent = [batch("r", 9), batch("s", 6, 3), batch("t", 6), batch("u", 3), batch("new", 1)]
            rewound, same, whole, ahead, gone = await store.append(sent)
            assert isinstance(rewound, Rewound)
            assert rewound.head == 5
            assert (same, whole) == (8, 6), "what is sent again fits"
            assert isinstance(ahead, Rewound)
            assert isinstance(gone, Fenced)
            await until(lambda: heads[-1] == 5)
            assert await store.claim("r", "e", "e2") == 5
            assert await store.append([batch("r", 6, epoch="e2")]) == [6]
            await until(lambda: heads[-1] == 6)


async def test_what_could_not_be_deleted_goes_with_the_next_one(redis: RedisProcess) -> None:
    async with Relay(redis.port) as relay, opened(relay.url) as store, opened(redis.url) as other:
        for run in "abc":
            await store.create(run, "e")
        relay.is_refusing = True
        relay.cut()
        await store.delete("a")
        await store.delete("b")
        assert store.size == 0
        await other.create("b", "e2")
        relay.is_refusing = False
        assert (await other.read("a", 0, 0)).epoch == "e"
        await store.delete("c")
        for run in "ac":
            with pytest.raises(NoLog):
                await other.read(run, 0, 0)
        assert (await other.read("b", 0, 0)).epoch == "e2", "that is another log"
