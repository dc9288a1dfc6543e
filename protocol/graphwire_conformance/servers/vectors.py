"""The cases that are written as data: frames with the expected replies, filters, values, transcripts."""

import base64
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from importlib.resources import files
from typing import Any

from websockets.exceptions import ConnectionClosed

from graphwire_conformance.match import Bound, difference, filled
from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.attachment import Attachment
from graphwire_conformance.servers.cases import Case, run, spec, subscribe
from graphwire_conformance.servers.connection import RawConnection, open_connection
from graphwire_conformance.servers.server import ServerUnderTest
from graphwire_conformance.verdict import Skipped, Violation, brief, check

_ANSWERS = ("welcome", "started", "subscribed", "ok", "error", "pong")
_SPENT = 8  # bad frames to send on one connection; a server has to accept ten
_REQUESTS = 150  # requests to send on one connection, fewer than any server's burst

_SUBS = 1_000_000


def data(name: str) -> Any:
    """Return one of the kit's data files."""
    return json.loads((files("graphwire_conformance") / "data" / name).read_text("utf-8"))


class Vectors:
    """Tries vectors over one connection, which it replaces before the server would close it."""

    def __init__(self, server: ServerUnderTest) -> None:
        self._kit = server
        self._connection: RawConnection | None = None
        self._bad = 0
        self._sub = _SUBS

    async def _shared(self) -> RawConnection:
        conn = self._connection
        if conn is not None and (self._bad >= _SPENT or conn.sent > _REQUESTS or conn.socket.close_code):
            await conn.cut()
            conn = None
        if conn is None:
            self._bad = 0
            opened = await open_connection(self._kit.url, strict=False)
            assert isinstance(opened, RawConnection)
            await opened.ask(self._kit.hello(id=1))
            conn = self._connection = opened
        return conn

    async def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            await self._connection.cut()

    async def try_one(self, vector: dict[str, Any], server: ServerUnderTest) -> None:
        """Try one vector."""
        feature, without, needs = (vector.get(name) for name in ("feature", "without", "needs"))
        if feature is not None and feature not in server.features:
            raise Skipped(f"the server has not enabled {feature}")
        if without is not None and without in server.features:
            raise Skipped(f"the server has enabled {without}")
        if needs is not None and not isinstance(server.limits.get(needs), int):
            raise Skipped(f"the server announces no {needs}")
        state = vector.get("state", "open")
        if state == "handshake":
            await self._handshake(vector)
            return
        conn = await self._shared() if state == "open" else await server.connect(greet=False, strict=False)
        if state == "hello":
            await conn.ask(server.hello(id=1))
        self._sub += 2
        bound: Bound = {"$RUN": server.ended_run, "$EPOCH": server.epoch, "$NEW": server.new_id()}
        bound |= {"$SUB": self._sub, "$SUB2": self._sub + 1}
        since = len(conn.frames)
        for message in _messages(vector, bound, server):
            await conn.text(message)
        code: int | None = None
        if "close" in vector:
            code = await conn.wait_closed()
            check(code == vector["close"], vector["rule"], f"close {vector['close']}", f"close {code}")
        expected = filled(vector.get("expect", []), bound)
        try:
            if code is None:
                await self._answered(conn, since, len(expected))
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 1006
            raise Violation(
                vector["rule"], brief(expected), f"the connection was closed with {code}"
            ) from None
        came = [frame for frame in conn.frames[since:] if frame["type"] in _ANSWERS][: None if code else -1]
        self._bad += sum(frame.get("code") == "bad_frame" for frame in came)
        if "expect" in vector:
            _compare(vector, expected, came, bound)

    async def _answered(self, conn: RawConnection, since: int, count: int) -> None:
        """Read until ``count`` replies have arrived, and the pong to a ping sent behind them."""
        await conn.wait_answered()
        pong = conn.frames.pop()
        while sum(frame["type"] in _ANSWERS for frame in conn.frames[since:]) < count:
            try:
                await conn.next(2.0)
            except Violation:
                break
        conn.frames.append(pong)

    async def _handshake(self, vector: dict[str, Any]) -> None:
        opened = await open_connection(
            self._kit.url, protocols=tuple(vector["protocols"]), headers=vector.get("headers")
        )
        if "close" in vector and self._kit.minor >= 1:  # servers of 1.0 answer with a status
            code = await opened.wait_closed() if isinstance(opened, RawConnection) else f"HTTP {opened}"
            check(code == vector["close"], vector["rule"], f"close {vector['close']}", f"{code}")
            return
        status = 101 if isinstance(opened, RawConnection) else opened
        if isinstance(opened, RawConnection):
            await opened.cut()
        check(status == vector["status"], vector["rule"], f"HTTP {vector['status']}", f"HTTP {status}")


def _messages(vector: dict[str, Any], bound: Bound, server: ServerUnderTest) -> list[str | bytes]:
    if "base64" in vector:
        return [base64.b64decode(vector["base64"])]
    if "texts" in vector:
        return list(vector["texts"])
    if "text" in vector:
        return [vector["text"]]
    frames = [vector["send"]] if "send" in vector else vector["frames"]
    out: list[str | bytes] = []
    for frame in frames:
        frame = filled(frame, bound)
        if frame.get("type") == "hello" and server.token is not None and "token" not in frame:
            frame = {**frame, "token": server.token}
        if vector.get("needs") == "max_filter_entries":
            frame["filter"]["nodes"] = ["n"] * (server.limits["max_filter_entries"] + 1)
        elif vector.get("needs") == "max_pattern_chars":
            frame["filter"]["tags"] = ["t" * (server.limits["max_pattern_chars"] + 1)]
        out.append(json.dumps(frame))
    return out


