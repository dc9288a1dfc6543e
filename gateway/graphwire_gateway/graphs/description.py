"""What clients learn about a graph from a list: its schemas, nodes, edges, subgraphs and modes."""

from collections.abc import Callable
from typing import Any

from graphwire_protocol.replies import GraphRow
from graphwire_protocol.types import STREAM_MODES
from graphwire_runtime.plan.json_schema import json_schema_of

from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.subgraphs import edges_of, nodes_of, subgraphs_of


def row_of(entry: Entry) -> GraphRow:
    """Describe a graph as a row of a list. Call it on the graph's loop, before any run."""
    graph: Any = entry.graph
    modes = [mode for mode in STREAM_MODES if mode != "checkpoints" or entry.takes_threads]
    return GraphRow(
        name=entry.name,
        description=entry.description or _own_description(graph),
        input_schema=_schema(graph, graph.get_input_jsonschema, "input_schema"),
        output_schema=_schema(graph, graph.get_output_jsonschema, "output_schema"),
        output_keys=_output_keys(graph),
        context_schema=_schema(graph, graph.get_context_jsonschema, "context_schema"),
        nodes=nodes_of(graph),
        edges=edges_of(entry.name, graph),
        subgraphs=subgraphs_of(entry.name, graph),
        modes=tuple(modes),
    )


def _output_keys(graph: Any) -> str | tuple[str, ...]:
    keys = graph.output_channels
    return keys if isinstance(keys, str) else tuple(keys)


def _schema(graph: Any, json_schema: Callable[[], Any], declared: str) -> dict[str, Any] | None:
    # A state may hold types that have no JSON schema; its graph is served all the same. Before Python 3.12
    # LangGraph returns no schema for a typing.TypedDict, so the declared class is tried as well.
    try:
        schema = json_schema()
    except BaseException:
        cls = getattr(getattr(graph, "builder", None), declared, None)
        if cls is None:
            return None
        try:
            schema = json_schema_of(cls)
        except BaseException:
            return None
    return schema if isinstance(schema, dict) else None


def _own_description(graph: Any) -> str | None:
    text = getattr(graph, "description", None)
    return text if isinstance(text, str) and text else None
