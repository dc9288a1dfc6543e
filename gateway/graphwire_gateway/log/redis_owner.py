"""The one server that uses the stores of a prefix, for as long as it says so again and again.

A server that is killed says nothing more, and after ``LEASE_S`` another one may take its place; at once, if
that sees that the process is gone. One that was only frozen finds out when it goes on; until then the logs
refuse it, which the next server has claimed.
"""

import asyncio
import os
import socket
from typing import Any

import orjson

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log.boot import boot_id
from graphwire_gateway.log.redis_recent import Command
from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import StoreAway
from graphwire_gateway.telemetry import logger

log = logger("store")

LEASE_S = 10.0
_RENEWED_S = LEASE_S / 4
_LOOK_S = 0.25  # between two attempts to take the place of a server that says nothing

_TAKE = """
local found = redis.call('GET', KEYS[1])
if found and found ~= ARGV[1] and found ~= ARGV[3] then return 0 end
local time = redis.call('TIME')
local number = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, tonumber(time[1]))
redis.call('SET', KEYS[2], string.format('%.0f', number))
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return number
"""

# The owner that the server has lost is still the owner, unless there was another one since.
_RENEW = """
local found, number = redis.call('GET', KEYS[1]), tonumber(redis.call('GET', KEYS[2]) or '0')
if (found and found ~= ARGV[1]) or number > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_AS_OWNER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call(ARGV[2], KEYS[2], unpack(ARGV, 3))
return 1
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisOwner:
    """Owns the prefix of ``server`` from ``acquire`` to ``release``."""

    def __init__(self, server: RedisServer, writer: str) -> None:
        self._server = server
        self._value = orjson.dumps(
            {"writer": writer, "host": socket.gethostname(), "pid": os.getpid(), "where": _where()}
        )
        self._renewed_at = 0.0
        self._number = 0  # a later owner has a greater one
        self._task: asyncio.Task[None] | None = None
        self.taken = asyncio.Event()
        """Set once another server has taken its place."""

    @property
    def may_write(self) -> bool:
        """Whether nobody else can have taken its place."""
        return not self.taken.is_set() and asyncio.get_running_loop().time() < self._renewed_at + LEASE_S

    async def acquire(self) -> None:
        """Become the owner. A server that says nothing is waited for until its time is up.

        Raises ``CannotServe`` if another one has it, ``StoreAway``.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + LEASE_S + 1
        is_reported = False
        dead = b""
        while not await self._took(dead):
            found = await self._server.owner()
            dead = found if found is not None and _is_gone(found) else b""
            if dead:
                continue
            if loop.time() > end:
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
        self._task = asyncio.ensure_future(self._renew())

    async def _took(self, dead: bytes) -> bool:
        """Take the place for ``LEASE_S``, also that of ``dead``; return whether it is ours."""
        now = asyncio.get_running_loop().time()
        self._number = await self._server.on_owner(_TAKE, self._value, int(LEASE_S * 1000), dead)
        if self._number:
            self._renewed_at = now
        return bool(self._number)

    async def renew(self) -> bool:
        """Keep the place for another ``LEASE_S``; return whether it is still ours. Raises ``StoreAway``."""
        if self.taken.is_set():
            return False
        now = asyncio.get_running_loop().time()
        if await self._server.on_owner(_RENEW, self._value, int(LEASE_S * 1000), self._number):
            self._renewed_at = now
            return True
        self.taken.set()
        return False

    async def carry_out(self, command: Command) -> None:
        """Carry out a command with one key. Raises ``StoreAway``, also if this is not the owner."""
        name, key, *args = command
        owned = ("EVAL", _AS_OWNER, 2, self._server.owner_key, key, self._value, name, *args)
        if not await self._server.carry_out(owned):
            raise StoreAway(f"{self._server.name}: another server may have taken it")

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(_RENEWED_S)
            try:
                if not await self.renew():
                    return
            except StoreAway:  # the next attempt may come in time; what is written meanwhile fails by itself
                continue

    async def release(self) -> None:
        """Let another server have it at once. If the store is away, the next one waits for the lease."""
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._task = None
        try:
            await self._server.on_owner(_RELEASE, self._value)
        except StoreAway as error:
            log.warning("the next server has to wait for the lease of this one", error=str(error))


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


def _is_gone(found: bytes) -> bool:
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
