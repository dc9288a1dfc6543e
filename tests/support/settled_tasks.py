"""`settled_tasks`: LangGraph's tasks that run in threads, reported before those that wait for them go on.

That is what LangGraph means to do, and what the runtime does. But a future of a thread pool first wakes those
who wait for it and then calls its callbacks, which in LangGraph stream the end of a task. Two threads can be
ahead of them: the one that called the task, if the task ends before LangGraph chains the future that it hands
out, and the one that runs the superstep, which begins an error handler.
"""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import pytest


@contextmanager
def settled_tasks() -> Iterator[None]:
    """Inside, nothing in LangGraph goes on behind a task in a thread before the task's end is streamed."""
    from langgraph.pregel import _runner

    tasks, chain = _runner.FuturesDict, _runner.chain_future
    added, ended = tasks.__setitem__, tasks.on_done
    reported: WeakKeyDictionary[Any, Future[Any]] = WeakKeyDictionary()

    def add(self: Any, future: Any, task: Any) -> None:
        if task is not None and isinstance(future, Future):
            reported[future] = Future()
        added(self, future, task)

    def end(self: Any, task: Any, future: Any) -> None:
        ended(self, task, future)
        if future in reported:
            chain(future, reported[future])

    def chained(future: Any, handed_out: Any) -> Any:
        if future not in reported:
            return chain(future, handed_out)
        handed_out.add_done_callback(lambda _: handed_out.cancelled() and future.cancel())
        return chain(reported[future], handed_out)

    def wait(futures: Any, **kwargs: Any) -> Any:
        found = concurrent.futures.wait(futures, **kwargs)
        concurrent.futures.wait([reported[each] for each in found.done if each in reported])
        return found

    pools = SimpleNamespace(**{**vars(concurrent.futures), "wait": wait})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "__setitem__", add)
        patch.setattr(tasks, "on_done", end)
        patch.setattr(_runner, "chain_future", chained)
        patch.setattr(_runner, "concurrent", SimpleNamespace(futures=pools))
        yield
