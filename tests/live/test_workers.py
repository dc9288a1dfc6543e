"""Workers and gateways as a person runs them: processes that are started, killed and stopped.

About `gateway/graphwire_gateway/serve/workers.py`, `gateway/graphwire_gateway/serve/worker_command.py`,
`gateway/graphwire_gateway/serve/running.py`, `gateway/graphwire_gateway/serve/stop.py`,
`gateway/graphwire_gateway/serve/gateways.py`, `gateway/graphwire_gateway/serve/greeting_lines.py`,
`gateway/graphwire_gateway/serve/options.py` and
`clients/python/graphwire/cli/cluster_demo.py`.
"""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.live.test_command import PROGRAM, run
from tests.support.peer import Peer, everything
from tests.support.processes import started
from tests.support.redis import RedisProcess
from tests.support.redis import program as redis_program
from tests.support.redis_stores import asked
from tests.support.waiting import poll
from tests.support.wire import Gone, Wire

pytestmark = pytest.mark.processes

_DEADLINE_S = 90.0

GRAPHS = """
import asyncio
import os
from typing import TypedDict
from graphwire_runtime import END, START, StateGraph, get_stream_writer, interrupt


class State(TypedDict, total=False):
    answer: str


def part(number):
    async def count(state: State) -> State:
        for index in range(40 * number, 40 * number + 40):
            get_stream_writer()({"i": index})
            await asyncio.sleep(0.02)
        return {}
    return count


building = StateGraph(State)
for number in range(3):
    building.add_node(f"part{number}", part(number))
for before, after in zip([START, "part0", "part1", "part2"], ["part0", "part1", "part2", END]):
    building.add_edge(before, after)
slow = building.compile()


async def die(state: State) -> State:
    os._exit(2)


dies = StateGraph(State).add_node("die", die).add_edge(START, "die").compile()


def ask(state: State) -> State:
    return {"answer": interrupt("which?")}


asks = StateGraph(State).add_node("ask", ask).add_edge(START, "ask").compile()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "graphs.py").write_text(GRAPHS)
    (tmp_path / "broken.py").write_text("import a_package_that_is_not_there\n")
    return tmp_path


class Said:
    """A process of the command line, and what it has printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.text = ""

    async def until(self, words: str) -> str:
        assert self.process.stdout is not None
        while words not in self.text:
            line = await asyncio.wait_for(self.process.stdout.readline(), _DEADLINE_S)
            assert line, self.text
            self.text += line.decode()
        return self.text

    async def end(self, number: int) -> str:
        """Send a signal; return all that was printed once the process has ended well."""
        self.process.send_signal(number)
        return await self.ended(0)

    async def ended(self, code: int) -> str:
        rest, _ = await asyncio.wait_for(self.process.communicate(), _DEADLINE_S)
        self.text += rest.decode()
        assert self.process.returncode == code, self.text
        return self.text

    @property
    def port(self) -> int:
        found = re.search(r"ws://127\.0\.0\.1:(\d+)", self.text)
        assert found
        return int(found[1])


@asynccontextmanager
async def program(folder: Path, *arguments: str) -> AsyncIterator[Said]:
    streams = {"stdout": asyncio.subprocess.PIPE, "stderr": asyncio.subprocess.STDOUT}
    async with started(*PROGRAM, *arguments, cwd=folder, **streams) as process:
        yield Said(process)


async def greeted(port: int) -> Peer:
    peer = Peer(await Wire.open(port))
    assert (await peer.ask(type="hello"))["type"] == "welcome"
    return peer


async def homes(redis: RedisProcess) -> dict[int, dict[str, Any]]:
    """What the home of each shard says of itself."""
    async with asked(redis) as client:
        found = await client.mget([f"graphwire:{shard}:owner" for shard in range(8)])
    return {shard: orjson.loads(owner) for shard, owner in enumerate(found) if owner is not None}


async def pid_of(redis: RedisProcess, run: str) -> int:
    """Return the process that executes a run."""
    async with asked(redis) as client:
        for shard, home in (await homes(redis)).items():
            if await client.exists(f"graphwire:{shard}:{{run:anonymous/{run}}}:log"):
                return int(home["pid"])
    raise AssertionError(f"no log of {run}")


async def followed_to_its_end(port: int, peer: Peer, run: str, epoch: str) -> list[dict[str, Any]]:
    """Follow a run as clients do: whenever the connection ends, come back with the cursor."""
    events: list[dict[str, Any]] = []
    while True:
        try:
            events += [frame for frame in await peer.closed(1) if frame["type"] == "event"]
            peer.wire.abort()
            return events
        except Gone:
            events += peer.events(1)
        cursor = {"epoch": epoch, "seq": events[-1]["seq"]}
        again = partial(_again, port, run, cursor)
        replies = await poll(again, lambda found: found is not None, _DEADLINE_S)
        assert replies[-1] is not None
        peer = replies[-1]


