"""A thread is kept across runs, has one writer at a time, and belongs to one principal.

About `gateway/graphwire_gateway/runs/threads.py`, `gateway/graphwire_gateway/runs/runs.py`,
`gateway/graphwire_gateway/scope.py` and `gateway/graphwire_gateway/runs/retention.py`.
"""

import asyncio
import threading
from typing import Any

import orjson
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import LIBRARIES, Gate, Library, library
from tests.support.peer import Frame, Peer, everything
from tests.support.questions import Asked, asker, checkpointer, held, stepper, words

OURS = library(LIBRARIES[0])
TOKENS = {"a-token": "ann", "b-token": "bob"}


def status_events(peer: Peer, sub: int) -> list[Frame]:
    return [event["data"] for event in peer.events(sub) if event["mode"] == "lifecycle"]


def statuses(peer: Peer, sub: int) -> list[str]:
    return [data["status"] for data in status_events(peer, sub)]


async def reached(peer: Peer, sub: int, status: str) -> None:
    while status not in statuses(peer, sub):
        await peer.next()


async def said(peer: Peer, run: str) -> Any:
    return (await peer.ask(type="result", run=run))["output"]["said"]


@pytest.mark.parametrize("keeper", ["own", "server"])
@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_a_thread_remembers_and_another_does_not(
    serve, connect, lib: Library, keeper: str, runner: str
) -> None:
    server = await serve({"stepper": stepper(lib, checkpointer(keeper))}, runner=runner)
    peer = await connect(server)
    for number, thread in enumerate(("t", "t", "u")):
        started = await peer.run(
            "stepper", {"topic": "x"}, everything(number), run=f"r{number}", thread=thread
        )
        assert started["thread"] == thread
        await peer.closed(number)
    assert await said(peer, "r1") == ["one", "two", "three"] * 2
    assert await said(peer, "r2") == ["one", "two", "three"]
    rows = (await peer.ask(type="list", what="runs", thread="t"))["runs"]
    assert [row["run"] for row in rows] == ["r1", "r0"]


async def test_a_busy_thread_is_told_and_another_one_is_free(serve, connect, lib: Library) -> None:
    gate = Gate()
    server = await serve({"held": held(lib, gate)})
    peer = await connect(server)
    await peer.run("held", {"topic": "a"}, everything(1), run="a", thread="t")
    busy = await peer.run("held", {"topic": "b"}, run="b", thread="t")
    assert (busy["code"], busy["retry"]) == ("busy", "after")
    assert "if_busy" in busy["message"]
    assert (await peer.ask(type="result", run="b"))["code"] == "not_found"
    await peer.run("held", {"topic": "c"}, everything(3), run="c", thread="u")
    gate.open()
    await peer.closed(1)
    await peer.closed(3)
    await peer.run("held", {"topic": "d"}, everything(4), run="d", thread="t")
    await peer.closed(4)
    assert await said(peer, "d") == ["a", "d"]


async def test_a_double_start_finds_its_run_and_the_thread_is_not_busy(serve, connect, lib: Library) -> None:
    gate = Gate()
    server = await serve({"held": held(lib, gate)})
    peer, other = await connect(server), await connect(server)
    first = await peer.run("held", {"topic": "a"}, everything(1), run="a", thread="t")
    second = await other.run("held", {"topic": "other"}, everything(1), run="a", thread="t")
    assert [first["created"], second["created"]] == [True, False]
    assert first["epoch"] == second["epoch"]
    wrong = await other.run("held", {"topic": "a"}, run="a", thread="u")
    assert wrong["code"] == "conflict"
    gate.open()
    await peer.closed(1)
    await other.closed(1)
    strip = [{name: value for name, value in event.items() if name != "sub"} for event in other.events(1)]
    assert strip == [{k: v for k, v in event.items() if k != "sub"} for event in peer.events(1)]
    assert await said(peer, "a") == ["a"]


async def test_starts_that_race_for_a_thread_run_once(serve, connect, lib: Library) -> None:
    gate = Gate()
    server = await serve({"held": held(lib, gate)})
    peers = [await connect(server) for _ in range(5)]
    replies = await asyncio.gather(
        *(peer.run("held", {"topic": str(index)}, thread="t") for index, peer in enumerate(peers))
    )
    assert sorted(reply.get("code", "started") for reply in replies) == ["busy"] * 4 + ["started"]
    gate.open()


