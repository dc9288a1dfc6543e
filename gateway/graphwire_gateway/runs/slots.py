"""How many runs execute at once in this server; the others wait in order."""

from graphwire_protocol.types import TERMINAL

from graphwire_gateway.runs.run import Run


class Slots:
    """At most ``limit`` slots (``max_server_runs``), taken by running runs."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: set[Run] = set()
        self._waiting: dict[Run, None] = {}  # in order; a dict, so that any of them can leave at once

    def start(self, run: Run) -> None:
        """Start ``run`` if a slot is free; else queue it."""
        if len(self._running) < self._limit:
            self._running.add(run)
            run.start()
            return
        if not run.is_queued:
            run.queue()
        self._waiting[run] = None

    def resume(self, run: Run) -> None:
        """Resume ``run``, even if no slot is free: it was admitted once."""
        self._running.add(run)
        run.resume()

    def release(self, run: Run) -> None:
        """Take the slot of ``run``, or its turn to get one, and start the runs that wait."""
        self._running.discard(run)
        self._waiting.pop(run, None)
        while self._waiting and len(self._running) < self._limit:
            following = next(iter(self._waiting))
            del self._waiting[following]
            if following.status not in TERMINAL:
                self._running.add(following)
                following.start()
