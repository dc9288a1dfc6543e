"""`iterate` and `aiterate`: a run from its first superstep to its last, for a consumer that blocks or awaits.

They do the same work in the same order and differ in how they wait. To write that order once, as a generator
of work, would cost a blocking superstep 5 %, so it stands twice; what the work is, is written once, in
`Loop`.

Both own everything that has to be cleaned up: threads, asyncio tasks, bells. They yield the chunks of the
consumer's outlet as they come. When they are closed they leave nothing running, except a blocking node in a
thread, which cannot be stopped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from threading import Lock
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager

from graphwire_runtime.clock import seconds
from graphwire_runtime.drive.cache import Results
from graphwire_runtime.drive.calls import LoopCalls, ThreadCalls
from graphwire_runtime.drive.execute import execute, execute_alone, execute_async, may_be_alone
from graphwire_runtime.drive.lifecycle import aresumed, astopped, resumed, stopped
from graphwire_runtime.drive.loop import Loop
from graphwire_runtime.drive.request import Request
from graphwire_runtime.drive.start import begin
from graphwire_runtime.drive.trace import Trace, started
from graphwire_runtime.errors import GraphDrained, GraphRecursionError
from graphwire_runtime.foreign.signals import bubbling, interrupted
from graphwire_runtime.step.answers import is_wrong_answer
from graphwire_runtime.step.context import NO_CALLS
from graphwire_runtime.step.task import Task
from graphwire_runtime.stream.outlet import AsyncBell, ThreadBell
from graphwire_runtime.thread.saving import AsyncSaving, load, save

__all__ = ["aiterate", "iterate"]

TURNS = 5
"""Turns of the event loop between a failure and the end of the nodes beside it: those that need not wait for
anything come to their own ends, as they do in LangGraph."""

MOST_THREADS = 64
"""Threads that a blocking run uses for one superstep if its config sets no max_concurrency."""


def iterate(request: Request) -> Iterator[Any]:
    """Run in the caller's thread, yielding chunks.

    A lone node runs in the caller's thread, unless chunks may have to be yielded while it is at work. When a
    node fails, those beside it are waited for. Closing the iterator waits for nodes at work.
    """
    bell = ThreadBell()
    loop, outlet, listeners = request.open(bell, CallbackManager)
    if listeners is not None:
        loop.trace = Trace(started(listeners, loop.name, loop.run.settings, request.input))
    items: deque[Any] = outlet.items if outlet is not None else deque()
    limit = request.step_timeout
    inline = limit is None and (outlet is None or not loop.display.live)
    checkpoints = loop.checkpoints
    results = Results(request.cache, loop) if request.cache is not None else None
    calls = loop.run.calls = ThreadCalls(loop, bell, results)
    pool: ThreadPoolExecutor | None = None
    try:
        if checkpoints is not None:
            load(checkpoints)
        tasks = begin(loop, request.input)
        if loop.trace is not None:
            resumed(loop, loop.trace)
        if tasks is None:
            tasks = loop.next_tasks()
        while tasks is not None:
            if results is not None:
                tasks = results.recall(tasks)
            while items:
                yield items.popleft()
            if len(tasks) == 1 and inline:
                calls.saves = True
                copy_context().run(execute, loop, tasks[0])
                if calls.left:
                    calls.wait()
                calls.saves = False
            elif tasks:
                most = loop.run.settings.max_concurrency or MOST_THREADS
                if pool is None:
                    pool = ThreadPoolExecutor(most)
                crew = _Threads(loop, tasks, most, pool, bell)
                ends = None if limit is None else seconds() + limit
                try:
                    while True:
                        while items:
                            yield items.popleft()
                        if checkpoints is not None and checkpoints.queue:
                            save(checkpoints)  # keep what has ended while other nodes are still at work
                        if not crew.left:
                            if not calls.left:
                                break
                            if crew.error is not None:
                                calls.stop()
                        left = None if ends is None else ends - seconds()
                        if left is not None and left <= 0:
                            raise _too_long(loop, limit)
                        bell.sleep(lambda: bool(items) or not (crew.left or calls.left), left)  # noqa: B023
                finally:
                    crew.stop()
                if crew.error is not None:
                    raise crew.error
            while items:
                yield items.popleft()
            if results is not None:
                results.keep()
            loop.settle()
            if checkpoints is not None:
                save(checkpoints)
            tasks = _after(loop, items)
            while items:
                yield items.popleft()
        while items:
            yield items.popleft()
        if loop.stopped and loop.run.nested:
            raise interrupted(loop.interrupts)
        if loop.trace is not None:
            stopped(loop, loop.trace)
            loop.trace.end(request.values(loop))
    except GeneratorExit:
        raise
    except BaseException as error:
        while items:
            yield items.popleft()
        if loop.trace is not None:
            loop.trace.fail(error)
        raise
    finally:
        calls.close()
        if pool is not None:
            pool.shutdown(wait=True)
            calls.close()  # of what nodes that were still at work have called meanwhile
        loop.run.calls = (
            NO_CALLS  # which had the loop: without the cycle, all that the run holds goes at once
        )
        if results is not None:
            results.keep()
        if checkpoints is not None:
            checkpoints.close(finished=loop.ended and not loop.stopped)
            save(checkpoints)


async def aiterate(request: Request) -> AsyncIterator[Any]:
    """Run on the event loop, yielding chunks.

    A lone node without async code is awaited here, unless chunks may have to be yielded while it is at work.
    When a node fails, those beside it are cancelled. So are all nodes when the iterator is closed or its
    consumer is cancelled.
    """
    events = asyncio.get_running_loop()
    bell = AsyncBell(events)
    loop, outlet, listeners = request.open(bell, AsyncCallbackManager)
    if listeners is not None:
        loop.trace = Trace(await started(listeners, loop.name, loop.run.settings, request.input))
    items: deque[Any] = outlet.items if outlet is not None else deque()
    inline = request.step_timeout is None and (outlet is None or not loop.display.live)
    crew = _Coroutines(loop, events, bell)
    saving = AsyncSaving(loop.checkpoints) if loop.checkpoints is not None else None
    results = Results(request.cache, loop) if request.cache is not None else None
    loop.run.calls = LoopCalls(loop, events, results, crew.begin)
    try:
        if saving is not None:
            await saving.load()
        tasks = begin(loop, request.input)
        if loop.trace is not None:
            await aresumed(loop, loop.trace)
        if tasks is None:
            tasks = loop.next_tasks()
        while tasks is not None:
            if results is not None:
                tasks = await results.arecall(tasks)
            while items:
                yield items.popleft()
            if inline and len(tasks) == 1 and may_be_alone(loop, tasks[0]):
                if saving is not None:
                    saving.begin()
                substitute = await execute_alone(loop, tasks[0])
                tasks = [] if substitute is None else [substitute]
                while items:
                    yield items.popleft()
            if tasks or crew.left:  # a lone node may have left tasks that it called
                crew.start(tasks, request.step_timeout)
                while True:
                    while items:
                        yield items.popleft()
                    if not crew.left:
                        break
                    if saving is not None:
                        saving.begin()  # keep what has ended while other nodes are still at work
                    await bell.sleep(lambda: bool(items) or not crew.left)
                if crew.error is not None:
                    raise crew.error
            if results is not None:
                await results.akeep()
            loop.settle()
            if saving is not None:
                await saving.step()
            tasks = _after(loop, items)
            while items:
                yield items.popleft()
        while items:
            yield items.popleft()
        if loop.stopped and loop.run.nested:
            raise interrupted(loop.interrupts)
        if loop.trace is not None:
            await astopped(loop, loop.trace)
            await loop.trace.end(request.values(loop))
    except GeneratorExit:
        raise
    except BaseException as error:
        if not isinstance(error, asyncio.CancelledError):
            while items:
                yield items.popleft()
        if loop.trace is not None:
            await loop.trace.fail(error)
        raise
    finally:
        await crew.stop()
        loop.run.calls = NO_CALLS  # as above
        if results is not None:
            await results.akeep()
        if saving is not None:
            await saving.close(finished=loop.ended and not loop.stopped)


def _after(loop: Loop, items: deque[Any]) -> list[Task] | None:
    """The tasks of the next superstep; raises like `Loop.next_tasks`.

    A state that no node can read, since a schema refuses it, is not shown.
    """
    try:
        return loop.next_tasks()
    except (GraphRecursionError, GraphDrained):
        raise
    except Exception:
        items.clear()
        raise


def _too_long(loop: Loop, limit: float | None) -> TimeoutError:
    return TimeoutError(
        f"superstep {loop.standing.step} of {loop.run.plan.title} may take {limit} seconds, its "
        "step_timeout, and had not come to its end by then"
    )


def _stops_others(error: BaseException) -> bool:
    """Whether nodes beside the one that raised this are stopped: not for a wrong answer or a hand-off."""
    return not (is_wrong_answer(error) or isinstance(error, bubbling()))


class _Threads:
    """The tasks of one superstep, at work in threads, at most `most` of them at once."""

    def __init__(
        self, loop: Loop, tasks: list[Task], most: int, pool: ThreadPoolExecutor, bell: ThreadBell
    ) -> None:
        self._loop = loop
        self.left = len(tasks)
        self.error: BaseException | None = None
        self._pool = pool
        self._bell = bell
        self._lock = Lock()
        # contexts are copied here, in the consumer's thread, so that no task inherits from another
        ready = deque((copy_context(), task) for task in tasks)
        first = [ready.popleft() for _ in tasks[:most]]
        self._queued = ready
        for context, task in first:
            pool.submit(context.run, self._member, task)

    def _member(self, task: Task) -> None:
        try:
            execute(self._loop, task)
        except BaseException as error:
            with self._lock:
                self.error = self.error or error
            if _stops_others(error):
                self.stop()
        with self._lock:
            self.left -= 1
            if self._queued:
                context, following = self._queued.popleft()
                self._pool.submit(context.run, self._member, following)
        self._bell.ring()

    def stop(self) -> None:
        """Start no further task. Those at work come to their ends."""
        with self._lock:
            self.left -= len(self._queued)
            self._queued.clear()


class _Coroutines:
    """The tasks of one superstep, at work on the event loop."""

    def __init__(self, loop: Loop, events: asyncio.AbstractEventLoop, bell: AsyncBell) -> None:
        self.left = 0
        self.error: BaseException | None = None
        self._loop = loop
        self._events = events
        self._bell = bell
        self._working: dict[asyncio.Task[None], Task] = {}
        most = loop.run.settings.max_concurrency
        self._timer: asyncio.TimerHandle | None = None
        self._failed = False
        """Whether a node has failed, so that no further one is started."""
        self._turns = asyncio.Semaphore(most) if most is not None else None

    def start(self, tasks: list[Task], limit: float | None) -> None:
        """Start the tasks, which may take `limit` seconds together.

        Each copies the context here, so that no task inherits from another.
        """
        if limit is not None:
            self._timer = self._events.call_later(limit, self._expire, limit)
        for task in tasks:
            self.begin(self._member(task), task)

    def begin(self, work: Coroutine[Any, Any, None], task: Task) -> asyncio.Task[None]:
        """Start the work of a task of the superstep."""
        self.left += 1
        working = self._events.create_task(work, name=task.name)
        self._working[working] = task
        working.add_done_callback(self._ended)
        return working

    async def _member(self, task: Task) -> None:
        try:
            if self._turns is None:
                await execute_async(self._loop, task)
            else:
                async with self._turns:
                    if self._failed:
                        raise asyncio.CancelledError
                    await execute_async(self._loop, task)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and (self.error or self._loop.stopping):
                raise
            if self._loop.stopping:
                return
            self.error = self.error or error
            if _stops_others(error):
                self._failed = True
                self._cancel_soon(TURNS)

    def _ended(self, working: asyncio.Task[None]) -> None:
        # counted here, since a task that is cancelled before its first step never enters `_member`
        task = self._working.pop(working)
        checkpoints = self._loop.checkpoints
        if working.cancelled() and checkpoints is not None and checkpoints.durability != "exit":
            checkpoints.failed(task, asyncio.CancelledError())
        self.left -= 1
        if not self.left and self._timer is not None:
            self._timer.cancel()
        self._bell.ring()

    def _expire(self, limit: float) -> None:
        if self.error is None:
            self.error = _too_long(self._loop, limit)
            self._cancel()

    def _cancel_soon(self, turns: int) -> None:
        if turns:
            self._events.call_soon(self._cancel_soon, turns - 1)
        elif self._working:
            self._cancel()

    def _cancel(self) -> None:
        self._loop.stopping = True
        current = asyncio.current_task(self._events)
        for working in self._working:
            if working is not current:
                working.cancel()

    async def stop(self) -> None:
        """Cancel the tasks that are still at work, and wait for their ends."""
        if self.left:
            self._cancel()
            await asyncio.gather(*self._working, return_exceptions=True)
