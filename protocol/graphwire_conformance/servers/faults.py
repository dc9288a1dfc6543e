"""Cases of runs: how they start, how they end, how they are cancelled, and what is told of it."""

import asyncio
from typing import Any

from websockets.exceptions import ConnectionClosed

from graphwire_conformance.servers.attachment import TERMINAL, Follow, Frame
from graphwire_conformance.servers.cases import Kit, case, run, spec, subscribe
from graphwire_conformance.servers.connection import Wire
from graphwire_conformance.servers.resumption import check_whole
from graphwire_conformance.servers.vectors import label
from graphwire_conformance.verdict import LeftOut, check


def _check_end(follow: Follow, status: str) -> Frame:
    """Hold an attachment to one terminal event, the last, and ``closed`` behind it; return its data."""
    ends = [
        event
        for event in follow.events
        if event["mode"] == "lifecycle" and event["data"]["status"] in TERMINAL
    ]
    check(len(ends) == 1, "3: one terminal event", "exactly one", f"{ends}")
    data: Frame = ends[0]["data"]
    check(data["status"] == status, "3: lifecycle", status, data)
    check(isinstance(data.get("attempt"), int) and "at" in data, "3: lifecycle", "attempt and at", data)
    closed = follow.closed or {}
    check(closed.get("reason") == "end", "3: then closed", "closed, reason end", closed)
    check(closed.get("seq") == ends[0]["seq"], "2: closed.seq", f"seq {ends[0]['seq']}", closed)
    return data


async def _waiting(wire: Wire, sub: int) -> None:
    """Wait until ``conformance.slow`` has written its event."""
    await wire.until(lambda frame: frame.get("sub") == sub and frame.get("mode") == "custom")


# ── one log ──────────────────────────────────────────────────────────────────────────────────────


@case("log/whole and in order", "5: nothing lost, nothing twice; 8: seq rises")
async def whole_and_in_order(kit: Kit) -> None:
    """A run without any fault: every event, once, in order."""
    wire = await kit.connect()
    await wire.send(run("counter", {"count": 100}, spec(1, "custom")))
    follow = await wire.closed(1)
    check_whole(follow.events, 100)
    closed = follow.closed or {}
    counts = (closed.get("delivered"), closed.get("skipped"))
    check(counts == (102, 0), "2: closed", "delivered 102, skipped 0", closed)


@case("log/subscribed before its first event", "2: started, subscribed, events, closed")
async def replies_in_order(kit: Kit) -> None:
    """The order of everything that concerns one run on one connection."""
    wire = await kit.connect()
    await wire.send(run("counter", {"count": 2}, spec(1, "custom"), spec(2, "updates")))
    await wire.closed(1, 2)
    kinds = [frame["type"] for frame in wire.frames[1:4]]
    check(kinds == ["started", "subscribed", "subscribed"], "2: run", "started, subscribed twice", f"{kinds}")
    last = [frame["type"] for frame in wire.follows[1].frames[-2:]]
    check(last == ["event", "closed"], "8", "the last event, then closed", f"{last}")


@case("log/messages", "3: messages; 8: deltas of one message never reorder")
async def messages(kit: Kit) -> None:
    """Two models at once: each message has its tokens in order, its own id and its metadata once."""
    wire = await kit.connect()
    await wire.send(run("talk", {"words": 12}, spec(1, "messages")))
    follow = await wire.closed(1)
    texts: dict[str, str] = {}
    metas: dict[str, Frame] = {}
    for event in follow.events:
        if event["mode"] == "messages":
            id = event["data"]["id"]
            part = event["data"].get("delta") or event["data"].get("message") or {}
            texts[id] = texts.get(id, "") + part.get("content", "")
            metas.setdefault(id, event.get("meta", {}))
    expected = {"".join(f"{side}{number} " for number in range(12)) for side in "lr"}
    check(set(texts.values()) == expected, "8: deltas", f"{expected}", f"{set(texts.values())}")
    check(len(texts) == 2, "3: messages", "two ids", f"{list(texts)}")
    nodes = {texts[id][0]: meta.get("langgraph_node") for id, meta in metas.items()}
    check(nodes == {"l": "left", "r": "right"}, "3: meta", "each message's own node", f"{nodes}")


