"""A thread's states are read, listed, edited and deleted as LangGraph's methods of those names do it.

About `gateway/graphwire_gateway/runs/states.py`, `gateway/graphwire_gateway/runs/listing.py`,
`gateway/graphwire_gateway/graphs/library.py` and `gateway/graphwire_gateway/runs/asking.py`.
"""

import asyncio
import threading
from typing import Any

import pytest
from graphwire_gateway.runs import saved_threads
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import LIBRARIES, Gate, Library, library
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.questions import Asked, asker, held, several, stepper

OURS = library(LIBRARIES[0])


async def paused(peer: Peer, sub: int) -> None:
    await peer.until(
        lambda frame: (
            frame.get("mode") == "lifecycle"
            and frame["sub"] == sub
            and frame["data"]["status"] == "interrupted"
        )
    )


async def stepped(serve, connect, lib: Library, **options: Any) -> Peer:
    server = await serve({"stepper": stepper(lib, **options)})
    peer = await connect(server)
    await peer.run("stepper", {"topic": "x"}, everything(1), run="r", thread="t")
    await peer.until(lambda frame: frame.get("mode") == "lifecycle" and frame["data"]["status"] != "running")
    return peer


async def state(peer: Peer, **fields: Any) -> Frame:
    return await peer.ask(type="state", graph="stepper", thread="t", **fields)


async def test_a_state_is_told_whole(serve, connect, lib: Library) -> None:
    peer = await stepped(serve, connect, lib, interrupt_before=["two"])
    told = await state(peer)
    assert told["values"] == {"topic": "x", "said": ["one"]}
    assert told["next"] == ["two"]
    assert told["interrupts"] == []
    (task,) = told["tasks"]
    assert (task["name"], task["interrupts"]) == ("two", [])
    assert set(told["config"]["configurable"]) == {"thread_id", "checkpoint_ns", "checkpoint_id"}
    assert told["config"]["configurable"]["thread_id"] == "t"
    assert told["metadata"]["step"] == 1
    assert told["created_at"]
    parent = told["parent_config"]["configurable"]["checkpoint_id"]
    earlier = await state(peer, checkpoint=parent)
    assert earlier["values"] == {"topic": "x", "said": []}
    assert (await state(peer, keys=["said"]))["values"] == {"said": ["one"]}


async def test_a_thread_that_nobody_has_written_is_empty(serve, connect, lib: Library) -> None:
    server = await serve({"stepper": stepper(lib)})
    peer = await connect(server)
    told = await state(peer)
    assert told["next"] == told["tasks"] == []
    assert told["metadata"] is None
    assert "created_at" not in told
    assert (await peer.ask(type="state_history", graph="stepper", thread="t"))["states"] == []
    gone = await peer.ask(type="delete", graph="stepper", thread="t")
    assert (gone["code"], gone["details"]) == ("not_found", {"kind": "thread"})


async def test_what_is_asked_stands_in_the_state(serve, connect, lib: Library) -> None:
    server = await serve({"several": several(lib)})
    peer = await connect(server)
    await peer.run("several", {"topic": "x"}, everything(1), run="r", thread="t")
    await paused(peer, 1)
    told = await peer.ask(type="state", graph="several", thread="t", subgraphs=True)
    asks = next(event for event in peer.events(1) if event["mode"] == "interrupt")["data"]["interrupts"]
    assert {mark["id"]: mark["value"] for mark in told["interrupts"]} == {
        ask["id"]: ask["value"] for ask in asks
    }
    inner = next(task for task in told["tasks"] if task["name"] == "inner")
    assert inner["state"]["next"] == ["deep"]
    assert set(inner["state"]["config"]["configurable"]) <= {
        "thread_id",
        "checkpoint_ns",
        "checkpoint_id",
        "checkpoint_map",
    }
    assert inner["state"]["config"]["configurable"]["thread_id"] == "t"
    ns = next(ask["ns"] for ask in asks if ask["value"] == "deep?")
    below = await peer.ask(type="state", graph="several", thread="t", ns=ns[:1])
    assert below["next"] == ["deep"]
    plain = await peer.ask(type="state", graph="several", thread="t")
    inner = next(task for task in plain["tasks"] if task["name"] == "inner")
    assert inner["state"]["configurable"]["thread_id"] == "t"


