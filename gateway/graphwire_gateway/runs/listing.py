"""The threads of a principal: those that runs known here have, and those that only checkpoints tell of."""

import asyncio
import datetime
import math
from typing import Any, TypeVar

from graphwire_protocol import commands
from graphwire_protocol.replies import Ok, ThreadRow

from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.runs.paging import page
from graphwire_gateway.runs.runs import Runs, ask_soon
from graphwire_gateway.scope import PRINCIPAL

T = TypeVar("T")

SCANNED = 10_000
"""How many checkpoints of a graph's saver are looked at, the newest first where it keeps that order."""

_AT_ONCE = 16  # checkpoints between two turns of what else the graph's loop has to do


class Listing:
    """Carries out ``list`` of threads."""

    def __init__(self, catalog: Catalog, runs: Runs) -> None:
        self._catalog = catalog
        self._runs = runs

    async def threads(self, command: commands.List, principal: str) -> Ok:
        """Return a page of rows, the last one to change first. Raises ``Refusal``."""
        known = {(row.graph, row.thread): row for row in self._runs.threads(principal)}
        rows = dict(known)
        for entry in self._catalog.all():
            if command.graph in (None, entry.name) and entry.takes_threads:
                for thread, updated_at in (await self._saved(entry, principal)).items():
                    row = ThreadRow(
                        graph=entry.name, thread=thread, status="completed", updated_at=updated_at
                    )
                    rows.setdefault((entry.name, thread), row)
        ordered = sorted(rows.values(), key=lambda row: row.updated_at, reverse=True)
        wanted = [
            row
            for row in ordered
            if command.graph in (None, row.graph) and command.thread in (None, row.thread)
        ]
        if command.status is not None:
            # Whether something is left to do in a thread takes a look at its state.
            wanted = [await self._told(row, known, principal) for row in wanted]
            wanted = [row for row in wanted if row.status in command.status]
        found, cursor = page(
            wanted, lambda row: (row.updated_at, row.graph, row.thread), command.limit, command.cursor
        )
        if command.status is None:
            found = [await self._told(row, known, principal) for row in found]
        return Ok(id=command.id, threads=tuple(found), cursor=cursor)

    async def _saved(self, entry: Entry, principal: str) -> dict[str, str]:
        """Return the threads that the graph's saver has for ``principal``, and when each was last written."""
        config: Any = {"configurable": {PRINCIPAL: principal}}
        prefix = self._runs.scope(entry, "", principal, "list").saved

        async def scan(at_once: float = _AT_ONCE) -> dict[str, str]:
            found: dict[str, str] = {}
            async with entry.open(config, with_threads=True) as graph:
                number = 0
                async for saved in graph.checkpointer.alist(None, limit=SCANNED):
                    number += 1
                    if not number % at_once:
                        await asyncio.sleep(0)
                    id = str(saved.config["configurable"]["thread_id"])
                    thread = id.removeprefix(prefix)
                    if (
                        thread != id
                        and "/" not in thread
                        and not saved.config["configurable"]["checkpoint_ns"]
                    ):
                        found[thread] = max(found.get(thread, ""), _in_utc(saved.checkpoint["ts"]))
            return found

        async def scan_undisturbed() -> dict[str, str]:
            try:
                return await scan()
            except RuntimeError:  # a saver in memory was written between two turns
                return await scan(math.inf)

        return await ask_soon(entry, "list.threads", scan_undisturbed)

    async def _told(
        self, row: ThreadRow, known: dict[tuple[str, str], ThreadRow], principal: str
    ) -> ThreadRow:
        if (row.graph, row.thread) in known:
            return row
        entry = self._catalog.get(row.graph)
        scope = self._runs.scope(entry, row.thread, principal, "list")
        config: Any = {"configurable": {"thread_id": scope.saved, PRINCIPAL: principal}}

        async def look() -> bool:
            async with entry.open(config, with_threads=True) as graph:
                keeper: Any = graph  # a graph that has threads has states
                return bool((await keeper.aget_state(config)).next)

        status = "interrupted" if await ask_soon(entry, "list.threads", look) else "completed"
        return row.model_copy(update={"status": status})


def _in_utc(timestamp: str) -> str:
    """Return a checkpoint's time as the server writes its own."""
    at = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    return at.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
