"""A run whose connection is lost, whose events are dropped, or whose log starts again: each event once.

About `clients/python/graphwire/run.py` and `clients/python/graphwire/exchange.py`.
"""

import asyncio

import graphwire
import pytest
from graphwire_protocol import Refusal
from graphwire_protocol.commands import Credit, Subscribe
from graphwire_protocol.commands import Run as RunCommand

from tests.support.model_run import Record
from tests.support.model_server import ModelServer, settle
from tests.support.taking import custom_data, take, take_from


async def test_a_start_that_lost_its_answer_is_repeated_with_the_same_id(client, server):
    server.mute = {"run"}
    starting = asyncio.ensure_future(client.run("joke", run="mine"))
    await settle()
    server.mute = set()
    server.cut()
    run = await starting
    assert [command.run for command in server.of(RunCommand)] == ["mine", "mine"]
    assert run.id == "mine"


async def test_a_cut_connection_loses_and_repeats_nothing(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    model.emit("custom", "a")
    assert custom_data(await take(run, 2)) == ["a"]
    model.emit("custom", "b")
    await settle()
    server.cut()
    model.emit("custom", "c")
    model.complete()
    assert custom_data([event async for event in run]) == ["b", "c"]
    assert len(server.connections) == 2


async def test_credit_that_is_earned_while_attaching_anew_is_not_lost(client, server):
    run = await client.run("joke", modes=["custom"], window=2)
    model = server.runs[run.id]
    for number in range(6):
        model.emit("custom", number)
    await settle()
    server.mute = {"subscribe"}
    server.cut()
    await settle()  # the new attachment has been asked for with no credit, and is not answered
    events = aiter(run)
    assert custom_data(await take_from(events, 3)) == [0, 1]
    server.mute = set()
    server.cut()
    await settle()
    model.complete()
    assert custom_data([event async for event in events]) == [2, 3, 4, 5]


async def test_a_hole_in_n_makes_the_session_attach_anew_from_the_cursor(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    model.emit("custom", "a")
    await settle()
    server.connection.events_to_drop = 1
    with server.held_back():
        model.emit("custom", "dropped")
        model.emit("custom", "c")
    model.complete()
    assert custom_data([event async for event in run]) == ["a", "dropped", "c"]
    assert len(server.connections) == 1
    assert server.of(Subscribe)[0].from_.seq == 2


async def test_an_event_lost_before_a_mark_is_fetched_and_the_mark_does_not_pass_it(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    events = aiter(run)
    server.connection.events_to_drop = 1
    with server.held_back():
        model.emit("custom", "dropped")
        model.emit("values", {})
    await settle()
    assert [attach.from_.seq for attach in server.of(Subscribe)] == [1]
    model.complete()
    assert custom_data([event async for event in events]) == ["dropped"]


async def test_a_gap_is_an_event_and_the_snapshot_behind_it_too(client, server):
    run = await client.run("joke", modes=["values", "custom"], window=2)
    model = server.runs[run.id]
    for number in range(8):
        model.emit("values", {"n": number})
    await settle()
    model.evict(8)
    model.emit("custom", "after")
    model.complete()
    events = [event async for event in run]
    kinds = [type(event).__name__.removesuffix("Event") for event in events]
    assert kinds == ["Lifecycle", "Values", "Values", "Gap", "Snapshot", "Values", "Custom", "Lifecycle"]
    gap, snapshot = events[3], events[4]
    assert (gap.after_seq, gap.upto_seq, gap.reason, gap.lost) == (3, 8, "evicted", ("custom",))
    assert (snapshot.seq, snapshot.values) == (8, {"n": 6})
    assert events[5].data == {"n": 7}


async def test_a_cut_between_a_gap_and_its_snapshot_brings_both_again(client, server):
    server.batches = False
    run = await client.run("joke", modes=["values"])
    model = server.runs[run.id]
    for number in range(3):
        model.emit("values", {"n": number})
    events = aiter(run)
    await take_from(events, 2)
    server.cut()
    model.evict(4)
    await settle()
    await events.aclose()
    # This loop takes the gap alone and is left; the position is still before it.
    gap = (await take(run, 1))[0]
    assert isinstance(gap, graphwire.GapEvent)
    assert run.position < gap.upto_seq
    model.complete()
    assert [type(event).__name__ for event in [event async for event in run]] == [
        "GapEvent",
        "SnapshotEvent",
        "LifecycleEvent",
    ]


async def test_a_new_epoch_moves_the_cursor_down(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    for number in range(3):
        model.emit("custom", number)
    events = aiter(run)
    await take_from(events, 4)
    server.cut()
    model.log[2:] = []
    model.restart_log()
    model.emit("custom", "anew")
    model.complete()
    rest = [event async for event in events]
    assert isinstance(rest[0], graphwire.GapEvent)
    assert rest[0].reason == "epoch_changed"
    assert isinstance(rest[1], graphwire.SnapshotEvent)
    assert custom_data(rest) == [0, "anew"]
    assert run.epoch == "e1x"


async def test_a_refused_resumption_that_passes_by_itself_is_sent_again(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    await take(run, 1)
    events = aiter(run)
    model.emit("custom", "a")
    assert (await events.__anext__()).data == "a"
    server.refusals = [("subscribe", Refusal("rate_limited", "slowly", after_ms=1))]
    server.cut()
    model.emit("custom", "b")
    assert (await events.__anext__()).data == "b"
    assert not server.refusals
    await events.aclose()


async def test_a_resumption_that_is_refused_for_good_is_raised_where_one_iterates(client, server):
    run = await client.run("joke", modes=["custom"])
    await settle()
    del server.runs[run.id]
    server.cut()
    with pytest.raises(graphwire.RunLost, match="not_found"):
        async for _ in run:
            pass


async def test_every_token_has_its_metadata_also_behind_a_cut_and_in_a_second_loop(client, server):
    run = await client.run("joke", modes=["messages"])
    model = server.runs[run.id]
    model.tokens("m1", "Why", " did", node="write", tags=("joke",))
    first = await take(run, 3)
    model.tokens("m1", " the", tags=("joke",))
    events = aiter(run)
    second = await take_from(events, 1)
    server.cut()
    model.tokens("m1", " cat", tags=("joke",))
    model.complete()
    rest = [event async for event in events]
    tokens = [event for event in [*first, *second, *rest] if isinstance(event, graphwire.MessagesEvent)]
    assert "".join(event.message.text for event in tokens) == "Why did the cat"
    assert all(event.metadata == {"langgraph_node": "write", "tags": ["joke"]} for event in tokens)


async def test_a_narrow_filter_goes_on_from_where_the_log_was_looked_through(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    await take(run, 1)
    events = aiter(run)
    waiting = asyncio.ensure_future(events.__anext__())
    await settle()
    for number in range(5):
        model.emit("values", {"n": number})
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await events.aclose()
    assert run.position == 6


async def test_a_cut_before_an_announced_gap_keeps_the_old_cursor(client, server):
    run = await client.run("joke", modes=["values"], window=1)
    model = server.runs[run.id]
    for number in range(3):
        model.emit("values", {"n": number})
    await settle()
    model.evict(4)
    server.cut()
    await settle()  # attached with a gap announced, and no credit to send it
    server.cut()
    await settle()
    first, second = server.of(Subscribe)
    assert first.from_ == second.from_
    assert second.from_.seq == 2
    model.complete()
    assert [event.mode async for event in run] == ["lifecycle", "values", "gap", "snapshot", "lifecycle"]


async def test_an_event_that_comes_twice_is_shown_once_and_costs_no_credit_for_good(client, server):
    run = await client.run("joke", modes=["custom"], window=1)
    model = server.runs[run.id]
    events = aiter(run)
    await take_from(events, 1)
    (attachment,) = server.connection.attachments.values()
    attachment.cursor = 0
    model.log[0] = Record(1, "custom", "again")
    server.pump()
    await settle()
    assert server.of(Credit)[0].events == 1
    server.cut()
    await settle()
    assert server.of(Subscribe)[0].credit == 1
    model.complete()
    assert [event.seq async for event in events] == [2]


async def restarted(server: ModelServer) -> None:
    server.runs.clear()
    server.cut()
    await settle()


@pytest.mark.parametrize("act", ["iterate", "iterate anew", "respond", "cancel", "delete", "result"])
async def test_after_a_restart_a_run_is_lost_and_its_thread_continues(client, server, act):
    run = await client.run("joke", thread="ann")
    if act == "iterate anew":
        await run.detach()
    await restarted(server)
    work = {"respond": run.respond, "cancel": run.cancel, "delete": run.delete, "result": run.result}
    with pytest.raises(graphwire.RunLost, match="restarted") as raised:
        await work[act]() if act in work else [event async for event in run]
    lost = raised.value
    assert (lost.run, lost.thread, lost.code) == (run.id, "ann", "not_found")
    assert "client.run('joke', thread='ann') continues from its last checkpoint" in str(lost)


@pytest.mark.parametrize("wait", ["loop", "result"])
async def test_what_waits_while_the_server_restarts_learns_of_it(client, server, wait):
    run = await client.run("joke", thread="ann")
    events = aiter(run)
    await anext(events)
    waiting = asyncio.ensure_future(anext(events) if wait == "loop" else run.result())
    await settle()
    await restarted(server)
    with pytest.raises(graphwire.RunLost, match="Thread ann is as"):
        await waiting


async def test_a_lost_run_without_a_known_thread_says_so_much(client, server):
    server.run("r1")
    run = await client.attach("r1")
    await restarted(server)
    with pytest.raises(graphwire.RunLost, match="start it again") as raised:
        await run.result()
    assert raised.value.thread is None


async def test_an_id_that_was_never_known_and_a_run_that_was_deleted_are_no_lost_runs(client, server):
    run = await client.run("joke")
    server.runs[run.id].complete()
    await client.delete(run=run.id)
    for work in (run.result(), client.result("ghost"), client.attach("ghost")):
        with pytest.raises(graphwire.Refused) as raised:
            await work
        assert not isinstance(raised.value, graphwire.RunLost)
