"""A graph that is served: how it is made from its spec at the start, and opened for each use."""

import contextlib
import copy
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from graphwire_protocol.types import Mode
from graphwire_runtime.servable import Servable
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.factory import AccessContext, Factory, FactoryRuntime, User, factory_of
from graphwire_gateway.graphs.job import is_cancelled
from graphwire_gateway.graphs.load import describe, is_graph, is_uncompiled, resolve
from graphwire_gateway.graphs.private import PrivateSaver
from graphwire_gateway.graphs.runner import Runner
from graphwire_gateway.graphs.shape import Shape, shape_of
from graphwire_gateway.graphs.spec import GraphSpec
from graphwire_gateway.scope import PRINCIPAL


@dataclass(slots=True)
class Entry:
    """A graph that is served."""

    name: str
    graph: Servable
    """The graph; if a factory makes one for each use, the one that was made to describe it."""
    runner: Runner
    record: frozenset[Mode] = frozenset()
    record_subgraphs: bool = False
    description: str | None = None
    saver: Any = None
    """The server's saver, for a graph without a checkpointer; None if there are no threads without one."""
    graph_store: Any = None
    """The server's graph store, for a graph without a store of its own."""
    source: str = ""
    """Where the graph comes from, for people: its target, or ``the object given``."""
    factory: Factory[Servable] | None = None
    """Makes the graph for each use; None if one graph serves all uses."""
    shape: Shape = field(default_factory=Shape)
    """The names in the graph, with which requests are compared."""
    _equipped: dict[tuple[bool, bool], Servable] = field(default_factory=dict, repr=False)
    """The graph as it is used, with and without threads, and with private ones."""
    _private: PrivateSaver | None = field(default=None, repr=False)
    _kept_private: set[str] = field(default_factory=set, repr=False)

    @property
    def keeps_threads(self) -> bool:
        """Whether the graph has a checkpointer of its own."""
        return not isinstance(self.graph.checkpointer, bool | None)

    @property
    def takes_threads(self) -> bool:
        """Whether the graph can have threads, kept by its own checkpointer or by the server's saver."""
        return self.keeps_threads or (self.graph.checkpointer is not False and self.saver is not None)

    @property
    def keeps_threads_in_memory(self) -> bool:
        """Whether its threads go with the process."""
        saver = self.graph.checkpointer if self.keeps_threads else self.saver
        return isinstance(saver, InMemorySaver)

    def has_private(self, saved: str) -> None:
        """Note that the server's saver has a private thread from an earlier process. Call it before a use."""
        self._kept_private.add(saved)

    @contextlib.asynccontextmanager
    async def open(
        self,
        config: RunnableConfig,
        *,
        with_threads: bool,
        is_held: bool = False,
        access_context: AccessContext = "threads.create_run",
        context: Any = None,
    ) -> AsyncIterator[Servable]:
        """Yield the graph for one use with ``config``. Enter it on the runner's loop.

        ``with_threads`` gives the server's saver to a graph without a checkpointer; with ``is_held`` it is a
        ``PrivateSaver``. A factory is called with ``config``, and with a runtime that holds
        ``access_context``, ``context`` and the principal found in ``config``. Raises ``CannotServe`` if the
        factory makes no graph, and whatever the factory raises.
        """
        saver = None
        if with_threads and is_held and self.saver is not None:
            saver = self._private = self._private or PrivateSaver(self.saver, self._kept_private)
        elif with_threads:
            saver = self.saver
        if self.factory is None:
            key = with_threads, is_held
            if key not in self._equipped:
                self._equipped[key] = self._equip(self.graph, saver)
            yield self._equipped[key]
            return
        principal = config.get("configurable", {}).get(PRINCIPAL)
        user = None if principal is None else User(principal)
        runtime = FactoryRuntime(access_context, self.graph_store, user, context)
        async with self.factory.open(config, runtime) as made:
            yield self._equip(_compiled(self.factory.label, self.source, made), saver)

    def _equip(self, graph: Servable, server_saver: Any) -> Servable:
        """Return the graph, or a copy with the server's saver and store in place of those it lacks."""
        saver = graph.checkpointer
        if saver is None or saver is True:  # True means the parent graph's, and this graph has no parent
            saver = server_saver
        store = getattr(graph, "store", None) or self.graph_store
        if saver is graph.checkpointer and store is getattr(graph, "store", None):
            return graph
        clone = copy.copy(graph)
        clone.checkpointer = saver  # type: ignore[misc]
        clone.store = store  # type: ignore[attr-defined]
        return clone


async def entry_of(
    stack: AsyncExitStack, name: str, spec: GraphSpec, runner: Runner, saver: Any, store: Any
) -> Entry:
    """Make the graph that ``spec`` describes. Runs on the runner's loop.

    ``stack`` closes what a factory opens. ``saver`` and ``store`` are the server's, for this loop. Raises
    ``CannotServe``.
    """
    label = f"graph {name!r}"
    found, source = resolve(label, spec.target)
    factory = None if is_graph(found) else factory_of(label, source, found, is_graph)
    if factory is not None:
        found = await _made(stack, factory, store)
    graph = _compiled(label, source if factory is None else f"what {source} makes", found)
    return Entry(
        name=name,
        graph=graph,
        runner=runner,
        record=frozenset(spec.record),
        record_subgraphs=spec.record_subgraphs,
        description=spec.description,
        saver=saver,
        graph_store=store,
        source=source,
        factory=factory if factory is not None and factory.is_per_use else None,
        shape=shape_of(graph, is_fixed=factory is None or not factory.is_per_use),
    )


async def _made(stack: AsyncExitStack, factory: Factory[Servable], store: Any) -> Any:
    """Return the graph for the server's life, or one to describe what the factory makes for each use."""
    try:
        if not factory.is_per_use:
            return await stack.enter_async_context(factory.open())
        async with factory.open({"configurable": {}}, FactoryRuntime("assistants.read", store)) as made:
            return made
    except CannotServe:
        raise
    except BaseException as error:
        if is_cancelled(error):
            raise
        raise factory.start_error(error) from error


def _compiled(label: str, source: str, found: Any) -> Servable:
    if isinstance(found, type) or not is_graph(found):
        kind = f"the class {found.__name__}" if isinstance(found, type) else f"of type {type(found).__name__}"
        raise CannotServe(
            f"{label}: {source} is {kind}, not a graph (what StateGraph(...).compile() returns) "
            "and not a function that makes one"
        )
    if not is_uncompiled(found):
        graph: Servable = found
        return graph
    try:
        compiled: Servable = found.compile()
    except BaseException as error:
        raise CannotServe(f"{label}: {source} does not compile: {describe(error)}") from error
    return compiled
