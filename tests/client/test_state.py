"""Threads: states as plain data, histories page by page, updates.

About `clients/python/graphwire/state.py`, `clients/python/graphwire/requests.py` and
`clients/python/graphwire/watch_queue.py`.
"""

import asyncio
from typing import Any

import graphwire
import pytest
from graphwire_protocol.commands import Delete, List, State, StateHistory, StateUpdate, Watch
from graphwire_protocol.replies import StateTask, ThreadRow, ThreadState

from tests.support.model_run import AT
from tests.support.model_server import settle


def config(id: str | None) -> dict[str, Any]:
    named = {} if id is None else {"checkpoint_id": id}
    return {"configurable": {"thread_id": "t", "checkpoint_ns": "", **named}}


def state(id: str = "c1", values: Any = None, **more: Any) -> ThreadState:
    fields: dict[str, Any] = {"values": {} if values is None else values, "next": (), "tasks": ()}
    fields |= {"interrupts": (), "metadata": {"step": 1}, "config": config(id), "created_at": AT}
    return ThreadState(**{**fields, **more})


async def test_a_state_is_a_snapshot_with_this_client_s_messages(client, server):
    task = StateTask(
        id="t1",
        name="ask",
        path=["__pregel_push", ["x"], 1],
        interrupts=({"id": "i1", "value": {"$set": [1]}},),
        state=config(None),
    )
    server.states = [
        state(
            values={"messages": [{"type": "human", "content": "hi", "id": "h"}], "seen": {"$set": ["a"]}},
            next=("ask",),
            tasks=(task,),
            interrupts=({"id": "i1", "value": {"$set": [1]}},),
            parent_config=config("c0"),
        )
    ]
    got = await client.state("joke", "t")
    assert got.values == {"messages": [graphwire.Message("human", "hi", "h")], "seen": {"a"}}
    assert (got.next, got.checkpoint, got.created_at) == (("ask",), "c1", AT)
    assert got.parent_config == config("c0")
    assert got.interrupts == (graphwire.Interrupt("i1", {1}),)
    (asked,) = got.tasks
    assert asked == graphwire.StateTask(
        "t1", "ask", ("__pregel_push", ("x",), 1), None, got.interrupts, config(None), None
    )
    assert server.of(State)[0].to_wire() == {
        "type": "state",
        "id": server.of(State)[0].id,
        "graph": "joke",
        "thread": "t",
        "subgraphs": False,
    }


async def test_a_state_is_asked_for_by_checkpoint_namespace_and_keys(client, server):
    inner = state("c2", values={"n": 1}, next=("b",))
    server.states = [state(tasks=(StateTask(id="t1", name="sub", state=inner.to_wire()),))]
    got = await client.state(
        "joke", "t", checkpoint="c1", ns=["sub:1", "x:2"], keys=["messages"], subgraphs=True
    )
    (command,) = server.of(State)
    assert (command.checkpoint, command.ns, command.keys) == ("c1", ("sub:1", "x:2"), ("messages",))
    assert command.subgraphs
    below = got.tasks[0].state
    assert isinstance(below, graphwire.StateSnapshot)
    assert (below.values, below.next, below.checkpoint) == ({"n": 1}, ("b",), "c2")


async def test_a_thread_that_nobody_has_written_has_nothing(client, server):
    server.states = [ThreadState(values={}, next=(), tasks=(), interrupts=(), config=config(None))]
    got = await client.state("joke", "t")
    assert got == graphwire.StateSnapshot({}, (), config(None), None, None, None, (), ())
    assert got.checkpoint is None


@pytest.mark.parametrize(("limit", "asked"), [(None, [100] * 3), (150, [100, 50]), (100, [100]), (0, [])])
async def test_a_history_is_read_page_by_page(client, server, limit, asked):
    server.states = [state(f"c{number}", {"n": number}) for number in range(201)]
    got = [snapshot.values["n"] async for snapshot in client.state_history("joke", "t", limit=limit)]
    assert got == list(range(201))[:limit]
    assert [command.limit for command in server.of(StateHistory)] == asked
    assert [command.before for command in server.of(StateHistory)] == [None, "c99", "c199"][: len(asked)]


