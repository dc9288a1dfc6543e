"""`TaskFuture`: the result of a task that was called, before it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from concurrent.futures import Future
from typing import Any, TypeVar

from graphwire_runtime.foreign.signals import bubbling

__all__ = ["TaskFuture", "cancel", "resolve"]

Result = TypeVar("Result")


class TaskFuture(Future[Result]):
    """What a call of a `task` returns: `result()` blocks until the task has ended, `await` waits for it.

    On the event loop of an asynchronous run it is an `asyncio.Future`, whose `result()` does not block.
    """

    def __await__(self) -> Generator[Any, None, Result]:
        return asyncio.wrap_future(self).__await__()


def resolve(future: Any, error: BaseException | None, result: Any) -> None:
    """Give a future, of either kind, its end, unless it was cancelled meanwhile."""
    if isinstance(future, Future):
        if not future.set_running_or_notify_cancel():
            return
    elif future.done():
        return
    if error is None:
        future.set_result(result)
        return
    future.set_exception(error)
    if isinstance(error, bubbling()):
        future.exception()  # seen: asyncio would log a question of a task that nobody awaits


def cancel(future: Any) -> None:
    """Cancel a future, of either kind, whose task will not come to its end."""
    future.cancel()
    if isinstance(future, Future):
        future.set_running_or_notify_cancel()  # tells those who wait for several futures
