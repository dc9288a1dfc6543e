"""What the saver of a graph knows of threads: which there are, and what each waits for.

A graph and its saver are asked on the graph's loop. The work is bounded: of a principal's checkpoints the
first ``SCANNED`` are read, and the loop gets a turn in between. Of a thread that is named two are read.
"""

import asyncio
import datetime
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import orjson
from graphwire_protocol.limits import DEFAULTS
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.projection import Encoders, Projector

from graphwire_gateway.execution.schemas import response_schema_of
from graphwire_gateway.failures import Failures
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.memory_saver import BoundedMemorySaver
from graphwire_gateway.runs.asking import ask_within
from graphwire_gateway.runs.details import StatusDetails, details_of
from graphwire_gateway.scope import PRINCIPAL, Scope, thread_config, thread_scope

SCANNED = 10_000
"""How many checkpoints of a principal are read in a graph's saver. Most give the newest first. Of the
server's own in memory it is how many threads are, the one that was used last first."""

_AT_ONCE = 16  # checkpoints of a principal that are read before other work on the graph's loop gets a turn

_WHERE = "list.threads"


@dataclass(frozen=True, slots=True)
class SavedThread:
    """A thread as its checkpoints show it: when the latest was written, and the first if that is known."""

    updated_at: str
    created_at: str | None


class SavedThreads:
    """Asks the savers of graphs. ``is_shared`` says whether all principals share their threads.

    Of threads that it does not own, by the saver's id, nothing is said: another server lists them.
    """

    def __init__(
        self,
        failures: Failures,
        *,
        is_shared: bool,
        max_event_bytes: int = DEFAULTS.max_event_bytes,
        encoders: Encoders | None = None,
        owns: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._failures = failures
        self._is_shared = is_shared
        self._owns = owns
        self._projector = Projector(failures.in_data, encoders, max_event_bytes)

    async def of(self, entry: Entry, principal: str, thread: str | None = None) -> dict[str, SavedThread]:
        """Return the threads of ``principal`` in the graph's saver, by name: all, or only ``thread``.

        Raises ``Refusal``.
        """
        if thread is not None:
            return await self._one(entry, principal, thread)
        config: Any = {"configurable": {PRINCIPAL: principal}}
        prefix = thread_scope(principal, entry.name, "", is_shared=self._is_shared).saved

        async def scan(at_once: float = _AT_ONCE) -> dict[str, SavedThread]:
            latest: dict[str, str] = {}
            first: dict[str, str] = {}
            number = 0
            async with entry.open(config, with_threads=True) as graph:
                async for id, *times in _times(
                    graph.checkpointer, None if self._is_shared else principal, self._owns
                ):
                    number += 1
                    if not number % at_once:
                        await asyncio.sleep(0)
                    thread = id.removeprefix(prefix)
                    if thread != id and "/" not in thread and self._owns(id):
                        for at in map(_in_utc, times):
                            latest[thread] = max(latest.get(thread, at), at)
                            first[thread] = min(first.get(thread, at), at)
            is_whole = number < SCANNED
            return {
                thread: SavedThread(at, first[thread] if is_whole else None) for thread, at in latest.items()
            }

        async def scan_undisturbed() -> dict[str, SavedThread]:
            try:
                return await scan()
            except RuntimeError:  # a saver in memory was written meanwhile
                return await scan(math.inf)

        return await ask_within(entry, self._failures, _WHERE, scan_undisturbed, principal)

    async def _one(self, entry: Entry, principal: str, thread: str) -> dict[str, SavedThread]:
        scope = thread_scope(principal, entry.name, thread, is_shared=self._is_shared)
        if not self._owns(scope.saved):
            return {}
        config = thread_config(scope, principal)

        async def look() -> dict[str, SavedThread]:
            async with entry.open(config, with_threads=True) as graph:
                first, latest = await _span(graph.checkpointer, config)
            return {} if latest is None else {thread: SavedThread(latest, first)}

        return await ask_within(entry, self._failures, _WHERE, look, principal)

    async def standing(self, entry: Entry, thread: str, principal: str) -> StatusDetails | None:
        """Return what the thread's latest checkpoint says: ``interrupted`` and what is asked, if something is
        left to do there, else ``completed``. None without a checkpoint. Raises ``Refusal``.
        """
        scope = thread_scope(principal, entry.name, thread, is_shared=self._is_shared)
        config = thread_config(scope, principal)

        async def look() -> StatusDetails | None:
            async with entry.open(config, with_threads=True) as graph:
                stateful: Any = graph  # a graph with threads has states
                state = await stateful.aget_state(config)
                if state.metadata is None:
                    return None
                asked = [self._question(item, scope) for item in state.interrupts] if state.next else []
                details = details_of("interrupted" if state.next else "completed", asked=asked)
                return replace(details, at=_in_utc(state.created_at) if state.created_at else "")

        return await ask_within(entry, self._failures, _WHERE, look, principal)

    def _question(self, asked: Any, scope: Scope) -> PendingInterrupt:
        value = orjson.loads(scope.clear(self._projector.dumps(asked.value)))
        return PendingInterrupt(id=asked.id, value=value, response_schema=response_schema_of(asked))


async def _span(saver: Any, config: Any) -> tuple[str | None, str | None]:
    """Return when a thread's first and latest checkpoint were written; None is not known, or not there."""
    if isinstance(saver, BoundedMemorySaver):
        span = saver.span(config["configurable"]["thread_id"])
        return (None, None) if span is None else (_in_utc(span[0]), _in_utc(span[1]))
    # A checkpoint of a long conversation is large, so that no others are read than these: the newest and the
    # first, which is of step -1, or of step 0 if an edit of the state wrote it.
    found: list[str] = []
    for filter in (None, {"step": -1}, {"step": 0}):
        if len(found) < 2:
            checkpoints = saver.alist(config, filter=filter, limit=1)
            found.extend([_in_utc(saved.checkpoint["ts"]) async for saved in checkpoints])
    return (found[1] if len(found) > 1 else None), (found[0] if found else None)


async def _times(
    saver: Any, principal: str | None, owns: Callable[[str], bool]
) -> AsyncIterator[tuple[str, ...]]:
    """Yield ids of threads, each with some of the times at which it was written: a principal's, or all.

    Our saver in Redis reads nothing of threads that are not owned; others do, and yield them.
    """
    if isinstance(saver, BoundedMemorySaver):
        for span in islice(saver.spans(principal), SCANNED):
            yield span
        return
    # Savers keep the configuration's keys in a checkpoint's metadata, by which they leave out what is of
    # others. A database does that by itself.
    whose = None if principal is None else {PRINCIPAL: principal}
    alist_of = getattr(saver, "alist_of", None)
    if alist_of is None:
        found = saver.alist(None, filter=whose, limit=SCANNED)
    else:
        found = alist_of(owns, filter=whose, limit=SCANNED)
    async for saved in found:
        place = saved.config["configurable"]
        # One of a subgraph counts as one that was read, and says nothing of its thread.
        yield ("",) if place["checkpoint_ns"] else (str(place["thread_id"]), saved.checkpoint["ts"])


def _in_utc(timestamp: str) -> str:
    """Return a checkpoint's time in the server's own form."""
    at = datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00"))
    return at.astimezone(datetime.timezone.utc).isoformat(timespec="milliseconds")[:-6] + "Z"
