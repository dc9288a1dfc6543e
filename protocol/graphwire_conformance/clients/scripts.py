"""The scripts in which no event is lost: runs, refusals, credit, and frames that a client has to ignore.

Those that lose connections are in ``losses``, those of runs that ask in ``answers``.
"""

import asyncio

from graphwire_conformance.clients.connection import ScriptedConnection
from graphwire_conformance.clients.stage import Scripts, Stage, counting_log, lifecycle
from graphwire_conformance.protocol import Frame
from graphwire_conformance.verdict import Violation, check

SCRIPTS = Scripts()

FORGOTTEN = "5: not_found means that the run is forgotten: it is not started again"


async def resume(conn: ScriptedConnection, seq: int, epoch: str = "e1") -> None:
    """Let the client attach, which has to be from its cursor, and answer it."""
    request = await conn.attach()
    came = {"epoch": request.epoch, "seq": request.seq}
    if seq or request.epoch is not None:
        expected = {"epoch": epoch, "seq": seq}
        check(came == expected, "5: it comes back with its cursor", f"{expected}", came)
    await conn.send(*conn.attach_replies())


async def cut_once(stage: Stage, seq: int) -> None:
    """Show the log live, on two connections: the first one ends behind ``seq``."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, seq)
    await conn.cut()
    conn = await stage.accept()
    await resume(conn, seq)
    await conn.finish(seq + 1)


async def forget(conn: ScriptedConnection) -> None:
    """Refuse whatever the client asks about its run, as a server that was restarted does, until it leaves."""
    frame = await conn.expect("run", "subscribe", "respond")
    while True:
        check(frame["type"] != "run", FORGOTTEN, "no `run`: it would start the run once more", frame)
        error = {"code": "not_found", "message": "no such run", "retry": "never", "details": {"kind": "run"}}
        await conn.send({"type": "error", "id": frame["id"], **error})
        asking = asyncio.ensure_future(conn.requests.get())
        leaving = asyncio.ensure_future(conn.is_gone.wait())
        both = {asking, leaving}
        done, waiting = await asyncio.wait(
            both, timeout=conn.stage.patience_s, return_when=asyncio.FIRST_COMPLETED
        )
        for task in waiting:
            task.cancel()
        check(done, FORGOTTEN, "the client gives up", "it waits")
        if asking not in done:
            return
        frame = asking.result()


# ── runs without a fault ─────────────────────────────────────────────────────────────────────────


@SCRIPTS.add("run/one frame a message", "2: a run from hello to closed")
async def one_frame_a_message(stage: Stage) -> None:
    """The plainest run."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, synced=False)


async def _batches(stage: Stage, size: int) -> None:
    stage.log = counting_log(40)
    stage.task["window"] = 64
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, size, synced=False)


for _size in (2, 7, 100):
    SCRIPTS.add_with(
        f"run/batches of {_size}", "1: a batch means its frames one after another", _batches, _size
    )


@SCRIPTS.add("run/replies and events in one batch", "1: a batch means its frames one after another")
async def all_in_one_batch(stage: Stage) -> None:
    """The replies, the whole log and its end arrive as one message."""
    conn = await stage.accept()
    await conn.attach()
    events = [conn.event(seq) for seq in range(1, len(stage.log) + 1)]
    await conn.send(*conn.attach_replies("live"), *events, conn.closing(), as_batch=True)


@SCRIPTS.add("run/found instead of started", "2: created false")
async def found(stage: Stage) -> None:
    """The run exists already; it is shown as usual."""
    stage.is_started = True
    conn = await stage.accept()
    await conn.begin()
    await conn.finish(1)


async def _ends(stage: Stage, status: str, fields: Frame) -> None:
    stage.log[-1] = lifecycle(status, **fields)
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, synced=False)


SCRIPTS.add_with(
    "end/failed", "3: lifecycle", _ends, "failed", {"error": {"code": "graph_error", "message": "no"}}
)
SCRIPTS.add_with("end/cancelled", "3: lifecycle", _ends, "cancelled", {"reason": "superseded"})


def talking_log(words: int) -> list[Frame]:
    """Return the log of two messages, word by word in turns."""
    events: list[Frame] = [lifecycle("running")]
    for number in range(words):
        for side in ("left", "right"):
            delta = {"type": "AIMessageChunk", "content": f"{side[0]}{number} "}
            data = {"id": f"m-{side}", "delta": delta}
            meta = {"langgraph_node": side}
            events.append({"mode": "messages", "node": side, "data": data, "meta": meta})
    return [*events, lifecycle("completed")]


@SCRIPTS.add("messages/two at once", "3: meta comes with the first event of each message")
async def two_messages(stage: Stage) -> None:
    """The metadata, sent once, belongs to every delta of its message."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = talking_log(4)
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, 3, synced=False)


@SCRIPTS.add("messages/cut in their middle", "3: meta once for each message on an attachment")
async def messages_cut(stage: Stage) -> None:
    """The metadata comes again, the pieces do not."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = talking_log(4)
    await cut_once(stage, 4)


