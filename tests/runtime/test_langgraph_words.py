"""LangGraph's words in a graph of this package: the same graph as LangGraph runs it, chunk by chunk.

About `runtime/graphwire_runtime/foreign/words.py`, `runtime/graphwire_runtime/foreign/signals.py`,
`runtime/graphwire_runtime/foreign/handles.py`, `runtime/graphwire_runtime/foreign/configurable.py`,
`runtime/graphwire_runtime/foreign/innermost.py` and
`runtime/graphwire_runtime/step/config.py`.
"""

from __future__ import annotations

import copy
import operator
import pickle
from collections.abc import Callable
from typing import Annotated, Any, Literal

import graphwire_runtime
import pytest
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.runnables import RunnableLambda
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_store, get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph.message import add_messages, push_message
from langgraph.graph.ui import push_ui_message, ui_message_reducer
from langgraph.managed import IsLastStep, RemainingSteps
from langgraph.runtime import get_runtime
from langgraph.store.memory import InMemoryStore
from langgraph.types import (
    CachePolicy,
    Command,
    Overwrite,
    RetryPolicy,
    Send,
    StateUpdate,
    TimeoutPolicy,
    interrupt,
)
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]


class Pad(TypedDict, total=False):
    text: str
    log: Annotated[list[Any], operator.add]


class Talk(TypedDict, total=False):
    messages: Annotated[list[AnyMessage], add_messages]
    ui: Annotated[list[Any], ui_message_reducer]


class Steps(TypedDict, total=False):
    left: RemainingSteps
    last: IsLastStep
    log: Annotated[list[Any], operator.add]


def say(word: Any) -> Callable[[Any], Any]:
    return lambda state: {"log": [word]}


def line(lib: Any, *nodes: Any, schema: Any = Pad, saver: bool = True, **kwargs: Any) -> Any:
    graph = lib.StateGraph(schema)
    graph.add_sequence(nodes).add_edge("__start__", nodes[0][0])
    return graph.compile(InMemorySaver() if saver else None, **kwargs)


def jumping(lib: Any, result: Any) -> Any:
    graph = lib.StateGraph(Pad)
    graph.add_node("one", lambda state: result).add_edge("__start__", "one")
    for name in ("two", "three"):
        graph.add_node(name, lambda state: {"log": [state if isinstance(state, str) else "state"]})
    return graph.compile(InMemorySaver())


def routed(lib: Any, answer: Any, ends: Any = None) -> Any:
    graph = lib.StateGraph(Pad).add_node("one", say("one")).add_edge("__start__", "one")
    for name in ("two", "three"):
        graph.add_node(name, lambda state: {"log": [state if isinstance(state, str) else "state"]})
    graph.add_conditional_edges("one", lambda state: answer, ends)
    return graph.compile(InMemorySaver())


def up(lib: Any, result: Any) -> Any:
    inner = lib.StateGraph(Pad).add_node("in", lambda state: result).add_edge("__start__", "in").compile()
    graph = lib.StateGraph(Pad).add_node("inner", inner).add_edge("__start__", "inner")
    return graph.add_node("two", say("two")).compile(InMemorySaver())


def asks(state: Any) -> Any:
    get_stream_writer()("before")
    first = interrupt({"first": 1})
    second = interrupt("second")
    return Command(update={"log": [first, second]})


def asks_in_a_runnable(state: Any) -> Any:
    return RunnableLambda(lambda _: {"log": [interrupt("inside")]}).with_config(tags=["x"]).invoke(state)


def looks(state: Any) -> Any:
    runtime = get_runtime()
    runtime.stream_writer([type(runtime).__name__, runtime.context])
    get_store().put(("a",), "b", {"c": 1})
    assert runtime.store.get(("a",), "b").value == {"c": 1}
    assert runtime.execution_info.node_attempt == 1
    return {"log": [runtime.execution_info.thread_id]}


def pushes(state: Any) -> Any:
    push_message(AIMessage("pushed", id="p"))
    push_ui_message("chart", {"n": 1}, id="u")
    return {"messages": [AIMessage("returned", id="r")]}


def pushes_then_fails(state: Any) -> Any:
    push_message(AIMessage("pushed", id="p"))
    raise ValueError("no")


def managed(lib: Any) -> Any:
    def look(state: Steps) -> Any:
        return {"log": [(state["left"], state["last"])]}

    return line(lib, ("one", look), ("two", look), ("three", look), schema=Steps)


