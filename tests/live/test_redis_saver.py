"""Threads in a real Redis: LangGraph's own conformance tests for savers, and what those do not ask.

About `gateway/graphwire_gateway/graphs/redis_saver.py`,
`gateway/graphwire_gateway/graphs/blocking_saver.py` and `gateway/graphwire_gateway/fence.py`.
"""

import asyncio
import operator
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

import graphwire_runtime
import pytest
from graphwire_gateway import Gateway, GraphSpec
from graphwire_gateway.fence import Fence
from graphwire_gateway.graphs.redis_saver import RedisSaver, ThreadTaken
from graphwire_gateway.log import redis_owner
from langgraph.checkpoint.base import ERROR, empty_checkpoint
from langgraph.checkpoint.conformance import checkpointer_test, validate
from langgraph.checkpoint.memory import InMemorySaver
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NoConnection

from tests.live.conftest import Connect
from tests.support.graphs import Gate, gated
from tests.support.peer import everything, spec
from tests.support.redis import RedisProcess, redis_server
from tests.support.redis_stores import asked, on_disk, taken
from tests.support.waiting import poll, until


@asynccontextmanager
async def saving(redis: RedisProcess, **options: Any) -> AsyncIterator[RedisSaver]:
    async with RedisSaver.from_url(redis.url, **options) as saver:
        yield saver


def place(thread: str, ns: str = "", **fields: str) -> Any:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, **fields}}


async def put(saver: RedisSaver, config: Any, **metadata: Any) -> Any:
    return await saver.aput(config, empty_checkpoint(), metadata, {})  # type: ignore[arg-type]


async def keys(redis: RedisProcess) -> list[str]:
    async with asked(redis) as client:
        return sorted(key.decode() for key in await client.keys("*"))


async def listed(saver: RedisSaver, config: Any = None, **options: Any) -> list[str]:
    """Return the threads of what a saver lists."""
    return [found.config["configurable"]["thread_id"] async for found in saver.alist(config, **options)]


# ── as LangGraph wants it ────────────────────────────────────────────────────────────────────────


async def test_langgraphs_own_tests_for_savers_hold(redis: RedisProcess) -> None:
    @checkpointer_test(name="redis")
    async def saver() -> AsyncIterator[RedisSaver]:
        async with saving(redis) as found:
            yield found

    report = await validate(saver)
    failures = [failure for result in report.results.values() for failure in result.failures]
    assert not failures
    assert report.passed_all_base()
    assert sum(result.tests_passed for result in report.results.values()) > 50


class State(TypedDict):
    said: Annotated[list[str], operator.add]


def asking(library: Any, saver: Any) -> Any:
    """Return a graph of two nodes, of which one is a graph that asks; ``library`` has its parts."""

    def ask(state: State) -> Any:
        return {"said": [library.interrupt("how?")]}

    inner: Any = library.StateGraph(State)
    inner.add_node("ask", ask)
    inner.add_edge(library.START, "ask")
    outer: Any = library.StateGraph(State)
    outer.add_node("first", lambda state: {"said": ["first"]})
    outer.add_node("inner", inner.compile())
    outer.add_edge(library.START, "first")
    outer.add_edge("first", "inner")
    return outer.compile(checkpointer=saver)


class LangGraphsParts:
    def __init__(self) -> None:
        from langgraph import constants, graph, types

        self.StateGraph, self.START = graph.StateGraph, constants.START
        self.interrupt, self.Command = types.interrupt, types.Command


def parts(name: str) -> Any:
    return graphwire_runtime if name == "ours" else LangGraphsParts()


@pytest.mark.parametrize("name", ["ours", "langgraph"])
async def test_a_thread_goes_as_it_does_in_memory(redis: RedisProcess, name: str) -> None:
    if name == "langgraph" and sys.version_info < (3, 11):
        pytest.skip("LangGraph's nodes interrupt in a graph within a graph from Python 3.11 on")
    library = parts(name)

    async def steps(saver: Any) -> list[Any]:
        graph = asking(library, saver)
        config = {"configurable": {"thread_id": "t"}}
        seen: list[Any] = []
        for input in ({"said": ["hello"]}, library.Command(resume="so"), {"said": ["again"]}):
            await graph.ainvoke(input, config)
            state = await graph.aget_state(config, subgraphs=True)
            seen.append((state.values, state.next, [item.value for item in state.interrupts]))
        history = [state async for state in graph.aget_state_history(config)]
        seen.append([(state.values, state.next, state.metadata["step"]) for state in history])
        await graph.aupdate_state(history[-2].config, {"said": ["fork"]})
        state = await graph.aget_state(config)
        return [*seen, state.values, state.next]

    async with saving(redis) as saver:
        assert await steps(saver) == await steps(InMemorySaver())


