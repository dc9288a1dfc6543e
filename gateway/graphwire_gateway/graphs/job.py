"""A job: a coroutine on a runner's loop, together with the calls that it makes in threads."""

import asyncio
import contextvars
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from graphwire_gateway.fence import Fence
from graphwire_gateway.telemetry import logger

log = logger("runner")

_LEAST_REPEAT_S = 0.1
"""The shortest pause between two cancels of one job."""
LEFTOVER_S = 1.0
"""How long tasks may run on whose job has ended."""


def _no_callback() -> None:
    """The ``on_end`` of a job that has not begun."""


class ThreadCall(Protocol):
    """A call in a thread that is part of a job."""

    is_taken: bool
    """Whether it has begun: its place in a thread is taken."""

    def abandon(self) -> None:
        """Nobody waits for the call any more; one that has not begun never does."""


class Job:
    """A coroutine that a runner runs. ``is_over``, ``is_cancelled`` and ``cancel`` are for the main loop.

    The job is over when the coroutine has ended, and with it every call that it made in a thread of the
    loop's executor: nothing can stop such a call. Tasks that it leaves behind do not delay that; they are
    cancelled ``LEFTOVER_S`` later.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, principal: str = "", fence: Fence | None = None
    ) -> None:
        self.principal = principal
        """For whom it runs; principals share the threads."""
        self.fence = fence
        """What its writes to threads have to pass, where the server may be replaced."""
        self.is_over = False
        """Whether all of the job's code has stopped."""
        self.is_cancelled = False
        """Whether it was cancelled. Whoever did so decides how long to wait for its end."""
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._has_ended = False  # the coroutine, and what it made last is on its way to the main loop
        self._calls: set[ThreadCall] = set()  # that have not ended
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
        self._has_ended = True
        # Those that have not begun come first: they would take the places that the others give back.
        for call in sorted(self._calls, key=lambda call: call.is_taken):
            call.abandon()
        self._check_end()
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

    def call_started(self, call: ThreadCall) -> None:
        """Count a call in a thread as part of the job. Runs on the loop."""
        self._calls.add(call)

    def call_ended(self, call: ThreadCall) -> None:
        """Note that a call in a thread has ended. Runs on the loop."""
        self._calls.discard(call)
        self._check_end()

    def _check_end(self) -> None:
        # Not as soon as the task is done: a call that ends in that tick would tell of the end before what the
        # coroutine made last has left this loop.
        if self._has_ended and not self._calls:
            on_end, self._on_end = self._on_end, _no_callback
            self._task = None  # its context has this job: without the cycle, both go at once
            on_end()

    def cancel(self, repeat_s: float | None = None) -> None:
        """Cancel the coroutine, and again every ``repeat_s`` seconds until it ends; None cancels once.

        May be called at any time. The coroutine's first step always runs; a job that is over stays as it is.
        """
        self.is_cancelled = True
        self._loop.call_soon_threadsafe(self._cancel, repeat_s)

    def _cancel(self, repeat_s: float | None) -> None:
        if self._task is None or self._task.done():  # begin was sent to the loop before any cancel
            return
        # Not before the task's first step: cancelled earlier, its code would never run, not even its cleanup.
        self._loop.call_soon(self._task.cancel)
        # Code may lose a cancellation, as asyncio.wait_for does before Python 3.12.
        if repeat_s is not None:
            self._loop.call_later(max(repeat_s, _LEAST_REPEAT_S), self._cancel, repeat_s)


_JOB: contextvars.ContextVar[Job] = contextvars.ContextVar("graphwire_job")
"""The job that the current code belongs to."""


def current_job() -> Job | None:
    """Return the job that the current code belongs to."""
    return _JOB.get(None)


def is_cancelled(error: BaseException) -> bool:
    """Tell whether an exception is the cancellation of the current job by its owner, not its own."""
    job = current_job()
    return isinstance(error, asyncio.CancelledError) and job is not None and job.is_cancelled


def make_task(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
    """Make a task; the task factory of a runner's loop. The job in whose context it runs keeps it."""
    task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
    context: contextvars.Context | None = options.get("context")
    job = _JOB.get(None) if context is None else context.get(_JOB)
    if job is not None:
        job.add(task)
    return task
