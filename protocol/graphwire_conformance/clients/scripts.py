"""What a script is, and the scripts whose connections hold: runs, refusals, credit, what is beside the point.

Those whose connections are lost stand in ``losses``.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from graphwire_conformance.clients.stage import Link, Script, Stage, counted, life
from graphwire_conformance.servers.attachment import Frame
from graphwire_conformance.verdict import Fault, check

SCRIPTS: list[tuple[str, str, Script]] = []
"""Name, rule and script of each case."""


def script(name: str, rule: str) -> Callable[[Script], Script]:
    """Add a script to the list."""

    def add(work: Script) -> Script:
        SCRIPTS.append((name, rule, work))
        return work

    return add


def add(name: str, rule: str, work: Callable[..., Any], *arguments: Any) -> None:
    """Add a script that takes arguments."""
    SCRIPTS.append((name, rule, lambda stage: work(stage, *arguments)))


async def resumes(link: Link, seq: int, epoch: str = "e1") -> None:
    """Let the client attach, which has to be at its cursor."""
    attached = await link.attach()
    came = {"epoch": attached.epoch, "seq": attached.seq}
    if seq or attached.epoch is not None:
        expected = {"epoch": epoch, "seq": seq}
        check(came == expected, "5: it comes back with its cursor", f"{expected}", came)
    await link.send(*link.replies())


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
    add(f"run/batches of {_size}", "1: a batch means its frames one after another", _batches, _size)


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


add("end/failed", "3: lifecycle", _ends, "failed", {"error": {"code": "graph_error", "message": "no"}})
add("end/cancelled", "3: lifecycle", _ends, "cancelled", {"reason": "superseded"})


def spoken(words: int) -> list[Frame]:
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
    stage.log = spoken(4)
    link = await stage.meet()
    await link.begin("live")
    await link.finish(1, 3, synced=False)


@script("messages/cut in their middle", "3: meta once for each message on an attachment")
async def messages_cut(stage: Stage) -> None:
    """The metadata comes again, the pieces do not."""
    stage.task["filter"] = {"modes": ["messages"]}
    stage.log = spoken(4)
    link = await stage.meet()
    await link.begin("live")
    await link.tell(1, 4)
    await link.cut()
    link = await stage.meet()
    await resumes(link, 4)
    await link.finish(5)


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
    add(f"split/packets of {_piece} bytes", "1: one message holds one frame", _split, _piece)


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


add("refused/never", "9: retry never", _refusal, "not_found", "never")
add("refused/by a code of tomorrow", "9: codes; 11: growth", _refusal, "weather", "never")


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
    await resumes(link, 3)
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
    add(f"credit/a window of {_wide}", "6: credit comes back as events are taken", _window, _wide, _batch)


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
    await resumes(link, 11)
    await link.finish(12)
    most = link.most_credit
    check(link.credit is None or most <= 4, "6: credit", "at most 4 outstanding", f"{most}")
