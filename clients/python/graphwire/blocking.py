"""The bridge for code without an event loop: wait in this thread for work on the client's loop.

A client entered by ``with`` has a loop of its own, in a thread that lives as long as the block. A client
entered by ``async with`` lives on its user's loop: other threads may wait for it, but on the loop itself
waiting would stop everything, so it raises.

Ctrl-C raises ``KeyboardInterrupt`` in the waiting thread, between any two bytecodes. Three rules keep that
harmless:

1. A coroutine is made, started, cancelled and closed on the loop only. The waiting thread holds a function
   that makes it, and never the coroutine.
2. Starting and stopping are callbacks, which the loop runs in the order of their scheduling. ``stop`` finds
   out there whether ``start`` has run, so the waiting thread need not know how far it came.
3. An iterator closes its generator by cancelling the step at work first.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import inspect
import os
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, Generic, ParamSpec, TypeVar, cast

from graphwire_protocol import codes

from graphwire.errors import ConnectionClosed

T = TypeVar("T")
M = TypeVar("M", bound=Callable[..., Any])
Parameters = ParamSpec("Parameters")

CANCEL_TIMEOUT_S = 5
"""Seconds to wait for a cancellation to be confirmed, when a run is left or a wait interrupted."""

_END: Any = object()

_process_of: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int]" = weakref.WeakKeyDictionary()


def remember_process(loop: asyncio.AbstractEventLoop) -> None:
    """Note that ``loop`` runs in this process. A forked process has a copy of it, which never runs."""
    _process_of[loop] = os.getpid()


def was_forked(loop: asyncio.AbstractEventLoop) -> bool:
    """Return whether ``loop`` is a copy, made by ``os.fork()``, of a loop that runs in another process."""
    here = os.getpid()
    return _process_of.get(loop, here) != here


def wait(loop: asyncio.AbstractEventLoop, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run the coroutine that ``make()`` returns on ``loop``; return its result or raise its error.

    ``loop`` runs in another thread; ``make`` is called there. An exception that interrupts the waiting, such
    as ``KeyboardInterrupt``, cancels the coroutine and is raised when that has ended, or after
    ``CANCEL_TIMEOUT_S``.

    Raises ``RuntimeError`` on ``loop`` itself and when it does not run, ``ConnectionClosed`` when it ends.
    """
    require_elsewhere(loop)
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    task: asyncio.Task[T] | None = None
    is_stopped = False

    def start() -> None:
        nonlocal task
        if is_stopped:
            return
        try:
            task = loop.create_task(make())
        except Exception as error:
            outcome.set_exception(error)
        else:
            task.add_done_callback(finish)

    def stop() -> None:
        nonlocal is_stopped
        is_stopped = True
        if task is not None:
            task.cancel()
        elif not outcome.done():
            outcome.cancel()

    def finish(ended: asyncio.Task[T]) -> None:
        if ended.cancelled():
            outcome.cancel()
        elif (error := ended.exception()) is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(ended.result())

    try:
        loop.call_soon_threadsafe(start)
        return outcome.result()
    except concurrent.futures.CancelledError:
        raise ConnectionClosed(codes.NORMAL, "this client was closed") from None
    except BaseException:
        if not outcome.done():
            loop.call_soon_threadsafe(stop)
            with contextlib.suppress(concurrent.futures.CancelledError, concurrent.futures.TimeoutError):
                outcome.exception(CANCEL_TIMEOUT_S)
        raise


def iterate(loop: asyncio.AbstractEventLoop, items: AsyncGenerator[T, None]) -> Iterator[T]:
    """Iterate over ``items``, which run on ``loop``.

    Nothing is fetched ahead. Leaving the iterator closes the generator. Raises like ``wait()``.
    """
    steps = _Steps(items)
    try:
        while True:
            item = wait(loop, steps.next)
            if item is _END:
                return
            yield item
    finally:
        # The garbage collector may end this iterator on the loop itself, or after the loop has ended; then
        # the loop closes the async generator.
        if loop.is_running() and not _is_running_here(loop) and not was_forked(loop):
            wait(loop, steps.close)


class _Steps(Generic[T]):
    """An async generator, step by step. Everything but the constructor runs on its loop."""

    def __init__(self, items: AsyncGenerator[T, None]) -> None:
        self._items = items
        self._latest: asyncio.Task[Any] | None = None

    async def next(self) -> T:
        """Return the next item, ``_END`` after the last."""
        self._latest = asyncio.current_task()
        return await anext(self._items, _END)

    async def close(self) -> None:
        """Close the generator; a step that is still at work is cancelled first."""
        if self._latest is not None and not self._latest.done():
            self._latest.cancel()
            await asyncio.wait({self._latest})
        await self._items.aclose()


def require_elsewhere(loop: asyncio.AbstractEventLoop) -> None:
    """Raise ``RuntimeError`` if waiting for ``loop`` in this thread would never end."""
    if was_forked(loop):
        raise RuntimeError(
            "this client belongs to the process that connected it, and this one was forked from there: "
            "connect again here, with a new graphwire.connect()"
        )
    if _is_running_here(loop):
        raise RuntimeError(
            "this would block the event loop that its client lives on: await the form with an a, such as "
            "ainvoke(), or connect with `with graphwire.connect(...)`, which needs no event loop"
        )
    if not loop.is_running():
        raise RuntimeError(
            "this client is closed: its event loop no longer runs; use the client, and what it has made, "
            "within the `with` block"
        )


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    return _running_loop() is loop


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def with_parameters_of(
    model: Callable[Parameters, Any],
) -> Callable[[Callable[..., T]], Callable[Parameters, T]]:
    """Give a method that takes ``*args, **kwargs`` the parameters of ``model``.

    Type checkers, editors, ``help()`` and ``inspect.signature()`` see them; the return type stays its own.
    """

    def decorate(method: Callable[..., T]) -> Callable[Parameters, T]:
        returns = inspect.signature(method).return_annotation
        signature = inspect.signature(model).replace(return_annotation=returns)
        method.__signature__ = signature  # type: ignore[attr-defined]
        return method

    return decorate


def needs_event_loop(method: M) -> M:
    """Make a client's async method raise ``RuntimeError`` when no event loop runs here.

    In a ``with`` block nothing could await its coroutine: it would be dropped, and nothing done.
    """

    @functools.wraps(method)
    def call(client: Any, *args: Any, **kwargs: Any) -> Any:
        if client._thread is not None and _running_loop() is None:
            raise RuntimeError(
                f"client.{method.__name__}() needs an event loop, and this client was entered by `with`: use "
                "`async with graphwire.connect(...)`, or the blocking methods of client.graph(name)"
            )
        return method(client, *args, **kwargs)

    return cast(M, call)


class LoopThread:
    """An event loop in a thread of its own, from ``start()`` to ``stop()``."""

    def __init__(self) -> None:
        self._started: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="graphwire-client", daemon=True)

    def start(self) -> asyncio.AbstractEventLoop:
        """Start the thread and return its loop, which runs."""
        self._thread.start()
        return self._started.result()

    def stop(self) -> None:
        """Cancel what still runs on the loop, and end it. Harmless before ``start()`` and after the end."""
        if self._thread.ident is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._started.result().call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._started.set_result(asyncio.get_running_loop())
        await self._stopping.wait()
