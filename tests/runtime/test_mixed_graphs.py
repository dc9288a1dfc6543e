"""Graphs of both libraries in one another: what is streamed, asked, answered and cancelled, as in LangGraph.

The outer graph is built with one library and the inner with the other; beside it stands the same pair with
both of LangGraph's.

About `runtime/graphwire_runtime/foreign/host.py`, `runtime/graphwire_runtime/foreign/relay.py` and
`runtime/graphwire_runtime/address.py`.

Long because each way in which one graph runs another is tried with either library outside.
"""

from __future__ import annotations

import asyncio
import operator
import sys
from collections.abc import Callable
from typing import Annotated, Any

import langgraph.func
import langgraph.types
import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph.message import add_messages
from langgraph.types import Command
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, once, recorded
from tests.support.random_programs import TRIES, inside, outside

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "messages", "tasks", "debug"]


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    text: str
    log: Annotated[list[Any], operator.add]


def model(*words: str) -> Any:
    return GenericFakeChatModel(messages=iter([AIMessage(text, id=text) for text in words]))


def line(lib: Any, *nodes: Any, **kwargs: Any) -> Any:
    graph = lib.StateGraph(Talk)
    graph.add_sequence(nodes).add_edge("__start__", nodes[0][0])
    return graph.compile(**kwargs)


def say(word: str) -> Callable[[Any], Any]:
    return lambda state: {"log": [word]}


def asks(lib: Any, *questions: str) -> Callable[[Any], Any]:
    return lambda state: {"log": ["+".join(str(lib.interrupt(question)) for question in questions)]}


def speaks(lib: Any) -> Callable[[Any], Any]:
    def node(state: Any) -> Any:
        lib.get_stream_writer()("inner speaks")
        return {"messages": [model("one two").invoke("hi"), AIMessage("whole", id="w")], "text": "said"}

    return node


def inner_of(lib: Any, **kwargs: Any) -> Any:
    return line(lib, ("speak", speaks(lib)), ("ask", asks(lib, "a?", "b?")), ("end", say("in")), **kwargs)


def as_node(outer: Any, inner: Any, **kwargs: Any) -> Any:
    return line(
        outer,
        ("one", say("one")),
        ("inner", inner_of(inner, **kwargs)),
        ("two", say("two")),
        checkpointer=InMemorySaver(),
    )


def called(outer: Any, inner: Any, times: int = 1) -> Any:
    graph = inner_of(inner)

    def node(state: Any, config: RunnableConfig) -> Any:
        got = [graph.invoke({"text": str(n)}, config if n else None) for n in range(times)]
        return {"log": [each["log"] for each in got]}

    return line(outer, ("call", node), ("two", say("two")), checkpointer=InMemorySaver())


def quiet(outer: Any, inner: Any) -> Any:
    """The inner graph asks nothing and there is no saver."""
    return line(outer, ("inner", line(inner, ("speak", speaks(inner)))), ("two", say("two")))


def side_by_side(outer: Any, inner: Any) -> Any:
    graph = inner.StateGraph(Talk)
    for name in ("x", "y"):
        graph.add_node(name, asks(inner, name)).add_edge("__start__", name)
    return line(outer, ("inner", graph.compile()), ("two", say("two")), checkpointer=InMemorySaver())


def stopping(outer: Any, inner: Any) -> Any:
    graph = line(inner, ("p", say("p")), ("q", say("q")), interrupt_before=["q"])
    return line(outer, ("inner", graph), ("two", say("two")), checkpointer=InMemorySaver())


def sent_up(outer: Any, inner: Any) -> Any:
    node = lambda state: inner.Command(graph="__parent__", update={"log": ["up"]}, goto="far")  # noqa: E731
    graph = outer.StateGraph(Talk).add_node("inner", line(inner, ("in", node))).add_edge("__start__", "inner")
    return graph.add_node("far", say("far")).compile(InMemorySaver())


def deep(outer: Any, inner: Any) -> Any:
    """Outer, inner, and in that one again one of the outer library."""
    deepest = line(outer, ("speak", speaks(outer)), ("ask", asks(outer, "deep?")))
    middle = line(inner, ("mid", say("mid")), ("deepest", deepest))
    return line(outer, ("middle", middle), ("two", say("two")), checkpointer=InMemorySaver())


