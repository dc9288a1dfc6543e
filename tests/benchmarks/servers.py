"""The processes under measurement, one each: `python -m tests.benchmarks.servers KIND FRAMEWORK MODE`.

A server prints the URL that it serves; on a line of standard input it prints the CPU nanoseconds that its
process has used. `inprocess` serves nobody: each line runs the load once.
"""

import asyncio
import sys
import tempfile
import threading
import time
from typing import Any

from graphwire_gateway.serve.process import tune

from tests.benchmarks.graphs import GRAPHS

TUNED = ", tuned"
"""Ends the name of a process that paces interpreter and collector as `graphwire serve` does."""


def main() -> None:
    """Serve until standard input ends."""
    kind, framework, mode = sys.argv[1:4]
    graph = GRAPHS[mode](framework)
    if kind.endswith(TUNED):
        kind = kind.removesuffix(TUNED)
        tune()
    match kind:
        case "inprocess":
            asyncio.run(_inprocess(graph, mode))
        case "gateway" | "gateway-inline":
            _gateway(graph, "thread" if kind == "gateway" else "inline")
        case "gateway-sqlite" | "gateway-sqlite-full":
            with tempfile.TemporaryDirectory() as folder:
                full = "?synchronous=full" if kind.endswith("full") else ""
                _gateway(graph, "thread", f"sqlite:///{folder}/runs.db{full}")
        case "starlette":
            _starlette(graph, mode)


def _say(text: object) -> None:
    print(text, flush=True)


def _answer_cpu_times() -> None:
    def answer() -> None:
        for _ in sys.stdin:
            _say(time.process_time_ns())

    threading.Thread(target=answer, daemon=True).start()


async def _inprocess(graph: Any, mode: str) -> None:
    async def run(count: int) -> int:
        seen = 0
        async for _ in graph.astream({"count": count}, stream_mode=[mode]):
            seen += 1
        return seen

    _say("ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        runs, count = map(int, line.split())
        before = time.process_time_ns()
        seen = sum(await asyncio.gather(*(run(count) for _ in range(runs))))
        _say(f"{time.process_time_ns() - before} {seen}")


def _gateway(graph: Any, runner: Any, store: str = "memory://") -> None:
    from graphwire_gateway import Gateway, Limits
    from graphwire_gateway.graphs.runner import new_loop

    async def serve() -> None:
        limits = Limits(request_burst=1_000_000, requests_per_s=1_000_000)
        async with Gateway({"g": graph}, runner=runner, limits=limits, store=store).serve(port=0) as server:
            _answer_cpu_times()
            _say(server.url)
            await asyncio.Event().wait()

    new_loop().run_until_complete(serve())


def _starlette(graph: Any, mode: str) -> None:
    """What one writes by hand: a task a run, `send_json` a chunk."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import WebSocketRoute
    from starlette.websockets import WebSocket

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        tasks = set()

        async def run(id: str, count: int) -> None:
            async for _, chunk in graph.astream({"count": count}, stream_mode=[mode]):
                if mode == "messages":
                    message, meta = chunk
                    data = {"id": message.id, "content": message.content, "node": meta["langgraph_node"]}
                else:
                    data = chunk
                await socket.send_json({"run": id, "mode": mode, "data": data})
            await socket.send_json({"run": id, "mode": "end"})

        async for start in socket.iter_json():
            task = asyncio.create_task(run(start["run"], start["count"]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            port = self.servers[0].sockets[0].getsockname()[1]
            _answer_cpu_times()
            _say(f"ws://127.0.0.1:{port}/ws")

    app = Starlette(routes=[WebSocketRoute("/ws", endpoint)])
    Server(uvicorn.Config(app, port=0, log_level="error", ws_per_message_deflate=False)).run()


if __name__ == "__main__":
    main()
