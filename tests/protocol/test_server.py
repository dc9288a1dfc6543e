"""The server's session: which frame is legal when, which replies are owed, which limits are enforced.

About `protocol/graphwire_protocol/server.py`.

Long because it is one list of a server session's answers to frames in every state.
"""

import json
from typing import Any

import pytest
from graphwire_protocol.codes import MISUSE
from graphwire_protocol.commands import Command, Hello, Run
from graphwire_protocol.errors import Misuse, Refusal
from graphwire_protocol.limits import AnnouncedLimits
from graphwire_protocol.replies import Goaway, Ok, Pong, Started, Subscribed, Welcome
from graphwire_protocol.server import BAD_FRAMES_A_MINUTE, MAX_HELLO_BYTES, ServerSession

HELLO = {"type": "hello", "id": 0}
PING = {"type": "ping", "t": 1}
FILTER = {"modes": ["values"]}


def run(id: int, *subs: int, **fields: Any) -> dict[str, Any]:
    specs = [{"sub": sub, "filter": FILTER} for sub in subs]
    return {"type": "run", "id": id, "graph": "g", "subscribe": specs, **fields}


def subscribe(id: int, sub: int, **fields: Any) -> dict[str, Any]:
    return {"type": "subscribe", "id": id, "run": "r", "sub": sub, "filter": FILTER, **fields}


def cancel(id: int) -> dict[str, Any]:
    return {"type": "cancel", "id": id, "run": "r"}


def unsubscribe(id: int, sub: int) -> dict[str, Any]:
    return {"type": "unsubscribe", "id": id, "sub": sub}


class Peer:
    """A session under a given clock, spoken to in dicts."""

    def __init__(self, welcomed: bool = True, **allowed: Any) -> None:
        self.session = ServerSession(AnnouncedLimits(**allowed))
        self.now = 1000.0
        if welcomed:
            self.receive(HELLO)
            self.session.reply(welcome(0))

    def receive(self, frame: dict[str, Any] | str | bytes) -> Command:
        data = frame if isinstance(frame, str | bytes) else json.dumps(frame)
        return self.session.receive(data, self.now)

    def refuses(self, frame: dict[str, Any] | str | bytes) -> Refusal:
        with pytest.raises(Refusal) as caught:
            self.receive(frame)
        return caught.value

    def error(self, refusal: Refusal, command: Command | None = None) -> dict[str, Any]:
        out: dict[str, Any] = json.loads(self.session.refuse(refusal, command))
        return out


def welcome(id: int) -> Welcome:
    return Welcome(
        id=id,
        server={"name": "s", "version": "1"},  # type: ignore[arg-type]
        minor=0,
        features=(),
        limits={},
        principal="p",
        durability="none",
    )


def started(id: int) -> Started:
    return Started(id=id, run="r", epoch="e", created=True, status="running")


# ── hello ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("frame", [PING, run(1), cancel(1), {"type": "credit", "sub": 1, "events": 1}])
def test_anything_before_hello_ends_the_connection(frame: dict[str, Any]) -> None:
    refusal = Peer(welcomed=False).refuses(frame)
    assert (refusal.code, refusal.close) == ("bad_frame", MISUSE)
    assert refusal.id == frame.get("id")


@pytest.mark.parametrize(
    "data", ["nonsense", '{"type":"hello"}', '{"type":"no_such","id":1}', '{"type":"watch","id":1}', b"{}"]
)
def test_a_first_frame_that_is_no_valid_hello_ends_the_connection(data: str | bytes) -> None:
    assert Peer(welcomed=False).refuses(data).close == MISUSE


def test_hello_opens_the_connection_once_it_is_answered() -> None:
    peer = Peer(welcomed=False)
    assert peer.receive({**HELLO, "token": "t"}) == Hello(id=0, token="t")
    assert peer.session.state == "opening"
    assert json.loads(peer.session.reply(welcome(0)))["type"] == "welcome"
    assert peer.session.state == "open"


