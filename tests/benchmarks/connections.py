"""What an idle connection holds in the server's memory: ``python -m tests.benchmarks.connections``.

Each server is a process of its own. The figure is the growth of its proportional set size over 2,000
connections, made after 50 others, beside a bare server of the websockets library with the same heartbeat.
Then the same for a gateway and a worker on a Redis of its own, with 400 connections: a gateway has a link to
the home of each shard that a connection has something in. Linux only.
"""

import asyncio
import signal
import subprocess
import sys
from typing import TypedDict

from redis import Redis
from websockets.asyncio.server import ServerConnection, serve

from tests.benchmarks.cluster import SHARDS, folder_with_graphs, opened
from tests.support.redis import redis_server
from tests.support.wire import Wire

COUNT = 2000
LINKED = 400
AT_ONCE = 50


class _State(TypedDict):
    x: int


async def _bare() -> None:
    async def read(socket: ServerConnection) -> None:
        async for _ in socket:
            pass

    options = {"compression": None, "subprotocols": ["graphwire.v1.json"], "ping_interval": 15}
    async with serve(read, "127.0.0.1", 0, **options) as server:  # type: ignore[arg-type]
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await asyncio.Future()


async def _gateway() -> None:
    from graphwire_gateway import Gateway, Limits
    from graphwire_runtime import START, StateGraph

    async def wait(state: _State) -> _State:
        return await asyncio.Future()

    graph = StateGraph(_State).add_node("node", wait).add_edge(START, "node").compile()
    gateway = Gateway({"graph": graph}, limits=Limits(max_connections=10 * COUNT))
    async with gateway.serve("127.0.0.1", 0) as server:
        print(server.port, flush=True)
        await asyncio.Future()


def _memory_kib(pid: int) -> int:
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


HELLO = b'{"type":"hello","id":1}'
RUN = b'{"type":"run","id":2,"run":"r","graph":"graph","input":{"x":1},"record":{"modes":["values"]}}'
SUBSCRIBE = b'{"type":"subscribe","id":2,"sub":1,"run":"r","filter":{"modes":["values"]}}'


async def _measure(kind: str, *frames: bytes) -> float:
    """Return KiB a connection that has sent these frames, each of which has had its reply."""
    command = [sys.executable, "-m", "tests.benchmarks.connections", kind]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        port = int(process.stdout.readline())

        async def connected(*sent: bytes) -> Wire:
            wire = await Wire.open(port)
            for frame in sent:
                wire.send(frame)
                await wire.recv()
            return wire

        held = [await connected(HELLO, RUN)] if frames else []
        held += [await connected(*frames) for _ in range(AT_ONCE)]
        before = _memory_kib(process.pid)
        for _ in range(COUNT // AT_ONCE):
            held += await asyncio.gather(*(connected(*frames) for _ in range(AT_ONCE)))
        after = _memory_kib(process.pid)
        process.send_signal(signal.SIGKILL)
    for wire in held:
        wire.abort()
    return (after - before) / COUNT


WAITING = b'{"type":"run","id":2,"run":"r","graph":"waits","input":{"count":1},"record":{"modes":["values"]}}'
WATCH = b'{"type":"watch","id":2,"sub":1}'


async def _linked(port: int, count: int, *frames: bytes) -> list[Wire]:
    """Return connections that have sent these frames and had a reply to each, and perhaps more."""

    async def connected() -> Wire:
        wire = await Wire.open(port)
        for frame in frames:
            wire.send(frame)
            wanted = b'"id":%d' % (2 if b'"id":2' in frame else 1)
            while wanted not in await wire.recv():
                pass
        return wire

    held: list[Wire] = []
    while len(held) < count:
        held += await asyncio.gather(*(connected() for _ in range(min(AT_ONCE, count - len(held)))))
    return held


def _measure_cluster() -> None:
    with redis_server() as redis, folder_with_graphs() as folder:
        for name, frames in (
            ("after hello", (HELLO,)),
            ("with a subscription, 1 link", (HELLO, SUBSCRIBE)),
            (f"with a watch, {SHARDS} links", (HELLO, WATCH)),
        ):
            with opened(redis, folder, {name: 1}) as (set_up,):

                def memory() -> dict[str, int]:
                    return {role: _memory_kib(each.pid) for role, each in set_up.processes.items()}

                async def measure() -> dict[str, float]:
                    port = set_up.port
                    held = await _linked(port, 1, HELLO, WAITING)
                    held += await _linked(port, AT_ONCE, *frames)  # noqa: B023
                    before = memory()
                    held += await _linked(port, LINKED, *frames)  # noqa: B023
                    after = memory()
                    for wire in held:
                        wire.abort()
                    return {role: (after[role] - before[role]) / LINKED for role in after}

                found = asyncio.run(measure())
                shown = ", ".join(f"{role} {kib:.1f}" for role, kib in found.items())
                print(f"a gateway, {name:30} {shown} KiB a connection")
            with Redis.from_url(redis.url) as client:
                client.flushall()


async def _main() -> None:
    print(f"a bare websockets server      {await _measure('bare'):5.1f} KiB a connection")
    print(f"after hello                   {await _measure('gateway', HELLO):5.1f} KiB a connection")
    print(
        f"with a subscription           {await _measure('gateway', HELLO, SUBSCRIBE):5.1f} KiB a connection"
    )


if __name__ == "__main__":
    if sys.argv[1:]:
        import uvloop

        uvloop.run({"bare": _bare, "gateway": _gateway}[sys.argv[1]]())
    else:
        asyncio.run(_main())
        _measure_cluster()