async def _again(port: int, run: str, cursor: dict[str, Any]) -> Peer | None:
    peer = Peer(await Wire.open(port))
    try:
        await peer.ask(type="hello")
        reply = await peer.ask(type="subscribe", run=run, **everything(1, from_=cursor))
    except Gone:
        return None
    if reply["type"] == "subscribed":
        return peer
    assert reply["code"] == "unavailable", reply
    peer.wire.abort()
    return None


async def test_a_worker_that_is_killed_loses_nothing(folder: Path, redis: RedisProcess) -> None:
    command = ("serve", "slow=./graphs.py:slow", "--store", redis.url, "--workers", "2", "--port", "0")
    async with program(folder, *command) as server:
        said = await server.until("Ctrl-C drains")
        assert "2 workers beside it run slow" in said
        assert "passes clients on to workers" in said
        await poll(lambda: _counted(redis), lambda counts: counts == [4, 4], _DEADLINE_S)
        for number in (0, 1):
            await server.until(f" worker={number}")  # whose line it is
        peer = await greeted(server.port)
        begun = await peer.run("slow", {}, everything(1), run="r", thread="t")
        await peer.until(lambda frame: frame.get("data") == {"i": 50})  # in the second step
        os.kill(await pid_of(redis, "r"), signal.SIGKILL)
        events = await followed_to_its_end(server.port, peer, "r", begun["epoch"])
        assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
        lifecycle = [event for event in events if event["mode"] == "lifecycle"]
        statuses = [(event["data"]["status"], event["data"]["attempt"]) for event in lifecycle]
        assert statuses == [("running", 1), ("running", 2), ("completed", 2)]
        again = lifecycle[1]
        valid = [
            event["data"]["i"]
            for event in events
            if event["mode"] == "custom" and not again["data"]["void_after"] < event["seq"] < again["seq"]
        ]
        assert valid == list(range(120))
        await server.until("a worker has ended; another one takes its place")
        await poll(lambda: _counted(redis), lambda counts: counts == [4, 4], _DEADLINE_S)
        said = await server.end(signal.SIGINT)
        assert said.count("draining: runs get") == 1
        assert "Traceback" not in said


async def test_a_worker_that_ends_with_whatever_code_ends_nobody_else(
    folder: Path, redis: RedisProcess
) -> None:
    command = ("serve", "dies=./graphs.py:dies", "--store", redis.url, "--workers", "1", "--port", "0")
    async with program(folder, *command) as server:
        await server.until("Ctrl-C drains")
        peer = await greeted(server.port)
        await peer.send({"type": "run", "id": 1, "graph": "dies", "input": {}, "run": "r"})
        await server.until("a worker has ended; another one takes its place")
        found = await poll(lambda: _there(server.port), lambda peer: peer is not None, _DEADLINE_S)
        assert found[-1] is not None
        ok = await found[-1].poll(lambda ok: ok["status"] == "failed", type="result", run="r")
        assert ok
        await server.end(signal.SIGTERM)


async def _counted(redis: RedisProcess) -> list[int]:
    """Return how many shards each process has."""
    pids = [home["pid"] for home in (await homes(redis)).values()]
    return sorted(pids.count(pid) for pid in set(pids))


async def test_workers_and_gateways_are_commands_of_their_own(folder: Path, redis: RedisProcess) -> None:
    async with program(folder, "serve", "--store", redis.url, "--port", "0") as gateway:
        said = await gateway.until("Ctrl-C drains")
        assert "it waits for workers (workers are missing); start some: graphwire worker --store" in said
        command = ("worker", "asks=./graphs.py:asks", "--store", redis.url)
        async with program(folder, *command) as worker:
            await worker.until("a worker runs asks, for the gateways of redis://127.0.0.1")
            await gateway.until("reason=None")
            peer = await greeted(gateway.port)
            await peer.run("asks", {}, everything(1), run="r", thread="t")
            asking = await peer.until(lambda frame: frame.get("data", {}).get("status") == "interrupted")
            said = await worker.end(signal.SIGTERM)
            assert "Traceback" not in said
        assert await peer.gone() == 1012
        async with program(folder, *command) as worker:
            await worker.until("a worker runs asks")
            await gateway.until("reason='workers are missing'")
            peer = (await poll(lambda: _there(gateway.port), lambda found: found is not None, _DEADLINE_S))[
                -1
            ]
            row = (await peer.ask(type="list", what="runs"))["runs"][0]
            assert row["status"] == "interrupted"
            answer = {"interrupt": row["interrupts"][0], "value": "this"}
            assert (await peer.ask(type="respond", run="r", responses=[answer]))["type"] == "ok"
            ok = await peer.poll(lambda ok: ok["status"] == "completed", type="result", run="r")
            assert ok["output"] == {"answer": "this"}
            assert asking
            await worker.end(signal.SIGINT)
        await gateway.end(signal.SIGTERM)


