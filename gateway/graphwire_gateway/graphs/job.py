"""A job: a coroutine on a runner's loop, together with the calls that it makes in threads."""

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

_LEAST_REPEAT_S = 0.1
"""The shortest pause between two cancels of one job."""
_SYNC_CALLS = 128
"""Calls of nodes without async code that one runner makes at once, over all its runs."""


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
