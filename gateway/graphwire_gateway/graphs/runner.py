"""Runners: the event loops on which graphs run, and how what happens there reaches the main loop.

The main loop serves the connections and owns the logs. A graph's import, checkpointer and clients belong to
one event loop for life, and its code may block that loop, so a graph has a runner: ``InlineRunner`` is the
main loop itself, for graphs of an application that embeds the gateway; ``ThreadRunner`` is a loop in a thread
of its own. The rest of the gateway does not see the difference.

Three threads may run the code of this file:

- The main loop starts jobs and cancels them. ``start`` returns at once; ``ask`` and ``call`` wait for a
  result. All of them reach the runner's loop by ``call_soon_threadsafe``, in the order of the calls. They do
  so inline as well, so that a job never begins inside ``start``.
- The runner's loop runs the jobs. Each job has a context of its own, which also tells ``_NodeThreads`` whose
  job a call belongs to. Code on this loop calls ``put(source)`` when it has made something; at the end of the
  tick, all such sources are collected, and one callback on the main loop runs the calls that they returned. A
  token thus costs no wake-up of its own, and the order within a runner is kept.
- Nodes without async code run in threads of the runner's executor. Such a thread cannot be stopped. A job
  therefore ends only after its coroutine and all calls that it left in threads; only then is ``on_end``
  called, on the main loop. On the main loop itself the executor is the application's, and these calls are not
  counted.

Graph code may lose a cancellation, block, or call ``sys.exit()``. A cancel can be repeated, the thread is a
daemon, and the loop runs on after an exit; what is left when a runner closes is cancelled, and abandoned
after a timeout.
"""

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeAlias, TypeVar

from graphwire_gateway.telemetry import logger

T = TypeVar("T")

log = logger("runner")

_LEAST_REPEAT_S = 0.1
"""The shortest pause between two cancels of one job."""
_LEFTOVER_TASKS_S = 1.0
"""How long the end of a loop waits for tasks that graph code left on it."""
_SYNC_CALLS = 128
"""Calls of nodes without async code that one runner makes at once, over all its runs."""


class Source(Protocol):
    """Something on a runner's loop that makes things for the main loop."""

    def collect(self) -> Callable[[], None]:
        """Return a call, for the main loop, that hands over what was made since the last collection."""


def _no_callback() -> None:
    """The ``on_end`` of a job that has not begun."""


class Job:
    """A coroutine that a runner runs. ``is_over``, ``is_cancelled`` and ``cancel`` are for the main loop.

    The job is over when the coroutine has ended, and with it every call that it made in a thread of the
    loop's executor: nothing can stop such a call.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_over = False
        """Whether all of the job's code has stopped."""
        self.is_cancelled = False
        """Whether it was cancelled. Whoever did so decides how long to wait for its end."""
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._unfinished = 1  # the coroutine and its calls in threads
        self._on_end: Callable[[], None] = _no_callback

    def begin(self, work: Callable[[], Coroutine[Any, Any, None]], on_end: Callable[[], None]) -> None:
        """Start the coroutine. Runs on the loop, in the job's context."""
        self._on_end = on_end
        _JOB.set(self)
        self._task = self._loop.create_task(work())
        self._task.add_done_callback(lambda _: self.part_ended())

    def call_started(self) -> None:
        """Count a call in a thread as part of the job. Runs on the loop."""
        self._unfinished += 1

    def part_ended(self) -> None:
        """Note that the coroutine or a call in a thread has ended. Runs on the loop."""
        self._unfinished -= 1
        if not self._unfinished:
            self._on_end()

    def cancel(self, repeat_s: float | None = None) -> None:
        """Cancel the coroutine, and again every ``repeat_s`` seconds until it ends; None cancels once.

        May be called at any time. The coroutine's first step always runs; a job that is over stays as it is.
        """
        self.is_cancelled = True
        self._loop.call_soon_threadsafe(self._cancel, repeat_s)

    def _cancel(self, repeat_s: float | None) -> None:
        assert self._task is not None  # begin was sent to the loop before any cancel
        if self._task.done():
            return
        # Not before the task's first step: cancelled earlier, its code would never run, not even its cleanup.
        self._loop.call_soon(self._task.cancel)
        # Code may lose a cancellation, as asyncio.wait_for does before Python 3.12.
        if repeat_s is not None:
            self._loop.call_later(max(repeat_s, _LEAST_REPEAT_S), self._cancel, repeat_s)


