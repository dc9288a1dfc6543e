"""Faults of the parts of a cluster, at random: killed, frozen, and cut off from Redis."""

import asyncio
import contextlib
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable

from tests.support.cluster_soak.parts import Part, Parts
from tests.support.waiting import until

KINDS = {
    "worker killed": 6,
    "worker frozen": 4,
    "worker hangs": 3,
    "worker cut off": 3,
    "worker loses an answer": 3,
    "gateway killed": 3,
    "gateway frozen": 2,
    "redis killed": 2,
    "redis frozen": 1,
}
"""How often each comes, beside the others."""

_LOST_ANSWERS = 5  # of Redis, in one fault

GENTLE = ("worker killed", "gateway killed")


class Faults:
    """Makes faults, each mended after a while. Parts that have one get no other one meanwhile."""

    def __init__(self, parts: Parts, seed: int, kinds: tuple[str, ...], longest_s: float) -> None:
        self._parts = parts
        self._dice = random.Random(f"faults {seed}")
        self._kinds = kinds
        self._longest_s = longest_s
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.made = 0
        self.counts: Counter[str] = Counter()

    async def make(self) -> str:
        """Make one fault, as soon as there is a part for it; return which."""
        time_s = self._dice.uniform(1, self._longest_s)
        while True:
            kind = self._dice.choices(self._kinds, [KINDS[kind] for kind in self._kinds])[0]
            what, how = kind.split(" ", 1)
            names = {"redis"} if what == "redis" else {part.name for part in self._parts.of(what)}
            free = sorted(names - self._busy)
            if len(free) > (what == "worker"):  # one worker is well, or there would be nothing but waiting
                break
            self.raise_from()
            await asyncio.sleep(0.1)
        name = self._dice.choice(free)
        self._busy.add(name)
        self.made += 1
        self.counts[kind] += 1
        task = asyncio.ensure_future(self._mended(name, self._fault(how, name, time_s)))
        self._tasks.add(task)
        return f"{kind}: {name}"

    async def _mended(self, name: str, fault: Awaitable[None]) -> None:
        try:
            await fault
        finally:
            self._busy.discard(name)

    async def _fault(self, how: str, name: str, time_s: float) -> None:
        parts = self._parts
        if name == "redis":
            await (self._kill_redis if how == "killed" else self._freeze_redis)(time_s)
            return
        number = int(name[-1])
        part = parts.of(name[:-1])[number]
        acts: dict[str, Callable[[Part, int, float], Awaitable[None]]] = {
            "killed": self._kill,
            "frozen": self._freeze,
            "hangs": self._hang,
            "cut off": self._cut,
            "loses an answer": self._lose_answer,
        }
        await acts[how](part, number, time_s)

    async def _kill(self, part: Part, number: int, time_s: float) -> None:
        await part.kill()
        await asyncio.sleep(time_s / 5)
        await part.start()
        await part.settled()

    async def _freeze(self, part: Part, number: int, time_s: float) -> None:
        part.freeze()
        try:
            await asyncio.sleep(time_s)
        finally:
            part.thaw()

    async def _hang(self, part: Part, number: int, time_s: float) -> None:
        relay = self._parts.relays[number]
        relay.hang()
        try:
            await asyncio.sleep(time_s)
        finally:
            relay.flow()

    async def _cut(self, part: Part, number: int, time_s: float) -> None:
        relay = self._parts.relays[number]
        relay.is_refusing = True
        relay.cut()
        try:
            await asyncio.sleep(time_s / 3)
        finally:
            relay.is_refusing = False

    async def _lose_answer(self, part: Part, number: int, time_s: float) -> None:
        relay = self._parts.relays[number]
        most = relay.lost + _LOST_ANSWERS
        relay.loses_answers = True  # each connection ends at its next answer
        try:
            with contextlib.suppress(AssertionError):  # the worker may have ended by itself
                await until(lambda: relay.lost >= most, time_s)
        finally:
            relay.loses_answers = False

    async def _kill_redis(self, time_s: float) -> None:
        await self._parts.kill_redis()
        await asyncio.sleep(time_s / 5)
        await self._parts.start_redis()

    async def _freeze_redis(self, time_s: float) -> None:
        self._parts.redis.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(time_s / 2)
        finally:
            self._parts.redis.signal(signal.SIGCONT)

    def raise_from(self) -> None:
        """Raise what went wrong with a fault."""
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.discard(task)
            task.result()

    async def revive(self) -> None:
        """Start again what has ended by itself, as a supervisor does."""
        for part in self._parts.all:
            if part.has_ended and part.name not in self._busy:
                self.counts[f"{part.name[:-1]} ended by itself"] += 1
                await part.kill()
                await part.start()

    async def mended(self) -> None:
        """Wait until every part is well."""
        await asyncio.gather(*self._tasks)
