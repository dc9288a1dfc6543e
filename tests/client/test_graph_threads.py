"""The threads of a remote graph: states, histories and updates, with LangGraph's arguments and classes.

About `clients/python/graphwire/graph.py` and `clients/python/graphwire/langgraph_shapes.py`.
"""

import sys
from typing import Any

import graphwire
import pytest
from graphwire import langgraph_shapes
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.commands import State as StateCommand
from graphwire_protocol.commands import StateHistory, StateUpdate
from graphwire_protocol.replies import StateTask, ThreadState
from langchain_core.messages import HumanMessage

from tests.support.model_run import AT
from tests.support.model_server import ModelServer

CONFIG = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c1"}}


@pytest.fixture
def one_state(server: ModelServer) -> ThreadState:
    task = StateTask(
        id="t1", name="ask", path=["__pregel_pull", "ask"], interrupts=({"id": "i1", "value": "sure?"},)
    )
    state = ThreadState(
        values={"messages": [{"type": "human", "content": "hi", "id": "h"}]},
        next=("ask",),
        tasks=(task,),
        interrupts=task.interrupts,
        metadata={"step": 1},
        config=CONFIG,
        created_at=AT,
    )
    server.states = [state]
    return state


@pytest.mark.parametrize("is_installed", [True, False])
async def test_a_state_is_langgraph_s_where_that_is_installed(client, one_state, monkeypatch, is_installed):
    types: Any = graphwire
    if is_installed:
        types = pytest.importorskip("langgraph.types")
    else:
        monkeypatch.setitem(sys.modules, "langgraph.types", None)
    langgraph_shapes._langgraph.cache_clear()
    try:
        state = await client.graph("joke").aget_state(CONFIG)
    finally:
        langgraph_shapes._langgraph.cache_clear()
    assert isinstance(state, types.StateSnapshot)
    assert isinstance(state.interrupts[0], types.Interrupt)
    assert isinstance(state.tasks[0], types.PregelTask if is_installed else graphwire.StateTask)
    assert state.values == {"messages": [HumanMessage("hi", id="h")]}
    assert (state.next, state.config, state.created_at, state.metadata) == (("ask",), CONFIG, AT, {"step": 1})
    assert (state.interrupts[0].id, state.interrupts[0].value) == ("i1", "sure?")
    assert state.tasks[0].path == ("__pregel_pull", "ask")


async def test_a_subgraph_s_state_is_asked_for_by_its_namespace(client, server, one_state):
    inner = {"configurable": {"thread_id": 7, "checkpoint_ns": "sub:1|x:2"}}
    await client.graph("joke").aget_state(inner, subgraphs=True)
    (command,) = server.of(StateCommand)
    assert (command.thread, command.ns, command.checkpoint) == ("7", ("sub:1", "x:2"), None)
    assert command.subgraphs


async def test_a_history_takes_langgraph_s_arguments(client, server, one_state):
    graph = client.graph("joke")
    older = {"configurable": {"thread_id": "t"}}
    states = [state async for state in graph.aget_state_history(older, filter={"step": 1}, limit=5)]
    assert [state.config for state in states] == [CONFIG]
    assert [state async for state in graph.aget_state_history(older, before=CONFIG)] == []
    first, second = server.of(StateHistory)
    assert (first.metadata, first.limit, first.before) == ({"step": 1}, 5, None)
    assert second.before == "c1"


async def test_an_update_takes_langgraph_s_arguments(client, server):
    config = await client.graph("joke").aupdate_state(CONFIG, {"n": 1}, "ask", task_id="t1")
    assert config == {"configurable": {"checkpoint_id": "new"}}
    (command,) = server.of(StateUpdate)
    assert (command.thread, command.checkpoint, command.ns) == ("t", "c1", None)
    assert (command.values, command.as_node, command.task) == ({"n": 1}, "ask", "t1")


@pytest.mark.parametrize("config", [{}, {"configurable": {}}, {"configurable": {"checkpoint_id": "c"}}])
async def test_a_state_of_no_thread_is_refused(client, server, config):
    with pytest.raises(ValueError, match="thread_id"):
        await client.graph("joke").aget_state(config)
    assert not server.of(StateCommand)


NS = "inner:7|deep:8"


@pytest.mark.parametrize(
    ("configurable", "checkpoint"),
    [
        ({"checkpoint_id": "c3", "checkpoint_map": {"": "c1", "inner:7": "c2", NS: "c3"}}, "c3"),
        ({"checkpoint_id": "c9", "checkpoint_map": {NS: "c3"}}, "c9"),
        ({"checkpoint_map": {"": "c1", NS: "c3"}}, "c3"),
        ({"checkpoint_map": {"": "c1"}}, None),
        ({"checkpoint_map": {}}, None),
    ],
)
async def test_a_config_of_a_subgraph_is_taken_as_its_state_has_it(
    client, server, one_state, configurable, checkpoint
):
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": NS, **configurable}}
    graph = client.graph("joke")
    await graph.aget_state(config)
    _ = [state async for state in graph.aget_state_history(config, limit=1)]
    await graph.aupdate_state(config, {"n": 1})
    for kind in (StateCommand, StateHistory, StateUpdate):
        (command,) = server.of(kind)
        assert (command.thread, command.ns, command.checkpoint) == ("t", ("inner:7", "deep:8"), checkpoint)


async def test_a_run_from_a_config_of_the_root_needs_no_map(client, server):
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_map": {"": "c1"}}}
    stream = client.graph("joke").astream(None, config)
    server.on_run = lambda run: (run.lifecycle("running"), run.complete())
    assert [chunk async for chunk in stream] == []
    (command,) = server.of(RunCommand)
    assert (command.thread, command.checkpoint, command.config) == ("t", "c1", None)
