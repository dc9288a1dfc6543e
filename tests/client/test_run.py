"""A run's events: in order, each once, bounded by a window, across loops that are left and begun again.

About `clients/python/graphwire/run.py`, `clients/python/graphwire/streams.py`,
`clients/python/graphwire/event_queue.py` and `clients/python/graphwire/events.py`.
"""

import asyncio
import gc

import graphwire
import pytest
from graphwire_protocol.commands import Credit, Subscribe, Unsubscribe
from graphwire_protocol.commands import Run as RunCommand

from tests.support.model_server import settle
from tests.support.taking import custom_data, take, take_from


async def test_a_run_yields_its_events_in_order_and_ends_with_itself(client, server):
    run = await client.run("joke", {"topic": "cats"}, modes=["custom"])
    model = server.runs[run.id]
    for number in range(3):
        model.emit("custom", number)
    model.complete()
    events = [event async for event in run]
    assert custom_data(events) == [0, 1, 2]
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
        ({"resum": 1}, ValueError, "command has no field 'resum'; did you mean 'resume'"),
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


async def test_leaving_a_loop_detaches_and_the_next_one_gets_what_was_queued(client, server):
    run = await client.run("joke", modes=["custom"])
    model = server.runs[run.id]
    for number in range(5):
        model.emit("custom", number)
    await settle()
    assert custom_data(await take(run, 3)) == [0, 1]
    await settle()
    assert server.connection.attachments == {}
    model.complete()
    assert custom_data([event async for event in run]) == [2, 3, 4]
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
    events = aiter(run)
    await events.__anext__()
    waiting = asyncio.ensure_future(events.__anext__())
    await settle()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    model.emit("custom", "kept")
    assert (await events.__anext__()).data == "kept"
    await events.aclose()


async def test_a_second_loop_takes_over_and_the_first_is_told(client, server):
    run = await client.run("joke", modes=["custom"])
    first, second = aiter(run), None
    await first.__anext__()
    waiting = asyncio.ensure_future(first.__anext__())
    await settle()
    second = aiter(run)
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
    await take_from(events := aiter(run), 3)
    await settle()
    assert attachment.n == 1 + 4 + 2
    assert server.of(Credit)[0].events == 2
    model.complete()
    rest = [event async for event in events]
    assert custom_data(rest) == list(range(2, 20))


async def test_a_snapshot_brings_whole_messages_and_their_metadata(client, server):
    model = server.run("r1")
    model.tokens("m1", "Hel", "lo")
    run = await client.attach("r1", modes=["messages"], start="snapshot")
    (snapshot,) = await take(run, 1)
    assert isinstance(snapshot, graphwire.SnapshotEvent)
    (item,) = snapshot.messages
    assert (item.message.text, item.metadata["langgraph_node"]) == ("Hello", "write")


async def test_now_means_the_first_attachment_s_now(client, server):
    model = server.run("r1")
    model.emit("custom", "before")
    run = await client.attach("r1", modes=["custom"], start="now")
    await run.detach()
    model.emit("custom", "between")
    model.complete()
    assert custom_data([event async for event in run]) == ["between"]


async def test_a_position_of_another_client_is_a_place_to_start(client, server):
    model = server.run("r1")
    for text in "abc":
        model.emit("custom", text)
    model.complete()
    run = await client.attach("r1", modes=["custom"], start=("e1", 2))
    assert custom_data([event async for event in run]) == ["b", "c"]


async def test_an_attachment_without_modes_asks_for_what_is_recorded(client, server):
    server.run("r1").modes = ("messages",)
    server.runs["r1"].tokens("m", "hi")
    server.runs["r1"].complete()
    run = await client.attach("r1")
    assert [event.mode async for event in run] == ["lifecycle", "messages", "lifecycle"]


async def test_an_unknown_mode_is_shown_as_unknown(client, server):
    run = await client.run("joke", modes=["custom"])
    await settle()
    sub = next(iter(server.connection.attachments))
    server.say({"type": "event", "sub": sub, "n": 2, "seq": 2, "mode": "dreams", "data": {"$new": 1}})
    server.say({"type": "whisper", "text": "psst"})
    events = aiter(run)
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


CUT = {"$cut": {"reason": "size", "bytes": 5000}}


async def test_an_event_that_was_cut_for_its_size_keeps_what_is_known_of_it(client, server):
    run = await client.run("joke", modes=["messages", "values", "updates", "custom"])
    model = server.runs[run.id]
    meta = {"langgraph_node": "draw"}
    model.tokens("other", "hi")
    model.emit("messages", {"id": "img", **CUT}, node="draw", meta=meta)
    model.emit("messages", CUT, node="draw", meta=meta)
    model.tokens("img", " more", node="draw")
    for mode in ("values", "updates", "custom"):
        model.emit(mode, CUT)
    model.complete()
    events = [event async for event in run if event.mode != "lifecycle"]
    cut = [event for event in events if event.cut_bytes is not None]
    assert [event.mode for event in cut] == ["messages", "messages", "values", "updates", "custom"]
    assert {event.cut_bytes for event in cut} == {5000}
    named, unnamed = cut[:2]
    assert isinstance(named, graphwire.MessagesEvent)
    assert isinstance(unnamed, graphwire.MessagesEvent)
    assert (named.message.id, named.message.content, named.node) == ("img", "", "draw")
    assert (unnamed.message.id, unnamed.metadata) == (None, meta)
    assert named.metadata == meta
    more = events[3]
    assert isinstance(more, graphwire.MessagesEvent)
    assert (more.metadata, more.cut_bytes) == (meta, None)


async def test_what_follows_a_message_that_a_snapshot_had_to_cut_is_cut_too(client, server):
    model = server.run("r1")
    model.tokens("m1", "Hel")
    model.tokens("m2", "Hel")
    whole = model.snapshot

    def shortened(sub, seq):
        frame = whole(sub, seq)
        frame["messages"][0]["message"] = {"type": "AIMessageChunk", **CUT}
        return frame

    model.snapshot = shortened
    run = await client.attach("r1", modes=["messages"], start="snapshot")
    (snapshot,) = await take(run, 1)
    assert isinstance(snapshot, graphwire.SnapshotEvent)
    cut, kept = snapshot.messages
    assert (cut.message.id, cut.message.type, cut.message.text) == ("m1", "AIMessageChunk", "")
    assert cut.metadata["langgraph_node"] == "write"
    assert (cut.cut_bytes, kept.cut_bytes, kept.message.text) == (5000, None, "Hel")
    model.tokens("m1", "lo")
    model.tokens("m2", "lo")
    first, second = await take(run, 2)
    assert isinstance(first, graphwire.MessagesEvent)
    assert isinstance(second, graphwire.MessagesEvent)
    assert (first.cut_bytes, first.message.id, first.message.text) == (5000, "m1", "")
    assert (second.cut_bytes, second.message.text) == (None, "lo")


async def test_an_output_that_was_cut_is_raised_with_its_size(client, server):
    run = await client.run("joke", modes=["custom"])
    server.runs[run.id].complete(CUT)
    with pytest.raises(graphwire.Refused, match=r"takes 5,000 bytes.*max_event_bytes") as refused:
        await run.result()
    assert refused.value.code == "too_large"
