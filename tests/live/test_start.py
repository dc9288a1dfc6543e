"""A run starts once for each id, with all that was asked for or not at all.

About `gateway/graphwire_gateway/runs/runs.py`, `gateway/graphwire_gateway/connections/dispatch.py` and
`gateway/graphwire_gateway/execution/request.py`.

Long because each way to start or find a run is tried in one place.
"""

import asyncio
from typing import Any, TypedDict

import pytest
from graphwire_gateway import GraphSpec
from langchain_core.runnables import RunnableConfig

from tests.support.graphs import (
    LIBRARIES,
    OURS,
    Counter,
    Gate,
    Library,
    counter,
    gated,
    library,
    needs_context,
    node,
    talker,
)
from tests.support.log import Log, check_exact, is_terminal
from tests.support.peer import Frame, Peer, everything, spec

pytestmark = pytest.mark.slow_store


async def _runs(peer: Peer) -> list[str]:
    return [row["run"] for row in (await peer.ask(type="list", what="runs"))["runs"]]


async def test_the_same_id_starts_nothing_again_whatever_its_input(serve, connect) -> None:
    server = await serve({"counter": counter(), "other": counter()})
    peer = await connect(server)
    first = await peer.run("counter", {"count": 5}, everything(1), run="r")
    assert first["created"] is True
    log = Log(frame for frame in await peer.closed(1) if frame["type"] == "event")
    again = await peer.run("counter", {"count": 99}, everything(2), spec(3, "custom", from_="now"), run="r")
    assert again == {**again, "created": False, "run": "r", "epoch": first["epoch"], "status": "completed"}
    check_exact(await peer.closed(2), log, everything(2)["filter"])
    assert [frame["type"] for frame in await peer.closed(3)] == ["subscribed", "closed"]
    error = await peer.run("other", {"count": 5}, everything(4), run="r")
    assert (error["code"], error["details"]) == ("conflict", {"run": "r"})
    assert await _runs(peer) == ["r"]


@pytest.mark.parametrize("connections", [2, 8])
async def test_of_racing_starts_with_one_id_one_creates_and_all_are_attached(
    serve, connect, connections: int
) -> None:
    server = await serve({"counter": counter()})
    peers = [await connect(server) for _ in range(connections)]
    for number in range(10):
        frame = {"type": "run", "id": 1, "graph": "counter", "run": f"r{number}", "input": {"count": 20}}
        await asyncio.gather(*(peer.send({**frame, "subscribe": [everything(number)]}) for peer in peers))
        logs = []
        for peer in peers:
            frames = await peer.closed(number)
            logs.append([event for event in frames if event["type"] == "event"])
        started = [frame for peer in peers for frame in peer.frames if frame["type"] == "started"]
        created = [frame["created"] for frame in started if frame["run"] == f"r{number}"]
        assert sorted(created) == [False] * (connections - 1) + [True]
        assert all(log == logs[0] for log in logs)
        Log(logs[0])


