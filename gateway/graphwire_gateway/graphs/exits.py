"""Exits of graph code on a loop that belongs to the application: they end a run, not the loop.

asyncio ends a loop when a task on it raises ``SystemExit`` or ``KeyboardInterrupt``. LangGraph makes a task
of each node, so ``sys.exit()`` in a node would end the application. Tasks that a job's code makes on such a
loop raise ``Exited`` instead, which the loop passes on to whoever awaits the task, as any other exception.

A Ctrl-C that Python raises inside graph code counts as graph code's own. Where asyncio handles Ctrl-C itself,
as it does since Python 3.11, that does not happen.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from graphwire_gateway.graphs.job import current_job
from graphwire_gateway.telemetry import logger

T = TypeVar("T")

log = logger("runner")


class Exited(BaseException):
    """Graph code raised ``SystemExit`` or ``KeyboardInterrupt``, which is the cause."""


def cause_of(error: BaseException) -> BaseException:
    """Return what graph code raised: for an ``Exited``, its cause."""
    return error.__cause__ or error if isinstance(error, Exited) else error


class ExitGuard:
    """A loop's task factory: the tasks of jobs do not end the loop, and all others are made as before."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before = loop.get_task_factory()
        loop.set_task_factory(self)

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> "asyncio.Future[Any]":
        """Make a task."""
        if current_job() is not None:
            coroutine = _Guarded(coroutine)
        if self._before is None:
            return asyncio.Task(coroutine, loop=loop, **options)
        return self._before(loop, coroutine, **options)

    def remove(self) -> None:
        """Give the loop its own factory back, unless another was set over this one."""
        if self._loop.get_task_factory() is self:
            self._loop.set_task_factory(self._before)


class _Guarded(Coroutine[Any, Any, Any]):
    """A coroutine of graph code."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner
        self.__name__ = getattr(inner, "__name__", type(inner).__name__)
        self.__qualname__ = getattr(inner, "__qualname__", self.__name__)

    def send(self, value: Any) -> Any:
        """Run to the next wait."""
        return self._step(self._inner.send, value)

    def throw(self, *error: Any) -> Any:
        """Raise an exception where it waits, and run to the next wait."""
        return self._step(self._inner.throw, *error)

    def close(self) -> None:
        """End it."""
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # what debuggers and stack traces read, such as ``cr_frame``

    def _step(self, step: Callable[..., T], *args: Any) -> T:
        try:
            return step(*args)
        except (SystemExit, KeyboardInterrupt) as error:
            log.error("graph code tried to end the process", error=type(error).__name__)
            raise Exited(*error.args) from error
