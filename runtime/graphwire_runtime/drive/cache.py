"""`Results`: looks up the results of nodes before a superstep runs, and stores new ones after it.

The cache has the interface of langgraph-checkpoint's `BaseCache`. What is stored for a task is what it wrote
and where it led, in the form of `step.writes`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphwire_runtime.drive.loop import Loop
from graphwire_runtime.step.task import Task
from graphwire_runtime.step.writes import recall, writes_of, written

__all__ = ["Results", "check_cache"]

Key = tuple[tuple[str, ...], str]


class Results:
    """The cached results of one run: those of its nodes that have a cache policy."""

    def __init__(self, cache: Any, loop: Loop) -> None:
        self._cache = cache
        self._loop = loop
        loop.caching = True

    def recall(self, tasks: list[Task]) -> list[Task]:
        """Give tasks the results that the cache has; return the tasks that have to be executed."""
        keys = self._keys(tasks)
        return self._without_known(tasks, keys, self._cache.get(tuple(keys))) if keys else tasks

    async def arecall(self, tasks: list[Task]) -> list[Task]:
        """The same as `recall`, on the event loop."""
        keys = self._keys(tasks)
        return self._without_known(tasks, keys, await self._cache.aget(tuple(keys))) if keys else tasks

    def keep(self) -> None:
        """Store the results of the tasks that have ended since the last call."""
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
                    ((task.id, channel, value) for channel, value in writes), self._loop.run.plan.channels
                )
                recall(task, known[task.id], done=True)
        if not found:
            return tasks
        for task in tasks:
            if task.cached:
                self._loop.recalled(task)
        return [task for task in tasks if not task.cached]

    def _pairs(self) -> dict[Key, tuple[Any, int | None]]:
        executed, done = self._loop.executed, []
        while executed:
            done.append(executed.pop(0))  # one by one: called tasks end in threads, and add themselves
        if not done:
            return {}
        return {
            (task.node.cache_namespace, task.key): (writes_of(task, with_edges=False), task.node.cache.ttl)
            for task in done
            if task.key is not None and task.node.cache is not None
        }


def check_cache(cache: Any) -> None:
    """Raise TypeError for an object without the interface of a cache."""
    for name in ("get", "aget", "set", "aset", "clear", "aclear"):
        if not callable(getattr(cache, name, None)):
            raise TypeError(
                "a cache must have the methods of langgraph-checkpoint's caches (InMemoryCache, …); got a "
                f"{type(cache).__name__}, which has no {name}()"
            )
