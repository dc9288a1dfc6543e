"""Cases of flow: credit, slow and stalled readers, many subscriptions, and what overtakes what."""

import asyncio
import socket as sockets

from graphwire_conformance.servers.attachment import FREE, Frame
from graphwire_conformance.servers.cases import Kit, case, run, spec, subscribe
from graphwire_conformance.servers.connection import Wire
from graphwire_conformance.servers.resumption import check_whole
from graphwire_conformance.verdict import check


def _paid(wire: Wire, sub: int) -> int:
    return sum(event["mode"] not in FREE for event in wire.follows[sub].events)


async def _ended(wire: Wire, id: str, sub: int) -> None:
    """Wait for a run's end through another subscription."""
    await wire.send(subscribe(id, spec(sub, "lifecycle")))
    await wire.closed(sub)


@case("credit/exhausted and refilled", "6: credit lets the server send so many events")
async def exhausted_and_refilled(kit: Kit) -> None:
    """Exactly what was granted comes, then exactly what is granted anew."""
    wire = await kit.connect()
    id = kit.name()
    await wire.send(run("counter", {"count": 20}, spec(1, "custom", credit=5), run=id))
    await _ended(wire, id, 2)
    for due, grant in ((5, 0), (5, 3), (8, 12)):
        while _paid(wire, 1) < due:
            await wire.next()
        await wire.settled()
        check(_paid(wire, 1) == due, "6: credit", f"{due} events", f"{_paid(wire, 1)}")
        await wire.send({"type": "credit", "sub": 1, "events": grant})
    check_whole((await wire.closed(1)).events, 20)


@case("credit/none at all", "6: 0 is legal; lifecycle costs nothing")
async def none_at_all(kit: Kit) -> None:
    """Without credit the first status comes, and nothing behind it until there is some."""
    wire = await kit.connect()
    id = kit.name()
    await wire.send(run("counter", {"count": 3}, spec(1, "custom", credit=0), run=id))
    await _ended(wire, id, 2)
    await wire.settled()
    statuses = [event["data"].get("status") for event in wire.follows[1].events]
    check(statuses == ["running"], "6: lifecycle costs nothing", "running alone", f"{statuses}")
    await wire.send({"type": "credit", "sub": 1, "events": 3})
    check_whole((await wire.closed(1)).events, 3)


@case("credit/gap and snapshot wait", "6: gap and snapshot wait while there is none")
async def gap_and_snapshot_wait(kit: Kit) -> None:
    """What stands for lost events costs as they do."""
    wire = await kit.connect()
    cursor = {"epoch": "made-up", "seq": 1}
    await wire.send(subscribe(kit.lone, spec(1, "custom", credit=0, from_=cursor)))
    await wire.settled()
    frames = wire.follows[1].frames
    check(not frames, "6", "nothing without credit", f"{frames}")
    await wire.send({"type": "credit", "sub": 1, "events": 1000})
    follow = await wire.closed(1)
    check(follow.gaps and follow.snapshots, "5", "gap and snapshot", f"{follow.frames}")


@case("credit/in the same flight", "1: frames are handled in order")
async def in_the_same_flight(kit: Kit) -> None:
    """Credit right behind the subscription that it is for, and for one that is gone."""
    wire = await kit.connect()
    await wire.send(
        run("counter", {"count": 10}, spec(1, "custom", credit=0)),
        {"type": "credit", "sub": 1, "events": 4},
        {"type": "credit", "sub": 1, "events": 6},
    )
    check_whole((await wire.closed(1)).events, 10)
    await wire.send({"type": "credit", "sub": 1, "events": 6})
    await wire.settled()


@case("credit/more than there are numbers", "6: credit")
async def more_than_there_are_numbers(kit: Kit) -> None:
    """Credit may be granted beyond what any counter holds exactly."""
    wire = await kit.connect()
    most = 2**53 - 1
    grants = [{"type": "credit", "sub": 1, "events": most}] * 3
    await wire.send(run("counter", {"count": 5}, spec(1, "custom", credit=most)), *grants)
    check_whole((await wire.closed(1)).events, 5)


@case("credit/one stalled panel", "6: one slow panel holds up no other on the same socket")
async def one_stalled_panel(kit: Kit) -> None:
    """The second subscription of one connection gets everything while the first gets nothing."""
    wire = await kit.connect()
    id = kit.name()
    stalled, free = spec(1, "custom", credit=0), spec(2, "custom")
    await wire.send(run("counter", {"count": 300}, stalled, free, run=id))
    check_whole((await wire.closed(2)).events, 300)
    check(_paid(wire, 1) == 0, "6: credit", "nothing on the stalled one", f"{_paid(wire, 1)} events")
    await wire.send({"type": "credit", "sub": 1, "events": 300})
    check_whole((await wire.closed(1)).events, 300)


@case("reader/slow", "6: a run never waits for a viewer")
async def slow(kit: Kit) -> None:
    """A connection that takes nothing until the run has ended still gets all of it."""
    count = min(3000, _kept(kit))
    idle, busy = await kit.connect(max_queue=1), await kit.connect()
    id = kit.name()
    await idle.send(run("counter", {"count": count}, spec(1, "custom"), run=id))
    await idle.reply(101)
    await _ended(busy, id, 1)
    check_whole((await idle.closed(1)).events, count)


