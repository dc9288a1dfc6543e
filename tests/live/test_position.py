"""Delivery begins at the start, now, at a cursor or at a snapshot; a gap stands for evicted events.

About `gateway/graphwire_gateway/connections/delivery.py`, `gateway/graphwire_gateway/connections/reader.py`
and `gateway/graphwire_gateway/log/fold.py`.
"""

import asyncio
import itertools
from typing import Any

import pytest
from graphwire_gateway.connections import delivery

from tests.support.graphs import OURS, Gate, Library, counter, gated, storyteller, talker
from tests.support.log import Log, check_exact
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.stores import shrink
from tests.support.waiting import poll

pytestmark = pytest.mark.slow_store

KEPT = 40
ALL = everything(0)["filter"]


def _told(log: Log, upto: int, filter: Frame) -> dict[str, Frame]:
    """Return what a snapshot at ``upto`` must say of each message, by id."""
    out: dict[str, Frame] = {}
    metas: dict[str, Frame] = {}
    for event in log.through(filter):
        if event["mode"] != "messages" or event["seq"] > upto:
            continue
        id = event["data"]["id"]
        metas.setdefault(id, event.get("meta", {}))
        row = out.setdefault(id, {"id": id, "ns": event.get("ns", []), "node": event["node"], "content": ""})
        row["content"] += event["data"]["delta"].get("content", "")
        row["meta"] = metas[id]
    return out


def _check_snapshot(frame: Frame, log: Log, upto: int, filter: Frame) -> None:
    assert frame["seq"] == upto
    past = [event for event in log.through(filter) if event["seq"] <= upto]
    statuses = [event["data"]["status"] for event in log.events[:upto] if event["mode"] == "lifecycle"]
    assert frame["status"] == (statuses[-1] if statuses else "queued")
    values = [event["data"] for event in past if event["mode"] == "values" and "ns" not in event]
    assert frame.get("values") == (values[-1] if values else None)
    rows = [
        {
            **{name: row[name] for name in ("id", "ns", "node", "meta")},
            "content": row["message"].get("content", ""),
        }
        for row in frame["messages"]
    ]
    assert sorted(rows, key=lambda row: row["id"]) == sorted(
        _told(log, upto, filter).values(), key=lambda row: row["id"]
    )
    assert frame["interrupts"] == []


def _lost(log: Log, after: int, upto: int, filter: Frame) -> list[str]:
    """Return which modes of a filter have events in there that a snapshot cannot give back."""
    return sorted(
        {
            event["mode"]
            for event in log.through(filter)
            if after < event["seq"] <= upto
            and event["mode"] not in ("messages", "lifecycle")
            and not (event["mode"] == "values" and "ns" not in event)
        }
    )


async def _paused(serve: Any, connect: Any, graph: Any, kept: int | None = None) -> tuple[Peer, Frame]:
    """Start a run that stands at its gate, with a subscription 0 that has got everything; then evict all but
    ``kept`` events.
    """
    server = await serve({"story": graph}, limits={"request_burst": 10_000})
    peer = await connect(server)
    started = await peer.run("story", {"topic": "cats"}, everything(0), run="r")
    await peer.until(lambda frame: frame.get("data", {}).get("delta", {}).get("content") == "b39 ")
    if kept is not None:
        await shrink(server._store, "r", kept)
    return peer, started


FILTERS: list[Frame] = [
    ALL,
    {"modes": ["messages"], "tags": ["second"]},
    {"modes": ["messages", "custom"], "nodes": ["begin"]},
    {"modes": ["values", "updates"], "keys": ["note"]},
    {"modes": ["values"], "keys": ["nothing"]},
    {"modes": ["custom"]},
    {"modes": ["lifecycle"]},
    {"modes": ["tasks", "debug"]},
    {"modes": ["values", "messages"], "namespaces": [["nobody"]]},
]


