"""Group commit: what all runs have produced in a tick is appended to the store at once.

One append is under way at a time, so a slow store gathers larger groups instead of longer queues.
"""

import asyncio
from typing import Any

from graphwire_gateway.log.store import Batch, Fenced, SeqGap, Store
from graphwire_gateway.runs.run import Run
from graphwire_gateway.telemetry import logger

log = logger("commit")

_RETRY_S = (0.05, 0.2, 1.0)  # waits between tries of an append while the store is away, the last one repeated


class Committer:
    """Moves pending records of runs into the store. ``take`` is the runners' outlet."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dirty: dict[Run, None] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def take(self, items: list[Any]) -> None:
        """Take one tick's ``(drive, records and outcome)`` from a runner."""
        for drive, made in items:
            run: Run = drive.owner
            if run.take(drive, made):
                self._dirty[run] = None
        self._wake.set()

    def add(self, run: Run) -> None:
        """``run`` has pending records of the server's own."""
        self._dirty[run] = None
        self._idle.clear()
        self._wake.set()

    async def settle(self) -> None:
        """Wait until everything that is pending now is stored."""
        if self._dirty:
            self._idle.clear()
        await self._idle.wait()

    async def main(self) -> None:
        """Commit until cancelled."""
        while True:
            if not self._dirty:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
            dirty, self._dirty = self._dirty, {}
            group = [(run, batch) for run in dirty if (batch := run.batch()) is not None]
            if group:
                self._idle.clear()
                await self._append(group)

    async def _append(self, group: list[tuple[Run, Batch]]) -> None:
        batches = [batch for _, batch in group]
        tries = 0
        while True:
            try:
                answers = await self._store.append(batches)
                break
            except Exception as error:
                # What was told to nobody can wait: runs stop at their hand-over's bound meanwhile.
                log.warning("the store does not take events; trying again", error=repr(error))
                await asyncio.sleep(_RETRY_S[min(tries, len(_RETRY_S) - 1)])
                tries += 1
        for (run, batch), answer in zip(group, answers, strict=True):
            if isinstance(answer, Fenced | SeqGap):
                log.error("a run lost its log", run=run.id, graph=run.graph, reason=repr(answer))
                run.lost()
            else:
                run.stored(batch)
