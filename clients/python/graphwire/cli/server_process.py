"""The processes that ``graphwire demo`` starts: their port, the wait for them, their log, and their end."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from typing import IO, Any

from graphwire.client import Client, connect
from graphwire.errors import CannotConnect

START_TIMEOUT_S = 30
RETRY_AFTER_S = 0.1
_LOG_EVERY_S = 0.2


def free_port(wanted: int) -> int:
    """Return ``wanted``, or a free port if that is taken."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            if os.name == "posix":  # as the server does: connections of an earlier demo may linger
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted


async def connected(url: str, server: "subprocess.Popen[Any]") -> Client | None:
    """Return a connected client as soon as the server listens; None if the server exits or is too slow."""
    until = time.monotonic() + START_TIMEOUT_S
    while server.poll() is None and time.monotonic() < until:
        client = connect(url)
        try:
            await client.open()
        except CannotConnect:
            await asyncio.sleep(RETRY_AFTER_S)
        else:
            return client
    return None


async def follow_log(log: IO[str], is_over: Callable[[], bool]) -> None:
    """Print what the server logs from now on: there a failed run's ``error_id`` is explained."""
    with open(log.name, encoding="utf-8", errors="replace") as lines:  # noqa: ASYNC230  # a local file
        lines.seek(0, os.SEEK_END)
        while True:
            ended = is_over()
            print(lines.read(), end="", file=sys.stderr, flush=True)
            if ended:
                return
            await asyncio.sleep(_LOG_EVERY_S)


def end(process: "subprocess.Popen[Any]") -> None:
    """End a process, at once if it does not do so by itself."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
