"""A client writes thread after thread into the server's memory; it keeps what is in use, and its limit.

About `gateway/graphwire_gateway/graphs/memory_saver.py`.
"""

from typing import Any

import pytest

from tests.live.conftest import Connect, Serve
from tests.support.graphs import Library
from tests.support.peer import spec
from tests.support.questions import asker, stepper

pytestmark = pytest.mark.abuse

LIMIT = 200_000
THREADS = 60
TOPIC = "x" * 10_000


async def test_threads_in_memory_stay_within_their_limit(
    serve: Serve, connect: Connect, lib: Library
) -> None:
    server = await serve({"asker": asker(lib), "stepper": stepper(lib)}, thread_bytes=LIMIT)
    saver: Any = server.catalog.get("stepper").saver
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, spec(0, "values"), run="asking", thread="asking")
    await peer.until(lambda frame: frame.get("mode") == "interrupt")
    for number in range(THREADS):
        await peer.run("stepper", {"topic": TOPIC}, spec(number + 1, "values"), thread=f"t{number}")
        await peer.closed(number + 1)
        assert saver.bytes <= LIMIT + 4 * len(TOPIC), "one thread is written beyond it, while it is in use"
    gone = await peer.ask(type="state", graph="stepper", thread="t0")
    assert (gone["values"], gone["next"], gone["metadata"]) == ({}, [], None)
    kept = await peer.ask(type="state", graph="stepper", thread=f"t{THREADS - 1}")
    assert kept["values"]["topic"] == TOPIC
    asking = await peer.ask(type="state", graph="asker", thread="asking")
    (asked,) = asking["interrupts"]
    await peer.ask(type="respond", run="asking", responses=[{"interrupt": asked["id"], "value": "yes"}])
    await peer.closed(0)
    assert (await peer.ask(type="result", run="asking"))["output"]["said"] == ["plan x", "yes", "done"]
