"""The one server that uses the stores of a prefix, for as long as it says so again and again.

A server that is killed says nothing more, and after ``LEASE_S`` another one may take its place; at once, if
that sees that the process is gone. One that was only frozen finds out when it goes on; until then the logs
refuse it, which the next server has claimed.

A thread says it, with a connection of its own: a graph may block the loop for longer than the lease, and the
server is well all the same. Its timeouts are short, so that a lost packet leaves time for more attempts.
"""

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import orjson
from redis.exceptions import ReadOnlyError

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log.boot import boot_id
from graphwire_gateway.log.redis_recent import Command
from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.telemetry import logger

log = logger("store")

LEASE_S = 10.0
_RENEWED_S = LEASE_S / 4
_AGAIN_S = 0.5  # before another attempt, where one has failed
_TIMEOUT_S = 2.0  # of the thread, for a connection and for each answer
_END_S = 3 * _TIMEOUT_S  # for the thread's end, whatever it waits for: a name may take long to resolve
_LOOK_S = 0.25  # between two attempts to take the place of a server that says nothing

_TAKE = """#!lua flags=allow-oom
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[1] and found ~= ARGV[3] then return 0 end
local time = redis.call('TIME')
local number = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, tonumber(time[1]))
redis.call('SET', KEYS[2], string.format('%.0f', number))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return number
"""

# The owner that the server has lost is still the owner, unless there was another one since. One that was
# there before may be back.
_RENEW = """#!lua flags=allow-oom
local found, number = redis.call('GET', KEYS[1]), tonumber(redis.call('GET', KEYS[2]) or '0')
local own = tonumber(ARGV[3])
if number > own or (number == own and found and found ~= ARGV[1]) then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_AS_OWNER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call(ARGV[2], KEYS[2], unpack(ARGV, 3))
return 1
"""

# A renewal that arrives only now, since the server had hung, must not take the place again.
_RELEASE = """#!lua flags=allow-oom
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
redis.call('DEL', KEYS[1])
redis.call('SET', KEYS[2], string.format('%.0f', tonumber(ARGV[2]) + 1))
"""


