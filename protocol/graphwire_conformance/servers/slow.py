"""Cases that take seconds, for what a server does after a while: marks, and idle connections."""

import asyncio
import contextlib
import socket as sockets

from websockets.exceptions import ConnectionClosed

from graphwire_conformance.servers.cases import Cases, run, spec, subscribe
from graphwire_conformance.servers.resumption import check_whole
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import Skipped, Violation, check

CASES = Cases()

_MARK_S = 5
_LONGEST_S = 15


def _within(server: ServerUnderTest, limit: str) -> float:
    """Return the seconds of a limit. Raises ``Skipped`` if they are too many."""
    seconds = server.limits.get(limit)
    if not isinstance(seconds, int | float) or seconds > _LONGEST_S:
        raise Skipped(f"{limit} {seconds} is long")
    if not server.tries_slow:
        raise Skipped("it takes seconds: give --slow")
    return float(seconds)


@CASES.add("slow/mark", "5: a mark at least every 5 s if the log has advanced")
async def mark(server: ServerUnderTest) -> None:
    """A filter that nothing passes still hears how far the log is, and resumes from there."""
    if not server.tries_slow:
        raise Skipped("it takes seconds: give --slow")
    conn = await server.connect()
    id = server.new_id()
    started = await conn.ask(
        run("slow", {}, spec(1, "updates"), run=id, record={"modes": ["custom", "updates"]})
    )
    frame = await conn.until(lambda frame: frame["type"] == "mark", _MARK_S + 2)
    check((frame["sub"], frame["seq"]) == (1, 2), "5: mark", "sub 1 at seq 2", frame)
    await conn.send(
        subscribe(id, spec(2, "custom", from_={"epoch": started["epoch"], "seq": 2})),
        {"type": "cancel", "run": id},
    )
    attachment = await conn.closed(2)
    check(len(attachment.events) == 1, "5: resume behind a mark", "the end alone", f"{attachment.events}")


@CASES.add("slow/no hello", "1: hello within hello_timeout_s, else close 4408")
async def no_hello(server: ServerUnderTest) -> None:
    """A client that connects and sends nothing."""
    seconds = _within(server, "hello_timeout_s")
    conn = await server.connect(greet=False)
    try:
        await asyncio.wait_for(conn.socket.wait_closed(), seconds + 3)
    except (TimeoutError, asyncio.TimeoutError):
        raise Violation("1: hello", f"a close within {seconds:g} s", "none") from None
    check(conn.socket.close_code == 4408, "9: close codes", "close 4408", f"{conn.socket.close_code}")


@CASES.add(
    "slow/a connection that takes nothing", "6: aborted after send_timeout_s; runs and cursors live on"
)
async def takes_nothing(server: ServerUnderTest) -> None:
    """The server drops a connection that reads nothing; its run is complete all the same."""
    seconds = _within(server, "send_timeout_s")
    conn = await server.connect(max_queue=1)
    raw: sockets.socket = conn.socket.transport.get_extra_info("socket")
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 16 << 10)
    flood, id = server.new_id(), server.new_id()
    specs = [spec(sub, "custom") for sub in range(2, 40)]
    await conn.send(run("counter", {"count": 30}, spec(1, "custom"), run=id))
    await conn.closed(1)
    await conn.send(run("echo", {"value": ["x" * 4000] * 30}, *specs, run=flood))
    conn.socket.transport.pause_reading()
    # This side cannot see the close while it reads nothing, so it waits as long as the server does.
    await asyncio.sleep(seconds * 1.5 + 0.5)
    conn.socket.transport.resume_reading()
    with contextlib.suppress(ConnectionClosed):
        while not all(sub in conn.attachments and conn.attachments[sub].closed for sub in range(2, 40)):
            await conn.next()
        raise Violation(
            "6: send_timeout_s", f"a connection that is aborted after {seconds:g} s", "all was delivered"
        )
    conn = await server.connect()
    await conn.send(subscribe(id, spec(1, "custom")), subscribe(flood, spec(2, "custom")))
    await conn.closed(1, 2)
    check_whole(conn.attachments[1].events, 30)
    check(conn.attachments[2].terminal is not None, "6: runs live on", "the end of the flood", "none")
