"""A run that asks waits, then continues in the same log: each answer counts once, whoever sends it.

About `gateway/graphwire_gateway/runs/run.py`, `gateway/graphwire_gateway/execution/request.py` and
`runtime/graphwire_runtime/drive/lifecycle.py`.
"""

import asyncio
from typing import Any

import pytest

from tests.support.graphs import LIBRARIES, Library, library
from tests.support.log import Log
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.questions import asker, checkpointer, several, stepper

pytestmark = pytest.mark.slow_store


async def asked(peer: Peer, sub: int, times: int = 1) -> list[Frame]:
    """Wait until the run is interrupted that often; return what it asks."""

    def is_paused(event: Frame) -> bool:
        return event["mode"] == "lifecycle" and event["data"]["status"] == "interrupted"

    while sum(is_paused(event) for event in peer.events(sub)) < times:
        await peer.next()
    pauses = [event["data"]["interrupts"] for event in peer.events(sub) if event["mode"] == "interrupt"]
    return pauses[-1]


def statuses(peer: Peer, sub: int) -> list[str]:
    return [event["data"]["status"] for event in peer.events(sub) if event["mode"] == "lifecycle"]


def answer(ask: Frame, value: Any) -> Frame:
    return {"interrupt": ask["id"], "value": value}


async def said(peer: Peer, run: str) -> Any:
    reply = await peer.ask(type="result", run=run)
    assert reply["status"] == "completed", reply
    return reply["output"]["said"]


@pytest.mark.slow_store(False)
@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize("home", ["graphwire_runtime", "langgraph.callbacks"])
async def test_a_callback_of_the_graph_hears_of_questions_and_answers(
    serve, connect, lib: Library, home: str, runner: str
) -> None:
    """LangGraph's does so in graphs of both libraries, the runtime's in the runtime's alone."""
    heard: list[str] = []

    class Ear(pytest.importorskip(home).GraphCallbackHandler):  # type: ignore[misc]
        def on_interrupt(self, event: Any) -> None:
            heard.append(f"asked {event.interrupts[0].value['about']}")

        def on_resume(self, event: Any) -> None:
            heard.append("resumed")

    graph = asker(lib, checkpointer("own")).with_config({"callbacks": [Ear()]})
    peer = await connect(await serve({"asker": graph}, runner=runner))
    await peer.run("asker", {"topic": "cats"}, everything(1), run="r")
    (ask,) = await asked(peer, 1)
    await peer.ask(type="respond", run="r", responses=[answer(ask, "yes")])
    await peer.closed(1)
    deaf = (lib.name, home) == ("langgraph", "graphwire_runtime")
    assert heard == ([] if deaf else ["asked cats", "resumed"])


@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize("keeper", ["own", "server"])
async def test_an_answered_run_goes_on_in_the_same_log(
    serve, connect, lib: Library, keeper: str, runner: str
) -> None:
    server = await serve({"asker": asker(lib, checkpointer(keeper))}, runner=runner)
    peer = await connect(server)
    thread = {} if keeper == "own" else {"thread": "t"}
    started = await peer.run("asker", {"topic": "cats"}, everything(1), run="r", **thread)
    assert started.get("thread") == thread.get("thread")
    (ask,) = await asked(peer, 1)
    assert ask["value"] == {"about": "cats"}
    assert (await peer.ask(type="result", run="r"))["status"] == "interrupted"
    rows = (await peer.ask(type="list", what="runs"))["runs"]
    assert [row.get("interrupts") for row in rows] == [[ask["id"]]]
    reply = await peer.ask(type="respond", run="r", responses=[answer(ask, "yes")])
    assert (reply["type"], reply["status"]) == ("ok", "running")
    frames = await peer.closed(1)
    assert frames[-1]["status"] == "completed"
    assert statuses(peer, 1) == ["running", "interrupted", "running", "completed"]
    assert {event["data"]["attempt"] for event in peer.events(1) if event["mode"] == "lifecycle"} == {1}
    Log(peer.events(1))
    assert await said(peer, "r") == ["plan cats", "yes", "done"]
    marked = [event for event in peer.events(1) if "interrupts" in event]
    assert [event["mode"] for event in marked][:2] == ["updates", "values"]
    assert all("__interrupt__" not in str(event["data"]) for event in marked)


async def test_answers_are_kept_until_every_question_has_one(serve, connect, lib: Library) -> None:
    server = await serve({"several": several(lib)})
    peer = await connect(server)
    await peer.run("several", {"topic": "x"}, everything(1), run="r", thread="t")
    asks = {ask["value"]: ask for ask in await asked(peer, 1)}
    assert sorted(asks) == ["deep?", "left?", "right?"]
    assert [segment.split(":")[0] for segment in asks["deep?"]["ns"]] == ["inner"]
    head = peer.events(1)[-1]["seq"]
    for text in ("left?", "deep?"):
        reply = await peer.ask(type="respond", run="r", responses=[answer(asks[text], f"for {text}")])
        assert reply["status"] == "interrupted"
    again = await peer.ask(type="respond", run="r", responses=[answer(asks["left?"], "other")])
    assert (again["code"], again["retry"]) == ("conflict", "never")
    assert peer.events(1)[-1]["seq"] == head
    last = await peer.ask(type="respond", run="r", responses=[answer(asks["right?"], "for right?")])
    assert last["status"] == "running"
    await peer.closed(1)
    assert sorted(await said(peer, "r")) == [
        ["deep", "for deep?"],
        ["left", "for left?"],
        ["right", "for right?"],
    ]


