"""The conformance kit: our server and our client pass it, and broken ones fail it by the case's name.

About `protocol/graphwire_conformance/command.py`, `protocol/graphwire_conformance/graphs.py`,
`protocol/graphwire_conformance/match.py`, `protocol/graphwire_conformance/verdict.py`,
`protocol/graphwire_conformance/clients/answers.py`, `protocol/graphwire_conformance/clients/connection.py`,
`protocol/graphwire_conformance/clients/judge.py`, `protocol/graphwire_conformance/clients/losses.py`,
`protocol/graphwire_conformance/clients/scripts.py`, `protocol/graphwire_conformance/clients/stage.py`,
`protocol/graphwire_conformance/servers/cases.py`, `protocol/graphwire_conformance/servers/connection.py`,
`protocol/graphwire_conformance/servers/flow.py`, `protocol/graphwire_conformance/servers/interrupts.py`,
`protocol/graphwire_conformance/servers/judge.py`, `protocol/graphwire_conformance/servers/patching.py`,
`protocol/graphwire_conformance/servers/resumption.py`, `protocol/graphwire_conformance/servers/runs.py`,
`protocol/graphwire_conformance/servers/server.py`, `protocol/graphwire_conformance/servers/slow.py`,
`protocol/graphwire_conformance/servers/thread_objects.py`,
`protocol/graphwire_conformance/servers/threads.py`, `protocol/graphwire_conformance/servers/vectors.py` and
`protocol/graphwire_conformance/servers/watching.py`.

Long because it holds the broken servers and clients that the kit must catch, each a few lines.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from graphwire import Run
from graphwire_conformance import graphs as conformance
from graphwire_conformance.clients import judge as client_kit
from graphwire_conformance.match import difference, filled
from graphwire_conformance.protocol import call_of
from graphwire_conformance.servers import judge as server_kit
from graphwire_conformance.servers.vectors import data
from graphwire_conformance.verdict import SECTIONS, Verdict, as_json, section, wanted
from graphwire_gateway import GraphSpec, Server
from graphwire_protocol import commands
from graphwire_protocol.client import ClientSession, OutOfStep, Subscription
from graphwire_protocol.commands import Spec
from graphwire_protocol.frames import Event, Mark
from websockets.asyncio.client import connect as connect_websocket
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed

from tests.support.cluster import Cluster
from tests.support.peer import Frame
from tests.support.processes import started

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "clients" / "python" / "examples" / "conformance_client.py"
COMMAND = [sys.executable, "-c", "from graphwire.cli import main; main()"]
# Small enough that a log is driven over its limits and a drain is short.
LIMITS = {
    "log_events": 400,
    "log_min_age_s": 0.2,
    "disconnect_grace_s": 0.2,
    "drain_s": 0.3,
    "max_watch_runs": 20,
}


def failed(verdicts: list[Verdict]) -> list[str]:
    return [
        f"{verdict.case}: {verdict.expected}; {verdict.came}" for verdict in verdicts if is_failed(verdict)
    ]


def is_failed(verdict: Verdict) -> bool:
    return verdict.outcome == "failed"


def graphs(runner: str) -> dict[str, Any]:
    return {name: GraphSpec(target, runner) for name, target in conformance.TARGETS.items()}  # type: ignore[arg-type]


# ── ours pass ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_our_server_conforms(serve, runner: str) -> None:
    server: Server = await serve(graphs(runner), limits=LIMITS, tokens={"secret": "somebody"})
    drain = None if isinstance(server, Cluster) else server.drain  # a gateway that goes waits for no run
    verdicts = await server_kit.judge_server(server.url, token="secret", drain=drain)
    assert failed(verdicts) == []
    skipped = {verdict.case for verdict in verdicts if verdict.outcome == "skipped"}
    left_out = ("slow/",) if drain else ("slow/", "drain/")
    assert all("where it is" in case or case.startswith(left_out) for case in skipped), skipped
    assert len(verdicts) > 500


async def test_our_server_conforms_where_it_takes_seconds(serve, request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--store") != "memory":
        pytest.skip("waiting is the same on every store")
    server: Server = await serve(graphs("inline"), limits={"hello_timeout_s": 0.3, "send_timeout_s": 0.6})
    verdicts = await server_kit.judge_server(server.url, only=["slow"], slow=True)
    assert [verdict.outcome for verdict in verdicts] == ["passed"] * 4, failed(verdicts)


async def test_our_client_conforms() -> None:
    verdicts = await client_kit.judge_client(in_process(), jobs=16)
    assert failed(verdicts) == []
    assert len(verdicts) > 50


# ── the data ─────────────────────────────────────────────────────────────────────────────────────


def test_every_case_has_a_name_of_its_own_and_a_rule() -> None:
    for names in (server_kit.names(), client_kit.names()):
        assert len({name for name, _ in names}) == len(names)
        assert [name for name, rule in names if not rule] == []
    assert len(data("vectors.json")["vectors"]) >= 120


def test_every_client_frame_has_vectors_that_it_passes_and_vectors_that_it_fails() -> None:
    good, bad = set(), set()
    for vector in data("vectors.json")["vectors"]:
        sent = vector.get("send") or vector.get("frames", [{}])[0]
        is_bad = any(frame["type"] == "error" for frame in vector.get("expect", []))
        (bad if is_bad else good).add(sent.get("type"))
    frames = {
        "hello",
        "run",
        "subscribe",
        "watch",
        "unsubscribe",
        "credit",
        "cancel",
        "result",
        "list",
        "ping",
        "respond",
        "state",
        "state_history",
        "state_update",
        "delete",
    }
    # What these need to go well is made by cases of their own.
    assert frames <= good | {"unsubscribe", "respond", "state_update", "delete"}
    assert frames - {"watch"} <= bad


def test_what_was_written_down_is_compared_by_what_it_lists() -> None:
    expected: Frame = {"id": 7, "n": "<int>", "x": "<absent>", "rows": [{"a": "$A"}, "<more>"]}
    came = {"id": 7, "n": 3, "rows": [{"a": 1, "b": 2}, 5], "more": None}
    assert difference(expected, came, {}) is None
    assert difference(expected, {**came, "x": None}, {}) == "x is there"
    assert difference(expected, {**came, "n": True}, {}) == "n is True, not <int>"
    assert difference(expected, came, {"$A": 2}) == "rows[0].a is 1, not 2"
    assert difference(expected, {**came, "rows": []}, {}) == "rows has 0 entries, not 1"
    assert filled({"run": "$RUN-2", "sub": "$SUB"}, {"$RUN": "r", "$SUB": 5}) == {"run": "r-2", "sub": 5}


def test_cases_are_chosen_by_name_group_or_glob() -> None:
    assert wanted("filter/one node", ())
    assert wanted("filter/one node", ["filter"])
    assert wanted("filter/one node", ["nothing", "filter/one*"])
    assert not wanted("filter/one node", ["fil"])


# ── a broken server fails ────────────────────────────────────────────────────────────────────────

Tamper = Callable[[Frame], list[Frame]]


class Spoiler:
    """Stands between a client and our server, and spoils what passes."""

    def __init__(self, spoil: Callable[[], Tamper], ask: Tamper = lambda frame: [frame]) -> None:
        self._spoil = spoil
        self._ask = ask

    @contextlib.asynccontextmanager
    async def before(self, server: Server) -> AsyncIterator[str]:
        async def pass_on(socket: ServerConnection) -> None:
            ours = await connect_websocket(
                server.url, subprotocols=["graphwire.v1.json"], compression=None, max_size=None, proxy=None
            )
            spoil = self._spoil()

            async def back() -> None:
                async for message in ours:
                    parsed = json.loads(message)
                    for frame in parsed if isinstance(parsed, list) else [parsed]:
                        for spoiled in spoil(frame):
                            await socket.send(json.dumps(spoiled))
                await socket.close(ours.close_code or 1011)

            returning = asyncio.ensure_future(back())
            try:
                with contextlib.suppress(ConnectionClosed):
                    async for message in socket:
                        for frame in self._asked(message):
                            await ours.send(frame)
            finally:
                ours.transport.abort()
                await asyncio.gather(returning, return_exceptions=True)

        async with serve_websocket(
            pass_on, "127.0.0.1", 0, subprotocols=["graphwire.v1.json"], compression=None, max_size=None
        ) as listener:
            yield f"ws://127.0.0.1:{next(iter(listener.sockets)).getsockname()[1]}/ws"

    def _asked(self, message: Any) -> list[Any]:
        try:
            frame = json.loads(message)
        except ValueError:
            return [message]
        return [json.dumps(asked) for asked in self._ask(frame)] if isinstance(frame, dict) else [message]


def renumbering(spoil: Callable[[Frame], list[Frame]]) -> Callable[[], Tamper]:
    """Spoil events, and cover it up: ``n`` stays dense and ``delivered`` right."""

    def new() -> Tamper:
        counts: dict[int, int] = {}

        def tamper(frame: Frame) -> list[Frame]:
            sub = frame.get("sub", -1)
            if frame["type"] == "subscribed":
                counts[sub] = 0
            elif frame["type"] == "closed":
                return [{**frame, "delivered": counts[sub]}]
            elif frame["type"] == "event":
                out = []
                for spoiled in spoil(frame):
                    counts[sub] += 1
                    out.append({**spoiled, "n": counts[sub]})
                return out
            return [frame]

        return tamper

    return new


def is_number(frame: Frame, number: int) -> bool:
    return frame["mode"] == "custom" and frame["data"] == {"i": number}


def loses(frame: Frame) -> list[Frame]:
    return [] if is_number(frame, 2) else [frame]


def repeats(frame: Frame) -> list[Frame]:
    return [frame, frame] if is_number(frame, 2) else [frame]


def repeats_as_new(frame: Frame) -> list[Frame]:
    return [{**frame, "data": {"i": 1}}] if is_number(frame, 2) else [frame]


def swaps() -> Callable[[Frame], list[Frame]]:
    held: list[Frame] = []

    def swap(frame: Frame) -> list[Frame]:
        if is_number(frame, 2):
            held.append(frame)
            return []
        return [frame, held.pop()] if held and is_number(frame, 3) else [frame]

    return swap


def plainly(spoil: Tamper) -> Callable[[], Tamper]:
    return lambda: spoil


def breaks_n(frame: Frame) -> list[Frame]:
    return [{**frame, "n": frame["n"] + (frame["n"] > 3)}] if frame["type"] == "event" else [frame]


def forgets_meta(frame: Frame) -> list[Frame]:
    return [{name: value for name, value in frame.items() if name != "meta"}]


def tells_meta_always() -> Tamper:
    metas: dict[str, Any] = {}

    def tamper(frame: Frame) -> list[Frame]:
        if frame.get("mode") != "messages":
            return [frame]
        meta = metas.setdefault(call_of(frame["data"]), frame.get("meta"))
        return [{**frame, "meta": meta}]

    return tamper


def is_end(frame: Frame) -> bool:
    return frame["mode"] == "lifecycle" and frame["data"]["status"] in ("completed", "failed", "cancelled")


def ends_twice(frame: Frame) -> list[Frame]:
    return [frame, {**frame, "seq": frame["seq"] + 1}] if is_end(frame) else [frame]


def never_ends(frame: Frame) -> list[Frame]:
    return [] if is_end(frame) else [frame]


def closes_twice(frame: Frame) -> list[Frame]:
    return [frame, frame] if frame["type"] == "closed" else [frame]


def closes_never(frame: Frame) -> list[Frame]:
    return [{**frame, "type": "mark", "seq": frame["seq"]}] if frame["type"] == "closed" else [frame]


def answers_twice(frame: Frame) -> list[Frame]:
    return [frame, frame] if frame["type"] == "ok" else [frame]


def made_everything(frame: Frame) -> list[Frame]:
    return [{**frame, "created": True}] if frame["type"] == "started" else [frame]


def snapshots_elsewhere(frame: Frame) -> list[Frame]:
    return [{**frame, "seq": frame["seq"] + 1}] if frame["type"] == "snapshot" else [frame]


def repeats_values_in_errors(frame: Frame) -> list[Frame]:
    return [{**frame, "message": "what is hush-hush-4711?"}] if frame["type"] == "error" else [frame]


def names_no_path(frame: Frame) -> list[Frame]:
    return [{**frame, "details": {}}] if frame["type"] == "error" else [frame]


def answers_late() -> Tamper:
    """Hold back every pong until the flood is through."""
    is_open: set[int] = set()
    held: list[Frame] = []
    flows = False

    def tamper(frame: Frame) -> list[Frame]:
        nonlocal flows
        flows = flows or frame.get("mode") == "custom"
        if frame["type"] == "subscribed":
            is_open.add(frame["sub"])
        elif frame["type"] == "closed":
            is_open.discard(frame["sub"])
            if not is_open:
                late = held.copy()
                held.clear()
                return [frame, *late]
        elif frame["type"] == "pong" and is_open and flows:
            held.append(frame)
            return []
        return [frame]

    return tamper


def loses_synced(frame: Frame) -> list[Frame]:
    return [] if frame["type"] == "synced" else [frame]


def loses_snapshots(frame: Frame) -> list[Frame]:
    return [] if frame["type"] == "snapshot" else [frame]


def keeps_ghosts(frame: Frame) -> list[Frame]:
    return [] if frame["type"] == "run_gone" else [frame]


_FOUND = "threads/found by title and metadata"


def forgets(type: str) -> Tamper:
    return lambda frame: [] if frame["type"] == type else [frame]


def hides_questions(frame: Frame) -> list[Frame]:
    frame = {name: value for name, value in frame.items() if name != "questions"}
    if isinstance(frame.get("thread"), dict):
        row = frame["thread"]
        frame["thread"] = {name: value for name, value in row.items() if name != "questions"}
    return [frame]


def keeps_keys(frame: Frame) -> list[Frame]:
    if frame.get("type") != "thread_update":
        return [frame]
    kept = {name: value for name, value in frame["metadata"].items() if value is not None}
    return [{**frame, "metadata": kept}]


def deletes_nothing(frame: Frame) -> list[Frame]:
    if frame.get("type") != "delete":
        return [frame]
    return [{"type": "list", "id": frame["id"], "what": "threads"}]


def hides_cuts(frame: Frame) -> list[Frame]:
    return [{name: value for name, value in frame.items() if name != "cut"}]


def keeps_cut_nodes(frame: Frame) -> list[Frame]:
    for row in frame.get("graphs", []):
        for part in row.get("subgraphs", []):
            part["cut"] = True
    return [frame]


def forgets_deeper(frame: Frame) -> list[Frame]:
    for row in frame.get("graphs", []):
        for part in row.get("subgraphs", []):
            part.pop("subgraphs", None)
    return [frame]


def asked_without(field: str) -> Tamper:
    """Leave a field out of every request on its way to the server."""
    return lambda frame: [{name: value for name, value in frame.items() if name != field}]


def as_it_is(frame: Frame) -> list[Frame]:
    return [frame]


def respecced(change: Callable[[Frame], Frame]) -> Tamper:
    """Change every spec on its way to the server."""

    def ask(frame: Frame) -> list[Frame]:
        if frame["type"] == "subscribe":
            return [change(frame)]
        if frame["type"] == "run" and isinstance(frame.get("subscribe"), list):
            return [{**frame, "subscribe": [change(spec) for spec in frame["subscribe"]]}]
        return [frame]

    return ask


def without(name: str) -> Callable[[Frame], Frame]:
    def change(spec: Frame) -> Frame:
        filter = spec.get("filter")
        if not isinstance(filter, dict):
            return spec
        return {**spec, "filter": {key: value for key, value in filter.items() if key != name}}

    return change


def one_too_early(spec: Frame) -> Frame:
    start = spec.get("from")
    if not isinstance(start, dict) or not start.get("seq"):
        return spec
    return {**spec, "from": {**start, "seq": start["seq"] - 1}}


def from_the_head(spec: Frame) -> Frame:
    return {**spec, "from": "now"} if isinstance(spec.get("from"), dict) else spec


def generous(spec: Frame) -> Frame:
    return {**spec, "credit": spec["credit"] + 2} if isinstance(spec.get("credit"), int) else spec


WAITS = ("watch/a run that is deleted", "threads/a watch", "watch/how far runs are")
"""Cases that a spoiler fails by what never comes, for which they wait as long as their patience is."""


async def test_the_spoiler_itself_is_innocent(serve) -> None:
    server = await serve(graphs("inline"), limits=LIMITS)
    async with Spoiler(renumbering(as_it_is)).before(server) as url:
        groups = ["filter", "log", "start", "end", "credit", "resume", "snapshot", "transcript", "cancel"]
        verdicts = await server_kit.judge_server(url, only=groups)
    assert failed(verdicts) == []


@pytest.mark.parametrize(
    ("spoiler", "case"),
    [
        pytest.param(Spoiler(renumbering(loses)), "log/whole and in order", id="loses an event"),
        pytest.param(Spoiler(renumbering(loses)), "resume/cut after every event", id="loses when resuming"),
        pytest.param(Spoiler(renumbering(repeats)), "log/whole and in order", id="repeats an event"),
        pytest.param(Spoiler(renumbering(repeats_as_new)), "log/whole and in order", id="repeats data"),
        pytest.param(Spoiler(renumbering(swaps())), "log/whole and in order", id="reorders two events"),
        pytest.param(Spoiler(plainly(breaks_n)), "log/whole and in order", id="breaks n"),
        pytest.param(Spoiler(plainly(forgets_meta)), "log/meta once", id="forgets meta"),
        pytest.param(
            Spoiler(plainly(forgets_meta)), "resume/cut within two messages", id="forgets meta later"
        ),
        pytest.param(Spoiler(tells_meta_always), "log/meta once", id="tells meta always"),
        pytest.param(Spoiler(renumbering(ends_twice)), "end/completed", id="ends twice"),
        pytest.param(Spoiler(renumbering(ends_twice)), "end/failed", id="fails twice"),
        pytest.param(Spoiler(renumbering(never_ends)), "end/completed", id="never ends"),
        pytest.param(Spoiler(renumbering(never_ends)), "cancel/storm", id="never ends when cancelled"),
        pytest.param(Spoiler(plainly(closes_twice)), "end/completed", id="closes twice"),
        pytest.param(Spoiler(plainly(answers_twice)), "cancel/storm", id="answers twice"),
        pytest.param(Spoiler(plainly(made_everything)), "start/twice", id="says that it made the run twice"),
        pytest.param(
            Spoiler(plainly(made_everything)), "start/racing on two connections", id="two made one run"
        ),
        pytest.param(
            Spoiler(plainly(snapshots_elsewhere)), "resume/another epoch", id="snapshots another place"
        ),
        pytest.param(Spoiler(answers_late), "reader/replies overtake a flood", id="answers behind the flood"),
        pytest.param(Spoiler(plainly(loses_synced)), "resume/another epoch", id="forgets synced"),
        pytest.param(
            Spoiler(plainly(loses_snapshots)), "snapshot/the whole state", id="forgets the snapshot"
        ),
        pytest.param(Spoiler(plainly(loses_snapshots)), "resume/ahead of the head", id="a gap alone"),
        pytest.param(
            Spoiler(plainly(repeats_values_in_errors)),
            "vector/filter/the value is not told",
            id="repeats what was wrong",
        ),
        pytest.param(
            Spoiler(plainly(names_no_path)), "vector/filter/mode unknown", id="names no path of the fault"
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(without("nodes"))), "filter/one node", id="widens nodes"
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(without("exclude"))),
            "filter/exclude a tag",
            id="widens exclude",
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(without("keys"))), "filter/keys of values", id="widens keys"
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(without("namespaces"))),
            "filter/the subgraph alone",
            id="forgets namespaces",
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(without("colour"))),
            "vector/filter/unknown key",
            id="takes what it does not understand",
        ),
        pytest.param(Spoiler(plainly(keeps_cut_nodes)), "list/subgraphs", id="shows what it says is cut"),
        pytest.param(Spoiler(plainly(forgets_deeper)), "list/subgraphs", id="forgets deeper subgraphs"),
        pytest.param(Spoiler(plainly(keeps_ghosts)), "watch/a run that is deleted", id="keeps ghosts"),
        pytest.param(Spoiler(plainly(as_it_is), asked_without("search")), _FOUND, id="finds every title"),
        pytest.param(Spoiler(plainly(forgets("thread_gone"))), "threads/a watch", id="keeps old threads"),
        pytest.param(Spoiler(plainly(hides_questions)), "threads/a watch", id="hides what threads ask"),
        pytest.param(
            Spoiler(plainly(as_it_is), keeps_keys), "threads/metadata is merged", id="removes no key"
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), deletes_nothing),
            "threads/deleted and begun anew",
            id="deletes nothing",
        ),
        pytest.param(
            Spoiler(plainly(hides_questions)), "threads/a name before the first run", id="asks in silence"
        ),
        pytest.param(Spoiler(plainly(hides_cuts)), "watch/a list that is cut", id="hides that a list is cut"),
        pytest.param(
            Spoiler(plainly(as_it_is), asked_without("progress")),
            "watch/how far runs are",
            id="tells no progress",
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(one_too_early)),
            "resume/cut after every event",
            id="resumes one too early",
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(from_the_head)),
            "resume/all cursors in one flight",
            id="resumes at the head",
        ),
        pytest.param(
            Spoiler(plainly(as_it_is), respecced(generous)),
            "credit/exhausted and refilled",
            id="overdraws credit",
        ),
    ],
)
async def test_a_broken_server_fails_by_name(serve, spoiler: Spoiler, case: str) -> None:
    server = await serve(graphs("inline"), limits=LIMITS)
    async with spoiler.before(server) as url:
        patience_s = 1 if case in WAITS else 4
        verdicts = await server_kit.judge_server(url, only=[case], patience_s=patience_s)
    assert [verdict.case for verdict in verdicts if is_failed(verdict)] == [case], verdicts
    told = verdicts[-1]
    assert told.rule
    assert told.expected
    assert told.came


async def test_a_server_without_the_graphs_is_told_so(serve) -> None:
    server = await serve({"conformance.counter": conformance.counter})
    (verdict,) = await server_kit.judge_server(server.url)
    assert is_failed(verdict)
    assert "conformance.values" in (verdict.came or "")


# ── a broken client fails ────────────────────────────────────────────────────────────────────────

Launch = Callable[[dict[str, str]], Awaitable[list[str]]]


def in_process(twist: Callable[[list[Frame]], list[Frame]] = lambda lines: lines) -> Launch:
    """Run the example as the client under test, here; ``twist`` changes what it has shown."""
    found = importlib.util.spec_from_file_location("conformance_client", EXAMPLE)
    assert found is not None
    assert found.loader is not None
    example = importlib.util.module_from_spec(found)
    found.loader.exec_module(example)

    async def launch(variables: dict[str, str]) -> list[str]:
        lines: list[Frame] = []
        await example.follow(variables, lines.append)
        return [json.dumps(line) for line in twist(lines)]

    return launch


@pytest.mark.parametrize(
    ("twist", "case"),
    [
        pytest.param(lambda lines: [*lines[:2], *lines[1:]], "run/one frame a message", id="shows one twice"),
        pytest.param(lambda lines: [*lines[:2], *lines[3:]], "run/one frame a message", id="loses one"),
        pytest.param(
            lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], "run/batches of 7", id="reorders two"
        ),
        pytest.param(
            lambda lines: [line for line in lines if line.get("mode") != "gap"],
            "gap/evicted while away",
            id="hides a gap",
        ),
        pytest.param(
            lambda lines: [*lines[:-1], {"end": "completed"}], "end/failed", id="takes any end for a good one"
        ),
    ],
)
async def test_a_client_that_shows_the_wrong_thing_fails_by_name(
    twist: Callable[[list[Frame]], list[Frame]], case: str
) -> None:
    verdicts = await client_kit.judge_client(in_process(twist), only=[case])
    assert [verdict.case for verdict in verdicts if is_failed(verdict)] == [case], verdicts


def shows_everything(patch: pytest.MonkeyPatch) -> None:
    whole = Subscription.receive

    def receive(self: Subscription, frame: Any) -> Any:
        shown = whole(self, frame)
        return frame if isinstance(frame, Event) else shown

    patch.setattr(Subscription, "receive", receive)


def begins_anew(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Subscription, "position", "start")


def sees_no_holes(patch: pytest.MonkeyPatch) -> None:
    whole = Subscription.receive

    def receive(self: Subscription, frame: Any) -> Any:
        try:
            return whole(self, frame)
        except OutOfStep:
            self._n = frame.n - 1
            return whole(self, frame)

    patch.setattr(Subscription, "receive", receive)


def believes_marks(patch: pytest.MonkeyPatch) -> None:
    whole = Subscription.receive

    def receive(self: Subscription, frame: Any) -> Any:
        return whole(self, frame.model_copy(update={"n": None}) if isinstance(frame, Mark) else frame)

    patch.setattr(Subscription, "receive", receive)


def gives_no_credit(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClientSession, "consumed", lambda self, sub, mode: None)


def is_in_a_hurry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("graphwire.backoff.Backoff.delay", lambda self, attempt, at_least=0.0: 0.0)


def never_gives_up(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("graphwire_protocol.codes.reconnects", lambda code: True)


def answers_one_question(patch: pytest.MonkeyPatch) -> None:
    whole = Run.respond

    async def respond(self: Run, responses: Any = None, **fields: Any) -> Any:
        return await whole(self, dict(list(responses.items())[:1]), **fields)

    patch.setattr(Run, "respond", respond)


def starts_it_once_more(patch: pytest.MonkeyPatch) -> None:
    def attach(self: ClientSession, subscription: Subscription) -> None:
        specs = (Spec(**subscription.spec()),)
        frame = commands.Run(id=self._id(), run=subscription.run, graph="counting", subscribe=specs)
        self._send(frame, resumes=subscription.sub)

    patch.setattr(ClientSession, "_attach", attach)


def forgets_meta_between(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("graphwire.event_reader.EventReader._remember", lambda self, id, meta: meta or {})


@pytest.mark.parametrize(
    ("break_it", "case"),
    [
        pytest.param(shows_everything, "twice/events that were shown", id="shows again what was shown"),
        pytest.param(begins_anew, "cut/after 3 events", id="has no cursor"),
        pytest.param(sees_no_holes, "hole/in n", id="sees no holes"),
        pytest.param(believes_marks, "hole/before a mark", id="believes every mark"),
        pytest.param(gives_no_credit, "credit/a window of 1", id="gives no credit back"),
        pytest.param(is_in_a_hurry, "close/goaway and 1012", id="does not wait as it is told"),
        pytest.param(never_gives_up, "close/4400 is final", id="comes back where it is not wanted"),
        pytest.param(forgets_meta_between, "messages/two at once", id="forgets metadata"),
        pytest.param(
            starts_it_once_more, "forgotten/after 3 events", id="starts what the server has forgotten"
        ),
        pytest.param(answers_one_question, "answer/to two questions", id="answers one of two questions"),
    ],
)
async def test_a_client_that_works_wrongly_fails_by_name(
    monkeypatch: pytest.MonkeyPatch, break_it: Callable[[pytest.MonkeyPatch], None], case: str
) -> None:
    break_it(monkeypatch)
    verdicts = await client_kit.judge_client(in_process(), only=[case], patience_s=0.6, end_s=1.0)
    assert [verdict.case for verdict in verdicts if is_failed(verdict)] == [case], verdicts


# ── as commands ──────────────────────────────────────────────────────────────────────────────────


async def run_command(*arguments: str) -> tuple[int, str]:
    async with started(
        *COMMAND, "conformance", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    ) as process:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert b"Traceback" not in err, err.decode()
    return process.returncode or 0, out.decode()


@pytest.mark.processes
async def test_the_command_judges_a_served_server_and_drains_it() -> None:
    environment = {**os.environ, "GRAPHWIRE_LIMITS__DRAIN_S": "0.3"}
    async with started(
        *[*COMMAND, "serve", "--conformance-graphs", "--port", "0"],
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    ) as serving:
        assert serving.stderr is not None
        told = b""
        while b"ws://" not in told:
            told = await asyncio.wait_for(serving.stderr.readline(), 30)
        url = "ws://" + told.decode().partition("ws://")[2].split()[0].rstrip("'\"")
        code, out = await run_command(
            *["server", url, "--json", "--only", "transcript", "--only", "drain"],
            *["--drain-command", f"kill -TERM {serving.pid}"],
        )
        document = json.loads(out)
        assert code == 0, document
        assert document["conforms"] is True
        assert {case["outcome"] for case in document["cases"]} == {"passed"}
        await asyncio.wait_for(serving.communicate(), 30)


@pytest.mark.processes
async def test_the_command_judges_a_client_that_is_a_command() -> None:
    code, out = await run_command(
        *["client", "--only", "cut/after 3 events", "--only", "gap/while attached", "--"],
        *[sys.executable, str(EXAMPLE)],
    )
    assert code == 0, out
    assert "FAILED" not in out


@pytest.mark.processes
async def test_a_command_that_is_no_client_is_told_what_was_expected() -> None:
    silent = [sys.executable, "-c", "print('{}')"]
    code, out = await run_command("client", "--only", "run/one frame a message", "--", *silent)
    assert code == 1
    assert "run/one frame a message" in out
    assert "expected" in out


def test_the_command_is_plugged_in_by_its_entry_point() -> None:
    found = re.search(r'^conformance = "(.+)"$', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    group = EntryPoint("conformance", found[1], "graphwire.commands").load()
    assert {command.callback.__name__ for command in group.registered_commands} == {"server", "client"}


@pytest.mark.processes
async def test_the_cases_are_listed() -> None:
    (code, servers), (_, clients) = await asyncio.gather(
        run_command("server", "--list"), run_command("client", "--list")
    )
    assert code == 0
    assert "filter/everything\t4.2" in servers
    assert "hole/in n\t3" in clients


def test_the_document_counts() -> None:
    verdicts = [Verdict("a/b", "passed", "1"), Verdict("a/c", "failed", "2", 0.1, "x", "y")]
    document = as_json(verdicts)
    assert (document["conforms"], document["passed"], document["failed"]) == (False, 1, 1)
    assert document["cases"][0] == {
        "case": "a/b",
        "outcome": "passed",
        "rule": "1",
        "seconds": 0.0,
        "section": "connection",
    }


def test_every_rule_stands_in_a_section() -> None:
    rules = {rule for _, rule in [*server_kit.names(), *client_kit.names()]}
    assert {rule for rule in rules if section(rule) not in SECTIONS.values()} == set()
