"""A remote graph's streams and results: LangGraph's shapes, LangChain's messages.

About `clients/python/graphwire/graph.py` and `clients/python/graphwire/langgraph_shapes.py`.
"""

import sys

import graphwire
import pytest
from graphwire import langgraph_shapes
from graphwire_protocol.commands import Cancel
from graphwire_protocol.commands import Run as RunCommand
from langchain_core.messages import AIMessageChunk, HumanMessage

from tests.support.model_run import ModelRun
from tests.support.model_server import ModelServer, settle
from tests.support.taking import play_joke, stream


@pytest.fixture
def server() -> ModelServer:
    server = ModelServer()
    server.on_run = play_joke
    return server


async def test_the_default_is_bare_updates(client):
    assert await stream(client) == [{"sub": {"joke": "Why"}}]


async def test_a_list_of_modes_yields_pairs_even_of_one_mode(client):
    assert await stream(client, stream_mode=["custom"]) == [("custom", "thinking")]


async def test_a_tuple_of_modes_yields_bare_chunks(client):
    chunks = await stream(client, stream_mode=("custom", "updates"))
    assert chunks == ["thinking", {"sub": {"joke": "Why"}}]


async def test_subgraphs_put_the_namespace_first(client):
    assert await stream(client, subgraphs=True) == [
        (("sub:1",), {"write": {"joke": "Why"}}),
        ((), {"sub": {"joke": "Why"}}),
    ]
    assert (await stream(client, subgraphs=True, stream_mode=["updates"]))[0] == (
        ("sub:1",),
        "updates",
        {"write": {"joke": "Why"}},
    )


async def test_messages_are_langchain_s_with_metadata_as_langgraph_has_it(client):
    ((message, metadata),) = await stream(client, stream_mode="messages")
    assert isinstance(message, AIMessageChunk)
    assert (message.content, message.id) == ("Why", "m1")
    assert metadata["langgraph_path"] == ("b", "write")
    assert metadata["langgraph_triggers"] == ("a",)