async def test_without_an_id_the_server_gives_one(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    ids = {(await peer.run("counter", {"count": 1}))["run"] for _ in range(20)}
    assert len(ids) == 20
    assert set(await _runs(peer)) == ids


async def test_a_frame_of_a_later_version_is_unsupported(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    assert (await peer.ask(type="auth", token="t"))["code"] == "unsupported"
    assert peer.frames[0]["features"] == ["patch", "state", "threads", "watch"]


async def test_who_asks_for_more_than_is_recorded_is_told_what_is(serve, connect) -> None:
    server = await serve({"talker": talker(OURS)})
    peer = await connect(server)
    await peer.run("talker", {"topic": "x"}, spec(1, "updates"), run="r", record={"modes": ["custom"]})
    await peer.closed(1)
    wishes = [spec(2, "updates", "messages"), spec(2, "custom", namespaces=[["**"]]), spec(2, "values")]
    for wish in wishes:
        error = await peer.ask(type="subscribe", run="r", **wish)
        assert error["code"] == "unsupported"
        assert error["details"]["recorded"] == {"modes": ["custom", "updates"], "subgraphs": False}
    error = await peer.run("talker", {"topic": "x"}, wishes[0], run="r")
    assert error["code"] == "unsupported"
    await peer.ask(type="subscribe", run="r", **spec(2, "custom", "updates", "lifecycle", "interrupt"))
    frames = await peer.closed(2)
    assert {frame["mode"] for frame in frames if frame["type"] == "event"} == {
        "updates",
        "custom",
        "lifecycle",
    }
    row = (await peer.ask(type="list", what="runs"))["runs"][0]
    assert row["modes"] == ["custom", "updates"]


async def test_the_operator_s_record_is_kept_whatever_a_run_asks_for(serve, connect) -> None:
    kept = GraphSpec(talker(OURS), "inline", record=("messages",), record_subgraphs=True)
    server = await serve({"talker": kept})
    peer = await connect(server)
    await peer.run("talker", {"topic": "x"}, spec(1, "lifecycle"), run="r")
    await peer.closed(1)
    await peer.ask(type="subscribe", run="r", **spec(2, "messages", namespaces=[["researcher"]]))
    await peer.closed(2)
    texts = [event["data"]["delta"].get("content") for event in peer.events(2) if event["mode"] == "messages"]
    assert texts[:2] == ["s0 ", "s1 "]


# ── leaving ──────────────────────────────────────────────────────────────────────────────────────


async def _status(peer: Peer, run: str) -> str:
    return str((await peer.ask(type="result", run=run))["status"])


async def test_losing_the_connection_stops_no_run_by_itself(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate)}, limits={"disconnect_grace_s": 0})
    peer, other = await connect(server), await connect(server)
    await peer.run("gated", {"count": 1}, everything(1), run="r")
    await peer.until(lambda frame: frame.get("data") == {"i": 2})
    await other.ask(type="subscribe", run="r", **everything(1))
    peer.wire.abort()
    gate.open()
    log = Log(frame for frame in await other.closed(1) if frame["type"] == "event")
    assert log.events[-1]["data"]["status"] == "completed"


async def test_on_disconnect_cancel_ends_a_run_whose_starter_is_gone_and_that_nobody_watches(
    serve, connect
) -> None:
    gate = Gate()
    server = await serve(
        {"gated": gated(gate)}, limits={"disconnect_grace_s": 0.05, "request_burst": 100_000}
    )
    peer, other = await connect(server), await connect(server)
    for run in ("alone", "watched", "adopted", "kept"):
        fields = {} if run == "kept" else {"on_disconnect": "cancel"}
        await peer.run("gated", {"count": 1}, spec(len(peer.frames), "custom"), run=run, **fields)
    await other.ask(type="subscribe", run="watched", **spec(1, "lifecycle"))
    again = await other.run("gated", {"count": 1}, run="adopted", on_disconnect="cancel")
    assert again["created"] is False
    await peer.wire.close()
    end = asyncio.get_running_loop().time() + 10
    while await _status(other, "alone") != "cancelled":
        assert asyncio.get_running_loop().time() < end
    await other.ask(type="subscribe", run="alone", **spec(2, "lifecycle"))
    await other.closed(2)
    assert other.events(2)[-1]["data"]["reason"] == "disconnected"
    assert [await _status(other, run) for run in ("watched", "adopted", "kept")] == ["running"] * 3
    await other.ask(type="unsubscribe", sub=1)
    while await _status(other, "watched") != "cancelled":
        assert asyncio.get_running_loop().time() < end
    third = await connect(server)
    await other.wire.close()
    while await _status(third, "adopted") != "cancelled":
        assert asyncio.get_running_loop().time() < end
    assert await _status(third, "kept") == "running"
    gate.open()
    await third.ask(type="subscribe", run="kept", **spec(1, "lifecycle"))
    await third.closed(1)


