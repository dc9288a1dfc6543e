"""Who writes which thread: one run at a time, the next ones in order, and who asks in it meanwhile.

Pure bookkeeping without I/O; starting, cancelling and ending runs is the caller's.
"""

from collections import deque
from typing import TYPE_CHECKING, Literal, TypeAlias

from graphwire_protocol.errors import Refusal

if TYPE_CHECKING:
    from graphwire_gateway.runs.run import Run

IfBusy: TypeAlias = Literal["reject", "enqueue", "interrupt"]

_BUSY_MS = 1000


class Thread:
    """One thread that is in use.

    ``holder`` writes it: a run that is about to start, runs, or whose code has not stopped yet; or a request
    that updates or deletes it. ``waiting`` are queued for it in order, ``asking`` is the interrupted run that
    a later one supersedes.
    """

    def __init__(self) -> None:
        self.holder: Run | str | None = None
        self.waiting: deque[Run] = deque()
        self.asking: Run | None = None
        self._hasty: set[Run] = set()  # those that wait by ``interrupt``
        self._bold: set[Run] = set()  # those that wait, and supersede who asks

    @property
    def is_idle(self) -> bool:
        """Whether nobody has anything to do with it."""
        return self.holder is None and not self.waiting and self.asking is None

    @property
    def has_run(self) -> bool:
        """Whether a run writes it, or waits to."""
        return bool(self.waiting) or not (self.holder is None or isinstance(self.holder, str))

    @property
    def is_busy(self) -> bool:
        """Whether somebody writes it or waits to."""
        return self.holder is not None or bool(self.waiting)

    def enter(self, run: "Run", if_busy: IfBusy) -> None:
        """Hold the thread, or wait for it; nobody is cancelled yet. Raises ``Refusal(busy)``."""
        if if_busy == "enqueue":
            if self.is_idle:
                self.holder = run
            else:
                self.waiting.append(run)
        elif if_busy == "interrupt" and self.has_run and self.holder is not None:
            self.waiting.appendleft(run)
            self._hasty.add(run)
            self._bold.add(run)
        elif isinstance(self.holder, str) and not self.waiting:
            self.waiting.append(run)  # no run: it is over soon
            self._bold.add(run)
        elif if_busy == "reject" and self.is_busy:
            raise busy()
        else:
            self.holder = run

    def claim(self, run: "Run") -> list["Run"]:
        """Return the runs that ``run`` supersedes, now that it is sure to start."""
        if self.holder is run:
            return [] if self.asking is None else [self.asking]
        if run not in self._hasty:
            return []
        running = [] if self.holder is None or isinstance(self.holder, str) else [self.holder]
        older = list(self.waiting)[self.waiting.index(run) + 1 :]
        return running + [other for other in older if other in self._hasty]

    def pause(self, run: "Run") -> "Run | None":
        """``run`` asks, and writes no more until it is answered; return as ``leave`` does."""
        if self.holder is run:
            self.holder = None
        self.asking = run
        return self._next()

    def check_free(self, run: "Run") -> None:
        """Check that ``run``, which asks, may go on. Raises ``Refusal``."""
        if isinstance(self.holder, str):
            raise busy()
        if self.holder is not None:
            raise Refusal("conflict", f"run {run.id!r} is being superseded by another one on its thread")

    def go_on(self, run: "Run") -> None:
        """``run`` has its answers and writes the thread again."""
        self.asking = None
        self.holder = run

    def leave(self, who: "Run | str") -> "Run | None":
        """``who`` has nothing to do with the thread any more; return the run that holds it now, if new."""
        if self.holder == who:
            self.holder = None
        elif self.asking is who:
            self.asking = None
        elif not isinstance(who, str) and who in self.waiting:
            self.waiting.remove(who)
        if not isinstance(who, str):
            self._hasty.discard(who)
            self._bold.discard(who)
        return self._next()

    def _next(self) -> "Run | None":
        if self.holder is not None or not self.waiting:
            return None
        if self.asking is not None and self.waiting[0] not in self._bold:
            return None
        following = self.holder = self.waiting.popleft()
        self._hasty.discard(following)
        self._bold.discard(following)
        return following


class Threads:
    """The threads in use, by the id that their checkpointer knows."""

    def __init__(self) -> None:
        self._threads: dict[str, Thread] = {}

    def get(self, saved: str) -> Thread:
        """Return the thread, in use or not."""
        thread = self._threads.get(saved)
        if thread is None:
            thread = self._threads[saved] = Thread()
        return thread

    def tidy(self, saved: str) -> None:
        """Forget the thread if nobody has anything to do with it."""
        thread = self._threads.get(saved)
        if thread is not None and thread.is_idle:
            del self._threads[saved]


def busy() -> Refusal:
    """Return the refusal of a thread that has a run."""
    return Refusal(
        "busy",
        "this thread has a run; wait for its end, or say if_busy: enqueue or interrupt",
        after_ms=_BUSY_MS,
    )
