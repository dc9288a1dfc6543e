"""A process that runs graphs: it takes shards of a cluster, and opens a home for each.

Shards are divided evenly among the workers that are there. A worker that has more than its share gives up
those in which nothing runs, and after a while others, too, if their runs can go on. One that was killed says
nothing more, and when the lease of its shards ends, others take them and take up their runs; at once if they
run on one machine.
"""

import asyncio
import math
import os
import random
from collections.abc import Callable
from typing import TypeAlias

from graphwire_gateway.cluster.active_runs import ActiveRuns
from graphwire_gateway.cluster.directory import Directory, Offer
from graphwire_gateway.cluster.home_tokens import HomeTokens
from graphwire_gateway.cluster.shards import owner_of
from graphwire_gateway.connections.auth import Tokens
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.redis_address import with_prefix
from graphwire_gateway.log.store import Store, StoreAway
from graphwire_gateway.server import Part, Server
from graphwire_gateway.telemetry import logger

log = logger("worker")

LOOK_S = 0.5
"""Seconds between two looks at which shards are free."""

BUSY_S = 30.0
"""A worker that has more than its share for so long hands a shard over in which something runs, if it can."""

_MOVED_S = 5.0
"""How long the runs of such a shard get to end."""

LEFT_S = 15.0
"""A shard that has been free for so long is taken by any worker: whose share it is does not take it."""

_SPARE_BYTES = 4096  # of a frame, to which a gateway has added something
_MANY = 1 << 30


def home_limits(limits: Limits) -> Limits:
    """Return the limits of a home: what a connection and its client may do, the gateways see to.

    A home waits longer for a gateway than the gateway for the client, so that a client that is slow, and does
    take what it is sent, loses no connection to a home.
    """
    return limits.model_copy(
        update={
            "max_connections": _MANY,
            "requests_per_s": 100 * limits.requests_per_s,
            "request_burst": 100 * limits.request_burst,
            "max_frame_bytes": limits.max_frame_bytes + _SPARE_BYTES,
            "send_timeout_s": 12 * limits.send_timeout_s,
            "heartbeat_s": 12 * limits.heartbeat_s,
        }
    )


MakeHome: TypeAlias = Callable[[Store, Tokens, Part], Server]


