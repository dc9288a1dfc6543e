"""About `gateway/graphwire_gateway/connections/intake.py`: what one turn takes in from all peers."""

import asyncio

from graphwire_gateway.connections.intake import Intake

from tests.support.waiting import settle

KIB = 1 << 10


async def turns(resting: int, chunk: int) -> list[int]:
    """Let peers rest that were read last; return how many are read in each turn, each of them once."""
    intake, read, counts = Intake(), 0, []

    def resume() -> None:
        nonlocal read
        read += 1
        intake.takes(chunk)

    for _ in range(resting):
        intake.takes(chunk)
        intake.rest(resume)
    while read < resting:
        before = read
        await asyncio.sleep(0)
        counts.append(read - before)
    return counts


async def test_a_turn_takes_a_megabyte_of_what_is_large() -> None:
    intake = Intake()
    assert [intake.takes(256 * KIB) for _ in range(5)] == [True, True, True, False, False]


async def test_the_next_turn_takes_as_much_again() -> None:
    intake = Intake()
    for _ in range(5):
        intake.takes(256 * KIB)
    await asyncio.sleep(0)
    assert intake.takes(256 * KIB)


async def test_what_is_small_never_rests() -> None:
    intake = Intake()
    assert all(intake.takes(8 * KIB) for _ in range(1000))
    intake.takes(2048 * KIB)
    assert intake.takes(8 * KIB)


async def test_each_turn_takes_up_a_few_of_those_that_rest() -> None:
    counts = await turns(20, 256 * KIB)
    assert sum(counts) == 20
    assert max(counts) == 4


async def test_they_are_taken_up_in_the_order_in_which_they_stopped() -> None:
    intake, read = Intake(), []
    for number in range(9):
        intake.takes(1024 * KIB)
        intake.rest(lambda number=number: read.append(number))
    await settle()
    assert read == list(range(9))
