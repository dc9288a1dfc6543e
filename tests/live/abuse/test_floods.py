"""Frames that come faster than a connection may send them are read no faster than that.

About `protocol/graphwire_protocol/server.py` and `gateway/graphwire_gateway/connections/connection.py`.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from graphwire_gateway.runs.runs import Runs
from graphwire_protocol.server import ServerSession

from tests.live.conftest import Connect, Serve
from tests.support.attacks.figures import holds
from tests.support.attacks.frames import FRAMES
from tests.support.graphs import counter
from tests.support.waiting import until
from tests.support.wire import packed

pytestmark = pytest.mark.abuse

RATE, BURST = 20, 20
FLOOD = 20_000


@pytest.mark.parametrize("name", ["a flood of credit", "a flood of lists"])
async def test_a_flood_holds_up_nobody_else(name: str) -> None:
    await holds(FRAMES[name])


def counted(monkeypatch: pytest.MonkeyPatch, owner: type, method: str) -> list[float]:
    """Count the calls of a method of the server: the list that is returned gets the time of each."""
    calls: list[float] = []
    original: Callable[..., Any] = getattr(owner, method)

    def call(*args: Any) -> Any:
        calls.append(time.monotonic())
        return original(*args)

    monkeypatch.setattr(owner, method, call)
    return calls


@pytest.mark.parametrize(
    ("frame", "times", "answers"),
    [(b'{"type":"list","id":7,"what":"runs"}', 1, 2), (b'{"type":"credit","sub":1,"events":1}', 10, 1)],
    ids=["lists", "credit"],
)
async def test_a_flood_is_read_at_the_rate_that_its_connection_may_have(
    serve: Serve,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    frame: bytes,
    times: int,
    answers: int,
) -> None:
    """``times`` so many frames may come as requests; ``answers`` of them are read for each that is due."""
    server = await serve({"counter": counter()}, limits={"requests_per_s": RATE, "request_burst": BURST})
    peer = await connect(server)
    read, made = counted(monkeypatch, ServerSession, "receive"), counted(monkeypatch, Runs, "page")
    flood = asyncio.ensure_future(_send(peer, packed(frame) * FLOOD))
    await until(lambda: len(read) > 2 * BURST * times)
    flood.cancel()
    seconds = read[-1] - read[0]
    due = BURST * times + RATE * times * seconds
    assert len(read) <= answers * due + 2, (
        "each one that is due, and each that is refused, is followed by a wait"
    )
    assert len(made) <= due + 1
    peer.wire.abort()


async def _send(peer: Any, data: bytes) -> None:
    peer.wire.raw(data)
    await peer.wire.drain()
