"""What a server may ask of a graph, whoever compiled it.

One structural type, `Servable`: this package's `CompiledStateGraph` satisfies it and so does LangGraph's.
It holds no behaviour; running, streaming and describing are left to the graph behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal, Protocol, runtime_checkable

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.graph import Graph

__all__ = ["Durability", "Servable", "StreamMode"]

StreamMode = Literal["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]
"""What a stream may show; several are asked for with a list."""

Durability = Literal["sync", "async", "exit"]
"""When checkpoints are written: before the next step, beside it, or once at the end."""


@runtime_checkable
class Servable(Protocol):
    """A compiled graph that can be streamed and described.

    `isinstance` looks only at the names; the signatures are for the type checker.
    """

    @property
    def name(self) -> str:
        """The graph's name, as tracers show it."""

    @property
    def checkpointer(self) -> Any:
        """What keeps the graph's threads: a saver, `True` (the parent's), `False` or None (nothing)."""

    @property
    def output_channels(self) -> str | Sequence[str]:
        """The state keys of the output schema; a bare string where the whole output is one value."""

    @property
    def nodes(self) -> Mapping[str, Any]:
        """The nodes by name. Names that start with two underscores are the runtime's own."""

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
        Nothing runs before the first item is asked for. A node's exception leaves the iterator as it is.
        """

    def get_graph(self, config: RunnableConfig | None = None, *, xray: int | bool = False) -> Graph:
        """The drawing of the graph; `xray` opens subgraphs, an int as many levels deep."""

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the input."""

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the output."""

    def get_context_jsonschema(self) -> dict[str, Any] | None:
        """The JSON schema of `context`, or None where the graph declares none."""
