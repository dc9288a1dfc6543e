"""The scripts that lose connections, events and logs: a client comes back and misses nothing."""

import asyncio
from typing import Any

from graphwire_conformance.clients.scripts import add, resumes, script, spoken
from graphwire_conformance.clients.stage import Stage, counted, hang_up, life, lines, unavailable
from graphwire_conformance.servers.attachment import Frame
from graphwire_conformance.verdict import Fault, check

_EXACT = "5: nothing lost, nothing shown twice"


# ── cuts ─────────────────────────────────────────────────────────────────────────────────────────


async def _cut_after(stage: Stage, count: int) -> None:
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, count)
    await link.cut()
    link = await stage.meet()
    await resumes(link, count)
    await link.finish(count + 1)


for _count in range(7):
    add(f"cut/after {_count} events", _EXACT, _cut_after, _count)


@script("cut/again and again", _EXACT)
async def again_and_again(stage: Stage) -> None:
    """One event, then the connection is gone, three times."""
    for count in range(3):
        link = await stage.meet()
        await (resumes(link, count) if count else link.begin("live"))
        await link.tell(count + 1, count + 1)
        await link.cut()
    link = await stage.meet()
    await resumes(link, 3)
    await link.finish(4)


async def _refused(stage: Stage, refusal: Any) -> None:
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 2)
    stage.refuse = [refusal, refusal]
    await link.cut()
    link = await stage.meet()
    await resumes(link, 2)
    await link.finish(3)


add("cut/in the handshake", _EXACT, _refused, hang_up)
add("cut/503 in the handshake", _EXACT, _refused, unavailable)


@script("cut/before the welcome", _EXACT)
async def before_the_welcome(stage: Stage) -> None:
    """The next connection is lost when its hello has been read."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 2)
    await link.cut()
    link = await stage.meet(greet=False)
    await link.expect("hello")
    await link.cut()
    link = await stage.meet()
    await resumes(link, 2)
    await link.finish(3)


@script("cut/before the replies", "2: idempotent start: a run may be asked for again")
async def before_the_replies(stage: Stage) -> None:
    """The run was started and nobody was told."""
    link = await stage.meet()
    await link.attach()
    stage.is_started = True
    await link.cut()
    link = await stage.meet()
    await link.begin()
    await link.finish(1)


@script("cut/between the replies", "2: idempotent start: a run may be asked for again")
async def between_the_replies(stage: Stage) -> None:
    """Started was told, subscribed was not."""
    link = await stage.meet()
    await link.attach()
    await link.send(link.replies("live")[0])
    await link.cut()
    link = await stage.meet()
    await link.begin()
    await link.finish(1)


async def _closes(stage: Stage, code: int) -> None:
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.close(code)
    link = await stage.meet()
    await resumes(link, 3)
    await link.finish(4)


for _code in (1001, 1011, 1012, 1013):
    add(f"close/{_code} is made good", "9: close codes: reconnect", _closes, _code)


@script("close/goaway and 1012", "9: goaway: connect again after after_ms")
async def goes_away(stage: Stage) -> None:
    """The server restarts, and says when it will be back."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.send({"type": "goaway", "reason": "draining", "deadline_s": 1, "after_ms": 400})
    await link.close(1012)
    loop = asyncio.get_running_loop()
    since = loop.time()
    link = await stage.meet()
    waited = loop.time() - since
    check(waited >= 0.3, "9: after_ms", "400 ms without a new connection", f"{waited * 1000:.0f} ms")
    await resumes(link, 3)
    await link.finish(4)


async def _gives_up(stage: Stage, code: int) -> None:
    stage.end = "error"
    stage.shown = lines(stage.log[:3])
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.close(code)


for _code in (4400, 4401, 4403):
    add(f"close/{_code} is final", "9: close codes: no reconnect", _gives_up, _code)


@script("close/1009 fails the request", "9: after 1009 reconnect and fail only that request")
async def too_big(stage: Stage) -> None:
    """The frame that starts the run was too large for the server."""
    stage.end = "error"
    stage.shown = []
    link = await stage.meet()
    await link.attach()
    await link.close(1009)


# ── cursors ──────────────────────────────────────────────────────────────────────────────────────


@script("twice/events that were shown", "5: ignore seq at or below the cursor of the same epoch")
async def shown_before(stage: Stage) -> None:
    """The server begins three events too early."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 4)
    await link.cut()
    link = await stage.meet()
    await link.attach()
    await link.send(*link.replies(after=1))
    await link.finish(2)


@script("hole/in n", "3: a hole in n is a fault: subscribe anew from the cursor")
async def hole(stage: Stage) -> None:
    """An event is lost on the way."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 2)
    link.event(3)
    await link.tell(4, 4)
    link = await stage.again(link)
    await resumes(link, 2)
    await link.finish(3)


