"""The stand-in for a local graph: LangGraph's shapes, LangChain's messages, and what it refuses."""

import asyncio
import re
import sys
import uuid
from typing import Any, TypedDict

import graphwire
import pytest
from graphwire import langgraph_shapes, run_failures
from graphwire.transport import NotOpened
from graphwire_protocol import Refusal
from graphwire_protocol.commands import Cancel, StateHistory, StateUpdate
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.commands import State as StateCommand
from graphwire_protocol.replies import StateTask, ThreadState
from langchain_core.messages import AIMessageChunk, HumanMessage

from tests.support.model_server import AT, ModelRun, ModelServer, settle


@pytest.fixture
def server() -> ModelServer:
    server = ModelServer()
    server.on_run = play
    return server


def play(run: ModelRun) -> None:
    """A run of two nodes, the second one in a subgraph."""
    inner = ("sub:1",)
    run.lifecycle("running")
    run.emit("values", {"topic": "cats"})
    run.emit("custom", "thinking")
    meta = {"langgraph_node": "write", "langgraph_triggers": ["a"], "langgraph_path": ["b", "write"]}
    delta = {"id": "m1", "delta": {"type": "AIMessageChunk", "content": "Why"}}
    run.emit("messages", delta, node="write", meta=meta)
    run.emit("updates", {"write": {"joke": "Why"}}, ns=inner, node="write")
    run.emit("updates", {"sub": {"joke": "Why"}}, node="sub")
    run.emit("values", {"topic": "cats", "joke": "Why"})
    run.complete({"joke": "Why"})


async def stream(client: graphwire.Client, **more: Any) -> list[Any]:
    return [chunk async for chunk in client.graph("joke").astream({"topic": "cats"}, **more)]


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
    assert await stream(client, stream_mode=["updates", "values"]) == [
        ("updates", {"__interrupt__": ask}),
        ("values", {"n": 1, "__interrupt__": ask}),
    ]
    await settle()
    assert not server.of(Cancel)


