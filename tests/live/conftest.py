"""Servers, clients and proxies for the live tests; nothing of a test may be left behind."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from graphwire_gateway import Gateway, Limits, Server
from graphwire_gateway.limits import LogLimits
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.sqlite import SqliteStore
from graphwire_gateway.log.store import Store

from tests.support.cluster import clustered
from tests.support.graphs import Library, library
from tests.support.peer import Peer
from tests.support.providers.script import Say
from tests.support.providers.server import Provider
from tests.support.redis import RedisProcess, redis_server
from tests.support.redis_stores import asked
from tests.support.stores import DelayingStore
from tests.support.wire import Wire

StoreKind = Callable[[LogLimits], Store]
Serve = Callable[..., Awaitable[Server]]
Connect = Callable[..., Awaitable[Peer]]
Provide = Callable[..., Awaitable[Provider]]

_PREFIXES = count()


@pytest.fixture(autouse=True)
def warned_of_here(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that may warn of coroutines that cannot end collects them itself, for no other to find."""
    yield
    if request.node.get_closest_marker("filterwarnings") is not None:
        gc.collect()


@pytest.fixture(autouse=True)
async def nothing_left() -> AsyncIterator[None]:
    """A test that leaves a task or a graph's thread behind fails."""
    yield
    mine = asyncio.current_task()
    for turn in range(220):
        left = [task for task in asyncio.all_tasks() if task is not mine]
        threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("graphwire-")]
        nodes = [name for name in threads if "-node" in name]  # an executor's threads end with their loop
        if not left and len(threads) == len(nodes):
            break
        await asyncio.sleep(0.001 if turn < 20 else 0.01)
    assert not left, left
    assert len(threads) == len(nodes), threads


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked ``slow_store`` on both stores, but for ``slow_store(False)``, which has its own."""
    has_choice = "store_kind" in metafunc.fixturenames and metafunc.config.getoption("--store") == "memory"
    marker = metafunc.definition.get_closest_marker("slow_store")
    if has_choice and marker is not None and marker.args != (False,):
        metafunc.parametrize("store_kind", ["memory", "delay"], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a store has no part in.

    Of both libraries, only ours runs on the slow store as well, and through gateways: neither knows of a
    library.
    """
    if config.getoption("--store") in ("sqlite", "redis", "cluster"):
        for item in items:
            if item.get_closest_marker("memory_store") is not None:
                item.add_marker(pytest.mark.skip(reason="about what a server keeps in memory"))
    if config.getoption("--store") == "cluster":
        for item in items:
            if item.get_closest_marker("one_process") is not None:
                item.add_marker(pytest.mark.skip(reason="about a server of one process"))
    has_ours_only = config.getoption("--store") in ("cluster", "delay")
    left = [item for item in items if _is_left_out(*_params(item), has_ours_only=has_ours_only)]
    if left:
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=left)


def _is_left_out(store_kind: Any, lib: Any, *, has_ours_only: bool) -> bool:
    return lib == "langgraph" and (has_ours_only or store_kind == "delay")


def _params(item: pytest.Item) -> tuple[Any, Any]:
    given = getattr(item, "callspec", None)
    return (None, None) if given is None else (given.params.get("store_kind"), given.params.get("lib"))


@pytest.fixture
def store_kind(request: pytest.FixtureRequest, tmp_path: Path) -> StoreKind:
    """The store that the test's gateways run on; in SQLite, each has a file of its own."""
    kind = getattr(request, "param", request.config.getoption("--store"))
    numbers = count()

    def in_a_file(limits: LogLimits) -> SqliteStore:
        return SqliteStore(tmp_path / f"runs-{next(numbers)}.db", limits)

    def in_redis(limits: LogLimits) -> RedisStore:
        server = request.getfixturevalue("redis_of_stores")
        return RedisStore(f"{server.url}?prefix=test{os.getpid()}-{next(_PREFIXES)}", limits, is_alone=True)

    kinds: dict[str, StoreKind] = {"memory": MemoryStore, "delay": DelayingStore, "sqlite": in_a_file}
    return {**kinds, "redis": in_redis, "cluster": in_redis}[kind]


