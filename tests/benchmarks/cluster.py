"""What many processes on one Redis cost beside one on memory: ``python -m tests.benchmarks.cluster``.

On Linux. It starts a Redis of its own, with a log of its commands (AOF) as in `gateway/deploy/compose.yaml`.
With the argument ``views`` it measures what further viewers of a run cost; each takes one or two minutes on a
quiet machine. All servers are processes of the command line, and are measured in turns, so
that a noisy machine is noisy to all; compare the ratios. CPU is that of each process with all its threads.
"""

import asyncio
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
from redis import Redis
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from tests.benchmarks.__main__ import COUNT, RUNS, streamed
from tests.benchmarks.sqlite import alone
from tests.support.redis import RedisProcess, free_port, redis_server

SHARDS = 8
ROUNDS = 5
PACED = 150  # events of a round, each alone
ALONE = 30  # runs of a round, each alone
SPEAKING = 20  # runs that people watch
SPOKEN = 50  # events of each of them
VIEWERS = 10
REST_S = 3.0
MODES = {"messages": "token", "custom": "custom event"}

_START_S = 90.0
_PROGRAM = [sys.executable, "-c", "from graphwire.cli import main; main()"]
_LIMITS = "[limits]\nrequest_burst = 1000000\nrequests_per_s = 1000000\nmax_connections = 100000\n"
_GRAPHS = """
import asyncio
import time

from tests.benchmarks.graphs import GRAPHS, State
from graphwire_runtime import START, StateGraph, StreamWriter

messages, custom = GRAPHS["messages"]("ours"), GRAPHS["custom"]("ours")


async def write(state: State, writer: StreamWriter) -> State:
    for _ in range(state["count"]):
        await asyncio.sleep(0.01)
        writer({"at": time.monotonic_ns() // 1000})
    return {"text": "done"}


async def speak(state: State, writer: StreamWriter) -> State:
    await asyncio.sleep(10)  # until all listen
    for number in range(state["count"]):
        await asyncio.sleep(0.1)
        writer({"done": number, "total": state["count"]})
    return {"text": "done"}


async def wait(state: State) -> State:
    return await asyncio.Future()


paced = StateGraph(State).add_node(write).add_edge(START, "write").compile()
speaks = StateGraph(State).add_node(speak).add_edge(START, "speak").compile()
waits = StateGraph(State).add_node(wait).add_edge(START, "wait").compile()
"""
_TARGETS = [f"{name}=served.py:{name}" for name in ("messages", "custom", "paced", "speaks", "waits")]


def cpu_ns(pid: int) -> int:
    """Return the CPU time of a process, by its clock (``clock_getcpuclockid``)."""
    return time.clock_gettime_ns((~pid << 3) | 2)


class SetUp:
    """The processes that serve one store. The first is the one that clients connect to."""

    def __init__(self, folder: Path, name: str, workers: int, url: str | None = None) -> None:
        self.name = name
        self.port = free_port()
        self.url = f"ws://127.0.0.1:{self.port}/ws"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        store = "memory://" if url is None else url
        serve = ["serve", *([] if workers else _TARGETS), "--port", str(self.port), "--store", store]
        self._start(folder, "gateway" if workers else "server", serve)
        for number in range(1, workers + 1):
            role = "worker" if workers == 1 else f"worker {number}"
            self._start(folder, role, ["worker", *_TARGETS, "--store", store])

    def _start(self, folder: Path, role: str, arguments: list[str]) -> None:
        path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        with (folder / "log").open("a") as log:
            self.processes[role] = subprocess.Popen(
                [*_PROGRAM, *arguments, "--config", "graphwire.toml"],
                cwd=folder,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def is_ready(self) -> bool:
        """Tell whether clients may come."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def cpu(self) -> dict[str, int]:
        """Return the CPU nanoseconds of each process."""
        return {role: cpu_ns(process.pid) for role, process in self.processes.items()}

    def kill(self) -> None:
        """End the processes."""
        for process in self.processes.values():
            process.kill()
            process.wait()


def wait_for(folder: Path, is_true: Any) -> None:
    """Wait until ``is_true()``."""
    end = time.monotonic() + _START_S
    while not is_true():
        assert time.monotonic() < end, (folder / "log").read_text()
        time.sleep(0.1)


def is_divided(redis: RedisProcess, prefix: str, workers: int) -> bool:
    """Tell whether all workers have the same number of shards."""
    with Redis.from_url(redis.url) as client:
        owners: Any = client.mget([f"{prefix}:{shard}:owner" for shard in range(SHARDS)])
    pids = [json.loads(owner)["pid"] for owner in owners if owner]
    counts = {pid: pids.count(pid) for pid in pids}
    return list(counts.values()) == [SHARDS // workers] * workers


@contextmanager
def folder_with_graphs() -> Iterator[Path]:
    """Yield a folder with the graphs and the settings of the servers."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "served.py").write_text(_GRAPHS)
        (folder / "graphwire.toml").write_text(_LIMITS)
        yield folder


@contextmanager
def opened(redis: RedisProcess, folder: Path, kinds: dict[str, int | None]) -> Iterator[list[SetUp]]:
    """Yield a set-up of each kind, by its number of workers: 0 is one process, None one on memory."""
    with ExitStack() as stack:
        found = []
        for number, (name, workers) in enumerate(kinds.items()):
            url = None if workers is None else f"{redis.url}?prefix=p{number}"
            set_up = SetUp(folder, name, workers or 0, url)
            stack.callback(set_up.kill)
            found.append(set_up)
        for number, set_up in enumerate(found):
            wait_for(folder, set_up.is_ready)
            workers = kinds[set_up.name]
            if workers:
                wait_for(folder, lambda n=number, count=workers: is_divided(redis, f"p{n}", count))
        yield found


async def passed(url: str) -> list[float]:
    """Return the ms from a node's ``writer(..)`` to this process, of events of which each is alone."""
    found = []
    async with connect(url, compression=None, subprotocols=["graphwire.v1.json"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "hello", "id": 0}))
        spec = {"sub": 1, "filter": {"modes": ["custom"]}}
        frame = {"type": "run", "id": 1, "graph": "paced", "input": {"count": PACED}, "subscribe": [spec]}
        await socket.send(json.dumps(frame))
        while True:
            message: Any = orjson.loads(await socket.recv(decode=False))
            now = time.monotonic_ns() // 1000
            for item in message if isinstance(message, list) else [message]:
                if item["type"] == "closed":
                    return found
                if item.get("mode") == "custom":
                    found.append((now - item["data"]["at"]) / 1e3)


