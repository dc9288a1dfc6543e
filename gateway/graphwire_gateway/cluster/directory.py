"""What the processes of a cluster know of one another, in Redis: the settings they share, and who has what.

``PREFIX:cluster`` is a hash. What the first process writes there stays: how many ``shards`` there are, the
``secret`` by which workers know gateways, and whether principals share threads. ``offer`` is what the workers
serve, as the last one says it. ``PREFIX:workers`` is a hash: each worker, and when it last said that it is
there (ms). Who has shard k is the owner of the prefix ``PREFIX:k`` (``log/redis_owner.py``), whose value has
the address; it is gone when its lease ends. If Redis loses the hashes, whoever remembers them writes them
again.
"""

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphwire_protocol.types import Durability

from graphwire_gateway.cluster.shards import DEFAULT_SHARDS
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.limits import Limits
from graphwire_gateway.log.redis_keys import log_keys, owner_key
from graphwire_gateway.log.redis_owner import is_gone
from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.scope import run_key

_LIVE_MS = 3_000  # a worker that has said nothing for so long is not counted
_REMEMBERED = 10_000  # runs

_SHARED = ("shards", "secret", "shared_threads")


@dataclass(frozen=True, slots=True)
class Offer:
    """What workers serve, which gateways announce."""

    limits: Limits
    durability: Durability


class Directory:
    """The cluster at ``url``, whose options are those of a store, and ``shards=..`` for the first process."""

    def __init__(self, url: str) -> None:
        self._server = RedisServer(url)
        self._known: dict[str, str] = {}  # what all share, once it is open
        self._runs: OrderedDict[str, int] = OrderedDict()  # the shard of each run that was looked for
        self.starting: dict[str, int] = {}
        """The shards of runs that this gateway is starting, by their keys: no log tells of them yet."""
        self.homes: dict[int, str] = {}
        """The address of each shard's home, as it was known last."""
        self.offer: Offer | None = None
        """What the workers serve, as it was known last; None if none has said it yet."""
        self.is_away = False
        """Whether Redis did not answer when it was asked last."""
        self.is_replaced = False
        """Whether others have begun anew at this prefix, with another secret or number of shards."""

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
        """How many shards there are."""
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
            await self._say(
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
        found = await self.ask_one("HMGET", self._cluster, *_SHARED)
        if None in found:
            return  # who remembers it writes it again
        known = dict(zip(_SHARED, map(bytes.decode, found), strict=True))
        self.is_replaced = bool(self._known) and known != self._known
        if self.is_replaced:
            self._runs.clear()
        self._known = known

    @property
    def is_known(self) -> bool:
        """Whether a worker has been there, and what all share is known."""
        return bool(self._known)

    @property
    def _cluster(self) -> str:
        return f"{self.prefix}:cluster"

    @property
    def _workers(self) -> str:
        return f"{self.prefix}:workers"

    def active_key(self, shard: int) -> str:
        """Return the key of a shard's counts of active runs."""
        return f"{self.shard_prefix(shard)}:active"

    async def ask_one(self, *command: Any) -> Any:
        """Carry out a command; return its answer. Raises ``StoreAway``."""
        return (await self.ask(command))[0]

    async def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Carry out commands; return their answers. Raises ``StoreAway``."""
        try:
            answers = await self._server.answers(commands)
        except StoreAway:
            self.is_away = True
            raise
        self.is_away = False
        return answers

    async def _say(self, fields: Mapping[str, str]) -> None:
        await self.ask(*(("HSETNX", self._cluster, *pair) for pair in fields.items()))

    # ── workers ──────────────────────────────────────────────────────────────────────────────────

    async def say(self, worker: str, offer: Offer) -> int:
        """Say that a worker is there; return how many there are. Raises ``StoreAway``."""
        time = await self.ask_one("TIME")
        now = int(time[0]) * 1000 + int(time[1]) // 1000
        await self._say(self._known)
        said = orjson.dumps({"limits": offer.limits.model_dump(), "durability": offer.durability})
        *_, found = await self.ask(
            ("HSET", self._workers, worker, now),
            ("HSET", self._cluster, "offer", said),
            ("HGETALL", self._workers),
        )
        times = {id: int(at) for id, at in found.items()}
        gone = [id for id, at in times.items() if at < now - _LIVE_MS]
        if gone:
            await self.ask_one("HDEL", self._workers, *gone)
        return len(times) - len(gone)

    async def leave(self, worker: str) -> None:
        """Say that a worker is gone. Raises ``StoreAway``."""
        await self.ask_one("HDEL", self._workers, worker)

    # ── gateways ─────────────────────────────────────────────────────────────────────────────────

    async def look(self) -> None:
        """Learn who has which shard, and what is served. Raises ``StoreAway``."""
        await self._learn()
        if not self.is_known:
            return
        owners = [owner_key(self.shard_prefix(shard)) for shard in range(self.shards)]
        found, offer = await self.ask(("MGET", *owners), ("HGET", self._cluster, "offer"))
        homes = {shard: _url(owner) for shard, owner in enumerate(found) if owner and not is_gone(owner)}
        self.homes = {shard: url for shard, url in homes.items() if url}
        if offer is not None:
            fields = orjson.loads(offer)
            limits = {name: value for name, value in fields["limits"].items() if name in Limits.model_fields}
            self.offer = Offer(Limits(**limits), fields["durability"])  # a newer worker may know more limits

    async def shard_of_run(self, principal: str, run: str, *, may_remember: bool) -> int | None:
        """Return the shard that has a run's log; None if none has. Raises ``StoreAway``.

        Where it ``may_remember``, a run that was found before is not looked for again.
        """
        key = run_key(principal, run)
        if may_remember and key in self._runs:
            self._runs.move_to_end(key)
            return self._runs[key]
        names = [log_keys(self.shard_prefix(shard), key)[0] for shard in range(self.shards)]
        if not await self.ask_one("EXISTS", *names):
            return None
        found = await self.ask(*(("EXISTS", name) for name in names))
        shard = next((shard for shard, there in enumerate(found) if there), None)
        if shard is not None:
            self.remember(principal, run, shard)
        return shard

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


def _url(owner: bytes) -> str:
    try:
        found = orjson.loads(owner)
    except ValueError:
        return ""
    return str(found.get("url", "")) if isinstance(found, dict) else ""
