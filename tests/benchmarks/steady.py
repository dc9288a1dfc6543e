"""A steady load for half an hour, to see that nothing grows: ``make soak-steady`` (Linux).

The server is a process of its own (``steady_server``). Clients come and go; in turns they stream a run,
cancel one, vanish from one, answer one that asks, attach to one, follow a thread, watch, and list. Some hold
one connection for long.

Memory, tasks and descriptors are sampled every 10 s. Twice, after the warm-up and at the end, the load stops
until everything that is kept for a time is gone: then the server must hold what it held before.
``SOAK_MINUTES`` is the length of the load (30), ``SOAK_RATE`` the runs a second (100), of which a machine may
take fewer. It exits with 1 if anything grows.
"""

import asyncio
import contextlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

import graphwire
import orjson

from tests.benchmarks.steady_server import GRAPHS, LIMITS, PRINCIPALS
from tests.support.wire import Gone, Wire

EVERY_S = 10.0
WARM_UP = 0.3  # of the time
USERS = 24
LONG_USERS = 4  # of them, each with one connection for all the time
ACTIONS = 40  # at most, on one connection of another user
THREADS = 5  # of a principal and a graph
QUIET_S = LIMITS.result_ttl_s + LIMITS.interrupt_ttl_s + LIMITS.log_ttl_s + 8
DEADLINE_S = 60.0

MAX_MIB = 8.0
"""What memory may differ by, from the first quiet to the second one and from the first half to the last."""

MAX_MIB_PER_MIN = 0.25
"""The slope that is no growth: at 100 runs a second, 44 bytes a run."""


