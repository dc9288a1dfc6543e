"""`Plan`: a graph as its runs read it, with everything that can be known before a run.

`spec` makes it when a graph is compiled. It never changes afterwards, so any number of runs share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Signature
from typing import Any

from graphwire_runtime.errors import InvalidUpdateError
from graphwire_runtime.foreign.words import ours
from graphwire_runtime.managed import Managed
from graphwire_runtime.plan.call import Call
from graphwire_runtime.plan.channels import Channel
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from graphwire_runtime.plan.schema import Pairs, Schema, shown
from graphwire_runtime.types import END, Send

__all__ = ["DEFAULT_NAME", "Join", "NodePlan", "Plan", "RouterPlan"]

DEFAULT_NAME = "LangGraph"
"""The name of a graph that its author gave none, for tracers: the one that LangGraph gives it."""

View = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Join:
    """An edge from several nodes: `target` runs once all `sources` have run since it last ran."""

    trigger: str
    sources: frozenset[str]
    target: str


@dataclass(frozen=True, slots=True)
class RouterPlan:
    """A conditional edge: what is called with which view of the state, and where each answer leads."""

    name: str
    call: Call
    view: View
    strict: bool
    """Whether it sees only the keys of its own schema, and not also the other keys that its node wrote."""
    ends: Mapping[Any, str] | None
    """The node (or END) that each answer stands for; None if an answer is the name of a node itself."""

    def targets(self, node: str, answer: Any) -> list[Any]:
        """The names of nodes, ENDs and Sends that an answer of the router stands for.

        Args:
            node: the name of the node that the router follows, for the errors.
            answer: what the router returned.

        Raises ValueError for None, KeyError for an answer that is not in the path_map, InvalidUpdateError for
        a Send to END.
        """
        ends = self.ends
        if ends is None and type(answer) is str:  # by far the most common answer
            return [answer]
        targets: list[Any] = []
        for item in answer if isinstance(answer, (list, tuple)) else (answer,):
            if item is None:
                raise ValueError(
                    f"router {self.name!r} of node {node!r} returned {shown(answer)}; expected the name of a "
                    "node, END, a Send, or a list of them"
                )
            if type(item) is not str and isinstance(item := ours(item), Send):
                if item.node == END:
                    raise InvalidUpdateError(
                        f"router {self.name!r} of node {node!r} sends {shown(item.arg)} to END, which runs "
                        "nothing"
                    )
                targets.append(item)
            elif ends is None:
                targets.append(item)
            elif item in ends:
                targets.append(ends[item])
            else:
                raise KeyError(
                    f"router {self.name!r} of node {node!r} answered {item!r}; its path_map knows "
                    f"{', '.join(map(repr, ends))}"
                )
        return targets


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: what is called with which view of the state, and what follows it."""

    name: str
    call: Call
    view: View
    trigger: str
    path: tuple[str, ...]
    edges: tuple[str, ...]
    joins: tuple[Join, ...]
    routers: tuple[RouterPlan, ...]
    metadata: Mapping[str, Any] | None
    defer: bool
    triggers: tuple[str, ...]
    """The channels that can make it run, sorted."""
    subgraph: Any
    """The compiled graph that it runs, None if it runs none or that cannot be seen from its function."""
    retries: tuple[RetryPolicy, ...]
    timeout: TimeoutPolicy | None
    """How long one attempt to run it may take; the limits are in seconds."""
    handler: NodePlan | None
    """The error handler that runs in its place once it has failed for good, None if there is none."""
    tracing: TracePolicy | None
    cache: CachePolicy | None
    cache_namespace: tuple[str, ...]
    """The cache's namespace for its results: the function that it calls and its own name."""
    rooted: bool
    """Whether its input is the state's one value, without which it does not run."""
    threaded: bool
    """Whether it and its routers have no async form, so that they run in a thread in an asynchronous run."""
    writes: Callable[[Any], Pairs] | None = None
    """Makes the writes of what it returned; None if that is an update of the state."""
    signature: Signature | None = None
    """The signature of a function that tasks call; None for a node."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One graph, compiled."""

    name: str
    nodes: Mapping[str, NodePlan]
    start: NodePlan
    channels: Mapping[str, Channel]
    state: Schema
    input: Schema
    output: Schema
    context: type[Any] | None
    joins: Mapping[str, Join]
    """The joins by their triggers."""
    keys: str | tuple[str, ...]
    """All state keys in the order of the schema; keys that only some nodes have come last.

    One name, not in a tuple, is the key of a graph of one value, which is then shown bare; it is ROOT if the
    state is one value.
    """
    output_keys: str | tuple[str, ...]
    """The keys of the output schema; a bare ROOT if the output is one value."""
    rooted: bool
    """Whether the state is one value, so that whatever a node returns is written to it."""
    fading: tuple[str, ...]
    """The keys that lose their values in a superstep that does not write to them."""
    untracked: frozenset[str]
    """The keys whose values are not saved."""
    managed: Mapping[str, Managed]
    """The keys whose values are computed when a node starts."""
    messages: frozenset[str]
    """The keys that hold chat messages with ids."""
    entry: NodePlan | None = None
    """The node that runs with the input itself; None if the input is written to the state first."""
    retries: tuple[RetryPolicy, ...] = ()
    """The retry policies of tasks that are called and have none of their own."""
    cache: CachePolicy | None = None
    """The cache policy of such tasks."""

    @property
    def title(self) -> str:
        """How messages call the graph: by the name that its author gave it, if there is one."""
        return "the graph" if self.name == DEFAULT_NAME else f"graph {self.name!r}"
