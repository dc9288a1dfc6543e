"""Both sessions back to back: whatever is lost on the way, every event is shown once and in order.

About `protocol/graphwire_protocol/client.py`, `protocol/graphwire_protocol/happenings.py`,
`protocol/graphwire_protocol/server.py` and `protocol/graphwire_protocol/cursor.py`.

Long because both sessions are driven against each other by one machine of random steps.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest
from graphwire_protocol.client import ClientSession
from graphwire_protocol.codec import decode_command, encode
from graphwire_protocol.commands import (
    Cancel,
    Command,
    Credit,
    Hello,
    List,
    Ping,
    Position,
    Result,
    Run,
    Spec,
    State,
    StateUpdate,
    Subscribe,
    Unsubscribe,
    Watch,
)
from graphwire_protocol.credit import Allowance
from graphwire_protocol.cursor import OutOfStep, Subscription
from graphwire_protocol.errors import IllegalTransition, Misuse, Refusal
from graphwire_protocol.filters import Filter
from graphwire_protocol.frames import Closed, Event, Gap, Mark, RunGone, Snapshot, SubFrame, Synced
from graphwire_protocol.happenings import Answered, Delivered, Happening
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.replies import Error, Goaway, Ok, Pong, Product, Started, Subscribed, Welcome
from graphwire_protocol.server import ServerSession
from graphwire_protocol.state import CONNECTION, SUBSCRIPTION, ConnectionState, SubscriptionState
from graphwire_protocol.types import Status
from hypothesis import given, settings
from hypothesis import strategies as st

FILTER = Filter(modes=("values", "custom"))


# ── a gateway of one run, as small as can be ─────────────────────────────────────────────────────


@dataclass
class Log:
    """The run's events by their number: seq 1 stands at index 0."""

    epoch: int = 1
    modes: list[str] = field(default_factory=list)
    evicted: int = 0
    ended: bool = False
    exists: bool = False
    rewind: int = 0  # so far before a cursor a careful server begins

    @property
    def head(self) -> int:
        return len(self.modes)

    @property
    def status(self) -> Status:
        return "completed" if self.ended else "running"


@dataclass
class Attachment:
    at: int
    allowance: Allowance
    synced_at: int | None
    first: list[Gap | Snapshot]
    n: int = 0
    is_over: bool = False


