"""What a graph says that it takes and returns, as a tool and as schemas, beside the same of LangGraph's.

About `runtime/graphwire_runtime/plan/json_schema.py`, `runtime/graphwire_runtime/threads.py`,
`runtime/graphwire_runtime/describing.py` and `runtime/graphwire_runtime/functional/workflow.py`.
"""

import operator
import warnings
from dataclasses import dataclass, field
from typing import Annotated, Any, Optional

import pytest
from langgraph.channels import Topic
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.store.memory import InMemoryStore
from pydantic import BaseModel, Field
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError
from typing_extensions import NotRequired, Required, TypedDict

from tests.support.comparison import OURS, THEIRS

pytestmark = pytest.mark.filterwarnings("default")


class Pad(TypedDict, total=False):
    a: Required[int]
    log: Annotated[list[str], operator.add]


class Note(TypedDict):
    a: int
    b: Optional[str]  # noqa: UP045
    c: NotRequired[int]
    d: Annotated[int, Field(description="a number")]


@dataclass
class Card:
    a: int
    b: Optional[int]  # noqa: UP045
    c: str = "x"
    d: list[int] = field(default_factory=lambda: [1])
    e: Optional[int] = 3  # noqa: UP045
    log: Annotated[list[str], operator.add] = field(default_factory=list)
    seen: Annotated[list[str], Topic(str)] = field(default_factory=list)


class Plain:
    a: int
    b: Optional[int]  # noqa: UP045
    c: Annotated[Optional[int], "note"]  # noqa: UP045


class Form(BaseModel):
    a: int
    b: str = "x"
    c: Optional[int]  # noqa: UP045


SCHEMAS = [Pad, Note, Card, Plain, Form, dict, list[int], int, Annotated[list, operator.add]]


def build(lib: Any, schema: Any, **given: Any) -> Any:
    graph = lib.StateGraph(schema, context_schema=given.pop("context", None))
    return graph.add_node("one", lambda state: {}).add_edge("__start__", "one").compile(**given)


def schemas_of(graph: Any) -> Any:
    found: dict[str, Any] = {}
    for name in ("get_input_jsonschema", "get_output_jsonschema", "get_context_jsonschema"):
        found[name] = getattr(graph, name)()
    for name in ("get_input_schema", "get_output_schema", "config_schema"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = getattr(graph, name)()
        try:
            found[name] = (model.__name__, model.model_json_schema())
        except PydanticInvalidForJsonSchema:
            found[name] = model.__name__
    for name in ("InputType", "OutputType", "config_specs"):
        found[name] = str(getattr(graph, name))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tool = graph.as_tool(name="tool", description="it")
        found["tool"] = (tool.name, tool.args)
    except (TypeError, PydanticUserError):
        found["tool"] = "refused"
    return found


@pytest.mark.parametrize("given", [{}, {"name": "desk", "context": Note}, {"context": Form}])
@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_the_schemas_of_a_graph_are_langgraphs(schema: Any, given: Any) -> None:
    ours, theirs = (schemas_of(build(lib, schema, **given)) for lib in (OURS, THEIRS))
    assert ours == theirs


def test_a_key_that_may_be_none_is_not_required() -> None:
    assert build(OURS, Plain).get_input_jsonschema()["required"] == ["a"]
    assert build(OURS, Card).get_input_jsonschema()["required"] == ["a"]


def test_the_schemas_of_an_entrypoint_are_langgraphs() -> None:
    def graph(lib: Any) -> Any:
        @lib.entrypoint()
        def flow(value: list[int], *, previous: Any = None) -> Pad:
            raise NotImplementedError

        return flow

    assert schemas_of(graph(OURS)) == schemas_of(graph(THEIRS))


class Sheet(TypedDict):  # langchain-core makes no tool of a Required before Python 3.11
    a: int
    log: Annotated[list[str], operator.add]


def test_a_graph_is_a_tool() -> None:
    for lib in (OURS, THEIRS):
        graph = lib.StateGraph(Sheet).add_node("one", lambda state: {"log": [f"got {state['a']}"]})
        compiled = graph.add_edge("__start__", "one").compile()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tool = compiled.as_tool(name="tool", description="it")
        assert tool.invoke({"a": 1, "log": []}) == {"a": 1, "log": ["got 1"]}


# ── copies ───────────────────────────────────────────────────────────────────────────────────────


def test_a_copy_has_other_settings_and_leaves_the_graph_as_it_is() -> None:
    for lib in (OURS, THEIRS):
        graph = build(lib, Pad, name="First")
        saver, store = InMemorySaver(), InMemoryStore()
        changes = {
            "checkpointer": saver,
            "store": store,
            "name": "Second",
            "interrupt_before_nodes": ["one"],
            "step_timeout": 5.0,
        }
        copied = graph.copy(changes)
        assert (graph.checkpointer, graph.store, graph.name, graph.step_timeout) == (
            None,
            None,
            "First",
            None,
        )
        assert [getattr(copied, name) for name in changes] == [*changes.values()]
        config: Any = {"configurable": {"thread_id": "1"}}
        copied.invoke({"a": 1}, config)
        assert copied.get_state(config).next == ("one",)
        assert graph.copy().invoke({"a": 1}) == {"a": 1, "log": []}


def test_a_graph_runs_under_the_name_that_it_is_given() -> None:
    for lib in (OURS, THEIRS):
        graph = build(lib, Pad)
        graph.name = "Renamed"
        assert (graph.get_name(), graph.get_name("Input")) == ("Renamed", "RenamedInput")
        assert build(lib, Pad).name == "LangGraph"


@pytest.mark.parametrize(
    "update", [{"checkpoint": None}, {"plan": None}, {"checkpointer": "sqlite"}, {"cache": object()}]
)
def test_a_copy_refuses_what_it_cannot_be_given(update: Any) -> None:
    with pytest.raises(TypeError, match=r"no setting|checkpointer|cache"):
        build(OURS, Pad).copy(update)


# ── what a builder holds ─────────────────────────────────────────────────────────────────────────


def test_a_builder_shows_its_nodes_and_edges() -> None:
    shown = []
    for lib in (OURS, THEIRS):
        graph = lib.StateGraph(Pad)
        for name in ("one", "two", "three"):
            graph.add_node(name, lambda state: {})
        graph.add_edge("__start__", "one").add_edge("__start__", "two").add_edge(["one", "two"], "three")

        def choose(state: Any) -> str:
            return "one"

        graph.add_conditional_edges("three", choose).add_edge("two", "__end__")
        compiled = graph.compile()
        shown.append(
            [
                [*graph.nodes],
                graph.edges,
                graph.waiting_edges,
                {source: [*routers] for source, routers in graph.branches.items()},
                [*graph.channels],
                [key for key in compiled.channels if key in graph.channels],
                compiled.input_channels,
                compiled.stream_channels_list,
                compiled.stream_channels_asis,
                compiled.context_schema,
                compiled.cache_policy,
                [*compiled.retry_policy],
            ]
        )
    assert shown[0] == shown[1]


def test_what_a_builder_shows_cannot_be_changed() -> None:
    graph: Any = OURS.StateGraph(Pad).add_node("one", lambda state: {})
    with pytest.raises(TypeError):
        graph.nodes["two"] = graph.nodes["one"]
    graph.edges.add(("__start__", "one"))
    with pytest.raises(ValueError, match="no entry"):
        graph.compile()
