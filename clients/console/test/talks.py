"""Graphs for the tests of the chat: one without threads, and one that asks for a number."""

from typing import Any

from graphwire_conformance.graphs import FixedModel
from graphwire_runtime import END, START, MessagesState, StateGraph, interrupt
from langchain_core.messages import AIMessage


async def echo(state: MessagesState) -> dict[str, Any]:
    """Say how many messages it has heard."""
    words = ["I ", "heard ", str(len(state["messages"]))]
    return {"messages": [await FixedModel(words=words).ainvoke("?")]}


async def ask(state: MessagesState) -> dict[str, Any]:
    """Ask for an age, which is a number."""
    schema = {"type": "integer", "minimum": 0, "title": "Age"}
    age = interrupt("How old are you?", response_schema=schema)
    return {"messages": [AIMessage(f"So you are {age}.")]}


_alone = StateGraph(MessagesState).add_node("echo", echo)
alone = _alone.add_edge(START, "echo").add_edge("echo", END).compile(checkpointer=False)

_picky = StateGraph(MessagesState).add_node("ask", ask)
picky = _picky.add_edge(START, "ask").add_edge("ask", END).compile()
