"""Workers and gateways on one Redis, in one process: what clients of any gateway see of all workers.

About `gateway/graphwire_gateway/cluster/relay.py`, `gateway/graphwire_gateway/cluster/link.py`,
`gateway/graphwire_gateway/cluster/gateway_server.py`, `gateway/graphwire_gateway/cluster/worker.py`,
`gateway/graphwire_gateway/cluster/active_runs.py`, `gateway/graphwire_gateway/runs/elsewhere.py`,
`gateway/graphwire_gateway/cluster/directory.py` and `gateway/graphwire_gateway/cluster/run_places.py`. The
whole live suite passes through two gateways as well, with ``--store=cluster``; processes that are killed are
in ``test_workers``.

Long because gateways are looked at from each side: what is where, what is one, and what stops.
"""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import orjson
import pytest
from graphwire_gateway import CannotServe, Gateway
from graphwire_gateway.cluster import gateway_server as fronts
from graphwire_gateway.cluster import link, pings
from graphwire_gateway.cluster import worker as workers
from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.gateway_server import GatewayServer
from graphwire_gateway.cluster.home_tokens import home_token
from graphwire_gateway.cluster.relay import CommandRelay
from graphwire_gateway.cluster.shards import index_of
from graphwire_gateway.cluster.worker import Worker
from graphwire_gateway.scope import run_key
from graphwire_protocol.codes import TOO_BIG
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.live.test_server import http_get
from tests.support.graphs import OURS, Gate, counter, gated
from tests.support.peer import Peer, everything
from tests.support.questions import asker
from tests.support.redis import RedisProcess
from tests.support.redis_stores import asked, taken
from tests.support.waiting import poll, until

SHARDS = 4


class Said(TypedDict, total=False):
    said: str


CUSTOM = {"filter": {"modes": ["custom"]}}


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "LOOK_S", 0.02)
    monkeypatch.setattr(workers, "SURE_S", 0.0)
    monkeypatch.setattr(fronts, "LOOK_S", 0.02)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def graphs(gate: Gate) -> dict[str, Any]:
    return {"counter": counter(), "gated": gated(gate), "asker": asker(OURS)}


@asynccontextmanager
async def working(
    redis: RedisProcess, graphs: Any, shards: int = SHARDS, group: str = "", **args: Any
) -> AsyncIterator[Worker]:
    """A worker, once it has so many shards."""
    gateway = Gateway(graphs, store=f"{redis.url}?shards={SHARDS}", **args)
    async with gateway.work(group=group) as worker:
        await asyncio.wait_for(worker.has_shards(shards), 20)
        yield worker


@asynccontextmanager
async def relaying(redis: RedisProcess, **args: Any) -> AsyncIterator[GatewayServer]:
    async with Gateway({}, store=redis.url, **args).relay(port=0) as front:
        yield front


@pytest.fixture
async def worker(redis: RedisProcess, graphs: dict[str, Any]) -> AsyncIterator[Worker]:
    async with working(redis, graphs) as worker:
        yield worker


@pytest.fixture
async def two(worker: Worker, redis: RedisProcess, connect) -> AsyncIterator[list[Peer]]:
    """A client of each of two gateways."""
    async with relaying(redis) as one, relaying(redis) as other:
        yield [await connect(one), await connect(other)]


# ── what is where ────────────────────────────────────────────────────────────────────────────────


async def test_runs_of_one_gateway_are_followed_cancelled_and_found_at_another(
    two: list[Peer], gate: Gate
) -> None:
    one, other = two
    for number in range(8):  # more than there are shards
        await one.run("counter", {"count": 2}, everything(number), run=f"r{number}")
        await one.closed(number)
        await other.ask(type="subscribe", run=f"r{number}", **everything(number))
        assert [frame for frame in await other.closed(number) if frame["type"] == "event"] == one.events(
            number
        )
        result = await other.ask(type="result", run=f"r{number}")
        assert result["status"] == "completed"
    await one.run("gated", {"done": 0}, everything(20), run="held")
    await other.ask(type="cancel", run="held", reason="enough")
    *_, closed = await one.closed(20)
    assert closed["status"] == "cancelled"


async def test_a_question_is_answered_at_another_gateway(two: list[Peer]) -> None:
    one, other = two
    for number in range(4):
        thread = f"t{number}"
        await one.run("asker", {"topic": "tea"}, everything(number), thread=thread, run=thread)
        asking = await one.until(
            lambda frame, sub=number: (
                frame.get("sub") == sub
                and frame.get("mode") == "lifecycle"
                and frame["data"]["status"] == "interrupted"
            )
        )
        assert asking
        state = await other.ask(type="state", graph="asker", thread=thread)
        (question,) = state["interrupts"]
        answer = {"interrupt": question["id"], "value": "yes"}
        assert (await other.ask(type="respond", run=thread, responses=[answer]))["type"] == "ok"
        *_, closed = await one.closed(number)
        assert closed["status"] == "completed"


