"""A cancel is answered at once and ends the run in time, whatever the graph or the socket is doing.

About `gateway/graphwire_gateway/runs/runs.py`, `gateway/graphwire_gateway/execution/execution.py`,
`gateway/graphwire_gateway/graphs/runner.py` and `gateway/graphwire_gateway/runs/slots.py`.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.graphs import OURS, Counter, Gate, Library, Stream, counter, gated, node
from tests.support.log import Log, is_terminal
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.stores import FlakyStore, GatedStore

pytestmark = pytest.mark.slow_store


def _terminal(peer: Peer, sub: int) -> list[Frame]:
    return [event["data"] for event in peer.events(sub) if is_terminal(event)]


async def _head(peer: Peer, run: str) -> int:
    rows = (await peer.ask(type="list", what="runs"))["runs"]
    return int(next(row["head"] for row in rows if row["run"] == run))


@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_a_cancelled_run_ends_once_with_its_reason_and_tells_no_result(
    serve, connect, lib: Library, runner: str
) -> None:
    server = await serve({"gated": gated(Gate(), lib=lib)}, runner=runner, limits={"cancel_grace_s": 60})
    peer = await connect(server)
    await peer.run("gated", {"count": 1}, everything(1), run="r")
    await peer.until(lambda frame: frame.get("data") == {"i": 2})
    reply = await peer.ask(type="cancel", run="r", reason="enough")
    assert (reply["type"], reply["status"]) in (("ok", "running"), ("ok", "cancelled"))
    frames = await peer.closed(1)
    assert (frames[-1]["reason"], frames[-1]["status"]) == ("end", "cancelled")
    (end,) = _terminal(peer, 1)
    assert (end["status"], end["reason"]) == ("cancelled", "enough")
    again = await peer.ask(type="cancel", run="r", reason="more than enough")
    assert again["status"] == "cancelled"
    assert await peer.ask(type="result", run="r", id=9) == {"type": "ok", "id": 9, "status": "cancelled"}
    assert await _head(peer, "r") == frames[-1]["seq"]


@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_a_cancel_right_behind_its_run_in_the_same_flight_ends_it_at_once(
    serve, connect, lib: Library, runner: str
) -> None:
    server = await serve({"gated": gated(Gate(), lib=lib)}, runner=runner, limits={"cancel_grace_s": 60})
    peer = await connect(server)
    for number in range(10):
        run = {"type": "run", "id": 2 * number, "graph": "gated", "run": f"r{number}", "input": {"count": 1}}
        await peer.send(
            {**run, "subscribe": [everything(number)]},
            {"type": "cancel", "id": 2 * number + 1, "run": f"r{number}"},
        )
    for number in range(10):
        frames = await peer.closed(number)
        assert frames[-1]["status"] == "cancelled"
        Log(frame for frame in frames if frame["type"] == "event")
        assert [end["status"] for end in _terminal(peer, number)] == ["cancelled"]


async def test_cancelling_what_has_ended_changes_nothing(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    await peer.run("counter", {"count": 3}, everything(1), run="r")
    head = (await peer.closed(1))[-1]["seq"]
    for _ in range(3):
        assert (await peer.ask(type="cancel", run="r"))["status"] == "completed"
    assert await _head(peer, "r") == head
    assert (await peer.ask(type="result", run="r"))["output"]["done"] == 3


class Deaf:
    """Nodes that hear of no cancellation until ``hears`` is set."""

    def __init__(self) -> None:
        self.hears = threading.Event()
        self.at_work = threading.Event()

    async def blocks(self, state: Counter) -> Counter:
        OURS.get_stream_writer()({"before": 1})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.at_work.set()
        self.hears.wait(20)
        OURS.get_stream_writer()({"late": 1})
        return {"done": 1}

    async def computes(self, state: Counter) -> Counter:
        OURS.get_stream_writer()({"before": 1})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self.at_work.set()
        end = time.monotonic() + 20
        while not self.hears.is_set() and time.monotonic() < end:
            sum(range(1000))
        OURS.get_stream_writer()({"late": 1})
        return {"done": 1}

    async def swallows(self, state: Counter) -> Counter:
        writer = OURS.get_stream_writer()
        writer({"before": 1})
        self.at_work.set()
        while not self.hears.is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                writer({"late": 1})
        writer({"late": 2})
        return {"done": 1}

    def sleeps(self, state: Counter) -> Counter:
        OURS.get_stream_writer()({"before": 1})
        self.at_work.set()
        self.hears.wait(20)
        OURS.get_stream_writer()({"late": 1})
        return {"done": 1}


@pytest.mark.parametrize("how", ["blocks", "computes", "swallows", "sleeps"])
async def test_a_deaf_graph_ends_within_the_grace_and_what_it_still_says_is_dropped(
    serve, connect, how: str
) -> None:
    deaf = Deaf()
    server = await serve(
        {"deaf": node(getattr(deaf, how)), "counter": counter()},
        runner="own",
        limits={"cancel_grace_s": 0.1},
    )
    peer = await connect(server)
    try:
        await peer.run("deaf", {"count": 1}, everything(1), run="r")
        await peer.until(lambda frame: frame.get("data") == {"before": 1})
        await asyncio.to_thread(deaf.at_work.wait, 10)
        await peer.ask(type="cancel", run="r")
        frames = await peer.closed(1)
        assert not deaf.hears.is_set()
        assert (frames[-1]["status"], frames[-1]["reason"]) == ("cancelled", "end")
        # Others are not kept waiting meanwhile.
        await peer.run("counter", {"count": 5}, everything(2))
        assert (await peer.closed(2))[-1]["status"] == "completed"
        head = await _head(peer, "r")
    finally:
        deaf.hears.set()
    # The thread is free again: the next run of that graph goes through, and behind it nothing came late.
    await peer.run("deaf", {"count": 1}, everything(3))
    assert (await peer.closed(3))[-1]["status"] == "completed"
    assert await _head(peer, "r") == head
    assert [end["status"] for end in _terminal(peer, 1)] == ["cancelled"]
    await peer.ask(type="subscribe", run="r", **everything(4))
    assert [event["data"] for event in (await peer.closed(4))[1:-2]] == [
        event["data"] for event in peer.events(1)
    ]


@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_a_graph_that_goes_on_after_its_run_s_end_is_pulled_no_further(
    serve, connect, runner: str
) -> None:
    is_closed = threading.Event()

    async def items(input: Any) -> AsyncIterator[tuple[str, Any]]:
        try:
            while True:
                try:
                    await asyncio.sleep(0)
                except asyncio.CancelledError:
                    continue
                yield "custom", {"i": 1}
        finally:
            is_closed.set()

    server = await serve({"stream": Stream(items)}, runner=runner, limits={"cancel_grace_s": 0.05})
    peer = await connect(server)
    await peer.run("stream", {}, spec(1, "custom", credit=5), run="r")
    await peer.until(lambda frame: frame.get("data") == {"i": 1})
    await peer.ask(type="cancel", run="r")
    assert await asyncio.to_thread(is_closed.wait, 10)
    await peer.send({"type": "credit", "sub": 1, "events": 2**50})
    assert (await peer.closed(1))[-1]["status"] == "cancelled"


async def test_a_run_out_of_time_fails_and_says_so(serve, connect) -> None:
    deaf = Deaf()
    server = await serve(
        {"deaf": node(deaf.blocks), "gated": gated(Gate())}, runner="own", limits={"max_run_s": 0.1}
    )
    peer = await connect(server)
    try:
        for sub, graph in enumerate(("gated", "deaf")):
            await peer.run(graph, {"count": 1}, everything(sub))
            frames = await peer.closed(sub)
            assert frames[-1]["status"] == "failed"
            (end,) = _terminal(peer, sub)
            assert end["error"]["code"] == "timeout"
    finally:
        deaf.hears.set()


async def test_a_run_over_max_run_events_fails_and_keeps_what_it_said(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"max_run_events": 50})
    peer = await connect(server)
    await peer.run("counter", {"count": 1000}, spec(1, "custom"))
    frames = await peer.closed(1)
    assert frames[-1]["status"] == "failed"
    (end,) = _terminal(peer, 1)
    assert end["error"]["code"] == "limit_exceeded"
    values = [event["data"]["i"] for event in peer.events(1) if event["mode"] == "custom"]
    assert values == list(range(len(values)))
    assert len(values) in (50, 51)


async def test_a_cancel_overtakes_a_flood_on_a_saturated_socket(serve, connect) -> None:
    gate = Gate()
    server = await serve(
        {"counter": counter(), "gated": gated(gate)},
        limits={"log_events": 100_000, "log_bytes": 1 << 30, "send_timeout_s": 60, "cancel_grace_s": 60},
    )
    peer = await connect(server, buffer=16_384, held=0)
    other = await connect(server)
    await peer.run("gated", {"count": 1}, run="r")
    flood = 60_000
    await other.run("counter", {"count": flood}, spec(1, "lifecycle"), run="f", record={"modes": ["custom"]})
    await other.ask(type="subscribe", run="r", **spec(2, "lifecycle"))
    await other.closed(1)
    await peer.ask(type="subscribe", run="f", **spec(1, "custom"))
    before = len(peer.messages)
    # Nothing is read now, so the server's side fills up; then the cancel comes.
    await other.settled()
    await other.settled()
    await peer.send({"type": "cancel", "id": 77, "run": "r"})
    assert (await other.closed(2))[-1]["status"] == "cancelled"
    await peer.answer(77)
    ahead = sum(map(len, peer.messages[before:]))
    whole = flood * 60
    assert ahead < 1_500_000 < whole / 2, ahead
    await peer.closed(1)
    assert sum(event["mode"] == "custom" for event in peer.events(1)) == flood


@pytest.mark.one_process
async def test_a_queued_run_is_told_so_starts_in_its_turn_and_can_be_cancelled(serve, connect) -> None:
    gates = [Gate(), Gate()]
    server = await serve({"a": gated(gates[0]), "b": gated(gates[1])}, limits={"max_server_runs": 1})
    peer = await connect(server)
    assert (await peer.run("a", {"count": 1}, spec(1, "lifecycle"), run="r1"))["status"] == "running"
    for number in (2, 3, 4):
        started = await peer.run("b", {"count": 1}, spec(number, "lifecycle"), run=f"r{number}")
        assert started["status"] == "queued"
    assert (await peer.ask(type="cancel", run="r3"))["status"] == "cancelled"
    await peer.closed(3)
    assert [event["data"]["status"] for event in peer.events(3)] == ["queued", "cancelled"]
    # In one flight: the first ends, and the next in the queue is cancelled before it can begin.
    await peer.send({"type": "cancel", "id": 1, "run": "r1"}, {"type": "cancel", "id": 2, "run": "r2"})
    await peer.closed(1)
    await peer.closed(2)
    gates[1].open()
    await peer.closed(4)
    assert [event["data"]["status"] for event in peer.events(4)] == ["queued", "running", "completed"]
    assert (await peer.run("a", {"count": 1}, spec(5, "lifecycle"), run="r5"))["status"] == "running"
    gates[0].open()
    await peer.closed(5)


@pytest.mark.slow_store(False)
async def test_a_run_that_another_connection_cancels_before_it_begins_never_begins(serve, connect) -> None:
    store = GatedStore()
    server = await serve({"counter": counter()}, store=store)
    peer, other = await connect(server), await connect(server)
    store.read_gate.clear()  # the start stands between its log's creation and its first event
    try:
        await peer.send(
            {
                "type": "run",
                "id": 1,
                "graph": "counter",
                "run": "r",
                "input": {"count": 1},
                "subscribe": [everything(1)],
            }
        )
        reply = await other.poll(lambda reply: reply.get("code") != "not_found", type="cancel", run="r")
        assert reply.get("status") == "cancelled", reply
    finally:
        store.read_gate.set()
    started = await peer.answer(1)
    assert (started["created"], started["status"]) == (True, "cancelled")
    await peer.closed(1)
    assert [event["data"]["status"] for event in peer.events(1)] == ["queued", "cancelled"]
    await peer.run("counter", {"count": 1}, everything(2))
    await peer.closed(2)


@pytest.mark.slow_store(False)
async def test_a_store_that_is_away_delays_events_and_loses_none(serve, connect) -> None:
    store = FlakyStore()
    gate = Gate()
    server = await serve({"gated": gated(gate, 10, 500)}, store=store)
    peer = await connect(server)
    await peer.run("gated", {"count": 1}, everything(1), run="r")
    await peer.until(lambda frame: frame.get("data") == {"i": 9})
    store.is_away = True
    gate.open()
    error = await peer.run("gated", {"count": 1}, everything(2), run="r2")
    assert (error["code"], error["retry"]) == ("unavailable", "after")
    while store.refused < 3:
        await peer.settled()
    assert (await peer.ask(type="list", what="runs"))["runs"][0]["run"] == "r"
    store.is_away = False
    frames = await peer.closed(1)
    log = Log(frame for frame in frames if frame["type"] == "event")
    assert [event["data"]["i"] for event in log.events if event["mode"] == "custom"] == list(range(510))
    started = await peer.run("gated", {"count": 1}, everything(2), run="r2")
    assert started["created"] is True
    await peer.closed(2)