@case("reader/stalled beside others", "6: a viewer never holds up another")
async def stalled_beside_others(kit: Kit) -> None:
    """While one connection takes nothing, others of the same run are served."""
    count = min(1000, _kept(kit))
    idle, busy = await kit.connect(max_queue=1), await kit.connect()
    id = kit.name()
    specs = [spec(sub, "custom") for sub in range(1, 9)]
    await idle.send(run("counter", {"count": count}, *specs, run=id))
    await idle.reply(101)
    await busy.send(subscribe(id, spec(1, "custom")))
    check_whole((await busy.closed(1)).events, count)
    await idle.closed(*range(1, 9))
    for sub in range(1, 9):
        check_whole(idle.follows[sub].events, count)


def _kept(kit: Kit) -> int:
    """Return how many events a log keeps for sure."""
    limit = kit.limits.get("log_events")
    return limit - 10 if isinstance(limit, int) else 10_000


@case("reader/replies overtake a flood", "2: replies overtake queued events")
async def replies_overtake(kit: Kit) -> None:
    """The answer to a ping comes before what is left of a flood, not behind it."""
    wire = await kit.connect(max_queue=1)
    raw: sockets.socket = wire.socket.transport.get_extra_info("socket")
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 32 << 10)
    size, subs = 4000, range(2, 14)
    id = kit.name()
    text = "x" * size
    await wire.send(run("echo", {"value": [text] * 20}, run=id, record={"modes": ["custom", "values"]}))
    await wire.reply(101)
    await _ended(wire, id, 1)
    for round in range(4):
        await wire.send(
            *(subscribe(id, spec(100 * round + sub, "custom", "values", credit=0)) for sub in subs)
        )
    await wire.settled()
    floods = [100 * round + sub for round in range(4) for sub in subs]
    await wire.send(*({"type": "credit", "sub": sub, "events": 10} for sub in floods))
    await wire.until(lambda frame: frame["type"] == "event" and frame["mode"] == "custom")
    await wire.settled()
    done = sum(wire.follows[sub].closed is not None for sub in floods)
    check(
        done < len(floods) * 3 // 4, "2: replies overtake", "the pong before the flood's end", f"{done} done"
    )
    await wire.closed(*floods)


@case("subs/many in one flight", "6: fair turns")
async def many_in_one_flight(kit: Kit) -> None:
    """As many subscriptions as are allowed, at most 200, all whole."""
    count = min(200, kit.limits.get("max_subscriptions", 200), kit.limits.get("request_burst", 200) - 20)
    wire = await kit.connect()
    id = kit.name()
    started = await wire.ask(run("counter", {"count": 20}, run=id, record={"modes": ["custom"]}))
    check(started["created"] is True, "2: started", "created true", started)
    await wire.send(*(subscribe(id, spec(sub, "custom")) for sub in range(count)))
    await wire.closed(*range(count))
    for sub in range(count):
        check_whole(wire.follows[sub].events, 20)


@case("subs/left and taken anew in one flight", "4.6: in one flight, from the cursor")
async def left_and_taken_anew(kit: Kit) -> None:
    """A filter is changed in the middle of a run: nothing between is lost or comes twice."""
    wire = await kit.connect()
    id = kit.name()
    started = await wire.ask(
        run("counter", {"count": 60, "burst": 1, "pause_s": 0.002}, spec(1, "custom"), run=id)
    )
    taken: list[Frame] = []
    for _ in range(5):
        while 1 not in wire.follows or (len(wire.follows[1].events) < 6 and not wire.follows[1].closed):
            await wire.next()
        if wire.follows[1].closed:
            break
        taken += wire.follows[1].events
        cursor = {"epoch": started["epoch"], "seq": taken[-1]["seq"]}
        left, again = await wire.send(
            {"type": "unsubscribe", "sub": 1}, subscribe(id, spec(1, "custom", from_=cursor))
        )
        answers = [await wire.reply(left), await wire.reply(again)]
        if answers[0]["type"] == "ok":
            check(answers[1].get("after") == cursor["seq"], "5", f"after {cursor['seq']}", answers[1])
    check_whole(taken + (await wire.closed(1)).events, 60)


@case("subs/two of one run are one log", "3: seq is the same for every client and connection")
async def one_log(kit: Kit) -> None:
    """Two connections see the same places with the same events."""
    one, two = await kit.connect(), await kit.connect()
    id = kit.name()
    await one.send(run("talk", {"words": 4}, spec(1, "messages", "updates"), run=id))
    await one.reply(101)
    await two.send(subscribe(id, spec(5, "updates", "messages")))
    first, second = await asyncio.gather(one.closed(1), two.closed(5))
    views = [
        [(event["seq"], event["mode"], event["data"]) for event in view.events] for view in (first, second)
    ]
    check(views[0] == views[1], "3", "equal logs", f"{views}")
