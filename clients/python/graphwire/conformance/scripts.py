"""The scripts of the faulty server, one a case: what happens to the client under test."""

import asyncio
from collections.abc import Callable
from typing import Any

from graphwire.conformance.follow import Frame
from graphwire.conformance.stage import Link, Script, Stage, counted, hang_up, life, lines, unavailable
from graphwire.conformance.verdict import Fault, check

SCRIPTS: list[tuple[str, str, Script]] = []
"""Name, rule and script of each case."""

_EXACT = "5: nothing lost, nothing shown twice"


def script(name: str, rule: str) -> Callable[[Script], Script]:
    """Add a script to the list."""

    def add(work: Script) -> Script:
        SCRIPTS.append((name, rule, work))
        return work

    return add


def _add(name: str, rule: str, work: Callable[..., Any], *arguments: Any) -> None:
    SCRIPTS.append((name, rule, lambda stage: work(stage, *arguments)))


# ── runs without a fault ─────────────────────────────────────────────────────────────────────────


@script("run/one frame a message", "2: a run from hello to closed")
async def one_frame_a_message(stage: Stage) -> None:
    """Nothing special."""
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, synced=False)


async def _batches(stage: Stage, size: int) -> None:
    stage.log = counted(40)
    stage.task["window"] = 64
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, size, synced=False)


for _size in (2, 7, 100):
    _add(f"run/batches of {_size}", "1: a batch means its frames one after another", _batches, _size)


@script("run/replies and events in one batch", "1: a batch means its frames one after another")
async def all_in_one_batch(stage: Stage) -> None:
    """The replies, the whole log and its end arrive as one message."""
    link = await stage.meet()
    await link.attach()
    events = [link.event(seq) for seq in range(1, len(stage.log) + 1)]
    await link.send(*link.replies("live"), *events, link.closing(), as_batch=True)


@script("run/found instead of started", "2: created false")
async def found(stage: Stage) -> None:
    """The run exists already: it is shown all the same."""
    stage.is_started = True
    link = await stage.meet()
    await link.begin()
    await link.finish(1)


async def _ends(stage: Stage, status: str, fields: Frame) -> None:
    stage.log[-1] = life(status, **fields)
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, synced=False)


_add("end/failed", "3: lifecycle", _ends, "failed", {"error": {"code": "graph_error", "message": "no"}})
_add("end/cancelled", "3: lifecycle", _ends, "cancelled", {"reason": "superseded"})


def _spoken(words: int) -> list[Frame]:
    """Return the log of two messages, word by word in turns."""
    events: list[Frame] = [life("running")]
    for number in range(words):
        for side in ("left", "right"):
            delta = {"type": "AIMessageChunk", "content": f"{side[0]}{number} "}
            data = {"id": f"m-{side}", "delta": delta}
            meta = {"langgraph_node": side}
            events.append({"mode": "messages", "node": side, "data": data, "meta": meta})
    return [*events, life("completed")]


@script("messages/two at once", "3: meta comes with the first event of each message")
async def two_messages(stage: Stage) -> None:
    """The metadata that was told once belongs to every piece of its message."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = _spoken(4)
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, 3, synced=False)


@script("messages/cut in their middle", "3: meta once for each message on an attachment")
async def messages_cut(stage: Stage) -> None:
    """The metadata comes again, the pieces do not."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = _spoken(4)
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 4)
    await link.cut()
    link = await stage.meet()
    await _resumes(link, 4)
    await link.finish(5)


# ── cuts ─────────────────────────────────────────────────────────────────────────────────────────


async def _resumes(link: Link, seq: int, epoch: str = "e1") -> None:
    """Let the client attach, which has to be at its cursor."""
    attached = await link.attach()
    came = {"epoch": attached.epoch, "seq": attached.seq}
    if seq or attached.epoch is not None:
        expected = {"epoch": epoch, "seq": seq}
        check(came == expected, "5: it comes back with its cursor", f"{expected}", came)
    await link.send(*link.replies())


async def _cut_after(stage: Stage, count: int) -> None:
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, count)
    await link.cut()
    link = await stage.meet()
    await _resumes(link, count)
    await link.finish(count + 1)


for _count in range(7):
    _add(f"cut/after {_count} events", _EXACT, _cut_after, _count)


