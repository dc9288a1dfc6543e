"""Every mistake of a client or a graph is answered with its error code and disturbs nobody else.

About `gateway/graphwire_gateway/connections/connection.py`,
`gateway/graphwire_gateway/connections/dispatch.py`, `gateway/graphwire_gateway/connections/http.py`,
`gateway/graphwire_gateway/failures.py`, `protocol/graphwire_protocol/codec.py` and
`gateway/graphwire_gateway/connections/peer.py`.

Long because it is one list of everything that a peer or a graph can send wrongly.
"""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from typing import Any

import graphwire
import orjson
import pytest

from tests.support.graphs import (
    OURS,
    Counter,
    Gate,
    Library,
    Speaker,
    Stream,
    counter,
    gated,
    library,
    needs_context,
    node,
)
from tests.support.log import Log
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.proxy import Proxy
from tests.support.wire import PING, PROTOCOL, Declined, packed

HELLO = {"type": "hello", "id": 1}


@pytest.fixture
async def bystander(serve, connect) -> AsyncIterator[tuple[Any, Peer]]:
    """A server, and a client with a run that is under way while the test does its worst."""
    gate = Gate()
    server = await serve({"gated": gated(gate, 5, 5), "counter": counter()}, limits={"max_frame_bytes": 8192})
    peer = await connect(server)
    await peer.run("gated", {"count": 1}, everything(1), run="bystander")
    await peer.until(lambda frame: frame.get("data") == {"i": 4})
    yield server, peer
    gate.open()
    frames = await peer.closed(1)
    log = Log(frame for frame in frames if frame["type"] == "event")
    assert [event["data"]["i"] for event in log.events if event["mode"] == "custom"] == list(range(10))
    assert frames[-1]["status"] == "completed"


RUN = {"type": "run", "id": 7, "graph": "counter", "input": {"count": 1}}
SUB = {"type": "subscribe", "id": 7, "sub": 9, "run": "bystander", "filter": {"modes": ["custom"]}}