@case("log/meta once", "3: meta comes with the first event of each message on an attachment")
async def meta_once(kit: Kit) -> None:
    """A second attachment is told the metadata again, a filter's hole changes nothing."""
    wire = await kit.connect()
    for sub, fields in ((1, {}), (2, {"tags": ["right"]}), (3, {"nodes": ["left"]})):
        await wire.send(run("talk", {"words": 3}, spec(sub, "messages", **fields)))
        follow = await wire.closed(sub)
        spoken = [event for event in follow.events if event["mode"] == "messages"]
        told = sum("meta" in event for event in spoken)
        ids = len({event["data"]["id"] for event in spoken})
        check(told == ids == (2 if sub == 1 else 1), "3: meta once", f"{ids} of {ids}", f"{told} metas")


@case("log/values and updates", "3: modes")
async def values_and_updates(kit: Kit) -> None:
    """The state after each step, and what each step changed."""
    wire = await kit.connect()
    await wire.send(run("values", {"text": "a"}, spec(1, "values", "updates")))
    follow = await wire.closed(1)
    values = [event["data"] for event in follow.events if event["mode"] == "values"]
    first, second = {"text": "a", "first": "a1"}, {"text": "a", "first": "a1", "second": "a2"}
    check(values == [{"text": "a"}, first, second], "3: values", "the state thrice", f"{values}")
    updates = [event["data"] for event in follow.events if event["mode"] == "updates"]
    expected = [{"first": {"first": "a1"}}, {"second": {"second": "a2"}}]
    check(updates == expected, "3: updates", f"{expected}", f"{updates}")


@case("log/namespaces", "3: ns is the subgraph's path")
async def namespaces(kit: Kit) -> None:
    """Two levels of subgraphs: the path of each event, left out at the root."""
    wire = await kit.connect()
    await wire.send(run("nested", {"seen": ""}, spec(1, "custom", "updates", namespaces=[["**"]])))
    follow = await wire.closed(1)
    custom = [(label(event), event["data"]["at"]) for event in follow.events if event["mode"] == "custom"]
    expected = [("custom /", "root"), ("custom /child", "child"), ("custom /child/leaf", "leaf")]
    check(custom == expected, "3: ns", f"{expected}", f"{custom}")
    for event in follow.events:
        ns = event.get("ns")
        check(ns is None or ns, "3: ns is left out for the root", "no empty ns", event)
        check(all(":" in segment for segment in ns or ()), "3: ns as LangGraph gives it", "node:task", event)


# ── starting ─────────────────────────────────────────────────────────────────────────────────────


@case("start/twice", "2: idempotent start")
async def twice(kit: Kit) -> None:
    """The second start finds the first one's run, whatever its input."""
    wire = await kit.connect()
    id = kit.name()
    first = await wire.ask(run("counter", {"count": 5}, spec(1, "custom"), run=id))
    await wire.closed(1)
    second = await wire.ask(run("counter", {"count": 99}, spec(2, "custom"), run=id))
    check_whole((await wire.closed(2)).events, 5)
    told = [(reply.get("created"), reply.get("epoch")) for reply in (first, second)]
    expected = [(True, first.get("epoch")), (False, first.get("epoch"))]
    check(told == expected, "2: idempotent start", f"{expected}", f"{told}")


@case("start/racing on two connections", "2: idempotent start")
async def racing(kit: Kit) -> None:
    """Two starts of one id at the same moment are one run, and one of them has made it."""
    for _ in range(5):
        id = kit.name()
        wires = [await kit.connect(), await kit.connect()]
        ask = run("counter", {"count": 20}, spec(1, "custom"), run=id)
        replies = await asyncio.gather(*(wire.ask(ask) for wire in wires))
        created = sorted(str(reply.get("created")) for reply in replies)
        check(created == ["False", "True"], "2: idempotent start", "created by one of them", f"{replies}")
        check(replies[0]["epoch"] == replies[1]["epoch"], "3: epoch", "one epoch", f"{replies}")
        for wire in wires:
            check_whole((await wire.closed(1)).events, 20)
            await wire.cut()


