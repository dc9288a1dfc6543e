"""Connections that read nothing, say nothing, have vanished or are too many.

About `gateway/graphwire_gateway/connections/connection.py`,
`gateway/graphwire_gateway/connections/open_connections.py`,
`gateway/graphwire_gateway/connections/loop_time.py`, `gateway/graphwire_gateway/connections/http.py` and
`gateway/graphwire_gateway/connections/auth.py`.
"""

import asyncio
import time
from typing import Any

import pytest
from graphwire_gateway.connections.http import Handshake
from graphwire_gateway.connections.loop_time import TURN_S
from graphwire_protocol.server import ServerSession

from tests.live.conftest import Connect, Serve
from tests.support.attacks.connections import CONNECTIONS
from tests.support.attacks.figures import holds
from tests.support.attacks.frames import FRAMES
from tests.support.graphs import counter

pytestmark = pytest.mark.abuse


@pytest.mark.parametrize("name", ["stalled readers", "idle connections", "all descriptors"])
async def test_connections_that_say_nothing_cost_little(name: str) -> None:
    await holds(CONNECTIONS[name])


@pytest.mark.parametrize("name", ["a crowd that lists", "a crowd that runs"])
async def test_a_crowd_of_one_principal_holds_up_nobody_else(name: str) -> None:
    await holds(CONNECTIONS[name])


async def test_those_who_come_again_replace_those_who_have_vanished() -> None:
    figures = await holds(CONNECTIONS["a herd that vanished"])
    assert figures.report["last_in_s"] < 10


async def test_a_page_whose_origin_only_looks_local_is_not_admitted() -> None:
    assert (await holds(FRAMES["odd origins"])).report == {"admitted": []}


CROWD = 40


def slowed(monkeypatch: pytest.MonkeyPatch, owner: type, method: str) -> list[int]:
    """Let a method of the server compute for a turn's time; return how often it was called, by turn."""
    turns = [0]
    original = getattr(owner, method)

    def call(*args: Any) -> Any:
        if not turns[-1]:
            asyncio.get_running_loop().call_soon(turns.append, 0)
        turns[-1] += 1
        end = time.thread_time() + TURN_S
        while time.thread_time() < end:
            pass
        return original(*args)

    monkeypatch.setattr(owner, method, call)
    return turns


@pytest.mark.parametrize(
    ("owner", "method"), [(Handshake, "__call__"), (ServerSession, "receive")], ids=["handshakes", "hellos"]
)
async def test_those_who_come_at_once_are_let_in_a_few_in_a_turn(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch, owner: type, method: str
) -> None:
    server = await serve({"counter": counter()})
    turns = slowed(monkeypatch, owner, method)
    peers = await asyncio.gather(*(connect(server, hello=False) for _ in range(CROWD)))
    for peer in peers:
        await peer.send({"type": "hello", "id": 1})
    for peer in peers:
        assert (await peer.next())["type"] == "welcome"
    assert sum(turns) == CROWD
    assert max(turns) <= 2, "what began in one turn may end in the next"