@script("cut/again and again", _EXACT)
async def again_and_again(stage: Stage) -> None:
    """One event, then the connection is gone, three times."""
    for count in range(3):
        link = await stage.meet()
        await (_resumes(link, count) if count else link.begin("live"))
        await link.tell(count + 1, count + 1)
        await link.cut()
    link = await stage.meet()
    await _resumes(link, 3)
    await link.finish(4)


async def _refused(stage: Stage, refusal: Any) -> None:
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 2)
    stage.refuse = [refusal, refusal]
    await link.cut()
    link = await stage.meet()
    await _resumes(link, 2)
    await link.finish(3)


_add("cut/in the handshake", _EXACT, _refused, hang_up)
_add("cut/503 in the handshake", _EXACT, _refused, unavailable)


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
    await _resumes(link, 2)
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
    await _resumes(link, 3)
    await link.finish(4)


for _code in (1001, 1011, 1012, 1013):
    _add(f"close/{_code} is made good", "9: close codes: reconnect", _closes, _code)


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
    await _resumes(link, 3)
    await link.finish(4)


async def _gives_up(stage: Stage, code: int) -> None:
    stage.end = "error"
    stage.shown = lines(stage.log[:3])
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.close(code)


for _code in (4400, 4401, 4403):
    _add(f"close/{_code} is final", "9: close codes: no reconnect", _gives_up, _code)


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
    await _resumes(link, 2)
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
    await _resumes(link, 4, "e2")
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
    stage.log = _spoken(4)
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
    await _resumes(link, 6)
    await link.finish(7)
    stage.shown = [*lines(stage.log[:3]), *lines(stage.log[6:head], 7)]


# ── what is new or beside the point ──────────────────────────────────────────────────────────────


@script("unknown/frame types", "1: a client ignores unknown frame types")
async def unknown_types(stage: Stage) -> None:
    """Frames of a later minor version, alone and in batches."""
    link = await stage.meet()
    await link.begin("live")
    strange = {"type": "weather", "sub": link.sub, "wind": [1, {"of": None}]}
    await link.send(strange)
    await link.tell(1, 3)
    await link.send(strange, link.event(4), {"type": "weather"}, as_batch=True)
    await link.finish(5, synced=False)


@script("unknown/fields", "1: a receiver ignores unknown fields")
async def unknown_fields(stage: Stage) -> None:
    """Every frame has a field more than this version knows."""
    link = await stage.meet(greet=False)
    await link.welcome(colour={"a": 1}, features=["weather"])
    await link.attach()
    await link.send(*({**frame, "colour": "blue"} for frame in link.replies("live")))
    for seq in range(1, 7):
        await link.paid(stage.log[seq - 1]["mode"])
        await link.send(link.event(seq, colour=[1, 2]))
    await link.send({**link.closing(), "colour": None})


@script("unknown/modes", "1: a client ignores unknown modes; credit comes back for them")
async def unknown_modes(stage: Stage) -> None:
    """Most of the log is of a mode that is newer than the client: no crash, and no stalled window."""
    strange = [{"mode": "weather", "data": {"wind": number}} for number in range(40)]
    stage.task["window"] = 8
    stage.log = [life("running"), *strange, {"mode": "custom", "data": {"i": 0}}, life("completed")]
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, 4, synced=False)


@script("beside/notice", "2: notice")
async def notice(stage: Stage) -> None:
    """A word to a person."""
    link = await stage.meet()
    await link.begin("live")
    await link.send(
        {"type": "notice", "code": "expiring", "message": "soon", "expires_at": "2026-01-01T00:00:00Z"}
    )
    await link.finish(1, synced=False)