@pytest.mark.parametrize("name", ["ours", "langgraph"])
async def test_a_node_without_async_code_may_use_the_threads(redis: RedisProcess, name: str) -> None:
    library = parts(name)
    config = {"configurable": {"thread_id": "t"}}

    def talk(saver: Any) -> Any:
        graph = asking(library, saver)
        graph.invoke({"said": ["hello"]}, config)
        return graph.invoke(library.Command(resume="so"), config)

    async with saving(redis) as saver:
        assert await asyncio.to_thread(talk, saver) == talk(InMemorySaver())
        names = await asyncio.to_thread(lambda: list(saver.list(config)))
        assert len(names) == len(await listed(saver, config))
        await asyncio.to_thread(saver.delete_thread, "t")
        assert await asyncio.to_thread(saver.get_tuple, place("t")) is None
        with pytest.raises(asyncio.InvalidStateError, match="await the method"):
            saver.get_tuple(place("t"))


# ── writes ───────────────────────────────────────────────────────────────────────────────────────


async def test_the_first_writes_of_a_task_stay_and_its_last_error(redis: RedisProcess) -> None:
    async with saving(redis) as saver:
        config = await put(saver, place("t"))
        await saver.aput_writes(config, [("a", 1), ("a", 2)], "task", "path")
        await saver.aput_writes(config, [("a", 3), ("a", 4), ("b", 5)], "task", "path")
        await saver.aput_writes(config, [(ERROR, "first")], "failed")
        await saver.aput_writes(config, [(ERROR, "second")], "failed")
        found = await saver.aget_tuple(config)
        assert found is not None
        assert found.pending_writes == [
            ("failed", ERROR, "second"),
            ("task", "a", 1),
            ("task", "a", 2),
            ("task", "b", 5),
        ]


async def test_writes_may_come_before_their_checkpoint(redis: RedisProcess) -> None:
    async with saving(redis) as saver:
        await put(saver, place("t"))
        older = await saver.aget_tuple(place("t"))
        checkpoint = empty_checkpoint()
        await saver.aput_writes(place("t", checkpoint_id=checkpoint["id"]), [("a", 1)], "task")
        assert await saver.aget_tuple(place("t")) == older
        assert len(await listed(saver)) == 1
        await saver.aput(place("t"), checkpoint, {}, {})
        latest = await saver.aget_tuple(place("t"))
        assert latest is not None
        assert latest.pending_writes == [("task", "a", 1)]


# ── names, deletion, expiry ──────────────────────────────────────────────────────────────────────

STRANGE = ["t", "t}", "{t", "t:ids", "t}:c:\0x", "", "a/b c", "日本", "*", "%7D"]


async def test_threads_of_any_name_are_apart_and_each_is_deleted_whole(redis: RedisProcess) -> None:
    async with saving(redis) as saver, saving(redis, prefix="other") as other:
        for thread in STRANGE:
            config = await put(saver, place(thread))
            await saver.aput_writes(config, [("a", thread)], "task")
            await put(saver, place(thread, "inner:1"))
            lonely = place(thread, checkpoint_id="x}:ids")
            await saver.aput_writes(lonely, [("a", thread)], "task")
            assert await saver.aget_tuple(lonely) is None
        assert sorted(await listed(saver)) == sorted(STRANGE * 2)
        assert await listed(other) == []
        await put(other, place("t"))
        left = list(STRANGE)
        for thread in STRANGE:
            found = await saver.aget_tuple(place(thread))
            assert found is not None
            assert found.pending_writes == [("task", "a", thread)]
            assert await listed(saver, place(thread)) == [thread]
            left.remove(thread)
            await saver.adelete_thread(thread)
            assert sorted(await listed(saver)) == sorted(left * 2)
        assert [key for key in await keys(redis) if not key.startswith("other:")] == []
        assert await listed(other) == ["t"]


async def test_many_threads_are_listed_once_each_the_last_written_first(redis: RedisProcess) -> None:
    async with saving(redis) as saver:
        for first in range(0, 250, 50):
            await asyncio.gather(*(put(saver, place(f"t{first + n}"), n=n) for n in range(50)))
        await put(saver, place("t0"), n=0)
        found = await listed(saver)
        assert found[:2] == ["t0", "t0"]
        assert len(found) == 251
        assert len(set(found)) == 250
        assert len(await listed(saver, filter={"n": 7})) == 5
        assert len(await listed(saver, limit=3)) == 3
        meanwhile: list[str] = []
        async for each in saver.alist(None):
            meanwhile.append(each.config["configurable"]["thread_id"])
            if len(meanwhile) in (5, 150):
                await put(saver, place(f"t{len(meanwhile)}"), n=0)
                await saver.adelete_thread(meanwhile[0])
        assert set(meanwhile) == {f"t{n}" for n in range(250)}
        assert len(meanwhile) <= 253
        assert await listed(saver, limit=0) == []


async def test_what_nobody_writes_to_expires_and_what_somebody_does_stays(
    redis: RedisProcess,
) -> None:
    async with saving(redis, ttl_s=0.3) as saver:
        config = await put(saver, place("old"))
        await saver.aput_writes(config, [("a", 1)], "task")
        await put(saver, place("old", "inner"))

        async def left() -> list[str]:
            await put(saver, place("used"))
            return await listed(saver, place("old"))

        await poll(left, lambda found: not found)
        assert set(await listed(saver)) == {"used"}
        assert not [key for key in await keys(redis) if "thread:old" in key]


