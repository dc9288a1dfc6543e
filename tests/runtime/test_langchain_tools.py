"""LangGraph's ToolNode and LangChain's tools in a graph of this package, beside the same one of LangGraph's.

About `runtime/graphwire_runtime/foreign/handles.py` and `runtime/graphwire_runtime/foreign/signals.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Annotated, Any

import graphwire_runtime
import langgraph.config
import langgraph.types
import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import InjectedToolCallId, tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import add_messages
from langgraph.prebuilt import InjectedState, InjectedStore, ToolNode, ToolRuntime, tools_condition
from langgraph.runtime import get_runtime
from langgraph.store.memory import InMemoryStore
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "messages", "tasks"]


class Desk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    user: str
    log: Annotated[list[Any], operator.add]


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@tool
async def slow_add(a: int, b: int) -> int:
    """Add, in a coroutine."""
    return a + b


@tool
def who(state: Annotated[dict[str, Any], InjectedState], user: Annotated[str, InjectedState("user")]) -> str:
    """Say whose desk it is."""
    return f"{user} of {sorted(state)} and {len(state['messages'])}"


@tool
def all_of_it(what: str, runtime: ToolRuntime) -> str:
    """Look at everything that a tool may see."""
    runtime.stream_writer({"looking at": what})
    info = runtime.execution_info
    runtime.store.put(("seen",), what, {"by": runtime.state["user"]})
    found = runtime.config["configurable"]["thread_id"] == info.thread_id
    return f"{runtime.tool_call_id} {runtime.context} {found} {info.node_attempt} {runtime.server_info}"


@tool
def remember(
    what: str, store: Annotated[Any, InjectedStore()], call: Annotated[str, InjectedToolCallId]
) -> str:
    """Keep it."""
    store.put(("kept",), what, {"call": call})
    return f"{call} kept {store.get(('kept',), what).value}"


@tool
def speak(text: str, config: RunnableConfig) -> str:
    """Say it, in every way."""
    langgraph.config.get_stream_writer()(f"1 {text}")
    get_runtime().stream_writer(f"2 {text}")
    return f"{config['metadata']['langgraph_node']}"


@tool
def fails(text: str) -> str:
    """Fail."""
    raise ValueError(text)


def asks(lib: Any) -> Any:
    @tool
    def confirm(what: str) -> str:
        """Ask twice."""
        return f"{what}: {lib.interrupt(what)} {lib.interrupt('sure?')}"

    return confirm


def commands(lib: Any) -> Any:
    @tool
    def rename(to: str, call: Annotated[str, InjectedToolCallId]) -> Any:
        """Change the state."""
        messages = [ToolMessage(f"now {to}", tool_call_id=call, id=f"m-{call}")]
        return lib.Command(update={"user": to, "messages": messages, "log": [to]})

    return rename


def hands_off(lib: Any) -> Any:
    @tool
    def transfer(call: Annotated[str, InjectedToolCallId]) -> Any:
        """Hand the talk to another node of the graph around."""
        message = ToolMessage("over to you", tool_call_id=call, id=f"m-{call}")
        return lib.Command(graph="__parent__", goto="end", update={"messages": [message]})

    return transfer


def calling(*calls: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    made = [
        {"name": name, "args": args, "id": f"call{index}", "type": "tool_call"}
        for index, (name, args) in enumerate(calls)
    ]
    return {"messages": [AIMessage("", id="ai", tool_calls=made)], "user": "ann"}


def desk(lib: Any, *tools: Any, **kwargs: Any) -> Any:
    graph = (
        lib.StateGraph(Desk).add_node("tools", ToolNode([*tools], **kwargs)).add_edge("__start__", "tools")
    )
    graph.add_node("end", lambda state: {"log": [len(state["messages"])]})
    graph.add_edge("tools", "end")
    return graph.compile(InMemorySaver(), store=InMemoryStore())


def sent(lib: Any, *tools: Any) -> Any:
    """Each call in a task of its own, as `create_agent` does it."""
    graph = lib.StateGraph(Desk).add_node("tools", ToolNode([*tools]))

    def each(state: Any) -> Any:
        return [lib.Send("tools", [call]) for call in state["messages"][-1].tool_calls]

    graph.add_conditional_edges("__start__", each, ["tools"])
    return graph.compile(InMemorySaver(), store=InMemoryStore())


def around(lib: Any, *tools: Any) -> Any:
    inner = (
        lib.StateGraph(Desk).add_node("tools", ToolNode([*tools])).add_edge("__start__", "tools").compile()
    )
    graph = lib.StateGraph(Desk).add_node("inner", inner).add_edge("__start__", "inner")
    return graph.add_node("end", lambda state: {"log": ["end"]}).compile(InMemorySaver())


def react(lib: Any, *tools: Any) -> Any:
    """A loop of model and tools, with `tools_condition` between."""
    replies = [
        AIMessage("", id="1", tool_calls=[{"name": "add", "args": {"a": 1, "b": 2}, "id": "c1"}]),
        AIMessage("three", id="2"),
    ]
    model = GenericFakeChatModel(messages=iter(replies))
    graph = lib.StateGraph(Desk).add_node(
        "model", lambda state: {"messages": [model.invoke(state["messages"])]}
    )
    graph.add_node("tools", ToolNode([*tools])).add_edge("__start__", "model").add_edge("tools", "model")
    return graph.add_conditional_edges("model", tools_condition).compile(
        InMemorySaver(), store=InMemoryStore()
    )


Build = Callable[[Any, Any], Any]
"""Makes a graph of one library, with the other library's or its own words in the tools."""