REFUSED: list[tuple[str, str | Frame, str, str]] = [
    ("not JSON", "{", "bad_frame", ""),
    ("empty", "", "bad_frame", ""),
    ("an array", "[1]", "bad_frame", ""),
    ("a batch of frames", '[{"type":"ping","t":1}]', "bad_frame", ""),
    ("a number", "7", "bad_frame", ""),
    ("no type", '{"id": 7}', "bad_frame", ""),
    ("a type that is no string", '{"id": 7, "type": 7}', "bad_frame", ""),
    ("NaN", '{"type":"ping","t":NaN}', "bad_frame", ""),
    ("a broken escape", '{"type":"ping","t":"\\ud8"}', "bad_frame", ""),
    ("deep nesting", '{"type":"ping","t":' + "[" * 1500 + "]" * 1500 + "}", "bad_frame", ""),
    ("trailing words", '{"type":"ping","t":1} x', "bad_frame", ""),
    ("a type of nobody", {"type": "dance", "id": 7}, "unknown_type", ""),
    ("a second hello", {"type": "hello", "id": 7}, "invalid_argument", ""),
    ("no id", {"type": "run", "graph": "counter"}, "invalid_argument", "id"),
    ("a negative id", {"type": "result", "id": -1, "run": "x"}, "invalid_argument", "id"),
    ("an id beyond 2^53", '{"type":"result","id":9007199254740992,"run":"x"}', "invalid_argument", "id"),
    ("an id that is a float", '{"type":"result","id":1.0,"run":"x"}', "invalid_argument", "id"),
    ("an id that is text", {"type": "result", "id": "7", "run": "x"}, "invalid_argument", "id"),
    ("a run id with a slash", {"type": "result", "id": 7, "run": "a/b"}, "invalid_argument", "run"),
    ("a run id of 129", {"type": "result", "id": 7, "run": "a" * 129}, "invalid_argument", "run"),
    ("an empty run id", {"type": "result", "id": 7, "run": ""}, "invalid_argument", "run"),
    ("a null for an optional field", {**RUN, "run": None}, "invalid_argument", "run"),
    ("an endless integer", '{"type":"run","id":7,"graph":"counter","input":' + "9" * 5000 + "}", "*", ""),
    (
        "an integer beyond 64 bits",
        '{"type":"run","id":7,"graph":"counter","input":' + "9" * 30 + "}",
        "*",
        "",
    ),
    ("a float that overflows", '{"type":"run","id":7,"graph":"counter","input":1e999}', "*", ""),
    ("an unknown tag", {**RUN, "input": {"count": {"$dance": 1}}}, "invalid_argument", "input.count"),
    ("a malformed tag", {**RUN, "input": {"count": {"$bytes": "%"}}}, "invalid_argument", "input.count"),
    ("a stand-in as input", {**RUN, "input": {"$repr": "x", "$type": "y"}}, "invalid_argument", "input"),
    ("a message that is none", {**RUN, "input": {"type": "tool", "content": 3}}, "invalid_argument", "input"),
    ("an unknown graph", {**RUN, "graph": "dance"}, "not_found", ""),
    ("an unknown run", {**SUB, "run": "nobody"}, "not_found", ""),
    ("an unknown mode", {**SUB, "filter": {"modes": ["dance"]}}, "invalid_filter", "filter.modes[0]"),
    ("no modes", {**SUB, "filter": {"modes": []}}, "invalid_filter", "filter.modes"),
    ("modes left out", {**SUB, "filter": {}}, "invalid_filter", "filter.modes"),
    (
        "an unknown filter key",
        {**SUB, "filter": {"modes": ["custom"], "node": ["x"]}},
        "invalid_filter",
        "filter.node",
    ),
    (
        "a null in a filter",
        {**SUB, "filter": {"modes": ["custom"], "tags": None}},
        "invalid_filter",
        "filter.tags",
    ),
    (
        "an unknown key in exclude",
        {**SUB, "filter": {"modes": ["custom"], "exclude": {"keys": ["x"]}}},
        "invalid_filter",
        "filter.exclude.keys",
    ),
    (
        "a star inside a segment",
        {**SUB, "filter": {"modes": ["custom"], "namespaces": [["a*"]]}},
        "invalid_filter",
        "filter.namespaces[0][0]",
    ),
    (
        "a lone backslash",
        {**SUB, "filter": {"modes": ["custom"], "nodes": ["a\\"]}},
        "invalid_filter",
        "filter.nodes[0]",
    ),
    (
        "too many entries",
        {**SUB, "filter": {"modes": ["custom"], "nodes": ["x"] * 65}},
        "limit_exceeded",
        "",
    ),
    (
        "too long a pattern",
        {**SUB, "filter": {"modes": ["custom"], "tags": ["x" * 129]}},
        "limit_exceeded",
        "",
    ),
    ("a cursor that is none", {**SUB, "from": {"epoch": "x"}}, "invalid_argument", "from.seq"),
    ("a word as cursor", {**SUB, "from": "yesterday"}, "invalid_argument", "from"),
    ("negative credit", {**SUB, "credit": -1}, "invalid_argument", "credit"),
    ("a sub of nobody", {"type": "unsubscribe", "id": 7, "sub": 99}, "not_found", ""),
    ("a list of nothing", {"type": "list", "id": 7, "what": "dances"}, "invalid_argument", "what"),
    ("a cursor of a list", {"type": "list", "id": 7, "what": "runs", "cursor": "x"}, "invalid_argument", ""),
    (
        "an endless page",
        {"type": "list", "id": 7, "what": "runs", "limit": 1001},
        "invalid_argument",
        "limit",
    ),
    (
        "a filter of a start",
        {**RUN, "subscribe": [spec(3, "custom"), spec(4, "dance")]},
        "invalid_filter",
        "subscribe[1].filter.modes[0]",
    ),
    ("one sub twice", {**RUN, "subscribe": [spec(3, "custom"), spec(3, "custom")]}, "conflict", ""),
    ("input and command", {**RUN, "command": {"resume": 1}}, "invalid_argument", ""),
    ("a reserved key", {**RUN, "config": {"configurable": {"thread_id": "x"}}}, "invalid_argument", ""),
    ("who one would like to be", {**RUN, "config": {"configurable": {"graphwire_principal": "x"}}}, "*", ""),
    ("a checkpoint by the back door", {**RUN, "config": {"configurable": {"checkpoint_ns": "x"}}}, "*", ""),
    ("a runtime's own key", {**RUN, "config": {"configurable": {"__pregel_send": "x"}}}, "*", ""),
    (
        "an option of nobody's",
        {**RUN, "options": {"durability": "dance"}},
        "invalid_argument",
        "options.durability",
    ),
    ("a recursion limit of 0", {**RUN, "config": {"recursion_limit": 0}}, "invalid_argument", ""),
]