_JOB: contextvars.ContextVar[Job] = contextvars.ContextVar("graphwire_job")
"""The job that the current code belongs to."""


_Call: TypeAlias = tuple["Future[Any]", Callable[[], Any]]


class _NodeThreads(ThreadPoolExecutor):
    """The executor for nodes without async code; counts each call as part of its job until it ends.

    Its threads are daemons. Those of its base, which asyncio demands, would keep the interpreter alive at its
    end for as long as a node is stuck.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        super().__init__(_SYNC_CALLS, name)
        self._loop = loop
        self._name = name
        self._calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._free = threading.Semaphore(0)  # counts the threads that wait for a call
        self._own: list[threading.Thread] = []
        self._guard = threading.Lock()
        self._is_shut = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        future: Future[T] = Future()
        job = _JOB.get(None)
        # A call submitted from another thread comes from a node that is counted already.
        is_counted = job is not None and _running_loop() is self._loop
        with self._guard:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._calls.put((future, partial(fn, *args, **kwargs)))
            if not self._free.acquire(blocking=False) and len(self._own) < _SYNC_CALLS:
                name = f"{self._name}_{len(self._own)}"
                self._own.append(threading.Thread(target=self._work, name=name, daemon=True))
                self._own[-1].start()
        if job is not None and is_counted:
            job.call_started()
            future.add_done_callback(lambda _: self._call_ended(job))
        return future

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:
                    future.set_exception(error)
            del call, future, function  # an idle thread keeps nothing alive
            self._free.release()
        self._calls.put(None)  # for the next thread

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        with self._guard:
            self._is_shut = True
        while cancel_futures:
            try:
                call = self._calls.get_nowait()
            except queue.Empty:
                break
            if call is not None:
                call[0].cancel()
        self._calls.put(None)
        for thread in self._own if wait else ():
            thread.join()

    def _call_ended(self, job: Job) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its jobs no longer matter
            self._loop.call_soon_threadsafe(job.part_ended)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Runner:
    """A loop that graphs run on. ``put`` is for code on that loop, every other method for the main loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._main_loop = asyncio.get_running_loop()
        self._tick: list[Source] = []
        self._jobs: set[Job] = set()
        self._has_ended = asyncio.Event()  # a job

    def start(
        self, work: Callable[[], Coroutine[Any, Any, None]], on_end: Callable[[Job], None] | None = None
    ) -> Job:
        """Start ``work()`` on the loop, in a fresh context, and return its job, which the runner owns.

        ``on_end(job)`` is called on the main loop when all of the job's code has stopped. An exception of
        ``work`` is not passed on; ``ask`` does that.
        """
        job = Job(self.loop)
        self._jobs.add(job)

        def ended() -> None:
            self._main_loop.call_soon_threadsafe(self._ended, job, on_end)

        self.loop.call_soon_threadsafe(job.begin, work, ended, context=contextvars.Context())
        return job

    def _ended(self, job: Job, on_end: Callable[[Job], None] | None) -> None:
        job.is_over = True
        self._jobs.discard(job)
        self._has_ended.set()
        if on_end is not None:
            on_end(job)

    async def ask(
        self, work: Callable[[], Coroutine[Any, Any, T]], on_end: Callable[[Job], None] | None = None
    ) -> T:
        """Run ``work()`` on the loop, in a fresh context, and return its result. Raises what it raises.

        If the caller is cancelled, so is the work. ``on_end`` is called as by ``start``: before this method
        returns, and also if the caller was cancelled.
        """
        future: Future[T] = Future()
        stopped = asyncio.Event()

        async def answer() -> None:
            if not future.set_running_or_notify_cancel():
                return  # the caller was cancelled before the work began
            try:
                future.set_result(await work())
            except BaseException as error:
                future.set_exception(error)

        def ended(job: Job) -> None:
            if on_end is not None:
                on_end(job)
            stopped.set()

        job = self.start(answer, ended)
        answered = asyncio.wrap_future(future)
        try:
            await asyncio.wait([answered])
            if on_end is not None:
                await stopped.wait()
            return answered.result()
        except asyncio.CancelledError:
            answered.cancel()
            job.cancel()
            raise

    async def call(self, function: Callable[[], T]) -> T:
        """Run a plain function on the loop and return its result.

        Raises what it raises, SystemExit included.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self.loop.call_soon_threadsafe(run)
        return await asyncio.wrap_future(future)

    def put(self, source: Source) -> None:
        """Collect ``source`` at the end of this tick.

        Call it once a tick, for the first thing that is made.
        """
        if not self._tick:
            self.loop.call_soon(self._flush)
        self._tick.append(source)

    def _flush(self) -> None:
        sources, self._tick = self._tick, []
        self._deliver([source.collect() for source in sources])

    def _deliver(self, calls: list[Callable[[], None]]) -> None:
        _call_all(calls)

    def later(self, function: Callable[[], None]) -> None:
        """Call ``function`` on the loop, behind what was sent there before."""
        self.loop.call_soon_threadsafe(function)

    async def close(self, timeout_s: float) -> None:
        """Cancel every job and wait at most ``timeout_s`` seconds for their end.

        Jobs that were cancelled before have had their time, and are not waited for: a node in a thread may be
        stuck for ever.
        """
        left = [job for job in self._jobs if not job.is_cancelled]
        for job in left:
            job.cancel()

        async def all_over() -> None:
            while not all(job.is_over for job in left):
                self._has_ended.clear()
                await self._has_ended.wait()

        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(all_over(), timeout_s)


class InlineRunner(Runner):
    """Runs graphs on the main loop."""

    def __init__(self) -> None:
        super().__init__(asyncio.get_running_loop())


class ThreadRunner(Runner):
    """Runs graphs on a loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        loop = new_loop()
        super().__init__(loop)
        self._closing = False
        # A daemon, so that code that never ends does not keep the process alive.
        self._thread = threading.Thread(target=self._main, name=f"graphwire-{name}", daemon=True)
        self._thread.start()

    @property
    def thread(self) -> int:
        """The ``ident`` of the loop's thread."""
        assert self._thread.ident is not None
        return self._thread.ident

    def _main(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_default_executor(_NodeThreads(self.loop, f"{threading.current_thread().name}-node"))
        while not self._closing:
            try:
                self.loop.run_forever()
            except BaseException as error:  # sys.exit() in a node ends its run alone
                log.error("graph code tried to end the process", error=repr(error))
        with contextlib.suppress(BaseException):
            self._cancel_leftover_tasks()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        with contextlib.suppress(OSError):  # a library may have connections open on this loop
            self.loop.close()

    def _cancel_leftover_tasks(self) -> None:
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks, timeout=_LEFTOVER_TASKS_S))

    def _deliver(self, calls: list[Callable[[], None]]) -> None:
        self._main_loop.call_soon_threadsafe(_call_all, calls)

    async def close(self, timeout_s: float) -> None:
        """Cancel every job, then end the thread; wait at most ``timeout_s`` seconds for each."""
        if self._closing:
            return
        await super().close(timeout_s)
        self._closing = True
        self.loop.call_soon_threadsafe(self.loop.stop)
        await asyncio.to_thread(self._thread.join, timeout_s)


def _call_all(calls: list[Callable[[], None]]) -> None:
    for call in calls:
        try:
            call()
        except Exception as error:  # what other jobs hand over must not be lost with it
            log.error("internal fault", doing="hand-over", exc_info=error)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop: uvloop's if it is installed, else asyncio's."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