async def test_a_static_breakpoint_is_an_empty_tuple(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("updates", {}, interrupts=[])
        run.lifecycle("interrupted")

    server.on_run = run
    assert await stream(client) == [{"__interrupt__": ()}]


async def test_a_failed_run_raises_behind_what_it_had_said(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("updates", {"a": 1})
        error = {"code": "graph_error", "message": "no cats", "error_id": "x1", "type": "ValueError"}
        run.lifecycle("failed", error=error)

    server.on_run = run
    chunks = client.graph("joke").astream({})
    assert await chunks.__anext__() == {"a": 1}
    with pytest.raises(graphwire.RemoteError, match="no cats") as raised:
        await chunks.__anext__()
    assert (raised.value.type, raised.value.error_id) == ("ValueError", "x1")
    assert not server.of(Cancel)


async def test_closing_the_iterator_cancels_the_run(client, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.emit("updates", {"a": 1}))
    chunks = client.graph("joke").astream({})
    assert await chunks.__anext__() == {"a": 1}
    await chunks.aclose()
    assert next(iter(server.runs.values())).status() == "cancelled"


async def test_cancelling_the_consuming_task_cancels_the_run(client, server):
    server.on_run = lambda run: run.lifecycle("running")
    task = asyncio.ensure_future(stream(client))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settle()
    assert next(iter(server.runs.values())).status() == "cancelled"


async def test_a_gap_is_an_error_as_a_local_graph_has_none(client, server):
    server.on_run = lambda run: run.lifecycle("running")
    chunks = client.graph("joke").astream({}, stream_mode="values")
    waiting = asyncio.ensure_future(chunks.__anext__())
    await settle()
    model = next(iter(server.runs.values()))
    with server.held_back():
        model.emit("values", {"n": 1})
        model.evict(2)
    with pytest.raises(graphwire.StreamBroken, match="events 2 to 2"):
        await waiting


async def test_a_repeated_step_is_an_error_too(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("lifecycle", {"status": "running", "attempt": 2, "at": "", "discard": ["m1"]})

    server.on_run = run
    with pytest.raises(graphwire.StreamBroken, match="taken over"):
        await stream(client)


async def test_config_is_said_in_the_protocol_s_words(client, server):
    id = uuid.uuid4()
    config = {
        "configurable": {"thread_id": "t1", "checkpoint_id": "c1", "checkpoint_ns": "", "user": "me"},
        "tags": ["a"],
        "run_id": id,
        "recursion_limit": 7,
        "callbacks": None,
    }
    await stream(client, config=config, interrupt_before=["write"], output_keys="joke", durability="sync")
    (command,) = server.of(RunCommand)
    assert (command.thread, command.checkpoint, command.run) == ("t1", "c1", str(id))
    assert command.config.to_wire() == {"tags": ["a"], "recursion_limit": 7, "configurable": {"user": "me"}}
    assert command.options.to_wire() == {
        "interrupt_before": ["write"],
        "output_keys": "joke",
        "durability": "sync",
    }
    assert command.on_disconnect == "cancel"


class Command:
    """Looks like LangGraph's."""

    def __init__(self, resume: Any = None, update: Any = None, goto: Any = (), graph: Any = None) -> None:
        self.resume, self.update, self.goto, self.graph = resume, update, goto, graph


class Send:
    """Looks like LangGraph's."""

    def __init__(self, node: str, arg: Any, timeout: Any = None) -> None:
        self.node, self.arg, self.timeout = node, arg, timeout


@pytest.mark.parametrize(
    ("command", "wire"),
    [
        (Command(resume={"i1": "yes"}), {"resume": {"i1": "yes"}}),
        (Command(resume=False), {"resume": False}),
        (Command(update={"n": 1}, goto="a"), {"update": {"n": 1}, "goto": "a"}),
        (Command(update=[("n", 1), ("m", 2)]), {"update": {"n": 1, "m": 2}}),
        (Command(goto=Send("a", {"n": 1})), {"goto": {"node": "a", "arg": {"n": 1}}}),
        (Command(goto=["b", Send("a", {1})]), {"goto": ["b", {"node": "a", "arg": {"$set": [1]}}]}),
    ],
)
async def test_a_command_may_be_the_input(client, server, command, wire):
    async for _ in client.graph("joke").astream(command):
        pass
    (sent,) = server.of(RunCommand)
    assert sent.input is None
    assert sent.command.to_wire() == wire


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (Command(resume=1, graph="__parent__"), "graph"),
        (Command(goto=Send("a", 1, timeout=3)), "timeout"),
        (Command(update=[("n", 1), ("n", 2)]), "twice"),
        (Command(), "empty"),
    ],
)
async def test_a_command_that_cannot_travel_is_refused_by_name(client, server, command, named):
    with pytest.raises(ValueError, match=named):
        await client.graph("joke").ainvoke(command)
    assert not server.of(RunCommand)


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


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"print_mode": "values"}, "print_mode"),
        ({"debug": True}, "debug"),
        ({"control": object()}, "control"),
        ({"stream_mode": "tools"}, "tools"),
        ({"config": {"configurable": {"checkpoint_map": {}}}}, "checkpoint_map"),
        ({"config": {"configurable": {"thread_id": "t", "checkpoint_ns": "a:1"}}}, "checkpoint_ns"),
        ({"config": {"configurable": {"__pregel_resuming": True}}}, "__pregel_resuming"),
        ({"config": {"callbacks": [print]}}, "callbacks"),
        ({"config": {"colour": 1}}, "colour"),
        ({"stream_mode": "dreams"}, "dreams"),
    ],
)
async def test_what_only_a_local_graph_can_do_is_refused_by_name(client, server, arguments, named):
    with pytest.raises(ValueError, match=named):
        await stream(client, **arguments)
    assert not server.of(RunCommand)


BUSY = "this thread has a run; wait for its end, or say if_busy: enqueue or interrupt"


async def test_a_busy_thread_names_the_stand_in_s_own_remedy(client, server):
    server.refusals = [("run", Refusal("busy", BUSY, after_ms=500)) for _ in range(2)]
    server.refusals.append(("state_update", Refusal("busy", BUSY)))
    graph = client.graph("joke")
    for refused in (graph.ainvoke({}), anext(graph.astream({}))):
        with pytest.raises(graphwire.Refused, match=r'client.graph\(.joke., if_busy="enqueue"\)') as raised:
            await refused
        assert (raised.value.code, raised.value.after_s) == ("busy", 0.5)
    with pytest.raises(graphwire.Refused, match="an update does not queue"):
        await graph.aupdate_state(CONFIG, {})


@pytest.mark.parametrize("if_busy", ["reject", "enqueue", "interrupt"])
async def test_what_a_busy_thread_means_is_a_setting_of_the_stand_in(client, server, if_busy):
    assert await client.graph("joke", if_busy=if_busy).ainvoke({}) == {"joke": "Why"}
    assert server.of(RunCommand)[0].if_busy == if_busy
    with pytest.raises(ValueError, match="reject, enqueue, interrupt"):
        client.graph("joke", if_busy="wait")


@pytest.mark.parametrize(
    ("thread", "wrong"),
    [
        ("ann@example com", r"'ann@example com' holds '@' ' '; .* A-Z .* as in 'ann:40example:20com'"),
        ("", "has 0 characters; an id takes 1 to 128"),
        ("x" * 129, "has 129 characters"),
    ],
)
async def test_a_thread_s_id_that_cannot_travel_is_named_where_it_was_written(client, server, thread, wrong):
    config = {"configurable": {"thread_id": thread}}
    for work in (client.graph("joke").ainvoke({}, config), client.graph("joke").aget_state(config)):
        with pytest.raises(ValueError, match=r"^config\['configurable'\]\['thread_id'\] " + wrong):
            await work
    for work in (client.run("joke", thread=thread), client.state("joke", thread)):
        with pytest.raises(ValueError, match="^thread " + wrong):
            await work
    assert not server.received[1:]


