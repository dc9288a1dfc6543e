"""Group commit: what all runs have produced in a tick is appended to the store at once.

One append is under way at a time, so a slow store gathers larger groups instead of longer queues.
"""

import asyncio
from typing import Any

import structlog

from graphwire_gateway.run import Run
from graphwire_gateway.store.base import Batch, Fenced, Record, SeqGap, Store

log = structlog.get_logger("graphwire.commit")

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
        """Take one tick's ``(drive, record or outcome)`` from a runner."""
        for drive, item in items:
            run: Run = drive.owner
            if run.take(drive, item):
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
            groups: list[tuple[Run, list[Record]]] = []
            batches: list[Batch] = []
            for run in dirty:
                first, records = run.number()
                if records:
                    groups.append((run, records))
                    batches.append(Batch(run.key, run.epoch, first, records))
            if batches:
                self._idle.clear()
                await self._append(groups, batches)

    async def _append(self, groups: list[tuple[Run, list[Record]]], batches: list[Batch]) -> None:
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
        for (run, records), answer in zip(groups, answers, strict=True):
            if isinstance(answer, Fenced | SeqGap):
                log.error("a run lost its log", run=run.id, graph=run.graph, reason=repr(answer))
                run.lost()
            else:
                run.stored(records)
