"""About `gateway/graphwire_gateway/runs/restoring.py`: large values of clients hold up nobody."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from graphwire_gateway.runs.restoring import Restoring

from tests.support.waiting import until

LARGE, SMALL = 1 << 20, 1000


class Held:
    """Work that a thread does until the test lets it go."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.goes = threading.Event()

    def of(self, number: int) -> Callable[[], int]:
        def work() -> int:
            self.began.append(number)
            assert self.goes.wait(20)
            return number

        return work


async def test_what_is_small_is_done_at_once_and_on_the_loop() -> None:
    restoring = Restoring().run("p", SMALL, threading.get_ident)
    assert await restoring == threading.get_ident()


async def test_the_loop_goes_on_while_something_large_is_restored() -> None:
    held = Held()
    asked = asyncio.ensure_future(Restoring().run("p", LARGE, held.of(1)))
    await until(lambda: bool(held.began))
    assert not asked.done()
    held.goes.set()
    assert await asked == 1


async def test_a_principal_has_one_thread_and_waits_for_no_other() -> None:
    restoring, held = Restoring(), Held()
    asked = [
        asyncio.ensure_future(restoring.run(principal, LARGE, held.of(number)))
        for number, principal in enumerate(["p", "p", "q"])
    ]
    await until(lambda: len(held.began) == 2)
    assert sorted(held.began) == [0, 2]
    assert await restoring.run("p", SMALL, lambda: 3) == 3, "a small one waits for nothing"
    held.goes.set()
    assert await asyncio.gather(*asked) == [0, 1, 2]


async def test_nothing_is_kept_of_a_principal() -> None:
    restoring = Restoring()
    assert await restoring.run("p", LARGE, lambda: 1) == 1
    assert not restoring._locks


async def test_an_error_is_the_callers() -> None:
    restoring = Restoring()

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await restoring.run("p", LARGE, fails)