@pytest.mark.parametrize("filter", FILTERS)
async def test_what_was_evicted_is_told_by_gap_and_snapshot_and_all_behind_it_follows(
    serve, connect, lib: Library, filter: Frame
) -> None:
    gate = Gate()
    peer, started = await _paused(serve, connect, storyteller(gate, lib), KEPT)
    head = max(frame["seq"] for frame in peer.events(0))
    epoch = started["epoch"]
    wishes: list[Any] = [
        "start",
        {"epoch": epoch, "seq": 0},
        {"epoch": epoch, "seq": 13},
        {"epoch": epoch, "seq": 45},
        {"epoch": "another", "seq": 13},
        {"epoch": epoch, "seq": head + 100},
    ]
    reasons = ["evicted"] * 4 + ["epoch_changed", "ahead"]
    for sub, wish in enumerate(wishes, 1):
        reply = await peer.ask(type="subscribe", sub=sub, run="r", filter=filter, **{"from": wish})
        assert reply["recovery"] == "gap"
        assert "after" not in reply
        assert (reply["epoch"], reply["head"], reply["filter"]["modes"]) == (epoch, head, filter["modes"])
    for sub in range(1, len(wishes) + 1):
        await peer.until(lambda frame, sub=sub: frame["type"] == "synced" and frame["sub"] == sub)
    gate.open()
    log = Log(frame for frame in await peer.closed(0) if frame["type"] == "event")
    for sub, (wish, reason) in enumerate(zip(wishes, reasons, strict=True), 1):
        frames = await peer.closed(sub)
        gap, snapshot = frames[1:3]
        assert (gap["type"], snapshot["type"]) == ("gap", "snapshot")
        after = wish["seq"] if isinstance(wish, dict) else 0
        upto = gap["upto_seq"]
        assert (gap["after_seq"], gap["reason"]) == (after, reason)
        assert upto == head - KEPT > 45
        assert gap["lost"] == _lost(log, after if reason == "evicted" else 0, upto, filter)
        _check_snapshot(snapshot, log, upto, filter)
        synced = [frame for frame in frames if frame["type"] == "synced"]
        assert [frame["seq"] for frame in synced] == [head]
        check_exact(
            [frame for frame in frames if frame["type"] not in ("gap", "snapshot")], log, filter, upto
        )


@pytest.mark.parametrize("filter", FILTERS)
@pytest.mark.parametrize("kept", [KEPT, None])
async def test_a_snapshot_describes_the_head_exactly_and_events_behind_it_follow(
    serve, connect, filter: Frame, kept: int | None
) -> None:
    gate = Gate()
    peer, _ = await _paused(serve, connect, storyteller(gate), kept)
    head = max(frame["seq"] for frame in peer.events(0))
    reply = await peer.ask(type="subscribe", run="r", sub=1, filter=filter, **{"from": "snapshot"})
    assert (reply["recovery"], reply["head"]) == ("snapshot", head)
    assert "after" not in reply
    await peer.until(lambda frame: frame["type"] == "synced" and frame["sub"] == 1)
    gate.open()
    log = Log(frame for frame in await peer.closed(0) if frame["type"] == "event")
    frames = await peer.closed(1)
    assert [frame["type"] for frame in frames[:3]] == ["subscribed", "snapshot", "synced"]
    assert frames[2]["seq"] == head
    _check_snapshot(frames[1], log, head, filter)
    check_exact([frame for frame in frames if frame["type"] != "snapshot"], log, filter, head)


async def test_now_begins_at_the_head_without_anything_first(serve, connect) -> None:
    gate = Gate()
    peer, _ = await _paused(serve, connect, storyteller(gate), KEPT)
    head = max(frame["seq"] for frame in peer.events(0))
    reply = await peer.ask(type="subscribe", run="r", **everything(1, from_="now"))
    assert (reply["recovery"], reply["after"]) == ("live", head)
    gate.open()
    log = Log(frame for frame in await peer.closed(0) if frame["type"] == "event")
    frames = await peer.closed(1)
    assert [frame["type"] for frame in frames if frame["type"] != "event"] == ["subscribed", "closed"]
    check_exact(frames, log, ALL, head)


async def test_a_cursor_in_the_log_is_replayed_and_one_at_its_head_is_live(serve, connect) -> None:
    gate = Gate()
    peer, started = await _paused(serve, connect, storyteller(gate))
    head = max(frame["seq"] for frame in peer.events(0))
    afters = [0, 1, head - 1, head]
    for sub, after in enumerate(afters, 1):
        position = {"epoch": started["epoch"], "seq": after}
        reply = await peer.ask(type="subscribe", run="r", **everything(sub, from_=position))
        assert (reply["recovery"], reply["after"]) == ("live" if after == head else "replayed", after)
    for sub in (1, 2, 3):
        await peer.until(lambda frame, sub=sub: frame["type"] == "synced" and frame["sub"] == sub)
        assert [frame["type"] for frame in peer.of(sub)][-2:] == ["event", "synced"]
    gate.open()
    log = Log(frame for frame in await peer.closed(0) if frame["type"] == "event")
    for sub, after in enumerate(afters, 1):
        frames = await peer.closed(sub)
        synced = [frame["seq"] for frame in frames if frame["type"] == "synced"]
        assert synced == ([] if after == head else [head])
        check_exact(frames, log, ALL, after)