async def test_enqueued_runs_follow_one_after_another(serve, connect, lib: Library) -> None:
    gate = Gate()
    server = await serve({"held": held(lib, gate)})
    peer = await connect(server)
    for number in range(5):
        started = await peer.run(
            "held",
            {"topic": number},
            everything(number),
            run=f"r{number}",
            thread="t",
            if_busy="enqueue",
        )
        assert started["status"] == ("queued" if number else "running")
    cancelled = await peer.ask(type="cancel", run="r2")
    assert cancelled["status"] == "cancelled"
    assert gate.reached <= 1
    gate.open()
    for number in (0, 1, 3, 4):
        assert (await peer.closed(number))[-1]["status"] == "completed"
    assert await said(peer, "r4") == [0, 1, 3, 4]
    assert statuses(peer, 4) == ["queued", "running", "completed"]


async def test_a_run_that_interrupts_cancels_the_running_one_first(serve, connect, lib: Library) -> None:
    gate = Gate()
    server = await serve({"held": held(lib, gate)})
    peer = await connect(server)
    await peer.run("held", {"topic": "a"}, everything(1), run="a", thread="t")
    await peer.run("held", {"topic": "b"}, everything(2), run="b", thread="t", if_busy="enqueue")
    gate_reached = gate.reached
    await peer.run("held", {"topic": "c"}, everything(3), run="c", thread="t", if_busy="interrupt")
    await peer.closed(1)
    end = status_events(peer, 1)[-1]
    assert (end["status"], end["reason"]) == ("cancelled", "superseded")
    await reached(peer, 3, "running")
    assert "running" not in statuses(peer, 2)
    gate.open()
    await peer.closed(3)
    await peer.closed(2)
    assert gate.reached > gate_reached
    assert (await said(peer, "b"))[-2:] == ["c", "b"]


@pytest.mark.parametrize("if_busy", ["reject", "interrupt"])
async def test_a_later_run_supersedes_one_that_asks(serve, connect, lib: Library, if_busy: str) -> None:
    server = await serve({"asker": asker(lib)})
    peer = await connect(server)
    await peer.run("asker", {"topic": "a"}, everything(1), run="a", thread="t")
    await reached(peer, 1, "interrupted")
    await peer.run("asker", {"topic": "b"}, everything(2), run="b", thread="t", if_busy=if_busy)
    await peer.closed(1)
    end = status_events(peer, 1)[-1]
    assert (end["status"], end["reason"]) == ("cancelled", "superseded")
    await reached(peer, 2, "interrupted")


async def test_a_queued_run_waits_until_the_one_that_asks_has_ended(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)})
    peer = await connect(server)
    await peer.run("asker", {"topic": "a"}, everything(1), run="a", thread="t")
    await reached(peer, 1, "interrupted")
    queued = await peer.run("asker", {"topic": "b"}, everything(2), run="b", thread="t", if_busy="enqueue")
    assert queued["status"] == "queued"
    (ask,) = next(event for event in peer.events(1) if event["mode"] == "interrupt")["data"]["interrupts"]
    reply = await peer.ask(type="respond", run="a", responses=[{"interrupt": ask["id"], "value": 1}])
    assert reply["status"] == "running"
    await peer.closed(1)
    await reached(peer, 2, "interrupted")


async def test_a_run_answers_what_an_earlier_one_asked_with_a_command(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)})
    peer = await connect(server)
    await peer.run("asker", {"topic": "a"}, everything(1), run="a", thread="t")
    await reached(peer, 1, "interrupted")
    await peer.run("asker", None, everything(2), run="b", thread="t", command={"resume": "yes"})
    await peer.closed(1)
    assert (await peer.closed(2))[-1]["status"] == "completed"
    assert await said(peer, "b") == ["plan a", "yes", "done"]


async def test_commands_update_and_go_where_they_say(serve, connect, lib: Library) -> None:
    server = await serve({"stepper": stepper(lib)})
    peer = await connect(server)
    await peer.run("stepper", {"topic": "a"}, everything(1), run="a", thread="t")
    await peer.closed(1)
    command = {"update": {"topic": "b", "said": ["told"]}, "goto": ["three"]}
    await peer.run("stepper", None, everything(2), run="b", thread="t", command=command)
    await peer.closed(2)
    assert await said(peer, "b") == ["one", "two", "three", "told", "three"]
    sent = {"goto": {"node": "two", "arg": {"topic": "sent"}}}
    await peer.run("stepper", None, everything(3), run="c", thread="t", command=sent)
    await peer.closed(3)
    assert (await said(peer, "c"))[5:] == ["two", "three"]
    for goto in (7, {"node": 1}, [["two"]], {"node": "two", "other": 1}):
        error = await peer.run("stepper", None, thread="t", command={"goto": goto})
        assert error["code"] == "invalid_argument"
        assert error["details"]["errors"][0]["path"] == "command.goto"


