"""`Servable`: what a server needs of a graph.

It is a structural type without behaviour. `CompiledStateGraph` satisfies it, this package's and LangGraph's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.graph import Graph

__all__ = ["RETRIES", "Durability", "Servable", "StreamMode"]

StreamMode = Literal["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]
"""What a stream shows. A list asks for several."""

RETRIES = "retries"
"""A mode of this runtime for servers, which ask for it by name: `{id, name, checkpoint_ns}` of each task that
begins again because its attempt failed, or that of a task around it. What the failed attempt streamed is
void. LangGraph yields nothing for it.
"""

Durability = Literal["sync", "async", "exit"]
"""When checkpoints are written: before the next superstep, during it, or once at the end of the run."""


@runtime_checkable
class Servable(Protocol):
    """A compiled graph that can be streamed and described.

    `isinstance` checks only that the attributes exist; the signatures are for type checkers.
    """

    @property
    def name(self) -> str:
        """The graph's name, as tracers show it."""

    @property
    def checkpointer(self) -> Any:
        """The saver of its threads; `True` for that of the surrounding graph, `False` or None for none."""

    @property
    def output_channels(self) -> str | Sequence[str]:
        """The state keys of the output schema; a bare string if the output is one value."""

    @property
    def nodes(self) -> Mapping[str, Any]:
        """The nodes by name. Names that start with two underscores belong to the runtime."""

    def astream(
        self,
        input: Any,
        config: RunnableConfig | None = None,
        *,
        context: Any = None,
        stream_mode: StreamMode | Sequence[StreamMode] | None = None,
        output_keys: str | Sequence[str] | None = None,
        interrupt_before: Literal["*"] | Sequence[str] | None = None,
        interrupt_after: Literal["*"] | Sequence[str] | None = None,
        durability: Durability | None = None,
        subgraphs: bool = False,
    ) -> AsyncIterator[Any]:
        """Run the graph and yield what the modes ask for.

        With a **list** of modes an item is `(mode, chunk)`, with `subgraphs=True` `(namespace, mode, chunk)`.
        Nothing runs before the first item is asked for. The iterator raises a node's exception unchanged.
        """

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """The drawing of the graph; `xray` opens subgraphs: True for all levels, an int for that many."""

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the input."""

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the output."""

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """The JSON schema of `context`, None if the graph declares none."""
