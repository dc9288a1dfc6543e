"""What the processes of a cluster know of one another, in Redis: the settings they share, and who has what.

``PREFIX:cluster`` is a hash. What the first worker writes there stays: how many ``shards`` each group has,
the ``secret`` by which workers know gateways, whether principals share threads, and the groups: ``number:N``
is the one that has a number, ``graph:NAME`` the one that has a graph, and ``version`` counts them.
``offer:GROUP`` is what the workers of a group serve, as the last one says it; ``offer`` is that of the group
without a name. ``life`` is another one when Redis had lost the hash: then whoever remembers what was there
writes it again, before anybody goes by what is missing.

``PREFIX:workers:GROUP``, or ``PREFIX:workers``, is a hash: each worker, and when it last said that it is
there (ms). One that takes no shards now has a ``-`` behind its id. Who has shard k is the owner of the prefix
``PREFIX:k`` (``log/redis_owner.py``), with the address in its value; it is gone when its lease ends. Where
runs are is in ``cluster/run_places.py``.
"""

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graphwire_protocol.types import Durability

from graphwire_gateway.cluster.groups import Groups, Offer, group_number, words
from graphwire_gateway.cluster.run_places import RunPlaces
from graphwire_gateway.cluster.shards import DEFAULT_SHARDS
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log.redis_keys import (
    active_key,
    cluster_key,
    owner_key,
    workers_key,
)
from graphwire_gateway.log.redis_owner import is_gone, url_of
from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.telemetry import logger

log = logger("cluster")

_LIVE_MS = 3_000  # a worker that has said nothing for so long is not counted

_TAKES_NONE = "-"

_SHARED = ("shards", "secret", "shared_threads")
_OFFER = "offer"
_GRAPH = "graph:"
_NUMBER = "number:"
_KEPT = (_OFFER, _GRAPH, _NUMBER)
"""How the fields begin that are written again."""

SILENT_S = 2.0
"""A group that has had no worker for so long is left out of lists and watches of all."""

AWAY_S = 15.0
"""A group that has had no worker for so long is away: nobody waits for it any more."""

# All graphs of a group or none: who has one that another group has is refused, and leaves nothing.
_CLAIM = """
local other = redis.call('HGET', KEYS[1], 'number:' .. ARGV[2])
if other and other ~= ARGV[1] then return {'', other} end
for i = 4, #ARGV do
    other = redis.call('HGET', KEYS[1], 'graph:' .. ARGV[i])
    if other and other ~= ARGV[1] then return {ARGV[i], other} end
end
if redis.call('HSETNX', KEYS[1], 'number:' .. ARGV[2], ARGV[1]) == 1 then
    redis.call('HINCRBY', KEYS[1], 'version', 1)
end
for i = 4, #ARGV do redis.call('HSET', KEYS[1], 'graph:' .. ARGV[i], ARGV[1]) end
redis.call('HSET', KEYS[1], ARGV[1] == '' and 'offer' or 'offer:' .. ARGV[1], ARGV[3])
return {}
"""


