"""The scripted server: connections of the client under test as they come, and what each is told.

It is no server of graphs. It has one log, tells as much of it as a script says, and keeps account of the
credit that it was given.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as WireFrame
from websockets.frames import Opcode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from graphwire_conformance.servers.attachment import FREE, Frame
from graphwire_conformance.verdict import Fault, check

PATIENCE_S = 8.0
"""What a script waits for its client."""

START_S = 30.0
"""What it waits for the first connection: a command may take its time to begin."""

LIMITS = {
    "max_frame_bytes": 1 << 20,
    "max_event_bytes": 4 << 20,
    "max_subscriptions": 1024,
    "max_open_requests": 1024,
    "log_events": 10_000,
}
_AT = "2026-01-01T00:00:00.000Z"


def life(status: str, **fields: Any) -> Frame:
    """Return a lifecycle event of a log."""
    return {"mode": "lifecycle", "data": {"status": status, "attempt": 1, "at": _AT, **fields}}


def counted(count: int) -> list[Frame]:
    """Return the log of a run that counts."""
    events = [{"mode": "custom", "data": {"i": number}} for number in range(count)]
    return [life("running"), *events, life("completed")]


class Attached:
    """A request of the client that attaches to the log: a ``run`` or a ``subscribe``."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.is_start = frame["type"] == "run"
        self.spec: Frame = frame["subscribe"][0] if self.is_start else frame
        self.sub: int = self.spec["sub"]
        wish = self.spec.get("from", "start")
        self.epoch: str | None = wish["epoch"] if isinstance(wish, dict) else None
        self.seq: int = wish["seq"] if isinstance(wish, dict) else 0