@pytest.mark.parametrize(
    ("message", "code", "path"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
async def test_a_bad_frame_is_answered_and_the_connection_goes_on(
    bystander, connect, message: str | Frame, code: str, path: str
) -> None:
    server, peer = bystander
    text = message if isinstance(message, str) else orjson.dumps(message).decode()
    for each in (await connect(server), peer):
        await each.text(text)
        error = await each.until(lambda frame: frame["type"] == "error")
        assert error["code"] == ("invalid_argument" if code == "*" else code)
        retry = {"limit_exceeded": "after", "rate_limited": "after"}
        assert error["retry"] == retry.get(code, "never")
        if path:
            assert path in [fault["path"] for fault in error["details"]["errors"]]
        if isinstance(message, dict) and message.get("id") == 7:
            assert error["id"] == 7
            # Nothing of it is left: neither the request nor its subscriptions, and no run.
            rows = await each.ask(type="list", what="runs", id=7)
            assert [row["run"] for row in rows["runs"]] == ["bystander"]
            await each.run("counter", {"count": 1}, spec(3, "custom"), id=7, run=f"fine-{id(each)}")
            await each.closed(3)
            rows = await each.ask(type="list", what="runs", status=["running"])
            assert [row["run"] for row in rows["runs"]] == ["bystander"]
            break  # the bystander's own list would tell of the fine run


@pytest.mark.parametrize(
    "first",
    [
        "{",
        '{"type":"ping","t":1}',
        '{"type":"list","id":1,"what":"runs"}',
        '{"type":"hello"}',
        '{"type":"dance"}',
        b"x",
    ],
)
async def test_anything_but_hello_first_closes_with_4400(bystander, connect, first: str | bytes) -> None:
    peer = await connect(bystander[0], hello=False)
    await peer.text(first)
    assert await peer.gone() == 4400
    assert [frame["type"] for frame in peer.frames] == ["error"]


async def test_a_binary_message_closes_with_4400(bystander, connect) -> None:
    peer = await connect(bystander[0])
    await peer.text(b'{"type":"ping","t":1}')
    assert await peer.gone() == 4400


async def test_more_than_ten_bad_frames_close_with_4400(bystander, connect) -> None:
    peer = await connect(bystander[0])
    for _ in range(10):
        await peer.text("{")
    await peer.settled()
    await peer.text("{")
    assert await peer.gone() == 4400
    assert [frame["code"] for frame in peer.frames if frame["type"] == "error"] == ["bad_frame"] * 11


async def test_a_frame_over_the_limit_closes_with_1009_and_one_at_the_limit_does_not(
    bystander, connect
) -> None:
    peer = await connect(bystander[0])
    frame = orjson.dumps({"type": "ping", "t": ""})
    await peer.text((frame[:-2] + b"x" * (8192 - len(frame)) + frame[-2:]).decode())
    await peer.until(lambda frame: frame["type"] == "pong")
    await peer.text((frame[:-2] + b"x" * (8193 - len(frame)) + frame[-2:]).decode())
    assert await peer.gone() == 1009


async def test_no_hello_in_time_closes_with_4408(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"hello_timeout_s": 0.05})
    peer = await connect(server, hello=False)
    assert await peer.gone() == 4408


async def test_a_hello_in_time_is_not_closed(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"hello_timeout_s": 0.5})
    peer = await connect(server)
    with pytest.raises(asyncio.TimeoutError):
        await peer.next(0.7)
    await peer.settled()


@pytest.mark.parametrize("offered", [None, ["graphwire.v2.json"], ["chat", "graphwire.v1"]])
async def test_a_handshake_without_our_subprotocol_gets_400_that_names_it(
    bystander, connect, offered: Any
) -> None:
    with pytest.raises(Declined) as caught:
        await connect(bystander[0], protocols=offered)
    assert caught.value.status == 400
    assert "graphwire.v1.json" in caught.value.body


async def test_the_subprotocol_is_found_among_others(bystander, connect) -> None:
    offered = [("Sec-WebSocket-Extensions", "permessage-deflate")]
    peer = await connect(bystander[0], protocols=["graphwire.v9.json", "graphwire.v1.json"], headers=offered)
    assert peer.wire.headers["sec-websocket-protocol"] == "graphwire.v1.json"
    assert "sec-websocket-extensions" not in peer.wire.headers


@pytest.mark.parametrize(
    ("allowed", "origin", "admitted"),
    [
        (None, None, True),
        (None, "http://localhost:3000", True),
        (None, "http://127.0.0.1:1", True),
        (None, "http://[::1]:1", True),
        (None, "https://evil.example", False),
        (None, "http://localhost.evil.example", False),
        (None, "null", False),
        (None, "http://[", False),
        (["https://app.example"], "https://app.example", True),
        (["https://app.example"], "https://app.example.evil", False),
        (["https://app.example"], "http://localhost:3000", True),
        (["https://app.example"], "http://localhost.evil.example", False),
        (["*"], "https://evil.example", True),
        ([], "http://localhost", False),
        ([], None, True),
    ],
)
async def test_an_origin_that_is_not_allowed_is_closed_with_4403(
    serve, connect, allowed, origin, admitted
) -> None:
    server = await serve({"counter": counter()}, allowed_origins=allowed)
    headers = [] if origin is None else [("Origin", origin)]
    if admitted:
        await connect(server, headers=headers)
        return
    peer = await connect(server, headers=headers, hello=False)
    assert await peer.gone() == 4403
    assert peer.frames == []


