"""Two agents of langchain's ``create_agent``: a planner, and a scout that the planner asks by a tool.

A person approves, edits or rejects every booking before it is made.
"""

from langchain.agents import create_agent
from langchain.agents.middleware import HumanInTheLoopMiddleware
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langgraph.config import get_stream_writer

from travel_desk.model import chat_model


@tool
async def read_reviews(city: str) -> str:
    """Read what travellers write about a city."""
    get_stream_writer()({"reading reviews of": city})
    return f"People love {city}."


scout = create_agent(
    chat_model("scout"),
    [read_reviews],
    system_prompt="Say in two sentences what a city is like. Read its reviews first.",
    name="scout",
)


@tool
async def find_trains(city: str) -> str:
    """Find trains to a city."""
    get_stream_writer()({"looking for trains to": city})
    return f"A train to {city} leaves at nine"


@tool
async def ask_scout(city: str) -> str:
    """Ask the scout what a city is like."""
    answer = await scout.ainvoke({"messages": [HumanMessage(f"Tell me about {city}")]})
    text: str = answer["messages"][-1].text
    return text


@tool
async def book(city: str) -> str:
    """Book the train to a city."""
    get_stream_writer()({"booking": city})
    return f"The train to {city} is booked"


planner = create_agent(
    chat_model("planner"),
    [find_trains, ask_scout, book],
    system_prompt="Plan a trip: find a train, ask the scout, book the train, in this order.",
    middleware=[HumanInTheLoopMiddleware({"book": True})],
    name="planner",
)
