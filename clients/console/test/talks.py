"""Graphs for the tests of the chat: one without threads, one that asks for a number, one with a subagent."""

import asyncio
from typing import Any

from graphwire_conformance.graphs import FixedModel
from graphwire_runtime import END, START, MessagesState, StateGraph, StreamWriter, interrupt
from langchain_core.messages import AIMessage
from typing_extensions import TypedDict


async def echo(state: MessagesState) -> dict[str, Any]:
    """Say how many messages it has heard."""
    words = ["I ", "heard ", str(len(state["messages"]))]
    return {"messages": [await FixedModel(words=words).ainvoke("?")]}


async def ask(state: MessagesState) -> dict[str, Any]:
    """Ask for an age, which is a number."""
    schema = {"type": "integer", "minimum": 0, "title": "Age"}
    age = interrupt("How old are you?", response_schema=schema)
    return {"messages": [AIMessage(f"So you are {age}.")]}


class Notes(TypedDict, total=False):
    """What the subagent found; no part of the conversation."""

    found: str


class Team(MessagesState, Notes):
    """A conversation, and what the subagent found."""


async def look(state: Notes, writer: StreamWriter) -> Notes:
    """Look something up at the pace of a model, and say how far it is."""
    for done in range(20):
        writer({"done": done, "total": 20})
        await asyncio.sleep(0.1)
    reply = await FixedModel(words=["deep ", "in ", "the ", "archive"]).ainvoke("?")
    return {"found": str(reply.content)}


async def answer(state: Team) -> dict[str, Any]:
    """Answer."""
    return {"messages": [await FixedModel(words=["That ", "is ", "it."]).ainvoke("?")]}


_alone = StateGraph(MessagesState).add_node("echo", echo)
alone = _alone.add_edge(START, "echo").add_edge("echo", END).compile(checkpointer=False)

_picky = StateGraph(MessagesState).add_node("ask", ask)
picky = _picky.add_edge(START, "ask").add_edge("ask", END).compile()

_scout = StateGraph(Notes).add_node("look", look)
_team = StateGraph(Team, input_schema=MessagesState)
_team.add_node("scout", _scout.add_edge(START, "look").add_edge("look", END).compile())
_team.add_node("answer", answer).add_edge(START, "scout").add_edge("scout", "answer")
team = _team.add_edge("answer", END).compile()
