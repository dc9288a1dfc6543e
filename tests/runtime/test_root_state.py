"""A state that is one value, here and in LangGraph: its streams, its threads, its schemas.

About `runtime/graphwire_runtime/plan/schema.py`, `runtime/graphwire_runtime/plan/plan.py`,
`runtime/graphwire_runtime/step/task.py`, `runtime/graphwire_runtime/step/prepare.py` and
`runtime/graphwire_runtime/thread/snapshot.py`.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, in_any_order, recorded

pytestmark = pytest.mark.filterwarnings("default")

WHERE: Any = {"configurable": {"thread_id": "t"}}
MODES = ["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]
O, T = OURS, THEIRS  # noqa: E741


class Keyed(TypedDict, total=False):
    text: str


class Named(TypedDict):
    __root__: int


def joined(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    return {**left, **right}


def line(lg: Any, schema: Any, *nodes: Any, saver: Any = None, **kwargs: Any) -> Any:
    graph = lg.StateGraph(schema, **kwargs)
    return (
        graph.add_sequence([(f"n{i}", node) for i, node in enumerate(nodes)])
        .set_entry_point("n0")
        .compile(saver)
    )


def beside(lg: Any, schema: Any, *nodes: Any, saver: Any = None) -> Any:
    graph = lg.StateGraph(schema)
    for index, node in enumerate(nodes):
        graph.add_node(f"n{index}", node).add_edge(lg.START, f"n{index}")
    return graph.compile(saver)


def routed(lg: Any, schema: Any, node: Any, route: Any, last: Any, **kwargs: Any) -> Any:
    graph = lg.StateGraph(schema).add_node("first", node).add_edge(lg.START, "first").add_node("next", last)
    return graph.add_conditional_edges("first", route).compile(**kwargs)


def adding(*values: Any) -> Callable[[Any], Any]:
    return lambda state: list(values)


LIST = Annotated[list, operator.add]
Case = Callable[[Any], tuple[Any, Any]]

CASES: dict[str, Case] = {
    "a dict": lambda lg: (line(lg, dict, lambda s: {**s, "n": 1}, lambda s: {"seen": s}), {"q": 1}),
    "a dict with a reducer": lambda lg: (
        line(lg, Annotated[dict, joined], lambda s: {"n": 1}, lambda s: {"seen": dict(s)}),
        {"q": 1},
    ),
    "a list": lambda lg: (line(lg, list, lambda s: [*s, 1], lambda s: [*s, 2]), [0]),
    "a list that is added to": lambda lg: (line(lg, LIST, adding(1), adding(2, 3)), [0]),
    "a number": lambda lg: (line(lg, int, lambda s: s + 1, lambda s: s * 2), 3),
    "an optional number": lambda lg: (line(lg, int | None, lambda s: None, lambda s: (s or 0) + 2), 0),
    "a string": lambda lg: (line(lg, str, lambda s: s + "b"), "a"),
    "a tuple": lambda lg: (line(lg, tuple, lambda s: (*s, 2), lambda s: None), (1,)),
    "an alias": lambda lg: (line(lg, dict[str, int], lambda s: {"n": s["q"]}), {"q": 1}),
    "an annotated TypedDict": lambda lg: (
        line(lg, Annotated[Keyed, joined], lambda s: {"text": s["text"] + "!"}),
        {"text": "x"},
    ),
    "a TypedDict of the one key": lambda lg: (line(lg, Named, lambda s: s + 1), 3),
    "no input": lambda lg: (line(lg, LIST, adding(1)), None),
    "an empty input": lambda lg: (line(lg, LIST, lambda s: [len(s)]), []),
    "nothing is written": lambda lg: (line(lg, list, lambda s: None, lambda s: None), [1]),
    "messages": lambda lg: (
        line(
            lg,
            Annotated[list, lg.add_messages],
            lambda s: AIMessage("bare", id="1"),
            lambda s: [*s, AIMessage("more", id="2")],
            lambda s: ("ai", "a pair"),
        ),
        [HumanMessage("hi", id="0")],
    ),
    "an overwrite": lambda lg: (line(lg, LIST, lambda s: lg.Overwrite([9]), adding(1)), [0]),
    "two beside each other": lambda lg: (beside(lg, LIST, adding(1), adding(2)), [0]),
    "two that both write to a plain value": lambda lg: (beside(lg, list, adding(1), adding(2)), [0]),
    "a command": lambda lg: (
        line(lg, LIST, lambda s: lg.Command(update=[1], goto="n2"), adding(2), adding(3)),
        [0],
    ),
    "a command with pairs": lambda lg: (
        line(lg, LIST, lambda s: lg.Command(update=[("__root__", [1])])),
        [0],
    ),
    "a command with a mapping": lambda lg: (
        line(lg, Annotated[dict, joined], lambda s: lg.Command(update={"a": 1})),
        {"q": 1},
    ),
    "a command with a mapping of the one key": lambda lg: (
        line(lg, Annotated[dict, joined], lambda s: lg.Command(update={"__root__": {"a": 1}})),
        {"q": 1},
    ),
    "a command with a number": lambda lg: (line(lg, int, lambda s: lg.Command(update=5)), 1),
    "commands among values": lambda lg: (
        line(lg, LIST, lambda s: [lg.Command(update=[1]), [2], lg.Command(goto="n1")], adding(3)),
        [0],
    ),
    "a command as input": lambda lg: (line(lg, list, lambda s: [*s, 1]), lg.Command(update=[7], goto="n0")),
    "a command as input without a value": lambda lg: (line(lg, dict, lambda s: {}), lg.Command(goto="n0")),
    "a send": lambda lg: (
        routed(lg, LIST, adding(1), lambda s: [lg.Send("next", n) for n in s], lambda s: [s]),
        [0],
    ),
    "a router": lambda lg: (
        routed(lg, LIST, adding(1), lambda s: "next" if s == [0, 1] else lg.END, lambda s: [s]),
        [0],
    ),
    "a router of a dict": lambda lg: (
        routed(lg, dict, lambda s: {"n": 1}, lambda s: (lg.get_stream_writer()(s), "next")[1], lambda s: s),
        {"q": 1},
    ),
    "a router at the start": lambda lg: (
        lg.StateGraph(int)
        .add_node("up", lambda s: s + 1)
        .add_node("down", lambda s: s - 1)
        .add_conditional_edges(lg.START, lambda s: "up" if s > 0 else "down")
        .compile(),
        3,
    ),
    "a graph inside": lambda lg: (line(lg, LIST, line(lg, LIST, adding(1)), adding(2)), [0]),
    "a graph inside of one value in one with keys": lambda lg: (
        line(lg, Keyed, lambda s: {"text": line(lg, str, lambda t: t + "!").invoke(s["text"])}),
        {"text": "x"},
    ),
    "a dict inside a graph with keys": lambda lg: (
        line(lg, Keyed, line(lg, dict, lambda s: {**s, "text": "in", "odd": 1})),
        {"text": "x"},
    ),
    "a graph with keys inside a dict": lambda lg: (
        line(lg, dict, line(lg, Keyed, lambda s: {"text": s["text"] + "!"})),
        {"text": "x", "odd": 1},
    ),
    "a command to a parent": lambda lg: (
        line(lg, LIST, line(lg, LIST, lambda s: lg.Command(graph=lg.Command.PARENT, update=[5])), adding(2)),
        [0],
    ),
    "a node that fails": lambda lg: (line(lg, LIST, adding(1), lambda s: 1 / 0), [0]),
    "an input of one value for keys": lambda lg: (
        line(lg, Keyed, lambda s: {"text": repr(s)}, input_schema=list),
        [1],
    ),
    "an input of keys for one value": lambda lg: (
        line(lg, list, lambda s: {"__root__": [repr(s)]}, input_schema=Keyed),
        {"text": "x"},
    ),
    "an output of one value": lambda lg: (
        line(lg, Keyed, lambda s: {"text": "y", "__root__": [2]}, output_schema=list),
        {"text": "x"},
    ),
}
BESIDE = [
    case
    for name, case in CASES.items()
    if name == "a command" or any(word in name for word in ("beside", "send", "both"))
]


# Every two of version, subgraphs and way meet.
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_graph_streams_the_same(case: Case, version: str, how: str) -> None:
    seen, subgraphs = [], (version == "v2") == (how == "stream")
    for lg in (OURS, THEIRS):
        graph, value = case(lg)
        alike = case in BESIDE
        chunks, error = await recorded(
            graph, value, how, alike=alike, stream_mode=MODES, subgraphs=subgraphs, version=version
        )
        seen.append((in_any_order(chunks) if alike else chunks, error))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("kwargs", [{}, {"version": "v2"}, {"output_keys": "__root__"}], ids=str)
async def test_a_graph_returns_the_same(case: Case, kwargs: Any) -> None:
    seen: list[Any] = []
    for lg in (OURS, THEIRS):
        graph, value = case(lg)
        for call in (graph.invoke, graph.ainvoke):
            if lg is THEIRS and call == graph.ainvoke and sys.version_info < (3, 11):
                continue  # its nodes lose their context in an async run there
            try:
                result = call(value, **kwargs)
                seen.append(View()(result if call == graph.invoke else await result))
            except Exception as error:
                seen.append(type(error).__name__ if "output_keys" not in kwargs else "refused")
    assert seen == [seen[2]] * len(seen)
    ours, theirs = case(OURS)[0], case(THEIRS)[0]
    assert ours.output_channels == theirs.output_channels
    assert ours.stream_channels == theirs.stream_channels


def asking(lg: Any, saver: Any, **kwargs: Any) -> Any:
    def ask(state: Any) -> Any:
        return [lg.interrupt({"so far": [*state]})]

    inner = line(lg, LIST, ask, adding("inner"))
    graph = lg.StateGraph(LIST).add_node("first", adding("first")).add_node("ask", ask).add_node("in", inner)
    graph.add_node("also", adding("also")).add_node("work", lambda number: [number])
    graph.add_edge(lg.START, "first").add_edge("first", "ask").add_edge("first", "also").add_edge("ask", "in")
    graph.add_conditional_edges("in", lambda state: [lg.Send("work", len(state))], ["work"])
    return graph.compile(checkpointer=saver, **kwargs)


def history(graph: Any) -> list[Any]:
    view = View(alike=True)
    return [view(each) for each in graph.get_state_history(WHERE)]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("how", HOWS)
async def test_questions_are_asked_and_answered_the_same(how: str, version: str) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        graph, found = asking(lg, InMemorySaver()), []
        for value in ([0], lg.Command(resume="yes"), lg.Command(resume="no", update=["edit"]), [8]):
            chunks, error = await recorded(
                graph,
                value,
                how,
                alike=True,
                config=WHERE,
                stream_mode=MODES,
                subgraphs=True,
                version=version,
            )
            found.append((in_any_order(chunks), error))
            found.append(View(alike=True)(graph.get_state(WHERE, subgraphs=True)))
        seen.append([*found, *history(graph)])
    assert seen[0] == seen[1]


@pytest.mark.parametrize("order", [[O, T], [T, O], [O]], ids=["in turn", "theirs first", "ours"])
def test_either_library_continues_a_thread_of_the_other(order: list[Any]) -> None:
    def lived(order: list[Any]) -> Any:
        saver, found = InMemorySaver(), []
        for turn in range(6):
            lg = order[turn % len(order)]
            graph = asking(lg, saver, interrupt_before=["also"])
            asked = graph.get_state(WHERE).interrupts if turn else ()
            value = lg.Command(resume=str(turn)) if asked else None if turn else [0]
            found.append(View(alike=True)(graph.invoke(value, WHERE)))
            states = [asking(each, saver).get_state(WHERE, subgraphs=True) for each in (O, T)]
            assert [task.id for task in states[0].tasks] == [task.id for task in states[1].tasks]
            found.append([View(alike=True)(each) for each in states])
            assert found[-1][0] == found[-1][1]
        asking(order[0], saver).update_state(WHERE, ["edited"], as_node="first")
        histories = [*history(asking(O, saver)), *history(asking(T, saver))]
        # each library finds only its own task of START, whose id the other makes in another way
        return [*found, *(each for each in histories if each[1]["next"] != ("__start__",))]

    alone = lived([T])
    assert "inner" in str(alone)
    assert lived(order) == alone


EDITS: dict[str, tuple[Any, Any]] = {
    "of a node": ([5], "first"),
    "of the start": ([5], "__start__"),
    "of an empty list at the start": ([], "__start__"),
    "of the input": ([5], "__input__"),
    "of nothing": (None, "first"),
    "of the end": (None, "__end__"),
    "of an empty list": ([], "first"),
    "of whoever ran last": ([6], None),
    "of an unknown node": ([6], "odd"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_an_edit_is_the_same(edit: tuple[Any, Any], turns: int) -> None:
    if edit[1] == "__input__" and turns == 1:
        return  # LangGraph then shows beside START what was to run next
    seen: list[Any] = []
    for lg in (OURS, THEIRS):
        for how in ("sync", "async"):
            graph, error = asking(lg, InMemorySaver()), None
            for turn in range(turns):
                graph.invoke(lg.Command(resume=turn) if turn else [0], WHERE)
            try:
                if how == "sync":
                    graph.update_state(WHERE, *edit)
                else:
                    await graph.aupdate_state(WHERE, *edit)
            except Exception as failure:
                error = type(failure).__name__
            seen.append([error, View(alike=True)(graph.get_state(WHERE)), history(graph)])
    assert seen == [seen[2]] * 4


@pytest.mark.parametrize(
    "schema", [dict, list, int, str, LIST, dict[str, int], int | None, list[str]], ids=str
)
def test_the_json_schemas_are_the_same(schema: Any) -> None:
    ours, theirs = [line(lg, schema, lambda s: s) for lg in (OURS, THEIRS)]
    assert ours.get_input_jsonschema() == theirs.get_input_jsonschema()
    assert ours.get_output_jsonschema() == theirs.get_output_jsonschema()


def test_a_result_is_cached() -> None:
    from langgraph.cache.memory import InMemoryCache

    calls: list[Any] = []
    for lg in (OURS, THEIRS):
        graph = lg.StateGraph(LIST)
        graph.add_node("n", lambda s: calls.append(s) or ["n"], cache_policy=lg.CachePolicy())
        made = graph.add_edge(lg.START, "n").compile(cache=InMemoryCache())
        assert [made.invoke([0]), made.invoke([0]), made.invoke([1])] == [[0, "n"], [0, "n"], [1, "n"]]
    assert calls == [[0], [1], [0], [1]]


@pytest.mark.parametrize("schema", ["text", 5, None, type("Bare", (), {})], ids=str)
def test_what_is_no_state_is_refused(schema: Any) -> None:
    with pytest.raises(TypeError, match=r"a state schema is a TypedDict, .* no annotated fields"):
        OURS.StateGraph(schema)