class Link:
    """One connection of the client. Pings, credit, ``unsubscribe`` and ``result`` are seen to by itself."""

    def __init__(self, socket: ServerConnection, stage: "Stage") -> None:
        self.socket = socket
        self.stage = stage
        self.over = asyncio.Event()
        self.credit: int | None = None
        self.most_credit = 0
        self.asked: asyncio.Queue[Frame] = asyncio.Queue()
        self.attached: Attached | None = None
        self.has_left = False
        """Whether the client has unsubscribed since it attached."""
        self._n = 0
        self._told: set[str] = set()
        self._credited = asyncio.Event()

    async def read(self) -> None:
        """Take in what the client says, until it is gone."""
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                frame = json.loads(message)
                match frame["type"]:
                    case "credit":
                        if self.credit is not None:
                            self.credit += frame["events"]
                            self.most_credit = max(self.most_credit, self.credit)
                        self._credited.set()
                    case "ping":
                        await self.send({"type": "pong", "t": frame.get("t")})
                    case "unsubscribe":
                        self.has_left = True
                        await self.send({"type": "ok", "id": frame["id"]})
                    case "result":
                        status = self.stage.log[-1]["data"]["status"]
                        await self.send({"type": "ok", "id": frame["id"], "status": status, "output": {}})
                    case _:
                        self.asked.put_nowait(frame)
        self.over.set()

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def expect(self, *kinds: str) -> Frame:
        """Return the next request."""
        try:
            frame = await asyncio.wait_for(self.asked.get(), PATIENCE_S)
        except (TimeoutError, asyncio.TimeoutError):
            raise Fault("2", f"{' or '.join(kinds)} from the client", "nothing") from None
        check(frame["type"] in kinds, "2", " or ".join(kinds), frame)
        return frame

    async def welcome(self, **fields: Any) -> None:
        """Answer the client's ``hello``."""
        hello = await self.expect("hello")
        await self.send(
            {
                "type": "welcome",
                "id": hello["id"],
                "server": {"name": "stage", "version": "1"},
                "minor": 0,
                "features": [],
                "limits": LIMITS,
                "principal": "somebody",
                "durability": "none",
                **fields,
            }
        )

    async def attach(self) -> Attached:
        """Return the request by which the client attaches; it is not answered yet."""
        task = self.stage.task
        frame = await self.expect("run", "subscribe")
        check(frame.get("run") == task["run"], "2: the run of the task", task["run"], frame)
        if frame["type"] == "run":
            check(frame["graph"] == task["graph"], "2: run", f"graph {task['graph']}", frame)
            check(frame.get("input") == task["input"], "2: run", f"input {task['input']}", frame)
            if not frame.get("subscribe"):  # a client may start first and subscribe then
                await self.send(self.started(frame["id"]))
                return await self.attach()
        self.attached = attached = Attached(frame)
        self.has_left = False
        namespaces: Frame = {"namespaces": [[]]}
        filter = {**namespaces, **attached.spec["filter"]}
        check(filter == {**namespaces, **task["filter"]}, "4: filter", f"{task['filter']}", filter)
        self.credit = attached.spec.get("credit")
        self.most_credit = self.credit or 0
        self._n = 0
        self._told.clear()
        return attached

    def started(self, id: int) -> Frame:
        """Return ``started``, true for the first time."""
        is_new, self.stage.is_started = not self.stage.is_started, True
        fields = {"run": self.stage.task["run"], "epoch": self.stage.epoch, "created": is_new}
        return {"type": "started", "id": id, **fields, "status": "running"}

    def replies(self, recovery: str = "replayed", after: int | None = None) -> list[Frame]:
        """Return the replies to what attaches."""
        attached = self.attached
        assert attached is not None
        at = attached.seq if after is None else after
        told = {} if recovery in ("gap", "snapshot") else {"after": at}
        subscribed = {
            "type": "subscribed",
            "id": attached.frame["id"],
            "sub": attached.sub,
            "run": self.stage.task["run"],
            "epoch": self.stage.epoch,
            "head": len(self.stage.log) if self.stage.head is None else self.stage.head,
            "recovery": recovery,
            "filter": attached.spec["filter"],
            **told,
        }
        first = [self.started(attached.frame["id"])] if attached.is_start else []
        return [*first, subscribed]

    async def begin(self, recovery: str = "replayed", after: int | None = None) -> Attached:
        """Let the client attach, and answer it."""
        attached = await self.attach()
        await self.send(*self.replies(recovery, after))
        return attached

    # ── what is told ─────────────────────────────────────────────────────────────────────────────

    async def send(self, *frames: Frame, as_batch: bool = False) -> None:
        """Send frames, one message each, or all in one."""
        with contextlib.suppress(ConnectionClosed):
            for message in [list(frames)] if as_batch else frames:
                await self.socket.send(json.dumps(message))

    @property
    def sub(self) -> int:
        """The number of the subscription."""
        assert self.attached is not None
        return self.attached.sub

    def event(self, seq: int, **fields: Any) -> Frame:
        """Return the next event of the subscription, the log's number ``seq``."""
        body = dict(self.stage.log[seq - 1])
        self._n += 1
        if body["mode"] == "messages":
            id = body["data"]["id"]
            if id in self._told:
                body.pop("meta", None)
            self._told.add(id)
        return {"type": "event", "sub": self.sub, "n": self._n, "seq": seq, **body, **fields}

    async def paid(self, mode: str) -> None:
        """Spend the credit of one event, when there is some."""
        if self.credit is None or mode in FREE:
            return
        while self.credit < 1:
            self._credited.clear()
            try:
                await asyncio.wait_for(self._credited.wait(), PATIENCE_S)
            except (TimeoutError, asyncio.TimeoutError):
                expected = "credit for what the application took"
                raise Fault("6: credit", expected, f"none at event {self._n}") from None
        self.credit -= 1

    async def tell(self, first: int, last: int, batch: int = 1) -> None:
        """Send the log's events from ``first`` to ``last``, so many in a message, as credit allows."""
        group: list[Frame] = []
        for seq in range(first, last + 1):
            mode = self.stage.log[seq - 1]["mode"]
            if group and (len(group) >= batch or (self.credit == 0 and mode not in FREE)):
                await self.send(*group, as_batch=len(group) > 1)
                group = []
            await self.paid(mode)
            group.append(self.event(seq))
        if group:
            await self.send(*group, as_batch=len(group) > 1)

    def closing(self) -> Frame:
        """Return ``closed`` at the log's end."""
        log = self.stage.log
        counts = {"delivered": self._n, "skipped": 0}
        end = {"seq": len(log), "status": log[-1]["data"]["status"]}
        return {"type": "closed", "sub": self.sub, "reason": "end", **end, **counts}

    async def finish(self, first: int, batch: int = 1, synced: bool = True) -> None:
        """Tell the rest of the log and close the subscription."""
        await self.tell(first, len(self.stage.log), batch)
        if synced:
            await self.send({"type": "synced", "sub": self.sub, "seq": len(self.stage.log)})
        await self.send(self.closing())

    def gap(self, after: int, upto: int, reason: str, **snapshot: Any) -> list[Frame]:
        """Return a gap and its snapshot."""
        self._told.clear()
        gap = {"type": "gap", "sub": self.sub, "after_seq": after, "upto_seq": upto, "reason": reason}
        state = {"status": "running", "messages": [], "interrupts": [], **snapshot}
        return [{**gap, "lost": ["custom"]}, {"type": "snapshot", "sub": self.sub, "seq": upto, **state}]

    # ── ways to go ───────────────────────────────────────────────────────────────────────────────

    async def cut(self) -> None:
        """Send what was said, and hang up without a word."""
        self.socket.transport.close()
        await self.over.wait()

    async def close(self, code: int) -> None:
        """Close with a code."""
        await self.socket.close(code, "as the script says")
        await self.over.wait()

    async def split(self, frame: Frame, piece: int) -> None:
        """Send one frame in pieces of so many bytes, each a packet of its own."""
        raw = WireFrame(Opcode.TEXT, json.dumps(frame).encode()).serialize(mask=False)
        for start in range(0, len(raw), piece):
            self.socket.transport.write(raw[start : start + piece])
            await asyncio.sleep(0)


