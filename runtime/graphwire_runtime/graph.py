"""`StateGraph`: the builder in which an author puts nodes and edges together, and which checks them.

Everything wrong is refused where it is said: at `add_node`, `add_edge`, …, or, for what only the whole can
show, at `compile`, which turns the builder into a `CompiledStateGraph`. A compiled graph keeps nothing of
its builder.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Generic, Literal, get_args, get_origin

import typing_extensions
from langchain_core.runnables import Runnable

from graphwire_runtime.cache import check_cache
from graphwire_runtime.call import Call, call_of, first_parameter, full_name_of, name_of, returns
from graphwire_runtime.channels import Channel
from graphwire_runtime.compiled import CompiledStateGraph
from graphwire_runtime.drawing import Sketch
from graphwire_runtime.plan import Join, NodePlan, Plan, RouterPlan
from graphwire_runtime.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from graphwire_runtime.schema import Schema, annotations_of, merged
from graphwire_runtime.task import PULL, PUSH
from graphwire_runtime.types import END, START, Command, Context, Input, Result, State

__all__ = ["StateGraph"]

RESERVED = frozenset(
    {"__input__", "__interrupt__", "__error__", "__resume__", "__pregel_tasks", "__no_writes__"}
)

Ends = Mapping[Any, str]


@dataclass(frozen=True, slots=True)
class _Policies:
    """How nodes are run; None where that is not said."""

    retries: tuple[RetryPolicy, ...] | None = None
    cache: CachePolicy | None = None
    timeout: TimeoutPolicy | None = None


@dataclass(slots=True)
class _Node:
    action: Any
    call: Call
    schema: Schema
    metadata: Mapping[str, Any] | None
    defer: bool
    destinations: Mapping[str, str] | None
    policies: _Policies
    handler: Any = None
    tracing: TracePolicy | None = None


@dataclass(slots=True)
class _Router:
    name: str
    call: Call
    schema: Schema | None
    ends: Ends | None


@dataclass(slots=True)
class _Exits:
    """What leaves one node (or START)."""

    edges: list[str] = field(default_factory=list)
    routers: dict[str, _Router] = field(default_factory=dict)


class StateGraph(Generic[State, Context, Input, Result]):
    """A graph of nodes that read one state and write updates to it.

    Args:
        state_schema: a TypedDict, dataclass or pydantic class. `Annotated[type, reducer]` gives a key a
            reducer, a function of the value so far and the update; a key without one takes one write per
            superstep.
        context_schema: the class of the `context` that callers may pass.
        input_schema: which keys an input may write; the state schema where it is not given.
        output_schema: which keys `invoke` returns; the state schema where it is not given.

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
        self._schemas: dict[type[Any], Schema] = {}
        self._channels: dict[str, Channel] = {}
        for cls in (self.state_schema, self.input_schema, self.output_schema):
            self._schema(cls)
        self._nodes: dict[str, _Node] = {}
        self._exits: dict[str, _Exits] = {START: _Exits()}
        self._joins: list[tuple[tuple[str, ...], str]] = []
        self._default = _Policies()
        self._default_handler: Any = None

    def set_node_defaults(
        self,
        *,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy | None = None,
        error_handler: Callable[..., Any] | Runnable[Any, Any] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> typing_extensions.Self:
        """Say what holds for every node that says nothing else; see `add_node`. Graphs inside have their own.

        Retries and timeout hold for error handlers, too; a handler is never handled, and its result never
        kept.
        """
        self._default = _policies("every node", retry_policy, cache_policy, timeout)
        self._default_handler = error_handler
        return self

    def add_node(
        self,
        node: str | Callable[..., Any] | Runnable[Any, Any],
        action: Callable[..., Any] | Runnable[Any, Any] | None = None,
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
                state and, if it declares them, `config`, `writer` and `runtime`.
            defer: run it only when nothing else is left to run.
            metadata: shown with its tasks and the tokens of its models.
            input_schema: what the node gets to see; by default the annotation of its first parameter, if
                that is a schema, or else the state. Keys that only it has are private to the nodes that name
                them.
            retry_policy: when it is run again after a failure; of several the first that covers the error.
            cache_policy: that the same input need not be worked on again, in a graph with a cache.
            error_handler: what is run when it has failed for good, in the same superstep and with the same
                input; of a parameter `error` it gets a NodeError. What it returns counts in place of what the
                node would have; nothing follows the node's edges then, so a Command says where to go on. In a
                thread that is resumed it is run again and the node is not; the error then is a RuntimeError
                with the repr of what the node failed with.
            timeout: seconds after which one run of it fails with NodeTimeoutError, or a TimeoutPolicy; for
                async nodes only.
            trace_policy: what tracers are told of its input and output.
            destinations: where its `Command.goto` may lead, for drawings: names, or names with labels.

        Raises ValueError for a name that is taken or not allowed, TypeError for what cannot be called,
        RuntimeError for a name without an action.
        """
        if isinstance(node, str):
            if action is None:
                raise RuntimeError(f"add_node({node!r}) names a node and does not say what it runs")
            name = node
        else:
            if action is not None:
                raise TypeError(f"add_node takes a name before the action, and {node!r} came")
            name, action = name_of(node), node
        self._check_name(name)
        policies = _policies(f"node {name!r}", retry_policy, cache_policy, timeout)
        schema = self._schema(input_schema) if input_schema is not None else self._schema_of_first(action)
        if destinations is not None and not isinstance(destinations, Mapping):
            destinations = dict.fromkeys(destinations, "")
        self._nodes[name] = _Node(
            action,
            call_of(action, name),
            schema or self._schema(self.state_schema),
            metadata,
            defer,
            destinations or _command_ends(action),
            policies,
            error_handler,
            trace_policy,
        )
        if policies.timeout is not None and self._nodes[name].call.coro is None:
            del self._nodes[name]
            raise _not_async(name)
        self._exits[name] = _Exits()
        return self

    def add_edge(self, start_key: str | list[str], end_key: str) -> typing_extensions.Self:
        """Run `end_key` in the superstep after `start_key`; after all of them where a list is given.

        Raises ValueError for an edge out of END or into START, and for a list with a node not yet added.
        """
        if end_key == START:
            raise ValueError(f"{START} cannot be the end of an edge; the edge was from {start_key!r}")
        if isinstance(start_key, str):
            if start_key == END:
                raise ValueError(f"{END} cannot be the start of an edge; the edge was to {end_key!r}")
            edges = self._exits.setdefault(start_key, _Exits()).edges
            if end_key not in edges:
                edges.append(end_key)
            return self
        for start in start_key:
            if start == END:
                raise ValueError(f"{END} cannot be the start of an edge; the edge was to {end_key!r}")
            if start not in self._nodes:
                raise ValueError(
                    f"the edge from {start_key!r} to {end_key!r} needs a node {start!r}; add it first"
                )
        if end_key == END:
            raise ValueError(f"waiting for {start_key!r} to reach {END} has no effect; leave the edge out")
        if end_key not in self._nodes:
            raise ValueError(f"the edge from {start_key!r} leads to {end_key!r}; add that node first")
        self._joins.append((tuple(start_key), end_key))
        return self

    def add_conditional_edges(
        self,
        source: str,
        path: Callable[..., Any] | Runnable[Any, Any],
        path_map: Mapping[Hashable, str] | Sequence[str] | None = None,
    ) -> typing_extensions.Self:
        """After `source`, let a router decide what runs next; it sees the state with the node's update.

        It returns a node's name, END, a Send, or a list of those; with a `path_map` a key of it instead. A
        sequence of names as `path_map`, or a return type of `Literal[...]`, only says where it may lead.

        Raises ValueError where the node already has a router of this name.
        """
        if source == END:
            raise ValueError(f"{END} cannot have conditional edges; nothing runs after it")
        name = name_of(path)
        exits = self._exits.setdefault(source, _Exits())
        if name in exits.routers:
            raise ValueError(
                f"node {source!r} already has a router named {name!r}; give one of them another name"
            )
        ends: Ends | None
        if isinstance(path_map, Mapping):
            ends = dict(path_map)
        elif path_map is not None:
            ends = {end: end for end in path_map}
        else:
            ends = _literal_ends(path)
        exits.routers[name] = _Router(name, call_of(path, name), self._schema_of_first(path), ends)
        return self

    def add_sequence(
        self, nodes: Sequence[Callable[..., Any] | Runnable[Any, Any] | tuple[str, Any]]
    ) -> typing_extensions.Self:
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
        path: Callable[..., Any] | Runnable[Any, Any],
        path_map: Mapping[Hashable, str] | Sequence[str] | None = None,
    ) -> typing_extensions.Self:
        """The same as `add_conditional_edges(START, path, path_map)`."""
        return self.add_conditional_edges(START, path, path_map)

    def set_finish_point(self, key: str) -> typing_extensions.Self:
        """The same as `add_edge(key, END)`."""
        return self.add_edge(key, END)

    def validate(self) -> typing_extensions.Self:
        """Check the graph as a whole.

        Raises ValueError for a missing entry, an edge or router that names an unknown node, a reserved name.
        """
        for name in self._nodes:
            if name in RESERVED:
                raise ValueError(
                    f"{name!r} is a name the runtime keeps for itself; call the node something else"
                )
        start = self._exits[START]
        if not start.edges and not start.routers:
            raise ValueError(
                f"the graph has no entry: add an edge from START to one of {sorted(self._nodes)}"
            )
        for source, exits in self._exits.items():
            if source != START and source not in self._nodes:
                raise ValueError(
                    f"an edge starts at {source!r}, which is no node; nodes are {sorted(self._nodes)}"
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
            checkpointer: a saver of the langgraph-checkpoint family, which keeps threads. None: none, or in a
                node of another graph that graph's. True: that graph's, and this one goes on where it stopped
                whenever it is run again. False: none in any case.
            cache: one of langgraph-checkpoint's caches, for the results of nodes with a `cache_policy`.
            store: a long-term store, for nodes that take a `store` or `runtime`.
            interrupt_before: the nodes to stop before, or "*" for all.
            interrupt_after: the nodes to stop after, or "*" for all.
            debug: print updates and values of every run.
            name: the graph's name for tracers and servers.

        Raises ValueError (see `validate`; also for an interrupt at an unknown node), TypeError for a
        checkpointer or a cache that is none.
        """
        if cache is not None:
            check_cache(cache)
        if checkpointer is not None and not isinstance(checkpointer, bool):
            _check_saver(checkpointer)
        self.validate()
        for what, names in (("interrupt_before", interrupt_before), ("interrupt_after", interrupt_after)):
            for node_name in () if names is None or names == "*" else names:
                if node_name not in self._nodes:
                    raise ValueError(
                        f"{what} names {node_name!r}, which is no node; nodes are {sorted(self._nodes)}"
                    )
        state = self._schema(self.state_schema)
        nodes = {name: self._node_plan(name, node) for name, node in self._nodes.items()}
        keys = (*state.keys, *(key for key in self._channels if key not in state.keys))
        plan = Plan(
            name=name or "LangGraph",
            nodes=nodes,
            start=self._start_plan(),
            channels={key: self._channels[key] for key in keys},
            state=state,
            input=self._schema(self.input_schema),
            output=self._schema(self.output_schema),
            context=self.context_schema,
            joins={join.trigger: join for join in self._all_joins()},
            keys=keys,
            output_keys=self._schema(self.output_schema).keys,
            managed={key: each for schema in self._schemas.values() for key, each in schema.managed.items()},
        )
        return CompiledStateGraph(
            plan,
            self._sketch(),
            checkpointer=checkpointer,
            cache=cache,
            store=store,
            interrupt_before=interrupt_before or (),
            interrupt_after=interrupt_after or (),
            debug=debug,
        )

    # ---- within

    def _schema(self, cls: type[Any]) -> Schema:
        if cls not in self._schemas:
            schema = self._schemas[cls] = Schema(cls)
            merged(self._channels, schema.channels.items())
        return self._schemas[cls]

    def _schema_of_first(self, action: Any) -> Schema | None:
        """The schema that a callable's first parameter names, if it does."""
        hint = None if isinstance(action, Runnable) else first_parameter(action)
        return self._schema(hint) if hint is not None and annotations_of(hint) else None

    def _check_name(self, name: str) -> None:
        if name in self._nodes:
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
        if end != END and end not in self._nodes:
            raise ValueError(f"{what} leads to {end!r}, which is no node; nodes are {sorted(self._nodes)}")

    def _start_plan(self) -> NodePlan:
        call = Call(START, lambda state, _: None, None)
        node = _Node(None, call, self._schema(self.state_schema), None, False, None, _Policies())
        return self._plan(START, node)

    def _node_plan(self, name: str, node: _Node) -> NodePlan:
        own, default = node.policies, self._default
        policies = _Policies(
            default.retries if own.retries is None else own.retries,
            default.cache if own.cache is None else own.cache,
            default.timeout if own.timeout is None else own.timeout,
        )
        if policies.timeout is not None and node.call.coro is None:
            raise _not_async(name)
        handler: NodePlan | None = None
        if node.handler is not None:
            handler = self._substitute_plan(f"__error_handler__{name}", node.handler, node.schema)
        elif self._default_handler is not None:
            handler = self._substitute_plan("__default_error_handler__", self._default_handler, node.schema)
        return self._plan(name, replace(node, policies=policies), handler)

    def _substitute_plan(self, name: str, action: Any, schema: Schema) -> NodePlan:
        call = call_of(action, name, handles=True)
        policies = _Policies(self._default.retries, None, self._default.timeout if call.coro else None)
        node = _Node(action, call, schema, None, False, None, policies)
        return replace(self._plan(name, node), triggers=(PUSH,))

    def _all_joins(self) -> list[Join]:
        return [
            Join(f"join:{'+'.join(sources)}:{target}", frozenset(sources), target)
            for sources, target in self._joins
        ]

    def _plan(self, name: str, node: _Node, handler: NodePlan | None = None) -> NodePlan:
        call, schema, policies = node.call, node.schema, node.policies
        exits = self._exits.get(name) or _Exits()
        trigger = f"branch:to:{name}"
        calls = [call, *(router.call for router in exits.routers.values())]
        return NodePlan(
            name=name,
            call=call,
            view=schema.view(),
            trigger=trigger,
            triggers=(START,)
            if name == START
            else tuple(
                sorted([trigger, *(join.trigger for join in self._all_joins() if join.target == name)])
            ),
            subgraph=_subgraph(node.action),
            path=(PULL, name),
            edges=tuple(end for end in exits.edges if end != END),
            joins=tuple(join for join in self._all_joins() if name in join.sources),
            routers=tuple(
                RouterPlan(
                    router.name,
                    router.call,
                    (router.schema or schema).view(),
                    router.schema is not None,
                    router.ends,
                )
                for router in exits.routers.values()
            ),
            metadata=node.metadata,
            defer=node.defer,
            retries=policies.retries or (),
            timeout=policies.timeout,
            cache=policies.cache,
            cache_namespace=("graphwire_results", full_name_of(node.action), name),
            handler=handler,
            tracing=node.tracing,
            threaded=all(each.coro is None for each in calls),
        )

    def _sketch(self) -> Sketch:
        edges: list[tuple[str, str, str | None, bool]] = []
        for source, exits in self._exits.items():
            edges += [(source, end, None, False) for end in exits.edges]
            for router in exits.routers.values():
                ends = router.ends if router.ends is not None else {end: end for end in (*self._nodes, END)}
                edges += [
                    (source, end, None if label == end else str(label), True) for label, end in ends.items()
                ]
        for name, node in self._nodes.items():
            edges += [(name, end, label or None, True) for end, label in (node.destinations or {}).items()]
        edges += [(source, target, None, False) for sources, target in self._joins for source in sources]
        leaving = {edge[0] for edge in edges}
        edges += [(name, END, None, False) for name in self._nodes if name not in leaving]
        return Sketch({name: (node.action, node.metadata) for name, node in self._nodes.items()}, edges)


def _policies(
    what: str,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None,
    cache_policy: CachePolicy | None,
    timeout: float | timedelta | TimeoutPolicy | None,
) -> _Policies:
    if cache_policy is not None and not isinstance(cache_policy, CachePolicy):
        raise TypeError(f"the cache_policy of {what} must be a CachePolicy, and {cache_policy!r} came")
    retries: tuple[RetryPolicy, ...] | None = None
    if retry_policy is not None:
        retries = (retry_policy,) if isinstance(retry_policy, RetryPolicy) else tuple(retry_policy)
    return _Policies(retries, cache_policy, TimeoutPolicy.of(timeout))


def _not_async(name: str) -> ValueError:
    return ValueError(
        f"node {name!r} was given a timeout and is not async; a thread cannot be stopped from outside"
    )


def _check_saver(checkpointer: Any) -> None:
    asked = ("get_tuple", "aget_tuple", "put", "aput", "put_writes", "aput_writes", "get_next_version")
    missing = [name for name in asked if not callable(getattr(checkpointer, name, None))]
    if missing:
        raise TypeError(
            f"a checkpointer is a saver of the langgraph-checkpoint family, True, False or None, and a "
            f"{type(checkpointer).__name__} came, which has no {missing[0]}()"
        )


def _subgraph(action: Any) -> CompiledStateGraph | None:
    """The graph that a node is, or that its function has hold of."""
    if isinstance(action, CompiledStateGraph):
        return action
    function = getattr(action, "__func__", action)
    if not inspect.isfunction(function):
        return None
    try:
        seen = inspect.getclosurevars(function)
    except (TypeError, ValueError):
        return None
    for value in (*seen.nonlocals.values(), *seen.globals.values()):
        if isinstance(value, CompiledStateGraph):
            return value
    return None


def _literal_ends(path: Any) -> Ends | None:
    hint = returns(path)
    return {end: end for end in get_args(hint)} if get_origin(hint) is Literal else None


def _command_ends(action: Any) -> Mapping[str, str] | None:
    hint = returns(action)
    if get_origin(hint) is Command and (arguments := get_args(hint)) and get_origin(arguments[0]) is Literal:
        return dict.fromkeys(get_args(arguments[0]), "")
    return None
