"""Graphs, of either library, whose nodes call functions with ``@task``, which write custom data."""

from typing import Any

import graphwire_runtime
import pytest
from typing_extensions import TypedDict


class Counted(TypedDict, total=False):
    """A state of one number."""

    x: int


def functional(library: str = "langgraph") -> dict[str, Any]:
    """Return an entrypoint and a graph that call tasks, tasks of tasks, and subgraphs that call tasks.

    They are of LangGraph or of the "runtime". Skips the test where LangGraph is missing.
    """
    if library == "runtime":
        func: Any = graphwire_runtime
        building: Any = graphwire_runtime
        write: Any = graphwire_runtime.get_stream_writer
    else:
        func = pytest.importorskip("langgraph.func")
        write = pytest.importorskip("langgraph.config").get_stream_writer
        building = pytest.importorskip("langgraph.graph")

    @func.task
    def leaf(x: int) -> int:
        write()("leaf")
        return x

    @func.task
    def work(x: int) -> int:
        write()("work")
        leaf(x).result()
        write()({"work": x})
        return x

    def below(state: Counted) -> Counted:
        write()("below")
        return {"x": leaf(state.get("x", 0)).result()}

    inner = building.StateGraph(Counted).add_node(below).add_edge(building.START, "below").compile()

    @func.task
    def nesting(x: int) -> int:
        write()("before")
        inner.invoke({"x": x})
        write()("behind")
        return x

    @func.entrypoint()
    def flow(x: int) -> int:
        write()("start")
        work(x).result()
        inner.invoke({"x": x})
        work(x).result()
        nesting(x).result()
        inner.invoke({})
        return x

    def outer(state: Counted) -> Counted:
        write()("outer")
        return {"x": work(1).result()}

    graph = building.StateGraph(Counted).add_node(outer).add_node("inner", inner)
    graph.add_edge(building.START, "outer").add_edge("outer", "inner")
    return {"flow": flow, "graph": graph.compile()}
