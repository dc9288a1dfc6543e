"""`CompiledStateGraph`: a graph that can be run, streamed and described. The public face of this package.

It is a LangChain Runnable, so it pipes, batches and nests like one. The methods only turn a call into a
`Request`; running is in `drive` and `loop`.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Generic, Literal

import typing_extensions
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.runnables.graph import Graph

from graphwire_runtime.config import merge
from graphwire_runtime.drawing import Sketch
from graphwire_runtime.drive import aiterate, iterate
from graphwire_runtime.plan import NodePlan, Plan
from graphwire_runtime.request import Request
from graphwire_runtime.runtime import TASK
from graphwire_runtime.schema import json_schema_of
from graphwire_runtime.servable import Durability, StreamMode
from graphwire_runtime.snapshot import StateSnapshot
from graphwire_runtime.state import (
    Place,
    StateUpdate,
    ahistory,
    aperform,
    get_state,
    history,
    perform,
    update_state,
)
from graphwire_runtime.types import START, Command, Context, GraphOutput, Input, Result, State

__all__ = ["CompiledStateGraph"]

Modes = StreamMode | Sequence[StreamMode]
Keys = str | Sequence[str]
Names = Literal["*"] | Sequence[str]
Version = Literal["v1", "v2"]


class CompiledStateGraph(Runnable[Any, Any], Generic[State, Context, Input, Result]):
    """A runnable graph; any number of runs may share it. Made by `StateGraph.compile`.

    Streams yield, for one mode given as a string, the bare chunk; for a **list** of modes `(mode, chunk)`;
    with `subgraphs=True` the namespace comes first: `(namespace, chunk)` or `(namespace, mode, chunk)`. With
    `version="v2"` every item is a mapping of `type`, `ns` and `data` (and, in values mode, `interrupts`).

    | mode | chunk |
    |---|---|
    | values | the state, after the input and after every superstep that wrote to it |
    | updates | `{node: what it wrote}`, one per node that ended |
    | custom | what nodes put into their stream writer |
    | messages | `(message or chunk, metadata)` for every token, and for whole messages that nodes return |
    | tasks | a task's start (`id name input triggers`) and its end (`id name error result interrupts`) |
    | checkpoints | the thread's checkpoints as they are made, as `get_state` describes them |
    | debug | tasks and checkpoints, each with `step`, `timestamp` and `type` around it |

    Errors of nodes leave as they are, after everything that was streamed before them.
    """

    name: str
    checkpointer: Any
    cache: Any
    store: Any
    stream_mode: StreamMode = "updates"
    step_timeout: float | None = None
    """Seconds that the nodes of one superstep may take together; TimeoutError is raised then."""

    def __init__(
        self,
        plan: Plan,
        sketch: Sketch,
        *,
        checkpointer: Any = None,
        cache: Any = None,
        store: Any = None,
        interrupt_before: Names = (),
        interrupt_after: Names = (),
        debug: bool = False,
    ) -> None:
        self.plan = plan
        self.checkpointer = checkpointer
        self.cache = cache
        self.store = store
        self.interrupt_before = interrupt_before
        self.interrupt_after = interrupt_after
        self.debug = debug
        self.name = plan.name
        self.config: RunnableConfig | None = None
        self._sketch = sketch

    @property
    def nodes(self) -> Mapping[str, NodePlan]:
        """The nodes by name, START's among them."""
        return {START: self.plan.start, **self.plan.nodes}

    @property
    def output_channels(self) -> list[str]:
        """The keys that `invoke` returns."""
        return list(self.plan.output_keys)

    @property
    def stream_channels(self) -> list[str]:
        """The keys that streams show: all of them."""
        return list(self.plan.keys)

    def stream(  # type: ignore[override]  # a Runnable allows no keyword-only parameters by name
        self,
        input: Input | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: Context | Mapping[str, Any] | None = None,
        stream_mode: Modes | None = None,
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Names | None = None,
        interrupt_after: Names | None = None,
        durability: Durability | None = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        version: Version = "v1",
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Run the graph in this thread and yield what the modes ask for; see the class for the items' shape.

        Args:
            input: a mapping of state keys, an instance of the input schema, or a Command. With a checkpointer
                also None, to go on where the thread stopped.
            config: LangChain's: `recursion_limit` (supersteps), `max_concurrency` (nodes at once), `tags`,
                `metadata`, `callbacks`, `configurable`, …
            context: for nodes that take a `runtime`; a mapping becomes an instance of the context schema.
            stream_mode: one mode or a list; `updates` by default.
            print_mode: modes whose chunks are printed as well, whatever the stream yields; not tokens.
            output_keys: the keys that values and updates show; a single name shows the bare value.
            interrupt_before: the nodes to stop before, or "*"; None as input goes on. By default what
                the graph was compiled with.
            interrupt_after: the nodes to stop after, likewise.
            durability: when the thread is written: "sync", before the next superstep begins; "async", beside
                it (the default); "exit", once the run ends.
            subgraphs: whether graphs that run inside nodes are shown, too.
            debug: print updates and values, whatever the graph was compiled with.
            version: "v2" for items that are mappings.

        Raises EmptyInputError, InvalidUpdateError, GraphRecursionError, ValueError for a wrong argument, and
        whatever a node raises.
        """
        self._check(kwargs, durability)
        return iterate(
            self._request(
                input,
                config,
                context=context,
                modes=stream_mode,
                printed=print_mode,
                output_keys=output_keys,
                subgraphs=subgraphs,
                debug=debug,
                parts=version == "v2",
                before=interrupt_before,
                after=interrupt_after,
                durability=durability,
            )
        )

    def astream(  # type: ignore[override]
        self,
        input: Input | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: Context | Mapping[str, Any] | None = None,
        stream_mode: Modes | None = None,
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Names | None = None,
        interrupt_after: Names | None = None,
        durability: Durability | None = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        version: Version = "v1",
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        """Run the graph on the event loop and yield what the modes ask for; otherwise like `stream`.

        Async nodes run as asyncio tasks, the others in the loop's default executor. `aclose()` on the
        iterator, or cancelling its consumer, cancels the async nodes at work; what runs in a thread runs on
        unobserved.
        """
        self._check(kwargs, durability)
        return aiterate(
            self._request(
                input,
                config,
                context=context,
                modes=stream_mode,
                printed=print_mode,
                output_keys=output_keys,
                subgraphs=subgraphs,
                debug=debug,
                parts=version == "v2",
                before=interrupt_before,
                after=interrupt_after,
                durability=durability,
            )
        )

    def invoke(
        self,
        input: Input | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: Context | Mapping[str, Any] | None = None,
        stream_mode: Modes = "values",
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Names | None = None,
        interrupt_after: Names | None = None,
        durability: Durability | None = None,
        version: Version = "v1",
        **kwargs: Any,
    ) -> Any:
        """Run the graph and return its output: the keys of the output schema, or None where none was written.

        With another `stream_mode` it returns the list of that stream's chunks; with `version="v2"` a
        GraphOutput.
        Raises like `stream`.
        """
        self._check(kwargs, durability)
        request = self._request(
            input,
            config,
            context=context,
            modes=stream_mode,
            printed=print_mode,
            output_keys=self.plan.output_keys
            if stream_mode != "values" and output_keys is None
            else output_keys,
            parts=version == "v2",
            streamed=stream_mode != "values",
            before=interrupt_before,
            after=interrupt_after,
            durability=durability,
        )
        chunks = list(iterate(request))
        return _returned(request, chunks, version)

    async def ainvoke(
        self,
        input: Input | Command[Any] | None,
        config: RunnableConfig | None = None,
        *,
        context: Context | Mapping[str, Any] | None = None,
        stream_mode: Modes = "values",
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Names | None = None,
        interrupt_after: Names | None = None,
        durability: Durability | None = None,
        version: Version = "v1",
        **kwargs: Any,
    ) -> Any:
        """Run the graph on the event loop and return its output, like `invoke`."""
        self._check(kwargs, durability)
        request = self._request(
            input,
            config,
            context=context,
            modes=stream_mode,
            printed=print_mode,
            output_keys=self.plan.output_keys
            if stream_mode != "values" and output_keys is None
            else output_keys,
            parts=version == "v2",
            streamed=stream_mode != "values",
            before=interrupt_before,
            after=interrupt_after,
            durability=durability,
        )
        chunks = [chunk async for chunk in aiterate(request)]
        return _returned(request, chunks, version)

    # ---- threads

    def get_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """The thread at its latest checkpoint, or at the `checkpoint_id` that the config names.

        At the latest it includes what the finished tasks of an interrupted superstep wrote. `subgraphs` puts
        the snapshots of graphs inside it into its tasks. The config of such a snapshot looks at that graph.

        Raises ValueError without a checkpointer or thread_id.
        """
        place = Place(self, config)
        return perform(get_state(place, subgraphs=subgraphs), place.saver)

    async def aget_state(self, config: RunnableConfig, *, subgraphs: bool = False) -> StateSnapshot:
        """The same as `get_state`, on the event loop."""
        place = Place(self, config)
        return await aperform(get_state(place, subgraphs=subgraphs), place.saver)

    def get_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[StateSnapshot]:
        """The thread's checkpoints, the latest first.

        Args:
            config: names the thread.
            filter: metadata that the checkpoints must have.
            before: the config of a checkpoint; only earlier ones are wanted.
            limit: how many at most.
        """
        return history(Place(self, config), filter, before, limit)

    def aget_state_history(
        self,
        config: RunnableConfig,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[StateSnapshot]:
        """The same as `get_state_history`, on the event loop."""
        return ahistory(Place(self, config), filter, before, limit)

    def update_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """Edit the thread: make a checkpoint as if a node had returned `values`; return its config.

        What follows that node runs next. `as_node` is by default the node that ran last; END takes everything
        off that was to run next.

        Raises InvalidUpdateError for an unknown node, values that are no update, or where several nodes ran
        last.
        """
        return self.bulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    async def aupdate_state(
        self, config: RunnableConfig, values: Any, as_node: str | None = None, task_id: str | None = None
    ) -> RunnableConfig:
        """The same as `update_state`, on the event loop."""
        return await self.abulk_update_state(config, [[StateUpdate(values, as_node, task_id)]])

    def bulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """Edit the thread several times, each superstep of updates making one checkpoint."""
        place = Place(self, config)
        return perform(update_state(place, supersteps), place.saver)

    async def abulk_update_state(
        self, config: RunnableConfig, supersteps: Sequence[Sequence[StateUpdate]]
    ) -> RunnableConfig:
        """The same as `bulk_update_state`, on the event loop."""
        place = Place(self, config)
        return await aperform(update_state(place, supersteps), place.saver)

    def clear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """Forget the results of these nodes in the graph's cache; by default of all its nodes.

        Raises ValueError without a cache or for an unknown node.
        """
        namespaces = self._cached(nodes)
        self.cache.clear(namespaces)

    async def aclear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """The same as `clear_cache`, on the event loop."""
        namespaces = self._cached(nodes)
        await self.cache.aclear(namespaces)

    def get_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> Iterator[tuple[str, CompiledStateGraph]]:
        """The graphs inside this one by their namespaces, without tasks' ids; `recurse` for all levels."""
        for name, node in self.plan.nodes.items():
            inner = node.subgraph
            if inner is None:
                continue
            if namespace is None or namespace == name:
                yield name, inner
            if recurse or (namespace is not None and namespace.startswith(f"{name}|")):
                rest = None if namespace is None else namespace.removeprefix(f"{name}|")
                for below, graph in inner.get_subgraphs(namespace=rest, recurse=recurse):
                    yield f"{name}|{below}", graph

    async def aget_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> AsyncIterator[tuple[str, CompiledStateGraph]]:
        """The same as `get_subgraphs`."""
        for item in self.get_subgraphs(namespace=namespace, recurse=recurse):
            yield item

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> typing_extensions.Self:
        """The same graph with a config of its own, which the config of a call is merged over."""
        bound = copy(self)
        bound.config = merge(merge(self.config or {}, config or {}), kwargs)  # type: ignore[assignment]
        return bound

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The graph's name, with a suffix if one is asked for."""
        name = name or self.name
        return (
            f"{name}{suffix}"
            if suffix and name[0].isupper()
            else f"{name}_{suffix.lower()}"
            if suffix
            else name
        )

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """The drawing of the graph; `xray` opens graphs inside it, an int as many levels deep."""
        return self._sketch.graph(xray)

    async def aget_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """The same as `get_graph`."""
        return self._sketch.graph(xray)

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the input."""
        return json_schema_of(self.plan.input.cls)

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the output."""
        return json_schema_of(self.plan.output.cls)

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """The JSON schema of `context`, or None where the graph declares none."""
        return None if self.plan.context is None else json_schema_of(self.plan.context)

    # ---- within

    def _cached(self, nodes: Sequence[str] | None) -> list[tuple[str, ...]]:
        if self.cache is None:
            raise ValueError(f"graph {self.name!r} has no cache to clear; compile it with cache=…")
        for name in nodes or ():
            if name not in self.plan.nodes:
                raise ValueError(
                    f"{name!r} is no node of graph {self.name!r}; nodes are {list(self.plan.nodes)}"
                )
        return [
            self.plan.nodes[name].cache_namespace for name in (self.plan.nodes if nodes is None else nodes)
        ]

    def _request(
        self,
        input: Any,
        config: RunnableConfig | None,
        *,
        before: Names | None,
        after: Names | None,
        printed: Modes,
        debug: bool | None = None,
        **asked: Any,
    ) -> Request:
        if debug or self.debug:
            printed = ["updates", "values"]
        return Request(
            self.plan,
            self.config,
            input,
            config,
            checkpointer=self.checkpointer,
            cache=self.cache,
            step_timeout=self.step_timeout,
            store=self.store,
            printed=printed,
            before=self.interrupt_before if before is None else before,
            after=self.interrupt_after if after is None else after,
            **asked,
        )

    def _check(self, kwargs: dict[str, Any], durability: Durability | None) -> None:
        if kwargs:
            raise TypeError(f"a graph's run takes no argument {', '.join(map(repr, kwargs))}")
        if durability is not None and self.checkpointer in (None, False):
            around = var_child_runnable_config.get()
            if around is None or TASK not in around.get("configurable", {}):
                warnings.warn(
                    f"durability={durability!r} has no effect: the graph has no checkpointer",
                    UserWarning,
                    stacklevel=3,
                )


def _returned(request: Request, chunks: list[Any], version: Version) -> Any:
    if request.streamed:
        return chunks
    run = request.run
    value = None if run is None else request.result(run)
    if version != "v2":
        return value
    if run is not None and isinstance(value, dict) and request.output_keys is None:
        value = request.plan.output.instance(value)
    return GraphOutput(value, () if run is None else run.interrupts)