async def test_a_starter_who_is_back_within_the_grace_finds_its_run(serve, connect) -> None:
    gate = Gate()
    server = await serve({"gated": gated(gate)}, limits={"disconnect_grace_s": 0.3})
    peer = await connect(server)
    await peer.run("gated", {"count": 1}, run="r", on_disconnect="cancel")
    await peer.wire.close()
    back = await connect(server)
    started = await back.run("gated", {"count": 1}, spec(1, "lifecycle"), run="r", on_disconnect="cancel")
    assert (started["created"], started["status"]) == (False, "running")
    with pytest.raises(asyncio.TimeoutError):  # beyond the grace
        await back.until(is_terminal_frame, 0.5)
    gate.open()
    assert (await back.closed(1))[-1]["status"] == "completed"


def is_terminal_frame(frame: Frame) -> bool:
    return frame["type"] == "event" and is_terminal(frame)


# ── what the graph gets ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", LIBRARIES)
async def test_a_node_sees_who_runs_it_and_the_config_that_was_sent(serve, connect, name: str) -> None:
    lib = library(name)
    seen: list[Any] = []

    async def look(state: Counter, config: RunnableConfig) -> Counter:
        seen.append(config)
        return {"done": 1}

    server = await serve({"look": node(look, lib)}, tokens={"t": "ann"})
    peer = await connect(server, token="t")
    config = {
        "tags": ["mine"],
        "metadata": {"team": "red"},
        "configurable": {"language": "fr", "bytes": {"$bytes": "AA=="}},
        "run_name": "named",
    }
    await peer.run("look", {"count": 1}, spec(1, "lifecycle"), run="r", config=config, metadata={"ticket": 7})
    assert (await peer.closed(1))[-1]["status"] == "completed"
    (got,) = seen
    assert got["configurable"]["graphwire_principal"] == "ann"
    assert got["configurable"]["language"] == "fr"
    assert got["configurable"]["bytes"] == b"\x00"
    assert "mine" in got["tags"]
    assert got["metadata"]["team"] == "red"
    row = (await peer.ask(type="list", what="runs", metadata={"ticket": 7}))["runs"]
    assert [(each["run"], each["metadata"]) for each in row] == [("r", {"ticket": 7})]
    assert (await peer.ask(type="list", what="runs", metadata={"ticket": 8}))["runs"] == []


@pytest.mark.parametrize("name", LIBRARIES)
async def test_too_many_steps_fail_with_recursion_limit(serve, connect, name: str) -> None:
    lib = library(name)

    async def again(state: Counter) -> Counter:
        return {"done": state.get("done", 0) + 1}

    graph: Any = lib.StateGraph(Counter).add_node(again)
    graph = graph.add_edge(lib.START, "again").add_edge("again", "again").compile()
    server = await serve({"again": graph}, expose_errors=False)
    peer = await connect(server)
    await peer.run("again", {"count": 1}, spec(1, "updates"), config={"recursion_limit": 4})
    assert (await peer.closed(1))[-1]["status"] == "failed"
    assert peer.events(1)[-1]["data"]["error"]["code"] == "recursion_limit"
    assert len(peer.events(1)) == 6


@pytest.mark.parametrize("name", LIBRARIES)
async def test_messages_in_an_input_reach_the_graph_as_messages(serve, connect, name: str) -> None:
    lib = library(name)
    seen: list[Any] = []

    class State(TypedDict, total=False):
        messages: list[Any]

    async def look(state: State) -> State:
        seen.extend(state["messages"])
        return {}

    server = await serve({"look": node(look, lib, State)})
    peer = await connect(server)
    messages = [
        {"type": "human", "content": "hi", "id": "1"},
        {
            "type": "ai",
            "content": "",
            "tool_calls": [{"name": "f", "args": {}, "id": "c", "type": "tool_call"}],
        },
        {"type": "tool", "content": "x", "tool_call_id": "c"},
        {"$obj": {"type": "ai", "content": "no message"}},
    ]
    await peer.run("look", {"messages": messages}, spec(1, "lifecycle"), run="r")
    assert (await peer.closed(1))[-1]["status"] == "completed"
    assert [type(message).__name__ for message in seen] == [
        "HumanMessage",
        "AIMessage",
        "ToolMessage",
        "dict",
    ]
    assert seen[1].tool_calls[0]["name"] == "f"
    output = (await peer.ask(type="result", run="r"))["output"]
    assert output["messages"][0] == {"type": "human", "content": "hi", "id": "1"}
    assert output["messages"][3] == messages[3]


