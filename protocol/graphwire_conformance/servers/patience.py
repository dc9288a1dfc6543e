"""Cases that take seconds, for what a server does after a while: marks, and connections that do nothing."""

import asyncio
import contextlib
import socket as sockets

from websockets.exceptions import ConnectionClosed

from graphwire_conformance.servers.cases import Kit, case, run, spec, subscribe
from graphwire_conformance.servers.resumption import check_whole
from graphwire_conformance.verdict import Fault, LeftOut, check

_MARK_S = 5
_LONGEST_S = 15


def _within(kit: Kit, limit: str) -> float:
    """Return the seconds of a limit. Raises ``LeftOut`` where they are not to be waited for."""
    seconds = kit.limits.get(limit)
    if not isinstance(seconds, int | float) or seconds > _LONGEST_S:
        raise LeftOut(f"{limit} {seconds} is long")
    if not kit.is_patient:
        raise LeftOut("it takes seconds: give --slow")
    return float(seconds)


@case("slow/mark", "5: a mark at least every 5 s if the log has advanced")
async def mark(kit: Kit) -> None:
    """A filter that nothing passes still hears how far the log is, and resumes from there."""
    if not kit.is_patient:
        raise LeftOut("it takes seconds: give --slow")
    wire = await kit.connect()
    id = kit.name()
    started = await wire.ask(
        run("slow", {}, spec(1, "updates"), run=id, record={"modes": ["custom", "updates"]})
    )
    frame = await wire.until(lambda frame: frame["type"] == "mark", _MARK_S + 2)
    check((frame["sub"], frame["seq"]) == (1, 2), "5: mark", "sub 1 at seq 2", frame)
    await wire.send(
        subscribe(id, spec(2, "custom", from_={"epoch": started["epoch"], "seq": 2})),
        {"type": "cancel", "run": id},
    )
    follow = await wire.closed(2)
    check(len(follow.events) == 1, "5: resume behind a mark", "the end alone", f"{follow.events}")


@case("slow/no hello", "1: hello within hello_timeout_s, else close 4408")
async def no_hello(kit: Kit) -> None:
    """Somebody who connects and says nothing."""
    seconds = _within(kit, "hello_timeout_s")
    wire = await kit.connect(greet=False)
    try:
        await asyncio.wait_for(wire.socket.wait_closed(), seconds + 3)
    except (TimeoutError, asyncio.TimeoutError):
        raise Fault("1: hello", f"a close within {seconds:g} s", "none") from None
    check(wire.socket.close_code == 4408, "9: close codes", "close 4408", f"{wire.socket.close_code}")


@case("slow/a connection that takes nothing", "6: aborted after send_timeout_s; runs and cursors live on")
async def takes_nothing(kit: Kit) -> None:
    """The server lets go of a connection that stands still; its run is whole all the same."""
    seconds = _within(kit, "send_timeout_s")
    wire = await kit.connect(max_queue=1)
    raw: sockets.socket = wire.socket.transport.get_extra_info("socket")
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 << 10)
    flood, id = kit.name(), kit.name()
    specs = [spec(sub, "custom") for sub in range(2, 40)]
    await wire.send(run("counter", {"count": 30}, spec(1, "custom"), run=id))
    await wire.closed(1)
    await wire.send(run("echo", {"value": ["x" * 4000] * 30}, *specs, run=flood))
    wire.socket.transport.pause_reading()
    # Nothing can be seen from this side while it takes nothing: it has to wait as long as the server does.
    await asyncio.sleep(seconds * 1.5 + 0.5)
    wire.socket.transport.resume_reading()
    with contextlib.suppress(ConnectionClosed):
        while not all(sub in wire.follows and wire.follows[sub].closed for sub in range(2, 40)):
            await wire.next()
        raise Fault(
            "6: send_timeout_s", f"a connection that is aborted after {seconds:g} s", "all was delivered"
        )
    wire = await kit.connect()
    await wire.send(subscribe(id, spec(1, "custom")), subscribe(flood, spec(2, "custom")))
    await wire.closed(1, 2)
    check_whole(wire.follows[1].events, 30)
    check(wire.follows[2].terminal is not None, "6: runs live on", "the end of the flood", "none")
