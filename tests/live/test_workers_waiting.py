"""What the commands of workers and gateways wait for, and what ends the waiting.

About `gateway/graphwire_gateway/serve/worker_command.py` and `gateway/graphwire_gateway/serve/command.py`.
What else these commands do is in ``test_workers``.
"""

import signal
from pathlib import Path

import pytest

from tests.live.test_workers import folder, greeted, program
from tests.support.redis import RedisProcess
from tests.support.redis_stores import asked
from tests.support.waiting import poll

__all__ = ["folder"]  # a fixture

pytestmark = pytest.mark.processes

DEADLINE_S = 90.0


@pytest.mark.parametrize("how", ["file", "variable"])
async def test_workers_beside_a_gateway_may_have_a_group(
    folder: Path, redis: RedisProcess, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "file":
        (folder / "graphwire.toml").write_text('[worker]\ngroup = "gpu"\n')
    else:
        monkeypatch.setenv("GRAPHWIRE_WORKER_GROUP", "gpu")
    command = ("serve", "asks=./graphs.py:asks", "--store", redis.url, "--workers", "1", "--port", "0")
    async with program(folder, *command) as server:
        await server.until("Ctrl-C drains")
        async with asked(redis) as client:
            assert await client.hget("graphwire:cluster", "graph:asks") == b"gpu"
        peer = await greeted(server.port)
        assert (await peer.run("asks", {}, run="r"))["type"] == "started"
        await server.end(signal.SIGTERM)


async def test_a_worker_without_shards_ends_too_when_others_have_begun_anew(
    folder: Path, redis: RedisProcess
) -> None:
    command = ("worker", "asks=./graphs.py:asks", "--store", f"{redis.url}?shards=1")
    async with program(folder, *command) as one, asked(redis) as client:
        await one.until("a worker runs asks")
        async with program(folder, *command) as surplus:
            await poll(lambda: client.hlen("graphwire:workers"), lambda count: count == 2, DEADLINE_S)
            await client.hset("graphwire:cluster", "secret", "another")
            for worker in (one, surplus):
                said = await worker.ended(1)
                assert "others have begun anew at the store of this worker, which ends" in said
            assert "a worker runs" not in surplus.text