class Flaky:
    def __init__(self, times: int) -> None:
        self.left = times

    def __call__(self, state: Any) -> Any:
        self.left -= 1
        if self.left >= 0:
            push_message(AIMessage("pushed", id=f"p{self.left}"), state_key=None)
            raise ConnectionError("again")
        return Command(update={"log": ["done"]})


def policies(lib: Any) -> Any:
    retry = RetryPolicy(initial_interval=0.001, jitter=False, retry_on=ConnectionError)
    graph = lib.StateGraph(Pad)
    graph.add_node("one", Flaky(2), retry_policy=[retry], cache_policy=CachePolicy(key_func=lambda _: "k"))
    graph.add_node("two", Flaky(1), retry_policy=retry, cache_policy=CachePolicy(ttl=60))
    return graph.add_edge("__start__", "one").add_edge("one", "two").compile(cache=InMemoryCache())


RESUME: list[Any] = [Command(resume="a"), Command(resume="b")]
CASES: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "a command": (lambda lib: jumping(lib, Command(update={"log": ["x"]}, goto="two")), [{"text": "t"}]),
    "a command with pairs": (
        lambda lib: jumping(lib, Command(update=[("log", ["x"]), ("log", ["y"])])),
        [{}],
    ),
    "a command with sends": (
        lambda lib: jumping(lib, Command(goto=[Send("two", "x"), "three", Send("two", "y")])),
        [{}],
    ),
    "a command with one send": (lambda lib: jumping(lib, Command(goto=Send("two", "x"))), [{}]),
    "a list of commands": (
        lambda lib: jumping(lib, [Command(update={"log": ["x"]}), {"log": ["y"]}, Command(goto="two")]),
        [{}],
    ),
    "a send": (lambda lib: jumping(lib, Send("two", "x")), [{}]),
    "an overwrite": (
        lambda lib: line(lib, ("one", say(1)), ("two", lambda s: {"log": Overwrite([9])})),
        [{}],
    ),
    "an overwrite in a command": (
        lambda lib: jumping(lib, Command(update={"log": Overwrite(["x"])})),
        [{"log": ["old"]}],
    ),
    "an overwrite as input": (lambda lib: line(lib, ("one", say(1))), [{}, {"log": Overwrite(["new"])}]),
    "a routed send": (lambda lib: routed(lib, Send("two", "x")), [{}]),
    "routed sends": (lambda lib: routed(lib, [Send("two", "x"), "three", Send("two", "y")]), [{}]),
    "sends beside a path map": (lambda lib: routed(lib, [Send("two", "x"), "3"], {"3": "three"}), [{}]),
    "a send to the end": (lambda lib: routed(lib, Send("__end__", {})), [{}]),
    "a command for the graph around": (
        lambda lib: up(lib, Command(graph=Command.PARENT, update={"log": ["up"]}, goto="two")),
        [{}],
    ),
    "questions": (lambda lib: line(lib, ("one", asks), ("two", say("end"))), [{}, *RESUME]),
    "a question in a runnable": (lambda lib: line(lib, ("one", asks_in_a_runnable)), [{}, *RESUME[:1]]),
    "a command as input": (
        lambda lib: line(lib, ("one", say(1)), ("two", say(2))),
        [{"text": "a"}, Command(update={"text": "b"}), Command(goto="two"), Command(goto=[Send("two", {})])],
    ),
    "an input for the graph around": (
        lambda lib: line(lib, ("one", say(1))),
        [{}, Command(graph=Command.PARENT, update={"text": "x"})],
    ),
    "the runtime": (
        lambda lib: line(lib, ("one", looks), store=InMemoryStore()),
        [{"text": "x"}],
    ),
    "pushed messages": (lambda lib: line(lib, ("one", pushes), schema=Talk), [{"messages": ["hi"]}]),
    "pushed before a failure": (lambda lib: line(lib, ("one", pushes_then_fails), schema=Talk), [{"ui": []}]),
    "managed values": (managed, [{}]),
    "policies": (policies, [{"text": "x"}, {"text": "x"}]),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", CASES)