async def test_messages_in_a_state_are_langchain_s_too(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("values", {"messages": [{"type": "human", "content": "hi", "id": "h"}]})
        run.complete()

    server.on_run = run
    assert await stream(client, stream_mode="values") == [{"messages": [HumanMessage("hi", id="h")]}]


async def test_what_triggers_a_task_is_a_tuple_as_it_is_locally(client, server):
    task = {"id": "t", "name": "a", "input": {}, "triggers": ["branch:to:a"]}

    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("tasks", task)
        run.emit("debug", {"step": 1, "type": "task", "payload": task})
        run.complete()

    server.on_run = run
    server.records = ("tasks", "debug")
    tasks, debug = await stream(client, stream_mode=["tasks", "debug"])
    assert tasks[1]["triggers"] == ("branch:to:a",)
    assert debug[1] == {"step": 1, "type": "task", "payload": {**task, "triggers": ("branch:to:a",)}}


async def test_what_a_checkpoint_s_tasks_ask_is_a_tuple_and_what_a_result_asks_a_list(client, server):
    asked = [{"id": "i1", "value": "sure?"}]
    checkpoint = {"values": {"tasks": [{"interrupts": []}]}, "tasks": [{"id": "t", "interrupts": asked}]}
    result = {"id": "t", "name": "a", "error": None, "interrupts": asked, "result": {}}

    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("checkpoints", checkpoint)
        run.emit("debug", {"step": 1, "type": "checkpoint", "payload": checkpoint})
        run.emit("debug", {"step": 1, "type": "task_result", "payload": result})
        run.complete()

    server.on_run = run
    server.records = ("checkpoints", "debug")
    alone, wrapped, ended = [chunk for _, chunk in await stream(client, stream_mode=["checkpoints", "debug"])]
    local = {**checkpoint, "tasks": [{"id": "t", "interrupts": tuple(asked)}]}
    assert alone == wrapped["payload"] == local
    assert ended["payload"] == result


async def test_no_mode_at_all_runs_the_graph_and_yields_nothing(client, server):
    assert await stream(client, stream_mode=[]) == []
    assert next(iter(server.runs.values())).status() == "completed"


async def test_an_interrupt_stands_where_langgraph_puts_it_and_ends_the_stream(client, server):
    def run(run: ModelRun) -> None:
        mark = [{"id": "i1", "value": "sure?"}]
        run.lifecycle("running")
        run.emit("updates", {}, interrupts=mark)
        run.emit("values", {"n": 1}, interrupts=mark)
        run.interrupt("i1", "sure?")

    server.on_run = run
    ask = langgraph_shapes.interrupts_of([graphwire.Interrupt("i1", "sure?")])
    config = {"configurable": {"thread_id": "t"}}
    assert await stream(client, config=config, stream_mode=["updates", "values"]) == [
        ("updates", {"__interrupt__": ask}),
        ("values", {"n": 1, "__interrupt__": ask}),
    ]
    await settle()
    assert not server.of(Cancel)


@pytest.mark.parametrize(("config", "is_cancelled"), [({}, True), ({"run_id": "mine"}, False)])
async def test_a_question_that_no_later_call_can_answer_is_not_left_waiting(
    client, server, config, is_cancelled
):
    server.on_run = lambda run: run.interrupt("i1", "sure?")
    assert (await client.graph("joke").ainvoke({}, config))["__interrupt__"]
    assert await stream(client, config={**config, **({"run_id": "yours"} if config else {})}) == []
    await settle()
    assert len(server.of(Cancel)) == (2 if is_cancelled else 0)


async def test_a_static_breakpoint_is_an_empty_tuple(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("updates", {}, interrupts=[])
        run.lifecycle("interrupted")

    server.on_run = run
    assert await stream(client) == [{"__interrupt__": ()}]


async def test_version_2_wraps_every_item(client, server):
    def run(run: ModelRun) -> None:
        mark = [{"id": "i1", "value": "sure?"}]
        run.lifecycle("running")
        run.emit("custom", "thinking", ns=("sub:1",))
        run.emit("values", {"n": 1})
        run.emit("updates", {}, interrupts=mark)
        run.emit("values", {"n": 1}, interrupts=mark)
        run.interrupt("i1", "sure?")

    server.on_run = run
    ask = langgraph_shapes.interrupts_of([graphwire.Interrupt("i1", "sure?")])
    modes = ["updates", "values", "custom"]
    assert await stream(client, stream_mode=modes, subgraphs=True, version="v2") == [
        {"type": "custom", "ns": ("sub:1",), "data": "thinking"},
        {"type": "values", "ns": (), "data": {"n": 1}, "interrupts": ()},
        {"type": "updates", "ns": (), "data": {"__interrupt__": ask}},
        {"type": "values", "ns": (), "data": {"n": 1}, "interrupts": ask},
    ]


async def test_without_langchain_messages_say_what_to_install(client, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain_core.messages", None)
    with pytest.raises(graphwire.MissingExtra, match=r"pip install 'graphwire\[langchain\]'"):
        await stream(client, stream_mode="messages")
    assert await stream(client) == [{"sub": {"joke": "Why"}}]


async def test_invoking_returns_the_output(client):
    assert await client.graph("joke").ainvoke({"topic": "cats"}) == {"joke": "Why"}


async def test_invoking_a_graph_that_interrupts_returns_its_state_and_questions(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("values", {"n": 1})
        run.interrupt("i1", "sure?")

    server.on_run = run
    assert await client.graph("joke").ainvoke({}) == {
        "n": 1,
        "__interrupt__": list(langgraph_shapes.interrupts_of([graphwire.Interrupt("i1", "sure?")])),
    }


async def test_an_interrupted_invocation_returns_no_more_of_the_state_than_the_output(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("values", {"joke": "Why", "secret": 1})
        run.interrupt()

    server.on_run = run
    server.output_schema = {"properties": {"joke": {}}}
    assert await client.graph("joke").ainvoke({}) == {"joke": "Why"}
    output = await client.graph("joke").ainvoke({}, output_keys=["joke", "secret"])
    assert output == {"joke": "Why", "secret": 1}


async def test_invoking_without_a_checkpointer_tells_the_question_that_nobody_can_answer(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("interrupt", {"interrupts": [{"id": "i1", "value": "sure?", "ns": []}]})
        run.output = {"n": 1}
        run.lifecycle("completed", reason="interrupted")

    server.on_run = run
    ask = langgraph_shapes.interrupts_of([graphwire.Interrupt("i1", "sure?")])
    assert await client.graph("joke").ainvoke({}) == {"n": 1, "__interrupt__": list(ask)}
    output = await client.graph("joke").ainvoke({}, version="v2")
    assert (output.value, output.interrupts) == ({"n": 1}, ask)


async def test_invoking_with_another_mode_returns_the_list_of_its_chunks(client, server):
    server.output_schema = {"properties": {"joke": {}}}
    chunks = await client.graph("joke").ainvoke({}, stream_mode=["custom", "updates"])
    assert chunks == [("custom", "thinking"), ("updates", {"sub": {"joke": "Why"}})]
    assert server.of(RunCommand)[0].options.output_keys == ("joke",)
