"""What leaves a log in Redis: what is folded, left out of a page, expires, or was deleted by somebody else.

About `gateway/graphwire_gateway/log/redis.py`, `gateway/graphwire_gateway/log/redis_scripts.py`,
`gateway/graphwire_gateway/log/redis_folds.py` and `gateway/graphwire_gateway/log/redis_known.py`.
"""

import asyncio
from typing import Any

import pytest
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.store import NoLog

from tests.gateway.test_store import batch
from tests.support.redis import RedisProcess
from tests.support.redis_stores import asked, opened, seen

SMALL = LogLimits(events=16, bytes=1 << 30, min_age_s=0)


async def test_evicted_records_leave_the_server(redis: RedisProcess) -> None:
    async with opened(redis.url, SMALL) as store, opened(redis.url) as reader, asked(redis) as client:
        await store.create("r", "e")
        for first in range(1, 1001, 10):
            await store.append([batch("r", first, 10)])
        page = await reader.read("r", 0, 0)
        assert page.evicted >= 1000 - 16 * 9 / 8 - 10
        assert (await reader.base("r")).upto == page.evicted
        assert await seen(reader, "r") == list(range(page.evicted + 1, 1001))
        assert await client.xlen(store._server.keys("r")[1]) <= 4


async def test_two_stores_that_fold_one_log_at_once_fold_nothing_twice(redis: RedisProcess) -> None:
    async with opened(redis.url) as store:
        await store.create("r", "e")
        for first in range(1, 6001, 500):
            await store.append([batch("r", first, 500)])
        async with opened(redis.url) as other:
            assert other.size == store.size
            await asyncio.gather(store.trim(store.size // 2), other.trim(other.size), store.trim(store.size))
            page = await other.read("r", 0, 0)
            base = await other.base("r")
            assert base.upto == page.evicted > 3000
            assert await seen(store, "r") == list(range(page.evicted + 1, 6001))
            assert await store.append([batch("r", 6001)]) == [6001]
            async with asked(redis) as client:
                kept = await client.hget(store._server.keys("r")[0], "size")
            shown = [await store.read("r", after, 512) for after in range(page.evicted, 6001, 512)]
            assert int(kept) == sum(record.size for page in shown for record in page.records)


async def test_what_a_log_folds_to_is_not_put_into_another_of_the_same_run(redis: RedisProcess) -> None:
    async with opened(redis.url) as store, opened(redis.url) as other:
        await store.create("r", "e")
        await store.append([batch("r", 1, 100)])
        fold = store._in_thread

        async def overtaken(*args: Any) -> Any:
            await other.create("r", "e2")
            await other.append([batch("r", 1, 3, epoch="e2")])
            return await fold(*args)

        store._in_thread = overtaken  # type: ignore[method-assign]
        await store.trim(store.size)
        assert await seen(other, "r") == [1, 2, 3]
        assert (await other.base("r")).upto == 0


async def test_a_page_of_large_records_is_shorter_than_was_asked_for(redis: RedisProcess) -> None:
    async with opened(redis.url) as store:
        await store.create("r", "e")
        await store.append([batch("r", 1, 40, size=200_000)])
        page = await store.read("r", 0, 256)
        assert 5 <= len(page.records) <= 8
        assert await seen(store, "r") == list(range(1, 41))


async def test_a_log_that_somebody_else_emptied_is_none(redis: RedisProcess) -> None:
    async with opened(redis.url) as store, asked(redis) as client:
        for run in "ab":
            await store.create(run, "e")
            for first in range(1, 4):
                await store.append([batch(run, first)])
        await client.delete(store._server.keys("a")[1])
        await client.xdel(store._server.keys("b")[1], "1-1", "2-1")
        for run in "ab":
            with pytest.raises(NoLog):
                await store.read(run, 0, 9)


async def test_a_log_expires_when_nobody_needs_it_any_more(redis: RedisProcess) -> None:
    async with opened(redis.url, lease_s=0.8) as store, asked(redis) as client:
        for run in ("left", "closed", "touched", "written"):
            await store.create(run, "e")
            await store.append([batch(run, 1, 3)])
            for key in store._server.keys(run):
                assert 0 < await client.pttl(key) <= 800
        await store.close("closed", 0.1)
        with pytest.raises(NoLog):
            await store.close("nobody", 0.1)
        head, end = 3, asyncio.get_running_loop().time() + 5

        async def is_gone(run: str) -> bool:
            return not await client.exists(*store._server.keys(run))

        while not (await is_gone("left") and await is_gone("closed")):
            assert asyncio.get_running_loop().time() < end
            await store.touch(["touched", "nobody"])
            head += 1
            assert await store.append([batch("written", head)]) == [head]
        for _ in range(3):
            await store.touch(["touched"])
        assert await seen(store, "touched") == [1, 2, 3]
        assert await seen(store, "written") == list(range(1, head + 1))
        assert [kept.run for kept in await store.open()] == ["touched", "written"]