class Stage:
    """One case: its task, its log, the connections that come, and what the client is to have shown."""

    def __init__(self, name: str) -> None:
        self.task: Frame = {
            "graph": "counting",
            "run": "run-1",
            "input": {"count": 4},
            "filter": {"modes": ["custom"]},
            "window": 16,
        }
        self.name = name
        self.log = counted(4)
        self.head: int | None = None  # None: the whole log is there
        self.epoch = "e1"
        self.is_started = False
        self.shown: list[Frame] | None = None  # None: the whole log
        self.end: str | None = None  # None: the log's last status
        self.refuse: list[Callable[[ServerConnection], Response | None]] = []
        self.links: list[Link] = []
        self._came: asyncio.Queue[Link] = asyncio.Queue()
        self._was_met = False
        self.url = ""

    def expected(self) -> list[Frame]:
        """Return the lines that the client is to print, its last one aside."""
        return lines(self.log) if self.shown is None else self.shown

    def expected_end(self) -> str:
        """Return what the client's last line is to say."""
        return self.end or str(self.log[-1]["data"]["status"])

    async def meet(self, greet: bool = True) -> Link:
        """Return the client's next connection."""
        patience_s = PATIENCE_S if self._was_met else START_S
        self._was_met = True
        try:
            link = await asyncio.wait_for(self._came.get(), patience_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise Fault("5: a client that was cut off comes back", "a connection", "none") from None
        if greet:
            await link.welcome()
        return link

    async def again(self, link: Link) -> Link:
        """Return where the client attaches anew: on this connection, or on another one."""
        asks = asyncio.ensure_future(link.asked.get())
        comes = asyncio.ensure_future(self._came.get())
        done, _ = await asyncio.wait({asks, comes}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        for task in {asks, comes} - done:
            task.cancel()
        check(done, "3: a hole in n", "the client subscribes anew from its cursor", "nothing")
        if asks in done:
            link.asked.put_nowait(asks.result())
            return link
        other = comes.result()
        await other.welcome()
        return other

    @property
    def is_left(self) -> bool:
        """Whether no connection waits to be met."""
        return self._came.empty()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Listen while the context lasts."""

        async def live(socket: ServerConnection) -> None:
            link = Link(socket, self)
            self.links.append(link)
            self._came.put_nowait(link)
            await link.read()

        def shake(connection: ServerConnection, request: Request) -> Response | None:
            return self.refuse.pop(0)(connection) if self.refuse else None

        async with serve(
            live,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol("graphwire.v1.json")],
            process_request=shake,
            compression=None,
            max_size=None,
            ping_interval=None,
            close_timeout=1,
        ) as server:
            self.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ws"
            try:
                yield
            finally:
                for link in self.links:
                    link.socket.transport.abort()


def hang_up(connection: ServerConnection) -> Response | None:
    """Refuse a handshake by hanging up."""
    connection.transport.abort()
    return None


def unavailable(connection: ServerConnection) -> Response | None:
    """Refuse a handshake with 503."""
    return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "not now\n")


def lines(log: Sequence[Frame], first: int = 1) -> list[Frame]:
    """Return what a client prints of these events of a log, the first of which has the number ``first``."""
    return [
        {"seq": seq, "mode": event["mode"], "data": _shown(event)} for seq, event in enumerate(log, first)
    ]


def _shown(event: Frame) -> Any:
    data = event["data"]
    if event["mode"] == "lifecycle":
        return {"status": data["status"]}
    if event["mode"] == "interrupt":
        return {"interrupts": [{"id": item["id"], "value": item["value"]} for item in data["interrupts"]]}
    if event["mode"] == "messages":
        part = data.get("delta") or data.get("message")
        return {"id": data["id"], "content": part["content"], "node": event["meta"]["langgraph_node"]}
    return data


Script = Callable[[Stage], Awaitable[None]]
