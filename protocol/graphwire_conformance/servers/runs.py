"""Cases of runs: how they start, how they end, how they are cancelled, and what the log says about it."""

import asyncio
from typing import Any

from websockets.exceptions import ConnectionClosed

from graphwire_conformance.protocol import TERMINAL, Frame, call_of
from graphwire_conformance.servers.attachment import Attachment
from graphwire_conformance.servers.cases import Cases, run, spec, subscribe
from graphwire_conformance.servers.connection import RawConnection
from graphwire_conformance.servers.resumption import check_whole
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.servers.vectors import label
from graphwire_conformance.verdict import Skipped, check

CASES = Cases()


def _check_end(attachment: Attachment, status: str) -> Frame:
    """Hold an attachment to one terminal event, the last, and ``closed`` behind it; return its data."""
    ends = [
        event
        for event in attachment.events
        if event["mode"] == "lifecycle" and event["data"]["status"] in TERMINAL
    ]
    check(len(ends) == 1, "3: one terminal event", "exactly one", f"{ends}")
    data: Frame = ends[0]["data"]
    check(data["status"] == status, "3: lifecycle", status, data)
    check(isinstance(data.get("attempt"), int) and "at" in data, "3: lifecycle", "attempt and at", data)
    closed = attachment.closed or {}
    check(closed.get("reason") == "end", "3: then closed", "closed, reason end", closed)
    check(closed.get("seq") == ends[0]["seq"], "2: closed.seq", f"seq {ends[0]['seq']}", closed)
    return data


async def _waiting(conn: RawConnection, sub: int) -> None:
    """Wait until ``conformance.slow`` has written its event."""
    await conn.until(lambda frame: frame.get("sub") == sub and frame.get("mode") == "custom")


# ── one log ──────────────────────────────────────────────────────────────────────────────────────


@CASES.add("log/whole and in order", "5: nothing lost, nothing twice; 8: seq rises")
async def whole_and_in_order(server: ServerUnderTest) -> None:
    """A run without any fault: every event, once, in order."""
    conn = await server.connect()
    await conn.send(run("counter", {"count": 100}, spec(1, "custom")))
    attachment = await conn.closed(1)
    check_whole(attachment.events, 100)
    closed = attachment.closed or {}
    counts = (closed.get("delivered"), closed.get("skipped"))
    check(counts == (102, 0), "2: closed", "delivered 102, skipped 0", closed)


@CASES.add("log/subscribed before its first event", "2: started, subscribed, events, closed")
async def replies_in_order(server: ServerUnderTest) -> None:
    """The order of everything that concerns one run on one connection."""
    conn = await server.connect()
    await conn.send(run("counter", {"count": 2}, spec(1, "custom"), spec(2, "updates")))
    await conn.closed(1, 2)
    kinds = [frame["type"] for frame in conn.frames[1:4]]
    check(kinds == ["started", "subscribed", "subscribed"], "2: run", "started, subscribed twice", f"{kinds}")
    last = [frame["type"] for frame in conn.attachments[1].frames[-2:]]
    check(last == ["event", "closed"], "8", "the last event, then closed", f"{last}")


@CASES.add("log/messages", "3: messages; 8: deltas of one message never reorder")
async def messages(server: ServerUnderTest) -> None:
    """Two models at once: each message has its tokens in order, its own id and its metadata once."""
    conn = await server.connect()
    await conn.send(run("talk", {"words": 12}, spec(1, "messages")))
    attachment = await conn.closed(1)
    texts: dict[str, str] = {}
    metas: dict[str, Frame] = {}
    for event in attachment.events:
        if event["mode"] == "messages":
            call = call_of(event["data"])
            part = event["data"].get("delta") or event["data"].get("message") or {}
            texts[call] = texts.get(call, "") + part.get("content", "")
            metas.setdefault(call, event.get("meta", {}))
    expected = {"".join(f"{side}{number} " for number in range(12)) for side in "lr"}
    check(set(texts.values()) == expected, "8: deltas", f"{expected}", f"{set(texts.values())}")
    check(len(texts) == 2, "3: messages", "two calls", f"{list(texts)}")
    nodes = {texts[call][0]: meta.get("langgraph_node") for call, meta in metas.items()}
    check(nodes == {"l": "left", "r": "right"}, "3: meta", "each message's own node", f"{nodes}")


