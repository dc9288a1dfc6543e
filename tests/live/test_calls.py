"""A call of a model is one message for whoever asks: live, behind a filter, in a snapshot, as a local graph.

About `clients/python/graphwire/event_reader.py`, `clients/python/graphwire/langgraph_shapes.py` and
`gateway/graphwire_gateway/execution/calls.py`.
"""

import importlib
from typing import Any

import graphwire
import pytest
from langchain_core.runnables import RunnableConfig

from tests.live.conftest import Serve
from tests.support.graphs import Library
from tests.support.speaking import (
    NAMED_LATE,
    NAMED_THROUGHOUT,
    RESPONSES_API,
    Failing,
    Pieces,
    Said,
    Scripted,
    chat,
)

FIXED: Pieces = (("one ", "ai-1"), ("two", "ai-1"))

WAYS: list[Any] = [
    pytest.param(pieces, id=name)
    for name, pieces in (
        ("responses api", RESPONSES_API),
        ("named throughout", NAMED_THROUGHOUT),
        ("named late", NAMED_LATE),
        ("fixed", FIXED),
    )
]


@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("pieces", WAYS)
async def test_the_remote_graph_yields_chunk_for_chunk_what_the_local_one_does(
    lib: Library, serve: Serve, pieces: Pieces, sync: bool
) -> None:
    graph = chat(lib, ("a", [pieces, pieces]), ("b", [pieces]), sync=sync)
    server = await serve({"g": graph})
    async with graphwire.connect(server.url) as client:
        local = [chunk async for chunk in graph.astream({"messages": []}, stream_mode="messages")]
        stand_in = client.graph("g")
        remote = [chunk async for chunk in stand_in.astream({"messages": []}, stream_mode="messages")]
    assert told(remote) == told(local)
    assert len({id(metadata) for _, metadata in remote}) == 3, "one object for each call"
    assert len({id(metadata) for _, metadata in local}) == 3


def told(chunks: list[Any]) -> list[Any]:
    """Return the chunks, their run ids numbered."""
    runs: dict[str, str] = {}
    out = []
    for message, metadata in chunks:
        name = message.id
        if name.startswith("lc_run--"):
            name = runs.setdefault(name, f"run {len(runs)}")
        step = (metadata["langgraph_node"], metadata["langgraph_step"], metadata["langgraph_path"])
        out.append((type(message), name, message.content, message.chunk_position, step))
    return out


@pytest.mark.parametrize("pieces", WAYS)
async def test_live_and_in_a_snapshot_a_call_is_one_message_with_the_state_s_id(
    lib: Library, serve: Serve, pieces: Pieces
) -> None:
    server = await serve({"g": chat(lib, ("a", [pieces]))})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"messages": []}, modes=["messages"])
        events = [event async for event in run if isinstance(event, graphwire.MessagesEvent)]
        view = await client.attach(run.id, modes=["messages"], start="snapshot")
        (snapshot,) = [event async for event in view if isinstance(event, graphwire.SnapshotEvent)]
        (stated,) = (await run.result())["messages"]
    whole = events[0].message
    for event in events[1:]:
        whole = whole + event.message  # type: ignore[operator]
    (shown,) = snapshot.messages
    assert {event.call for event in events} == {shown.call}
    assert (whole.id, whole.text) == (stated.id, stated.text)
    assert (shown.message.id, shown.message.text) == (stated.id, stated.text)
    assert events[-1].message.id == stated.id


async def test_calls_under_one_id_are_two_messages_each_with_its_own_metadata(
    lib: Library, serve: Serve
) -> None:
    graph = chat(lib, ("a", [FIXED]), ("b", [FIXED]), parallel=True)
    server = await serve({"g": graph})
    async with graphwire.connect(server.url) as client:
        for nodes in (None, ["a"], ["b"]):
            run = await client.run("g", {"messages": []}, modes=["messages"], nodes=nodes)
            texts: dict[Any, str] = {}
            async for event in run:
                if isinstance(event, graphwire.MessagesEvent):
                    assert event.metadata["langgraph_node"] == event.node
                    texts[event.node, event.call] = (
                        texts.get((event.node, event.call), "") + event.message.text
                    )
            view = await client.attach(run.id, modes=["messages"], start="snapshot", nodes=nodes)
            (snapshot,) = [event async for event in view if isinstance(event, graphwire.SnapshotEvent)]
            shown = {(each.node, each.call): each.message.text for each in snapshot.messages}
            assert shown == texts
            assert {node: text for (node, _), text in shown.items()} == dict.fromkeys(
                nodes or "ab", "one two"
            )
            assert {each.metadata["langgraph_node"] for each in snapshot.messages} == set(nodes or "ab")