def twin_log() -> list[Frame]:
    """Return the log of two calls of models in turns, under one message id; their chunks have ids, too."""
    events: list[Frame] = [lifecycle("running")]
    for number in range(3):
        for side, call in (("left", {}), ("right", {"call": "call-2"})):
            own = {"id": f"lc_run--{side}"} if number else {}
            delta = {"type": "AIMessageChunk", **own, "content": f"{side[0]}{number} "}
            data = {"id": "m-1", **call, "delta": delta}
            meta = {"langgraph_node": side}
            events.append({"mode": "messages", "node": side, "data": data, "meta": meta})
    return [*events, lifecycle("completed")]


@SCRIPTS.add("messages/one id for two calls", "3: a message is known by its call")
async def one_id_for_two_calls(stage: Stage) -> None:
    """The metadata, sent once for each call, belongs to the deltas of its call; a chunk's own id is no id."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = twin_log()
    await cut_once(stage, 5)


@SCRIPTS.add("lifecycle/taken over", "3: void_after")
async def taken_over(stage: Stage) -> None:
    """A run goes on after a crash and repeats a step: a client of 1.0 shows the same events."""
    again = lifecycle("running", attempt=2, void_after=2, discard=["m-1"])
    data: list[Frame] = [{"i": 0}, {"i": 1}, {"i": 1}, {"i": 2}]
    events: list[Frame] = [{"mode": "custom", "data": each} for each in data]
    stage.log = [lifecycle("running"), *events[:2], again, *events[2:], lifecycle("completed", attempt=2)]
    await cut_once(stage, 3)


@SCRIPTS.add("messages/taken back", "3: discard")
async def taken_back(stage: Stage) -> None:
    """A node fails and begins again: the delta that says so is empty; the next call has its own metadata."""
    stage.task["filter"] = {"modes": ["messages"]}
    meta = {"langgraph_node": "write"}
    datas: list[Frame] = [
        {"id": "m-1", "delta": {"type": "AIMessageChunk", "content": "half"}},
        {"id": "m-1", "delta": {}, "discard": True},
        {"id": "m-1", "call": "call-2", "delta": {"type": "AIMessageChunk", "content": "whole"}},
    ]
    events: list[Frame] = [
        {"mode": "messages", "node": "write", "data": data, "meta": meta} for data in datas
    ]
    stage.log = [lifecycle("running"), *events, lifecycle("completed")]
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, synced=False)


# ── what is new or beside the point ──────────────────────────────────────────────────────────────


@SCRIPTS.add("unknown/frame types", "1: a client ignores unknown frame types")
async def unknown_types(stage: Stage) -> None:
    """Frames of a later minor version, alone and in batches."""
    conn = await stage.accept()
    await conn.begin("live")
    strange = {"type": "weather", "sub": conn.sub, "wind": [1, {"of": None}]}
    await conn.send(strange)
    await conn.send_log(1, 3)
    await conn.send(strange, conn.event(4), {"type": "weather"}, as_batch=True)
    await conn.finish(5, synced=False)


@SCRIPTS.add("unknown/fields", "1: a receiver ignores unknown fields")
async def unknown_fields(stage: Stage) -> None:
    """Every frame has a field more than this version knows."""
    conn = await stage.accept(greet=False)
    await conn.welcome(colour={"a": 1}, features=["weather"])
    await conn.attach()
    await conn.send(*({**frame, "colour": "blue"} for frame in conn.attach_replies("live")))
    for seq in range(1, 7):
        await conn.spend_credit(stage.log[seq - 1]["mode"])
        await conn.send(conn.event(seq, colour=[1, 2]))
    await conn.send({**conn.closing(), "colour": None})


@SCRIPTS.add("unknown/modes", "1: a client ignores unknown modes; credit comes back for them")
async def unknown_modes(stage: Stage) -> None:
    """Most of the log is of a mode that is newer than the client: no crash, and no stalled window."""
    strange = [{"mode": "weather", "data": {"wind": number}} for number in range(40)]
    stage.task["window"] = 8
    stage.log = [lifecycle("running"), *strange, {"mode": "custom", "data": {"i": 0}}, lifecycle("completed")]
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, 4, synced=False)


@SCRIPTS.add("beside/notice", "2: notice")
async def notice(stage: Stage) -> None:
    """A notice is for people."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send(
        {"type": "notice", "code": "expiring", "message": "soon", "expires_at": "2026-01-01T00:00:00Z"}
    )
    await conn.finish(1, synced=False)


