"""What a SQLite store costs beside memory: `python -m tests.benchmarks.sqlite`, in two minutes.

The gateways run in processes of their own and in turns, so that a noisy machine is noisy to all; compare the
ratios. The first table is CPU of the whole process, the second what one run alone waits.
"""

import asyncio
import json
import statistics
import time
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from websockets.asyncio.client import connect

from tests.benchmarks.__main__ import ROUNDS, Contender
from tests.benchmarks.servers import TUNED

LOADS = [
    ("100 runs of 100 events, an event", 100, 100),
    ("10 runs of 1,000 events, an event", 10, 1000),
    ("300 runs of one event, a run", 300, 1),
]
MODES = {"messages": "tokens", "custom": "custom events"}
STORES = {
    "memory": "gateway" + TUNED,
    "sqlite": "gateway-sqlite" + TUNED,
    "full": "gateway-sqlite-full" + TUNED,
}
ALONE = 200  # runs of which each waits for the one before


async def alone(url: str, count: int = ALONE, graph: str = "g") -> tuple[float, float]:
    """Return the ms from a run's command to its first event, and to its end: medians of runs one by one."""
    first, end = [], []
    async with connect(url, compression=None, subprotocols=["graphwire.v1.json"]) as socket:  # type: ignore[list-item]
        await socket.send(json.dumps({"type": "hello", "id": 0}))
        await socket.recv()
        for number in range(1, count + 1):
            spec = {"sub": number, "filter": {"modes": ["custom"]}}
            frame = {"type": "run", "id": number, "graph": graph, "input": {"count": 1}, "subscribe": [spec]}
            began_at = time.perf_counter()
            await socket.send(json.dumps(frame))
            seen: set[str] = set()
            while "closed" not in seen:
                message: Any = orjson.loads(await socket.recv(decode=False))
                for item in message if isinstance(message, list) else [message]:
                    if item["type"] in ("event", "closed") and item["type"] not in seen:
                        seen.add(item["type"])
                        (first if item["type"] == "event" else end).append(time.perf_counter() - began_at)
    return 1e3 * statistics.median(first), 1e3 * statistics.median(end)


async def measured(console: Console) -> None:
    """Measure and print both tables."""
    contenders = {
        (store, mode): Contender(kind, "ours", mode) for store, kind in STORES.items() for mode in MODES
    }
    costs: dict[tuple[str, str, str], list[float]] = {}
    waits: dict[str, list[tuple[float, float]]] = {store: [] for store in STORES}
    try:
        for number in range(ROUNDS + 1):
            for load, runs, count in LOADS:
                for (store, mode), contender in contenders.items():
                    cost = await contender.measure(runs, count)
                    if number:  # the first warms up
                        costs.setdefault((load, store, mode), []).append(cost)
            for store in STORES:
                waits[store].append(await alone(contenders[store, "custom"].url))
    finally:
        for contender in contenders.values():
            contender.close()
    table = Table(title=f"server CPU, memory = 1; medians of {ROUNDS} rounds")
    table.add_column("the load")
    for mode in MODES.values():
        for column in (f"{mode}: memory, µs", "SQLite", "SQLite, full"):
            table.add_column(column, justify="right")
    for load, *_ in LOADS:
        row = [load]
        for mode in MODES:
            memory, *others = (statistics.median(costs[load, store, mode]) for store in STORES)
            row += [f"{memory:.1f}", *(f"{other / memory:.2f}" for other in others)]
        table.add_row(*row)
    console.print(table)
    table = Table(title=f"one run at a time, of one custom event: ms, medians of {ALONE} runs")
    for column in ("store", "to the first event", "to the end"):
        table.add_column(column)
    for store, rounds in waits.items():
        table.add_row(store, *(f"{statistics.median(column):.1f}" for column in zip(*rounds, strict=True)))
    console.print(table)


if __name__ == "__main__":
    asyncio.run(measured(Console()))
