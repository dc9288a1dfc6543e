"""Which runs there are, of each principal in their order. Nothing here costs more for the runs of others."""

import asyncio
from collections.abc import Collection, Iterable
from typing import TypeVar

from graphwire_gateway.runs.run import Run

_T = TypeVar("_T")


class Registry:
    """The runs of all principals, by key; and which of them have ended, in the order of their ends."""

    def __init__(self) -> None:
        self._runs: dict[str, Run] = {}
        self._of: dict[str, dict[str, Run]] = {}
        self._ended: dict[str, dict[str, asyncio.TimerHandle]] = {}  # each forgets its run

    def get(self, key: str) -> Run | None:
        """Return the run; None if there is none."""
        return self._runs.get(key)

    def holds(self, run: Run) -> bool:
        """Tell whether the run is here; another one may have its key meanwhile."""
        return self._runs.get(run.key) is run

    def of(self, principal: str) -> Iterable[Run]:
        """Return the runs of a principal, newest first."""
        return reversed(self._of.get(principal, {}).values())

    def all(self) -> Collection[Run]:
        """Return all runs."""
        return self._runs.values()

    def unfinished(self) -> list[Run]:
        """Return all runs that have not ended."""
        return [run for run in self._runs.values() if not self.is_ended(run)]

    def add(self, run: Run) -> None:
        """Add a run."""
        self._runs[run.key] = run
        self._of.setdefault(run.principal, {})[run.key] = run

    def remove(self, run: Run) -> bool:
        """Remove a run that is here; tell whether it had ended."""
        del self._runs[run.key]
        _remove(self._of, run)
        timer = _remove(self._ended, run)
        if timer is not None:
            timer.cancel()
        return timer is not None

    # ── those that have ended ────────────────────────────────────────────────────────────────────

    def end(self, run: Run, forget: asyncio.TimerHandle) -> None:
        """Note that a run has ended, and the timer that forgets it."""
        self._ended.setdefault(run.principal, {})[run.key] = forget

    def is_ended(self, run: Run) -> bool:
        """Tell whether a run that is here has ended."""
        return run.key in self._ended.get(run.principal, ())

    def with_ended(self) -> Collection[str]:
        """Return the principals of whom runs are here that have ended."""
        return self._ended.keys()

    def first_ended(self, principal: str) -> Run:
        """Return, of the principal's runs that have ended, the one that ended first."""
        return self._runs[next(iter(self._ended[principal]))]

    def stop_timers(self) -> None:
        """Forget no run any more."""
        for timers in self._ended.values():
            for timer in timers.values():
                timer.cancel()


def _remove(of: dict[str, dict[str, _T]], run: Run) -> _T | None:
    runs = of.get(run.principal, {})
    removed = runs.pop(run.key, None)
    if not runs:
        of.pop(run.principal, None)
    return removed
