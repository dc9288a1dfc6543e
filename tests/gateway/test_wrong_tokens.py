"""A wrong token is refused later and later, and logged; nobody else waits for that.

About `gateway/graphwire_gateway/connections/wrong_tokens.py`.
"""

import asyncio
from typing import Any

import pytest
from graphwire_gateway.connections import wrong_tokens as module
from graphwire_gateway.connections.wrong_tokens import (
    FORGOTTEN_S,
    FREE,
    LONGEST_APART_S,
    LONGEST_S,
    WrongTokens,
    address_of,
)
from graphwire_gateway.telemetry import RateLimitedLogger, logger

PEER = ("192.0.2.7", 4711)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Connection:
    def __init__(self, peer: Any = PEER) -> None:
        self.peer = peer
        self.end = asyncio.Event()

    async def ended(self) -> None:
        await self.end.wait()


def wrong_tokens(clock: Clock) -> WrongTokens:
    return WrongTokens(RateLimitedLogger(logger("test")), clock)


def delays(tokens: WrongTokens, count: int, peer: Any = PEER) -> list[float]:
    return [round(tokens.count(peer, "wrong"), 6) for _ in range(count)]


def test_a_few_refusals_leave_at_once_and_later_ones_further_and_further_apart() -> None:
    tokens = wrong_tokens(Clock())
    assert delays(tokens, FREE) == [0.0] * FREE
    assert delays(tokens, 6) == [0.1, 0.3, 0.7, 1.5, 2.5, 3.5]
    assert delays(tokens, 10)[-1] == LONGEST_S


def test_who_waits_for_each_answer_gets_one_a_second() -> None:
    clock = Clock()
    tokens = wrong_tokens(clock)
    for _ in range(100):
        clock.now += tokens.count(PEER, "wrong")
    assert clock.now - 1000 > (100 - FREE - 5) * LONGEST_APART_S


def test_other_addresses_do_not_wait_and_an_address_is_forgotten() -> None:
    clock = Clock()
    tokens = wrong_tokens(clock)
    delays(tokens, FREE + 1)
    assert delays(tokens, 1, ("192.0.2.8", 1)) == [0.0]
    assert delays(tokens, 1) != [0.0]
    clock.now += FORGOTTEN_S + 1
    assert delays(tokens, FREE) == [0.0] * FREE


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ADDRESSES", 3)
    tokens = wrong_tokens(Clock())
    delays(tokens, FREE + 1)
    for number in range(2):
        delays(tokens, 1, (f"198.51.100.{number}", 1))
    assert delays(tokens, 1) != [0.0], "three addresses are remembered"
    for number in range(3):
        delays(tokens, 1, (f"203.0.113.{number}", 1))
    assert delays(tokens, 1) == [0.0], "of four, the one refused longest ago is not"


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.7", 1), "192.0.2.7"),
        (("2001:db8:1:2:3::7", 1, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        (("::ffff:192.0.2.7", 1, 0, 0), "192.0.2.7"),
        ("", ""),
        (None, ""),
    ],
)
def test_a_peer_s_address_is_its_own_and_of_ipv6_its_network(peer: Any, address: str) -> None:
    assert address_of(peer) == address


def test_refusals_are_logged_now_and_then_with_their_count(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    tokens = wrong_tokens(clock)
    delays(tokens, 50)
    clock.now += 11
    delays(tokens, 50)
    fields = [vars(record)["fields"] for record in caplog.records]
    assert [(each["peer"], each["count"], each["reason"]) for each in fields] == [
        (PEER, 1, "wrong"),
        (PEER, 51, "wrong"),
    ]


async def test_a_refusal_waits_no_longer_than_its_connection_lives() -> None:
    tokens = wrong_tokens(Clock())
    delays(tokens, FREE + 20)
    connection = Connection()
    waiting = asyncio.ensure_future(tokens.slow_down(connection, "wrong"))
    await asyncio.sleep(0)
    assert not waiting.done()
    connection.end.set()
    await asyncio.wait_for(waiting, 1)


async def test_no_refusal_leaves_early_however_many_wait() -> None:
    tokens = wrong_tokens(Clock())
    delays(tokens, FREE + 20)
    waiting = [asyncio.ensure_future(tokens.slow_down(Connection(), "wrong")) for _ in range(600)]
    for _ in range(5):
        await asyncio.sleep(0)
    assert sum(task.done() for task in waiting) == 0
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