CASES: dict[str, tuple[Build, Any, list[str]]] = {
    "plain": (lambda g, _: desk(g, add), calling(("add", {"a": 1, "b": 2}), ("add", {"a": 3, "b": 4})), []),
    "unknown and wrong calls": (lambda g, _: desk(g, add), calling(("sub", {}), ("add", {"a": "x"})), []),
    "states": (lambda g, _: desk(g, who), calling(("who", {})), []),
    "the runtime": (lambda g, _: desk(g, all_of_it), calling(("all_of_it", {"what": "x"})), []),
    "a store and an id": (lambda g, _: desk(g, remember), calling(("remember", {"what": "x"})), []),
    "writers": (lambda g, _: desk(g, speak), calling(("speak", {"text": "x"})), []),
    "errors": (lambda g, _: desk(g, fails), calling(("fails", {"text": "x"})), []),
    "handled errors": (
        lambda g, _: desk(g, fails, add, handle_tool_errors=True),
        calling(("fails", {"text": "x"}), ("add", {"a": 1, "b": 2})),
        [],
    ),
    "commands": (
        lambda g, w: desk(g, commands(w), add),
        calling(("rename", {"to": "bob"}), ("add", {"a": 1, "b": 2})),
        [],
    ),
    "questions": (lambda g, w: desk(g, asks(w)), calling(("confirm", {"what": "go"})), ["yes", "very"]),
    "questions where errors are handled": (
        lambda g, w: desk(g, asks(w), handle_tool_errors=True),
        calling(("confirm", {"what": "go"})),
        ["yes", "very"],
    ),
    "sends": (
        lambda g, w: sent(g, add, who, all_of_it, commands(w)),
        calling(
            ("add", {"a": 1, "b": 2}), ("who", {}), ("all_of_it", {"what": "x"}), ("rename", {"to": "bob"})
        ),
        [],
    ),
    "questions under a send": (
        lambda g, w: sent(g, add, asks(w)),
        calling(("add", {"a": 1, "b": 2}), ("confirm", {"what": "go"})),
        ["yes", "very"],
    ),
    "a hand-off": (lambda g, w: around(g, hands_off(w)), calling(("transfer", {})), []),
    "a loop": (lambda g, _: react(g, add), {"messages": [("user", "1+2?")]}, []),
}


async def story(graph: Any, start: Any, answers: list[str], how: str, modes: list[str] = MODES) -> list[Any]:
    config: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 10}
    kwargs = {"stream_mode": modes, "subgraphs": True, "config": config, "context": {"for": "ever"}}
    turns = [start, *(langgraph.types.Command(resume=answer) for answer in answers)]
    told = [await recorded(graph, value, how, alike=True, **kwargs) for value in turns]
    return [(sorted(map(repr, chunks)), error) for chunks, error in told]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("words", ["our words", "their words"])
@pytest.mark.parametrize("case", CASES)
async def test_tools_run_as_in_langgraph(case: str, words: str, how: str) -> None:
    build, start, answers = CASES[case]
    own = OURS if words == "our words" else langgraph.types
    # tokens aside there: this package also shows the messages of a Command for the graph around
    modes = [mode for mode in MODES if mode != "messages" or case != "a hand-off"]
    ours = await story(build(OURS, own), start, answers, how, modes)
    assert ours == await story(build(THEIRS, langgraph.types), start, answers, how, modes)


async def test_async_tools_run_too() -> None:
    start = calling(("slow_add", {"a": 1, "b": 2}))
    assert await story(desk(OURS, slow_add), start, [], "astream") == await story(
        desk(THEIRS, slow_add), start, [], "astream"
    )


@pytest.mark.parametrize("how", HOWS)
async def test_questions_side_by_side_are_answered_by_their_ids(how: str) -> None:
    """Both tools of a superstep ask, in tasks of their own."""

    @tool
    def mine(what: str) -> str:
        """Ask with this package's word."""
        return f"mine {graphwire_runtime.interrupt(what)}"

    @tool
    def theirs(what: str) -> str:
        """Ask with LangGraph's."""
        return f"theirs {langgraph.types.interrupt(what)}"

    graph = sent(OURS, mine, theirs)
    config: Any = {"configurable": {"thread_id": "t"}}
    await recorded(graph, calling(("mine", {"what": "a"}), ("theirs", {"what": "b"})), how, config=config)
    asked = {each.value: each.id for each in graph.get_state(config).interrupts}
    assert asked.keys() == {"a", "b"}
    half = langgraph.types.Command(resume={asked["b"]: "B"})
    await recorded(graph, half, how, config=config)
    assert [each.value for each in graph.get_state(config).interrupts] == ["a"]
    await recorded(graph, graphwire_runtime.Command(resume={asked["a"]: "A"}), how, config=config)
    said = [message.content for message in graph.get_state(config).values["messages"][1:]]
    assert said == ["mine A", "theirs B"]