async def test_a_thread_has_one_run_at_a_time_whichever_gateway_starts_it(
    two: list[Peer], gate: Gate
) -> None:
    one, other = two
    for number in range(4):
        thread = f"t{number}"
        started = await one.run("gated", {"done": 0}, thread=thread)
        assert started["type"] == "started"
        assert (await other.run("gated", {"done": 0}, thread=thread))["code"] == "busy"
        queued = await other.run("gated", {"done": 0}, thread=thread, if_busy="enqueue")
        assert queued["status"] == "queued"


async def test_a_start_that_is_sent_again_finds_its_run(two: list[Peer]) -> None:
    one, other = two
    fields = {"run": "r", "thread": "t"}
    first = await one.run("counter", {"count": 1}, **fields)
    again = await other.run("counter", {"count": 1}, **fields)
    assert (first["created"], again["created"]) == (True, False)
    assert first["epoch"] == again["epoch"]
    for thread in ("u", "v", "w", "x"):  # most of them are of other shards
        assert (await other.run("counter", {"count": 1}, run="r", thread=thread))["code"] == "conflict"


async def test_the_id_of_a_run_that_was_deleted_begins_anew_wherever_its_thread_is(two: list[Peer]) -> None:
    one, other = two
    for thread in ("t", "u", "v", "w", "x"):
        started = await one.run("counter", {"count": 1}, everything(1), run="r", thread=thread)
        assert started["created"], started
        await one.closed(1)
        assert (await other.ask(type="delete", run="r"))["type"] == "ok"
        one.forget()


async def test_a_run_gets_an_id_where_its_client_names_none(two: list[Peer]) -> None:
    one, other = two
    ids = [(await one.run("counter", {"count": 1}))["run"] for _ in range(6)]
    assert len(set(ids)) == 6
    for id in ids:
        assert (await other.ask(type="result", run=id))["type"] == "ok"


async def test_lists_are_of_all_shards(two: list[Peer]) -> None:
    one, other = two
    for number in range(10):
        await one.run("counter", {"count": 1}, everything(number), run=f"r{number}", thread=f"t{number}")
        await one.closed(number)
    for what, name in (("runs", "run"), ("threads", "thread")):
        found: list[str] = []
        cursor = None
        while True:
            fields = {"cursor": cursor} if cursor else {}
            ok = await other.ask(type="list", what=what, limit=3, **fields)
            found += [row[name] for row in ok[what]]
            cursor = ok.get("cursor")
            if cursor is None:
                break
        assert sorted(found) == [f"{name[0]}{number}" for number in range(10)]
    assert [row["name"] for row in (await other.ask(type="list", what="graphs"))["graphs"]] == [
        "counter",
        "gated",
        "asker",
    ]
    (row,) = (await other.ask(type="list", what="runs", graph="counter", thread="t3"))["runs"]
    assert row["run"] == "r3"
    assert (await other.ask(type="list", what="runs", cursor="x"))["code"] == "invalid_argument"


async def test_a_watch_begins_with_all_and_follows_all(two: list[Peer], gate: Gate) -> None:
    one, other = two
    for number in range(6):
        await one.run("gated", {"done": 0}, run=f"r{number}", thread=f"t{number}")
    await other.ask(type="watch", sub=1)
    await other.ask(type="watch", sub=2, what="threads")
    for sub, name in ((1, "run"), (2, "thread")):
        await other.until(lambda frame, sub=sub: frame["type"] == "synced" and frame["sub"] == sub)
        listed = [frame[name] for frame in other.of(sub) if name in frame]
        assert sorted(set(listed)) == [f"{name[0]}{number}" for number in range(6)]
    assert sum(frame["type"] == "synced" for frame in other.frames) == 2
    gate.open()
    for number in range(6):
        for sub, name in ((1, "run"), (2, "thread")):
            await other.until(
                lambda frame, sub=sub, name=name, number=number: (
                    frame.get("sub") == sub
                    and frame.get(name) == f"{name[0]}{number}"
                    and frame.get("status") == "completed"
                )
            )
    assert (await other.ask(type="unsubscribe", sub=1))["type"] == "ok"
    assert (await other.ask(type="watch", sub=1))["type"] == "subscribed"


async def test_the_number_of_a_subscription_is_taken_anew_in_one_flight(two: list[Peer], gate: Gate) -> None:
    one, _ = two
    for number in range(6):
        await one.run("gated", {"done": 0}, run=f"r{number}", record={"modes": ["custom"]})
    frames: list[dict[str, Any]] = []
    for number in range(6):
        frames.append({"type": "subscribe", "id": 2 * number, "run": f"r{number}", **CUSTOM, "sub": 7})
        frames.append({"type": "unsubscribe", "id": 2 * number + 1, "sub": 7})
    await one.send(*frames[:-1])
    await one.settled()
    gate.open()
    await one.closed(7)
    order = [frame for frame in one.of(7) if frame["type"] == "subscribed"]
    assert [frame["run"] for frame in order] == [f"r{number}" for number in range(6)]
    last = one.of(7)[one.of(7).index(order[-1]) :]
    numbers = [frame["n"] for frame in last if frame["type"] == "event"]
    assert numbers == list(range(1, len(numbers) + 1)), "nothing of an earlier run comes behind"


