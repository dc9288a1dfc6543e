"""Code without an event loop: it waits in its own thread for what a client does on its loop's.

A client that is entered by ``with`` has a loop of its own, in a thread that lives as long as the block. One
that is entered by ``async with`` lives on its user's loop, where waiting like this would stop everything:
there it is an error, and from other threads it works.
"""

import asyncio
import concurrent.futures
import contextlib
import functools
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar, cast

from graphwire_protocol import codes

from graphwire.errors import ConnectionClosed

T = TypeVar("T")
M = TypeVar("M", bound=Callable[..., Any])

_CANCEL_WITHIN_S = 5
_END: Any = object()


def wait(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> T:
    """Do ``work`` on ``loop``, which runs in another thread, and return its result or raise its error.

    An exception that interrupts the waiting, such as Ctrl-C's, cancels the work and leaves when that has
    ended, or after a few seconds.
    """
    task: asyncio.Task[T] | None = None

    async def held() -> T:
        nonlocal task
        task = asyncio.current_task()
        return await work

    try:
        require_elsewhere(loop)
        future = asyncio.run_coroutine_threadsafe(held(), loop)
    except BaseException:
        work.close()
        raise
    try:
        return future.result()
    except concurrent.futures.CancelledError:
        raise ConnectionClosed(codes.NORMAL, "this client was closed") from None
    except BaseException:
        if not future.done():
            loop.call_soon_threadsafe(lambda: task.cancel() if task is not None else future.cancel())
            with contextlib.suppress(concurrent.futures.CancelledError, concurrent.futures.TimeoutError):
                future.exception(_CANCEL_WITHIN_S)
        raise


def require_elsewhere(loop: asyncio.AbstractEventLoop) -> None:
    """Raise ``RuntimeError`` where waiting for ``loop`` would last for ever."""
    if is_here(loop):
        raise RuntimeError(
            "this would block the event loop that its client lives on: await the form with an a, such as "
            "ainvoke(), or connect with `with graphwire.connect(...)`, which needs no event loop"
        )
    if not loop.is_running():
        raise RuntimeError(
            "this client is closed: the event loop that it lives on does not run any more; use it, and what "
            "it has made, within the `with` block"
        )


def is_here(loop: asyncio.AbstractEventLoop) -> bool:
    """Tell whether this code runs on ``loop``."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def iterate(loop: asyncio.AbstractEventLoop, items: AsyncGenerator[T, None]) -> Iterator[T]:
    """Pull ``items`` one by one: nothing is fetched ahead, and leaving the iterator closes them."""
    try:
        while True:
            item = wait(loop, _next(items))
            if item is _END:
                return
            yield item
    finally:
        # A generator that is left to the garbage collector may end anywhere. On the loop itself, or behind
        # its end, closing is the loop's own business.
        if loop.is_running() and not is_here(loop):
            wait(loop, items.aclose())


async def _next(items: AsyncIterator[T]) -> T:
    return await anext(items, _END)


def awaited(method: M) -> M:
    """Make a client's async method raise ``RuntimeError`` where nothing could await it.

    In a ``with`` block, without a loop, its coroutine would be dropped and nothing done.
    """

    @functools.wraps(method)
    def call(client: Any, *args: Any, **kwargs: Any) -> Any:
        if client._thread is not None and not _has_loop():
            raise RuntimeError(
                f"client.{method.__name__}() needs an event loop, and this client was entered by `with`: use "
                "`async with graphwire.connect(...)`, or the blocking methods of client.graph(name)"
            )
        return method(client, *args, **kwargs)

    return cast(M, call)


def _has_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class LoopThread:
    """An event loop in a thread of its own, from ``start()`` to ``stop()``."""

    def __init__(self) -> None:
        self._begun: concurrent.futures.Future[asyncio.AbstractEventLoop] = concurrent.futures.Future()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._work, name="graphwire-client", daemon=True)

    def start(self) -> asyncio.AbstractEventLoop:
        """Return the loop, which runs."""
        self._thread.start()
        return self._begun.result()

    def stop(self) -> None:
        """End the loop: what still runs on it is cancelled."""
        with contextlib.suppress(RuntimeError):  # it has ended already
            self._begun.result().call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _work(self) -> None:
        asyncio.run(self._live())

    async def _live(self) -> None:
        self._begun.set_result(asyncio.get_running_loop())
        await self._over.wait()
