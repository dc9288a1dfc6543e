"""Cases of threads and of runs that ask, tried where ``welcome.features`` has ``state``."""

from graphwire_conformance.match import difference
from graphwire_conformance.servers.attachment import TERMINAL, Follow, Frame
from graphwire_conformance.servers.cases import ALL_MODES, Kit, case, run, spec, subscribe
from graphwire_conformance.servers.connection import Wire
from graphwire_conformance.verdict import Fault, LeftOut, brief, check

_INTERRUPTS = "3: interrupts"
_THREADS = "2: threads"
_STATES = "2: state"


def _require(kit: Kit) -> None:
    if "state" not in kit.features:
        raise LeftOut("the server has not enabled state")


def _like(rule: str, expected: Frame, came: Frame) -> None:
    found = difference(expected, came, {})
    check(found is None, rule, brief(expected), f"{found}; in {brief(came)}")


def _every(sub: int, **fields: object) -> Frame:
    return spec(sub, *ALL_MODES, **fields)


def _pauses(follow: Follow) -> list[list[Frame]]:
    return [event["data"]["interrupts"] for event in follow.events if event["mode"] == "interrupt"]


def statuses(follow: Follow) -> list[str]:
    """Return the statuses that an attachment has told."""
    return [event["data"]["status"] for event in follow.events if event["mode"] == "lifecycle"]


async def _reached(wire: Wire, sub: int, status: str, times: int = 1) -> Follow:
    """Read until an attachment has told a status so often."""
    while True:
        follow = wire.follows.get(sub)
        if follow is not None and statuses(follow).count(status) >= times:
            return follow
        if follow is not None and follow.closed is not None:
            raise Fault("3: lifecycle", f"{status}, {times} times", f"{statuses(follow)}, then closed")
        await wire.next()


async def _asked(wire: Wire, sub: int, times: int = 1) -> dict[str, str]:
    """Read until the run is interrupted; return the ids of what it asks by their value."""
    follow = await _reached(wire, sub, "interrupted", times)
    places = [event["mode"] for event in follow.events[-2:]]
    check(places == ["interrupt", "lifecycle"], _INTERRUPTS, "interrupt, then lifecycle", f"{places}")
    pauses = _pauses(follow)
    check(len(pauses) == times, _INTERRUPTS, f"{times} events of mode interrupt", f"{pauses}")
    ids = {str(item["value"]): item["id"] for item in pauses[-1]}
    check(len(ids) == len(pauses[-1]), _INTERRUPTS, "all pending ones, each once", f"{pauses[-1]}")
    return ids


def _respond(id: str, *answers: tuple[str, object], **fields: object) -> Frame:
    responses = [{"interrupt": interrupt, "value": value} for interrupt, value in answers]
    return {"type": "respond", "run": id, "responses": responses, **fields}


async def _ended(wire: Wire, sub: int, status: str, reason: str | None = None) -> Frame:
    follow = await wire.closed(sub)
    check(follow.terminal is not None, "3: lifecycle", f"the end, {status}", f"{follow.frames[-1]}")
    assert follow.terminal is not None
    end: Frame = follow.terminal["data"]
    expected: Frame = {"status": status} if reason is None else {"status": status, "reason": reason}
    _like("3: lifecycle", expected, end)
    return end


async def _ask(kit: Kit, wire: Wire, sub: int = 1, graph: str = "ask", **fields: object) -> tuple[str, str]:
    """Start a run that asks, on a thread of its own; return both names."""
    id, thread = kit.name(), fields.pop("thread", None) or kit.name()
    frame = run(graph, {"topic": "cats"}, _every(sub), run=id, thread=thread, **fields)
    _like("2: started", {"type": "started", "thread": thread}, await wire.ask(frame))
    return id, str(thread)


# ── interrupts ───────────────────────────────────────────────────────────────────────────────────


