"""Cases of flow: credit, slow and stalled readers, many subscriptions, and which frame overtakes which."""

import asyncio
import socket as sockets

from graphwire_conformance.protocol import FREE_MODES, Frame
from graphwire_conformance.servers.cases import Cases, run, spec, subscribe
from graphwire_conformance.servers.connection import RawConnection
from graphwire_conformance.servers.resumption import check_whole
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import check

CASES = Cases()


def _paid(conn: RawConnection, sub: int) -> int:
    return sum(event["mode"] not in FREE_MODES for event in conn.attachments[sub].events)


async def _ended(conn: RawConnection, id: str, sub: int) -> None:
    """Wait for a run's end through another subscription."""
    await conn.send(subscribe(id, spec(sub, "lifecycle")))
    await conn.closed(sub)


@CASES.add("credit/exhausted and refilled", "6: credit lets the server send so many events")
async def exhausted_and_refilled(server: ServerUnderTest) -> None:
    """Exactly what was granted comes, then exactly what is granted anew."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("counter", {"count": 20}, spec(1, "custom", credit=5), run=id))
    await _ended(conn, id, 2)
    for due, grant in ((5, 0), (5, 3), (8, 12)):
        while _paid(conn, 1) < due:
            await conn.next()
        await conn.wait_answered()
        check(_paid(conn, 1) == due, "6: credit", f"{due} events", f"{_paid(conn, 1)}")
        await conn.send({"type": "credit", "sub": 1, "events": grant})
    check_whole((await conn.closed(1)).events, 20)


@CASES.add("credit/none at all", "6: 0 is legal; lifecycle costs nothing")
async def none_at_all(server: ServerUnderTest) -> None:
    """Without credit the first status comes, and nothing behind it until there is some."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("counter", {"count": 3}, spec(1, "custom", credit=0), run=id))
    await _ended(conn, id, 2)
    await conn.wait_answered()
    statuses = [event["data"].get("status") for event in conn.attachments[1].events]
    check(statuses == ["running"], "6: lifecycle costs nothing", "running alone", f"{statuses}")
    await conn.send({"type": "credit", "sub": 1, "events": 3})
    check_whole((await conn.closed(1)).events, 3)


@CASES.add("credit/gap and snapshot wait", "6: gap and snapshot wait while there is none")
async def gap_and_snapshot_wait(server: ServerUnderTest) -> None:
    """A gap and a snapshot wait for credit as events do."""
    conn = await server.connect()
    cursor = {"epoch": "made-up", "seq": 1}
    await conn.send(subscribe(server.ended_run, spec(1, "custom", credit=0, from_=cursor)))
    await conn.wait_answered()
    frames = conn.attachments[1].frames
    check(not frames, "6", "nothing without credit", f"{frames}")
    await conn.send({"type": "credit", "sub": 1, "events": 1000})
    attachment = await conn.closed(1)
    check(attachment.gaps and attachment.snapshots, "5", "gap and snapshot", f"{attachment.frames}")


@CASES.add("credit/in the same flight", "1: frames are handled in order")
async def in_the_same_flight(server: ServerUnderTest) -> None:
    """Credit right behind the subscription that it is for, and for one that is gone."""
    conn = await server.connect()
    await conn.send(
        run("counter", {"count": 10}, spec(1, "custom", credit=0)),
        {"type": "credit", "sub": 1, "events": 4},
        {"type": "credit", "sub": 1, "events": 6},
    )
    check_whole((await conn.closed(1)).events, 10)
    await conn.send({"type": "credit", "sub": 1, "events": 6})
    await conn.wait_answered()


@CASES.add("credit/more than there are numbers", "6: credit")
async def more_than_there_are_numbers(server: ServerUnderTest) -> None:
    """Credit may be granted beyond what any counter holds exactly."""
    conn = await server.connect()
    most = 2**53 - 1
    grants = [{"type": "credit", "sub": 1, "events": most}] * 3
    await conn.send(run("counter", {"count": 5}, spec(1, "custom", credit=most)), *grants)
    check_whole((await conn.closed(1)).events, 5)


@CASES.add("credit/one stalled panel", "6: one slow panel holds up no other on the same socket")
async def one_stalled_panel(server: ServerUnderTest) -> None:
    """The second subscription of one connection gets everything while the first gets nothing."""
    conn = await server.connect()
    id = server.new_id()
    stalled, free = spec(1, "custom", credit=0), spec(2, "custom")
    await conn.send(run("counter", {"count": 300}, stalled, free, run=id))
    check_whole((await conn.closed(2)).events, 300)
    check(_paid(conn, 1) == 0, "6: credit", "nothing on the stalled one", f"{_paid(conn, 1)} events")
    await conn.send({"type": "credit", "sub": 1, "events": 300})
    check_whole((await conn.closed(1)).events, 300)


@CASES.add("reader/slow", "6: a run never waits for a viewer")
async def slow(server: ServerUnderTest) -> None:
    """A connection that takes nothing until the run has ended still gets all of it."""
    count = min(3000, _kept(server))
    idle, busy = await server.connect(max_queue=1), await server.connect()
    id = server.new_id()
    started, *_ = await idle.send(run("counter", {"count": count}, spec(1, "custom"), run=id))
    await idle.reply(started)
    await _ended(busy, id, 1)
    check_whole((await idle.closed(1)).events, count)


