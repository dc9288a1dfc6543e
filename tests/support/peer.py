"""A client that speaks in frames: it sends dicts, keeps what comes, and waits for a frame with a deadline."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import orjson

from tests.support.waiting import DEADLINE_S, poll
from tests.support.wire import BINARY, Gone, Wire, packed

Frame = dict[str, Any]

ALL_MODES = ["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"]
EVERYTHING = {"modes": ALL_MODES, "namespaces": [["**"]]}


class Peer:
    """One connection. ``frames`` holds every frame that was read, ``messages`` the raw messages."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.frames: list[Frame] = []
        self.messages: list[bytes] = []
        self._id = 1000
        self._unread: list[Frame] = []
        self._of: defaultdict[int, list[Frame]] = defaultdict(list)

    async def send(self, *frames: Frame) -> None:
        """Send frames, one message each."""
        for frame in frames:
            self.wire.send(orjson.dumps(frame))
            await self.wire.drain()

    async def text(self, message: str | bytes) -> None:
        """Send a message as it is: text, or binary for bytes."""
        self.wire.raw(packed(message.encode()) if isinstance(message, str) else packed(message, BINARY))
        await self.wire.drain()

    async def next(self, deadline_s: float = DEADLINE_S) -> Frame:
        """Return the next frame."""
        if not self._unread:
            data = await asyncio.wait_for(self.wire.recv(), deadline_s)
            self.messages.append(data)
            parsed = orjson.loads(data)
            self._unread = parsed[::-1] if isinstance(parsed, list) else [parsed]
        frame = self._unread.pop()
        self.frames.append(frame)
        if "sub" in frame:
            self._of[frame["sub"]].append(frame)
        return frame

    async def until(
        self, wanted: Callable[[Frame], Any], deadline_s: float = DEADLINE_S, since: int = 0
    ) -> Frame:
        """Return the first frame, of those read (from number ``since`` on) and those to come, that is
        ``wanted``.
        """
        for frame in self.frames[since:]:
            if wanted(frame):
                return frame
        end = asyncio.get_running_loop().time() + deadline_s
        while True:
            frame = await self.next(max(0.01, end - asyncio.get_running_loop().time()))
            if wanted(frame):
                return frame

    async def answer(self, id: int) -> Frame:
        """Return the reply to request ``id``; of a ``run`` its ``started``."""
        return await self.until(lambda frame: frame.get("id") == id)

    async def ask(self, **command: Any) -> Frame:
        """Send a request and return its reply."""
        self._id += 1
        command.setdefault("id", self._id)
        since = len(self.frames)
        await self.send(command)
        return await self.until(lambda frame: frame.get("id") == command["id"], since=since)

    async def poll(self, wanted: Callable[[Frame], Any], **command: Any) -> Frame:
        """Send a request until its reply is ``wanted``; return that."""
        return (await poll(lambda: self.ask(**command), wanted))[-1]

    async def run(self, graph: str, input: Any = None, *specs: Frame, **fields: Any) -> Frame:
        """Start a run with subscriptions and return ``started``."""
        if input is not None:
            fields["input"] = input
        return await self.ask(type="run", graph=graph, subscribe=list(specs), **fields)

    async def closed(self, sub: int) -> list[Frame]:
        """Read until ``sub`` is closed; return all its frames."""
        if all(frame["type"] != "closed" for frame in reversed(self._of[sub])):
            since = len(self.frames)
            await self.until(lambda frame: frame["type"] == "closed" and frame["sub"] == sub, since=since)
        return self.of(sub)

    def of(self, sub: int) -> list[Frame]:
        """Return the frames of a subscription that were read so far."""
        return list(self._of[sub])

    def events(self, sub: int) -> list[Frame]:
        """Return the events of a subscription that were read so far."""
        return [frame for frame in self._of[sub] if frame["type"] == "event"]

    def forget(self) -> None:
        """Keep none of the frames that were read so far."""
        self.frames.clear()
        self._of.clear()

    async def gone(self, deadline_s: float = DEADLINE_S) -> int:
        """Read until the server has closed the connection; return the close code (1006: none)."""
        try:
            while True:
                await self.next(deadline_s)
        except Gone as gone:
            return gone.code

    async def settled(self) -> None:
        """Wait until the server has answered everything that was sent before."""
        self._id += 1
        token = f"settled-{self._id}"
        await self.send({"type": "ping", "t": token})
        await self.until(lambda frame: frame["type"] == "pong" and frame["t"] == token)


def spec(sub: int, *modes: str, **fields: Any) -> Frame:
    """Return a spec: ``sub``, its modes, filter fields, and ``from_``, ``credit``, ``values``."""
    outer = {name: fields.pop(name) for name in ("credit", "values") if name in fields}
    if "from_" in fields:
        outer["from"] = fields.pop("from_")
    return {"sub": sub, "filter": {"modes": list(modes), **fields}, **outer}


def everything(sub: int, **fields: Any) -> Frame:
    """Return a spec that lets every event in."""
    return spec(sub, *ALL_MODES, namespaces=[["**"]], **fields)