@case("ask/answered by id", "3: the run goes on in the same log")
async def answered_by_id(kit: Kit) -> None:
    """Whole and in order, over the pause."""
    _require(kit)
    wire = await kit.connect()
    id, _ = await _ask(kit, wire)
    ids = await _asked(wire, 1)
    check(list(ids) == ["{'about': 'cats'}"], _INTERRUPTS, "the value", f"{ids}")
    result = await wire.ask({"type": "result", "run": id})
    _like("2: result", {"type": "ok", "status": "interrupted", "output": "<absent>"}, result)
    reply = await wire.ask(_respond(id, *((one, {"yes": 1}) for one in ids.values())))
    _like("2: respond", {"type": "ok", "status": "running"}, reply)
    await _ended(wire, 1, "completed")
    follow = wire.follows[1]
    seqs = [event["seq"] for event in follow.events]
    check(seqs == list(range(1, len(seqs) + 1)), "3: seq is dense", "no hole over the pause", f"{seqs}")
    told = statuses(follow)
    check(told == ["running", "interrupted", "running", "completed"], "3: lifecycle", "two stretches", told)
    attempts = {event["data"]["attempt"] for event in follow.events if event["mode"] == "lifecycle"}
    check(attempts == {1}, "3: attempt rises only with a takeover", "1", f"{attempts}")
    marked = [event for event in follow.events if "interrupts" in event]
    check(marked, "3: interrupts beside data", "an updates event with interrupts", "none")
    check("__interrupt__" not in str(follow.events), "3: never in data", "no __interrupt__", "one")
    plans = [event for event in follow.events if event["mode"] == "updates" and "plan" in event["data"]]
    check(len(plans) == 1, _INTERRUPTS, "what was done before the pause is not done again", f"{len(plans)}")
    result = await wire.ask({"type": "result", "run": id})
    output = {"topic": "cats", "plan": "cats", "answer": {"yes": 1}, "done": True}
    _like("2: result", {"status": "completed", "output": output}, result)


@case("ask/kept until all are answered", "3: the run goes on once all pending ones are answered")
async def kept_until_all(kit: Kit) -> None:
    """Two questions, answered one after the other; neither is answered twice."""
    _require(kit)
    wire = await kit.connect()
    id, _ = await _ask(kit, wire, graph="asks")
    ids = await _asked(wire, 1)
    check(sorted(ids) == ["left?", "right?"], _INTERRUPTS, "both", f"{ids}")
    _like("2: respond", {"status": "interrupted"}, await wire.ask(_respond(id)))
    _like("2: respond", {"status": "interrupted"}, await wire.ask(_respond(id, (ids["left?"], 1))))
    again = await wire.ask(_respond(id, (ids["left?"], 2)))
    _like("9: conflict", {"type": "error", "code": "conflict", "retry": "never"}, again)
    check(statuses(wire.follows[1]) == ["running", "interrupted"], _INTERRUPTS, "it waits", "it went on")
    _like("2: respond", {"status": "running"}, await wire.ask(_respond(id, (ids["right?"], 3))))
    await _ended(wire, 1, "completed")
    result = await wire.ask({"type": "result", "run": id})
    _like("2: result", {"output": {"left": 1, "right": 3}}, result)


@case("ask/partial", "3: partial goes on at once")
async def partial(kit: Kit) -> None:
    """What was left is asked again, by the same id."""
    _require(kit)
    wire = await kit.connect()
    id, _ = await _ask(kit, wire, graph="asks")
    ids = await _asked(wire, 1)
    reply = await wire.ask(_respond(id, (ids["right?"], 3), partial=True))
    _like("2: respond", {"status": "running"}, reply)
    left = await _asked(wire, 1, times=2)
    check(left == {"left?": ids["left?"]}, _INTERRUPTS, "the other one, by its id", f"{left}")
    await wire.ask(_respond(id, (left["left?"], 1)))
    await _ended(wire, 1, "completed")
    result = await wire.ask({"type": "result", "run": id})
    _like("2: result", {"output": {"left": 1, "right": 3}}, result)


