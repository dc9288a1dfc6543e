"""What lives on a runner's loop as long as the server: opened and closed there, by one and the same task."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from typing import Any, TypeVar

from graphwire_gateway.graphs.runner import Runner
from graphwire_gateway.telemetry import logger

T = TypeVar("T")

log = logger("lifespan")


class Lifespan:
    """Holds what was opened on a runner's loop. ``open`` and ``close`` are for the home loop."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._ends = asyncio.Event()
        self._has_begun = False
        self._over: Future[None] = Future()

    async def open(self, enter: Callable[[AsyncExitStack], Awaitable[T]]) -> T:
        """Return what ``enter`` opens into the stack that it is given. Raises what it raises."""
        opened: Future[Any] = Future()

        async def work() -> None:
            failed: BaseException | None = None
            try:
                async with AsyncExitStack() as stack:
                    try:
                        opened.set_result(await enter(stack))
                        await self._ends.wait()
                    except Exception as error:  # what is open already is closed as at any other end
                        failed = error
            except BaseException as error:  # an exit of the process, too, is no more than a failure here
                failed = failed or error
            if failed is not None and not opened.cancelled():  # else nobody waits for it any more
                if opened.done():
                    log.error("closing failed, or took too long", error=repr(failed), exc_info=failed)
                else:
                    opened.set_exception(failed)
            self._over.set_result(None)

        self._has_begun = True
        job = self._runner.start(work)
        try:
            value: T = await asyncio.wrap_future(opened)
        except asyncio.CancelledError:
            job.cancel()
            raise
        return value

    async def close(self, timeout_s: float) -> None:
        """Close what is open; what takes longer than ``timeout_s`` seconds is left to the runner's end."""
        if self._has_begun:
            self._runner.later(self._ends.set)
            await asyncio.wait({asyncio.wrap_future(self._over)}, timeout=timeout_s)
