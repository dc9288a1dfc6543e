"""Guessing tokens gets answers slowly; who has the right one is let in at once, from the same address.

About `gateway/graphwire_gateway/connections/wrong_tokens.py` and
`gateway/graphwire_gateway/connections/http.py`.
"""

import asyncio
import time

import pytest
from graphwire_gateway.connections import wrong_tokens

from tests.live.conftest import Connect, Serve
from tests.support.graphs import counter
from tests.support.others import worst_ping_s
from tests.support.wire import Declined, Gone, Wire

pytestmark = pytest.mark.abuse

GUESSERS = 50
SECONDS = 3.0
TOKEN = "the-right-token-of-ann"


async def test_a_guesser_gets_few_answers_and_delays_nobody(
    serve: Serve, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve({"counter": counter()}, tokens={TOKEN: "ann"})
    other = await connect(server, token=TOKEN)
    answers = 0
    end = time.monotonic() + SECONDS

    async def guess(number: int) -> None:
        nonlocal answers
        while time.monotonic() < end:
            wire = await Wire.open(server.port)
            wire.send(b'{"type":"hello","id":1,"token":"guess-%d-%d"}' % (number, answers))
            try:
                await asyncio.wait_for(wire.recv(), max(0.0, end - time.monotonic()))
                answers += 1
            except (Gone, asyncio.TimeoutError):
                pass
            wire.abort()

    async def attack() -> None:
        await asyncio.gather(*(guess(number) for number in range(GUESSERS)))

    async def newcomers() -> float:
        worst = 0.0
        while time.monotonic() < end:
            began = time.perf_counter()
            newcomer = await connect(server, token=TOKEN)
            newcomer.wire.abort()
            worst = max(worst, time.perf_counter() - began)
        return worst

    let_in = asyncio.ensure_future(newcomers())
    worst = await worst_ping_s(other, attack())
    assert answers <= wrong_tokens.FREE + GUESSERS + SECONDS * GUESSERS / wrong_tokens.LONGEST_S
    assert worst < 1
    assert await let_in < 1
    refused = [vars(record)["fields"] for record in caplog.records if "refused a token" in record.message]
    assert len(refused) == 1
    assert refused[0]["reason"] == "the token is not known"
    assert "guess-" not in caplog.text


async def test_a_server_that_closes_does_not_wait_for_refusals(serve: Serve, connect: Connect) -> None:
    server = await serve({"counter": counter()}, tokens={TOKEN: "ann"})
    wires = [await Wire.open(server.port) for _ in range(wrong_tokens.FREE + 30)]
    for wire in wires:
        wire.send(b'{"type":"hello","id":1,"token":"wrong"}')
    await wires[0].recv()
    await asyncio.wait_for(server.drain(0), 2)
    for wire in wires:
        wire.abort()


async def test_a_token_in_the_url_is_refused_before_anything_else(serve: Serve) -> None:
    server = await serve({"counter": counter()}, tokens={TOKEN: "ann"})
    with pytest.raises(Declined) as caught:
        await Wire.open(server.port, path=f"/ws?token={TOKEN}")
    assert caught.value.status == 400
    assert "option token of connect()" in caught.value.body
    page = await Wire.open(
        server.port, path=f"/ws?access_token={TOKEN}", headers=[("Origin", "http://localhost:3000")]
    )
    with pytest.raises(Gone) as gone:
        await page.recv()
    assert gone.value.code == 4401
    assert "option token of connect()" in gone.value.reason
