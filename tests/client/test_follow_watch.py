"""About `clients/python/graphwire/follow_watch.py`: when a thread's state can be compared with its rows."""

import asyncio
from typing import Any

from graphwire.follow_order import RunOrder
from graphwire.follow_watch import ThreadWatch
from graphwire_protocol.frames import RunGone, Synced
from graphwire_protocol.happenings import Delivered

from tests.support.waiting import settle


class Line:
    """A watch of a thread, on a connection that is lost and made again."""

    def __init__(self) -> None:
        self.connection = 1
        self.watch = ThreadWatch(1, RunOrder(), lambda: self.connection)
        self.reply: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def say(self, frame: Any) -> None:
        self.watch.put(Delivered(1, frame))

    def compare(self) -> "asyncio.Task[str]":
        return asyncio.ensure_future(self.watch.compare(lambda: self.reply))


SYNCED = Synced(sub=1)


async def test_a_state_that_comes_behind_the_rows_is_compared_at_once() -> None:
    line = Line()
    line.say(SYNCED)
    assert not line.watch.is_current
    line.reply.set_result("state")
    assert await line.compare() == "state"
    assert line.watch.is_current


async def test_a_state_that_comes_before_the_rows_of_its_connection_waits_for_them() -> None:
    line = Line()
    line.say(SYNCED)
    comparing = line.compare()
    await settle()
    line.connection = 2  # the request is sent again, and answered before the rows are complete
    line.reply.set_result("state")
    await settle()
    assert not comparing.done()
    line.say(SYNCED)
    assert await comparing == "state"
    assert line.watch.is_current, "it is not asked for once more"


async def test_a_state_of_an_earlier_connection_has_to_be_read_again() -> None:
    line = Line()
    line.say(SYNCED)
    line.reply.set_result("state")
    await line.compare()
    line.connection = 2
    assert not line.watch.is_current
    line.say(SYNCED)
    assert not line.watch.is_current


async def test_a_deletion_while_the_state_is_read_has_it_read_again() -> None:
    line = Line()
    line.say(SYNCED)
    comparing = line.compare()
    await settle()
    line.say(RunGone(sub=1, run="r", reason="deleted"))
    line.reply.set_result("state")
    await comparing
    assert not line.watch.is_current