class Directory:
    """The cluster at ``url``, whose options are those of a store, and ``shards=..`` for the first process."""

    def __init__(self, url: str) -> None:
        self._server = RedisServer(url)
        self._known: dict[str, str] = {}  # what all share, once it is open
        self._fields: dict[str, bytes] = {}  # of the groups, as they were known last
        self.version: tuple[bytes | None, bytes | None] = None, None
        """Of the groups: another one is another set of them."""
        self._unread: set[bytes] = set()  # offers that cannot be read
        self.runs = RunPlaces(self)
        self.homes: dict[int, str] = {}
        """The address of each shard's home, as it was known last."""
        self.groups = Groups(DEFAULT_SHARDS, {}, {})
        """What the workers serve, as it was known last."""
        self.groups_away: frozenset[str] = frozenset()
        """The groups that have had no worker for ``AWAY_S``."""
        self.groups_silent: frozenset[str] = frozenset()
        """Those that have had none for ``SILENT_S``, where there are other groups."""
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
        found = await self._read()
        if any(name not in found for name in _SHARED):
            return  # workers write it again
        known = {name: found[name].decode() for name in _SHARED}
        if self._known and known != self._known:
            self.is_replaced = True
            self.runs.clear()
        elif self._fields and found.get("life") != self.version[0]:
            await self._set_missing(self._fields)
            found = await self._read()
        self._known = known
        self._fields = {name: value for name, value in found.items() if name.startswith(_KEPT)}
        self.version = found.get("life"), found.get("version")
        self.groups = self._groups()

    async def _read(self) -> dict[str, bytes]:
        pairs = await self.ask_one("HGETALL", self.key)
        return {name.decode(): value for name, value in pairs.items()}

    def _groups(self) -> Groups:
        offers: dict[str, Offer] = {}
        names = {_end(name) for name in self._fields if name.startswith(_OFFER)}
        for name, value in self._fields.items():
            try:
                if name.startswith(_OFFER):
                    offers[_end(name)] = Offer.of(value)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                if value not in self._unread:
                    log.error("what a group offers cannot be read", group=_end(name), error=str(error))
                self._unread.add(value)
        graphs = {_end(n): value.decode() for n, value in self._fields.items() if n.startswith(_GRAPH)}
        return Groups(self.shards, offers, graphs, names)

    @property
    def offer(self) -> Offer | None:
        """What the groups that are there serve together; None if no worker has ever said it."""
        return self.groups.offer(self.groups_away)

    @property
    def is_known(self) -> bool:
        """Whether a worker has been there, and what all share is known."""
        return bool(self._known)

    @property
    def key(self) -> str:
        """The key of what all share."""
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

    async def _set_missing(self, fields: Mapping[str, str | bytes]) -> None:
        await self.ask(*(("HSETNX", self.key, *pair) for pair in fields.items()))

    # ── workers ──────────────────────────────────────────────────────────────────────────────────

    async def claim(self, group: str, offer: Offer) -> None:
        """Say what a group serves. Raises ``CannotServe`` if another one has some of it, ``StoreAway``."""
        number = group_number(group)
        claim = ("EVAL", _CLAIM, 1, self.key, group, number, offer.to_bytes(), *offer.graphs)
        conflict = await self.ask_one(*claim)
        if not conflict:
            return
        graph, other = (part.decode() for part in conflict)
        if not graph:
            raise CannotServe(f"groups {other!r} and {group!r} have the same number; give one another name")
        raise CannotServe(
            f"graph {graph!r} belongs to {words(other)}; leave it out here, or once no worker of that group "
            f"has it, let it go: redis-cli HDEL {self.key} graph:{graph}"
        )

    async def check_whole(self, group: str, worker: str, graphs: Iterable[str]) -> None:
        """See that a new worker has all graphs of its group; where it is alone, let go those it has not.

        Raises ``CannotServe`` if others of the group are there, ``StoreAway``.
        """
        lacking = sorted(self.groups.graphs_of(group) - set(graphs))
        if not lacking:
            return
        if await self._has_others(group, worker):
            names = " ".join(f"graph:{graph}" for graph in lacking)
            raise CannotServe(
                f"{words(group)} has {', '.join(lacking)}, too, and each of its workers may have to go on "
                "with a run of that: name it as well, be of another group (--group NAME), or if nobody is to "
                f"serve it any more, let it go: redis-cli HDEL {self.key} {names}"
            )
        log.warning("graphs that no worker has any more are let go", graphs=lacking, group=group or None)
        await self.ask_one("HDEL", self.key, *(_GRAPH + graph for graph in lacking))
        await self._learn()

    async def _has_others(self, group: str, worker: str) -> bool:
        """Tell whether other workers of a group are there: one that has just died is waited for."""
        end = asyncio.get_running_loop().time() + (_LIVE_MS + 500) / 1000
        while asyncio.get_running_loop().time() < end:
            (silences,) = await self._silences(group)
            there = [id for id, silence in silences.items() if silence <= _LIVE_MS]
            if all(id.removesuffix(_TAKES_NONE) == worker for id in there):
                return False
            await asyncio.sleep(0.1)
        return True

    async def _silences(self, *groups: str) -> list[dict[str, int]]:
        """Return for how many ms each worker of these groups has said nothing."""
        time, *found = await self.ask(("TIME",), *(("HGETALL", self._workers(group)) for group in groups))
        now = _ms(time)
        return [{id.decode(): now - int(at) for id, at in times.items()} for times in found]

    async def report(self, group: str, worker: str, offer: Offer, *, takes: bool) -> int:
        """Say that a worker is there, and whether it ``takes`` shards that are free.

        Return by how many it divides those of its group: as many as take some, or where it does not itself,
        all that are there; 0 if nobody takes any. Raises ``CannotServe`` as ``claim`` does, ``StoreAway``.
        """
        now = _ms(await self.ask_one("TIME"))
        await self._set_missing({**self._known, "life": secrets.token_hex(8)})
        await self.claim(group, offer)
        workers, names = self._workers(group), (worker, worker + _TAKES_NONE)
        name, other = names if takes else names[::-1]
        await self.ask(("HSET", workers, name, now), ("HDEL", workers, other))
        (silences,) = await self._silences(group)
        gone = [id for id, silence in silences.items() if silence > _LIVE_MS]
        if gone:
            await self.ask_one("HDEL", workers, *gone)
        there = silences.keys() - gone
        taking = [id for id in there if not id.endswith(_TAKES_NONE)]
        return len(taking) if takes or not taking else len(there)

    async def leave(self, group: str, worker: str) -> None:
        """Say that a worker is gone. Raises ``StoreAway``."""
        await self.ask_one("HDEL", self._workers(group), worker, worker + _TAKES_NONE)

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
            gone = await self._long_gone(sorted(alone)) if len(self.groups.names) > 1 else []
            self._alone_since = dict.fromkeys(gone, now - AWAY_S)
        self._alone_since = {group: self._alone_since.get(group, now) for group in alone}
        self.groups_away = frozenset(name for name, at in self._alone_since.items() if now >= at + AWAY_S)
        silent = [name for name, at in self._alone_since.items() if now >= at + SILENT_S]
        self.groups_silent = frozenset(silent if len(self.groups.names) > 1 else ())

    async def _long_gone(self, groups: list[str]) -> list[str]:
        """Return those of which no worker has said for long that it is there."""
        found = zip(groups, await self._silences(*groups), strict=True)
        return [group for group, silences in found if all(one > _LIVE_MS for one in silences.values())]

    async def aclose(self) -> None:
        """Close the connections."""
        await self.runs.aclose()
        await self._server.aclose()


def _ms(time: Sequence[int]) -> int:
    """Return in ms what Redis says is the time, in seconds and µs."""
    return int(time[0]) * 1000 + int(time[1]) // 1000


def _end(name: str) -> str:
    """Return what a name has behind its colon."""
    return name.partition(":")[2]
