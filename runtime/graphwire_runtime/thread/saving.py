"""Carries out what `checkpoints` has queued for the saver, in a run that blocks and in one that awaits.

Everything is written in the order in which it was queued. With "sync" durability it is written before the
next superstep begins. With "async" an asynchronous run writes during the next superstep, and is never more
than that one ahead of its saver; a blocking run writes as with "sync". With "exit" there is nothing to write
before the end. Nothing is left unwritten when a run ends, however it ends.
"""

from __future__ import annotations

import asyncio
from typing import Any

from graphwire_runtime.thread.checkpoints import Checkpoints

__all__ = ["AsyncSaving", "check_saver", "is_other", "load", "save"]


def check_saver(checkpointer: Any) -> None:
    """Raise TypeError for an object without the interface of a saver."""
    asked = ("get_tuple", "aget_tuple", "put", "aput", "put_writes", "aput_writes", "get_next_version")
    missing = [name for name in asked if not callable(getattr(checkpointer, name, None))]
    if missing:
        raise TypeError(
            f"a checkpointer must be a saver of the langgraph-checkpoint family, True, False or None, got a "
            f"{type(checkpointer).__name__}, which has no {missing[0]}()"
        )


def is_other(latest: Any, saved: Any) -> bool:
    """Whether two tuples of a saver, either of which may be None, are different checkpoints."""
    return latest is not None and saved is not None and latest.checkpoint["id"] != saved.checkpoint["id"]


def load(checkpoints: Checkpoints) -> None:
    """Read the checkpoint that the run starts from."""
    saver, where, before = checkpoints.saver, checkpoints.location(), checkpoints.bound()
    if before is None:
        saved = saver.get_tuple(where)
    else:
        saved = next(iter(list(saver.list(where, before=before, limit=1))), None)
    checkpoints.load(saved)
    if checkpoints.asked is not None:
        checkpoints.superseded = is_other(saver.get_tuple(checkpoints.location(latest=True)), saved)


def save(checkpoints: Checkpoints) -> None:
    """Write what is queued."""
    while checkpoints.queue:
        method, args = checkpoints.queue.pop(0)
        getattr(checkpoints.saver, method)(*args)


class AsyncSaving:
    """Reads and writes for one asynchronous run."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints
        self._writing: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read the checkpoint that the run starts from."""
        checkpoints = self._checkpoints
        saver, where, before = checkpoints.saver, checkpoints.location(), checkpoints.bound()
        if before is None:
            saved = await saver.aget_tuple(where)
        else:
            found = [each async for each in saver.alist(where, before=before, limit=1)]
            saved = next(iter(found), None)
        checkpoints.load(saved)
        if checkpoints.asked is not None:
            latest = await saver.aget_tuple(checkpoints.location(latest=True))
            checkpoints.superseded = is_other(latest, saved)

    def begin(self) -> None:
        """Start to write what is queued, unless a write is under way or has failed."""
        if self._checkpoints.queue and (self._writing is None or _has_succeeded(self._writing)):
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def step(self) -> None:
        """Between two supersteps: wait for the writes that the durability does not allow to be late."""
        if self._checkpoints.durability == "async":
            await self._written()
            self.begin()
        else:
            await self._write_all()

    async def close(self, *, finished: bool) -> None:
        """End the run, in whatever way it ended, and write everything that is left."""
        self._checkpoints.close(finished=finished)
        await self._write_all()

    async def _write_all(self) -> None:
        self.begin()
        while self._writing is not None:
            await self._written()
            self.begin()

    async def _written(self) -> None:
        # The write is shielded: if the run is cancelled here, the write continues, and `close` waits for it.
        writing = self._writing
        if writing is not None:
            try:
                await asyncio.shield(writing)
            finally:
                if writing.done() and self._writing is writing:
                    self._writing = None

    async def _write(self) -> None:
        checkpoints = self._checkpoints
        while checkpoints.queue:
            method, args = checkpoints.queue.pop(0)
            await getattr(checkpoints.saver, f"a{method}")(*args)


def _has_succeeded(writing: asyncio.Task[None]) -> bool:
    """Tell whether a write has ended, and has nothing to raise."""
    return writing.done() and not writing.cancelled() and writing.exception() is None