@CASES.add("log/meta once", "3: meta comes with the first event of each message on an attachment")
async def meta_once(server: ServerUnderTest) -> None:
    """A second attachment gets the metadata again; a hole left by a filter changes nothing."""
    conn = await server.connect()
    for sub, fields in ((1, {}), (2, {"tags": ["right"]}), (3, {"nodes": ["left"]})):
        await conn.send(run("talk", {"words": 3}, spec(sub, "messages", **fields)))
        attachment = await conn.closed(sub)
        spoken = [event for event in attachment.events if event["mode"] == "messages"]
        metas = sum("meta" in event for event in spoken)
        calls = len({call_of(event["data"]) for event in spoken})
        check(
            metas == calls == (2 if sub == 1 else 1), "3: meta once", f"{calls} of {calls}", f"{metas} metas"
        )


@CASES.add("log/values and updates", "3: modes")
async def values_and_updates(server: ServerUnderTest) -> None:
    """The state after each step, and what each step changed."""
    conn = await server.connect()
    await conn.send(run("values", {"text": "a"}, spec(1, "values", "updates")))
    attachment = await conn.closed(1)
    values = [event["data"] for event in attachment.events if event["mode"] == "values"]
    first, second = {"text": "a", "first": "a1"}, {"text": "a", "first": "a1", "second": "a2"}
    check(values == [{"text": "a"}, first, second], "3: values", "the state thrice", f"{values}")
    updates = [event["data"] for event in attachment.events if event["mode"] == "updates"]
    expected = [{"first": {"first": "a1"}}, {"second": {"second": "a2"}}]
    check(updates == expected, "3: updates", f"{expected}", f"{updates}")


@CASES.add("log/namespaces", "3: ns is the subgraph's path")
async def namespaces(server: ServerUnderTest) -> None:
    """Two levels of subgraphs: the path of each event, left out at the root."""
    conn = await server.connect()
    await conn.send(run("nested", {"seen": ""}, spec(1, "custom", "updates", namespaces=[["**"]])))
    attachment = await conn.closed(1)
    custom = [(label(event), event["data"]["at"]) for event in attachment.events if event["mode"] == "custom"]
    expected = [("custom /", "root"), ("custom /child", "child"), ("custom /child/leaf", "leaf")]
    check(custom == expected, "3: ns", f"{expected}", f"{custom}")
    for event in attachment.events:
        ns = event.get("ns")
        check(ns is None or ns, "3: ns is left out for the root", "no empty ns", event)
        check(all(":" in segment for segment in ns or ()), "3: ns as LangGraph gives it", "node:task", event)


# ── starting ─────────────────────────────────────────────────────────────────────────────────────


@CASES.add("start/twice", "2: idempotent start")
async def twice(server: ServerUnderTest) -> None:
    """The second start finds the first one's run, whatever its input."""
    conn = await server.connect()
    id = server.new_id()
    first = await conn.ask(run("counter", {"count": 5}, spec(1, "custom"), run=id))
    await conn.closed(1)
    second = await conn.ask(run("counter", {"count": 99}, spec(2, "custom"), run=id))
    check_whole((await conn.closed(2)).events, 5)
    seen = [(reply.get("created"), reply.get("epoch")) for reply in (first, second)]
    expected = [(True, first.get("epoch")), (False, first.get("epoch"))]
    check(seen == expected, "2: idempotent start", f"{expected}", f"{seen}")


@CASES.add("start/racing on two connections", "2: idempotent start")
async def racing(server: ServerUnderTest) -> None:
    """Two starts of one id at the same moment are one run, and one of them has made it."""
    for _ in range(5):
        id = server.new_id()
        conns = [await server.connect(), await server.connect()]
        ask = run("counter", {"count": 20}, spec(1, "custom"), run=id)
        replies = await asyncio.gather(*(conn.ask(ask) for conn in conns))
        created = sorted(str(reply.get("created")) for reply in replies)
        check(created == ["False", "True"], "2: idempotent start", "created by one of them", f"{replies}")
        check(replies[0]["epoch"] == replies[1]["epoch"], "3: epoch", "one epoch", f"{replies}")
        for conn in conns:
            check_whole((await conn.closed(1)).events, 20)
            await conn.cut()


@CASES.add("start/all in one flight", "1: a client may send more frames behind hello without waiting")
async def all_in_one_flight(server: ServerUnderTest) -> None:
    """Hello, a start, another view of it and a question about it, before anything has come."""
    conn = await server.connect(greet=False)
    id = server.new_id()
    ids = await conn.send(
        server.hello(),
        run("counter", {"count": 5}, spec(1, "custom"), run=id),
        subscribe(id, spec(2, "custom")),
        {"type": "list", "what": "graphs"},
    )
    for request, kind in zip(ids, ("welcome", "started", "subscribed", "ok"), strict=True):
        reply = await conn.reply(request)
        check(reply["type"] == kind, "1: frames in order", kind, reply)
    await conn.closed(1, 2)
    check_whole(conn.attachments[1].events, 5)
    check_whole(conn.attachments[2].events, 5)


