"""The saver that goes with a SQLite store: LangGraph's own, in a file beside the logs.

Each loop that graphs run on gets a connection of its own. Whoever backs the store up takes the
files of both, with what SQLite keeps beside each.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from graphwire_gateway.errors import CannotServe

_BUSY_MS = 5000


class SqliteSavers:
    """Makes savers of the threads in the file ``path``; ``Savers`` calls it on each loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.description = str(path)

    @contextlib.asynccontextmanager
    async def __call__(self) -> AsyncIterator[Any]:
        """Open a saver. Raises ``CannotServe``."""
        try:
            from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
        except ImportError as error:
            raise CannotServe(
                "a sqlite:// store keeps threads with langgraph-checkpoint-sqlite, which is not installed: "
                "pip install 'graphwire[sqlite]', or name another checkpointer"
            ) from error

        class WholeSaver(_Whole, AsyncSqliteSaver):
            """LangGraph's saver, whose writes are finished even if their runs are cancelled meanwhile."""

        async with WholeSaver.from_conn_string(str(self._path)) as opened:
            saver: Any = opened  # a WholeSaver
            await saver.conn.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            await saver.setup()
            try:
                yield saver
            finally:
                await asyncio.gather(*saver.working, return_exceptions=True)


class _Whole:
    """Lets each write of the saver behind it come to its commit.

    A write that is cancelled between its statement and its commit leaves a transaction open, and with it the
    file locked for the connections of all other loops, until its own loop writes again.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.working: set[asyncio.Task[Any]] = set()
        """What is being written."""

    async def _finished(self, work: Coroutine[Any, Any, Any]) -> Any:
        task = asyncio.ensure_future(work)
        self.working.add(task)
        task.add_done_callback(self.working.discard)
        return await asyncio.shield(task)

    async def aput(self, *args: Any, **kwargs: Any) -> Any:
        """Save a checkpoint."""
        return await self._finished(super().aput(*args, **kwargs))  # type: ignore[misc]

    async def aput_writes(self, *args: Any, **kwargs: Any) -> None:
        """Save the writes of a task."""
        await self._finished(super().aput_writes(*args, **kwargs))  # type: ignore[misc]

    async def adelete_thread(self, *args: Any, **kwargs: Any) -> None:
        """Delete a thread."""
        await self._finished(super().adelete_thread(*args, **kwargs))  # type: ignore[misc]
