"""One storm: a gateway, weather before it, and readers of every sort, until each has read every run exactly.

Everything that is drawn is drawn from the seed, so that a storm that finds something can be had again.

Long because a storm is one sequence, from its plan to its report.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

import graphwire
import orjson
from graphwire_gateway import Gateway, Limits
from graphwire_gateway.connections import delivery
from graphwire_gateway.log.memory import MemoryStore
from graphwire_gateway.log.store import Store

from tests.support.faults.oracle import Cursor, Follower, Watched
from tests.support.faults.report import Report, Violation
from tests.support.faults.truth import FILTERS, RECORD, Input, story
from tests.support.faults.weather import weather
from tests.support.proxy import Proxy
from tests.support.wire import Gone, Wire

_OPEN_S = 1.0
_MARK_S = 0.02


@dataclass(frozen=True)
class Plan:
    """How large a storm is. After ``faults`` faults of the network it is calm, so that it ends."""

    seed: int
    runs: int = 12
    readers: int = 8
    iterators: int = 2
    faults: int = 250
    events: int = 400  # of a run, about
    reach: int = 25_000  # bytes that a connection lives, about
    log_events: int = 100_000  # few of them, and readers meet gaps
    floods: bool = True
    words: tuple[int, ...] = (0, 3, 8)  # of each message of a run
    pauses_ms: tuple[int, ...] = (0, 0, 15)  # between the blocks of a run
    patience_s: float = 15.0


async def storm(plan: Plan, store: Callable[[Any], Store] = MemoryStore) -> Report:
    """Live through a storm; every broken promise stands in the report, which ends at the first."""
    report = Report([plan.seed])
    loop = asyncio.get_running_loop()
    begin = loop.time()
    limits = Limits(
        request_burst=1_000_000,
        requests_per_s=1e6,
        send_timeout_s=1.0,
        hello_timeout_s=1.0,
        disconnect_grace_s=0,
        log_events=plan.log_events,
        log_min_age_s=0,
    )
    gateway = Gateway({"story": story()}, store=store(limits.of_log()), limits=limits)
    with _marks_often():
        async with (
            gateway.serve("127.0.0.1", 0) as server,
            Proxy(server.port, weather(str(plan.seed), plan.reach), report.faults, buffer=32 << 10) as proxy,
        ):
            try:
                await _Storm(plan, report, server.port, proxy).main()
            except Violation as violation:
                report.note(violation, plan.seed)
    report.figures["connections"] += proxy.connections
    report.seconds = loop.time() - begin
    return report


@contextlib.contextmanager
def _marks_often() -> Iterator[None]:
    before, delivery.MARK_S = delivery.MARK_S, _MARK_S
    try:
        yield
    finally:
        delivery.MARK_S = before


class _Storm:
    def __init__(self, plan: Plan, report: Report, port: int, proxy: Proxy) -> None:
        self.plan = plan
        self.report = report
        self.port = port
        self.proxy = proxy
        self._tasks: set[asyncio.Task[None]] = set()
        draw = self.draw("runs")
        self.runs = [Watched(f"r{number}", _input(draw, plan)) for number in range(plan.runs)]
        self.doomed = {
            run.id: draw.randrange(2, run.length) for run in self.runs if draw.random() < 0.2
        }  # whom a reader cancels, and where
        proxy.on_connection = self._connected

    def draw(self, name: str) -> random.Random:
        return random.Random(f"{self.plan.seed}/{name}")

    async def main(self) -> None:
        plan = self.plan
        for number in range(plan.readers):
            self._spawn(Reader(self, f"reader {number}", self.proxy.port, self.runs).main())
        for number in range(plan.iterators):
            self._spawn(_iterate(self, f"iterator {number}"))
        watch = asyncio.ensure_future(self._watch())
        try:
            while self._tasks:
                done, _ = await asyncio.wait({*self._tasks, watch}, return_when=asyncio.FIRST_COMPLETED)
                self._tasks -= done
                for task in done:
                    task.result()
        finally:
            for task in (*self._tasks, watch):
                task.cancel()
            await asyncio.gather(*self._tasks, watch, return_exceptions=True)
        self.report.figures["runs"] += len(self.runs)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.ensure_future(work))

    async def _watch(self) -> None:
        """See that somebody gets on."""
        before = -1
        while before != self.report.events:
            before = self.report.events
            await asyncio.sleep(self.plan.patience_s)
        raise Violation("stuck", f"nobody was told anything for {self.plan.patience_s:g} s")

    def _connected(self, number: int) -> None:
        """Do what is done now and then, counted by connections."""
        if self.proxy.faults.total() >= self.plan.faults:
            self.proxy.is_calm = True
        if self.proxy.is_calm:
            return
        if number % 90 == 45:
            self._spawn(self.proxy.restart(self.draw(f"restart/{number}").uniform(0.005, 0.05)))
        if self.plan.floods and number % 60 == 59:
            self.report.faults["flood"] += 1
            run = Watched(f"flood{number}", Input(1, 1500, 0))
            self.runs.append(run)
            self._spawn(Reader(self, f"flood {number}", self.port, [run] * 4, is_greedy=True).main())


def _input(draw: random.Random, plan: Plan) -> Input:
    """Draw a run."""
    blocks = draw.randrange(2, 9)
    words = draw.choice(plan.words)
    burst = max(1, draw.randrange(plan.events // 2, plan.events * 3 // 2) // blocks - words)
    return Input(blocks, burst, words, draw.choice(plan.pauses_ms))


class Reader:
    """A client of plain cursors: it says what it holds, ignores nothing, and checks every frame."""

    def __init__(
        self, storm: _Storm, name: str, port: int, runs: list[Watched], is_greedy: bool = False
    ) -> None:
        draw = self._draw = storm.draw(name)
        self._storm = storm
        self._port = port
        self._name = name
        self._is_greedy = is_greedy
        self._width = 8 if is_greedy else draw.choice((1, 2, 4))
        self._mood = "fast" if is_greedy else draw.choice(("fast", "fast", "slow", "stalls"))
        self._todo = list(runs)
        draw.shuffle(self._todo)
        self._open: dict[int, Cursor] = {}
        self._asked: dict[int, tuple[str, Cursor]] = {}  # id → what was asked, for whom
        self._started: set[Cursor] = set()
        self._next = 0

    async def main(self) -> None:
        """Read every run to its end."""
        while self._todo or self._open:
            try:
                wire = await Wire.open(self._port, _OPEN_S)
            except Gone:
                await asyncio.sleep(0.001)
                continue
            try:
                await self._connection(wire)
            except Gone as gone:
                if gone.code in (4400, 4401, 4403, 1011):
                    raise Violation("closed", f"{self._name}: {gone.code} {gone.reason}") from None
            finally:
                wire.abort()

    async def _connection(self, wire: Wire) -> None:
        self._asked.clear()
        flight = [{"type": "hello", "id": self._id()}]
        for sub, cursor in self._open.items():
            cursor.leaving = None
            flight.append(self._ask(sub, cursor))
        self._fill(flight)
        wire.send(*map(orjson.dumps, flight))
        while self._open:
            message = orjson.loads(await wire.recv())
            flight = []
            for frame in message if isinstance(message, list) else [message]:
                self._take(frame)
            self._grant(flight)
            self._fill(flight)
            self._misbehave(flight)
            if flight:
                wire.send(*map(orjson.dumps, flight))
            await self._dawdle()

    def _id(self) -> int:
        self._next += 1
        return self._next

    def _fill(self, flight: list[Any]) -> None:
        """Begin with further runs."""
        draw = self._draw
        while self._todo and len(self._open) < self._width:
            run = self._todo.pop()
            credit = None if self._is_greedy else draw.choice((None, None, 1, 16, 200))
            filter = draw.randrange(len(FILTERS)) if draw.random() < 0.6 else 0
            cursor = Cursor(self._storm.report, run, filter, self._name, credit)
            if draw.random() < 0.15:
                cursor.wish = "snapshot"
            sub = self._id()
            self._open[sub] = cursor
            flight.append(self._ask(sub, cursor))

    def _ask(self, sub: int, cursor: Cursor) -> Any:
        """Return the request that attaches ``cursor``: with the run's start until that was answered."""
        id, run, draw = self._id(), cursor.run, self._draw
        if cursor not in self._started:
            self._asked[id] = ("run", cursor)
            fields = {"graph": "story", "input": run.input.fields, "record": RECORD}
            return {"type": "run", "id": id, "run": run.id, "subscribe": [cursor.spec(sub)], **fields}
        start = None
        if cursor.has_cursor and not cursor.has_terminal and draw.random() < 0.1:
            start = {"epoch": "of-another-log", "seq": draw.randrange(run.length)}
            self._storm.report.faults["cursor of another epoch"] += 1
        self._asked[id] = ("subscribe", cursor)
        return {"type": "subscribe", "id": id, "run": run.id, **cursor.spec(sub, start)}

    def _take(self, frame: Any) -> None:
        sub = frame.get("sub")
        if sub is None or frame["type"] == "error":
            self._answer(frame)
            return
        cursor = self._open.get(sub)
        if cursor is None:
            raise Violation("terminal", f"{self._name}: a frame behind closed: {frame}")
        cursor.frame(frame)
        if cursor.is_over:
            del self._open[sub]
            self._storm.report.figures["read to the end"] += 1

    def _grant(self, flight: list[Any]) -> None:
        """Give credit back, half a window at once: not before the whole message was looked at."""
        for sub, cursor in self._open.items():
            if cursor.window is not None and cursor.taken * 2 >= cursor.window:
                granted = cursor.grant()
                if granted:
                    flight.append({"type": "credit", "sub": sub, "events": granted})

    def _answer(self, frame: Any) -> None:
        if frame["type"] == "welcome":
            return
        kind, cursor = self._asked.pop(frame["id"])
        match frame["type"], kind:
            case "started", "run":
                cursor.run.started(frame)
                self._started.add(cursor)
            case "ok", "unsubscribe":
                cursor.has_left = True
            case "error", "unsubscribe" if frame["code"] == "not_found":
                cursor.has_left = True
            case "ok", "cancel":
                pass
            case _:
                raise Violation("refused", f"{self._name}: {kind} of {cursor.run.id}: {frame}")

    def _misbehave(self, flight: list[Any]) -> None:
        """Replace a subscription in one flight, cancel a run that is doomed."""
        draw, storm = self._draw, self._storm
        for sub, cursor in list(self._open.items()):
            if not cursor.is_attached or not cursor.has_cursor:
                continue
            run = cursor.run
            if not run.is_cancelled and cursor.seq >= storm.doomed.get(run.id, run.length + 1):
                run.is_cancelled = True
                storm.report.faults["run cancelled"] += 1
                id = self._id()
                self._asked[id] = ("cancel", cursor)
                flight.append({"type": "cancel", "id": id, "run": run.id})
            elif not self._is_greedy and not storm.proxy.is_calm and draw.random() < 0.02:
                storm.report.faults["subscription replaced"] += 1
                id = cursor.leaving = self._id()
                self._asked[id] = ("unsubscribe", cursor)
                flight.append({"type": "unsubscribe", "id": id, "sub": sub})
                if draw.random() < 0.5:
                    cursor.refilter(draw.randrange(len(FILTERS)))
                flight.append(self._ask(sub, cursor))

    async def _dawdle(self) -> None:
        if self._storm.proxy.is_calm:
            return
        if self._mood == "slow" and self._draw.random() < 0.5:
            await asyncio.sleep(self._draw.uniform(0, 0.01))
        elif self._mood == "stalls" and self._draw.random() < 0.02:
            self._storm.report.faults["reader stalls"] += 1
            await asyncio.sleep(self._draw.uniform(0.05, 0.3))


