"""The threads of a runner, in which nodes without async code run.

Nothing can stop such a call. So places are shared: each principal gets at most ``PLACES`` at once, and what
waits is started in turn, principal by principal. When others have all places, a principal that has none gets
one nevertheless. A call whose job no longer waits for it, because its run has ended, gives its place back at
once, though its thread is stuck for as long as its code is; one that has not begun is cancelled.

The calls of our runtime's nodes come by ``start``, which costs a third of what ``submit`` costs, the way of
everybody else: it needs no future that is safe in every thread, for only the loop waits for such a call.

A thread that has waited for a call for ``IDLE_S`` ends. The one that began to wait last gets the next call,
so that after a burst there are soon no more threads than are used; each holds some megabytes.
"""

import asyncio
import contextlib
import itertools
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Protocol, TypeVar

from graphwire_runtime.drive.node_threads import NodeCall

from graphwire_gateway.graphs.job import Job, current_job

T = TypeVar("T")

PLACES = 128
"""Calls that one principal's runs make at once."""

IDLE_S = 10.0
"""Seconds that a thread waits for a call."""

_ALL_PLACES = 2 * PLACES
"""Calls of all principals at once; beyond it, a principal gets a single one."""
_MAX_ABANDONED = 8 * PLACES
"""Threads that may be stuck in calls for which nobody waits; beyond it, such a call keeps its place."""
_MAX_BUSY = 12 * PLACES
"""Threads that have a call at all. So many principals get a place, whatever others have left stuck."""


class _Place:
    """The place of a call among its principal's, which it has or waits for.

    It does not know the call: what the call's future calls at its end has it, and would keep both alive.
    """

    def __init__(self, executor: "NodeThreads", principal: str) -> None:
        self.principal = principal
        self.is_taken = False
        self._executor = executor

    def abandon(self) -> None:
        """Nobody waits for the call any more: give its place back, or cancel it if it has not begun."""
        self._executor.abandon(self)


class _Call(Protocol):
    """A call of a node, for one of the threads."""

    place: _Place

    def work(self) -> None:
        """Make the call. Raises nothing."""

    def freed(self) -> None:
        """Its place is free again, in the thread that made the call."""

    def fail(self, error: BaseException) -> None:
        """Let it end with an error, since it cannot be made."""

    def cancel(self) -> None:
        """Let it end before it has begun."""


class _SubmittedCall:
    """A call that was submitted, from whatever thread: its future tells who waits for it."""

    def __init__(self, place: _Place, function: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self.function = function
        self.place = place

    def work(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.function())
        except StopIteration as error:  # asyncio passes it to nobody, and who awaits it waits on
            raised = RuntimeError("code in a thread raised StopIteration")
            raised.__cause__ = error
            self.future.set_exception(raised)
        except BaseException as error:
            self.future.set_exception(error)

    def freed(self) -> None:
        pass

    def fail(self, error: BaseException) -> None:
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)

    def cancel(self) -> None:
        self.future.cancel()


