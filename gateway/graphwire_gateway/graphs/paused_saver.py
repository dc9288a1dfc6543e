"""A saver as it was when a run began to wait for answers, for the process that repeats what followed."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from graphwire_runtime.servable import Servable
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import WRITES_IDX_MAP, BaseCheckpointSaver, CheckpointTuple, get_checkpoint_id
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME

from graphwire_gateway.graphs.blocking_saver import BlockingSaver
from graphwire_gateway.graphs.outer_saver import OuterSaver
from graphwire_gateway.graphs.pause import Pause, PausedGraph, PausedTask, newest_first, place_of

_MARK = "~"
"""Between a task's id and the attempt, in the id of what it wrote once more."""

_MOST = 1000  # tasks of a pause


class PausedSaver(OuterSaver, BlockingSaver):
    """Shows the threads of ``inner`` as they were at ``pause``, and what was written through it since.

    What a task wrote for a process that was killed stays in ``inner``, since savers keep what a task wrote
    first. So what it writes once more is saved under another id, which only a ``PausedSaver`` knows.
    """

    def __init__(self, inner: BaseCheckpointSaver[Any], pause: Pause) -> None:
        super().__init__(inner)
        self.pause = pause
        self._tasks = {
            (graph.ns, graph.checkpoint): {task.id: task for task in graph.tasks} for graph in pause.graphs
        }
        self._void: set[tuple[str, str, str]] = set()
        """Namespace, checkpoint and id of tasks with results that are hidden."""
        self._put: set[tuple[str, str, str, str]] = set()
        """The same of what was written here, by its id at the saver, and the channel."""

    def result_of(self, ns: str, checkpoint: str, task: str) -> str:
        """Return the id that a task's result has at the saver."""
        known = self._tasks.get((ns, checkpoint), {}).get(task)
        if known is not None and known.result:
            return known.result
        return f"{task}{_MARK}{self.pause.attempt}" if (ns, checkpoint, task) in self._void else task

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint and its writes: the one that is named, or the latest of its namespace."""
        saved = await self._inner.aget_tuple(config)
        if saved is None or not self.pause.hides(place_of(saved)[1]):
            return None if saved is None else self._seen(saved)
        if get_checkpoint_id(config) is not None:
            return None
        place = config["configurable"]
        ns = place.get("checkpoint_ns", "")
        within: RunnableConfig = {"configurable": {"thread_id": place["thread_id"], "checkpoint_ns": ns}}
        async with aclosing(self.alist(within, limit=1)) as found:
            return await anext(found, None)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncGenerator[CheckpointTuple, None]:
        """Yield the checkpoints of a thread that are not hidden, the newest first."""
        if config is None or limit == 0:
            return
        async with aclosing(newest_first(self._inner, config, before=before, filter=filter)) as checkpoints:
            async for saved in checkpoints:
                if not self.pause.hides(place_of(saved)[1]):
                    yield self._seen(saved)
                    if limit is not None and (limit := limit - 1) <= 0:
                        return

    async def aput(self, config: RunnableConfig, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Save a checkpoint."""
        return await self._inner.aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Save what a task wrote."""
        place = config["configurable"]
        where = place.get("checkpoint_ns", ""), place["checkpoint_id"]
        is_result = not all(channel in WRITES_IDX_MAP for channel, _ in writes)
        id = self.result_of(*where, task_id) if is_result else task_id
        self._put.update((*where, id, channel) for channel, _ in writes)
        await self._inner.aput_writes(config, writes, id, task_path)

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        await self._inner.adelete_thread(thread_id)

    def _seen(self, saved: CheckpointTuple) -> CheckpointTuple:
        where = place_of(saved)
        tasks = self._tasks.get(where)
        if tasks is None or not saved.pending_writes:
            return saved
        seen = []
        for id, channel, value in saved.pending_writes:
            task = id.partition(_MARK)[0]
            known = tasks.get(task) or PausedTask(id=task)
            if (*where, id, channel) in self._put:
                seen.append((task, channel, value))
            elif channel == RESUME:
                if id == task and known.answers:
                    given = value[: known.answers] if isinstance(value, list) else value
                    seen.append((task, channel, given))
            elif channel == INTERRUPT:
                if id == task and task in tasks:
                    seen.append((task, channel, value))
            elif id == known.result:
                seen.append((task, channel, value))
            elif id == task:
                self._void.add((*where, task))
        return saved._replace(pending_writes=seen)


async def read_pause(saver: Any, thread: str) -> Pause | None:
    """Return what a saver has of a thread whose graph has just paused; None if that is not all there is.

    All graphs inside have checkpoints that are newer than that of the root.
    """
    newest, tips = "", dict[str, CheckpointTuple]()
    async with aclosing(newest_first(saver, {"configurable": {"thread_id": thread}})) as checkpoints:
        async for saved in checkpoints:
            ns, id = place_of(saved)
            newest = newest or id
            tips.setdefault(ns, saved)
            if not ns:
                break
    # A delta channel is made of the writes of all checkpoints before, and so are those that are hidden.
    if "" not in tips or any("counters_since_delta_snapshot" in tip.metadata for tip in tips.values()):
        return None
    paused = saver if isinstance(saver, PausedSaver) else None
    graphs = []
    for ns, tip in tips.items():
        tasks: dict[str, PausedTask] = {}
        for task, channel, value in tip.pending_writes or ():
            known = tasks.get(task) or PausedTask(id=task)
            if channel == RESUME:
                known = known.model_copy(update={"answers": len(value) if isinstance(value, list) else 1})
            elif channel != INTERRUPT:
                known = known.model_copy(
                    update={"result": paused.result_of(ns, tip.checkpoint["id"], task) if paused else task}
                )
            tasks[task] = known
        graphs.append(PausedGraph(ns=ns, checkpoint=tip.checkpoint["id"], tasks=tuple(tasks.values())))
    if sum(len(graph.tasks) for graph in graphs) > _MOST:
        return None
    pause = Pause(checkpoint=tips[""].checkpoint["id"], newest=newest, graphs=tuple(graphs))
    if paused is not None and paused.pause.checkpoint == pause.checkpoint:
        pause = pause.model_copy(update={"hidden": paused.pause.hidden, "attempt": paused.pause.attempt})
    return pause


def as_paused(graph: Servable, pause: Pause) -> Servable:
    """Return the graph with its saver as it was at a pause, if that hides anything."""
    if not pause.hidden:
        return graph
    clone = copy.copy(graph)
    clone.checkpointer = PausedSaver(graph.checkpointer, pause)  # type: ignore[misc]
    return clone
