"""A chat for the tests of following: the text of a message says how its answer goes.

`hold` waits until its run is cancelled, `ask` asks, `fail` fails, `long` is answered with many
words, and all others with fewer.
"""

import asyncio
import os
from contextlib import AbstractAsyncContextManager
from typing import Any

from graphwire_conformance.graphs import FixedModel
from graphwire_runtime import END, START, MessagesState, StateGraph, get_stream_writer, interrupt
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


async def think(state: MessagesState) -> dict[str, Any]:
    """Say that it thinks."""
    get_stream_writer()({"thinking": True})
    return {"messages": [await FixedModel(words=["well ", "now"]).ainvoke("?")]}


async def answer(state: MessagesState) -> dict[str, Any]:
    """Answer the last message of a person as its text asks."""
    said = next(m.content for m in reversed(state["messages"]) if m.type == "human")
    reply = interrupt("sure?") if said.startswith("ask") else "yes"
    if said.startswith("fail"):
        raise ValueError(said)
    if said.startswith("hold"):
        await FixedModel(words=["I ", "hold "]).ainvoke("?")
        await asyncio.Event().wait()
    words = [f"{number} " for number in range(100 if said.startswith("long") else 20)]
    return {"messages": [await FixedModel(words=["I ", "say ", f"{reply} ", *words]).ainvoke("?")]}


graph = StateGraph(MessagesState).add_node("think", think).add_node("answer", answer)
graph.add_edge(START, "think").add_edge("think", "answer").add_edge("answer", END)
chat = graph.compile()


def saver() -> AbstractAsyncContextManager[AsyncSqliteSaver]:
    """Keep threads in the file that the environment names."""
    return AsyncSqliteSaver.from_conn_string(os.environ["CHAT_DB"])