async def test_refusals_about_one_subscription_keep_their_order(two: list[Peer]) -> None:
    one, _ = two
    await one.run("counter", {"count": 1}, run="r", record={"modes": ["custom"]})
    first = {"type": "subscribe", "id": 1, "run": "r", **CUSTOM, "sub": 3, "credit": 0}
    await one.send(first, {**first, "id": 2})
    await one.settled()
    assert [(frame["id"], frame["type"]) for frame in one.of(3) if "id" in frame] == [
        (1, "subscribed"),
        (2, "error"),
    ]


async def test_principals_do_not_see_one_another(worker: Worker, redis: RedisProcess, connect) -> None:
    async with relaying(redis, tokens={"a" * 20: "ann", "b" * 20: "bob"}) as front:
        ann, bob = await connect(front, token="a" * 20), await connect(front, token="b" * 20)
        await ann.run("counter", {"count": 1}, run="r", thread="t")
        assert (await bob.ask(type="result", run="r"))["code"] == "not_found"
        assert (await bob.ask(type="list", what="runs"))["runs"] == []
        assert (await bob.run("counter", {"count": 1}, run="r"))["created"]
        wrong = await connect(front, hello=False)
        refused = await wrong.ask(type="hello", token="no")
        assert refused["code"] == "unauthenticated"
        assert await wrong.gone() == 4401


# ── homes ────────────────────────────────────────────────────────────────────────────────────────


async def test_a_home_lets_only_gateways_in(worker: Worker, connect) -> None:
    home = worker.homes[2]
    for token in (None, "x", home_token(worker._directory.secret, 1, "ann")):
        peer = await connect(home, hello=False)
        refused = await peer.ask(type="hello", **({} if token is None else {"token": token}))
        assert refused["message"] == "this address is for gateways; clients connect to one of them"
        assert await peer.gone() == 4401


async def test_a_home_refuses_what_is_of_another_shard(worker: Worker, connect) -> None:
    refused = 0
    for shard, home in worker.homes.items():
        peer = await connect(home, token=home_token(worker._directory.secret, shard, "ann"))
        for fields in ({"thread": "t"}, {"run": "r"}):
            reply = await peer.run("counter", {"count": 1}, **fields)
            refused += reply.get("code") == "unavailable"
        state = await peer.ask(type="state", graph="asker", thread="t")
        refused += state.get("code") == "unavailable"
    assert refused == 3 * (SHARDS - 1)


async def test_frames_of_the_largest_size_pass(two: list[Peer]) -> None:
    one, other = two
    most = one.frames[0]["limits"]["max_frame_bytes"]
    frame = orjson.dumps({"type": "run", "id": 1, "graph": "counter", "input": {"count": 0, "x": ""}})
    text = frame[:-3] + b"x" * (most - len(frame)) + frame[-3:]
    await one.text(text.decode())
    started = await one.answer(1)
    assert started["type"] == "started"
    assert (await other.ask(type="result", run=started["run"]))["type"] == "ok"


async def test_a_frame_that_only_workers_do_not_take_closes_as_a_large_one_does(
    redis: RedisProcess, graphs: dict[str, Any], connect
) -> None:
    async with working(redis, graphs, limits={"max_frame_bytes": 50_000}), relaying(redis) as front:
        peer = await connect(front)
        await peer.send({"type": "run", "id": 5, "graph": "counter", "input": "x" * 100_000})
        assert await peer.gone() == TOO_BIG
        assert not [frame for frame in peer.frames if frame.get("id") == 5]


async def test_the_active_runs_of_a_principal_are_counted_in_all_shards(
    redis: RedisProcess, connect, graphs: dict[str, Any]
) -> None:
    limits = {"max_active_runs": 4}
    async with working(redis, graphs, limits=limits) as worker, relaying(redis) as front:
        peer = await connect(front)
        starts = [
            {"type": "run", "id": n, "graph": "gated", "input": {"done": 0}, "run": f"r{n}"}
            for n in range(40)
        ]
        await peer.send(*starts)  # at once, in all shards
        replies = [await peer.answer(number) for number in range(40)]
        started = [reply["run"] for reply in replies if reply["type"] == "started"]
        refused = {reply["message"] for reply in replies if reply["type"] == "error"}
        assert refused == {"4 runs are active (max_active_runs)"}
        assert len(started) <= 4
        counts = [home._runs._active["anonymous"] for home in worker.homes.values()]
        assert sum(counts) == len(started)
        await poll(lambda: _active(redis), lambda count: count == len(started))
        while len(started) < 4:  # of those at once some may have held up each other
            reply = await peer.run("gated", {"done": 0})
            started += [reply["run"]] if reply["type"] == "started" else []
        assert max(home._runs._active["anonymous"] for home in worker.homes.values()) < 4
        assert (await peer.run("gated", {"done": 0}))["code"] == "limit_exceeded"
        await peer.ask(type="cancel", run=started[0])
        await poll(lambda: _active(redis), lambda count: count == 3)
        assert (await peer.run("gated", {"done": 0}))["type"] == "started"
    async with working(redis, graphs, limits=limits):
        await poll(lambda: _active(redis), lambda count: count == 0)  # all were cancelled with their worker


