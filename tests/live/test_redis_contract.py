"""The contract of every store, held by the one in Redis: the tests of `test_store`, on a server.

About `gateway/graphwire_gateway/log/redis.py`, `gateway/graphwire_gateway/log/redis_scripts.py` and
`gateway/graphwire_gateway/log/redis_folds.py`.
"""

from collections.abc import AsyncIterator, Iterator

import pytest
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.redis import RedisStore

from tests.gateway import test_store as contract
from tests.support.redis import RedisProcess, redis_server

globals().update({name: value for name, value in vars(contract).items() if name.startswith("test_")})


@pytest.fixture(scope="module")
def server() -> Iterator[RedisProcess]:
    with redis_server() as process:
        yield process


@pytest.fixture
async def make(server: RedisProcess, request: pytest.FixtureRequest) -> AsyncIterator[contract.Make]:
    """``await make(limits)`` returns an empty store, whose keys have a prefix of their own."""
    stores: list[RedisStore] = []

    async def new(limits: LogLimits = contract.LARGE) -> RedisStore:
        prefix = f"{request.node.name}-{len(stores)}".replace("[", "(").replace("]", ")")
        store = RedisStore(f"{server.url}?prefix={prefix}", limits)
        stores.append(store)
        assert await store.open() == []
        return store

    yield new
    for store in stores:
        await store.aclose()
