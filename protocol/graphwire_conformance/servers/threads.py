"""Cases of threads and their states, tried if ``welcome.features`` has ``state``."""

from graphwire_conformance.protocol import TERMINAL
from graphwire_conformance.servers.cases import Cases, run, spec, subscribe
from graphwire_conformance.servers.interrupts import (
    check_like,
    every_mode,
    respond,
    start_asking,
    statuses,
    wait_ended,
    wait_questions,
    wait_status,
)
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import Skipped, check

CASES = Cases()

_THREADS = "2: threads"
_STATES = "2: state"
_INTERRUPTS = "3: interrupts"


# ── threads ──────────────────────────────────────────────────────────────────────────────────────


@CASES.add("thread/busy", "2: one run at a time writes a thread")
async def busy(server: ServerUnderTest) -> None:
    """Reject is the default, and nothing is started; another thread is free."""
    server.require("state")
    conn = await server.connect()
    thread = server.new_id()
    first, second, other = server.new_id(), server.new_id(), server.new_id()
    await conn.send(run("slow", {}, spec(1, "custom"), run=first, thread=thread))
    await wait_status(conn, 1, "running")
    refused = await conn.ask(run("slow", {}, run=second, thread=thread))
    check_like("9: busy", {"type": "error", "code": "busy", "retry": "after", "after_ms": "<int>"}, refused)
    check_like("2: all or nothing", {"code": "not_found"}, await conn.ask({"type": "result", "run": second}))
    await conn.send(run("values", {"text": "t"}, spec(2, "values"), run=other, thread=server.new_id()))
    await wait_ended(conn, 2, "completed")
    await conn.send({"type": "cancel", "run": first})
    await wait_ended(conn, 1, "cancelled")


@CASES.add("thread/numbers", "2: a thread's runs are numbered as they begin")
async def numbers(server: ServerUnderTest) -> None:
    """Two runs after each other, and one that never begins; the state names the last that began."""
    server.require("state")
    conn = await server.connect()
    thread = server.new_id()
    place = {"graph": "conformance.ask", "thread": thread}
    first, never, second = server.new_id(), server.new_id(), server.new_id()
    await conn.send(run("ask", {"topic": "t"}, every_mode(1), run=first, thread=thread))
    (one,) = (await wait_questions(conn, 1)).values()
    await conn.ask(run("ask", {"topic": "n"}, run=never, thread=thread, if_busy="enqueue"))
    await conn.ask({"type": "cancel", "run": never})
    await conn.ask(respond(first, (one, 1)))
    await wait_ended(conn, 1, "completed")
    state = await conn.ask({"type": "state", **place})
    if "thread_seq" not in state:
        raise Skipped("it does not number the runs of a thread (1.1)")
    check_like(_STATES, {"thread_seq": 1, "thread_epoch": "<string>"}, state)
    await conn.send(run("ask", {"topic": "u"}, every_mode(2), run=second, thread=thread))
    await wait_questions(conn, 2)
    rows = (await conn.ask({"type": "list", "what": "runs", **place}))["runs"]
    found = {row["run"]: row for row in rows}
    epoch, checkpoint = state["thread_epoch"], state["config"]["configurable"]["checkpoint_id"]
    begun = {"thread_epoch": epoch}
    check_like(_THREADS, {**begun, "thread_seq": 1, "checkpoint": ""}, found[first])
    check_like(_THREADS, {**begun, "thread_seq": 2, "checkpoint": checkpoint}, found[second])
    check("thread_seq" not in found[never], _THREADS, "no number for a run that never began", f"{found}")
    check_like(_STATES, {**begun, "thread_seq": 2}, await conn.ask({"type": "state", **place}))
    await conn.ask({"type": "cancel", "run": second})


@CASES.add("thread/enqueue", "2: enqueue: the run is queued")
async def enqueue(server: ServerUnderTest) -> None:
    """They run in the order in which they came."""
    server.require("state")
    conn = await server.connect()
    thread = server.new_id()
    slow, ids = server.new_id(), [server.new_id() for _ in range(3)]
    await conn.send(run("ask", {"topic": "t"}, every_mode(9), run=slow, thread=thread))
    (one,) = (await wait_questions(conn, 9)).values()
    for sub, id in enumerate(ids):
        frame = run("ask", {"topic": id}, every_mode(sub), run=id, thread=thread, if_busy="enqueue")
        check_like(_THREADS, {"type": "started", "status": "queued"}, await conn.ask(frame))
    await conn.ask(respond(slow, (one, 1)))
    await wait_ended(conn, 9, "completed")
    for sub, id in enumerate(ids):
        (one,) = (await wait_questions(conn, sub)).values()
        later = [
            statuses(conn.attachments[later_sub])
            for later_sub in range(sub + 1, len(ids))
            if later_sub in conn.attachments
        ]
        check(all(status in ([], ["queued"]) for status in later), _THREADS, "the others wait", f"{later}")
        await conn.ask(respond(id, (one, sub)))
        await wait_ended(conn, sub, "completed")


