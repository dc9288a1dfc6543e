"""The lists of graphs, and of a principal's threads: those of known runs, those that only a saver knows."""

import asyncio
import datetime
import math
from typing import Any

import orjson
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.limits import DEFAULTS
from graphwire_protocol.replies import GraphRow, Ok, ThreadRow

from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.subgraphs import marked
from graphwire_gateway.runs.asking import ask_within
from graphwire_gateway.runs.paging import page
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.scope import PRINCIPAL, thread_config

SCANNED = 10_000
"""How many checkpoints of a principal are read in a graph's saver. Most give the newest first; the server's
own in memory those of the thread that was used last."""

_AT_ONCE = 16  # checkpoints of a principal that are read before other work on the graph's loop gets a turn


class Listing:
    """Carries out ``list`` of graphs and of threads. A page is at most ``max_event_bytes`` long."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        failures: Failures,
        max_event_bytes: int = DEFAULTS.max_event_bytes,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._failures = failures
        self._max = max_event_bytes

    def graphs(self, command: commands.List) -> Ok:
        """Return a page of rows, all that fit. Raises ``Refusal``: a foreign cursor, a graph too large."""
        rows = [row for row in self._catalog.rows() if command.graph in (None, row.name)]
        rows = [_fitting(row, self._max) for row in rows]
        found, cursor = page(rows, lambda row: ("", row.name), len(rows) or 1, command.cursor, self._max)
        return Ok(id=command.id, graphs=tuple(found), cursor=cursor)

    async def threads(self, command: commands.List, principal: str) -> Ok:
        """Return a page of rows, the latest change first. Raises ``Refusal``."""
        known = {(row.graph, row.thread): row for row in self._runs.threads(principal)}
        rows = dict(known)
        for entry in self._catalog.all():
            if command.graph in (None, entry.name) and entry.takes_threads:
                for thread, updated_at in (await self._saved(entry, principal)).items():
                    row = ThreadRow(
                        graph=entry.name, thread=thread, status="completed", updated_at=updated_at
                    )
                    rows.setdefault((entry.name, thread), row)
        wanted = [
            row
            for row in rows.values()
            if command.graph in (None, row.graph) and command.thread in (None, row.thread)
        ]
        if command.status is not None:
            # Only the state tells whether a thread waits for something.
            wanted = [await self._with_status(row, known, principal) for row in wanted]
            wanted = [row for row in wanted if row.status in command.status]
        found, cursor = page(
            wanted,
            lambda row: (row.updated_at, row.graph, row.thread),
            command.limit,
            command.cursor,
            self._max,
        )
        if command.status is None:
            found = [await self._with_status(row, known, principal) for row in found]
        return Ok(id=command.id, threads=tuple(found), cursor=cursor)

    async def _saved(self, entry: Entry, principal: str) -> dict[str, str]:
        """Return the threads of ``principal`` in the graph's saver, and when each was last written."""
        config: Any = {"configurable": {PRINCIPAL: principal}}
        prefix = self._runs.scope(entry, "", principal, "list").saved
        # Savers keep the configuration's keys in a checkpoint's metadata, by which they leave out what is of
        # others. A database does that by itself, and the server's saver reads no threads of others.
        whose = None if self._runs.shared_threads else {PRINCIPAL: principal}

        async def scan(at_once: float = _AT_ONCE) -> dict[str, str]:
            found: dict[str, str] = {}
            async with entry.open(config, with_threads=True) as graph:
                number = 0
                async for saved in graph.checkpointer.alist(None, filter=whose, limit=SCANNED):
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
            except RuntimeError:  # a saver in memory was written meanwhile
                return await scan(math.inf)

        return await ask_within(entry, self._failures, "list.threads", scan_undisturbed, principal)

    async def _with_status(
        self, row: ThreadRow, known: dict[tuple[str, str], ThreadRow], principal: str
    ) -> ThreadRow:
        if (row.graph, row.thread) in known:
            return row
        entry = self._catalog.get(row.graph)
        scope = self._runs.scope(entry, row.thread, principal, "list")
        config = thread_config(scope, principal)

        async def look() -> bool:
            async with entry.open(config, with_threads=True) as graph:
                stateful: Any = graph  # a graph with threads has states
                return bool((await stateful.aget_state(config)).next)

        is_waiting = await ask_within(entry, self._failures, "list.threads", look, principal)
        status = "interrupted" if is_waiting else "completed"
        return row.model_copy(update={"status": status})


def _fitting(row: GraphRow, most_bytes: int) -> GraphRow:
    """Return a graph's row without the subgraphs, the schemas and the description that make it too large.

    Subgraphs are marked as cut before they are left out. Raises ``Refusal(too_large)`` if its nodes and edges
    alone are too large.
    """
    for name in (
        "inner",
        "context_schema",
        "output_schema",
        "input_schema",
        "description",
        "subgraphs",
        None,
    ):
        size = len(orjson.dumps(row.to_wire()))
        if size <= most_bytes:
            return row
        if name == "inner":
            row = row.model_copy(update={"subgraphs": row.subgraphs and marked(row.subgraphs)})
        elif name is not None:
            row = row.model_copy(update={name: None})
    raise Refusal(
        "too_large",
        f"list: the {len(row.nodes):,} nodes and {len(row.edges):,} edges of graph {row.name!r} take "
        f"{size:,} bytes, more than max_event_bytes, which is {most_bytes:,}; name another graph in "
        "list.graph, or raise that limit",
        details={"bytes": size, "limit": "max_event_bytes", "graph": row.name},
    )


def _in_utc(timestamp: str) -> str:
    """Return a checkpoint's time in the server's own form."""
    at = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    return at.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
