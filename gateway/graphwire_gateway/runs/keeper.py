"""What is to be kept of a run beside its events, in a store that outlives the process."""

from collections.abc import Callable

from graphwire_gateway.log.log import UNCHANGED, Changes, Log
from graphwire_gateway.runs.standing import RunStart


class Keeper:
    """Knows which start the store has of a run, and whether the run's standing is another one than it has.

    ``start`` is None if the store does not outlive the process; then nothing is kept.
    """

    def __init__(self, log: Log, start: RunStart | None) -> None:
        self._log = log
        self._first = start  # until the log is created
        self._start = None if start is None else start.without_input()
        self._new: RunStart | None = None  # which the store does not have yet
        self._has_moved = False
        if start is not None:
            log.expect()

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._start is not None

    def take_up(self, start: RunStart, *, has_ended: bool) -> None:
        """Have what the store has: the log is created, and of a run that has ended no arguments are left."""
        self._first = None
        if has_ended:
            self._start = start

    def take_first(self) -> bytes:
        """Return what the log is created with; call it once."""
        first, self._first = self._first, None
        return b"" if first is None else first.dump()

    def move(self) -> None:
        """Let the store hear that the run stands elsewhere."""
        if self._start is not None and not self._has_moved:
            self._has_moved = True
            self._log.touch()

    def keep(self, less: Callable[[RunStart], RunStart]) -> None:
        """Keep less of the start, with the next standing."""
        if self._start is not None:
            self._start = self._new = less(self._start)

    def changes(self, standing: Callable[[], bytes]) -> Changes:
        """Return what has changed since this was last asked."""
        if self._start is None or not self._has_moved:
            return UNCHANGED
        start, self._new, self._has_moved = self._new, None, False
        return standing(), None if start is None else start.dump()
