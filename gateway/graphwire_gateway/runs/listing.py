"""The lists of graphs, and of a principal's threads: the known ones, and those that only a saver knows."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.limits import DEFAULTS
from graphwire_protocol.projection import Encoders
from graphwire_protocol.replies import GraphRow, Ok, ThreadRow

from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_gateway.graphs.subgraphs import marked
from graphwire_gateway.runs.details import StatusDetails
from graphwire_gateway.runs.known_thread import KnownThread
from graphwire_gateway.runs.paging import cursor_of, fitting, page
from graphwire_gateway.runs.runs import Runs
from graphwire_gateway.runs.saved_threads import SavedThread, SavedThreads
from graphwire_gateway.runs.thread_watch import RowAsListed, thread_matches

_AT_ONCE = 1000  # threads that are looked through before the rest of the process gets the loop
_GO_MEANWHILE = 100  # threads that a watch names in place of others that went while savers were asked


@dataclass(slots=True)
class _Listed:
    """A thread that may get into a list: known, or saved, or both."""

    graph: str
    thread: str
    updated_at: str
    known: KnownThread | None = None
    saved: SavedThread | None = None

    @property
    def metadata(self) -> Mapping[str, Any]:
        return {} if self.known is None else self.known.metadata

    @property
    def key(self) -> tuple[str, ...]:
        return self.updated_at, self.graph, self.thread


class Listing:
    """Carries out ``list`` of graphs and of threads. A page is at most ``max_event_bytes`` long."""

    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        failures: Failures,
        max_event_bytes: int = DEFAULTS.max_event_bytes,
        encoders: Encoders | None = None,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._saved = SavedThreads(
            failures,
            is_shared=runs.shared_threads,
            max_event_bytes=max_event_bytes,
            encoders=encoders,
            owns=runs.owns,
        )
        runs.known_threads.look = self._look
        self._max = max_event_bytes

    def graphs(self, command: commands.List) -> Ok:
        """Return a page of rows, all that fit. Raises ``Refusal``: a foreign cursor, a graph too large."""
        rows = [row for row in self._catalog.rows() if command.graph in (None, row.name)]
        rows = [_fitting(row, self._max) for row in rows]
        found, cursor = page(rows, lambda row: ("", row.name), len(rows) or 1, command.cursor, self._max)
        return Ok(id=command.id, graphs=tuple(found), cursor=cursor)

    async def threads(self, command: commands.List, principal: str) -> Ok:
        """Return a page of rows, the latest change first. Raises ``Refusal``."""
        graphs = None if command.graph is None else (command.graph,)
        found = await self._matching(command, graphs, principal)
        rows: dict[tuple[str, ...], ThreadRow] = {}
        if command.status is not None:
            # Only the state tells whether a thread without a run waits for something.
            rows = {one.key: await self._row(one, principal) for one in found}
            found = [one for one in found if rows[one.key].status in command.status]
        listed, cursor = page(found, lambda one: one.key, command.limit, command.cursor)
        threads = fitting([rows.get(one.key) or await self._row(one, principal) for one in listed], self._max)
        if len(threads) < len(listed):
            cursor = cursor_of(listed[len(threads) - 1].key)
        return Ok(id=command.id, threads=tuple(threads), cursor=cursor)

    async def saved_only(self, command: commands.Watch, principal: str) -> list[RowAsListed]:
        """Return the threads that a watch asks for and that no run is known of, as their savers have them.

        Savers are not asked what those wait for that the watch leaves out of its list. Raises ``Refusal``.
        """
        found: list[RowAsListed] = []
        owner, most = self._runs.known_threads.owner(principal), self._runs.known_threads.most_listed
        matching = await self._matching(command, command.graphs, principal)
        matching.sort(key=lambda one: one.updated_at, reverse=True)
        for number, one in enumerate(matching):
            if one.known is None or not one.known.runs:
                is_left_out = command.status is None and number >= most + _GO_MEANWHILE
                row = _unasked(one) if is_left_out else await self._row(one, principal)
                if command.status is None or row.status in command.status:
                    found.append(RowAsListed(row, owner))
        return found

    async def _matching(
        self, command: commands.List | commands.Watch, graphs: tuple[str, ...] | None, principal: str
    ) -> list[_Listed]:
        """Return the principal's threads that match, whatever their status. Raises ``Refusal``."""
        found: dict[tuple[str, str], _Listed] = {}
        for number, known in enumerate(self._runs.known_threads.of(principal), 1):
            if graphs is None or known.graph in graphs:
                one = _Listed(known.graph, known.thread, known.updated_at, known)
                found[known.graph, known.thread] = one
            if not number % _AT_ONCE:
                await asyncio.sleep(0)
        for entry in self._catalog.all():
            if entry.takes_threads and (graphs is None or entry.name in graphs):
                for thread, saved in (await self._saved.of(entry, principal, command.thread)).items():
                    one = found.setdefault(
                        (entry.name, thread), _Listed(entry.name, thread, saved.updated_at)
                    )
                    _add_saved(one, saved)
        return await _wanted(found.values(), command, graphs)

    async def _row(self, one: _Listed, principal: str) -> ThreadRow:
        known = one.known
        if known is not None and known.runs:
            return known.row()
        entry = self._catalog.find(one.graph)
        details = None if entry is None else await self._saved.standing(entry, one.thread, principal)
        details = details or StatusDetails("completed")
        if known is not None:
            if not known.runs:
                known.rest(details)
            return known.row()
        row = _unasked(one)
        return row.model_copy(
            update={
                "status": details.status,
                "interrupts": details.interrupts,
                "questions": details.questions,
            }
        )

    async def _look(self, thread: KnownThread) -> StatusDetails | None:
        return await self._saved.standing(self._catalog.get(thread.graph), thread.thread, thread.user)


def _unasked(one: _Listed) -> ThreadRow:
    """Return the row of a thread of which nobody has asked the saver what it waits for."""
    if one.known is not None:
        return one.known.row()
    return ThreadRow(
        graph=one.graph,
        thread=one.thread,
        status="completed",
        updated_at=one.updated_at,
        created_at=None if one.saved is None else one.saved.created_at,
    )


def _add_saved(one: _Listed, saved: SavedThread) -> None:
    """Note what a saver knows of a thread."""
    one.saved = saved
    if one.known is None:
        return
    one.known.began_at(saved.created_at)
    if not one.known.runs:
        one.updated_at = max(one.updated_at, saved.updated_at)


async def _wanted(
    found: Iterable[_Listed], command: commands.List | commands.Watch, graphs: tuple[str, ...] | None
) -> list[_Listed]:
    whatever = command.model_copy(update={"status": None})
    wanted: list[_Listed] = []
    for number, one in enumerate(list(found), 1):
        if thread_matches(one, "completed", whatever, graphs):
            wanted.append(one)
        if not number % _AT_ONCE:
            await asyncio.sleep(0)
    return wanted


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
