"""Replies and events arrive in the order that the protocol promises.

About `gateway/graphwire_gateway/connections/delivery.py`, `gateway/graphwire_gateway/connections/dispatch.py`
and `gateway/graphwire_gateway/log/log.py`.
"""

from itertools import pairwise
from typing import Any

import orjson
import pytest
from graphwire_protocol.codec import Unknown, decode_frames, encode

from tests.support.graphs import OURS, Gate, Library, counter, gated, talker
from tests.support.log import Log, check_exact
from tests.support.peer import Frame, everything, spec

pytestmark = pytest.mark.slow_store


async def test_started_then_subscribed_then_events_then_closed(serve, connect) -> None:
    server = await serve({"talker": talker(OURS)})
    peer = await connect(server)
    specs = [everything(3), spec(1, "custom"), spec(2, "values")]
    await peer.send({"type": "run", "id": 5, "graph": "talker", "input": {"topic": "x"}, "subscribe": specs})
    for sub in (1, 2, 3):
        await peer.closed(sub)
    replies = [frame for frame in peer.frames if frame.get("id") == 5]
    assert [frame["type"] for frame in replies] == ["started", *["subscribed"] * 3]
    assert [frame["sub"] for frame in replies[1:]] == [3, 1, 2]
    for reply, wish in zip(replies[1:], specs, strict=True):
        assert (reply["after"], reply["head"], reply["recovery"]) == (0, 0, "live")
        assert reply["filter"] == wish["filter"]
        frames = peer.of(reply["sub"])
        assert frames[0] is reply
        assert [frame["type"] for frame in frames[1:]] == ["event"] * (len(frames) - 2) + ["closed"]
        assert frames[1]["data"]["status"] == "running"
        assert all(left["seq"] < right["seq"] for left, right in pairwise(frames[1:-1]))


async def test_no_frame_of_a_sub_follows_its_unsubscription(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"log_events": 100_000})
    peer = await connect(server)
    await peer.run("counter", {"count": 20_000}, spec(1, "custom"), spec(2, "custom"))
    await peer.until(lambda frame: frame.get("sub") == 1 and frame.get("n") == 100)
    reply = await peer.ask(type="unsubscribe", sub=1)
    assert reply["type"] == "ok"
    after = len(peer.frames)
    await peer.closed(2)
    assert not [frame for frame in peer.frames[after:] if frame.get("sub") == 1]
    assert (await peer.ask(type="unsubscribe", sub=1))["code"] == "not_found"
    assert (await peer.ask(type="unsubscribe", sub=2))["code"] == "not_found"


async def test_a_filter_is_changed_from_the_cursor_in_one_flight(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate, 500, 500)})
    peer = await connect(server)
    started = await peer.run("gated", {"count": 1}, spec(1, "custom"), everything(2), run="r")
    cut = await peer.until(lambda frame: frame.get("sub") == 1 and frame.get("data") == {"i": 250})
    position = {"epoch": started["epoch"], "seq": cut["seq"]}
    wish = spec(1, "updates", "values", from_=position)
    await peer.send(
        {"type": "unsubscribe", "id": 1, "sub": 1}, {"type": "subscribe", "id": 2, "run": "r", **wish}
    )
    reply = await peer.answer(2)
    assert (reply["type"], reply["after"]) == ("subscribed", cut["seq"])
    begin = peer.frames.index(reply)
    gate.open()
    await peer.closed(1)
    log = Log(frame for frame in await peer.closed(2) if frame["type"] == "event")
    frames = [frame for frame in peer.frames[begin:] if frame.get("sub") == 1]
    check_exact(frames, log, wish["filter"], cut["seq"])
    between = [frame for frame in peer.frames[:begin] if frame.get("sub") == 1 and frame["type"] == "event"]
    assert [frame["n"] for frame in between] == list(range(1, len(between) + 1))


@pytest.mark.memory_store  # what waits for a store is overtaken by others
async def test_replies_come_in_the_order_of_their_requests(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    frames: list[Frame] = []
    for number in range(0, 60, 6):
        frames += [
            {"type": "run", "id": number, "graph": "counter", "run": f"r{number}", "input": {"count": 1}},
            {"type": "subscribe", "id": number + 1, "run": f"r{number}", **spec(number, "custom")},
            {"type": "result", "id": number + 2, "run": f"r{number}"},
            {"type": "dance", "id": number + 3},
            {"type": "list", "id": number + 4, "what": "runs"},
            {"type": "cancel", "id": number + 5, "run": f"r{number}"},
        ]
    await peer.send(*frames)
    await peer.answer(59)
    ids = [frame["id"] for frame in peer.frames if "id" in frame and frame["type"] != "welcome"]
    assert ids == list(range(60))


async def test_every_frame_on_the_wire_equals_the_models(serve, connect, lib: Library) -> None:
    server = await serve({"talker": talker(lib, words=120)}, limits={"log_events": 200, "log_min_age_s": 0})
    peer = await connect(server)
    for number in range(0, 40, 4):
        wishes = [everything(number), spec(number + 1, "values", "updates", keys=["joke", "note"])]
        await peer.run("talker", {"topic": "x"}, *wishes, run=f"r{number}", metadata={"n": number})
    for number in range(0, 40, 4):
        await peer.closed(number)
        await peer.closed(number + 1)
        await peer.ask(type="subscribe", run=f"r{number}", **everything(number + 2))
        await peer.ask(type="subscribe", run=f"r{number}", **everything(number + 3, from_="snapshot"))
        await peer.closed(number + 2)
        await peer.closed(number + 3)
    await peer.ask(type="list", what="runs")
    await peer.ask(type="list", what="graphs")
    await peer.ask(type="result", run="r0")
    await peer.ask(type="result", run="nobody")
    await peer.settled()
    kinds: set[str] = set()
    for message in peer.messages:
        assert len(message) <= 256 << 10 or message[:1] == b"{"
        raw = orjson.loads(message)
        raw = raw if isinstance(raw, list) else [raw]
        frames = decode_frames(message)
        assert len(frames) == len(raw)
        for frame, plain in zip(frames, raw, strict=True):
            assert not isinstance(frame, Unknown)
            kinds.add(frame.type)
            assert _without_empty(orjson.loads(encode(frame))) == _without_empty(plain)
    wanted = {"welcome", "started", "subscribed", "ok", "error", "pong", "event", "gap", "snapshot", "synced"}
    assert kinds - {"mark"} == wanted | {"closed"}  # a slow store leaves time for marks


def _without_empty(frame: Frame) -> Any:
    # The model of an event has the root's namespace as a default; on the wire it is left out.
    return {name: value for name, value in frame.items() if not (name == "ns" and value == [])}


async def test_batches_are_bounded_and_hold_many_small_frames(serve, connect) -> None:
    server = await serve({"counter": counter(burst=1000)}, limits={"log_events": 100_000})
    peer = await connect(server)
    await peer.run("counter", {"count": 20_000}, spec(1, "custom"))
    await peer.closed(1)
    batches = [message for message in peer.messages if message[:1] == b"["]
    assert max(map(len, batches)) <= 256 << 10
    assert len(peer.messages) < 2000
