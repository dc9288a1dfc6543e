"""A hundred thousand malformed frames do not disturb a healthy run beside them.

About `gateway/graphwire_gateway/connections/connection.py`, `protocol/graphwire_protocol/codec.py` and
`protocol/graphwire_protocol/server.py`.
"""

import asyncio
import random
import re
import threading
from collections import Counter
from typing import Any

import orjson
import pytest

from tests.support.cluster import Cluster
from tests.support.faults.oracle import Cursor, Watched
from tests.support.faults.report import Report
from tests.support.faults.truth import RECORD, Input, story
from tests.support.graphs import OURS, Gate, gated
from tests.support.questions import asker
from tests.support.wire import BINARY, Gone, Wire, packed

pytestmark = pytest.mark.abuse

FRAMES = 160_000
"""Some of them say something legal at the wrong time, or at the right one by chance."""

REFUSED = 100_000
CONNECTIONS = 8
"""Fuzzers at once; each one connects anew whenever it is thrown out."""

FLIGHT = 100
BAD = 8
"""No more of a flight than that is no frame at all: with eleven a connection is over."""

SECRET = "s3cr3t-do-not-echo"
SECRETS = [SECRET, SECRET.swapcase(), SECRET.encode().hex()]

NAMES = ("type", "graph", "run", "thread", "interrupt")
"""Fields whose values an answer may repeat: they say which thing does not exist."""

ASKING = ("a0", "a1", "a2", "a3")
"""Ids of runs that ask."""

TURNED_DOWN = ("state request failed", "exception in a thread's state", "run failed")
"""What is logged of graphs that turn requests down; the client is told no more than an ``error_id``."""

UNAVAILABLE = {"the start of this run was cancelled", "another part of this server has it; ask again"}
"""What is said with the code ``unavailable``: another fuzzer's cancel met a store at work, or two of them
gave one id to runs of threads in two shards.
"""

CODES = {
    "bad_frame",
    "unknown_type",
    "invalid_argument",
    "invalid_filter",
    "unsupported",
    "not_found",
    "conflict",
    "busy",
    "limit_exceeded",
    "rate_limited",
}
"""What the worst of clients may be told; ``internal`` is not among it."""

VALUES: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    2**53,
    2**63,
    1.5,
    -0.0,
    "",
    "x",
    SECRET,
    "\x00",
    "🜲" * 40,
    [],
    [[]],
    [SECRET],
    {},
    {"$bytes": "%"},
    {"$int": SECRET},
    {"$obj": {"$x": SECRET}},
    {"$dance": 1},
    {"type": "ai", "content": SECRET},
    {"a": {"b": [SECRET, {"c": SECRET}]}},
]
NUMBERS = [
    "1e999",
    "-1e999",
    "9" * 400,
    "9" * 5000,
    "1" + "0" * 25,
    "NaN",
    "Infinity",
    "0x10",
    "01",
    "1.",
    "--1",
]


def _spec(draw: random.Random) -> dict[str, Any]:
    filter: dict[str, Any] = {"modes": draw.sample(["custom", "messages", "values", "updates"], 2)}
    if draw.random() < 0.5:
        filter["namespaces"] = [["**"]]
    if draw.random() < 0.3:
        filter[draw.choice(("nodes", "tags", "keys"))] = ["a*", "b?"]
    if draw.random() < 0.2:
        filter["exclude"] = {"tags": ["c"], "nodes": ["\\*"]}
    out = {"sub": draw.randrange(6), "filter": filter}
    if draw.random() < 0.5:
        out["from"] = draw.choice(("start", "now", "snapshot", {"epoch": "e", "seq": draw.randrange(99)}))
    if draw.random() < 0.5:
        out["credit"] = draw.choice((0, 1, 100))
    return out


def _thread(draw: random.Random) -> dict[str, Any]:
    return {"thread": draw.choice(("t0", "t1", "t2"))}