class RedisOwner:
    """Owns the prefix of ``server`` from ``acquire`` to ``release``.

    It waits ``patience_s`` seconds for another one to say nothing more; a little longer than its lease by
    default.
    """

    def __init__(self, server: RedisServer, writer: str, patience_s: float | None = None) -> None:
        self._server = server
        self._patience_s = LEASE_S + 1 if patience_s is None else patience_s
        self._said = {"writer": writer, "host": socket.gethostname(), "pid": os.getpid(), "where": _where()}
        self.value = orjson.dumps(self._said)
        """What it says of itself, by which it is known again."""
        self._client = server.blocking_client(_TIMEOUT_S, self._connected)  # of the thread
        self._connections = 0
        self._number = 0  # a later owner has a greater one
        self._noting = threading.Lock()
        self._renewed_at = 0.0
        self._failing_since: float | None = None
        self._is_lost = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._ended = asyncio.Event()
        self.came_back: Callable[[], None] = lambda: None
        """Called when the server answers over a new connection: it may be another one."""
        self.taken = asyncio.Event()
        """Set once another server has taken its place."""

    def announce(self, url: str) -> None:
        """Say where its server listens, from the time when it owns the prefix. Call it before ``acquire``."""
        self.value = orjson.dumps({**self._said, "url": url})

    @property
    def number(self) -> int:
        """Which owner of the prefix it is: a later one has a greater number. 0 until it is one."""
        return self._number

    @property
    def may_write(self) -> bool:
        """Whether nobody else can have taken its place."""
        return not self._is_lost and time.monotonic() < self._renewed_at + LEASE_S

    @property
    def away_s(self) -> float:
        """Seconds since which the server has answered no renewal; 0 if it has answered the last one."""
        since = self._failing_since
        return 0.0 if since is None else time.monotonic() - since

    async def acquire(self) -> None:
        """Become the owner. A server that says nothing is waited for until its time is up.

        Raises ``CannotServe`` if another one has it, ``StoreAway``.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + self._patience_s
        is_reported = False
        dead = b""
        while not await self._took(dead):
            found = await self._server.owner()
            dead = found if found is not None and is_gone(found) else b""
            if dead:
                continue
            if loop.time() >= end:
                other = _words(found)
                raise CannotServe(
                    f"{self._server.name} is in use by another graphwire server{other}; stop that one, or "
                    "give this one a prefix of its own: ?prefix=NAME"
                )
            if not is_reported:
                is_reported = True
                log.info(
                    "another server had this store; waiting for its lease to end",
                    store=self._server.name,
                    lease_s=LEASE_S,
                )
            await asyncio.sleep(_LOOK_S)
        self._loop = loop
        threading.Thread(target=self._keep, name="graphwire-store-owner", daemon=True).start()

    async def _took(self, dead: bytes) -> bool:
        """Take the place for ``LEASE_S``, also that of ``dead``; return whether it is ours."""
        now = time.monotonic()
        self._number = await self._server.on_owner(_TAKE, self.value, int(LEASE_S * 1000), dead)
        if self._number:
            self._renewed_at = now
        return bool(self._number)

    async def renew(self) -> bool:
        """Keep the place for another ``LEASE_S``; return whether it is still ours. Raises ``StoreAway``."""
        if self._is_lost:
            return False
        now = time.monotonic()
        if not self._note(now, await self._server.on_owner(_RENEW, *self._renewal())):
            self.taken.set()
        return not self._is_lost

    def _renewal(self) -> tuple[Any, ...]:
        return self.value, int(LEASE_S * 1000), self._number

    def _note(self, at: float, is_ours: Any) -> bool:
        """Note the answer to a renewal that was sent at ``at``; return whether the place is ours."""
        with self._noting:  # the loop and the thread may renew at once
            self._failing_since = None
            if is_ours:
                self._renewed_at = max(self._renewed_at, at)
            else:
                self._is_lost = True
        return bool(is_ours)

    def _on_loop(self, function: Callable[[], None]) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # it is closed
            self._loop.call_soon_threadsafe(function)

    async def carry_out(self, command: Command) -> None:
        """Carry out a command with one key. Raises ``StoreAway``, also if this is not the owner."""
        if not await self._server.carry_out(self.owned(command)):
            raise StoreAway(f"{self._server.name}: another server may have taken it")

    def owned(self, command: Command) -> Command:
        """Return a command that carries out one with one key, and does nothing if this is not the owner."""
        name, key, *args = command
        return ("EVAL", _AS_OWNER, 2, self._server.owner_key, key, self.value, name, *args)

    async def release(self) -> None:
        """Let another server have it at once. If the store is away, the next one waits for the lease."""
        if self._loop is None:
            return
        self._stopping.set()
        try:
            await asyncio.wait_for(self._ended.wait(), _END_S)
        except asyncio.TimeoutError:  # the thread ends without us
            log.warning("the store does not let go; the next server has to wait for the lease of this one")

    # ── in the thread ────────────────────────────────────────────────────────────────────────────

    def _keep(self) -> None:
        """Renew until the place is released or lost, or the loop was closed, and nobody uses the store."""
        assert self._loop is not None
        failure: Exception | None = None
        life, wait_s, connections = self._server.life.id, _RENEWED_S, 0
        try:
            while not self._stopping.wait(wait_s) and not self._is_lost and not self._loop.is_closed():
                if life != self._server.life.id:  # the connection may be to a server that was replaced
                    life = self._server.life.id
                    self._client.connection_pool.disconnect()
                now = time.monotonic()
                try:
                    if not self._note(now, self._ask(_RENEW, *self._renewal())):
                        self._on_loop(self.taken.set)
                    if failure is not None:
                        log.info("the store answers again", store=self._server.name)
                    if connections != self._connections:
                        self._on_loop(self.came_back)
                    failure, wait_s, connections = None, _RENEWED_S, self._connections
                except Exception as error:  # what is written meanwhile fails by itself
                    failure, wait_s = error, min(_AGAIN_S, _RENEWED_S)
                    if self._failing_since is None:
                        self._failing_since = now
                        log.warning(
                            "the store does not answer; trying again",
                            store=self._server.name,
                            error=str(error),
                        )
                    self._server.life.has_failed = True
            if not self._is_lost:
                self._let_go(failure)
        finally:
            self._client.close()
            self._on_loop(self._ended.set)

    def _connected(self, connection: Any) -> None:
        connection.on_connect()
        self._connections += 1

    def _let_go(self, failure: Exception | None) -> None:
        """Let another server have the place at once, unless the last attempt has failed already."""
        if failure is None:
            try:
                self._ask(_RELEASE, self.value, self._number)
            except Exception as error:
                failure = error
        if failure is not None:
            log.warning("the next server has to wait for the lease of this one", error=str(failure))

    def _ask(self, script: str, *args: Any) -> Any:
        keys = self._server.owner_keys
        try:
            return self._client.eval(script, len(keys), *keys, *args)
        except ReadOnlyError:  # the name leads to another one by now
            self._client.connection_pool.disconnect()
            raise


def _words(found: bytes | None) -> str:
    other = _fields(found)
    return f" (process {other['pid']} on {other['host']})" if "pid" in other and "host" in other else ""


def _fields(found: bytes | None) -> dict[str, Any]:
    try:
        fields = orjson.loads(found or b"{}")
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _where() -> str:
    """Return what the numbers of this process's neighbours are counted in; empty if that is not known."""
    boot = boot_id()
    try:
        return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}" if boot else ""
    except OSError:
        return ""


def url_of(found: bytes) -> str:
    """Return where an owner listens; empty if it does not say."""
    return str(_fields(found).get("url", ""))


def is_gone(found: bytes) -> bool:
    """Return whether an owner was a process beside this one, and has ended."""
    other, here = _fields(found), _where()
    if not here or other.get("where") != here:
        return False
    try:
        os.kill(int(other["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, ValueError, KeyError):
        pass
    return False
