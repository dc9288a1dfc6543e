"""The scripts that lose connections, events and logs: a client comes back and misses nothing."""

import asyncio
from typing import Any

from graphwire_conformance.clients.scripts import FORGOTTEN, cut_once, forget, resume, talking_log, twin_log
from graphwire_conformance.clients.stage import (
    Scripts,
    Stage,
    counting_log,
    hang_up,
    lifecycle,
    printed_lines,
    unavailable,
)
from graphwire_conformance.protocol import Frame
from graphwire_conformance.verdict import Violation, check

SCRIPTS = Scripts()

_EXACT = "5: nothing lost, nothing shown twice"


# ── cuts ─────────────────────────────────────────────────────────────────────────────────────────


for _count in range(7):
    SCRIPTS.add_with(f"cut/after {_count} events", _EXACT, cut_once, _count)


@SCRIPTS.add("cut/again and again", _EXACT)
async def again_and_again(stage: Stage) -> None:
    """One event, then the connection is gone, three times."""
    for count in range(3):
        conn = await stage.accept()
        await (resume(conn, count) if count else conn.begin("live"))
        await conn.send_log(count + 1, count + 1)
        await conn.cut()
    conn = await stage.accept()
    await resume(conn, 3)
    await conn.finish(4)


async def _refused(stage: Stage, refusal: Any) -> None:
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 2)
    stage.refusals = [refusal, refusal]
    await conn.cut()
    conn = await stage.accept()
    await resume(conn, 2)
    await conn.finish(3)


SCRIPTS.add_with("cut/in the handshake", _EXACT, _refused, hang_up)
SCRIPTS.add_with("cut/503 in the handshake", _EXACT, _refused, unavailable)


@SCRIPTS.add("cut/before the welcome", _EXACT)
async def before_the_welcome(stage: Stage) -> None:
    """The next connection is lost when its hello has been read."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 2)
    await conn.cut()
    conn = await stage.accept(greet=False)
    await conn.expect("hello")
    await conn.cut()
    conn = await stage.accept()
    await resume(conn, 2)
    await conn.finish(3)


@SCRIPTS.add("cut/before the replies", "2: idempotent start: a run may be asked for again")
async def before_the_replies(stage: Stage) -> None:
    """The run was started, and no reply arrived."""
    conn = await stage.accept()
    await conn.attach()
    stage.is_started = True
    await conn.cut()
    conn = await stage.accept()
    await conn.begin()
    await conn.finish(1)


@SCRIPTS.add("cut/between the replies", "2: idempotent start: a run may be asked for again")
async def between_the_replies(stage: Stage) -> None:
    """``started`` arrived, ``subscribed`` did not."""
    conn = await stage.accept()
    await conn.attach()
    await conn.send(conn.attach_replies("live")[0])
    await conn.cut()
    conn = await stage.accept()
    await conn.begin()
    await conn.finish(1)


async def _closes(stage: Stage, code: int) -> None:
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.close(code)
    conn = await stage.accept()
    await resume(conn, 3)
    await conn.finish(4)


for _code in (1001, 1011, 1012, 1013):
    SCRIPTS.add_with(f"close/{_code} is made good", "9: close codes: reconnect", _closes, _code)


@SCRIPTS.add("close/goaway and 1012", "9: goaway: connect again after after_ms")
async def goes_away(stage: Stage) -> None:
    """The server restarts, and says when it will be back."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.send({"type": "goaway", "reason": "draining", "deadline_s": 1, "after_ms": 400})
    await conn.close(1012)
    loop = asyncio.get_running_loop()
    since = loop.time()
    conn = await stage.accept()
    waited = loop.time() - since
    check(waited >= 0.3, "9: after_ms", "400 ms without a new connection", f"{waited * 1000:.0f} ms")
    await resume(conn, 3)
    await conn.finish(4)


async def _gives_up(stage: Stage, code: int) -> None:
    stage.end = "error"
    stage.expected_lines = printed_lines(stage.log[:3])
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.close(code)


for _code in (4400, 4401, 4403):
    SCRIPTS.add_with(f"close/{_code} is final", "9: close codes: no reconnect", _gives_up, _code)


