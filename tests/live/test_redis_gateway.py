"""A gateway on a store in Redis: the next one finds everything, and only one writes.

About `gateway/graphwire_gateway/log/redis_owner.py`, `gateway/graphwire_gateway/log/redis_opening.py`,
`gateway/graphwire_gateway/log/boot.py` and `gateway/graphwire_gateway/stores.py`. What all stores share is in
the other files, with ``--store=redis``.
"""

import asyncio
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TypedDict

import pytest
from graphwire_gateway import Gateway
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.log import commit, redis_owner, redis_recent
from graphwire_gateway.log.redis_owner import RedisOwner
from graphwire_gateway.log.redis_server import RedisServer
from graphwire_gateway.log.store import Fenced, StoreAway
from graphwire_gateway.stores import shown_store

from tests.gateway.test_store import batch
from tests.live.test_restart import history, row
from tests.live.test_server import http_get
from tests.support.graphs import OURS, Gate, counter, gated, talker
from tests.support.peer import everything
from tests.support.processes import started
from tests.support.questions import asker
from tests.support.redis import RedisProcess, Relay, redis_server
from tests.support.redis_stores import asked, opened, renewed, taken
from tests.support.waiting import poll, until


class Done(TypedDict, total=False):
    done: bool


async def test_the_next_gateway_shows_runs_results_and_threads_as_they_were(
    serve, connect, redis: RedisProcess
) -> None:
    graphs = {"talker": talker(OURS)}
    async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as first:
        before = await connect(first)
        assert before.frames[0]["durability"] == "crash"
        started = await before.run("talker", {"count": 1}, everything(1), run="r", thread="t")
        await before.closed(1)
        events, shown = before.events(1), await row(before)
        state = await before.ask(type="state", graph="talker", thread="t")
    after = await connect(await serve(graphs, store=redis.url))
    subscribed, replayed = await history(after, 1)
    assert subscribed["epoch"] == started["epoch"]
    assert replayed == events
    assert await row(after) == shown
    reply = await after.ask(type="state", graph="talker", thread="t")
    assert {**reply, "id": 0} == {**state, "id": 0}


async def test_a_question_is_answered_where_another_gateway_asked_it(
    serve, connect, redis: RedisProcess
) -> None:
    graphs = {"asker": asker(OURS)}
    async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as first:
        before = await connect(first)
        await before.run("asker", {"topic": "cats"}, run="r", thread="t")
        await before.poll(lambda reply: reply.get("status") == "interrupted", type="result", run="r")
    after = await connect(await serve(graphs, store=redis.url))
    asks = (await row(after))["interrupts"]
    answers = [{"interrupt": ask, "value": "yes"} for ask in asks]
    assert (await after.ask(type="respond", run="r", responses=answers))["type"] == "ok"
    await after.poll(lambda reply: reply.get("status") == "completed", type="result", run="r")


async def test_another_gateway_is_refused_by_name_while_one_is_there(
    serve, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "LEASE_S", 0.4)
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.05)
    await serve({"counter": counter()}, store=redis.url)
    with pytest.raises(
        CannotServe, match=r"in use by another graphwire server \(process \d+ on .+\?prefix=NAME"
    ):
        await serve({"counter": counter()}, store=redis.url)
    await serve({"counter": counter()}, store=f"{redis.url}?prefix=other")


async def test_a_gateway_that_was_taken_for_gone_writes_nothing_more(
    serve, connect, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.2)
    gate, other = Gate(), Gate()
    graphs = {"gated": gated(gate), "counter": counter()}
    frozen = await connect(await serve(graphs, store=redis.url))
    await frozen.run("gated", {"done": 0}, everything(1), run="r")
    await until(lambda: gate.reached > 0)
    await frozen.settled()
    await taken(redis)
    after = await connect(await serve({**graphs, "gated": gated(other)}, store=redis.url))
    _, events = await history(after, 1)
    assert events[-1]["data"]["error"]["code"] == "lost"
    gate.open()  # what it writes now is refused
    assert await frozen.gone() == 1012
    shown = frozen.events(1)
    assert shown
    assert shown == events[: len(shown)]
    assert (await after.ask(**_start("goes")))["type"] == "started"


async def test_a_server_that_cannot_reach_its_store_for_long_answers_nothing_from_memory(
    serve, connect, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "LEASE_S", 1.0)
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.1)
    async with Relay(redis.port) as relay:
        cut_off = await connect(await serve({"counter": counter()}, store=relay.url))
        relay.hang()
        after = await connect(await serve({"counter": counter()}, store=redis.url))
        assert (await after.ask(**_start("new")))["type"] == "started"
        for request in (
            {"type": "result", "run": "new"},
            {"type": "subscribe", "run": "new", **everything(1)},
            {"type": "list", "what": "runs"},
            _start("new"),
        ):
            refused = await cut_off.ask(**request)
            assert (refused["code"], refused["retry"]) == ("unavailable", "after"), request
            assert "another one may have it" in refused["message"]
        relay.flow()
        assert await cut_off.gone() == 1012


