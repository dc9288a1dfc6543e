"""The graphs of the differential tests, each written once for either library, with a checkpointer."""

import asyncio
import importlib
import operator
from collections.abc import Callable
from types import SimpleNamespace
from typing import Annotated, Any

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.support.examples import ScriptedModel
from tests.support.graphs import Library, needs_context


def words(lib: Library) -> SimpleNamespace:
    """Return what authors take from a library beside its ``StateGraph``."""
    home = "langgraph.types" if lib.name == "langgraph" else "graphwire_runtime"
    types = importlib.import_module(home)
    messages = importlib.import_module("langgraph.graph" if lib.name == "langgraph" else home)
    return SimpleNamespace(
        Command=types.Command,
        Send=types.Send,
        interrupt=types.interrupt,
        TimeoutPolicy=types.TimeoutPolicy,
        add_messages=messages.add_messages,
    )


class Notes(TypedDict, total=False):
    """A state with a sum, a list, a text and something that is no output."""

    n: int
    log: Annotated[list[str], operator.add]
    answer: str


def everything(lib: Library) -> Any:
    """Two steps, a subgraph in a subgraph, and a word to each writer."""
    needs_context(lib)

    def begin(state: Notes) -> Notes:
        lib.get_stream_writer()({"begun": state.get("n", 0)})
        return {"n": state.get("n", 0) + 1, "log": ["begin"]}

    def deep(state: Notes) -> Notes:
        lib.get_stream_writer()("deep")
        return {"log": ["deep"]}

    def middle(state: Notes) -> Notes:
        return {"n": state.get("n", 0) * 10}

    def end(state: Notes) -> Notes:
        return {"answer": f"n is {state.get('n')}"}

    inmost = lib.StateGraph(Notes).add_node(deep).add_edge(lib.START, "deep").compile()
    inner = lib.StateGraph(Notes).add_node(middle).add_node("inmost", inmost)
    inner.add_edge(lib.START, "middle").add_edge("middle", "inmost")
    graph = lib.StateGraph(Notes).add_node(begin).add_node("inner", inner.compile()).add_node(end)
    graph.add_edge(lib.START, "begin").add_edge("begin", "inner").add_edge("inner", "end")
    return graph.compile(checkpointer=InMemorySaver())


class Chat(TypedDict):
    """Messages, added up as the library does."""

    messages: list[AnyMessage]


def chat(lib: Library) -> Any:
    """A model that streams, a whole message that a node returns, and a tool that writes."""
    needs_context(lib)
    add = words(lib).add_messages

    class Talk(TypedDict):
        messages: Annotated[list[AnyMessage], add]

    model = ScriptedModel(text="why did it melt", tags=["joke"])

    @tool
    def look_up(topic: str) -> str:
        """Look a topic up."""
        lib.get_stream_writer()({"looking": topic})
        return f"{topic} melts"

    def ask(state: Talk) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    def use(state: Talk) -> dict[str, Any]:
        return {"messages": [AIMessage(look_up.invoke({"topic": "ice"}), id="whole")]}

    graph = lib.StateGraph(Talk).add_node(ask).add_node(use)
    graph.add_edge(lib.START, "ask").add_edge("ask", "use")
    return graph.compile(checkpointer=InMemorySaver())


def hello() -> dict[str, Any]:
    """A chat's input."""
    return {"messages": [HumanMessage("ice cream?", id="question")]}


def fan_out(lib: Library) -> Any:
    """A router that sends three tasks to one node, and a node that joins them."""
    Send = words(lib).Send

    def plan(state: Notes) -> Notes:
        return {"log": ["plan"]}

    def route(state: Notes) -> Any:
        return [Send("work", {"n": number}) for number in range(3)]

    def work(state: Notes) -> Notes:
        return {"log": [f"work {state.get('n')}"]}

    def join(state: Notes) -> Notes:
        return {"answer": " ".join(state["log"])}

    graph = lib.StateGraph(Notes).add_node(plan).add_node(work).add_node(join)
    graph.add_edge(lib.START, "plan").add_conditional_edges("plan", route, ["work"]).add_edge("work", "join")
    return graph.compile(checkpointer=InMemorySaver())


def asking(lib: Library) -> Any:
    """A node that asks twice, between two that do not."""
    needs_context(lib)
    interrupt = words(lib).interrupt

    def before(state: Notes) -> Notes:
        return {"n": 1, "log": ["before"]}

    def ask(state: Notes) -> Notes:
        name = interrupt({"question": "name?"})
        age = interrupt({"question": f"age, {name}?"})
        return {"log": [f"{name} is {age}"]}

    def after(state: Notes) -> Notes:
        return {"answer": state["log"][-1]}

    graph = lib.StateGraph(Notes).add_node(before).add_node(ask).add_node(after)
    graph.add_edge(lib.START, "before").add_edge("before", "ask").add_edge("ask", "after")
    return graph.compile(checkpointer=InMemorySaver())


