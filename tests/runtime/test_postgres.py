"""Threads in a Postgres database, continued by another process.

About `runtime/graphwire_runtime/thread/checkpoints.py`.
"""

from __future__ import annotations

import pytest

from tests.support.postgres import fresh_database
from tests.support.programs import run_program

ASK = """
    from langgraph.checkpoint.postgres import PostgresSaver
    with PostgresSaver.from_conn_string(sys.argv[1]) as saver:
        saver.setup()
        for thread in sys.argv[2:]:
            config = {"configurable": {"thread_id": thread}}
            print(graph.compile(checkpointer=saver).invoke({}, config)["__interrupt__"][0].value)
"""

ANSWER = """
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    async def main():
        async with AsyncPostgresSaver.from_conn_string(sys.argv[1]) as saver:
            road = graph.compile(checkpointer=saver)
            for durability in sys.argv[2:]:
                config = {"configurable": {"thread_id": durability}}
                assert (await road.aget_state(config)).interrupts[0].value == "toll"
                print([each async for each in road.astream(Command(resume=7), config, durability=durability)])
                print([snapshot.metadata["step"] async for snapshot in road.aget_state_history(config)])
    asyncio.run(main())
"""


@pytest.mark.processes
def test_another_process_continues_threads_in_a_database(postgres: str) -> None:
    """One for each durability, after which it is named."""
    threads, database = ("sync", "async", "exit"), fresh_database(postgres)
    assert run_program(ASK, database, *threads).splitlines() == ["toll"] * 3
    found = iter(run_program(ANSWER, database, *threads).splitlines())
    for thread in threads:
        assert next(found) == "[{'pay': {'log': ['toll: 7']}}, {'end': {'log': ['end']}}]"
        assert next(found) == ("[2, 0, -1]" if thread == "exit" else "[2, 1, 0, -1]")
