"""The arguments of a remote graph: LangGraph's, translated for the protocol, or refused by name.

About `clients/python/graphwire/langgraph_arguments.py`, `clients/python/graphwire/arguments.py` and
`clients/python/graphwire/unavailable.py`.
"""

import re
import uuid
from datetime import timedelta
from typing import Any, TypedDict

import graphwire
import pytest
from graphwire_protocol.commands import Run as RunCommand

from tests.support.model_server import ModelServer
from tests.support.taking import play_joke, stream


@pytest.fixture
def server() -> ModelServer:
    server = ModelServer()
    server.on_run = play_joke
    return server


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


class Policy:
    """Looks like LangGraph's ``TimeoutPolicy``."""

    def __init__(self, idle_timeout: Any, refresh_on: str) -> None:
        self.run_timeout, self.idle_timeout, self.refresh_on = None, idle_timeout, refresh_on


@pytest.mark.parametrize(
    ("command", "wire"),
    [
        (Command(resume={"i1": "yes"}), {"resume": {"i1": "yes"}}),
        (Command(resume=False), {"resume": False}),
        (Command(update={"n": 1}, goto="a"), {"update": {"n": 1}, "goto": "a"}),
        (Command(update=[("n", 1), ("m", 2)]), {"update": {"n": 1, "m": 2}}),
        (Command(goto=Send("a", {"n": 1})), {"goto": {"node": "a", "arg": {"n": 1}}}),
        (Command(goto=["b", Send("a", {1})]), {"goto": ["b", {"node": "a", "arg": {"$set": [1]}}]}),
        (Command(goto=Send("a", 1, timeout=3)), {"goto": {"node": "a", "arg": 1, "timeout": 3}}),
        (
            Command(goto=Send("a", 1, timeout=timedelta(minutes=1))),
            {"goto": {"node": "a", "arg": 1, "timeout": 60}},
        ),
        (
            Command(goto=[Send("a", 1, timeout=Policy(timedelta(seconds=2), "heartbeat"))]),
            {
                "goto": [
                    {"node": "a", "arg": 1, "timeout": {"idle_timeout": 2, "refresh_on": "heartbeat"}},
                ]
            },
        ),
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
        (Command(update=[("n", 1), ("n", 2)]), "twice"),
        (Command(), "empty"),
    ],
)
async def test_a_command_that_cannot_travel_is_refused_by_name(client, server, command, named):
    with pytest.raises(ValueError, match=named):
        await client.graph("joke").ainvoke(command)
    assert not server.of(RunCommand)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"print_mode": "values"}, "print_mode"),
        ({"debug": True}, "debug"),
        ({"control": object()}, "control"),
        ({"stream_mode": "tools"}, "tools"),
        ({"config": {"configurable": {"checkpoint_place": {}}}}, "checkpoint_place"),
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
