"""An agent with one tool that asks a person before it acts."""

from langchain_core.tools import tool
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import interrupt

from support_desk.model import chat_model


@tool
def refund(order: str) -> str:
    """Pay an order back."""
    decision = interrupt({"question": f"Refund order {order}?", "order": order})
    return f"order {order} is refunded" if decision == "yes" else f"order {order} is not refunded: {decision}"


model = chat_model().bind_tools([refund])


async def agent(state: MessagesState) -> MessagesState:
    """Call the tool, or answer."""
    return {"messages": [await model.ainvoke(state["messages"])]}


graph = (
    StateGraph(MessagesState)
    .add_node(agent)
    .add_node("tools", ToolNode([refund]))
    .add_edge(START, "agent")
    .add_conditional_edges("agent", tools_condition)
    .add_edge("tools", "agent")
    .compile(name="refund")
)
