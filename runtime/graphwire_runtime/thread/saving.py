"""Reading and writing a thread through its saver, for a run that blocks and for one that awaits.

Everything is written in the order in which it was queued. With "sync" durability it is written before the
next superstep begins; with "async" an asynchronous run writes beside the next superstep and is never more
than that one ahead; with "exit" there is only something to write in the end. Nothing is left unwritten when a
run ends, however it ends.
"""

from __future__ import annotations

import asyncio
from typing import Any

from graphwire_runtime.thread.checkpoints import Thread

__all__ = ["AsyncSaving", "load", "save"]


def load(thread: Thread) -> None:
    """Read the checkpoint that the run starts from."""
    thread.load(thread.saver.get_tuple(thread.location()))


def save(thread: Thread) -> None:
    """Write what is queued."""
    while thread.queue:
        kind, *args = thread.queue.pop(0)
        if kind == "put":
            thread.saver.put(*args)
        else:
            thread.saver.put_writes(*args)


class AsyncSaving:
    """What an asynchronous run reads and writes."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread
        self._writing: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Read the checkpoint that the run starts from."""
        self._thread.load(await self._thread.saver.aget_tuple(self._thread.location()))

    def begin(self) -> None:
        """Write what is queued, beside whatever comes next."""
        if self._thread.queue and (self._writing is None or self._writing.done()):
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def step(self) -> None:
        """Between two supersteps: wait for what the one before last has left to write."""
        if self._thread.durability == "async":
            await self._written()
            self.begin()
        else:
            await self.end()

    async def close(self) -> None:
        """Write everything that the run has left, when it has ended in whatever way."""
        self._thread.close()
        await self.end()

    async def end(self) -> None:
        """Wait until everything is written."""
        self.begin()
        while self._writing is not None:
            await self._written()
            self.begin()

    async def _written(self) -> None:
        # A run that is cancelled here leaves a write whole: it goes on, and `close` waits for it.
        writing = self._writing
        if writing is not None:
            await asyncio.shield(writing)
            if self._writing is writing:
                self._writing = None

    async def _write(self) -> None:
        thread: Any = self._thread
        while thread.queue:
            kind, *args = thread.queue.pop(0)
            if kind == "put":
                await thread.saver.aput(*args)
            else:
                await thread.saver.aput_writes(*args)