def test_frames_may_come_right_behind_hello() -> None:
    peer = Peer(welcomed=False)
    peer.receive(HELLO)
    assert isinstance(peer.receive(run(1, 5)), Run)
    peer.receive(PING)
    assert peer.refuses("nonsense").close is None
    peer.session.reply(welcome(0))
    peer.session.reply(started(1))


@pytest.mark.parametrize("id", [0, 1])
@pytest.mark.parametrize("welcomed", [True, False])
def test_a_second_hello_is_an_invalid_argument(id: int, welcomed: bool) -> None:
    peer = Peer(welcomed=welcomed)
    if not welcomed:
        peer.receive(HELLO)
    refusal = peer.refuses({"type": "hello", "id": id})
    assert (refusal.code, refusal.id, refusal.close) == ("invalid_argument", id, None)


def test_a_refused_token_is_an_error_of_its_hello() -> None:
    peer = Peer(welcomed=False)
    hello = peer.receive(HELLO)
    error = peer.error(Refusal("unauthenticated", "the token is not known"), hello)
    assert error == {
        "type": "error",
        "id": 0,
        "code": "unauthenticated",
        "message": "the token is not known",
        "retry": "reauth",
    }
    with pytest.raises(Misuse):
        peer.session.reply(welcome(0))


# ── requests and their replies ───────────────────────────────────────────────────────────────────


def test_an_id_is_in_use_until_its_reply_and_free_behind_it() -> None:
    peer = Peer()
    peer.receive(cancel(1))
    refusal = peer.refuses(cancel(1))
    assert (refusal.code, refusal.id) == ("conflict", 1)
    peer.session.reply(Ok(id=1))
    peer.receive(cancel(1))


def test_every_request_gets_exactly_one_reply() -> None:
    peer = Peer()
    command = peer.receive(cancel(1))
    peer.session.reply(Ok(id=1))
    with pytest.raises(Misuse):
        peer.session.reply(Ok(id=1))
    with pytest.raises(Misuse):
        peer.session.refuse(Refusal("internal", "late"), command)
    with pytest.raises(Misuse):
        peer.session.reply(Ok(id=99))


def test_a_run_gets_started_and_then_one_subscribed_for_each_spec() -> None:
    peer = Peer()
    peer.receive(run(1, 5, 6))
    with pytest.raises(Misuse):
        peer.session.reply(Subscribed(id=1, sub=5))
    peer.session.reply(started(1))
    with pytest.raises(Misuse):
        peer.session.reply(started(1))
    peer.session.reply(Subscribed(id=1, sub=5))
    assert peer.refuses(cancel(1)).code == "conflict"
    peer.session.reply(Subscribed(id=1, sub=6))
    with pytest.raises(Misuse):
        peer.session.reply(Subscribed(id=1, sub=6))
    peer.receive(cancel(1))


@pytest.mark.parametrize(
    ("frame", "wrong"),
    [
        (cancel(1), started(1)),
        (subscribe(1, 5), Ok(id=1)),
        (run(1), Ok(id=1)),
        (cancel(1), welcome(1)),
    ],
)
def test_a_reply_of_the_wrong_kind_is_a_misuse_and_leaves_the_debt(frame: dict[str, Any], wrong: Any) -> None:
    peer = Peer()
    command = peer.receive(frame)
    with pytest.raises(Misuse):
        peer.session.reply(wrong)
    assert peer.session.state == "open"
    assert peer.error(Refusal("internal", "m"), command)["id"] == 1


def test_ping_and_credit_open_no_request() -> None:
    peer = Peer(max_open_requests=1)
    for _ in range(5):
        peer.receive(PING)
        peer.receive({"type": "credit", "sub": 99, "events": 1})
    peer.receive(cancel(1))


def test_open_requests_have_a_limit() -> None:
    peer = Peer(max_open_requests=2)
    peer.receive(cancel(1))
    peer.receive(cancel(2))
    refusal = peer.refuses(cancel(3))
    assert (refusal.code, refusal.id) == ("limit_exceeded", 3)
    peer.session.reply(Ok(id=1))
    peer.receive(cancel(3))