async def test_groups_of_workers_are_commands_with_a_name(folder: Path, redis: RedisProcess) -> None:
    store = ("--store", redis.url)
    async with (
        program(folder, "serve", "asks=./graphs.py:asks", "--workers", "1", "--port", "0", *store) as server,
        program(folder, "worker", "slow=./graphs.py:slow", "--group", "gpu", *store) as worker,
    ):
        await worker.until("a worker of group 'gpu' runs slow, for the gateways of redis://127.0.0.1")
        await server.until("Ctrl-C drains")
        for graphs, words in (
            (["slow=./graphs.py:slow"], "the group without a name has asks, too, and each of its workers"),
            (
                ["asks=./graphs.py:asks", "slow=./graphs.py:slow"],
                "graph 'slow' belongs to group 'gpu'; leave it out here",
            ),
        ):
            async with program(folder, "worker", *graphs, *store) as refused:
                said = " ".join((await refused.ended(2)).split())
                assert words in said
                assert "redis-cli HDEL graphwire:cluster graph:" in said
        (folder / "named.toml").write_text('[worker]\ngroup = "a b"\n')
        for named in (("--group", "a b"), ("--config", "named.toml")):
            async with program(folder, "worker", "slow=./graphs.py:slow", *named, *store) as refused:
                assert "'a b' is no name of a group" in " ".join((await refused.ended(2)).split())
        peer = await greeted(server.port)
        rows = (await peer.poll(lambda ok: len(ok["graphs"]) == 2, type="list", what="graphs"))["graphs"]
        assert [row["name"] for row in rows] == ["asks", "slow"]
        await worker.end(signal.SIGTERM)
        await server.end(signal.SIGTERM)


async def _there(port: int) -> Peer | None:
    peer = Peer(await Wire.open(port))
    try:
        is_ready = (await peer.ask(type="hello"))["type"] == "welcome"
        if is_ready and (await peer.ask(type="list", what="runs"))["type"] == "ok":
            return peer
    except (Gone, asyncio.TimeoutError):  # it waits for a worker
        pass
    peer.wire.abort()
    return None


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "slow=./graphs.py:slow", "--workers", "2"], "2 workers share a store in Redis"),
        (
            ["serve", "slow=./graphs.py:slow", "--workers", "2", "--store", "sqlite:///x.db"],
            "leave out --workers",
        ),
        (["worker", "slow=./graphs.py:slow"], "workers share a store in Redis, and this one is memory://"),
        (
            ["worker", "slow=./graphs.py:slow", "--store", "redi://x"],
            "store 'redi' is not known; this version has",
        ),
        (["serve", "slow=./graphs.py:slow", "--workers", "0"], "gateways share a store in Redis"),
        (
            ["serve", "slow=./graphs.py:slow", "--workers", "2", "--reload"],
            "leave out --workers while you write",
        ),
        (["worker", "--store", "redis://127.0.0.1:1/0"], "no graphs to serve"),
        (["worker", "slow=./graphs.py:slow", "--store", "redis://127.0.0.1:1/0"], "cannot be reached"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(folder: Path, arguments: list[str], words: str) -> None:
    async with program(folder, *arguments) as process:
        said = " ".join((await process.ended(2)).split())
        assert words in said
        assert "Traceback" not in said


async def test_a_server_whose_workers_cannot_load_their_graphs_ends_and_says_why(
    folder: Path, redis: RedisProcess
) -> None:
    command = ("serve", "broken=./broken.py:graph", "--store", redis.url, "--workers", "2", "--port", "0")
    async with program(folder, *command) as server:
        said = await server.ended(2)
        assert "a_package_that_is_not_there" in said
        assert "a worker cannot serve what it is asked to; it has said why above" in said


async def test_the_demo_kills_a_worker_in_mid_sentence_and_its_run_goes_on(folder: Path) -> None:
    redis_program()  # or there is no such demo
    options = ("--cluster", "--once", "--topic", "penguins", "--port", "0")
    code, out, err = await run(folder, "demo", *options, COLUMNS="80")
    assert code == 0, err
    before, _, after = out.partition("kill -9 ")
    assert "penguins" in before
    assert "summarize:" in before
    assert before.rstrip("\n─ ")[-1] not in ".!?", "it was in mid-sentence"
    assert "completed" not in before
    killed = re.search(r"worker (\d), which executed it, is gone", after)
    assert killed
    assert f"worker {3 - int(killed[1])} goes on with it" in after
    assert "as attempt 2" in after
    _, _, rest = after.partition("is repeated\n")
    assert rest.startswith("summarize:\n")
    assert "✓ summarize\ncompleted: " in rest
    assert max(map(len, out.splitlines())) <= 80


async def test_the_demo_of_several_processes_says_that_it_needs_redis(folder: Path) -> None:
    code, out, err = await run(folder, "demo", "--cluster", "--once", PATH=str(folder))
    assert (code, out) == (1, "")
    assert "needs redis-server" in err
    assert "apt-get install redis-server" in err
    code, _, err = await run(folder, "demo", "--cluster", "--store", "sqlite:///x.db")
    assert code == 2
    assert "a cluster has a store of its own" in err
