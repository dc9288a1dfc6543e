"""Resources that stay open on a runner's loop as long as the server runs.

One task opens and closes them, since libraries such as anyio demand that.
"""

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
    """Keeps resources open on a runner's loop. Call ``open`` and ``close`` on the main loop, once each."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._closing = asyncio.Event()
        self._is_started = False
        self._closed: Future[None] = Future()

    async def open(self, enter: Callable[[AsyncExitStack], Awaitable[T]]) -> T:
        """Run ``enter`` with a stack for what it opens, and return its result. Raises what it raises."""
        opened: Future[Any] = Future()

        async def work() -> None:
            failed: BaseException | None = None
            try:
                async with AsyncExitStack() as stack:
                    try:
                        opened.set_result(await enter(stack))
                        await self._closing.wait()
                    except Exception as error:  # the stack closes what is already open
                        failed = error
            except BaseException as error:  # SystemExit too: it must not end the loop
                failed = failed or error
            if failed is not None and not opened.cancelled():  # cancelled: the caller is gone
                if opened.done():
                    log.error(
                        "closing a graph's resources failed, or took too long",
                        error=repr(failed),
                        exc_info=failed,
                    )
                else:
                    opened.set_exception(failed)
            self._closed.set_result(None)

        self._is_started = True
        job = self._runner.start(work)
        try:
            value: T = await asyncio.wrap_future(opened)
        except asyncio.CancelledError:
            job.cancel()
            raise
        return value

    async def close(self, timeout_s: float) -> None:
        """Close the resources, waiting at most ``timeout_s`` seconds; closing the runner cancels the rest."""
        if self._is_started:
            self._runner.later(self._closing.set)
            await asyncio.wait({asyncio.wrap_future(self._closed)}, timeout=timeout_s)