@case("ask/static breakpoint", "3: answered by an empty list")
async def static_breakpoint(kit: Kit) -> None:
    """Nothing is asked, and nothing is the answer."""
    _require(kit)
    wire = await kit.connect()
    id = kit.name()
    options = {"interrupt_before": ["second"]}
    await wire.send(run("values", {"text": "t"}, _every(1), run=id, thread=kit.name(), options=options))
    check(await _asked(wire, 1) == {}, _INTERRUPTS, "an empty list", "something")
    marked = [event for event in wire.follows[1].events if "interrupts" in event]
    told = [(event["mode"], event["data"], event["interrupts"]) for event in marked]
    check(("updates", {}, []) in told, "3: interrupts beside data", "an empty updates event", f"{told}")
    wrong = await wire.ask(_respond(id, ("made-up", 1)))
    _like("9: not_found", {"code": "not_found", "details": {"kind": "interrupt"}}, wrong)
    _like("2: respond", {"status": "running"}, await wire.ask(_respond(id)))
    await _ended(wire, 1, "completed")


@case("ask/one bad id", "3: one bad id refuses the whole frame")
async def one_bad_id(kit: Kit) -> None:
    """None of the answers beside it is kept."""
    _require(kit)
    wire = await kit.connect()
    id, _ = await _ask(kit, wire, graph="asks")
    ids = await _asked(wire, 1)
    bad = await wire.ask(_respond(id, (ids["left?"], 1), ("made-up", 2)))
    _like("9: not_found", {"code": "not_found", "details": {"kind": "interrupt"}}, bad)
    good = await wire.ask(_respond(id, (ids["left?"], 3), (ids["right?"], 4)))
    _like("2: respond", {"type": "ok", "status": "running"}, good)
    await _ended(wire, 1, "completed")
    _like("2: result", {"output": {"left": 3, "right": 4}}, await wire.ask({"type": "result", "run": id}))


@case("ask/racing answers", "3: of two racing answers one wins")
async def racing(kit: Kit) -> None:
    """Four connections answer at once."""
    _require(kit)
    wire = await kit.connect()
    others = [await kit.connect() for _ in range(4)]
    id, _ = await _ask(kit, wire)
    (one,) = (await _asked(wire, 1)).values()
    sent = [await other.send(_respond(id, (one, number))) for number, other in enumerate(others)]
    replies = [await other.reply(ids[0]) for other, ids in zip(others, sent, strict=True)]
    won = [number for number, reply in enumerate(replies) if reply["type"] == "ok"]
    check(len(won) == 1, _INTERRUPTS, "one winner", f"{replies}")
    lost = {reply["code"] for reply in replies if reply["type"] == "error"}
    check(lost == {"conflict"}, "9: conflict", "conflict for the others", f"{lost}")
    await _ended(wire, 1, "completed")
    _like("2: result", {"output": {"answer": won[0]}}, await wire.ask({"type": "result", "run": id}))


@case("ask/not interrupted", "3: an answer to a run that is not interrupted is conflict")
async def not_interrupted(kit: Kit) -> None:
    """A run that has ended, one that runs, and none."""
    _require(kit)
    wire = await kit.connect()
    _like("9: conflict", {"code": "conflict"}, await wire.ask(_respond(kit.lone)))
    id = kit.name()
    await wire.send(run("slow", {}, spec(1, "custom"), run=id, thread=kit.name()))
    await _reached(wire, 1, "running")
    _like("9: conflict", {"code": "conflict"}, await wire.ask(_respond(id)))
    await wire.send({"type": "cancel", "run": id})
    await _ended(wire, 1, "cancelled")


@case("ask/cancelled", "3: interrupted, then cancelled")
async def cancelled(kit: Kit) -> None:
    """Nobody answers any more."""
    _require(kit)
    wire = await kit.connect()
    id, _ = await _ask(kit, wire)
    (one,) = (await _asked(wire, 1)).values()
    await wire.ask({"type": "cancel", "run": id, "reason": "enough"})
    await _ended(wire, 1, "cancelled", "enough")
    _like("9: conflict", {"code": "conflict"}, await wire.ask(_respond(id, (one, 1))))


