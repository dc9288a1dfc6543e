"""The worker processes beside ``graphwire serve --workers N``: started, and started again when they die."""

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import Coroutine
from dataclasses import replace
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

import structlog

from graphwire_gateway.connections.auth import is_loopback
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.serve.config import Config
from graphwire_gateway.serve.running import CANNOT, beside, say_draining
from graphwire_gateway.serve.selection import Selection
from graphwire_gateway.serve.stop import CLOSE_S, Stop
from graphwire_gateway.serve.worker_command import work
from graphwire_gateway.telemetry import logger

log = logger("serve")

T = TypeVar("T")

_AGAIN_S, _LONGEST_S = 0.5, 15.0
"""Seconds before a worker that has died is started again; twice as many each time that it died young."""

_YOUNG_S = 10.0


class Workers:
    """As many workers as the configuration says, which run what is selected."""

    def __init__(self, selection: Selection, config: Config) -> None:
        self.count = config.server.workers or 0
        self.are_ready = False
        """Whether they were there once: then one that cannot serve is started again, like one that died."""
        server = config.server
        expose = is_loopback(server.host) if server.expose_errors is None else server.expose_errors
        settings = {**selection.settings, "expose_errors": expose}
        self._selection = replace(
            selection, settings=settings, worker_settings={"host": "127.0.0.1"}, is_worker=True
        )
        self._processes: dict[int, BaseProcess] = {}
        self._waits: dict[int, float] = dict.fromkeys(range(self.count), _AGAIN_S)
        self._cannot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._attending: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start them all, and look after each."""
        self._attending = [asyncio.ensure_future(self._keep(number)) for number in range(self.count)]

    async def _keep(self, number: int) -> None:
        loop = asyncio.get_running_loop()
        context = multiprocessing.get_context("spawn")
        while True:
            process = context.Process(
                target=_work, args=(self._selection, number), name=f"graphwire-worker-{number}"
            )
            began_at = loop.time()
            try:
                process.start()
            except OSError as error:  # the machine has no memory for it now, say
                log.error("a worker was not started; trying again", worker=number, error=str(error))
                await asyncio.sleep(_LONGEST_S)
                continue
            self._processes[number] = process
            await _ended(process)
            if process.exitcode == CANNOT and not self.are_ready:  # it has said why
                if not self._cannot.done():
                    self._cannot.set_result(None)
                return
            seconds = self._waits[number]
            is_young = loop.time() < began_at + _YOUNG_S
            self._waits[number] = min(2 * seconds, _LONGEST_S) if is_young else _AGAIN_S
            log.warning(
                "a worker has ended; another one takes its place",
                worker=number,
                pid=process.pid,
                exit_code=process.exitcode,
                after_s=seconds,
            )
            await asyncio.sleep(seconds)

    async def unless_they_cannot(self, work: Coroutine[Any, Any, T]) -> T:
        """Return what ``work`` returns. Raises ``CannotServe`` if a worker cannot serve its graphs."""
        task = asyncio.ensure_future(work)
        try:
            both: set[asyncio.Future[Any]] = {task, self._cannot}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if self._cannot.done():
            raise CannotServe("a worker cannot serve what it is asked to; it has said why above")
        return task.result()

    async def drain(self, config: Config, stop: Stop) -> None:
        """Let them end as a server does, and wait for that; a second request to stop hurries them."""
        for task in self._attending:
            task.cancel()
        await asyncio.gather(*self._attending, return_exceptions=True)
        alive = [process for process in self._processes.values() if process.exitcode is None]
        if not alive:
            return
        say_draining(config)
        for process in alive:
            process.terminate()
        ended = asyncio.ensure_future(_all_ended(alive))
        again = asyncio.ensure_future(stop.requested_again.wait())
        await asyncio.wait({ended, again}, return_when=asyncio.FIRST_COMPLETED)
        if not ended.done():
            for process in alive:
                process.terminate()
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(ended, CLOSE_S)
        again.cancel()
        await asyncio.gather(again, return_exceptions=True)

    def kill(self) -> None:
        """End what is left of them."""
        for task in self._attending:
            task.cancel()
        for process in self._processes.values():
            if process.exitcode is None:
                process.kill()
                process.join()


def _work(selection: Selection, number: int) -> None:
    """The main function of a worker, whose log says which one it is."""
    beside.set()
    structlog.contextvars.bind_contextvars(worker=number)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends Ctrl-C to all; the parent passes it on
    raise SystemExit(work(selection))


async def _ended(process: BaseProcess) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    sentinel = process.sentinel
    loop.add_reader(sentinel, lambda: None if ended.done() else ended.set_result(None))
    try:
        await ended
    finally:
        loop.remove_reader(sentinel)
    process.join()


async def _all_ended(processes: list[BaseProcess]) -> None:
    await asyncio.gather(*map(_ended, processes))
