"""Answering a run: it continues in the same log, as do its loop and a wait for its end.

About `clients/python/graphwire/run.py` and `clients/python/graphwire/run_tracker.py`.
"""

import asyncio
from typing import Any

import graphwire
import pytest
from graphwire_protocol import Refusal
from graphwire_protocol.commands import Respond

from tests.support.model_run import ModelRun
from tests.support.model_server import ModelServer, settle


@pytest.fixture
def server() -> ModelServer:
    server = ModelServer()
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt("i1", "sure?"))
    return server


def statuses(events: list[graphwire.Event]) -> list[str]:
    return [event.status for event in events if isinstance(event, graphwire.LifecycleEvent)]


async def all_of(run: graphwire.Run) -> list[graphwire.Event]:
    return [event async for event in run]


async def test_a_loop_ends_at_a_question_and_the_next_one_goes_on_behind_the_answer(client, server):
    run = await client.run("joke")
    assert statuses(await all_of(run)) == ["running", "interrupted"]
    assert run.interrupts == (graphwire.Interrupt("i1", "sure?"),)
    assert await run.respond({"i1": "yes"}) == "running"
    assert run.interrupts == ()
    assert statuses(await all_of(run)) == ["running", "completed"]
    assert await run.result() == {"i1": "yes"}


@pytest.mark.parametrize("kind", [graphwire.InterruptEvent, graphwire.LifecycleEvent])
@pytest.mark.parametrize("late", [True, False])
async def test_answering_within_the_loop_goes_on(client, server, kind, late):
    server.replies_late = late
    run = await client.run("joke")
    seen: list[graphwire.Event] = []
    async for event in run:
        seen.append(event)
        if isinstance(event, kind) and getattr(event, "status", "interrupted") == "interrupted":
            await run.respond({"i1": "yes"})
    assert statuses(seen) == ["running", "interrupted", "running", "completed"]


@pytest.mark.parametrize("asks", [("i1", "sure?"), ()])
async def test_an_answer_that_overtakes_the_pause_does_not_end_the_loop(client, server, asks):
    """The reply comes before the events that it answers, as where the reader has no credit left."""
    server.on_run = lambda run: run.lifecycle("running")
    run = await client.run("joke")
    model = server.runs[run.id]
    model.on_answers = lambda run: None
    everything = asyncio.ensure_future(all_of(run))
    await settle()
    with server.held_back():
        model.interrupt(*asks)
        assert await run.respond(dict([asks]) if asks else {}) == "running"
        model.log.pop()  # the run goes on, and says so a little later
    await settle()
    assert not everything.done()
    model.lifecycle("running")
    model.complete()
    assert statuses(await everything) == ["running", "interrupted", "running", "completed"]


async def test_a_second_question_ends_the_loop_although_the_first_was_answered(client, server):
    run = await client.run("joke")
    server.runs[run.id].on_answers = lambda run: run.interrupt("i2", "really?")
    seen: list[str] = []
    async for event in run:
        if isinstance(event, graphwire.LifecycleEvent):
            seen.append(event.status)
            if event.status == "interrupted" and "i1" in [ask.id for ask in run.interrupts]:
                await run.respond({"i1": "yes"})
    assert seen == ["running", "interrupted", "running", "interrupted"]
    assert run.interrupts == (graphwire.Interrupt("i2", "really?"),)


@pytest.mark.parametrize("late", [True, False])
async def test_passing_one_breakpoint_in_the_loop_does_not_pass_the_next(client, server, late):
    server.replies_late = late
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt())
    run = await client.run("joke")
    server.runs[run.id].on_answers = lambda run: run.interrupt()
    seen: list[str] = []
    async for event in run:
        seen += statuses([event])
        if seen == ["running", "interrupted"]:
            await run.respond()
    assert seen == ["running", "interrupted", "running", "interrupted"]
    assert run.status == "interrupted"


async def test_a_static_breakpoint_is_passed_without_an_answer(client, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt())
    run = await client.run("joke")
    assert statuses(await all_of(run)) == ["running", "interrupted"]
    server.runs[run.id].on_answers = lambda run: run.interrupt()
    assert await run.respond() == "running"
    assert statuses(await all_of(run)) == ["running", "interrupted"]
    server.runs[run.id].on_answers = lambda run: run.complete()
    assert await run.respond({}) == "running"
    assert statuses(await all_of(run)) == ["running", "completed"]


async def test_passing_a_breakpoint_that_was_never_seen_does_not_pass_the_next(client, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt())
    first = await client.run("joke")
    await all_of(first)
    run = await client.attach(first.id, start="now")
    server.runs[run.id].on_answers = lambda run: run.interrupt()
    await run.respond()
    assert statuses(await all_of(run)) == ["running", "interrupted"]


async def test_of_several_questions_the_last_answer_goes_on(client, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt("a", 1, "b", 2))
    run = await client.run("joke")
    await all_of(run)
    assert await run.respond({"a": 10}) == "interrupted"
    assert run.status == "interrupted"
    assert await run.respond({"b": 20}) == "running"
    assert statuses(await all_of(run)) == ["running", "completed"]
    assert await run.result() == {"a": 10, "b": 20}


async def test_a_partial_answer_goes_on_at_once(client, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt("a", 1, "b", 2))
    run = await client.run("joke")
    await all_of(run)
    server.runs[run.id].on_answers = lambda run: run.interrupt("b", 2)
    assert await run.respond({"a": 10}, partial=True) == "running"
    assert statuses(await all_of(run)) == ["running", "interrupted"]
    assert [ask.id for ask in run.interrupts] == ["b"]
    (command,) = server.of(Respond)
    assert command.partial


