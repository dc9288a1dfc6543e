"""A run's events: in order, each once, across cuts, holes, gaps and loops that are left and begun anew."""

import asyncio
import gc
from typing import Any

import graphwire
import pytest
from graphwire.feed import Known
from graphwire_protocol import Refusal
from graphwire_protocol.commands import Credit, Subscribe, Unsubscribe
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.frames import Event as EventFrame
from graphwire_protocol.happenings import Delivered

from tests.support.model_server import Record, settle


def texts(events: list[Any]) -> list[Any]:
    return [event.data for event in events if isinstance(event, graphwire.CustomEvent)]


async def take(run: graphwire.Run, count: int) -> list[graphwire.Event]:
    out: list[graphwire.Event] = []
    async for event in run:
        out.append(event)
        if len(out) == count:
            break
    return out


async def test_a_run_yields_its_events_in_order_and_ends_with_itself(client, server):
    run = await client.run("joke", {"topic": "cats"}, modes=["custom"])
    model = server.runs[run.id]
    for number in range(3):
        model.emit("custom", number)
    model.complete()
    events = [event async for event in run]
    assert texts(events) == [0, 1, 2]
    assert [event.seq for event in events] == [1, 2, 3, 4, 5]
    assert isinstance(events[-1], graphwire.LifecycleEvent)
    assert (run.status, run.position, run.epoch) == ("completed", 5, "e1")
    assert [event async for event in run] == []


async def test_the_start_carries_the_filter_the_input_and_an_id(client, server):
    run = await client.run("joke", {"when": {1, 2}}, modes=["messages"], nodes=["w*"], namespaces=[["**"]])
    (command,) = server.of(RunCommand)
    assert command.run == run.id
    assert run.created
    assert command.input == {"when": {"$set": [1, 2]}}
    (spec,) = command.subscribe
    assert spec.filter.to_wire() == {"modes": ["messages"], "namespaces": [["**"]], "nodes": ["w*"]}
    assert spec.credit == 256


@pytest.mark.parametrize("library", ["langgraph.types", "graphwire_runtime"])
async def test_a_command_is_the_input_or_the_command(client, server, library):
    words = pytest.importorskip(library)
    await client.run("joke", words.Command(resume="a"), thread="t")
    await client.run("joke", command=words.Command(update={"n": 1}, goto=words.Send("a", 2)), thread="t")
    await client.run("joke", command={"resume": None, "goto": ["b", words.Send("a", 2)]}, thread="t")
    send = {"node": "a", "arg": 2}
    assert [(command.input, command.command.to_wire()) for command in server.of(RunCommand)] == [
        (None, {"resume": "a"}),
        (None, {"update": {"n": 1}, "goto": send}),
        (None, {"resume": None, "goto": ["b", send]}),
    ]
    with pytest.raises(ValueError, match="one of them"):
        await client.run("joke", words.Command(resume="a"), command={"resume": "a"})


@pytest.mark.parametrize(
    ("command", "error", "named"),
    [
        ({"resum": 1}, ValueError, "no field 'resum'; it takes resume, update, goto"),
        ({}, ValueError, "empty"),
        ({"goto": ()}, ValueError, "empty"),
        ("yes", TypeError, "a dict of its fields, not str"),
    ],
)
async def test_a_command_that_says_nothing_or_something_unknown_is_refused(
    client, server, command, error, named
):
    with pytest.raises(error, match=named):
        await client.run("joke", command=command)
    assert not server.of(RunCommand)


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
    assert texts(await take(run, 2)) == ["a"]
    model.emit("custom", "b")
    await settle()
    server.cut()
    model.emit("custom", "c")
    model.complete()
    assert texts([event async for event in run]) == ["b", "c"]
    assert len(server.connections) == 2


