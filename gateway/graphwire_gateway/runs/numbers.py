"""The numbers of a thread's runs: 1, 2, 3 … in the order in which they begin to execute.

They let a client tell whether it has seen every run of a thread, and whose end a thread's state is. A
numbering lives as long as a run of its thread is known, across processes if the store keeps the run; then
another begins, with an id of its own.
"""

import os
from dataclasses import dataclass, field
from weakref import WeakValueDictionary


@dataclass(eq=False)
class Numbering:
    """The numbering of one thread's runs. Each run of the thread holds it, and so keeps it alive."""

    epoch: str = field(default_factory=lambda: os.urandom(6).hex())
    last: int = 0
    """The number of the latest run that has begun; 0 before the first."""

    def next(self) -> int:
        """Return the number of a run that begins now."""
        self.last += 1
        return self.last

    def go_on(self, epoch: str, last: int) -> None:
        """Go on behind ``last`` of the numbering that an earlier process had."""
        if last > self.last:
            self.epoch, self.last = epoch, last


class Numberings:
    """The numberings of all threads with known runs, by the thread's id in its checkpointer."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, Numbering] = WeakValueDictionary()

    def of(self, saved: str) -> Numbering:
        """Return the thread's numbering; a new one if no run holds one."""
        numbering = self._known.get(saved)
        if numbering is None:
            numbering = self._known[saved] = Numbering()
        return numbering

    def find(self, saved: str) -> Numbering | None:
        """Return the thread's numbering; None if no run of the thread has begun, as far as is known."""
        numbering = self._known.get(saved)
        return numbering if numbering is not None and numbering.last else None