class Load:
    """What the users do, and how often they did it."""

    def __init__(self, port: int, rate: float) -> None:
        self.url = f"ws://127.0.0.1:{port}/ws"
        self.port = port
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._rate = rate
        self._due = time.monotonic()
        self._is_over = asyncio.Event()
        self._users: list[asyncio.Task[None]] = []
        self._recent: list[str] = []  # of all principals: a foreign one is refused, as it must be

    def begin(self) -> None:
        """Let the users come."""
        self._is_over.clear()
        self._due = time.monotonic()
        self._users = [asyncio.ensure_future(self._user(number)) for number in range(USERS)]

    async def end(self) -> None:
        """Let every user end what it does, then delete all threads."""
        self._is_over.set()
        await asyncio.gather(*self._users)
        for number in range(PRINCIPALS):
            async with graphwire.connect(self.url, token=f"token-{number}") as client:
                await self._until_all_ended(client)
                for lib in GRAPHS:
                    for kind in ("story", "ask"):
                        async for row in client.threads(graph=f"{kind}-{lib}"):
                            await self._until_deleted(client, f"{kind}-{lib}", row.thread)

    async def _until_all_ended(self, client: graphwire.Client) -> None:
        end = time.monotonic() + DEADLINE_S
        while left := [row async for row in client.runs(status=["queued", "running", "interrupted"])]:
            assert time.monotonic() < end, f"these runs do not end: {left}"
            await asyncio.sleep(0.2)

    async def _until_deleted(self, client: graphwire.Client, graph: str, thread: str) -> None:
        end = time.monotonic() + DEADLINE_S
        while time.monotonic() < end:
            try:
                await client.delete(graph=graph, thread=thread)
                return
            except graphwire.Refused as refused:
                if refused.code == "not_found":
                    return
                await asyncio.sleep(0.2)  # its run ends first
        raise AssertionError(f"thread {thread} of {graph} cannot be deleted")

    async def _user(self, number: int) -> None:
        draw = random.Random(number)
        await asyncio.sleep(draw.random())
        while not self._is_over.is_set():
            token = f"token-{number % PRINCIPALS}"
            actions = 1_000_000 if number < LONG_USERS else draw.randrange(1, ACTIONS)
            async with graphwire.connect(self.url, token=token) as client:
                self.done["connections"] += 1
                for _ in range(actions):
                    if self._is_over.is_set():
                        break
                    await self._act(draw, client, token)

    async def _act(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        names, weights = zip(*ACTS.items(), strict=True)
        (act,) = draw.choices(names, weights)
        await self._turn()
        try:
            await asyncio.wait_for(act(self, draw, client, token), DEADLINE_S)
        except (graphwire.RunFailed, graphwire.RunCancelled):
            pass
        except graphwire.Refused as refused:
            self.refused[f"{act.__name__}: {refused.code}"] += 1
        except asyncio.TimeoutError:
            raise AssertionError(f"{act.__name__} did not end within {DEADLINE_S:g} s") from None
        self.done[act.__name__] += 1

    async def _turn(self) -> None:
        """Keep to the rate; what was missed is not made up for."""
        now = time.monotonic()
        self._due = max(self._due + 1 / self._rate, now - 0.1)
        await asyncio.sleep(max(0.0, self._due - now))

    async def _start(
        self, draw: random.Random, client: graphwire.Client, kind: str, **fields: Any
    ) -> graphwire.Run:
        graph = f"{kind}-{draw.choice(GRAPHS)}"
        if kind in ("story", "ask") and draw.random() < 0.5:
            fields["thread"] = f"thread-{draw.randrange(THREADS)}"
            fields["if_busy"] = draw.choice(("enqueue", "interrupt"))
            if draw.random() < 0.2:
                with contextlib.suppress(graphwire.Refused):
                    await client.delete(graph=graph, thread=fields["thread"])
        run = await client.run(graph, {"text": "once"}, modes=["custom", "values"], **fields)
        self.done["runs"] += 1
        self._recent = [*self._recent[-50:], run.id]
        return run

    async def stream(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        async for _ in await self._start(draw, client, draw.choice(("story", "story", "story", "fail"))):
            pass

    async def result(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        await (await self._start(draw, client, draw.choice(("story", "fail")))).result()

    async def cancel(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        run = await self._start(draw, client, "wait")
        await asyncio.sleep(draw.random() / 20)
        await run.cancel("the soak")
        async for _ in run:
            pass

    async def leave(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        """Vanish in mid-run: no close frame, not even a word to the run."""
        try:
            wire = await Wire.open(self.port)
            hello = {"type": "hello", "id": 1, "token": token}
            run = {"type": "run", "id": 2, "graph": f"wait-{draw.choice(GRAPHS)}", "input": {}}
            run["on_disconnect"] = draw.choice(("cancel", "continue"))
            watch = {"type": "watch", "id": 3, "sub": 9}
            run["subscribe"] = [{"sub": 1, "filter": {"modes": ["values"]}}]
            wire.send(*map(orjson.dumps, (hello, run, watch)))
            for _ in range(draw.randrange(3)):
                await wire.recv()
        except Gone as gone:
            self.refused[f"leave: {gone.code}"] += 1
        else:
            self.done["runs"] += 1
            wire.abort()

    async def answer(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        run = await self._start(draw, client, "ask")
        async for _ in run:
            pass
        if draw.random() < 0.8 and run.interrupts:
            await run.answer("yes")
            await run.result()

    async def attach(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        run = await client.attach(draw.choice(self._recent or ["none"]))
        seen = 0
        async for _ in run:
            seen += 1
            if seen == 10:
                await run.detach()
                break

    async def follow(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        run = await self._start(draw, client, "story")
        graph, thread = f"story-{draw.choice(GRAPHS)}", f"thread-{draw.randrange(THREADS)}"
        follower = client.follow(graph, thread, modes=["custom"])
        with contextlib.suppress(asyncio.TimeoutError):
            for _ in range(5):
                await asyncio.wait_for(follower.__anext__(), 0.1)
        await follower.aclose()
        await run.detach()

    async def watch(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        rows = client.watch(progress=draw.random() < 0.5)
        await self._start(draw, client, "story")
        over = asyncio.ensure_future(self._is_over.wait())
        for _ in range(draw.randrange(1, 10)):
            row = asyncio.ensure_future(rows.__anext__())
            await asyncio.wait([row, over], return_when=asyncio.FIRST_COMPLETED)
            if over.done() and row.cancel():  # nobody starts a run any more
                break
            row.result()
        await asyncio.wait([row])
        over.cancel()
        await rows.aclose()  # type: ignore[attr-defined]

    async def look(self, draw: random.Random, client: graphwire.Client, token: str) -> None:
        _ = [row async for row in client.runs(limit=20)]
        graph = f"story-{draw.choice(GRAPHS)}"
        thread = f"thread-{draw.randrange(THREADS)}"
        _ = [row async for row in client.threads(graph=graph)], await client.state(graph, thread)
        _ = [row async for row in client.state_history(graph, thread, limit=5)]


Act = Callable[[Load, random.Random, graphwire.Client, str], Coroutine[Any, Any, None]]

ACTS: dict[Act, int] = {
    Load.stream: 40,
    Load.result: 15,
    Load.cancel: 10,
    Load.leave: 10,
    Load.answer: 10,
    Load.attach: 5,
    Load.follow: 3,
    Load.watch: 3,
    Load.look: 4,
}


class Server:
    """The process under the load."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.benchmarks.steady_server"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the server has ended"
        return line

    async def held(self, question: str = "") -> dict[str, Any]:
        """Return what the server holds now."""

        def ask() -> dict[str, Any]:
            assert self.process.stdin is not None
            self.process.stdin.write(f"{question}\n")
            self.process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._line())
            return answer

        held = await asyncio.to_thread(ask)
        return {"memory": memory_mib(self.process.pid), "client memory": memory_mib(os.getpid()), **held}


def memory_mib(pid: int) -> float:
    """Return the resident memory of a process."""
    with open(f"/proc/{pid}/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def slope(points: list[tuple[float, float]]) -> float:
    """Return the growth a minute of (seconds, value)."""
    if len(points) < 3:
        return 0.0
    return 60 * statistics.linear_regression(*zip(*points, strict=True)).slope


def growths(samples: list[tuple[float, dict[str, Any]]], quiet: list[dict[str, Any]]) -> list[str]:
    """Return a sentence about each thing that grows: under the load, or from one quiet to the next."""
    found = []
    half = len(samples) // 2
    for name in ("memory", "client memory", "tasks", "descriptors", "os threads"):
        values = [held[name] for _, held in samples]
        first, last = statistics.median(values[:half]), statistics.median(values[half:])
        rate = slope([(at, held[name]) for at, held in samples])
        is_memory = "memory" in name
        bound, steepest = (MAX_MIB, MAX_MIB_PER_MIN) if is_memory else (10 + 0.25 * first, 0.0)
        if last - first > bound and rate > steepest:
            found.append(f"{name} under the load: {first:.1f} to {last:.1f}, {rate:+.2f} a minute")
        before, after = quiet[0][name], quiet[-1][name]
        if after - before > (MAX_MIB if is_memory else 3):
            found.append(f"{name} at rest: {before:.1f} to {after:.1f}")
    for name, value in quiet[-1].items():
        if name in NOTHING_LEFT and value:
            found.append(f"{name}: {value} are left at rest")
    return found


NOTHING_LEFT = frozenset(
    {
        *("connections", "subscriptions", "runs", "thread queues", "watches", "logs", "log bytes"),
        *("bytes beside logs", "threads in savers", "private threads"),
    }
)
"""What is nothing once the load has stopped, every thread is deleted and every time to keep is over."""

SHOWN = (
    "memory",
    "client memory",
    "tasks",
    "descriptors",
    "connections",
    "runs",
    "os threads",
    "threads in savers",
)


def _print(at: float, held: dict[str, Any], runs_per_s: float) -> None:
    figures = "  ".join(f"{name} {held[name]:.0f}" for name in SHOWN)
    print(f"{at:6.0f} s  {runs_per_s:5.1f} runs/s  {figures}", flush=True)


async def _main() -> int:
    minutes = float(os.environ.get("SOAK_MINUTES", "30"))
    server = Server()
    try:
        return await _soak(server, minutes * 60, float(os.environ.get("SOAK_RATE", "100")))
    finally:
        server.process.kill()
        server.process.wait()


async def _soak(server: Server, seconds: float, rate: float) -> int:
    load = Load(server.port, rate)
    samples: list[tuple[float, dict[str, Any]]] = []
    quiet: list[dict[str, Any]] = []
    began = time.monotonic()
    loaded_s = 0.0
    for share in (WARM_UP, 1 - WARM_UP):
        load.begin()
        phase = time.monotonic()
        samples.clear()  # those of the warm-up do not count
        while (passed := time.monotonic() - phase) < share * seconds:
            runs, since = load.done["runs"], time.monotonic()
            done, _ = await asyncio.wait(load._users, timeout=min(EVERY_S, share * seconds - passed))
            for user in done:
                user.result()
            held = await server.held()
            samples.append((time.monotonic(), held))
            per_s = (load.done["runs"] - runs) / (time.monotonic() - since)
            _print(time.monotonic() - began, held, per_s)
        loaded_s += time.monotonic() - phase
        await load.end()
        await asyncio.sleep(QUIET_S)
        quiet.append(await server.held("types"))
        _print(time.monotonic() - began, quiet[-1], 0)
    return _verdict(load, samples, quiet, loaded_s)


def _verdict(
    load: Load, samples: list[tuple[float, dict[str, Any]]], quiet: list[dict[str, Any]], loaded_s: float
) -> int:
    done = dict(load.done)
    print(
        f"\n{done.pop('runs') / loaded_s:.1f} runs/s for {loaded_s / 60:.1f} minutes of load; actions: {done}"
    )
    print(f"refused: {dict(load.refused)}")
    print(f"log lines: {quiet[-1].pop('log lines')}")
    garbage = quiet[-1].pop("garbage")
    print(f"\n{sum(garbage.values())} objects in cycles waited for the collector at the end; ours:")
    for name, count in sorted(garbage.items(), key=lambda item: -item[1]):
        if name.startswith("graphwire"):
            print(f"  {count:7d}  {name}")
    before, after = quiet[0].pop("types"), quiet[-1].pop("types")
    more = {name: count - before.get(name, 0) for name, count in after.items()}
    print("\nmore objects at rest than after the warm-up:")
    for name, count in sorted(more.items(), key=lambda item: -item[1])[:12]:
        print(f"  {count:+7d}  {name}")
    print("\nkept on purpose, under the load (median) and at rest:")
    for name in [name for name in samples[-1][1] if name not in ("memory", "client memory")]:
        median = statistics.median(held[name] for _, held in samples)
        print(f"  {name:<18} {median:>12,.0f} {quiet[-1][name]:>12,.0f}")
    for name in ("memory", "client memory"):
        rate = slope([(at, held[name]) for at, held in samples])
        print(
            f"  {name:<18} {rate:+.3f} MiB a minute; at rest {quiet[0][name]:.1f}, {quiet[-1][name]:.1f} MiB"
        )
    found = growths(samples, quiet)
    print("\n" + ("\n".join(f"GROWS: {line}" for line in found) or "nothing grows"))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
