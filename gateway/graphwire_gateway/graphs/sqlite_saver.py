"""The saver that goes with a SQLite store: LangGraph's own, in a file beside the logs.

Each loop that graphs run on gets a connection of its own. Whoever backs the store up takes both files.
"""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from graphwire_gateway.errors import CannotServe

STORE = "store"
"""The checkpointer that goes with the store."""

_BUSY_MS = 5000


def saver_for(checkpointer: Any, threads: Path | None) -> Any:
    """Return what ``Savers`` takes: ``checkpointer``, or what makes the saver that goes with the store.

    The latter keeps threads in the file ``threads``, and is the default if there is one. Raises
    ``CannotServe`` if it is asked for and there is none.
    """
    if threads is not None and (checkpointer is None or checkpointer == STORE):
        return SqliteSavers(threads)
    if checkpointer == STORE:
        raise CannotServe(
            f"the checkpointer: {STORE!r} keeps threads beside the logs, which only a sqlite:// store has; "
            "name such a store, or another checkpointer"
        )
    return checkpointer


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
        async with AsyncSqliteSaver.from_conn_string(str(self._path)) as saver:
            await saver.conn.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            await saver.setup()
            yield saver
