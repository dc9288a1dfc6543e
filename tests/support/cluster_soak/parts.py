"""The parts of a cluster, each a process: they are started, killed, frozen, and cut off from Redis."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from tests.support.cluster_soak.graphs import BY
from tests.support.redis import RedisProcess, Relay, free_port

ROOT = Path(__file__).parents[3]

_LIMITS = {
    "RESULT_TTL_S": 86400,
    "LOG_TTL_S": 86400,
    "REQUEST_BURST": 10**6,
    "MAX_ATTEMPTS": 1000,
    "MAX_ACTIVE_RUNS": 10**6,
}
_SETTLED_S = 30.0
_READY_S = 180.0
_GRAPHS = [f"{name}=tests.support.cluster_soak.graphs:{name}" for name in ("ticks", "asks")]


class Part:
    """A process of the command line that is started again and again. What it says is in ``file``."""

    def __init__(self, name: str, file: Path, *arguments: str) -> None:
        self.name = name
        self.file = file
        self.starts = 0
        self._command = [sys.executable, "-m", "graphwire", *arguments, "--log-level", "debug"]
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, under another name than before."""
        assert self._process is None
        self.starts += 1
        env = {**os.environ, **{f"GRAPHWIRE_LIMITS__{name}": str(value) for name, value in _LIMITS.items()}}
        env[BY] = f"{self.name}.{self.starts}"
        with self.file.open("ab") as out:
            out.write(f"──── {env[BY]}\n".encode())
            out.flush()
            self._process = await asyncio.create_subprocess_exec(
                *self._command, cwd=ROOT, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=out, stderr=out
            )

    async def settled(self) -> None:
        """Wait until it says that it works, or for some time: a worker may get no shard."""
        end = asyncio.get_running_loop().time() + _SETTLED_S
        while not self.has_ended and asyncio.get_running_loop().time() < end:
            said = self.file.read_bytes().rpartition(f"──── {self.name}.".encode())[2]
            if b"a worker runs" in said or b"Ctrl-C drains" in said:
                return
            await asyncio.sleep(0.1)

    @property
    def has_ended(self) -> bool:
        """Whether it ended by itself."""
        return self._process is not None and self._process.returncode is not None

    async def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """Let it do nothing until ``thaw``."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)


class Parts:
    """Redis, two gateways at ``ports``, and the workers, each with a relay between it and Redis."""

    def __init__(self, redis: RedisProcess, folder: Path, relays: list[Relay]) -> None:
        self.redis = redis
        self.lives = 1
        """How often Redis was started."""
        self.relays = relays
        self.ports = [free_port() for _ in range(2)]
        self.gateways = [
            Part(f"gateway{number}", folder / f"gateway{number}.log", *_gateway(redis.url, port))
            for number, port in enumerate(self.ports)
        ]
        self.workers = [
            Part(f"worker{number}", folder / f"worker{number}.log", *_worker(relay.url))
            for number, relay in enumerate(relays)
        ]

    @property
    def all(self) -> list[Part]:
        return [*self.gateways, *self.workers]

    def of(self, what: str) -> list[Part]:
        """Return the workers or the gateways."""
        return self.workers if what == "worker" else self.gateways

    async def ready(self) -> None:
        """Wait until each gateway knows a worker of each shard."""
        end = asyncio.get_running_loop().time() + _READY_S
        for port in self.ports:
            while not await _is_ready(port):
                assert asyncio.get_running_loop().time() < end, "the cluster does not get ready"
                await asyncio.sleep(0.05)

    async def kill_redis(self) -> None:
        """End Redis at once."""
        await asyncio.to_thread(self.redis.kill)

    async def start_redis(self) -> None:
        """Start Redis with what it has in its file."""
        self.lives += 1
        await asyncio.to_thread(self.redis.start)


def _gateway(url: str, port: int) -> list[str]:
    return ["serve", "--store", url, "--port", str(port), "--no-console"]


def _worker(url: str) -> list[str]:
    return ["worker", *_GRAPHS, "--store", url]


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return b" 200 " in await asyncio.wait_for(reader.readline(), 5)
    except (OSError, TimeoutError, asyncio.TimeoutError):
        return False
    finally:
        writer.transport.abort()


@asynccontextmanager
async def started_parts(redis: RedisProcess, folder: Path, workers: int) -> AsyncIterator[Parts]:
    """Start everything beside Redis, and yield it when clients can be served."""
    async with AsyncExitStack() as stack:
        relays = [await stack.enter_async_context(Relay(redis.port)) for _ in range(workers)]
        parts = Parts(redis, folder, relays)
        for part in parts.all:
            stack.push_async_callback(part.kill)
            await part.start()
        await parts.ready()
        yield parts
