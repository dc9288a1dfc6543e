"""Scripts of a run that asks: what a client shows of it, and that it answers once, whatever is lost."""

from typing import Any

from graphwire_conformance.clients.scripts import add, resumes, script
from graphwire_conformance.clients.stage import Link, Stage, life, lines
from graphwire_conformance.servers.attachment import Frame
from graphwire_conformance.verdict import check

_RULE = "3: respond answers by id"
_PAUSE = 4  # the number of the event by which the run is interrupted
_ASKS: list[Frame] = [
    {"id": "i-1", "value": {"sure": "?"}, "ns": []},
    {"id": "i-2", "value": "which?", "ns": []},
]


def _asking(asks: list[Frame]) -> list[Frame]:
    """Return the log of a run that asks once."""
    before: list[Frame] = [life("running"), {"mode": "custom", "data": {"i": 0}}]
    pause = [{"mode": "interrupt", "data": {"interrupts": asks}}, life("interrupted")]
    return [*before, *pause, life("running"), {"mode": "custom", "data": {"i": 1}}, life("completed")]


async def _begin(stage: Stage, asks: list[Frame] = _ASKS) -> Link:
    stage.task["answer"] = {"yes": 1}
    stage.log = _asking(asks)
    stage.head = 0  # a pause that the log has behind it is nothing to be answered
    link = await stage.meet()
    await link.begin("live")
    return link


async def _answer(link: Link, asks: list[Frame] = _ASKS) -> Frame:
    """Take the client's answer, which has to be to everything that is asked."""
    frame = await link.expect("respond")
    _check_answer(link, frame, asks)
    return frame


def _check_answer(link: Link, frame: Frame, asks: list[Frame]) -> None:
    expected = {item["id"]: link.stage.task["answer"] for item in asks}
    came = {item["interrupt"]: item.get("value") for item in frame["responses"]}
    check(came == expected and len(frame["responses"]) == len(asks), _RULE, f"{expected}", frame)
    check(frame["run"] == link.stage.task["run"], _RULE, "the run of the task", frame)


async def _comes_back(stage: Stage, before: Link) -> tuple[Link, Frame]:
    """Let the client come back at its cursor and answer once more, in whatever order."""
    link = await stage.meet()
    stage.head = _PAUSE
    if before.has_left:
        link.has_left = True
        return link, await _answer(link)
    frame = await link.expect("respond", "subscribe", "run")
    if frame["type"] == "respond":
        await resumes(link, _PAUSE)
    else:
        behind = [link.asked.get_nowait() for _ in range(link.asked.qsize())]
        for again in (frame, *behind):
            link.asked.put_nowait(again)
        await resumes(link, _PAUSE)
        frame = await link.expect("respond")
    _check_answer(link, frame, _ASKS)
    return link, frame


async def _go_on(link: Link, reply: Frame, synced: bool = False) -> None:
    """Answer the client's answer and tell the rest, also to one that does not follow a run while it waits."""
    await link.send(reply)
    if link.has_left:
        link.stage.head, synced = _PAUSE, True
        await resumes(link, _PAUSE)
    await link.finish(_PAUSE + 1, synced=synced)


def _ok(frame: Frame) -> Frame:
    return {"type": "ok", "id": frame["id"], "status": "running"}


def _conflict(frame: Frame) -> Frame:
    told: dict[str, Any] = {"code": "conflict", "message": "it has its answer", "retry": "never"}
    return {"type": "error", "id": frame["id"], **told}


async def _given(stage: Stage, asks: list[Frame]) -> None:
    link = await _begin(stage, asks)
    await link.tell(1, _PAUSE)
    await _go_on(link, _ok(await _answer(link, asks)))


add("answer/to one question", _RULE, _given, _ASKS[:1])
add("answer/to two questions", _RULE, _given, _ASKS)
add("answer/at a static breakpoint", "3: a static breakpoint is answered by an empty list", _given, [])


@script("answer/somebody else was faster", "3: of two racing answers one wins, the other gets conflict")
async def somebody_else(stage: Stage) -> None:
    """A conflict is no reason to leave: the run goes on with the other answer."""
    link = await _begin(stage)
    await link.tell(1, _PAUSE)
    await _go_on(link, _conflict(await _answer(link)))


@script("answer/cut before it is told that it waits", "5: nothing lost, nothing twice")
async def cut_before(stage: Stage) -> None:
    """The connection is lost between the question and the pause."""
    link = await _begin(stage)
    await link.tell(1, _PAUSE - 1)
    await link.cut()
    link = await stage.meet()
    stage.head = _PAUSE
    await resumes(link, _PAUSE - 1)
    await link.tell(_PAUSE, _PAUSE)
    await _go_on(link, _ok(await _answer(link)), synced=True)


@script("answer/lost on its way", "2: exactly one reply; without one it is sent again")
async def lost_on_its_way(stage: Stage) -> None:
    """The connection is lost with the answer, which the server never had."""
    link = await _begin(stage)
    await link.tell(1, _PAUSE)
    await _answer(link)
    await link.cut()
    link, frame = await _comes_back(stage, link)
    await _go_on(link, _ok(frame), synced=True)


@script("answer/its reply is lost", "3: an answer to a run that is not interrupted is conflict")
async def reply_is_lost(stage: Stage) -> None:
    """The answer had arrived: sent again it is a conflict, and the run goes on."""
    link = await _begin(stage)
    await link.tell(1, _PAUSE)
    await _answer(link)
    await link.cut()
    link, frame = await _comes_back(stage, link)
    await _go_on(link, _conflict(frame), synced=True)


@script("answer/asked in a snapshot", "5: a snapshot has the pending interrupts")
async def asked_in_a_snapshot(stage: Stage) -> None:
    """The question itself is gone from the log."""
    link = await _begin(stage)
    await link.tell(1, 1)
    await link.cut()
    link = await stage.meet()
    stage.head = _PAUSE
    await link.begin("gap")
    await link.send(*link.gap(1, _PAUSE, "evicted", status="interrupted", interrupts=_ASKS))
    await link.send({"type": "synced", "sub": link.sub, "seq": _PAUSE})
    gap = {"after_seq": 1, "upto_seq": _PAUSE, "reason": "evicted", "lost": ["custom"]}
    stage.shown = [
        *lines(stage.log[:1]),
        {"seq": _PAUSE, "mode": "gap", "data": gap},
        {"seq": _PAUSE, "mode": "snapshot", "data": {"status": "interrupted", "messages": []}},
        *lines(stage.log[_PAUSE:], _PAUSE + 1),
    ]
    await _go_on(link, _ok(await _answer(link)))