async def test_a_thread_is_busy_until_code_that_nothing_stops_has_stopped(
    serve, connect, lib: Library
) -> None:
    at_work, release = threading.Event(), threading.Event()

    def deaf(state: Asked) -> Asked:
        at_work.set()
        release.wait(20)
        return {"said": ["late"]}

    graph = lib.StateGraph(Asked).add_node(deaf).add_edge(lib.START, "deaf").compile()
    server = await serve({"deaf": graph}, runner="thread", limits={"cancel_grace_s": 0.05})
    peer = await connect(server)
    try:
        await peer.run("deaf", {"topic": "a"}, everything(1), run="a", thread="t")
        assert await asyncio.to_thread(at_work.wait, 10)
        await peer.ask(type="cancel", run="a")
        assert (await peer.closed(1))[-1]["status"] == "cancelled"
        assert (await peer.run("deaf", {"topic": "b"}, run="b", thread="t"))["code"] == "busy"
        queued = await peer.run("deaf", {"topic": "c"}, everything(3), run="c", thread="t", if_busy="enqueue")
        assert queued["status"] == "queued"
    finally:
        release.set()
    assert (await peer.closed(3))[-1]["status"] == "completed"
    assert await said(peer, "c") == ["late"]


# ── checkpoints ──────────────────────────────────────────────────────────────────────────────────


async def test_a_run_starts_at_a_checkpoint_of_its_thread(serve, connect, lib: Library) -> None:
    server = await serve({"stepper": stepper(lib)})
    peer = await connect(server)
    await peer.run("stepper", {"topic": "a"}, everything(1), run="a", thread="t")
    await peer.closed(1)
    states = (await peer.ask(type="state_history", graph="stepper", thread="t"))["states"]
    behind_one = next(state for state in states if state["next"] == ["two"])
    checkpoint = behind_one["config"]["configurable"]["checkpoint_id"]
    await peer.run("stepper", None, everything(2), run="b", thread="t", checkpoint=checkpoint)
    await peer.closed(2)
    assert [list(e["data"]) for e in peer.events(2) if e["mode"] == "updates"] == [["two"], ["three"]]
    assert await said(peer, "b") == ["one", "two", "three"]
    await peer.run(
        "stepper",
        {"topic": "c", "said": ["edited"]},
        everything(3),
        run="c",
        thread="t",
        checkpoint=checkpoint,
    )
    await peer.closed(3)
    assert await said(peer, "c") == ["one", "edited", "one", "two", "three"]


async def test_a_checkpoint_that_is_not_there_starts_nothing(serve, connect, lib: Library) -> None:
    server = await serve({"stepper": stepper(lib)})
    peer = await connect(server)
    error = await peer.run("stepper", {"topic": "a"}, run="a", thread="t", checkpoint="c1")
    assert (error["code"], error["details"]) == ("not_found", {"kind": "checkpoint"})
    assert (await peer.ask(type="list", what="runs"))["runs"] == []
    alone = await peer.run("stepper", {"topic": "a"}, run="a", checkpoint="c1")
    assert alone["code"] == "invalid_argument"


async def test_a_graph_that_can_have_no_checkpointer_takes_no_thread(serve, connect, lib: Library) -> None:
    server = await serve({"stepper": stepper(lib, False)})
    peer = await connect(server)
    for frame in (
        {"type": "run", "input": {"topic": "a"}},
        {"type": "state"},
        {"type": "state_history"},
        {"type": "state_update", "values": {}},
        {"type": "delete"},
    ):
        error = await peer.ask(graph="stepper", thread="t", **frame)
        assert error["code"] == "invalid_argument"
        assert error["details"]["errors"][0]["path"] == "thread"
    await peer.run("stepper", {"topic": "a"}, everything(1))
    assert (await peer.closed(1))[-1]["status"] == "completed"


# ── whose thread it is ───────────────────────────────────────────────────────────────────────────


def teller(lib: Library, saver: Any) -> Any:
    """Says, within its own data, which thread and principal it is told, and asks for them."""
    interrupt = words(lib).interrupt

    def tell(state: Asked, config: RunnableConfig) -> Asked:
        told = config["configurable"]
        answer = interrupt({"thread": told["thread_id"]})
        return {"said": [told["thread_id"], told["graphwire_principal"], answer]}

    return lib.StateGraph(Asked).add_node(tell).add_edge(lib.START, "tell").compile(checkpointer=saver)


