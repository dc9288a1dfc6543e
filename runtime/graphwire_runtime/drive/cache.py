"""Results of nodes that need not be worked out again: looked up before a superstep runs, stored after it.

The cache is anything with the interface of langgraph-checkpoint's `BaseCache`. What is stored of a task is
what it wrote and where it went on to, in the layout of `writes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphwire_runtime.drive.loop import Run
from graphwire_runtime.step.task import Task
from graphwire_runtime.step.writes import writes_of, written

__all__ = ["Results", "check_cache"]

Key = tuple[tuple[str, ...], str]


class Results:
    """The results of one run's nodes, as far as they have a cache policy."""

    def __init__(self, cache: Any, run: Run) -> None:
        self._cache = cache
        self._run = run
        run.caching = True

    def recall(self, tasks: list[Task]) -> list[Task]:
        """Give the tasks their results that are known; return those that have to be executed."""
        keys = self._keys(tasks)
        return self._without_known(tasks, keys, self._cache.get(tuple(keys))) if keys else tasks

    async def arecall(self, tasks: list[Task]) -> list[Task]:
        """The same as `recall`, on the event loop."""
        keys = self._keys(tasks)
        return self._without_known(tasks, keys, await self._cache.aget(tuple(keys))) if keys else tasks

    def keep(self) -> None:
        """Store what tasks have come to since the last time."""
        if pairs := self._pairs():
            self._cache.set(pairs)

    async def akeep(self) -> None:
        """The same as `keep`, on the event loop."""
        if pairs := self._pairs():
            await self._cache.aset(pairs)

    def _keys(self, tasks: Sequence[Task]) -> dict[Key, list[Task]]:
        keys: dict[Key, list[Task]] = {}
        for task in tasks:
            if task.key is not None:
                keys.setdefault((task.node.cache_namespace, task.key), []).append(task)
        return keys

    def _without_known(
        self, tasks: list[Task], keys: Mapping[Key, list[Task]], found: Mapping[Key, Any]
    ) -> list[Task]:
        for key, writes in found.items():
            for task in keys[key]:
                known = written(
                    ((task.id, channel, value) for channel, value in writes), task.run.plan.channels
                )
                task.recall(known[task.id], done=True)
        if not found:
            return tasks
        for task in tasks:
            if task.cached:
                self._run.recalled(task)
        return [task for task in tasks if not task.cached]

    def _pairs(self) -> dict[Key, tuple[Any, int | None]]:
        done = self._run.worked_out
        if not done:
            return {}
        self._run.worked_out = []
        return {
            (task.node.cache_namespace, task.key): (writes_of(task, with_edges=False), task.node.cache.ttl)
            for task in done
            if task.key is not None and task.node.cache is not None
        }


def check_cache(cache: Any) -> None:
    """Raise TypeError for what has not the interface of a cache."""
    for name in ("get", "aget", "set", "aset", "clear", "aclear"):
        if not callable(getattr(cache, name, None)):
            raise TypeError(
                "a cache is one of langgraph-checkpoint's (langgraph.cache.memory.InMemoryCache, …) or has "
                f"their methods, and a {type(cache).__name__} came, which has no {name}()"
            )
