"""A remote graph whose run fails, is left, is lost, or finds its thread busy.

About `clients/python/graphwire/run_failures.py`.
"""

import asyncio

import graphwire
import pytest
from graphwire import run_failures
from graphwire.transport import NotOpened
from graphwire_protocol import Refusal
from graphwire_protocol.commands import Cancel
from graphwire_protocol.replies import ThreadState

from tests.support.model_run import ModelRun
from tests.support.model_server import ModelServer, settle
from tests.support.taking import play_joke, stream


@pytest.fixture
def server() -> ModelServer:
    server = ModelServer()
    server.on_run = play_joke
    return server


async def test_a_failed_run_raises_behind_what_it_had_said(client, server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("updates", {"a": 1})
        error = {"code": "graph_error", "message": "no cats", "error_id": "x1", "type": "ValueError"}
        run.lifecycle("failed", error=error)

    server.on_run = run
    chunks = client.graph("joke").astream({})
    assert await chunks.__anext__() == {"a": 1}
    with pytest.raises(graphwire.RemoteError, match="no cats") as raised:
        await chunks.__anext__()
    assert (raised.value.type, raised.value.error_id) == ("ValueError", "x1")
    assert not server.of(Cancel)


async def test_closing_the_iterator_cancels_the_run(client, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.emit("updates", {"a": 1}))
    chunks = client.graph("joke").astream({})
    assert await chunks.__anext__() == {"a": 1}
    await chunks.aclose()
    assert next(iter(server.runs.values())).status() == "cancelled"


async def test_cancelling_the_consuming_task_cancels_the_run(client, server):
    server.on_run = lambda run: run.lifecycle("running")
    task = asyncio.ensure_future(stream(client))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settle()
    assert next(iter(server.runs.values())).status() == "cancelled"


async def test_a_gap_is_an_error_as_a_local_graph_has_none(client, server):
    server.on_run = lambda run: run.lifecycle("running")
    chunks = client.graph("joke").astream({}, stream_mode="values")
    waiting = asyncio.ensure_future(chunks.__anext__())
    await settle()
    model = next(iter(server.runs.values()))
    with server.held_back():
        model.emit("values", {"n": 1})
        model.evict(2)
    with pytest.raises(graphwire.StreamBroken, match="events 2 to 2"):
        await waiting


@pytest.mark.parametrize("void", [{"discard": ["m1"]}, {"void_after": 1}])
async def test_a_repeated_step_is_an_error_too(client, server, void):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        run.emit("lifecycle", {"status": "running", "attempt": 2, "at": "", **void})

    server.on_run = run
    with pytest.raises(graphwire.StreamBroken, match="taken over"):
        await stream(client)


BUSY = "this thread has a run; wait for its end, or say if_busy: enqueue or interrupt"


async def test_a_busy_thread_names_the_stand_in_s_own_remedy(client, server):
    server.refusals = [("run", Refusal("busy", BUSY, after_ms=500)) for _ in range(2)]
    server.refusals.append(("state_update", Refusal("busy", BUSY)))
    graph = client.graph("joke")
    for refused in (graph.ainvoke({}), anext(graph.astream({}))):
        with pytest.raises(graphwire.Refused, match=r'client.graph\(.joke., if_busy="enqueue"\)') as raised:
            await refused
        assert (raised.value.code, raised.value.after_s) == ("busy", 0.5)
    with pytest.raises(graphwire.Refused, match="an update does not queue"):
        await graph.aupdate_state({"configurable": {"thread_id": "t"}}, {})


@pytest.mark.parametrize("thread", ["t", None])
@pytest.mark.parametrize("way", ["ainvoke", "astream"])
async def test_a_server_that_forgot_the_run_says_what_is_kept_and_how_to_go_on(client, server, way, thread):
    server.on_run = lambda run: run.lifecycle("running")
    graph = client.graph("joke")
    config = {"configurable": {"thread_id": thread}} if thread else None
    work = graph.ainvoke({}, config) if way == "ainvoke" else anext(graph.astream({}, config))
    waiting = asyncio.ensure_future(work)
    await settle()
    server.runs.clear()
    server.cut()
    with pytest.raises(graphwire.Refused, match=r"no longer knows run .* restarted") as raised:
        await waiting
    assert raised.value.code == "not_found"
    assert ("Thread t is as" in str(raised.value)) == (thread is not None)
    assert ("ainvoke(None, config)" in str(raised.value)) == (thread is not None)


async def test_invoking_a_graph_that_fails_raises(client, server):
    server.on_run = lambda run: run.lifecycle("failed", error={"code": "recursion_limit", "message": "deep"})
    with pytest.raises(graphwire.RemoteError, match="deep") as raised:
        await client.graph("joke").ainvoke({})
    assert raised.value.type == "recursion_limit"


async def test_no_longer_waiting_for_an_invocation_cancels_it(client, server):
    server.on_run = lambda run: run.lifecycle("running")
    task = asyncio.ensure_future(client.graph("joke").ainvoke({}))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await settle()
    assert next(iter(server.runs.values())).status() == "cancelled"


async def test_while_the_server_is_away_a_bounded_wait_ends(client, server, monkeypatch):
    monkeypatch.setattr(run_failures, "CANCEL_TIMEOUT_S", 0.01)
    server.on_run = lambda run: run.lifecycle("running")
    invocation = asyncio.ensure_future(client.graph("joke").ainvoke({}))
    await settle()
    server.unreachable = NotOpened("nobody there")
    server.cut()
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.wait_for(invocation, 0.01), 5)
    assert invocation.cancelled()


