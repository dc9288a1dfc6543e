"""Scripts of a run that asks: what a client shows, and that it answers once, whatever is lost."""

from typing import Any

from graphwire_conformance.clients.connection import ScriptedConnection
from graphwire_conformance.clients.scripts import FORGOTTEN, forget, resume
from graphwire_conformance.clients.stage import Scripts, Stage, lifecycle, printed_lines
from graphwire_conformance.protocol import Frame
from graphwire_conformance.verdict import check

SCRIPTS = Scripts()

_RULE = "3: respond answers by id"
_PAUSE = 4  # the seq of the event with which the run is interrupted
_ASKS: list[Frame] = [
    {"id": "i-1", "value": {"sure": "?"}, "ns": []},
    {"id": "i-2", "value": "which?", "ns": [], "response_schema": {"type": "object"}},
]


def _asking(asks: list[Frame]) -> list[Frame]:
    """Return the log of a run that asks once."""
    before: list[Frame] = [lifecycle("running"), {"mode": "custom", "data": {"i": 0}}]
    pause = [{"mode": "interrupt", "data": {"interrupts": asks}}, lifecycle("interrupted")]
    return [
        *before,
        *pause,
        lifecycle("running"),
        {"mode": "custom", "data": {"i": 1}},
        lifecycle("completed"),
    ]


async def _begin(stage: Stage, asks: list[Frame] = _ASKS) -> ScriptedConnection:
    stage.task["answer"] = {"yes": 1}
    stage.log = _asking(asks)
    stage.head = 0  # a pause below the head would be over already
    conn = await stage.accept()
    await conn.begin("live")
    return conn


async def _answer(conn: ScriptedConnection, asks: list[Frame] = _ASKS) -> Frame:
    """Return the client's answer, which has to answer everything that is asked."""
    frame = await conn.expect("respond")
    _check_answer(conn, frame, asks)
    return frame


def _check_answer(conn: ScriptedConnection, frame: Frame, asks: list[Frame]) -> None:
    expected = {item["id"]: conn.stage.task["answer"] for item in asks}
    came = {item["interrupt"]: item.get("value") for item in frame["responses"]}
    check(came == expected and len(frame["responses"]) == len(asks), _RULE, f"{expected}", frame)
    check(frame["run"] == conn.stage.task["run"], _RULE, "the run of the task", frame)


async def _accept_answer_again(stage: Stage, before: ScriptedConnection) -> tuple[ScriptedConnection, Frame]:
    """Wait until the client has resumed from its cursor and answered again, in either order."""
    conn = await stage.accept()
    stage.head = _PAUSE
    if before.has_unsubscribed:
        conn.has_unsubscribed = True
        return conn, await _answer(conn)
    frame = await conn.expect("respond", "subscribe", "run")
    if frame["type"] == "respond":
        await resume(conn, _PAUSE)
    else:
        behind = [conn.requests.get_nowait() for _ in range(conn.requests.qsize())]
        for request in (frame, *behind):
            conn.requests.put_nowait(request)
        await resume(conn, _PAUSE)
        frame = await conn.expect("respond")
    _check_answer(conn, frame, _ASKS)
    return conn, frame


async def _resume_run(conn: ScriptedConnection, reply: Frame, synced: bool = False) -> None:
    """Reply to the client's answer and send the rest of the log.

    A client that unsubscribed while the run waited attaches again first.
    """
    await conn.send(reply)
    if conn.has_unsubscribed:
        conn.stage.head, synced = _PAUSE, True
        await resume(conn, _PAUSE)
    await conn.finish(_PAUSE + 1, synced=synced)


def _ok(frame: Frame) -> Frame:
    return {"type": "ok", "id": frame["id"], "status": "running"}


def _conflict(frame: Frame) -> Frame:
    conflict: dict[str, Any] = {"code": "conflict", "message": "it has its answer", "retry": "never"}
    return {"type": "error", "id": frame["id"], **conflict}