@case("ask/replay and snapshot", "5: a snapshot has the pending interrupts")
async def replay_and_snapshot(kit: Kit) -> None:
    """Who comes back while the run waits is told what it waits for, and goes on with the others."""
    _require(kit)
    wire = await kit.connect()
    id, _ = await _ask(kit, wire)
    (one,) = (await _asked(wire, 1)).values()
    first = wire.follows[1]
    await wire.cut()
    wire = await kit.connect(greet=False)
    cursor = {"epoch": first.epoch, "seq": first.events[1]["seq"]}
    await wire.send(
        kit.hello(),
        subscribe(id, _every(1, from_=cursor)),
        subscribe(id, spec(2, "values", from_="snapshot")),
    )
    check(await _asked(wire, 1) == {"{'about': 'cats'}": one}, _INTERRUPTS, "the same question", "another")
    while not (2 in wire.follows and wire.follows[2].snapshots):
        await wire.next()
    _like(
        "5: snapshot",
        {"status": "interrupted", "interrupts": [{"id": one, "value": {"about": "cats"}}]},
        wire.follows[2].snapshots[0],
    )
    await wire.ask(_respond(id, (one, 1)))
    await _ended(wire, 1, "completed")
    await _ended(wire, 2, "completed")
    seqs = [event["seq"] for event in [*first.events[:2], *wire.follows[1].events]]
    check(seqs == list(range(1, len(seqs) + 1)), "5: nothing lost, nothing twice", "a whole log", f"{seqs}")


@case("ask/without a checkpointer", "3: a run without any checkpointer that interrupts ends completed")
async def without_a_checkpointer(kit: Kit) -> None:
    """Its end says why, and it cannot be answered."""
    _require(kit)
    wire = await kit.connect()
    id = kit.name()
    await wire.send(run("ask", {"topic": "cats"}, _every(1), run=id))
    await _ended(wire, 1, "completed", "interrupted")
    _like("9: conflict", {"code": "conflict"}, await wire.ask(_respond(id)))


# ── threads ──────────────────────────────────────────────────────────────────────────────────────


@case("thread/busy", "2: one run at a time writes a thread")
async def busy(kit: Kit) -> None:
    """Reject is the default, and nothing is started; another thread is free."""
    _require(kit)
    wire = await kit.connect()
    thread = kit.name()
    first, second, other = kit.name(), kit.name(), kit.name()
    await wire.send(run("slow", {}, spec(1, "custom"), run=first, thread=thread))
    await _reached(wire, 1, "running")
    refused = await wire.ask(run("slow", {}, run=second, thread=thread))
    _like("9: busy", {"type": "error", "code": "busy", "retry": "after", "after_ms": "<int>"}, refused)
    _like("2: all or nothing", {"code": "not_found"}, await wire.ask({"type": "result", "run": second}))
    await wire.send(run("values", {"text": "t"}, spec(2, "values"), run=other, thread=kit.name()))
    await _ended(wire, 2, "completed")
    await wire.send({"type": "cancel", "run": first})
    await _ended(wire, 1, "cancelled")


@case("thread/enqueue", "2: enqueue: the run is queued")
async def enqueue(kit: Kit) -> None:
    """They follow in the order in which they came, and remember."""
    _require(kit)
    wire = await kit.connect()
    thread = kit.name()
    slow, ids = kit.name(), [kit.name() for _ in range(3)]
    await wire.send(run("ask", {"topic": "t"}, _every(9), run=slow, thread=thread))
    (one,) = (await _asked(wire, 9)).values()
    for sub, id in enumerate(ids):
        frame = run("ask", {"topic": id}, _every(sub), run=id, thread=thread, if_busy="enqueue")
        _like(_THREADS, {"type": "started", "status": "queued"}, await wire.ask(frame))
    await wire.ask(_respond(slow, (one, 1)))
    await _ended(wire, 9, "completed")
    for sub, id in enumerate(ids):
        (one,) = (await _asked(wire, sub)).values()
        later = [statuses(wire.follows[place]) for place in range(sub + 1, len(ids)) if place in wire.follows]
        check(all(told in ([], ["queued"]) for told in later), _THREADS, "the others wait", f"{later}")
        await wire.ask(_respond(id, (one, sub)))
        await _ended(wire, sub, "completed")