@case("start/all in one flight", "1: a client may send more frames behind hello without waiting")
async def all_in_one_flight(kit: Kit) -> None:
    """Hello, a start, another view of it and a question about it, before anything has come."""
    wire = await kit.connect(greet=False)
    id = kit.name()
    ids = await wire.send(
        kit.hello(),
        run("counter", {"count": 5}, spec(1, "custom"), run=id),
        subscribe(id, spec(2, "custom")),
        {"type": "list", "what": "graphs"},
    )
    for request, kind in zip(ids, ("welcome", "started", "subscribed", "ok"), strict=True):
        reply = await wire.reply(request)
        check(reply["type"] == kind, "1: frames in order", kind, reply)
    await wire.closed(1, 2)
    check_whole(wire.follows[1].events, 5)
    check_whole(wire.follows[2].events, 5)


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────


@case("end/completed", "3: a terminal event is the last of the log and the only one")
async def completed(kit: Kit) -> None:
    """The end, as it happens and for who comes late."""
    wire = await kit.connect()
    id = kit.name()
    await wire.send(run("counter", {"count": 3}, spec(1, "custom"), run=id))
    _check_end(await wire.closed(1), "completed")
    await wire.send(subscribe(id, spec(2, "custom")))
    _check_end(await wire.closed(2), "completed")
    result = await wire.ask({"type": "result", "run": id})
    expected = {"status": "completed", "output": {"count": 3, "done": 3}}
    came = {name: result.get(name) for name in expected}
    check(came == expected, "2: result", f"{expected}", result)


@case("end/failed", "9: a failed graph is no protocol error")
async def failed(kit: Kit) -> None:
    """A node that raises: what it wrote, then one terminal event that says why."""
    wire = await kit.connect()
    id = kit.name()
    await wire.send(run("fails", {"after": 3}, spec(1, "custom"), run=id))
    follow = await wire.closed(1)
    error: Any = _check_end(follow, "failed").get("error") or {}
    check(error.get("code") == "graph_error", "9: failures", "code graph_error", error)
    check(isinstance(error.get("message"), str), "9: failures", "a message", error)
    numbers = [event["data"]["i"] for event in follow.events if event["mode"] == "custom"]
    check(numbers == [0, 1, 2], "5: nothing lost", "i from 0 to 2", f"{numbers}")
    result = await wire.ask({"type": "result", "run": id})
    is_bare = result.get("status") == "failed" and "output" not in result
    check(is_bare, "2: result", "status failed, no output", result)


@case("cancel/right behind the start", "2: with a chosen id, cancel may be sent right behind run")
async def right_behind_the_start(kit: Kit) -> None:
    """A run that is cancelled in the flight that starts it."""
    wire = await kit.connect()
    id = kit.name()
    _, cancel = await wire.send(run("slow", {}, spec(1, "custom"), run=id), {"type": "cancel", "run": id})
    reply = await wire.reply(cancel)
    check(reply["type"] == "ok" and "status" in reply, "2: cancel", "ok with a status", reply)
    _check_end(await wire.closed(1), "cancelled")


@case("cancel/storm", "2: cancel is idempotent")
async def storm(kit: Kit) -> None:
    """Many cancels from two connections, behind the end too: one end."""
    wire, other = await kit.connect(), await kit.connect()
    id = kit.name()
    await wire.send(run("slow", {}, spec(1, "custom"), run=id))
    await _waiting(wire, 1)
    cancels = [{"type": "cancel", "run": id, "reason": "enough"}] * 20
    mine, theirs = await asyncio.gather(wire.send(*cancels), other.send(*cancels))
    _check_end(await wire.closed(1), "cancelled")
    mine += await wire.send(*cancels[:3])
    for connection, ids in ((wire, mine), (other, theirs)):
        for request in ids:
            reply = await connection.reply(request)
            check(reply["type"] == "ok", "2: cancel is idempotent", "ok", reply)
    await wire.send(subscribe(id, spec(2, "custom")))
    _check_end(await wire.closed(2), "cancelled")
    check(
        (await wire.ask({"type": "result", "run": id}))["status"] == "cancelled", "2: result", "cancelled", ""
    )


