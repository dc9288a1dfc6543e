"""`ThreadCalls` and `LoopCalls`: begin the tasks that tasks call, in a blocking run and in an awaiting one.

A call makes a task of the present superstep, beside its caller, and returns a future of its result at once.
The superstep ends when its nodes and all tasks that they called have ended, whether or not anybody waited for
them. What a task raises goes to its caller alone, through the future. If the caller then fails or stops at a
question, finished tasks are not run again when the thread is resumed: the calls of a function that does the
same again have the same ids, and their results are kept under these.

`max_concurrency` bounds the tasks at work that one task has called. It bounds each caller for itself: a task
that waits for those that it called never keeps these from beginning.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from threading import Lock
from typing import Any

from graphwire_runtime.drive.cache import Results
from graphwire_runtime.drive.execute import execute_called, execute_called_async
from graphwire_runtime.drive.future import TaskFuture, cancel, resolve
from graphwire_runtime.drive.loop import Loop
from graphwire_runtime.plan.called import their_called_plan
from graphwire_runtime.plan.plan import NodePlan
from graphwire_runtime.step.called import Called
from graphwire_runtime.step.context import TaskCalls, too_late
from graphwire_runtime.step.task import Task
from graphwire_runtime.stream.outlet import ThreadBell
from graphwire_runtime.thread.saving import save

__all__ = ["LoopCalls", "ThreadCalls"]

MOST_THREADS = 64
"""Tasks of one caller at work in a blocking run whose config sets no max_concurrency."""

_ENOUGH = 1 << 20
"""More threads than there are ever tasks at work, which `MOST_THREADS` bounds for each caller."""

Waiting = tuple[Context, Called, TaskFuture[Any]]


class _Calls(TaskCalls):
    """What both have: calls of LangGraph's functions."""

    def start_theirs(
        self, caller: Task, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], **policies: Any
    ) -> Any:
        """Begin a `@task` of LangGraph's; `policies` are what LangGraph hands over with it."""
        return self.start(caller, their_called_plan(function, **policies), args, kwargs)


class ThreadCalls(_Calls):
    """The calls of a blocking run. Each task runs in a thread of its own.

    Args:
        loop: the run.
        bell: rung when a task has ended.
        results: the cache, None if there is none.
    """

    def __init__(self, loop: Loop, bell: ThreadBell, results: Results | None) -> None:
        self.left = 0
        """How many tasks are at work or wait for their turn."""
        self.saves = False
        """Whether each task that ends has to be saved here, since nobody else does so meanwhile."""
        self._loop = loop
        self._bell = bell
        self._results = results
        self._most = loop.run.settings.max_concurrency or MOST_THREADS
        self._lock = Lock()
        self._saving = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._working: dict[Task, int] = {}
        self._waiting: dict[Task, deque[Waiting]] = {}
        self._stopped = False

    def start(
        self, caller: Task, function: NodePlan, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> TaskFuture[Any]:
        """Begin a task beside its caller; return the future of its result.

        Raises RuntimeError if its function is async, or if the caller has come to its end.
        """
        if function.call.sync is None:
            raise RuntimeError(
                f"task {function.name!r} is an async function, and a run that blocks cannot call it; run the "
                "graph with ainvoke or astream"
            )
        future: TaskFuture[Any] = TaskFuture()
        with self._lock:
            if caller.over:
                raise too_late(function.name, caller.name)
            called = Called(caller, function, args, kwargs, caller.next_call())
            self.left += 1
        try:
            runs = self._loop.call(called)
            if runs and called.key is not None and self._results is not None:
                runs = bool(self._results.recall([called]))
        except BaseException:
            self._left_one()
            raise
        if runs:
            self._queue((copy_context(), called, future))
        else:
            resolve(future, None, called.output)
            self._left_one()
        return future

    def wait(self) -> None:
        """Block until all tasks have ended."""
        while self.left:
            self._bell.sleep(lambda: not self.left)

    def stop(self) -> None:
        """Begin no further task, and cancel those that wait for their turn. Those at work go on."""
        with self._lock:
            self._stopped = True
            dropped = [each for queue in self._waiting.values() for each in queue]
            self._waiting.clear()
            self.left -= len(dropped)
        for _, _, future in dropped:
            cancel(future)

    def close(self) -> None:
        """Stop, and wait for the tasks at work."""
        if self._pool is not None:
            self.stop()
            self._pool.shutdown(wait=True)

    def _queue(self, waiting: Waiting) -> None:
        _, called, future = waiting
        with self._lock:
            caller = called.caller
            assert caller is not None
            if not self._stopped:
                if self._working.get(caller, 0) < self._most:
                    self._working[caller] = self._working.get(caller, 0) + 1
                    self._submit(waiting)
                else:
                    self._waiting.setdefault(caller, deque()).append(waiting)
                return
            self.left -= 1
        cancel(future)
        self._bell.ring()

    def _submit(self, waiting: Waiting) -> None:
        context, called, future = waiting
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_ENOUGH, "graphwire-task")
        self._pool.submit(context.run, self._member, called, future)

    def _member(self, called: Called, future: TaskFuture[Any]) -> None:
        failure: BaseException | None = None
        try:
            if not future.cancelled():
                execute_called(self._loop, called)
                if self._results is not None:
                    self._results.keep()
        except BaseException as error:
            failure = error
        try:
            if self.saves and self._loop.checkpoints is not None:
                with self._saving:
                    save(self._loop.checkpoints)
        except BaseException as error:
            failure = failure or error
        resolve(future, failure, called.output)
        del failure  # else it holds itself
        caller = called.caller
        assert caller is not None
        with self._lock:
            if queue := self._waiting.get(caller):
                self._submit(queue.popleft())
            else:
                self._working[caller] -= 1
        self._left_one()

    def _left_one(self) -> None:
        with self._lock:
            self.left -= 1
        self._bell.ring()


