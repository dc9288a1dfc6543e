"""The saver that goes with a Redis store: LangGraph's threads in a plain Redis 7 or Valkey, without modules.

Each thread has four kinds of keys with one hash tag: the hash of each checkpoint, with the writes of its
tasks; a sorted set of the checkpoints that are whole, by whose order the latest is found; a set of all
checkpoints that have a hash, for a task's writes may come before their checkpoint; and the time of the last
write. One sorted set names all threads. A step is one script: a thread is never half deleted, and one that is
written meanwhile does not expire. Where a process that was replaced may still write, the script first looks
whether it was (``Fence``).

Long because the four kinds of keys are read, written and deleted together.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any
from urllib.parse import quote

import orjson
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.base import writes_sort_key as order_of
from langgraph.checkpoint.serde.base import SerializerProtocol
from redis.asyncio import Redis

from graphwire_gateway.fence import Fence
from graphwire_gateway.graphs.blocking_saver import BlockingSaver
from graphwire_gateway.graphs.job import current_job
from graphwire_gateway.telemetry import logger

log = logger("threads")

_TIMEOUT_S = 5.0  # each for a connection and an answer
_AT_ONCE = 50  # checkpoints that are read in one message
_NAMED = 100  # threads that are named in one
_SKEW_MS = 60_000  # between the clocks of two processes, at most
_SWEEP_S = 60.0  # between two looks for threads that have expired, at most
_SWEPT = 100  # threads that one look lets go
_END = b"\xff"  # behind every id
_WRITE = b"w"  # begins the field of a write; the others are:
_CHECKPOINT, _METADATA = b"c", b"m"

_WRITE_ALL = """
if KEYS[1] and tonumber(redis.call('GET', KEYS[1]) or 0) > tonumber(ARGV[1]) then return 0 end
local at = 2
while ARGV[at] do
    redis.call(unpack(ARGV, at + 1, at + ARGV[at]))
    at = at + ARGV[at] + 1
