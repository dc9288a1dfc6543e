"""`make bench`: what a served event costs the server's CPU, next to a server written by hand.

What the runtime costs beside LangGraph is measured by `runtime`, and printed after it.

Every figure is the median of rounds that are interleaved within this one run, so that a noisy machine is
noisy to all alike; compare the ratios, not the microseconds. "Tuned" processes pace the interpreter and the
collector as `graphwire serve` does, and so can any server; the table shows what that is worth to either.
"""

import asyncio
import json
import statistics
import subprocess
import sys
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from tests.benchmarks import runtime
from tests.benchmarks.servers import TUNED

RUNS = 100
COUNT = 100
ROUNDS = 7

_IN_PROCESS = "inprocess" + TUNED
_BY_HAND = ("starlette", "langgraph")
_CONTENDERS = [
    _BY_HAND,
    ("starlette" + TUNED, "langgraph"),
    ("gateway" + TUNED, "langgraph"),  # as `graphwire serve` runs it
    ("gateway" + TUNED, "ours"),
    ("gateway-inline" + TUNED, "ours"),
    ("gateway-sqlite" + TUNED, "ours"),
    ("gateway", "ours"),
    (_IN_PROCESS, "langgraph"),
    (_IN_PROCESS, "ours"),
]


class Contender:
    """A process under measurement."""

    def __init__(self, kind: str, framework: str, mode: str) -> None:
        self.kind = kind
        self.mode = mode
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.servers", kind, framework, mode],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._line()
        self._round = 0

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def _ask(self, text: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self._line()

    async def measure(self, runs: int = RUNS, count: int = COUNT) -> float:
        """Run ``runs`` runs of ``count`` events at once; return the server's CPU microseconds per event."""
        self._round += 1
        if self.kind == _IN_PROCESS:
            spent, seen = map(int, self._ask(f"{runs} {count}").split())
        else:
            before = int(self._ask(""))
            is_by_hand = self.kind.startswith("starlette")
            seen = await (
                self._by_hand(runs, count) if is_by_hand else streamed(self.url, self.mode, runs, count)
            )
            spent = int(self._ask("")) - before
        assert seen >= runs * count, f"{self.kind} lost events: {seen}"
        return spent / 1000 / (runs * count)

    async def _by_hand(self, runs: int, count: int) -> int:
        async with connect(self.url, compression=None, max_size=None) as socket:
            for run in range(runs):
                await socket.send(json.dumps({"run": str(run), "count": count}))
            seen = ended = 0
            while ended < runs:
                frame = orjson.loads(await socket.recv(decode=False))
                ended += frame["mode"] == "end"
                seen += frame["mode"] == self.mode
            return seen

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


async def streamed(url: str, mode: str, runs: int, count: int, graph: str = "g") -> int:
    """Run ``runs`` runs of ``count`` events at once over one connection; return how many came."""
    async with connect(
        url,
        compression=None,
        max_size=None,
        subprotocols=["graphwire.v1.json"],  # type: ignore[list-item]
    ) as socket:
        await socket.send(json.dumps({"type": "hello", "id": 0}))
        for run in range(runs):
            spec = {"sub": run, "filter": {"modes": [mode]}}
            frame = {"type": "run", "id": run + 1, "graph": graph, "input": {"count": count}}
            await socket.send(json.dumps({**frame, "subscribe": [spec]}))
        seen = ended = 0
        while ended < runs:
            message: Any = orjson.loads(await socket.recv(decode=False))
            for item in message if isinstance(message, list) else [message]:
                ended += item["type"] == "closed"
                seen += item.get("mode") == mode
        return seen


async def _served(mode: str, event: str, console: Console) -> None:
    contenders = {(kind, framework): Contender(kind, framework, mode) for kind, framework in _CONTENDERS}
    rounds: dict[tuple[str, str], list[float]] = {name: [] for name in contenders}
    try:
        for _ in range(ROUNDS + 1):
            for name, contender in contenders.items():
                rounds[name].append(await contender.measure())
    finally:
        for contender in contenders.values():
            contender.close()
    medians = {name: statistics.median(times[1:]) for name, times in rounds.items()}  # the first warms up
    by_hand = medians[_BY_HAND]
    table = Table(title=f"server CPU per {event}: {RUNS} runs of {COUNT}, one connection, {ROUNDS} rounds")
    for column in ("server", "graph of", f"µs / {event}", "by hand = 1", "above in process, µs"):
        table.add_column(column, justify="left" if column in ("server", "graph of") else "right")
    for (kind, framework), cost in medians.items():
        above = cost - medians[_IN_PROCESS, framework]
        table.add_row(kind, framework, f"{cost:.2f}", f"{cost / by_hand:.2f}", f"{above:.2f}")
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    console = Console()
    for mode, event in (("messages", "token"), ("custom", "custom event")):
        asyncio.run(_served(mode, event, console))
    runtime.show(console)


if __name__ == "__main__":
    main()
