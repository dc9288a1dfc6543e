"""What clients learn of a graph that is served: its schemas, its nodes and edges, its modes."""

from typing import Any

from graphwire_protocol.replies import Edge, GraphRow
from graphwire_protocol.types import STREAM_MODES
from graphwire_runtime.plan.schema import json_schema_of

from graphwire_gateway.graphs.entry import Entry


def row_of(entry: Entry) -> GraphRow:
    """Describe a graph as clients see it in a list of graphs. Runs on the graph's loop."""
    graph = entry.graph
    drawing = graph.get_graph()
    modes = [mode for mode in STREAM_MODES if mode != "checkpoints" or entry.takes_threads]
    return GraphRow(
        name=entry.name,
        description=entry.description or _description(graph),
        input_schema=_schema(graph, graph.get_input_jsonschema, "input_schema"),
        output_schema=_schema(graph, graph.get_output_jsonschema, "output_schema"),
        context_schema=_schema(graph, graph.get_context_jsonschema, "context_schema"),
        nodes=tuple(name for name in graph.nodes if not name.startswith("__")),
        edges=tuple(
            Edge(source=edge.source, target=edge.target, conditional=True if edge.conditional else None)
            for edge in drawing.edges
        ),
        modes=tuple(modes),
    )


def _schema(graph: Any, describe: Any, declared: str) -> dict[str, Any] | None:
    # A state may hold types that have no JSON schema; the graph can be served all the same. LangGraph gives
    # none for a typing.TypedDict before Python 3.12, so the class that was declared is asked itself.
    try:
        schema = describe()
    except Exception:
        cls = getattr(getattr(graph, "builder", None), declared, None)
        if cls is None:
            return None
        try:
            schema = json_schema_of(cls)
        except Exception:
            return None
    return schema if isinstance(schema, dict) else None


def _description(graph: Any) -> str | None:
    text = getattr(graph, "description", None)
    return text if isinstance(text, str) and text else None
