"""A graph that is served: how it comes to be from its spec, and how it is opened for each use."""

import contextlib
import copy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from graphwire_protocol.replies import GraphRow
from graphwire_protocol.types import Mode
from graphwire_runtime.servable import Servable
from langchain_core.runnables import RunnableConfig

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.factory import AccessContext, Factory, FactoryRuntime, User, factory_of
from graphwire_gateway.graphs.load import found_at, is_graph, is_uncompiled, told
from graphwire_gateway.graphs.runner import Runner
from graphwire_gateway.graphs.spec import GraphSpec
from graphwire_gateway.scope import PRINCIPAL


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


async def entry_of(
    stack: AsyncExitStack, name: str, spec: GraphSpec, runner: Runner, saver: Any, store: Any
) -> Entry:
    """Make the graph that ``spec`` names; ``stack`` closes what it opens. Raises ``CannotServe``."""
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
