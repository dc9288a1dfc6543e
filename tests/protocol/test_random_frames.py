"""Random frames in random order: a session accepts or refuses each one and keeps its promises.

About `protocol/graphwire_protocol/server.py`, `protocol/graphwire_protocol/client.py` and
`protocol/graphwire_protocol/codec.py`.
"""

import json
from typing import Any

import orjson
from graphwire_protocol.client import ClientSession, OutOfStep
from graphwire_protocol.codec import decode_command, decode_frames
from graphwire_protocol.commands import Credit, List, Ping, Run, Spec, Subscribe, Unsubscribe
from graphwire_protocol.errors import Refusal
from graphwire_protocol.filters import Filter
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.server import ServerSession
from hypothesis import given, settings
from hypothesis import strategies as st

small = st.integers(0, 4)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def spoiled(draw: Any, frame: dict[str, Any]) -> dict[str, Any]:
    """Return the frame, now and then with a field replaced, left out or added."""
    match draw(st.integers(0, 7)):
        case 0:
            frame = {**frame, draw(st.sampled_from(sorted(frame))): draw(anything)}
        case 1:
            gone = draw(st.sampled_from(sorted(frame)))
            frame = {name: value for name, value in frame.items() if name != gone}
        case 2:
            frame = {**frame, draw(st.text(max_size=5)): draw(anything)}
    return frame


# ── a server, and a client that says what it likes ───────────────────────────────────────────────


@st.composite
def client_frames(draw: Any) -> str | bytes:
    if not draw(st.integers(0, 9)):
        return draw(st.text(max_size=20) | st.binary(max_size=20))
    filter = {"modes": [draw(st.sampled_from(["custom", "messages", "dance"]))]}
    spec = {"sub": draw(small), "filter": spoiled(draw, filter)}
    kinds: dict[str, dict[str, Any]] = {
        "hello": {},
        "run": {"graph": "g", "subscribe": [spec] * draw(st.integers(0, 2))},
        "subscribe": {"run": "r", **spec},
        "unsubscribe": {"sub": draw(small)},
        "credit": {"sub": draw(small), "events": draw(small)},
        "cancel": {"run": "r"},
        "result": {"run": "r"},
        "list": {"what": "runs"},
        "ping": {"t": 1},
        "dance": {},
    }
    kind = draw(st.sampled_from(sorted(kinds)))
    frame = {"type": kind, "id": draw(small), **kinds[kind]}
    return json.dumps(spoiled(draw, frame))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(client_frames(), st.booleans()), max_size=30), st.booleans())
def test_a_server_session_takes_or_refuses_and_owes_exactly_what_it_took(
    messages: list[tuple[str | bytes, bool]], polite: bool
) -> None:
    session = ServerSession(AnnouncedLimits(max_subscriptions=3, max_open_requests=3, request_burst=40))
    owed: dict[int, Any] = {}
    subs: set[int] = set()
    said_hello = False
    if polite:
        messages = [('{"type":"hello","id":0}', False), *messages]
    for message, is_refused in messages:
        try:
            command = session.receive(message, 0.0)
        except Refusal as refusal:
            error = orjson.loads(session.refuse(refusal))
            assert error["type"] == "error"
            if refusal.close is not None:
                return
            assert said_hello, "before hello every fault ends the connection"
            continue
        if isinstance(command, Credit | Ping):
            continue
        said_hello = True
        assert command.id not in owed
        owed[command.id] = command
        assert len(owed) <= 3
        mine = [spec.sub for spec in command.subscribe] if isinstance(command, Run) else []
        mine += [command.sub] if isinstance(command, Subscribe) else []
        assert not subs.intersection(mine)
        if isinstance(command, Unsubscribe):
            assert command.sub in subs
        subs.update(mine)
        assert len(subs) <= 3
        if is_refused:
            session.refuse(Refusal("internal", "no"), command)
            del owed[command.id]
            subs.difference_update(mine)


# ── a client, and a server that says what it likes ───────────────────────────────────────────────