# ── through the client's iterators ───────────────────────────────────────────────────────────────


async def _iterate(storm: _Storm, name: str) -> None:
    """Read every run through ``graphwire.connect``, a few at a time."""
    draw = storm.draw(name)
    backoff = graphwire.Backoff(first_s=0.001, longest_s=0.01)
    client = await _client(f"ws://127.0.0.1:{storm.proxy.port}/ws", backoff, draw.choice((8, 64, 256)))
    runs = list(storm.runs)
    draw.shuffle(runs)
    try:
        for at in range(0, len(runs), 4):
            some = [_follow(storm, name, client, run, draw) for run in runs[at : at + 4]]
            tasks = [asyncio.ensure_future(one) for one in some]
            try:
                await asyncio.gather(*tasks)
            except graphwire.GraphwireError as error:
                raise Violation("refused", f"{name}: {error!r}") from None
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await client.close()


async def _client(url: str, backoff: graphwire.Backoff, window: int) -> graphwire.Client:
    while True:
        client = graphwire.connect(url, backoff=backoff, window=window, open_timeout=_OPEN_S)
        try:
            await client.open()
        except graphwire.CannotConnect:
            await asyncio.sleep(0)
        else:
            return client


async def _follow(
    storm: _Storm, name: str, client: graphwire.Client, run: Watched, draw: random.Random
) -> None:
    filter = draw.randrange(len(FILTERS)) if draw.random() < 0.6 else 0
    follower = Follower(storm.report, run, filter, name)
    start = "snapshot" if draw.random() < 0.15 else "start"
    handle = await client.run(
        "story", run.input.fields, run=run.id, record=RECORD, start=start, **follower.filter
    )
    run.created += handle.created
    leaves = draw.randrange(3)
    gap: graphwire.GapEvent | None = None
    while True:
        async for event in handle:
            follower.recent.append(event)
            if isinstance(event, graphwire.GapEvent):
                gap = event
                follower.gap(event.after_seq, event.upto_seq, event.reason, event.lost, event.after_seq)
                continue
            if isinstance(event, graphwire.SnapshotEvent):
                if gap is not None and gap.upto_seq != event.seq:
                    follower.fail("snapshot", f"snapshot at {event.seq}, the gap goes to {gap.upto_seq}")
                gap = None
                follower.snapshot(event.seq, event.status, event.values, _rows(event))
                continue
            if gap is not None:
                follower.fail("gap", "an event between a gap and its snapshot")
            data = _data(follower, event)
            follower.event(event.seq, event.mode, data, event.node, bool(event.namespace))
            if leaves and draw.random() < 0.01:
                storm.report.faults["loop left and entered again"] += 1
                leaves -= 1
                break
        else:
            break
    follower.closed(None)
    storm.report.figures["read to the end"] += 1


def _rows(event: graphwire.SnapshotEvent) -> dict[str, tuple[Any, ...]]:
    return {
        str(row.message.id): (
            row.message.text,
            row.node,
            bool(row.namespace),
            row.metadata.get("langgraph_node"),
        )
        for row in event.messages
    }


def _data(follower: Follower, event: graphwire.Event) -> Any:
    if isinstance(event, graphwire.LifecycleEvent):
        return event.status
    if isinstance(event, graphwire.MessagesEvent):
        if event.metadata.get("langgraph_node") != event.node:
            follower.fail("meta", f"metadata of {event.message.id}: {event.metadata}")
        fields = event.message.to_json()
        return {"id": fields.pop("id"), "delta": fields}
    return event.data
