"""Where a graph's code runs: a loop that it is pinned to for life, and the way of its events out of there.

A graph's import, checkpointer and clients belong to one event loop, and its code may block it.
``ThreadRunner`` gives a graph a thread with a loop of its own; ``InlineRunner`` is the loop of the
connections itself, for graphs in one's own process. What happens there reaches home in batches, one call a
tick.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from graphwire_gateway.telemetry import logger

T = TypeVar("T")

log = logger("runner")

_LEAST_AGAIN_S = 0.1
_LEFT_S = 1.0  # for tasks that a graph has left behind, when its loop ends
_SYNC_NODES = 128  # nodes without async code that one graph may run at once, over all its runs


class Source(Protocol):
    """Something on a runner's loop that makes things for the main loop."""

    def collect(self) -> Callable[[], None]:
        """Return a call, for the main loop, that hands over what was made since the last time."""


def _nothing() -> None:
    """Nobody is told."""


class Job:
    """A coroutine on its way in a runner; ``cancel`` may be called from the home loop at any time.

    It is over when the coroutine has ended and so have the nodes without async code that it has put into the
    loop's threads, which nothing can stop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_over = False
        """For the home loop."""
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self._going_on = 1
        self._done: Callable[[], None] = _nothing

    def begin(self, work: Callable[[], Coroutine[Any, Any, None]], done: Callable[[], None]) -> None:
        """Start the work; runs on the runner's loop, in a context of its own."""
        self._done = done
        if self._cancelled:
            done()
            return
        _JOB.set(self)
        self._task = self._loop.create_task(work())
        self._task.add_done_callback(lambda _: self.ended())

    def begun(self) -> None:
        """A call in a thread belongs to the job; runs on its loop."""
        self._going_on += 1

    def ended(self) -> None:
        """The coroutine, or a call in a thread, has ended; runs on its loop."""
        self._going_on -= 1
        if not self._going_on:
            self._done()

    def cancel(self, again_s: float | None = None) -> None:
        """Ask the work to stop, and again every ``again_s`` seconds while it goes on."""
        self._loop.call_soon_threadsafe(self._cancel, again_s)

    def _cancel(self, again_s: float | None) -> None:
        self._cancelled = True
        if self._task is None or self._task.done():
            return
        # Not before its first step: a task that never began tells nobody of its end.
        self._loop.call_soon(self._task.cancel)
        # Code may lose a cancel, as asyncio.wait_for does before Python 3.12.
        if again_s is not None:
            self._loop.call_later(max(again_s, _LEAST_AGAIN_S), self._cancel, again_s)


_JOB: contextvars.ContextVar[Job] = contextvars.ContextVar("graphwire_job")


