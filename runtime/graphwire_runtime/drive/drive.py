"""Driving a run from its first superstep to its last, for a caller that blocks and for one that awaits.

The two generators here own everything that has to be cleaned up: threads, asyncio tasks, bells. They yield
the chunks of the run's own outlet as they come, and leave nothing running behind when they are closed,
except a synchronous node in a thread, which cannot be stopped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager

from graphwire_runtime.clock import seconds
from graphwire_runtime.drive.cache import Results
from graphwire_runtime.drive.execute import execute, execute_async
from graphwire_runtime.drive.loop import Run
from graphwire_runtime.drive.request import Request
from graphwire_runtime.drive.start import begin
from graphwire_runtime.drive.trace import AsyncTrace, Trace, listeners
from graphwire_runtime.errors import GraphInterrupt
from graphwire_runtime.step.task import Task
from graphwire_runtime.stream.outlet import AsyncBell, ThreadBell
from graphwire_runtime.thread.saving import AsyncSaving, load, save

__all__ = ["aiterate", "iterate"]

MOST_THREADS = 64
"""Threads a synchronous run uses for the nodes of one superstep where its config sets no max_concurrency."""


def iterate(request: Request) -> Iterator[Any]:
    """Run synchronously, yielding chunks.

    A lone node runs in the caller's own thread, unless something may have to be yielded while it works. When
    a node fails, those beside it are waited for. Closing waits for nodes at work.
    """
    bell = ThreadBell()
    run, outlet = request.open(bell)
    tap = outlet.tap if outlet is not None else None
    heard, run.taps = listeners(run.settings, tap, CallbackManager)
    if heard is not None:
        run.trace = Trace(heard, request.name(run), run.settings, request.input)
    items: deque[Any] = outlet.items if outlet is not None else deque()
    inline = outlet is None or not run.display.live
    thread = run.thread
    limit = request.step_timeout
    results = Results(request.cache, run) if request.cache is not None else None
    pool: ThreadPoolExecutor | None = None
    try:
        if thread is not None:
            load(thread)
        tasks = begin(run, request.input)
        if tasks is None:
            tasks = run.next_tasks()
        while tasks is not None:
            if results is not None:
                tasks = results.recall(tasks)
            while items:
                yield items.popleft()
            if len(tasks) == 1 and inline and limit is None:
                copy_context().run(execute, tasks[0])
            elif tasks:
                most = run.settings.max_concurrency or MOST_THREADS
                if pool is None:
                    pool = ThreadPoolExecutor(most)
                crew = _Threads(tasks, most, pool, bell)
                ends = None if limit is None else seconds() + limit
                try:
                    while True:
                        while items:
                            yield items.popleft()
                        if thread is not None and thread.queue:
                            save(thread)  # what has ended is kept while the others are still at work
                        if not crew.left:
                            break
                        left = None if ends is None else ends - seconds()
                        if left is not None and left <= 0:
                            raise _too_long(run, request.step_timeout)
                        bell.sleep(lambda: bool(items) or not crew.left, left)  # noqa: B023
                finally:
                    crew.stop()
                if crew.error is not None:
                    raise crew.error
            while items:
                yield items.popleft()
            if results is not None:
                results.keep()
            run.settle()
            if thread is not None:
                save(thread)
            while items:
                yield items.popleft()
            tasks = run.next_tasks()
        while items:
            yield items.popleft()
        if run.stopped and run.nested:
            raise GraphInterrupt(run.interrupts)
        if run.trace is not None:
            run.trace.end(request.result(run))
    except GeneratorExit:
        raise
    except BaseException as error:
        while items:
            yield items.popleft()
        if run.trace is not None:
            run.trace.fail(error)
        raise
    finally:
        if pool is not None:
            pool.shutdown(wait=True)
        if results is not None:
            results.keep()
        if thread is not None:
            thread.close()
            save(thread)


class _Threads:
    """The tasks of one superstep, at work in threads."""

    def __init__(self, tasks: list[Task], most: int, pool: ThreadPoolExecutor, bell: ThreadBell) -> None:
        self.left = len(tasks)
        self.error: BaseException | None = None
        self._pool = pool
        self._bell = bell
        self._lock = Lock()
        # contexts are copied here, in the caller's thread, so that no task inherits from another
        ready = deque((copy_context(), task) for task in tasks)
        begun = [ready.popleft() for _ in tasks[:most]]
        self._queued = ready
        for context, task in begun:
            pool.submit(context.run, self._member, task)

    def _member(self, task: Task) -> None:
        try:
            execute(task)
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            self.stop()
        with self._lock:
            self.left -= 1
            if self._queued:
                context, following = self._queued.popleft()
                self._pool.submit(context.run, self._member, following)
        self._bell.ring()

    def stop(self) -> None:
        """Begin nothing more; what is at work is waited for."""
        with self._lock:
            self.left -= len(self._queued)
            self._queued.clear()


def _too_long(run: Run, limit: float | None) -> TimeoutError:
    return TimeoutError(
        f"superstep {run.step} of graph {run.plan.name!r} may take {limit} seconds, its step_timeout, and "
        "had not come to its end by then"
    )


async def aiterate(request: Request) -> AsyncIterator[Any]:
    """Run on the event loop, yielding chunks.

    When a node fails, those beside it are cancelled. So are all when the generator is closed or its consumer
    cancelled.
    """
    loop = asyncio.get_running_loop()
    bell = AsyncBell(loop)
    run, outlet = request.open(bell)
    tap = outlet.tap if outlet is not None else None
    heard, run.taps = listeners(run.settings, tap, AsyncCallbackManager)
    if heard is not None:
        run.trace = await AsyncTrace.begin(heard, request.name(run), run.settings, request.input)
    items: deque[Any] = outlet.items if outlet is not None else deque()
    crew = _Coroutines(run, loop, bell)
    saving = AsyncSaving(run.thread) if run.thread is not None else None
    results = Results(request.cache, run) if request.cache is not None else None
    try:
        if saving is not None:
            await saving.load()
        tasks = begin(run, request.input)
        if tasks is None:
            tasks = run.next_tasks()
        while tasks is not None:
            if results is not None:
                tasks = await results.arecall(tasks)
            while items:
                yield items.popleft()
            if tasks:
                crew.start(tasks, request.step_timeout)
                while True:
                    while items:
                        yield items.popleft()
                    if not crew.left:
                        break
                    if saving is not None:
                        saving.begin()  # what has ended is kept while the others are still at work
                    await bell.sleep(lambda: bool(items) or not crew.left)
                if crew.error is not None:
                    raise crew.error
            if results is not None:
                await results.akeep()
            run.settle()
            if saving is not None:
                await saving.step()
            while items:
                yield items.popleft()
            tasks = run.next_tasks()
        while items:
            yield items.popleft()
        if run.stopped and run.nested:
            raise GraphInterrupt(run.interrupts)
        if run.trace is not None:
            await run.trace.end(request.result(run))
    except GeneratorExit:
        raise
    except BaseException as error:
        if not isinstance(error, asyncio.CancelledError):
            while items:
                yield items.popleft()
        if run.trace is not None:
            await run.trace.fail(error)
        raise
    finally:
        await crew.stop()
        if results is not None:
            await results.akeep()
        if saving is not None:
            await saving.close()


class _Coroutines:
    """The tasks of one superstep, at work on the event loop."""

    def __init__(self, run: Run, loop: asyncio.AbstractEventLoop, bell: AsyncBell) -> None:
        self.left = 0
        self.error: BaseException | None = None
        self._run = run
        self._loop = loop
        self._bell = bell
        self._working: dict[asyncio.Task[None], Task] = {}
        most = run.settings.max_concurrency
        self._timer: asyncio.TimerHandle | None = None
        self._turns = asyncio.Semaphore(most) if most is not None else None

    def start(self, tasks: list[Task], limit: float | None) -> None:
        """Put the tasks to work; each gets its copy of the context here, so none inherits from another."""
        self.left = len(tasks)
        if limit is not None:
            self._timer = self._loop.call_later(limit, self._expire, limit)
        for task in tasks:
            working = self._loop.create_task(self._member(task), name=task.name)
            self._working[working] = task
            working.add_done_callback(self._ended)

    async def _member(self, task: Task) -> None:
        try:
            if self._turns is None:
                await execute_async(task)
            else:
                async with self._turns:
                    await execute_async(task)
        except BaseException as error:
            if self.error is None and not self._run.stopping:
                self.error = error
                self._cancel()
            elif isinstance(error, asyncio.CancelledError):
                raise

    def _ended(self, working: asyncio.Task[None]) -> None:
        # counted here, since a task that is cancelled before its first step never comes into `_member`
        task = self._working.pop(working)
        if working.cancelled() and self._run.thread is not None:
            self._run.thread.failed(task, asyncio.CancelledError())
        self.left -= 1
        if not self.left and self._timer is not None:
            self._timer.cancel()
        self._bell.ring()

    def _expire(self, limit: float) -> None:
        if self.error is None:
            self.error = _too_long(self._run, limit)
            self._cancel()

    def _cancel(self) -> None:
        self._run.stopping = True
        current = asyncio.current_task(self._loop)
        for working in self._working:
            if working is not current:
                working.cancel()

    async def stop(self) -> None:
        """Cancel what is still at work, and wait for it to have heard of that."""
        if self.left:
            self._cancel()
            await asyncio.gather(*self._working, return_exceptions=True)