async def test_a_partial_answer_goes_on_at_once_and_the_rest_is_asked_again(
    serve, connect, lib: Library
) -> None:
    server = await serve({"several": several(lib)})
    peer = await connect(server)
    await peer.run("several", {"topic": "x"}, everything(1), run="r", thread="t")
    first = {ask["value"]: ask for ask in await asked(peer, 1)}
    reply = await peer.ask(type="respond", run="r", responses=[answer(first["left?"], 1)], partial=True)
    assert reply["status"] == "running"
    second = {ask["value"]: ask for ask in await asked(peer, 1, times=2)}
    assert sorted(second) == ["deep?", "right?"]
    assert all(second[text]["id"] == first[text]["id"] for text in second)
    nothing = await peer.ask(type="respond", run="r", responses=[], partial=True)
    assert nothing["status"] == "interrupted"
    rest = [answer(ask, 2) for ask in second.values()]
    assert (await peer.ask(type="respond", run="r", responses=rest))["status"] == "running"
    await peer.closed(1)
    assert sorted(await said(peer, "r")) == [["deep", 2], ["left", 1], ["right", 2]]


@pytest.mark.parametrize("where", ["option", "compiled"])
async def test_a_static_breakpoint_asks_nothing_and_goes_on_with_no_answers(
    serve, connect, lib: Library, where: str
) -> None:
    if where == "compiled":
        server = await serve({"stepper": stepper(lib, interrupt_before=["two"])})
        options: Frame = {}
    else:
        server = await serve({"stepper": stepper(lib)})
        options = {"options": {"interrupt_before": ["two"]}}
    peer = await connect(server)
    await peer.run("stepper", {"topic": "x"}, everything(1), run="r", thread="t", **options)
    assert await asked(peer, 1) == []
    (marked,) = [event for event in peer.events(1) if "interrupts" in event]
    assert (marked["mode"], marked["data"], marked["interrupts"]) == ("updates", {}, [])
    wrong = await peer.ask(type="respond", run="r", responses=[{"interrupt": "i", "value": 1}])
    assert (wrong["code"], wrong["details"]["kind"]) == ("not_found", "interrupt")
    assert (await peer.ask(type="respond", run="r", responses=[]))["status"] == "running"
    await peer.closed(1)
    assert await said(peer, "r") == ["one", "two", "three"]


async def test_one_bad_answer_refuses_the_whole_frame(serve, connect, lib: Library) -> None:
    server = await serve({"several": several(lib)})
    peer = await connect(server)
    await peer.run("several", {"topic": "x"}, everything(1), run="r", thread="t")
    asks = await asked(peer, 1)
    good = [answer(ask, 1) for ask in asks]
    bad = await peer.ask(type="respond", run="r", responses=[*good, {"interrupt": "nobody", "value": 1}])
    assert (bad["code"], bad["details"]) == ("not_found", {"kind": "interrupt"})
    tag = await peer.ask(type="respond", run="r", responses=[answer(asks[0], {"$odd": 1}), *good[1:]])
    assert tag["code"] == "invalid_argument"
    assert tag["details"]["errors"][0]["path"].startswith("responses[0].value")
    assert (await peer.ask(type="respond", run="r", responses=good))["status"] == "running"
    await peer.closed(1)


async def test_of_two_racing_answers_one_wins_and_the_other_is_a_conflict(
    serve, connect, lib: Library
) -> None:
    server = await serve({"asker": asker(lib)})
    owner = await connect(server)
    others = [await connect(server) for _ in range(4)]
    for number in range(10):
        await owner.run("asker", {"topic": "x"}, everything(number), run=f"r{number}", thread=f"t{number}")
        (ask,) = await asked(owner, number)
        replies = await asyncio.gather(
            *(
                peer.ask(type="respond", run=f"r{number}", responses=[answer(ask, index)])
                for index, peer in enumerate(others)
            )
        )
        won = [index for index, reply in enumerate(replies) if reply["type"] == "ok"]
        assert len(won) == 1
        assert {reply["code"] for reply in replies if reply["type"] == "error"} == {"conflict"}
        await owner.closed(number)
        assert (await said(owner, f"r{number}"))[1] == won[0]


async def test_an_answer_to_a_run_that_does_not_wait_is_a_conflict(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)})
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    await peer.ask(type="respond", run="r", responses=[answer(ask, 1)])
    await peer.closed(1)
    late = await peer.ask(type="respond", run="r", responses=[answer(ask, 2)])
    assert late["code"] == "conflict"
    assert "completed" in late["message"]
    unknown = await peer.ask(type="respond", run="nobody", responses=[])
    assert (unknown["code"], unknown["details"]["kind"]) == ("not_found", "run")


