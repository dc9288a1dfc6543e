"""What a node can ask of its run by `Runtime`, and how it stops one, beside the same of LangGraph's.

About `runtime/graphwire_runtime/plan/runtime.py`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.runtime import get_runtime
from langgraph.store.memory import InMemoryStore
from pydantic import BaseModel, ValidationError
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")


class Pad(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


@dataclass
class Card:
    name: str
    age: int = 7


class Form(BaseModel):
    name: str
    age: int = 7


class Note(TypedDict, total=False):
    name: str
    age: int


def line(lib: Any, *nodes: Any, saver: Any = None, context: Any = None, **given: Any) -> Any:
    graph = lib.StateGraph(Pad, context_schema=context)
    named = [(f"n{index}", node) for index, node in enumerate(nodes)]
    return graph.add_sequence(named).add_edge("__start__", "n0").compile(saver, **given)


# ── the context ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("schema", [Card, Form, Note, None])
@pytest.mark.parametrize(
    "given",
    [
        {"name": "Ada"},
        {"name": "Ada", "age": 8},
        Card("Ada"),
        Form(name="Ada"),
        {"nme": "Ada"},
        None,
        "Ada",
    ],
)
async def test_a_context_becomes_an_instance_of_its_schema_as_in_langgraph(
    schema: Any, given: Any, how: str
) -> None:
    def shows(state: Any, runtime: Any) -> Any:
        return {"log": [repr(runtime.context)]}

    def build(lib: Any) -> Any:
        return line(lib, shows, line(lib, shows, context=schema), context=schema)

    ours, theirs = [await recorded(build(lib), {}, how, context=given) for lib in (OURS, THEIRS)]
    assert ours == theirs


def test_a_wrong_context_raises_what_its_schema_raises() -> None:
    with pytest.raises(TypeError, match="nme"):
        line(OURS, lambda state: {}, context=Card).invoke({}, context={"nme": "Ada"})
    with pytest.raises(ValidationError):
        line(OURS, lambda state: {}, context=Form).invoke({}, context={})


# ── what a server says ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    "says",
    [
        {},
        {"assistant_id": "a"},
        {"graph_id": 5},
        {"assistant_id": "a", "graph_id": "g", "langgraph_auth_user": SimpleNamespace(identity="ann")},
        {"langgraph_auth_user": {"identity": "ann"}},
    ],
)
async def test_a_server_says_who_runs_what_as_in_langgraph(says: Any, how: str) -> None:
    def shows(state: Any, runtime: Any) -> Any:
        info = runtime.server_info
        seen = (
            None if info is None else (info.assistant_id, info.graph_id, getattr(info.user, "identity", None))
        )
        return {"log": [seen]}

    def shows_by_langgraph(state: Any) -> Any:
        return shows(state, get_runtime())

    def build(lib: Any) -> Any:
        return line(lib, shows, line(lib, shows), shows_by_langgraph)

    runs = [await recorded(build(lib), {}, how, config={"configurable": says}) for lib in (OURS, THEIRS)]
    assert runs[0] == runs[1]


# ── changes ──────────────────────────────────────────────────────────────────────────────────────


def test_a_runtime_is_merged_and_changed_as_in_langgraph() -> None:
    def write(chunk: Any) -> None: ...

    def beat() -> None: ...

    store, shown = InMemoryStore(), []
    for lib in (OURS, THEIRS):
        info = lib.ExecutionInfo("c", "ns", "t", node_attempt=2)
        server = lib.ServerInfo("a", "g")
        empty, full = (
            lib.Runtime(),
            lib.Runtime(
                context="c",
                store=store,
                stream_writer=write,
                heartbeat=beat,
                previous=0,
                execution_info=info,
                server_info=server,
                control=lib.RunControl(),
            ),
        )
        for merged in (
            empty.merge(full),
            full.merge(empty),
            full.merge(full.override(previous=5, context="d")),
        ):
            named = [merged.context, merged.store is store, merged.stream_writer is write, merged.previous]
            named += [merged.heartbeat is beat, merged.control is full.control, merged.server_info is server]
            shown.append([lib is OURS, *named, merged.execution_info is info])
        patched = full.patch_execution_info(node_attempt=3, thread_id="x")
        shown.append([lib is OURS, View()(patched.execution_info), full.execution_info.node_attempt])
        with pytest.raises(RuntimeError):
            empty.patch_execution_info(node_attempt=3)
        with pytest.raises(TypeError):
            full.override(contxt="x")
        assert (empty.drain_requested, empty.drain_reason) == (False, None)
        full.control.request_drain("enough")
        assert (full.drain_requested, full.drain_reason, full.control.drain_requested) == (
            True,
            "enough",
            True,
        )
    half = len(shown) // 2
    assert [row[1:] for row in shown[:half]] == [row[1:] for row in shown[half:]]


# ── a run that is asked to stop ──────────────────────────────────────────────────────────────────


def drains(state: Any, runtime: Any) -> Any:
    runtime.control.request_drain("enough")
    return {"log": ["drains"]}


def goes_on(state: Any, runtime: Any) -> Any:
    return {"log": [runtime.drain_reason]}


def drains_by_langgraph(state: Any) -> Any:
    get_runtime().control.request_drain("enough")  # type: ignore[union-attr]
    return {"log": ["drains"]}


STOPS: dict[str, Any] = {
    "by its node": lambda lib, saver: line(lib, goes_on, drains, goes_on, saver=saver),
    "by its last node": lambda lib, saver: line(lib, goes_on, drains, saver=saver),
    "by a graph inside": lambda lib, saver: line(lib, line(lib, drains, goes_on), goes_on, saver=saver),
    "by the last node of a graph inside": lambda lib, saver: line(
        lib, line(lib, drains), goes_on, saver=saver
    ),
    "by a graph of langgraph's inside": lambda lib, saver: line(
        lib, goes_on, line(THEIRS, drains), goes_on, saver=saver
    ),
    "by langgraph's words": lambda lib, saver: line(lib, drains_by_langgraph, goes_on, saver=saver),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", STOPS)
async def test_a_run_stops_before_its_next_superstep_and_goes_on_later_as_in_langgraph(
    name: str, how: str
) -> None:
    told = []
    for lib in (OURS, THEIRS):
        graph = STOPS[name](lib, InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        view = View()
        modes = ["values", "updates", "tasks", "checkpoints"]
        first = await recorded(graph, {}, how, config=config, stream_mode=modes, subgraphs=True)
        stands = view(graph.get_state(config))
        again = await recorded(graph, None, how, config=config, stream_mode=modes, subgraphs=True)
        told.append([first, stands, again])
    assert told[0] == told[1]
    assert told[0][0][1] == (None if name == "by its last node" else "GraphDrained")


@pytest.mark.parametrize("how", HOWS)
async def test_a_run_is_stopped_from_outside(how: str) -> None:
    for lib in (OURS, THEIRS):
        control = lib.RunControl()
        control.request_drain()
        graph = line(lib, goes_on, saver=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "1"}}
        chunks, error = await recorded(graph, {}, how, config=config, control=control)
        assert (chunks, error) == ([], "GraphDrained")
        assert graph.get_state(config).next == ("__start__",)
        assert (await recorded(graph, None, how, config=config)) == ([{"n0": {"log": [None]}}], None)


def test_either_library_catches_the_signal() -> None:
    control = OURS.RunControl()
    control.request_drain("tonight")
    for kind in (OURS.GraphDrained, THEIRS.GraphDrained):
        with pytest.raises(kind, match="tonight") as caught:
            line(OURS, goes_on).invoke({}, control=control)
        assert caught.value.reason == "tonight"
