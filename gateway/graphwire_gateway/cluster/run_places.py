"""Where runs are, as gateways find it: in which shard a run has its log, or is being started.

``PREFIX:starting:RUN`` is a hash: the ``shard`` in which a run is being started, of which no log tells yet,
and how many ``starts`` of it are not answered.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, Protocol

from graphwire_gateway.cluster.groups import Groups
from graphwire_gateway.log.redis_keys import log_keys, starting_key
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.scope import run_key

_REMEMBERED = 10_000  # runs
_START_MS = 60_000  # in which the home of a run that is started begins its log, if it does

_LEFT_MS = 12_000  # the same of a client that has left: by then a home that hangs has lost its shard

# Several may start a run in one shard at once: the note of it stays until all of them are answered.
_NOTE = """
local at = redis.call('HGET', KEYS[1], 'shard')
if not at or at == ARGV[1] then
    at = ARGV[1]
    redis.call('HSET', KEYS[1], 'shard', at)
    redis.call('HINCRBY', KEYS[1], 'starts', 1)
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return {at, unpack(redis.call('HMGET', KEYS[2], 'life', 'version'))}
"""

_LET_GO = """
if redis.call('HGET', KEYS[1], 'shard') ~= ARGV[1] then return end
if redis.call('HINCRBY', KEYS[1], 'starts', -1) <= 0 then redis.call('DEL', KEYS[1]) end
"""

_LET_GO_LATER = """
if redis.call('HGET', KEYS[1], 'shard') == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2], 'LT') end
"""


class _Shards(Protocol):
    """What is known of a cluster: its ``Directory``."""

    groups: Groups
    version: tuple[bytes | None, bytes | None]

    @property
    def prefix(self) -> str: ...

    @property
    def key(self) -> str: ...

    def shard_prefix(self, shard: int) -> str: ...

    async def look(self) -> None: ...

    async def ask_one(self, *command: Any) -> Any: ...

    async def ask(self, *commands: tuple[Any, ...]) -> list[Any]: ...


class RunPlaces:
    """Finds runs in the shards of ``directory``."""

    def __init__(self, directory: _Shards) -> None:
        self._directory = directory
        self._places: OrderedDict[str, int] = OrderedDict()  # the shard of each run that was looked for
        self._work: set[asyncio.Task[None]] = set()

    def clear(self) -> None:
        """Look for all runs anew."""
        self._places.clear()

    async def shard_of(self, principal: str, run: str, *, may_remember: bool) -> int | None:
        """Return the shard that has a run's log; None if none has. Raises ``StoreAway``.

        Where it ``may_remember``, a run that was found before is not looked for again.
        """
        key = run_key(principal, run)
        if may_remember and key in self._places:
            self._places.move_to_end(key)
            return self._places[key]
        names = self._names(key)
        found = await self._directory.ask_one("EXISTS", *names.values())
        return await self._which(principal, run, names) if found else None

    def _names(self, key: str) -> dict[int, str]:
        """Return the name of a run's log in each shard."""
        return {
            shard: log_keys(self._directory.shard_prefix(shard), key)[0]
            for shard in self._directory.groups.shards
        }

    async def _which(self, principal: str, run: str, names: Mapping[int, str]) -> int | None:
        found = await self._directory.ask(*(("EXISTS", name) for name in names.values()))
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
        note = ("EVAL", _NOTE, 2, self._starting(principal, run), self._directory.key, shard, _START_MS)
        (noted, *version), found = await self._directory.ask(note, ("EXISTS", *names.values()))
        at = int(noted)
        try:
            if tuple(version) != self._directory.version:  # it may be in a group that is not known here
                await self._directory.look()
                names = self._names(key)
                found = await self._directory.ask_one("EXISTS", *names.values())
            known = await self._which(principal, run, names) if found else None
        except BaseException:
            if at == shard:  # or nobody could start the run elsewhere for a minute
                self.let_go(principal, run, shard)
            raise
        if known is None and self._directory.groups.group_at(at) == self._directory.groups.group_at(shard):
            known = at
        return known, at == shard

    def let_go(self, principal: str, run: str, shard: int) -> None:
        """A start was answered: there is a log, or the run may be started elsewhere."""
        self._later("EVAL", _LET_GO, 1, self._starting(principal, run), shard)

    def let_go_later(self, principal: str, run: str, shard: int) -> None:
        """A client that started a run has left, and nobody will know what its home has made of that."""
        self._later("EVAL", _LET_GO_LATER, 1, self._starting(principal, run), shard, _LEFT_MS)

    def _later(self, *command: Any) -> None:
        async def ask() -> None:
            with contextlib.suppress(StoreAway):  # what is noted of a start ends by itself
                await self._directory.ask_one(*command)

        self._work.add(task := asyncio.ensure_future(ask()))
        task.add_done_callback(self._work.discard)

    def _starting(self, principal: str, run: str) -> str:
        return starting_key(self._directory.prefix, run_key(principal, run))

    def remember(self, principal: str, run: str, shard: int) -> None:
        """Note where a run is."""
        key = run_key(principal, run)
        self._places[key] = shard
        self._places.move_to_end(key)
        if len(self._places) > _REMEMBERED:
            self._places.popitem(last=False)

    def forget(self, principal: str, run: str) -> None:
        """Look for a run anew when it is asked for again."""
        self._places.pop(run_key(principal, run), None)

    async def aclose(self) -> None:
        """End what is under way."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
