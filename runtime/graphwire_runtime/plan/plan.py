"""A graph as its runs read it: everything that can be known before a run, worked out once.

Made by `graph` when a graph is compiled, and never changed afterwards, so that any number of runs share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphwire_runtime.managed import Managed
from graphwire_runtime.plan.call import Call
from graphwire_runtime.plan.channels import Channel
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from graphwire_runtime.plan.schema import Schema

__all__ = ["Join", "NodePlan", "Plan", "RouterPlan"]

View = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class Join:
    """A list-edge: `target` runs once all of `sources` have run since it last did."""

    trigger: str
    sources: frozenset[str]
    target: str


@dataclass(frozen=True, slots=True)
class RouterPlan:
    """A conditional edge: what is called with which view, and which node each answer stands for.

    `ends` None: answers are nodes' names themselves.
    """

    name: str
    call: Call
    view: View
    strict: bool
    """Whether it sees just what its own schema names, and not also whatever else its node wrote."""
    ends: Mapping[Any, str] | None


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
    """Every channel that can make it run, in order."""
    subgraph: Any
    """The compiled graph that it runs, as far as that can be seen, or None."""
    retries: tuple[RetryPolicy, ...]
    timeout: TimeoutPolicy | None
    """How long one run of it may take; its limits are in seconds."""
    handler: NodePlan | None
    """What runs in its place once it has failed."""
    tracing: TracePolicy | None
    cache: CachePolicy | None
    cache_namespace: tuple[str, ...]
    """Where its results are in a cache: under what it calls and its own name."""
    threaded: bool
    """Whether anything in it blocks: then it runs in a thread when the run is asynchronous."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One graph."""

    name: str
    nodes: Mapping[str, NodePlan]
    start: NodePlan
    channels: Mapping[str, Channel]
    state: Schema
    input: Schema
    output: Schema
    context: type[Any] | None
    joins: Mapping[str, Join]
    """Every list-edge by its trigger."""
    keys: tuple[str, ...]
    """Every state key in schema order, private ones last."""
    output_keys: tuple[str, ...]
    managed: Mapping[str, Managed]
    """The keys that are worked out when a node starts."""
