"""Short questions to a graph's saver, which are given up after a while."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from graphwire_protocol.errors import Refusal

from graphwire_gateway.execution.schemas import response_schema_of
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.scope import Scope

T = TypeVar("T")

PATIENCE_S = 5.0
"""How long a graph's loop or a store may take to answer, in seconds."""


async def ask_within(entry: Entry, where: str, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run ``work`` on the graph's loop, for at most ``PATIENCE_S``. Raises ``Refusal(unavailable)``.

    ``where`` is the frame and field that asks, for the error's text.
    """
    try:
        return await asyncio.wait_for(entry.runner.ask(work), PATIENCE_S)
    except (TimeoutError, asyncio.TimeoutError):
        message = f"{where}: graph {entry.name!r} does not answer; its loop or its saver is busy"
        raise Refusal("unavailable", message, after_ms=1000) from None


async def has_checkpoint(entry: Entry, scope: Scope, checkpoint: str, where: str) -> bool:
    """Tell whether the thread has that checkpoint. Raises ``Refusal(unavailable)``."""
    config: Any = {
        "configurable": {"thread_id": scope.saved, "checkpoint_ns": "", "checkpoint_id": checkpoint}
    }

    async def find() -> bool:
        async with entry.open(config, with_threads=True) as graph:
            return await graph.checkpointer.aget_tuple(config) is not None

    return await ask_within(entry, where, find)


async def schemas_of_thread(
    entry: Entry, scope: Scope, checkpoint: str | None, where: str
) -> dict[str, dict[str, Any] | None]:
    """Return the JSON Schemas of the answers that a thread waits for, by interrupt; None for one without.

    Nothing is returned for a thread that cannot be read: the run that resumes it says why. Raises
    ``Refusal(unavailable)``.
    """
    configurable = {"thread_id": scope.saved, "checkpoint_ns": ""}
    if checkpoint is not None:
        configurable["checkpoint_id"] = checkpoint
    config: Any = {"configurable": configurable}

    async def read() -> dict[str, dict[str, Any] | None]:
        async with entry.open(config, with_threads=True) as graph:
            snapshot = await graph.aget_state(config)  # type: ignore[attr-defined]
            return {asked.id: response_schema_of(asked) for asked in snapshot.interrupts}

    try:
        return await ask_within(entry, where, read)
    except Refusal:
        raise
    except Exception:
        return {}
