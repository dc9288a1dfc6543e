"""A job: a coroutine on a runner's loop, together with the calls that it makes in threads."""

import asyncio
import contextlib
import contextvars
import queue
import threading
import weakref
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias, TypeVar

from graphwire_gateway.telemetry import logger

T = TypeVar("T")

log = logger("runner")

_LEAST_REPEAT_S = 0.1
"""The shortest pause between two cancels of one job."""
LEFTOVER_S = 1.0
"""How long tasks may run on whose job has ended."""

_SYNC_CALLS = 128
"""Calls of nodes without async code that one runner makes at once, over all its runs."""


def _no_callback() -> None:
    """The ``on_end`` of a job that has not begun."""


class Job:
    """A coroutine that a runner runs. ``is_over``, ``is_cancelled`` and ``cancel`` are for the main loop.

    The job is over when the coroutine has ended, and with it every call that it made in a thread of the
    loop's executor: nothing can stop such a call. Tasks that it leaves behind do not delay that; they are
    cancelled ``LEFTOVER_S`` later, if the loop makes its tasks by ``make_task``.
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
        self._tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()  # which its code started
        self._has_named_leftovers = False

    def begin(self, work: Callable[[], Coroutine[Any, Any, None]], on_end: Callable[[], None]) -> None:
        """Start the coroutine. Runs on the loop, in the job's context."""
        self._on_end = on_end
        _JOB.set(self)
        self._task = self._loop.create_task(work())
        self._task.add_done_callback(self._coroutine_ended)

    def _coroutine_ended(self, _: object) -> None:
        self.part_ended()
        if any(not task.done() for task in self._tasks):
            self._loop.call_later(LEFTOVER_S, self._cancel_leftovers)

    def _cancel_leftovers(self, times_left: int = 10) -> None:
        left = [task for task in self._tasks if not task.done()]
        if not left or not times_left:
            return
        if not self._has_named_leftovers:
            self._has_named_leftovers = True
            log.warning(
                "cancelled tasks that a run has left behind; a task that outlives its run needs a context of "
                "its own: contextvars.Context().run(loop.create_task, ...)",
                tasks=len(left),
                first=getattr(left[0].get_coro(), "__qualname__", left[0].get_name()),
            )
        for task in left:
            task.cancel()
        # One may have started others, or may not have heard.
        self._loop.call_later(LEFTOVER_S, self._cancel_leftovers, times_left - 1)

    def add(self, task: asyncio.Task[Any]) -> None:
        """Note a task that the job's code has started. Runs on the loop."""
        self._tasks.add(task)

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


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task; the task factory of a runner's loop. The job in whose context it runs keeps it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    context: contextvars.Context | None = options.get("context")
    job = _JOB.get(None) if context is None else context.get(_JOB)
    if job is not None:
        job.add(task)
    return task


_Call: TypeAlias = tuple["Future[Any]", Callable[[], Any]]


class NodeThreads(ThreadPoolExecutor):
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
        """Run ``fn`` in a thread; its job ends no earlier."""
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
        """Start no more calls; with ``wait``, return when the running ones have ended."""
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