async def test_an_ended_run_is_replayed_and_what_is_at_its_end_is_closed_at_once(serve, connect) -> None:
    server = await serve({"talker": talker(OURS)})
    peer = await connect(server)
    started = await peer.run("talker", {"topic": "cats"}, everything(0), run="r")
    log = Log(frame for frame in await peer.closed(0) if frame["type"] == "event")
    wishes: dict[int, Any] = {1: "now", 2: {"epoch": started["epoch"], "seq": log.head}}
    for sub, wish in wishes.items():
        await peer.ask(type="subscribe", run="r", **everything(sub, from_=wish))
        frames = await peer.closed(sub)
        assert [frame["type"] for frame in frames] == ["subscribed", "closed"]
        assert frames[-1]["reason"] == "end"
        assert (frames[-1]["status"], frames[-1]["seq"], frames[-1]["delivered"]) == (
            "completed",
            log.head,
            0,
        )
    await peer.ask(type="subscribe", run="r", **everything(3, from_="snapshot"))
    frames = await peer.closed(3)
    assert [frame["type"] for frame in frames] == ["subscribed", "snapshot", "synced", "closed"]
    _check_snapshot(frames[1], log, log.head, ALL)


async def test_a_slow_reader_of_a_running_log_gets_gaps_that_lie_next_to_one_another(serve, connect) -> None:
    server = await serve({"counter": counter(burst=50)}, limits={"log_events": 100, "log_min_age_s": 0})
    peer = await connect(server)
    await peer.run("counter", {"count": 5000}, spec(1, "custom", "values", credit=30), run="r")
    while not peer.frames or peer.frames[-1]["type"] != "closed":
        frame = await peer.next()
        if frame["type"] == "event" and frame["n"] % 30 == 0:
            await peer.send({"type": "credit", "sub": 1, "events": 30})
    at = 0
    for frame in peer.of(1):
        match frame["type"]:
            case "event":
                assert frame["seq"] == at + 1
                at = frame["seq"]
                if frame["mode"] == "custom":
                    assert frame["data"]["i"] == at - 3  # running, the input's values, then 0, 1, …
            case "gap":
                assert frame["after_seq"] == at
                at = frame["upto_seq"]
            case "snapshot":
                assert frame["seq"] == at
    assert at == 5004


async def test_nothing_young_is_evicted_below_four_times_the_limits(serve, connect) -> None:
    gate = Gate()
    server = await serve(
        {"gated": gated(gate, before=1000, after=1)}, limits={"log_events": 100, "log_min_age_s": 3600}
    )
    peer = await connect(server)
    await peer.run("gated", {}, run="r", record={"modes": ["custom"]})
    await peer.poll(lambda reply: reply["runs"][0]["head"] == 1001, type="list", what="runs")
    subs = itertools.count(1)

    async def left() -> int:
        """Subscribe; return how many events the log still has."""
        sub = next(subs)
        await peer.ask(type="subscribe", run="r", **spec(sub, "custom"))
        first = await peer.until(lambda frame: frame.get("sub") == sub and frame["type"] in ("gap", "synced"))
        return 1001 - first.get("upto_seq", 0)

    # A store may fold a moment after it has taken the events.
    assert (await poll(left, lambda events: events <= 512))[-1] >= 400
    gate.open()


async def _until_recovery(peer: Peer, run: str, recovery: str) -> Frame:
    """Subscribe to a run again and again until that is how it begins; return the reply."""
    subs = itertools.count(101)

    async def subscribe() -> Frame:
        return await peer.ask(type="subscribe", run=run, **everything(next(subs)))

    replies = await poll(subscribe, lambda reply: recovery in (reply.get("recovery"), reply.get("code")))
    return replies[-1]


async def test_the_log_of_an_ended_run_folds_into_its_base_and_keeps_its_last_event(serve, connect) -> None:
    server = await serve({"talker": talker(OURS)}, limits={"log_ttl_s": 0.05, "request_burst": 10_000})
    peer = await connect(server)
    started = await peer.run("talker", {"topic": "cats"}, everything(0), run="r")
    log = Log(frame for frame in await peer.closed(0) if frame["type"] == "event")
    reply = await _until_recovery(peer, "r", "gap")
    frames = await peer.closed(reply["sub"])
    assert [frame["type"] for frame in frames] == [
        "subscribed",
        "gap",
        "snapshot",
        "event",
        "synced",
        "closed",
    ]
    assert frames[1]["upto_seq"] == log.head - 1
    _check_snapshot(frames[2], log, log.head - 1, ALL)
    assert {name: frames[3][name] for name in ("seq", "data")} == {
        "seq": log.head,
        "data": log.events[-1]["data"],
    }
    assert (frames[-1]["status"], frames[-1]["delivered"]) == ("completed", 1)
    await peer.ask(type="subscribe", run="r", **everything(1, from_="snapshot"))
    _check_snapshot((await peer.closed(1))[1], log, log.head, ALL)
    position = {"epoch": started["epoch"], "seq": log.head - 1}
    await peer.ask(type="subscribe", run="r", **everything(2, from_=position))
    assert [frame["type"] for frame in await peer.closed(2)] == ["subscribed", "event", "synced", "closed"]
    assert (await peer.ask(type="result", run="r"))["status"] == "completed"
    rows = (await peer.ask(type="list", what="runs"))["runs"]
    assert [(row["run"], row["status"], row["head"]) for row in rows] == [("r", "completed", log.head)]


