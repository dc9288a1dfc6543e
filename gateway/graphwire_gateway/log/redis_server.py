"""The Redis server of a store: its address, what it must be and promises, its keys, and calls of scripts.

What it must be is checked once, by ``open``: a Redis or Valkey of version 7 at least, one that is written
to and no Cluster, and that lets this user do what a store does. redis-py repeats nothing by itself, so each
call takes two timeouts at most: that of a new connection and that of the answer.

Long because what a server must be is asked over the same connections as all else.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, get_args
from urllib.parse import parse_qsl, urlencode

import redis as blocking
from graphwire_protocol.types import Durability
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log.redis_address import TIMEOUT_S, blocking_client_of, client_of, without_password
from graphwire_gateway.log.redis_keys import log_keys, owner_key
from graphwire_gateway.log.redis_life import Life
from graphwire_gateway.log.redis_recent import Command
from graphwire_gateway.log.redis_scripts import APPEND, CREATE, DELETE, READ, Script
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.telemetry import logger

log = logger("store")

_VERSION = 7
_CONNECTIONS = 16  # that are used at once, beside those of appends and of who follows
_PROBE_MS = 10_000
_RESTORED = 500  # commands that are sent again in one message
_CONFIG = ("appendonly", "appendfsync", "no-appendfsync-on-rewrite", "maxmemory", "maxmemory-policy")
MAX_SHARDS = 256
"""Into how many parts workers may divide a store."""

_OURS = ("prefix", "durability", "shards")


class ScriptCall(NamedTuple):
    """A script, the run on whose log it works, and its arguments."""

    script: Script
    run: str
    args: Sequence[Any]


class RedisServer:
    """The server at ``url``.

    ``redis://``, ``rediss://`` and ``unix://`` are as redis-py has them. A master that Sentinels know is
    ``redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/SERVICE/DB``; ``rediss+sentinel://`` takes TLS to
    both, and ``sentinel_username=..`` and ``sentinel_password=..`` are for the Sentinels. Beside redis-py's
    own options there are ``prefix=..`` of all keys (``graphwire``); ``durability=..``, where the server does
    not let its configuration be read; and ``shards=..``, of workers (``cluster/directory.py``). What fails
    for want of a connection is tried ``attempts`` times, for some seconds. Raises ``CannotServe`` for a url
    that is none.
    """

    def __init__(self, url: str, *, attempts: int = 1, warns: bool = True) -> None:
        self.durability: Durability = "none"
        """What survives, known after ``open``: see there."""
        self.name = without_password(url)
        self.life = Life()
        self._warns = warns
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._address, _, query = url.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True)
        options = {name: value for name, value in pairs if name in _OURS}
        self._theirs = urlencode([(name, value) for name, value in pairs if name not in _OURS])
        self.prefix = options.get("prefix", "graphwire")
        self._durability = options.get("durability")
        self.shards = _shards(self.name, options.get("shards"))
        """How many parts the url asks for; None if it does not say."""
        if self._durability not in (None, *get_args(Durability)):
            raise CannotServe(f"{self.name}: durability is one of {', '.join(get_args(Durability))}")
        try:
            self._client, self._sentinel = client_of(
                self._address, self._theirs, attempts, self.life.connected
            )
            pool: Any = self._client.connection_pool
            pool.make_connection()  # which refuses options that it does not know
        except (ValueError, TypeError) as error:
            raise self._is_none(error) from error
        if options.get("prefix") == "":
            raise CannotServe(f"{self.name}: prefix is empty; leave it out, or name one: ?prefix=NAME")

    def _is_none(self, error: Exception) -> CannotServe:
        unknown = re.search(r"unexpected keyword argument '(\w+)'", str(error))
        reason = f"{unknown[1]!r} is no option of it" if unknown else error
        return CannotServe(f"{self.name} is no address of a Redis server: {reason}")

    @property
    def client(self) -> "Redis":
        """A client, for others than the store."""
        return self._client

    def blocking_client(self, timeout_s: float, on_connect: Callable[[Any], None]) -> "blocking.Redis":
        """Return a client of the same server for a thread: see ``blocking_client_of``. It is the caller's.

        Its connections are no part of ``life``. Raises ``CannotServe`` for a url that is none.
        """
        try:
            client = blocking_client_of(self._address, self._theirs, timeout_s, on_connect)
            pool: Any = client.connection_pool
            pool.make_connection()
        except (ValueError, TypeError) as error:
            raise self._is_none(error) from error
        return client

    # ── names ────────────────────────────────────────────────────────────────────────────────────

    def keys(self, run: str) -> tuple[str, str]:
        """Return the two keys of a run's log, which have one hash tag."""
        return log_keys(self.prefix, run)

    def channel(self, run: str) -> str:
        """Return the channel where the growth of a run's log is published."""
        return f"{self.prefix}:{{run:{run}}}:head"

    def run_of(self, name: str) -> str:
        """Return the run that a key or a channel belongs to."""
        return name[len(self.prefix) + len(":{run:") : name.rindex("}:")]

    # ── what it is ───────────────────────────────────────────────────────────────────────────────

    async def open(self) -> None:
        """Check that the server can be used, and find out what it promises. Raises ``CannotServe``.

        ``power``: every write is on the disk before it is answered (``appendfsync always``). ``crash``: it
        is in the file that the server appends to, so a crash of ours costs nothing, and one of the server
        at most two seconds, while a slow disk makes it wait (``everysec``). Behind Sentinels another server
        may take over that lacks the newest writes: that is ``crash`` at best. ``none``: no such file, or
        nobody may know. What a server lost is recognised later, as ``Rewound``.
        """
        try:
            await self._check_kind()
            await self._check_config()
            await self._probe()
        except AuthenticationError as error:
            hint = "; a password is written redis://:PASSWORD@HOST" if "NOAUTH" in str(error) else ""
            raise CannotServe(f"{self.name} refuses the user or the password: {error}{hint}") from error
        except ResponseError as error:
            needs = (
                f"; its user needs '~{self.prefix}:*', '&{self.prefix}:*', @connection, @hash, @string, "
                "@stream, @sortedset, @set, @keyspace, @scripting, @pubsub and time"
            )
            may_lack = isinstance(error, NoPermissionError) or "permission" in str(error)
            raise CannotServe(
                f"{self.name} refuses what a store does: {error}{needs if may_lack else ''}"
            ) from error
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            raise CannotServe(
                f"{self.name} cannot be reached: {error or type(error).__name__}; is a Redis running there?"
            ) from error

    async def _check_kind(self) -> None:
        found = await self._asked("HELLO")
        pairs = found.items() if isinstance(found, Mapping) else zip(found[::2], found[1::2], strict=True)
        kind = {_text(name): _text(value) for name, value in pairs}
        if kind["mode"] == "cluster":
            raise CannotServe(
                f"{self.name} is a node of a Redis Cluster, which a store cannot use yet; name a single "
                "server, or one behind Sentinels"
            )
        if kind["mode"] == "sentinel":
            raise CannotServe(
                f"{self.name} is a Sentinel; write redis+sentinel://HOST:PORT/SERVICE, with the name of the "
                "service that it watches"
            )
        if kind["role"] != "master":
            raise CannotServe(f"{self.name} is a replica, and cannot be written; name its master")
        if int(kind["version"].split(".")[0]) < _VERSION:
            raise CannotServe(
                f"{self.name} has version {kind['version']}; a store needs {_VERSION} or newer, of Redis or "
                "Valkey"
            )

    async def _check_config(self) -> None:
        try:
            config = await self._client.config_get(*_CONFIG)
        except ResponseError as error:  # forbidden, or renamed
            self.durability = _durability(self._durability or "none")
            if self._durability is None and self._warns:
                log.warning(
                    "Redis does not let its configuration be read, so nothing is promised; "
                    "the url may say durability=..",
                    store=self.name,
                    error=str(error),
                )
            return
        known = {_text(name): _text(value) for name, value in config.items()}
        config = {name: known.get(name, "") for name in _CONFIG}  # it may show some of them alone
        if config["maxmemory"] not in ("0", "") and config["maxmemory-policy"] != "noeviction":
            raise CannotServe(
                f"{self.name} deletes keys when its memory is full, and with them logs that are needed; set "
                f"its maxmemory-policy to noeviction (it is {config['maxmemory-policy']})"
            )
        if self._durability is not None:
            self.durability = _durability(self._durability)
        elif config["appendonly"] == "yes":
            is_synced = config["appendfsync"] == "always" and config["no-appendfsync-on-rewrite"] == "no"
            self.durability = "power" if is_synced and self._sentinel is None else "crash"
        elif self._warns:
            log.warning(
                "Redis writes nothing to a file, so its end would take all runs; set appendonly yes there",
                store=self.name,
            )

    async def _probe(self) -> None:
        """Do once what a store does, so that what is forbidden is known at once."""
        name = f"{self.prefix}:{{probe:{os.urandom(6).hex()}}}"
        keys, channel = (f"{name}:log", f"{name}:events"), f"{name}:head"
        for script, args in (
            (CREATE, ["e", b"", _PROBE_MS, channel, "w", 1, "", ""]),
            (APPEND, ["e", 1, 1, 1, _PROBE_MS, channel, "", "", "", "", "w", "1-1", b""]),
            (READ, [0, 1, 1, "1"]),
            (DELETE, ["", channel, ""]),
        ):
            await self._asked("EVAL", script.text, 2, *keys, *args)
        await self._asked("SET", f"{name}:owner", b"w", "PX", _PROBE_MS)
        for command in (("ZADD", 0, b"i"), ("UNLINK",), ("SADD", b"i"), ("UNLINK",)):  # as a saver does
            await self._asked(command[0], f"{name}:ids", *command[1:])
        async with self.subscriber() as pubsub:
            await pubsub.subscribe(channel)
            await pubsub.get_message(timeout=TIMEOUT_S)

    async def _asked(self, *command: Any) -> Any:
        """Return the answer to a command; raises what redis-py raises."""
        return await self._client.execute_command(*command)  # type: ignore[no-untyped-call]

    # ── calls ────────────────────────────────────────────────────────────────────────────────────

    async def call(self, script: Script, run: str, *args: Any) -> Any:
        """Call a script on the log of a run; return what it returns. Raises ``StoreAway``."""
        return (await self.call_all([ScriptCall(script, run, args)]))[0]

    async def call_all(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Call scripts, in one message to the server; return what each returns.

        Raises ``StoreAway`` if one fails. The others may have been carried out.
        """
        async with self._turns:
            return self._checked(await self.call_each(calls))

    async def call_each(self, calls: Sequence[ScriptCall]) -> list[Any]:
        """Call scripts as ``call_all`` does, and wait for no connection that others use.

        Return an exception for each that has failed by itself. Raises ``StoreAway``.
        """
        answers = await self._sent([self._command("EVALSHA", call.script.sha, call) for call in calls])
        missing = [number for number, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if missing:  # the server was restarted, say
            again = [self._command("EVAL", calls[number].script.text, calls[number]) for number in missing]
            for number, answer in zip(missing, await self._sent(again), strict=True):
                answers[number] = answer
        return answers

    async def fields(self, runs: Sequence[str], *names: str) -> list[list[bytes | None]]:
        """Return fields of the hashes of runs; all are None for a run without a log. Raises ``StoreAway``."""
        return await self.answers(self.field_commands(runs, *names))

    def field_commands(self, runs: Sequence[str], *names: str) -> list[Command]:
        """Return the commands that ask for fields of the hashes of runs."""
        return [("HMGET", self.keys(run)[0], *names) for run in runs]

    async def runs(self, ask: Callable[[Sequence[Command]], Awaitable[list[Any]]] | None = None) -> list[str]:
        """Return all runs that have logs, in no order. Raises ``StoreAway``.

        ``ask`` carries out commands: ``answers`` by default. It looks at all keys of the server: an index
        would be a second truth, which expiry does not keep.
        """
        escaped = re.sub(r"([*?\[\]\\^-])", r"\\\1", self.prefix)
        pattern = f"{escaped}:{{run:*}}:log"
        found: set[str] = set()
        cursor = 0
        while True:
            command = ("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
            ((at, keys),) = await (ask or self.answers)([command])
            found.update(self.run_of(key.decode()) for key in keys)
            cursor = int(at)
            if cursor == 0:
                return list(found)

    async def threads(self) -> dict[str, bytes]:
        """Return what is kept of threads, by their ids. Raises ``StoreAway``."""
        found: dict[str, bytes] = {}
        cursor = 0
        while True:
            command = ("HSCAN", self._threads, cursor, "COUNT", 1000)
            ((at, pairs),) = await self.answers([command])
            pairs = pairs.items() if isinstance(pairs, Mapping) else zip(pairs[::2], pairs[1::2], strict=True)
            found.update((name.decode(), data) for name, data in pairs)
            cursor = int(at)
            if cursor == 0:
                return found

    def thread_command(self, thread: str, data: bytes | None) -> Command:
        """Return the command that keeps something of a thread, or nothing any more."""
        return ("HDEL", self._threads, thread) if data is None else ("HSET", self._threads, thread, data)

    async def carry_out(self, command: Command) -> Any:
        """Carry out a command; return its answer. Raises ``StoreAway``."""
        return (await self.answers([command]))[0]

    @property
    def _threads(self) -> str:
        return f"{self.prefix}:threads"

    @property
    def owner_key(self) -> str:
        """The key that says which server owns the prefix."""
        return owner_key(self.prefix)

    @property
    def owner_keys(self) -> tuple[str, str]:
        """Who owns the prefix, and how many owners there were: the keys of ``on_owner``."""
        return self.owner_key, f"{self.prefix}:owners"

    async def on_owner(self, script: str, *args: Any) -> Any:
        """Call a script on the keys of the server that owns the prefix. Raises ``StoreAway``.

        What the server may have lost is not restored before: who may do that is asked here.
        """
        keys = self.owner_keys
        return self._checked(await self._exchanged([("EVAL", script, len(keys), *keys, *args)]))[0]

    async def owner(self) -> bytes | None:
        """Return what the server that owns the prefix says of itself. Raises ``StoreAway``."""
        found: bytes | None = await self.carry_out(("GET", self.owner_key))
        return found

    async def known_life(self) -> str:
        """Return the life in which the last owner found all logs whole. Raises ``StoreAway``."""
        (found,) = await self.answers([("GET", f"{self.prefix}:life")])
        return "" if found is None else found.decode()

    def life_command(self, life: str) -> Command:
        """Return the command that notes the life in which all logs are whole."""
        return ("SET", f"{self.prefix}:life", life)

    @asynccontextmanager
    async def subscriber(self) -> AsyncIterator[PubSub]:
        """Yield a connection of its own that can subscribe to channels."""
        pubsub = self._client.pubsub()
        try:
            yield pubsub
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    def again(self, call: ScriptCall) -> Command:
        """Return a call as a command that any server understands."""
        return self._command("EVAL", call.script.text, call)

    def _command(self, name: str, script: str, call: ScriptCall) -> Command:
        return (name, script, 2, *self.keys(call.run), *call.args)

    async def answers(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands; return their answers. Raises ``StoreAway``."""
        async with self._turns:
            return self._checked(await self._sent(commands))

    async def restore(self, commands: Sequence[Command]) -> None:
        """Send commands again that a server may have lost, for ``Life.restore``. Raises ``StoreAway``."""
        await self._client.connection_pool.disconnect(inuse_connections=False)  # they may be to the old one
        await self.send_again(commands)

    async def send_again(self, commands: Sequence[Command]) -> None:
        """Send commands that a full server may refuse, for ``Life.restore``. Raises ``StoreAway``."""
        for at in range(0, len(commands), _RESTORED):
            answers = await self._exchanged(commands[at : at + _RESTORED])
            # What a full server lacks for that is looked for behind this.
            self._checked([answer for answer in answers if not isinstance(answer, OutOfMemoryError)])

    async def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands at once, for ``Life.restore``. Raises ``StoreAway``."""
        return self._checked(await self._exchanged(commands))

    async def _sent(self, commands: Sequence[Command]) -> list[Any]:
        """Carry out commands, once more if the server was another one before it was known."""
        while True:
            life = await self.life.current()
            answers = await self._exchanged(commands)
            if life == await self.life.current():
                return answers

    async def _exchanged(self, commands: Sequence[Command]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            answers: list[Any] = await pipeline.execute(raise_on_error=False)
        except (RedisError, OSError, asyncio.TimeoutError) as error:
            self.life.has_failed = True
            raise StoreAway(f"{self.name}: {error or type(error).__name__}") from error
        if any(isinstance(answer, ReadOnlyError) for answer in answers):
            # The name leads to another server by now.
            self.life.has_failed = True
            await self._client.connection_pool.disconnect(inuse_connections=False)
        return answers

    def _checked(self, answers: list[Any]) -> list[Any]:
        for answer in answers:
            if isinstance(answer, Exception):
                raise StoreAway(f"{self.name}: {answer}") from answer
        return answers

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()
        if self._sentinel is not None:
            await self._sentinel.aclose()


def _shards(name: str, text: str | None) -> int | None:
    if text is None or (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_SHARDS):
        return None if text is None else int(text)
    raise CannotServe(f"{name}: shards is a number from 1 to {MAX_SHARDS}")


def _durability(name: str) -> Durability:
    (found,) = (each for each in get_args(Durability) if each == name)
    durability: Durability = found
    return durability


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
