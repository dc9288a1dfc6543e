"""Carrying an attack out: the server, the others and the attacker, and what is measured meanwhile."""

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.support.attacks.attack import OTHER, Attack, Attacker, Report
from tests.support.attacks.served import ROOT, Served, serving
from tests.support.others import Times, timed
from tests.support.peer import Peer, spec

_START_S = 60.0
_TRIES = 3


@dataclass
class Figures:
    """What was measured. Times are in seconds, memory in MiB."""

    before: Times
    during: Times
    peak_mib: float
    kept_mib: float
    cpu: float
    """How many processors the server kept busy."""
    calm_s: float | None
    """How long after the attack it still had something to do, where that is asked for."""
    report: Report
    log: str = field(repr=False)

    @property
    def mib_each(self) -> float | None:
        """What a hostile connection held, if the attack says how many there were."""
        connections = self.report.get("connections")
        return self.peak_mib / connections if connections else None

    def bounded(self, attack: Attack) -> list[tuple[str, float, float]]:
        """Return what the attack has a bound for: its name, what was measured, and the bound."""
        figures = [
            ("worst ping, s", max(self.during.pings, default=0), attack.worst_ping_s),
            ("processors kept busy", self.cpu, attack.cpu),
            ("busy behind the attack, s", self.calm_s, attack.calm_within_s),
            ("MiB grown", self.peak_mib, attack.grows_mib),
            ("MiB kept", self.kept_mib, attack.keeps_mib),
            ("MiB a connection", self.mib_each, attack.mib_each),
            ("cut after, s", self.report.get("cut_s"), attack.cut_within_s),
        ]
        return [
            (name, measured, bound)
            for name, measured, bound in figures
            if measured is not None and bound is not None
        ]


def part(times: Sequence[float], share: float) -> float:
    """Return the time that this share of ``times`` does not exceed."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


async def carried_out(
    attack: Attack, *, before_s: float = 0, cores: tuple[int, int] | None = None
) -> Figures:
    """Attack a server, and measure what others notice.

    ``before_s`` is how long they are measured without an attack. ``cores`` are that of the server and its
    others, and that of the attacker. Raises ``AssertionError`` if the server ends or serves nobody then.
    """
    async with serving(attack, cores and cores[0]) as served:
        attacker = Attacker(served.port)
        others = [await attacker.connect(OTHER), await attacker.connect(OTHER)]
        try:
            figures = await _attacked(attack, served, others, before_s, cores and cores[1])
            assert served.is_alive, f"the server ended: {served.log[-2000:]}"
            await _served(others[1], attack.healthy)
        finally:
            for peer in others:
                peer.wire.abort()
                await peer.wire.lost()
        return figures


async def _attacked(
    attack: Attack, served: Served, others: list[Peer], before_s: float, core: int | None
) -> Figures:
    for _ in range(3):
        await _served(others[1], attack.healthy)  # what is done once is done
    async with timed(*others, attack.healthy) as before:
        await asyncio.sleep(before_s)
    async with _attacking(attack, served.port, core) as (process, ready):
        assert ready, "the attacker failed before it began"
        served.forget_peak()
        held, cpu_s, began = served.mib(), served.cpu_s(), time.monotonic()
        async with timed(*others, attack.healthy) as during:
            report = await _report(attack, process)
        cpu = (served.cpu_s() - cpu_s) / (time.monotonic() - began)
        kept, peak = served.mib(), served.peak_mib()
        calm_s = await _calm_s(served, attack.calm_within_s) if attack.calm_within_s else None
    return Figures(before, during, peak - held, kept - held, cpu, calm_s, report, served.log)


async def _calm_s(served: Served, within_s: float) -> float:
    """Wait until the server is idle for half a second, or the time is over; return how long it took."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < within_s:
        before = served.cpu_s()
        await asyncio.sleep(0.5)
        if served.cpu_s() - before < 0.05:
            break
    return waited


async def _report(attack: Attack, process: asyncio.subprocess.Process) -> Report:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"begin\n")
    line = b""
    try:
        line = await asyncio.wait_for(process.stdout.readline(), attack.within_s)
    except asyncio.TimeoutError:
        return {"is_over": False}
    assert line, "the attacker failed"
    report: Report = orjson.loads(line)
    return report


@asynccontextmanager
async def _attacking(attack: Attack, port: int, core: int | None) -> AsyncIterator[tuple[Any, bytes]]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.attacks", attack.name, str(port)),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
        preexec_fn=None if core is None else lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        assert process.stdout is not None
        yield process, await asyncio.wait_for(process.stdout.readline(), _START_S)
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def _served(peer: Peer, graph: str) -> None:
    sub = len(peer.frames) + 1_000_000
    await peer.run(graph, {"n": 1}, spec(sub, "custom"))
    assert (await peer.closed(sub))[-1]["status"] == "completed"


async def holds(attack: Attack) -> Figures:
    """Attack a server, and check that it costs others no more than ``attack`` says.

    It tries up to three times, since whatever else a machine does makes times longer.
    """
    for _ in range(_TRIES):
        figures = await carried_out(attack)
        if max(figures.during.pings, default=0) < attack.worst_ping_s and figures.cpu < attack.cpu:
            break
    assert figures.report.get("is_over", True), "the attack did not end in time"
    for name, measured, bound in figures.bounded(attack):
        assert measured < bound, f"{name}: {measured:.1f}, where {bound} is the bound"
    return figures


def median(figures: Sequence[float]) -> float:
    """Return the median, without what could not be measured."""
    known = [figure for figure in figures if figure == figure]
    return statistics.median(known) if known else float("nan")