@pytest.fixture(scope="session")
def redis_of_stores() -> Iterator[RedisProcess]:
    """The Redis that tests share: of the stores of gateways each has a prefix of its own."""
    with redis_server(appendonly="yes") as server:
        yield server


@pytest.fixture
async def redis(redis_of_stores: RedisProcess) -> RedisProcess:
    """A Redis without keys."""
    async with asked(redis_of_stores) as client:
        await client.flushall()
    return redis_of_stores


@pytest.fixture
async def serve(store_kind: StoreKind, request: pytest.FixtureRequest) -> AsyncIterator[Serve]:
    """``await serve(graphs, limits={..}, **gateway_args)`` starts a gateway for the time of the test."""
    async with AsyncExitStack() as stack:

        async def start(
            graphs: Mapping[str, Any],
            *,
            limits: Mapping[str, Any] | None = None,
            store: Any = None,
            **args: Any,
        ) -> Server:
            known = Limits(**(limits or {}))
            if store is None and request.config.getoption("--store") == "cluster":
                redis: RedisProcess = request.getfixturevalue("redis_of_stores")
                url = f"{redis.url}?prefix=test{os.getpid()}-{next(_PREFIXES)}"
                cluster: Any = await stack.enter_async_context(clustered(graphs, url, known, **args))
                return cluster  # type: ignore[no-any-return]
            store = store or store_kind(known.of_log())
            gateway = Gateway(graphs, store=store, limits=known, **args)
            return await stack.enter_async_context(gateway.serve("127.0.0.1", 0))

        yield start


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """``await connect(server, token=None, hello=True, **wire_options)`` returns a ``Peer``."""
    peers: list[Peer] = []

    async def start(
        server: Server | str, *, token: str | None = None, hello: bool = True, **options: Any
    ) -> Peer:
        address = urlsplit(server if isinstance(server, str) else server.url)
        assert address.port is not None
        peer = Peer(await Wire.open(address.port, host=address.hostname, **options))
        peers.append(peer)
        if hello:
            fields = {} if token is None else {"token": token}
            welcome = await peer.ask(type="hello", **fields)
            assert welcome["type"] == "welcome", welcome
        return peer

    yield start
    for peer in peers:
        peer.wire.abort()
        await peer.wire.lost()


@pytest.fixture
async def watched(connect: Connect) -> AsyncIterator[Callable[[Server], Awaitable[Peer]]]:
    """Connect peers; in the end, check every message that they got against their ``welcome``."""
    peers: list[Peer] = []

    async def start(server: Server) -> Peer:
        peers.append(await connect(server, held=1 << 30))
        return peers[-1]

    yield start
    for peer in peers:
        limits = peer.frames[0]["limits"]
        most = limits["max_event_bytes"] + limits["max_frame_bytes"] + 262_144
        sizes = [len(message) for message in peer.messages]
        assert max(sizes) <= most, [frame["type"] for frame in peer.frames if len(orjson.dumps(frame)) > most]
        for frame in peer.frames:
            if frame["type"] == "event":
                parts = [frame["data"], frame.get("interrupts", [])]
                assert sum(len(orjson.dumps(part)) for part in parts) <= limits["max_event_bytes"] + 2


@pytest.fixture
async def provide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Provide]:
    """``await provide(script)`` starts a fake provider of models for the time of the test."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):  # the way there is short
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("LANGSMITH_TRACING", "false")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(
        "SSL_CERT_DIR", str(tmp_path)
    )  # no certificates: to read all takes 50 ms for each client
    async with AsyncExitStack() as stack:

        async def start(script: Mapping[str, Say], **args: Any) -> Provider:
            return await stack.enter_async_context(Provider(script, **args))

        yield start


@pytest.fixture(params=["graphwire_runtime", "langgraph"])
def lib(request: pytest.FixtureRequest) -> Library:
    """Each of the two graph libraries."""
    return library(request.param)