@CASES.add("thread/interrupt", "2: interrupt: the running one is cancelled first")
async def interrupts(server: ServerUnderTest) -> None:
    """The second one runs when the first one has ended."""
    server.require("state")
    conn = await server.connect()
    thread, first, second = server.new_id(), server.new_id(), server.new_id()
    await conn.send(run("slow", {}, spec(1, "custom"), run=first, thread=thread))
    await wait_status(conn, 1, "running")
    await conn.send(run("slow", {}, spec(2, "custom"), run=second, thread=thread, if_busy="interrupt"))
    await wait_status(conn, 2, "running")
    await wait_ended(conn, 1, "cancelled", "superseded")
    # The events of two subscriptions have no order; the rows say which came first.
    rows = (await conn.ask({"type": "list", "what": "runs", "thread": thread}))["runs"]
    found = {row["run"]: row for row in rows}
    ended, began = found[first].get("ended_at"), found[second].get("started_at")
    check(ended and began and ended <= began, _THREADS, "the first one has ended", f"{ended}, {began}")
    await conn.send({"type": "cancel", "run": second})
    await wait_ended(conn, 2, "cancelled")


@CASES.add("thread/superseded", "3: a later run supersedes an interrupted one; a queued one waits")
async def superseded(server: ServerUnderTest) -> None:
    """By ``reject`` and by ``interrupt``, but not by ``enqueue``."""
    server.require("state")
    conn = await server.connect()
    _, thread = await start_asking(server, conn, 1)
    await wait_questions(conn, 1)
    waiting, _ = await start_asking(server, conn, 2, thread=thread, if_busy="enqueue")
    await wait_status(conn, 2, "queued")
    await conn.ask({"type": "cancel", "run": waiting})
    await wait_ended(conn, 2, "cancelled")
    seen = statuses(conn.attachments[2])
    check(seen == ["queued", "cancelled"], _INTERRUPTS, "a queued one waits", f"{seen}")
    for sub, if_busy in ((3, "reject"), (4, "interrupt")):
        await start_asking(server, conn, sub, thread=thread, if_busy=if_busy)
        await wait_ended(conn, 1 if sub == 3 else 3, "cancelled", "superseded")
        await wait_questions(conn, sub)


@CASES.add("thread/command", "2: command{resume, update, goto}")
async def command(server: ServerUnderTest) -> None:
    """A later run answers what an earlier one has asked."""
    server.require("state")
    conn = await server.connect()
    _, thread = await start_asking(server, conn)
    await wait_questions(conn, 1)
    id = server.new_id()
    frame = {"type": "run", "graph": "conformance.ask", "run": id, "thread": thread}
    await conn.send({**frame, "command": {"resume": "yes"}, "subscribe": [every_mode(2)]})
    await wait_ended(conn, 1, "cancelled", "superseded")
    await wait_ended(conn, 2, "completed")
    check_like("2: result", {"output": {"answer": "yes"}}, await conn.ask({"type": "result", "run": id}))


# ── states ───────────────────────────────────────────────────────────────────────────────────────


@CASES.add("state/of a run that asks", "2: state")
async def state_of_one_that_asks(server: ServerUnderTest) -> None:
    """Values, next nodes, and the pending interrupts."""
    server.require("state")
    conn = await server.connect()
    _, thread = await start_asking(server, conn)
    (one,) = (await wait_questions(conn, 1)).values()
    key = {"graph": "conformance.ask", "thread": thread}
    expected = {
        "type": "ok",
        "values": {"topic": "cats", "plan": "cats", "answer": "<absent>"},
        "next": ["ask"],
        "tasks": [{"id": "<string>", "name": "ask", "interrupts": [{"id": one}]}],
        "interrupts": [{"id": one, "value": {"about": "cats"}}],
        "config": {"configurable": {"thread_id": thread, "checkpoint_id": "<string>"}},
        "created_at": "<time>",
    }
    check_like(_STATES, expected, await conn.ask({"type": "state", **key}))
    keyed = await conn.ask({"type": "state", **key, "keys": ["plan"]})
    check(keyed.get("values") == {"plan": "cats"}, _STATES, "plan alone", keyed)
    history = await conn.ask({"type": "state_history", **key, "limit": 2})
    check(len(history.get("states", [])) == 2, "2: state_history", "two states", history)
    newest, older = history["states"]
    check_like("2: state_history", {"next": ["ask"]}, newest)
    checkpoint = newest["config"]["configurable"]["checkpoint_id"]
    before = await conn.ask({"type": "state_history", **key, "before": checkpoint, "limit": 1})
    check(before.get("states") == [older], "2: state_history", "the one before", before)
    cursor = (await conn.ask({"type": "state_history", **key, "limit": 1})).get("cursor")
    check(cursor in (None, checkpoint), "2: state_history", "a cursor that is the last checkpoint", cursor)
    at = older["config"]["configurable"]["checkpoint_id"]
    check_like(_STATES, {"next": older["next"]}, await conn.ask({"type": "state", **key, "checkpoint": at}))
    unknown = await conn.ask({"type": "state", **key, "checkpoint": "made-up"})
    check_like("9: not_found", {"code": "not_found", "details": {"kind": "checkpoint"}}, unknown)


