"""The life of a process that serves: its configuration, its loop, and its end."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from rich.console import Console

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.runner import new_loop
from graphwire_gateway.serve.config import Config
from graphwire_gateway.serve.process import end_soon
from graphwire_gateway.serve.reload import replaced
from graphwire_gateway.serve.selection import Selection
from graphwire_gateway.serve.stop import Stop
from graphwire_gateway.telemetry import logger, write_log

log = logger("serve")

TAKEN = 1
"""The exit code of a server whose store another one has taken."""

CANNOT = 2
"""The exit code of a process that cannot serve what it is asked to."""


beside = threading.Event()
"""Set in a worker that another process of the command line has started, and speaks for."""


class Drained(Protocol):
    """What runs graphs, and lets them end."""

    async def drain(self, timeout_s: float | None = None) -> None:
        """Let runs end for so many seconds; a second call with 0 ends the waiting."""


def run_selected(
    command: str, selection: Selection, serving: Callable[[Config], Coroutine[Any, Any, int]]
) -> int:
    """Serve what is selected until that ends; return the exit code."""
    is_json = selection.settings["log_format"] == "json"
    try:
        config, notes = selection.resolve()
        write_log(config.server.log_format, config.server.log_level)
        is_json = config.server.log_format == "json"
        for level, line in () if selection.is_restart else notes:
            getattr(log, level)(line)
        code = _run(serving(config))
        end_soon(code)
        return code
    except CannotServe as error:
        if is_json:
            write_log("json", "info")
            log.error("cannot serve", reason=str(error))
            return CANNOT
        Console(stderr=True, soft_wrap=True).print(f"graphwire {command}: {error}", style="red", markup=False)
        return CANNOT


def _run(serving: Coroutine[Any, Any, int]) -> int:
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(serving)
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        asyncio.set_event_loop(None)
        loop.close()


async def drain(running: Drained, config: Config, stop: Stop) -> None:
    """Let runs end, for ``drain_s`` or until a second request to stop."""
    say_draining(config)
    draining = asyncio.ensure_future(running.drain())
    again = asyncio.ensure_future(stop.requested_again.wait())
    await asyncio.wait({draining, again}, return_when=asyncio.FIRST_COMPLETED)
    await running.drain(0)
    again.cancel()
    await asyncio.gather(draining, again, return_exceptions=True)


def say_draining(config: Config) -> None:
    """Say how long runs get to end."""
    if config.server.log_format == "json":
        log.info("draining", drain_s=config.limits.drain_s)
    elif not replaced.is_set() and not beside.is_set():
        with contextlib.suppress(OSError):
            Console(stderr=True, highlight=False).print(
                f"draining: runs get {config.limits.drain_s:g} s to end; Ctrl-C again stops at once"
            )