# ── what can be started ──────────────────────────────────────────────────────────────────────────


@CASES.add("list/subgraphs", "2: subgraphs, if a list has them, are those in the nodes")
async def subgraphs(server: ServerUnderTest) -> None:
    """What a list says of the graphs in nodes: it may say nothing, but nothing that is wrong."""
    conn = await server.connect()
    reply = await conn.ask({"type": "list", "what": "graphs", "graph": "conformance.nested"})
    (row,) = reply.get("graphs", [{}])
    inner = row.get("subgraphs")
    if inner is None:
        return
    for nodes, below in (({"child"}, {"middle", "leaf"}), ({"leaf"}, {"deep"})):
        check({part.get("node") for part in inner} == nodes, "2: subgraphs", f"those of {nodes}", row)
        (part,) = inner
        if part.get("cut"):
            check(not part["nodes"] and not part["edges"], "2: subgraphs", "nothing in what is cut", row)
            return
        check(set(part["nodes"]) == below, "2: subgraphs", f"the nodes {below}", row)
        ends = {end for edge in part["edges"] for end in (edge["source"], edge["target"])}
        check(below <= ends <= {*below, "__start__", "__end__"}, "2: subgraphs", "edges of its nodes", row)
        inner = part.get("subgraphs", [])
    check(not inner, "2: subgraphs", "none in the innermost", row)


# ── ends ─────────────────────────────────────────────────────────────────────────────────────────


@CASES.add("end/completed", "3: a terminal event is the last of the log and the only one")
async def completed(server: ServerUnderTest) -> None:
    """The end, as it happens and for who comes late."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("counter", {"count": 3}, spec(1, "custom"), run=id))
    _check_end(await conn.closed(1), "completed")
    await conn.send(subscribe(id, spec(2, "custom")))
    _check_end(await conn.closed(2), "completed")
    result = await conn.ask({"type": "result", "run": id})
    expected = {"status": "completed", "output": {"count": 3, "done": 3}}
    came = {name: result.get(name) for name in expected}
    check(came == expected, "2: result", f"{expected}", result)


@CASES.add("end/failed", "9: a failed graph is no protocol error")
async def failed(server: ServerUnderTest) -> None:
    """A node that raises: what it wrote, then one terminal event that says why."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("fails", {"after": 3}, spec(1, "custom"), run=id))
    attachment = await conn.closed(1)
    error: Any = _check_end(attachment, "failed").get("error") or {}
    check(error.get("code") == "graph_error", "9: failures", "code graph_error", error)
    check(isinstance(error.get("message"), str), "9: failures", "a message", error)
    numbers = [event["data"]["i"] for event in attachment.events if event["mode"] == "custom"]
    check(numbers == [0, 1, 2], "5: nothing lost", "i from 0 to 2", f"{numbers}")
    result = await conn.ask({"type": "result", "run": id})
    is_bare = result.get("status") == "failed" and "output" not in result
    check(is_bare, "2: result", "status failed, no output", result)


@CASES.add("cancel/right behind the start", "2: with a chosen id, cancel may be sent right behind run")
async def right_behind_the_start(server: ServerUnderTest) -> None:
    """A run that is cancelled in the flight that starts it."""
    conn = await server.connect()
    id = server.new_id()
    _, cancel = await conn.send(run("slow", {}, spec(1, "custom"), run=id), {"type": "cancel", "run": id})
    reply = await conn.reply(cancel)
    check(reply["type"] == "ok" and "status" in reply, "2: cancel", "ok with a status", reply)
    _check_end(await conn.closed(1), "cancelled")


@CASES.add("cancel/storm", "2: cancel is idempotent")
async def storm(server: ServerUnderTest) -> None:
    """Many cancels from two connections, behind the end too: one end."""
    conn, other = await server.connect(), await server.connect()
    id = server.new_id()
    await conn.send(run("slow", {}, spec(1, "custom"), run=id))
    await _waiting(conn, 1)
    cancels = [{"type": "cancel", "run": id, "reason": "enough"}] * 20
    mine, theirs = await asyncio.gather(conn.send(*cancels), other.send(*cancels))
    _check_end(await conn.closed(1), "cancelled")
    mine += await conn.send(*cancels[:3])
    for asked, ids in ((conn, mine), (other, theirs)):
        for request in ids:
            reply = await asked.reply(request)
            check(reply["type"] == "ok", "2: cancel is idempotent", "ok", reply)
    await conn.send(subscribe(id, spec(2, "custom")))
    _check_end(await conn.closed(2), "cancelled")
    check(
        (await conn.ask({"type": "result", "run": id}))["status"] == "cancelled", "2: result", "cancelled", ""
    )