def asking_together(lib: Library) -> Any:
    """Two nodes of one step that both ask, and one that does not."""
    needs_context(lib)
    interrupt = words(lib).interrupt

    def left(state: Notes) -> Notes:
        return {"log": [f"left {interrupt('left?')}"]}

    def right(state: Notes) -> Notes:
        return {"log": [f"right {interrupt('right?')}"]}

    def quiet(state: Notes) -> Notes:
        return {"log": ["quiet"]}

    def join(state: Notes) -> Notes:
        return {"answer": ", ".join(state["log"])}

    graph = lib.StateGraph(Notes).add_node(left).add_node(right).add_node(quiet).add_node(join)
    for name in ("left", "right", "quiet"):
        graph.add_edge(lib.START, name)
    graph.add_edge(["left", "right", "quiet"], "join")
    return graph.compile(checkpointer=InMemorySaver())


def asking_below(lib: Library) -> Any:
    """A subgraph that asks."""
    needs_context(lib)
    interrupt = words(lib).interrupt

    def prepare(state: Notes) -> Notes:
        return {"log": ["prepare"]}

    def ask(state: Notes) -> Notes:
        return {"log": [f"said {interrupt('below?')}"]}

    def end(state: Notes) -> Notes:
        return {"answer": "done"}

    inner = lib.StateGraph(Notes).add_node(prepare).add_node(ask)
    inner.add_edge(lib.START, "prepare").add_edge("prepare", "ask")
    graph = lib.StateGraph(Notes).add_node("inner", inner.compile()).add_node(end)
    graph.add_edge(lib.START, "inner").add_edge("inner", "end")
    return graph.compile(checkpointer=InMemorySaver())


def steps(lib: Library, **breaks: Any) -> Any:
    """Three nodes in a row, compiled with ``breaks``."""

    def one(state: Notes) -> Notes:
        return {"log": ["one"], "n": state.get("n", 0) + 1}

    def two(state: Notes) -> Notes:
        return {"log": ["two"]}

    def three(state: Notes) -> Notes:
        return {"log": ["three"], "answer": f"{state.get('n')}"}

    graph = lib.StateGraph(Notes).add_node(one).add_node(two).add_node(three)
    graph.add_edge(lib.START, "one").add_edge("one", "two").add_edge("two", "three")
    return graph.compile(checkpointer=InMemorySaver(), **breaks)


def broken_before_two(lib: Library) -> Any:
    """``steps`` with a static breakpoint."""
    return steps(lib, interrupt_before=["two"])


def waiting(lib: Library) -> Any:
    """A node that comes to its end much later, unless ``n`` is 0."""

    async def wait(state: Notes) -> Notes:
        if state["n"]:
            await asyncio.wait_for(asyncio.Event().wait(), 20)
        return {"log": ["waited"]}

    graph = lib.StateGraph(Notes).add_node(wait).add_edge(lib.START, "wait")
    return graph.compile(checkpointer=InMemorySaver())


def failing(lib: Library) -> Any:
    """A node that raises, behind one that does not."""

    def well(state: Notes) -> Notes:
        return {"log": ["well"]}

    def badly(state: Notes) -> Notes:
        raise ValueError("no cats here")

    graph = lib.StateGraph(Notes).add_node(well).add_node(badly)
    graph.add_edge(lib.START, "well").add_edge("well", "badly")
    return graph.compile(checkpointer=InMemorySaver())


def endless(lib: Library) -> Any:
    """A node that follows itself."""

    def again(state: Notes) -> Notes:
        return {"n": state.get("n", 0) + 1}

    graph = lib.StateGraph(Notes).add_node(again).add_edge(lib.START, "again").add_edge("again", "again")
    return graph.compile(checkpointer=InMemorySaver())


def wrongly(lib: Library) -> Any:
    """A node whose return value is no update."""

    def wrong(state: Notes) -> Any:
        return 7

    return (
        lib.StateGraph(Notes)
        .add_node(wrong)
        .add_edge(lib.START, "wrong")
        .compile(checkpointer=InMemorySaver())
    )


class Output(TypedDict, total=False):
    """What comes out of ``narrow``."""

    answer: str


def narrow(lib: Library) -> Any:
    """A graph whose output is less than its state, which asks on its way."""
    needs_context(lib)
    interrupt = words(lib).interrupt

    def one(state: Notes) -> Notes:
        return {"n": 3, "log": ["one"], "answer": "not yet"}

    def two(state: Notes) -> Notes:
        return {"answer": interrupt("answer?")}

    graph = lib.StateGraph(Notes, output_schema=Output).add_node(one).add_node(two)
    graph.add_edge(lib.START, "one").add_edge("one", "two")
    return graph.compile(checkpointer=InMemorySaver())


Build = Callable[[Library], Any]


class Profile(BaseModel):
    """A state with fields that a caller may leave unset."""

    q: str = ""
    user: str | None = None
    seen: list[str] | None = None
    limit: int | None = 5


def profile(lib: Library) -> Any:
    """A node that reads the state and writes nothing."""
    building = lib.StateGraph(Profile).add_node("n", lambda state: None)
    return building.add_edge(lib.START, "n").compile(checkpointer=InMemorySaver())


def doubled(lib: Library) -> Any:
    """A functional graph, whose result is a dict. Only LangGraph has these."""
    from langgraph.func import entrypoint

    @entrypoint()
    def double(x: int) -> dict[str, int]:
        return {"double": 2 * x}

    return double


def root_state(lib: Library) -> Any:
    """A graph whose whole state is one dict."""
    building = lib.StateGraph(dict).add_node("n", lambda state: {**state, "n": 1})
    return building.add_edge(lib.START, "n").compile()