async def _active(redis: RedisProcess) -> int:
    """Return how many active runs of anybody the homes have written down."""
    async with asked(redis) as client:
        found = [await client.hgetall(f"graphwire:{shard}:active") for shard in range(SHARDS)]
    return sum(int(count) for counts in found for count in counts.values())


# ── who comes and goes ───────────────────────────────────────────────────────────────────────────


async def test_without_a_worker_clients_are_sent_away_and_probes_say_why(
    redis: RedisProcess, connect, graphs: dict[str, Any]
) -> None:
    async with relaying(redis) as front:
        assert (await http_get(front, "/readyz"))[0] == 503
        early = await connect(front, hello=False)
        refused = await early.ask(type="hello")
        assert (refused["code"], await early.gone()) == ("unavailable", 1013)
        async with working(redis, graphs):
            await poll(lambda: http_get(front, "/readyz"), lambda answer: answer[0] == 200)
            late = await connect(front)
            assert (await late.run("counter", {"count": 1}))["type"] == "started"
        answer = await poll(lambda: http_get(front, "/readyz"), lambda answer: answer[0] == 503)
        assert answer[-1] == (503, "workers are missing\n")


async def test_a_client_that_is_gone_leaves_nothing_in_its_gateway(
    worker: Worker, redis: RedisProcess, connect
) -> None:
    async with relaying(redis) as front:
        gc.collect()
        gc.disable()
        try:
            for _ in range(5):
                peer = await connect(front)
                await peer.ask(type="list", what="runs")
                peer.wire.abort()
            await until(lambda: not front._relays)
        finally:
            gc.enable()


