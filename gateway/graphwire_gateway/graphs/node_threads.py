"""The threads of a runner, in which nodes without async code run.

Nothing can stop such a call. So places are shared: each principal gets at most ``PLACES`` at once, and what
waits is started in turn, principal by principal. A call whose job no longer waits for it, because its run was
cancelled or has failed, gives its place back at once, though its thread is stuck for as long as its code is.
"""

import asyncio
import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from graphwire_gateway.graphs.job import Job, current_job

T = TypeVar("T")

PLACES = 128
"""Calls that one principal's runs make at once."""

_ALL_PLACES = 2 * PLACES
_MAX_ABANDONED = 8 * PLACES
"""Threads that may be stuck in calls for which nobody waits; beyond it, such a call keeps its place."""


class _Call:
    """A call of a node, for one of the threads."""

    def __init__(self, executor: "NodeThreads", principal: str, function: Callable[[], Any]) -> None:
        self.future: Future[Any] = Future()
        self.function = function
        self.principal = principal
        self.has_place = False
        self._executor = executor

    def abandon(self) -> None:
        """Nobody waits for the call any more: give its place back."""
        self._executor.abandon(self)


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
        self._waiting: dict[str, deque[_Call]] = {}  # by principal; the first one's turn is next
        self._taken: dict[str, int] = {}  # places, by principal
        self._abandoned = 0
        self._ready: queue.SimpleQueue[_Call | None] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)  # counts the threads that wait for a call
        self._own: list[threading.Thread] = []
        self._failed: deque[tuple[_Call, BaseException]] = deque()
        self._is_shut = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run ``fn`` in a thread; its job ends no earlier."""
        job = current_job()
        # A call submitted from another thread comes from a node that is counted already.
        is_counted = job is not None and _running_loop() is self._loop
        call = _Call(self, "" if job is None else job.principal, partial(fn, *args, **kwargs))
        with self._guard:
            if self._is_shut:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._waiting.setdefault(call.principal, deque()).append(call)
            self._start_waiting()
        self._report_failed()
        if job is not None and is_counted:
            job.call_started(call)
            call.future.add_done_callback(lambda _: self._call_ended(job, call))
        return call.future

    def _start_waiting(self) -> None:
        """Start what has a place. The guard is held."""
        for principal in list(self._waiting):
            if sum(self._taken.values()) >= _ALL_PLACES:
                return
            if self._taken.get(principal, 0) >= PLACES:
                continue
            calls = self._waiting.pop(principal)
            self._start(calls.popleft())
            if calls:
                self._waiting[principal] = calls  # its next turn is behind everybody else's

    def _start(self, call: _Call) -> None:
        if not self._idle.acquire(blocking=False):
            thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._own)}", daemon=True)
            try:
                thread.start()
            except BaseException as error:  # the process may have no more threads
                self._failed.append((call, error))
                return
            self._own.append(thread)
        call.has_place = True
        self._taken[call.principal] = self._taken.get(call.principal, 0) + 1
        self._ready.put(call)

    def _report_failed(self) -> None:
        """Let calls fail for which no thread could be started. The guard is not held: callbacks run here."""
        while self._failed:
            call, error = self._failed.popleft()
            if call.future.set_running_or_notify_cancel():
                call.future.set_exception(error)

    def _work(self) -> None:
        while (call := self._ready.get()) is not None:
            if call.future.set_running_or_notify_cancel():
                try:
                    call.future.set_result(call.function())
                except BaseException as error:
                    call.future.set_exception(error)
            with self._guard:
                if call.has_place:
                    self._free(call)
                else:
                    self._abandoned -= 1
                del call  # an idle thread keeps nothing alive
                self._idle.release()
                self._start_waiting()
                self._end_if_done()
            self._report_failed()
        self._ready.put(None)  # for the next thread

    def _free(self, call: _Call) -> None:
        call.has_place = False
        self._taken[call.principal] -= 1
        if not self._taken[call.principal]:
            del self._taken[call.principal]

    def abandon(self, call: _Call) -> None:
        """Give a call's place to others, if too many threads are not stuck already."""
        with self._guard:
            if call.has_place and self._abandoned < _MAX_ABANDONED:
                self._abandoned += 1
                self._free(call)
                self._start_waiting()
        self._report_failed()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Start no more calls; with ``wait``, return when the running ones have ended."""
        with self._guard:
            self._is_shut = True
            waiting = [call for calls in self._waiting.values() for call in calls]
            if cancel_futures:
                self._waiting.clear()
            self._end_if_done()
        for call in waiting if cancel_futures else ():
            call.future.cancel()
        for thread in self._own if wait else ():
            thread.join()

    def _end_if_done(self) -> None:
        if self._is_shut and not self._waiting:
            self._ready.put(None)

    def _call_ended(self, job: Job, call: _Call) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its jobs no longer matter
            self._loop.call_soon_threadsafe(job.call_ended, call)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