async def test_what_a_node_said_before_it_failed_and_began_again_is_taken_back(
    lib: Library, serve: Serve
) -> None:
    fails = Failing(0)
    model = Scripted(pieces=[("Hello ", None), ("there", None)])

    async def ask(state: Said, config: RunnableConfig) -> Any:
        answer = await model.ainvoke("go on", config)
        fails()
        return {"messages": [answer]}

    home = importlib.import_module("langgraph.types" if lib.name == "langgraph" else "graphwire_runtime")
    policy = home.RetryPolicy(initial_interval=0, jitter=False)
    graph = lib.StateGraph(Said).add_node("ask", ask, retry_policy=policy).add_edge(lib.START, "ask")
    graph = graph.compile()
    server = await serve({"g": graph})
    async with graphwire.connect(server.url) as client:
        fails.left = 1
        run = await client.run("g", {"messages": []}, modes=["messages"])
        events = [event async for event in run if isinstance(event, graphwire.MessagesEvent)]
        said: dict[Any, Any] = {}
        for event in events:
            if event.discard:
                del said[event.call]
            else:
                said[event.call] = said[event.call] + event.message if event.call in said else event.message
        (stated,) = (await run.result())["messages"]
        assert [(message.id, message.text) for message in said.values()] == [(stated.id, stated.text)]
        (discard,) = [event for event in events if event.discard]
        assert (discard.node, discard.metadata["langgraph_node"], discard.message.text) == ("ask", "ask", "")
        view = await client.attach(run.id, modes=["messages"], start="snapshot")
        (snapshot,) = [event async for event in view if isinstance(event, graphwire.SnapshotEvent)]
        assert [each.message.id for each in snapshot.messages] == [stated.id]
        other = await client.attach(run.id, modes=["messages"], nodes=["other"])
        assert not [event async for event in other if isinstance(event, graphwire.MessagesEvent)]

        fails.left = 1
        local = [chunk async for chunk in graph.astream({"messages": []}, stream_mode="messages")]
        fails.left = 1
        stand_in = client.graph("g")
        remote = [chunk async for chunk in stand_in.astream({"messages": []}, stream_mode="messages")]
    assert told(remote) == told(local)
    assert len(local) == 6


async def test_it_is_taken_back_even_if_the_next_attempt_says_nothing(lib: Library, serve: Serve) -> None:
    fails = Failing(1)
    model = Scripted(pieces=[("Hello ", None), ("there", None)])

    async def ask(state: Said, config: RunnableConfig) -> Any:
        if fails.left:
            await model.ainvoke("go on", config)
        fails()
        return {}

    home = importlib.import_module("langgraph.types" if lib.name == "langgraph" else "graphwire_runtime")
    policy = home.RetryPolicy(initial_interval=0, jitter=False)
    graph = lib.StateGraph(Said).add_node("ask", ask, retry_policy=policy).add_edge(lib.START, "ask")
    server = await serve({"g": graph.compile()})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"messages": []}, modes=["messages"])
        events = [event async for event in run if isinstance(event, graphwire.MessagesEvent)]
        assert [event.discard for event in events] == [False, False, False, True]


async def test_what_a_function_said_before_it_was_retried_is_taken_back(serve: Serve) -> None:
    func, types = pytest.importorskip("langgraph.func"), pytest.importorskip("langgraph.types")
    model, fails = Scripted(pieces=[("a", None)]), Failing(1)

    @func.task(retry_policy=types.RetryPolicy(initial_interval=0, jitter=False))  # type: ignore[misc]
    def say(x: int) -> Any:
        answer = model.invoke("go")
        fails()
        return answer

    @func.entrypoint()  # type: ignore[misc]
    def flow(x: int) -> Any:
        return say(x).result().text

    server = await serve({"g": flow})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", 1, modes=["messages"])
        events = [event async for event in run if isinstance(event, graphwire.MessagesEvent)]
        assert [event.call for event in events if event.discard] == [events[0].call]
        assert len({event.call for event in events}) == 2
