"""With `synchronous=full` an event is synced to the disk before a client is sent it: system calls show that.

About `gateway/graphwire_gateway/log/sqlite.py`, `gateway/graphwire_gateway/log/database.py` and
`gateway/graphwire_gateway/log/commit.py`.
"""

import asyncio
import re
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.support.peer import spec
from tests.support.processes import started
from tests.support.traces import calls, is_whole, sent_before_synced, tracing
from tests.support.waiting import until

pytestmark = pytest.mark.processes

EVENTS = 40
GRAPHS = f"""
import asyncio
from typing import TypedDict
from graphwire_runtime import START, StateGraph, StreamWriter


class State(TypedDict, total=False):
    done: bool


async def tell(state: State, writer: StreamWriter) -> State:
    for number in range({EVENTS}):
        writer({{"mark": f"event-{{number:04}}."}})
        await asyncio.sleep(number % 3 * 0.005)  # alone, and several in a group
    return {{"done": True}}


graph = StateGraph(State).add_node(tell).add_edge(START, "tell").compile()
"""
LISTENING = re.compile(r"serves .* at (ws://127\.0\.0\.1:\d+/ws)")


@pytest.mark.parametrize(("synchronous", "durability"), [("full", "power"), ("normal", "crash")])
async def test_what_is_sent_was_synced_before_if_the_server_says_power(
    connect, tmp_path: Path, synchronous: str, durability: str
) -> None:
    (tmp_path / "graphs.py").write_text(GRAPHS)
    output = tmp_path / "trace"
    store = f"sqlite:///{tmp_path / 'runs.db'}?synchronous={synchronous}"
    command = [sys.executable, "-m", "graphwire", "serve", "g=./graphs.py:graph", "--store", store]
    options = ["--port", "0", "--no-console"]
    async with started(*tracing(output), *command, *options, cwd=tmp_path, stderr=PIPE) as process:
        assert process.stderr is not None
        said = ""
        while not (found := LISTENING.search(said)):
            line = await asyncio.wait_for(process.stderr.readline(), 60)
            assert line, said
            said += line.decode()
        peer = await connect(found[1], hello=False)
        assert (await peer.ask(type="hello"))["durability"] == durability
        await peer.run("g", {}, spec(1, "custom", "lifecycle"), run="r")
        await peer.closed(1)
        marks = [event["data"]["mark"] for event in peer.events(1) if event["mode"] == "custom"]
        process.terminate()
        await asyncio.wait_for(process.communicate(), 60)
        await until(lambda: is_whole(output))
    assert len(marks) == EVENTS
    early = sent_before_synced(list(calls(output)), "runs.db-wal", marks)
    assert early == ([] if durability == "power" else marks)  # nobody waits for a disk without need
