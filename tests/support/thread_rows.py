"""What tests of threads ask a server for: rows, names, watches."""

from typing import Any

from graphwire_gateway.runs.clock import now

from tests.support.peer import Frame, Peer, everything
from tests.support.waiting import until


async def threads(peer: Peer, **fields: Any) -> list[Frame]:
    return list((await peer.ask(type="list", what="threads", **fields))["threads"])


async def names(peer: Peer, **fields: Any) -> list[str]:
    return [row["thread"] for row in await threads(peer, **fields)]


async def update(peer: Peer, thread: str, graph: str = "steps", **metadata: Any) -> Frame:
    return await peer.ask(type="thread_update", graph=graph, thread=thread, metadata=metadata)


async def named(peer: Peer, thread: str, graph: str = "steps", **metadata: Any) -> Frame:
    reply = await update(peer, thread, graph, **metadata)
    assert reply["type"] == "ok", reply
    await _next_millisecond()
    row: Frame = reply["thread"]
    return row


async def finished(peer: Peer, run: str, thread: str, graph: str = "steps", sub: int = 900) -> None:
    await peer.run(graph, {"topic": "x"}, everything(sub), run=run, thread=thread)
    await peer.closed(sub)
    await _next_millisecond()


async def _next_millisecond() -> None:
    """Wait until what happens is later than what has happened: rows of one millisecond have no order."""
    begin = now()
    await until(lambda: now() != begin)


async def watching(peer: Peer, sub: int, **fields: Any) -> list[Frame]:
    reply = await peer.ask(type="watch", sub=sub, what="threads", **fields)
    assert reply["type"] == "subscribed", reply
    await peer.until(lambda frame: frame.get("sub") == sub and frame["type"] == "synced")
    return [frame for frame in peer.of(sub) if frame["type"] == "thread_info"]


async def told(peer: Peer, sub: int, thread: str, **fields: Any) -> Frame:
    """Wait for the frame of a watch that says so of the thread."""

    def says_so(frame: Frame) -> bool:
        has_all = all(frame.get(name) == value for name, value in fields.items())
        return frame.get("sub") == sub and frame.get("thread") == thread and has_all

    for frame in peer.of(sub):
        if says_so(frame):
            return frame
    return await peer.until(says_so)


def brief(frames: list[Frame]) -> list[tuple[str, Any, Any]]:
    return [(frame["thread"], frame.get("run"), frame["status"]) for frame in frames]