@SCRIPTS.add("beside/frames of no subscription", "2: unsubscribed frames in flight")
async def of_no_subscription(stage: Stage) -> None:
    """Frames of an earlier subscription do not belong to this one."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 2)
    for frame in (
        {"type": "event", "sub": 77, "n": 3, "seq": 900, "mode": "custom", "data": {"i": 900}},
        {"type": "mark", "sub": 77, "seq": 901},
        {"type": "synced", "sub": 77, "seq": 901},
        {"type": "run_gone", "sub": 77, "run": "another", "reason": "deleted"},
        {"type": "closed", "sub": 77, "reason": "end", "delivered": 3, "skipped": 0},
    ):
        await conn.send(frame)
    await conn.finish(3, synced=False)


@SCRIPTS.add("beside/an error and a pong of nobody", "2: error{id?}")
async def of_nobody(stage: Stage) -> None:
    """Frames that answer no request end nothing."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send(
        {"type": "pong", "t": "?"},
        {"type": "error", "code": "weather", "message": "what was that?", "retry": "never"},
        {"type": "ok", "id": 987654321},
    )
    await conn.finish(1, synced=False)


@SCRIPTS.add("beside/events between the replies of others", "8: order")
async def events_between(stage: Stage) -> None:
    """A batch that mixes events, marks and words to nobody keeps its order."""
    conn = await stage.accept()
    await conn.begin("live")
    events = [conn.event(seq) for seq in range(1, 6)]
    beside: list[Frame] = [
        {"type": "notice", "code": "x", "message": "y"},
        {"type": "mark", "sub": conn.sub, "seq": 2},
    ]
    await conn.send(events[0], beside[0], events[1], beside[1], *events[2:], as_batch=True)
    await conn.finish(6, synced=False)


@SCRIPTS.add("beside/websocket ping", "1: the server sends pings")
async def websocket_ping(stage: Stage) -> None:
    """A heartbeat is answered."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    try:
        await asyncio.wait_for(await conn.socket.ping(), 5)
    except (TimeoutError, asyncio.TimeoutError):
        raise Violation("1: heartbeat", "a pong within 5 s", "none") from None
    await conn.finish(4, synced=False)


async def _split(stage: Stage, piece: int) -> None:
    conn = await stage.accept()
    await conn.begin("live")
    for seq in range(1, 7):
        await conn.spend_credit(stage.log[seq - 1]["mode"])
        await conn.send_split(conn.event(seq), piece)
    await conn.send_split(conn.closing(), piece)


for _piece in (1, 5):
    SCRIPTS.add_with(f"split/packets of {_piece} bytes", "1: one message holds one frame", _split, _piece)


@SCRIPTS.add("large/an event of two megabytes", "10: max_event_bytes")
async def large(stage: Stage) -> None:
    """A client accepts what the limits allow."""
    stage.log[2]["data"] = {"i": 1, "text": "x" * (2 << 20)}
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, synced=False)


# ── refusals, credit ─────────────────────────────────────────────────────────────────────────────


async def _refusal(stage: Stage, code: str, retry: str) -> None:
    stage.end = "error"
    stage.expected_lines = []
    conn = await stage.accept()
    request = await conn.attach()
    error = {"type": "error", "id": request.frame["id"], "code": code, "message": "no", "retry": retry}
    await conn.send(error)


SCRIPTS.add_with("refused/never", "9: retry never", _refusal, "not_found", "never")
SCRIPTS.add_with("refused/by a code of tomorrow", "9: codes; 11: growth", _refusal, "weather", "never")


@SCRIPTS.add("refused/for a while", "9: retry after")
async def for_a_while(stage: Stage) -> None:
    """The new attachment is refused for a moment: the client waits ``after_ms`` and tries again."""
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 3)
    await conn.cut()
    conn = await stage.accept()
    request = await conn.attach()
    error = {"type": "error", "id": request.frame["id"], "code": "rate_limited", "message": "wait"}
    await conn.send({**error, "retry": "after", "after_ms": 300})
    loop = asyncio.get_running_loop()
    since = loop.time()
    conn = await stage.accept_again(conn)
    waited = loop.time() - since
    check(waited >= 0.2, "9: after_ms", "300 ms of patience", f"{waited * 1000:.0f} ms")
    await resume(conn, 3)
    await conn.finish(4)


async def _window(stage: Stage, window: int, batch: int) -> None:
    stage.log = counting_log(120)
    stage.task["window"] = window
    conn = await stage.accept()
    await conn.begin("live")
    await conn.finish(1, batch, synced=False)
    most = conn.highest_credit
    check(conn.credit is None or most <= window, "6: credit", f"at most {window} outstanding", f"{most}")


for _wide, _batch in ((1, 1), (4, 1), (16, 8)):
    SCRIPTS.add_with(
        f"credit/a window of {_wide}", "6: credit comes back as events are taken", _window, _wide, _batch
    )


@SCRIPTS.add("credit/after a cut", "6: credit belongs to an attachment")
async def credit_after_a_cut(stage: Stage) -> None:
    """Every attachment opens with what the application has room for, and gets more as that is taken."""
    stage.log = counting_log(40)
    stage.task["window"] = 4
    conn = await stage.accept()
    await conn.begin("live")
    await conn.send_log(1, 11)
    await conn.cut()
    conn = await stage.accept()
    await resume(conn, 11)
    await conn.finish(12)
    most = conn.highest_credit
    check(conn.credit is None or most <= 4, "6: credit", "at most 4 outstanding", f"{most}")