@case("thread/interrupt", "2: interrupt: the running one is cancelled first")
async def interrupts(kit: Kit) -> None:
    """The second one runs when the first one has ended."""
    _require(kit)
    wire = await kit.connect()
    thread = kit.name()
    await wire.send(run("slow", {}, spec(1, "custom"), run=kit.name(), thread=thread))
    await _reached(wire, 1, "running")
    second = kit.name()
    await wire.send(run("slow", {}, spec(2, "custom"), run=second, thread=thread, if_busy="interrupt"))
    await _reached(wire, 2, "running")
    check(wire.follows[1].terminal is not None, _THREADS, "the first one has ended", "both run")
    await _ended(wire, 1, "cancelled", "superseded")
    await wire.send({"type": "cancel", "run": second})
    await _ended(wire, 2, "cancelled")


@case("thread/superseded", "3: a later run supersedes an interrupted one; a queued one waits")
async def superseded(kit: Kit) -> None:
    """By reject and by interrupt, but not by enqueue."""
    _require(kit)
    wire = await kit.connect()
    _, thread = await _ask(kit, wire, 1)
    await _asked(wire, 1)
    waiting, _ = await _ask(kit, wire, 2, thread=thread, if_busy="enqueue")
    await _reached(wire, 2, "queued")
    await wire.ask({"type": "cancel", "run": waiting})
    await _ended(wire, 2, "cancelled")
    told = statuses(wire.follows[2])
    check(told == ["queued", "cancelled"], _INTERRUPTS, "a queued one waits", f"{told}")
    for sub, if_busy in ((3, "reject"), (4, "interrupt")):
        await _ask(kit, wire, sub, thread=thread, if_busy=if_busy)
        await _ended(wire, 1 if sub == 3 else 3, "cancelled", "superseded")
        await _asked(wire, sub)


@case("thread/command", "2: command{resume, update, goto}")
async def command(kit: Kit) -> None:
    """A later run answers what an earlier one has asked."""
    _require(kit)
    wire = await kit.connect()
    _, thread = await _ask(kit, wire)
    await _asked(wire, 1)
    id = kit.name()
    frame = {"type": "run", "graph": "conformance.ask", "run": id, "thread": thread}
    await wire.send({**frame, "command": {"resume": "yes"}, "subscribe": [_every(2)]})
    await _ended(wire, 1, "cancelled", "superseded")
    await _ended(wire, 2, "completed")
    _like("2: result", {"output": {"answer": "yes"}}, await wire.ask({"type": "result", "run": id}))


# ── states ───────────────────────────────────────────────────────────────────────────────────────


@case("state/of a run that asks", "2: state")
async def state_of_one_that_asks(kit: Kit) -> None:
    """What is there, what comes next and what is asked."""
    _require(kit)
    wire = await kit.connect()
    _, thread = await _ask(kit, wire)
    (one,) = (await _asked(wire, 1)).values()
    place = {"graph": "conformance.ask", "thread": thread}
    expected = {
        "type": "ok",
        "values": {"topic": "cats", "plan": "cats", "answer": "<absent>"},
        "next": ["ask"],
        "tasks": [{"id": "<string>", "name": "ask", "interrupts": [{"id": one}]}],
        "interrupts": [{"id": one, "value": {"about": "cats"}}],
        "config": {"configurable": {"thread_id": thread, "checkpoint_id": "<string>"}},
        "created_at": "<time>",
    }
    _like(_STATES, expected, await wire.ask({"type": "state", **place}))
    keyed = await wire.ask({"type": "state", **place, "keys": ["plan"]})
    check(keyed.get("values") == {"plan": "cats"}, _STATES, "plan alone", keyed)
    history = await wire.ask({"type": "state_history", **place, "limit": 2})
    check(len(history.get("states", [])) == 2, "2: state_history", "two states", history)
    newest, older = history["states"]
    _like("2: state_history", {"next": ["ask"]}, newest)
    checkpoint = newest["config"]["configurable"]["checkpoint_id"]
    before = await wire.ask({"type": "state_history", **place, "before": checkpoint, "limit": 1})
    check(before.get("states") == [older], "2: state_history", "the one before", before)
    at = older["config"]["configurable"]["checkpoint_id"]
    _like(_STATES, {"next": older["next"]}, await wire.ask({"type": "state", **place, "checkpoint": at}))
    gone = await wire.ask({"type": "state", **place, "checkpoint": "made-up"})
    _like("9: not_found", {"code": "not_found", "details": {"kind": "checkpoint"}}, gone)


