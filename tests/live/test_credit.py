"""Credit is exact to the event, a subscription without credit costs nothing, and turns are fair.

About `gateway/graphwire_gateway/connections/delivery.py`, `gateway/graphwire_gateway/connections/reader.py`
and `protocol/graphwire_protocol/credit.py`.
"""

import gc
import tracemalloc
from typing import Any

import pytest

from tests.support.graphs import OURS, Counter, Gate, counter, gated
from tests.support.log import Log, check_exact, is_terminal
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.stores import CountingStore, shrink

pytestmark = pytest.mark.slow_store

CUSTOM = {"modes": ["custom"]}


async def _turned(peer: Peer, run: str) -> None:
    """Wait until every subscription of the connection that could send something has had its turn."""
    for _ in range(2):
        peer_id = 10_000 + len(peer.frames)
        await peer.ask(type="subscribe", run=run, **spec(peer_id, "lifecycle"))
        await peer.until(lambda frame, sub=peer_id: frame["type"] == "closed" and frame["sub"] == sub)


def _customs(frames: list[Frame]) -> list[int]:
    return [frame["data"]["i"] for frame in frames if frame["type"] == "event" and frame["mode"] == "custom"]


async def test_never_more_events_come_than_were_granted_and_every_grant_is_used(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    await peer.run("counter", {"count": 100}, spec(1, "custom", credit=0), everything(2), run="r")
    log = Log(frame for frame in await peer.closed(2) if frame["type"] == "event")
    await _turned(peer, "r")
    assert [frame["type"] for frame in peer.of(1)] == ["subscribed", "event"]
    assert peer.of(1)[0]["credit"] == 0
    assert peer.events(1)[0]["data"]["status"] == "running"
    granted = 0
    for grant in (1, 2, 0, 7, 40, 49):
        await peer.send({"type": "credit", "sub": 1, "events": grant})
        granted += grant
        if grant:
            await peer.until(
                lambda frame, last=granted - 1: frame.get("data") == {"i": last} and frame["sub"] == 1
            )
        await _turned(peer, "r")
        assert _customs(peer.of(1)) == list(range(granted))
        assert not any(is_terminal(event) for event in peer.events(1))
    await peer.send({"type": "credit", "sub": 1, "events": 1})
    check_exact(await peer.closed(1), log, CUSTOM)


async def test_lifecycle_and_interrupt_cost_nothing_and_the_end_comes_without_credit(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    await peer.run(
        "counter",
        {"count": 10},
        spec(1, "updates", "lifecycle", credit=0, nodes=["nobody"]),
        spec(2, "values", "updates", credit=0, keys=["nothing"]),
        spec(3, "updates", credit=1),
        run="r",
    )
    for sub in (1, 2, 3):
        frames = await peer.closed(sub)
        assert [frame["data"]["status"] for frame in peer.events(sub) if frame["mode"] == "lifecycle"] == [
            "running",
            "completed",
        ]
        assert frames[-1]["delivered"] == (3 if sub == 3 else 2)


async def test_credit_for_a_sub_of_nobody_is_ignored(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    await peer.send({"type": "credit", "sub": 77, "events": 5})
    await peer.settled()
    assert [frame["type"] for frame in peer.frames] == ["welcome", "pong"]


async def test_a_gap_and_its_snapshot_wait_for_credit(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"log_events": 50, "log_min_age_s": 0})
    peer = await connect(server)
    await peer.run("counter", {"count": 1000}, spec(1, "lifecycle"), run="r", record={"modes": ["custom"]})
    await peer.closed(1)
    reply = await peer.ask(type="subscribe", run="r", **spec(2, "custom", credit=0))
    assert reply["recovery"] == "gap"
    assert "after" not in reply
    await _turned(peer, "r")
    assert [frame["type"] for frame in peer.of(2)] == ["subscribed"]
    await peer.send({"type": "credit", "sub": 2, "events": 3})
    await peer.until(lambda frame: frame["type"] == "event" and frame["sub"] == 2 and frame["n"] == 3)
    await _turned(peer, "r")
    assert [frame["type"] for frame in peer.of(2)] == ["subscribed", "gap", "snapshot", *["event"] * 3]
    await peer.send({"type": "credit", "sub": 2, "events": 100})
    frames = await peer.closed(2)
    upto = frames[1]["upto_seq"]
    assert [event["seq"] for event in peer.events(2)] == list(range(upto + 1, 1003))


async def test_a_stalled_subscription_that_falls_behind_the_log_gets_a_gap_from_its_own_cursor(
    serve, connect
) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    await peer.run("counter", {"count": 1000}, spec(1, "custom", credit=5), spec(2, "lifecycle"), run="r")
    await peer.closed(2)
    await _turned(peer, "r")
    await shrink(server._store, "r", 50)
    assert _customs(peer.of(1)) == list(range(5))
    await peer.send({"type": "credit", "sub": 1, "events": 1000})
    frames = await peer.closed(1)
    kinds = [frame["type"] for frame in frames]
    gap = frames[kinds.index("gap")]
    assert (gap["after_seq"], gap["reason"], gap["lost"]) == (6, "evicted", ["custom"])
    assert kinds[kinds.index("gap") + 1] == "snapshot"
    assert [event["seq"] for event in peer.events(1)] == [*range(1, 7), *range(gap["upto_seq"] + 1, 1003)]
    assert [event["n"] for event in peer.events(1)] == list(range(1, len(peer.events(1)) + 1))


async def test_a_trickle_is_not_behind_more_than_a_bounded_part_of_a_flood(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"log_events": 100_000, "log_bytes": 1 << 30})
    peer = await connect(server)
    flood = 20_000
    await peer.run(
        "counter", {"count": flood}, spec(1, "lifecycle"), run="flood", record={"modes": ["custom"]}
    )
    await peer.run(
        "counter", {"count": 200}, spec(2, "lifecycle"), run="trickle", record={"modes": ["custom"]}
    )
    await peer.closed(1)
    await peer.closed(2)
    begin = len(peer.frames)
    await peer.send(
        {"type": "subscribe", "id": 1, "run": "flood", **spec(3, "custom")},
        {"type": "subscribe", "id": 2, "run": "trickle", **spec(4, "custom")},
    )
    await peer.closed(4)
    behind = sum(frame["type"] == "event" and frame["sub"] == 3 for frame in peer.frames[begin:])
    assert behind < flood / 4
    await peer.closed(3)
    assert _customs(peer.of(3)) == list(range(flood))


@pytest.mark.long
@pytest.mark.slow_store(False)
@pytest.mark.parametrize("credit", [0, 10])
async def test_a_thousand_stalled_subscriptions_cost_little_and_delay_nobody(
    serve, connect, credit: int
) -> None:
    gate = Gate()
    store = CountingStore()
    server = await serve(
        {"gated": gated(gate, before=10_000, after=300)}, limits={"request_burst": 5000}, store=store
    )
    peer, other = await connect(server), await connect(server)
    await peer.run("gated", {"count": 1}, spec(0, "custom"), run="r")
    await other.ask(type="subscribe", run="r", **spec(0, "custom"))
    for each in (peer, other):
        await each.until(lambda frame: frame.get("data") == {"i": 9999})

    async def attach(subs: range) -> None:
        for sub in subs:
            await peer.send(
                {"type": "subscribe", "id": sub, "run": "r", **spec(sub, "custom", credit=credit)}
            )
        for sub in subs:
            await peer.until(lambda frame, id=sub: frame.get("id") == id, since=len(peer.frames) - 1)

    await attach(range(1, 21))  # whatever the first ones bring along
    gc.collect()
    tracemalloc.start()
    before = _held()
    await attach(range(21, 1021))
    await peer.settled()
    gc.collect()
    cost = (_held() - before) / 1000
    tracemalloc.stop()
    assert cost < 4096, cost
    reads = store.reads
    gate.open()
    for each in (peer, other):
        await each.until(lambda frame: frame.get("data") == {"i": 10_299})
        assert _customs(each.of(0)) == list(range(10_300))
    # The two live ones read as the log grows; a thousand that looked even once would have to read as often.
    assert store.reads - reads < 500
    stalled = [_customs([frame]) for frame in peer.frames if frame.get("sub", 0) > 0]
    assert sum(map(len, stalled)) == 1020 * credit


def _held() -> int:
    """Bytes that were allocated on behalf of the gateway and the protocol."""
    rooms = ("/graphwire_gateway/", "/graphwire_protocol/")
    files = tracemalloc.take_snapshot().statistics("filename")
    return sum(file.size for file in files if any(room in file.traceback[0].filename for room in rooms))


async def test_a_narrow_filter_on_a_busy_log_costs_no_credit_for_what_it_holds_back(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    await peer.run(
        "counter", {"count": 3000}, spec(1, "custom", "updates", nodes=["count"], credit=3100), everything(2)
    )
    log = Log(frame for frame in await peer.closed(2) if frame["type"] == "event")
    check_exact(await peer.closed(1), log, {"modes": ["custom", "updates"], "nodes": ["count"]})


async def test_a_filter_by_keys_spends_credit_only_on_what_is_sent(serve, connect) -> None:
    async def first(state: Counter) -> Counter:
        return {"count": 1}

    async def second(state: Counter) -> Counter:
        return {"done": 2}

    graph: Any = OURS.StateGraph(Counter).add_node(first).add_node(second)
    graph = graph.add_edge(OURS.START, "first").add_edge("first", "second").compile()
    server = await serve({"two": graph})
    peer = await connect(server)
    await peer.run("two", {"count": 0}, spec(1, "updates", keys=["done"], credit=1))
    frames = await peer.closed(1)
    assert [event["data"] for event in peer.events(1) if event["mode"] == "updates"] == [
        {"second": {"done": 2}}
    ]
    assert (frames[-1]["delivered"], frames[-1]["skipped"]) == (3, 1)
