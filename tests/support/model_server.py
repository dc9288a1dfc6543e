"""A server in memory that obeys the protocol's rules, with nothing of a real server's machinery.

It replies in the same tick and keeps every run's whole log. Tests cut its connections, drop its events, and
look at what it received.

Long because a server is one thing: what it answers to each frame stands together.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import orjson
from graphwire.backoff import Backoff
from graphwire.transport import Lost, NotOpened
from graphwire_protocol import Refusal
from graphwire_protocol.commands import (
    Cancel,
    Credit,
    Delete,
    Hello,
    List,
    Ping,
    Product,
    Respond,
    Result,
    Run,
    Spec,
    State,
    StateHistory,
    StateUpdate,
    Subscribe,
    ThreadUpdate,
    Unsubscribe,
    Watch,
)
from graphwire_protocol.filters import UNCONSTRAINED
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.replies import (
    GraphRow,
    Ok,
    RunRow,
    Started,
    Subscribed,
    ThreadRow,
    ThreadState,
    Welcome,
)
from graphwire_protocol.server import ServerSession

from tests.support.model_run import AT, TERMINAL, Attachment, ModelRun


class ModelConnection:
    """The server's side of one transport; it is the client's transport, too."""

    def __init__(self, server: "ModelServer") -> None:
        self.server = server
        self.session = ServerSession(server.allowed)
        self.attachments: dict[int, Attachment] = {}
        self.inbox: list[bytes] = []
        self.ended: Lost | None = None
        self.events_to_drop = 0
        self._waiter: asyncio.Future[None] | None = None

    # ── the transport ────────────────────────────────────────────────────────────────────────────

    async def send(self, message: bytes) -> None:
        if self.ended is not None or self.server.sends_fail:
            raise self.ended or Lost(1006)
        self.server.receive(self, message)

    async def recv(self) -> bytes:
        while not self.inbox:
            if self.ended is not None:
                raise self.ended
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return self.inbox.pop(0)

    async def close(self) -> None:
        self.end(1006)

    def end(self, code: int, reason: str = "") -> None:
        if self.ended is None:
            self.ended = Lost(code, reason)
            self.session.close()
            self._wake()

    def cut(self) -> None:
        """Lose the connection, and what is on its way."""
        self.inbox.clear()
        self.end(1006)

    def put(self, *frames: bytes) -> None:
        if self.ended is not None or not frames:
            return
        if self.server.batches and len(frames) > 1:
            self.inbox.append(b"[" + b",".join(frames) + b"]")
        else:
            self.inbox.extend(frames)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ── deliveries ───────────────────────────────────────────────────────────────────────────────

    def pump(self) -> None:
        if self.server.is_held_back:
            return
        out: list[bytes] = []
        for sub, attachment in list(self.attachments.items()):
            frames = attachment.frames()
            for frame, following in itertools.zip_longest(frames, frames[1:]):
                if self._drops(frame, following):
                    attachment.allowance.add(1)  # else nothing might follow for want of credit
                    continue
                out.append(orjson.dumps(frame))
            if attachment.has_ended:
                closed = {"type": "closed", "sub": sub, "reason": "end", "seq": attachment.run.head}
                closed |= {"status": attachment.run.status(), "skipped": attachment.skipped}
                out.append(orjson.dumps({**closed, "delivered": attachment.n}))
                del self.attachments[sub]
                self.session.release(sub)
        self.put(*out)

    def _drops(self, frame: dict[str, Any], following: dict[str, Any] | None) -> bool:
        # The client notices a lost event by the number of the next one, or by the mark behind it.
        is_event = frame["type"] == "event" and frame["mode"] not in UNCONSTRAINED
        will_be_noticed = following is not None and following["type"] in ("event", "mark")
        if not self.events_to_drop or not is_event or not will_be_noticed:
            return False
        self.events_to_drop -= 1
        return True


class ModelServer:
    """Answers clients; ``open`` is what they open their transports with."""

    def __init__(self) -> None:
        self.runs: dict[str, ModelRun] = {}
        self.connections: list[ModelConnection] = []
        self.received: list[Any] = []
        self.allowed = AnnouncedLimits()
        self.tokens: set[str] | None = None
        self.refusals: list[tuple[str, Refusal]] = []
        self.limits: dict[str, Any] = {"max_frame_bytes": 1 << 20}
        self.batches = True
        self.sends_fail = False
        self.unreachable: NotOpened | None = None
        self.mute: set[str] = set()
        self.on_run: Callable[[ModelRun], object] = lambda run: run.lifecycle("running")
        self.records: tuple[str, ...] = ()
        self.page = 2
        self.replies_late = False
        self.states: list[ThreadState] = []
        self.history_page = 100  # fewer: a server of 1.1, whose pages end early and have a cursor
        self.threads: list[ThreadRow] = []
        self.output_schema: dict[str, Any] | None = None
        self.graph: dict[str, Any] = {}  # nodes, edges and subgraphs of the graph
        self.is_held_back = False
        self.minor = 0
        self.features: tuple[str, ...] = ()
        self.board: list[dict[str, Any]] = []
        """The frames that a watch begins with."""
        self.ends_watching: int | None = None  # the code with which the connection ends behind them

    async def open(self, url: str, timeout_s: float) -> ModelConnection:
        await asyncio.sleep(0)
        if self.unreachable is not None:
            raise self.unreachable
        connection = ModelConnection(self)
        self.connections.append(connection)
        return connection

    @property
    def connection(self) -> ModelConnection:
        return self.connections[-1]

    def of(self, kind: type[Any]) -> list[Any]:
        """Return the commands of a kind that were received."""
        return [command for command in self.received if isinstance(command, kind)]

    def cut(self) -> None:
        self.connection.cut()

    @contextlib.contextmanager
    def held_back(self) -> Iterator[None]:
        """Write several events before any connection sends one."""
        self.is_held_back = True
        yield
        self.is_held_back = False
        self.pump()

    def pump(self) -> None:
        for connection in self.connections:
            if connection.ended is None:
                connection.pump()

    def say(self, frame: dict[str, Any]) -> None:
        self.connection.put(orjson.dumps(frame))

    def run(self, id: str = "r1", graph: str = "joke") -> ModelRun:
        """Return the run ``id``, made running if there is none."""
        if id not in self.runs:
            self.runs[id] = ModelRun(self, id, graph)
            self.runs[id].lifecycle("running")
        return self.runs[id]

    # ── answers ──────────────────────────────────────────────────────────────────────────────────

    def receive(self, connection: ModelConnection, message: bytes) -> None:
        session = connection.session
        command: Any = None
        try:
            command = session.receive(message.decode(), 0.0)
            self.received.append(command)
            if command.type in self.mute:
                return
            for index, (kind, refusal) in enumerate(self.refusals):
                if kind == command.type:
                    del self.refusals[index]
                    raise refusal
            self._handle(connection, command)
        except Refusal as refusal:
            connection.put(session.refuse(refusal, command))
            if refusal.close is not None:
                connection.end(refusal.close, refusal.message)
        connection.pump()

    def _handle(self, connection: ModelConnection, command: Any) -> None:
        reply = connection.session.reply
        match command:
            case Hello(id=id, token=token):
                if self.tokens is not None and token not in self.tokens:
                    raise Refusal("unauthenticated", "this token is not known", close=4401)
                product = Product(name="model", version="0")
                welcome = Welcome(
                    id=id,
                    server=product,
                    minor=self.minor,
                    features=self.features,
                    limits=self.limits,
                    principal="me",
                    durability="none",
                )
                connection.put(reply(welcome))
            case Run():
                self._run(connection, command)
            case Subscribe(id=id):
                self._attach(connection, id, self._find(command.run), command)
            case Watch(id=id, sub=sub):
                connection.put(reply(Subscribed(id=id, sub=sub)))
                connection.put(*(orjson.dumps({"sub": sub, **frame}) for frame in self.board))
                if self.ends_watching is not None:
                    connection.end(self.ends_watching)
            case ThreadUpdate(id=id, graph=graph, thread=thread, metadata=metadata):
                row = ThreadRow(
                    graph=graph, thread=thread, status="completed", updated_at=AT, metadata=metadata
                )
                connection.put(reply(Ok(id=id, thread=row)))
            case Unsubscribe(id=id, sub=sub):
                connection.attachments.pop(sub, None)
                connection.session.release(sub)
                connection.put(reply(Ok(id=id)))
            case Credit(sub=sub, events=events):
                if sub in connection.attachments:
                    connection.attachments[sub].allowance.add(events)
            case Cancel(id=id):
                run = self._find(command.run)
                before = run.status()
                if before not in TERMINAL:
                    run.lifecycle("cancelled", **({"reason": command.reason} if command.reason else {}))
                # Code that runs takes a moment to stop; a run that is idle has ended before the reply.
                is_idle = before in ("queued", "interrupted")
                connection.put(reply(Ok(id=id, status="cancelled" if is_idle else before)))
            case Result(id=id):
                run = self._find(command.run)
                output = {"output": run.output} if run.status() == "completed" else {}
                connection.put(reply(Ok(id=id, status=run.status(), **output)))
            case Respond(id=id):
                run = self._find(command.run)
                status = run.respond(command)
                if not self.replies_late:
                    connection.put(reply(Ok(id=id, status=status)))
                if status == "running":
                    run.lifecycle("running")
                    run.on_answers(run)
                if self.replies_late:
                    connection.put(reply(Ok(id=id, status=status)))
            case Delete(id=id):
                if command.run is not None:
                    run = self._find(command.run)
                    if run.status() in ("running", "queued"):
                        raise Refusal("conflict", f"run {run.id} goes on")
                    self._close(run, "deleted")
                    del self.runs[run.id]
                connection.put(reply(Ok(id=id)))
            case State(id=id):
                connection.put(reply(Ok(id=id, **dict(self.states[0]))))
            case StateHistory(id=id):
                known = [state.config["configurable"]["checkpoint_id"] for state in self.states]
                begin = 0 if command.before is None else known.index(command.before) + 1
                page = self.states[begin : begin + min(command.limit, self.history_page)]
                has_more = self.history_page < 100 and begin + len(page) < len(known)
                cursor = known[begin + len(page) - 1] if has_more else None
                connection.put(reply(Ok(id=id, states=tuple(page), cursor=cursor)))
            case StateUpdate(id=id):
                connection.put(reply(Ok(id=id, config={"configurable": {"checkpoint_id": "new"}})))
            case List():
                connection.put(reply(self._list(command)))
            case Ping():
                pass

    def _close(self, run: ModelRun, reason: str) -> None:
        for connection in self.connections:
            for sub, attachment in list(connection.attachments.items()):
                if attachment.run is run:
                    closed = {"type": "closed", "sub": sub, "reason": reason, "delivered": 0, "skipped": 0}
                    connection.put(orjson.dumps(closed))
                    del connection.attachments[sub]
                    connection.session.release(sub)

    def _run(self, connection: ModelConnection, command: Run) -> None:
        assert command.run is not None
        created = command.run not in self.runs
        if created:
            run = self.runs[command.run] = ModelRun(self, command.run, command.graph, command)
            run.modes = (*run.modes, *self.records)
        run = self.runs[command.run]
        started = Started(
            id=command.id,
            run=run.id,
            epoch=run.epoch,
            created=created,
            status=run.status(),
            thread=command.thread,
        )
        connection.put(connection.session.reply(started))
        for spec in command.subscribe:
            self._attach(connection, command.id, run, spec)
        if created:
            self.on_run(run)

    def _find(self, id: str) -> ModelRun:
        if id not in self.runs:
            raise Refusal("not_found", f"no run {id!r}", details={"kind": "run"})
        return self.runs[id]

    def _attach(self, connection: ModelConnection, id: int, run: ModelRun, spec: Spec) -> None:
        missing = [m for m in spec.filter.modes if m not in (*run.modes, "lifecycle", "interrupt")]
        if missing:
            recorded = {"recorded": {"modes": list(run.modes), "subgraphs": True}}
            raise Refusal("unsupported", f"mode {missing[0]!r} is not recorded", details=recorded)
        attachment = connection.attachments[spec.sub] = Attachment(run, spec)
        subscribed = Subscribed(
            id=id,
            sub=spec.sub,
            run=run.id,
            epoch=run.epoch,
            head=run.head,
            after=attachment.after,
            recovery=attachment.recovery,
            filter=spec.filter,
            credit=spec.credit,
        )
        connection.put(connection.session.reply(subscribed))

    def _list(self, command: List) -> Ok:
        if command.what == "graphs":
            parts: dict[str, Any] = {"nodes": ("write",), "edges": (), **self.graph}
            row = GraphRow(
                name="joke",
                description="Tells one",
                output_schema=self.output_schema,
                modes=("values",),
                **parts,
            )
            return Ok(id=command.id, graphs=(row,))
        begin = int(command.cursor or 0)
        end = begin + min(self.page, command.limit)
        if command.what == "threads":
            more = {"cursor": str(end)} if end < len(self.threads) else {}
            return Ok(id=command.id, threads=tuple(self.threads[begin:end]), **more)
        rows = [
            RunRow(
                run=run.id,
                graph=run.graph,
                metadata={},
                status=run.status(),
                attempt=1,
                epoch=run.epoch,
                head=run.head,
                created_at=AT,
                modes=run.modes,
            )
            for run in reversed(self.runs.values())
            if command.graph in (None, run.graph)
            if command.status is None or run.status() in command.status
        ]
        return Ok(id=command.id, runs=tuple(rows[begin:end]), cursor=str(end) if end < len(rows) else None)


async def settle() -> None:
    """Let everything that can happen without anything new happen."""
    for _ in range(30):
        await asyncio.sleep(0)


def impatient() -> Backoff:
    """Return a backoff that waits a tick."""
    return Backoff(sleep=lambda seconds: asyncio.sleep(0), random=lambda: 0.5)