@CASES.add("reader/stalled beside others", "6: a viewer never holds up another")
async def stalled_beside_others(server: ServerUnderTest) -> None:
    """While one connection takes nothing, others of the same run are served."""
    count = min(1000, _kept(server))
    idle, busy = await server.connect(max_queue=1), await server.connect()
    id = server.new_id()
    specs = [spec(sub, "custom") for sub in range(1, 9)]
    started, *_ = await idle.send(run("counter", {"count": count}, *specs, run=id))
    await idle.reply(started)
    await busy.send(subscribe(id, spec(1, "custom")))
    check_whole((await busy.closed(1)).events, count)
    await idle.closed(*range(1, 9))
    for sub in range(1, 9):
        check_whole(idle.attachments[sub].events, count)


def _kept(server: ServerUnderTest) -> int:
    """Return how many events a log keeps at least."""
    limit = server.limits.get("log_events")
    return limit - 10 if isinstance(limit, int) else 10_000


@CASES.add("reader/replies overtake a flood", "2: replies overtake queued events")
async def replies_overtake(server: ServerUnderTest) -> None:
    """The answer to a ping comes before what is left of a flood, not behind it."""
    conn = await server.connect(max_queue=1)
    raw: sockets.socket = conn.socket.transport.get_extra_info("socket")
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 32 << 10)
    size, subs = 4000, range(2, 14)
    id = server.new_id()
    text = "x" * size
    started, *_ = await conn.send(
        run("echo", {"value": [text] * 20}, run=id, record={"modes": ["custom", "values"]})
    )
    await conn.reply(started)
    await _ended(conn, id, 1)
    for round in range(4):
        await conn.send(
            *(subscribe(id, spec(100 * round + sub, "custom", "values", credit=0)) for sub in subs)
        )
    await conn.wait_answered()
    floods = [100 * round + sub for round in range(4) for sub in subs]
    await conn.send(*({"type": "credit", "sub": sub, "events": 10} for sub in floods))
    await conn.until(lambda frame: frame["type"] == "event" and frame["mode"] == "custom")
    await conn.wait_answered()
    done = sum(conn.attachments[sub].closed is not None for sub in floods)
    check(
        done < len(floods) * 3 // 4, "2: replies overtake", "the pong before the flood's end", f"{done} done"
    )
    await conn.closed(*floods)


@CASES.add("subs/many in one flight", "6: fair turns")
async def many_in_one_flight(server: ServerUnderTest) -> None:
    """As many subscriptions as are allowed, at most 200, all whole."""
    count = min(
        200, server.limits.get("max_subscriptions", 200), server.limits.get("request_burst", 200) - 20
    )
    conn = await server.connect()
    id = server.new_id()
    started = await conn.ask(run("counter", {"count": 20}, run=id, record={"modes": ["custom"]}))
    check(started["created"] is True, "2: started", "created true", started)
    await conn.send(*(subscribe(id, spec(sub, "custom")) for sub in range(count)))
    await conn.closed(*range(count))
    for sub in range(count):
        check_whole(conn.attachments[sub].events, 20)


@CASES.add("subs/left and taken anew in one flight", "4.6: in one flight, from the cursor")
async def left_and_taken_anew(server: ServerUnderTest) -> None:
    """A filter is changed in the middle of a run: nothing between is lost or comes twice."""
    conn = await server.connect()
    id = server.new_id()
    started = await conn.ask(
        run("counter", {"count": 60, "burst": 1, "pause_s": 0.002}, spec(1, "custom"), run=id)
    )
    taken: list[Frame] = []
    for _ in range(5):
        while 1 not in conn.attachments or (
            len(conn.attachments[1].events) < 6 and not conn.attachments[1].closed
        ):
            await conn.next()
        if conn.attachments[1].closed:
            break
        taken += conn.attachments[1].events
        cursor = {"epoch": started["epoch"], "seq": taken[-1]["seq"]}
        left, again = await conn.send(
            {"type": "unsubscribe", "sub": 1}, subscribe(id, spec(1, "custom", from_=cursor))
        )
        answers = [await conn.reply(left), await conn.reply(again)]
        if answers[0]["type"] == "ok":
            check(answers[1].get("after") == cursor["seq"], "5", f"after {cursor['seq']}", answers[1])
    check_whole(taken + (await conn.closed(1)).events, 60)


@CASES.add("subs/two of one run are one log", "3: seq is the same for every client and connection")
async def one_log(server: ServerUnderTest) -> None:
    """Two connections see the same events at the same positions."""
    one, two = await server.connect(), await server.connect()
    id = server.new_id()
    started, *_ = await one.send(run("talk", {"words": 4}, spec(1, "messages", "updates"), run=id))
    await one.reply(started)
    await two.send(subscribe(id, spec(5, "updates", "messages")))
    first, second = await asyncio.gather(one.closed(1), two.closed(5))
    views = [
        [(event["seq"], event["mode"], event["data"]) for event in view.events] for view in (first, second)
    ]
    check(views[0] == views[1], "3", "equal logs", f"{views}")
