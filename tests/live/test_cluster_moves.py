"""Shards that change hands while clients ask: workers that stop, that come, and that others have replaced.

About `gateway/graphwire_gateway/cluster/worker.py`, `gateway/graphwire_gateway/cluster/link.py`,
`gateway/graphwire_gateway/cluster/active_runs.py`, `gateway/graphwire_gateway/cluster/directory.py` and
`gateway/graphwire_gateway/cluster/run_places.py`. What is where, and what else stops, is in ``test_cluster``.
"""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphwire_gateway import CannotServe, Gateway
from graphwire_gateway.cluster import link
from graphwire_gateway.cluster import worker as workers
from graphwire_gateway.cluster.active_runs import ActiveRuns
from graphwire_gateway.cluster.directory import Directory
from graphwire_gateway.cluster.link import Link
from graphwire_gateway.cluster.worker import Worker
from graphwire_gateway.connections.listener import Listener
from graphwire_gateway.log.store import StoreAway
from websockets.asyncio.server import ServerConnection, serve

from tests.live.test_cluster import SHARDS, gate, graphs, look_often, relaying, working
from tests.support.graphs import OURS, Gate, counter, talker
from tests.support.redis import RedisProcess
from tests.support.redis_stores import asked
from tests.support.waiting import poll, until

__all__ = ["gate", "graphs", "look_often"]  # fixtures


async def test_a_worker_that_drains_serves_those_who_come_only_now(
    redis: RedisProcess, connect, graphs: dict[str, Any], gate: Gate
) -> None:
    async with working(redis, graphs) as worker, relaying(redis) as front:
        await asyncio.wait_for(front.ready(), 10)
        await (await connect(front)).run("gated", {"done": 0}, run="held")
        await until(lambda: gate.reached)
        async with working(redis, graphs, shards=0) as second:
            draining = asyncio.ensure_future(worker.drain(60))
            await until(lambda: len(second.homes) == SHARDS - 1, 20)
            await asyncio.wait_for(front.ready(), 10)
            for command, reply in (
                ({"type": "result", "run": "held"}, "ok"),
                ({"type": "list", "what": "runs"}, "ok"),
                ({"type": "watch", "sub": 1}, "subscribed"),
            ):
                peer = await connect(front)  # which has no way to the home yet
                answer = await asyncio.wait_for(peer.ask(**command), link.PATIENCE_S / 3)
                assert answer["type"] == reply, answer
            await worker.drain(0)
            await draining