@case("state/updated", "2: state_update")
async def updated(kit: Kit) -> None:
    """As a node would; a run goes on from there."""
    _require(kit)
    wire = await kit.connect()
    thread = kit.name()
    place = {"graph": "conformance.values", "thread": thread}
    await wire.send(run("values", {"text": "a"}, spec(1, "values"), run=kit.name(), thread=thread))
    await _ended(wire, 1, "completed")
    update = {"type": "state_update", **place, "values": {"first": "mine"}, "as_node": "first"}
    reply = await wire.ask(update)
    _like("2: state_update", {"type": "ok", "config": {"configurable": {"thread_id": thread}}}, reply)
    checkpoint = reply["config"]["configurable"]["checkpoint_id"]
    state = await wire.ask({"type": "state", **place})
    _like(_STATES, {"values": {"first": "mine"}, "next": ["second"]}, state)
    id = kit.name()
    frame = {"type": "run", "graph": "conformance.values", "run": id, "thread": thread}
    await wire.send({**frame, "checkpoint": checkpoint, "subscribe": [spec(2, "updates")]})
    await _ended(wire, 2, "completed")
    nodes = [list(e["data"]) for e in wire.follows[2].events if e["mode"] == "updates"]
    check(nodes == [["second"]], "2: checkpoint", "the second step alone", f"{nodes}")


@case("state/busy", "2: one writer at a time")
async def state_busy(kit: Kit) -> None:
    """A state is read while a run writes the thread, and not written."""
    _require(kit)
    wire = await kit.connect()
    id, thread = kit.name(), kit.name()
    place = {"graph": "conformance.slow", "thread": thread}
    await wire.send(run("slow", {}, spec(1, "custom"), run=id, thread=thread))
    await _reached(wire, 1, "running")
    _like(_STATES, {"type": "ok"}, await wire.ask({"type": "state", **place}))
    refused = await wire.ask({"type": "state_update", **place, "values": {"seen": "x"}})
    _like("9: busy", {"code": "busy", "retry": "after"}, refused)
    _like("2: delete", {"code": "conflict"}, await wire.ask({"type": "delete", **place}))
    _like("2: delete", {"code": "conflict"}, await wire.ask({"type": "delete", "run": id}))
    await wire.send({"type": "cancel", "run": id})
    await _ended(wire, 1, "cancelled")


@case("thread/listed and deleted", "2: delete: gone, and viewers get closed{deleted}")
async def listed_and_deleted(kit: Kit) -> None:
    """An interrupted run is cancelled with its thread."""
    _require(kit)
    wire, other = await kit.connect(), await kit.connect()
    id, thread = await _ask(kit, wire)
    await _asked(wire, 1)
    wish = {"type": "list", "what": "threads", "thread": thread, "limit": 1000}
    row = {"graph": "conformance.ask", "thread": thread, "status": "interrupted", "updated_at": "<time>"}
    listed = await other.ask(wish)
    _like("7: threads rows", {"threads": [row]}, listed)
    await other.send(subscribe(id, spec(3, "values", credit=0)))
    place = {"graph": "conformance.ask", "thread": thread}
    _like("2: delete", {"type": "ok"}, await other.ask({"type": "delete", **place}))
    for viewer, sub in ((wire, 1), (other, 3)):
        follow = await viewer.closed(sub)
        # Who has read the cancelled run's end before is told just that.
        reason = follow.closed["reason"] if follow.closed is not None else None
        is_told = reason == "deleted" or (viewer is wire and follow.terminal is not None)
        check(is_told, "2: delete", "closed, reason deleted", f"{follow.closed}")
        told = statuses(follow)
        check(all(one not in TERMINAL or one == "cancelled" for one in told), "2: delete", "cancelled", told)
    _like("9: not_found", {"code": "not_found"}, await other.ask({"type": "result", "run": id}))
    _like("2: delete", {"threads": []}, await other.ask(wish))
    _like(_STATES, {"values": {"topic": "<absent>"}, "next": []}, await other.ask({"type": "state", **place}))
    again = await other.ask({"type": "delete", **place})
    _like("9: not_found", {"code": "not_found", "details": {"kind": "thread"}}, again)