class _NodeThreads(ThreadPoolExecutor):
    """Where a loop runs nodes without async code; each call is its job's until it has really ended."""

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        super().__init__(_SYNC_NODES, name)
        self._loop = loop

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        job = _JOB.get(None)
        # Only from its loop: a node that uses the loop's threads by itself counts anyway.
        if job is not None and _running_loop() is self._loop:
            job.begun()
            future.add_done_callback(lambda _: self._ended(job))
        return future

    def _ended(self, job: Job) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self._loop.call_soon_threadsafe(job.ended)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Runner:
    """A loop for graphs. ``put`` is for code on that loop, everything else for the home loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._home = asyncio.get_running_loop()
        self._tick: list[Source] = []
        self._jobs: set[Job] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def start(
        self, work: Callable[[], Coroutine[Any, Any, None]], over: Callable[[Job], None] | None = None
    ) -> Job:
        """Start ``work()`` on the loop, in a fresh context; the runner owns it. ``over(job)`` is called at
        home when all of its code has stopped.
        """
        job = Job(self.loop)
        self._jobs.add(job)
        self._idle.clear()

        def done() -> None:
            self._home.call_soon_threadsafe(self._ended, job, over)

        self.loop.call_soon_threadsafe(job.begin, work, done, context=contextvars.Context())
        return job

    def _ended(self, job: Job, over: Callable[[Job], None] | None) -> None:
        job.is_over = True
        self._jobs.discard(job)
        if not self._jobs:
            self._idle.set()
        if over is not None:
            over(job)

    async def ask(
        self, work: Callable[[], Coroutine[Any, Any, T]], over: Callable[[Job], None] | None = None
    ) -> T:
        """Run ``work()`` on the loop, in a fresh context, and return what it returns. ``over`` as of
        ``start``: it is called before this returns, and even where nobody waits any more.
        """
        future: Future[T] = Future()
        stopped = asyncio.Event()

        async def answer() -> None:
            if not future.set_running_or_notify_cancel():
                return  # who has asked was gone before it began; from here on it is answered in any case
            try:
                future.set_result(await work())
            except BaseException as error:
                future.set_exception(error)

        def ended(job: Job) -> None:
            if over is not None:
                over(job)
            stopped.set()

        job = self.start(answer, ended)
        answered = asyncio.wrap_future(future)
        try:
            await asyncio.wait([answered])
            if over is not None:
                await stopped.wait()
            return answered.result()
        except asyncio.CancelledError:
            answered.cancel()
            job.cancel()
            raise

    async def call(self, function: Callable[[], T]) -> T:
        """Run a plain function on the loop and return what it returns."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return await asyncio.wrap_future(future)

    def put(self, source: Source) -> None:
        """Hand home at the end of this tick what ``source`` has collected by then."""
        if not self._tick:
            self.loop.call_soon(self._flush)
        self._tick.append(source)

    def _flush(self) -> None:
        sources, self._tick = self._tick, []
        self._deliver([source.collect() for source in sources])

    def _deliver(self, calls: list[Callable[[], None]]) -> None:
        _call_all(calls)

    def later(self, function: Callable[[], None]) -> None:
        """Call ``function`` on the loop soon."""
        self.loop.call_soon_threadsafe(function)

    async def close(self, timeout_s: float) -> None:
        """Cancel what still runs and wait for it at most ``timeout_s`` seconds."""
        for job in list(self._jobs):
            job.cancel()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._idle.wait(), timeout_s)


class InlineRunner(Runner):
    """Runs graphs on the loop of the connections."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())


class ThreadRunner(Runner):
    """Runs graphs in a thread with a loop of its own."""

    def __init__(self, name: str) -> None:
        loop = new_loop()
        super().__init__(loop)
        self._closing = False
        # A daemon: code that never ends may not keep the server from ending.
        self._thread = threading.Thread(target=self._main, name=f"graphwire-{name}", daemon=True)
        self._thread.start()

    @property
    def thread(self) -> int:
        """The ``ident`` of its thread."""
        assert self._thread.ident is not None
        return self._thread.ident

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_default_executor(_NodeThreads(self.loop, f"{threading.current_thread().name}-node"))
        while not self._closing:
            try:
                self.loop.run_forever()
            except BaseException as error:  # a node that calls sys.exit() ends its run, not the graph's loop
                log.error("graph code tried to end the process", error=repr(error))
        with contextlib.suppress(BaseException):
            self._end_tasks()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        with contextlib.suppress(OSError):  # connections that a library keeps open in this loop
            self.loop.close()

    def _end_tasks(self) -> None:
        # Tasks that graph code has left on the loop.
        left = asyncio.all_tasks(self.loop)
        for task in left:
            task.cancel()
        if left:
            self.loop.run_until_complete(asyncio.wait(left, timeout=_LEFT_S))

    def _deliver(self, calls: list[Callable[[], None]]) -> None:
        self._home.call_soon_threadsafe(_call_all, calls)

    async def close(self, timeout_s: float) -> None:
        """Cancel what still runs, wait for it at most ``timeout_s`` seconds, end the thread."""
        if self._closing:
            return
        await super().close(timeout_s)
        self._closing = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        await asyncio.to_thread(self._thread.join, timeout_s)


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        call()


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
