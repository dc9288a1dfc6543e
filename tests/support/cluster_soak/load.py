"""Clients of a cluster whose parts fail: what each run showed them, and what they were promised.

Each run has a reader. It comes back behind its cursor, to the other gateway each time, whenever its
connection ends, says nothing for long, or has shown enough.
"""

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.support.cluster_soak.checking import ENDS, Attached, Seen, View, Wrong, check_log, check_shown
from tests.support.cluster_soak.parts import Parts
from tests.support.peer import Frame, Peer, everything
from tests.support.waiting import until
from tests.support.wire import Gone, Wire

_AGAIN_S = 0.1  # between two attempts to connect
_FOLLOWED_S = 0.5  # the same, of who follows many runs
_GREETED_S = 5.0
_SILENT_S = 8.0  # a connection that says nothing for so long is left: its gateway may be frozen
_ASKED_S = 20.0  # a gateway waits 15 seconds for a worker
_LONG_S = 1800.0
_GROUP = 8  # runs that are followed at once
_LATER = ("draining", "unavailable", "rate_limited")
_LOST = (Gone, OSError, TimeoutError, asyncio.TimeoutError)


class Clients:
    """Runs on the cluster, and their readers."""

    def __init__(self, parts: Parts, seed: int) -> None:
        self._parts = parts
        self._dice = random.Random(f"clients {seed}")
        self.runs: list[Seen] = []
        self.followed: list[Seen] = []
        """Runs as others saw them who followed them, beside those who began them."""
        self.ended = 0
        self.shown = 0
        """Events that clients got."""
        self.reconnects = 0
        self.counts: Counter[str] = Counter()

    @property
    def open(self) -> list[str]:
        """The runs that have not ended, and how they are."""
        return [f"{seen.id} ({seen.thread}): {seen.status}" for seen in self.runs if seen.log is None]

    # ── what clients do ──────────────────────────────────────────────────────────────────────────

    async def run(self, seen: Seen, **fields: Any) -> None:
        """Start a run, read it to its end, and come back after each fault; compare it with its log."""
        self.runs.append(seen)
        gateway = self._dice.randrange(2)
        while seen.status not in ENDS:
            with contextlib.suppress(*_LOST):
                await self._read(seen, gateway, fields)
            gateway = 1 - gateway
            self.reconnects += 1
            await asyncio.sleep(_AGAIN_S)
        if seen.status != "forgotten":
            await self._audit(seen)
        self.ended += 1
        self.counts[f"{seen.graph}: {seen.status}"] += 1

    async def _read(self, seen: Seen, gateway: int, fields: dict[str, Any]) -> None:
        most = self._dice.randrange(5, 200)  # events until it moves on by itself
        async with self._connected(gateway) as peer:
            if seen.view is None:
                named = {} if seen.thread is None else {"thread": seen.thread}
                spec = everything(1)
                request = peer.run(seen.graph, {"seen": []}, spec, run=seen.id, **named, **fields)
            else:
                spec = everything(1, from_=seen.view.cursor)
                request = peer.ask(type="subscribe", run=seen.id, **spec)
            reply = await asyncio.wait_for(request, _ASKED_S)
            if reply["type"] == "error":
                self._refused(seen, reply)
                return
            attached = seen.attached(reply, self._parts.lives)
            while seen.status not in ENDS and most:
                frame = await peer.next(_SILENT_S)
                if frame.get("sub") != 1:
                    continue
                attached.took(frame, self._parts.lives)
                is_event = frame["type"] == "event"
                self.shown += is_event
                most -= is_event

    def _refused(self, seen: Seen, error: Frame) -> None:
        if error["code"] in _LATER:
            self.counts[f"refused: {error['code']}"] += 1
        elif error["code"] == "not_found" and seen.view is not None and seen.view.lives < self._parts.lives:
            seen.forgotten()
        else:
            raise Wrong(seen.id, "refused", error)

    async def answer(self, seen: Seen, value: Any) -> None:
        """Answer a run once it asks; once more if Redis was started again, and has lost that."""
        gateway, epoch = self._dice.randrange(2), ""
        await until(lambda: seen.status == "interrupted" or seen.status in ENDS, _LONG_S)
        while seen.status not in ENDS:
            is_asking = seen.status == "interrupted" and seen.question is not None
            with contextlib.suppress(*_LOST):
                if is_asking and (seen.answer is None or seen.epoch != epoch):
                    async with self._connected(gateway) as peer:
                        epoch = seen.epoch
                        responses = [{"interrupt": seen.question, "value": value}]
                        asked = peer.ask(type="respond", run=seen.id, responses=responses)
                        reply = await asyncio.wait_for(asked, _ASKED_S)
                        if reply["type"] == "ok" or reply["code"] == "conflict":  # of one before a fault
                            seen.answer = value
                        else:
                            self._refused(seen, reply)
            gateway = 1 - gateway
            await asyncio.sleep(_AGAIN_S)

    async def cancel(self, seen: Seen) -> None:
        """Cancel a run, until the server says that it has heard it."""
        gateway = self._dice.randrange(2)
        await until(lambda: seen.view is not None or seen.status in ENDS, _LONG_S)
        while seen.heard is None and seen.status != "forgotten":
            with contextlib.suppress(*_LOST):
                async with self._connected(gateway) as peer:
                    epoch = seen.epoch
                    reply = await asyncio.wait_for(peer.ask(type="cancel", run=seen.id), _ASKED_S)
                    if reply["type"] == "ok":
                        seen.heard, seen.heard_in = reply["status"], epoch
                        seen.heard_at = time.monotonic_ns()
                    else:
                        self._refused(seen, reply)
            gateway = 1 - gateway
            await asyncio.sleep(_AGAIN_S)

    async def follow(self, number: int) -> None:
        """Follow some runs at once over one connection that moves; then others, when all have ended.

        They are in several shards, so what a gateway mixes up is seen here.
        """
        gateway = number % 2
        group: list[Seen] = []
        while True:
            if all(seen.status in ENDS for seen in group):
                known = [seen for seen in self.runs[-2 * _GROUP :] if seen.view is not None]
                group = [
                    Seen(seen.id, seen.graph, seen.thread)
                    for seen in self._dice.sample(known, min(_GROUP, len(known)))
                ]
                self.followed += group
            with contextlib.suppress(*_LOST):
                await self._follow_once(group, gateway)
            gateway = 1 - gateway
            self.reconnects += 1
            await asyncio.sleep(_FOLLOWED_S)

    async def _follow_once(self, group: list[Seen], gateway: int) -> None:
        most = self._dice.randrange(50, 500)
        async with self._connected(gateway) as peer:
            attached: dict[int, Attached] = {}
            due = {sub: seen for sub, seen in enumerate(group, 1) if seen.status not in ENDS}
            replies: dict[int, Seen] = {}
            for sub, seen in due.items():
                position = {} if seen.view is None else {"from_": seen.view.cursor}
                request = {"type": "subscribe", "id": sub, "run": seen.id, **everything(sub, **position)}
                await peer.send(request)
                replies[sub] = seen
            while most and (replies or any(seen.status not in ENDS for seen in due.values())):
                frame = await peer.next(_SILENT_S)
                if frame.get("id") in replies:
                    seen = replies.pop(frame["id"])
                    if frame["type"] == "error":
                        self._refused(seen, frame)
                    else:
                        attached[frame["sub"]] = seen.attached(frame, self._parts.lives)
                elif frame.get("sub") in attached and due[frame["sub"]].status not in ENDS:
                    attached[frame["sub"]].took(frame, self._parts.lives)
                    is_event = frame["type"] == "event"
                    self.shown += is_event
                    most -= is_event

    @asynccontextmanager
    async def _connected(self, gateway: int) -> AsyncIterator[Peer]:
        peer = Peer(await Wire.open(self._parts.ports[gateway], _GREETED_S))
        try:
            if (await asyncio.wait_for(peer.ask(type="hello"), _GREETED_S))["type"] != "welcome":
                raise Gone
            yield peer
        finally:
            peer.wire.abort()
            await peer.wire.lost()

    # ── what must hold ───────────────────────────────────────────────────────────────────────────

    async def _audit(self, seen: Seen) -> None:
        """Compare what was seen of a run with its log and its result as they are now."""
        gateway = self._dice.randrange(2)
        while True:
            with contextlib.suppress(*_LOST):
                async with self._connected(gateway) as peer:
                    if await self._compare(peer, seen, 1):
                        return
            gateway = 1 - gateway
            await asyncio.sleep(_AGAIN_S)

    async def _compare(self, peer: Peer, seen: Seen, sub: int) -> bool:
        lives = self._parts.lives
        reply = await asyncio.wait_for(peer.ask(type="subscribe", run=seen.id, **everything(sub)), _ASKED_S)
        if reply["type"] == "error":
            self._refused(seen, reply)
            return seen.status == "forgotten"
        view = View(seen.id, reply["epoch"], 0, lives)
        while (frame := await peer.next(_SILENT_S)).get("sub") != sub or frame["type"] != "closed":
            if frame.get("sub") == sub:
                view.took(frame)
        check_log(seen, view, frame)
        result = await asyncio.wait_for(peer.ask(type="result", run=seen.id), _ASKED_S)
        if result["type"] == "error":
            self._refused(seen, result)
            return seen.status == "forgotten"
        if result["status"] != seen.status:
            raise Wrong(seen.id, "the result says", result["status"], "and its events", seen.status)
        seen.log = view
        return True

    async def check(self) -> None:
        """Compare everything with the logs, rows and results as they are at the end."""
        is_checked = False
        while not is_checked:
            with contextlib.suppress(*_LOST):  # a shard that moves to another worker sends clients away
                is_checked = await self._check()
        self.counts["went on"] = sum(seen.attempt - 1 for seen in self.runs)
        logs = {seen.id: seen.log for seen in self.runs if seen.log is not None}
        for seen in self.followed:
            if seen.id in logs:
                check_shown(seen, logs[seen.id])

    async def _check(self) -> bool:
        """Return whether all could be compared: a shard may be on its way to another worker."""
        async with self._connected(0) as peer:
            rows: dict[str, Frame] = {}
            cursor: dict[str, Any] = {}
            while True:
                page = await peer.ask(type="list", what="runs", limit=100, **cursor)
                if page["type"] == "error":
                    return False
                for row in page["runs"]:
                    if row["run"] in rows:
                        raise Wrong(row["run"], "has two rows")
                    rows[row["run"]] = row
                if "cursor" not in page:
                    break
                cursor = {"cursor": page["cursor"]}
            for sub, seen in enumerate(self.runs, 1):
                if seen.status == "forgotten":
                    continue
                if not await self._compare(peer, seen, sub):
                    return False
                peer.forget()
                row, log = rows[seen.id], seen.log
                assert log is not None
                if (row["status"], row["head"]) != (seen.status, len(log.events)):
                    raise Wrong(seen.id, "its row is", row, "its log", seen.status, len(log.events))
                seen.attempt = row["attempt"]
            return True
