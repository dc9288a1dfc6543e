"""Cases of runs that ask, tried if ``welcome.features`` has ``state``."""

from graphwire_conformance.match import difference
from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.attachment import Attachment
from graphwire_conformance.servers.cases import ALL_MODES, Cases, run, spec, subscribe
from graphwire_conformance.servers.connection import RawConnection
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import Skipped, Violation, brief, check

CASES = Cases()

_INTERRUPTS = "3: interrupts"


def check_like(rule: str, expected: Frame, came: Frame) -> None:
    """Check that a frame has what ``expected`` lists."""
    found = difference(expected, came, {})
    check(found is None, rule, brief(expected), f"{found}; in {brief(came)}")


def every_mode(sub: int, **fields: object) -> Frame:
    """Return a spec for every mode of the kit's graphs."""
    return spec(sub, *ALL_MODES, **fields)


def _pauses(attachment: Attachment) -> list[list[Frame]]:
    return [event["data"]["interrupts"] for event in attachment.events if event["mode"] == "interrupt"]


def statuses(attachment: Attachment) -> list[str]:
    """Return the statuses that an attachment has received."""
    return [event["data"]["status"] for event in attachment.events if event["mode"] == "lifecycle"]


def statuses_of(conn: RawConnection, sub: int) -> list[str]:
    """Return the statuses that a subscription has received; none before it is there."""
    attachment = conn.attachments.get(sub)
    return [] if attachment is None else statuses(attachment)


async def wait_status(conn: RawConnection, sub: int, status: str, times: int = 1) -> Attachment:
    """Read until an attachment has received a status ``times`` times."""
    while True:
        attachment = conn.attachments.get(sub)
        if attachment is not None and statuses(attachment).count(status) >= times:
            return attachment
        if attachment is not None and attachment.closed is not None:
            raise Violation(
                "3: lifecycle", f"{status}, {times} times", f"{statuses(attachment)}, then closed"
            )
        await conn.next()


async def wait_questions(conn: RawConnection, sub: int, times: int = 1) -> dict[str, str]:
    """Read until the run is interrupted for the ``times``-th time; return the interrupts' ids by value."""
    attachment = await wait_status(conn, sub, "interrupted", times)
    last_modes = [event["mode"] for event in attachment.events[-2:]]
    check(last_modes == ["interrupt", "lifecycle"], _INTERRUPTS, "interrupt, then lifecycle", f"{last_modes}")
    pauses = _pauses(attachment)
    check(len(pauses) == times, _INTERRUPTS, f"{times} events of mode interrupt", f"{pauses}")
    ids = {str(item["value"]): item["id"] for item in pauses[-1]}
    check(len(ids) == len(pauses[-1]), _INTERRUPTS, "all pending ones, each once", f"{pauses[-1]}")
    return ids


def respond(id: str, *answers: tuple[str, object], **fields: object) -> Frame:
    """Return a ``respond`` with these values by interrupt."""
    responses = [{"interrupt": interrupt, "value": value} for interrupt, value in answers]
    return {"type": "respond", "run": id, "responses": responses, **fields}


async def wait_ended(conn: RawConnection, sub: int, status: str, reason: str | None = None) -> Frame:
    """Read until a subscription is closed; return the terminal event's data, which must have this status."""
    attachment = await conn.closed(sub)
    check(attachment.terminal is not None, "3: lifecycle", f"the end, {status}", f"{attachment.frames[-1]}")
    assert attachment.terminal is not None
    end: Frame = attachment.terminal["data"]
    expected: Frame = {"status": status} if reason is None else {"status": status, "reason": reason}
    check_like("3: lifecycle", expected, end)
    return end


async def start_asking(
    server: ServerUnderTest, conn: RawConnection, sub: int = 1, graph: str = "ask", **fields: object
) -> tuple[str, str]:
    """Start a run that asks, on a new thread unless ``thread`` names one; return both ids."""
    id, thread = server.new_id(), fields.pop("thread", None) or server.new_id()
    frame = run(graph, {"topic": "cats"}, every_mode(sub), run=id, thread=thread, **fields)
    check_like("2: started", {"type": "started", "thread": thread}, await conn.ask(frame))
    return id, str(thread)


# ── interrupts ───────────────────────────────────────────────────────────────────────────────────