async def test_two_origins_are_not_one_that_is_allowed(serve, connect) -> None:
    server = await serve({"counter": counter()})
    origins = [("Origin", "http://localhost"), ("Origin", "https://evil.example")]
    with pytest.raises(Declined) as caught:
        await connect(server, headers=origins)
    assert caught.value.status == 400  # no page sends two


async def test_a_page_that_may_not_connect_takes_no_place_and_learns_why(serve) -> None:
    server = await serve({"counter": counter()}, limits={"max_connections": 1})
    for _ in range(3):
        page = graphwire.connect(server.url, headers={"Origin": "https://evil.example"}, wait=60)
        with pytest.raises(graphwire.CannotConnect, match=r"4403.*allowed_origins"):
            await asyncio.wait_for(page.open(), 10)  # it is final: nothing is tried again
    async with graphwire.connect(server.url) as client:
        assert await client.graphs()


async def test_a_token_is_asked_for_and_never_guessed(serve, connect) -> None:
    server = await serve({"counter": counter()}, tokens={"s3cret": "ann", "s3cret2": "bob"})
    for hello in ({}, {"token": ""}, {"token": "s3cre"}, {"token": "s3cret22"}, {"token": "ann"}):
        peer = await connect(server, hello=False)
        await peer.send({**HELLO, **hello})
        assert await peer.gone() == 4401
        (error,) = peer.frames
        assert (error["code"], error["retry"], error["id"]) == ("unauthenticated", "reauth", 1)
        assert "s3cret" not in str(error)
    peer = await connect(server, token="s3cret2")
    assert peer.frames[0]["principal"] == "bob"


async def test_what_stands_behind_a_refused_hello_is_not_done(serve, connect) -> None:
    server = await serve({"counter": counter()}, tokens={"t": "ann"})
    peer = await connect(server, hello=False)
    await peer.send(HELLO, {**RUN, "run": "sneaked"})
    assert await peer.gone() == 4401
    peer = await connect(server, token="t")
    assert (await peer.ask(type="list", what="runs"))["runs"] == []


@pytest.mark.one_process
async def test_too_many_connections_of_one_principal_get_4429_until_one_leaves(serve, connect) -> None:
    server = await serve(
        {"counter": counter()}, limits={"max_connections": 2}, tokens={"a": "ann", "b": "bob"}
    )
    first, _ = await connect(server, token="a"), await connect(server, token="a")
    third = await connect(server, hello=False)
    await third.send({**HELLO, "token": "a"})
    assert await third.gone() == 4429
    assert third.frames[0]["code"] == "limit_exceeded"
    await connect(server, token="b")
    await first.wire.close()
    while True:  # the place is free once the server has noticed
        again = await connect(server, hello=False)
        reply = await again.ask(**HELLO, token="a")
        if reply["type"] == "welcome":
            break
    await again.settled()


@pytest.mark.one_process
async def test_a_connection_that_has_vanished_makes_room_for_a_newcomer(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"max_connections": 2, "heartbeat_s": 600})
    lively, vanished = await connect(server), await connect(server)
    vanished.wire.transport.pause_reading()  # no FIN, no pong
    loop = asyncio.get_running_loop()
    begin, refused = loop.time(), 0
    while True:
        newcomer = await connect(server, hello=False)
        if (await newcomer.ask(**HELLO))["type"] == "welcome":
            break
        refused += 1
        assert await newcomer.gone() == 4429
        assert loop.time() - begin < 10
    assert refused
    assert (await lively.ask(type="list", what="runs"))["type"] == "ok"
    vanished.wire.transport.resume_reading()
    assert await vanished.gone() == 1006


async def test_a_message_in_endless_fragments_ends_its_connection(bystander, connect) -> None:
    server, _ = bystander
    for fragment in (b"", b" "):
        peer = await connect(server)
        peer.wire.raw(packed(b'{"type":', fin=False))
        for _ in range(5000):
            peer.wire.raw(packed(fragment, 0, fin=False))
        await peer.wire.lost()


