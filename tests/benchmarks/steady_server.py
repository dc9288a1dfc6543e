"""The server under the steady soak: a process of its own, ``python -m tests.benchmarks.steady_server``.

It prints its port, then answers each line of standard input with one of JSON: what it holds right now. Its
limits are small, so that whatever is kept for a time is as much after a minute as after a day.
"""

import asyncio
import gc
import json
import logging
import os
import sys
import threading
from collections import Counter
from typing import Any

from graphwire_gateway import Gateway, GraphSpec, Limits, Server
from graphwire_gateway.graphs.runner import new_loop
from graphwire_gateway.serve.process import tune
from typing_extensions import TypedDict

from tests.support.graphs import library

PRINCIPALS = 8

LIMITS = Limits(
    store_bytes=8 << 20,
    result_ttl_s=5,
    log_ttl_s=2,
    interrupt_ttl_s=5,
    disconnect_grace_s=0.5,
    log_events=100,
    log_min_age_s=0.5,
    heartbeat_s=5,
    request_burst=100_000,
    requests_per_s=100_000,
)
"""Whatever is kept for a time is let go within some seconds."""


class State(TypedDict, total=False):
    text: str
    answer: str


def _graphs(name: str) -> dict[str, Any]:
    lib = library(name)
    from langgraph.types import interrupt

    async def story(state: State) -> State:
        write = lib.get_stream_writer()
        for number in range(20):
            write({"at": number, "text": "a line of it"})
            await asyncio.sleep(0)
        return {"text": state.get("text", "") + "x"}

    def plain(state: State) -> State:
        return {"text": "from a thread"}

    async def ask(state: State) -> State:
        return {"answer": str(interrupt({"question": "go on?"}))}

    async def wait(state: State) -> State:
        await asyncio.sleep(2)
        return {}

    async def fail(state: State) -> State:
        raise ValueError("no story today")

    def graph(*nodes: Any) -> Any:
        built = lib.StateGraph(State)
        for before, node in zip((None, *nodes), nodes, strict=False):
            built.add_node(node.__name__, node)
            built.add_edge(lib.START if before is None else before.__name__, node.__name__)
        return built.compile()

    made = {"story": graph(story, plain), "ask": graph(story, ask), "wait": graph(wait), "fail": graph(fail)}
    return {f"{kind}-{name}": GraphSpec(built, "thread") for kind, built in made.items()}


GRAPHS = ("graphwire_runtime", "langgraph")


class _Counted(logging.Handler):
    """Counts what is logged, and keeps none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: Counter[str] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines[f"{record.levelname} {getattr(record, 'event', record.msg)}"[:80]] += 1


def _held(server: Server, log: _Counted, with_types: bool) -> dict[str, Any]:
    runs, store = server._runs, server._store
    entries = server.catalog.all()
    savers = {id(entry.saver): entry.saver for entry in entries}.values()
    private = {id(entry._private): entry._private for entry in entries if entry._private}.values()
    loops = {id(entry.runner.loop): entry.runner.loop for entry in entries}.values()
    connections = server._listener.connections
    held: dict[str, Any] = {
        "tasks": len(asyncio.all_tasks()) + sum(len(asyncio.all_tasks(loop)) for loop in loops),
        "os threads": threading.active_count(),
        "descriptors": len(os.listdir("/proc/self/fd")) - 1,
        "connections": len(connections),
        "subscriptions": sum(len(connection._delivery._readers) for connection in connections),
        "runs": len(runs._runs.all()),
        "thread queues": len(runs._threads._queues),
        "watches": len(runs._watches._watches),
        "logs": len(store._logs),  # type: ignore[attr-defined]
        "log bytes": store.size,
        "bytes beside logs": runs.holdings.beside_logs,
        "threads in savers": sum(len(saver.storage) for saver in savers),
        "private threads": sum(len(saver._held) + len(saver._kept) for saver in private),
    }
    if with_types:
        gc.set_debug(gc.DEBUG_SAVEALL)  # what only the collector would free
        gc.collect()
        gc.set_debug(0)
        held["garbage"] = dict(Counter(map(_type_name, gc.garbage)))
        gc.garbage.clear()
        gc.collect()
        names = Counter(map(_type_name, gc.get_objects()))
        held["objects"] = names.total()
        held["types"] = dict(names)
        held["log lines"] = dict(log.lines)
    return held


def _type_name(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


async def _main() -> None:
    log = _Counted()
    logging.getLogger().handlers[:] = [log]
    logging.getLogger("graphwire").setLevel(logging.INFO)
    graphs = {name: spec for lib in GRAPHS for name, spec in _graphs(lib).items()}
    tokens = {f"token-{number}": f"principal-{number}" for number in range(PRINCIPALS)}
    async with Gateway(graphs, limits=LIMITS, tokens=tokens).serve("127.0.0.1", 0) as server:
        tune()
        print(server.port, flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            print(json.dumps(_held(server, log, line.strip() == "types")), flush=True)


if __name__ == "__main__":
    new_loop().run_until_complete(_main())