@CASES.add("ask/answered by id", "3: the run goes on in the same log")
async def answered_by_id(server: ServerUnderTest) -> None:
    """Whole and in order, over the pause."""
    server.require("state")
    conn = await server.connect()
    id, _ = await start_asking(server, conn)
    ids = await wait_questions(conn, 1)
    check(list(ids) == ["{'about': 'cats'}"], _INTERRUPTS, "the value", f"{ids}")
    result = await conn.ask({"type": "result", "run": id})
    check_like("2: result", {"type": "ok", "status": "interrupted", "output": "<absent>"}, result)
    reply = await conn.ask(respond(id, *((one, {"yes": 1}) for one in ids.values())))
    check_like("2: respond", {"type": "ok", "status": "running"}, reply)
    await wait_ended(conn, 1, "completed")
    attachment = conn.attachments[1]
    seqs = [event["seq"] for event in attachment.events]
    check(seqs == list(range(1, len(seqs) + 1)), "3: seq is dense", "no hole over the pause", f"{seqs}")
    seen = statuses(attachment)
    check(seen == ["running", "interrupted", "running", "completed"], "3: lifecycle", "two stretches", seen)
    attempts = {event["data"]["attempt"] for event in attachment.events if event["mode"] == "lifecycle"}
    check(attempts == {1}, "3: attempt rises only with a takeover", "1", f"{attempts}")
    marked = [event for event in attachment.events if "interrupts" in event]
    check(marked, "3: interrupts beside data", "an updates event with interrupts", "none")
    check("__interrupt__" not in str(attachment.events), "3: never in data", "no __interrupt__", "one")
    plans = [event for event in attachment.events if event["mode"] == "updates" and "plan" in event["data"]]
    check(len(plans) == 1, _INTERRUPTS, "what was done before the pause is not done again", f"{len(plans)}")
    result = await conn.ask({"type": "result", "run": id})
    output = {"topic": "cats", "plan": "cats", "answer": {"yes": 1}, "done": True}
    check_like("2: result", {"status": "completed", "output": output}, result)


@CASES.add("ask/kept until all are answered", "3: the run goes on once all pending ones are answered")
async def kept_until_all(server: ServerUnderTest) -> None:
    """Two questions, answered one after the other; neither is answered twice."""
    server.require("state")
    conn = await server.connect()
    id, _ = await start_asking(server, conn, graph="asks")
    ids = await wait_questions(conn, 1)
    check(sorted(ids) == ["left?", "right?"], _INTERRUPTS, "both", f"{ids}")
    check_like("2: respond", {"status": "interrupted"}, await conn.ask(respond(id)))
    check_like("2: respond", {"status": "interrupted"}, await conn.ask(respond(id, (ids["left?"], 1))))
    again = await conn.ask(respond(id, (ids["left?"], 2)))
    check_like("9: conflict", {"type": "error", "code": "conflict", "retry": "never"}, again)
    check(statuses(conn.attachments[1]) == ["running", "interrupted"], _INTERRUPTS, "it waits", "it went on")
    check_like("2: respond", {"status": "running"}, await conn.ask(respond(id, (ids["right?"], 3))))
    await wait_ended(conn, 1, "completed")
    result = await conn.ask({"type": "result", "run": id})
    check_like("2: result", {"output": {"left": 1, "right": 3}}, result)


@CASES.add("ask/partial", "3: partial goes on at once")
async def partial(server: ServerUnderTest) -> None:
    """What was left is asked again, by the same id."""
    server.require("state")
    conn = await server.connect()
    id, _ = await start_asking(server, conn, graph="asks")
    ids = await wait_questions(conn, 1)
    reply = await conn.ask(respond(id, (ids["right?"], 3), partial=True))
    check_like("2: respond", {"status": "running"}, reply)
    left = await wait_questions(conn, 1, times=2)
    check(left == {"left?": ids["left?"]}, _INTERRUPTS, "the other one, by its id", f"{left}")
    await conn.ask(respond(id, (left["left?"], 1)))
    await wait_ended(conn, 1, "completed")
    result = await conn.ask({"type": "result", "run": id})
    check_like("2: result", {"output": {"left": 1, "right": 3}}, result)