async def test_a_message_that_is_never_finished_ends_its_connection(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"message_timeout_s": 0.2})
    quiet, peer = await connect(server), await connect(server)
    peer.wire.raw(packed(b'{"type":', fin=False))
    await peer.wire.lost()
    await quiet.wire.ping()
    quiet.wire.raw(packed(b'{"type":"ping",', fin=False))
    quiet.wire.raw(packed(b'"t":1}', 0))
    assert (await quiet.next())["type"] == "pong"


async def test_a_flood_of_websocket_pings_is_dropped_and_a_few_are_answered(bystander, connect) -> None:
    peer = await connect(bystander[0])
    await asyncio.wait_for(peer.wire.ping(), 5)
    peer.wire.raw(packed(os.urandom(8), PING) * 500)
    assert await peer.gone() == 1006


async def test_requests_beyond_the_rate_are_refused_with_when_to_come_again(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"request_burst": 5, "requests_per_s": 20})
    peer = await connect(server)
    for number in range(8):
        await peer.send({"type": "list", "id": number + 10, "what": "runs"})
    replies = [await peer.answer(number + 10) for number in range(8)]
    assert [reply["type"] for reply in replies[:4]] == ["ok"] * 4
    late = replies[4]
    assert (late["code"], late["retry"]) == ("rate_limited", "after")
    assert 0 < late["after_ms"] <= 50
    assert replies[5]["type"] == "ok"  # it was not read before it was due
    await peer.send({"type": "credit", "sub": 1, "events": 1})  # costs nothing
    await peer.poll(lambda reply: reply["type"] == "ok", type="list", what="runs")


async def test_an_id_and_a_sub_in_use_are_conflicts_and_the_first_ones_live_on(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate)})
    peer = await connect(server)
    await peer.run("gated", {}, spec(1, "custom"), run="r")
    for id, again in enumerate(
        ({**SUB, "sub": 1, "run": "r"}, {**RUN, "graph": "gated", "subscribe": [spec(1, "custom")]}), 50
    ):
        error = await peer.ask(**{**again, "id": id})
        assert (error["code"], error["sub"]) == ("conflict", 1)
    gate.open()
    frames = await peer.closed(1)
    assert [frame["n"] for frame in peer.events(1)] == list(range(1, frames[-1]["delivered"] + 1))
    assert len((await peer.ask(type="list", what="runs"))["runs"]) == 1


async def test_more_subscriptions_than_allowed_are_refused_and_a_free_place_is_used(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate)}, limits={"max_subscriptions": 3})
    peer = await connect(server)
    await peer.run("gated", {}, spec(1, "custom"), spec(2, "custom"), run="r")
    assert (await peer.ask(type="subscribe", run="r", **spec(3, "custom")))["type"] == "subscribed"
    assert (await peer.ask(type="subscribe", run="r", **spec(4, "custom")))["code"] == "limit_exceeded"
    error = await peer.run("gated", {}, spec(4, "custom"), run="r2")
    assert error["code"] == "limit_exceeded"
    assert (await peer.ask(type="unsubscribe", sub=2))["type"] == "ok"
    assert (await peer.ask(type="subscribe", run="r", **spec(4, "custom")))["type"] == "subscribed"
    gate.open()
    for sub in (1, 3, 4):
        await peer.closed(sub)


@pytest.mark.one_process
async def test_more_active_runs_than_allowed_are_refused_until_one_ends(serve, connect) -> None:
    gate = Gate()
    server = await serve(
        {"gated": gated(gate)}, limits={"max_active_runs": 2}, tokens={"a": "ann", "b": "bob"}
    )
    ann, bob = await connect(server, token="a"), await connect(server, token="b")
    await ann.run("gated", {}, spec(1, "custom"), run="r1")
    await ann.run("gated", {}, spec(2, "custom"), run="r2")
    error = await ann.run("gated", {}, run="r3")
    assert (error["code"], error["retry"]) == ("limit_exceeded", "after")
    assert (await ann.run("gated", {}, run="r2"))["created"] is False
    assert (await bob.run("gated", {}, spec(1, "lifecycle"), run="r3"))["created"] is True
    gate.open()
    await ann.closed(1)
    await bob.closed(1)
    assert (await ann.run("gated", {}, spec(3, "lifecycle"), run="r3"))["created"] is True
    await ann.closed(3)


# ── graphs that misbehave ────────────────────────────────────────────────────────────────────────

SECRET = "hunter2-in-an-exception"


