"""Custom data of an `@task` belongs to the graph that called it, whatever else is at work below.

About `gateway/graphwire_gateway/execution/namespaces.py`.
"""

from typing import Any

import pytest
from graphwire_gateway.execution.namespaces import GraphNamespaces, is_of_langgraph

from tests.support.functional import functional
from tests.support.graphs import counter


@pytest.mark.parametrize(("name", "input"), [("flow", 1), ("graph", {"x": 1})])
async def test_the_root_has_what_langgraph_shows_without_subgraphs(name: str, input: Any) -> None:
    graph = functional()[name]
    alone = [chunk async for chunk in graph.astream(input, stream_mode="custom")]
    namespaces, root = GraphNamespaces(), []
    async for ns, mode, chunk in graph.astream(input, stream_mode=["custom", "tasks"], subgraphs=True):
        if mode == "tasks":
            namespaces.note(ns, chunk)
        elif not namespaces.graph_of(ns):
            root.append(chunk)
    assert root == alone
    assert "below" not in root


def test_a_namespace_is_a_graph_s_as_long_as_one_of_its_tasks_is_at_work() -> None:
    namespaces = GraphNamespaces()
    deep = ("a:1", "b:2")
    assert namespaces.graph_of(deep) == ()
    for id in ("x", "y"):
        namespaces.note(("a:1",), {"id": id, "name": "n", "input": None})
    assert namespaces.graph_of(deep) == ("a:1",)
    namespaces.note(("a:1",), {"id": "x", "name": "n", "result": {}})
    assert namespaces.graph_of(("a:1",)) == ("a:1",)
    namespaces.note(("a:1",), {"id": "y", "name": "n", "result": {}})
    namespaces.note(("a:1",), {"id": "z", "name": "n", "result": {}})
    namespaces.note(("a:1",), "from a graph that tells its tasks in its own way")
    assert namespaces.graph_of(("a:1",)) == ()


def test_only_langgraph_s_graphs_have_such_tasks() -> None:
    assert is_of_langgraph(functional()["flow"])
    assert not is_of_langgraph(counter())
