"""Whether a Redis server is still the one that it was: every new connection may be to another one.

A server that was started again, or a replica that has taken over, may lack the end of what was written. So
whenever a connection was made, the server is asked for the id of its life before its answers count. If that
is another one, what may be missing is restored first.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class Life:
    """The life of the server that ``ask`` returns the id of; empty if it may not say.

    ``restore`` is awaited in each life but the first. Where the id is not known it is awaited behind every
    connection.
    """

    def __init__(self, ask: Callable[[], Awaitable[str]]) -> None:
        self._ask = ask
        self._known: str | None = None
        self._lock = asyncio.Lock()
        self._is_unseen = False  # whether there is a connection that may be to another life
        self._lives = 0
        self.restore: Callable[[], Awaitable[None]] | None = None

    async def connected(self, connection: Any) -> None:
        """Prepare a new connection: redis-py calls this."""
        self._is_unseen = True
        await connection.on_connect()

    async def current(self) -> int:
        """Return a number of the server's life, in which nothing is missing. Raises ``StoreAway``."""
        if self.restore is not None and self._is_unseen:
            async with self._lock:
                while self._is_unseen:
                    self._is_unseen = False
                    try:
                        await self._look()
                    except BaseException:
                        self._is_unseen = True
                        raise
        return self._lives

    async def _look(self) -> None:
        life = await self._ask()
        if self._known is not None and (life != self._known or not life) and self.restore is not None:
            await self.restore()
            self._lives += 1
        self._known = life