@pytest.mark.parametrize("name", ["thread_id", "checkpoint_id"])
async def test_what_names_a_thread_is_sent_back_to_its_place(client, server, name):
    graph, config = client.graph("joke"), {name: "x"}
    for work in (graph.ainvoke({}, config), graph.aget_state(config)):
        with pytest.raises(ValueError, match=rf"config\['{name}'\] belongs under config\['configurable'\]"):
            await work


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("astream_events", "stream modes"),
        ("batch", "ainvoke"),
        ("abatch", "gather"),
        ("with_config", "config="),
        ("get_graph", "built"),
        ("get_subgraphs", "subgraphs=True"),
        ("bulk_update_state", "aupdate_state"),
        ("get_input_jsonschema", "client.graphs()"),
    ],
)
def test_what_a_remote_graph_has_not_says_what_there_is_instead(name, instead):
    graph = graphwire.connect().graph("joke")
    assert not hasattr(graph, name)
    with pytest.raises(AttributeError, match=rf"does not offer {name}: .*{re.escape(instead)}"):
        getattr(graph, name)
    with pytest.raises(AttributeError, match="has no attribute 'colour'"):
        _ = graph.colour


class Topic(TypedDict):
    topic: str


def test_a_remote_graph_is_no_part_of_a_chain_or_a_graph():
    graph = graphwire.connect().graph("joke")
    for chain in (lambda: graph | len, lambda: len | graph):
        with pytest.raises(TypeError, match="in a function"):
            chain()
    for library in ("langgraph.graph", "graphwire_runtime"):
        builder = pytest.importorskip(library).StateGraph(Topic)
        with pytest.raises(TypeError):
            builder.add_node("joke", graph)


async def test_an_argument_that_no_graph_takes_is_a_type_error(client):
    with pytest.raises(TypeError, match="colour"):
        await stream(client, colour=1)


async def test_without_langchain_messages_say_what_to_install(client, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "langchain_core.messages", None)
    with pytest.raises(graphwire.MissingExtra, match=r"pip install 'graphwire\[langchain\]'"):
        await stream(client, stream_mode="messages")
    assert await stream(client) == [{"sub": {"joke": "Why"}}]


@pytest.mark.parametrize("thread", ["t", None])
@pytest.mark.parametrize("way", ["ainvoke", "astream"])
async def test_a_server_that_forgot_the_run_says_what_is_kept_and_how_to_go_on(client, server, way, thread):
    server.on_run = lambda run: run.lifecycle("running")
    graph = client.graph("joke")
    config = {"configurable": {"thread_id": thread}} if thread else None
    work = graph.ainvoke({}, config) if way == "ainvoke" else anext(graph.astream({}, config))
    waiting = asyncio.ensure_future(work)
    await settle()
    server.runs.clear()
    server.cut()
    with pytest.raises(graphwire.Refused, match=r"no longer knows run .* restarted") as raised:
        await waiting
    assert raised.value.code == "not_found"
    assert ("Thread t is as" in str(raised.value)) == (thread is not None)
    assert ("ainvoke(None, config)" in str(raised.value)) == (thread is not None)


# ── ainvoke ──────────────────────────────────────────────────────────────────────────────────────


async def test_invoking_returns_the_output(client):
    assert await client.graph("joke").ainvoke({"topic": "cats"}) == {"joke": "Why"}


async def test_invoking_a_graph_that_fails_raises(client, server):
    server.on_run = lambda run: run.lifecycle("failed", error={"code": "recursion_limit", "message": "deep"})
    with pytest.raises(graphwire.RemoteError, match="deep") as raised:
        await client.graph("joke").ainvoke({})
    assert raised.value.type == "recursion_limit"


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


async def test_no_longer_waiting_for_an_invocation_cancels_it(client, server):
    server.on_run = lambda run: run.lifecycle("running")
    task = asyncio.ensure_future(client.graph("joke").ainvoke({}))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settle()
    assert next(iter(server.runs.values())).status() == "cancelled"


async def test_while_the_server_is_away_a_bounded_wait_ends(client, server, monkeypatch):
    monkeypatch.setattr(run_failures, "CANCEL_TIMEOUT_S", 0.01)
    server.on_run = lambda run: run.lifecycle("running")
    invocation = asyncio.ensure_future(client.graph("joke").ainvoke({}))
    await settle()
    server.unreachable = NotOpened("nobody there")
    server.cut()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.wait_for(invocation, 0.01), 5)
    assert invocation.cancelled()


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


# ── threads ──────────────────────────────────────────────────────────────────────────────────────

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