async def test_answering_takes_what_json_has_not(client, server):
    run = await client.run("joke")
    await run.respond({"i1": {"when": {1}}})
    (command,) = server.of(Respond)
    assert command.responses[0].value == {"when": {"$set": [1]}}
    with pytest.raises(TypeError, match=r"responses\['i1'\]"):
        await run.respond({"i1": object()})


async def test_answer_is_for_exactly_one_question(client, server):
    run = await client.run("joke")
    await all_of(run)
    assert await run.answer("yes") == "running"
    assert await run.result() == {"i1": "yes"}
    with pytest.raises(ValueError, match="asks nothing"):
        await run.answer("yes")
    server.on_run = lambda run: (run.lifecycle("running"), run.interrupt("a", 1, "b", 2))
    two = await client.run("joke")
    await all_of(two)
    with pytest.raises(ValueError, match=r"2 questions \(a, b\)"):
        await two.answer("yes")


async def test_a_refused_answer_changes_nothing(client, server):
    run = await client.run("joke")
    await all_of(run)
    with pytest.raises(graphwire.Refused) as refused:
        await run.respond({"other": 1})
    assert refused.value.code == "not_found"
    assert run.status == "interrupted"
    server.refusals.append(("respond", Refusal("conflict", "too late")))
    with pytest.raises(graphwire.Refused, match="too late"):
        await run.respond({"i1": 1})
    assert run.status == "interrupted"
    assert await run.respond({"i1": 1}) == "running"


async def test_the_result_behind_an_answer_waits_for_the_end(client, server):
    run = await client.run("joke")
    with pytest.raises(graphwire.RunInterrupted) as interrupted:
        await run.result()
    assert interrupted.value.interrupts == (graphwire.Interrupt("i1", "sure?"),)
    model = server.runs[run.id]
    model.on_answers = lambda run: None
    await run.respond({"i1": 1})
    result = asyncio.ensure_future(run.result())
    await settle()
    assert not result.done()
    model.complete("done")
    assert await result == "done"


async def test_the_result_tells_the_question_that_waits_now_whoever_answered_the_last(client, server):
    run = await client.run("joke")
    with pytest.raises(graphwire.RunInterrupted):
        await run.result()
    await run.detach()
    model = server.runs[run.id]
    model.lifecycle("running")  # somebody else's answer
    model.interrupt("i2", "really?")
    with pytest.raises(graphwire.RunInterrupted) as interrupted:
        await run.result()
    assert [ask.id for ask in interrupted.value.interrupts] == ["i2"]


async def test_an_answer_in_another_s_name_reaches_a_loop_that_waits(client, server):
    """A viewer that begins anew at a pause waits for whoever answers."""
    run = await client.run("joke")
    await all_of(run)
    waiting = asyncio.ensure_future(all_of(run))
    await settle()
    assert not waiting.done()
    model = server.runs[run.id]
    model.lifecycle("running")
    model.complete()
    assert statuses(await waiting) == ["running", "completed"]


async def test_an_answer_survives_a_cut(client, server):
    run = await client.run("joke")
    await all_of(run)
    server.mute = {"respond"}
    answering = asyncio.ensure_future(run.respond({"i1": "yes"}))
    await settle()
    server.mute = set()
    server.cut()
    assert await answering == "running"
    assert statuses(await all_of(run)) == ["running", "completed"]


async def test_a_run_is_deleted_and_its_viewers_are_told(client, server):
    run = await client.run("joke")
    viewer = await client.attach(run.id)
    watching = asyncio.ensure_future(follow(viewer))
    await settle()
    await run.delete()
    with pytest.raises(graphwire.Refused, match="deleted"):
        await watching
    assert server.runs == {}
    with pytest.raises(graphwire.Refused) as refused:
        await run.delete()
    assert refused.value.code == "not_found"


async def test_a_run_that_goes_on_is_not_deleted(client, server):
    server.on_run = lambda run: run.lifecycle("running")
    run = await client.run("joke")
    with pytest.raises(graphwire.Refused) as refused:
        await run.delete()
    assert refused.value.code == "conflict"


async def follow(run: graphwire.Run) -> list[Any]:
    """Watch past pauses: begin anew at each until the run is gone."""
    seen: list[Any] = []
    while run.status not in ("completed", "failed", "cancelled"):
        seen += await all_of(run)
    return seen


def test_the_model_asks_what_it_is_told() -> None:
    run = ModelRun(ModelServer(), "r", "joke")
    run.interrupt("a", 1, "b", 2)
    assert run.asked == ["a", "b"]


@pytest.mark.parametrize("given", ["yes", ["yes"], 1])
async def test_what_is_no_dict_of_answers_says_what_is(client, server, given):
    run = await client.run("joke")
    with pytest.raises(TypeError, match=r"takes a dict, \{interrupt's id: answer\}.* answer\(value\)"):
        await run.respond(given)
    assert not server.of(Respond)


async def test_the_error_of_an_interrupted_run_tells_what_it_asks_and_how_to_answer(client, server):
    run = await client.run("joke")
    with pytest.raises(graphwire.RunInterrupted) as raised:
        await run.result()
    assert str(raised.value) == (
        f"run {run.id} is interrupted and asks 'sure?' (i1); answer with run.respond({{'i1': ...}}), "
        'or command={"resume": ...} of a run on its thread'
    )
    many = tuple(graphwire.Interrupt(f"i{number}", "x" * 1000) for number in range(5))
    sentence = str(graphwire.RunInterrupted("r", many))
    assert len(sentence) < 500
    assert "x... (i2) and 2 more" in sentence
    assert "respond()" in str(graphwire.RunInterrupted("r", ()))
