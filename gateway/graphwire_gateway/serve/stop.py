"""How the processes of the command line are asked to stop: by a signal, and at once by a second one."""

import asyncio
import contextlib
import multiprocessing
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

from graphwire_gateway.serve.process import end_within

T = TypeVar("T")

CLOSE_S = 8.0
"""How long a process may take to cancel its runs and close, once ``drain_s`` is over."""

_AT_ONCE_S = 3.0
"""How long it may take to cancel its runs and close, once it is asked to stop at once."""


class Stop:
    """Requests to stop, by signal: the first to drain, the second to stop at once.

    Whatever blocks the main loop, the process ends ``seconds`` after the first.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.requested = asyncio.Event()
        self.requested_again = asyncio.Event()
        self._signals = 0
        self._loop = loop = asyncio.get_running_loop()
        parent = multiprocessing.parent_process()
        # Not add_signal_handler: a graph on the main loop may block it.
        if parent is None:
            signal.signal(signal.SIGINT, self._signalled)
        else:  # the parent passes Ctrl-C on; if it has died, nobody would, so stop with it
            loop.add_reader(parent.sentinel, self._orphaned, loop, parent.sentinel)
        signal.signal(signal.SIGTERM, self._signalled)

    async def unless_requested(self, opening: Coroutine[Any, Any, T]) -> T | None:
        """Return what ``opening`` returns; if a request comes first, cancel it and return None."""
        task = asyncio.ensure_future(opening)
        requested = asyncio.ensure_future(self.requested.wait())
        await asyncio.wait({task, requested}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            requested.cancel()
            return task.result()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return None

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if self._signals <= 2:
            end_within(self._seconds if self._signals == 1 else _AT_ONCE_S, 0)
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the process ends
            self._loop.call_soon_threadsafe(self._request)

    def _request(self) -> None:
        (self.requested_again if self.requested.is_set() else self.requested).set()

    def _orphaned(self, loop: asyncio.AbstractEventLoop, sentinel: int) -> None:
        loop.remove_reader(sentinel)
        self.requested.set()
        self.requested_again.set()