end
return 1
"""

_LATEST = """
local found = redis.call('ZREVRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, 1)
if not found[1] then return {} end
local fields = redis.call('HGETALL', ARGV[3] .. found[1])
table.insert(fields, 1, found[1])
return fields
"""

_DELETE = """
if KEYS[5] and tonumber(redis.call('GET', KEYS[5]) or 0) > tonumber(ARGV[4]) then return -1 end
if ARGV[2] ~= '' and tonumber(redis.call('GET', KEYS[3]) or 0) > tonumber(ARGV[2]) then return 0 end
for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    redis.call('UNLINK', ARGV[3] .. name)
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
redis.call('ZREM', KEYS[4], ARGV[1])
return 1
"""


class ThreadTaken(Exception):
    """Another process has the thread by now, which goes on where this one was."""


class RedisSaver(BlockingSaver):
    """Keeps threads in the Redis server of ``client``, for the graphs of the running loop.

    A thread to which nothing was written for ``ttl_s`` seconds is deleted while a saver of that server is
    written to; None keeps threads for good. All keys begin with ``prefix``. A server that is away lets calls
    fail with redis-py's errors. ``fence()`` returns what a write has to pass, if anything: one that comes
    too late raises ``ThreadTaken``, and changes nothing.
    """

    def __init__(
        self,
        client: "Redis",
        *,
        ttl_s: float | None = None,
        prefix: str = "graphwire",
        serde: SerializerProtocol | None = None,
        fence: Callable[[], Fence | None] = lambda: None,
    ) -> None:
        super().__init__(serde=serde)
        redis: Any = client
        if redis.get_encoder().decode_responses:
            raise ValueError("a saver needs a client that returns bytes: leave decode_responses out")
        self._client = redis
        self._ttl_s = ttl_s
        self._prefix = prefix
        self._index = f"{prefix}:saved-threads"
        self._fence = fence
        self._write_all = client.register_script(_WRITE_ALL)
        self._latest = client.register_script(_LATEST)
        self._delete = client.register_script(_DELETE)
        self._swept_at = 0.0
        self._sweeping: asyncio.Task[None] | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def from_url(
        cls, url: str, *, ttl_s: float | None = None, prefix: str = "graphwire"
    ) -> AsyncIterator["RedisSaver"]:
        """Connect to the server at ``url``, as redis-py has it; the connections close with the context."""
        client = Redis.from_url(url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)
        async with client, contextlib.aclosing(cls(client, ttl_s=ttl_s, prefix=prefix)) as saver:
            yield saver

    async def aclose(self) -> None:
        """End the saver's own work. Its client is the caller's."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            await asyncio.gather(self._sweeping, return_exceptions=True)

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint and its writes: the one that is named, or the latest of its namespace."""
        thread, ns = _place(config)
        keys = _Keys(self._prefix, thread)
        id = get_checkpoint_id(config)
        if id is not None:
            name = _name(ns, id)
            return self._tuple(thread, name, await self._client.hgetall(keys.of(name)))
        bounds = [b"[" + _name(ns, _END), b"[" + _name(ns, "")]
        found: Any = await self._latest(keys=[keys.ids], args=[*bounds, keys.of(b"")])
        if not found:
            return None
        return self._tuple(thread, found[0], dict(zip(found[1::2], found[2::2], strict=True)))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, the newest of a thread first: of the thread, namespace and id that ``config``
        names, or of all threads, of which the one that was written last comes first.

        ``filter`` names values that the metadata has. ``before`` names a checkpoint that is newer than all.
        """
        async for found in self._listed(config, filter, before, limit, lambda _: True):
            yield found

    async def alist_of(
        self, keeps: Callable[[str], bool], *, filter: dict[str, Any] | None = None, limit: int | None = None
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield what ``alist`` yields of all threads, but for those that ``keeps(thread)`` leaves out.

        Nothing of these is read.
        """
        async for found in self._listed(None, filter, None, limit, keeps):
            yield found

    async def _listed(
        self,
        config: RunnableConfig | None,
        filter: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
        keeps: Callable[[str], bool],
    ) -> AsyncIterator[CheckpointTuple]:
        left = limit
        async for thread in self._threads(config):
            if not keeps(thread):
                continue
            keys = _Keys(self._prefix, thread)
            names = await self._names(keys, config, before)
            for first in range(0, len(names), _AT_ONCE):
                chunk = names[first : first + _AT_ONCE]
                if filter:
                    chunk = await self._matching(keys, chunk, filter)
                for name, fields in zip(chunk, await self._all_fields(keys, chunk), strict=True):
                    if left is not None and left <= 0:
                        return
                    found = self._tuple(thread, name, fields)
                    if found is not None:
                        left = None if left is None else left - 1
                        yield found

    async def _threads(self, config: RunnableConfig | None) -> AsyncIterator[str]:
        """Yield the thread of ``config``, or all: none twice, and none left out that is written meanwhile."""
        if config is not None:
            yield _place(config)[0]
            return
        seen: set[bytes] = set()
        newest = await self._client.zrevrange(self._index, 0, 0, withscores=True)
        at: Any = "+inf"
        ties = 0  # threads that were read and have the score ``at``
        while page := await self._client.zrevrangebyscore(
            self._index, at, "-inf", start=ties, num=_NAMED, withscores=True
        ):
            for thread, score in page:
                at, ties = score, ties + 1 if score == at else 1
                if thread not in seen:
                    seen.add(thread)
                    yield thread.decode()
        for _, began_at in newest:  # what moved to the front meanwhile, by clocks that may differ
            for thread in await self._client.zrevrangebyscore(self._index, "+inf", began_at - _SKEW_MS):
                if thread not in seen:
                    yield thread.decode()

    async def _names(
        self, keys: "_Keys", config: RunnableConfig | None, before: RunnableConfig | None
    ) -> list[bytes]:
        wanted = {} if config is None else config["configurable"]
        ns = wanted.get("checkpoint_ns")
        names: list[bytes]
        if ns is None:
            names = await self._client.zrange(keys.ids, 0, -1)
        else:
            names = await self._client.zrangebylex(keys.ids, b"[" + _name(ns, ""), b"[" + _name(ns, _END))
        named = None if config is None else get_checkpoint_id(config)
        newest = None if before is None else get_checkpoint_id(before)
        if named is not None:
            names = [name for name in names if _id(name) == named]
        if newest is not None:
            names = [name for name in names if _id(name) < newest]
        return sorted(names, key=_id, reverse=True)

    async def _matching(self, keys: "_Keys", names: list[bytes], filter: dict[str, Any]) -> list[bytes]:
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hget(keys.of(name), _METADATA)
        found = []
        for name, packed in zip(names, await pipeline.execute(), strict=True):
            if packed is not None:
                metadata = self._loaded(packed)[1]
                if all(metadata.get(key) == value for key, value in filter.items()):
                    found.append(name)
        return found

    async def _all_fields(self, keys: "_Keys", names: list[bytes]) -> list[dict[bytes, bytes]]:
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.hgetall(keys.of(name))
        found: list[dict[bytes, bytes]] = await pipeline.execute()
        return found

    def _tuple(self, thread: str, name: bytes, fields: Mapping[bytes, bytes]) -> CheckpointTuple | None:
        """Return the checkpoint in the fields of a hash; None if it is gone, or only its writes are there."""
        if _CHECKPOINT not in fields:
            return None
        ns, _, id = name.decode().partition("\0")
        (parent,), checkpoint = self._loaded(fields[_CHECKPOINT])

        def config_of(id: str) -> RunnableConfig:
            return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": id}}

        return CheckpointTuple(
            config_of(id),
            checkpoint,
            self._loaded(fields[_METADATA])[1],
            config_of(parent) if parent else None,
            [write for _, write in sorted(self._writes(fields), key=itemgetter(0))],
        )

    def _writes(self, fields: Mapping[bytes, bytes]) -> Iterator[tuple[Any, PendingWrite]]:
        """Yield the order and the task, the channel and the value of each write."""
        for field, packed in fields.items():
            if field.startswith(_WRITE):
                task, index = orjson.loads(field[len(_WRITE) :])
                (path, channel), value = self._loaded(packed)
                yield order_of(path, task, index), (task, channel, value)

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint, whose parent is the one in ``config``; return its own configuration."""
        thread, ns = _place(config)
        name = _name(ns, checkpoint["id"])
        fields = {
            _CHECKPOINT: self._packed([config["configurable"].get("checkpoint_id")], checkpoint),
            _METADATA: self._packed([], get_checkpoint_metadata(config, metadata)),
        }
        keys = _Keys(self._prefix, thread)
        saved = ("HSET", keys.of(name), *(part for field in fields.items() for part in field))
        await self._write(thread, keys, name, [saved, ("ZADD", keys.ids, 0, name)])
        self._sweep()
        return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint["id"]}}

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a task wrote, beside the checkpoint that it began from.

        What is saved already stays, except for LangGraph's own channels, such as that of errors.
        """
        thread, ns = _place(config)
        name = _name(ns, config["configurable"]["checkpoint_id"])
        keys = _Keys(self._prefix, thread)
        put = "HSET" if all(channel in WRITES_IDX_MAP for channel, _ in writes) else "HSETNX"
        saved = []
        for index, (channel, value) in enumerate(writes):
            field = _WRITE + orjson.dumps([task_id, WRITES_IDX_MAP.get(channel, index)])
            saved.append((put, keys.of(name), field, self._packed([task_path, channel], value)))
        await self._write(thread, keys, name, saved)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread, with all its namespaces."""
        await self._let_go(str(thread_id))

    async def _write(
        self, thread: str, keys: "_Keys", name: bytes, commands: Sequence[tuple[Any, ...]]
    ) -> None:
        """Carry out commands that write to a checkpoint, and name its thread."""
        now = _now_ms()
        named = [("ZADD", self._index, now, thread), ("SET", keys.used, now), ("SADD", keys.all, name)]
        key, number = _checked(self._fence())
        args = [part for command in (*named, *commands) for part in (len(command), *command)]
        if not await self._write_all(keys=key, args=[number, *args]):
            raise _taken(thread)

    async def _let_go(self, thread: str, unused_since: int | None = None) -> bool:
        keys = _Keys(self._prefix, thread)
        at = "" if unused_since is None else unused_since
        key, number = _checked(self._fence() if unused_since is None else None)
        found = await self._delete(
            keys=[keys.ids, keys.all, keys.used, self._index, *key],
            args=[thread, at, keys.of(b""), number],
        )
        if found < 0:
            raise _taken(thread)
        return bool(found)

    def _sweep(self) -> None:
        """Let threads go that have expired, once in a while, beside what is done for graphs."""
        if self._ttl_s is None or (self._sweeping is not None and not self._sweeping.done()):
            return
        now = time.monotonic()
        if now - self._swept_at >= min(_SWEEP_S, self._ttl_s / 10):
            self._swept_at = now
            self._sweeping = asyncio.ensure_future(self._sweep_once(self._ttl_s))

    async def _sweep_once(self, ttl_s: float) -> None:
        limit = _now_ms() - int(ttl_s * 1000)
        try:
            expired = await self._client.zrangebyscore(self._index, "-inf", limit, start=0, num=_SWEPT)
            gone = [thread for thread in expired if await self._let_go(thread.decode(), limit)]
        except Exception as error:  # the next look does what this one has not
            log.warning("threads that have expired could not be deleted", error=str(error))
        else:
            if gone:
                log.info("threads expired and were deleted", threads=len(gone), ttl_s=ttl_s)

    # ── bytes ────────────────────────────────────────────────────────────────────────────────────

    def _packed(self, words: list[Any], value: Any) -> bytes:
        kind, data = self.serde.dumps_typed(value)
        return orjson.dumps([kind, *words]) + b"\n" + data

    def _loaded(self, packed: bytes) -> tuple[list[Any], Any]:
        head, _, data = packed.partition(b"\n")
        kind, *words = orjson.loads(head)
        return words, self.serde.loads_typed((kind, data))


