"""`DescribedGraph`: what a graph is, without running it: nodes, keys, schemas, drawing, subgraphs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.graph import Graph
from pydantic import BaseModel, create_model
from typing_extensions import Self

from graphwire_runtime.plan.channels import Channel
from graphwire_runtime.plan.drawing import Sketch
from graphwire_runtime.plan.json_schema import fields_model, json_schema, json_schema_of, readable, root_model
from graphwire_runtime.plan.plan import NodePlan, Plan
from graphwire_runtime.plan.policies import CachePolicy, RetryPolicy
from graphwire_runtime.types import START

__all__ = ["DescribedGraph"]


class DescribedGraph(Runnable[Any, Any]):
    """The part of a compiled graph that describes it.

    Args:
        plan: the graph.
        sketch: what it is drawn from.
    """

    interrupt_before_nodes: str | Sequence[str] = ()
    interrupt_after_nodes: str | Sequence[str] = ()

    def __init__(self, plan: Plan, sketch: Sketch) -> None:
        self.plan = plan
        self._sketch = sketch

    @property
    def name(self) -> str:
        """What tracers and servers call the graph."""
        return self.plan.name

    @name.setter
    def name(self, name: str) -> None:
        self.plan = replace(self.plan, name=name)

    @property
    def context_schema(self) -> type[Any] | None:
        """The class of `context`, None if the graph declares none."""
        return self.plan.context

    @property
    def nodes(self) -> Mapping[str, NodePlan]:
        """The nodes by name, including START."""
        return {START: self.plan.start, **self.plan.nodes}

    @property
    def output_channels(self) -> str | list[str]:
        """The keys that `invoke` returns; a bare name if the output is one value."""
        keys = self.plan.output_keys
        return keys if isinstance(keys, str) else list(keys)

    @property
    def stream_channels(self) -> str | list[str]:
        """The keys that streams show by default: all keys of the state, or the bare name of its one value."""
        keys = self.plan.keys
        return keys if isinstance(keys, str) else list(keys)

    @property
    def input_channels(self) -> str:
        """The key that an input waits at until the graph starts."""
        return START

    @property
    def channels(self) -> Mapping[str, Channel]:
        """The rules of the state's keys, by key."""
        return self.plan.channels

    @property
    def stream_channels_asis(self) -> str | list[str]:
        """The same as `stream_channels`."""
        return self.stream_channels

    @property
    def stream_channels_list(self) -> list[str]:
        """The same as `stream_channels`, in a list in any case."""
        keys = self.stream_channels
        return [keys] if isinstance(keys, str) else keys

    @property
    def retry_policy(self) -> tuple[RetryPolicy, ...]:
        """The retry policies of tasks that have none of their own."""
        return self.plan.retries

    @property
    def cache_policy(self) -> CachePolicy | None:
        """The cache policy of such tasks."""
        return self.plan.cache

    @property
    def InputType(self) -> Any:
        """The class of the input."""
        return self.plan.input.cls

    @property
    def OutputType(self) -> Any:
        """The type of an output that is one value; None of an output of several keys."""
        return self.plan.output.cls if self.plan.output.rooted else None

    def get_input_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """A pydantic model of the input."""
        return root_model(self.InputType, self.get_name("Input"))

    def get_output_schema(self, config: RunnableConfig | None = None) -> type[BaseModel]:
        """A pydantic model of the output."""
        title = self.get_name("Output")
        kind = self.OutputType
        return fields_model(self.plan.output, title) if kind is None else root_model(kind, title)

    def config_schema(self, *, include: Sequence[str] | None = None) -> type[BaseModel]:
        """A pydantic model of the config: its `configurable` is the context. See `get_context_jsonschema`."""
        base = super().config_schema(include=include)
        if self.plan.context is None:
            return base
        return create_model(base.__name__, __base__=base, configurable=(readable(self.plan.context), None))

    def get_name(self, suffix: str | None = None, *, name: str | None = None) -> str:
        """The graph's name or `name`, with the suffix if one is given."""
        name = name or self.name
        return (
            f"{name}{suffix}"
            if suffix and name[0].isupper()
            else f"{name}_{suffix.lower()}"
            if suffix
            else name
        )

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """The drawing of the graph. `xray` opens graphs in it: True for all levels, an int for that many."""
        deeper = xray if isinstance(xray, bool) or xray <= 0 else xray - 1
        inner = self.get_subgraphs() if xray else ()
        opened = {name: graph.get_graph(config, xray=deeper) for name, graph in inner}
        return self._sketch.graph(opened, self.interrupt_before_nodes, self.interrupt_after_nodes)

    async def aget_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """The same as `get_graph`."""
        return self.get_graph(config, xray=xray)

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the input."""
        return json_schema(self.plan.input, self.get_name("Input"))

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the output."""
        return json_schema(self.plan.output, self.get_name("Output"))

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """The JSON schema of `context`, None if the graph declares none."""
        return None if self.plan.context is None else json_schema_of(self.plan.context)

    def get_subgraphs(
        self, *, namespace: str | None = None, recurse: bool = False
    ) -> Iterator[tuple[str, Self]]:
        """The graphs that are nodes of this one, each with its namespace: node names joined by "|".

        Args:
            namespace: yield only the graph with this namespace.
            recurse: also yield the graphs inside those.
        """
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
    ) -> AsyncIterator[tuple[str, Self]]:
        """The same as `get_subgraphs`."""
        for item in self.get_subgraphs(namespace=namespace, recurse=recurse):
            yield item