Costs = dict[tuple[str, str], list[dict[str, float]]]


def measure_costs(set_ups: list[SetUp], redis_pid: int) -> Costs:
    """Return, for each set-up and mode, the CPU µs per event of each process, in each round."""
    found: Costs = {}
    for number in range(ROUNDS + 1):
        for mode in MODES:
            for set_up in set_ups:
                before = {**set_up.cpu(), "Redis": cpu_ns(redis_pid)}
                seen = asyncio.run(streamed(set_up.url, mode, RUNS, COUNT, graph=mode))
                assert seen >= RUNS * COUNT, f"{set_up.name} lost events: {seen}"
                after = {**set_up.cpu(), "Redis": cpu_ns(redis_pid)}
                spent = {role: (after[role] - before[role]) / 1000 / (RUNS * COUNT) for role in after}
                if number:  # the first warms up
                    found.setdefault((set_up.name, mode), []).append(spent)
    return found


def show_costs(console: Console, set_ups: list[SetUp], costs: Costs) -> None:
    """Print one table of CPU for each mode."""
    for mode, event in MODES.items():
        table = Table(title=f"CPU µs per {event}: {RUNS} runs of {COUNT}, medians of {ROUNDS} rounds")
        for column in ("set-up", "each process", "in sum", "to memory", "Redis"):
            table.add_column(column, justify="left" if column in ("set-up", "each process") else "right")
        sums = {}
        for set_up in set_ups:
            rounds = costs[set_up.name, mode]
            each = {role: statistics.median(spent[role] for spent in rounds) for role in set_up.processes}
            sums[set_up.name] = statistics.median(
                sum(spent[role] for role in set_up.processes) for spent in rounds
            )
            redis = statistics.median(spent["Redis"] for spent in rounds)
            parts = ", ".join(f"{role} {cost:.1f}" for role, cost in each.items())
            total, first = sums[set_up.name], sums[set_ups[0].name]
            shown = "" if set_up.name == "memory" else f"{redis:.1f}"
            table.add_row(set_up.name, parts, f"{total:.1f}", f"{total / first:.2f}", shown)
        console.print(table)


def show_waits(console: Console, set_ups: list[SetUp]) -> None:
    """Measure, and print, what is waited for an event and for a run on idle servers."""
    events: dict[str, list[float]] = {}
    runs: dict[str, list[tuple[float, float]]] = {}
    for _ in range(5):
        for set_up in set_ups:
            events.setdefault(set_up.name, []).extend(asyncio.run(passed(set_up.url)))
            runs.setdefault(set_up.name, []).append(asyncio.run(alone(set_up.url, ALONE, graph="custom")))
    table = Table(title="ms on an idle server: one event at a time, one run at a time")
    for column in ("set-up", "event, p50", "p99", "run begins", "run ends"):
        table.add_column(column, justify="left" if column == "set-up" else "right")
    for name, times in events.items():
        times.sort()
        first, end = (statistics.median(column) for column in zip(*runs[name], strict=True))
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
        table.add_row(name, *(f"{value:.1f}" for value in (p50, p99, first, end)))
    console.print(table)


