"""The server under attack: ``graphwire serve`` as a process of its own, its memory and its log."""

import asyncio
import os
import re
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.attacks.attack import ATTACKER, OTHER, Attack

ROOT = Path(__file__).parents[3]
GRAPHS = Path(__file__).with_name("graphs.py")

SHARED = ("healthy", "plain", "sleeper")
"""Graphs that share a loop, as graphs do by default; each of the others has one of its own."""
OWN = (
    *("speaker", "events", "holder", "echo", "asker", "raiser", "reducer", "factory", "saved", "looper"),
    *("leaver", "blocker", "spinner", "states", "hung"),
)

_START_S = 60.0
_SERVE = [sys.executable, "-c", "from graphwire.cli import main; main()", "serve"]


class Served:
    """The process of a server."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.process = process
        self.port = 0
        self._log = log

    @property
    def log(self) -> str:
        """What it has logged."""
        return self._log.read_text("utf-8", "replace")

    @property
    def is_alive(self) -> bool:
        """Whether the process has not ended."""
        return self.process.returncode is None

    def mib(self) -> float:
        """Return its resident memory, in MiB."""
        return self._status("VmRSS")

    def peak_mib(self) -> float:
        """Return the most that it has held since ``forget_peak``, in MiB."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """Begin a new peak."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def cpu_s(self) -> float:
        """Return the seconds of CPU that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _status(self, name: str) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _configuration(attack: Attack) -> str:
    graphs = [f'{name} = "{GRAPHS}:{name}"' for name in SHARED]
    graphs += [f'{name} = {{target = "{GRAPHS}:{name}", runner = "own"}}' for name in OWN]
    tokens = [f'"{ATTACKER}" = "attacker"', f'"{OTHER}" = "other"']
    limits = [f"{name} = {value}" for name, value in attack.limits.items()]
    lines = ["[server]", "port = 0", "[graphs]", *graphs, "[auth.tokens]", *tokens, "[limits]", *limits]
    return "\n".join(lines)


@asynccontextmanager
async def serving(attack: Attack, core: int | None = None) -> AsyncIterator[Served]:
    """Serve the graphs until the end of the block; on one core, if it is given."""

    def prepare() -> None:
        if core is not None:
            os.sched_setaffinity(0, {core})
        if attack.descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (attack.descriptors, attack.descriptors))

    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "graphwire.toml").write_text(_configuration(attack))
        log = folder / "log"
        with log.open("wb") as written:
            process = await asyncio.create_subprocess_exec(
                *_SERVE,
                cwd=folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=written,
                stderr=written,
                env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
                preexec_fn=prepare,
            )
        try:
            yield await asyncio.wait_for(_started(Served(process, log)), _START_S)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _started(served: Served) -> Served:
    """Wait until the server listens."""
    while served.is_alive:
        found = re.search(r"at ws://[\d.]+:(\d+)/ws", served.log)
        if found is not None:
            served.port = int(found[1])
            return served
        await asyncio.sleep(0.02)
    raise AssertionError(f"the server did not start: {served.log}")