@CASES.add("state/updated", "2: state_update")
async def updated(server: ServerUnderTest) -> None:
    """An update as a node would make it; a run starts from there."""
    server.require("state")
    conn = await server.connect()
    thread = server.new_id()
    key = {"graph": "conformance.values", "thread": thread}
    await conn.send(run("values", {"text": "a"}, spec(1, "values"), run=server.new_id(), thread=thread))
    await wait_ended(conn, 1, "completed")
    update = {"type": "state_update", **key, "values": {"first": "mine"}, "as_node": "first"}
    reply = await conn.ask(update)
    check_like("2: state_update", {"type": "ok", "config": {"configurable": {"thread_id": thread}}}, reply)
    checkpoint = reply["config"]["configurable"]["checkpoint_id"]
    state = await conn.ask({"type": "state", **key})
    check_like(_STATES, {"values": {"first": "mine"}, "next": ["second"]}, state)
    id = server.new_id()
    frame = {"type": "run", "graph": "conformance.values", "run": id, "thread": thread}
    await conn.send({**frame, "checkpoint": checkpoint, "subscribe": [spec(2, "updates")]})
    await wait_ended(conn, 2, "completed")
    nodes = [list(e["data"]) for e in conn.attachments[2].events if e["mode"] == "updates"]
    check(nodes == [["second"]], "2: checkpoint", "the second step alone", f"{nodes}")


@CASES.add("state/busy", "2: one writer at a time")
async def state_busy(server: ServerUnderTest) -> None:
    """A state is read while a run writes the thread, and not written."""
    server.require("state")
    conn = await server.connect()
    id, thread = server.new_id(), server.new_id()
    key = {"graph": "conformance.slow", "thread": thread}
    await conn.send(run("slow", {}, spec(1, "custom"), run=id, thread=thread))
    await wait_status(conn, 1, "running")
    check_like(_STATES, {"type": "ok"}, await conn.ask({"type": "state", **key}))
    refused = await conn.ask({"type": "state_update", **key, "values": {"seen": "x"}})
    check_like("9: busy", {"code": "busy", "retry": "after"}, refused)
    check_like("2: delete", {"code": "conflict"}, await conn.ask({"type": "delete", **key}))
    check_like("2: delete", {"code": "conflict"}, await conn.ask({"type": "delete", "run": id}))
    await conn.send({"type": "cancel", "run": id})
    await wait_ended(conn, 1, "cancelled")


@CASES.add("thread/listed and deleted", "2: delete: gone, and viewers get closed{deleted}")
async def listed_and_deleted(server: ServerUnderTest) -> None:
    """An interrupted run is cancelled with its thread."""
    server.require("state")
    conn, other = await server.connect(), await server.connect()
    id, thread = await start_asking(server, conn)
    await wait_questions(conn, 1)
    listing = {"type": "list", "what": "threads", "thread": thread, "limit": 1000}
    row = {"graph": "conformance.ask", "thread": thread, "status": "interrupted", "updated_at": "<time>"}
    listed = await other.ask(listing)
    check_like("7: threads rows", {"threads": [row]}, listed)
    await other.send(subscribe(id, spec(3, "values", credit=0)))
    key = {"graph": "conformance.ask", "thread": thread}
    check_like("2: delete", {"type": "ok"}, await other.ask({"type": "delete", **key}))
    for viewer, sub in ((conn, 1), (other, 3)):
        attachment = await viewer.closed(sub)
        # A viewer that has already read the cancelled run's end gets closed{end}.
        reason = attachment.closed["reason"] if attachment.closed is not None else None
        is_closed_right = reason == "deleted" or (viewer is conn and attachment.terminal is not None)
        check(is_closed_right, "2: delete", "closed, reason deleted", f"{attachment.closed}")
        seen = statuses(attachment)
        check(all(one not in TERMINAL or one == "cancelled" for one in seen), "2: delete", "cancelled", seen)
    check_like("9: not_found", {"code": "not_found"}, await other.ask({"type": "result", "run": id}))
    check_like("2: delete", {"threads": []}, await other.ask(listing))
    check_like(
        _STATES,
        {"values": {"topic": "<absent>"}, "next": []},
        await other.ask({"type": "state", **key}),
    )
    again = await other.ask({"type": "delete", **key})
    check_like("9: not_found", {"code": "not_found", "details": {"kind": "thread"}}, again)