async def test_a_history_is_paged_the_newest_first(serve, connect, lib: Library) -> None:
    peer = await stepped(serve, connect, lib)

    async def history(**fields: Any) -> list[Frame]:
        reply = await peer.ask(type="state_history", graph="stepper", thread="t", **fields)
        return reply["states"]

    whole = await history()
    assert [one["metadata"]["step"] for one in whole] == [3, 2, 1, 0, -1]
    paged: list[Frame] = []
    before: Frame = {}
    while page := await history(limit=2, **before):
        paged += page
        before = {"before": page[-1]["config"]["configurable"]["checkpoint_id"]}
    assert paged == whole
    assert [one["metadata"]["step"] for one in await history(metadata={"source": "input"})] == [-1]
    assert (await history(keys=["topic"], limit=1))[0]["values"] == {"topic": "x"}


async def test_an_update_is_a_checkpoint_to_go_on_from(serve, connect, lib: Library) -> None:
    peer = await stepped(serve, connect, lib, interrupt_before=["two"])
    update = {"type": "state_update", "graph": "stepper", "thread": "t"}
    written = await peer.ask(**update, values={"said": ["edited"]}, as_node="one")
    assert written["config"]["configurable"]["thread_id"] == "t"
    assert (await state(peer))["values"]["said"] == ["one", "edited"]
    assert (await peer.ask(type="respond", run="r", responses=[]))["status"] == "running"
    await peer.closed(1)
    assert (await state(peer))["values"]["said"] == ["one", "edited", "two", "three"]
    branch = written["config"]["configurable"]["checkpoint_id"]
    written = await peer.ask(**update, values={"topic": "y"}, as_node="one", checkpoint=branch)
    fork = written["config"]["configurable"]["checkpoint_id"]
    await peer.run("stepper", None, everything(2), run="s", thread="t", checkpoint=fork)
    await peer.closed(2)
    assert (await state(peer))["values"] == {"topic": "y", "said": ["one", "edited", "two", "three"]}


async def test_an_update_that_the_graph_turns_down_says_why(serve, connect, lib: Library) -> None:
    peer = await stepped(serve, connect, lib)
    update = {"type": "state_update", "graph": "stepper", "thread": "t", "values": {"said": [1]}}
    nobody = await peer.ask(**update, as_node="nobody")
    assert nobody["code"] == "invalid_argument"
    assert "nobody" in nobody["message"]
    missing = await peer.ask(**update, as_node="one", checkpoint="c")
    assert (missing["code"], missing["details"]) == ("not_found", {"kind": "checkpoint"})
    assert (await state(peer, checkpoint="c"))["details"] == {"kind": "checkpoint"}
    nowhere = await state(peer, ns=["nowhere:1"])
    assert nowhere.get("values", {}) == {}  # LangGraph: an empty state; ours: no such graph
    assert (await peer.ask(type="state", graph="nobody", thread="t"))["details"] == {"kind": "graph"}
    tag = await peer.ask(**{**update, "values": {"$odd": 1}})
    assert tag["details"]["errors"][0]["path"] == "values"


@pytest.mark.parametrize("expose", [True, False])
async def test_a_failed_task_tells_its_error_as_far_as_errors_are_told(
    serve, connect, lib: Library, expose: bool
) -> None:
    def boil(state: Asked) -> Asked:
        raise ValueError("the kettle exploded")

    graph = lib.StateGraph(Asked).add_node(boil).add_edge(lib.START, "boil").compile()
    server = await serve({"stepper": graph}, expose_errors=expose)
    peer = await connect(server)
    await peer.run("stepper", {"topic": "x"}, everything(1), run="r", thread="t")
    await peer.closed(1)
    (task,) = (await state(peer))["tasks"]
    if expose:
        assert task["error"] == "ValueError('the kettle exploded')"
    else:
        assert set(task["error"]["$error"]) == {"error_id"}
        assert b"kettle" not in b"".join(peer.messages)


async def test_a_hidden_error_stays_hidden(serve, connect, lib: Library) -> None:
    server = await serve({"stepper": stepper(lib)}, expose_errors=False)
    peer = await connect(server)
    update = {"type": "state_update", "graph": "stepper", "thread": "t", "values": {"said": [1]}}
    nobody = await peer.ask(**update, as_node="s3cret")
    assert nobody["code"] == "invalid_argument"
    assert "s3cret" not in str(nobody)
    assert "error_id" in nobody["message"]


