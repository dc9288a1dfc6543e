"""Processes that tests start: each is ended, and its pipes are read to their end, before its test is over."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

__all__ = ["started"]


@asynccontextmanager
async def started(*command: str, **options: Any) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield a process; kill it if it still runs.

    A process that has ended may have an open pipe for a moment. Nobody closes that pipe once the loop is
    closed, and the warning about it then fails another test.
    """
    process = await asyncio.create_subprocess_exec(*command, **options)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.communicate(), 30)
