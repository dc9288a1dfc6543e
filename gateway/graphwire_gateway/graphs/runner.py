"""Runners: the event loops on which graphs run, and how what happens there reaches the main loop.

The main loop serves the connections and owns the logs. A graph's import, checkpointer and clients belong to
one event loop for life, and its code may block that loop, so a graph has a runner: ``InlineRunner`` is the
main loop itself, for graphs of an application that embeds the gateway; ``ThreadRunner`` is a loop in a thread
of its own. The rest of the gateway does not see the difference.

Three kinds of threads run the code of this file:

- The main loop starts jobs and cancels them. ``start`` returns at once; ``ask`` and ``call`` wait for a
  result. All of them reach the runner's loop by ``call_soon_threadsafe``, in the order of the calls. They do
  so inline as well, so that a job never begins inside ``start``.
- The runner's loop runs the jobs. Each job has a context of its own, which also tells ``NodeThreads`` whose
  job a call belongs to. Code on this loop calls ``put(source)`` when it has made something; at the end of the
  tick, all such sources are collected, and one callback on the main loop runs the calls that they returned. A
  token thus costs no wake-up of its own, and the order within a runner is kept.
- Nodes without async code run in threads of the runner's executor. Such a thread cannot be stopped. A job
  therefore ends only after its coroutine and all calls that it left in threads; only then is ``on_end``
  called, on the main loop. On the main loop itself the executor is the application's, and these calls are not
  counted.

Graph code may lose a cancellation, block, or call ``sys.exit()``. A cancel can be repeated, the thread is a
daemon, and its loop runs on after an exit, as does the main loop (``exits``); what is left when a runner
closes is cancelled, and abandoned after a timeout.
"""

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from graphwire_runtime.drive.node_threads import use_threads

from graphwire_gateway.fence import Fence
from graphwire_gateway.graphs.exits import ExitGuard
from graphwire_gateway.graphs.job import Job, make_task
from graphwire_gateway.graphs.node_threads import NodeThreads
from graphwire_gateway.telemetry import logger

T = TypeVar("T")

log = logger("runner")

_LEFTOVER_TASKS_S = 1.0
"""How long the end of a loop waits for tasks that graph code left on it."""
_REPEAT_S = 1.0
"""How often a request that nobody waits for is cancelled again, until its code has heard."""


class Source(Protocol):
    """Something on a runner's loop that makes things for the main loop."""

    def collect(self) -> Callable[[], None]:
        """Return a call, for the main loop, that hands over what was made since the last collection."""


