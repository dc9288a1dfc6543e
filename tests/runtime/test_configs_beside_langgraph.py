"""The config that a node gets, and what of it goes into metadata, beside the same of LangGraph's.

About `runtime/graphwire_runtime/plan/config.py` and `runtime/graphwire_runtime/step/config.py`.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")


class Pad(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


def shown(config: Any) -> Any:
    """Return a config without what either library keeps in it for itself, its keys in one order."""
    configurable = {key: value for key, value in config["configurable"].items() if not key.startswith("__")}
    map_ = configurable.pop("checkpoint_map")
    metadata = sorted(config["metadata"].items())
    return sorted(configurable.items()), [*map_], metadata, config.get("tags"), config.get("recursion_limit")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("travels", [False, True])
async def test_a_nodes_config_and_metadata_are_langgraphs(travels: bool, how: str) -> None:
    seen = []
    for lib in (OURS, THEIRS):
        configs: list[Any] = []

        def node(state: Any, config: RunnableConfig, configs: list[Any] = configs) -> Any:
            configs.append(config)

        def line(lib: Any, *nodes: Any, **given: Any) -> Any:
            graph = lib.StateGraph(Pad)
            named = [(f"n{index}", node) for index, node in enumerate(nodes)]
            return graph.add_sequence(named).add_edge("__start__", "n0").compile(**given)

        graph = line(lib, node, line(lib, node), checkpointer=InMemorySaver())
        given = {
            "thread_id": "1",
            "task_id": "T",
            "assistant_id": "A",
            "graph_id": "G",
            "run_id": "R",
            "mine": 5,
        }
        config: Any = {"configurable": given, "tags": ["tag"], "metadata": {"m": 1}, "recursion_limit": 9}
        modes = ["tasks", "debug", "updates"]
        chunks = [
            await recorded(graph, {"log": ["x"]}, how, config=config, stream_mode=modes, subgraphs=True)
        ]
        if travels:
            configs.clear()
            at = next(each for each in graph.get_state_history(config) if each.next == ("n0",)).config
            config["configurable"] = {**given, **at["configurable"], "run_id": "S"}  # as another run
            chunks += [
                await recorded(graph, value, how, config=config, stream_mode=modes, subgraphs=True)
                for value in (None, {"log": ["y"]})
            ]
        view = View()
        history = [*graph.get_state_history({"configurable": {"thread_id": "1"}})]
        kept = [[state.config, state.parent_config, sorted(state.metadata.items())] for state in history]
        seen.append(view([chunks, kept, [shown(each) for each in configs]]))
    assert seen[0] == seen[1]
    assert len(seen[0][2]) == (4 if travels else 2)