async def test_a_thread_that_is_written_while_it_expires_stays(redis: RedisProcess) -> None:
    async with saving(redis) as saver, saving(redis) as other:
        await put(saver, place("t"))
        async with asked(redis) as client:
            seen = int(await client.zscore("graphwire:saved-threads", "t") or 0)

            async def written() -> int:
                await put(other, place("t"))
                return int(await client.zscore("graphwire:saved-threads", "t") or 0)

            *_, last = await poll(written, lambda at: at > seen)
        assert await saver._let_go("t", seen) is False
        assert await listed(saver) != []
        assert await saver._let_go("t", last) is True
        assert await keys(redis) == []


# ── served ───────────────────────────────────────────────────────────────────────────────────────


async def test_what_one_gateway_began_another_goes_on_with(redis: RedisProcess, connect: Connect) -> None:
    def make_saver() -> Any:
        return RedisSaver.from_url(redis.url)

    graphs = {"asks": GraphSpec(asking(graphwire_runtime, None), "own")}
    one = Gateway(graphs, checkpointer=make_saver).serve("127.0.0.1", 0)
    other = Gateway(graphs, checkpointer=make_saver).serve("127.0.0.1", 0)
    async with one as first, other as second:
        begun, going_on = await connect(first), await connect(second)
        await begun.run("asks", {"said": ["hello"]}, spec(1, "lifecycle"), run="r", thread="t")
        await begun.poll(lambda reply: reply.get("status") == "interrupted", type="result", run="r")
        listed = await going_on.ask(type="list", what="threads")
        assert [(row["thread"], row["status"]) for row in listed["threads"]] == [("t", "interrupted")]
        await going_on.run("asks", None, spec(1, "lifecycle"), thread="t", command={"resume": "so"})
        assert (await going_on.closed(1))[-1]["status"] == "completed"
        state = await going_on.ask(type="state", graph="asks", thread="t")
        assert state["values"]["said"][-1] == "so"
        deleted = await going_on.ask(type="delete", thread="t", graph="asks")
        assert deleted["type"] == "ok"
        assert await keys(redis) == []


# ── the server ───────────────────────────────────────────────────────────────────────────────────


async def test_a_server_that_comes_back_has_what_it_answered() -> None:
    with redis_server(appendonly="yes") as redis:
        async with saving(redis) as saver:
            config = await put(saver, place("t"), n=1)
            await on_disk(redis)
            redis.kill()
            with pytest.raises(NoConnection):
                await put(saver, place("t"), n=2)
            redis.start()
            await saver.aput_writes(config, [("a", 1)], "task")
            found = await saver.aget_tuple(place("t"))
            assert found is not None
            assert found.metadata["n"] == 1  # type: ignore[typeddict-item]
            assert found.pending_writes == [("task", "a", 1)]


async def test_a_client_that_decodes_is_refused(redis: RedisProcess) -> None:
    async with Redis.from_url(redis.url, decode_responses=True) as client:
        with pytest.raises(ValueError, match="leave decode_responses out"):
            RedisSaver(client)


# ── who may write ────────────────────────────────────────────────────────────────────────────────


async def test_a_process_that_was_replaced_changes_no_thread(redis: RedisProcess) -> None:
    async with asked(redis) as client:
        await client.set("number", 5)
        saver = RedisSaver(client, fence=lambda: Fence("number", 5))
        began = await put(saver, place("t"))
        await saver.aput_writes(began, [("said", "before")], "task")
        await client.set("number", 6)
        before = await keys(redis), await client.hgetall((await client.keys("*:c:*"))[0])
        for write in (
            put(saver, began),
            saver.aput_writes(began, [("said", "late")], "other"),
            saver.adelete_thread("t"),
        ):
            with pytest.raises(ThreadTaken, match="another process has thread 't' by now"):
                await write
        assert (await keys(redis), await client.hgetall((await client.keys("*:c:*"))[0])) == before
        found = await saver.aget_tuple(place("t"))
        assert found is not None
        assert found.pending_writes == [("task", "said", "before")]
        await put(RedisSaver(client, fence=lambda: Fence("number", 6)), place("other"))
        assert await listed(saver) == ["other", "t"]


async def test_a_server_that_was_replaced_saves_no_checkpoint(
    serve, connect, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 60.0)  # it learns late of the other
    gate, other = Gate(), Gate()
    server = await serve({"gated": gated(gate)}, store=redis.url)
    frozen = await connect(server)
    await frozen.run("gated", {"done": 0}, everything(1), run="r", thread="t")
    await until(lambda: gate.reached > 0)
    await frozen.settled()
    await taken(redis)
    after = await connect(await serve({"gated": gated(other)}, store=redis.url))
    await until(lambda: other.reached > 0)
    before = [name for name in await keys(redis) if "{thread:" in name]
    gate.open()
    await until(lambda: server.executing == 0)
    assert [name for name in await keys(redis) if "{thread:" in name] == before
    other.open()
    await after.poll(lambda reply: reply.get("status") == "completed", type="result", run="r")
    assert [name for name in await keys(redis) if "{thread:" in name] != before
