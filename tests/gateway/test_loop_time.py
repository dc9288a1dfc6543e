"""About `gateway/graphwire_gateway/connections/loop_time.py`.

The clock stands still but for the work, which says how long it takes.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from graphwire_gateway.connections.loop_time import FAR_TOO_LONG_S, TURN_S, LoopTime

from tests.support.steps import lines_of
from tests.support.waiting import settle


class Loop:
    """Connections that work as soon as they may. ``done`` has who worked, in order, and in which turn."""

    def __init__(self) -> None:
        self.now = 0.0
        self.time = LoopTime(lambda: self.now)
        self.turn = 0
        self.done: list[tuple[str, int]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def work(
        self,
        principal: str,
        seconds: float,
        connections: int = 1,
        times: int = 1,
        *,
        name: str = "",
        writes: bool = False,
    ) -> None:
        """Let connections of a principal do several pieces of work, each of them as long as the others.
        ``done`` has them by the name, or else by the principal. Who writes waits a turn behind each piece.
        """

        async def connection() -> None:
            for _ in range(times):
                await self.time.wait(principal)
                self.done.append((name or principal, self.turn))
                self.now += seconds
                self.time.done()
                if writes:
                    await asyncio.sleep(0)

        self.tasks += [asyncio.ensure_future(connection()) for _ in range(connections)]

    async def until(self, is_reached: Callable[[], Any]) -> None:
        while not is_reached():
            self.turn += 1
            await asyncio.sleep(0)

    async def all_done(self) -> None:
        await self.until(lambda: all(task.done() for task in self.tasks))

    def turns_of(self, principal: str) -> list[int]:
        return [turn for who, turn in self.done if who == principal]


@pytest.fixture
def loop() -> Any:
    return Loop()


async def test_within_the_time_of_a_turn_nobody_waits(loop) -> None:
    loop.work("p", TURN_S / 20, connections=10)
    loop.work("q", TURN_S / 40, times=15)
    await loop.all_done()
    assert {turn for _, turn in loop.done} == {1}


async def test_a_turn_begins_no_more_work_when_its_time_is_over(loop) -> None:
    loop.work("p", TURN_S, connections=10)
    await loop.all_done()
    turns = loop.turns_of("p")
    assert len(set(turns)) == 10, "one in each"
    assert turns[-1] <= 25


async def test_a_thousand_connections_of_one_principal_delay_another_by_one_piece_of_work(loop) -> None:
    loop.work("many", TURN_S, connections=1000)
    await settle()
    before = len(loop.turns_of("many"))
    loop.work("few", TURN_S / 50)
    await loop.until(lambda: loop.turns_of("few"))
    assert len(loop.turns_of("many")) <= before + 1
    for task in loop.tasks:
        task.cancel()


async def test_principals_share_the_time_and_not_the_pieces_of_work(loop) -> None:
    loop.work("heavy", TURN_S, connections=50)
    loop.work("light", TURN_S / 20, times=100)
    await loop.all_done()
    last = max(index for index, (who, _) in enumerate(loop.done) if who == "light")
    assert 3 <= sum(who == "heavy" for who, _ in loop.done[:last]) <= 8, "the light work takes five turns"


async def test_nobody_saves_up_time_while_they_do_nothing(loop) -> None:
    loop.work("first", TURN_S, connections=60)
    loop.work("second", TURN_S, connections=60)
    await loop.until(lambda: len(loop.done) == 60)
    loop.work("late", TURN_S, connections=20)
    seen = len(loop.done)
    await loop.all_done()
    assert {who for who, _ in loop.done[seen : seen + 9]} == {"first", "second", "late"}


async def test_nobody_who_arrives_meanwhile_is_before_one_who_was_called_up(loop) -> None:
    loop.work("many", TURN_S)
    await settle()
    loop.work("many", TURN_S, connections=3)
    loop.work("few", TURN_S / 50)
    await asyncio.sleep(0)
    loop.time._end_turn()  # calls "few" up, which begins in the next turn
    assert not loop.time._begins("many", is_called=False)
    await loop.all_done()


async def test_who_comes_now_and_then_is_ahead_of_those_who_work_without_a_pause(loop) -> None:
    loop.work("many", TURN_S, connections=1000)
    await settle()
    waited = []
    for _ in range(20):
        before, done = loop.turn, len(loop.turns_of("few"))
        loop.work("few", TURN_S / 50, times=3)
        await loop.until(lambda done=done: len(loop.turns_of("few")) == done + 3)
        waited.append(loop.turn - before)
        await loop.until(lambda before=before: loop.turn >= before + 10)
    assert max(waited) <= 2, "each piece of its work would wait for a turn of the others"
    for task in loop.tasks:
        task.cancel()


@pytest.mark.parametrize("waiting", [10, 1000])
async def test_who_comes_now_and_then_is_not_compared_with_all_who_wait(loop, waiting: int) -> None:
    for number in range(waiting):
        loop.work(f"p{number}", TURN_S)
    await settle()
    loop.time._least = 1.0
    assert lines_of(lambda: loop.time._is_first("new")) < 10
    for task in loop.tasks:
        task.cancel()


async def test_pieces_of_one_principal_begin_in_the_order_in_which_they_came(loop) -> None:
    names = [f"connection {number}" for number in range(50)]
    for name in names:
        loop.work("p", TURN_S / 100 if name < "connection 3" else TURN_S, name=name)
    await loop.all_done()
    assert [who for who, _ in loop.done] == names, "many are called up behind short pieces, and then refused"


async def test_a_delivery_without_a_pause_does_not_pass_a_request_of_the_same_principal(loop) -> None:
    loop.work("p", TURN_S, times=1000, name="delivery", writes=True)
    await settle()
    loop.work("p", TURN_S / 50, name="request")
    before = len(loop.done)
    await loop.until(lambda: loop.turns_of("request") or loop.tasks[0].done())
    assert [who for who, _ in loop.done].index("request") <= before + 2
    for task in loop.tasks:
        task.cancel()


async def test_a_piece_that_comes_does_not_pass_one_of_its_principal_that_was_called_up(loop) -> None:
    loop.work("p", TURN_S, name="first")
    await settle()
    loop.work("p", TURN_S, name="second")
    loop.work("p", TURN_S / 50, name="third")
    await asyncio.sleep(0)
    loop.time._end_turn()  # calls "third" up, which begins in the next turn
    assert not loop.time._begins("p", is_called=False)
    await loop.all_done()
    assert [who for who, _ in loop.done] == ["first", "second", "third"]


async def test_time_in_which_the_thread_does_nothing_is_not_charged() -> None:
    time = LoopTime()
    await time.wait("p")
    threading.Event().wait(2 * FAR_TOO_LONG_S)
    time.done()
    assert time._rests == 0, "a piece of work that takes far too long would be followed by a rest"


async def test_work_that_takes_a_moment_is_called_up_in_growing_numbers(loop) -> None:
    loop.work("p", TURN_S, connections=1)
    loop.work("p", TURN_S / 1000, connections=1000)
    await loop.all_done()
    assert max(loop.turns_of("p")) < 30


async def test_a_connection_that_is_gone_holds_up_nobody(loop) -> None:
    loop.work("p", TURN_S, connections=4)
    await asyncio.sleep(0)
    for task in loop.tasks[1:3]:
        task.cancel()
    await settle()
    assert [who for who, _ in loop.done] == ["p", "p"]


async def test_what_arrives_soon_after_a_piece_that_took_far_too_long_is_next(loop) -> None:
    loop.work("p", 2 * FAR_TOO_LONG_S, connections=3)
    await loop.until(lambda: loop.done)
    for _ in range(2):
        await asyncio.sleep(0)  # until it is read, for example
    loop.work("q", TURN_S / 10)
    await loop.all_done()
    assert [who for who, _ in loop.done] == ["p", "q", "p", "p"]


async def test_no_rest_is_behind_a_large_batch_for_a_client(loop) -> None:
    loop.work("p", FAR_TOO_LONG_S * 0.9, connections=10)
    await loop.all_done()
    turns = loop.turns_of("p")
    assert turns[-1] <= 25


async def test_one_that_is_alone_goes_on_behind_each_of_its_long_pieces(loop) -> None:
    loop.work("p", 2 * FAR_TOO_LONG_S, connections=2, times=3)
    await loop.all_done()
    assert len(loop.done) == 6
