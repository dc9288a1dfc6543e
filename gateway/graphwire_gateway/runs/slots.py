"""How many runs execute at once in this server; the others wait.

The slots that become free go round among the principals whose runs wait: the one who has the fewest is next,
and of a principal the run that waits longest. So whoever has queued a thousand runs delays those of others
by one.
"""

from collections import Counter

from graphwire_protocol.types import TERMINAL

from graphwire_gateway.runs.run import Run


class Slots:
    """At most ``limit`` slots (``max_server_runs``), taken by running runs."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._running: set[Run] = set()
        self._running_of: Counter[str] = Counter()
        self._waiting: dict[str, dict[Run, None]] = {}
        """Of each principal, in order; dicts, so that any run can leave at once."""

    @property
    def is_closed(self) -> bool:
        """Whether no run starts any more."""
        return self._limit == 0

    def close(self) -> None:
        """Start no more runs: those that would start are queued."""
        self._limit = 0

    def start(self, run: Run) -> None:
        """Start ``run`` if a slot is free; else queue it."""
        if len(self._running) < self._limit:
            self._take(run)
            run.start()
            return
        if not run.is_queued:
            run.queue()
        self._waiting.setdefault(run.principal, {})[run] = None

    def resume(self, run: Run) -> None:
        """Resume ``run``, even if no slot is free: it was admitted once."""
        self._take(run)
        run.resume()

    def take_up(self, run: Run) -> None:
        """Count ``run``, which goes on, even if no slot is free."""
        self._take(run)

    def release(self, run: Run) -> None:
        """Take the slot of ``run``, or its turn to get one, and start the runs that wait."""
        if run in self._running:
            self._running.discard(run)
            self._running_of[run.principal] -= 1
            if not self._running_of[run.principal]:
                del self._running_of[run.principal]
        self._leave(run)
        while self._waiting and len(self._running) < self._limit:
            principal = min(self._waiting, key=lambda principal: self._running_of[principal])
            following = next(iter(self._waiting[principal]))
            self._leave(following)
            if following.status not in TERMINAL:
                self._take(following)
                following.start()

    def _take(self, run: Run) -> None:
        if run not in self._running:
            self._running.add(run)
            self._running_of[run.principal] += 1

    def _leave(self, run: Run) -> None:
        """Let ``run`` wait no more. Its principal is then the last of those that have as many runs."""
        waiting = self._waiting.pop(run.principal, {})
        waiting.pop(run, None)
        if waiting:
            self._waiting[run.principal] = waiting
