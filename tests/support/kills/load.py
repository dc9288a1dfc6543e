"""Clients of a server that is killed: what each run showed them, and what they were promised.

Each run has a reader, which comes back behind its cursor after every kill. ``check`` compares what it saw
with the log as it is at the end.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Any

from tests.support.kills.graphs import TICKS
from tests.support.peer import Frame, Peer, everything
from tests.support.waiting import until
from tests.support.wire import Gone, Wire

_AGAIN_S = 0.02  # between two attempts to connect

_LONG_S = 600.0

ENDS = ("completed", "failed", "cancelled")


class Seen:
    """One run as its clients saw it."""

    def __init__(self, id: str, graph: str, thread: str | None) -> None:
        self.id = id
        self.graph = graph
        self.thread = thread
        self.epoch: str | None = None
        self.events: list[Frame] = []
        self.heard: str | None = None
        """The status with which a cancel got its ``ok``."""
        self.answer: Any = None
        """What an answer said that got its ``ok``."""

    @property
    def status(self) -> str | None:
        """The last status that was shown."""
        told = [event["data"]["status"] for event in self.events if event["mode"] == "lifecycle"]
        return told[-1] if told else None


class Load:
    """Runs on the server at ``port``, and their readers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.runs: list[Seen] = []
        self.shown = 0
        """Events that clients got."""
        self.reconnects = 0
        self.counts: Counter[str] = Counter()

    # ── what clients do ──────────────────────────────────────────────────────────────────────────

    async def run(self, seen: Seen, **fields: Any) -> None:
        """Start a run, read it to its end, and come back after each kill."""
        self.runs.append(seen)
        while seen.status not in ENDS:
            with contextlib.suppress(Gone, OSError, TimeoutError, asyncio.TimeoutError):
                await self._read(seen, fields)
            self.reconnects += 1
            await asyncio.sleep(_AGAIN_S)
        self.counts[f"{seen.graph}: {seen.status}"] += 1

    async def _read(self, seen: Seen, fields: dict[str, Any]) -> None:
        async with self._connected() as peer:
            position: Any = "start"
            if seen.epoch is not None and seen.events:
                position = {"epoch": seen.epoch, "seq": seen.events[-1]["seq"]}
            named = {} if seen.thread is None else {"thread": seen.thread}
            started = await peer.run(
                seen.graph, {"seen": []}, everything(1, from_=position), run=seen.id, **named, **fields
            )
            if started["type"] == "error":
                assert started["code"] in ("draining", "unavailable"), started
                return
            assert seen.epoch in (None, started["epoch"]), "a crash of the process changes no epoch"
            seen.epoch = started["epoch"]
            while seen.status not in ENDS:
                frame = await peer.next(60)
                assert frame["type"] not in ("gap", "snapshot"), "nothing that was shown is gone"
                if frame["type"] == "event":
                    due = seen.events[-1]["seq"] + 1 if seen.events else 1
                    assert frame["seq"] == due, (seen.id, frame["seq"], due)
                    seen.events.append(frame)
                    self.shown += 1

    async def answer(self, seen: Seen, value: Any) -> None:
        """Answer a run once it asks, until the server says that it has the answer."""
        await until(lambda: seen.status == "interrupted" or seen.status in ENDS, _LONG_S)
        while seen.status not in ENDS and seen.answer is None:
            with contextlib.suppress(Gone, OSError, TimeoutError, asyncio.TimeoutError):
                async with self._connected() as peer:
                    asked = [event for event in seen.events if event["mode"] == "interrupt"]
                    responses = [{"interrupt": asked[-1]["data"]["interrupts"][0]["id"], "value": value}]
                    reply = await peer.ask(type="respond", run=seen.id, responses=responses)
                    if reply["type"] == "ok" or reply["code"] == "conflict":  # of an answer before a kill
                        seen.answer = value
            await asyncio.sleep(_AGAIN_S)

    async def cancel(self, seen: Seen) -> None:
        """Cancel a run, until the server says that it has heard it."""
        await until(lambda: seen.epoch is not None, _LONG_S)
        while seen.heard is None:
            with contextlib.suppress(Gone, OSError, TimeoutError, asyncio.TimeoutError):
                async with self._connected() as peer:
                    reply = await peer.ask(type="cancel", run=seen.id)
                    seen.heard = reply["status"] if reply["type"] == "ok" else None
            await asyncio.sleep(_AGAIN_S)

    @contextlib.asynccontextmanager
    async def _connected(self) -> Any:
        peer = Peer(await Wire.open(self.port))
        try:
            await peer.ask(type="hello")
            yield peer
        finally:
            peer.wire.abort()
            await peer.wire.lost()

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    async def check(self) -> None:
        """Compare what was seen with the logs, rows and results as they are now."""
        async with self._connected() as peer:
            rows: dict[str, Frame] = {}
            cursor: dict[str, Any] = {}
            while True:
                page = await peer.ask(type="list", what="runs", limit=100, **cursor)
                rows |= {row["run"]: row for row in page["runs"]}
                if "cursor" not in page:
                    break
                cursor = {"cursor": page["cursor"]}
            for sub, seen in enumerate(self.runs, 1):
                reply = await peer.ask(type="subscribe", run=seen.id, **everything(sub))
                assert reply["type"] == "subscribed", (seen.id, reply)
                await peer.closed(sub)
                log = peer.events(sub)
                _check_log(seen, log)
                row = rows[seen.id]
                assert (row["status"], row["head"]) == (seen.status, len(log)), (row, seen.status)
                self.counts["went on"] += row["attempt"] - 1
                assert (await peer.ask(type="result", run=seen.id))["status"] == seen.status


def _check_log(seen: Seen, log: list[Frame]) -> None:
    assert [event["seq"] for event in log] == list(range(1, len(log) + 1)), seen.id
    assert [_content(event) for event in log] == [_content(event) for event in seen.events], seen.id
    statuses = [event["data"]["status"] for event in log if event["mode"] == "lifecycle"]
    assert [status for status in statuses if status in ENDS] == statuses[-1:], (seen.id, statuses)
    data = [event["data"] for event in _without_void(seen, log) if event["mode"] == "custom"]
    error = log[-1]["data"].get("error")
    if seen.heard is not None:
        ends = (seen.heard,) if seen.heard in ENDS else ("cancelled", "completed")
        assert statuses[-1] in ends, (seen.id, seen.heard, log[-1])
    if statuses[-1] == "failed":
        assert error["code"] == "lost", error
        goes_on = seen.thread is not None and "interrupted" not in statuses  # an answer may be lost
        assert not goes_on, (seen.id, "its thread is on disk, so it goes on", log[-1])
    elif statuses[-1] == "completed" and seen.graph == "ticks":
        assert data == [{"i": index} for index in range(TICKS)], seen.id
    elif statuses[-1] == "completed":
        assert data[-1] == {"answer": seen.answer}, (seen.id, data)
    if seen.graph == "ticks":
        assert [item["i"] for item in data] == list(range(len(data))), seen.id


def _without_void(seen: Seen, log: list[Frame]) -> list[Frame]:
    """Return the events that count; an attempt that takes others back is the next one."""
    out: list[Frame] = []
    attempt = 1
    for event in log:
        if event["mode"] == "lifecycle":
            after = event["data"].get("void_after")
            attempt += after is not None
            assert event["data"]["attempt"] == attempt, (seen.id, event, attempt)
            if after is not None:
                out = [each for each in out if each["seq"] <= after]
        out.append(event)
    return out


def _content(event: Frame) -> Frame:
    return {name: value for name, value in event.items() if name not in ("sub", "n", "meta")}
