"""Private threads of runs that name none, in the server's saver: written only when a run asks something.

A run needs a checkpointer to ask, and cannot say beforehand whether it will. ``PrivateSaver`` is that
checkpointer. It holds what the graph writes, which with durability ``exit`` is one checkpoint at the end.
When the run waits for answers, ``keep`` writes it into the server's saver; when the run ends it is dropped,
and the server's saver has never been called.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver

from graphwire_gateway.graphs.outer_saver import OuterSaver

Call = tuple[str, tuple[Any, ...]]
"""A method of a saver (``put``, ``put_writes``) and its arguments."""


class PrivateSaver(OuterSaver):
    """Stands between runs and the server's saver ``inner``, on one loop.

    ``kept`` are the ids of the threads that ``inner`` has from an earlier process.
    """

    def __init__(self, inner: BaseCheckpointSaver[Any], kept: set[str] | None = None) -> None:
        super().__init__(inner)
        self._held: dict[str, list[Call]] = {}
        """By thread, calls that were not made yet."""
        self._kept: set[str] = set() if kept is None else kept
        """The threads that the server's saver has."""

    # ── the end of an execution ──────────────────────────────────────────────────────────────────

    async def keep(self, thread_id: str) -> int:
        """Write what is held of a thread; return the size of that in bytes."""
        size = 0
        with self._taken(thread_id) as calls:
            for method, args in calls:
                await getattr(self._inner, f"a{method}")(*args)
                size += self._size(method, args)
        return size

    async def adelete_thread(self, thread_id: str) -> None:
        """Forget a thread, and delete what the server's saver has of it."""
        if not self.forget(thread_id):
            await self._inner.adelete_thread(thread_id)
            self._kept.discard(thread_id)

    def forget(self, thread_id: str) -> bool:
        """Forget what is held of a thread; return whether the server's saver has nothing of it either."""
        self._held.pop(thread_id, None)
        return thread_id not in self._kept

    @contextlib.contextmanager
    def _taken(self, thread_id: str) -> Iterator[list[Call]]:
        """Yield the calls that are held of a thread; if one fails, all are held again, before later ones."""
        calls = self._held.pop(thread_id, [])
        if calls:
            self._kept.add(thread_id)
        try:
            yield calls
        except BaseException:  # the thread is deleted, or tried again, by its owner
            self._held[thread_id] = calls + self._held.get(thread_id, [])
            raise

    def _size(self, method: str, args: tuple[Any, ...]) -> int:
        values = list(args[1]["channel_values"].values()) if method == "put" else [w[1] for w in args[1]]
        return sum(len(self.serde.dumps_typed(value)[1]) for value in values)

    # ── what graphs call ─────────────────────────────────────────────────────────────────────────

    async def aget_tuple(self, config: RunnableConfig) -> Any:
        """Return a checkpoint of a thread; None if it has none."""
        thread_id, is_held = self._position(config)
        if is_held:
            await self.keep(thread_id)
        return await self._inner.aget_tuple(config) if thread_id in self._kept else None

    def get_tuple(self, config: RunnableConfig) -> Any:
        """Do as ``aget_tuple``, for a graph that a node without async code runs."""
        thread_id, is_held = self._position(config)
        if is_held:
            self._keep(thread_id)
        return self._inner.get_tuple(config) if thread_id in self._kept else None

    async def alist(self, config: RunnableConfig | None, **options: Any) -> AsyncIterator[Any]:
        """Iterate over the checkpoints of a thread."""
        if config is not None:
            await self.keep(self._position(config)[0])
            async for item in self._inner.alist(config, **options):
                yield item

    def list(self, config: RunnableConfig | None, **options: Any) -> Iterator[Any]:
        """Do as ``alist``, for a graph that a node without async code runs."""
        if config is not None:
            self._keep(self._position(config)[0])
            yield from self._inner.list(config, **options)

    async def aput(self, config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Hold a checkpoint."""
        return self.put(config, checkpoint, metadata, new_versions)

    def put(self, config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Do as ``aput``, for a graph that a node without async code runs."""
        place = config["configurable"]
        self._hold("put", config, checkpoint, metadata, new_versions)
        names = ("thread_id", "checkpoint_ns")
        return {
            "configurable": {
                **{name: place.get(name, "") for name in names},
                "checkpoint_id": checkpoint["id"],
            }
        }

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Hold the writes of a task."""
        self._hold("put_writes", config, writes, task_id, task_path)

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Do as ``aput_writes``, for a graph that a node without async code runs."""
        self._hold("put_writes", config, writes, task_id, task_path)

    def _hold(self, method: str, *args: Any) -> None:
        self._held.setdefault(args[0]["configurable"]["thread_id"], []).append((method, args))

    def _position(self, config: RunnableConfig) -> tuple[str, bool]:
        """Return a config's thread, and whether something is held of the namespace that it names."""
        place = config["configurable"]
        ns = place.get("checkpoint_ns", "")
        held = self._held.get(place["thread_id"], ())
        return place["thread_id"], any(
            args[0]["configurable"].get("checkpoint_ns", "") == ns for _, args in held
        )

    def _keep(self, thread_id: str) -> None:
        with self._taken(thread_id) as calls:
            for method, args in calls:
                getattr(self._inner, method)(*args)