@pytest.mark.parametrize("keeper", ["own", "server"])
async def test_a_thread_of_that_name_is_another_principals_own(
    serve, connect, lib: Library, keeper: str
) -> None:
    saver = checkpointer(keeper)
    graphs = {"one": stepper(lib, saver), "two": stepper(lib, saver)}
    server = await serve(graphs, tokens=TOKENS)
    ann, bob = await connect(server, token="a-token"), await connect(server, token="b-token")
    for number, (peer, graph) in enumerate([(ann, "one"), (ann, "two"), (bob, "one")]):
        await peer.run(graph, {"topic": "x"}, everything(number), run=f"r{number}", thread="t")
        await peer.closed(number)
        assert await said(peer, f"r{number}") == ["one", "two", "three"]
    assert [row["graph"] for row in (await bob.ask(type="list", what="threads"))["threads"]] == ["one"]
    assert len((await ann.ask(type="list", what="threads"))["threads"]) == 2
    await ann.ask(type="delete", graph="one", thread="t")
    state = await bob.ask(type="state", graph="one", thread="t")
    assert state["values"]["said"] == ["one", "two", "three"]
    assert (await ann.ask(type="state", graph="one", thread="t"))["values"] in ({}, {"said": []})


async def test_threads_may_be_shared_and_busy_for_everybody(serve, connect, lib: Library) -> None:
    gate = Gate()
    graphs = {"stepper": stepper(lib), "held": held(lib, gate)}
    server = await serve(graphs, tokens=TOKENS, shared_threads=True)
    ann, bob = await connect(server, token="a-token"), await connect(server, token="b-token")
    for peer in (ann, bob):
        await peer.run("stepper", {"topic": "x"}, everything(1), run="r", thread="t")
        await peer.closed(1)
    assert await said(bob, "r") == ["one", "two", "three"] * 2
    await ann.run("held", {"topic": "x"}, everything(2), run="h", thread="t")
    assert (await bob.run("held", {"topic": "x"}, thread="t"))["code"] == "busy"
    assert (await bob.ask(type="cancel", run="h"))["code"] == "not_found"
    gate.open()
    await ann.closed(2)


@pytest.mark.parametrize("private", [False, True])
async def test_the_checkpointers_id_of_a_thread_leaves_the_server_nowhere(
    serve, connect, lib: Library, private: bool
) -> None:
    saver = InMemorySaver()
    server = await serve({"teller": teller(lib, saver)}, tokens=TOKENS)
    peer = await connect(server, token="a-token")
    fields = {} if private else {"thread": "mine"}
    await peer.run("teller", {"topic": "x"}, everything(1), run="r", **fields)
    await reached(peer, 1, "interrupted")
    (saved,) = saver.storage
    assert "ann" in saved
    thread = "r" if private else "mine"
    (ask,) = next(event for event in peer.events(1) if event["mode"] == "interrupt")["data"]["interrupts"]
    assert ask["value"] == {"thread": thread}
    if not private:
        await peer.ask(type="state", graph="teller", thread="mine")
    await peer.ask(type="respond", run="r", responses=[{"interrupt": ask["id"], "value": "yes"}])
    await peer.closed(1)
    assert await said(peer, "r") == [thread, "ann", "yes"]
    if not private:
        state = await peer.ask(type="state", graph="teller", thread="mine")
        assert state["config"]["configurable"]["thread_id"] == "mine"
        history = await peer.ask(type="state_history", graph="teller", thread="mine")
        config = await peer.ask(type="state_update", graph="teller", thread="mine", values={"said": [1]})
        assert config["config"]["configurable"]["thread_id"] == "mine"
        assert len(history["states"]) >= 2
    checkpoints = [event["data"] for event in peer.events(1) if event["mode"] == "checkpoints"]
    assert {data["config"]["configurable"]["thread_id"] for data in checkpoints} == {thread}
    everything_told = orjson.dumps([frame for frame in peer.frames if frame["type"] != "welcome"])
    assert saved.encode() not in everything_told
    # The principal is told where the graph's own data holds it, and nowhere else.
    assert b"graphwire_principal" not in everything_told
    assert everything_told.count(b'"ann"') == sum(
        orjson.dumps(frame).count(b'"ann"')
        for frame in peer.frames
        if frame["type"] == "ok"
        or frame.get("mode") in ("updates", "values", "tasks", "debug", "checkpoints")
    )


async def test_a_private_thread_is_gone_with_its_run_and_in_no_list(serve, connect, lib: Library) -> None:
    saver = InMemorySaver()
    server = await serve({"asker": asker(lib, saver)})
    peer = await connect(server)
    started = await peer.run("asker", {"topic": "x"}, everything(1), run="r")
    assert "thread" not in started
    await reached(peer, 1, "interrupted")
    assert len(saver.storage) == 1
    assert (await peer.ask(type="list", what="threads"))["threads"] == []
    (ask,) = next(event for event in peer.events(1) if event["mode"] == "interrupt")["data"]["interrupts"]
    await peer.ask(type="respond", run="r", responses=[{"interrupt": ask["id"], "value": 1}])
    await peer.closed(1)
    assert await said(peer, "r") == ["plan x", 1, "done"]
    assert not saver.storage
