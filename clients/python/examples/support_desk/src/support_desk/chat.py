"""A chat. The server's checkpointer remembers each thread."""

import os

from langchain_core.messages import SystemMessage
from langgraph.graph import START, MessagesState, StateGraph

from support_desk.model import chat_model

model = chat_model()


async def answer(state: MessagesState) -> MessagesState:
    """Answer the last message; the model sees the earlier ones too."""
    system = SystemMessage(f"You are the support desk of {os.environ['DESK_NAME']}.")
    return {"messages": [await model.ainvoke([system, *state["messages"]])]}


graph = StateGraph(MessagesState).add_node(answer).add_edge(START, "answer").compile(name="chat")