def _compare(vector: dict[str, Any], expected: list[Frame], came: list[Frame], bound: Bound) -> None:
    rule = vector["rule"]
    check(len(came) == len(expected), rule, f"{len(expected)} replies: {brief(expected)}", came)
    for wanted, frame in zip(expected, came, strict=True):
        found = difference(wanted, frame, bound)
        check(found is None, rule, brief(wanted), f"{found}; in {brief(frame)}")
        if frame["type"] == "error":
            found = difference({"message": "<string>", "retry": "<string>"}, frame, bound)
            check(found is None, "9: an error has message and retry", "both", f"{found}; in {brief(frame)}")
    never = vector.get("never")
    check(never is None or never not in json.dumps(came), rule, f"no word of {never!r}", came)


# ── filters, values, transcripts ─────────────────────────────────────────────────────────────────


def label(event: Frame) -> str:
    """Return where an event comes from, in the form that the data uses."""
    path = "/" + "/".join(segment.partition(":")[0] for segment in event.get("ns", ()))
    node = f" {event.get('node')}" if event["mode"] in ("messages", "updates", "tasks") else ""
    return f"{event['mode']} {path}{node}"


def _is_counted(event: Frame) -> bool:
    if event["mode"] == "messages":
        part = event["data"].get("delta") or event["data"].get("message") or {}
        return bool(part.get("content"))
    return bool(event["mode"] != "lifecycle")


async def try_filter(row: dict[str, Any], server: ServerUnderTest) -> None:
    """Apply one filter to the ended run."""
    conn = await server.connect()
    filter = row["filter"]
    if "$TASK" in json.dumps(filter):
        await conn.send(subscribe(server.ended_run, spec(2, "custom", namespaces=[["research"]])))
        found = await conn.closed(2)
        filter = filled(filter, {"$TASK": found.events[1]["ns"][0]})
    await conn.send({"type": "subscribe", "run": server.ended_run, "sub": 1, "filter": filter})
    attachment = await conn.closed(1)
    _compare_filter(row, attachment)


def _compare_filter(row: dict[str, Any], attachment: Attachment) -> None:
    counted = [event for event in attachment.events if _is_counted(event)]
    came = Counter(label(event) for event in counted)
    check(came == row["delivers"], row["rule"], f"{row['delivers']}", f"{dict(came)}")
    cycles = sum(event["mode"] == "lifecycle" for event in attachment.events)
    check(cycles == 2, "3: lifecycle reaches every subscription", "two lifecycle events", f"{cycles}")
    for name, keys in row.get("keys", {}).items():
        seen = [sorted(_state(event)) for event in counted if label(event) == name]
        check(seen == keys, row["rule"], f"{name} with {keys}", f"{seen}")


def _state(event: Frame) -> dict[str, Any]:
    state: dict[str, Any] = event["data"]
    if event["mode"] == "updates":
        (state,) = state.values()
    return state


async def try_value(row: dict[str, Any], server: ServerUnderTest) -> None:
    """Send a value through ``conformance.echo`` and compare what comes back."""
    conn = await server.connect()
    id = server.new_id()
    await conn.send(run("echo", {"value": row["value"]}, spec(1, "custom"), run=id))
    attachment = await conn.closed(1)
    came = [event["data"].get("value") for event in attachment.events if event["mode"] == "custom"]
    _same("3: JSON projection", [row["comes"]], came)
    result = await conn.ask({"type": "result", "run": id})
    _same("2: result", {"value": row["comes"]}, result.get("output"))


def _same(rule: str, expected: Any, came: Any) -> None:
    check(
        json.dumps(expected, sort_keys=True) == json.dumps(came, sort_keys=True), rule, brief(expected), came
    )


async def try_transcript(transcript: dict[str, Any], server: ServerUnderTest) -> None:
    """Replay a conversation: lines to send, and lines that have to arrive, in batches of any size."""
    conn = await server.connect(greet=False)
    bound: Bound = {"$NEW": server.new_id(), "$GONE": "no-such-run"}
    for number, line in enumerate(transcript["lines"]):
        if "send" in line:
            frame = filled(line["send"], bound)
            if frame["type"] == "hello":
                frame = {**server.hello(), **frame}
            await conn.send(frame)
            continue
        rule = f"{transcript['rule']}, line {number + 1}"
        frame = await conn.until(lambda frame: frame["type"] != "mark")
        found = difference(filled(line["come"], bound), frame, bound)
        check(found is None, rule, brief(line["come"]), f"{found}; in {brief(frame)}")


def data_cases(vectors: Vectors) -> Iterator[tuple[str, str, Case]]:
    """Yield every case that is data: its name, its rule, and how to try it."""
    groups: tuple[tuple[str, str, str, Callable[..., Awaitable[None]]], ...] = (
        ("vector", "vectors.json", "vectors", vectors.try_one),
        ("filter", "filters.json", "filters", try_filter),
        ("value", "values.json", "values", try_value),
        ("transcript", "transcripts.json", "transcripts", try_transcript),
    )
    for group, file, key, work in groups:
        for row in data(file)[key]:
            yield f"{group}/{row['name']}", row.get("rule", "3: JSON projection"), partial(work, row)
