"""Which run writes which thread: one at a time, and the order of those that wait.

Pure bookkeeping without I/O. ``Runs`` starts and cancels the runs. ``states`` reads and edits the threads,
and ``listing`` lists them.
"""

from collections import deque
from typing import Literal, TypeAlias

from graphwire_protocol.errors import Refusal
from graphwire_protocol.types import TERMINAL

from graphwire_gateway.runs.run import Run

IfBusy: TypeAlias = Literal["reject", "enqueue", "interrupt"]

_BUSY_MS = 1000


class ThreadQueue:
    """One thread that is in use.

    ``holder`` writes the thread: a run that is about to start, executes, or whose code has not stopped yet;
    or, as a string, a request that updates or deletes it. ``waiting`` are the runs in line for it.
    ``interrupted`` is the run that waits for answers; a later run supersedes it.
    """

    def __init__(self) -> None:
        self.holder: Run | str | None = None
        self.waiting: deque[Run] = deque()
        self.interrupted: Run | None = None
        self._interrupting: set[Run] = set()  # waiting runs that came with if_busy: interrupt
        self._superseding: set[Run] = set()  # waiting runs that may begin while another is interrupted

    @property
    def is_idle(self) -> bool:
        """Whether no run and no request needs it."""
        return self.holder is None and not self.waiting and self.interrupted is None

    @property
    def has_run(self) -> bool:
        """Whether a run writes it, or waits to."""
        return bool(self.waiting) or not (self.holder is None or isinstance(self.holder, str))

    @property
    def is_busy(self) -> bool:
        """Whether a run or a request writes it, or a run waits to."""
        return self.holder is not None or bool(self.waiting)

    def enter(self, run: Run, if_busy: IfBusy) -> None:
        """Hold the thread, or wait for it; no run is cancelled yet. Raises ``Refusal(busy)``."""
        if if_busy == "enqueue":
            if self.is_idle:
                self.holder = run
            else:
                self.waiting.append(run)
        elif if_busy == "interrupt" and self.has_run and self.holder is not None:
            self.waiting.appendleft(run)
            self._interrupting.add(run)
            self._superseding.add(run)
        elif isinstance(self.holder, str) and not self.waiting:
            self.waiting.append(run)  # only a request holds it, and soon lets go
            self._superseding.add(run)
        elif if_busy == "reject" and self.is_busy:
            raise self.busy()
        else:
            self.holder = run

    def busy(self) -> Refusal:
        """Return the refusal of a thread that is busy."""
        holder = self.holder
        if isinstance(holder, Run) and (holder.status in TERMINAL or holder.cancelled_by is not None):
            ended = "was cancelled" if holder.cancelled_by is not None else "has ended"
            message = (
                f"this thread's run {ended}, but its code has not stopped yet; "
                "try again, or say if_busy: enqueue"
            )
        elif isinstance(holder, str) and not self.waiting:
            message = "a request that updates or deletes this thread has not ended yet; try again"
        else:
            message = "this thread has a run; wait for its end, or say if_busy: enqueue or interrupt"
        return Refusal("busy", message, after_ms=_BUSY_MS)

    def take_up(self, run: Run) -> None:
        """Hold the thread for ``run``, which an earlier process left executing."""
        self.holder = run

    def claim(self, run: Run) -> list[Run]:
        """Return the runs that ``run`` supersedes, now that it is certain to start."""
        if self.holder is run:
            return [] if self.interrupted is None else [self.interrupted]
        if run not in self._interrupting:
            return []
        running = [] if self.holder is None or isinstance(self.holder, str) else [self.holder]
        older = list(self.waiting)[self.waiting.index(run) + 1 :]
        return running + [other for other in older if other in self._interrupting]

    def pause(self, run: Run) -> Run | None:
        """Let go for ``run``, which waits for answers; return the run that holds the thread now, if new."""
        if self.holder is run:
            self.holder = None
        self.interrupted = run
        return self._next()

    def check_free(self, run: Run) -> None:
        """Check that the interrupted ``run`` may resume. Raises ``Refusal``."""
        if isinstance(self.holder, str):
            raise self.busy()
        if self.holder is not None:
            raise Refusal("conflict", f"run {run.id!r} is being superseded by another one on its thread")

    def resume(self, run: Run) -> None:
        """Hold the thread for ``run``, which has its answers."""
        self.interrupted = None
        self.holder = run

    def leave(self, leaver: Run | str) -> Run | None:
        """Forget a run or a request; return the run that holds the thread now, if new."""
        if self.holder == leaver:
            self.holder = None
        elif self.interrupted is leaver:
            self.interrupted = None
        elif not isinstance(leaver, str) and leaver in self.waiting:
            self.waiting.remove(leaver)
        if not isinstance(leaver, str):
            self._interrupting.discard(leaver)
            self._superseding.discard(leaver)
        return self._next()

    def _next(self) -> Run | None:
        if self.holder is not None or not self.waiting:
            return None
        if self.interrupted is not None and self.waiting[0] not in self._superseding:
            return None
        following = self.holder = self.waiting.popleft()
        self._interrupting.discard(following)
        self._superseding.discard(following)
        return following


class ThreadQueues:
    """The queues of all threads in use, by the thread's id in its checkpointer."""

    def __init__(self) -> None:
        self._queues: dict[str, ThreadQueue] = {}

    def get(self, saved: str) -> ThreadQueue:
        """Return the thread's queue; a new one if the thread is not in use."""
        queue = self._queues.get(saved)
        if queue is None:
            queue = self._queues[saved] = ThreadQueue()
        return queue

    def interrupted(self, saved: str) -> Run | None:
        """Return the run that waits for answers on the thread, if any."""
        queue = self._queues.get(saved)
        return None if queue is None else queue.interrupted

    def is_in_use(self, saved: str) -> bool:
        """Tell whether a run or a request needs the thread. May be called on any thread of the process."""
        return saved in self._queues

    def tidy(self, saved: str) -> None:
        """Forget the thread's queue if it is idle."""
        queue = self._queues.get(saved)
        if queue is not None and queue.is_idle:
            del self._queues[saved]
