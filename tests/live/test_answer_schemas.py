"""A question's `response_schema` arrives wherever the question does, and the server holds answers to it.

About `gateway/graphwire_gateway/runs/start.py` and `gateway/graphwire_gateway/runs/asking.py`.
"""

from typing import Any

import graphwire
import pytest
from graphwire_gateway import Gateway
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.live.test_interrupts import answer, asked, said
from tests.support.graphs import Library
from tests.support.peer import everything, spec
from tests.support.questions import DECISION, Decision, asker, decider


class Typed(TypedDict):
    ok: bool


EXPECTED = "expected boolean"


async def test_the_schema_is_in_every_event_list_and_state(serve, connect, lib: Library) -> None:
    server = await serve({"decider": decider(lib)})
    peer = await connect(server)
    await peer.run("decider", {}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    assert ask["response_schema"] == DECISION
    marked = [mark for event in peer.events(1) for mark in event.get("interrupts", ())]
    assert len(marked) >= 3
    assert all(mark["response_schema"] == DECISION for mark in marked)
    await peer.ask(type="subscribe", run="r", **spec(2, "values", from_="snapshot"))
    while (frame := await peer.next())["type"] != "snapshot":
        pass
    assert frame["interrupts"][0]["response_schema"] == DECISION
    state = await peer.ask(type="state", graph="decider", thread="t", subgraphs=True)
    history = await peer.ask(type="state_history", graph="decider", thread="t")
    for one in (state, history["states"][0]):
        assert one["interrupts"][0]["response_schema"] == DECISION
        assert one["tasks"][0]["interrupts"][0]["response_schema"] == DECISION
    assert state["tasks"][0]["state"]["interrupts"][0]["response_schema"] == DECISION


@pytest.mark.parametrize("schema", [Decision, Typed, DECISION], ids=["model", "TypedDict", "JSON Schema"])
async def test_a_wrong_answer_is_refused_and_the_question_waits_on(
    serve, connect, lib: Library, schema: Any
) -> None:
    server = await serve({"decider": decider(lib, schema)})
    peer = await connect(server)
    await peer.run("decider", {}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    wrong = await peer.ask(type="respond", run="r", responses=[answer(ask, {"ok": "maybe"})])
    assert (wrong["type"], wrong["code"], wrong["retry"]) == ("error", "invalid_argument", "never")
    assert wrong["details"] == {"errors": [{"path": "responses[0].value.ok", "reason": EXPECTED}]}
    assert wrong["message"] == f"respond.responses[0].value.ok: {EXPECTED}"
    assert (await peer.ask(type="result", run="r"))["status"] == "interrupted"
    right = await peer.ask(type="respond", run="r", responses=[answer(ask, {"ok": True})])
    assert right["status"] == "running"
    await peer.closed(1)
    assert await said(peer, "r") == ["Decision(ok=True, why=None)" if schema is Decision else "{'ok': True}"]


async def test_a_schema_that_is_too_large_to_be_shown_still_holds(serve, connect, lib: Library) -> None:
    schema = {**DECISION, "description": "why " * 500}
    server = await serve({"decider": decider(lib, schema)}, limits={"max_event_bytes": 1500})
    peer = await connect(server)
    await peer.run("decider", {}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    assert "$cut" in ask["response_schema"]
    wrong = await peer.ask(type="respond", run="r", responses=[answer(ask, {"ok": "maybe"})])
    assert (wrong["type"], wrong["code"]) == ("error", "invalid_argument")
    right = await peer.ask(type="respond", run="r", responses=[answer(ask, {"ok": True})])
    assert right["status"] == "running"
    await peer.closed(1)


@pytest.mark.parametrize("by_id", [False, True])
@pytest.mark.parametrize("is_known", [True, False], ids=["the run waits", "after a restart"])
async def test_a_run_that_resumes_with_a_wrong_answer_is_refused(
    serve, connect, lib: Library, is_known: bool, by_id: bool
) -> None:
    saver = InMemorySaver()
    peer = await connect(await serve({"decider": decider(lib, saver=saver)}))
    await peer.run("decider", {}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    if not is_known:
        peer = await connect(await serve({"decider": decider(lib, saver=saver)}))

    def resume(value: Any) -> dict[str, Any]:
        return {"resume": {ask["id"]: value} if by_id else value}

    more = {"graph": "decider", "thread": "t", "subscribe": [everything(2)]}
    wrong = await peer.ask(type="run", run="r2", command=resume({"ok": "maybe"}), **more)
    path = f"command.resume.{ask['id']}.ok" if by_id else "command.resume.ok"
    assert wrong["code"] == "invalid_argument"
    assert wrong["details"] == {"errors": [{"path": path, "reason": EXPECTED}]}
    state = await peer.ask(type="state", graph="decider", thread="t")
    assert [one["id"] for one in state["interrupts"]] == [ask["id"]]
    right = await peer.ask(type="run", run="r3", command=resume({"ok": True}), **more)
    assert right["type"] == "started"
    await peer.closed(2)
    assert await said(peer, "r3") == ["Decision(ok=True, why=None)"]


async def test_a_broken_schema_harms_neither_the_run_nor_its_answer(serve, connect, lib: Library) -> None:
    server = await serve({"decider": decider(lib, {"type": "no such type", "properties": 5})})
    peer = await connect(server)
    await peer.run("decider", {}, everything(1), run="r", thread="t")
    (ask,) = await asked(peer, 1)
    assert (await peer.ask(type="respond", run="r", responses=[answer(ask, 5)]))["status"] == "running"
    await peer.closed(1)
    assert await said(peer, "r") == ["5"]


async def test_the_client_s_questions_have_the_schema(serve, lib: Library) -> None:
    server = await serve({"decider": decider(lib)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("decider", {}, thread="t", modes=["values", "updates"])
        events = [event async for event in run]
        found = [one for event in events for one in getattr(event, "interrupts", None) or ()]
        assert len(found) >= 2
        state = await client.state("decider", "t")
        found += [*run.interrupts, *state.interrupts, *state.tasks[0].interrupts]
        assert all(one.response_schema == DECISION for one in found)
        with pytest.raises(graphwire.Refused, match=EXPECTED) as raised:
            await run.answer({"ok": 1})
        assert raised.value.code == "invalid_argument"
        await run.answer({"ok": True})
        assert await run.result() == {"said": ["Decision(ok=True, why=None)"]}


# ── by run or by thread ──────────────────────────────────────────────────────────────────────────


async def test_a_thread_is_answered_in_its_run_and_after_a_restart(lib: Library) -> None:
    saver = InMemorySaver()
    async with (
        Gateway({"asker": asker(lib, saver)}).serve("127.0.0.1", 0) as server,
        graphwire.connect(server.url) as client,
    ):
        for thread in ("here", "there"):
            run = await client.run("asker", {"topic": "cats"}, thread=thread)
            assert [event async for event in run]
            if thread == "here":
                answers = {run.interrupts[0].id: "yes"}
                assert await client.respond(responses=answers, graph="asker", thread=thread) == "running"
                assert (await run.result())["said"] == ["plan cats", "yes", "done"]
        (ask,) = run.interrupts
    async with (
        Gateway({"asker": asker(lib, saver)}).serve("127.0.0.1", 0) as server,
        graphwire.connect(server.url) as client,
    ):
        by_thread: dict[str, Any] = {"graph": "asker", "thread": "there"}
        with pytest.raises(graphwire.Refused, match="does not ask 'other'"):
            await client.respond(responses={"other": 1}, **by_thread)
        with pytest.raises(graphwire.Refused, match=f"also asks {ask.id}"):
            await client.respond(**by_thread)
        assert await client.respond(responses={ask.id: "yes"}, **by_thread) in ("running", "queued")
        (row,) = [row async for row in client.runs(thread="there")]
        assert (await client.result(row.run))["said"] == ["plan cats", "yes", "done"]
        with pytest.raises(graphwire.Refused, match="waits for no answer") as raised:
            await client.respond(responses={ask.id: "yes"}, **by_thread)
        assert raised.value.code == "conflict"