async def viewed(set_up: SetUp, redis_pid: int, viewers: int) -> dict[str, float]:
    """Return the CPU µs of each process for each event of ``SPEAKING`` runs with so many viewers each.

    Each viewer has a connection of its own, and each run ten events a second, so each event is a message.
    """
    listening = 0
    all_listen = asyncio.Event()

    async def view(run: int, is_first: bool, has_begun: asyncio.Event) -> int:
        nonlocal listening
        async with connect(set_up.url, compression=None, subprotocols=["graphwire.v1.json"]) as socket:  # type: ignore[list-item]
            await socket.send(json.dumps({"type": "hello", "id": 0}))
            spec = {"sub": 1, "filter": {"modes": ["custom"]}}
            name = f"{set_up.name}-{viewers}-{run}-{os.getpid()}".replace(" ", "").replace("+", "")
            frame: dict[str, Any] = {"type": "subscribe", "id": 1, "run": name, **spec}
            if is_first:
                start = {"type": "run", "graph": "speaks", "input": {"count": SPOKEN}, "subscribe": [spec]}
                frame = {**start, "id": 1, "run": name}
            else:
                await has_begun.wait()
            await socket.send(json.dumps(frame))
            seen = 0
            while True:
                message: Any = orjson.loads(await socket.recv(decode=False))
                for item in message if isinstance(message, list) else [message]:
                    if item.get("id") == 1:
                        assert item["type"] in ("started", "subscribed"), item
                        has_begun.set()
                        listening += 1
                        if listening == SPEAKING * viewers:
                            all_listen.set()
                    seen += item.get("mode") == "custom"
                    if item["type"] == "closed":
                        return seen

    begun = [asyncio.Event() for _ in range(SPEAKING)]
    views = [view(run, not number, begun[run]) for number in range(viewers) for run in range(SPEAKING)]
    viewing = asyncio.gather(*views)
    await asyncio.wait(
        {asyncio.ensure_future(all_listen.wait()), viewing}, return_when=asyncio.FIRST_COMPLETED
    )
    before = {**set_up.cpu(), "Redis": cpu_ns(redis_pid)}
    seen = sum(await viewing)
    assert seen == SPEAKING * viewers * SPOKEN, seen
    after = {**set_up.cpu(), "Redis": cpu_ns(redis_pid)}
    return {role: (after[role] - before[role]) / 1000 / (SPEAKING * SPOKEN) for role in after}


def show_views(console: Console, set_ups: list[SetUp], redis_pid: int) -> None:
    """Measure, and print, what a further viewer of a run costs."""
    table = Table(title=f"CPU µs per custom event, {SPEAKING} runs of ten events a second")
    for column in ("set-up", "one viewer", f"{VIEWERS} viewers", "each further viewer"):
        table.add_column(column)
    for set_up in set_ups:
        one, many = (asyncio.run(viewed(set_up, redis_pid, count)) for count in (1, VIEWERS))
        for role, cost in one.items():
            if role == "Redis" and set_up.name == "memory":
                continue  # that is what the others take at rest
            further = (many[role] - cost) / (VIEWERS - 1)
            table.add_row(f"{set_up.name}: {role}", f"{cost:.0f}", f"{many[role]:.0f}", f"{further:.0f}")
    console.print(table)


def show_rest(console: Console, set_ups: list[SetUp]) -> None:
    """Measure, and print, what processes that do nothing cost."""
    before = {set_up.name: set_up.cpu() for set_up in set_ups}
    time.sleep(REST_S)
    console.print("at rest, CPU ms a second:")
    for set_up in set_ups:
        for role, spent in set_up.cpu().items():
            rate = (spent - before[set_up.name][role]) / REST_S / 1e6
            console.print(f"  {set_up.name}: {role} {rate:.1f}")


def main() -> None:
    """Measure and print the tables."""
    console = Console(highlight=False)
    kinds: dict[str, int | None] = {"memory": None, "gateway + 1 worker": 1}
    if sys.argv[1:] != ["views"]:
        kinds = {"memory": None, "Redis, one process": 0, "gateway + 1 worker": 1, "gateway + 2 workers": 2}
    console.print(f"load of the machine before: {os.getloadavg()[0]:.1f}, on {os.cpu_count()} processors")
    with redis_server(appendonly="yes") as redis, folder_with_graphs() as folder:
        with Redis.from_url(redis.url) as client:
            redis_pid = int(client.info("server")["process_id"])  # type: ignore[index]
        with opened(redis, folder, kinds) as set_ups:
            if sys.argv[1:] == ["views"]:
                show_views(console, set_ups, redis_pid)
            else:
                show_costs(console, set_ups, measure_costs(set_ups, redis_pid))
                show_waits(console, set_ups)
                show_rest(console, set_ups)
    console.print(f"load of the machine after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
