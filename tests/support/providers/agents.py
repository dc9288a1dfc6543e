"""Agents of a real provider's model: LangChain's, one that asks before it acts, and a newsroom of three.

What the model says to each is in ``SCRIPT``, chosen by the last message that it is asked with.
"""

from typing import Any, TypedDict

from langchain_core.messages import ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.types import interrupt

from tests.support.graphs import Library
from tests.support.providers.graphs import gpt
from tests.support.providers.script import Call, Say

PLAN = ("Let ", "research ", "begin. ")
LOOK = ("I ", "look ", "it up. ")
DIGEST = ("Rain ", "is ", "water. ")
FIND = ("It ", "rains ", "daily. ")
GO_ON = ("Now ", "write. ")
TALE = ("A ", "rainy ", "tale.")

SCRIPT = {
    # the newsroom
    "Findings: none": Say(PLAN, (Call("to_researcher"),)),
    "Findings: It rains": Say(GO_ON, (Call("to_writer"),)),
    "Research rain": Say(LOOK, (Call("archive", {"query": "rain"}),)),
    "Summarize rain": Say(DIGEST),
    "Rain is water": Say(FIND),
    "Write about rain": Say(TALE),
    # the agents
    "weather in Oslo": Say(("Let me ", "see. "), (Call("forecast", {"place": "Oslo"}),)),
    "Snow in Oslo": Say(("It ", "snows.")),
    "weather of two": Say((), (Call("forecast", {"place": "Oslo"}), Call("forecast", {"place": "Bergen"}))),
    "Snow in Bergen": Say(("It ", "snows ", "in both.")),
    "Ask an expert": Say(("I ", "ask. "), (Call("expert", {"question": "weather in Oslo"}),)),
    "It snows.": Say(("The expert ", "says snow.")),
    "Wipe the disk": Say(("As ", "you wish. "), (Call("wipe", {"disk": "sda"}),)),
    "sda is wiped": Say(("It ", "is done.")),
    "declined": Say(("Then ", "not.")),
}


def weather_agent(url: str) -> Any:
    """LangChain's agent with a tool that tells how far it is."""

    @tool
    async def forecast(place: str) -> str:
        """Tell the weather of a place."""
        writer = get_stream_writer()
        writer({"asking": place})
        writer({"asked": place})
        return f"Snow in {place}"

    from langchain.agents import create_agent

    return create_agent(gpt(url), [forecast], system_prompt="You tell the weather.", name="weather")


def asking_agent(url: str) -> Any:
    """An agent whose tool is another agent."""
    inner = weather_agent(url)

    @tool
    async def expert(question: str) -> str:
        """Ask an expert."""
        answer = await inner.ainvoke({"messages": [{"role": "user", "content": question}]})
        return str(answer["messages"][-1].text)

    from langchain.agents import create_agent

    return create_agent(gpt(url, tags=["outer"]), [expert], name="asking")


def careful_agent(url: str, wiped: list[str]) -> Any:
    """An agent whose tool asks a human before it acts; ``wiped`` gets what was done."""

    @tool
    async def wipe(disk: str) -> str:
        """Wipe a disk."""
        if interrupt({"question": "May I?", "action": "wipe", "disk": disk}) != "yes":
            return "The human declined."
        wiped.append(disk)
        return f"{disk} is wiped"

    from langchain.agents import create_agent

    return create_agent(gpt(url), [wipe], checkpointer=InMemorySaver(), name="careful")


class Report(TypedDict, total=False):
    topic: str
    findings: str
    next: str
    text: str


class Findings(TypedDict, total=False):
    findings: str


class Research(Findings, total=False):
    topic: str
    asked: Any
    digest: str


@tool
def to_researcher() -> None:
    """Give the topic to the researcher."""


@tool
def to_writer() -> None:
    """Give the findings to the writer."""


@tool
def archive(query: str) -> None:
    """Look something up in the archive."""


def newsroom(lib: Library, url: str) -> Any:
    """A supervisor, a researcher (a subgraph, whose tools are one, too) and a writer.

    The models' calls are tagged ``plan``, ``research``, ``digest`` and ``draft``.
    """
    plans = gpt(url, tags=["plan"]).bind_tools([to_researcher, to_writer])
    drafts = gpt(url, tags=["draft"])

    async def supervisor(state: Report, config: RunnableConfig) -> Report:
        question = f"Report on {state['topic']}. Findings: {state.get('findings', 'none')}"
        answer = await plans.ainvoke(question, config)
        return {"next": answer.tool_calls[0]["name"].removeprefix("to_")}

    async def writer(state: Report, config: RunnableConfig) -> Report:
        answer = await drafts.ainvoke(f"Write about {state['topic']}: {state['findings']}", config)
        return {"text": str(answer.content)}

    graph = lib.StateGraph(Report).add_node(supervisor).add_node(writer)
    graph.add_node("researcher", _researcher(lib, url)).add_edge(lib.START, "supervisor")
    graph.add_conditional_edges("supervisor", lambda state: state["next"], ["researcher", "writer"])
    return graph.add_edge("researcher", "supervisor").add_edge("writer", lib.END).compile()


def _researcher(lib: Library, url: str) -> Any:
    model = gpt(url, tags=["research"]).bind_tools([archive])

    async def think(state: Research, config: RunnableConfig) -> Research:
        messages: list[Any] = [("user", f"Research {state['topic']}")]
        if "digest" in state:
            (call,) = state["asked"].tool_calls
            messages += [state["asked"], ToolMessage(state["digest"], tool_call_id=call["id"])]
        answer = await model.ainvoke(messages, config)
        return {"asked": answer, "findings": str(answer.content)}

    graph = (
        lib.StateGraph(Research, output_schema=Findings).add_node(think).add_node("tools", _tools(lib, url))
    )
    graph.add_edge(lib.START, "think").add_edge("tools", "think")
    graph.add_conditional_edges(
        "think", lambda state: "tools" if state["asked"].tool_calls else lib.END, ["tools", lib.END]
    )
    return graph.compile()


class Archive(TypedDict, total=False):
    asked: Any
    digest: str


def _tools(lib: Library, url: str) -> Any:
    model = gpt(url, tags=["digest"])

    async def look_up(state: Archive, config: RunnableConfig) -> Archive:
        query = state["asked"].tool_calls[0]["args"]["query"]
        writer = lib.get_stream_writer()
        writer({"looking up": query})
        answer = await model.ainvoke(f"Summarize {query}", config)
        writer({"found": query})
        return {"digest": str(answer.content)}

    return lib.StateGraph(Archive).add_node(look_up).add_edge(lib.START, "look_up").compile()
