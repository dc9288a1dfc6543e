"""The frames that one subscription delivered and its reader has not taken yet.

Credit bounds the queue: the server sends no more events than the window of the subscription.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from graphwire_protocol.happenings import Delivered
from graphwire_protocol.replies import Subscribed

from graphwire.errors import GraphwireError
from graphwire.run_tracker import RunTracker


class EventQueue:
    """The queue of one subscription."""

    def __init__(self, sub: int, tracker: RunTracker) -> None:
        self.sub = sub
        self.tracker = tracker
        self.start: Subscribed | None = None
        """The reply to the first ``subscribe``, once it has come: the log's epoch and head, and where it
        starts.
        """
        self.reader: object = None
        self._queue: deque[Delivered] = deque()
        self._make_error: Callable[[], GraphwireError] | None = None
        self._waiter: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def put(self, delivered: Delivered) -> None:
        """Add a frame, and update the run's tracker from it."""
        self.tracker.update(delivered)
        self._queue.append(delivered)
        self._wake()

    def fail(self, make_error: Callable[[], GraphwireError]) -> None:
        """End the queue: after what is queued, the reader gets the error that ``make_error`` makes."""
        self._make_error = make_error
        self._wake()

    async def take(self, reader: object) -> Delivered | None:
        """Wait for the next frame and return it. A wait that is cancelled loses none.

        Returns ``None`` once ``reader`` is no longer the one that ``read_by()`` named.
        """
        while self.reader is reader:
            if self._queue:
                return self._queue.popleft()
            if self._make_error is not None:
                raise self._make_error()
            self._waiter = waiter = asyncio.get_running_loop().create_future()
            await waiter
        return None

    def read_by(self, reader: object) -> None:
        """Let ``reader`` take the frames from here on; any other reader's ``take()`` returns ``None``."""
        self.reader = reader
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