@CASES.add("ask/static breakpoint", "3: answered by an empty list")
async def static_breakpoint(server: ServerUnderTest) -> None:
    """Nothing is asked, and an empty list is the answer."""
    server.require("state")
    conn = await server.connect()
    id = server.new_id()
    options = {"interrupt_before": ["second"]}
    await conn.send(
        run("values", {"text": "t"}, every_mode(1), run=id, thread=server.new_id(), options=options)
    )
    check(await wait_questions(conn, 1) == {}, _INTERRUPTS, "an empty list", "something")
    marked = [event for event in conn.attachments[1].events if "interrupts" in event]
    seen = [(event["mode"], event["data"], event["interrupts"]) for event in marked]
    check(("updates", {}, []) in seen, "3: interrupts beside data", "an empty updates event", f"{seen}")
    wrong = await conn.ask(respond(id, ("made-up", 1)))
    check_like("9: not_found", {"code": "not_found", "details": {"kind": "interrupt"}}, wrong)
    check_like("2: respond", {"status": "running"}, await conn.ask(respond(id)))
    await wait_ended(conn, 1, "completed")


@CASES.add("ask/one bad id", "3: one bad id refuses the whole frame")
async def one_bad_id(server: ServerUnderTest) -> None:
    """None of the answers beside it is kept."""
    server.require("state")
    conn = await server.connect()
    id, _ = await start_asking(server, conn, graph="asks")
    ids = await wait_questions(conn, 1)
    bad = await conn.ask(respond(id, (ids["left?"], 1), ("made-up", 2)))
    check_like("9: not_found", {"code": "not_found", "details": {"kind": "interrupt"}}, bad)
    good = await conn.ask(respond(id, (ids["left?"], 3), (ids["right?"], 4)))
    check_like("2: respond", {"type": "ok", "status": "running"}, good)
    await wait_ended(conn, 1, "completed")
    check_like(
        "2: result", {"output": {"left": 3, "right": 4}}, await conn.ask({"type": "result", "run": id})
    )


@CASES.add("ask/an answer that does not fit", "3: an answer that does not fit its response_schema is refused")
async def unfit_answer(server: ServerUnderTest) -> None:
    """Neither it nor the answer beside it is kept, and the question waits on."""
    server.require("state")
    conn = await server.connect()
    if conn.welcome["minor"] < 1:
        raise Skipped("the server speaks 1.0, which has no response_schema")
    id, thread = await start_asking(server, conn, graph="asks")
    ids = await wait_questions(conn, 1)
    asked = {item["value"]: item for item in _pauses(conn.attachments[1])[-1]}
    schema = asked["right?"].get("response_schema")
    check(schema == {"type": "integer"}, _INTERRUPTS, "the graph's response_schema", f"{asked['right?']}")
    bad = await conn.ask(respond(id, (ids["left?"], 1), (ids["right?"], "three")))
    check_like("9: invalid_argument", {"type": "error", "code": "invalid_argument", "retry": "never"}, bad)
    check("three" not in str(bad), "9: errors", "the value is not repeated", f"{bad}")
    answers = {ids["left?"]: 1, ids["right?"]: "three"}
    fields = {"graph": "conformance.asks", "thread": thread, "command": {"resume": answers}}
    resumed = await conn.ask({"type": "run", "run": server.new_id(), **fields})
    check_like("9: invalid_argument", {"type": "error", "code": "invalid_argument"}, resumed)
    good = await conn.ask(respond(id, (ids["left?"], 3), (ids["right?"], 4)))
    check_like("2: respond", {"type": "ok", "status": "running"}, good)
    await wait_ended(conn, 1, "completed")


@CASES.add("ask/racing answers", "3: of two racing answers one wins")
async def racing(server: ServerUnderTest) -> None:
    """Four connections answer at once."""
    server.require("state")
    conn = await server.connect()
    others = [await server.connect() for _ in range(4)]
    id, _ = await start_asking(server, conn)
    (one,) = (await wait_questions(conn, 1)).values()
    sent = [await other.send(respond(id, (one, number))) for number, other in enumerate(others)]
    replies = [await other.reply(ids[0]) for other, ids in zip(others, sent, strict=True)]
    won = [number for number, reply in enumerate(replies) if reply["type"] == "ok"]
    check(len(won) == 1, _INTERRUPTS, "one winner", f"{replies}")
    lost = {reply["code"] for reply in replies if reply["type"] == "error"}
    check(lost == {"conflict"}, "9: conflict", "conflict for the others", f"{lost}")
    await wait_ended(conn, 1, "completed")
    check_like("2: result", {"output": {"answer": won[0]}}, await conn.ask({"type": "result", "run": id}))