class LoopCalls(_Calls):
    """The calls of a run on an event loop. Each task is an asyncio task; it has a thread if it is not async.

    Args:
        loop: the run.
        events: the event loop.
        results: the cache, None if there is none.
        begin: starts the asyncio task of a task of the superstep, and has the superstep wait for it.
    """

    def __init__(
        self,
        loop: Loop,
        events: asyncio.AbstractEventLoop,
        results: Results | None,
        begin: Callable[[Coroutine[Any, Any, None], Task], asyncio.Task[None]],
    ) -> None:
        self._loop = loop
        self._events = events
        self._results = results
        self._begin = begin
        self._most = loop.run.settings.max_concurrency
        self._turns: dict[Task, asyncio.Semaphore] = {}

    def start(self, caller: Task, function: NodePlan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Begin a task beside its caller; return the future of its result.

        On the event loop that is an `asyncio.Future`, anywhere else a `TaskFuture`.

        Raises RuntimeError if the caller has come to its end.
        """
        if caller.over:
            raise too_late(function.name, caller.name)
        index = caller.next_call()
        if _running_loop() is self._events:
            future: Any = self._events.create_future()
            self._start(Called(caller, function, args, kwargs, index), future)
        else:
            future = TaskFuture()
            called = Called(caller, function, args, kwargs, index)
            self._events.call_soon_threadsafe(self._start, called, future, context=copy_context())
        return future

    def _start(self, called: Called, future: Any) -> None:
        caller = called.caller
        assert caller is not None
        if self._loop.stopping:
            cancel(future)
            return
        if caller.over:
            resolve(future, too_late(called.name, caller.name), None)
            return
        try:
            runs = self._loop.call(called)
        except Exception as error:
            resolve(future, error, None)
            return
        if not runs:
            resolve(future, None, called.output)
            return
        working = self._begin(self._member(called, future), called)
        working.add_done_callback(lambda _: _hand_over(working, called, future))
        if isinstance(future, asyncio.Future):
            future.add_done_callback(lambda _: working.cancel() if future.cancelled() else None)

    async def _member(self, called: Called, future: Any) -> None:
        results, caller = self._results, called.caller
        assert caller is not None
        if called.key is not None and results is not None and not await results.arecall([called]):
            return
        if self._most is None:
            await execute_called_async(self._loop, called, future.cancelled)
        else:
            if caller not in self._turns:
                self._turns[caller] = asyncio.Semaphore(self._most)
            async with self._turns[caller]:
                await execute_called_async(self._loop, called, future.cancelled)
        if results is not None:
            await results.akeep()


def _hand_over(working: asyncio.Task[None], called: Called, future: Any) -> None:
    if working.cancelled():
        cancel(future)
    else:
        resolve(future, working.exception(), called.output)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