async def test_who_knows_that_a_store_was_taken_leaves_logs_that_nobody_has_claimed_yet(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.05)
    async with opened(redis.url, is_alone=True) as frozen, asked(redis) as client:
        await frozen.create("r", "e")
        await client.set("graphwire:owner", b"{}")
        await until(frozen.taken.is_set)
        (refused,) = await frozen.append([batch("r", 1)])
        assert isinstance(refused, Fenced)
        await frozen.delete("r")
        assert (await frozen.read("r", 0, 9)).head == 0


@pytest.mark.processes
async def test_a_server_whose_store_was_taken_ends_and_says_so(serve, redis: RedisProcess) -> None:
    program = [sys.executable, "-c", "from graphwire.cli import main; main()"]
    command = [*program, "serve", "--conformance-graphs", "--port", "0", "--store", redis.url]
    async with started(*command, stderr=asyncio.subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"ws://" not in await asyncio.wait_for(process.stderr.readline(), 30):
            pass
        await taken(redis)
        await serve({"counter": counter()}, store=redis.url)
        _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 1
        assert b"another server has taken the store; this one sends its clients away" in said


# ── who renews ───────────────────────────────────────────────────────────────────────────────────


async def test_a_loop_that_is_blocked_for_longer_than_the_lease_keeps_its_store(
    serve, connect, redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "LEASE_S", 1.0)
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.1)

    async def wait() -> str:
        async with AsyncExitStack() as stack:
            with pytest.raises(CannotServe) as caught:
                await stack.enter_async_context(opened(redis.url, is_alone=True))
            return str(caught.value)

    async def block(state: dict[str, object]) -> dict[str, object]:
        with ThreadPoolExecutor(1) as pool:  # for longer than a lease
            return {"done": "in use" in pool.submit(asyncio.run, wait()).result(30)}

    graph = OURS.StateGraph(Done).add_node("block", block).add_edge(OURS.START, "block").compile()
    server = await serve({"blocks": graph, "counter": counter()}, store=redis.url)
    peer = await connect(server)
    await peer.run("blocks", {}, everything(1), run="r")
    *_, closed = await peer.closed(1)
    assert closed["status"] == "completed"
    reply = await peer.ask(type="result", run="r")
    assert reply["output"] == {"done": True}
    assert not server.taken.is_set()
    assert (await peer.ask(**_start("goes")))["type"] == "started"


@pytest.mark.processes
async def test_a_process_that_was_frozen_for_longer_than_the_lease_has_lost_its_store(
    serve, redis: RedisProcess
) -> None:
    main = "from graphwire_gateway.log import redis_owner as o; o.LEASE_S = 1; o._RENEWED_S = 0.1; "
    program = [sys.executable, "-c", f"{main}from graphwire.cli import main; main()"]
    command = [*program, "serve", "--conformance-graphs", "--port", "0", "--store", redis.url]
    async with started(*command, stderr=asyncio.subprocess.PIPE) as process:
        assert process.stderr is not None
        while b"ws://" not in await asyncio.wait_for(process.stderr.readline(), 30):
            pass
        process.send_signal(signal.SIGSTOP)
        await serve({"counter": counter()}, store=redis.url)
        process.send_signal(signal.SIGCONT)
        _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 1
        assert b"another server has taken the store; this one sends its clients away" in said


async def test_a_redis_that_hangs_delays_neither_the_loop_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_owner, "LEASE_S", 1.0)
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.1)
    loop, longest = asyncio.get_running_loop(), 0.0
    with redis_server() as own:
        async with opened(own.url, is_alone=True) as store:
            owner = store._owner
            assert owner is not None
            await store.create("r", "e")
            own.signal(signal.SIGSTOP)
            before = loop.time()
            while owner.may_write:
                await asyncio.sleep(0.001)
                now = loop.time()
                longest, before = max(longest, now - before), now
            with pytest.raises(StoreAway):
                await store.create("s", "e")
            began = loop.time()
        assert longest < 0.8, "each attempt waits for 2 s"
        assert loop.time() - began < 3.5, "less than an answer to the store may take"
        own.signal(signal.SIGCONT)


async def test_renewals_go_on_behind_connections_that_were_cut(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.02)
    async with Relay(redis.port) as relay, opened(relay.url, is_alone=True) as store:
        relay.loses_answers = True
        await until(lambda: relay.lost > 1)
        relay.loses_answers = False
        await renewed(redis)
        assert not store.taken.is_set()


async def test_what_only_the_renewals_noticed_of_a_restart_is_made_good(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.02)
    with redis_server(rename_command='INFO ""') as own:  # so it may not say which life this is
        async with opened(own.url, is_alone=True) as store:
            await store.create("r", "e")
            await store.append([batch("r", 1, 5)])
            own.kill()
            await until(lambda: store._server.life.has_failed)
            own.start()
            async with asked(own) as client:
                await poll(lambda: client.exists("graphwire:{run:r}:log"), bool)
            assert (await store.read("r", 0, 9)).head == 5


async def test_renewals_go_to_the_server_that_has_taken_over(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.02)
    with redis_server() as second:
        async with Relay(redis.port) as relay, opened(relay.url, is_alone=True) as store:
            await store.create("r", "e")
            await renewed(redis)
            relay.target = second.port  # which old connections do not notice
            await store._server.client.connection_pool.disconnect()
            await store.touch(["r"])
            await renewed(second)


