"""A project that is served by the command of its README, in a process of its own."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.processes import started

__all__ = ["serving"]

PROGRAM = [sys.executable, "-c", "from graphwire.cli import main; main()"]


@asynccontextmanager
async def serving(
    project: Path, folder: Path, graphs: str, env: Mapping[str, str]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Serve a project whose threads are in a SQLite file; yield the process and the server's address.

    Args:
        project: the folder of its ``langgraph.json``.
        folder: where the command runs.
        graphs: the names of its graphs, as the command prints them.
        env: what is added to the environment.
    """
    async with started(
        *PROGRAM,
        "serve",
        str(project),
        "--port",
        "0",
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "NO_COLOR": "1", **env},
    ) as process:
        assert process.stderr is not None
        lines: list[str] = []
        while line := (await asyncio.wait_for(process.stderr.readline(), 60)).decode():
            lines.append(line)
            if found := re.search(rf"serves {graphs} at (ws://\S+)", line):
                break
        else:
            raise AssertionError("".join(lines))
        while "threads are kept in" not in line:
            line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        assert "AsyncSqliteSaver" in line
        yield process, found.group(1)
