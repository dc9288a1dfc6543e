"""Threads in a Postgres database, continued by another process.

Runs only if GRAPHWIRE_TEST_POSTGRES names a server, as in postgresql://postgres@127.0.0.1:5432/postgres, and
langgraph-checkpoint-postgres is installed with psycopg[binary].

About `runtime/graphwire_runtime/thread/checkpoints.py`.
"""

from __future__ import annotations

import os
from uuid import uuid4

import pytest

from tests.support.programs import run_program

SERVER = os.environ.get("GRAPHWIRE_TEST_POSTGRES", "")

pytestmark = pytest.mark.skipif(
    not SERVER, reason="NO POSTGRES TRIED: set GRAPHWIRE_TEST_POSTGRES to a server's address to try it"
)

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
def test_another_process_continues_a_thread_in_a_database(durability: str) -> None:
    thread = str(uuid4())
    assert run_program(ASK, SERVER, thread) == "toll"
    streamed, steps = run_program(ANSWER, SERVER, thread, durability).splitlines()
    assert streamed == "[{'pay': {'log': ['toll: 7']}}, {'end': {'log': ['end']}}]"
    assert steps == ("[2, 0, -1]" if durability == "exit" else "[2, 1, 0, -1]")
