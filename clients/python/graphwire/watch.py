"""What a watch has told and its reader has not taken yet: one row a run and status.

A state that comes again, as after a reconnect, takes the place of the one that still waits, so the queue is
bounded by the runs that match.
"""

import asyncio
from collections.abc import Callable

from graphwire_protocol.frames import RunInfo
from graphwire_protocol.happenings import Delivered
from graphwire_protocol.replies import RunRow, Subscribed

from graphwire.errors import GraphwireError


class WatchFeed:
    """The queue of one watch."""

    def __init__(self, sub: int) -> None:
        self.sub = sub
        self.start: Subscribed | None = None
        self._rows: dict[tuple[str, str], RunRow] = {}
        self._fault: Callable[[], GraphwireError] | None = None
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, delivered: Delivered) -> None:
        """Queue a row."""
        frame = delivered.frame
        if isinstance(frame, RunInfo):
            fields = {name: getattr(frame, name) for name in RunRow.model_fields}
            self._rows.pop((frame.run, frame.status), None)
            self._rows[frame.run, frame.status] = RunRow.model_construct(**fields)
            self._wake.set()

    def fail(self, fault: Callable[[], GraphwireError]) -> None:
        """Nothing more comes: behind what is queued, the reader gets the error that ``fault`` makes."""
        self._fault = fault
        self._wake.set()

    async def take(self) -> RunRow:
        """Return the next row, as soon as there is one."""
        while not self._rows:
            if self._fault is not None:
                raise self._fault()
            self._wake.clear()
            await self._wake.wait()
        return self._rows.pop(next(iter(self._rows)))