def test_an_error_tells_only_what_there_is_to_tell() -> None:
    peer = Peer()
    assert peer.error(Refusal("bad_frame", "m")) == {
        "type": "error",
        "code": "bad_frame",
        "message": "m",
        "retry": "never",
    }
    told = peer.error(Refusal("busy", "m", sub=4, after_ms=5, details={"kind": "thread"}))
    assert (told["sub"], told["after_ms"], told["retry"]) == (4, 5, "after")
    assert told["details"] == {"kind": "thread"}
    assert "after_ms" not in peer.error(Refusal("forbidden", "m", after_ms=5))


# ── subscriptions ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("first", [run(1, 5), subscribe(1, 5)])
@pytest.mark.parametrize("second", [run(2, 5), run(2, 4, 5), subscribe(2, 5)])
def test_a_sub_is_in_use_until_it_is_released(first: dict[str, Any], second: dict[str, Any]) -> None:
    peer = Peer()
    peer.receive(first)
    refusal = peer.refuses(second)
    assert (refusal.code, refusal.id, refusal.sub) == ("conflict", 2, 5)
    peer.session.release(5)
    peer.receive(second)


def test_a_sub_twice_in_one_run_is_a_conflict_and_nothing_of_the_frame_is_taken() -> None:
    peer = Peer()
    refusal = peer.refuses(run(1, 5, 6, 5))
    assert (refusal.code, refusal.sub) == ("conflict", 5)
    peer.receive(run(1, 5, 6))


def test_a_refused_request_gives_up_its_id_and_its_subs() -> None:
    peer = Peer()
    for frame in (run(1, 5, 6), subscribe(1, 5)):
        error = peer.error(Refusal("not_found", "m", details={"kind": "graph"}), peer.receive(frame))
        assert error["id"] == 1
    peer.receive(run(1, 5, 6))


def test_subscriptions_have_a_limit_and_the_whole_frame_is_refused() -> None:
    peer = Peer(max_subscriptions=2)
    assert peer.refuses(run(1, 1, 2, 3)).code == "limit_exceeded"
    peer.receive(run(1, 1))
    refusal = peer.refuses(run(2, 2, 3))
    assert (refusal.code, refusal.id, refusal.sub) == ("limit_exceeded", 2, 3)
    peer.receive(subscribe(3, 2))
    assert peer.refuses(subscribe(4, 3)).code == "limit_exceeded"
    peer.session.release(1)
    peer.receive(subscribe(4, 3))


def test_unsubscribing_from_what_is_not_there_is_not_found() -> None:
    peer = Peer()
    refusal = peer.refuses(unsubscribe(1, 5))
    assert (refusal.code, refusal.details) == ("not_found", {"kind": "sub"})
    peer.receive(subscribe(1, 5))
    peer.receive(unsubscribe(2, 5))


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        (
            run(1) | {"subscribe": [{"sub": 5, "filter": {**FILTER, "nodes": ["a"] * 3}}]},
            "subscribe[0].filter.nodes",
        ),
        (subscribe(1, 5, filter={**FILTER, "tags": ["abcd"]}), "filter.tags[0]"),
    ],
)
def test_a_filter_over_the_limits_is_named_and_nothing_of_the_frame_is_taken(
    frame: dict[str, Any], path: str
) -> None:
    peer = Peer(max_filter_entries=2, max_pattern_chars=3)
    refusal = peer.refuses(frame)
    assert (refusal.code, refusal.id) == ("limit_exceeded", 1)
    assert refusal.details is not None
    assert refusal.details["path"] == path
    peer.receive(run(1, 5))


# ── floods ───────────────────────────────────────────────────────────────────────────────────────


def test_a_burst_is_taken_and_what_is_over_it_is_told_when_to_come_again() -> None:
    peer = Peer(requests_per_s=10, request_burst=3)
    peer.now += 60
    for _ in range(3):
        peer.receive(PING)
    refusal = peer.refuses(cancel(7))
    assert (refusal.code, refusal.id, refusal.after_ms) == ("rate_limited", 7, 100)
    peer.now += 0.09
    assert peer.refuses(cancel(7)).after_ms == 10
    peer.now += 0.01
    peer.receive(cancel(7))
    assert peer.refuses(PING).code == "rate_limited"