async def test_a_thread_with_a_run_is_written_by_nobody_else_and_not_deleted(
    serve, connect, lib: Library
) -> None:
    gate = Gate()
    server = await serve({"held": held(lib, gate)})
    peer = await connect(server)
    await peer.run("held", {"topic": "x"}, everything(1), run="r", thread="t")
    busy = await peer.ask(type="state_update", graph="held", thread="t", values={"said": [1]})
    assert (busy["code"], busy["retry"]) == ("busy", "after")
    for fields in ({"run": "r"}, {"graph": "held", "thread": "t"}):
        refused = await peer.ask(type="delete", **fields)
        assert refused["code"] == "conflict"
        assert "cancel" in refused["message"]
    gate.open()
    await peer.closed(1)
    assert (await peer.ask(type="delete", graph="held", thread="t"))["type"] == "ok"


async def test_a_deleted_run_is_gone_and_its_viewers_are_told(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)})
    peer, viewer = await connect(server), await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="r", thread="t")
    await paused(peer, 1)
    await viewer.ask(type="subscribe", run="r", **spec(7, "custom"))
    watching = await viewer.ask(type="watch", sub=8)
    assert watching["type"] == "subscribed"
    assert (await peer.ask(type="delete", run="r"))["type"] == "ok"
    for one, sub in ((peer, 1), (viewer, 7)):
        assert (await one.closed(sub))[-1]["reason"] in ("deleted", "end")
    for frame in ({"type": "result", "run": "r"}, {"type": "subscribe", "run": "r", **spec(9, "custom")}):
        assert (await peer.ask(**frame))["details"] == {"kind": "run"}
    assert (await peer.ask(type="list", what="runs"))["runs"] == []
    kept = await peer.ask(type="state", graph="asker", thread="t")
    assert kept["next"] == ["ask"]
    await peer.run("asker", {"topic": "y"}, everything(2), run="r")
    await paused(peer, 2)


async def test_a_viewer_that_waits_at_the_end_of_a_deleted_log_is_told(serve, connect) -> None:
    server = await serve({"stepper": stepper(OURS)})
    peer, viewer = await connect(server), await connect(server)
    await peer.run("stepper", {"topic": "x"}, everything(1), run="r")
    await peer.closed(1)
    await viewer.ask(type="subscribe", run="r", **spec(7, "custom", credit=0))
    await viewer.ask(type="subscribe", run="r", **spec(8, "values", credit=1))
    await viewer.until(
        lambda frame: frame["type"] == "event" and frame["sub"] == 8 and frame["mode"] == "values"
    )
    assert (await peer.ask(type="delete", run="r"))["type"] == "ok"
    await viewer.send({"type": "credit", "sub": 8, "events": 10})
    assert (await viewer.closed(8))[-1]["reason"] == "deleted"


async def test_a_deleted_thread_begins_anew(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)})
    peer = await connect(server)
    for number in range(3):
        await peer.run("asker", {"topic": number}, everything(number), run=f"r{number}", thread="t")
        await paused(peer, number)
    assert (await peer.ask(type="delete", graph="asker", thread="t"))["type"] == "ok"
    assert (await peer.ask(type="list", what="runs"))["runs"] == []
    assert (await peer.ask(type="list", what="threads"))["threads"] == []
    assert (await peer.ask(type="state", graph="asker", thread="t"))["metadata"] is None
    await peer.run("asker", {"topic": "new"}, everything(9), run="r9", thread="t")
    await paused(peer, 9)
    values = (await peer.ask(type="state", graph="asker", thread="t"))["values"]
    assert values["said"] == ["plan new"]


async def test_threads_are_listed_the_last_to_change_first(serve, connect, lib: Library) -> None:
    server = await serve({"stepper": stepper(lib), "asker": asker(lib)})
    peer = await connect(server)
    for number, (graph, thread) in enumerate(
        [("stepper", "a"), ("stepper", "b"), ("asker", "a"), ("stepper", "a")]
    ):
        await peer.run(graph, {"topic": "x"}, everything(number), run=f"r{number}", thread=thread)
        if graph == "asker":
            await paused(peer, number)
        else:
            await peer.closed(number)
    rows = (await peer.ask(type="list", what="threads"))["threads"]
    assert [(row["graph"], row["thread"], row["status"]) for row in rows] == [
        ("stepper", "a", "completed"),
        ("asker", "a", "interrupted"),
        ("stepper", "b", "completed"),
    ]
    assert [row["updated_at"] for row in rows] == sorted((row["updated_at"] for row in rows), reverse=True)

    async def names(**fields: Any) -> list[tuple[str, str]]:
        reply = await peer.ask(type="list", what="threads", **fields)
        return [(row["graph"], row["thread"]) for row in reply["threads"]]

    assert await names(status=["interrupted"]) == [("asker", "a")]
    assert await names(graph="stepper", thread="b") == [("stepper", "b")]
    first = await peer.ask(type="list", what="threads", limit=2)
    assert await names(limit=2, cursor=first["cursor"]) == [("stepper", "b")]