async def test_a_result_is_forgotten_with_everything_else_after_its_time(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"result_ttl_s": 0.1, "request_burst": 10_000})
    peer = await connect(server)
    await peer.run("counter", {"count": 3}, everything(0), run="r")
    await peer.closed(0)
    error = await _until_recovery(peer, "r", "not_found")
    assert error["details"] == {"kind": "run"}
    for command in ({"type": "result", "run": "r"}, {"type": "cancel", "run": "r"}):
        assert (await peer.ask(**command))["code"] == "not_found"
    assert (await peer.ask(type="list", what="runs"))["runs"] == []
    assert (await peer.run("counter", {"count": 3}, everything(1), run="r"))["created"] is True
    await peer.closed(1)


async def test_a_viewer_of_a_run_that_is_forgotten_meanwhile_is_told_so(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"result_ttl_s": 0.1, "request_burst": 100_000})
    peer = await connect(server)
    await peer.run("counter", {"count": 50}, spec(1, "custom", credit=7), run="r")
    await peer.until(lambda frame: frame.get("data") == {"i": 6})
    end = asyncio.get_running_loop().time() + 10
    while server._store.size:
        await peer.settled()
        assert asyncio.get_running_loop().time() < end
    assert (await peer.ask(type="result", run="r"))["code"] == "not_found"
    await peer.send({"type": "credit", "sub": 1, "events": 100})
    closed = (await peer.closed(1))[-1]
    assert (closed["reason"], closed["delivered"]) == ("deleted", 8)
    assert "status" not in closed


@pytest.mark.one_process
async def test_the_oldest_ended_runs_go_first_when_the_store_is_full(serve, connect) -> None:
    gate = Gate()
    server = await serve(
        {"counter": counter(), "gated": gated(gate)},
        limits={"store_bytes": 1_100_000, "request_burst": 10_000},
    )
    peer = await connect(server)
    await peer.run("gated", {}, spec(99, "lifecycle"), run="alive", record={"modes": ["custom"]})
    for number in range(6):  # about 250 kB each
        run = f"r{number}"
        await peer.run(
            "counter", {"count": 1300}, spec(number, "lifecycle"), run=run, record={"modes": ["custom"]}
        )
        await peer.closed(number)

    async def names() -> list[str]:
        return [row["run"] for row in (await peer.ask(type="list", what="runs"))["runs"]]

    assert (await poll(names, lambda listed: "r1" not in listed))[-1] == ["r5", "r4", "r3", "r2", "alive"]
    gate.open()
    await peer.closed(99)
    assert await names() == ["r5", "r4", "r3", "r2", "alive"]


async def test_a_narrow_filter_s_cursor_moves_by_marks(serve, connect, monkeypatch) -> None:
    monkeypatch.setattr(delivery, "MARK_S", 0.01)
    gate = Gate()
    server = await serve({"gated": gated(gate, before=500, after=5)})
    peer = await connect(server)
    started = await peer.run(
        "gated",
        {},
        spec(1, "updates", nodes=["nobody"]),
        spec(2, "custom"),
        spec(3, "custom", credit=7),
        run="r",
    )
    await peer.until(lambda frame: frame.get("data") == {"i": 499})
    head = max(event["seq"] for event in peer.events(2))
    mark = await peer.until(lambda frame: frame["type"] == "mark" and frame["seq"] >= head)
    assert mark["sub"] == 1
    # Who is told by its events needs no mark, who waits for credit is not moved beyond what it was sent.
    assert {frame["sub"] for frame in peer.frames if frame["type"] == "mark"} == {1}
    position = {"epoch": started["epoch"], "seq": mark["seq"]}
    reply = await peer.ask(type="subscribe", run="r", **spec(4, "custom", from_=position))
    assert reply["after"] == mark["seq"]
    gate.open()
    frames = await peer.closed(1)
    seqs = [frame["seq"] for frame in frames if frame["type"] in ("event", "mark")]
    assert seqs == sorted(set(seqs))
    await peer.closed(4)
    assert [event["data"] for event in peer.events(4)][:-1] == [{"i": number} for number in range(500, 505)]
