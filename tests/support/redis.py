"""Redis servers of the tests' own: each in a fresh folder on a free port, gone when its test ends.

Debian's package `redis-server` has the program; `make redis` installs that. Where there is none, tests that
need it are skipped by name, but fail if the environment variable CI is set.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_START_S = 20.0


class RedisProcess:
    """A server on 127.0.0.1, with ``--name value`` for each of ``config``."""

    def __init__(self, program: str, folder: Path, port: int, config: dict[str, str]) -> None:
        self.folder = folder
        self.port = port
        self._command = [program, *(["--sentinel"] if "sentinel" in config else [])]
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, again perhaps, and wait until it answers."""
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.folder),
            "save": '""',
            "logfile": str(self.folder / "log"),
            **self._config,
        }
        file = self.folder / "redis.conf"
        lines = [f"{name} {value}" for name, value in settings.items() if name != "sentinel"]
        file.write_text("\n".join([*lines, *self._config.get("sentinel", "").splitlines()]) + "\n")
        command = [self._command[0], str(file), *self._command[1:]]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=self.folder)
        end = time.monotonic() + _START_S
        while not self._answers():
            log = self.folder / "log"
            said = log.read_text() if log.exists() else "no log"
            assert self._process.poll() is None, said
            assert time.monotonic() < end, said
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"PING\r\n")
                answer = connection.recv(64)
        except OSError:
            return False
        return answer.startswith((b"+PONG", b"-NOAUTH"))  # and not that it is loading

    def signal(self, number: int) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None


def program() -> str:
    """Return the path of redis-server. Skips or fails the test where it is missing."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found is None:
        missing = "NO REDIS TRIED: it is not installed; `make redis` installs it for root on Debian"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return found


def free_port() -> int:
    """Return a port that nothing gets by asking for any: it is free, too, while its server is restarted.

    A node of a cluster takes the port 10,000 above as well.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as bound, contextlib.suppress(OSError):
            bound.bind(("127.0.0.1", port))
            return port


@contextmanager
def redis_server(**config: str) -> Iterator[RedisProcess]:
    """Run a server with a configuration, where ``_`` stands for ``-``."""
    path = program()
    folder = Path(tempfile.mkdtemp(prefix="gw-redis-"))
    process = RedisProcess(
        path, folder, free_port(), {name.replace("_", "-"): value for name, value in config.items()}
    )
    try:
        process.start()
        yield process
    finally:
        process.kill()
        shutil.rmtree(folder, ignore_errors=True)


class Relay:
    """Stands before a server: passes bytes on, loses answers, hangs, cuts, and refuses."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.port = 0
        self.loses_answers = False
        """Whether a connection is cut instead of passing on what the server answers next."""
        self.is_refusing = False
        self.lost = 0
        self._flows = asyncio.Event()
        self._flows.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def hang(self) -> None:
        """Pass nothing on until ``flow``, as a network does that loses every packet."""
        self._flows.clear()

    def flow(self) -> None:
        """Pass on what has waited, and all that comes."""
        self._flows.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_refusing:
            writer.transport.abort()
            return
        try:
            upstream, upwriter = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, upwriter}
        self._writers |= both
        ways = self._pass(reader, upwriter, False), self._pass(upstream, writer, True)
        tasks = [asyncio.ensure_future(way) for way in ways]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        self._writers -= both
        for each in both:
            each.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, is_answer: bool
    ) -> None:
        while data := await source.read(1 << 16):
            if is_answer and self.loses_answers:
                self.lost += 1
                return
            await self._flows.wait()
            target.write(data)