def remembers(outer: Any, inner: Any) -> Any:
    """The inner graph has a history of its own on the thread."""
    graph = line(inner, ("count", lambda state: {"log": [len(state.get("log") or ())]}), checkpointer=True)
    reset = lambda state: {"text": "x"}  # noqa: E731
    return line(
        outer,
        ("reset", reset),
        ("inner", lambda state: {"text": str(graph.invoke({"text": "t"}))}),
        checkpointer=InMemorySaver(),
    )


def fails(outer: Any, inner: Any) -> Any:
    def node(state: Any) -> Any:
        raise ValueError("inner")

    return line(outer, ("inner", line(inner, ("p", say("p")), ("bad", node))), checkpointer=InMemorySaver())


@tool
def lookup(what: str) -> str:
    """Ask a human."""
    langgraph.types.interrupt(what)
    return f"{what}!"


def agent(outer: Any, inner: Any) -> Any:
    """`create_agent` makes a graph of LangGraph's, whichever the outer one is."""
    call = {"name": "lookup", "args": {"what": "x"}, "id": "c1", "type": "tool_call"}

    class Model(GenericFakeChatModel):
        def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
            return self

    answers = iter([AIMessage("", id="1", tool_calls=[call]), AIMessage("it is x", id="2")])
    agents = pytest.importorskip(
        "langchain.agents", reason="langchain is among the tools of newer Pythons only"
    )
    made = agents.create_agent(Model(messages=answers), [lookup])
    return line(outer, ("agent", made), ("two", say("two")), checkpointer=InMemorySaver())


START: Any = {"messages": [HumanMessage("hi", id="h")], "text": "t"}
YES, NO = Command(resume="yes"), Command(resume="no")
CASES: dict[str, tuple[Callable[[Any, Any], Any], list[Any]]] = {
    "a node": (as_node, [START, YES, NO]),
    "a node asked again": (as_node, [START, None, YES, NO, START]),
    "a node with a saver of its own": (
        lambda outer, inner: as_node(outer, inner, checkpointer=InMemorySaver()),
        [START, YES, NO],
    ),
    "a node without a saver": (lambda outer, inner: as_node(outer, inner, checkpointer=False), [START, YES]),
    "called": (called, [START, YES, NO]),
    "called twice": (lambda outer, inner: called(outer, inner, 2), [START, YES, NO, YES, NO]),
    "quiet": (quiet, [START]),
    "asking side by side": (side_by_side, [START, YES, "by id", None]),
    "stopping": (stopping, [START, None]),
    "a command for the graph around": (sent_up, [START]),
    "deep": (deep, [START, YES]),
    "a history of its own": (remembers, [START, START]),
    "a failure": (fails, [START, None]),
    "an agent": (agent, [START, YES]),
}


async def story(graph: Any, turns: list[Any], how: str, **kwargs: Any) -> list[Any]:
    config: Any = {"configurable": {"thread_id": "t"}}
    seen = []
    for turn in turns:
        value = turn
        if turn == "by id":
            asked = graph.get_state(config).interrupts
            value = Command(resume={each.id: f"to {each.value}" for each in asked})
        chunks, error = await recorded(graph, value, how, alike=True, config=config, **kwargs)
        seen.append((sorted(repr(_shown(chunk)) for chunk in chunks), error))
    if graph.checkpointer is not None:
        state = graph.get_state(config)
        seen.append((repr(state.values), state.next, len(state.interrupts)))
    return seen


def _shown(chunk: Any) -> Any:
    if isinstance(chunk, dict):
        skipped = ("config", "parent_config", "created_at", "lc_agent_name")
        return {key: _shown(value) for key, value in chunk.items() if key not in skipped}
    if isinstance(chunk, (list, tuple)):
        return type(chunk)(map(_shown, chunk))
    return chunk


BOTH_WAYS = pytest.mark.parametrize(
    ("outer", "inner"), [(OURS, THEIRS), (THEIRS, OURS)], ids=["theirs in ours", "ours in theirs"]
)