class Runner:
    """A loop that graphs run on. ``put`` is for code on that loop, every other method for the main loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._main_loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # of no job
        self._tick: list[Source] = []
        self._jobs: set[Job] = set()
        self._has_ended = asyncio.Event()  # a job

    def start(
        self,
        work: Callable[[], Coroutine[Any, Any, None]],
        on_end: Callable[[Job], None] | None = None,
        *,
        principal: str = "",
        fence: Fence | None = None,
    ) -> Job:
        """Start ``work()`` on the loop, in a fresh context, and return its job, which the runner owns.

        ``on_end(job)`` is called on the main loop when all of the job's code has stopped. An exception of
        ``work`` is not passed on; ``ask`` does that. ``principal`` is whose share of the threads it uses, and
        ``fence`` what it writes with.
        """
        job = Job(self.loop, principal, fence)
        self._jobs.add(job)

        def ended() -> None:
            self._main_loop.call_soon_threadsafe(self._ended, job, on_end, context=self._context.copy())

        self.loop.call_soon_threadsafe(job.begin, work, ended, context=contextvars.Context())
        return job

    def _ended(self, job: Job, on_end: Callable[[Job], None] | None) -> None:
        if job.is_over:  # a task that graph code left behind has made another call in a thread
            return
        job.is_over = True
        self._jobs.discard(job)
        self._has_ended.set()
        if on_end is not None:
            on_end(job)

    async def ask(
        self,
        work: Callable[[], Coroutine[Any, Any, T]],
        on_end: Callable[[Job], None] | None = None,
        principal: str = "",
        fence: Fence | None = None,
    ) -> T:
        """Run ``work()`` on the loop, in a fresh context, and return its result.

        Raises what it raises; an exit or a cancellation by graph code is a ``RuntimeError``.

        If the caller is cancelled, so is the work. ``on_end`` is called as by ``start``: before this method
        returns, and also if the caller was cancelled. ``principal`` and ``fence`` are as for ``start``.
        """
        future: Future[T] = Future()
        stopped = asyncio.Event()

        async def answer() -> None:
            if not future.set_running_or_notify_cancel():
                return  # the caller was cancelled before the work began
            try:
                future.set_result(await work())
            except BaseException as error:
                future.set_exception(_for_caller(error))

        def ended(job: Job) -> None:
            if on_end is not None:
                on_end(job)
            stopped.set()

        job = self.start(answer, ended, principal=principal, fence=fence)
        answered = asyncio.wrap_future(future)
        try:
            await asyncio.wait([answered])
            if on_end is not None:
                await stopped.wait()
            return answered.result()
        except asyncio.CancelledError:
            answered.cancel()
            job.cancel(_REPEAT_S)
            raise

    async def call(self, function: Callable[[], T]) -> T:
        """Run a plain function on the loop and return its result.

        Raises what it raises; an exit by graph code is a ``RuntimeError``.
        """
        future: Future[T] = Future()

        def run() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(_for_caller(error))

        self.loop.call_soon_threadsafe(run)
        return await asyncio.wrap_future(future)

    def put(self, source: Source) -> None:
        """Collect ``source`` at the end of this tick.

        Call it once a tick, for the first thing that is made.
        """
        if not self._tick:
            # In no job's context: what the main loop begins is not a job's, and not cancelled with it.
            self.loop.call_soon(self._flush, context=self._context.copy())
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
        self._guard = ExitGuard(self.loop)

    async def close(self, timeout_s: float) -> None:
        """Cancel every job, and wait at most ``timeout_s`` seconds for their end."""
        await super().close(timeout_s)
        self._guard.remove()


class ThreadRunner(Runner):
    """Runs graphs on a loop in a thread of its own."""

    def __init__(self, name: str) -> None:
        loop = new_loop()
        super().__init__(loop)
        self._closing = False
        self._stopped: Future[None] = Future()
        self._stopped.set_running_or_notify_cancel()  # from here on nobody can cancel it
        # A daemon, so that code that never ends does not keep the process alive.
        self._thread = threading.Thread(target=self._main, name=f"graphwire-{name}", daemon=True)
        self._thread.start()

    @property
    def thread(self) -> int:
        """The ``ident`` of the loop's thread."""
        assert self._thread.ident is not None
        return self._thread.ident

    def _main(self) -> None:
        try:
            self._run()
        finally:
            self._stopped.set_result(None)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.set_task_factory(make_task)
        threads = NodeThreads(self.loop, f"{threading.current_thread().name}-node")
        self.loop.set_default_executor(threads)
        use_threads(self.loop, threads)
        while not self._closing:
            try:
                self.loop.run_forever()
            except BaseException as error:  # sys.exit() in a node ends its run alone
                log.error("graph code tried to end the process", error=type(error).__name__)
        with contextlib.suppress(BaseException):
            self._cancel_leftover_tasks()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        with contextlib.suppress(OSError):  # a library may have connections open on this loop
            self.loop.close()
        use_threads(self.loop, None)

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
        # Not in a thread of the main loop: nodes of graphs on that loop may be stuck in all of them.
        stopped = asyncio.wrap_future(self._stopped)
        await asyncio.wait({stopped}, timeout=timeout_s)
        stopped.cancel()
        if self._stopped.done():
            self._thread.join()


def _for_caller(error: BaseException) -> Exception:
    """Return what to raise on the main loop: graph code may neither end the server nor cancel its tasks.

    asyncio passes a ``StopIteration`` to nobody.
    """
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    raised = RuntimeError(f"graph code raised {type(error).__name__}")
    raised.__cause__ = error
    return raised


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
