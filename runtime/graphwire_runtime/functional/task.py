"""`task`: a function whose calls run side by side, are shown, retried and cached, and are kept by the thread.

`drive.calls` begins the tasks; `step.called` is one of them.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload

from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.drive.future import TaskFuture
from graphwire_runtime.foreign.innermost import TheirTask, innermost
from graphwire_runtime.plan.call import is_async, name_of
from graphwire_runtime.plan.called import cache_namespace_of, called_plan
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy
from graphwire_runtime.spec import policies_of

__all__ = ["TaskFunction", "task"]

P = ParamSpec("P")
T = TypeVar("T")


class TaskFunction(Generic[P, T]):
    """A function that is called as a task; see `task`."""

    def __init__(
        self,
        func: Callable[P, Awaitable[T]] | Callable[P, T],
        *,
        name: str | None = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> None:
        functools.update_wrapper(self, func)
        self.func = func
        name = name or name_of(func)
        self.__name__ = name
        policies = policies_of(f"task {name!r}", retry_policy, cache_policy, timeout)
        if policies.timeout is not None and not is_async(func):
            raise ValueError(
                f"task {name!r} was given a timeout and is not async; a thread cannot be stopped from outside"
            )
        self._plan = called_plan(
            func, name, retries=policies.retries or (), cache=policies.cache, timeout=policies.timeout
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> TaskFuture[T]:
        """Begin a task, and return the future of what the function returns.

        Raises RuntimeError where no entrypoint, node or task is running, and for an async function in a run
        that blocks.
        """
        caller = innermost(var_child_runnable_config.get())
        if caller is None:
            raise RuntimeError(
                f"task {self.__name__!r} was called where no graph is running; call it inside an entrypoint, "
                "a node or another task"
            )
        if isinstance(caller, TheirTask):
            future: TaskFuture[T] = caller.call(self._plan, self.func, args, kwargs)
        else:
            future = caller.run.calls.start(caller, self._plan, args, kwargs)
        return future

    @property
    def retry_policy(self) -> tuple[RetryPolicy, ...]:
        """After which errors a task runs again."""
        return self._plan.retries

    @property
    def cache_policy(self) -> CachePolicy | None:
        """Whether a task may be skipped."""
        return self._plan.cache

    @property
    def timeout(self) -> TimeoutPolicy | None:
        """How long an attempt may take, in seconds."""
        return self._plan.timeout

    def clear_cache(self, cache: Any) -> None:
        """Remove the results of the function from a cache."""
        if self._plan.cache is not None:
            cache.clear((cache_namespace_of(self.func),))

    async def aclear_cache(self, cache: Any) -> None:
        """The same as `clear_cache`, on the event loop."""
        if self._plan.cache is not None:
            await cache.aclear((cache_namespace_of(self.func),))


class _Decorator(Protocol):
    """What `task` returns if it is given arguments."""

    @overload
    def __call__(self, func: Callable[P, Awaitable[T]], /) -> TaskFunction[P, T]: ...

    @overload
    def __call__(self, func: Callable[P, T], /) -> TaskFunction[P, T]: ...


@overload
def task(
    func: None = None,
    /,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
) -> _Decorator: ...


@overload
def task(func: Callable[P, Awaitable[T]], /) -> TaskFunction[P, T]: ...


@overload
def task(func: Callable[P, T], /) -> TaskFunction[P, T]: ...


def task(
    func: Callable[P, Awaitable[T]] | Callable[P, T] | None = None,
    /,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
) -> _Decorator | TaskFunction[P, T]:
    """Make a function one whose calls are tasks, as a decorator, with arguments or without.

    A call inside an entrypoint, a node or another task begins a task and returns a future at once:
    `.result()` waits for it in blocking code, `await` on an event loop. Tasks run side by side with their
    caller. A graph with a checkpointer keeps their results, so when a thread is resumed after a question or a
    failure, its finished tasks are not run again. Calls are told apart by their order, so code between them
    should do the same each time.

    Args:
        func: a function or coroutine function. Besides its arguments it gets those of `config`, `writer`,
            `runtime`, `store` and `previous` that it declares. What it returns is kept, so it should be plain
            data.
        name: of its tasks, by default that of the function.
        retry_policy: after which errors a task runs again; of several policies, the first that covers the
            error.
        cache_policy: whether a task may be skipped for arguments that are in the graph's cache.
        timeout: seconds after which an attempt fails with NodeTimeoutError, or a TimeoutPolicy; only for
            async functions.

    Raises ValueError for a timeout of a function that is not async or that is not positive, TypeError for
    what is no policy.
    """

    def decorate(function: Any) -> TaskFunction[Any, Any]:
        return TaskFunction(
            function, name=name, retry_policy=retry_policy, cache_policy=cache_policy, timeout=timeout
        )

    return decorate if func is None else decorate(func)