@BOTH_WAYS
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", CASES)
async def test_graphs_of_both_run_as_two_of_langgraph(outer: Any, inner: Any, case: str, how: str) -> None:
    build, turns = CASES[case]
    # LangGraph says of any graph that is not its own that it may have checkpoints
    modes = [mode for mode in MODES if mode != "debug" or case != "a node without a saver"]
    kwargs: Any = {"stream_mode": modes, "subgraphs": True}
    mixed = await story(build(outer, inner), turns, how, **kwargs)
    assert mixed == await once((case, how), lambda: story(build(THEIRS, THEIRS), turns, how, **kwargs))


@BOTH_WAYS
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", ["a node", "called", "an agent"])
async def test_without_subgraphs_they_show_as_little(outer: Any, inner: Any, case: str, how: str) -> None:
    build, turns = CASES[case]
    kwargs: Any = {"stream_mode": ["values", "updates", "custom", "messages"], "version": "v2"}
    mixed = await story(build(outer, inner), turns, how, **kwargs)
    assert mixed == await once((case, how, 1), lambda: story(build(THEIRS, THEIRS), turns, how, **kwargs))


@BOTH_WAYS
@pytest.mark.parametrize("words", [OURS, THEIRS], ids=["our words", "their words"])
@pytest.mark.parametrize("how", HOWS)
async def test_words_belong_to_the_innermost_task_of_either_library(
    outer: Any, inner: Any, how: str, words: Any
) -> None:
    """A node of the inner graph may speak the words of the outer one's library."""

    def build(outer: Any, inner: Any, words: Any) -> Any:
        graph = line(inner, ("speak", speaks(words)), ("a", asks(words, "a?")), ("b", asks(words, "b?")))
        return line(outer, ("inner", graph), ("two", asks(words, "c?")), checkpointer=InMemorySaver())

    turns, kwargs = [START, YES, NO, YES], {"stream_mode": MODES, "subgraphs": True}
    mixed = await story(build(outer, inner, words), turns, how, **kwargs)
    theirs = await once((speaks, how), lambda: story(build(THEIRS, THEIRS, THEIRS), turns, how, **kwargs))
    assert mixed == theirs


@BOTH_WAYS
async def test_the_state_of_the_inner_graph_is_read_and_edited(outer: Any, inner: Any) -> None:
    """By the outer graph, and by the namespace that its state names."""
    config: Any = {"configurable": {"thread_id": "t"}}
    graph = as_node(outer, inner)
    graph.invoke(START, config)
    (task,) = graph.get_state(config, subgraphs=True).tasks
    assert task.state.next == ("ask",)
    assert [each.value for each in task.state.tasks[0].interrupts] == ["a?"]
    (same,) = (await graph.aget_state(config, subgraphs=True)).tasks
    assert same.state.values == task.state.values

    (task,) = graph.get_state(config).tasks
    below = {"configurable": {"thread_id": "t", **task.state["configurable"]}}
    assert graph.get_state(below).next == ("ask",)
    steps = [each.metadata["step"] for each in graph.get_state_history(below)]
    assert steps == [each.metadata["step"] async for each in graph.aget_state_history(below)] == [1, 0, -1]

    graph.update_state(below, {"log": ["edited"]}, as_node="ask")
    assert (await graph.aget_state(below)).next == ("end",)
    assert graph.invoke(None, config)["log"] == ["one", "one", "edited", "in", "two"]


@BOTH_WAYS
async def test_the_inner_graph_is_cancelled_with_the_outer_one(outer: Any, inner: Any) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hangs(state: Any) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    graph = line(outer, ("inner", line(inner, ("hangs", hangs))))
    running = asyncio.create_task(graph.ainvoke(START))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended.is_set()


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="LangGraph's nodes lose their context there; ours keep it"
)
@BOTH_WAYS
async def test_a_stream_that_is_closed_cancels_the_inner_graph(outer: Any, inner: Any) -> None:
    ended = asyncio.Event()

    async def hangs(state: Any) -> None:
        inner.get_stream_writer()("hanging")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    graph = line(outer, ("inner", line(inner, ("hangs", hangs))))
    stream = graph.astream(START, stream_mode="custom", subgraphs=True)
    (namespace, chunk) = await anext(stream)
    assert (namespace[0].partition(":")[0], chunk) == ("inner", "hanging")
    await stream.aclose()
    assert ended.is_set()