@script("beside/frames of no subscription", "2: unsubscribed frames in flight")
async def of_no_subscription(stage: Stage) -> None:
    """What a subscription of before still sends is not this one's."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 2)
    for frame in (
        {"type": "event", "sub": 77, "n": 3, "seq": 900, "mode": "custom", "data": {"i": 900}},
        {"type": "mark", "sub": 77, "seq": 901},
        {"type": "synced", "sub": 77, "seq": 901},
        {"type": "closed", "sub": 77, "reason": "end", "delivered": 3, "skipped": 0},
    ):
        await link.send(frame)
    await link.finish(3, synced=False)


@script("beside/an error and a pong of nobody", "2: error{id?}")
async def of_nobody(stage: Stage) -> None:
    """What answers nothing ends nothing."""
    link = await stage.meet()
    await link.begin("live")
    await link.send(
        {"type": "pong", "t": "?"},
        {"type": "error", "code": "weather", "message": "what was that?", "retry": "never"},
        {"type": "ok", "id": 987654321},
    )
    await link.finish(1, synced=False)


@script("beside/events between the replies of others", "8: order")
async def events_between(stage: Stage) -> None:
    """A batch that mixes events, marks and words to nobody keeps its order."""
    link = await stage.meet()
    await link.begin("live")
    events = [link.event(seq) for seq in range(1, 6)]
    beside: list[Frame] = [
        {"type": "notice", "code": "x", "message": "y"},
        {"type": "mark", "sub": link.sub, "seq": 2},
    ]
    await link.send(events[0], beside[0], events[1], beside[1], *events[2:], as_batch=True)
    await link.finish(6, synced=False)


@script("beside/websocket ping", "1: the server sends pings")
async def websocket_ping(stage: Stage) -> None:
    """A heartbeat is answered."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    try:
        await asyncio.wait_for(await link.socket.ping(), 5)
    except (TimeoutError, asyncio.TimeoutError):
        raise Fault("1: heartbeat", "a pong within 5 s", "none") from None
    await link.finish(4, synced=False)


async def _split(stage: Stage, piece: int) -> None:
    link = await stage.meet()
    await link.begin("live")
    for seq in range(1, 7):
        await link.paid(stage.log[seq - 1]["mode"])
        await link.split(link.event(seq), piece)
    await link.split(link.closing(), piece)


for _piece in (1, 5):
    _add(f"split/packets of {_piece} bytes", "1: one message holds one frame", _split, _piece)


@script("large/an event of two megabytes", "10: max_event_bytes")
async def large(stage: Stage) -> None:
    """A client takes what the limits allow."""
    stage.log[2]["data"] = {"i": 1, "text": "x" * (2 << 20)}
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, synced=False)


# ── refusals, credit ─────────────────────────────────────────────────────────────────────────────


async def _refusal(stage: Stage, code: str, retry: str) -> None:
    stage.end = "error"
    stage.shown = []
    link = await stage.meet()
    attached = await link.attach()
    error = {"type": "error", "id": attached.frame["id"], "code": code, "message": "no", "retry": retry}
    await link.send(error)


_add("refused/never", "9: retry never", _refusal, "not_found", "never")
_add("refused/by a code of tomorrow", "9: codes; 11: growth", _refusal, "weather", "never")


@script("refused/for a while", "9: retry after")
async def for_a_while(stage: Stage) -> None:
    """Coming back is refused for a moment: the client waits as told and tries again."""
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 3)
    await link.cut()
    link = await stage.meet()
    attached = await link.attach()
    error = {"type": "error", "id": attached.frame["id"], "code": "rate_limited", "message": "wait"}
    await link.send({**error, "retry": "after", "after_ms": 300})
    loop = asyncio.get_running_loop()
    since = loop.time()
    link = await stage.again(link)
    waited = loop.time() - since
    check(waited >= 0.2, "9: after_ms", "300 ms of patience", f"{waited * 1000:.0f} ms")
    await _resumes(link, 3)
    await link.finish(4)


async def _window(stage: Stage, window: int, batch: int) -> None:
    stage.log = counted(120)
    stage.task["window"] = window
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, batch, synced=False)
    most = link.most_credit
    check(link.credit is None or most <= window, "6: credit", f"at most {window} outstanding", f"{most}")


for _wide, _batch in ((1, 1), (4, 1), (16, 8)):
    _add(f"credit/a window of {_wide}", "6: credit comes back as events are taken", _window, _wide, _batch)


@script("credit/after a cut", "6: credit belongs to an attachment")
async def credit_after_a_cut(stage: Stage) -> None:
    """Every attachment opens with what the application has room for, and gets more as that is taken."""
    stage.log = counted(40)
    stage.task["window"] = 4
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 11)
    await link.cut()
    link = await stage.meet()
    await _resumes(link, 11)
    await link.finish(12)
    most = link.most_credit
    check(link.credit is None or most <= 4, "6: credit", "at most 4 outstanding", f"{most}")