async def test_lists_are_newest_first_in_pages_without_holes(serve, connect) -> None:
    server = await serve({"counter": counter(), "other": counter()})
    peer = await connect(server)
    for number in range(25):
        graph = "other" if number % 5 == 0 else "counter"
        await peer.run(graph, {"count": 1}, spec(number, "lifecycle"), run=f"r{number}")
        await peer.closed(number)
    names: list[str] = []
    cursor: Frame = {}
    while True:
        page = await peer.ask(type="list", what="runs", limit=7, **cursor)
        names.extend(row["run"] for row in page["runs"])
        if "cursor" not in page:
            break
        cursor = {"cursor": page["cursor"]}
    assert names == [f"r{number}" for number in range(24, -1, -1)]
    others = await peer.ask(type="list", what="runs", graph="other", status=["completed"])
    assert [row["run"] for row in others["runs"]] == ["r20", "r15", "r10", "r5", "r0"]
    row = others["runs"][0]
    assert row["created_at"] <= row["started_at"] <= row["ended_at"]
    assert (row["attempt"], row["graph"]) == (1, "other")


async def test_graphs_are_described(serve, connect, lib: Library) -> None:
    server = await serve(
        {"talker": talker(lib), "counter": GraphSpec(counter(lib), "inline", description="counts")}
    )
    peer = await connect(server)
    rows = {row["name"]: row for row in (await peer.ask(type="list", what="graphs"))["graphs"]}
    assert set(rows) == {"talker", "counter"}
    assert rows["counter"]["description"] == "counts"
    assert set(rows["talker"]["nodes"]) == {"plan", "joke", "poem", "researcher"}
    assert {"source": "plan", "target": "joke"} in rows["talker"]["edges"]
    assert "topic" in rows["talker"]["input_schema"]["properties"]
    assert "checkpoints" in rows["talker"]["modes"], "of its threads, which the server keeps"
    one = await peer.ask(type="list", what="graphs", graph="counter")
    assert [row["name"] for row in one["graphs"]] == ["counter"]
    forgetful = await connect(await serve({"talker": talker(lib)}, checkpointer=False))
    (row,) = (await forgetful.ask(type="list", what="graphs"))["graphs"]
    assert "checkpoints" not in row["modes"]


# ── graphs that pause ────────────────────────────────────────────────────────────────────────────


def _asking(saver: Any) -> Any:
    types = pytest.importorskip("langgraph.types")
    lib = library("langgraph")
    needs_context(lib)

    async def first(state: Counter) -> Counter:
        return {"done": 1}

    async def ask(state: Counter) -> Counter:
        return {"done": types.interrupt({"question": "go on?"})}

    graph = lib.StateGraph(Counter).add_node(first).add_node(ask)
    return graph.add_edge(lib.START, "first").add_edge("first", "ask").compile(saver)


async def test_an_interrupt_pauses_a_graph_with_a_checkpointer_until_it_is_cancelled_or_expires(
    serve, connect
) -> None:
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    saver = memory.InMemorySaver()
    server = await serve({"asking": _asking(saver)}, limits={"interrupt_ttl_s": 0.3, "cancel_grace_s": 60})
    peer = await connect(server)
    for sub, run in ((1, "cancelled"), (2, "expired")):
        await peer.run("asking", {"count": 1}, spec(sub, "updates", "values"), run=run)
        paused = await peer.until(
            lambda frame, sub=sub: frame.get("sub") == sub and frame.get("mode") == "interrupt"
        )
        (question,) = paused["data"]["interrupts"]
        assert question["value"] == {"question": "go on?"}
        mark = next(
            event for event in peer.events(sub) if event["mode"] == "updates" and "interrupts" in event
        )
        assert (mark["data"], mark["interrupts"]) == (
            {},
            [{"id": question["id"], "value": question["value"]}],
        )
        await peer.until(
            lambda frame, sub=sub: (
                frame.get("data", {}).get("status") == "interrupted" and frame["sub"] == sub
            )
        )
        row = (await peer.ask(type="list", what="runs"))["runs"][0]
        assert (row["status"], row["interrupts"]) == ("interrupted", [question["id"]])
        assert (await peer.ask(type="result", run=run))["status"] == "interrupted"
        assert len(saver.storage) == 1
        if run == "cancelled":
            await peer.ask(type="subscribe", run=run, **spec(9, "values", from_="snapshot"))
            snapshot = await peer.until(lambda frame: frame["type"] == "snapshot")
            assert [item["id"] for item in snapshot["interrupts"]] == [question["id"]]
            assert (await peer.ask(type="cancel", run=run))["status"] == "cancelled"
        await peer.closed(sub)
        assert peer.events(sub)[-1]["data"]["reason"] == run
        end = asyncio.get_running_loop().time() + 10
        while saver.storage:  # its private thread goes with it
            await peer.settled()
            assert asyncio.get_running_loop().time() < end
    assert not any("__interrupt__" in str(frame) for frame in peer.frames)