@BOTH_WAYS
def test_an_inner_graph_with_a_thread_of_its_own_keeps_to_itself(outer: Any, inner: Any) -> None:
    saver = InMemorySaver()
    graph = line(inner, ("speak", speaks(inner)), ("count", say("x")), checkpointer=saver)

    def node(state: Any) -> Any:
        got = graph.invoke({"text": "t"}, {"configurable": {"thread_id": "own"}})
        return {"log": [len(got["log"])]}

    around = line(outer, ("call", node), checkpointer=InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    shown = [chunk for _ in range(2) for chunk in around.stream(START, config, stream_mode="messages")]
    assert shown == []
    assert around.get_state(config).values["log"] == [1, 2]
    assert len(graph.get_state({"configurable": {"thread_id": "own"}}).values["log"]) == 2


@BOTH_WAYS
def test_an_inner_graph_fails_and_is_retried_with_its_task(outer: Any, inner: Any) -> None:
    left = [1]

    def flaky(state: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise ConnectionError("again")
        return {"log": ["done"]}

    retry = outer.RetryPolicy(initial_interval=0.001, jitter=False)
    graph = outer.StateGraph(Talk).add_edge("__start__", "inner")
    graph.add_node("inner", line(inner, ("pre", say("pre")), ("flaky", flaky)), retry_policy=retry)
    compiled = graph.compile(InMemorySaver())
    config: Any = {"configurable": {"thread_id": "t"}}
    assert compiled.invoke(START, config)["log"] == ["pre", "done"]


def test_what_a_failed_attempt_of_an_inner_graph_said_is_said_to_be_void() -> None:
    left = [1]

    def flaky(state: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise ConnectionError("again")

    graph = OURS.StateGraph(Talk).add_edge("__start__", "inner")
    retry = OURS.RetryPolicy(initial_interval=0.001, jitter=False)
    graph.add_node("inner", line(THEIRS, ("flaky", flaky)), retry_policy=retry)
    shown = list(graph.compile().stream(START, stream_mode=["updates", "retries"], subgraphs=True))
    again = [(namespace, chunk) for namespace, mode, chunk in shown if mode == "retries"]
    (none, outer), (namespace, inner) = again
    assert (none, outer["name"], inner["name"]) == ((), "inner", "flaky")
    assert inner["checkpoint_ns"] == f"{namespace[0]}|flaky:{inner['id']}"


@BOTH_WAYS
@pytest.mark.parametrize("kept", [None, True])
@pytest.mark.parametrize("how", HOWS)
async def test_a_replay_of_the_outer_graph_winds_the_inner_one_back(
    outer: Any, inner: Any, how: str, kept: Any
) -> None:
    def build(outer: Any, inner: Any) -> Any:
        counts = ("count", lambda state: {"log": [len(state.get("log") or ())]})
        graph = line(inner, counts, ("ask", asks(inner, "q?")), checkpointer=kept)
        return line(outer, ("one", say("one")), ("inner", graph), checkpointer=InMemorySaver())

    async def played(graph: Any) -> list[Any]:
        config: Any = {"configurable": {"thread_id": "t"}}
        turns = (START, YES, START, NO)
        seen = [await recorded(graph, value, how, alike=True, config=config) for value in turns]
        before = [each.config for each in graph.get_state_history(config) if each.next == ("inner",)]
        for at in before:
            seen.append(await recorded(graph, None, how, alike=True, config=at, stream_mode=MODES))
            seen.append(await recorded(graph, YES, how, alike=True, config=config, stream_mode=MODES))
        return [(sorted(repr(_shown(chunk)) for chunk in chunks), error) for chunks, error in seen]

    mixed = await played(build(outer, inner))
    assert mixed == await once(("replay", kept, how), lambda: played(build(THEIRS, THEIRS)))


@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's async nodes lose their context there")
@pytest.mark.parametrize("kind", [outside, inside])
@pytest.mark.parametrize("seed", range(12))
async def test_a_random_graph_of_both_streams_as_one_of_langgraph(seed: int, kind: Any) -> None:
    ours = await kind(OURS, seed)
    for _ in range(TRIES):
        theirs = await kind(THEIRS, seed)
        if theirs == ours:
            break
    assert ours == theirs
