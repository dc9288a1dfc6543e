"""What a request names is compared with the graph: refused where the graph would refuse it, noted where not.

About `gateway/graphwire_gateway/execution/names.py`, `gateway/graphwire_gateway/graphs/shape.py` and
`protocol/graphwire_protocol/suggest.py`.
"""

import re
from typing import Any

import pytest
from graphwire_gateway.execution import names
from graphwire_gateway.execution.names import check_run, filter_notes, run_notes, update_notes
from graphwire_gateway.graphs.entry import Entry
from graphwire_gateway.graphs.shape import Shape, shape_of
from graphwire_protocol import commands
from graphwire_protocol.errors import Refusal
from graphwire_protocol.suggest import did_you_mean, shown
from typing_extensions import TypedDict

from tests.support.graphs import Library, Stream, library
from tests.support.state_graphs import Model, counting, functional, root_of


class State(TypedDict, total=False):
    topic: str
    joke: str
    count: int


class Input(TypedDict, total=False):
    topic: str


@pytest.fixture(params=["graphwire_runtime", "langgraph"])
def lib(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


def entry(graph: Any, *, is_fixed: bool = True) -> Entry:
    return Entry("joke", graph, runner=None, shape=shape_of(graph, is_fixed=is_fixed))  # type: ignore[arg-type]


@pytest.fixture
def joker(lib: Library) -> Entry:
    building = lib.StateGraph(State, input_schema=Input).add_node("write", lambda state: {})
    return entry(building.add_edge(lib.START, "write").compile())


def run(**fields: Any) -> commands.Run:
    return commands.Run.model_validate({"id": 1, "graph": "joke", "input": {}, **fields})


def test_the_shape_has_the_keys_of_input_and_state_and_the_nodes(lib: Library, joker: Entry) -> None:
    assert joker.shape == Shape(("topic",), ("topic", "joke", "count"), ("write",), True)
    model = shape_of(counting(lib, Model), is_fixed=False)
    assert model.input == model.state == ("n", "log", "messages", "note", "level")
    assert not model.is_fixed


def test_a_graph_of_one_value_has_no_keys() -> None:
    library("langgraph")
    assert shape_of(root_of("dict"), is_fixed=True) == Shape(None, None, ("n",), True)
    assert shape_of(functional("dict"), is_fixed=True) == Shape(None, None, ("entry",), True)


async def nothing(_: Any) -> Any:
    yield


def test_nothing_is_known_of_other_graphs() -> None:
    assert shape_of(Stream(nothing), is_fixed=True) == Shape()
    check_run(run(input=None), entry(Stream(nothing)))
    check_run(run(input="text"), entry(Stream(nothing)))
    assert [*run_notes(run(input={"a": 1}), entry(Stream(nothing)))] == []


# ── refused ──────────────────────────────────────────────────────────────────────────────────────

REFUSED: list[tuple[dict[str, Any], str, str]] = [
    *(
        ({"input": value}, "input", r"takes an object as its input, with the keys topic$")
        for value in ("cats", 1, 1.5, True, [], [{"topic": "cats"}])
    ),
    ({"input": None}, "input", "needs an input"),
    (
        {"options": {"output_keys": ["topic", "jok"]}},
        "options.output_keys[1]",
        "has no such key; did you mean 'joke'\\?$",
    ),
    ({"options": {"output_keys": "x"}}, "options.output_keys", "has no such key; it has topic, joke, count$"),
]


@pytest.mark.parametrize(("fields", "path", "message"), REFUSED)
def test_what_the_graph_refuses_before_its_first_node_is_refused(
    joker: Entry, fields: dict[str, Any], path: str, message: str
) -> None:
    with pytest.raises(Refusal, match=f": run.{re.escape(path)}: graph 'joke' {message}") as refused:
        check_run(run(**fields), joker)
    assert refused.value.code == "invalid_argument"
    ((error),) = refused.value.details["errors"]
    assert error["path"] == path


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": {"topci": 1, "topic": 3}},
        {"input": {"type": "human", "content": "a message"}},
        {"input": None, "thread": "t"},
        {"input": None, "command": {"resume": 1}, "thread": "t"},
        {"options": {"output_keys": ["topic", "count"]}},
    ],
)
def test_what_the_graph_takes_is_taken(joker: Entry, fields: dict[str, Any]) -> None:
    check_run(run(**fields), joker)


def test_a_graph_that_is_made_for_each_use_refuses_by_itself(joker: Entry) -> None:
    check_run(run(input="text"), entry(joker.graph, is_fixed=False))


