"""`GraphParts`: what an author has put into a graph, and the plan and the sketch that are made from it.

`graph` fills it, and checks it before it asks for the plan (for runs) and the sketch (for drawings).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Literal, get_args, get_origin

from langchain_core.runnables import Runnable, RunnableLambda

from graphwire_runtime.compiled import CompiledStateGraph
from graphwire_runtime.foreign.words import known, twin
from graphwire_runtime.plan.call import Call, call_of, first_parameter, full_name_of, returns
from graphwire_runtime.plan.channels import Channel, Reduced
from graphwire_runtime.plan.drawing import DrawnEdge, DrawnNode, Sketch
from graphwire_runtime.plan.plan import Join, NodePlan, Plan, RouterPlan
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from graphwire_runtime.plan.reached import reached_by
from graphwire_runtime.plan.schema import ROOT, Schema, annotations_of, merged
from graphwire_runtime.step.task import PULL, PUSH
from graphwire_runtime.stream.messages import merges_messages
from graphwire_runtime.types import END, START, Command

__all__ = [
    "BranchSpec",
    "Exits",
    "GraphParts",
    "NodeSpec",
    "Policies",
    "command_ends",
    "literal_ends",
    "not_async",
    "policies_of",
    "subgraph_of",
]

Ends = Mapping[Any, str]


@dataclass(frozen=True, slots=True)
class Policies:
    """How a node runs; None for what was not set."""

    retries: tuple[RetryPolicy, ...] | None = None
    cache: CachePolicy | None = None
    timeout: TimeoutPolicy | None = None


@dataclass(slots=True)
class NodeSpec:
    """A node as it was added; see `StateGraph.add_node`."""

    action: Any
    call: Call
    schema: Schema
    metadata: Mapping[str, Any] | None
    defer: bool
    destinations: Mapping[str, str] | None
    policies: Policies
    handler: Any = None
    tracing: TracePolicy | None = None


@dataclass(slots=True)
class BranchSpec:
    """A conditional edge as it was added."""

    name: str
    call: Call
    schema: Schema | None
    ends: Ends | None


@dataclass(slots=True)
class Exits:
    """The edges and routers that follow a node, or START."""

    edges: list[str] = field(default_factory=list)
    routers: dict[str, BranchSpec] = field(default_factory=dict)


class GraphParts:
    """The parts of one graph; see `StateGraph` for the arguments."""

    def __init__(
        self, state: type[Any], context: type[Any] | None, input: type[Any], output: type[Any]
    ) -> None:
        self.state = state
        self.context = context
        self.input = input
        self.output = output
        self.schemas: dict[type[Any], Schema] = {}
        self.channels: dict[str, Channel] = {}
        for cls in (state, input, output):
            self.schema(cls)
        self.nodes: dict[str, NodeSpec] = {}
        self.exits: dict[str, Exits] = {START: Exits()}
        self.joins: list[tuple[tuple[str, ...], str]] = []
        self.policies = Policies()
        """The defaults of nodes."""
        self.handler: Any = None
        """The default error handler, None if there is none."""

    def schema(self, cls: type[Any]) -> Schema:
        """The schema of a class. Its keys become keys of the state."""
        if cls not in self.schemas:
            schema = self.schemas[cls] = Schema(cls)
            merged(self.channels, schema.channels.items())
        return self.schemas[cls]

    def schema_of_first(self, action: Any) -> Schema | None:
        """The schema in the annotation of a callable's first parameter, None if that is no schema."""
        hint = None if isinstance(action, Runnable) else first_parameter(action)
        return self.schema(hint) if hint is not None and annotations_of(hint) else None

    def plan(self, name: str) -> Plan:
        """The graph as its runs read it, under this name."""
        state = self.schema(self.state)
        nodes = {name: self._node_plan(name, node) for name, node in self.nodes.items()}
        output = self.schema(self.output)
        keys = (*state.keys, *(key for key in self.channels if key not in state.keys))
        managed = {key: each for schema in self.schemas.values() for key, each in schema.managed.items()}
        return Plan(
            name=name,
            nodes=nodes,
            start=self._start_plan(),
            channels={key: self.channels[key] for key in keys},
            state=state,
            input=self.schema(self.input),
            output=output,
            context=self.context,
            joins={join.trigger: join for join in self._all_joins()},
            keys=ROOT if keys == (ROOT,) else keys,
            output_keys=ROOT if output.keys == (ROOT,) else output.keys,
            rooted=keys == (ROOT,) and not managed,
            fading=tuple(key for key in keys if self.channels[key].fades),
            untracked=frozenset(key for key in keys if not self.channels[key].kept),
            managed=managed,
            messages=frozenset(key for key in keys if _merges_messages(self.channels[key])),
        )

    def sketch(self) -> Sketch:
        """What the drawing of the graph is made from."""
        edges: list[DrawnEdge] = []
        for source, exits in self.exits.items():
            edges += [DrawnEdge(source, end) for end in exits.edges]
            for router in exits.routers.values():
                ends = router.ends if router.ends is not None else {end: end for end in (*self.nodes, END)}
                edges += [DrawnEdge(source, end, True, str(label)) for label, end in ends.items()]
        for name, node in self.nodes.items():
            destinations = node.destinations or {}
            edges += [DrawnEdge(name, end, True, label or None) for end, label in destinations.items()]
        nodes = {name: DrawnNode(node.action, node.metadata, node.defer) for name, node in self.nodes.items()}
        return Sketch(nodes, edges, [join for join in self.joins if join[1] != END])

    # ---- within

    def _start_plan(self) -> NodePlan:
        call = Call(START, lambda state, _: None, None)
        node = NodeSpec(None, call, self.schema(self.state), None, False, None, Policies())
        return self._plan(START, node)

    def _node_plan(self, name: str, node: NodeSpec) -> NodePlan:
        own, default = node.policies, self.policies
        policies = Policies(
            default.retries if own.retries is None else own.retries,
            default.cache if own.cache is None else own.cache,
            default.timeout if own.timeout is None else own.timeout,
        )
        if policies.timeout is not None and node.call.coro is None:
            raise not_async(name)
        handler: NodePlan | None = None
        if node.handler is not None:
            handler = self._substitute_plan(f"__error_handler__{name}", node.handler, node.schema)
        elif self.handler is not None:
            handler = self._substitute_plan("__default_error_handler__", self.handler, node.schema)
        return self._plan(name, replace(node, policies=policies), handler)

    def _substitute_plan(self, name: str, action: Any, schema: Schema) -> NodePlan:
        call = call_of(action, name, handles=True)
        policies = Policies(self.policies.retries, None, self.policies.timeout if call.coro else None)
        node = NodeSpec(action, call, schema, None, False, None, policies)
        return replace(self._plan(name, node), triggers=(PUSH,))

    def _all_joins(self) -> list[Join]:
        return [
            Join(f"join:{'+'.join(sources)}:{target}", frozenset(sources), target)
            for sources, target in self.joins
            if target != END
        ]

    def _plan(self, name: str, node: NodeSpec, handler: NodePlan | None = None) -> NodePlan:
        call, schema, policies = node.call, node.schema, node.policies
        exits = self.exits.get(name) or Exits()
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
            subgraph=subgraph_of(node.action),
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
            rooted=schema.rooted,
            threaded=all(each.coro is None for each in calls),
        )


