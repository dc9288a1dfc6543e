"""A process that runs graphs: it takes shards of a cluster, and opens a home for each.

The shards of a group are divided evenly among those of its workers that take some. A worker that has more
than its share gives up those in which nothing runs, and after a while others, too, if their runs can go on.
One that was killed says nothing more, and when the lease of its shards ends, others take them and take up
their runs; at once if they run on one machine.
"""

import asyncio
import math
import os
import random
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from graphwire_gateway.cluster.active_runs import ActiveRuns
from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.groups import Offer, shards_of
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
from graphwire_gateway.telemetry import RateLimitedLogger, logger

log = logger("worker")

LOOK_S = 0.5
"""Seconds between two looks at which shards are free."""

BUSY_S = 30.0
"""A worker that has more than its share for so long hands a shard over in which something runs, if it can."""

_MOVED_S = 5.0
"""How long the runs of such a shard get to end."""

LEFT_S = 1.5
"""A shard that has been free for so long is taken by any worker: whose share it is has just died, perhaps."""

SURE_S = 3.5
"""A worker that has more than its share for so long gives shards up. One that has died counts for 3 s."""

_EVERY_ADDRESS = ("0.0.0.0", "::", "")

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

    ``limits`` are what gateways announce. Workers of one ``group`` serve the same graphs.
    """

    def __init__(
        self,
        url: str,
        directory: Directory,
        catalog: Catalog,
        limits: Limits,
        make_home: MakeHome,
        *,
        group: str = "",
        shares_threads: bool = False,
    ) -> None:
        self.group = group
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
        self._saying: asyncio.Task[None] | None = None
        self._ends: dict[int, asyncio.Task[None]] = {}  # of homes that are being closed
        self._workers = 1
        self._not_taken: dict[int, str] = {}  # the shards that the last look has tried in vain, and why
        self._is_unable = False  # to take a shard that nobody else has; until it takes one
        self._often = RateLimitedLogger(log, burst=8, every_s=30.0)
        self.taken = asyncio.Event()
        """Set once it must end: others have begun anew at its prefix, or another group has a graph of it."""
        self._has_changed = asyncio.Event()

    async def open(self, host: str) -> None:
        """Load the graphs and take shards. ``host`` is the address where gateways reach this process.

        Raises ``CannotServe``.
        """
        await _check_host(host)
        self._host = host
        await self._directory.open()
        await self._directory.share(shares_threads=self._shares_threads)
        await self.catalog.open()
        _check_savers(self.catalog)
        await self._join()
        self._saying = asyncio.create_task(self._again_and_again(self._say))
        self._looking = asyncio.create_task(self._again_and_again(self._look))

    async def _join(self) -> None:
        """Be one of the group. Raises ``CannotServe``."""
        try:
            for _ in range(2):  # another one may come at the same moment
                await self._directory.look()
                await self._directory.check_whole(self.group, self._id, self._graphs)
                await self._report()
        except StoreAway as error:
            raise CannotServe(str(error)) from error

    @property
    def _graphs(self) -> tuple[str, ...]:
        return tuple(entry.name for entry in self.catalog.all())

    @property
    def _lacks_graphs(self) -> bool:
        """Whether newer workers of its group have graphs that it has not."""
        return not self._directory.groups.graphs_of(self.group).issubset(self._graphs)

    @property
    def _shards(self) -> range:
        """Those of its group."""
        return shards_of(self.group, self._directory.shards)

    def _number(self, shard: int) -> int:
        """Return which of its group's it is, as people count them."""
        return shard % self._directory.shards

    async def has_shards(self, count: int = 1) -> None:
        """Wait until it has so many shards, or must end."""
        while len(self.homes) < count and not self.taken.is_set():
            self._has_changed.clear()
            await self._has_changed.wait()

    async def _again_and_again(self, work: Callable[[], Awaitable[None]]) -> None:
        while not self._is_stopping:  # redis-py swallows a cancellation now and then, below Python 3.12
            try:
                await work()
            except StoreAway:
                pass  # the stores of the shards say so
            except Exception as error:  # a mistake of ours must not end it
                log.error("a worker could not look at its shards", error=repr(error))
            await asyncio.sleep(LOOK_S)

    async def _say(self) -> None:
        """Say that it is there. What takes long in ``_look`` does not hold this up."""
        try:
            await self._report()
        except CannotServe as error:  # Redis had lost that they are ours
            self._end_because(f"{error}; this worker ends")

    async def _report(self) -> None:
        offer = Offer(self._limits, self._directory.durability, self._graphs)
        takes = not (self._lacks_graphs or self._is_unable)
        self._workers = max(1, await self._directory.report(self.group, self._id, offer, takes=takes))

    async def _look(self) -> None:
        await _all(self._end(shard) for shard, home in self.homes.items() if home.taken.is_set())
        await self._directory.look()
        if self._directory.is_replaced:
            self._end_because("others have begun anew at the store of this worker, which ends")
            return
        share = math.ceil(self._directory.shards / self._workers)
        now = asyncio.get_running_loop().time()
        free = [
            shard for shard in self._shards if shard not in self._directory.homes and shard not in self.homes
        ]
        for shard in self._not_taken.keys() & set(free):  # else another worker was faster
            self._is_unable = True
            reason = self._not_taken[shard]
            self._often.warning("a shard could not be taken", shard=self._number(shard), reason=reason)
        self._not_taken.clear()
        if len(self.homes) <= share:
            self._more_since = math.inf
        elif not free:  # else those come first, which nobody has
            self._more_since = min(self._more_since, now)
            if now >= self._more_since + SURE_S:
                await self._give_up(len(self.homes) - share)
        self._free_since = {shard: self._free_since.get(shard, now) for shard in free}
        random.shuffle(free)
        room, patience_s = max(0, share - len(self.homes)), LEFT_S
        if self._lacks_graphs:  # newer workers know them all
            room, patience_s = 0, 4 * LEFT_S
        wanted = free[:room] + [shard for shard in free[room:] if now > self._free_since[shard] + patience_s]
        await _all(map(self._take, wanted))

    def _end_because(self, reason: str) -> None:
        if not self.taken.is_set():
            log.error(reason)
        self.taken.set()
        self._has_changed.set()

    async def _take(self, shard: int) -> None:
        """Become the home of a shard, unless another worker does."""
        directory = self._directory
        store = RedisStore(
            with_prefix(self._url, directory.shard_prefix(shard)),
            self._limits.of_log(),
            is_alone=True,
            is_part=True,
        )
        active = ActiveRuns(directory, shard, store)
        part = Part(
            owner_of(shard, directory.shards),
            store.announce,
            hands_over=True,
            elsewhere=active,
            graphs_elsewhere=lambda: directory.groups.graphs,
            opens_graphs=False,
        )
        home = self._make_home(store, HomeTokens(directory.secret, shard), part)
        try:
            await home.open(self._host, 0)
            await active.open()
        except CannotServe as error:
            self._not_taken[shard] = str(error)
            await self._close(shard, home, active)
        except BaseException:
            await self._close(shard, home, active)
            raise
        else:
            self.homes[shard] = home
            self._active[shard] = active
            self._is_unable = False
            self._has_changed.set()
            log.info("took a shard", shard=self._number(shard), url=home.url)

    async def _give_up(self, count: int) -> None:
        """Give up so many shards in which nothing runs, all at once: clients of all come back once."""
        idle = [shard for shard, home in self.homes.items() if home.executing == 0][:count]
        idle = [shard for shard in idle if self.homes[shard].rests()]
        if idle:
            shards = list(map(self._number, idle))
            log.info("gives up shards, which are another worker's share", shards=shards)
            await _all(map(self._end, idle))
            return
        now = asyncio.get_running_loop().time()
        busy = {shard: home.executing for shard, home in self.homes.items()}
        movable = {shard: count for shard, count in busy.items() if count is not None}
        if movable and now >= self._more_since + BUSY_S:
            shard = min(movable, key=lambda shard: movable[shard])
            log.info(
                "hands a shard over, which is another worker's share",
                shard=self._number(shard),
                runs=movable[shard],
            )
            self._more_since = now
            await self.homes[shard].drain(_MOVED_S)
            await self._end(shard)

    async def _end(self, shard: int) -> None:
        """Close the home of a shard, or wait until that is done."""
        if shard in self._ends:
            await asyncio.shield(self._ends[shard])
        else:
            await self._close(shard, self.homes.pop(shard), self._active.pop(shard))

    async def _close(self, shard: int, home: Server, active: ActiveRuns) -> None:
        """Close a home. Whoever waits for that may be cancelled; the home is closed all the same."""

        async def close() -> None:
            await active.aclose()
            await home.close()

        task = self._ends[shard] = asyncio.ensure_future(close())
        task.add_done_callback(lambda _: self._ends.pop(shard))
        await asyncio.shield(task)

    async def drain(self, timeout_s: float | None = None) -> None:
        """Take no more shards; give each up when its runs have ended, or after ``timeout_s`` seconds.

        None waits for ``limits.drain_s`` seconds.
        """
        await self._stop()

        async def leave(shard: int, home: Server) -> None:
            await home.drain(timeout_s)
            if shard in self.homes or shard in self._ends:
                await self._end(shard)

        await _all(leave(shard, home) for shard, home in list(self.homes.items()))

    async def _stop(self) -> None:
        self._is_stopping = True
        if self._looking is not None and self._saying is not None:
            tasks = [self._looking, self._saying]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._looking = None
            try:
                await self._directory.leave(self.group, self._id)
            except StoreAway as error:
                log.warning("the others hear of the end of this worker later", error=str(error))

    async def close(self) -> None:
        """Give up everything at once."""
        await self._stop()
        await _all(map(self._end, list(self.homes)))
        await asyncio.gather(*self._ends.values(), return_exceptions=True)
        await self.catalog.close(self._limits.cancel_grace_s + 1)
        await self._directory.aclose()


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Wait for all; raise what the first one raised that failed."""
    for found in await asyncio.gather(*work, return_exceptions=True):
        if isinstance(found, BaseException):
            raise found


async def _check_host(host: str) -> None:
    """Check that homes can listen there, and gateways find them. Raises ``CannotServe``."""
    if host in _EVERY_ADDRESS:
        raise CannotServe(
            f"{host!r} is no address that gateways reach; name one that this machine has in their network, "
            "such as its host name: --host NAME"
        )
    try:
        listening = await asyncio.start_server(lambda reader, writer: None, host, 0)
    except OSError as error:
        raise CannotServe(
            f"cannot listen on {host}: {error.strerror or error}; name an address of this machine: --host "
            "NAME"
        ) from error
    listening.close()
    await listening.wait_closed()


def _check_savers(catalog: Catalog) -> None:
    for entry in catalog.all():
        if entry.keeps_threads_in_memory:
            raise CannotServe(
                f"graph {entry.name!r} has a checkpointer in memory, which other workers do not see; "
                "compile it without one, so that the store keeps its threads, or with one in a database"
            )
