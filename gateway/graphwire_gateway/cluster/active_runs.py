"""How many active runs each principal has in each shard, so that ``max_active_runs`` holds for all together.

``PREFIX:K:active`` is a hash of shard K: a principal, and how many of its runs are active there. Its home
writes it, and what it finds there when it takes the shard. A start writes the own number and reads those of
all others in one step, so that of two starts at one moment in two shards one sees the other. What another
group had active that is away does not count: it may never come back.
"""

import asyncio

from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.groups import shards_of
from graphwire_gateway.log.redis import RedisStore
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.telemetry import logger

log = logger("worker")

_UNKNOWN = -1  # what was written may have come through, or not

_AGAIN_S = 1.0  # before another attempt, where Redis was away

_COUNT = """
if redis.call('GET', ARGV[3]) ~= ARGV[4] then return -1 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
local others = 0
for i = 2, #KEYS do others = others + (redis.call('HGET', KEYS[i], ARGV[1]) or 0) end
return others
"""


class ActiveRuns:
    """Those of the home of ``shard``, which has ``store``; see ``Elsewhere``. ``open`` comes first."""

    def __init__(self, directory: Directory, shard: int, store: RedisStore) -> None:
        self._directory = directory
        self._shard = shard
        self._store = store
        self._counts: dict[str, int] = {}  # of who has active runs, or of whom others do not know yet
        self._changed: set[str] = set()  # of whom others may not know
        self._written: dict[str, int] = {}  # what they know
        self._writing = asyncio.Lock()  # a count must not arrive behind a later one
        self._has_changed = asyncio.Event()
        self._is_closed = False
        self._task: asyncio.Task[None] | None = None

    @property
    def _key(self) -> str:
        return self._directory.active_key(self._shard)

    async def open(self) -> None:
        """Write what is so now over what an earlier home has written. Raises ``StoreAway``."""
        found = await self._directory.ask_one("HKEYS", self._key)
        for name in found:  # one may be of a start here: this home serves already
            principal = name.decode()
            self._written[principal] = _UNKNOWN
            self._changed.add(principal)
        self._has_changed.set()
        self._task = asyncio.create_task(self._write())

    async def active(self, principal: str, own: int) -> int:
        """Let the others know of ``own`` active runs; return how many there are in other shards.

        Raises ``StoreAway``.
        """
        directory, groups = self._directory, self._directory.groups
        away = directory.groups_away - {groups.group_at(self._shard)}  # whose first shard this may be
        there = [name for name in groups.names if name not in away]
        shards = [shard for name in there for shard in shards_of(name, groups.count)]
        others = [shard for shard in shards if shard != self._shard]
        keys = [directory.active_key(shard) for shard in (self._shard, *others)]
        self._counts[principal] = own
        async with self._writing:
            count = self._counts.get(principal, 0)  # it may have changed while others were written
            try:
                args = (principal, count, *self._store.place)
                others_have = int(await directory.ask_one("EVAL", _COUNT, len(keys), *keys, *args))
                if others_have < 0:  # it was frozen, perhaps
                    raise StoreAway("another worker may have taken the shard")
            except BaseException:
                self._written[principal] = _UNKNOWN
                self.note(principal, self._counts.get(principal, 0))
                raise
            self._written[principal] = count
            return others_have

    def note(self, principal: str, count: int) -> None:
        """A principal has so many active runs in this shard."""
        self._counts[principal] = count
        self._changed.add(principal)
        self._has_changed.set()

    async def _write(self) -> None:
        while not self._is_closed:
            await self._has_changed.wait()
            self._has_changed.clear()
            try:
                while self._changed:
                    await self._write_one(self._changed.pop())
            except Exception as error:
                if not isinstance(error, StoreAway):
                    log.error("a worker could not write how many runs are active", error=repr(error))
                self._has_changed.set()
                await asyncio.sleep(_AGAIN_S)

    async def _write_one(self, principal: str) -> None:
        async with self._writing:
            count = self._counts.get(principal, 0)
            if not count:
                self._counts.pop(principal, None)
            if count == self._written.get(principal, 0):  # a start has said it
                return
            command = ("HSET", self._key, principal, count) if count else ("HDEL", self._key, principal)
            try:
                await self._store.carry_out(command)  # as the owner: a successor may count by now
            except BaseException:
                self._written[principal] = _UNKNOWN
                self._changed.add(principal)
                raise
            if count:
                self._written[principal] = count
            else:
                self._written.pop(principal, None)

    async def aclose(self) -> None:
        """Write nothing more."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