async def test_leaving_a_loop_detaches_and_the_next_one_gets_what_was_queued(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    for number in range(5):
        model.emit("custom", number)
    await settle()
    assert texts(await take(run, 3)) == [0, 1]
    await settle()
    assert server.connection.attachments == {}
    model.complete()
    assert texts([event async for event in run]) == [2, 3, 4]
    assert server.of(Subscribe)[0].from_.seq == 3


async def test_leaving_a_loop_does_not_cancel_the_run(client, server):
    run = await client.run("joke", modes=["custom"])
    await take(run, 1)
    await settle()
    assert server.runs[run.id].status() == "running"


async def test_a_cancelled_task_leaves_its_loop(client, server):
    run = await client.run("joke", modes=["custom"])

    async def watch() -> None:
        async for _ in run:
            pass

    task = asyncio.ensure_future(watch())
    await settle()
    assert server.connection.attachments
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    del task
    await settle()
    assert not server.connection.attachments


async def test_a_wait_that_is_cancelled_loses_no_event(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    events = aiter_(run)
    await events.__anext__()
    waiting = asyncio.ensure_future(events.__anext__())
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    model.emit("custom", "kept")
    assert (await events.__anext__()).data == "kept"
    await events.aclose()


def aiter_(run: graphwire.Run) -> Any:
    return run.__aiter__()


async def test_a_second_loop_takes_over_and_the_first_is_told(client, server):
    run = await client.run("joke", modes=["custom"])
    first, second = aiter_(run), None
    await first.__anext__()
    waiting = asyncio.ensure_future(first.__anext__())
    await settle()
    second = aiter_(run)
    with pytest.raises(RuntimeError, match="another loop"):
        await waiting
    server.runs[run.id].emit("custom", "x")
    assert (await second.__anext__()).data == "x"
    await second.aclose()


async def test_a_run_that_is_dropped_unread_does_not_stay_attached(client, server):
    run = await client.run("joke", modes=["custom"])
    await settle()
    assert server.connection.attachments
    del run
    gc.collect()
    await settle()
    assert not server.connection.attachments


async def test_detaching_ends_the_loop(client, server):
    run = await client.run("joke", modes=["custom"])
    server.runs[run.id].emit("custom", "a")
    seen = []
    async for event in run:
        seen.append(event)
        await run.detach()
    assert len(seen) == 1
    await settle()
    assert len(server.of(Unsubscribe)) == 1


async def test_the_server_never_sends_more_than_the_window_ahead_of_the_reader(client, server):
    run = await client.run("joke", modes=["custom"], window=4)
    model = server.runs[run.id]
    for number in range(20):
        model.emit("custom", number)
    await settle()
    (attachment,) = server.connection.attachments.values()
    assert attachment.n == 1 + 4  # the lifecycle event costs nothing
    await take_from(aiter := aiter_(run), 3)
    await settle()
    assert attachment.n == 1 + 4 + 2
    assert server.of(Credit)[0].events == 2
    model.complete()
    rest = [event async for event in aiter]
    assert texts(rest) == list(range(2, 20))


async def take_from(events: Any, count: int) -> list[Any]:
    return [await events.__anext__() for _ in range(count)]


async def test_credit_that_is_earned_while_attaching_anew_is_not_lost(client, server):
    run = await client.run("joke", modes=["custom"], window=2)
    model = server.runs[run.id]
    for number in range(6):
        model.emit("custom", number)
    await settle()
    server.mute = {"subscribe"}
    server.cut()
    await settle()  # the new attachment has been asked for with no credit, and is not answered
    events = aiter_(run)
    assert texts(await take_from(events, 3)) == [0, 1]
    server.mute = set()
    server.cut()
    await settle()
    model.complete()
    assert texts([event async for event in events]) == [2, 3, 4, 5]


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
    assert texts([event async for event in run]) == ["a", "dropped", "c"]
    assert len(server.connections) == 1
    assert server.of(Subscribe)[0].from_.seq == 2


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
    events = aiter_(run)
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
    events = aiter_(run)
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
    assert texts(rest) == [0, "anew"]
    assert run.epoch == "e1x"


async def test_a_refused_resumption_that_passes_by_itself_is_sent_again(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    await take(run, 1)
    events = aiter_(run)
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
    with pytest.raises(graphwire.Refused, match="not_found"):
        async for _ in run:
            pass


async def test_every_token_has_its_metadata_also_behind_a_cut_and_in_a_second_loop(client, server):
    run = await client.run("joke", modes=["messages"])
    model = server.runs[run.id]
    model.tokens("m1", "Why", " did", node="write", tags=("joke",))
    first = await take(run, 3)
    model.tokens("m1", " the", tags=("joke",))
    events = aiter_(run)
    second = await take_from(events, 1)
    server.cut()
    model.tokens("m1", " cat", tags=("joke",))
    model.complete()
    rest = [event async for event in events]
    tokens = [event for event in [*first, *second, *rest] if isinstance(event, graphwire.MessagesEvent)]
    assert "".join(event.message.text for event in tokens) == "Why did the cat"
    assert all(event.metadata == {"langgraph_node": "write", "tags": ["joke"]} for event in tokens)


async def test_a_snapshot_brings_whole_messages_and_their_metadata(client, server):
    model = server.run("r1")
    model.tokens("m1", "Hel", "lo")
    run = await client.attach("r1", modes=["messages"], start="snapshot")
    (snapshot,) = await take(run, 1)
    assert isinstance(snapshot, graphwire.SnapshotEvent)
    (item,) = snapshot.messages
    assert (item.message.text, item.metadata["langgraph_node"]) == ("Hello", "write")


async def test_a_narrow_filter_goes_on_from_where_the_log_was_looked_through(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    await take(run, 1)
    events = aiter_(run)
    waiting = asyncio.ensure_future(events.__anext__())
    await settle()
    for number in range(5):
        model.emit("values", {"n": number})
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await events.aclose()
    assert run.position == 6


async def test_now_means_the_first_attachment_s_now(client, server):
    model = server.run("r1")
    model.emit("custom", "before")
    run = await client.attach("r1", modes=["custom"], start="now")
    await run.detach()
    model.emit("custom", "between")
    model.complete()
    assert texts([event async for event in run]) == ["between"]


async def test_a_position_of_another_client_is_a_place_to_start(client, server):
    model = server.run("r1")
    for text in "abc":
        model.emit("custom", text)
    model.complete()
    run = await client.attach("r1", modes=["custom"], start=("e1", 2))
    assert texts([event async for event in run]) == ["b", "c"]


async def test_an_attachment_without_modes_asks_for_what_is_recorded(client, server):
    server.run("r1").modes = ("messages",)
    server.runs["r1"].tokens("m", "hi")
    server.runs["r1"].complete()
    run = await client.attach("r1")
    assert [event.mode async for event in run] == ["lifecycle", "messages", "lifecycle"]


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
    events = aiter_(run)
    assert [event.mode for event in await take_from(events, 3)] == ["lifecycle", "interrupt", "lifecycle"]
    waiting = asyncio.ensure_future(events.__anext__())
    await settle()
    assert not waiting.done()
    put(*late)
    assert (await waiting).status == "running"
    await events.aclose()


def test_what_a_second_subscription_tells_of_the_past_is_no_news():
    known = Known()
    for seq, status in ((5, "completed"), (1, "running")):
        data = {"status": status, "attempt": 1, "at": ""}
        frame = EventFrame(sub=1, n=1, seq=seq, mode="lifecycle", data=data)
        known.hear(Delivered(1, frame, "e1"))
    assert (known.status, known.head) == ("completed", 5)


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
    events = aiter_(run)
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


async def test_an_unknown_mode_is_shown_as_unknown(client, server):
    run = await client.run("joke", modes=["custom"])
    await settle()
    sub = next(iter(server.connection.attachments))
    server.say({"type": "event", "sub": sub, "n": 2, "seq": 2, "mode": "dreams", "data": {"$new": 1}})
    server.say({"type": "whisper", "text": "psst"})
    events = aiter_(run)
    await events.__anext__()
    event = await events.__anext__()
    assert isinstance(event, graphwire.UnknownEvent)
    assert (event.mode, event.data) == ("dreams", {"$new": 1})
    await events.aclose()


async def test_values_come_back_as_they_were(client, server):
    run = await client.run("joke", modes=["values"])
    message = {"type": "human", "content": "hi", "id": "h1"}
    server.runs[run.id].emit(
        "values", {"seen": {"$set": [1]}, "messages": [message], "raw": {"$bytes": "aGk="}}
    )
    event = (await take(run, 2))[1]
    assert event.data == {"seen": {1}, "messages": [graphwire.Message("human", "hi", "h1")], "raw": b"hi"}


# ── the result ───────────────────────────────────────────────────────────────────────────────────


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
    assert texts([event async for event in run]) == [0, 1, 2, 3, 4]


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