class Connection:
    """One connection as its server holds it; what is in ``up`` and ``down`` is on its way."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.session = ServerSession(AnnouncedLimits(request_burst=10**9))
        self.attached: dict[int, Attachment] = {}
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.refusals: list[Refusal] = []

    def step(self) -> None:
        """Handle one message of the client."""
        try:
            command = self.session.receive(self.up.popleft().decode(), now=0.0)
        except Refusal as refusal:
            self.refusals.append(refusal)
            self.down.append(self.session.refuse(refusal))
            return
        try:
            for reply in self.handle(command):
                self.down.append(reply)
                self.pump(1)
        except Refusal as refusal:
            self.refusals.append(refusal)
            self.down.append(self.session.refuse(refusal, command))

    def handle(self, command: Command) -> Iterator[bytes]:
        reply = self.session.reply
        match command:
            case Hello(id=id):
                server = Product(name="s", version="1")
                yield reply(
                    Welcome(
                        id=id,
                        server=server,
                        minor=0,
                        features=(),
                        limits={},
                        principal="p",
                        durability="none",
                    )
                )
            case Run(id=id, subscribe=specs):
                created, self.log.exists = not self.log.exists, True
                epoch = f"e{self.log.epoch}"
                yield reply(Started(id=id, run="r", epoch=epoch, created=created, status=self.log.status))
                for spec in specs:
                    yield reply(self.attach(id, spec))
            case Subscribe(id=id):
                if not self.log.exists:
                    raise Refusal("not_found", "no such run", details={"kind": "run"})
                yield reply(self.attach(id, command))
            case Unsubscribe(id=id, sub=sub):
                self.attached.pop(sub, None)
                self.session.release(sub)
                yield reply(Ok(id=id))
            case Credit(sub=sub, events=events):
                if sub in self.attached:
                    self.attached[sub].allowance.add(events)
            case Ping(t=t):
                yield encode(Pong(t=t))
            case Cancel(id=id) | Result(id=id) | List(id=id):
                yield reply(Ok(id=id))

    def attach(self, id: int, spec: Spec) -> Subscribed:
        log, sub, epoch = self.log, spec.sub, f"e{self.log.epoch}"
        at = log.head if spec.from_ == "now" else 0
        if isinstance(spec.from_, Position):
            at = max(spec.from_.seq - log.rewind, min(spec.from_.seq, log.evicted))
        first: list[Gap | Snapshot] = []
        if isinstance(spec.from_, Position) and spec.from_.epoch != epoch:
            first = self.lost(sub, at, "epoch_changed")
        elif at < log.evicted:
            first = self.lost(sub, at, "evicted")
        after = None if first else at
        at = log.evicted if first else at
        recovery = "gap" if first else "live" if at == log.head else "replayed"
        synced_at = None if recovery == "live" else log.head
        self.attached[sub] = Attachment(at, Allowance(spec.credit), synced_at, first)
        return Subscribed(id=id, sub=sub, run="r", epoch=epoch, head=log.head, after=after, recovery=recovery)

    def lost(self, sub: int, after: int, reason: Any) -> list[Gap | Snapshot]:
        upto = self.log.evicted
        snapshot = Snapshot(sub=sub, seq=upto, status=self.log.status, messages=(), interrupts=())
        return [Gap(sub=sub, after_seq=after, upto_seq=upto, reason=reason, lost=("custom",)), snapshot]

    def lose(self) -> None:
        """Lose the next event of each subscription that one is on its way for."""
        for here in self.attached.values():
            # The hole is seen by the event or the mark behind it: that must come next, and there has to be
            # credit for it.
            covered = here.allowance.left is None or here.allowance.left > 1
            next_two = self.log.modes[here.at : here.at + 2]
            is_live = not here.first and here.at >= self.log.evicted
            if is_live and covered and len(next_two) == 2 and next_two[0] != "tasks":
                here.allowance.spend(self.log.modes[here.at])
                here.at += 1
                here.n += 1

    def pump(self, most: int) -> None:
        """Send at most ``most`` frames of each subscription, all in one batch."""
        frames = [frame for sub in [*self.attached] for frame in self.due(sub, most)]
        if frames:
            self.down.append(b"[" + b",".join(map(encode, frames)) + b"]")

    def due(self, sub: int, most: int) -> list[SubFrame]:
        log, here, out = self.log, self.attached[sub], list[SubFrame]()
        while len(out) < most:
            if here.first:
                if not here.allowance.covers("values"):
                    break
                out.append(here.first.pop(0))
            elif here.synced_at is not None and here.at >= here.synced_at:
                out.append(Synced(sub=sub, seq=here.at))
                here.synced_at = None
            elif here.at < log.evicted:
                # The reader was slow, and what it was to read next is gone.
                here.first = self.lost(sub, here.at, "evicted")
                here.at = log.evicted
            elif here.at < log.head:
                mode = log.modes[here.at]
                if not here.allowance.covers(mode):
                    break
                here.at += 1
                if mode == "tasks":
                    out.append(Mark(sub=sub, seq=here.at, n=here.n))
                    continue
                here.allowance.spend(mode)
                here.n += 1
                out.append(Event(sub=sub, n=here.n, seq=here.at, mode=mode, data=here.at))
            else:
                if log.ended:
                    out.append(Closed(sub=sub, reason="end", seq=here.at, delivered=here.n, skipped=0))
                    del self.attached[sub]
                    self.session.release(sub)
                break
        return out


# ── an application ───────────────────────────────────────────────────────────────────────────────


@dataclass
class View:
    """What the application saw of one subscription."""

    window: int | None
    cursor: int | None = 0  # None until the answer tells where "now" is
    queue: deque[str] = field(default_factory=deque)
    is_closed: bool = False

    def see(self, frame: object, log: Log) -> None:
        assert not self.is_closed
        match frame:
            case Event(seq=seq, mode=mode, data=data):
                assert data == seq
                assert self.cursor is not None
                assert self.cursor < seq
                skipped = log.modes[self.cursor : seq - 1]
                assert set(skipped) <= {"tasks"}, f"saw {seq} behind {self.cursor}"
                self.cursor = seq
                if mode not in ("lifecycle", "interrupt"):
                    self.queue.append(mode)
                    assert self.window is None or len(self.queue) <= self.window
            case Snapshot(seq=seq):
                self.cursor = seq
            case Closed():
                self.is_closed = True
            case Gap() | Synced():
                pass
            case _:
                raise AssertionError(frame)


class Application:
    def __init__(self, log: Log) -> None:
        self.log = log
        self.client = ClientSession(Product(name="c", version="1"))
        self.connection: Connection | None = None
        self.views: dict[int, View] = {}
        self.asked: set[int] = set()
        self.leaving: dict[int, int] = {}
        self.answers: Counter[int] = Counter()
        self.refusals: list[Refusal] = []

    def ask(self, kind: str, window: int | None) -> None:
        sub = self.client.next_sub()
        match kind:
            case "run":
                subs = (sub, self.client.next_sub())
                specs = tuple(Spec(sub=sub, filter=FILTER, credit=window) for sub in subs)
                id = self.client.request(lambda id: Run(id=id, graph="g", run="r", subscribe=specs), window)
                self.views.update({sub: View(window) for sub in subs})
            case "subscribe now":
                id = self.client.request(
                    lambda id: Subscribe(id=id, run="r", sub=sub, filter=FILTER, from_="now"), window
                )
                self.views[sub] = View(window, cursor=None)
            case "subscribe":
                id = self.client.request(lambda id: Subscribe(id=id, run="r", sub=sub, filter=FILTER), window)
                self.views[sub] = View(window)
            case "unsubscribe":
                if not self.views:
                    return
                sub = min(self.views)
                if self.views.pop(sub).is_closed:
                    return
                id = self.client.request(lambda id: Unsubscribe(id=id, sub=sub))
                self.leaving[id] = sub
            case "list":
                id = self.client.request(lambda id: List(id=id, what="runs"))
            case _:
                id = self.client.request(lambda id: Cancel(id=id, run="r"))
        if self.connection is not None or id not in self.leaving:
            self.asked.add(id)

    def connect(self) -> None:
        if self.connection is None:
            self.connection = Connection(self.log)
            self.client.connect()

    def cut(self) -> None:
        """Lose the connection and all that is on its way."""
        if self.connection is not None:
            self.refusals += self.connection.refusals
            self.connection = None
            self.take(self.client.disconnected(1006))
            # An unsubscription is done with its connection and needs no answer.
            self.asked -= {id for id in self.leaving if not self.answers[id]}

    def move(self, up: int, down: int, most: int) -> bool:
        """Carry so many messages each way; tell whether anything moved."""
        if self.connection is None:
            return False
        connection = self.connection
        connection.up.extend(self.client.outgoing())
        before = len(connection.up), len(connection.down)
        for _ in range(min(up, len(connection.up))):
            connection.step()
        connection.pump(most)
        sent = bool(connection.down)
        for _ in range(min(down, len(connection.down))):
            self.take(self.client.receive(connection.down.popleft()))
        return before != (0, 0) or sent

    def take(self, happenings: list[Any]) -> None:
        happening: Happening
        for happening in happenings:
            match happening:
                case Answered(id=id, reply=reply):
                    self.answers[id] += 1
                    if isinstance(reply, Subscribed) and reply.sub in self.views:
                        view = self.views[reply.sub]
                        view.cursor = reply.after if view.cursor is None else view.cursor
                    if isinstance(reply, Error) and id not in self.leaving:
                        assert reply.code == "not_found"
                        for sub in set(self.views) - set(self.client.subscriptions):
                            del self.views[sub]
                case Delivered(sub=sub, frame=frame):
                    assert sub in self.views
                    self.views[sub].see(frame, self.log)

    def consume(self, most: int) -> bool:
        took = False
        for sub, view in self.views.items():
            for _ in range(min(most, len(view.queue))):
                self.client.consumed(sub, view.queue.popleft())
                took = True
        return took

    def settle(self) -> None:
        self.connect()
        for _ in range(10_000):
            if not (self.move(99, 99, 99) | self.consume(99)):
                return
        raise AssertionError("client and server never come to rest")


REQUESTS = ["run", "subscribe", "subscribe now", "unsubscribe", "list", "cancel"]
small = st.integers(1, 4)
steps = st.one_of(
    st.tuples(st.just("ask"), st.sampled_from(REQUESTS), st.none() | small),
    st.tuples(st.just("log"), st.sampled_from(["values", "custom", "tasks", "lifecycle"]), small),
    st.tuples(st.just("evict"), small),
    st.tuples(st.just("crash"), small),
    st.tuples(st.just("end")),
    st.tuples(st.just("rewind"), small),
    st.tuples(st.just("lose")),
    st.tuples(st.just("cut")),
    st.tuples(st.just("connect")),
    st.tuples(st.just("move"), small, small, small),
    st.tuples(st.just("move"), st.just(99), st.just(99), st.just(99)),
    st.tuples(st.just("consume"), small | st.just(99)),
)  # fmt: skip


@settings(max_examples=400)
@given(st.none() | small, st.lists(steps, max_size=40))
def test_whatever_is_cut_and_lost_every_event_is_shown_once_in_order_and_every_request_answered(
    window: int | None, course: list[Any]
) -> None:
    log = Log()
    app = Application(log)
    app.connect()
    app.ask("run", window)
    log.modes += ["lifecycle", "values", "values"]
    app.move(99, 99, 99)
    for step in course:
        match step:
            case ("ask", kind, window):
                app.ask(kind, window)
            case ("log", mode, count) if not log.ended:
                log.modes += [mode] * count
            case ("evict", count):
                log.evicted = max(log.evicted, log.head - count)
            case ("crash", count) if log.exists and not log.ended:
                # The store lost its tail: what it has got anew is another incarnation of the log.
                app.cut()
                log.epoch += 1
                log.modes = log.modes[: max(log.evicted, log.head - count)]
            case ("rewind", count):
                log.rewind = count
            case ("lose",) if app.connection is not None and not log.ended:
                log.modes += ["values"]
                app.connection.lose()
            case ("end",):
                log.ended = True
            case ("cut",):
                app.cut()
            case ("connect",):
                app.connect()
            case ("move", up, down, most):
                app.move(up, down, most)
            case ("consume", most):
                app.consume(most)
    app.settle()
    if not log.ended:
        log.modes += ["values"] * 3
        app.settle()
        assert all(view.cursor == log.head for view in app.views.values() if not view.is_closed)
        log.ended = True
        app.settle()
    assert all(view.is_closed for view in app.views.values())
    assert app.client.subscriptions == {}
    assert app.answers == Counter(app.asked)
    assert app.connection is not None
    refused = {refusal.code for refusal in app.refusals + app.connection.refusals}
    assert refused <= {"not_found"}


# ── the client's subscription keeps to the table ─────────────────────────────────────────────────

FRAMES: dict[str, Any] = {
    "gap": Gap(sub=1, after_seq=0, upto_seq=0, reason="evicted", lost=()),
    "snapshot": Snapshot(sub=1, seq=0, status="running", messages=(), interrupts=()),
    "synced": Synced(sub=1, seq=0),
    "mark": Mark(sub=1, seq=0),
    "closed": Closed(sub=1, reason="end", delivered=0, skipped=0),
}


@given(st.lists(st.sampled_from([*FRAMES, "event", "subscribed", "subscribed live"]), max_size=12))
def test_a_subscription_takes_every_legal_path_and_no_other(path: list[str]) -> None:
    subscription = Subscription("r", Spec(sub=1, filter=FILTER), None)
    state: SubscriptionState = "requested"
    n = 0
    for happening in path:
        following = SUBSCRIPTION.get((state, happening))
        try:
            if happening.startswith("subscribed"):
                recovery = "live" if happening == "subscribed live" else "replayed"
                subscription.subscribed(Subscribed(id=1, sub=1, epoch="e", after=0, recovery=recovery))
            elif happening == "event":
                subscription.receive(Event(sub=1, n=n + 1, seq=n + 1, mode="values", data=None))
                n += 1
            else:
                subscription.receive(FRAMES[happening])
        except OutOfStep:
            assert following is None
            return
        assert following is not None
        state = following
        assert subscription.state == state


def test_every_frame_of_a_subscription_was_tried() -> None:
    assert {model.model_fields["type"].default for model in get_args(SubFrame)} == {*FRAMES, "event"}


def test_an_update_of_a_state_is_not_sent_twice_and_everything_else_is() -> None:
    client = ClientSession()
    client.connect()
    update = client.request(lambda id: StateUpdate(id=id, graph="g", thread="t", values={}))
    read = client.request(lambda id: State(id=id, graph="g", thread="t"))
    assert len(client.outgoing()) == 3
    (lost,) = client.disconnected(1006)
    assert isinstance(lost.reply, Error)
    assert (lost.id, lost.reply.code, lost.reply.retry) == (update, "unavailable", "never")
    late = client.request(lambda id: StateUpdate(id=id, graph="g", thread="t", values={}))
    client.connect()
    sent = [decode_command(frame) for frame in client.outgoing()]
    assert [frame.type for frame in sent] == ["hello", "state", "state_update"]
    assert read != late


# ── a client's connection obeys its table ────────────────────────────────────────────────────────

GREETED = Welcome(
    id=0,
    server=Product(name="s", version="1"),
    minor=0,
    features=(),
    limits={},
    principal="p",
    durability="none",
)
LEAVES = Goaway(reason="draining", deadline_s=1, after_ms=1)


@given(st.lists(st.sampled_from(["connect", "welcome", "goaway", "disconnect"]), max_size=10))
def test_the_connection_of_a_client_takes_every_legal_path_and_no_other(path: list[str]) -> None:
    client = ClientSession()
    state: ConnectionState = "closed"
    greeted: list[int] = []
    for happening in path:
        match happening:
            case "connect":
                if state != "closed":
                    with pytest.raises(Misuse, match="disconnected"):
                        client.connect()
                    return
                client.connect()
                greeted = [decode_command(frame).id for frame in client.outgoing()]
                state = "opening"
            case "disconnect":
                client.disconnected()
                state = CONNECTION.get((state, "close"), "closed")
            case "welcome" if greeted:
                client.receive(encode(GREETED.model_copy(update={"id": greeted.pop()})))
                state = CONNECTION[state, "welcome"]
            case "goaway" if state != "closed":
                client.receive(encode(LEAVES))
                state = CONNECTION.get((state, "goaway"), "draining")
        if happening == "disconnect":
            greeted = []
        assert client.state == state


def test_the_connection_of_a_server_takes_no_illegal_step() -> None:
    server = ServerSession()
    server.goaway(LEAVES)
    with pytest.raises(IllegalTransition, match="draining"):
        server.goaway(LEAVES)
    server.close()
    server.close()
    assert server.state == "closed"
    with pytest.raises(IllegalTransition, match="closed"):
        server.goaway(LEAVES)


def test_a_subscription_that_is_refused_has_ended() -> None:
    subscription = Subscription("r", Spec(sub=1, filter=FILTER), None)
    subscription.refused()
    assert subscription.state == "ended"
    with pytest.raises(OutOfStep):
        subscription.refused()


def test_the_frames_of_a_watch_are_delivered_until_it_is_left() -> None:
    client = ClientSession()
    client.connect()
    client.request(lambda id: Watch(id=id, sub=1))
    gone = RunGone(sub=1, run="r", reason="deleted")
    frames = (gone, Synced(sub=1, cut=4), RunGone(sub=2, run="r", reason="deleted"))
    batch = b"[" + b",".join(map(encode, frames)) + b"]"
    assert client.receive(batch) == [Delivered(1, gone), Delivered(1, Synced(sub=1, cut=4))]
    client.request(lambda id: Unsubscribe(id=id, sub=1))
    assert client.receive(batch) == []
