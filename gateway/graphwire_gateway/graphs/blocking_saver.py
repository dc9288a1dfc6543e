"""A saver of one event loop that other threads may use, too: for nodes without async code."""

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

_T = TypeVar("_T")


class BlockingSaver(BaseCheckpointSaver[int]):
    """What is asked on another thread waits for the async method on ``loop``, which is the running one.

    On the loop itself it raises ``asyncio.InvalidStateError``, since it would wait for itself.
    """

    def __init__(self, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.loop = asyncio.get_running_loop()

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return a checkpoint and its writes: the one that is named, or the latest of its namespace."""
        return self._waited(self.aget_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Yield checkpoints, the newest of a thread first."""
        found = self.alist(config, filter=filter, before=before, limit=limit)

        async def following() -> CheckpointTuple | None:
            return await anext(found, None)

        while (saved := self._waited(following())) is not None:
            yield saved

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Save a checkpoint; return its configuration."""
        return self._waited(self.aput(config, checkpoint, metadata, new_versions))

    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Save what a task wrote."""
        self._waited(self.aput_writes(config, writes, task_id, task_path))

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread."""
        self._waited(self.adelete_thread(thread_id))

    def _waited(self, work: Coroutine[Any, Any, _T]) -> _T:
        running = None
        with contextlib.suppress(RuntimeError):  # there is none on this thread
            running = asyncio.get_running_loop()
        if running is self.loop:
            work.close()
            raise asyncio.InvalidStateError(
                "this would wait for itself: await the method whose name begins with 'a', or call this one "
                "on another thread than the loop's"
            )
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()