def valid(draw: random.Random) -> dict[str, Any]:
    """Return a frame that is well formed, whatever it does at this place."""
    id = draw.randrange(50)
    # What goes through a graph's saver takes longer than everything else.
    match draw.randrange(12) if draw.random() < 0.85 else draw.randrange(12, 18):
        case 0:
            run = {"type": "run", "id": id, "graph": "gated", "run": draw.choice(("r0", "r1", "r2"))}
            return {**run, "input": {"count": 1}, "subscribe": [_spec(draw)], "on_disconnect": "cancel"}
        case 1 | 2:
            return {"type": "subscribe", "id": id, "run": draw.choice(("r0", "r1", "gone")), **_spec(draw)}
        case 3:
            return {"type": "unsubscribe", "id": id, "sub": draw.randrange(6)}
        case 4:
            return {"type": "credit", "sub": draw.randrange(6), "events": draw.randrange(1, 9)}
        case 5:
            return {"type": "cancel", "id": id, "run": draw.choice(("r0", "r1", "r2"))}
        case 6:
            return {"type": "result", "id": id, "run": "r0"}
        case 7:
            return {"type": "list", "id": id, "what": draw.choice(("runs", "graphs")), "limit": 3}
        case 8:
            return {"type": "ping", "t": draw.randrange(9)}
        case 9:
            return {"type": "hello", "id": id, "token": SECRET}
        case 10:
            return {"type": draw.choice(("watch", "respond", "state", "delete", "auth")), "id": id}
        case 12:
            run = {"type": "run", "id": id, "graph": "asker", "run": draw.choice(ASKING), **_thread(draw)}
            busy = draw.choice(("reject", "enqueue", "interrupt"))
            given = draw.choice(({"input": {"topic": "x"}}, {"command": {"resume": 1}}))
            return {**run, **given, "if_busy": busy, "record": {"modes": ["values", "updates"]}}
        case 13:
            answers = draw.choice(([], [{"interrupt": "i", "value": draw.choice(VALUES[:12])}]))
            partial = draw.random() < 0.5
            return {"type": "respond", "id": id, "run": draw.choice(ASKING), "responses": answers} | (
                {"partial": True} if partial else {}
            )
        case 14:
            kind = draw.choice(("state", "state_history"))
            more = draw.choice(({}, {"checkpoint": "c"}, {"keys": ["said"]}, {"ns": ["a:b"]}))
            return {"type": kind, "id": id, "graph": "asker", **_thread(draw), **more}
        case 15:
            update = {"type": "state_update", "id": id, "graph": "asker", **_thread(draw)}
            return {**update, "values": {"said": [1]}, "as_node": draw.choice(("plan", "done", "nobody"))}
        case 16:
            place = draw.choice(({"run": draw.choice(ASKING)}, {"graph": "asker", **_thread(draw)}))
            return {"type": "delete", "id": id, **place}
        case 17:
            return {"type": "list", "id": id, "what": "threads", "limit": 3}
    return {"type": "credit", "sub": 0, "events": 1}


def _mutated(draw: random.Random, frame: Any) -> Any:
    """Change one place of a frame, somewhere down in it."""
    if isinstance(frame, dict) and frame:
        key = draw.choice(list(frame))
        match draw.randrange(6):
            case 0:
                return {name: value for name, value in frame.items() if name != key}
            case 1:
                return {**frame, draw.choice(("dance", "$dance", "", "credit")): draw.choice(VALUES)}
            case 2 | 3:
                value = draw.choice(VALUES)
                return {**frame, key: "dance" if key in NAMES and isinstance(value, str) else value}
        return frame if key in NAMES else {**frame, key: _mutated(draw, frame[key])}
    if isinstance(frame, list) and frame:
        at = draw.randrange(len(frame))
        return [*frame[:at], _mutated(draw, frame[at]), *frame[at + 1 :]]
    return draw.choice(VALUES)


