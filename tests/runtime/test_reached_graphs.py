"""Which graph a node is or calls is found as LangGraph finds it, in every shape of node.

About `runtime/graphwire_runtime/plan/reached.py` and `runtime/graphwire_runtime/spec.py`.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from graphwire_runtime.plan.reached import reached_by
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")


class Pad(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


def line(lib: Any, node: Any, **given: Any) -> Any:
    return lib.StateGraph(Pad).add_node("node", node).add_edge("__start__", "node").compile(**given)


class Holder:
    def __init__(self, graph: Any) -> None:
        self.graph = graph

    def __call__(self, state: Any) -> Any:
        return self.graph.invoke(state)

    def method(self, state: Any) -> Any:
        return self.graph.invoke(state)

    @property
    def broken(self) -> Any:
        raise AttributeError("not yet")


class Listed(list):  # type: ignore[type-arg]
    graph: Any


def shapes(lib: Any, graph: Any) -> Iterator[tuple[str, Any]]:
    """Yield nodes by name, each of which runs the graph."""
    held = Holder(graph)
    deep = SimpleNamespace(held=held, empty=None)
    listed = Listed([1])
    listed.graph = graph
    packed, keyed = [graph], {"graph": graph}
    run = graph.invoke

    def closure(state: Any) -> Any:
        return graph.invoke(state)

    async def in_a_coroutine(state: Any) -> Any:
        return await graph.ainvoke(state)

    def chain(state: Any) -> Any:
        return deep.held.graph.invoke(state)

    def broken_chain(state: Any) -> Any:
        return deep.empty.graph.invoke(state) if held.broken else graph.invoke(state)

    def nested(state: Any) -> Any:
        def inner() -> Any:
            return deep.held.graph.invoke(state)

        return inner()

    def comprehended(state: Any) -> Any:
        return [held.graph.invoke(each) for each in (state, state)][1]

    def of_a_list(state: Any) -> Any:
        return listed.graph.invoke(state)

    def beside_an_empty_cell(state: Any) -> Any:
        return graph.invoke(state) if state else later()

    def by_a_bound_method(state: Any) -> Any:
        return run(state)

    def packed_away(state: Any) -> Any:
        return packed[0].invoke(state) if state else keyed["graph"].invoke(state)

    def other(state: Any) -> Any:
        return {"log": ["other"]}

    def calls_another(state: Any) -> Any:
        return closure(state)

    def decorated(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        @functools.wraps(function)
        def wrapper(state: Any) -> Any:
            return function(state)

        return wrapper

    def default(state: Any, held: Any = graph) -> Any:
        return held.invoke(state)

    yield from {
        "itself": graph,
        "with a config": graph.with_config(tags=["tag"]),
        "with retries": graph.with_retry(),
        "a sequence": RunnableLambda(lambda state: state) | graph,
        "a sequence that calls it": RunnableLambda(lambda state: state) | RunnableLambda(closure),
        "a lambda": RunnableLambda(closure),
        "an async lambda": RunnableLambda(in_a_coroutine),
        "decorated": decorated(closure),
        "decorated twice": decorated(decorated(closure)),
        "a method": held.method,
        "a callable object": held,
        "a partial": functools.partial(lambda given, state: given.invoke(state), graph),
        "two steps": {"log": RunnableLambda(closure) | operator.itemgetter("log")},
    }.items()
    for function in (closure, in_a_coroutine, chain, broken_chain, nested, comprehended, of_a_list, default):
        yield function.__name__, function
    for function in (beside_an_empty_cell, by_a_bound_method, packed_away, other, calls_another):
        yield function.__name__, function
    later = None  # type: ignore[assignment]  # bound only now


def inner(lib: Any, **given: Any) -> Any:
    return line(lib, lambda state: {"log": ["inner"]}, **given)


def test_the_same_shapes_are_found_as_in_langgraph() -> None:
    found: list[dict[str, Any]] = []
    for lib in (OURS, THEIRS):
        graph = inner(lib)
        nodes = [(name, line(lib, node).get_subgraphs()) for name, node in shapes(lib, graph)]
        found.append({name: [key for key, _ in graphs] for name, graphs in nodes})
    assert found[0] == found[1]
    assert sum(map(bool, found[0].values())) >= 16
    assert found[0]["other"] == []


@pytest.mark.parametrize("checkpointer", [None, True, False])
def test_a_graph_that_keeps_no_thread_does_not_count_as_in_langgraph(checkpointer: Any) -> None:
    found = []
    for outer in (OURS, THEIRS):
        for lib in (OURS, THEIRS):
            graph = inner(lib, checkpointer=checkpointer)
            found.append([name for name, _ in line(outer, graph).get_subgraphs()])
    assert [found[0], found[1], found[3]] == [found[3]] * 3


@pytest.mark.parametrize("shape", ["chain", "decorated", "a sequence", "of_a_list", "a lambda"])
def test_the_state_of_a_graph_that_is_found_is_shown(shape: str) -> None:
    shown = []
    for lib in (OURS, THEIRS):
        graph = dict(shapes(lib, line(lib, lambda state, lib=lib: {"log": [lib.interrupt("?")]})))[shape]
        outer = line(lib, graph, checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        outer.invoke({"log": ["begun"]}, config)
        state = outer.get_state(config, subgraphs=True)
        assert state.tasks[0].state.values == {"log": ["begun"]}
        shown.append(View()(state))
    assert shown[0] == shown[1]


def test_nothing_is_reached_by_what_is_no_function() -> None:
    assert reached_by(print) == reached_by(3) == reached_by(None) == []


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("outcome", ["ends", "asks", "fails"])
async def test_a_graph_that_keeps_no_thread_runs_inside_one_of_langgraphs(outcome: str, how: str) -> None:
    """The one difference: LangGraph takes it for a graph with a state, which is empty, and not for none."""
    told = []
    for outer, lib in ((THEIRS, THEIRS), (THEIRS, OURS), (OURS, OURS), (OURS, THEIRS)):

        def node(state: Any, lib: Any = lib) -> Any:
            if outcome == "fails":
                raise LookupError
            return {"log": [lib.interrupt("?") if outcome == "asks" else "said"]}

        graph = line(outer, line(lib, node, checkpointer=False), checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        view, seen = View(), []
        for value in ({"log": ["begun"]}, outer.Command(resume="answer")):
            modes = ["values", "updates", "tasks"]
            seen.append(await recorded(graph, value, how, config=config, stream_mode=modes, subgraphs=True))
            state = graph.get_state(config, subgraphs=True)
            assert all(not task.state or not task.state.values for task in state.tasks)
            tasks = tuple(task._replace(state=None) for task in state.tasks)
            seen.append(view(state._replace(tasks=tasks)))
        told.append(seen)
    assert told == [told[0]] * 4
