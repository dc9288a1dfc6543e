"""Shards that change hands while clients ask: workers that stop, that come, and that others have replaced.

About `gateway/graphwire_gateway/cluster/worker.py`, `gateway/graphwire_gateway/cluster/link.py` and
`gateway/graphwire_gateway/cluster/active_runs.py`. What is where, and what else stops, is in ``test_cluster``.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from graphwire_gateway.cluster import link
from graphwire_gateway.cluster.link import Link
from websockets.asyncio.server import ServerConnection, serve

from tests.live.test_cluster import SHARDS, gate, graphs, look_often, relaying, working
from tests.support.graphs import Gate
from tests.support.redis import RedisProcess
from tests.support.waiting import until

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
