"""A small research task: a subgraph reads, the graph writes. A factory builds it from a run's config."""

from operator import add
from typing import Annotated, Any

from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.types import StreamWriter
from typing_extensions import TypedDict


class Research(TypedDict, total=False):
    """A topic, the notes about it, and the report."""

    topic: str
    notes: Annotated[list[str], add]
    report: str


def make_graph(config: RunnableConfig) -> Any:
    """Return a graph that reads ``configurable.sources`` sources, two by default."""
    sources = int(config.get("configurable", {}).get("sources", 2))

    async def read(state: Research, writer: StreamWriter) -> Research:
        notes = []
        for number in range(1, sources + 1):
            writer({"reading": number, "of": sources})
            notes.append(f"source {number} on {state['topic']}")
        return {"notes": notes}

    reader = StateGraph(Research).add_node(read).add_edge(START, "read").compile(name="reader")
    return (
        StateGraph(Research)
        .add_node("reader", reader)
        .add_node("write", write)
        .add_edge(START, "reader")
        .add_edge("reader", "write")
        .compile(name="research")
    )


async def write(state: Research) -> Research:
    """Write the report."""
    return {"report": f"On {state['topic']}: " + "; ".join(state["notes"])}
