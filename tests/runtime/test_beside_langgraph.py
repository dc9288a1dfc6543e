"""The same graph, built and run here and in LangGraph, with the streams compared chunk by chunk.

Nodes that run side by side may end in any order, so what they stream is sorted before it is compared.

About `runtime/graphwire_runtime/drive/loop.py` and `runtime/graphwire_runtime/stream/display.py`.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, in_any_order, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "messages", "tasks", "debug"]


class Pad(TypedDict, total=False):
    text: str
    lines: Annotated[list[Any], operator.add]


@dataclass
class Card:
    text: str = "blank"
    lines: Annotated[list[Any], operator.add] = field(default_factory=lambda: ["made"])


class Form(BaseModel):
    text: str = "blank"
    size: int = 0


class Hidden(TypedDict):
    secret: int


def line(lg: Any, *nodes: Any, schema: Any = Pad, **kwargs: Any) -> Any:
    graph = lg.StateGraph(schema, **kwargs)
    named = [node if isinstance(node, tuple) else (f"n{index}", node) for index, node in enumerate(nodes)]
    return graph.add_sequence(named).set_entry_point(named[0][0]).compile()


def routed(lg: Any, node: Any, route: Any, path_map: Any = None) -> Any:
    graph = lg.StateGraph(Pad).add_node("first", node).add_edge(lg.START, "first")
    graph.add_node("next", lambda state: {"lines": [state]})
    return graph.add_conditional_edges("first", route, path_map).compile()


def say(lg: Any, *words: str) -> Callable[[Any], Any]:
    def node(state: Any) -> Any:
        for word in words:
            lg.get_stream_writer()(word)
        return {"text": words[-1]}

    return node


def reads_hidden(state: Hidden) -> dict[str, Any]:
    return {"secret": 1, "text": "t"}


Case = Callable[[Any], tuple[Any, Any]]

CASES: dict[str, Case] = {
    "an update with unknown keys": lambda lg: (
        line(lg, lambda s: {"text": "x", "odd": 1}),
        {"text": "in", "odd": 2},
    ),
    "an empty input": lambda lg: (line(lg, lambda s: {"text": "x"}), {}),
    "an input that is no mapping": lambda lg: (line(lg, lambda s: {"text": "x"}), ["text"]),
    "no input": lambda lg: (line(lg, lambda s: {"text": "x"}), None),
    "a string for an update": lambda lg: (line(lg, lambda s: "x"), {}),
    "Nones": lambda lg: (line(lg, lambda s: {"text": None}, lambda s: None), {"text": None}),
    "commands in a list": lambda lg: (
        line(
            lg,
            lambda s: [lg.Command(update={"lines": [1]}), {"lines": [2]}, lg.Command(update=[("text", "t")])],
        ),
        {},
    ),
    "an overwrite": lambda lg: (line(lg, lambda s: {"lines": lg.Overwrite([0])}), {"lines": [1]}),
    "an overwrite in its JSON form": lambda lg: (
        line(lg, lambda s: {"lines": {"__overwrite__": [0]}}),
        {"lines": [1]},
    ),
    "a send returned by a node": lambda lg: (
        line(lg, lambda s: lg.Send("n1", 5), lambda s: {"lines": [s]}),
        {},
    ),
    "a list of sends returned by a node": lambda lg: (
        line(lg, lambda s: [lg.Send("n1", 5)], lambda s: None),
        {},
    ),
    "a command with an odd update": lambda lg: (line(lg, lambda s: lg.Command(update=5, goto="none")), {}),
    "a dataclass state": lambda lg: (line(lg, lambda s: {"lines": [repr(s)]}, schema=Card), {"text": "x"}),
    "a dataclass input": lambda lg: (line(lg, lambda s: {"lines": [repr(s)]}, schema=Card), Card("x")),
    "a dataclass update": lambda lg: (line(lg, lambda s: Card("y", ["z"]), schema=Card), {}),
    "a pydantic state": lambda lg: (line(lg, lambda s: {"text": repr(s)}, schema=Form), {"size": "3"}),
    "a pydantic update": lambda lg: (line(lg, lambda s: Form(size=4), schema=Form), {"text": "given"}),
    "a pydantic input that fails": lambda lg: (line(lg, lambda s: None, schema=Form), {"size": "x"}),
    "a router after a node": lambda lg: (routed(lg, say(lg, "a"), lambda s: ["next", lg.END]), {"text": "x"}),
    "a router that sends": lambda lg: (
        routed(lg, say(lg, "a"), lambda s: [lg.Send("next", {"n": 1}), "next"], ["next"]),
        {"text": "x"},
    ),
    "a router without an answer": lambda lg: (routed(lg, say(lg, "a"), lambda s: None), {}),
    "a router off its map": lambda lg: (routed(lg, say(lg, "a"), lambda s: "up", {"down": "next"}), {}),
    "a send to the end": lambda lg: (routed(lg, say(lg, "a"), lambda s: lg.Send(lg.END, 1)), {}),
    "a router of a node with a schema of its own": lambda lg: (
        routed(
            lg,
            reads_hidden,
            lambda s: (say(lg, repr(s))(s), lg.END)[1],
        ),
        {"text": "x"},
    ),
    "a command as input": lambda lg: (
        line(lg, say(lg, "a"), lambda s: {"lines": ["b"]}),
        lg.Command(update={"text": "q", "odd": 1}),
    ),
    "a message returned bare": lambda lg: (
        line(lg, lambda s: AIMessage("x", id="1"), schema=lg.MessagesState),
        {"messages": [("user", "hi")]},
    ),
    "messages in and out": lambda lg: (
        line(
            lg,
            lambda s: {"messages": [*s["messages"], AIMessage("new", id="2"), ("ai", "pair")]},
            schema=lg.MessagesState,
        ),
        {"messages": [HumanMessage("hi", id="1")]},
    ),
    "a message sent to a node": lambda lg: (
        line(
            lg,
            lambda s: lg.Send("n1", AIMessage("p", id="p")),
            lambda s: {"messages": s},
            schema=lg.MessagesState,
        ),
        {"messages": []},
    ),
    "an inner graph": lambda lg: (line(lg, line(lg, say(lg, "a", "b"), say(lg, "c"))), {"text": "x"}),
    "an inner graph called twice": lambda lg: (line(lg, twice(line(lg, say(lg, "a")))), {"text": "x"}),
    "an inner graph three levels down": lambda lg: (line(lg, line(lg, line(lg, say(lg, "deep")))), {}),
    "an inner graph that fails": lambda lg: (line(lg, line(lg, say(lg, "a"), lambda s: 1 / 0)), {}),
    "a command to the parent": lambda lg: (
        line(
            lg,
            line(lg, lambda s: lg.Command(graph=lg.Command.PARENT, update={"text": "up"}, goto="n1")),
            say(lg, "after"),
        ),
        {},
    ),
    "a node that streams an inner graph": lambda lg: (
        line(lg, streaming(line(lg, say(lg, "a")), ["custom", "updates"])),
        {"text": "x"},
    ),
}


def twice(inner: Any) -> Callable[[Any], Any]:
    return lambda state: {"text": inner.invoke(inner.invoke(state))["text"]}


def streaming(inner: Any, modes: list[str]) -> Callable[[Any], Any]:
    return lambda state: {"lines": list(inner.stream(state, stream_mode=modes))}


SIDE_BY_SIDE = [case for name, case in CASES.items() if "send" in name or "sent" in name]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("subgraphs", [False, True], ids=["", "subgraphs"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_graph_streams_the_same(case: Case, subgraphs: bool, how: str) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        graph, value = case(lg)
        alike = case in SIDE_BY_SIDE
        chunks, error = await recorded(graph, value, how, alike=alike, stream_mode=MODES, subgraphs=subgraphs)
        seen.append((in_any_order(chunks) if alike else chunks, error))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("how", HOWS)
async def test_a_speaking_graph_streams_the_same(how: str, speaker: Any) -> None:
    model = speaker(words="so it goes", tags=["narrator"], metadata={"voice": 1})
    silent = speaker(words="not streamed", disable_streaming=True)

    def build(lg: Any) -> Any:
        inner = line(
            lg, lambda s: {"messages": [model.invoke("x", {"tags": ["call"]})]}, schema=lg.MessagesState
        )
        outer = line(
            lg,
            ("inner", inner),
            ("whole", lambda s: {"messages": [silent.invoke("x"), AIMessage("own", id="own")]}),
            schema=lg.MessagesState,
        )
        return outer.with_config({"tags": ["bound"]})

    config = {"tags": ["run"], "metadata": {"user": "u"}, "configurable": {"thread_id": "t", "other": 1}}
    for subgraphs in (False, True):
        start = {"messages": [HumanMessage("hi", id="h")]}
        kwargs: Any = {"stream_mode": ["messages", "updates"], "subgraphs": subgraphs, "config": config}
        ours, theirs = [await recorded(build(lg), start, how, **kwargs) for lg in (OURS, THEIRS)]
        assert ours == theirs


def wild(lg: Any, seed: int) -> Any:
    """A random graph: plain edges, joins, routers, sends, deferred nodes, loops."""
    chance = random.Random(seed)
    names = [f"{chance.choice('abcxyz')}{index}" for index in range(chance.randint(2, 6))]
    graph = lg.StateGraph(Pad)

    def writes(name: str) -> Callable[[Any], Any]:
        def node(state: Any) -> Any:
            given = len(state["lines"]) if isinstance(state, dict) and "lines" in state else state
            return {"lines": [(name, given)]}

        return node

    def router(name: str, targets: list[str], sends: bool) -> Callable[[Any], Any]:
        def route(state: Any) -> Any:
            count = len(state.get("lines", ()))
            if count > 12:
                return lg.END
            picked = targets[: 1 + count % len(targets)]
            return [lg.Send(target, count) for target in picked] if sends and count % 2 else picked

        route.__name__ = f"route_{name}"
        return route

    for name in names:
        graph.add_node(name, writes(name), defer=chance.random() < 0.15)
    for name in chance.sample(names, chance.randint(1, 2)):
        graph.add_edge(lg.START, name)
    for name in names:
        dice = chance.random()
        others = chance.sample(names, chance.randint(1, min(3, len(names))))
        if dice < 0.45:
            graph.add_edge(name, chance.choice([*names, lg.END]))
        elif dice < 0.85:
            graph.add_conditional_edges(name, router(name, others, chance.random() < 0.4))
    if chance.random() < 0.6:
        graph.add_edge(chance.sample(names, min(2, len(names))), chance.choice(names))
    return graph.compile()


@pytest.mark.parametrize("seed", range(200))
async def test_a_random_graph_takes_the_same_steps(seed: int) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        chunks, error = await recorded(
            wild(lg, seed),
            {"text": "x"},
            "stream",
            stream_mode=["debug", "values"],
            config={"recursion_limit": 15},
        )
        values = [chunk for mode, chunk in chunks if mode == "values"]
        debug = [chunk for mode, chunk in chunks if mode == "debug"]
        events = [(event["step"], event["type"], event["payload"]) for event in debug]
        starts = [(step, p["name"], p["input"]) for step, kind, p in events if kind == "task"]
        ends = sorted((step, p["name"], repr(p["result"])) for step, kind, p in events if kind != "task")
        seen.append((starts, ends, values, error))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("how", HOWS)
async def test_an_edge_from_several_nodes_to_the_end_is_only_drawn(how: str) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        graph = lg.StateGraph(Pad).add_node("a", lambda s: {"lines": ["a"]}).add_node("b", lambda s: None)
        graph.add_edge(lg.START, "a").add_edge(lg.START, "b")
        saver = InMemorySaver()
        made = graph.add_edge(["a", "b"], lg.END).compile(saver)
        where = {"configurable": {"thread_id": "t"}}
        chunks, error = await recorded(made, {}, how, alike=True, config=where, stream_mode=MODES)
        assert "join:a+b:__end__" not in saver.get(where)["channel_versions"]
        seen.append((in_any_order(chunks), error, [(e.source, e.target) for e in made.get_graph().edges]))
    assert error is None
    assert ("a", lg.END) in seen[0][2]
    assert seen[0] == seen[1]
