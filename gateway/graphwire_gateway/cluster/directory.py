"""What the processes of a cluster know of one another, in Redis: the settings they share, and who has what.

``PREFIX:cluster`` is a hash. What the first worker writes there stays: how many ``shards`` each group has,
the ``secret`` by which workers know gateways, whether principals share threads, and in ``graph:NAME`` the
group of a graph. ``offer:GROUP`` is what the workers of a group serve, as the last one says it; ``offer`` is
that of the group without a name. ``PREFIX:workers:GROUP``, or ``PREFIX:workers``, is a hash: each worker, and
when it last said that it is there (ms). ``PREFIX:starting:RUN`` is the shard of a run that is being started:
no log tells of it yet. Who has shard k is the owner of the prefix ``PREFIX:k`` (``log/redis_owner.py``), with
the address in its value; it is gone when its lease ends. If Redis loses the hashes, whoever remembers them
writes them again.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from graphwire_protocol.types import Durability

from graphwire_gateway.cluster.groups import Groups, Offer
from graphwire_gateway.cluster.shards import DEFAULT_SHARDS
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log.redis_keys import (
    active_key,
    cluster_key,
    log_keys,
    owner_key,
    starting_key,
    workers_key,
)
from graphwire_gateway.log.redis_owner import is_gone, url_of
from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.scope import run_key

_LIVE_MS = 3_000  # a worker that has said nothing for so long is not counted
_REMEMBERED = 10_000  # runs

_SHARED = ("shards", "secret", "shared_threads")
_OFFER = "offer"
_GRAPH = "graph:"

AWAY_S = 15.0
"""A group that has had no worker for so long is away: nobody waits for it any more."""

_START_MS = 60_000  # in which the home of a run that is started begins its log, if it does

# Several may start a run in one shard at once: the note of it stays until all of them are answered.
_NOTE = """
local at = redis.call('HGET', KEYS[1], 'shard')
if at and at ~= ARGV[1] then return tonumber(at) end
redis.call('HSET', KEYS[1], 'shard', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'starts', 1)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return tonumber(ARGV[1])
"""

_LET_GO = """
if redis.call('HGET', KEYS[1], 'shard') ~= ARGV[1] then return end
if redis.call('HINCRBY', KEYS[1], 'starts', -1) <= 0 then redis.call('DEL', KEYS[1]) end
"""


class Directory:
    """The cluster at ``url``, whose options are those of a store, and ``shards=..`` for the first process."""

    def __init__(self, url: str) -> None:
        self._server = RedisServer(url)
        self._known: dict[str, str] = {}  # what all share, once it is open
        self._runs: OrderedDict[str, int] = OrderedDict()  # the shard of each run that was looked for
        self.homes: dict[int, str] = {}
        """The address of each shard's home, as it was known last."""
        self.groups = Groups(DEFAULT_SHARDS, {}, {})
        """What the workers serve, as it was known last."""
        self.groups_away: frozenset[str] = frozenset()
        """The groups that have had no worker for ``AWAY_S``."""
        self._alone_since: dict[str, float] | None = None  # groups that have none, in the loop's time
        self.store_is_away = False
        """Whether Redis did not answer when it was asked last."""
        self.is_replaced = False
        """Whether others have ever begun anew at this prefix, with another secret or number of shards."""

    @property
    def name(self) -> str:
        """The address of the store, without a password."""
        return self._server.name

    @property
    def prefix(self) -> str:
        """What all keys begin with."""
        return self._server.prefix

    @property
    def durability(self) -> Durability:
        """What the store promises."""
        return self._server.durability

    @property
    def shards(self) -> int:
        """How many shards each group has."""
        return int(self._known["shards"])

    @property
    def secret(self) -> str:
        """What gateways prove themselves with."""
        return self._known["secret"]

    @property
    def shares_threads(self) -> bool:
        """Whether all principals share their threads."""
        return self._known["shared_threads"] == "1"

    def shard_prefix(self, shard: int) -> str:
        """Return the prefix of a shard's store."""
        return f"{self.prefix}:{shard}"

    async def open(self) -> None:
        """Check that the server can be used, and that nobody has the prefix alone. Raises ``CannotServe``."""
        await self._server.open()
        try:
            owner = await self._server.owner()
        except StoreAway as error:
            raise CannotServe(str(error)) from error
        if owner is not None and not is_gone(owner):
            raise CannotServe(
                f"{self.name} is in use by a server that runs alone; stop it, or give the workers and "
                "gateways a prefix of their own: ?prefix=NAME"
            )

    async def share(self, *, shares_threads: bool) -> None:
        """Take what all share, or be the first, who decides it. Raises ``CannotServe``."""
        try:
            await self._set_missing(
                {
                    "shards": str(self._server.shards or DEFAULT_SHARDS),
                    "secret": secrets.token_urlsafe(24),
                    "shared_threads": "1" if shares_threads else "0",
                }
            )
            await self._learn()
        except StoreAway as error:
            raise CannotServe(str(error)) from error
        if self._server.shards not in (None, self.shards):
            raise CannotServe(
                f"{self.name} has {self.shards} shards, and keeps them; leave out "
                f"shards={self._server.shards}"
            )
        if shares_threads != self.shares_threads:
            raise CannotServe(
                f"shared_threads is {str(self.shares_threads).lower()} for the workers of {self.name}, and "
                "stays so"
            )

    async def _learn(self) -> None:
        pairs = await self.ask_one("HGETALL", self._cluster)
        found = {name.decode(): value for name, value in pairs.items()}
        if any(name not in found for name in _SHARED):
            return  # who remembers it writes it again
        known = {name: found[name].decode() for name in _SHARED}
        if self._known and known != self._known:
            self.is_replaced = True
            self._runs.clear()
        self._known = known
        offers = {_end(name): Offer.of(value) for name, value in found.items() if name.startswith(_OFFER)}
        graphs = {_end(name): value.decode() for name, value in found.items() if name.startswith(_GRAPH)}
        if offers:  # else they are written again
            self.groups = Groups(self.shards, offers, graphs)

    @property
    def is_known(self) -> bool:
        """Whether a worker has been there, and what all share is known."""
        return bool(self._known)

    @property
    def _cluster(self) -> str:
        return cluster_key(self.prefix)

    def _workers(self, group: str) -> str:
        return workers_key(self.prefix, group)

    def active_key(self, shard: int) -> str:
        """Return the key of a shard's counts of active runs."""
        return active_key(self.shard_prefix(shard))

    async def ask_one(self, *command: Any) -> Any:
        """Carry out a command; return its answer. Raises ``StoreAway``."""
        return (await self.ask(command))[0]

    async def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Carry out commands; return their answers. Raises ``StoreAway``."""
        try:
            answers = await self._server.answers(commands)
        except StoreAway:
            self.store_is_away = True
            raise
        self.store_is_away = False
        return answers

    async def _set_missing(self, fields: Mapping[str, str]) -> None:
        await self.ask(*(("HSETNX", self._cluster, *pair) for pair in fields.items()))

    # ── workers ──────────────────────────────────────────────────────────────────────────────────

    async def report(self, group: str, worker: str, offer: Offer) -> int:
        """Say that a worker is there; return how many of its group are. Raises ``StoreAway``."""
        time = await self.ask_one("TIME")
        now = int(time[0]) * 1000 + int(time[1]) // 1000
        graphs = {_GRAPH + graph: group for graph in offer.graphs}
        await self._set_missing({**self._known, **graphs})
        workers = self._workers(group)
        *_, found = await self.ask(
            ("HSET", workers, worker, now),
            ("HSET", self._cluster, f"{_OFFER}:{group}" if group else _OFFER, offer.to_bytes()),
            ("HGETALL", workers),
        )
        times = {id: int(at) for id, at in found.items()}
        gone = [id for id, at in times.items() if at < now - _LIVE_MS]
        if gone:
            await self.ask_one("HDEL", workers, *gone)
        return len(times) - len(gone)

    async def leave(self, group: str, worker: str) -> None:
        """Say that a worker is gone. Raises ``StoreAway``."""
        await self.ask_one("HDEL", self._workers(group), worker)

    # ── gateways ─────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> None:
        """Learn who has which shard, and what is served. Raises ``StoreAway``."""
        await self._learn()
        shards = self.groups.shards
        if not shards:
            return
        owners = [owner_key(self.shard_prefix(shard)) for shard in shards]
        found = zip(shards, await self.ask_one("MGET", *owners), strict=True)
        homes = {shard: url_of(owner) for shard, owner in found if owner and not is_gone(owner)}
        self.homes = {shard: url for shard, url in homes.items() if url}
        await self._note_away()

    async def _note_away(self) -> None:
        now = asyncio.get_running_loop().time()
        alone = set(self.groups.names) - {self.groups.group_at(shard) for shard in self.homes}
        if self._alone_since is None:  # who looks for the first time does not wait for those long gone
            names = sorted(alone) if len(self.groups.names) > 1 else []
            found = await self.ask(*(("HLEN", self._workers(name)) for name in names)) if names else []
            gone = {name for name, count in zip(names, found, strict=True) if not count}
            self._alone_since = dict.fromkeys(gone, now - AWAY_S)
        self._alone_since = {group: self._alone_since.get(group, now) for group in alone}
        self.groups_away = frozenset(group for group, at in self._alone_since.items() if now >= at + AWAY_S)

    async def shard_of_run(self, principal: str, run: str, *, may_remember: bool) -> int | None:
        """Return the shard that has a run's log; None if none has. Raises ``StoreAway``.

        Where it ``may_remember``, a run that was found before is not looked for again.
        """
        key = run_key(principal, run)
        if may_remember and key in self._runs:
            self._runs.move_to_end(key)
            return self._runs[key]
        names = self._names(key)
        found = await self.ask_one("EXISTS", *names.values())
        return await self._which(principal, run, names) if found else None

    def _names(self, key: str) -> dict[int, str]:
        """Return the name of a run's log in each shard."""
        return {shard: log_keys(self.shard_prefix(shard), key)[0] for shard in self.groups.shards}

    async def _which(self, principal: str, run: str, names: Mapping[int, str]) -> int | None:
        found = await self.ask(*(("EXISTS", name) for name in names.values()))
        shard = next((shard for shard, there in zip(names, found, strict=True) if there), None)
        if shard is not None:
            self.remember(principal, run, shard)
        return shard

    async def note_start(self, principal: str, run: str, shard: int) -> tuple[int | None, bool]:
        """Note that a run is being started in ``shard``, unless it is in another one.

        Return the shard that has its log, or else where it is being started; None if that is in another
        group, which does not know the graph. And whether it was noted: then ``let_go`` has to follow. Raises
        ``StoreAway``.
        """
        key = run_key(principal, run)
        names = self._names(key)
        # Who is answered has a log, and only then is the note deleted: so the log is looked for second.
        at, found = await self.ask(
            ("EVAL", _NOTE, 1, self._starting(principal, run), shard, _START_MS),
            ("EXISTS", *names.values()),
        )
        known = await self._which(principal, run, names) if found else None
        if known is None and self.groups.group_at(at) == self.groups.group_at(shard):
            known = int(at)
        return known, at == shard

    async def let_go(self, principal: str, run: str, shard: int) -> None:
        """A start was answered: there is a log, or the run may be started elsewhere. Raises ``StoreAway``."""
        await self.ask_one("EVAL", _LET_GO, 1, self._starting(principal, run), shard)

    def _starting(self, principal: str, run: str) -> str:
        return starting_key(self.prefix, run_key(principal, run))

    def remember(self, principal: str, run: str, shard: int) -> None:
        """Note where a run is."""
        key = run_key(principal, run)
        self._runs[key] = shard
        self._runs.move_to_end(key)
        if len(self._runs) > _REMEMBERED:
            self._runs.popitem(last=False)

    def forget(self, principal: str, run: str) -> None:
        """Look for a run anew when it is asked for again."""
        self._runs.pop(run_key(principal, run), None)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._server.aclose()


def _end(name: str) -> str:
    """Return what a name has behind its colon."""
    return name.partition(":")[2]