@CASES.add("leave/a lost connection stops nothing", "2: leaving")
async def lost_connection(server: ServerUnderTest) -> None:
    """A run goes on without its viewer, and is found again."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("slow", {}, spec(1, "custom"), run=id))
    await _waiting(conn, 1)
    await conn.cut()
    conn = await server.connect()
    result = await conn.ask({"type": "result", "run": id})
    check(result.get("status") == "running", "2: leaving never stops a run", "running", result)
    await conn.send(subscribe(id, spec(1, "custom")), {"type": "cancel", "run": id})
    _check_end(await conn.closed(1), "cancelled")


@CASES.add("leave/unsubscribing stops nothing", "2: unsubscribe; no frame of that sub follows")
async def unsubscribing(server: ServerUnderTest) -> None:
    """A viewer leaves; the run goes on, and the number is free."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("slow", {}, spec(1, "custom"), run=id))
    await _waiting(conn, 1)
    reply = await conn.ask({"type": "unsubscribe", "sub": 1})
    check(reply["type"] == "ok", "2: unsubscribe", "ok", reply)
    await conn.send({"type": "cancel", "run": id}, subscribe(id, spec(1, "custom")))
    _check_end(await conn.closed(1), "cancelled")


@CASES.add("leave/on_disconnect cancel", "2: on_disconnect cancel, after disconnect_grace_s")
async def on_disconnect(server: ServerUnderTest) -> None:
    """A run that is not to outlive its viewer."""
    grace = server.limits.get("disconnect_grace_s")
    if not isinstance(grace, int | float) or grace > 2:
        raise Skipped(f"disconnect_grace_s {grace} is long")
    conn, watcher = await server.connect(), await server.connect()
    id = server.new_id()
    await conn.send(run("slow", {}, spec(1, "custom"), run=id, on_disconnect="cancel"))
    await _waiting(conn, 1)
    await conn.cut()
    # A subscription would keep the run alive, so its state is asked for instead.
    end = asyncio.get_running_loop().time() + grace + 5
    status = "running"
    while status == "running" and asyncio.get_running_loop().time() < end:
        status = (await watcher.ask({"type": "result", "run": id}))["status"]
        await asyncio.sleep(0.02)
    check(status == "cancelled", "2: on_disconnect", "cancelled", status)


@CASES.add("token/refused", "1: a refused token is unauthenticated, then close 4401")
async def refused_token(server: ServerUnderTest) -> None:
    """Somebody whom the server does not know."""
    if server.token is None:
        raise Skipped("no token was given: the server asks for none")
    for fields in ({"token": "not-the-token"}, {}):
        conn = await server.connect(greet=False)
        reply = await conn.ask({"type": "hello", **fields})
        is_refusal = reply.get("code") == "unauthenticated" and reply.get("retry") == "reauth"
        check(is_refusal, "9: codes", "unauthenticated, retry reauth", reply)
        code = await conn.wait_closed()
        check(code == 4401, "9: close codes", "close 4401", f"close {code}")


@CASES.add("drain/announced, refused, ended, closed", "9: draining")
async def draining(server: ServerUnderTest) -> None:
    """The server goes away: goaway, no new runs, terminal events before the close, 1012."""
    if server.drain is None:
        raise Skipped("no --drain-command was given")
    conn = await server.connect()
    await conn.send(run("slow", {}, spec(1, "custom")))
    await _waiting(conn, 1)
    asking = asyncio.ensure_future(server.drain())
    try:
        goaway = await conn.until(lambda frame: frame["type"] == "goaway")
        fields = {"reason", "deadline_s", "after_ms"}
        check(fields <= set(goaway), "2: goaway", f"{sorted(fields)}", goaway)
        reply = await conn.ask(run("counter", {"count": 1}))
        check(reply.get("code") == "draining", "9: draining", "error draining", reply)
        patience = server.limits.get("drain_s", 30) + 10
        try:
            await conn.until(lambda frame: frame["type"] == "closed", patience)
        except ConnectionClosed as closed:
            check(False, "9: terminal events are delivered before the close", "closed", f"{closed}")
        data = _check_end(conn.attachments[1], "cancelled")
        check(data.get("reason") == "shutdown", "9: draining", "reason shutdown", data)
        code = await conn.wait_closed()
        check(code == 1012, "9: a draining server closes with 1012", "close 1012", f"close {code}")
    finally:
        await asking
