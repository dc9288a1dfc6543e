"""Hundreds of subscriptions begin with a snapshot of one long run; others are served meanwhile.

About `gateway/graphwire_gateway/connections/sharing.py`.
"""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from langchain_core.messages import AIMessageChunk

from tests.live.conftest import Connect, Serve
from tests.support.graphs import Stream
from tests.support.others import worst_ping_s
from tests.support.peer import spec

pytestmark = pytest.mark.abuse

DELTAS = 9000
SNAPSHOTS = 400
EACH = 40  # subscriptions of a connection


async def _deltas(input: Any) -> AsyncIterator[tuple[str, Any]]:
    meta = {"langgraph_node": "n"}
    for number in range(DELTAS):
        yield "messages", (AIMessageChunk(content="word ", id=f"m{number % 100}"), meta)


async def test_snapshots_of_one_run_delay_nobody(serve: Serve, connect: Connect) -> None:
    server = await serve({"long": Stream(_deltas)})
    other = await connect(server)
    attackers = [await connect(server) for _ in range(SNAPSHOTS // EACH)]
    await other.run("long", {}, spec(0, "messages", nodes=[]), run="r", record={"modes": ["messages"]})
    await other.closed(0)

    async def attack() -> None:
        for attacker in attackers:
            for sub in range(1, EACH + 1):
                filter = {"modes": ["messages"]}
                await attacker.send(
                    {
                        "type": "subscribe",
                        "id": sub,
                        "sub": sub,
                        "run": "r",
                        "from": "snapshot",
                        "filter": filter,
                    }
                )
        for attacker in attackers:
            for sub in range(1, EACH + 1):
                kinds = [frame["type"] for frame in await attacker.closed(sub)]
                assert kinds == ["subscribed", "snapshot", "synced", "closed"]

    assert await worst_ping_s(other, attack()) < 0.5, (
        "each snapshot folded the whole log before they shared it"
    )