@case("leave/a lost connection stops nothing", "2: leaving")
async def lost_connection(kit: Kit) -> None:
    """A run goes on without its viewer, and is found again."""
    wire = await kit.connect()
    id = kit.name()
    await wire.send(run("slow", {}, spec(1, "custom"), run=id))
    await _waiting(wire, 1)
    await wire.cut()
    wire = await kit.connect()
    result = await wire.ask({"type": "result", "run": id})
    check(result.get("status") == "running", "2: leaving never stops a run", "running", result)
    await wire.send(subscribe(id, spec(1, "custom")), {"type": "cancel", "run": id})
    _check_end(await wire.closed(1), "cancelled")


@case("leave/unsubscribing stops nothing", "2: unsubscribe; no frame of that sub follows")
async def unsubscribing(kit: Kit) -> None:
    """A viewer leaves; the run goes on, and the number is free."""
    wire = await kit.connect()
    id = kit.name()
    await wire.send(run("slow", {}, spec(1, "custom"), run=id))
    await _waiting(wire, 1)
    reply = await wire.ask({"type": "unsubscribe", "sub": 1})
    check(reply["type"] == "ok", "2: unsubscribe", "ok", reply)
    await wire.send({"type": "cancel", "run": id}, subscribe(id, spec(1, "custom")))
    _check_end(await wire.closed(1), "cancelled")


@case("leave/on_disconnect cancel", "2: on_disconnect cancel, after disconnect_grace_s")
async def on_disconnect(kit: Kit) -> None:
    """A run that is not to outlive its viewer."""
    grace = kit.limits.get("disconnect_grace_s")
    if not isinstance(grace, int | float) or grace > 2:
        raise LeftOut(f"disconnect_grace_s {grace} is long")
    wire, watcher = await kit.connect(), await kit.connect()
    id = kit.name()
    await wire.send(run("slow", {}, spec(1, "custom"), run=id, on_disconnect="cancel"))
    await _waiting(wire, 1)
    await wire.cut()
    # Whoever subscribes keeps the run alive, so its state is asked for.
    end = asyncio.get_running_loop().time() + grace + 5
    status = "running"
    while status == "running" and asyncio.get_running_loop().time() < end:
        status = (await watcher.ask({"type": "result", "run": id}))["status"]
        await asyncio.sleep(0.02)
    check(status == "cancelled", "2: on_disconnect", "cancelled", status)


@case("token/refused", "1: a refused token is unauthenticated, then close 4401")
async def refused_token(kit: Kit) -> None:
    """Somebody whom the server does not know."""
    if kit.token is None:
        raise LeftOut("no token was given: the server asks for none")
    for fields in ({"token": "not-the-token"}, {}):
        wire = await kit.connect(greet=False)
        reply = await wire.ask({"type": "hello", **fields})
        is_refusal = reply.get("code") == "unauthenticated" and reply.get("retry") == "reauth"
        check(is_refusal, "9: codes", "unauthenticated, retry reauth", reply)
        code = await wire.gone()
        check(code == 4401, "9: close codes", "close 4401", f"close {code}")


@case("drain/announced, refused, ended, closed", "9: draining")
async def draining(kit: Kit) -> None:
    """The server goes away: goaway, no new runs, terminal events before the close, 1012."""
    if kit.drain is None:
        raise LeftOut("no --drain-command was given")
    wire = await kit.connect()
    await wire.send(run("slow", {}, spec(1, "custom")))
    await _waiting(wire, 1)
    asking = asyncio.ensure_future(kit.drain())
    try:
        goaway = await wire.until(lambda frame: frame["type"] == "goaway")
        fields = {"reason", "deadline_s", "after_ms"}
        check(fields <= set(goaway), "2: goaway", f"{sorted(fields)}", goaway)
        reply = await wire.ask(run("counter", {"count": 1}))
        check(reply.get("code") == "draining", "9: draining", "error draining", reply)
        patience = kit.limits.get("drain_s", 30) + 10
        try:
            await wire.until(lambda frame: frame["type"] == "closed", patience)
        except ConnectionClosed as closed:
            check(False, "9: terminal events are delivered before the close", "closed", f"{closed}")
        data = _check_end(wire.follows[1], "cancelled")
        check(data.get("reason") == "shutdown", "9: draining", "reason shutdown", data)
        code = await wire.gone()
        check(code == 1012, "9: a draining server closes with 1012", "close 1012", f"close {code}")
    finally:
        await asking
