"""``graphwire demo --cluster``: kill the worker that executes a run, in mid-sentence, and see the run go on.

Redis, a gateway and two workers are child processes, with the graphs of ``demo``. Everything shown arrives
over one connection to the gateway. Redis keeps its files in a fresh folder, which goes with it.
"""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from graphwire.cli.server_process import RETRY_AFTER_S, START_TIMEOUT_S, connected, end, free_port
from graphwire.client import Client
from graphwire.events import LifecycleEvent, MessagesEvent, UpdatesEvent

NO_REDIS = (
    "the demo of several processes needs redis-server (or valkey-server), which is not on the path: install "
    "it, on Debian with 'sudo apt-get install redis-server', on a Mac with 'brew install redis', or see the "
    "demo of one process: graphwire demo"
)

_WORDS = 12  # of the last text, after which its worker is killed
_ENDS = (".", "!", "?", ":", '"', "\n")
_WORKS = "a worker runs"  # what a worker says when it has shards
_PROGRAM = (sys.executable, "-c", "from graphwire.cli import main; main()")


class Processes:
    """Redis, a gateway and two workers, with a log file each."""

    def __init__(self, folder: Path, port: int) -> None:
        self.workers: dict[int, subprocess.Popen[bytes]] = {}
        self._folder = folder
        self._port = port
        self._all: list[subprocess.Popen[bytes]] = []

    async def started(
        self, redis: str, module: str, graphs: Sequence[str], configuration: str
    ) -> Client | None:
        """Start them all; return a client, or None if one of them does not come up."""
        (self._folder / "workers.toml").write_text(configuration, "utf-8")
        redis_port = free_port(0)
        settings = {"port": str(redis_port), "bind": "127.0.0.1", "save": "", "appendonly": "yes"}
        self._start(
            "redis", redis, *(word for pair in settings.items() for word in (f"--{pair[0]}", pair[1]))
        )
        if not await self._until(lambda: _answers(redis_port)):
            return None
        store = f"redis://127.0.0.1:{redis_port}/0"
        gateway = self._start("gateway", *_PROGRAM, "serve", "--store", store, "--port", str(self._port))
        targets = [f"{name}={module}:{name}" for name in graphs]
        for number in (1, 2):
            work = [*_PROGRAM, "worker", *targets, "--store", store, "--config", "workers.toml"]
            self.workers[number] = self._start(f"worker-{number}", *work)
        if not await self._until(lambda: all(_WORKS in self._log(number) for number in self.workers)):
            return None
        return await connected(f"ws://127.0.0.1:{self._port}/ws", gateway)

    def _start(self, name: str, *command: str) -> "subprocess.Popen[bytes]":
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._all.append(process)
        return process

    async def _until(self, is_true: Callable[[], bool]) -> bool:
        until = time.monotonic() + 2 * START_TIMEOUT_S  # three Pythons at once
        while not is_true():
            if time.monotonic() > until or any(process.poll() is not None for process in self._all):
                return False
            await asyncio.sleep(RETRY_AFTER_S)
        return True

    def _log(self, number: int) -> str:
        return (self._folder / f"worker-{number}.log").read_text("utf-8", "replace")

    def logs(self) -> str:
        """Return what all have said."""
        return "\n".join(
            file.read_text("utf-8", "replace").strip() for file in sorted(self._folder.glob("*.log"))
        )

    def kill_worker_of(self, run: str) -> tuple[int, int]:
        """Kill the worker whose log names a run; return its number and its process id."""
        number = next(number for number in self.workers if run in self._log(number))
        process = self.workers[number]
        process.kill()
        process.wait()
        self._all.remove(process)
        return number, process.pid

    async def one_has_ended(self) -> None:
        """Wait until one of those that are left has ended."""
        while all(process.poll() is None for process in self._all):  # noqa: ASYNC110  # it cannot say so itself
            await asyncio.sleep(RETRY_AFTER_S)

    def end(self) -> None:
        """End them, Redis last."""
        for process in reversed(self._all):
            end(process)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def redis_program() -> str | None:
    """Return the path of redis-server, or of valkey-server; None if neither is on the path."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


@contextlib.contextmanager
def opened_cluster(port: int) -> Iterator[Processes]:
    """Yield processes, which are to be started, with a fresh folder; they end with the block."""
    with tempfile.TemporaryDirectory(prefix="graphwire-demo-", ignore_cleanup_errors=True) as folder:
        processes = Processes(Path(folder), port)
        try:
            yield processes
        finally:
            processes.end()


# ── what is shown ────────────────────────────────────────────────────────────────────────────────────


class Text:
    """Prints what nodes write, broken between words."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._column = 0
        self._node: str | None = None

    def note(self, text: str, style: str = "bold") -> None:
        """Print a line of its own."""
        if self._column:
            self._console.print()
        self._console.print(text, style=style, markup=False)
        self._column, self._node = 0, None

    def write(self, node: str, text: str) -> None:
        """Print a piece of text, behind the name of its node where that is another one."""
        if node != self._node:
            self.note(f"{node}:", "bold cyan")
            self._node = node
        for line in text.splitlines(keepends=True):
            word = line.rstrip("\n")
            if self._column + len(word) > self._console.width:
                self._console.print()
                self._column, word = 0, word.lstrip()
            self._console.print(word, end="", markup=False, soft_wrap=True)
            self._column += len(word)
            if line.endswith("\n"):
                self._console.print()
                self._column = 0


async def show_takeover(console: Console, processes: Processes, client: Client, topic: str) -> bool:
    """Show a run whose worker is killed; tell whether it completed all the same."""
    text = Text(console)
    text.note("Redis, a gateway and two workers are running. One of them begins a run:")
    run = await client.run(
        "research",
        {"topic": topic},
        thread="night",
        modes=["messages", "updates"],
        metadata={"title": f"Research on {topic}"},
    )
    killed = words = 0
    async for event in run:
        match event:
            case MessagesEvent(message=message, node=node):
                text.write(node or "model", message.text)
                words += node == "summarize"
                if not killed and words >= _WORDS and not message.text.endswith(_ENDS):
                    killed, pid = processes.kill_worker_of(run.id)
                    text.note(f"── kill -9 {pid}: worker {killed}, which executed it, is gone ──", "bold red")
                    text.note("   the other one takes its place; some seconds may pass", "dim")
            case UpdatesEvent(node=node):
                text.note(f"✓ {node}", "green")
            case LifecycleEvent(status="running", attempt=attempt, void_after=void) if attempt > 1:
                text.note(
                    f"── worker {3 - killed} goes on with it, in the same log, as attempt {attempt} ──\n"
                    f"   what came behind event {void} is void: the unfinished step is repeated"
                )
            case LifecycleEvent(status=status, attempt=attempt, seq=seq) if status != "running":
                text.note(f"{status}: {seq} events, none of them twice, by {attempt} workers")
    return run.status == "completed" and killed > 0
