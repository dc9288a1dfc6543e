"""The saver that goes with a SQLite store: what it writes is whole, whoever waits for that.

About `gateway/graphwire_gateway/graphs/sqlite_saver.py`.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway.graphs.sqlite_saver import SqliteSavers
from langgraph.checkpoint.base import empty_checkpoint


def place(thread: str, **fields: str) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", **fields}}


@pytest.mark.parametrize("method", ["aput", "aput_writes", "adelete_thread"])
async def test_a_write_whose_run_was_cancelled_locks_out_no_other_loop(tmp_path: Path, method: str) -> None:
    arguments = {
        "aput": (place("t"), empty_checkpoint(), {}, {}),
        "aput_writes": (place("t", checkpoint_id="c"), [("a", 1), ("b", 2)], "task"),
        "adelete_thread": ("t",),
    }
    savers = SqliteSavers(tmp_path / "threads.db")
    async with savers() as one, savers() as other:
        await one.aput(place("t"), empty_checkpoint(), {}, {})
        await other.conn.execute("PRAGMA busy_timeout=100")
        for turns in range(12):
            writing = asyncio.ensure_future(getattr(one, method)(*arguments[method]))
            for _ in range(turns):
                await asyncio.sleep(0)
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            await asyncio.gather(*one.working)
            assert not one.conn.in_transaction
            await other.aput(place("other"), empty_checkpoint(), {}, {})


async def test_a_saver_is_closed_when_what_it_writes_is_whole(tmp_path: Path) -> None:
    savers = SqliteSavers(tmp_path / "threads.db")
    async with savers() as saver:
        writing = asyncio.ensure_future(saver.aput(place("t"), empty_checkpoint(), {}, {}))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    async with savers() as saver:
        assert await saver.aget_tuple(place("t")) is not None
