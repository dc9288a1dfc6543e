"""A load on a cluster that never stops, beside faults that come at random, and what must hold at its end."""

import asyncio
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.cluster_soak.checking import Seen, Wrong, check_threads
from tests.support.cluster_soak.faults import KINDS, Faults
from tests.support.cluster_soak.load import Clients
from tests.support.cluster_soak.parts import started_parts
from tests.support.redis import redis_server

_AT_ONCE = 24  # runs that are under way
_THREADS = 12
_FOLLOWERS = 2
_END_S = 180.0
"""When no run has ended for so long, or one not so long behind the last fault, it never will."""


@dataclass(frozen=True)
class Plan:
    """How much of what."""

    runs: int = 1000
    faults: int = 200
    seed: int = 1
    workers: int = 3
    kinds: tuple[str, ...] = tuple(KINDS)
    longest_s: float = 15.0
    gap_s: float = 8.0
    """Seconds between two faults, at most."""
    quiet_s: float = 0.0
    """Seconds before the first fault, with runs beside ``runs``, of which none may be taken over."""
    says: bool = False


async def soak(plan: Plan) -> tuple[Clients, Faults]:
    """Do all of it, check it, and return what there was. Raises ``Wrong``."""
    folder = Path(tempfile.mkdtemp(prefix="gw-cluster-"))
    began = time.monotonic()
    with redis_server(appendonly="yes", appendfsync="everysec") as redis:
        async with started_parts(redis, folder, plan.workers) as parts:
            clients = Clients(parts, plan.seed)
            faults = Faults(parts, plan.seed, plan.kinds, plan.longest_s)

            def say(what: str) -> None:
                if plan.says:
                    took = time.monotonic() - began
                    said = f"{took:6.1f} s  {clients.ended:5} runs ended  {faults.made:4} faults  {what}"
                    print(said, file=sys.stderr, flush=True)

            say("the cluster is ready")
            tasks: set[asyncio.Task[None]] = set()
            is_loud = asyncio.Event()
            if not plan.quiet_s:
                is_loud.set()
            work = [
                asyncio.ensure_future(_feed(clients, plan, tasks, is_loud)),
                asyncio.ensure_future(_fail(clients, faults, plan, say, is_loud)),
            ]
            followers = {asyncio.ensure_future(clients.follow(number)) for number in range(_FOLLOWERS)}
            try:
                ended, end = 0, time.monotonic() + _END_S
                while not all(task.done() for task in work):
                    _raise_from(tasks | followers, *work)
                    if clients.ended > ended or not clients.open:
                        ended, end = clients.ended, time.monotonic() + _END_S
                    elif time.monotonic() > end:
                        raise Wrong("these runs do not end", clients.open)
                    await faults.revive()
                    await asyncio.sleep(0.05)
                say("no more faults")
                end = time.monotonic() + _END_S
                while any(not task.done() for task in tasks):
                    _raise_from(tasks | followers, *work)
                    await faults.revive()
                    if time.monotonic() > end:
                        raise Wrong("these runs do not end", clients.open)
                    await asyncio.sleep(0.05)
                _raise_from(tasks | followers, *work)
                await parts.ready()
                say("all runs have ended")
                await clients.check()
                check_threads(clients.runs)
                say("all is as it should be")
                shutil.rmtree(folder)
            except BaseException as error:
                say(f"wrong: {error}; see {folder}")
                raise
            finally:
                await _end({*tasks, *followers, *work})
    return clients, faults


async def _end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: below Python 3.12, ``wait_for`` swallows that now and then."""
    while left := {task for task in tasks if not task.done()}:
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=1)
    await asyncio.gather(*tasks, return_exceptions=True)


def _raise_from(tasks: set[asyncio.Task[None]], *work: asyncio.Task[None]) -> None:
    for task in [*tasks, *work]:
        if task.done():
            task.result()


async def _fail(
    clients: Clients, faults: Faults, plan: Plan, say: Callable[[str], None], is_loud: asyncio.Event
) -> None:
    dice = random.Random(f"pace {plan.seed}")
    loop = asyncio.get_running_loop()
    await asyncio.sleep(plan.quiet_s)
    moved = [seen.id for seen in clients.runs if plan.quiet_s and seen.was_taken_over]
    if moved:
        raise Wrong("nothing has stopped, and these runs were taken over", moved)
    is_loud.set()
    while faults.made < plan.faults:
        due = clients.shown + dice.randrange(50, 600)
        end = loop.time() + plan.gap_s
        while clients.shown < due and loop.time() < end:
            faults.raise_from()
            await asyncio.sleep(0.005)
        say(await faults.make())
    await faults.mended()


async def _feed(clients: Clients, plan: Plan, tasks: set[asyncio.Task[None]], is_loud: asyncio.Event) -> None:
    """Keep a number of runs under way, most of them on threads that others are on."""
    dice = random.Random(f"runs {plan.seed}")
    readers: set[asyncio.Task[None]] = set()
    number = before = 0
    while number < plan.runs + before:
        before = before if is_loud.is_set() else number
        readers = {task for task in readers if not task.done()}
        if len(readers) >= _AT_ONCE:
            await asyncio.sleep(0.005)
            continue
        number += 1
        graph = dice.choice(["ticks", "ticks", "asks"])
        # A question has a thread of its own: another run of it would take its place.
        thread = dice.choice([None, *[f"t{dice.randrange(_THREADS)}"] * 4])
        seen = Seen(f"r{number}", graph, thread if graph == "ticks" else f"q{number}")
        reader = asyncio.ensure_future(clients.run(seen, if_busy="enqueue"))
        readers.add(reader)
        tasks.add(reader)
        if graph == "asks":
            tasks.add(asyncio.ensure_future(clients.answer(seen, f"for {number}")))
        elif dice.random() < 0.3:
            tasks.add(asyncio.ensure_future(clients.cancel(seen)))
