"""What an appended event costs in each store, and how soon another store hears of it.

`python -m tests.benchmarks.stores` starts a Redis of its own. CPU is that of this process, and that of Redis.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log import redis as redis_module
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.record import Record
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Batch, Store
from graphwire_protocol.filters import Address
from redis.asyncio import Redis

from tests.support.redis import RedisProcess, redis_server

RECORDS = 64  # of a batch
APPENDS = 150  # of a round, each for all logs
ROUNDS = 5
WAKES = 400
LIMITS = LogLimits(events=1 << 20, bytes=1 << 30, min_age_s=0)  # nothing is folded
TOKENS = Address("messages", (), "agent", ())


def token(number: int) -> Record:
    data = orjson.dumps(
        {"id": "run-4c9f", "delta": {"type": "AIMessageChunk", "content": f"word {number} "}, "n": number}
    )
    body = b'"mode":"messages","ns":[],"node":"agent","data":' + data
    return Record(TOKENS, body, len(body) - len(data), len(body), call="run-4c9f")


def batch(run: str, first: int, count: int) -> Batch:
    records = [token(number) for number in range(first, first + count)]
    return Batch(run, "e", first, records, sum(each.size for each in records))


class Usage:
    """The CPU seconds of this process and of Redis."""

    def __init__(self, client: "Redis") -> None:
        self._client = client

    async def read(self) -> tuple[float, float, float]:
        found: Any = await self._client.info("cpu")
        return time.process_time(), found["used_cpu_user"] + found["used_cpu_sys"], time.perf_counter()


async def appended(store: Store, logs: int, usage: Usage) -> tuple[float, float, float]:
    """Return µs of our CPU, of Redis' and of time, for each record."""
    runs = [f"r{logs}-{number}" for number in range(logs)]
    for run in runs:
        await store.create(run, "e")
    groups = [
        [batch(run, 1 + RECORDS * number, RECORDS) for run in runs] for number in range(APPENDS // logs + 1)
    ]
    before = await usage.read()
    for group in groups:
        assert await store.append(group) == [each.first_seq + RECORDS - 1 for each in group]
    after = await usage.read()
    for run in runs:
        await store.delete(run)
    count = len(groups) * logs * RECORDS
    ours, its, passed = (1e6 * (end - begin) / count for begin, end in zip(before, after, strict=True))
    return ours, its, passed


async def pings(client: "Redis") -> list[float]:
    """Return the ms that a PING takes, to compare with."""
    found = []
    for _ in range(WAKES):
        await asyncio.sleep(0.003)
        begin = time.perf_counter()
        await client.ping()
        found.append(1e3 * (time.perf_counter() - begin))
    return found


async def wakes(writer: Store, reader: RedisStore) -> list[float]:
    """Return the ms between the call of ``append`` and the other store's wake, on an idle server."""
    await writer.create("w", "e")
    woken = asyncio.Event()
    reader.tail("w", lambda head: woken.set())
    found = []
    for number in range(1, WAKES + 1):
        await asyncio.sleep(0.003)
        woken.clear()
        begin = time.perf_counter()
        appending = asyncio.ensure_future(writer.append([batch("w", number, 1)]))
        await woken.wait()
        found.append(1e3 * (time.perf_counter() - begin))
        await appending
    await writer.delete("w")
    return found[10:]


@asynccontextmanager
async def opened(server: RedisProcess, folder: Path) -> AsyncIterator[dict[str, Store]]:
    def prefixed(prefix: str) -> RedisStore:
        return RedisStore(f"{server.url}?prefix={prefix}", LIMITS)

    stores: dict[str, Store] = {
        "memory": MemoryStore(LIMITS),
        "sqlite": SqliteStore(folder / "runs.db", LIMITS),
        "redis": prefixed("a"),
        "redis, an entry for each record": prefixed("b"),
    }
    async with AsyncExitStack() as stack:
        for store in stores.values():
            await store.open()
            stack.push_async_callback(store.aclose)
        yield stores


async def memory_of(client: "Redis", store: Store) -> float:
    """Return the bytes that Redis holds for a record."""
    await store.create("m", "e")
    for first in range(1, 6401, RECORDS):
        await store.append([batch("m", first, RECORDS)])
    assert isinstance(store, RedisStore)
    sizes = [await client.memory_usage(key, samples=0) or 0 for key in store._server.keys("m")]
    await store.delete("m")
    return sum(sizes) / 6400


async def measured(server: RedisProcess, folder: Path) -> None:
    async with Redis.from_url(server.url) as client, opened(server, folder) as stores:
        usage = Usage(client)
        kept = redis_module._ENTRY_RECORDS
        found: dict[tuple[str, int], list[tuple[float, float, float]]] = {}
        for _ in range(ROUNDS):
            for name, store in stores.items():
                redis_module._ENTRY_RECORDS = 1 if "each" in name else kept
                for logs in (1, 16):
                    found.setdefault((name, logs), []).append(await appended(store, logs, usage))
        print(
            f"{'µs for each record':34} {'logs':>5} {'our CPU':>8} {'Redis':>7} {'time':>7} {'records/s':>10}"
        )
        for (name, logs), rounds in found.items():
            ours, its, passed = (statistics.median(column) for column in zip(*rounds, strict=True))
            its = its if name.startswith("redis") else 0.0
            print(f"{name:34} {logs:5} {ours:8.2f} {its:7.2f} {passed:7.2f} {1e6 / passed:10.0f}")
        for name in ("redis", "redis, an entry for each record"):
            redis_module._ENTRY_RECORDS = 1 if "each" in name else kept
            print(f"{name}: {await memory_of(client, stores[name]):.0f} bytes in Redis for each record")
        redis_module._ENTRY_RECORDS = kept
        reader = RedisStore(f"{server.url}?prefix=a", LIMITS)
        await reader.open()
        for what, times in (
            ("a PING and its answer", sorted(await pings(client))),
            ("from append to another store's wake", sorted(await wakes(stores["redis"], reader))),
        ):
            p50, p99 = statistics.median(times), times[int(len(times) * 0.99)]
            print(f"{what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms")
        await reader.aclose()


def main() -> None:
    with redis_server() as server, tempfile.TemporaryDirectory() as folder:
        asyncio.run(measured(server, Path(folder)))


if __name__ == "__main__":
    main()
