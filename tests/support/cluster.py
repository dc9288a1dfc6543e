"""A server of several parts for tests: a worker, and two gateways that take connections in turns."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from typing import Any

import pytest
from graphwire_gateway import Gateway, Limits
from graphwire_gateway.cluster import worker as workers
from graphwire_gateway.cluster.gateway_server import GatewayServer
from graphwire_gateway.cluster.worker import Worker
from graphwire_gateway.graphs.catalog import Catalog

SHARDS = 3

_OF_WORKERS = (
    "checkpointer",
    "encoders",
    "expose_errors",
    "graph_store",
    "runner",
    "shared_threads",
    "thread_bytes",
    "thread_ttl_s",
)


class Cluster:
    """Looks like the ``Server`` of one process to tests, as far as clients go."""

    def __init__(self, worker: Worker, fronts: list[GatewayServer]) -> None:
        self.worker = worker
        self.fronts = fronts
        self._turns = cycle(fronts)

    @property
    def catalog(self) -> Catalog:
        return self.worker.catalog

    @property
    def host(self) -> str:
        return self.fronts[0].host

    @property
    def port(self) -> int:
        return next(self._turns).port

    @property
    def url(self) -> str:
        return next(self._turns).url

    def __getattr__(self, name: str) -> Any:
        pytest.skip(f"looks into a server of one process: {name}")

    async def drain(self, timeout_s: float | None = None) -> None:
        """Let runs end, then send the clients away."""
        await self.worker.drain(timeout_s)
        for front in self.fronts:
            await front.drain(timeout_s)

    @property
    def console_url(self) -> str | None:
        return self.fronts[0].console_url


@asynccontextmanager
async def clustered(
    graphs: Mapping[str, Any], url: str, limits: Limits, **args: Any
) -> AsyncIterator[Cluster]:
    """Serve graphs on a store in Redis; ``args`` are those of ``Gateway``."""
    of_workers = {name: args[name] for name in _OF_WORKERS if name in args}
    of_gateways = {name: value for name, value in args.items() if name not in ("encoders", "graph_store")}
    of_workers.setdefault("expose_errors", True)  # as a server on loopback does
    async with AsyncExitStack() as stack:
        worker = Gateway(graphs, store=f"{url}&shards={SHARDS}", limits=limits, **of_workers)
        # All shards are in this process, which sees what it has in memory.
        stack.enter_context(pytest.MonkeyPatch.context()).setattr(
            workers, "_check_savers", lambda catalog: None
        )
        working = await stack.enter_async_context(worker.work())
        await working.has_shards(SHARDS)
        gateway = Gateway({}, store=url, limits=limits, **of_gateways)
        fronts = [await stack.enter_async_context(gateway.relay("127.0.0.1", 0)) for _ in range(2)]
        yield Cluster(working, fronts)