class _StartedCall:
    """A call of our runtime for a job, which waits for it on the loop."""

    def __init__(self, place: _Place, call: NodeCall, job: Job | None) -> None:
        self.place = place
        self._call = call
        self._job = job

    def work(self) -> None:
        if self._call.is_wanted:
            self._call.work()

    def freed(self) -> None:
        self._tell(self._call.end)

    def fail(self, error: BaseException) -> None:
        self._call.fail(error)
        self._tell(self._call.end)

    def cancel(self) -> None:
        self._tell(self._call.ended.cancel)

    def _tell(self, end: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its jobs no longer matter
            self._call.loop.call_soon_threadsafe(self._ended, end)

    def _ended(self, end: Callable[[], object]) -> None:
        end()
        if self._job is not None:
            self._job.call_ended(self.place)


class _Worker:
    """One of the threads; it gets its calls one at a time, and None at its end."""

    def __init__(self, call: _Call) -> None:
        self.calls: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self.calls.put(call)
        self.thread: threading.Thread


class NodeThreads(ThreadPoolExecutor):
    """The executor for nodes without async code; counts each call as part of its job until it ends.

    Its threads are daemons. Those of its base, which asyncio demands, would keep the interpreter alive at its
    end for as long as a node is stuck.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, name: str) -> None:
        super().__init__(_ALL_PLACES, name)
        self._loop = loop
        self._name = name
        self._guard = threading.Lock()
        self._waiting: dict[str, OrderedDict[_Place, _Call]] = {}  # by principal; the first's turn is next
        self._taken: dict[str, int] = {}  # places, by principal
        self._all_taken = 0
        self._abandoned = 0
        self._idle: list[_Worker] = []  # the one that waits longest is first
        self._own: set[_Worker] = set()
        self._numbers = itertools.count()
        self._failed: deque[tuple[_Call, BaseException]] = deque()
        self._is_shut = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn`` in a thread; its job ends no earlier."""
        job = current_job()
        # A call submitted from another thread comes from a node that is counted already.
        is_counted = job is not None and _running_loop() is self._loop
        call = _SubmittedCall(
            _Place(self, "" if job is None else job.principal), partial(fn, *args, **kwargs)
        )
        place = call.place
        self._enter(call)
        call.future.add_done_callback(lambda future: self._withdraw(place) if future.cancelled() else None)
        if job is not None and is_counted:
            job.call_started(place)
            call.future.add_done_callback(lambda _: self._call_ended(job, place))
        return call.future

    def start(self, call: NodeCall) -> None:
        """Make a call of our runtime in a thread; its job ends no earlier. Runs on the loop."""
        job = current_job()
        started = _StartedCall(_Place(self, "" if job is None else job.principal), call, job)
        call.place = started.place
        self._enter(started)
        if job is not None:  # its end, even if it has ended, has not reached this loop yet
            job.call_started(started.place)

    def withdraw(self, call: NodeCall) -> None:
        """Nobody waits for a call of our runtime any more; one that has not begun never does."""
        started = self._withdraw(call.place)
        if started is not None:
            started.cancel()

    def _enter(self, call: _Call) -> None:
        """Start a call, or let it wait for its turn. Raises RuntimeError after the shutdown."""
        with self._guard:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.setdefault(call.place.principal, OrderedDict())[call.place] = call
            self._start_waiting()
        self._report_failed()

    def _start_waiting(self) -> None:
        """Start what has a place. The guard is held."""
        for principal in list(self._waiting):
            if self._all_taken + self._abandoned >= _MAX_BUSY:
                return
            if self._taken.get(principal, 0) >= (PLACES if self._all_taken < _ALL_PLACES else 1):
                continue
            calls = self._waiting.pop(principal)
            self._start(calls.popitem(last=False)[1])
            if calls:
                self._waiting[principal] = calls  # its next turn is behind everybody else's

    def _withdraw(self, place: _Place) -> _Call | None:
        """Remove a call from those that wait; return it, or None if it is not among them."""
        with self._guard:
            calls = self._waiting.get(place.principal, OrderedDict())
            call = calls.pop(place, None)
            if call is not None and not calls:
                del self._waiting[place.principal]
                self._end_if_done()
            return call

    def _start(self, call: _Call) -> None:
        if self._idle:
            self._idle.pop().calls.put(call)
        else:
            worker = _Worker(call)
            name = f"{self._name}_{next(self._numbers)}"
            worker.thread = threading.Thread(target=self._work, args=(worker,), name=name, daemon=True)
            try:
                worker.thread.start()
            except BaseException as error:  # the process may have no more threads
                self._failed.append((call, error))
                return
            self._own.add(worker)
        place = call.place  # the guard is held: no thread has ended the call yet
        place.is_taken = True
        self._taken[place.principal] = self._taken.get(place.principal, 0) + 1
        self._all_taken += 1

    def _report_failed(self) -> None:
        """Let calls fail for which no thread could be started. The guard is not held: callbacks run here."""
        while self._failed:
            call, error = self._failed.popleft()
            call.fail(error)

    def _next(self, worker: _Worker) -> _Call | None:
        """Wait for the worker's next call; None if it ends."""
        try:
            return worker.calls.get(timeout=IDLE_S)
        except queue.Empty:
            with self._guard:
                if worker in self._idle:
                    self._idle.remove(worker)
                    return None
            return worker.calls.get()  # it was given one at the last moment

    def _work(self, worker: _Worker) -> None:
        while (call := self._next(worker)) is not None:
            call.work()
            with self._guard:
                if call.place.is_taken:
                    self._free(call.place)
                else:
                    self._abandoned -= 1
                self._idle.append(worker)
                self._start_waiting()
                self._end_if_done()
            call.freed()
            del call  # an idle thread keeps nothing alive
            self._report_failed()
        with self._guard:
            self._own.discard(worker)

    def _free(self, place: _Place) -> None:
        place.is_taken = False
        self._all_taken -= 1
        self._taken[place.principal] -= 1
        if not self._taken[place.principal]:
            del self._taken[place.principal]

    def abandon(self, place: _Place) -> None:
        """Cancel a call that waits; give the place of another away, if too many threads are not stuck."""
        call = self._withdraw(place)
        if call is not None:
            call.cancel()
            return
        with self._guard:
            if place.is_taken and self._abandoned < _MAX_ABANDONED:
                self._abandoned += 1
                self._free(place)
                self._start_waiting()
        self._report_failed()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start no more calls; with ``wait``, return when the running ones have ended."""
        with self._guard:
            self._is_shut = True
            waiting = [call for calls in self._waiting.values() for call in calls.values()]
            if cancel_futures:
                self._waiting.clear()
            self._end_if_done()
        for call in waiting if cancel_futures else ():
            call.cancel()
        for worker in list(self._own) if wait else ():
            worker.thread.join()

    def _end_if_done(self) -> None:
        if self._is_shut and not self._waiting:
            while self._idle:
                self._idle.pop().calls.put(None)

    def _call_ended(self, job: Job, place: _Place) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its jobs no longer matter
            self._loop.call_soon_threadsafe(job.call_ended, place)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
