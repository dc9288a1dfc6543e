"""The server's savers pass LangGraph's own tests of savers, and several loops share the threads of a file.

About `gateway/graphwire_gateway/graphs/sqlite_saver.py` and
`gateway/graphwire_gateway/graphs/memory_saver.py`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway.graphs.memory_saver import BoundedMemorySaver, ThreadLimits
from graphwire_gateway.graphs.sqlite_saver import SqliteSavers
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.conformance.capabilities import ALL_CAPABILITIES, BASE_CAPABILITIES


@pytest.mark.parametrize("capability", sorted(one.value for one in ALL_CAPABILITIES))
@pytest.mark.parametrize("kind", ["sqlite", "memory"])
async def test_a_saver_of_the_server_passes_langgraph_s_own_tests(
    tmp_path: Path, kind: str, capability: str
) -> None:
    @checkpointer_test(name=kind)
    async def saver() -> AsyncIterator[Any]:
        if kind == "memory":
            yield BoundedMemorySaver(ThreadLimits(), lambda thread: False)
        else:
            async with SqliteSavers(tmp_path / "threads.db")() as opened:
                yield opened

    report = await validate(saver, capabilities={capability})
    result = report.results[capability]
    assert result.failures == []
    is_needed = capability in BASE_CAPABILITIES
    assert result.detected is is_needed, "neither of LangGraph's savers has more"
    assert bool(result.passed) is is_needed
    assert result.tests_passed >= (5 if is_needed else 0)


def place(thread: str, **fields: str) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", **fields}}


def on_another_loop(work: Callable[[], Coroutine[Any, Any, Any]]) -> "asyncio.Future[Any]":
    """Run ``work`` on a loop in a thread of its own, as a graph's runner does."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def run() -> None:
        try:
            result = asyncio.run(work())
        except BaseException as error:
            loop.call_soon_threadsafe(done.set_exception, error)
        else:
            loop.call_soon_threadsafe(done.set_result, result)

    threading.Thread(target=run).start()
    return done


async def test_loops_share_the_threads_of_a_file_and_none_is_locked_out(tmp_path: Path) -> None:
    savers = SqliteSavers(tmp_path / "threads.db")

    async def write(name: str) -> None:
        async with savers() as saver:
            at = place(name)
            for number in range(30):
                at = await saver.aput(at, empty_checkpoint(), {"step": number}, {})
                await saver.aput_writes(at, [("channel", number)], f"task {number}")

    async def read(name: str) -> tuple[int, int]:
        async with savers() as saver:
            found = [item async for item in saver.alist(place(name))]
            return len(found), max(item.metadata["step"] for item in found)

    names = ["t/1", "t/2", "ünï/t"]
    writing = asyncio.gather(*(on_another_loop(partial(write, name)) for name in names))
    await asyncio.wait_for(writing, 60)
    for name in names:
        assert await on_another_loop(partial(read, name)) == (30, 29)


async def test_a_thread_that_one_loop_deletes_is_gone_for_all_and_no_other_is(tmp_path: Path) -> None:
    savers = SqliteSavers(tmp_path / "threads.db")

    async def delete() -> None:
        async with savers() as saver:
            await saver.adelete_thread("t")

    async with savers() as saver:
        for thread in ("t", "t/2", "other"):
            at = await saver.aput(place(thread), empty_checkpoint(), {}, {})
            await saver.aput_writes(at, [("channel", 1)], "task")
        await on_another_loop(delete)
        assert await saver.aget_tuple(place("t")) is None
        for thread in ("t/2", "other"):
            found = await saver.aget_tuple(place(thread))
            assert found is not None
            assert found.pending_writes == [("task", "channel", 1)]
        for table in ("checkpoints", "writes"):
            async with saver.conn.execute(f"SELECT DISTINCT thread_id FROM {table}") as rows:
                assert {row[0] async for row in rows} == {"t/2", "other"}
