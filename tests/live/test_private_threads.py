"""A run that names no thread can ask, on a private one of the server's saver, which only a question costs.

About `gateway/graphwire_gateway/graphs/private.py`.
"""

import asyncio
from typing import Any

import graphwire
import pytest
from graphwire.cli.app import run as command_line
from graphwire_gateway import Gateway, GraphSpec
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.live.test_interrupts import answer, asked, said, statuses
from tests.support.graphs import Gate, Library, Speaker, gated
from tests.support.peer import everything, spec
from tests.support.questions import asker, decider, several, stepper, words
from tests.support.waiting import until

CALLS = ("get_tuple", "put", "put_writes", "delete_thread")


class Watched(InMemorySaver):
    """A saver that notes its calls, and can be away."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.is_away = False

    def __getattribute__(self, name: str) -> Any:
        if name.removeprefix("a") in CALLS:
            if self.is_away:
                raise OSError("the saver is away")
            self.calls.append(name)
        return super().__getattribute__(name)


def kept(saver: InMemorySaver) -> list[str]:
    """The threads that a saver has something of."""
    threads = {*saver.storage, *(key[0] for key in saver.writes)}
    return sorted(threads - {"graphwire:probe"})  # which the start reads


@pytest.fixture
def saver() -> Watched:
    return Watched()


@pytest.mark.parametrize("runner", ["inline", "thread"])
async def test_a_run_without_a_thread_asks_and_is_answered(
    serve, connect, lib: Library, saver: Watched, runner: str
) -> None:
    server = await serve({"asker": GraphSpec(asker(lib), runner)}, checkpointer=saver)
    peer = await connect(server)
    started = await peer.run("asker", {"topic": "cats"}, everything(1), run="r")
    assert "thread" not in started
    (ask,) = await asked(peer, 1)
    assert kept(saver) == ["graphwire:anonymous/r"]
    assert saver.calls.count("aput") == 1, "written once, when it asks"
    assert (await peer.ask(type="list", what="threads"))["threads"] == []
    assert (await peer.ask(type="respond", run="r", responses=[answer(ask, "yes")]))["status"] == "running"
    await peer.closed(1)
    assert statuses(peer, 1) == ["running", "interrupted", "running", "completed"]
    assert await said(peer, "r") == ["plan cats", "yes", "done"]
    await until(lambda: kept(saver) == [])


async def test_several_questions_one_in_a_subgraph_are_answered_one_by_one(
    serve, connect, lib: Library, saver: Watched
) -> None:
    peer = await connect(await serve({"several": several(lib)}, checkpointer=saver))
    await peer.run("several", {"topic": "x"}, everything(1), run="r")
    for times in (1, 2, 3):
        ask = (await asked(peer, 1, times))[0]
        await peer.ask(type="respond", run="r", responses=[answer(ask, times)], partial=True)
    await peer.closed(1)
    assert sorted(number for _, number in await said(peer, "r")) == [1, 2, 3]
    await until(lambda: kept(saver) == [])


async def test_a_breakpoint_is_passed(serve, connect, lib: Library, saver: Watched) -> None:
    peer = await connect(await serve({"stepper": stepper(lib)}, checkpointer=saver))
    await peer.run("stepper", {}, everything(1), run="r", options={"interrupt_before": ["two", "three"]})
    for times in (1, 2):
        assert await asked(peer, 1, times) == []
        assert (await peer.ask(type="respond", run="r", responses=[]))["status"] == "running"
    await peer.closed(1)
    assert await said(peer, "r") == ["one", "two", "three"]
    await until(lambda: kept(saver) == [])


async def test_a_run_that_asks_nothing_never_calls_the_saver(
    serve, connect, lib: Library, saver: Watched
) -> None:
    graphs = {"stepper": stepper(lib), "fails": failing(lib)}
    server = await serve(graphs, checkpointer=saver)
    saver.is_away = True
    peer = await connect(server)
    saver.calls.clear()
    await peer.run("stepper", {}, everything(1), run="r", options={"durability": "sync"})
    await peer.closed(1)
    await peer.run("fails", {}, everything(2), run="r2")
    await peer.closed(2)
    assert await said(peer, "r") == ["one", "two", "three"]
    assert saver.calls == []


async def test_a_cancelled_run_leaves_nothing(serve, connect, lib: Library, saver: Watched) -> None:
    peer = await connect(await serve({"gated": gated(Gate(), lib=lib)}, checkpointer=saver))
    saver.calls.clear()
    await peer.run("gated", {}, spec(1, "custom"), run="r")
    await peer.ask(type="cancel", run="r")
    await peer.closed(1)
    assert saver.calls == []


async def test_events_are_those_of_a_graph_without_a_thread(serve, connect, lib: Library) -> None:
    seen = []
    for checkpointer in (False, None):
        peer = await connect(await serve({"speaking": speaking(lib)}, checkpointer=checkpointer))
        await peer.run("speaking", {}, everything(1), run="r")
        await peer.closed(1)
        events = peer.events(1)
        metas = [sorted(event["meta"]) for event in events if "meta" in event]
        assert metas
        seen.append(([(event["mode"], event.get("node")) for event in events], metas))
    assert seen[0] == seen[1]


async def test_what_the_saver_cannot_keep_fails_the_run_that_asks(serve, connect, lib: Library) -> None:
    peer = await connect(await serve({"odd": odd(lib)}, expose_errors=True))
    await peer.run("odd", {"ask": False}, spec(1, "custom"), run="r1")
    assert (await peer.closed(1))[-1]["status"] == "completed"
    await peer.run("odd", {"ask": True}, spec(2, "custom"), run="r2")
    await peer.closed(2)
    end = peer.events(2)[-1]["data"]
    assert end["status"] == "failed"
    assert "serializable" in end["error"]["message"]


async def test_a_waiting_run_counts_in_store_bytes_and_is_never_let_go(serve, connect, lib: Library) -> None:
    limits = {"store_bytes": 60_000}
    peer = await connect(await serve({"stepper": stepper(lib)}, limits=limits))
    await peer.run("stepper", {}, spec(1, "custom"), run="old")
    await peer.closed(1)
    assert (await peer.ask(type="result", run="old"))["status"] == "completed"
    pause = {"options": {"interrupt_before": ["two"]}}
    await peer.run("stepper", {"topic": "x" * 80_000}, spec(2, "custom"), run="waits", **pause)
    assert await asked(peer, 2) == []
    await peer.poll(lambda reply: reply.get("code") == "not_found", type="result", run="old")
    refused = await peer.ask(type="run", graph="stepper", input={}, run="new")
    assert (refused["code"], refused["details"]) == ("limit_exceeded", {"limit": "store_bytes"})
    await peer.ask(type="respond", run="waits", responses=[])
    await peer.closed(2)
    await peer.run("stepper", {}, spec(4, "custom"), run="last")
    await peer.closed(4)
    assert (await peer.ask(type="result", run="last"))["status"] == "completed", "there is room again"


async def test_no_saver_and_the_result_says_what_was_asked(lib: Library, capfd) -> None:
    graphs = {"decider": decider(lib)}
    async with Gateway(graphs, checkpointer=False).serve("127.0.0.1", 0) as server:
        async with graphwire.connect(server.url) as client:
            run = await client.run("decider", {}, run="r")
            with pytest.raises(graphwire.RunInterrupted, match=r"'sure\?'.*give the server one") as raised:
                await run.result()
            assert raised.value.is_over
            assert [one.value for one in raised.value.interrupts] == ["sure?"]
            with pytest.raises(graphwire.RunInterrupted):
                await client.result("r")
            local = await client.graph("decider").ainvoke({"topic": "x"})
            assert [one.value for one in local["__interrupt__"]] == ["sure?"]
        line = ["run", "decider", "-f", "topic=x", "--url", server.url]
        assert await asyncio.to_thread(command_line, line) == 1
        assert "give the server one, or compile the graph" in capfd.readouterr().err


def speaking(lib: Library) -> Any:
    """A node that calls a model."""

    def speak(state: Odd) -> Odd:
        return {"thing": Speaker(words=["a", "b"]).invoke("go on").text}

    return lib.StateGraph(Odd).add_node(speak).add_edge(lib.START, "speak").compile()


def failing(lib: Library) -> Any:
    def fail(state: Any) -> Any:
        raise ValueError("no")

    graph = lib.StateGraph(Odd).add_node(fail).add_edge(lib.START, "fail")
    return graph.compile()


class Odd(TypedDict, total=False):
    ask: bool
    thing: Any


def odd(lib: Library) -> Any:
    """A state with what no saver can keep; asks if it is told to."""
    interrupt = words(lib).interrupt

    def make(state: Odd) -> Odd:
        return {"thing": asyncio.Lock()}

    def ask(state: Odd) -> Odd:
        return {"ask": interrupt("sure?") if state["ask"] else False}

    graph = lib.StateGraph(Odd).add_node(make).add_node(ask)
    return graph.add_edge(lib.START, "make").add_edge("make", "ask").compile()
