"""The graph that is served: the planner is one of its nodes. It runs on graphwire's runtime.

With ``from langgraph.graph import ...`` in place of the import below it runs on LangGraph, and nothing else
changes.
"""

from graphwire_runtime import START, MessagesState, StateGraph

from travel_desk.agents import planner


class Trip(MessagesState, total=False):
    """The conversation, and how many messages it has."""

    length: int


def note(state: Trip) -> dict[str, int]:
    """Note how long the conversation is."""
    return {"length": len(state["messages"])}


graph = (
    StateGraph(Trip)
    .add_node("planner", planner)
    .add_node(note)
    .add_edge(START, "planner")
    .add_edge("planner", "note")
    .compile(name="trip")
)
