"""Whether a Redis server is still the one that it was: every new connection may be to another one.

A server that was started again, or a replica that has taken over, may lack the end of what was written. So
each new connection is asked first whose life it has reached. If that is another one, what may be missing is
restored before any answer counts.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from redis.exceptions import ResponseError

_SECTIONS = ("server", "replication")
"""What of INFO tells one life from another: a master that was a replica in between has another history."""


class Life:
    """The life of the server that new connections reach.

    ``restore`` is awaited in each life but the first. Where the server may not say which it is, it is awaited
    when a connection was made after something had failed. Without ``restore`` nobody is asked.
    """

    def __init__(self) -> None:
        self.restore: Callable[[], Awaitable[None]] | None = None
        self._known: str | None = None
        self._new: str | None = None  # the life that a connection has reached, and nothing was restored in
        self._lock = asyncio.Lock()
        self._lives = 0
        self.has_failed = False
        """Whether something has failed since the last new connection."""

    @property
    def id(self) -> str:
        """The id of the life that the last connection has reached; empty if it may not say."""
        return self._known or ""

    async def connected(self, connection: Any) -> None:
        """Prepare a new connection: redis-py calls this."""
        await connection.on_connect()
        if self.restore is None:
            return
        await connection.send_command("INFO", *_SECTIONS)
        try:
            life = _life_of(await connection.read_response())
        except ResponseError:  # forbidden
            life = ""
        if self._known is None:
            self._known = life
        elif life != self._known or (not life and self.has_failed):
            self._new = life
        self.has_failed = False

    async def current(self) -> int:
        """Return a number of the server's life, in which nothing is missing. Raises ``StoreAway``."""
        if self._new is not None or self._lock.locked():  # what is being restored is missing still
            async with self._lock:
                while self._new is not None and self.restore is not None:
                    before, self._known, self._new = self._known, self._new, None
                    try:
                        await self.restore()
                    except BaseException:
                        self._known, self._new = before, self._known
                        raise
                    self._lives += 1
        return self._lives


def _life_of(info: bytes) -> str:
    fields = dict(line.split(":", 1) for line in info.decode().splitlines() if ":" in line)
    return f"{fields['run_id']} {fields.get('master_replid', '')}" if "run_id" in fields else ""
