"""The events that one subscription delivered and its reader has not taken yet.

Credit bounds the queue: the server sends no more than the window that the subscription was opened with.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from graphwire_protocol.client import Delivered
from graphwire_protocol.replies import Subscribed

from graphwire.errors import GraphwireError
from graphwire.run_tracker import RunTracker


class EventQueue:
    """The queue of one subscription."""

    def __init__(self, sub: int, tracker: RunTracker) -> None:
        self.sub = sub
        self.tracker = tracker
        self.start: Subscribed | None = None
        """How the first attachment began, once that is told."""
        self.reader: object = None
        self._queue: deque[Delivered] = deque()
        self._fault: Callable[[], GraphwireError] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, delivered: Delivered) -> None:
        """Queue a frame."""
        self.tracker.hear(delivered)
        self._queue.append(delivered)
        self._wake()

    def fail(self, fault: Callable[[], GraphwireError]) -> None:
        """Nothing more comes: behind what is queued, the reader gets the error that ``fault`` makes."""
        self._fault = fault
        self._wake()

    async def take(self, reader: object) -> Delivered | None:
        """Return the next frame, as soon as there is one. Loses none when it is cancelled.

        Returns ``None`` once ``reader`` is not the one that ``read_by`` named last.
        """
        while self.reader is reader:
            if self._queue:
                return self._queue.popleft()
            if self._fault is not None:
                raise self._fault()
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            await waiter
        return None

    def read_by(self, reader: object) -> None:
        """Make ``reader`` the one that takes."""
        self.reader = reader
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