async def test_half_an_emoji_in_an_input_is_replaced_and_the_run_goes_through(
    serve: Any, connect: Any
) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    metadata = r'{"title":"\ud83d","\ude00":1}'
    await peer.text(
        rf'{{"type":"run","id":7,"run":"r","graph":"counter","input":{{"count":1}},"metadata":{metadata}}}'
    )
    assert (await peer.answer(7))["type"] == "started"
    row = (await peer.ask(type="list", what="runs"))["runs"][0]
    assert row["metadata"] == {"title": "\ufffd", "\ufffd": 1}


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raise(kind: str) -> None:
    match kind:
        case "exception":
            raise ValueError(SECRET)
        case "surrogate":
            raise ValueError(SECRET + "\ud800")
        case "unspeakable":
            raise Unspeakable(SECRET)
        case "exit":
            raise SystemExit(SECRET)
        case "keyboard":
            raise KeyboardInterrupt(SECRET)
        case "base":
            raise BaseException(SECRET)
        case "cancelled":
            raise asyncio.CancelledError(SECRET)
        case "stop":
            raise StopAsyncIteration(SECRET)
        case "generator":
            raise GeneratorExit(SECRET)


KINDS = [
    "exception",
    "surrogate",
    "unspeakable",
    "exit",
    "keyboard",
    "base",
    "cancelled",
    "stop",
    "generator",
]


def failing(lib: Library, kind: str, events: int) -> Any:
    needs_context(lib)

    async def fail(state: Counter, writer) -> Counter:
        for number in range(events):
            writer({"i": number})
        if events:
            await asyncio.sleep(0)
        _raise(kind)
        return {}

    return node(fail, lib)


# Every two of runner, exposure and number of events meet.
@pytest.mark.parametrize(
    ("runner", "expose", "events"),
    [("inline", True, 0), ("inline", False, 5), ("thread", True, 5), ("thread", False, 0)],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["graphwire_runtime", "langgraph"])
async def test_a_graph_that_raises_ends_its_run_failed_and_tells_no_more_than_it_may(
    serve, connect, name: str, kind: str, events: int, expose: bool, runner: str
) -> None:
    lib = library(name)
    if (name, kind) == ("langgraph", "generator"):
        pytest.skip("LangGraph itself leaves a coroutine behind")
    server = await serve(
        {"bad": failing(lib, kind, events), "counter": counter()}, runner=runner, expose_errors=expose
    )
    peer = await connect(server)
    await peer.run("bad", {"count": 1}, everything(1), run="r")
    frames = await peer.closed(1)
    log = Log(frame for frame in frames if frame["type"] == "event")
    assert [event["data"]["i"] for event in log.events if event["mode"] == "custom"] == list(range(events))
    last = log.events[-1]["data"]
    assert last["status"] == "failed"
    assert last["error"]["code"] == "graph_error"
    assert last["error"]["error_id"]
    told = b"".join(peer.messages)
    if expose and kind in ("exception", "exit", "base"):
        assert SECRET in last["error"]["message"]
        assert last["error"]["type"]
    if not expose:
        assert "type" not in last["error"]
        assert SECRET.encode() not in told
        assert b"Traceback" not in told
    assert await peer.ask(type="result", run="r", id=5) == {"type": "ok", "id": 5, "status": "failed"}
    await peer.run("bad", {"count": 1}, spec(2, "lifecycle"), run="again")
    await peer.closed(2)
    await peer.run("counter", {"count": 10}, everything(3))
    assert (await peer.closed(3))[-1]["status"] == "completed"


async def test_exceptions_in_a_state_are_told_only_where_errors_are_exposed(serve, connect) -> None:
    async def keep(state: Counter) -> dict[str, Any]:
        return {"done": ValueError(SECRET)}

    for expose in (True, False):
        server = await serve({"keep": node(keep)}, expose_errors=expose)
        peer = await connect(server)
        await peer.run("keep", {"count": 1}, spec(1, "updates", "values", "tasks", "debug"), run="r")
        await peer.closed(1)
        result = await peer.ask(type="result", run="r")
        assert result["output"]["done"]["$error"]["error_id"]
        assert (SECRET.encode() in b"".join(peer.messages)) is expose


class Strange:
    def __repr__(self) -> str:
        return "<strange>"


class Worse:
    def __repr__(self) -> str:
        raise RuntimeError(SECRET)


