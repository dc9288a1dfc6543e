"""Managed state keys, compared with LangGraph.

About `runtime/graphwire_runtime/managed.py`.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass, field
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.managed import IsLastStep, RemainingSteps
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, recorded

pytestmark = pytest.mark.filterwarnings("default")

THEIRS.RemainingSteps, THEIRS.IsLastStep = RemainingSteps, IsLastStep


def dictionary(lg: Any) -> Any:
    hints = {"left": lg.RemainingSteps, "last": lg.IsLastStep, "log": Annotated[list[Any], operator.add]}
    return TypedDict("dictionary", hints, total=False)


def card(lg: Any) -> Any:
    @dataclass
    class Card:
        left: lg.RemainingSteps = 0
        last: lg.IsLastStep = False
        log: Annotated[list[Any], operator.add] = field(default_factory=list)

    Card.__annotations__ = {
        "left": lg.RemainingSteps,
        "last": lg.IsLastStep,
        "log": Annotated[list[Any], operator.add],
    }
    return Card


def counting(lg: Any, schema: Any, rounds: int) -> Any:
    def read(state: Any) -> Any:
        values = state if isinstance(state, dict) else vars(state)
        return values["left"], values["last"], values["log"]

    def node(state: Any) -> Any:
        return {"log": [read(state)[:2]], "left": 5}

    def route(state: Any) -> Any:
        left, last, log = read(state)
        lg.get_stream_writer()((left, last))
        return lg.END if len(log) % rounds == 0 else "node"

    graph = lg.StateGraph(schema(lg)).add_node("node", node).add_edge(lg.START, "node")
    return graph.add_conditional_edges("node", route)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("schema", [dictionary, card])
@pytest.mark.parametrize("rounds", [3, 9])
async def test_a_node_reads_how_many_supersteps_are_left(schema: Any, rounds: int, how: str) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        graph = counting(lg, schema, rounds).compile()
        modes = ["values", "updates", "custom"]
        seen.append(
            await recorded(
                graph, {"log": [], "left": 7}, how, stream_mode=modes, config={"recursion_limit": 5}
            )
        )
    assert seen[0] == seen[1]


@pytest.mark.parametrize("how", HOWS)
async def test_every_run_on_a_thread_has_the_whole_limit(how: str) -> None:
    seen: list[Any] = []
    for lg in (OURS, THEIRS):
        graph = counting(lg, dictionary, 3).compile(checkpointer=InMemorySaver(), interrupt_after=["node"])
        config = {"configurable": {"thread_id": "t"}, "recursion_limit": 6}
        turns: list[Any] = [{"log": []}, None, None, {"log": []}, None]
        for turn in turns:
            seen.append(await recorded(graph, turn, how, stream_mode=["values"], config=config))  # noqa: PERF401
        seen.append([state.values for state in graph.get_state_history(config)])
    assert seen[:6] == seen[6:]


def test_managed_keys_are_no_part_of_the_state() -> None:
    graph = counting(OURS, dictionary, 3).compile()
    assert graph.stream_channels == graph.output_channels == ["log"]
    with pytest.raises(ValueError, match="output_keys names 'left'"):
        graph.invoke({"log": []}, output_keys=["left"])
