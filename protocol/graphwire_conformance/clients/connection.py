"""One connection of the client under test, as a script of its case sees it.

The script asks for the client's requests and sends frames. Pings, credit, ``unsubscribe`` and ``result`` are
dealt with by ``read``, which runs beside the script for as long as the connection lasts.
"""

import asyncio
import contextlib
import json
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame as WebSocketFrame
from websockets.frames import Opcode

from graphwire_conformance.protocol import FREE_MODES, Frame, call_of
from graphwire_conformance.verdict import Violation, check

LIMITS = {
    "max_frame_bytes": 1 << 20,
    "max_event_bytes": 4 << 20,
    "max_subscriptions": 1024,
    "max_open_requests": 1024,
    "log_events": 10_000,
}
"""What a stage announces in ``welcome``."""


class Case(Protocol):
    """What a connection reads of its stage and sets there."""

    task: Frame
    log: list[Frame]
    head: int | None
    """The ``head`` to announce; None is the end of the log."""
    epoch: str
    patience_s: float
    is_started: bool
    """Whether the run has been started, on whichever connection."""


class AttachRequest:
    """A request of the client that attaches to the log: a ``run`` or a ``subscribe``."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.is_start = frame["type"] == "run"
        self.spec: Frame = frame["subscribe"][0] if self.is_start else frame
        self.sub: int = self.spec["sub"]
        start = self.spec.get("from", "start")
        self.epoch: str | None = start["epoch"] if isinstance(start, dict) else None
        self.seq: int = start["seq"] if isinstance(start, dict) else 0


class ScriptedConnection:
    """One connection of the client.

    ``requests`` holds what the client sent and the script has not taken yet. ``attach_request`` is the latest
    request by which the client attached, and ``credit`` what is left of its credit: None if it sent none.
    """

    def __init__(self, socket: ServerConnection, stage: Case) -> None:
        self.socket = socket
        self.stage = stage
        self.is_gone = asyncio.Event()
        self.credit: int | None = None
        self.highest_credit = 0
        self.requests: asyncio.Queue[Frame] = asyncio.Queue()
        self.attach_request: AttachRequest | None = None
        self.has_unsubscribed = False
        """Whether the client has unsubscribed since it attached."""
        self._n = 0
        self._seen_calls: set[str] = set()
        self._credited = asyncio.Event()

    async def read(self) -> None:
        """Read what the client sends until it is gone."""
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                frame = json.loads(message)
                match frame["type"]:
                    case "credit":
                        if self.credit is not None:
                            self.credit += frame["events"]
                            self.highest_credit = max(self.highest_credit, self.credit)
                        self._credited.set()
                    case "ping":
                        await self.send({"type": "pong", "t": frame.get("t")})
                    case "unsubscribe":
                        self.has_unsubscribed = True
                        await self.send({"type": "ok", "id": frame["id"]})
                    case "result":
                        status = self.stage.log[-1]["data"]["status"]
                        await self.send({"type": "ok", "id": frame["id"], "status": status, "output": {}})
                    case _:
                        self.requests.put_nowait(frame)
        self.is_gone.set()

    # ── requests ─────────────────────────────────────────────────────────────────────────────────

    async def expect(self, *types: str) -> Frame:
        """Return the client's next request, which has to be of one of these types."""
        try:
            frame = await asyncio.wait_for(self.requests.get(), self.stage.patience_s)
        except (TimeoutError, asyncio.TimeoutError):
            raise Violation("2", f"{' or '.join(types)} from the client", "nothing") from None
        check(frame["type"] in types, "2", " or ".join(types), frame)
        return frame

    async def welcome(self, **fields: Any) -> None:
        """Answer the client's ``hello``; ``fields`` change the ``welcome``."""
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

    async def attach(self) -> AttachRequest:
        """Return the request by which the client attaches, checked against its task and not yet answered."""
        task = self.stage.task
        frame = await self.expect("run", "subscribe")
        check(frame.get("run") == task["run"], "2: the run of the task", task["run"], frame)
        if frame["type"] == "run":
            check(frame["graph"] == task["graph"], "2: run", f"graph {task['graph']}", frame)
            check(frame.get("input") == task["input"], "2: run", f"input {task['input']}", frame)
            if not frame.get("subscribe"):  # a client may start the run first and subscribe to it next
                await self.send(self.started(frame["id"]))
                return await self.attach()
        self.attach_request = request = AttachRequest(frame)
        self.has_unsubscribed = False
        namespaces: Frame = {"namespaces": [[]]}
        filter = {**namespaces, **request.spec["filter"]}
        check(filter == {**namespaces, **task["filter"]}, "4: filter", f"{task['filter']}", filter)
        self.credit = request.spec.get("credit")
        self.highest_credit = self.credit or 0
        self._n = 0
        self._seen_calls.clear()
        return request

    def started(self, id: int) -> Frame:
        """Return ``started``, with ``created`` true for the first one of the case."""
        is_new, self.stage.is_started = not self.stage.is_started, True
        fields = {"run": self.stage.task["run"], "epoch": self.stage.epoch, "created": is_new}
        return {"type": "started", "id": id, **fields, "status": "running"}

    def attach_replies(self, recovery: str = "replayed", after: int | None = None) -> list[Frame]:
        """Return the replies to the request that attaches. ``after`` is the client's cursor by default."""
        request, log = self.attach_request, self.stage.log
        assert request is not None
        position = (
            {} if recovery in ("gap", "snapshot") else {"after": request.seq if after is None else after}
        )
        subscribed = {
            "type": "subscribed",
            "id": request.frame["id"],
            "sub": request.sub,
            "run": self.stage.task["run"],
            "epoch": self.stage.epoch,
            "head": len(log) if self.stage.head is None else self.stage.head,
            "recovery": recovery,
            "filter": request.spec["filter"],
            **position,
        }
        return [*([self.started(request.frame["id"])] if request.is_start else []), subscribed]

    async def begin(self, recovery: str = "replayed", after: int | None = None) -> AttachRequest:
        """Wait until the client attaches, and answer it."""
        request = await self.attach()
        await self.send(*self.attach_replies(recovery, after))
        return request

    # ── what is sent ─────────────────────────────────────────────────────────────────────────────

    async def send(self, *frames: Frame, as_batch: bool = False) -> None:
        """Send frames, one in each message, or all of them in one."""
        with contextlib.suppress(ConnectionClosed):
            for message in [list(frames)] if as_batch else frames:
                await self.socket.send(json.dumps(message))

    @property
    def sub(self) -> int:
        """The number of the subscription."""
        assert self.attach_request is not None
        return self.attach_request.sub

    def event(self, seq: int, **fields: Any) -> Frame:
        """Return the log's event ``seq`` as the next event of the subscription."""
        body = dict(self.stage.log[seq - 1])
        self._n += 1
        if body["mode"] == "messages":
            call = call_of(body["data"])
            if call in self._seen_calls:
                body.pop("meta", None)
            self._seen_calls.add(call)
        return {"type": "event", "sub": self.sub, "n": self._n, "seq": seq, **body, **fields}

    async def spend_credit(self, mode: str) -> None:
        """Spend the credit of one event of ``mode``; wait until there is some."""
        if self.credit is None or mode in FREE_MODES:
            return
        while self.credit < 1:
            self._credited.clear()
            try:
                await asyncio.wait_for(self._credited.wait(), self.stage.patience_s)
            except (TimeoutError, asyncio.TimeoutError):
                expected = "credit for what the application took"
                raise Violation("6: credit", expected, f"none at event {self._n}") from None
        self.credit -= 1

    async def send_log(self, first: int, last: int, batch: int = 1) -> None:
        """Send the log's events ``first`` to ``last``, at most ``batch`` in a message, as credit allows."""
        group: list[Frame] = []
        for seq in range(first, last + 1):
            mode = self.stage.log[seq - 1]["mode"]
            if group and (len(group) >= batch or (self.credit == 0 and mode not in FREE_MODES)):
                await self.send(*group, as_batch=len(group) > 1)
                group = []
            await self.spend_credit(mode)
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
        """Send the log from ``first`` on and close the subscription."""
        await self.send_log(first, len(self.stage.log), batch)
        if synced:
            await self.send({"type": "synced", "sub": self.sub, "seq": len(self.stage.log)})
        await self.send(self.closing())

    def gap(self, after: int, upto: int, reason: str, **snapshot: Any) -> list[Frame]:
        """Return a gap and its snapshot."""
        self._seen_calls.clear()
        gap = {"type": "gap", "sub": self.sub, "after_seq": after, "upto_seq": upto, "reason": reason}
        state = {"status": "running", "messages": [], "interrupts": [], **snapshot}
        return [{**gap, "lost": ["custom"]}, {"type": "snapshot", "sub": self.sub, "seq": upto, **state}]

    # ── how it ends ──────────────────────────────────────────────────────────────────────────────

    async def cut(self) -> None:
        """Drop the connection without a close frame, behind what was sent."""
        self.socket.transport.close()
        await self.is_gone.wait()

    async def close(self, code: int) -> None:
        """Close the connection with a code."""
        await self.socket.close(code, "as the script says")
        await self.is_gone.wait()

    async def send_split(self, frame: Frame, size: int) -> None:
        """Send one frame in packets of ``size`` bytes."""
        raw = WebSocketFrame(Opcode.TEXT, json.dumps(frame).encode()).serialize(mask=False)
        for start in range(0, len(raw), size):
            self.socket.transport.write(raw[start : start + size])
            await asyncio.sleep(0)