async def test_a_state_that_json_cannot_hold_travels_by_its_stand_ins(serve, connect) -> None:
    import datetime
    import uuid

    loop: list[Any] = []
    loop.append(loop)
    deep: Any = "bottom"
    for _ in range(100):
        deep = [deep]
    values = {
        "repr": Strange(),
        "worse": Worse(),
        "bytes": b"\x00\xff",
        "set": {1},
        "nan": float("nan"),
        "inf": [float("inf"), float("-inf")],
        "big": 2**70,
        "map": {1: "one", (2, 3): "pair"},
        "surrogate": "a\ud800b",
        "cycle": loop,
        "deep": deep,
        "dollar": {"$x": 1},
        "mock": {"type": "ai", "content": "no message"},
        "when": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc),
        "uuid": uuid.UUID(int=1),
        "null": None,
    }

    async def keep(state: Counter) -> dict[str, Any]:
        return {"done": values}

    server = await serve({"keep": node(keep)})
    peer = await connect(server)
    await peer.run("keep", {"count": 1}, spec(1, "updates", "values"), run="r")
    await peer.closed(1)
    update = next(event for event in peer.events(1) if event["mode"] == "updates")["data"]["node"]["done"]
    deepest = update.pop("deep")
    for _ in range(60):
        deepest = deepest[0]
    assert b'"$cut":{"reason":"depth"}' in orjson.dumps(deepest)
    cycle = update.pop("cycle")
    assert cycle == [{"$cut": {"reason": "cycle"}}]
    worse = update.pop("worse")
    assert worse["$type"] == "Worse"
    assert SECRET not in str(worse)
    assert update == {
        "repr": {"$repr": "<strange>", "$type": "Strange"},
        "bytes": {"$bytes": base64.b64encode(b"\x00\xff").decode()},
        "set": {"$set": [1]},
        "nan": {"$float": "nan"},
        "inf": [{"$float": "inf"}, {"$float": "-inf"}],
        "big": {"$int": str(2**70)},
        "map": {"$map": [[1, "one"], [[2, 3], "pair"]]},
        "surrogate": update["surrogate"],
        "dollar": {"$obj": {"$x": 1}},
        "mock": {"$obj": {"type": "ai", "content": "no message"}},
        "when": "2026-01-02T03:04:05+00:00",
        "uuid": "00000000-0000-0000-0000-000000000001",
        "null": None,
    }
    assert update["surrogate"] == "a\ufffdb"
    result = await peer.ask(type="result", run="r")
    assert result["output"]["done"]["set"] == {"$set": [1]}


async def test_an_event_over_the_limit_is_cut_and_the_run_goes_on(serve, connect) -> None:
    async def big(state: Counter) -> dict[str, Any]:
        writer = OURS.get_stream_writer()
        writer("x" * 1998)  # 2,000 bytes as JSON
        writer("x" * 1999)
        model = Speaker(words=["one ", "y" * 3000, " three"])
        await model.ainvoke("speak")
        return {"done": "z" * 3000}

    server = await serve({"big": node(big)}, limits={"max_event_bytes": 2000})
    peer = await connect(server)
    await peer.run("big", {"count": 1}, spec(1, "custom", "messages", "updates", "values"), run="r")
    frames = await peer.closed(1)
    assert frames[-1]["status"] == "completed"
    customs = [event["data"] for event in peer.events(1) if event["mode"] == "custom"]
    assert customs == ["x" * 1998, {"$cut": {"reason": "size", "bytes": 2001}}]
    update = next(event for event in peer.events(1) if event["mode"] == "updates")
    assert update["data"] == {"node": {"done": {"$cut": {"reason": "size", "bytes": 3002}}}}
    assert update["node"] == "node"
    deltas = [event["data"] for event in peer.events(1) if event["mode"] == "messages"]
    assert deltas[0]["delta"]["content"] == "one "
    assert deltas[1]["$cut"]["reason"] == "size"
    assert any(data.get("delta", {}).get("content") == " three" for data in deltas)
    result = await peer.ask(type="result", run="r")
    assert (result["code"], result["details"]["limit"]) == ("too_large", "max_event_bytes")


async def test_a_failure_whose_text_is_endless_is_told_in_short(serve, connect) -> None:
    async def fail(state: Counter) -> Counter:
        raise ValueError("x" * 10_000_000)

    server = await serve({"bad": node(fail)}, expose_errors=True)
    peer = await connect(server)
    await peer.run("bad", {"count": 1}, spec(1, "lifecycle"))
    await peer.closed(1)
    assert len(peer.events(1)[-1]["data"]["error"]["message"]) < 100_000


async def test_a_graph_of_nobody_s_making_may_yield_what_it_likes(serve, connect) -> None:
    async def items(input: Any) -> AsyncIterator[tuple[str, Any]]:
        yield "updates", ["no", "dict"]
        yield "updates", {}
        yield "values", 7
        yield "tasks", {"name": "a", "id": "1"}
        yield "debug", None
        yield "custom", Worse()
        yield "values", {"done": 1, "other": 2}

    server = await serve({"stream": Stream(items)})
    peer = await connect(server)
    await peer.run("stream", {}, everything(1), run="r")
    frames = await peer.closed(1)
    assert frames[-1]["status"] == "completed"
    assert (await peer.ask(type="result", run="r"))["output"] == {"done": 1}


