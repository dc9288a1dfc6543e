"""What a graph shows of itself: name, schemas, drawing; and that a server can serve it.

About `runtime/graphwire_runtime/compiled.py`, `runtime/graphwire_runtime/describing.py`,
`runtime/graphwire_runtime/plan/drawing.py` and `runtime/graphwire_runtime/servable.py`.
"""

from __future__ import annotations

import dataclasses
import operator
import subprocess
import sys
import typing
from typing import Annotated, Any, Literal

import graphwire_runtime
import pytest
import typing_extensions
from graphwire_runtime import END, START, Command, Servable, StateGraph
from pydantic import BaseModel


class State(typing.TypedDict, total=False):
    topic: typing_extensions.Required[str]
    lines: Annotated[list[str], operator.add]


def write(state: State) -> dict[str, Any]:
    return {"lines": ["x"]}


def simple(schema: Any = State, **schemas: Any) -> Any:
    return (
        StateGraph(schema, **schemas)
        .add_node(write)
        .add_edge(START, "write")
        .add_edge("write", END)
        .compile()
    )


def test_a_compiled_graph_is_servable() -> None:
    graph: Servable = simple()
    assert isinstance(graph, Servable)
    assert (graph.name, graph.checkpointer, list(graph.nodes)) == ("LangGraph", None, ["__start__", "write"])
    assert graph.output_channels == ["topic", "lines"]


def test_the_name_given_to_compile_is_the_graphs() -> None:
    graph = StateGraph(State).add_node(write).add_edge(START, "write").compile(name="Poet")
    assert (graph.name, graph.get_name()) == ("Poet", "Poet")


@dataclasses.dataclass
class Data:
    topic: str
    lines: Annotated[list[str], operator.add] = dataclasses.field(default_factory=list)


class Model(BaseModel):
    topic: str
    lines: Annotated[list[str], operator.add] = []


@pytest.mark.parametrize("schema", [State, Data, Model])
def test_the_json_schemas_of_every_kind_of_state(schema: Any) -> None:
    described = simple(schema).get_input_jsonschema()
    assert described["required"] == ["topic"]
    assert described["properties"]["topic"] == {"title": "Topic", "type": "string"}
    assert described["properties"]["lines"]["items"] == {"type": "string"}


def test_input_output_and_context_each_have_their_schema() -> None:
    class In(typing_extensions.TypedDict):
        topic: str

    graph = simple(input_schema=In, context_schema=Data)
    assert list(graph.get_input_jsonschema()["properties"]) == ["topic"]
    assert list(graph.get_output_jsonschema()["properties"]) == ["topic", "lines"]
    assert graph.get_context_jsonschema()["title"] == "Data"
    assert simple().get_context_jsonschema() is None


def edges(graph: Any, **kwargs: Any) -> set[tuple[str, str, Any, bool]]:
    return {(e.source, e.target, e.data, e.conditional) for e in graph.get_graph(**kwargs).edges}


def test_the_drawing_shows_edges_routers_and_destinations() -> None:
    def jump(state: State) -> Command[Literal["write"]]:
        return Command(goto="write")

    def route(state: State) -> Literal["jump", "__end__"]:
        return "jump"

    graph = StateGraph(State).add_node(write).add_node(jump).add_node("mapped", write)
    graph.add_conditional_edges(START, route).add_edge("write", "mapped")
    graph.add_conditional_edges("mapped", lambda state: True, {True: "write", False: END})
    assert edges(graph.compile()) == {
        (START, "jump", None, True),
        (START, END, None, True),
        ("jump", "write", None, True),
        ("write", "mapped", None, False),
        ("mapped", "write", "True", True),
        ("mapped", END, "False", True),
    }
    assert "mapped" in graph.compile().get_graph().draw_mermaid()


def test_xray_opens_graphs_that_are_nodes() -> None:
    graph = StateGraph(State).add_node("sub", simple()).add_edge(START, "sub").compile()
    assert edges(graph) == {(START, "sub", None, False), ("sub", END, None, False)}
    assert edges(graph, xray=True) == {(START, "sub:write", None, False), ("sub:write", END, None, False)}


@pytest.mark.processes
def test_the_package_needs_no_langgraph() -> None:
    program = """
import importlib.abc, sys

class Wall(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "langgraph":
            raise ImportError(name + " is walled off")

sys.meta_path.insert(0, Wall())
from graphwire_runtime import START, StateGraph
from typing import TypedDict
S = TypedDict("S", {"a": int})
graph = StateGraph(S).add_node("n", lambda s: {"a": 2}).add_edge(START, "n").compile()
assert graph.invoke({"a": 1}) == {"a": 2}
assert not [name for name in sys.modules if name.startswith("langgraph")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_all_is_the_whole_surface() -> None:
    assert len(set(graphwire_runtime.__all__)) == len(graphwire_runtime.__all__)
    for name in graphwire_runtime.__all__:
        assert getattr(graphwire_runtime, name) is not None