class RedisSavers:
    """Makes savers of the threads on a server; ``Savers`` calls it on each loop.

    ``open_client`` opens a client of the server that people know as ``name``; it is closed with the saver.
    Whoever's job it is writes with the fence of that job.
    """

    def __init__(
        self,
        open_client: Callable[[], contextlib.AbstractAsyncContextManager["Redis"]],
        name: str,
        prefix: str = "graphwire",
    ) -> None:
        self._open_client = open_client
        self._prefix = prefix
        self.description = name

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[RedisSaver]:
        """Open a saver."""
        async with (
            self._open_client() as client,
            contextlib.aclosing(RedisSaver(client, prefix=self._prefix, fence=_fence_of_job)) as saver,
        ):
            yield saver


class _Keys:
    """The keys of a thread. Its id is quoted, so that no other thread's keys are like them."""

    def __init__(self, prefix: str, thread: str) -> None:
        base = f"{prefix}:{{thread:{quote(thread, safe='')}}}"
        self.ids = f"{base}:ids"
        self.all = f"{base}:all"
        self.used = f"{base}:used"
        self._checkpoints = f"{base}:c:".encode()

    def of(self, name: bytes) -> bytes:
        """Return the key of the checkpoint with that name."""
        return self._checkpoints + name


def _fence_of_job() -> Fence | None:
    job = current_job()
    return None if job is None else job.fence


def _checked(fence: Fence | None) -> tuple[list[str], int]:
    """Return the key and the number that a script checks; no key if there is nothing to check."""
    return ([], 0) if fence is None else ([fence.key], fence.number)


def _taken(thread: str) -> ThreadTaken:
    return ThreadTaken(f"another process has thread {thread!r} by now, and goes on where this one was")


def _place(config: RunnableConfig) -> tuple[str, str]:
    wanted = config["configurable"]
    return str(wanted["thread_id"]), wanted.get("checkpoint_ns") or ""


def _name(ns: str, id: str | bytes) -> bytes:
    """Return the name of a checkpoint in its thread; those of a namespace are in the order of their ids."""
    return ns.encode() + b"\0" + (id if isinstance(id, bytes) else id.encode())


def _id(name: bytes) -> str:
    return name.rpartition(b"\0")[2].decode()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
