"""The graphs that are served, by name, and the runners and resources that live with them."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack

from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import GraphRow
from graphwire_protocol.suggest import no_graph

from graphwire_gateway.graphs.description import row_of
from graphwire_gateway.graphs.entry import Entry, entry_of
from graphwire_gateway.graphs.lifespan import Lifespan
from graphwire_gateway.graphs.runner import InlineRunner, Runner, ThreadRunner
from graphwire_gateway.graphs.savers import Savers
from graphwire_gateway.graphs.spec import GraphSpec
from graphwire_gateway.graphs.watchdog import Watchdog


class Catalog:
    """The graphs by name. ``open`` makes them on their runners; ``close`` closes both.

    ``specs`` says how each graph is served. ``savers`` has the saver and the store of graphs that bring none;
    None keeps both in memory.
    """

    def __init__(self, specs: Mapping[str, GraphSpec], savers: Savers | None = None) -> None:
        self._specs = specs
        self.savers = savers or Savers()
        self._entries: dict[str, Entry] = {}
        self._rows: dict[str, GraphRow] = {}
        self._runners: list[Runner] = []
        self._watchdog = Watchdog()
        self._lifespans: list[Lifespan] = []

    async def open(self) -> None:
        """Make every graph on its runner. Call it on the main loop.

        Raises ``CannotServe`` for the first graph that fails; call ``close`` after that, too.
        """
        entries: dict[str, Entry] = {}
        for kind in ("thread", "inline"):
            sharing = {name: spec for name, spec in self._specs.items() if spec.runner == kind}
            if sharing:
                runner = InlineRunner() if kind == "inline" else ThreadRunner("graphs")
                entries.update(await self._open(runner, sharing))
        for name, spec in self._specs.items():
            if spec.runner == "own":
                entries.update(await self._open(ThreadRunner(name), {name: spec}))
        self._entries = {name: entries[name] for name in self._specs}

    async def _open(self, runner: Runner, specs: Mapping[str, GraphSpec]) -> dict[str, Entry]:
        self._runners.append(runner)
        lifespan = Lifespan(runner)
        self._lifespans.append(lifespan)

        async def enter(stack: AsyncExitStack) -> dict[str, Entry]:
            saver = await self.savers.saver(stack)
            store = await self.savers.graph_store(stack)
            entries = {
                name: await entry_of(stack, name, spec, runner, saver, store) for name, spec in specs.items()
            }
            # Now, while no run can keep the loop busy: nobody who lists the graphs waits for one of them.
            self._rows.update({name: row_of(entry) for name, entry in entries.items()})
            return entries

        entries = await lifespan.open(enter)
        if isinstance(runner, ThreadRunner):  # only now: an import may block the loop for long
            self._watchdog.watch(runner.loop, runner.thread)
        return entries

    def get(self, name: str) -> Entry:
        """Return the graph of that name. Raises ``Refusal`` with code ``not_found``."""
        entry = self._entries.get(name)
        if entry is None:
            raise Refusal("not_found", no_graph(name, self._entries), details={"kind": "graph"})
        return entry

    def find(self, name: str) -> Entry | None:
        """Return the graph of that name; None if it is not served, as that of a run that is kept may be."""
        return self._entries.get(name)

    def all(self) -> list[Entry]:
        """Return every graph, in the order of the specs."""
        return list(self._entries.values())

    def rows(self) -> list[GraphRow]:
        """Return the descriptions of all graphs, in the order of the specs. They are made at the start."""
        return [self._rows[name] for name in self._entries]

    async def close(self, timeout_s: float) -> None:
        """Close what the factories opened, then the runners.

        Each step waits at most ``timeout_s`` seconds; what still runs then is cancelled.
        """
        await asyncio.gather(*(lifespan.close(timeout_s) for lifespan in self._lifespans))
        self._watchdog.close()
        await asyncio.gather(*(runner.close(timeout_s) for runner in self._runners))