def test_a_long_pause_earns_no_more_than_the_burst() -> None:
    peer = Peer(requests_per_s=10, request_burst=2)
    peer.now += 3600
    for _ in range(2):
        peer.receive(PING)
    peer.refuses(PING)


def test_a_clock_that_stands_still_or_goes_back_earns_and_costs_nothing() -> None:
    peer = Peer(requests_per_s=10, request_burst=3)
    peer.now -= 3600
    peer.receive(PING)
    peer.receive(PING)
    assert peer.refuses(PING).after_ms == 100


CREDIT = {"type": "credit", "sub": 1, "events": 1}


def test_credit_has_a_budget_of_its_own_and_is_never_refused() -> None:
    peer = Peer(requests_per_s=10, request_burst=2)
    for _ in range(20):
        peer.receive(CREDIT)
        assert peer.session.pause == 0
    peer.receive(CREDIT)
    assert peer.session.pause == pytest.approx(0.01)
    peer.receive(cancel(7))
    assert peer.session.pause == 0
    for _ in range(10):  # one frame a pause, in the long run
        peer.now += 0.01
        peer.receive(CREDIT)
        assert peer.session.pause == pytest.approx(0.01)


def test_a_peer_over_its_rate_is_read_at_its_rate() -> None:
    peer = Peer(requests_per_s=10, request_burst=1)
    peer.now += 1
    peer.receive(cancel(1))
    assert peer.session.pause == 0
    for _ in range(5):
        peer.refuses(cancel(7))
        assert peer.session.pause == pytest.approx(0.1)
        peer.now += peer.session.pause
        peer.receive(PING)


def test_a_first_message_is_small() -> None:
    session = ServerSession()
    with pytest.raises(Refusal) as caught:
        session.receive("[" * (MAX_HELLO_BYTES + 1), 0)
    assert (caught.value.code, caught.value.close) == ("bad_frame", MISUSE)
    assert f"at most {MAX_HELLO_BYTES} bytes" in caught.value.message


@pytest.mark.parametrize(
    "frame", [{"type": "no_such", "id": 1}, {"type": "cancel", "id": 1}, {"type": "watch", "id": 1}, HELLO]
)
def test_refused_requests_count_as_well(frame: dict[str, Any]) -> None:
    peer = Peer(request_burst=5)
    codes = [peer.refuses(frame).code for _ in range(6)]
    assert "rate_limited" not in codes[:4]
    assert codes[-1] == "rate_limited"


def test_more_than_ten_bad_frames_in_a_minute_end_the_connection() -> None:
    peer = Peer()
    for _ in range(BAD_FRAMES_A_MINUTE):
        assert peer.refuses("nonsense").close is None
        peer.now += 5.9
    assert peer.refuses("nonsense").close == MISUSE


def test_ten_bad_frames_a_minute_may_go_on_for_ever() -> None:
    peer = Peer()
    for _ in range(100):
        assert peer.refuses("nonsense").close is None
        peer.now += 6.1


def test_only_bad_frames_are_counted_as_such() -> None:
    peer = Peer()
    for _ in range(50):
        assert peer.refuses({"type": "no_such", "id": 1}).close is None


def test_a_binary_message_ends_the_connection() -> None:
    refusal = Peer().refuses(json.dumps(PING).encode())
    assert (refusal.code, refusal.close) == ("bad_frame", MISUSE)


# ── the end ──────────────────────────────────────────────────────────────────────────────────────


def test_a_draining_connection_still_serves_its_requests() -> None:
    peer = Peer()
    frame = peer.session.goaway(Goaway(reason="shutdown", deadline_s=30, after_ms=100))
    assert json.loads(frame)["type"] == "goaway"
    assert peer.session.state == "draining"
    peer.receive(cancel(1))
    peer.session.reply(Ok(id=1))
    with pytest.raises(Misuse):
        peer.session.goaway(Goaway(reason="shutdown", deadline_s=30, after_ms=100))


