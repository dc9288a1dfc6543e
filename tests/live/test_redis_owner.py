"""Who has a prefix in Redis, as stores see it: only one writes, and one that was replaced takes nothing.

About `gateway/graphwire_gateway/log/redis_owner.py` and `gateway/graphwire_gateway/log/redis_scripts.py`.
"""

import pytest
from graphwire_gateway.log import redis_owner
from graphwire_gateway.log.store import StoreAway

from tests.gateway.test_store import batch
from tests.support.redis import RedisProcess
from tests.support.redis_stores import asked, opened, taken


async def test_an_owner_that_was_away_while_others_came_and_went_is_no_owner(redis: RedisProcess) -> None:
    async with opened(redis.url, is_alone=True) as frozen:
        await frozen.create("r", "e")
        await taken(redis)
        async with opened(redis.url, is_alone=True) as other:
            await other.create("s", "e")
        assert not frozen.taken.is_set()
        await frozen.append([batch("r", 1)])
        assert frozen.taken.is_set(), "an append that is refused looks at once"


async def test_who_has_lost_a_store_begins_no_log_in_it(redis: RedisProcess) -> None:
    async with opened(redis.url, is_alone=True) as frozen:
        await taken(redis)
        async with opened(redis.url, is_alone=True) as other:
            await other.create("r", "new")
            assert await other.append([batch("r", 1, epoch="new")]) == [1]
            with pytest.raises(StoreAway):  # it would have replaced the other's
                await frozen.create("r", "old")
            assert frozen.taken.is_set()
            assert await other.append([batch("r", 2, epoch="new")]) == [2]


async def test_an_owner_whose_place_redis_has_lost_takes_it_again_and_begins_its_log(
    redis: RedisProcess,
) -> None:
    async with opened(redis.url, is_alone=True) as store, asked(redis) as client:
        await client.delete("graphwire:owner")
        await store.create("r", "e")
        assert await store.append([batch("r", 1)]) == [1]
        assert not store.taken.is_set()


async def test_a_store_that_was_taken_deletes_and_keeps_nothing(redis: RedisProcess) -> None:
    async with opened(redis.url, is_alone=True) as frozen:
        await frozen.create("r", "e")
        await frozen.append([batch("r", 1)])
        await taken(redis)
        async with opened(redis.url, is_alone=True) as other:
            await other.keep_thread("t", b"new")
            await frozen.append([batch("r", 2)])
            await frozen.delete("r")
            with pytest.raises(StoreAway):
                await frozen.keep_thread("t", b"old")
            assert await other.append([batch("r", 2)]) == [2]
            assert await other.threads() == {"t": b"new"}


async def test_a_renewal_that_arrives_behind_the_release_takes_nothing(redis: RedisProcess) -> None:
    async with asked(redis) as client:
        async with opened(redis.url, is_alone=True) as store:
            assert store._owner is not None
            late = store._owner._renewal()
        keys = store._server.owner_keys
        assert await client.eval(redis_owner._RENEW, 2, *keys, *late) == 0
        assert not await client.exists(keys[0])
