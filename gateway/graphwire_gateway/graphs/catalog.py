"""The graphs that are served, by name: how each comes to live on its runner, and how it is described."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from graphwire_protocol.errors import Refusal
from graphwire_protocol.replies import Edge, GraphRow
from graphwire_protocol.types import STREAM_MODES, Mode
from graphwire_runtime.plan.schema import json_schema_of
from graphwire_runtime.servable import Servable
from langchain_core.runnables import RunnableConfig

from graphwire_gateway.graphs.factory import AccessContext, Factory, FactoryRuntime, User, factory_of
from graphwire_gateway.graphs.lifespan import Lifespan
from graphwire_gateway.graphs.load import CannotServe as CannotServe
from graphwire_gateway.graphs.load import found_at, is_graph, is_uncompiled, told
from graphwire_gateway.graphs.runner import InlineRunner, Runner, ThreadRunner
from graphwire_gateway.graphs.savers import Keeping
from graphwire_gateway.graphs.watchdog import Watchdog
from graphwire_gateway.scope import PRINCIPAL

RunsOn: TypeAlias = Literal["thread", "own", "inline"]


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How a graph is served.

    ``target`` is ``module:attribute``, ``path/to/file.py:attribute`` or what these name: the graph itself, or
    a function or context manager that makes it. ``record`` names modes that are recorded whatever a run's
    first subscriptions ask for.

    ``runner`` is the loop that it lives on: ``thread`` one that it shares with other graphs, apart from the
    connections'; ``own`` one in a thread of its own, for code that blocks its loop; ``inline`` the
    connections'. Models' clients are often shared by a whole process and bound to the loop that was first, so
    graphs that share a client share a loop.
    """

    target: Any
    runner: RunsOn = "thread"
    record: tuple[Mode, ...] = ()
    record_subgraphs: bool = False
    description: str | None = None


@dataclass(slots=True)
class Entry:
    """A graph that is served."""

    name: str
    graph: Servable
    """The graph; of one that is made for each use, the one that was made to be described."""
    runner: Runner
    record: frozenset[Mode] = frozenset()
    record_subgraphs: bool = False
    description: str | None = None
    saver: Any = None
    """What keeps threads where the graph has no checkpointer of its own."""
    graph_store: Any = None
    """The store of a graph that has none of its own."""
    source: str = ""
    """Where the graph comes from, as people read it."""
    factory: Factory[Servable] | None = None
    """What makes the graph for each use."""
    row: GraphRow | None = field(default=None, repr=False)
    _ready: dict[bool, Servable] = field(default_factory=dict, repr=False)

    @property
    def keeps_threads(self) -> bool:
        """Whether the graph has a checkpointer of its own."""
        return _keeps_threads(self.graph)

    @property
    def takes_threads(self) -> bool:
        """Whether the graph can have threads: its own checkpointer's, or the server's."""
        return self.keeps_threads or (self.graph.checkpointer is not False and self.saver is not None)

    @contextlib.asynccontextmanager
    async def open(
        self,
        config: RunnableConfig,
        *,
        with_threads: bool,
        access_context: AccessContext = "threads.create_run",
        context: Any = None,
    ) -> AsyncIterator[Servable]:
        """Yield the graph to run with ``config``, on the runner's loop; ``with_threads`` gives it a saver."""
        if self.factory is None:
            if with_threads not in self._ready:
                self._ready[with_threads] = self._equipped(self.graph, with_threads)
            yield self._ready[with_threads]
            return
        principal = config.get("configurable", {}).get(PRINCIPAL)
        user = None if principal is None else User(principal)
        runtime = FactoryRuntime(access_context, self.graph_store, user, context)
        async with self.factory.open(config, runtime) as made:
            yield self._equipped(_compiled(self.factory.what, self.source, made), with_threads)

    def _equipped(self, graph: Servable, with_threads: bool) -> Servable:
        """Return the graph with the server's saver and store in the place of those that it has not."""
        saver = graph.checkpointer
        if saver is None or saver is True:  # True, the parent's saver, is for subgraphs
            saver = self.saver if with_threads else None
        store = getattr(graph, "store", None) or self.graph_store
        if saver is graph.checkpointer and store is getattr(graph, "store", None):
            return graph
        clone = copy.copy(graph)
        clone.checkpointer = saver  # type: ignore[misc]
        clone.store = store  # type: ignore[attr-defined]
        return clone


def _keeps_threads(graph: Servable) -> bool:
    return not isinstance(graph.checkpointer, bool | None)


