"""`Workflow`: the compiled graph of an `entrypoint`, as it describes itself. It runs as any other graph."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic

from langchain_core.runnables import RunnableConfig
from pydantic import RootModel, create_model

from graphwire_runtime.compiled import CompiledStateGraph
from graphwire_runtime.plan.drawing import Sketch
from graphwire_runtime.plan.plan import NodePlan, Plan
from graphwire_runtime.types import Context

__all__ = ["Workflow"]


class Workflow(CompiledStateGraph[Any, Context, Any, Any], Generic[Context]):
    """The graph of one function. Its values are what the function returns, not a mapping of keys.

    Args:
        plan: the graph.
        sketch: what it is drawn from.
        input_type: the annotation of the function's first parameter.
        output_type: the annotation of what it returns.
        settings: see `CompiledStateGraph`.
    """

    def __init__(
        self, plan: Plan, sketch: Sketch, input_type: Any, output_type: Any, **settings: Any
    ) -> None:
        super().__init__(plan, sketch, **settings)
        self._input_type = input_type
        self._output_type = output_type

    @property
    def InputType(self) -> Any:
        """The annotation of the function's first parameter."""
        return self._input_type

    @property
    def OutputType(self) -> Any:
        """The annotation of what the function returns."""
        return self._output_type

    @property
    def nodes(self) -> Mapping[str, NodePlan]:
        """The one node, by its name."""
        return self.plan.nodes

    @property
    def output_channels(self) -> str:
        """The key of what the function returns."""
        assert isinstance(self.plan.output_keys, str)
        return self.plan.output_keys

    @property
    def stream_channels(self) -> str:
        """The same: streams show that value."""
        return self.output_channels

    def get_input_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of the input."""
        return _schema_of(self._input_type, f"{self.name}Input")

    def get_output_jsonschema(self, config: RunnableConfig | None = None) -> dict[str, Any]:
        """The JSON schema of what the function returns."""
        return _schema_of(self._output_type, f"{self.name}Output")


def _schema_of(annotation: Any, title: str) -> dict[str, Any]:
    """The JSON schema of an annotation, under this title if it has none of its own."""
    try:
        model: type[RootModel[Any]] = create_model(title, __base__=RootModel[annotation])
        return dict(model.model_json_schema())
    except Exception:  # an annotation that pydantic cannot describe, or that does not resolve
        return {"title": title}