@CASES.add("ask/not interrupted", "3: an answer to a run that is not interrupted is conflict")
async def not_interrupted(server: ServerUnderTest) -> None:
    """A run that has ended, one that runs, and none."""
    server.require("state")
    conn = await server.connect()
    check_like("9: conflict", {"code": "conflict"}, await conn.ask(respond(server.ended_run)))
    id = server.new_id()
    await conn.send(run("slow", {}, spec(1, "custom"), run=id, thread=server.new_id()))
    await wait_status(conn, 1, "running")
    check_like("9: conflict", {"code": "conflict"}, await conn.ask(respond(id)))
    await conn.send({"type": "cancel", "run": id})
    await wait_ended(conn, 1, "cancelled")


@CASES.add("ask/cancelled", "3: interrupted, then cancelled")
async def cancelled(server: ServerUnderTest) -> None:
    """A cancelled run cannot be answered."""
    server.require("state")
    conn = await server.connect()
    id, _ = await start_asking(server, conn)
    (one,) = (await wait_questions(conn, 1)).values()
    await conn.ask({"type": "cancel", "run": id, "reason": "enough"})
    await wait_ended(conn, 1, "cancelled", "enough")
    check_like("9: conflict", {"code": "conflict"}, await conn.ask(respond(id, (one, 1))))


@CASES.add("ask/replay and snapshot", "5: a snapshot has the pending interrupts")
async def replay_and_snapshot(server: ServerUnderTest) -> None:
    """A client that comes back while the run waits is sent the question again."""
    server.require("state")
    conn = await server.connect()
    id, _ = await start_asking(server, conn)
    (one,) = (await wait_questions(conn, 1)).values()
    first = conn.attachments[1]
    await conn.cut()
    conn = await server.connect(greet=False)
    cursor = {"epoch": first.epoch, "seq": first.events[1]["seq"]}
    await conn.send(
        server.hello(),
        subscribe(id, every_mode(1, from_=cursor)),
        subscribe(id, spec(2, "values", from_="snapshot")),
    )
    check(
        await wait_questions(conn, 1) == {"{'about': 'cats'}": one},
        _INTERRUPTS,
        "the same question",
        "another",
    )
    while not (2 in conn.attachments and conn.attachments[2].snapshots):
        await conn.next()
    check_like(
        "5: snapshot",
        {"status": "interrupted", "interrupts": [{"id": one, "value": {"about": "cats"}}]},
        conn.attachments[2].snapshots[0],
    )
    await conn.ask(respond(id, (one, 1)))
    await wait_ended(conn, 1, "completed")
    await wait_ended(conn, 2, "completed")
    seqs = [event["seq"] for event in [*first.events[:2], *conn.attachments[1].events]]
    check(seqs == list(range(1, len(seqs) + 1)), "5: nothing lost, nothing twice", "a whole log", f"{seqs}")


@CASES.add("ask/without a thread", "3: a run without a thread that asks waits, or ends and says why")
async def without_a_thread(server: ServerUnderTest) -> None:
    """It can be answered, or its end and its result say that nobody can."""
    server.require("state")
    conn = await server.connect()
    id = server.new_id()
    started = await conn.ask(run("ask", {"topic": "cats"}, every_mode(1), run=id))
    check_like("2: started", {"type": "started", "thread": "<absent>"}, started)
    while not (ends := set(statuses_of(conn, 1)) & {"interrupted", "completed"}):
        await conn.next()
    if "interrupted" in ends:
        ids = await wait_questions(conn, 1)
        await conn.ask(respond(id, *((one, 1) for one in ids.values())))
        await wait_ended(conn, 1, "completed")
        result = await conn.ask({"type": "result", "run": id})
        check_like("2: result", {"status": "completed", "output": {"answer": 1, "done": True}}, result)
        return
    await wait_ended(conn, 1, "completed", "interrupted")
    check_like("9: conflict", {"code": "conflict"}, await conn.ask(respond(id)))
    if conn.welcome["minor"] >= 1:
        result = await conn.ask({"type": "result", "run": id})
        check_like("2: result", {"interrupts": [{"value": {"about": "cats"}}]}, result)
