"""On every runner a graph streams the same, blocks nobody else, and produces no more than is consumed.

About `gateway/graphwire_gateway/graphs/runner.py` and `gateway/graphwire_gateway/execution/execution.py`.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from graphwire_gateway import GraphSpec
from graphwire_gateway.execution.execution import HAND_OVER_BYTES, HAND_OVER_EVENTS

from tests.support.graphs import OURS, Counter, Library, Stream, counter, node, talker
from tests.support.log import Log
from tests.support.peer import Frame, everything, spec
from tests.support.stores import GatedStore


def _comparable(log: Log) -> list[Frame]:
    """Return a log's events without what differs from run to run: ids, times, tasks' interleaving."""
    names: dict[str, int] = {}
    out = []
    for event in log.events:
        data = event["data"]
        if event["mode"] in ("tasks", "debug", "checkpoints", "lifecycle"):
            data = None
        if event["mode"] == "messages":
            data = {**data, "id": names.setdefault(data["id"], len(names))}
        ns = [segment.partition(":")[0] for segment in event.get("ns", ())]
        out.append({"mode": event["mode"], "ns": ns, "node": event.get("node"), "data": data})
    return out


async def test_thread_and_inline_give_equal_streams(serve, connect, lib: Library) -> None:
    graphs = {name: GraphSpec(talker(lib), name) for name in ("inline", "thread", "own")}
    server = await serve(graphs)
    peer = await connect(server)
    logs = {}
    for sub, name in enumerate(graphs):
        await peer.run(name, {"topic": "x"}, everything(sub))
        logs[name] = Log(frame for frame in await peer.closed(sub) if frame["type"] == "event")
        assert logs[name].events[-1]["data"]["status"] == "completed"

    def by_place(log: Log) -> dict[str, list[Frame]]:
        # Two nodes are at work at once; what each of them yields is in order.
        out: dict[str, list[Frame]] = {}
        for event in _comparable(log):
            key = f"{event['mode']} {event['ns']} {event['node']}"
            data = event["data"] if event["mode"] != "messages" else {**event["data"], "id": 0}
            out.setdefault(key, []).append({**event, "data": data})
        return out

    assert by_place(logs["inline"]) == by_place(logs["thread"])


async def test_a_graph_that_blocks_its_thread_delays_no_other(serve, connect) -> None:
    release, at_work = threading.Event(), threading.Event()

    async def block(state: Counter) -> Counter:
        at_work.set()
        release.wait(20)
        return {"done": 1}

    server = await serve({"blocks": node(block), "counter": counter()}, runner="own")
    peer = await connect(server)
    try:
        await peer.run("blocks", {"count": 1}, everything(1), run="b")
        assert await asyncio.to_thread(at_work.wait, 10)
        for sub in range(2, 12):
            await peer.run("counter", {"count": 100}, everything(sub))
            assert (await peer.closed(sub))[-1]["status"] == "completed"
        assert (await peer.ask(type="result", run="b"))["status"] == "running"
    finally:
        release.set()
    assert (await peer.closed(1))[-1]["status"] == "completed"


async def test_a_list_of_graphs_waits_for_no_busy_graph_and_what_follows_it_neither(serve, connect) -> None:
    release, at_work = threading.Event(), threading.Event()

    async def block(state: Counter) -> Counter:
        at_work.set()
        release.wait(20)
        return {"done": 1}

    server = await serve({"blocks": node(block)}, runner="thread")
    peer = await connect(server)
    try:
        await peer.run("blocks", {"count": 1}, everything(1), run="b")
        assert await asyncio.to_thread(at_work.wait, 10)
        (row,) = (await peer.ask(type="list", what="graphs"))["graphs"]
        assert row["name"] == "blocks"
        assert row["input_schema"]["properties"]
        assert row["edges"]
        assert (await peer.ask(type="cancel", run="b"))["status"] == "running"
        assert (await peer.closed(1))[-1]["status"] == "cancelled"
    finally:
        release.set()


async def _no_more(stream: Stream) -> int:
    """Wait until the stream stands still, over many turns of both loops; return how far it got."""
    seen, still = -1, 0
    while still < 200:
        still = still + 1 if stream.pulled == seen else 0
        seen = stream.pulled
        await asyncio.sleep(0.001)
    return seen


async def test_a_graph_is_pulled_no_further_than_the_hand_over_holds(serve, connect) -> None:
    for runner in ("inline", "thread"):
        for size, bound in ((10, HAND_OVER_EVENTS), (5000, HAND_OVER_BYTES // 5000)):

            async def items(input: Any, text: str = "x" * size) -> AsyncIterator[tuple[str, Any]]:
                for number in range(10_000):
                    yield "custom", {"i": number, "text": text}
                    if number % 50 == 0:
                        await asyncio.sleep(0)

            store = GatedStore()
            stream = Stream(items)
            server = await serve({"stream": stream}, runner=runner, store=store)
            peer = await connect(server)
            store.gate.clear()
            await peer.run("stream", {}, spec(1, "custom"), run="r")
            pulled = await _no_more(stream)
            assert bound * 0.8 <= pulled <= bound + 5
            store.gate.set()
            frames = await peer.closed(1)
            log_values = [
                frame["data"]["i"] for frame in frames if frame["type"] == "event" and "i" in frame["data"]
            ]
            assert log_values == list(range(10_000))[-len(log_values) :]
            gap = [frame["upto_seq"] for frame in frames if frame["type"] == "gap"]
            assert gap or len(log_values) == 10_000


async def test_a_chunk_that_its_graph_changes_afterwards_is_sent_as_it_was(serve, connect) -> None:
    async def change(state: Counter) -> Counter:
        writer = OURS.get_stream_writer()
        shared = {"steps": [0]}
        for number in range(1, 50):
            writer(shared)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            shared["steps"].append(number)
        return {"done": 1}

    server = await serve({"change": GraphSpec(node(change), "thread")})
    peer = await connect(server)
    await peer.run("change", {"count": 1}, spec(1, "custom"))
    await peer.closed(1)
    sizes = [len(event["data"]["steps"]) for event in peer.events(1) if event["mode"] == "custom"]
    assert sizes == list(range(1, 50))


async def test_each_run_has_a_context_of_its_own(serve, connect) -> None:
    from contextvars import ContextVar

    who: ContextVar[str] = ContextVar("who", default="nobody")
    seen: list[str] = []

    async def look(state: Counter) -> Counter:
        seen.append(who.get())
        who.set("somebody")
        return {"done": 1}

    for runner in ("inline", "thread"):
        server = await serve({"look": node(look)}, runner=runner)
        peer = await connect(server)
        for sub in range(3):
            await peer.run("look", {"count": 1}, spec(sub, "lifecycle"))
            await peer.closed(sub)
    assert seen == ["nobody"] * 6
