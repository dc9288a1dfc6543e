"""A wrong input is refused before the start, or a person is told of it, as the graph takes it locally.

About `gateway/graphwire_gateway/connections/dispatch.py` and `gateway/graphwire_gateway/execution/names.py`.
"""

from typing import Any

import graphwire
import pytest

from tests.support.graphs import Counted, Library
from tests.support.peer import Peer, spec


def joker(lib: Library) -> Any:
    def write(state: Counted) -> Counted:
        return {"joke": f"about {state.get('topic')}"}

    return lib.StateGraph(Counted).add_node(write).add_edge(lib.START, "write").compile()


def notes(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["message"] for frame in frames if frame["type"] == "notice"]


async def test_an_input_that_no_node_would_see_starts_nothing(serve, lib: Library) -> None:
    server = await serve({"joke": joker(lib)})
    async with graphwire.connect(server.url) as client:
        for input, options, path in (
            (["cats"], None, "input"),
            ("cats", None, "input"),
            (None, None, "input"),
            ({}, {"output_keys": "jok"}, "options.output_keys"),
        ):
            with pytest.raises(graphwire.Refused, match=f"run.{path}: ") as refused:
                await client.run("joke", input, options=options)
            assert refused.value.code == "invalid_argument"
            assert refused.value.details["errors"][0]["path"] == path
        assert [row async for row in client.runs()] == []


async def test_an_unknown_key_starts_and_a_person_is_told_behind_the_replies(
    serve, connect, lib: Library
) -> None:
    server = await serve({"joke": joker(lib)})
    peer: Peer = await connect(server)
    fields = {"input": {"topci": "cats"}, "run": "r", "subscribe": [spec(1, "values", keys=["jok"])]}
    await peer.ask(type="run", graph="joke", **fields)
    await peer.closed(1)
    await peer.ask(type="run", graph="joke", **{**fields, "subscribe": []})  # finds the run, and says nothing
    await peer.settled()
    frames = peer.frames
    kinds = [frame["type"] for frame in frames]
    assert kinds.index("started") < kinds.index("notice")
    assert notes(frames) == [
        "run.input: graph 'joke' ignores the unknown key 'topci'; did you mean 'topic'?",
        "run.subscribe[0].filter.keys: graph 'joke' ignores the unknown key 'jok'; did you mean 'joke'?",
    ]
    assert peer.of(1)[-1]["status"] == "completed"


async def test_a_missing_key_is_no_mistake(serve, connect, lib: Library) -> None:
    server = await serve({"joke": joker(lib)})
    peer: Peer = await connect(server)
    await peer.run("joke", {}, spec(1, "values"))
    assert (await peer.closed(1))[-1]["status"] == "completed"
    assert notes(peer.frames) == []


async def test_subscriptions_and_updates_are_compared_with_the_graph_too(
    serve, connect, lib: Library
) -> None:
    server = await serve({"joke": joker(lib)})
    peer: Peer = await connect(server)
    await peer.run("joke", {}, spec(1, "updates"), run="r")
    await peer.closed(1)
    await peer.ask(type="subscribe", run="r", **spec(2, "updates", nodes=["wriet"]))
    await peer.ask(type="state_update", graph="joke", thread="t", values={"jok": 1, "joke": 2})
    await peer.settled()
    assert notes(peer.frames) == [
        "subscribe.filter.nodes: graph 'joke' ignores the unknown node 'wriet'; did you mean 'write'?",
        "state_update.values: graph 'joke' ignores the unknown key 'jok'; did you mean 'joke'?",
    ]


async def test_lists_and_watches_of_a_graph_that_is_not_served_say_so(serve, connect, lib: Library) -> None:
    server = await serve({"joke": joker(lib)})
    peer: Peer = await connect(server)
    for what in ("runs", "threads"):
        await peer.ask(type="list", what=what, graph="jole")
        await peer.ask(type="list", what=what, graph="joke")
    await peer.ask(type="watch", sub=5, graphs=["joke", "poem"])
    await peer.settled()
    assert notes(peer.frames) == [
        *["list.graph: no graph 'jole' is served; did you mean 'joke'?"] * 2,
        "watch.graphs: no graph 'poem' is served",
    ]