async def test_a_private_thread_lives_no_longer_than_its_run(serve, connect) -> None:
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    saver = memory.InMemorySaver()
    lib = library("langgraph")

    async def count(state: Counter) -> Counter:
        return {"done": 1}

    graph = lib.StateGraph(Counter).add_node(count).add_edge(lib.START, "count").compile(saver)
    server = await serve({"saved": graph})
    peer = await connect(server)
    await peer.run("saved", {"count": 1}, spec(1, "checkpoints", "updates"))
    assert (await peer.closed(1))[-1]["status"] == "completed"
    assert any(event["mode"] == "checkpoints" for event in peer.events(1))
    assert not saver.storage
    row = (await peer.ask(type="list", what="graphs"))["graphs"][0]
    assert "checkpoints" in row["modes"]


async def test_a_saver_that_cannot_delete_spoils_no_run(serve, connect) -> None:
    memory = pytest.importorskip("langgraph.checkpoint.memory")

    class Keeping(memory.InMemorySaver):
        async def adelete_thread(self, thread_id: str) -> None:
            raise NotImplementedError

    lib = library("langgraph")

    async def count(state: Counter) -> Counter:
        return {"done": 1}

    graph = lib.StateGraph(Counter).add_node(count).add_edge(lib.START, "count").compile(Keeping())
    server = await serve({"saved": graph})
    peer = await connect(server)
    await peer.run("saved", {"count": 1}, spec(1, "updates"), run="r")
    assert (await peer.closed(1))[-1]["status"] == "completed"
    assert (await peer.ask(type="result", run="r"))["output"]["done"] == 1


async def test_an_interrupt_without_a_checkpointer_is_the_end(serve, connect) -> None:
    server = await serve({"asking": _asking(None)}, checkpointer=False)
    peer = await connect(server)
    await peer.run("asking", {"count": 1}, spec(1, "updates"), run="r")
    assert (await peer.closed(1))[-1]["status"] == "completed"
    assert peer.events(1)[-1]["data"]["reason"] == "interrupted"
    (question,) = next(
        event["data"]["interrupts"] for event in peer.events(1) if event["mode"] == "interrupt"
    )
    assert question["value"] == {"question": "go on?"}
    assert (await peer.ask(type="result", run="r"))["output"]["done"] == 1


async def test_a_static_breakpoint_is_an_interrupt_without_questions(serve, connect) -> None:
    memory = pytest.importorskip("langgraph.checkpoint.memory")
    server = await serve({"asking": _asking(memory.InMemorySaver())})
    peer = await connect(server)
    await peer.run("asking", {"count": 1}, spec(1, "updates"), run="r", options={"interrupt_before": ["ask"]})
    await peer.until(lambda frame: frame.get("data", {}).get("status") == "interrupted")
    assert [event["data"] for event in peer.events(1) if event["mode"] == "interrupt"] == [{"interrupts": []}]
    mark = next(event for event in peer.events(1) if "interrupts" in event)
    assert (mark["data"], mark["interrupts"]) == ({}, [])
    await peer.ask(type="cancel", run="r")
    await peer.closed(1)