async def test_a_graph_with_words_of_langgraph_runs_as_in_langgraph(case: str, how: str) -> None:
    build, inputs = CASES[case]
    seen = []
    for lib in (OURS, THEIRS):
        graph, chunks = build(lib), []
        config = {"configurable": {"thread_id": "t"}, "recursion_limit": 10}
        for value in inputs:
            kwargs = {"stream_mode": MODES, "subgraphs": True, "config": config}
            got, error = await recorded(graph, copy.deepcopy(value), how, alike=True, **kwargs)
            chunks.append(([repr(_shown(each)) for each in got], error))
        seen.append(chunks)
    for ours, theirs in zip(*seen, strict=True):
        assert sorted(ours[0]) == sorted(theirs[0])
        assert ours[1] == theirs[1]


def _shown(chunk: Any) -> Any:
    """A chunk without what the two libraries name differently in metadata of their own."""
    if isinstance(chunk, dict):
        return {
            key: _shown(value)
            for key, value in chunk.items()
            if key not in ("versions", "config", "parent_config")
        }
    if isinstance(chunk, (list, tuple)):
        return type(chunk)(map(_shown, chunk))
    return chunk


async def test_an_edit_may_be_a_command_of_langgraph() -> None:
    graph = line(OURS, ("one", say(1)), ("two", say(2)))
    config: Any = {"configurable": {"thread_id": "t"}}
    graph.update_state(config, Command(update={"log": [Overwrite(["x"])]}, goto="two"), as_node="one")
    assert graph.get_state(config).next == ("two",)
    graph.bulk_update_state(config, [[StateUpdate({"log": Overwrite(["y"])}, "one")]])
    assert (await graph.aget_state(config)).values["log"] == ["y"]


async def test_a_timeout_policy_of_langgraph_limits_a_node() -> None:
    async def slow(state: Any) -> Any:
        await graphwire_runtime.clock.apause(5)

    graph = OURS.StateGraph(Pad).add_node("slow", slow, timeout=TimeoutPolicy(run_timeout=0.01))
    with pytest.raises(graphwire_runtime.NodeTimeoutError):
        await graph.add_edge("__start__", "slow").compile().ainvoke({})


def test_what_a_graph_cannot_do_is_refused_by_name() -> None:
    with pytest.raises(graphwire_runtime.InvalidUpdateError, match="wrote to 'messages', which is no key"):
        line(OURS, ("one", pushes), saver=False).invoke({})


def test_a_question_in_a_task_of_langgraph_is_answered_there() -> None:
    @entrypoint()
    def inner(value: Any) -> Any:
        @task
        def ask() -> Any:
            graphwire_runtime.get_stream_writer()("asking")
            return graphwire_runtime.interrupt("who?")

        return ask().result()

    graph = line(OURS, ("one", lambda state: {"log": [inner.invoke(1)]}))
    config: Any = {"configurable": {"thread_id": "t"}}
    asked, *_ = graph.invoke({}, config)["__interrupt__"]  # LangGraph says twice what a @task asks
    assert type(asked) is graphwire_runtime.Interrupt
    assert graph.invoke(Command(resume={asked.id: "me"}), config)["log"] == ["me"]


def test_ends_are_drawn_of_the_type_of_a_command_of_langgraph() -> None:
    def node(state: Pad) -> Command[Literal["two"]]:
        return Command(goto="two")

    graph = OURS.StateGraph(Pad).add_node("one", node).add_node("two", say(2)).add_edge("__start__", "one")
    drawn = graph.compile().get_graph()
    assert ("one", "two") in {(edge.source, edge.target) for edge in drawn.edges}


def test_a_command_survives_copies_and_pickles() -> None:
    ours = graphwire_runtime.Command(update={"a": 1}, goto="x")
    for copied in (copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))):
        assert copied == ours
        assert type(copied) is graphwire_runtime.Command


def test_the_config_of_a_node_holds_nothing_more_until_it_is_asked() -> None:
    seen = {}

    def node(state: Any, config: Any) -> None:
        configurable = config["configurable"]
        seen["before"] = list(dict.keys(configurable))
        assert "mine" in configurable
        assert configurable.get("nothing", 3) == 3
        with pytest.raises(KeyError):
            configurable["nothing"]
        seen["then"] = list(dict.keys(configurable))
        merged = {**configurable}
        assert merged["__pregel_task_id"] == configurable.copy()["__pregel_task_id"]
        assert len(configurable) == len(list(configurable)) == len(merged)

    line(OURS, ("one", node), saver=False).invoke({}, {"configurable": {"mine": 1}})
    assert seen["before"] == seen["then"]
    assert not [key for key in seen["then"] if key.startswith("__pregel")]