async def test_no_client_should_come_while_an_idle_server_cannot_reach_its_store(
    serve, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.05)
    monkeypatch.setattr(redis_owner, "_TIMEOUT_S", 0.2)
    monkeypatch.setattr(commit, "AWAY_S", 0.3)
    with redis_server(appendonly="yes") as own:
        server = await serve({"counter": counter()}, store=own.url)
        for leave, come in (
            (own.kill, own.start),
            (lambda: own.signal(signal.SIGSTOP), lambda: own.signal(signal.SIGCONT)),
        ):
            leave()
            away = await poll(lambda: http_get(server, "/readyz"), lambda answer: answer[0] != 200)
            assert away[-1] == (503, "the store is away\n")
            come()
            await poll(lambda: http_get(server, "/readyz"), lambda answer: answer == (200, "ready\n"))
        peer = await connect(server)
        await peer.run("counter", {"count": 1}, everything(1), run="r")
        *_, closed = await peer.closed(1)
        assert closed["status"] == "completed"


async def test_nobody_renews_for_a_loop_that_was_closed(
    redis: RedisProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.02)

    async def leave() -> None:
        server = RedisServer(redis.url)
        await RedisOwner(server, "w").acquire()
        await server.aclose()

    await asyncio.to_thread(asyncio.run, leave())
    async with asked(redis) as client:
        await poll(lambda: client.exists("graphwire:owner"), lambda there: not there)


def _start(run: str) -> dict[str, object]:
    return {"type": "run", "graph": "counter", "input": {"count": 1}, "run": run}


async def test_a_server_that_was_started_again_gives_logs_other_epochs(connect) -> None:
    with redis_server(appendonly="yes", appendfsync="always") as redis:
        graphs = {"counter": counter()}
        async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as first:
            before = await connect(first)
            started = await before.run("counter", {"count": 3}, everything(1), run="r")
            await before.closed(1)
        redis.kill()
        redis.start()
        async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as second:
            after = await connect(second)
            cursor = {"epoch": started["epoch"], "seq": 4}
            subscribed = await after.ask(type="subscribe", run="r", **everything(1, from_=cursor))
            assert subscribed["epoch"] != started["epoch"]
            gap = await after.until(lambda frame: frame["type"] == "gap")
            assert gap["reason"] == "epoch_changed"
            await history(after, 2, "r", "custom")
            assert sum(event["mode"] == "custom" for event in after.events(2)) == 3


@pytest.mark.parametrize("lacks", [False, True])
async def test_epochs_stay_behind_a_restart_that_was_seen_unless_some_log_lacks_something(
    connect, lacks: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_owner, "_RENEWED_S", 0.1)
    monkeypatch.setattr(redis_recent, "KEPT_S", -1.0)
    caplog.set_level("INFO", "graphwire.store")
    graphs = {"counter": counter()}
    with redis_server(appendonly="yes", appendfsync="always") as redis:
        async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as first:
            peer = await connect(first)
            epochs = {}
            for sub, run in enumerate(("r", "s"), 1):
                epochs[run] = (await peer.run("counter", {"count": 3}, everything(sub), run=run))["epoch"]
                await peer.closed(sub)
            async with asked(redis) as client:
                if lacks:
                    (log,) = await client.keys("graphwire:{run:*/s}:log")
                    await client.hset(log, mapping={"head": 2, "first": 2})
                redis.kill()
                redis.start()
            await until(lambda: ("logs lack what they had" if lacks else "all logs are whole") in caplog.text)
        async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as second:
            peer = await connect(second)
            subscribed = await peer.ask(type="subscribe", run="r", **everything(1))
            assert (subscribed["epoch"] == epochs["r"]) is not lacks


async def test_what_a_server_without_a_file_has_lost_is_gone(serve, connect) -> None:
    with redis_server() as redis:
        graphs = {"counter": counter()}
        async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as first:
            before = await connect(first)
            assert before.frames[0]["durability"] == "none"
            await before.run("counter", {"count": 3}, everything(1), run="r")
            await before.closed(1)
        async with Gateway(graphs, store=redis.url).serve("127.0.0.1", 0) as second:
            after = await connect(second)
            assert (await row(after))["status"] == "completed"
        redis.kill()
        redis.start()
        third = await connect(await serve(graphs, store=redis.url))
        assert (await third.ask(type="list", what="runs"))["runs"] == []


@pytest.mark.parametrize(
    ("store", "shown"),
    [
        ("redis://:s3cret@host:6379/0?prefix=a", "redis://host:6379/0"),
        ("rediss://ann:a%40b@host", "rediss://host"),
        ("redis://host?password=s3cret", "redis://host"),
        ("redis://ann@host", "redis://host"),
        ("redis://localhost", "redis://localhost"),
        ("sqlite:////var/lib/runs.db", "sqlite:////var/lib/runs.db"),
    ],
)
async def test_a_store_is_shown_without_its_password(store: str, shown: str) -> None:
    assert shown_store(store) == shown
