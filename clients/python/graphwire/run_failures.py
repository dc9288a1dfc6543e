"""What ``RemoteGraph`` raises when a run fails, is cancelled or lost, and how it cancels a run that is left.

As with a local graph, leaving the stream or cancelling the wait cancels the run. The server's refusals are
reworded, since they name arguments of ``client.run()``.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from graphwire_protocol.commands import Cancel

from graphwire.blocking import CANCEL_TIMEOUT_S
from graphwire.errors import (
    ConnectionClosed,
    Refused,
    RemoteError,
    RunCancelled,
    RunFailed,
    RunInterrupted,
    RunLost,
    StreamBroken,
    is_unknown_run,
)
from graphwire.events import LifecycleEvent
from graphwire.exchange import Exchange
from graphwire.run import Run


def with_remedy(refused: Refused, remedy: str) -> Refused:
    """Return ``refused`` with ``remedy`` in its sentence if its code is ``busy``, else as it is."""
    if refused.code != "busy":
        return refused
    message = f"this thread has a run; wait for its end: {remedy}"
    return Refused(refused.code, message, refused.retry, refused.after_s, refused.details)


@contextlib.asynccontextmanager
async def cancelling_on_exception(
    exchange: Exchange, run: Run, reason: str, *, is_named: bool
) -> AsyncIterator[None]:
    """Cancel the run if the block is left by an exception while the run may still be running.

    A run that waits for answers is cancelled, too, if it has no thread and the caller did not name its id.
    """
    try:
        yield
        if not is_named and run.status == "interrupted" and run.thread is None:  # nobody can answer it
            await cancel_quietly(exchange, run.id, "its stream has ended, and it has no thread")
    except (RemoteError, RunCancelled):
        raise
    except Refused as refused:
        if is_unknown_run(refused):
            how = "ainvoke(None, config) continues from its last checkpoint"
            raise RunLost(run.id, run.graph, run.thread, how) from None
        await cancel_quietly(exchange, run.id, reason)
        raise
    except BaseException:
        await cancel_quietly(exchange, run.id, reason)
        raise


async def cancel_quietly(exchange: Exchange, run: str, reason: str) -> None:
    """Ask the server to cancel a run, without an error if that fails.

    A server that lost this client cancels the run by itself; one that does not know the run need not.
    """
    with contextlib.suppress(ConnectionClosed, Refused, asyncio.TimeoutError):
        asking = exchange.ask(lambda id: Cancel(id=id, run=run, reason=reason))
        await asyncio.wait_for(asking, CANCEL_TIMEOUT_S)


async def output_so_far(run: Run) -> Any:
    """Return the output of a run, also of one that has ended because nobody can answer what it asked."""
    try:
        return await run.result()
    except RunInterrupted as asked:
        if not asked.is_over:
            raise
        return asked.output


def raise_if_ended_badly(run: Run, event: LifecycleEvent) -> None:
    """Raise if the run failed, was cancelled, or repeats a step."""
    if event.status == "failed":
        raise _remote(run.failure())
    if event.status == "cancelled":
        raise RunCancelled(run.id, event.reason)
    if event.discard or event.void_after is not None:
        raise StreamBroken(
            f"run {run.id} was taken over and repeats a step, which a local graph never does; "
            "use client.run(), whose events say what to discard"
        )


def _remote(failed: RunFailed) -> RemoteError:
    return RemoteError(failed.type or failed.code, failed.message, failed.error_id)
