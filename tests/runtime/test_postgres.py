"""Threads in a Postgres database, continued by another process.

About `runtime/graphwire_runtime/thread/checkpoints.py`.
"""

from __future__ import annotations

from uuid import uuid4

import pytest

from tests.support.postgres import fresh_database
from tests.support.programs import run_program

ASK = """
    config = {"configurable": {"thread_id": sys.argv[2]}}
    from langgraph.checkpoint.postgres import PostgresSaver
    with PostgresSaver.from_conn_string(sys.argv[1]) as saver:
        saver.setup()
        print(graph.compile(checkpointer=saver).invoke({}, config)["__interrupt__"][0].value)
"""

ANSWER = """
    config = {"configurable": {"thread_id": sys.argv[2]}}
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    async def main():
        async with AsyncPostgresSaver.from_conn_string(sys.argv[1]) as saver:
            road = graph.compile(checkpointer=saver)
            assert (await road.aget_state(config)).interrupts[0].value == "toll"
            print([chunk async for chunk in road.astream(Command(resume=7), config, durability=sys.argv[3])])
            print([snapshot.metadata["step"] async for snapshot in road.aget_state_history(config)])
    asyncio.run(main())
"""


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
def test_another_process_continues_a_thread_in_a_database(durability: str, postgres: str) -> None:
    thread, database = str(uuid4()), fresh_database(postgres)
    assert run_program(ASK, database, thread) == "toll"
    streamed, steps = run_program(ANSWER, database, thread, durability).splitlines()
    assert streamed == "[{'pay': {'log': ['toll: 7']}}, {'end': {'log': ['end']}}]"
    assert steps == ("[2, 0, -1]" if durability == "exit" else "[2, 1, 0, -1]")