@SCRIPTS.add("close/1009 fails the request", "9: after 1009 reconnect and fail only that request")
async def too_big(stage: Stage) -> None:
    """The frame that starts the run was too large for the server."""
    stage.end = "error"
    stage.expected_lines = []
    conn = await stage.accept()
    await conn.attach()
    await conn.close(1009)


# ── a server that has forgotten the run ──────────────────────────────────────────────────────────


async def _forgotten(stage: Stage, count: int) -> None:
    stage.end = "error"
    stage.expected_lines = printed_lines(stage.log[:count])
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, count)
    await conn.close(1012)
    await forget(await stage.accept())


for _count in (0, 3):
    SCRIPTS.add_with(f"forgotten/after {_count} events", FORGOTTEN, _forgotten, _count)


# ── cursors ──────────────────────────────────────────────────────────────────────────────────────


@SCRIPTS.add("twice/events that were shown", "5: ignore seq at or below the cursor of the same epoch")
async def shown_before(stage: Stage) -> None:
    """The server begins three events too early."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 4)
    await conn.cut()
    conn = await stage.accept()
    await conn.attach()
    await conn.send(*conn.attach_replies(after=1))
    await conn.finish(2)


@SCRIPTS.add("hole/in n", "3: a hole in n is a fault: subscribe anew from the cursor")
async def hole(stage: Stage) -> None:
    """An event is lost on the way."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 2)
    conn.event(3)
    await conn.send_log(4, 4)
    conn = await stage.accept_again(conn)
    await resume(conn, 2)
    await conn.finish(3)


@SCRIPTS.add("hole/before a mark", "5: a mark names the last n: a hole before it is a fault as well")
async def hole_before_a_mark(stage: Stage) -> None:
    """An event is lost on the way, and nothing but a mark follows it."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 2)
    conn.event(3)
    await conn.send({"type": "mark", "sub": conn.sub, "seq": 4, "n": 3})
    conn = await stage.accept_again(conn)
    await resume(conn, 2)
    await conn.finish(3)


@SCRIPTS.add("epoch/changed", "5: a gap sets the cursor, downwards too")
async def epoch_changed(stage: Stage) -> None:
    """The server comes back with another log: what follows the snapshot is shown, whatever its ``seq``."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 4)
    await conn.cut()
    before = printed_lines(stage.log[:4])
    stage.epoch = "e2"
    stage.log = [
        lifecycle("running"),
        *({"mode": "custom", "data": {"new": n}} for n in range(4)),
        lifecycle("completed"),
    ]
    conn = await stage.accept()
    await conn.begin("gap")
    await conn.send(*conn.gap(4, 2, "epoch_changed"))
    stage.expected_lines = [*before, *_gap_lines(4, 2, "epoch_changed"), *printed_lines(stage.log[2:], 3)]
    await conn.send_log(3, 4)
    await conn.cut()
    conn = await stage.accept()
    await resume(conn, 4, "e2")
    await conn.finish(5)


def _gap_lines(after: int, upto: int, reason: str, **snapshot: Any) -> list[Frame]:
    gap = {"after_seq": after, "upto_seq": upto, "reason": reason, "lost": ["custom"]}
    data = {"status": "running", "messages": [], **snapshot}
    return [{"seq": upto, "mode": "gap", "data": gap}, {"seq": upto, "mode": "snapshot", "data": data}]


@SCRIPTS.add("gap/evicted while away", "5: gap and snapshot")
async def evicted_while_away(stage: Stage) -> None:
    """What the client missed is gone."""
    stage.log = counting_log(10)
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.cut()
    conn = await stage.accept()
    request = await conn.begin("gap")
    check(request.seq == 3, "5: cursor", "seq 3", request.seq)
    await conn.send(*conn.gap(3, 8, "evicted", values={"done": 7}), as_batch=True)
    await conn.finish(9)
    gap = _gap_lines(3, 8, "evicted", values={"done": 7})
    stage.expected_lines = [*printed_lines(stage.log[:3]), *gap, *printed_lines(stage.log[8:], 9)]