@pytest.mark.parametrize("build", [lambda: root_of("dict"), lambda: functional("number")])
def test_a_graph_of_one_value_takes_any_but_null(build: Any) -> None:
    library("langgraph")
    for value in (0, "", [], {}, {"a": 1}):
        check_run(run(input=value), entry(build()))
    with pytest.raises(Refusal, match="needs an input"):
        check_run(run(input=None), entry(build()))


# ── noted ────────────────────────────────────────────────────────────────────────────────────────

NOTED: list[tuple[dict[str, Any], list[str]]] = [
    ({"input": {"topic": "cats"}}, []),
    ({"input": {"$map": [["a", 1]]}}, []),
    (
        {"input": {"topci": 1}},
        ["run.input: graph 'joke' ignores the unknown key 'topci'; did you mean 'topic'?"],
    ),
    ({"input": {"count": 1}}, ["run.input: graph 'joke' ignores the unknown key 'count'; it has topic"]),
    (
        {"input": dict.fromkeys("abcde", 1)},
        [
            "run.input: graph 'joke' ignores the unknown key 'a'; it has topic, 'b'; it has topic, "
            "'c'; it has topic, and 2 more"
        ],
    ),
    (
        {
            "command": {"update": {"count": 1, "jokes": 2}, "goto": ["write", {"node": "wriet"}]},
            "input": None,
        },
        [
            "run.command.update: graph 'joke' ignores the unknown key 'jokes'; did you mean 'joke'?",
            "run.command.goto: graph 'joke' ignores the unknown node 'wriet'; did you mean 'write'?",
        ],
    ),
    (
        {"options": {"interrupt_before": ["wrte"], "interrupt_after": "*"}},
        ["run.options.interrupt_before: graph 'joke' ignores the unknown node 'wrte'; did you mean 'write'?"],
    ),
    (
        {"subscribe": [{"sub": 1, "filter": {"modes": ["values"], "keys": ["joke", "jok"]}}]},
        [
            "run.subscribe[0].filter.keys: graph 'joke' ignores the unknown key 'jok'; did you mean 'joke'?",
        ],
    ),
]


@pytest.mark.parametrize(("fields", "notes"), NOTED)
def test_what_the_graph_ignores_is_noted(joker: Entry, fields: dict[str, Any], notes: list[str]) -> None:
    command = run(**fields)
    check_run(command, joker)
    assert [*run_notes(command, joker)] == notes


@pytest.mark.parametrize(
    ("fields", "count"),
    [
        ({"nodes": ["wrte"]}, 1),
        ({"nodes": ["write", "wr*te", "a_task"]}, 0),
        ({"nodes": ["wrte"], "namespaces": [["**"]]}, 0),
        ({"keys": ["whatever"]}, 0),
    ],
)
def test_names_in_filters_are_noted_if_similar_ones_exist(
    joker: Entry, fields: dict[str, Any], count: int
) -> None:
    spec = commands.Spec.model_validate({"sub": 1, "filter": {"modes": ["updates"], **fields}})
    assert len([*filter_notes(spec.filter, joker, "subscribe.filter")]) == count


def test_the_names_of_one_frame_are_compared_a_few_times_only(
    joker: Entry, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []
    monkeypatch.setattr(names, "did_you_mean", lambda name, known: compared.append(name) or "")
    filter = {"modes": ["values"], "keys": ["jokes"] * 64, "nodes": ["writes"] * 64}
    frame = run(subscribe=[{"sub": sub, "filter": filter} for sub in range(1, 500)])
    assert list(run_notes(frame, joker)) == []
    assert len(compared) <= 8, "each comparison takes up to a millisecond of the connections' loop"


def test_updates_of_the_root_are_noted(joker: Entry) -> None:
    def update(**fields: Any) -> commands.StateUpdate:
        return commands.StateUpdate.model_validate({"id": 1, "graph": "joke", "thread": "t", **fields})

    (note,) = update_notes(update(values={"topci": 1, "joke": 1}), joker)
    assert note == (
        "state_update.values: graph 'joke' ignores the unknown key 'topci'; did you mean 'topic'?"
    )
    assert [*update_notes(update(values={"topci": 1}, ns=["inner"]), joker)] == []
    assert [*update_notes(update(values=None), joker)] == []


def test_similar_names_are_suggested_and_long_ones_cut() -> None:
    assert did_you_mean("topci", ["joke", "topic"]) == "; did you mean 'topic'?"
    assert did_you_mean("topic", ["topic"]) == did_you_mean("zzz", ["topic"]) == ""
    assert len(shown("x" * 1000)) == 66
