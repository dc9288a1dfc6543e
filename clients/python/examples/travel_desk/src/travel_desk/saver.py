"""The checkpointer: one SQLite file that is open while the server runs."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


@asynccontextmanager
async def make_saver() -> AsyncIterator[AsyncSqliteSaver]:
    """Open the file named by ``TRAVEL_DB``."""
    async with AsyncSqliteSaver.from_conn_string(os.environ.get("TRAVEL_DB", "travel_desk.db")) as saver:
        yield saver