class Catalog:
    """The graphs by name. ``open`` brings them to life, ``close`` ends their runners."""

    def __init__(self, specs: Mapping[str, GraphSpec], keeping: Keeping | None = None) -> None:
        self._specs = specs
        self.keeping = keeping or Keeping()
        self._entries: dict[str, Entry] = {}
        self._runners: list[Runner] = []
        self._watchdog = Watchdog()
        self._lifespans: list[Lifespan] = []

    async def open(self) -> None:
        """Bring every graph to life on its runner. Raises ``CannotServe`` for the first that fails."""
        found: dict[str, Entry] = {}
        for place in ("thread", "inline"):
            together = {name: spec for name, spec in self._specs.items() if spec.runner == place}
            if together:
                runner = InlineRunner() if place == "inline" else ThreadRunner("graphs")
                found.update(await self._settle(runner, together))
        for name, spec in self._specs.items():
            if spec.runner == "own":
                found.update(await self._settle(ThreadRunner(name), {name: spec}))
        self._entries = {name: found[name] for name in self._specs}

    async def _settle(self, runner: Runner, specs: Mapping[str, GraphSpec]) -> dict[str, Entry]:
        self._runners.append(runner)
        lifespan = Lifespan(runner)
        self._lifespans.append(lifespan)

        async def enter(stack: AsyncExitStack) -> dict[str, Entry]:
            saver = await self.keeping.saver(stack)
            store = await self.keeping.graph_store(stack)
            return {
                name: await _entry(stack, name, spec, runner, saver, store) for name, spec in specs.items()
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
                entry.row = await entry.runner.call(lambda entry=entry: _row(entry))  # type: ignore[misc]
        return [entry.row for entry in self._entries.values() if entry.row is not None]

    async def close(self, timeout_s: float) -> None:
        """Close what lives with the graphs and end the runners; each is waited for at most ``timeout_s``
        seconds, then cancelled.
        """
        await asyncio.gather(*(lifespan.close(timeout_s) for lifespan in self._lifespans))
        self._watchdog.close()
        await asyncio.gather(*(runner.close(timeout_s) for runner in self._runners))


async def _entry(
    stack: AsyncExitStack, name: str, spec: GraphSpec, runner: Runner, saver: Any, store: Any
) -> Entry:
    what = f"graph {name!r}"
    found, source = found_at(what, spec.target)
    factory = None if is_graph(found) else factory_of(what, source, found, is_graph)
    if factory is not None:
        found = await _made(stack, factory, store)
    return Entry(
        name=name,
        graph=_compiled(what, source if factory is None else f"what {source} makes", found),
        runner=runner,
        record=frozenset(spec.record),
        record_subgraphs=spec.record_subgraphs,
        description=spec.description,
        saver=saver,
        graph_store=store,
        source=source,
        factory=factory if factory is not None and factory.is_per_use else None,
    )


async def _made(stack: AsyncExitStack, factory: Factory[Servable], store: Any) -> Any:
    try:
        if not factory.is_per_use:
            return await stack.enter_async_context(factory.open())
        async with factory.open({"configurable": {}}, FactoryRuntime("assistants.read", store)) as made:
            return made
    except CannotServe:
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        raise factory.failed(error) from error


def _compiled(what: str, source: str, found: Any) -> Servable:
    if isinstance(found, type) or not is_graph(found):
        kind = f"the class {found.__name__}" if isinstance(found, type) else f"of type {type(found).__name__}"
        raise CannotServe(
            f"{what}: {source} is {kind}, not a graph (what StateGraph(...).compile() returns) "
            "and no function that makes one"
        )
    if not is_uncompiled(found):
        graph: Servable = found
        return graph
    try:
        compiled: Servable = found.compile()
    except Exception as error:
        raise CannotServe(f"{what}: {source} does not compile: {told(error)}") from error
    return compiled


def _row(entry: Entry) -> GraphRow:
    graph = entry.graph
    drawing = graph.get_graph()
    modes = [mode for mode in STREAM_MODES if mode != "checkpoints" or entry.takes_threads]
    return GraphRow(
        name=entry.name,
        description=entry.description or _description(graph),
        input_schema=_schema(graph, graph.get_input_jsonschema, "input_schema"),
        output_schema=_schema(graph, graph.get_output_jsonschema, "output_schema"),
        context_schema=_schema(graph, graph.get_context_jsonschema, "context_schema"),
        nodes=tuple(name for name in graph.nodes if not name.startswith("__")),
        edges=tuple(
            Edge(source=edge.source, target=edge.target, conditional=True if edge.conditional else None)
            for edge in drawing.edges
        ),
        modes=tuple(modes),
    )


def _schema(graph: Any, describe: Any, declared: str) -> dict[str, Any] | None:
    # A state may hold types that have no JSON schema; the graph can be served all the same. LangGraph gives
    # none for a typing.TypedDict before Python 3.12, so the class that was declared is asked itself.
    try:
        schema = describe()
    except Exception:
        cls = getattr(getattr(graph, "builder", None), declared, None)
        if cls is None:
            return None
        try:
            schema = json_schema_of(cls)
        except Exception:
            return None
    return schema if isinstance(schema, dict) else None


def _description(graph: Any) -> str | None:
    text = getattr(graph, "description", None)
    return text if isinstance(text, str) and text else None
