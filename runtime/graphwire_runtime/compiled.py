"""`CompiledStateGraph`: a graph that can be run, streamed and described. The public face of this package.

It is a LangChain Runnable, so it pipes, batches and nests like one. Its methods only turn a call into a
`Request`, which `drive` runs. What it is has `describing`; its threads, `threads`.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from copy import copy
from typing import Any, Generic, Literal, ParamSpec, TypeVar

import typing_extensions
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.drive.cache import check_cache
from graphwire_runtime.drive.parts import arun, run
from graphwire_runtime.drive.request import Request
from graphwire_runtime.foreign.innermost import innermost
from graphwire_runtime.foreign.words import ours, register
from graphwire_runtime.plan.config import merge
from graphwire_runtime.plan.drawing import Sketch
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.plan.runtime import RunControl
from graphwire_runtime.servable import Durability, StreamMode
from graphwire_runtime.thread.saving import check_saver
from graphwire_runtime.threads import GraphThreads
from graphwire_runtime.types import Command, Context, GraphOutput, Input, Result, State

__all__ = ["CompiledStateGraph"]

Parameters = ParamSpec("Parameters")
Returned = TypeVar("Returned")

Modes = StreamMode | Sequence[StreamMode]
Keys = str | Sequence[str]
Names = Literal["*"] | Sequence[str]
Version = Literal["v1", "v2"]

SETTINGS = (
    "name",
    "checkpointer",
    "cache",
    "store",
    "config",
    "debug",
    "step_timeout",
    "stream_mode",
    "interrupt_before_nodes",
    "interrupt_after_nodes",
)
"""What a copy of a graph may change."""


def _parameters_of(
    other: Callable[Parameters, Any],
) -> Callable[[Callable[..., Returned]], Callable[Parameters, Returned]]:
    """Give a method the parameters of another one, for type checkers, editors, `help` and `inspect`."""

    def decorate(method: Callable[..., Returned]) -> Callable[Parameters, Returned]:
        own = inspect.signature(method)
        shown = inspect.signature(other).replace(return_annotation=own.return_annotation)
        method.__signature__ = shown  # type: ignore[attr-defined]
        return method

    return decorate


class CompiledStateGraph(GraphThreads, Generic[State, Context, Input, Result]):
    """A graph that can be run, made by `StateGraph.compile`. Any number of runs may share it.

    A stream of one mode, given as a string, yields bare chunks; a stream of a **list** of modes yields
    `(mode, chunk)`. With `subgraphs=True` the namespace comes first: `(namespace, chunk)` or
    `(namespace, mode, chunk)`. With `version="v2"` every item is a mapping of `type`, `ns` and `data`, and in
    values mode also `interrupts`.

    | mode | chunk |
    |---|---|
    | values | the state, after the input and after every superstep that wrote to it |
    | updates | `{node: what it wrote}`, one for each node that ends |
    | custom | what nodes put into their stream writer |
    | messages | `(message or chunk, metadata)` for every token, and for whole messages that nodes return |
    | tasks | a task's start (`id name input triggers`) and its end (`id name error result interrupts`) |
    | checkpoints | the thread's checkpoints when they are made, with the fields of `get_state` |
    | debug | tasks and checkpoints, each as `payload` beside `step`, `timestamp` and `type` |

    An error of a node is raised unchanged, after all chunks before it.
    """

    cache: Any
    stream_mode: StreamMode = "updates"
    step_timeout: float | None = None
    """Seconds that one superstep may take before TimeoutError is raised, None for no limit."""

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
        super().__init__(plan, sketch)
        register(CompiledStateGraph)
        self.checkpointer = checkpointer
        self.cache = cache
        self.store = store
        self.interrupt_before_nodes = interrupt_before
        self.interrupt_after_nodes = interrupt_after
        self.debug = debug
        self.config = None

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
        control: RunControl | None = None,
        subgraphs: bool = False,
        debug: bool | None = None,
        version: Version = "v1",
        **kwargs: Any,
    ) -> Iterator[Any]:
        """Run the graph in this thread and yield what the modes ask for; the class says in which shape.

        Args:
            input: a mapping of state keys, an instance of the input schema, or a Command. None continues a
                thread where it stopped.
            config: LangChain's: `recursion_limit` (supersteps), `max_concurrency` (nodes at once), `tags`,
                `metadata`, `callbacks`, `configurable`, …
            context: what nodes get as `runtime.context`; a mapping becomes an instance of the context schema.
            stream_mode: one mode or a list; `updates` by default.
            print_mode: modes whose chunks are printed, whatever the stream yields. Tokens are not printed.
            output_keys: the keys that values and updates show; one name, not in a list, shows its bare value.
            interrupt_before: the nodes to stop before, or "*" for all; then None as input continues. By
                default, or for none, those that the graph was compiled with.
            interrupt_after: the nodes to stop after, in the same way.
            durability: when checkpoints are written: "sync", before the next superstep begins; "async",
                during it (the default); "exit", when the run ends.
            control: asks the run, from outside or from its nodes, to stop before its next superstep.
            subgraphs: whether graphs inside nodes are shown, too.
            debug: print updates and values.
            version: "v2" for items that are mappings.

        Raises EmptyInputError, InvalidUpdateError, GraphRecursionError, ValueError for a wrong argument, and
        whatever a node raises.
        """
        return run(
            self._request(
                input,
                config,
                context=context,
                stream_mode=stream_mode,
                print_mode=print_mode,
                output_keys=output_keys,
                interrupt_before=interrupt_before,
                interrupt_after=interrupt_after,
                durability=durability,
                control=control,
                subgraphs=subgraphs,
                debug=debug,
                version=version,
                **kwargs,
            )
        )

    @_parameters_of(stream)
    def astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        """Run the graph on the event loop and yield what the modes ask for; otherwise like `stream`.

        Async nodes run as asyncio tasks, other nodes in the event loop's default executor. To close the
        iterator with `aclose()`, or to cancel its consumer, cancels the async nodes at work. Nodes in threads
        continue, and their results are dropped.
        """
        return arun(self._request(*args, **kwargs))

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
        control: RunControl | None = None,
        version: Version = "v1",
        **kwargs: Any,
    ) -> Any:
        """Run the graph and return its output: the keys of the output schema, None if none was written.

        With another `stream_mode` it returns the list of the stream's chunks. With `version="v2"` it returns
        a GraphOutput. Raises like `stream`.
        """
        request = self._request(
            input,
            config,
            returned=True,
            context=context,
            stream_mode=stream_mode,
            print_mode=print_mode,
            output_keys=output_keys,
            interrupt_before=interrupt_before,
            interrupt_after=interrupt_after,
            durability=durability,
            control=control,
            version=version,
            **kwargs,
        )
        return _returned(request, list(run(request)))

    @_parameters_of(invoke)
    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph on the event loop and return its output, like `invoke`."""
        request = self._request(*args, returned=True, **{"stream_mode": "values", **kwargs})
        return _returned(request, [chunk async for chunk in arun(request)])

    def clear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """Remove the results of these nodes from the graph's cache, by default those of all nodes.

        Raises ValueError without a cache or for an unknown node.
        """
        namespaces = self._cached(nodes)
        self.cache.clear(namespaces)

    async def aclear_cache(self, nodes: Sequence[str] | None = None) -> None:
        """The same as `clear_cache`, on the event loop."""
        namespaces = self._cached(nodes)
        await self.cache.aclear(namespaces)

    def with_config(self, config: RunnableConfig | None = None, **kwargs: Any) -> typing_extensions.Self:
        """The same graph with a config of its own; the config of a call is merged over it."""
        bound = copy(self)
        bound.config = merge(merge(self.config or {}, config or {}), kwargs)  # type: ignore[assignment]
        return bound

    def copy(self, update: Mapping[str, Any] | None = None) -> typing_extensions.Self:
        """The same graph with other settings: `copy({"checkpointer": saver})`.

        Args:
            update: the settings by name: `name`, `checkpointer`, `cache`, `store`, `config`, `debug`,
                `step_timeout`, `stream_mode`, `interrupt_before_nodes`, `interrupt_after_nodes`.

        Raises TypeError for any other name, and for an object that is no checkpointer or no cache.
        """
        update = update or {}
        if unknown := [name for name in update if name not in SETTINGS]:
            raise TypeError(
                f"a copy of a graph has no setting {unknown[0]!r}; there are {', '.join(SETTINGS)}"
            )
        if update.get("cache") is not None:
            check_cache(update["cache"])
        if not isinstance(update.get("checkpointer"), bool | None):
            check_saver(update["checkpointer"])
        made = copy(self)
        for name, value in update.items():
            setattr(made, name, value)
        return made

    def _cached(self, nodes: Sequence[str] | None) -> list[tuple[str, ...]]:
        if self.cache is None:
            raise ValueError(f"{self.plan.title} has no cache to clear; compile it with cache=…")
        for name in nodes or ():
            if name not in self.plan.nodes:
                raise ValueError(f"{name!r} is no node of {self.plan.title}; it has {list(self.plan.nodes)}")
        chosen = self.plan.nodes if nodes is None else nodes
        return [self.plan.nodes[name].cache_namespace for name in chosen]

    def _request(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        returned: bool = False,
        stream_mode: Modes | None = None,
        print_mode: Modes = (),
        output_keys: Keys | None = None,
        interrupt_before: Names | None = None,
        interrupt_after: Names | None = None,
        durability: Durability | None = None,
        debug: bool | None = None,
        version: Version = "v1",
        **asked: Any,
    ) -> Request:
        if unknown := asked.keys() - {"context", "control", "subgraphs"}:
            raise TypeError(f"a graph's run takes no argument {', '.join(map(repr, sorted(unknown)))}")
        if durability is not None:
            self._check_durability(durability)
        parts = version == "v2"
        streamed = not returned or stream_mode != "values" or parts  # a part of the stream is the output
        if returned and streamed and output_keys is None:
            output_keys = self.plan.output_keys
        return Request(
            self.plan,
            self.config,
            ours(input),
            config,
            modes=stream_mode,
            output_keys=output_keys,
            parts=parts,
            streamed=streamed,
            checkpointer=self.checkpointer,
            cache=self.cache,
            step_timeout=self.step_timeout,
            store=self.store,
            before=interrupt_before or self.interrupt_before_nodes,
            after=interrupt_after or self.interrupt_after_nodes,
            durability=durability,
            printed=["updates", "values"] if debug or self.debug else print_mode,
            **asked,
        )

    def _check_durability(self, durability: Durability) -> None:
        if self.checkpointer in (None, False) and innermost(var_child_runnable_config.get()) is None:
            warnings.warn(
                f"durability={durability!r} has no effect: the graph has no checkpointer",
                UserWarning,
                stacklevel=4,
            )


def _returned(request: Request, chunks: list[Any]) -> Any:
    if request.streamed and request.modes != "values":
        return chunks
    if not request.streamed:
        return None if request.loop is None else request.result(request.loop)
    interrupts = tuple(asked for part in chunks for asked in part["interrupts"])
    return GraphOutput(chunks[-1]["data"] if chunks else None, interrupts)