async def test_no_principal_writes_another_s_threads_out_of_the_list(
    serve, connect, lib: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_threads, "SCANNED", 20)
    saver = InMemorySaver()
    tokens = {"a-token": "ann", "b-token": "bob"}
    graph = stepper(lib, saver)
    first = await serve({"stepper": graph}, tokens=tokens)
    ann, bob = await connect(first, token="a-token"), await connect(first, token="b-token")
    for number in range(25):
        update = {"graph": "stepper", "thread": f"b{number % 3}", "values": {"topic": "y"}}
        assert (await bob.ask(type="state_update", **update, as_node=lib.START))["type"] == "ok"
    # A saver in memory lists the oldest threads first.
    await ann.run("stepper", {"topic": "x"}, everything(1), run="r", thread="t")
    await ann.closed(1)
    second = await serve({"stepper": graph}, tokens=tokens)
    again = await connect(second, token="a-token")
    assert [row["thread"] for row in (await again.ask(type="list", what="threads"))["threads"]] == ["t"]


async def test_a_saver_that_hangs_holds_up_no_other_request(serve, connect, lib: Library) -> None:
    at_work, release = threading.Event(), threading.Event()

    def block(state: Asked) -> Asked:
        at_work.set()
        release.wait(20)
        return {}

    async def blocks(state: Asked) -> Asked:  # a coroutine that blocks its loop
        return block(state)

    graph = lib.StateGraph(Asked).add_node(blocks).add_edge(lib.START, "blocks").compile()
    server = await serve({"blocks": graph, "stepper": stepper(lib)}, runner="own")
    peer = await connect(server)
    try:
        await peer.run("blocks", {"topic": "x"}, everything(1), run="r", thread="t")
        assert await asyncio.to_thread(at_work.wait, 10)
        await peer.send({"type": "state", "id": 1, "graph": "blocks", "thread": "t"})
        await peer.send({"type": "delete", "id": 2, "graph": "blocks", "thread": "u"})
        assert (await state(peer))["type"] == "ok"
        assert (await peer.ask(type="result", run="r"))["status"] == "running"
        assert not [frame for frame in peer.frames if frame.get("id") in (1, 2)]
    finally:
        release.set()
    assert (await peer.answer(1))["type"] == "ok"
    assert (await peer.answer(2))["code"] == "not_found"
    await peer.closed(1)


@pytest.mark.parametrize("keeper", ["own", "server"])
@pytest.mark.one_process
async def test_threads_outlive_the_server_where_their_saver_does(
    serve, connect, lib: Library, keeper: str
) -> None:
    saver = InMemorySaver()
    own, servers = (saver, {}) if keeper == "own" else (None, {"checkpointer": saver})
    tokens = {"a-token": "ann", "b-token": "bob"}
    for life in range(2):
        graphs = {"stepper": stepper(lib, own), "asker": asker(lib, own)}
        server = await serve(graphs, tokens=tokens, **servers)
        peer = await connect(server, token="a-token")
        if not life:
            await peer.run("stepper", {"topic": "x"}, everything(1), run="r", thread="a")
            await peer.closed(1)
            await peer.run("asker", {"topic": "x"}, everything(2), run="s", thread="b")
            await paused(peer, 2)
            before = (await peer.ask(type="list", what="threads"))["threads"]
            await server.drain(0)
    rows = (await peer.ask(type="list", what="threads"))["threads"]
    assert [(row["graph"], row["thread"], row["status"]) for row in rows] == [
        ("asker", "b", "interrupted"),
        ("stepper", "a", "completed"),
    ]
    assert all(row["updated_at"] <= known["updated_at"] for row, known in zip(rows, before, strict=True))
    waiting = await peer.ask(type="list", what="threads", status=["interrupted"])
    assert [row["thread"] for row in waiting["threads"]] == ["b"]
    bob = await connect(server, token="b-token")
    assert (await bob.ask(type="list", what="threads"))["threads"] == []
    await peer.run("asker", None, everything(3), run="t", thread="b", command={"resume": "yes"})
    await peer.closed(3)
    assert (await peer.ask(type="result", run="t"))["output"]["said"] == ["plan x", "yes", "done"]