@st.composite
def server_frames(draw: Any) -> Any:
    sub, seq, id = draw(small), draw(st.integers(0, 9)), draw(st.integers(0, 6))
    epoch = draw(st.sampled_from(["e1", "e1", "e2"]))
    recovery = draw(st.sampled_from(["live", "replayed", "gap", "snapshot"]))
    started = {"id": id, "run": "r", "epoch": epoch, "created": True, "status": "running"}
    welcome = {"server": {"name": "s", "version": "1"}, "minor": 0, "features": [], "limits": {}}
    welcome |= {"principal": "p", "durability": "none"}
    error = {"code": draw(st.sampled_from(["draining", "conflict"])), "message": "m", "retry": "after"}
    kinds: dict[str, dict[str, Any]] = {
        "welcome": {"id": id, **welcome},
        "started": started,
        "subscribed": {"id": id, "sub": sub, "epoch": epoch, "recovery": recovery, "after": seq},
        "subscribed ": {"id": id, "sub": sub, "epoch": epoch, "recovery": recovery},
        "ok": {"id": id},
        "error": {"id": id, **error},
        "event": {"sub": sub, "n": draw(st.integers(1, 5)), "seq": seq, "mode": "custom", "data": None},
        "gap": {"sub": sub, "after_seq": 0, "upto_seq": seq, "reason": "evicted", "lost": []},
        "snapshot": {"sub": sub, "seq": seq, "status": "running", "messages": [], "interrupts": []},
        "synced": {"sub": sub, "seq": seq},
        "mark": {"sub": sub, "seq": seq},
        "closed": {"sub": sub, "reason": "end", "delivered": 0, "skipped": 0},
        "goaway": {"reason": "draining", "deadline_s": 1, "after_ms": 1},
        "dance": {},
    }
    kind = draw(st.sampled_from([*kinds, "event", "event", "event"]))
    return {"type": kind.strip(), **kinds[kind]}


steps = st.lists(
    st.one_of(
        st.just("answer"),
        st.just("cut"),
        st.just("ask"),
        st.just("leave"),
        st.just("consume"),
        st.tuples(small, st.integers(0, 9)),
        st.tuples(small, st.integers(0, 9)),
        server_frames(),
        st.lists(server_frames(), min_size=1, max_size=4),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_a_client_session_shows_each_position_once_and_in_order_whatever_arrives(course: list[Any]) -> None:
    session = ClientSession()
    session.connect()
    shown: dict[int, tuple[str | None, int]] = {}
    over: set[int] = set()
    numbers: dict[int, int] = {}  # of the events on each attachment
    window = 4

    def take(data: bytes) -> bool:
        try:
            happenings = session.receive(data)
        except (ValueError, OutOfStep):
            return False
        for happening in happenings:
            if not isinstance(happening, Delivered):
                continue
            sub, frame = happening.sub, happening.frame
            assert sub not in over
            if frame.type == "event":
                epoch, seq = shown.get(sub, (None, -1))
                assert happening.epoch != epoch or frame.seq > seq, "shown twice, or out of order"
                shown[sub] = (happening.epoch, frame.seq)
            elif frame.type == "snapshot":
                shown[sub] = (happening.epoch, frame.seq)
            elif frame.type in ("closed", "error"):
                over.add(sub)
        return True

    for step in ["ask", "ask", "ask", "answer", *course]:
        match step:
            case "answer":
                for message in session.outgoing():
                    command = decode_command(message)  # whatever happens, it says what a server can read
                    if isinstance(command, Subscribe):
                        numbers[command.sub] = 0
                        reply = {"type": "subscribed", "id": command.id, "sub": command.sub, "epoch": "e1"}
                        take(
                            orjson.dumps(
                                {**reply, "recovery": "live", "after": getattr(command.from_, "seq", 0)}
                            )
                        )
            case "cut":
                session.disconnected(1006)
                session.connect()
            case "ask":
                sub = session.next_sub()
                spec = {"sub": sub, "filter": Filter(modes=("custom",)), "credit": window}
                if sub % 2:
                    session.request(lambda id, spec=spec: Subscribe(id=id, run="r", **spec), window)
                else:
                    specs = (Spec(**spec),)
                    session.request(
                        lambda id, specs=specs: Run(id=id, graph="g", run="r", subscribe=specs), window
                    )
            case "leave" if session.subscriptions:
                sub = min(session.subscriptions)
                session.request(lambda id, sub=sub: Unsubscribe(id=id, sub=sub))
            case "consume":
                for sub, subscription in session.subscriptions.items():
                    if subscription.window is not None and subscription.window.held:
                        session.consumed(sub, "custom")
            case tuple():
                index, seq = step
                if index >= len(numbers):
                    continue
                sub = sorted(numbers)[index]
                numbers[sub] += 1
                event = {"type": "event", "sub": sub, "n": numbers[sub], "seq": seq, "mode": "custom"}
                assert take(orjson.dumps({**event, "data": None}))
            case dict() | list():
                data = orjson.dumps(step)
                assert len(decode_frames(data)) == (len(step) if isinstance(step, list) else 1)
                if not take(data):
                    session.disconnected(1006)
                    session.connect()
    for message in session.outgoing():
        decode_command(message)
    session.request(lambda id: List(id=id, what="runs"))