def _bytes(draw: random.Random, data: bytes) -> bytes:
    """Change bytes, so that most often it is no JSON any more."""
    match draw.randrange(6):
        case 0:
            return data[: draw.randrange(len(data))]
        case 1:
            at = draw.randrange(len(data))
            return data[:at] + bytes([draw.randrange(32, 127)]) + data[at + 1 :]
        case 2:
            at = draw.randrange(len(data))
            return data[:at] + data[at:] * 2
        case 3:
            return re.sub(rb"\d+", draw.choice(NUMBERS).encode(), data, count=1)
        case 4:
            deep = draw.choice((60, 130, 2000))
            return b'{"type":"ping","t":' + b"[" * deep + b"]" * deep + b"}"
    return bytes(draw.choices(range(32, 127), k=draw.randrange(80)))


def frame(draw: random.Random) -> tuple[str, bytes]:
    """Return a kind of frame and the text of one."""
    share = draw.random()
    if share < 0.5:
        return "field", orjson.dumps(_mutated(draw, valid(draw)))
    if share < 0.65:
        return "filter", orjson.dumps({**valid(draw), "filter": _mutated(draw, _spec(draw)["filter"])})
    if share < 0.85:
        return "order", orjson.dumps(valid(draw))
    return "bytes", _bytes(draw, orjson.dumps(valid(draw)))


def last_word(draw: random.Random) -> tuple[str, bytes]:
    """Return what no connection survives, as it goes over the wire."""
    match draw.randrange(4):
        case 0:
            return "binary", packed(orjson.dumps(valid(draw)), BINARY)
        case 1:
            return "utf-8", packed(draw.choice((b'{"type":"\xff"}', b"\xc0\x80", b"\xed\xa0\x80")))
        case 2:
            return "websocket", draw.choice(
                (b"\xff" * 8, packed(b"x", 3), packed(b"x" * 126, 9), b"\x81\x05hello")
            )
    return "too many", b"".join(packed(b"{") for _ in range(11))


def is_frame(text: bytes) -> bool:
    """Whether it is an object with a type, or something that counts as no frame at all."""
    try:
        parsed = orjson.loads(text)
    except ValueError:
        return False
    return isinstance(parsed, dict) and isinstance(parsed.get("type"), str)


class Fuzzer:
    """Sends what is malformed, a flight at a time, and looks at every word that comes back.

    A frame counts as sent once the server has answered a ping behind it, or has closed for it.
    """

    def __init__(self, port: int, seed: int, told: Counter[str], sent: Counter[str]) -> None:
        self._port = port
        self._draw = random.Random(seed)
        self._told = told
        self._sent = sent

    async def main(self, count: int) -> None:
        """Send so many frames that the server takes in."""
        goal = count
        done = 0
        while done < goal:
            wire = await Wire.open(self._port, 10)
            try:
                done += await asyncio.wait_for(self._connection(wire), 30)
            finally:
                wire.abort()

    async def _connection(self, wire: Wire) -> int:
        flight, bad = [("hello", b'{"type":"hello","id":1}')], 0
        while len(flight) < FLIGHT:
            kind, text = frame(self._draw)
            if not is_frame(text):
                bad += 1
                if bad > BAD:
                    continue
            flight.append((kind, text))
        wire.send(*(text for _, text in flight), b'{"type":"ping","t":"fuzzed"}')
        if not await self._read(wire):
            self._told["flights cut short"] += 1
            return 0
        self._sent.update(kind for kind, _ in flight[1:])
        kind, end = last_word(self._draw)
        wire.raw(end)
        assert not await self._read(wire), kind
        self._sent[kind] += 1
        return len(flight)

    async def _read(self, wire: Wire) -> bool:
        """Read until the ping is answered; False if the connection is over."""
        try:
            while True:
                data = await wire.recv()
                self._look(data)
                if b'"t":"fuzzed"' in data:
                    return True
        except Gone as gone:
            end = gone
        assert SECRET not in end.reason
        assert "Traceback" not in end.reason
        self._told[f"closed {end.code}"] += 1
        assert end.code in (1002, 1006, 1007, 4400), end
        return False

    def _look(self, data: bytes) -> None:
        assert b"Traceback" not in data, data[:2000]
        assert b'.py"' not in data, data[:2000]
        if b'"type":"error"' not in data:
            return
        parsed = orjson.loads(data)
        for frame in parsed if isinstance(parsed, list) else [parsed]:
            if frame["type"] == "error":
                self._told[frame["code"]] += 1
                assert frame["code"] in CODES or frame["message"] in UNAVAILABLE, frame
                assert not any(secret in str(frame) for secret in SECRETS), frame


