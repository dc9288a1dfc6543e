"""Starts a server on a store, kills it, starts it again, under a load that never stops.

A kill comes after a number of events that clients were shown, not after a time: so it comes in the middle of
things, however slow the machine is.
"""

import asyncio
import os
import random
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.kills.load import Load, Seen
from tests.support.processes import started

ROOT = Path(__file__).parents[3]
_AT_ONCE = 24  # runs that are under way
_LISTENING = re.compile(r"serves .* at ws://127\.0\.0\.1:(\d+)/ws")


@asynccontextmanager
async def serving(store: str, port: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Serve the graphs on a store; yield the process and its port."""
    command = [
        sys.executable,
        "-m",
        "graphwire",
        "serve",
        "ticks=tests.support.kills.graphs:ticks",
        "asks=tests.support.kills.graphs:asks",
        "--store",
        store,
        "--port",
        str(port),
        "--no-console",
    ]
    limits = {"RESULT_TTL_S": 86400, "LOG_TTL_S": 86400, "REQUEST_BURST": 10**6, "MAX_ATTEMPTS": 1000}
    env = {**os.environ, **{f"GRAPHWIRE_LIMITS__{name}": str(value) for name, value in limits.items()}}
    async with started(*command, cwd=ROOT, env=env, stderr=PIPE) as process:
        assert process.stderr is not None
        said = ""
        while not (found := _LISTENING.search(said)):
            line = await asyncio.wait_for(process.stderr.readline(), 60)
            assert line, (said, await process.communicate())
            said += line.decode()
        reading = asyncio.ensure_future(process.stderr.read())
        try:
            yield process, int(found[1])
        finally:
            if process.returncode is None:
                process.kill()
            await reading


async def kill_again_and_again(store: str, kills: int, seed: int) -> Load:
    """Kill the server that often, then let all runs end, check them, and return what there was."""
    dice = random.Random(seed)
    load: Load | None = None
    tasks: set[asyncio.Task[None]] = set()
    feeding: asyncio.Task[None] | None = None
    stop = asyncio.Event()
    try:
        for number in range(kills + 1):
            async with serving(store, 0 if load is None else load.port) as (process, port):
                if load is None:
                    load = Load(port)
                    feeding = asyncio.ensure_future(_feed(load, dice, tasks, stop))
                if number < kills:
                    due = load.shown + dice.randrange(50, 1500)
                    while load.shown < due:
                        _raise_from(tasks, feeding)
                        await asyncio.sleep(0.005)
                    process.send_signal(signal.SIGKILL)
                    await process.wait()
                    continue
                stop.set()
                assert feeding is not None
                await feeding
                while any(not task.done() for task in tasks):
                    _raise_from(tasks, feeding)
                    await asyncio.sleep(0.01)
                _raise_from(tasks, feeding)
                await load.check()
    finally:
        for task in [*tasks, *([] if feeding is None else [feeding])]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert load is not None
    return load


def _raise_from(tasks: set[asyncio.Task[None]], feeding: "asyncio.Task[None] | None") -> None:
    for task in [*tasks, *([] if feeding is None else [feeding])]:
        if task.done():
            task.result()


async def _feed(load: Load, dice: random.Random, tasks: set[asyncio.Task[None]], stop: asyncio.Event) -> None:
    """Keep a number of runs under way, some of them on threads that others are on."""
    number = 0
    readers: set[asyncio.Task[None]] = set()

    def add(work: asyncio.Task[None]) -> None:
        tasks.add(work)

    while not stop.is_set():
        readers = {task for task in readers if not task.done()}
        if len(readers) >= _AT_ONCE:
            await asyncio.sleep(0.005)
            continue
        number += 1
        graph = dice.choice(["ticks", "ticks", "asks"])
        # A question has a thread of its own: another run of it would take its place.
        thread = dice.choice([None, f"t{dice.randrange(6)}" if graph == "ticks" else f"q{number}"])
        seen = Seen(f"r{number}", graph, thread)
        reader = asyncio.ensure_future(load.run(seen, if_busy="enqueue"))
        readers.add(reader)
        add(reader)
        if graph == "asks":
            add(asyncio.ensure_future(load.answer(seen, f"for {number}")))
        elif dice.random() < 0.1:
            add(asyncio.ensure_future(load.cancel(seen)))