async def _answered(stage: Stage, asks: list[Frame]) -> None:
    conn = await _begin(stage, asks)
    await conn.send_log(1, _PAUSE)
    await _resume_run(conn, _ok(await _answer(conn, asks)))


SCRIPTS.add_with("answer/to one question", _RULE, _answered, _ASKS[:1])
SCRIPTS.add_with("answer/to two questions", _RULE, _answered, _ASKS)
SCRIPTS.add_with(
    "answer/at a static breakpoint", "3: a static breakpoint is answered by an empty list", _answered, []
)


@SCRIPTS.add("answer/somebody else was faster", "3: of two racing answers one wins, the other gets conflict")
async def somebody_else(stage: Stage) -> None:
    """A conflict is no reason to leave: the run goes on with the other answer."""
    conn = await _begin(stage)
    await conn.send_log(1, _PAUSE)
    await _resume_run(conn, _conflict(await _answer(conn)))


@SCRIPTS.add("answer/cut before it is told that it waits", "5: nothing lost, nothing twice")
async def cut_before(stage: Stage) -> None:
    """The connection is lost between the question and the pause."""
    conn = await _begin(stage)
    await conn.send_log(1, _PAUSE - 1)
    await conn.cut()
    conn = await stage.accept()
    stage.head = _PAUSE
    await resume(conn, _PAUSE - 1)
    await conn.send_log(_PAUSE, _PAUSE)
    await _resume_run(conn, _ok(await _answer(conn)), synced=True)


@SCRIPTS.add("answer/lost on its way", "2: exactly one reply; without one it is sent again")
async def lost_on_its_way(stage: Stage) -> None:
    """The connection is lost with the answer, which the server never had."""
    conn = await _begin(stage)
    await conn.send_log(1, _PAUSE)
    await _answer(conn)
    await conn.cut()
    conn, frame = await _accept_answer_again(stage, conn)
    await _resume_run(conn, _ok(frame), synced=True)


@SCRIPTS.add("answer/its reply is lost", "3: an answer to a run that is not interrupted is conflict")
async def reply_is_lost(stage: Stage) -> None:
    """The answer had arrived: sent again it is a conflict, and the run goes on."""
    conn = await _begin(stage)
    await conn.send_log(1, _PAUSE)
    await _answer(conn)
    await conn.cut()
    conn, frame = await _accept_answer_again(stage, conn)
    await _resume_run(conn, _conflict(frame), synced=True)


@SCRIPTS.add("answer/the run is forgotten", FORGOTTEN)
async def run_is_forgotten(stage: Stage) -> None:
    """The server restarts while the answer is on its way."""
    conn = await _begin(stage)
    await conn.send_log(1, _PAUSE)
    await _answer(conn)
    await conn.cut()
    stage.end = "error"
    stage.expected_lines = printed_lines(stage.log[:_PAUSE])
    await forget(await stage.accept())


@SCRIPTS.add("answer/asked in a snapshot", "5: a snapshot has the pending interrupts")
async def asked_in_a_snapshot(stage: Stage) -> None:
    """The question itself is gone from the log."""
    conn = await _begin(stage)
    await conn.send_log(1, 1)
    await conn.cut()
    conn = await stage.accept()
    stage.head = _PAUSE
    await conn.begin("gap")
    await conn.send(*conn.gap(1, _PAUSE, "evicted", status="interrupted", interrupts=_ASKS))
    await conn.send({"type": "synced", "sub": conn.sub, "seq": _PAUSE})
    gap = {"after_seq": 1, "upto_seq": _PAUSE, "reason": "evicted", "lost": ["custom"]}
    stage.expected_lines = [
        *printed_lines(stage.log[:1]),
        {"seq": _PAUSE, "mode": "gap", "data": gap},
        {"seq": _PAUSE, "mode": "snapshot", "data": {"status": "interrupted", "messages": []}},
        *printed_lines(stage.log[_PAUSE:], _PAUSE + 1),
    ]
    await _resume_run(conn, _ok(await _answer(conn)))
