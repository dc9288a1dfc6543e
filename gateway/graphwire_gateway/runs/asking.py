"""Requests to a graph and its saver, and short questions, which are given up after a while.

What the graph's code raises is described on the graph's loop: an exception is code of the graph, too, and may
block, raise or exit when it is asked for its text.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from graphwire_protocol.errors import Refusal

from graphwire_gateway.execution.schemas import response_schema_of
from graphwire_gateway.failures import Failures
from graphwire_gateway.fence import Fence
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.job import Job, is_cancelled
from graphwire_gateway.scope import Scope, thread_config

T = TypeVar("T")

PATIENCE_S = 5.0
"""How long a graph's loop or a store may take to answer, in seconds."""


async def ask(
    entry: Entry,
    failures: Failures,
    where: str,
    work: Callable[[], Coroutine[Any, Any, T]],
    principal: str,
    on_end: Callable[[Job], None] | None = None,
    fence: Fence | None = None,
) -> T:
    """Run ``work`` on the graph's loop for ``principal``, and ``on_end`` when all its code has stopped.

    ``fence`` is what it writes with; left out, it only reads.
    Raises the ``Refusal`` that it raises; anything else becomes ``Refusal(internal)``. ``where`` is the frame
    and field that asks, for the error's text.
    """

    async def contained() -> T:
        try:
            return await work()
        except Refusal:
            raise
        except BaseException as error:
            if is_cancelled(error):
                raise
            raise failures.of_request(error, entry.name, where) from None

    return await entry.runner.ask(contained, on_end, principal, fence)


async def ask_within(
    entry: Entry,
    failures: Failures,
    where: str,
    work: Callable[[], Coroutine[Any, Any, T]],
    principal: str,
    fence: Fence | None = None,
) -> T:
    """Run ``work`` as ``ask`` does, for at most ``PATIENCE_S``. Raises ``Refusal(unavailable)`` as well."""
    try:
        return await asyncio.wait_for(ask(entry, failures, where, work, principal, None, fence), PATIENCE_S)
    except (TimeoutError, asyncio.TimeoutError):
        message = f"{where}: graph {entry.name!r} does not answer; its loop or its saver is busy"
        raise Refusal("unavailable", message, after_ms=1000) from None


async def has_checkpoint(
    entry: Entry, failures: Failures, scope: Scope, principal: str, checkpoint: str, where: str
) -> bool:
    """Tell whether the thread has that checkpoint. Raises ``Refusal``."""
    config = thread_config(scope, principal, checkpoint)

    async def find() -> bool:
        async with entry.open(config, with_threads=True, access_context="threads.read") as graph:
            return await graph.checkpointer.aget_tuple(config) is not None

    return await ask_within(entry, failures, where, find, principal)


async def schemas_of_thread(
    entry: Entry, failures: Failures, scope: Scope, principal: str, checkpoint: str | None, where: str
) -> dict[str, dict[str, Any] | None]:
    """Return the JSON Schemas of the answers that a thread waits for, by interrupt; None for one without.

    Nothing is returned for a thread that cannot be read: the run that resumes it says why. Raises
    ``Refusal(unavailable)``.
    """
    config = thread_config(scope, principal, checkpoint)

    async def read() -> dict[str, dict[str, Any] | None]:
        async with entry.open(config, with_threads=True, access_context="threads.read") as graph:
            snapshot = await graph.aget_state(config)  # type: ignore[attr-defined]
            return {asked.id: response_schema_of(asked) for asked in snapshot.interrupts}

    try:
        return await ask_within(entry, failures, where, read, principal)
    except Refusal as refusal:
        if refusal.code == "unavailable":
            raise
        return {}
