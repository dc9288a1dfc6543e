"""How a run ends: at an interrupt without an answer, and with `result()`.

About `clients/python/graphwire/run.py`, `clients/python/graphwire/run_tracker.py` and
`clients/python/graphwire/errors.py`.
"""

import asyncio

import graphwire
import pytest
from graphwire.run_tracker import RunTracker
from graphwire_protocol.frames import Event as EventFrame
from graphwire_protocol.happenings import Delivered

from tests.support.model_server import settle
from tests.support.taking import custom_data, take, take_from


async def test_the_loop_ends_at_an_interrupt_that_nobody_has_answered(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    model.interrupt("i1", "sure?")
    events = [event async for event in run]
    assert isinstance(events[-2], graphwire.InterruptEvent)
    assert events[-2].interrupts == (graphwire.Interrupt("i1", "sure?"),)
    assert run.interrupts == (graphwire.Interrupt("i1", "sure?"),)
    assert run.status == "interrupted"
    model.lifecycle("running")
    model.complete()
    assert [event.status async for event in run] == ["running", "completed"]
    assert run.interrupts == ()


async def test_an_interrupt_that_was_answered_long_ago_does_not_end_the_loop(client, server):
    model = server.run("r1")
    model.interrupt("i1", "sure?")
    model.lifecycle("running")
    model.complete()
    run = await client.attach("r1", modes=["custom"])
    assert [event.mode async for event in run] == ["lifecycle", "interrupt", *["lifecycle"] * 3]


async def test_an_answered_interrupt_does_not_end_the_loop_even_if_the_rest_is_late(client, server):
    server.batches = False
    model = server.run("r1")
    model.interrupt("i1", "sure?")
    model.lifecycle("running")
    model.complete()
    late: list[bytes] = []
    connection, put = server.connection, server.connection.put

    def put_four(*frames: bytes) -> None:
        room = max(0, 4 - len(passed))
        passed.extend(frames[:room])
        late.extend(frames[room:])
        put(*frames[:room])

    passed: list[bytes] = []
    connection.put = put_four
    run = await client.attach("r1", modes=["custom"])
    events = aiter(run)
    assert [event.mode for event in await take_from(events, 3)] == ["lifecycle", "interrupt", "lifecycle"]
    waiting = asyncio.ensure_future(events.__anext__())
    await settle()
    assert not waiting.done()
    put(*late)
    assert (await waiting).status == "running"
    await events.aclose()


def test_what_a_second_subscription_tells_of_the_past_is_no_news():
    tracker = RunTracker()
    for seq, status in ((5, "completed"), (1, "running")):
        data = {"status": status, "attempt": 1, "at": ""}
        frame = EventFrame(sub=1, n=1, seq=seq, mode="lifecycle", data=data)
        tracker.update(Delivered(1, frame, "e1"))
    assert (tracker.status, tracker.head) == ("completed", 5)


async def test_the_result_is_waited_for_without_a_loop(client, server):
    run = await client.run("joke", modes=["custom"], window=1)
    model = server.runs[run.id]
    waiting = asyncio.ensure_future(run.result())
    for number in range(5):
        model.emit("custom", number)
    await settle()
    assert not waiting.done()
    model.complete({"joke": "Why"})
    assert await waiting == {"joke": "Why"}
    assert custom_data([event async for event in run]) == [0, 1, 2, 3, 4]


async def test_the_result_of_an_ended_run_is_one_question(client, server):
    server.run("r1").complete(7)
    run = await client.attach("r1", modes=["custom"])
    before = len(server.received)
    assert await run.result() == 7
    assert len(server.received) == before + 1


async def test_a_failed_run_raises_what_the_server_tells_of_it(client, server):
    run = await client.run("joke")
    error = {"code": "graph_error", "message": "no cats", "error_id": "x1", "type": "ValueError"}
    server.runs[run.id].lifecycle("failed", error=error)
    with pytest.raises(graphwire.RunFailed) as raised:
        await run.result()
    failed = raised.value
    assert (failed.code, failed.message, failed.error_id, failed.type) == (
        "graph_error",
        "no cats",
        "x1",
        "ValueError",
    )


async def test_a_cancelled_run_raises_with_its_reason(client, server):
    run = await client.run("joke")
    assert await run.cancel("enough") == "running"
    with pytest.raises(graphwire.RunCancelled, match="enough"):
        await run.result()


async def test_an_interrupted_run_raises_with_its_questions(client, server):
    run = await client.run("joke")
    await take(run, 1)
    server.runs[run.id].interrupt("i1", "sure?")
    with pytest.raises(graphwire.RunInterrupted) as raised:
        await run.result()
    assert raised.value.interrupts == (graphwire.Interrupt("i1", "sure?"),)