async def test_an_interrupted_run_is_cancelled_at_once_and_its_question_expires(
    serve, connect, lib: Library
) -> None:
    server = await serve({"asker": asker(lib, checkpointer("own"))}, limits={"interrupt_ttl_s": 0.2})
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="a")
    await asked(peer, 1)
    await peer.ask(type="cancel", run="a", reason="enough")
    await peer.closed(1)
    await peer.run("asker", {"topic": "x"}, everything(2), run="b")
    await asked(peer, 2)
    await peer.closed(2)
    ends = [peer.events(sub)[-1]["data"] for sub in (1, 2)]
    assert [end["status"] for end in ends] == ["cancelled", "cancelled"]
    assert [end["reason"] for end in ends] == ["enough", "expired"]


async def test_a_question_is_told_in_a_snapshot_and_in_a_replay(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)})
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    late = await connect(server)
    await late.ask(type="subscribe", run="r", **spec(1, "values", from_="snapshot"))
    snapshot = await late.until(lambda frame: frame["type"] == "snapshot")
    assert (snapshot["status"], snapshot["interrupts"]) == ("interrupted", [ask])
    await late.ask(type="subscribe", run="r", **spec(2, "values"))
    assert await asked(late, 2) == [ask]
    await late.ask(type="respond", run="r", responses=[answer(ask, 1)])
    for viewer, sub in ((peer, 1), (late, 1), (late, 2)):
        assert (await viewer.closed(sub))[-1]["status"] == "completed"


async def test_a_graph_without_any_thread_ends_where_it_asks(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)}, checkpointer=False)
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="r")
    await peer.closed(1)
    end = peer.events(1)[-1]["data"]
    assert (end["status"], end["reason"]) == ("completed", "interrupted")
    result = await peer.ask(type="result", run="r")
    assert [one["value"] for one in result["interrupts"]] == [{"about": "x"}]
    late = await peer.ask(type="respond", run="r", responses=[])
    assert late["code"] == "conflict"


async def test_a_bare_output_key_hides_no_question(serve, connect, lib: Library) -> None:
    server = await serve({"asker": asker(lib)})
    peer = await connect(server)
    options = {"output_keys": "said"}
    await peer.run("asker", {"topic": "x"}, spec(1, "values"), run="r", thread="t", options=options)
    (ask,) = await asked(peer, 1)
    await peer.ask(type="respond", run="r", responses=[answer(ask, "yes")])
    await peer.closed(1)
    assert (await peer.ask(type="result", run="r"))["output"] == ["plan x", "yes", "done"]


async def test_the_limit_on_events_counts_over_the_pause(serve, connect) -> None:
    server = await serve({"asker": asker(library(LIBRARIES[0]))}, limits={"max_run_events": 7})
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, spec(1, "updates", "values"), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    await peer.ask(type="respond", run="r", responses=[answer(ask, 1)])
    await peer.closed(1)
    end = peer.events(1)[-1]["data"]
    assert (end["status"], end["error"]["code"]) == ("failed", "limit_exceeded")
    assert "more than 7 events" in end["error"]["message"]


async def test_the_time_limit_does_not_run_while_nobody_answers(serve, connect) -> None:
    server = await serve({"asker": asker(library(LIBRARIES[0]))}, limits={"max_run_s": 0.3})
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    await asyncio.sleep(0.4)  # the limit itself is what is waited for
    await peer.ask(type="respond", run="r", responses=[answer(ask, 1)])
    assert (await peer.closed(1))[-1]["status"] == "completed"


async def test_who_waits_for_an_answer_takes_no_place(serve, connect) -> None:
    lib = library(LIBRARIES[0])
    server = await serve({"asker": asker(lib), "stepper": stepper(lib)}, limits={"max_server_runs": 1})
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="a", thread="t")
    (ask,) = await asked(peer, 1)
    await peer.run("stepper", {"topic": "x"}, everything(2), run="b")
    assert (await peer.closed(2))[-1]["status"] == "completed"
    await peer.ask(type="respond", run="a", responses=[answer(ask, 1)])
    assert (await peer.closed(1))[-1]["status"] == "completed"


@pytest.mark.one_process
async def test_a_drain_does_not_wait_for_answers(serve, connect) -> None:
    server = await serve({"asker": asker(library(LIBRARIES[0]))}, limits={"drain_s": 60})
    peer = await connect(server)
    await peer.run("asker", {"topic": "x"}, everything(1), run="r", thread="t")
    await asked(peer, 1)
    await asyncio.wait_for(server.drain(), 10)
    if peer.frames[0]["durability"] != "none":
        assert await peer.gone() == 1012
        assert statuses(peer, 1)[-1] == "interrupted", "it waits for the next process"
        return
    await peer.closed(1)
    end = peer.events(1)[-1]["data"]
    assert (end["status"], end["reason"]) == ("cancelled", "shutdown")
