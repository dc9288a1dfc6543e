"""Short questions to a graph's saver, which are given up after a while."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from graphwire_protocol.errors import Refusal

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
