"""The rows that one watch delivered and its reader has not taken yet, at most one for a run and status.

A row that comes again, as after a reconnect, replaces the one that is still queued. So the queue is bounded
by the number of matching runs.
"""

import asyncio
from collections.abc import Callable

from graphwire_protocol.frames import RunInfo
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.replies import RunRow, Subscribed

from graphwire.errors import GraphwireError


class WatchQueue:
    """The queue of one watch."""

    def __init__(self, sub: int) -> None:
        self.sub = sub
        self.start: Subscribed | None = None
        self._rows: dict[tuple[str, str], RunRow] = {}
        self._make_error: Callable[[], GraphwireError] | None = None
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, delivered: Delivered) -> None:
        """Add the row of a ``run_info`` frame; other frames are ignored."""
        frame = delivered.frame
        if isinstance(frame, RunInfo):
            fields = {name: getattr(frame, name) for name in RunRow.model_fields}
            self._rows.pop((frame.run, frame.status), None)
            self._rows[frame.run, frame.status] = RunRow.model_construct(**fields)
            self._wake.set()

    def fail(self, make_error: Callable[[], GraphwireError]) -> None:
        """End the queue: after what is queued, the reader gets the error that ``make_error`` makes."""
        self._make_error = make_error
        self._wake.set()

    async def take(self) -> RunRow:
        """Wait for the next row and return it."""
        while not self._rows:
            if self._make_error is not None:
                raise self._make_error()
            self._wake.clear()
            await self._wake.wait()
        return self._rows.pop(next(iter(self._rows)))