class Worker:
    """Runs graphs for the cluster at ``url``. ``make_home`` makes the server of a shard.

    ``limits`` are what gateways announce.
    """

    def __init__(
        self,
        url: str,
        directory: Directory,
        catalog: Catalog,
        limits: Limits,
        make_home: MakeHome,
        *,
        shares_threads: bool = False,
    ) -> None:
        self._url = url
        self._directory = directory
        self.catalog = catalog
        self._limits = limits
        self._make_home = make_home
        self._shares_threads = shares_threads
        self._id = os.urandom(8).hex()
        self._host = ""
        self.homes: dict[int, Server] = {}
        """Those of the shards that this worker has."""
        self._more_since = math.inf  # since when it has had more than its share
        self._active: dict[int, ActiveRuns] = {}
        self._free_since: dict[int, float] = {}
        self._looking: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._has_changed = asyncio.Event()

    async def open(self, host: str) -> None:
        """Load the graphs and take shards. ``host`` is the address where gateways reach this process.

        Raises ``CannotServe``.
        """
        self._host = host
        await self._directory.open()
        await self._directory.share(shares_threads=self._shares_threads)
        await self.catalog.open()
        _check_savers(self.catalog)
        self._looking = asyncio.create_task(self._keep())

    async def has_shards(self, count: int = 1) -> None:
        """Wait until it has so many shards."""
        while len(self.homes) < count:
            self._has_changed.clear()
            await self._has_changed.wait()

    async def _keep(self) -> None:
        while not self._is_stopping:  # redis-py swallows a cancellation now and then, below Python 3.12
            try:
                await self._look()
            except StoreAway:
                pass  # the stores of the shards say so
            except Exception as error:  # a mistake of ours must not end it
                log.error("a worker could not look at its shards", error=repr(error))
            await asyncio.sleep(LOOK_S)

    async def _look(self) -> None:
        await asyncio.gather(*(self._end(shard) for shard, home in self.homes.items() if home.taken.is_set()))
        workers = await self._directory.say(self._id, Offer(self._limits, self._directory.durability))
        await self._directory.look()
        share = math.ceil(self._directory.shards / max(1, workers))
        if len(self.homes) > share:
            await self._give_up_one()
        else:
            self._more_since = math.inf
        now = asyncio.get_running_loop().time()
        free = [
            shard
            for shard in range(self._directory.shards)
            if shard not in self._directory.homes and shard not in self.homes
        ]
        self._free_since = {shard: self._free_since.get(shard, now) for shard in free}
        random.shuffle(free)
        room = max(0, share - len(self.homes))
        wanted = free[:room] + [shard for shard in free[room:] if now > self._free_since[shard] + LEFT_S]
        await asyncio.gather(*map(self._take, wanted))

    async def _take(self, shard: int) -> None:
        """Become the home of a shard, unless another worker does."""
        directory = self._directory
        store = RedisStore(
            with_prefix(self._url, directory.shard_prefix(shard)),
            self._limits.of_log(),
            is_alone=True,
            is_part=True,
        )
        active = ActiveRuns(directory, shard)
        part = Part(
            owner_of(shard, directory.shards),
            store.announce,
            hands_over=True,
            elsewhere=active,
            opens_graphs=False,
        )
        home = self._make_home(store, HomeTokens(directory.secret, shard), part)
        try:
            await home.open(self._host, 0)
            await active.open()
        except CannotServe as error:
            log.debug("a shard was not taken", shard=shard, reason=str(error))
            await home.close()
        except BaseException:
            await active.aclose()
            await home.close()
            raise
        else:
            self.homes[shard] = home
            self._active[shard] = active
            self._has_changed.set()
            log.info("took a shard", shard=shard, url=home.url)

    async def _give_up_one(self) -> None:
        for shard, home in self.homes.items():
            if home.rests():
                log.info("gives up a shard, which is another worker's share", shard=shard)
                await self._end(shard)
                return
        now = asyncio.get_running_loop().time()
        self._more_since = min(self._more_since, now)
        busy = {shard: home.executing for shard, home in self.homes.items()}
        movable = {shard: count for shard, count in busy.items() if count is not None}
        if movable and now >= self._more_since + BUSY_S:
            shard = min(movable, key=lambda shard: movable[shard])
            log.info("hands a shard over, which is another worker's share", shard=shard, runs=movable[shard])
            self._more_since = now
            await self.homes[shard].drain(_MOVED_S)
            await self._end(shard)

    async def _end(self, shard: int) -> None:
        home = self.homes.pop(shard)
        await self._active.pop(shard).aclose()
        await home.close()

    async def drain(self, timeout_s: float | None = None) -> None:
        """Take no more shards; give each up when its runs have ended, or after ``timeout_s`` seconds.

        None waits for ``limits.drain_s`` seconds.
        """
        await self._stop()

        async def leave(shard: int, home: Server) -> None:
            await home.drain(timeout_s)
            await self._end(shard)

        await asyncio.gather(*(leave(shard, home) for shard, home in list(self.homes.items())))

    async def _stop(self) -> None:
        self._is_stopping = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
            self._looking = None
            try:
                await self._directory.leave(self._id)
            except StoreAway as error:
                log.warning("the others hear of the end of this worker later", error=str(error))

    async def close(self) -> None:
        """Give up everything at once."""
        await self._stop()
        await asyncio.gather(*map(self._end, list(self.homes)))
        await self.catalog.close(self._limits.cancel_grace_s + 1)
        await self._directory.aclose()


def _check_savers(catalog: Catalog) -> None:
    for entry in catalog.all():
        if entry.keeps_threads_in_memory:
            raise CannotServe(
                f"graph {entry.name!r} has a checkpointer in memory, which other workers do not see; "
                "compile it without one, so that the store keeps its threads, or with one in a database"
            )