async def test_starts_are_counted_though_a_home_has_not_looked_at_the_counts_of_an_earlier_one(
    redis: RedisProcess, connect, graphs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, go, opened = {"max_active_runs": 4}, asyncio.Event(), ActiveRuns.open

    async def late(active: ActiveRuns) -> None:
        await go.wait()
        await opened(active)

    monkeypatch.setattr(ActiveRuns, "open", late)
    async with (
        asked(redis) as client,
        working(redis, graphs, shards=0, limits=limits) as worker,
        relaying(redis) as front,
    ):
        for shard in range(SHARDS):
            await client.hset(f"graphwire:{shard}:active", mapping={"anonymous": 0, "of an earlier home": 3})
        await asyncio.wait_for(front.ready(), 10)
        peer = await connect(front)
        for number in range(4):
            assert (await peer.run("gated", {"done": 0}, run=f"r{number}"))["type"] == "started"
        go.set()
        await asyncio.wait_for(worker.has_shards(SHARDS), 10)
        await poll(lambda: active_runs(redis), lambda counts: counts == {"anonymous": 4})
        assert (await peer.run("gated", {"done": 0}))["code"] == "limit_exceeded"


async def test_a_home_whose_shard_another_has_counts_no_start_there(
    redis: RedisProcess, graphs: dict[str, Any]
) -> None:
    async with asked(redis) as client, working(redis, graphs) as worker:
        await client.set("graphwire:0:owner", b"{}")
        with pytest.raises(StoreAway, match="another worker"):
            await worker._active[0].active("ann", 1)
        assert not await client.hexists("graphwire:0:active", "ann")


async def active_runs(redis: RedisProcess) -> Counter[str]:
    """Return how many active runs each principal has, as the homes have written it down."""
    counts: Counter[str] = Counter()
    async with asked(redis) as client:
        for shard in range(SHARDS):
            for name, count in (await client.hgetall(f"graphwire:{shard}:active")).items():
                counts[name.decode()] += int(count)
    return counts


@pytest.mark.parametrize("turns", [1, 3, 10, 30])
async def test_a_worker_that_is_hurried_while_it_takes_shards_lets_go_of_them(
    redis: RedisProcess, graphs: dict[str, Any], monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    opening: list[ActiveRuns] = []

    async def never(active: ActiveRuns) -> None:
        opening.append(active)
        await asyncio.Event().wait()

    monkeypatch.setattr(ActiveRuns, "open", never)
    async with asked(redis) as client:
        owners = [f"graphwire:{shard}:owner" for shard in range(SHARDS)]
        async with working(redis, graphs, shards=0) as worker:
            await until(lambda: len(opening) == SHARDS)
            assert await client.exists(*owners) == SHARDS
            draining = asyncio.ensure_future(worker.drain(60))
            for _ in range(turns):
                await asyncio.sleep(0)
            await worker.drain(0)
            await draining
        assert not await client.exists(*owners)


class Looks:
    """How often each worker has looked at the shards, and how often it has given one up."""

    def __init__(self) -> None:
        self.times: Counter[Worker] = Counter()
        self.given_up: Counter[Worker] = Counter()

    async def gives_up_nothing(self, worker: Worker, times: int = 50) -> None:
        until_times, before = self.times[worker] + times, self.given_up[worker]
        await until(lambda: self.times[worker] >= until_times, 20)
        assert self.given_up[worker] == before


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    monkeypatch.setattr(workers, "LEFT_S", 0.3)
    look, end, looks = Worker._look, Worker._end, Looks()

    async def looking(worker: Worker) -> None:
        await look(worker)
        looks.times[worker] += 1

    async def ending(worker: Worker, shard: int) -> None:
        looks.given_up[worker] += 1
        await end(worker, shard)

    monkeypatch.setattr(Worker, "_look", looking)
    monkeypatch.setattr(Worker, "_end", ending)
    return looks


async def test_a_worker_gives_up_nothing_to_those_that_lack_a_graph_and_take_nothing(
    redis: RedisProcess, looks: Looks
) -> None:
    old, new = {"counter": counter()}, {"counter": counter(), "talker": talker(OURS)}
    async with AsyncExitStack() as stack:
        stacks = [await stack.enter_async_context(AsyncExitStack()) for _ in range(3)]
        olds = [await each.enter_async_context(working(redis, old, shards=0)) for each in stacks]
        await until(lambda: sum(len(one.homes) for one in olds) == SHARDS, 20)
        newer = await stack.enter_async_context(working(redis, new, shards=1))
        await until(lambda: sorted(len(one.homes) for one in olds)[1:] == [1, 1], 20)
        last = max(range(3), key=lambda number: len(olds[number].homes))
        for number in {0, 1, 2} - {last}:
            await stacks[number].aclose()
        await until(lambda: (len(newer.homes), newer._workers) == (SHARDS - 1, 1), 20)
        await looks.gives_up_nothing(newer)
        assert len(olds[last].homes) == 1
        await stacks[last].aclose()
        await asyncio.wait_for(newer.has_shards(SHARDS), 20)
        async with working(redis, new, shards=SHARDS // 2):
            assert len(newer.homes) == SHARDS // 2, "they share evenly again"


async def test_a_worker_gives_up_nothing_to_one_that_cannot_listen_and_that_one_says_so(
    redis: RedisProcess,
    graphs: dict[str, Any],
    looks: Looks,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    bind, is_full = Listener.bind, True

    async def binding(listener: Listener, host: str, port: int) -> None:
        if host == "127.0.0.2" and is_full:
            raise CannotServe("no descriptors are left")
        await bind(listener, host, port)

    monkeypatch.setattr(Listener, "bind", binding)
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(working(redis, graphs))
        async with Gateway(graphs, store=redis.url).work("127.0.0.2") as second:
            await until(lambda: "a shard could not be taken" in caplog.text, 20)
            assert "reason='no descriptors are left'" in caplog.text
            await until(lambda: (len(first.homes), first._workers) == (SHARDS, 1), 20)
            await looks.gives_up_nothing(first)
            assert not second.homes
            assert caplog.text.count("a shard could not be taken") <= 8
            is_full = False
            await stack.aclose()
            await asyncio.wait_for(second.has_shards(SHARDS), 20)
            async with working(redis, graphs, shards=SHARDS // 2):
                assert len(second.homes) == SHARDS // 2, "it is one of them again"


@pytest.mark.parametrize("fault", [StoreAway("away"), asyncio.CancelledError()])
async def test_the_note_of_a_start_is_let_go_if_what_follows_it_fails(
    redis: RedisProcess, graphs: dict[str, Any], fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(redis, graphs), asked(redis) as client, AsyncExitStack() as stack:
        directory = Directory(redis.url)
        stack.push_async_callback(directory.aclose)
        await directory.look()
        directory.version = None, None  # as if a group had come

        async def failing() -> None:
            assert await client.hget("graphwire:starting:p/r", "starts") == b"1"
            raise fault

        monkeypatch.setattr(directory, "look", failing)
        with pytest.raises(type(fault)):
            await directory.runs.note_start("p", "r", 1)
        await poll(lambda: client.exists("graphwire:starting:p/r"), lambda found: not found)


GOAWAY, WELCOME = {"type": "goaway"}, {"type": "welcome", "id": 0}


@pytest.mark.parametrize(
    "messages",
    [[WELCOME], [GOAWAY, WELCOME], [[GOAWAY, WELCOME]], [GOAWAY, [GOAWAY, WELCOME]], [[WELCOME, GOAWAY]]],
)
async def test_a_home_may_say_that_it_goes_away_beside_its_welcome(messages: list[Any]) -> None:
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def home(socket: ServerConnection) -> None:
        await socket.recv()
        for message in messages:
            await socket.send(orjson.dumps(message), text=True)
        await got.put(await socket.recv(decode=False))

    async with serve(home, "127.0.0.1", 0, subprotocols=list(link.SUBPROTOCOLS)) as homes:
        port = next(iter(homes.sockets)).getsockname()[1]
        groups = SimpleNamespace(group_at=lambda shard: "")
        url = f"ws://127.0.0.1:{port}/ws"
        known: Any = SimpleNamespace(homes={0: url}, groups=groups, groups_away=(), secret="s")
        way = Link(0, "p", known, _ignore, lambda link, reason: None, pytest.fail)
        way.send("a command")
        assert await asyncio.wait_for(got.get(), link.PATIENCE_S / 3) == b"a command"
        way.close()
        await way.closed()


async def _ignore(link: Link, message: bytes) -> None:
    """Take a message of a home, of which nothing is wanted."""
