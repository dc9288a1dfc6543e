"""Random small graphs, built and run in both frameworks, with all that they stream and save compared.

The graphs have branches, joins, sends, jumps, graphs inside, reducers, failures, handlers and questions.
Nodes side by side may end in any order, so what comes between two states is sorted before it is compared. If
nodes fail, that order decides which failure is first and what the others still do; of such a superstep only
the failure is compared.

About `runtime/graphwire_runtime/drive/loop.py`, `runtime/graphwire_runtime/step/prepare.py` and
`runtime/graphwire_runtime/step/schedule.py`.
"""

from __future__ import annotations

import asyncio
import operator
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import OURS, THEIRS, View, in_any_order, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "tasks", "debug", "checkpoints"]
NAMES = ["a", "b", "C", "d"]


class State(TypedDict, total=False):
    last: str
    log: Annotated[list[Any], operator.add]
    total: Annotated[int, operator.add]


@dataclass(frozen=True)
class Node:
    """One node: what it does, and what runs after it."""

    does: str
    edges: tuple[str, ...]
    router: tuple[str, ...]
    sends: bool
    defer: bool
    inner: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Design:
    """One graph."""

    nodes: tuple[Node, ...]
    entry: tuple[int, ...]
    join: tuple[int, int, int] | None


DOES = ["log", "log", "last", "total", "nothing", "jump", "send", "writes", "fails", "handled", "asks"]


@st.composite
def designs(draw: Any, depth: int = 1) -> Design:
    count = draw(st.integers(1, 4 if depth else 2))
    targets = st.lists(st.sampled_from(NAMES[:count]), max_size=2, unique=True).map(tuple)
    nodes = []
    for _ in range(count):
        does = draw(st.sampled_from([*DOES, "inner"] if depth else DOES))
        nodes.append(
            Node(
                does,
                draw(targets),
                draw(targets),
                draw(st.booleans()),
                draw(st.integers(0, 5)) == 0,
                draw(designs(depth - 1)).nodes if does == "inner" else (),
            )
        )
    entry = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=2, unique=True).map(tuple))
    index = st.integers(0, count - 1)
    return Design(tuple(nodes), entry, draw(st.none() | st.tuples(index, index, index)))


def action(lg: Any, name: str, node: Node) -> Any:
    if node.does == "inner":
        return built(lg, Design(node.inner, (0,), None)).compile()

    def seen(state: Any) -> int:
        return len(state.get("log", ()))

    def act(state: Any) -> Any:
        match node.does:
            case "log":
                return {"log": [name]}
            case "last":
                return {"last": name}
            case "total":
                return {"total": 1, "log": [seen(state)]}
            case "jump":
                return lg.Command(update={"log": [name]}, goto=node.router if seen(state) < 5 else ())
            case "send":
                targets = node.router if seen(state) < 5 else ()
                return lg.Command(goto=[lg.Send(target, {"log": [target]}) for target in targets])
            case "writes":
                lg.get_stream_writer()(name)
                return {"log": [name], "last": name}
            case "fails" | "handled":
                raise ValueError(name)
            case "asks":
                return {"log": [lg.interrupt(name)]}
        return None

    return act


def built(lg: Any, design: Design) -> Any:
    graph = lg.StateGraph(State)
    for name, node in zip(NAMES, design.nodes, strict=False):
        handler: Any = (lambda state: {"log": ["caught"]}) if node.does == "handled" else None
        graph.add_node(name, action(lg, name, node), defer=node.defer, error_handler=handler)
        for target in node.edges:
            graph.add_edge(name, target)
        if node.router and node.does not in ("jump", "send"):
            graph.add_conditional_edges(name, router(lg, node))
    for index in design.entry:
        graph.add_edge(lg.START, NAMES[index])
    if design.join is not None:
        first, second, target = design.join
        graph.add_edge(sorted({NAMES[first], NAMES[second]}), NAMES[target])
    return graph


def router(lg: Any, node: Node) -> Callable[[Any], Any]:
    def route(state: Any) -> Any:
        if len(state.get("log", ())) > 4:
            return lg.END
        return [lg.Send(target, state) for target in node.router] if node.sends else list(node.router)

    return route


async def observed(lg: Any, design: Design, how: str, turns: int) -> list[Any]:
    graph = built(lg, design).compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 8}
    value: Any = {"last": "in", "log": []}
    story: list[Any] = []
    for _ in range(turns):
        chunks, error = await recorded(
            graph, value, how, alike=True, stream_mode=MODES, subgraphs=True, config=config
        )
        if error is not None:
            story.append((supersteps(chunks)[:-1], "failed"))
            break
        snapshot = graph.get_state(config)
        story.append((supersteps(chunks), View(alike=True)(snapshot)))
        if not snapshot.interrupts:
            break
        value = lg.Command(resume={asked.id: "answer" for asked in snapshot.interrupts})
    return story


def supersteps(chunks: list[Any]) -> list[Any]:
    """Sort the chunks between two values of the outermost graph."""
    found: list[list[Any]] = [[]]
    for chunk in chunks:
        found[-1].append(chunk)
        if chunk[:2] == ((), "values") and "__interrupt__" not in chunk[2]:
            found.append([])
    return [in_any_order(each) for each in found]


def compare(design: Design, how: str) -> None:
    ours, theirs = (asyncio.run(observed(lg, design, how, 3)) for lg in (OURS, THEIRS))
    assert ours == theirs


@pytest.mark.parametrize(
    "how", ["stream", *(["astream"] if sys.version_info >= (3, 11) else [])]
)  # LangGraph's nodes lose their context on 3.10
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(design=designs())
def test_any_graph_streams_the_same(how: str, design: Design) -> None:
    compare(design, how)
