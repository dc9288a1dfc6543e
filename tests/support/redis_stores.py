"""Stores in Redis for tests: opened, read whole, and the server asked behind their back."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
from graphwire_gateway.log.redis import RedisStore
from redis.asyncio import Redis

from tests.gateway.test_store import numbers
from tests.support.redis import RedisProcess
from tests.support.waiting import poll


@asynccontextmanager
async def asked(server: RedisProcess) -> AsyncIterator[Redis]:
    async with Redis.from_url(server.url) as client:
        yield client


async def renewed(server: RedisProcess) -> None:
    """Wait until the owner of a store has renewed its place, which the server has forgotten."""
    async with asked(server) as client:
        await client.delete("graphwire:owner")
        await poll(lambda: client.exists("graphwire:owner"), bool)


async def on_disk(server: RedisProcess) -> None:
    """Wait until the server has written to its file what it answered: on a slow disk that is later."""
    async with asked(server) as client:
        await poll(lambda: client.info("persistence"), lambda info: info["aof_buffer_length"] == 0)


@asynccontextmanager
async def opened(url: str, *args: Any, **kwargs: Any) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, *args, **kwargs)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(store.aclose)
        await store.open()
        yield store


async def seen(store: RedisStore, run: str) -> list[int]:
    """Return the numbers of all events that a log has, read in small pages."""
    found: list[int] = []
    page = await store.read(run, 0, 0)
    after = page.evicted
    while after < page.head:
        page = await store.read(run, after, 7)
        assert page.records
        found += numbers(page)
        after += len(page.records)
    return found


async def taken(redis: RedisProcess, prefix: str = "graphwire") -> None:
    """Let another server have taken the owner's place, and have ended since: the next one comes at once."""
    ended = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
    await ended.wait()
    async with asked(redis) as client:
        owner = orjson.loads(await client.get(f"{prefix}:owner"))
        await client.set(f"{prefix}:owner", orjson.dumps({**owner, "writer": "ended", "pid": ended.pid}))