def test_a_server_may_go_away_before_it_has_said_welcome() -> None:
    peer = Peer(welcomed=False)
    peer.receive(HELLO)
    peer.session.goaway(Goaway(reason="shutdown", deadline_s=30, after_ms=100))
    peer.session.reply(welcome(0))
    assert peer.session.state == "draining"


@pytest.mark.parametrize("data", [json.dumps(PING), "nonsense", b""])
def test_a_closed_session_receives_nothing(data: str | bytes) -> None:
    peer = Peer()
    peer.session.close()
    with pytest.raises(Misuse):
        peer.receive(data)


# ── sizes ────────────────────────────────────────────────────────────────────────────────────────


SMALL = AnnouncedLimits(max_event_bytes=1000, max_frame_bytes=1000)


def test_a_reply_that_is_too_large_is_refused_instead_and_the_request_is_answered_once() -> None:
    peer = Peer(max_event_bytes=1000, max_frame_bytes=1000)
    command = peer.receive({"type": "result", "id": 1, "run": "r"})
    assert len(peer.session.reply(Ok(id=1, status="completed", output="x" * (SMALL.largest_message - 100))))
    command = peer.receive({"type": "result", "id": 2, "run": "r"})
    with pytest.raises(Refusal, match="the reply takes") as refused:
        peer.session.reply(Ok(id=2, status="completed", output="x" * SMALL.largest_message))
    error = peer.error(refused.value, command)
    assert (error["code"], error["id"], error["retry"]) == ("too_large", 2, "never")
    assert error["details"]["bytes"] > SMALL.largest_message
    peer.receive({"type": "result", "id": 2, "run": "r"})
    with pytest.raises(Refusal, match="the reply takes"):
        peer.session.pong(Pong(t=["x" * SMALL.largest_message]))


def test_an_error_fits_whatever_it_says() -> None:
    refusal = Refusal("invalid_argument", "m" * 1_000_000, id=1, details={"x": "d" * 1_000_000})
    error = Peer(max_event_bytes=1000, max_frame_bytes=1000).error(refusal)
    assert len(error["message"]) == 4096
    assert "details" not in error


# ── replies that another process has made ────────────────────────────────────────────────────────


def test_a_reply_that_was_made_elsewhere_counts_as_one_of_its_own() -> None:
    peer = Peer()
    peer.receive(run(1, 5, 6))
    assert not peer.session.replied(1, "started")
    assert not peer.session.replied(1, "subscribed")
    assert peer.refuses(cancel(1)).code == "conflict"
    assert peer.session.replied(1, "subscribed")
    peer.receive(cancel(1))
    assert peer.session.replied(1, "ok")


def test_a_reply_from_elsewhere_that_is_not_due_is_a_misuse_and_leaves_the_debt() -> None:
    peer = Peer()
    peer.receive(cancel(1))
    for id, type in ((1, "started"), (2, "ok")):
        with pytest.raises(Misuse):
            peer.session.replied(id, type)
    assert peer.session.replied(1, "ok")


def test_a_refusal_from_elsewhere_frees_the_request_and_its_subscriptions() -> None:
    peer = Peer()
    command = peer.receive(run(1, 5, 6))
    peer.session.refused(command)
    peer.receive(run(1, 5, 6))
    with pytest.raises(Misuse):
        peer.session.refused(peer.session.receive(json.dumps(PING), peer.now) and Hello(id=3))


def test_a_refusal_frees_no_number_that_a_later_request_has_taken() -> None:
    peer = Peer()
    for first in (run(1, 5), subscribe(1, 5), {"type": "watch", "id": 1, "sub": 5}):
        command = peer.receive(first)
        peer.session.release(5)
        later = peer.receive(subscribe(2, 5))
        peer.session.refused(command)
        assert peer.refuses(subscribe(3, 5)).code == "conflict"
        peer.session.refused(later)