@script("epoch/changed", "5: a gap sets the cursor, downwards too")
async def epoch_changed(stage: Stage) -> None:
    """The server comes back with another log: what follows the snapshot is shown, whatever its seq."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 4)
    await link.cut()
    before = lines(stage.log[:4])
    stage.epoch = "e2"
    stage.log = [
        life("running"),
        *({"mode": "custom", "data": {"new": n}} for n in range(4)),
        life("completed"),
    ]
    link = await stage.meet()
    await link.begin("gap")
    await link.send(*link.gap(4, 2, "epoch_changed"))
    stage.shown = [*before, *_gap_lines(4, 2, "epoch_changed"), *lines(stage.log[2:], 3)]
    await link.tell(3, 4)
    await link.cut()
    link = await stage.meet()
    await resumes(link, 4, "e2")
    await link.finish(5)


def _gap_lines(after: int, upto: int, reason: str, **snapshot: Any) -> list[Frame]:
    gap = {"after_seq": after, "upto_seq": upto, "reason": reason, "lost": ["custom"]}
    data = {"status": "running", "messages": [], **snapshot}
    return [{"seq": upto, "mode": "gap", "data": gap}, {"seq": upto, "mode": "snapshot", "data": data}]


@script("gap/evicted while away", "5: gap and snapshot")
async def evicted_while_away(stage: Stage) -> None:
    """What the client missed is gone."""
    stage.log = counted(10)
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.cut()
    link = await stage.meet()
    attached = await link.begin("gap")
    check(attached.seq == 3, "5: cursor", "seq 3", attached.seq)
    await link.send(*link.gap(3, 8, "evicted", values={"done": 7}), as_batch=True)
    await link.finish(9)
    gap = _gap_lines(3, 8, "evicted", values={"done": 7})
    stage.shown = [*lines(stage.log[:3]), *gap, *lines(stage.log[8:], 9)]


@script("gap/while attached", "5: a reader that falls behind gets a gap")
async def gap_while_attached(stage: Stage) -> None:
    """The gap comes between two events of one attachment."""
    stage.log = counted(10)
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.paid("gap")
    await link.send(*link.gap(3, 8, "evicted"))
    await link.finish(9, synced=False)
    gap = _gap_lines(3, 8, "evicted")
    stage.shown = [*lines(stage.log[:3]), *gap, *lines(stage.log[8:], 9)]


@script("gap/cut before its snapshot", "5: a gap or a snapshot sets the cursor")
async def gap_cut(stage: Stage) -> None:
    """The connection is lost between the gap and its snapshot: the snapshot is not lost."""
    stage.log = counted(10)
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.cut()
    link = await stage.meet()
    await link.begin("gap")
    await link.send(link.gap(3, 8, "evicted")[0])
    await link.cut()
    link = await stage.meet()
    attached = await link.attach()
    if attached.seq == 8:
        raise Fault("5", "the cursor of before, or none: the snapshot has not come", attached.frame)
    await link.send(*link.replies("gap"))
    await link.send(*link.gap(3, 8, "evicted"))
    await link.finish(9)
    gap = _gap_lines(3, 8, "evicted")
    stage.shown = [*lines(stage.log[:3]), *gap, *lines(stage.log[8:], 9)]


@script("snapshot/with a message", "5: snapshot")
async def snapshot_with_a_message(stage: Stage) -> None:
    """A message is merged in the snapshot, and goes on behind it."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = spoken(4)
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 2)
    await link.cut()
    link = await stage.meet()
    await link.begin("gap")
    merged = {"type": "AIMessageChunk", "content": "l0 l1 ", "id": "m-left"}
    meta = {"langgraph_node": "left"}
    message = {"id": "m-left", "ns": [], "node": "left", "message": merged, "meta": meta}
    await link.send(*link.gap(2, 4, "evicted", messages=[message]))
    await link.finish(5)
    shown = {"id": "m-left", "content": "l0 l1 "}
    stage.shown = [
        *lines(stage.log[:2]),
        *_gap_lines(2, 4, "evicted", messages=[shown]),
        *lines(stage.log[4:], 5),
    ]


@script("mark/moves the cursor", "5: mark")
async def mark(stage: Stage) -> None:
    """Nothing matched for a while; the next attachment begins behind it."""
    stage.log = [life("running"), *counted(9)[1:6], *counted(30)[27:]]
    head = len(stage.log)
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.send({"type": "mark", "sub": link.sub, "seq": 6})
    await link.cut()
    link = await stage.meet()
    await resumes(link, 6)
    await link.finish(7)
    stage.shown = [*lines(stage.log[:3]), *lines(stage.log[6:head], 7)]
