"""The threads in which the code of nodes and routers runs that has no async form, and the way there and back.

`in_thread` waits for such a call on the event loop. The call runs in a thread of the loop's default executor,
unless the loop's owner has named other threads by `use_threads`. What costs time is not the thread but the
hand-over: `run_in_executor` makes two futures with locks for each call. So `BorrowedThreads` borrows a thread
from the executor for several calls, and gives it back soon: others may wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from graphwire_runtime.clock import seconds

__all__ = ["BorrowedThreads", "CallThreads", "NodeCall", "in_thread", "made_in_thread", "use_threads"]

IDLE_S = 0.005
"""Seconds that a borrowed thread waits for its next call."""

LEASE_S = 0.1
"""Seconds after which a borrowed thread begins no further call."""


class NodeCall:
    """A call that is to be made in a thread, in a copy of the caller's context.

    Made on the event loop. Whatever the call raises reaches the one who awaits `ended`, `StopIteration` and
    `CancelledError`, too: a future would not bring them back as they are.
    """

    __slots__ = ("_args", "_context", "_error", "_function", "_value", "ended", "is_wanted", "loop", "place")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, function: Callable[..., Any], args: tuple[Any, ...]
    ) -> None:
        self.loop = loop
        self.ended: asyncio.Future[None] = loop.create_future()
        """Done when the call has ended; cancelled if nobody waits for it any more."""
        self.is_wanted = True
        """False once nobody waits for it; if it has not begun then, it need not."""
        self.place: Any = None
        """For the threads, which may keep here where they have it."""
        self._context = copy_context()
        self._function = function
        self._args = args
        self._value: Any = None
        self._error: BaseException | None = None

    def work(self) -> None:
        """Make the call, in whatever thread this is. Raises nothing."""
        try:
            self._value = self._context.run(self._function, *self._args)
        except BaseException as error:
            self._error = error

    def fail(self, error: BaseException) -> None:
        """Let the call end with an error, since it cannot be made."""
        self._error = error

    def end(self) -> None:
        """Say that it has ended. Runs on the loop."""
        if not self.ended.done():
            self.ended.set_result(None)

    def result(self) -> Any:
        """What it returned, or raise what it raised; to be asked once."""
        error, self._error = self._error, None
        if error is None:
            return self._value
        try:
            raise error
        finally:
            del error  # else the error holds itself


class CallThreads(Protocol):
    """Threads that make calls for one event loop. Its methods are called on the loop."""

    def start(self, call: NodeCall) -> None:
        """Have `call.work` run in a thread, then `call.end` on the loop."""

    def withdraw(self, call: NodeCall) -> None:
        """Nobody waits for the call any more; it need not begin, but one that has begun goes on."""


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """What `function(*args)` returns or raises in a thread, called in a copy of this context.

    If the waiting task is cancelled, a call that has not begun never does; one that has begun goes on.
    """
    return (await made_in_thread(function, *args)).result()


async def made_in_thread(function: Callable[..., Any], *args: Any) -> NodeCall:
    """The call of `in_thread`, when it has ended.

    Raises CancelledError if the waiting task is cancelled, and nothing of what the call raises.
    """
    loop = asyncio.get_running_loop()
    threads = _OF_LOOPS.get(loop)
    if threads is None:
        threads = _OF_LOOPS[loop] = BorrowedThreads()
    call = NodeCall(loop, function, args)
    threads.start(call)
    try:
        await call.ended
    except asyncio.CancelledError:
        call.is_wanted = False
        threads.withdraw(call)
        raise
    return call


def use_threads(loop: asyncio.AbstractEventLoop, threads: CallThreads | None) -> None:
    """Let the calls of all runs on this loop run in these threads; None: in those of its default executor.

    To be taken back by None when the loop is closed, if the threads refer to the loop.
    """
    if threads is None:
        _OF_LOOPS.pop(loop, None)
    else:
        _OF_LOOPS[loop] = threads


class BorrowedThreads:
    """Threads of the loop's default executor, each borrowed for several calls.

    A thread is asked of the executor for each call that finds no borrowed one idle. So there are at most as
    many as the executor has, calls that wait begin in order, and other users of the executor get a thread
    after `LEASE_S` and a call at the latest.
    """

    def __init__(self) -> None:
        self._waiting: deque[NodeCall] = deque()  # for each, the executor has been asked for a thread
        self._idle: list[SimpleQueue[NodeCall]] = []  # the queues of threads that wait for a call

    def start(self, call: NodeCall) -> None:
        """Have `call.work` run in a thread, then `call.end` on the loop."""
        try:
            calls = self._idle.pop()  # the last to become idle, so that the others can go back
        except IndexError:
            self._waiting.append(call)
            try:
                call.loop.run_in_executor(None, self._serve)
            except BaseException:
                self.withdraw(call)
                raise
        else:
            calls.put(call)

    def withdraw(self, call: NodeCall) -> None:
        """Nobody waits for the call any more; it need not begin, but one that has begun goes on."""
        with suppress(ValueError):
            self._waiting.remove(call)

    def _serve(self) -> None:
        """Make calls in this thread, which is borrowed until this returns."""
        calls: SimpleQueue[NodeCall] = SimpleQueue()
        until = seconds() + LEASE_S
        call = self._take()
        while call is not None:
            if call.is_wanted:
                call.work()
            loop, end = call.loop, call.end
            is_leaving = seconds() >= until
            call = self._take() if self._waiting and not is_leaving else None
            is_idle = call is None and not is_leaving
            if is_idle:  # before the loop hears, which may have the next call at once
                self._idle.append(calls)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(end)
            del loop, end  # an idle thread keeps nothing alive
            if is_idle:
                call = self._next(calls)

    def _take(self) -> NodeCall | None:
        try:
            return self._waiting.popleft()
        except IndexError:
            return None

    def _next(self, calls: SimpleQueue[NodeCall]) -> NodeCall | None:
        """Wait for the thread's next call; None if none comes."""
        try:
            return calls.get(timeout=IDLE_S)
        except Empty:
            try:
                self._idle.remove(calls)
            except ValueError:
                return calls.get()  # it was given one at the last moment
            return None


_OF_LOOPS: WeakKeyDictionary[asyncio.AbstractEventLoop, CallThreads] = WeakKeyDictionary()
"""The threads of each loop. What is here for long does not refer to the loop, or it would never be freed."""