CUT = {"$cut": {"reason": "size", "bytes": 6_400_205}}
IMAGE = {"type": "ai", "id": "img", "content": [{"type": "image", "base64": CUT}]}


@pytest.mark.parametrize(
    ("mode", "data"),
    [
        ("values", CUT),
        ("values", {"n": 1, "image": CUT}),
        ("values", {"messages": [IMAGE]}),
        ("updates", CUT),
        ("updates", {"draw": {"image": [CUT]}}),
        ("custom", CUT),
        ("messages", {"id": "img", **CUT}),
        ("messages", CUT),
        ("messages", {"id": "img", "message": IMAGE}),
        ("tasks", {"id": "1", "name": "draw", "result": {"image": CUT}}),
        ("tasks", CUT),
        ("checkpoints", {"values": CUT}),
        ("debug", {"type": "task_result", "payload": {"result": CUT}}),
        ("debug", CUT),
    ],
)
async def test_what_the_server_cut_for_its_size_is_raised_with_size_and_limit(client, server, mode, data):
    server.limits["max_event_bytes"] = 4_000_000
    server.records = (mode,)
    server.on_run = lambda run: (run.lifecycle("running"), run.emit(mode, data), run.complete())
    server.cut()
    await settle()
    with pytest.raises(
        graphwire.StreamBroken, match=r"6,400,205 bytes.* max_event_bytes, which is 4,000,000"
    ):
        await stream(client, stream_mode=mode)


@pytest.mark.parametrize("output", [CUT, {"image": CUT}, {"messages": [IMAGE]}])
async def test_an_output_that_was_cut_is_raised(client, server, output):
    server.on_run = lambda run: (run.lifecycle("running"), run.complete(output))
    with pytest.raises(graphwire.StreamBroken, match="6,400,205 bytes"):
        await client.graph("joke").ainvoke({})


@pytest.mark.parametrize("values", [CUT, {"image": CUT}])
async def test_a_state_that_was_cut_is_raised(client, server, values):
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c1"}}
    server.states = [ThreadState(values=values, next=(), tasks=(), interrupts=(), config=config)]
    graph = client.graph("joke")
    with pytest.raises(graphwire.StreamBroken, match="6,400,205 bytes"):
        await graph.aget_state(config)
    with pytest.raises(graphwire.StreamBroken, match="6,400,205 bytes"):
        _ = [state async for state in graph.aget_state_history(config, limit=1)]


async def test_what_is_no_part_of_a_graph_s_limits_still_stands_for_itself(client, server):
    deep = {"$cut": {"reason": "depth"}}
    server.on_run = lambda run: (run.lifecycle("running"), run.emit("custom", deep), run.complete())
    (chunk,) = await stream(client, stream_mode="custom")
    assert chunk == graphwire.Cut("depth")