async def _healthy(port: int, is_over: asyncio.Event) -> int:
    """Read run after run, each one whole, until it is over; return how many events there were."""
    report = Report()
    number = 0
    while not is_over.is_set() or number < 2:
        number += 1
        run = Watched(f"healthy{number}", Input(20, 50, 5, 5))
        cursor = Cursor(report, run, 0, "the healthy reader", 64)
        wire = await Wire.open(port, 10)
        start = {"type": "run", "id": 2, "graph": "story", "run": run.id, "input": run.input.fields}
        start |= {"record": RECORD, "subscribe": [cursor.spec(1)]}
        wire.send(b'{"type":"hello","id":1}', orjson.dumps(start))
        try:
            while not cursor.is_over:
                parsed = orjson.loads(await asyncio.wait_for(wire.recv(), 20))
                for frame in parsed if isinstance(parsed, list) else [parsed]:
                    if "sub" in frame:
                        cursor.frame(frame)
                granted = cursor.grant()
                if granted:
                    wire.send(orjson.dumps({"type": "credit", "sub": 1, "events": granted}))
        finally:
            wire.abort()
        assert (run.status, run.head) == ("completed", run.length)
    return report.events


def _threads() -> list[str]:
    """Return the threads but those that a loop keeps for nodes without async code."""
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if not name.startswith("asyncio_")]


async def test_a_hundred_thousand_malformed_frames_end_nothing_and_are_told_nothing(
    serve: Any, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    gate = Gate()
    # Frames are taken in before a store is asked: a tenth of them does for other stores.
    part = 1 if request.config.getoption("--store") == "memory" else 10
    server = await serve(
        {"gated": gated(gate), "story": story(), "asker": asker(OURS)},
        limits={"requests_per_s": 1e6, "request_burst": 1_000_000, "disconnect_grace_s": 0},
        expose_errors=False,
    )
    unhandled: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unhandled.append(context))
    threads = _threads()
    told: Counter[str] = Counter()
    sent: Counter[str] = Counter()
    is_over = asyncio.Event()
    healthy = asyncio.ensure_future(_healthy(server.port, is_over))
    fuzzers = [Fuzzer(server.port, seed, told, sent) for seed in range(CONNECTIONS)]
    await asyncio.gather(*(fuzzer.main(FRAMES // part // CONNECTIONS) for fuzzer in fuzzers))
    is_over.set()
    gate.open()
    assert await healthy > 2_000 // part
    print(dict(sent), dict(told))
    assert sent.total() >= FRAMES // part
    assert sum(told[code] for code in CODES) >= REFUSED // part, told
    assert min(sent.values()) >= 100 // part, sent
    # Nearly every sort of refusal was met, and nothing was a fault of the server.
    assert set(told) >= {"bad_frame", "unknown_type", "invalid_argument", "invalid_filter", "not_found"}
    assert told["flights cut short"] < 20
    assert unhandled == []
    assert _threads() == threads
    errors = [str(record.msg) for record in caplog.records if record.levelname == "ERROR"]
    assert [error for error in errors if not any(word in error for word in TURNED_DOWN)] == []
    if not isinstance(server, Cluster):
        assert not server._committing.done()
