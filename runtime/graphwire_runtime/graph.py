"""`StateGraph`: the builder of a graph, which checks every part of it.

A mistake raises where it is made, at `add_node`, `add_edge` and so on, or in `compile` if only the whole
graph shows it. `compile` makes a `CompiledStateGraph`, which keeps no reference to its builder.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Generic, Literal

import typing_extensions
from langchain_core.runnables import Runnable

from graphwire_runtime.compiled import CompiledStateGraph
from graphwire_runtime.drive.cache import check_cache
from graphwire_runtime.plan.call import call_of, name_of, runnable_of
from graphwire_runtime.plan.channels import Channel
from graphwire_runtime.plan.plan import DEFAULT_NAME
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from graphwire_runtime.spec import (
    BranchSpec,
    Exits,
    GraphParts,
    NodeSpec,
    command_ends,
    literal_ends,
    not_async,
    policies_of,
)
from graphwire_runtime.thread.saving import check_saver
from graphwire_runtime.types import END, START, Context, Input, Result, State

__all__ = ["StateGraph"]

Action = Callable[..., Any] | Runnable[Any, Any] | Mapping[str, Any]
"""What a node or router may be."""

RESERVED = frozenset(
    {"__input__", "__interrupt__", "__error__", "__resume__", "__pregel_tasks", "__no_writes__"}
)


class StateGraph(Generic[State, Context, Input, Result]):
    """A graph of nodes that read one state and write updates to it.

    Args:
        state_schema: a TypedDict, dataclass or pydantic class. `Annotated[type, reducer]` gives a key a
            reducer, a function of the value so far and the update. A key without a reducer takes one write
            per superstep. A type without keys, such as `dict` or `Annotated[list, add]`, makes the whole
            state one value: nodes get it bare, and write to it whatever they return.
        context_schema: the class of the `context` that callers may pass.
        input_schema: the keys that an input may write; by default the state schema.
        output_schema: the keys that `invoke` returns; by default the state schema.

    Raises TypeError for a class without annotated fields, ValueError for a reducer that does not take two
    arguments.
    """

    def __init__(
        self,
        state_schema: type[State],
        context_schema: type[Context] | None = None,
        *,
        input_schema: type[Input] | None = None,
        output_schema: type[Result] | None = None,
    ) -> None:
        self.state_schema = state_schema
        self.context_schema = context_schema
        self.input_schema: type[Any] = input_schema or state_schema
        self.output_schema: type[Any] = output_schema or state_schema
        self._spec = GraphParts(state_schema, context_schema, self.input_schema, self.output_schema)

    @property
    def nodes(self) -> Mapping[str, NodeSpec]:
        """The nodes that were added, by name."""
        return MappingProxyType(self._spec.nodes)

    @property
    def edges(self) -> set[tuple[str, str]]:
        """The edges from one node, or START, to the next."""
        return {(source, end) for source, exits in self._spec.exits.items() for end in exits.edges}

    @property
    def waiting_edges(self) -> set[tuple[tuple[str, ...], str]]:
        """The edges from several nodes."""
        return set(self._spec.joins)

    @property
    def branches(self) -> Mapping[str, Mapping[str, BranchSpec]]:
        """The routers by the node that they follow and by their names."""
        return {source: exits.routers for source, exits in self._spec.exits.items() if exits.routers}

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The rules of the state's keys, by key."""
        return MappingProxyType(self._spec.channels)

    def set_node_defaults(
        self,
        *,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy | None = None,
        error_handler: Callable[..., Any] | Runnable[Any, Any] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> typing_extensions.Self:
        """Set the defaults for nodes that are added without these arguments; see `add_node`.

        They do not apply to graphs inside this one. Retries and timeout also apply to error handlers; a
        handler itself has no error handler, and its result is never cached.
        """
        self._spec.policies = policies_of("every node", retry_policy, cache_policy, timeout)
        self._spec.handler = error_handler
        return self

    def add_node(
        self,
        node: str | Action,
        action: Action | None = None,
        *,
        defer: bool = False,
        metadata: Mapping[str, Any] | None = None,
        input_schema: type[Any] | None = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy | None = None,
        error_handler: Callable[..., Any] | Runnable[Any, Any] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
        trace_policy: TracePolicy | None = None,
        destinations: Mapping[str, str] | Sequence[str] | None = None,
    ) -> typing_extensions.Self:
        """Add a node: `add_node(function)`, named after it, or `add_node(name, function)`.

        Args:
            node: the name, or what to call.
            action: what to call: a function, coroutine function, Runnable or compiled graph. It gets the
                state and, if it declares them, `config`, `writer` and `runtime`. Of a dict, each value is
                called, side by side, and the node returns their results by its keys.
            defer: run it only when nothing else is left to run.
            metadata: shown with its tasks and with the tokens of its models.
            input_schema: the keys that the node sees; by default the annotation of its first parameter, if
                that is a schema, or else the state. Keys that are only in this schema are private to the
                nodes whose schemas have them.
            retry_policy: after which errors it runs again; of several policies, the first that covers the
                error.
            cache_policy: whether it may be skipped for an input that is in the graph's cache.
            error_handler: runs when the node has failed for good, in the same superstep and with the same
                input. If it declares a parameter `error`, it gets a NodeError. What it returns counts in
                place of what the node would have returned, but the node's edges are not followed: it names
                what runs next in a Command. If only the node's router failed, what the node returned counts,
                too. When a thread is resumed, the handler runs again and the node does not; the error is then
                a RuntimeError with the repr of the original one.
            timeout: seconds after which an attempt to run it fails with NodeTimeoutError, or a TimeoutPolicy;
                only for async nodes.
            trace_policy: what tracers see of its input and output.
            destinations: where its `Command.goto` may lead, for drawings: names, or names with labels.

        Raises ValueError for a name that is taken or not allowed, TypeError for what cannot be called,
        RuntimeError for a name without an action.
        """
        if isinstance(node, str):
            if action is None:
                raise RuntimeError(f"add_node({node!r}) names a node and gives no action to run")
            name = node
        else:
            if action is not None:
                raise TypeError(f"add_node takes a name before the action, got {node!r}")
            name, action = name_of(node), node
        self._check_name(name)
        action = runnable_of(action)
        policies = policies_of(f"node {name!r}", retry_policy, cache_policy, timeout)
        schema = (
            self._spec.schema(input_schema)
            if input_schema is not None
            else self._spec.schema_of_first(action)
        )
        if destinations is not None and not isinstance(destinations, Mapping):
            destinations = dict.fromkeys(destinations, "")
        self._spec.nodes[name] = NodeSpec(
            action,
            call_of(action, name),
            schema or self._spec.schema(self.state_schema),
            metadata,
            defer,
            destinations or command_ends(action),
            policies,
            error_handler,
            trace_policy,
        )
        if policies.timeout is not None and self._spec.nodes[name].call.coro is None:
            del self._spec.nodes[name]
            raise not_async(name)
        self._spec.exits[name] = Exits()
        return self

    def add_edge(self, start_key: str | list[str], end_key: str) -> typing_extensions.Self:
        """Run `end_key` in the superstep after `start_key` or, with a list, once all of these have run.

        An edge from a list to END is only drawn.

        Raises ValueError for an edge out of END or into START, and for a list with a node that is not added
        yet.
        """
        if end_key == START:
            raise ValueError(f"{START} cannot be the end of an edge; the edge was from {start_key!r}")
        if isinstance(start_key, str):
            if start_key == END:
                raise ValueError(f"{END} cannot be the start of an edge; the edge was to {end_key!r}")
            edges = self._spec.exits.setdefault(start_key, Exits()).edges
            if end_key not in edges:
                edges.append(end_key)
            return self
        for start in start_key:
            if start == END:
                raise ValueError(f"{END} cannot be the start of an edge; the edge was to {end_key!r}")
            if start not in self._spec.nodes:
                raise ValueError(
                    f"the edge from {start_key!r} to {end_key!r} needs a node {start!r}; add it first"
                )
        if end_key != END and end_key not in self._spec.nodes:
            raise ValueError(f"the edge from {start_key!r} leads to {end_key!r}; add that node first")
        self._spec.joins.append((tuple(start_key), end_key))
        return self

    def add_conditional_edges(
        self,
        source: str,
        path: Action,
        path_map: Mapping[Hashable, str] | Sequence[str] | None = None,
    ) -> typing_extensions.Self:
        """After `source`, let a router decide what runs next.

        Args:
            source: a node, or START.
            path: the router. It sees the state with the update of `source`, and returns the name of a node,
                END, a Send, or a list of those.
            path_map: what each answer of the router stands for. A sequence of names, or a return type of
                `Literal[...]` on the router, only declares where it may lead.

        Raises ValueError if `source` has a router of this name.
        """
        if source == END:
            raise ValueError(f"{END} cannot have conditional edges; nothing runs after it")
        name = name_of(path)
        exits = self._spec.exits.setdefault(source, Exits())
        if name in exits.routers:
            raise ValueError(
                f"node {source!r} already has a router named {name!r}; give one of them another name"
            )
        ends: Mapping[Any, str] | None
        if isinstance(path_map, Mapping):
            ends = dict(path_map)
        elif path_map is not None:
            ends = {end: end for end in path_map}
        else:
            ends = literal_ends(path)
        exits.routers[name] = BranchSpec(name, call_of(path, name), self._spec.schema_of_first(path), ends)
        return self

    def add_sequence(self, nodes: Sequence[Action | tuple[str, Any]]) -> typing_extensions.Self:
        """Add nodes, each `action` or `(name, action)`, that run one after the other.

        Raises ValueError for an empty sequence or a name that is taken.
        """
        if not nodes:
            raise ValueError("add_sequence needs at least one node, and the sequence is empty")
        before: str | None = None
        for node in nodes:
            name, action = node if isinstance(node, tuple) else (name_of(node), node)
            self.add_node(name, action)
            if before is not None:
                self.add_edge(before, name)
            before = name
        return self

    def set_entry_point(self, key: str) -> typing_extensions.Self:
        """The same as `add_edge(START, key)`."""
        return self.add_edge(START, key)

    def set_conditional_entry_point(
        self,
        path: Action,
        path_map: Mapping[Hashable, str] | Sequence[str] | None = None,
    ) -> typing_extensions.Self:
        """The same as `add_conditional_edges(START, path, path_map)`."""
        return self.add_conditional_edges(START, path, path_map)

    def set_finish_point(self, key: str) -> typing_extensions.Self:
        """The same as `add_edge(key, END)`."""
        return self.add_edge(key, END)

    def validate(self) -> typing_extensions.Self:
        """Check the graph as a whole.

        Raises ValueError for a graph without an entry, an edge or router that names an unknown node, and a
        reserved name.
        """
        for name in self._spec.nodes:
            if name in RESERVED:
                raise ValueError(
                    f"{name!r} is a name the runtime keeps for itself; call the node something else"
                )
        start = self._spec.exits[START]
        if not start.edges and not start.routers:
            raise ValueError(
                f"the graph has no entry: add an edge from START to one of {sorted(self._spec.nodes)}"
            )
        for source, exits in self._spec.exits.items():
            if source != START and source not in self._spec.nodes:
                raise ValueError(
                    f"an edge starts at {source!r}, which is no node; nodes are {sorted(self._spec.nodes)}"
                )
            for end in exits.edges:
                self._check_end(end, f"the edge from {source!r}")
            for router in exits.routers.values():
                for end in (router.ends or {}).values():
                    self._check_end(end, f"router {router.name!r} of {source!r}")
        return self

    def compile(
        self,
        checkpointer: Any = None,
        *,
        cache: Any = None,
        store: Any = None,
        interrupt_before: Literal["*"] | Sequence[str] | None = None,
        interrupt_after: Literal["*"] | Sequence[str] | None = None,
        debug: bool = False,
        name: str | None = None,
    ) -> CompiledStateGraph[State, Context, Input, Result]:
        """Check the graph and make it runnable. The builder may be changed and compiled again afterwards.

        Args:
            checkpointer: a saver of the langgraph-checkpoint family, which keeps threads. None is the saver
                of the surrounding graph, or none in an outermost graph. True is the saver of the surrounding
                graph, and this graph continues where it stopped whenever it runs again. False is none.
            cache: one of langgraph-checkpoint's caches, for the results of nodes with a `cache_policy`.
            store: a long-term store, for nodes that declare `store` or `runtime`.
            interrupt_before: the nodes to stop before, or "*" for all.
            interrupt_after: the nodes to stop after, or "*" for all.
            debug: print updates and values of every run.
            name: the graph's name for tracers and servers.

        Raises ValueError like `validate`, and for an interrupt at an unknown node; TypeError for an object
        that is no checkpointer or no cache.
        """
        if cache is not None:
            check_cache(cache)
        if checkpointer is not None and not isinstance(checkpointer, bool):
            check_saver(checkpointer)
        self.validate()
        for what, names in (("interrupt_before", interrupt_before), ("interrupt_after", interrupt_after)):
            for node_name in () if names is None or names == "*" else names:
                if node_name not in self._spec.nodes:
                    raise ValueError(
                        f"{what} names {node_name!r}, which is no node; nodes are {sorted(self._spec.nodes)}"
                    )
        return CompiledStateGraph(
            self._spec.plan(name or DEFAULT_NAME),
            self._spec.sketch(),
            checkpointer=checkpointer,
            cache=cache,
            store=store,
            interrupt_before=interrupt_before or (),
            interrupt_after=interrupt_after or (),
            debug=debug,
        )

    # ---- within

    def _check_name(self, name: str) -> None:
        if name in self._spec.nodes:
            raise ValueError(f"a node named {name!r} is already there")
        if name in (START, END):
            raise ValueError(
                f"{name!r} is where the graph {'starts' if name == START else 'ends'}, not a node to add"
            )
        for character in ":|":
            if character in name:
                raise ValueError(
                    f"{character!r} separates names in a namespace and cannot be part of one: {name!r}"
                )

    def _check_end(self, end: str, what: str) -> None:
        if end != END and end not in self._spec.nodes:
            raise ValueError(
                f"{what} leads to {end!r}, which is no node; nodes are {sorted(self._spec.nodes)}"
            )