# ── peers that do not read ───────────────────────────────────────────────────────────────────────


async def _deaf(connect: Any, server: Any) -> Peer:
    """A client whose socket holds little, and that reads only when the test does."""
    peer: Peer = await connect(server, buffer=4096, held=0)
    peer.wire.transport.set_write_buffer_limits(1024)
    return peer


async def test_a_client_that_never_reads_is_aborted_and_its_run_lives_on(serve, connect) -> None:
    gate = Gate()
    server = await serve(
        {"counter": counter(), "gated": gated(gate)},
        limits={"send_timeout_s": 0.3, "max_connections": 2, "disconnect_grace_s": 0},
    )
    deaf = await _deaf(connect, server)
    await deaf.run("counter", {"count": 60_000}, spec(1, "custom"), run="r")
    peer = await connect(server)
    await peer.ask(type="subscribe", run="r", **spec(1, "lifecycle"))
    assert (await peer.closed(1))[-1]["status"] == "completed"
    end = asyncio.get_running_loop().time() + 20
    while True:  # its place is free once it was aborted
        other = await connect(server, hello=False)
        if (await other.ask(**HELLO))["type"] == "welcome":
            break
        assert asyncio.get_running_loop().time() < end
    assert await deaf.gone() == 1006


async def test_a_client_that_asks_much_and_reads_nothing_is_aborted_too(serve, connect) -> None:
    server = await serve(
        {"counter": counter()},
        limits={
            "send_timeout_s": 0.3,
            "max_connections": 2,
            "request_burst": 100_000,
            "max_frame_bytes": 1 << 20,
        },
    )
    deaf = await _deaf(connect, server)

    async def ask() -> None:
        while True:
            await deaf.send({"type": "ping", "t": "x" * 100_000})

    asking = asyncio.create_task(ask())
    peer = await connect(server)
    end = asyncio.get_running_loop().time() + 20
    while True:
        other = await connect(server, hello=False)
        if (await other.ask(**HELLO))["type"] == "welcome":
            break
        assert asyncio.get_running_loop().time() < end
    await asyncio.wait([asking], timeout=20)
    assert asking.done()
    assert asking.exception() is not None
    await peer.settled()


async def test_a_slow_reader_that_makes_progress_is_not_aborted(serve, connect) -> None:
    server = await serve({"counter": counter()}, limits={"send_timeout_s": 0.3, "heartbeat_s": 30})
    count = 6000
    async with Proxy(server.port, pace=4096) as proxy:
        slow = await connect(proxy.url)
        await slow.run("counter", {"count": count}, spec(1, "custom"))
        begin = asyncio.get_running_loop().time()
        await slow.closed(1)
        # One batch alone takes longer than what a stuck reader is given.
        assert asyncio.get_running_loop().time() - begin > 0.9
    assert [event["data"]["i"] for event in slow.events(1)[1:-1]] == list(range(count))


@pytest.mark.long
async def test_a_reader_of_a_few_bytes_at_a_time_is_not_aborted(
    serve, connect, caplog: pytest.LogCaptureFixture
) -> None:
    kept = {"log_events": 100_000, "log_bytes": 1 << 30}
    limits = {"send_timeout_s": 1, "heartbeat_s": 600, **kept}
    server = await serve({"counter": counter()}, limits=limits)
    peer = await connect(server)
    await peer.run("counter", {"count": 90_000}, spec(1, "lifecycle"), run="r", record={"modes": ["custom"]})
    await peer.closed(1)
    loop = asyncio.get_running_loop()
    reader = socket.socket()
    # As on the internet: short segments, of which the receiver's kernel acknowledges each.
    reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.setblocking(False)
    try:
        await loop.sock_connect(reader, ("127.0.0.1", server.port))
        head = [
            *("GET /ws HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"),
            *("Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}"),
            f"Sec-WebSocket-Protocol: {PROTOCOL}",
        ]
        subscribe = {"type": "subscribe", "id": 2, "run": "r", **spec(1, "custom")}
        frames = b"".join(packed(orjson.dumps(frame)) for frame in (HELLO, subscribe))
        await loop.sock_sendall(reader, "".join(f"{line}\r\n" for line in (*head, "")).encode() + frames)
        end = loop.time() + 3
        while loop.time() < end:
            assert await asyncio.wait_for(loop.sock_recv(reader, 1024), 5)
            assert "aborted a connection" not in caplog.text  # it would still read what the kernel holds
            await asyncio.sleep(0.1)  # its pace: 10 KiB a second
    finally:
        reader.close()
