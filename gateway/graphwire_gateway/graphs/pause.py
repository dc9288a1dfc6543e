"""Where a run waits for answers: what its thread's saver had then, so that what follows can be repeated.

A task that was answered saves its answer beside the checkpoint at which it waited, and so do the tasks of its
step that end; graphs inside save checkpoints of their own. If the process is killed before the step has
ended, nothing in the saver tells what was there before. A ``Pause`` does.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from graphwire_protocol.base import Wire
from graphwire_runtime.clock import checkpoint_id
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple

_AT_ONCE = 16  # checkpoints that are read at once


class PausedTask(Wire):
    """What the saver had of a task."""

    id: str
    result: str = ""
    """The task's id at the saver if it had ended, else ""."""
    answers: int = 0
    """How many answers it had been given."""


class PausedGraph(Wire):
    """A graph of the run, at the latest checkpoint of its namespace."""

    ns: str
    checkpoint: str
    tasks: tuple[PausedTask, ...]
    """Those of which the saver had anything."""


class Pause(Wire):
    """What the saver had of a thread when a run began to wait there."""

    checkpoint: str
    """The latest checkpoint of the root."""
    newest: str
    """The newest checkpoint of all namespaces."""
    graphs: tuple[PausedGraph, ...]
    hidden: tuple[tuple[str, str], ...] = ()
    """Pairs of ids: checkpoints behind the first, up to the second, are of processes that were killed."""
    attempt: int = 1
    """The run's attempt that hides them."""

    def repeated(self, newest: str, attempt: int) -> "Pause":
        """Return the pause from which an attempt repeats what follows: all up to ``newest`` is hidden.

        So is what was made before now: a process that hangs may have sent a checkpoint that is still to come.
        """
        upto = max(newest, checkpoint_id(0))
        return self.model_copy(update={"hidden": (*self.hidden, (self.newest, upto)), "attempt": attempt})

    def hides(self, checkpoint: str) -> bool:
        """Tell whether a checkpoint was made by a process that was killed."""
        return any(first < checkpoint <= last for first, last in self.hidden)


async def newest_first(
    saver: Any, config: RunnableConfig, *, before: RunnableConfig | None = None, **options: Any
) -> AsyncGenerator[CheckpointTuple, None]:
    """Yield checkpoints, the newest first, a page at a time: some savers read all that they are asked for.

    Whoever does not read all closes it.
    """
    limit = 1
    while page := [each async for each in saver.alist(config, before=before, limit=limit, **options)]:
        for saved in page:
            yield saved
        before, limit = page[-1].config, _AT_ONCE


async def newest_since(saver: Any, thread: str, pause: Pause) -> str | None:
    """Return the newest checkpoint of a thread; None unless all behind a pause was made by answering it.

    An edit of the state, another run's input and a deletion are not.
    """
    newest = ""
    async with aclosing(newest_first(saver, {"configurable": {"thread_id": thread}})) as checkpoints:
        async for saved in checkpoints:
            ns, id = place_of(saved)
            newest = newest or id
            if not ns and id <= pause.newest:
                return newest if id == pause.checkpoint else None
            source = saved.metadata.get("source")
            if id > pause.newest and (source != "loop" if not ns else source in ("update", "fork")):
                return None
    return None


def place_of(saved: CheckpointTuple) -> tuple[str, str]:
    """Return the namespace and the id of a checkpoint."""
    place = saved.config["configurable"]
    return place.get("checkpoint_ns", ""), place["checkpoint_id"]