async def test_a_fault_about_one_client_keeps_no_other_from_what_its_gateway_sees(
    worker: Worker, redis: RedisProcess, connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with relaying(redis) as front:
        peers = [await connect(front), await connect(front)]
        seen: set[Any] = set()

        def fail(relay: Any) -> None:
            seen.add(relay)
            raise ValueError

        monkeypatch.setattr(CommandRelay, "drop_stale", fail)
        await until(lambda: len(seen) == len(peers))
        seen.clear()


async def test_a_command_waits_for_the_home_of_its_shard(
    redis: RedisProcess, connect, graphs: dict[str, Any]
) -> None:
    async with relaying(redis) as front:
        async with working(redis, graphs):
            await asyncio.wait_for(front.ready(), 10)
            peer = await connect(front)
        await until(lambda: not front._directory.homes)
        starting = asyncio.ensure_future(peer.run("counter", {"count": 1}))
        await until(lambda: any(relay._links for relay in front._relays))
        assert not starting.done()
        async with working(redis, graphs):
            assert (await asyncio.wait_for(starting, 20))["type"] == "started"


async def test_a_command_whose_shard_gets_no_home_is_refused_by_name(
    redis: RedisProcess, connect, graphs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PATIENCE_S", 0.3)
    monkeypatch.setattr(pings, "PONG_S", 0.05)
    async with relaying(redis) as front:
        async with working(redis, graphs):
            await asyncio.wait_for(front.ready(), 10)
            peer = await connect(front)
        await until(lambda: not front._directory.homes)
        for command in (
            {"type": "run", "graph": "counter", "subscribe": [everything(1)]},
            {"type": "subscribe", "run": "r", **everything(1)},
            {"type": "list", "what": "runs"},
            {"type": "watch", "sub": 1},
        ):
            asking = asyncio.ensure_future(peer.ask(**command))
            await asyncio.sleep(0)
            await peer.send({"type": "ping", "t": command["type"]})
            refused = await asyncio.wait_for(asking, 10)
            assert refused["code"] == "unavailable"
            assert refused["message"] == "a part of this server has no worker now"
            assert any(frame.get("t") == command["type"] for frame in peer.frames), (
                "pings do not wait for long"
            )


async def test_what_waits_for_a_home_is_bounded(redis: RedisProcess, connect, graphs: dict[str, Any]) -> None:
    limits = {"max_frame_bytes": 4096}
    async with relaying(redis, limits=limits) as front:
        async with working(redis, graphs, limits=limits):
            await asyncio.wait_for(front.ready(), 10)
            peer = await connect(front)
        await until(lambda: not front._directory.homes)
        for id in (1, 2):
            await peer.send({"type": "cancel", "id": id, "run": "r", "reason": "x" * 1000})
        for id in range(3, 6):
            await peer.send({"type": "cancel", "id": id, "run": "r", "reason": "x" * 1000})
        refused = await peer.until(lambda frame: frame["type"] == "error")
        assert refused["code"] == "rate_limited"
        assert "wait for a worker" in refused["message"]


async def test_runs_that_wait_go_on_at_the_next_worker(
    redis: RedisProcess, connect, graphs: dict[str, Any]
) -> None:
    async with relaying(redis) as front:
        async with working(redis, graphs):
            await asyncio.wait_for(front.ready(), 10)
            before = await connect(front)
            for number in range(4):
                await before.run(
                    "asker", {"topic": "tea"}, everything(number), run=f"r{number}", thread=f"t{number}"
                )
                await before.until(
                    lambda frame, sub=number: (
                        frame.get("sub") == sub
                        and frame.get("mode") == "lifecycle"
                        and frame["data"]["status"] == "interrupted"
                    )
                )
        assert await before.gone() == 1012
        async with working(redis, graphs):
            after = await connect(front)
            rows = (await after.ask(type="list", what="runs"))["runs"]
            assert {row["status"] for row in rows} == {"interrupted"}
            for row in rows:
                answer = {"interrupt": row["interrupts"][0], "value": "yes"}
                assert (await after.ask(type="respond", run=row["run"], responses=[answer]))["type"] == "ok"
            for number in range(4):
                seen = before.events(number)[-1]["seq"]
                epoch = next(row["epoch"] for row in rows if row["run"] == f"r{number}")
                spec = everything(number, from_={"epoch": epoch, "seq": seen})
                await after.ask(type="subscribe", run=f"r{number}", **spec)
                *_, closed = await after.closed(number)
                assert closed["status"] == "completed"
                seqs = [event["seq"] for event in before.events(number) + after.events(number)]
                assert seqs == list(range(1, len(seqs) + 1))


async def test_a_client_that_has_nothing_at_a_worker_does_not_notice_its_end(
    redis: RedisProcess, connect, graphs: dict[str, Any]
) -> None:
    async with relaying(redis) as front:
        async with working(redis, graphs):
            await asyncio.wait_for(front.ready(), 10)
            peer = await connect(front)
            await peer.run("counter", {"count": 1}, everything(1), run="r")
            await peer.closed(1)
        async with working(redis, graphs):
            assert (await peer.ask(type="result", run="r"))["status"] == "completed"


async def test_shards_are_divided_and_runs_are_not_disturbed_by_it(
    worker: Worker, redis: RedisProcess, connect, graphs: dict[str, Any], gate: Gate
) -> None:
    async with relaying(redis) as front:
        peer = await connect(front)
        for number in range(12):  # in every shard
            await peer.run("gated", {"done": 0}, everything(number), run=f"r{number}")
        async with working(redis, graphs, shards=0) as other:
            await poll(lambda: _workers(redis), lambda count: count == 2)
            for _ in range(5):
                await worker._look()
            assert (len(worker.homes), len(other.homes)) == (SHARDS, 0), "something runs everywhere"
            gate.open()
            for number in range(12):
                *_, closed = await peer.closed(number)
                assert closed["status"] == "completed"
            await asyncio.wait_for(other.has_shards(SHARDS // 2), 20)
            await until(lambda: len(worker.homes) == SHARDS // 2)
            await asyncio.wait_for(front.ready(), 10)
            again = await connect(front)
            for number in range(12):
                assert (await again.ask(type="result", run=f"r{number}"))["status"] == "completed"
            assert len((await again.ask(type="list", what="runs", limit=100))["runs"]) == 12
        await asyncio.wait_for(worker.has_shards(SHARDS), 20)


async def test_a_worker_that_has_too_much_for_long_hands_over_what_can_go_on(
    worker: Worker,
    redis: RedisProcess,
    connect,
    graphs: dict[str, Any],
    gate: Gate,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers, "BUSY_S", 0.1)
    monkeypatch.setattr(workers, "_MOVED_S", 0.05)
    async with relaying(redis) as front:
        peer = await connect(front)
        shards: dict[str, int] = {}
        for number in range(12):
            run = f"r{number}"
            await peer.run("gated", {"done": 0}, run=run, thread=run)
            found = await front._directory.runs.shard_of("anonymous", run, may_remember=True)
            assert found is not None
            shards[run] = found
        for number in range(20):  # what no other worker could go on with stays
            run = f"stays{number}"
            if index_of(run_key("anonymous", run), SHARDS) == 0:
                await peer.run("gated", {"done": 0}, run=run)
        async with working(redis, graphs, shards=SHARDS // 2) as other:
            assert 0 in worker.homes
            gate.open()
            await asyncio.wait_for(front.ready(), 10)
            again = await connect(front)
            for run, shard in shards.items():
                await again.poll(lambda ok: ok["status"] == "completed", type="result", run=run)
                (row,) = [
                    row for row in (await again.ask(type="list", what="runs"))["runs"] if row["run"] == run
                ]
                assert row["attempt"] == (2 if shard in other.homes else 1)


async def _workers(redis: RedisProcess) -> int:
    async with asked(redis) as client:
        return int(await client.hlen("graphwire:workers"))


async def test_a_home_that_another_worker_has_replaced_is_left(
    two: list[Peer], worker: Worker, redis: RedisProcess
) -> None:
    one, _ = two
    for number in range(8):
        await one.run("gated", {"done": 0}, everything(number), run=f"r{number}")
    async with asked(redis) as client:  # as if this one was frozen, and another has its place
        owner = orjson.loads(await client.get("graphwire:1:owner"))
        await client.set(
            "graphwire:1:owner", orjson.dumps({**owner, "writer": "x", "url": "ws://127.0.0.1:9/ws"})
        )
    assert await one.gone() == 1012


async def test_a_gateway_that_goes_sends_its_clients_to_others(
    worker: Worker, redis: RedisProcess, connect
) -> None:
    async with relaying(redis) as front:
        peer = await connect(front)
        await peer.run("gated", {"done": 0}, everything(1), run="r")
        await front.drain()
        assert await peer.gone() == 1012
        assert any(frame["type"] == "goaway" for frame in peer.frames)
    async with relaying(redis) as front:
        peer = await connect(front)
        assert (await peer.ask(type="result", run="r"))["status"] == "running"


async def test_a_run_that_ends_with_its_client_ends_with_the_gateway_of_it(
    redis: RedisProcess, connect, graphs: dict[str, Any]
) -> None:
    async with working(redis, graphs, limits={"disconnect_grace_s": 0.05}), relaying(redis) as front:
        await asyncio.wait_for(front.ready(), 10)
        one, other = await connect(front), await connect(front)
        await one.run("gated", {"done": 0}, run="r", on_disconnect="cancel")
        one.wire.abort()
        row = await other.poll(lambda ok: ok["status"] != "running", type="result", run="r")
        assert row["status"] == "cancelled"


# ── what is refused ──────────────────────────────────────────────────────────────────────────────


async def refused(work: Any) -> str:
    with pytest.raises(CannotServe) as caught:
        async with work:
            pass
    return str(caught.value)


async def test_a_server_alone_and_workers_exclude_each_other(
    redis: RedisProcess, graphs: dict[str, Any]
) -> None:
    async with Gateway(graphs, store=redis.url).serve(port=0):
        for work in (Gateway(graphs, store=redis.url).work(), Gateway({}, store=redis.url).relay(port=0)):
            assert "is in use by a server that runs alone" in await refused(work)
    async with working(redis, graphs):
        assert "is shared by workers" in await refused(Gateway(graphs, store=redis.url).serve(port=0))
    assert "is shared by workers" in await refused(Gateway(graphs, store=redis.url).serve(port=0))


async def test_workers_agree_on_what_cannot_change(
    worker: Worker, redis: RedisProcess, graphs: dict[str, Any]
) -> None:
    said = await refused(Gateway(graphs, store=f"{redis.url}?shards=9").work())
    assert said.endswith("has 4 shards, and keeps them; leave out shards=9")
    said = await refused(Gateway(graphs, store=redis.url, shared_threads=True).work())
    assert "shared_threads is false" in said
    said = await refused(Gateway({"asker": asker(OURS, InMemorySaver())}, store=redis.url).work())
    assert "graph 'asker' has a checkpointer in memory" in said
    for shards in ("0", "257", "x", ""):
        assert "shards is a number from 1 to 256" in await refused(
            Gateway(graphs, store=f"{redis.url}?shards={shards}").work()
        )


@pytest.mark.parametrize("store", ["memory://", "sqlite:///x.db"])
async def test_other_stores_have_one_process(store: str, graphs: dict[str, Any]) -> None:
    for work in (Gateway(graphs, store=store).work(), Gateway({}, store=store).relay(port=0)):
        assert "share a store in Redis" in await refused(work)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
async def test_a_worker_listens_where_gateways_find_it(
    host: str, redis: RedisProcess, graphs: dict[str, Any]
) -> None:
    said = await refused(Gateway(graphs, store=redis.url).work(host))
    assert "--host NAME" in said
    assert host in said


async def test_a_gateway_and_a_worker_notice_that_others_have_begun_anew(
    worker: Worker, redis: RedisProcess, graphs: dict[str, Any], connect
) -> None:
    async with relaying(redis) as front:
        await asyncio.wait_for(front.ready(), 10)
        async with asked(redis) as client:
            await client.hset("graphwire:cluster", mapping={"secret": "another", "shards": "2"})
        await asyncio.wait_for(worker.taken.wait(), 10)
        await until(lambda: front._directory.secret == "another")
        assert front._directory.shards == 2


async def test_limits_of_a_newer_worker_are_left_alone(worker: Worker, redis: RedisProcess, connect) -> None:
    async with relaying(redis) as front:
        async with asked(redis) as client:
            offer = orjson.loads(await client.hget("graphwire:cluster", "offer"))
            offer["limits"] |= {"max_of_tomorrow": 1, "max_watch_runs": 77}
            await worker._stop()
            await client.hset("graphwire:cluster", "offer", orjson.dumps(offer))
        await until(lambda: front._services.limits.max_watch_runs == 77)
        assert (await connect(front)).frames[0]["limits"]["max_watch_runs"] == 77


async def test_redis_may_forget_what_the_cluster_shares(worker: Worker, redis: RedisProcess, connect) -> None:
    secret = worker._directory.secret
    async with asked(redis) as client:
        await client.delete("graphwire:cluster", "graphwire:workers")
        await poll(lambda: client.hget("graphwire:cluster", "secret"), lambda found: found is not None)
        assert (await client.hget("graphwire:cluster", "secret")).decode() == secret
    async with relaying(redis) as front:
        peer = await connect(front)
        assert (await peer.run("counter", {"count": 1}))["type"] == "started"


async def test_a_directory_remembers_where_runs_are_and_looks_again_when_it_must(
    two: list[Peer], redis: RedisProcess
) -> None:
    await two[0].run("counter", {"count": 1}, run="r", thread="t")
    async with AsyncExitStack() as stack:
        directory = Directory(redis.url)
        stack.push_async_callback(directory.aclose)
        await directory.open()
        await directory.look()
        shard = await directory.runs.shard_of("anonymous", "r", may_remember=True)
        assert shard is not None
        assert await directory.runs.shard_of("bob", "r", may_remember=True) is None
        directory.runs.remember("anonymous", "r", 99)
        assert await directory.runs.shard_of("anonymous", "r", may_remember=True) == 99
        assert await directory.runs.shard_of("anonymous", "r", may_remember=False) == shard
        directory.runs.forget("anonymous", "r")
        assert await directory.runs.shard_of("anonymous", "r", may_remember=True) == shard


# ── runs that are handed over ────────────────────────────────────────────────────────────────────


async def test_a_start_is_noted_until_all_who_begin_it_are_answered(
    worker: Worker, redis: RedisProcess
) -> None:
    directory = Directory(redis.url)
    await directory.look()
    assert await directory.runs.note_start("p", "r", 3) == (3, True)
    assert await directory.runs.note_start("p", "r", 3) == (3, True), "a start that is sent again"
    assert await directory.runs.note_start("p", "r", 0) == (3, False)
    assert await directory.runs.note_start("other", "r", 0) == (0, True)
    async with asked(redis) as client:

        async def starts() -> int:
            return int(await client.hget("graphwire:starting:p/r", "starts") or 0)

        directory.runs.let_go("p", "r", 0)
        directory.runs.let_go("p", "r", 3)
        await poll(starts, lambda count: count == 1)
        assert await directory.runs.note_start("p", "r", 0) == (3, False), "one is still under way"
        directory.runs.let_go("p", "r", 3)
        await poll(starts, lambda count: count == 0)
        assert await directory.runs.note_start("p", "r", 0) == (0, True)
        assert 50_000 < await client.pttl("graphwire:starting:p/r") <= 60_000
        directory.runs.let_go_later("p", "r", 0)
        await poll(lambda: client.pttl("graphwire:starting:p/r"), lambda left: left <= 12_000)
    await directory.aclose()


async def test_a_start_whose_client_left_before_a_home_had_it_blocks_no_other(
    redis: RedisProcess, connect, graphs: dict[str, Any]
) -> None:
    async with relaying(redis) as front, asked(redis) as client:
        async with working(redis, graphs):
            await asyncio.wait_for(front.ready(), 10)
            peer = await connect(front)
        await until(lambda: not front._directory.homes)
        await peer.send({"type": "run", "id": 7, "graph": "counter", "run": "r", "input": {"count": 0}})
        await poll(lambda: client.exists("graphwire:starting:anonymous/r"), bool)
        peer.wire.abort()
        await poll(lambda: client.exists("graphwire:starting:anonymous/r"), lambda found: not found)


async def test_the_threads_of_runs_without_one_are_written_by_whoever_has_the_run(
    redis: RedisProcess, connect
) -> None:
    graphs = {"asker": asker(OURS)}
    async with (
        working(redis, graphs) as one,
        relaying(redis) as front,
        working(redis, graphs, shards=SHARDS // 2) as two,
    ):
        await until(lambda: len(one.homes) == SHARDS // 2)
        await until(lambda: set(front._directory.homes.values()) == _urls(one, two))
        peer = await connect(front)
        for number in range(20):  # of which many have a private thread whose id falls into other shards
            await peer.run("asker", {"topic": "tea"}, run=f"r{number}")
        for number in range(20):
            result = await peer.poll(
                lambda reply: reply.get("status") not in ("queued", "running"),
                type="result",
                run=f"r{number}",
            )
            assert result["status"] == "interrupted", result


def _urls(*workers: Worker) -> set[str]:
    return {home.url for worker in workers for home in worker.homes.values()}


async def test_a_run_that_outlives_its_shard_writes_nothing_though_its_process_has_the_shard_again(
    redis: RedisProcess, connect
) -> None:
    held, calls, ended = threading.Event(), [0], threading.Event()

    def slow(state: dict[str, Any]) -> dict[str, Any]:
        calls[0] += 1
        if calls[0] == 1:
            held.wait(30)
        return {"said": str(calls[0])}

    def outside(state: Said, config: RunnableConfig) -> Said:
        is_first = not calls[0]
        try:
            found: Said = inner.invoke({"said": ""}, config)
            return found
        finally:
            if is_first:
                ended.set()

    inner: Any = OURS.StateGraph(Said).add_node("slow", slow).add_edge(OURS.START, "slow")
    inner = inner.compile(checkpointer=True)
    graph = OURS.StateGraph(Said).add_node("outside", outside).add_edge(OURS.START, "outside").compile()
    shard = index_of("outer/anonymous/t", SHARDS)
    limits = {"cancel_grace_s": 0.2}
    async with working(redis, {"outer": graph}, limits=limits) as worker, relaying(redis) as front:
        await asyncio.wait_for(front.ready(), 10)
        peer = await connect(front)
        await peer.run("outer", {"said": ""}, run="r", thread="t")
        await until(lambda: calls[0])
        home = worker.homes[shard]
        await taken(redis, f"graphwire:{shard}")
        await until(lambda: worker.homes.get(shard) not in (home, None), 20)
        peer = await connect(front)
        await peer.poll(lambda reply: reply.get("status") == "completed", type="result", run="r")
        async with asked(redis) as client:
            before = set(await client.keys("*thread:outer*"))
            held.set()
            await asyncio.to_thread(ended.wait, 20)
            assert set(await client.keys("*thread:outer*")) == before


async def test_a_worker_that_drains_may_be_hurried(
    redis: RedisProcess, connect, graphs: dict[str, Any], gate: Gate
) -> None:
    async with relaying(redis) as front, working(redis, graphs) as worker:
        await asyncio.wait_for(front.ready(), 10)
        peer = await connect(front)
        await peer.run("gated", {"done": 0})
        await until(lambda: gate.reached == 1)
        draining = asyncio.ensure_future(worker.drain(60))
        await until(lambda: any(home._runs.draining for home in worker.homes.values()))
        await asyncio.wait_for(asyncio.gather(worker.drain(0), draining), 10)
        assert not worker.homes


async def test_a_worker_that_stops_hands_its_runs_over_at_their_checkpoints(
    redis: RedisProcess, connect, graphs: dict[str, Any], gate: Gate
) -> None:
    limits = {"max_attempts": 1, "cancel_grace_s": 0.2}  # being handed over is no failure of a run
    async with relaying(redis) as front:
        for attempt in (1, 2):
            async with working(redis, graphs, limits=limits) as worker:
                await asyncio.wait_for(front.ready(), 10)
                peer = await connect(front)
                if attempt == 1:
                    started = await peer.run("gated", {"done": 0}, everything(1), run="r", thread="t")
                    await peer.run("gated", {"done": 0}, run="private")
                else:
                    await peer.ask(type="subscribe", run="r", **everything(1))
                await until(lambda attempt=attempt: gate.reached >= attempt + 1)
                await peer.until(_is_running(attempt))
                await worker.drain(0.05)
                assert not worker.homes
            assert await peer.gone() == 1012
        gate.open()
        async with working(redis, graphs, limits=limits):
            await asyncio.wait_for(front.ready(), 10)
            peer = await connect(front)
            subscribed = await peer.ask(type="subscribe", run="r", **everything(1))
            assert subscribed["epoch"] == started["epoch"]
            *_, closed = await peer.closed(1)
            assert closed["status"] == "completed"
            events = peer.events(1)
            assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
            life = [event for event in events if event["mode"] == "lifecycle"]
            assert [event["data"]["attempt"] for event in life] == [1, 2, 3, 3]
            void = [range(event["data"]["void_after"] + 1, event["seq"]) for event in life[1:3]]
            counted = [
                event["data"]["i"]
                for event in events
                if event["mode"] == "custom" and not any(event["seq"] in each for each in void)
            ]
            assert counted == list(range(6))
            rows = (await peer.ask(type="list", what="runs"))["runs"]
            (private,) = [row for row in rows if row["run"] == "private"]
            assert (private["status"], private["reason"]) == ("cancelled", "shutdown")


def _is_running(attempt: int) -> Any:
    return lambda frame: frame.get("mode") == "lifecycle" and frame["data"]["attempt"] == attempt