@SCRIPTS.add("gap/while attached", "5: a reader that falls behind gets a gap")
async def gap_while_attached(stage: Stage) -> None:
    """The gap comes between two events of one attachment."""
    stage.log = counting_log(10)
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.spend_credit("gap")
    await conn.send(*conn.gap(3, 8, "evicted"))
    await conn.finish(9, synced=False)
    gap = _gap_lines(3, 8, "evicted")
    stage.expected_lines = [*printed_lines(stage.log[:3]), *gap, *printed_lines(stage.log[8:], 9)]


@SCRIPTS.add("gap/cut before its snapshot", "5: a gap or a snapshot sets the cursor")
async def gap_cut(stage: Stage) -> None:
    """The connection is lost between the gap and its snapshot: the snapshot is not lost."""
    stage.log = counting_log(10)
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.cut()
    conn = await stage.accept()
    await conn.begin("gap")
    await conn.send(conn.gap(3, 8, "evicted")[0])
    await conn.cut()
    conn = await stage.accept()
    request = await conn.attach()
    if request.seq == 8:
        raise Violation("5", "the cursor of before, or none: the snapshot has not come", request.frame)
    await conn.send(*conn.attach_replies("gap"))
    await conn.send(*conn.gap(3, 8, "evicted"))
    await conn.finish(9)
    gap = _gap_lines(3, 8, "evicted")
    stage.expected_lines = [*printed_lines(stage.log[:3]), *gap, *printed_lines(stage.log[8:], 9)]


@SCRIPTS.add("snapshot/with a message", "5: snapshot")
async def snapshot_with_a_message(stage: Stage) -> None:
    """A message is merged in the snapshot, and goes on behind it."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = talking_log(4)
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 2)
    await conn.cut()
    conn = await stage.accept()
    await conn.begin("gap")
    merged = {"type": "AIMessageChunk", "content": "l0 l1 ", "id": "m-left"}
    meta = {"langgraph_node": "left"}
    message = {"id": "m-left", "ns": [], "node": "left", "message": merged, "meta": meta}
    await conn.send(*conn.gap(2, 4, "evicted", messages=[message]))
    await conn.finish(5)
    shown = {"id": "m-left", "content": "l0 l1 "}
    stage.expected_lines = [
        *printed_lines(stage.log[:2]),
        *_gap_lines(2, 4, "evicted", messages=[shown]),
        *printed_lines(stage.log[4:], 5),
    ]


@SCRIPTS.add("snapshot/with two messages of one id", "5: snapshot; 3: a message is known by its call")
async def snapshot_with_two_messages_of_one_id(stage: Stage) -> None:
    """Each of the two goes on behind the snapshot."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = twin_log()
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 2)
    await conn.cut()
    conn = await stage.accept()
    await conn.begin("gap")
    messages: list[Frame] = [
        {
            "id": "m-1",
            **call,
            "ns": [],
            "node": side,
            "message": {"type": "AIMessageChunk", "content": f"{side[0]}0 "},
            "meta": {"langgraph_node": side},
        }
        for side, call in (("left", {}), ("right", {"call": "call-2"}))
    ]
    await conn.send(*conn.gap(2, 3, "evicted", messages=messages))
    await conn.finish(4)
    shown = [{"id": "m-1", "content": "l0 "}, {"id": "m-1", "content": "r0 "}]
    stage.expected_lines = [
        *printed_lines(stage.log[:2]),
        *_gap_lines(2, 3, "evicted", messages=shown),
        *printed_lines(stage.log[3:], 4),
    ]


@SCRIPTS.add("mark/moves the cursor", "5: mark")
async def mark(stage: Stage) -> None:
    """Nothing matched for a while; the next attachment begins behind it."""
    stage.log = [lifecycle("running"), *counting_log(9)[1:6], *counting_log(30)[27:]]
    head = len(stage.log)
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.send({"type": "mark", "sub": conn.sub, "seq": 6, "n": 3})
    await conn.cut()
    conn = await stage.accept()
    await resume(conn, 6)
    await conn.finish(7)
    stage.expected_lines = [*printed_lines(stage.log[:3]), *printed_lines(stage.log[6:head], 7)]
