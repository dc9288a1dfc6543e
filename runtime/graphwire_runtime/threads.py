"""`GraphThreads`: how the threads of a graph are read and edited: their states, histories and updates.

Its methods only turn a call into a `ThreadAddress`; `state` does the work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.address import ThreadAddress
from graphwire_runtime.describing import DescribedGraph
from graphwire_runtime.state import (
    StateUpdate,
    ahistory,
    aperform,
    get_state,
    history,
    perform,
    update_state,
)
from graphwire_runtime.thread.snapshot import StateSnapshot

__all__ = ["GraphThreads"]


class GraphThreads(DescribedGraph):
    """The part of a compiled graph that reads and edits the threads which its checkpointer keeps."""

    checkpointer: Any
    store: Any
    config: RunnableConfig | None

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """The thread at its latest checkpoint, or at the `checkpoint_id` that the config names.

        At the latest checkpoint, the values include what finished tasks of an unfinished superstep wrote.
        With `subgraphs`, the `state` of a task that is a graph is that graph's snapshot, with its config.

        Raises ValueError without a checkpointer or `thread_id`.
        """
        address = self._address(config)
        return perform(get_state(address, subgraphs=subgraphs), address.saver)

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """The same as `get_state`, on the event loop."""
        address = self._address(config)
        return await aperform(get_state(address, subgraphs=subgraphs), address.saver)

    def get_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """The thread's checkpoints, the latest first.

        At most `limit` checkpoints are yielded, only those whose metadata has all items of `filter`, and only
        those earlier than the one whose config is `before`.
        """
        return history(self._address(config), filter, before, limit)

    def aget_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """The same as `get_state_history`, on the event loop."""
        return ahistory(self._address(config), filter, before, limit)

    def update_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """Edit the thread: make a checkpoint as if a node had returned `values`; return its config.

        Args:
            config: names the thread, and a checkpoint unless the latest is meant.
            values: the update.
            as_node: the node, by default the one that ran last. What follows it runs next. END lets nothing
                run next.
            task_id: the task that the edit stands for, in the history; by default the first that was to run
                that node.

        Raises InvalidUpdateError for an unknown node, for values that are no update, and without `as_node` if
        several nodes ran last.
        """
        return self.bulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    async def aupdate_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """The same as `update_state`, on the event loop."""
        return await self.abulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    def bulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """Like `update_state`, several times: each superstep of updates makes one checkpoint."""
        address = self._address(config)
        return perform(update_state(address, supersteps), address.saver)

    async def abulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """The same as `bulk_update_state`, on the event loop."""
        address = self._address(config)
        return await aperform(update_state(address, supersteps), address.saver)

    def _address(self, config: RunnableConfig) -> ThreadAddress:
        return ThreadAddress(self.plan, self.config, config, self.checkpointer, self.store)
