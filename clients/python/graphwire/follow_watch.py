"""The watch of one thread's runs: keeps a ``RunOrder`` up to date across reconnects, and queues nothing."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from graphwire_protocol.frames import RunGone, RunInfo, Synced
from graphwire_protocol.happenings import Delivered

from graphwire.errors import GraphwireError
from graphwire.follow_order import RunOrder
from graphwire.watch_queue import WatchQueue

_State = TypeVar("_State")


class ThreadWatch(WatchQueue):
    """The frames of a watch, each taken into account as it comes. ``connection()`` numbers the connections.

    After a reconnect the server sends all rows again; until they are complete, ``is_synced`` is false.
    """

    def __init__(self, sub: int, order: RunOrder, connection: Callable[[], int]) -> None:
        super().__init__(sub)
        self._order = order
        self._connection = connection
        self._began_on = self._synced_on = self._deleted = 0
        self._compared = (
            0,
            0,
        )  # the connection of the last state, and ``_deleted`` then
        self._error: Callable[[], GraphwireError] | None = None
        self._changed = asyncio.Event()

    @property
    def is_synced(self) -> bool:
        """Whether all runs that the server knows are known here."""
        return self._synced_on == self._connection()

    @property
    def is_current(self) -> bool:
        """Whether nothing can have been missed: the rows are complete, and the state was read since."""
        return self.is_synced and self._compared == (self._synced_on, self._deleted)

    async def compare(self, read: Callable[[], Awaitable[_State]]) -> _State:
        """Return the thread's state that ``read`` asks for, once the rows to compare it with are complete.

        A request that was sent before a cut is sent again, and its reply may come before the rows of the new
        connection. It counts for the connection that brings it. Otherwise a line that is cut often would ask
        for one state after the other. Raises why the watch has ended.
        """
        deleted = self._deleted
        state = await read()
        self._compared = (self._connection(), deleted)
        while not self.is_synced:
            await self.change()
        return state

    def begin_list(self) -> None:
        """The connection is lost; the first frame of the next one begins the list."""

    def put(self, delivered: Delivered) -> None:
        """Take a frame into account; a frame of another type says nothing here."""
        if self._began_on != self._connection():
            self._began_on = self._connection()
            self._order.begin_list()
        match delivered.frame:
            case RunInfo() as row:
                self._order.add(row)
            case RunGone(reason="deleted"):
                self._deleted += 1  # its thread may be deleted with it
            case Synced(cut=cut):
                self._order.end_list(is_cut=bool(cut))
                self._synced_on = self._began_on
        self._changed.set()

    def fail(self, make_error: Callable[[], GraphwireError]) -> None:
        """End the watch: whoever waits gets the error that ``make_error`` makes."""
        self._error = make_error
        self._changed.set()

    async def change(self) -> None:
        """Wait for the next frame. Raises why the watch has ended."""
        if self._error is not None:
            raise self._error()
        self._changed.clear()
        await self._changed.wait()
        if self._error is not None:
            raise self._error()