@pytest.mark.parametrize(("limit", "asked"), [(None, [100] * 3), (30, [30, 10]), (20, [20])])
async def test_a_history_whose_pages_end_early_is_read_to_its_end(client, server, limit, asked):
    server.history_page = 20
    server.states = [state(f"c{number}", {"n": number}) for number in range(50)]
    got = [snapshot.values["n"] async for snapshot in client.state_history("joke", "t", limit=limit)]
    assert got == list(range(50))[:limit]
    assert [command.limit for command in server.of(StateHistory)] == asked


async def test_a_history_is_asked_for_what_matches(client, server):
    server.states = [state("c1"), state("c0")]
    more = {"before": "c1", "metadata": {"source": "loop"}, "checkpoint": "c0", "keys": ["n"], "ns": ["s:1"]}
    assert [snapshot.checkpoint async for snapshot in client.state_history("joke", "t", **more)] == ["c0"]
    (command,) = server.of(StateHistory)
    assert command.metadata == {"source": "loop"}
    assert (command.before, command.checkpoint, command.keys, command.ns) == ("c1", "c0", ("n",), ("s:1",))


async def test_an_update_returns_the_config_of_its_checkpoint(client, server):
    got = await client.update_state("joke", "t", {"seen": {1}}, as_node="ask", task="t1", checkpoint="c1")
    assert got == {"configurable": {"checkpoint_id": "new"}}
    (command,) = server.of(StateUpdate)
    assert command.values == {"seen": {"$set": [1]}}
    assert (command.as_node, command.task, command.checkpoint) == ("ask", "t1", "c1")


async def test_an_update_whose_answer_is_lost_is_not_written_twice(client, server):
    server.mute = {"state_update"}
    writing = asyncio.ensure_future(client.update_state("joke", "t", {"n": 1}))
    await settle()
    server.mute = set()
    server.cut()
    with pytest.raises(graphwire.Refused, match="look whether the state has the update") as refused:
        await writing
    assert refused.value.code == "unavailable"
    await settle()
    assert len(server.of(StateUpdate)) == 1


@pytest.mark.parametrize(("limit", "count"), [(None, 5), (3, 3), (0, 0)])
async def test_threads_are_listed_page_by_page(client, server, limit, count):
    server.threads = [
        ThreadRow(graph="joke", thread=f"t{number}", status="completed", updated_at=AT) for number in range(5)
    ]
    rows = [row.thread async for row in client.threads(graph="joke", status=["completed"], limit=limit)]
    assert rows == [f"t{number}" for number in range(count)]
    assert all((command.what, command.graph) == ("threads", "joke") for command in server.of(List))


async def test_a_thread_or_a_run_is_deleted(client, server):
    await client.delete(graph="joke", thread="t")
    run = server.run("mine")
    run.complete()
    await client.delete(run="mine")
    assert [command.to_wire() for command in server.of(Delete)] == [
        {"type": "delete", "id": server.of(Delete)[0].id, "graph": "joke", "thread": "t"},
        {"type": "delete", "id": server.of(Delete)[1].id, "run": "mine"},
    ]


@pytest.mark.parametrize("what", [{}, {"thread": "t"}, {"run": "r", "thread": "t", "graph": "g"}])
async def test_what_to_delete_is_said_wholly(client, server, what):
    with pytest.raises(ValueError, match="name a run, or a graph and a thread"):
        await client.delete(**what)
    assert not server.of(Delete)


async def test_a_watch_may_be_of_one_thread(client, server):
    server.mute = {"watch"}
    rows = client.watch(thread="t")
    waiting = asyncio.ensure_future(rows.__anext__())
    await settle()
    assert server.of(Watch)[0].thread == "t"
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.parametrize(
    ("more", "named"), [({"thread": "not a name"}, "thread"), ({"thread": "t", "ns": "a:1"}, "ns")]
)
async def test_a_malformed_question_is_not_sent(client, server, more, named):
    with pytest.raises(ValueError, match=named):
        await client.state("joke", **more)
    assert not server.of(State)