def _merges_messages(channel: Channel) -> bool:
    if not isinstance(channel, Reduced):
        return False
    theirs = known("graph.message", "add_messages")
    return merges_messages(channel.reduce) or (theirs is not None and _is_theirs(channel.reduce, theirs))


def _is_theirs(reducer: Any, add_messages: Any) -> bool:
    """Whether a reducer is LangGraph's `add_messages`, bare or with a format."""
    function = getattr(reducer, "func", reducer)  # with a format it is a partial of the function inside
    return function is add_messages or (
        getattr(function, "__name__", None) == "add_messages"
        and getattr(function, "__module__", None) == add_messages.__module__
    )


def policies_of(
    what: str,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None,
    cache_policy: CachePolicy | None,
    timeout: float | timedelta | TimeoutPolicy | None,
) -> Policies:
    """The policies that were given at `what`, which names the place for error messages.

    Raises TypeError for an object that is no cache policy, ValueError or TypeError for a wrong timeout.
    """
    cache_policy = twin(cache_policy, CachePolicy)
    if cache_policy is not None and not isinstance(cache_policy, CachePolicy):
        raise TypeError(f"the cache_policy of {what} must be a CachePolicy, got {cache_policy!r}")
    retries: tuple[RetryPolicy, ...] | None = None
    if retry_policy is not None:
        one = twin(retry_policy, RetryPolicy)
        several = (one,) if isinstance(one, RetryPolicy) else one
        retries = tuple(twin(policy, RetryPolicy) for policy in several)
    return Policies(retries, cache_policy, TimeoutPolicy.of(timeout))


def not_async(name: str) -> ValueError:
    """The error for a timeout of a node that is not async."""
    return ValueError(
        f"node {name!r} was given a timeout and is not async; a thread cannot be stopped from outside"
    )


def literal_ends(path: Any) -> Ends | None:
    """Where a router may lead, by its return type `Literal[...]`; None if it has none."""
    hint = returns(path)
    return {end: end for end in get_args(hint)} if get_origin(hint) is Literal else None


def command_ends(action: Any) -> Mapping[str, str] | None:
    """Where a node may jump to, by its return type `Command[Literal[...]]`; the labels are empty."""
    hint = returns(action)
    if (
        get_origin(hint) in (Command, known("types", "Command"))
        and (arguments := get_args(hint))
        and get_origin(arguments[0]) is Literal
    ):
        return dict.fromkeys(get_args(arguments[0]), "")
    return None


def subgraph_of(action: Any) -> Any:
    """The graph, of either library, that a node is or that its function refers to; None if there is none.

    A graph that keeps no thread (`checkpointer=False`) does not count.
    """
    theirs = known("pregel.protocol", "PregelProtocol")
    kinds: Any = CompiledStateGraph if theirs is None else (CompiledStateGraph, theirs)
    candidates = [action]
    for each in candidates:
        if isinstance(each, kinds):
            if getattr(each, "checkpointer", None) is not False:
                return each
        elif isinstance(each, RunnableLambda):
            candidates += each.deps
        elif isinstance(each, Runnable):
            steps = getattr(each, "steps", None)
            candidates += steps if isinstance(steps, list) else ()
            candidates += reached_by(getattr(each, "func", None) or getattr(each, "afunc", None))
        elif each is action:  # into the functions that this one calls nobody looks
            candidates += reached_by(each)
    return None
