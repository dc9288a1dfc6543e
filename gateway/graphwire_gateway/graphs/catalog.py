"""The graphs that are served, by name."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import GraphRow

from graphwire_gateway.graphs.description import row_of
from graphwire_gateway.graphs.entry import Entry, entry_of
from graphwire_gateway.graphs.lifespan import Lifespan
from graphwire_gateway.graphs.runner import InlineRunner, Outlet, Runner, ThreadRunner
from graphwire_gateway.graphs.savers import Keeping
from graphwire_gateway.graphs.spec import GraphSpec
from graphwire_gateway.graphs.watchdog import Watchdog


class Catalog:
    """The graphs by name. ``open`` brings them to life, ``close`` ends their runners."""

    def __init__(self, specs: Mapping[str, GraphSpec], keeping: Keeping | None = None) -> None:
        self._specs = specs
        self.keeping = keeping or Keeping()
        self._entries: dict[str, Entry] = {}
        self._runners: list[Runner] = []
        self._watchdog = Watchdog()
        self._lifespans: list[Lifespan] = []

    async def open(self, outlet: Outlet) -> None:
        """Bring every graph to life on its runner. Raises ``CannotServe`` for the first that fails."""
        found: dict[str, Entry] = {}
        for place in ("thread", "inline"):
            together = {name: spec for name, spec in self._specs.items() if spec.runner == place}
            if together:
                runner = InlineRunner(outlet) if place == "inline" else ThreadRunner("graphs", outlet)
                found.update(await self._settle(runner, together))
        for name, spec in self._specs.items():
            if spec.runner == "own":
                found.update(await self._settle(ThreadRunner(name, outlet), {name: spec}))
        self._entries = {name: found[name] for name in self._specs}

    async def _settle(self, runner: Runner, specs: Mapping[str, GraphSpec]) -> dict[str, Entry]:
        self._runners.append(runner)
        lifespan = Lifespan(runner)
        self._lifespans.append(lifespan)

        async def enter(stack: AsyncExitStack) -> dict[str, Entry]:
            saver = await self.keeping.saver(stack)
            store = await self.keeping.graph_store(stack)
            return {
                name: await entry_of(stack, name, spec, runner, saver, store) for name, spec in specs.items()
            }

        entries = await lifespan.open(enter)
        if isinstance(runner, ThreadRunner):  # from here on: imports may take their time
            self._watchdog.watch(runner.loop, runner.thread)
        return entries

    def get(self, name: str) -> Entry:
        """Return the graph of that name. Raises ``Refusal(not_found)``."""
        entry = self._entries.get(name)
        if entry is None:
            served = ", ".join(sorted(self._entries)) or "none"
            raise Refusal(
                "not_found",
                f"no graph {name[:64]!r}; this server has: {served}",
                details={"kind": "graph"},
            )
        return entry

    def all(self) -> list[Entry]:
        """Return every graph, in the order in which they were named."""
        return list(self._entries.values())

    async def rows(self) -> list[GraphRow]:
        """Describe every graph."""
        for entry in self._entries.values():
            if entry.row is None:
                entry.row = await entry.runner.call(lambda entry=entry: row_of(entry))  # type: ignore[misc]
        return [entry.row for entry in self._entries.values() if entry.row is not None]

    async def close(self, timeout_s: float) -> None:
        """Close what lives with the graphs and end the runners; each is waited for at most ``timeout_s``
        seconds, then cancelled.
        """
        await asyncio.gather(*(lifespan.close(timeout_s) for lifespan in self._lifespans))
        self._watchdog.close()
        await asyncio.gather(*(runner.close(timeout_s) for runner in self._runners))
