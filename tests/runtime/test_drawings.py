"""Graphs are drawn as LangGraph draws them: the same nodes and edges, in the same order.

About `runtime/graphwire_runtime/plan/drawing.py`.
"""

import operator
from collections.abc import Callable
from typing import Annotated, Any, Literal

import graphwire_runtime
import langgraph.types
import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langgraph.prebuilt import ToolNode
from typing_extensions import TypedDict

from tests.support.comparison import OURS, THEIRS

pytestmark = pytest.mark.filterwarnings("default")


class Pad(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


@tool
def look(at: str) -> str:
    """Look."""
    return at


def graph(lib: Any, *names: str, edges: Any = (), **given: Any) -> Any:
    made = lib.StateGraph(Pad)
    for name in names:
        made.add_node(name, lambda state: {}, **given)
    for start, end in edges:
        made.add_edge(start, end)
    return made


def loop(lib: Any) -> Any:
    return graph(lib, "a", "b", edges=[("__start__", "a"), ("a", "b"), ("b", "a")])


def routed(lib: Any, path_map: Any, *, to: str = "b") -> Any:
    made = graph(lib, "a", "b", edges=[("__start__", "a"), ("b", "a")])
    return made.add_conditional_edges("a", lambda state: to, path_map)


def by_type(lib: Any) -> Any:
    def choose(state: Any) -> Literal["b", "__end__"]:
        return "b"

    return graph(lib, "a", "b", edges=[("__start__", "a")]).add_conditional_edges("a", choose)


def twice_routed(lib: Any) -> Any:
    def choose(state: Any) -> bool:
        return True

    made = graph(lib, "a", "b", edges=[("__start__", "a"), ("a", "b")])
    made.add_conditional_edges("a", lambda state: "b", ["b"])
    return made.add_conditional_edges("a", choose, {True: "b", False: "__end__"})


def joined(lib: Any, end: str = "c") -> Any:
    made = graph(lib, "a", "b", "c", "d", edges=[("__start__", "a"), ("__start__", "b"), ("c", "d")])
    return made.add_edge(["a", "b"], end)


def deferred(lib: Any, *edges: tuple[str, str]) -> Any:
    made = graph(lib, "a", "b").add_node("late", lambda state: {}, defer=True)
    for start, end in (("__start__", "a"), ("a", "b"), *edges):
        made.add_edge(start, end)
    return made


def jumping(lib: Any) -> Any:
    command = (langgraph.types if lib is THEIRS else graphwire_runtime).Command

    def jump(state: Any) -> command[Literal["b", "__end__"]]:  # type: ignore[valid-type]
        return command(goto="b")

    return graph(lib, "b").add_node("a", jump).add_edge("__start__", "a")


def declared(lib: Any) -> Any:
    made = lib.StateGraph(Pad).add_node("a", lambda state: {}, destinations=("b", "__end__"))
    return made.add_node("b", lambda state: {}, destinations={"a": "again"}).add_edge("__start__", "a")


def runnables(lib: Any) -> Any:
    made = lib.StateGraph(Pad).add_node("a", RunnableLambda(lambda state: {}), metadata={"x": 1})
    made.add_node("tools", ToolNode([look])).add_node("both", {"log": RunnableLambda(lambda state: [])})
    return made.add_edge("__start__", "a").add_edge("a", "tools").add_edge("tools", "both")


def holding(lib: Any) -> Any:
    inner, called = by_type(lib).compile(), joined(lib).compile()
    made = graph(lib, "a").add_node("held", loop(lib).compile()).add_node("inner", inner)
    made.add_node("called", lambda state: called.invoke(state))
    for start, end in (("__start__", "a"), ("a", "held"), ("held", "inner"), ("inner", "called")):
        made.add_edge(start, end)
    return made


def deep(lib: Any) -> Any:
    made = (
        graph(lib, "z").add_node("deep", holding(lib).compile()).add_node("deeper", deferred(lib).compile())
    )
    return made.add_edge("__start__", "deep").add_edge("deep", "deeper").add_edge("deeper", "z")


CASES: dict[str, Callable[[Any], Any]] = {
    "a loop": loop,
    "a loop of three": lambda lib: graph(
        lib, "a", "b", "c", edges=[("__start__", "a"), ("a", "b"), ("b", "c"), ("c", "a")]
    ),
    "a loop of one": lambda lib: graph(lib, "a", edges=[("__start__", "a"), ("a", "a")]),
    "a labelled router": lambda lib: routed(lib, {"go": "b", "end": "__end__"}),
    "a router to names": lambda lib: routed(lib, ["b", "__end__"]),
    "a router that never ends": lambda lib: routed(lib, ["b"]),
    "a router by its type": by_type,
    "two routers and an edge": twice_routed,
    "a router of start": lambda lib: graph(lib, "a", "b").add_conditional_edges(
        "__start__", lambda state: "a", ["a", "b"]
    ),
    "a join": joined,
    "a join to the end": lambda lib: joined(lib, "__end__"),
    "a late node": lambda lib: deferred(lib, ("__start__", "late")),
    "a late node twice": lambda lib: deferred(lib, ("a", "late"), ("b", "late")),
    "a late node goes on": lambda lib: deferred(lib, ("a", "late"), ("late", "b")),
    "a command": jumping,
    "declared jumps": declared,
    "an unreachable node": lambda lib: graph(lib, "a", "z", edges=[("__start__", "a"), ("z", "a")]),
    "runnables": runnables,
    "graphs inside": holding,
    "graphs deep inside": deep,
}


@pytest.mark.parametrize("xray", [False, True, 1])
@pytest.mark.parametrize("name", CASES)
def test_a_graph_is_drawn_as_langgraph_draws_it(name: str, xray: Any) -> None:
    drawn = []
    for lib in (OURS, THEIRS):
        stops: Any = (
            {"interrupt_before": ["a", "b"], "interrupt_after": ["b", "c"]} if name == "a join" else {}
        )
        made = CASES[name](lib).compile(**stops)
        picture = made.get_graph(xray=xray)
        nodes = [(node.id, node.name, node.data is None, node.metadata) for node in picture.nodes.values()]
        drawn.append((nodes, [tuple(edge) for edge in picture.edges], picture.draw_mermaid()))
    assert drawn[0] == drawn[1]
    assert drawn[0][1], "there are edges"


async def test_a_graph_is_drawn_the_same_on_the_event_loop() -> None:
    made = holding(OURS).compile()
    picture = await made.aget_graph(xray=True)
    assert picture.to_json() == made.get_graph(xray=True).to_json()


def test_a_router_that_does_not_say_where_it_leads_is_drawn_to_every_node() -> None:
    """LangGraph draws none of its edges."""
    edges = [tuple(edge)[:2] for edge in routed(OURS, None).compile().get_graph().edges]
    assert edges == [("__start__", "a"), ("a", "__end__"), ("a", "a"), ("a", "b"), ("b", "a")]
