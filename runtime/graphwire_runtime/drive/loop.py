"""`Loop`: the supersteps of one run, as a state machine that neither blocks nor awaits.

`start.begin` begins it. Then `iterate` asks for the tasks of a superstep (`next_tasks`), has them executed,
and reports how each one ended (`finished`, `interrupted`, `failed`). `settle` ends the superstep: it applies
what the tasks wrote, makes a checkpoint of where the run stands then, and shows the new state. This repeats
until `next_tasks` returns None.

A run ends when nothing is left to run, at a breakpoint, or when a task asks a question. In the last case the
superstep stays unfinished and no checkpoint is made; when the thread is resumed, `next_tasks` prepares the
same tasks again and leaves out those whose writes are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from graphwire_runtime.drive.trace import Trace
from graphwire_runtime.errors import note_task, out_of_steps
from graphwire_runtime.foreign.signals import bubbling, drain, passing
from graphwire_runtime.plan.plan import NodePlan
from graphwire_runtime.plan.schema import Pairs, input_pairs
from graphwire_runtime.step.context import RunContext
from graphwire_runtime.step.prepare import prepare, start_task
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.step.task import PUSH, Task
from graphwire_runtime.step.writes import Written, recall
from graphwire_runtime.stream.messages import give_ids
from graphwire_runtime.thread.checkpoints import Checkpoints
from graphwire_runtime.thread.snapshot import checkpoint_payload
from graphwire_runtime.types import RETURN, Interrupt

__all__ = ["Breakpoints", "Loop"]

Breakpoints = Literal["*"] | Sequence[str]
Status = Literal["pending", "interrupt_before", "interrupt_after"]


class Loop:
    """One run of a graph.

    Args:
        run: what all its tasks share.
        standing: where it stands; changed by every superstep.
        checkpoints: None for a run that is not kept.
        before: the nodes to stop before.
        after: the nodes to stop after.
        continued: for a run inside another one: whether that repeats a superstep, so that this run continues
            where it stopped.
    """

    __slots__ = (
        "_after",
        "_before",
        "_prepared",
        "_substituted",
        "caching",
        "called",
        "checkpoints",
        "continued",
        "display",
        "ended",
        "executed",
        "interrupts",
        "passing",
        "replaying",
        "run",
        "standing",
        "status",
        "stopped",
        "stopping",
        "tasks",
        "touched",
        "trace",
        "written",
    )

    def __init__(
        self,
        run: RunContext,
        standing: Standing,
        checkpoints: Checkpoints | None = None,
        *,
        before: Breakpoints = (),
        after: Breakpoints = (),
        continued: bool = False,
    ) -> None:
        self.run = run
        self.standing = standing
        self.checkpoints = checkpoints
        self.display = run.display
        self._before = before
        self._after = after
        self.continued = continued
        self.trace: Trace | None = None
        """Set if any callback of the caller listens."""
        self.tasks: list[Task] = []
        """The tasks of the current superstep, or of the next one once it is prepared."""
        self.called: list[Task] = []
        """The tasks that those of the current superstep have called."""
        self.written: dict[str, Written] = {}
        """What is known of tasks that an unfinished superstep left behind, by task id."""
        self.touched = False
        """Whether a key that is shown was ever written."""
        self.passing = False
        """Whether the next superstep begins although a breakpoint is before it: the run resumes there."""
        self.replaying = False
        """Whether every task of the next superstep runs, even if it came to its end in an earlier run."""
        self.stopping = False
        """Whether tasks are being cancelled, so that their ends are no failures of theirs."""
        self.status: Status = "pending"
        self.ended = False
        self.stopped = False
        """Whether it ended before its last superstep: at a breakpoint or at a question."""
        self.interrupts: tuple[Interrupt, ...] = ()
        """The questions that it stopped at."""
        self.caching = False
        """Whether there is a cache, so that tasks need keys."""
        self.executed: list[Task] = []
        """Tasks with keys that have finished and are not in the cache yet."""
        self._prepared = False
        self._substituted = False

    @property
    def name(self) -> str:
        """What tracers call the run."""
        return self.run.settings.run_name or self.run.plan.name

    def next_tasks(self) -> list[Task] | None:
        """The tasks of the next superstep that have to be executed; shows that they start.

        Tasks whose writes are known are left out. None when the run has ended.

        Raises GraphRecursionError, or whatever building a node's input raises.
        """
        if self.ended:
            return None
        standing = self.standing
        if standing.starts:
            return self._start_again()
        if standing.step >= standing.limit:
            self.ended = True  # a run inside another one begins anew if that is continued
            raise out_of_steps(self.run.plan.title, self.run.settings.recursion_limit)
        if not self._prepared:
            self.prepare()
        self._prepared = False
        tasks = self.tasks
        if not tasks:
            self.ended = True
            return None
        standing.schedule.begun()
        if self._before and not self.passing and self._stops(self._before, tasks):
            self._break("interrupt_before")
            return None
        if self.run.control.drain_requested:
            drain(self.run.control)
        standing.step += 1
        self.passing = False
        if self.caching:
            for task in tasks:
                if task.node.cache is not None and not task.cached:
                    task.key = task.node.cache.key(task.name, task.input)
        display = self.display
        if display.taps:
            for task in tasks:
                for tap in display.taps:
                    tap.note_input(task.input)
        if self.run.repeated:
            for task in tasks:
                display.show_again(task)
        if not self.written:
            self._show_start(tasks)
            return tasks
        substitutes = [made for task in tasks if (made := self._substitute_again(task)) is not None]
        self._show_start([*tasks, *substitutes])
        for task in tasks:
            if task.cached:
                display.show_update(task)
        return [*(task for task in tasks if not task.cached and task.substitute is None), *substitutes]

    def settle(self) -> None:
        """End the superstep: apply what its tasks wrote, make a checkpoint, show the new state.

        Raises InvalidUpdateError for several writes to a key without a reducer, and whatever a reducer
        raises.
        """
        if self.standing.planned:  # they start in the order of the plan; their writes count in that of names
            self.tasks.sort(key=lambda task: task.path_key)
        if self._substituted:
            self._substituted = False
            self.tasks = [each for task in self.tasks for each in (task, task.substitute) if each is not None]
        if self.called:
            self.tasks, self.called = [*self.tasks, *sorted(self.called, key=lambda task: task.path_key)], []
        tasks = self.tasks
        if len(tasks) > 1:  # tasks of sends come first, but their writes and sends count last
            tasks = self.tasks = sorted(tasks, key=lambda task: PUSH in task.path)
            pairs = [pair for task in tasks for pair in task.pairs if pair[0] != RETURN]
            stopped = any(task.stopped for task in tasks)
        else:
            pairs = tasks[0].pairs
            stopped = tasks[0].stopped
        if stopped:
            self._halt(pairs)
            return
        standing = self.standing
        standing.apply(tasks, pairs)
        if pairs and self.display.shows(pairs):
            self.touched = True
            if self.display.values:
                self.display.show_values(standing.values)
        standing.resuming = self.replaying = False
        if self.checkpoints is not None:
            self.written = {}
            if not self.run.nested:
                self.run.answers.expire()
            self.checkpoints.commit(standing, "loop", standing.step, tasks)
            self.show_checkpoint()
        if self._after and self._stops(self._after, tasks):
            self._break("interrupt_after")

    def prepare(self) -> None:
        """Make the tasks of the next superstep."""
        self.tasks = prepare(self.run, self.standing)
        self._prepared = True
        if self.written:
            for task in self.tasks:
                known = self.written.get(task.id)
                if known is not None:
                    recall(task, known, done=known.done and self._keeps_earlier_writes)

    def begun(self, task: Task) -> list[Task]:
        """Make the task of START the current superstep; return what has to be executed of it.

        That is the task if it has routers, or nothing; `settle` follows.
        """
        drain(self.run.control)
        self.tasks = [task]
        if self.checkpoints is not None:
            self.standing.waiting_input = None
            self.standing.step += 1
            if not task.node.routers:
                self.checkpoints.finished(task)
        return self.tasks if task.node.routers else []

    def show_checkpoint(self) -> None:
        """Show the checkpoint that the run stands at, to consumers that asked for checkpoints."""
        display, standing = self.display, self.standing
        if self.checkpoints is None or not (display.checkpoints or display.debug):
            return
        if not standing.starts:
            self.prepare()
            tasks = self.tasks
        else:
            tasks = [start_task(self.run, standing)]
        payload = checkpoint_payload(self.checkpoints, standing, tasks, self.written, display.show)
        display.show_checkpoint(standing.step, payload)

    def _start_again(self) -> list[Task]:
        """Run START with the input that the thread has kept. Breakpoints behind it count."""
        self.passing = False
        task = start_task(self.run, self.standing)
        task.pairs = input_pairs(task.input, self.run.plan.input, self.run.plan.input.channels)
        return self.begun(task)

    def _show_start(self, tasks: Sequence[Task]) -> None:
        if self.display.tasks or self.display.debug:
            for task in tasks:
                self.display.show_start(self.standing.step, task)

    # ---- stops

    def _stops(self, at: Breakpoints, tasks: Sequence[Task]) -> bool:
        return any((at == "*" or task.name in at) and task.node is not self.run.plan.start for task in tasks)

    def _break(self, status: Status) -> None:
        """Stop at a breakpoint."""
        self.status = status
        self.ended = self.stopped = True
        if not self.run.nested:
            self.display.show_interrupts(())

    def _halt(self, pairs: Pairs) -> None:
        """Stop in an unfinished superstep, some of whose tasks ask a question."""
        self.ended = self.stopped = True
        # a task that was called and its caller have the same question; if the caller did not wait for the
        # answer, only the called task has it, and a graph around must know of it
        tasks = [task for task in self.tasks if task.caller is None or self.run.nested]
        self.interrupts = tuple({asked.id: asked for task in tasks for asked in task.interrupts}.values())
        if pairs and not self.run.nested:
            # what the other tasks wrote is shown and is part of the output, but no checkpoint is made of it
            self.standing.fold(self.standing.values, pairs)
            if self.display.shows(pairs):
                self.touched = True
                self.display.show_values(self.standing.values)
        halted = any(task.stopped and not task.interrupts for task in tasks)
        if halted and not self.interrupts and not self.run.nested:
            self.display.show_interrupts(())

    # ---- tasks that tasks call

    def call(self, task: Task) -> bool:
        """Begin a task that another has called; returns whether it has to be executed."""
        self.called.append(task)
        if self.caching and task.node.cache is not None:
            args, kwargs = task.input
            task.key = task.node.cache.key(task.name, *args, **kwargs)
        for tap in self.display.taps:
            tap.note_input(task.shown_input)
        self._show_start([task])
        if (known := self.written.get(task.id)) is not None:
            recall(task, known, done=known.done and self._keeps_earlier_writes)
        return not task.cached

    # ---- how a task ended

    def finished(self, task: Task) -> None:
        """Keep and show what a finished task wrote."""
        display, plan = self.display, self.run.plan
        is_node = task.node is not plan.start
        if is_node and display.taps and task.output is not None:
            for tap in display.taps:  # before it is kept: a message gets its id here
                tap.note_output(task.output, task.namespace, task.metadata)
        if plan.messages and task.pairs:
            give_ids(task.pairs, plan.messages)
        if self.checkpoints is not None:
            self.checkpoints.finished(task)
        if not is_node:
            return
        if task.key is not None:
            self.executed.append(task)
        if display.updates:
            display.show_update(task)
        if display.tasks or display.debug:
            display.show_result(self.standing.step, task)

    def recalled(self, task: Task) -> None:
        """Keep and show what a task wrote whose result was in the cache."""
        if self.checkpoints is not None:
            self.checkpoints.finished(task)
        self.display.show_update(task)

    def interrupted(self, task: Task, interrupts: tuple[Interrupt, ...]) -> None:
        """Keep and show the questions that stopped a task; none if a graph in it stopped at a breakpoint."""
        task.stopped, task.interrupts = True, interrupts
        if not interrupts:
            return
        pairs, task.pairs, task.gotos, task.sends = task.pairs, [], [], []
        if self.checkpoints is not None:
            self.checkpoints.interrupted(task)
            if self.replaying:  # the answers of an earlier run at this checkpoint are not to be taken
                self.checkpoints.answered(task.id, task.path_key, task.answers)
        if task.caller is not None:
            return  # its caller shows what it asks
        self.touched = True
        display = self.display
        display.show_interrupts(interrupts)
        if display.values:
            display.show_values(self.standing.values, interrupts)
        display.show_result(self.standing.step, task)
        # If a router asked: `_halt` shows what the node wrote, and a resumed run repeats it.
        task.pairs = pairs

    def failed(self, task: Task, error: BaseException) -> Task | None:
        """Keep and show how a task failed, and what it had written.

        Returns the task of the node's error handler, to be executed next; None if the run fails.
        """
        if isinstance(error, passing()):
            return None  # not a failure: a Command is the update of the surrounding graph's node
        if task.node is self.run.plan.start:
            note_task(error, task.name, task.id)
            return None
        handler = task.node.handler
        if not isinstance(error, Exception) or isinstance(error, bubbling()):
            handler = None
        if self.checkpoints is not None:
            self.checkpoints.failed(task, error, handled=handler is not None)
        if task.pairs:
            self.display.show_update(task)
        self.display.show_result(self.standing.step, task, error)
        note_task(error, task.name, task.id)
        return None if handler is None else self._substitute(task, handler, error)

    def _substitute_again(self, task: Task) -> Task | None:
        """The task of the error handler of a node that failed in an earlier run; None if it did not fail."""
        known, handler = self.written.get(task.id), task.node.handler
        if known is None or not known.handled or handler is None or not self._keeps_earlier_writes:
            return None
        return self._substitute(task, handler, RuntimeError(known.error))

    def _substitute(self, task: Task, handler: NodePlan, error: BaseException) -> Task:
        self._substituted = True
        substitute = task.replace(handler, error)
        if (known := self.written.get(substitute.id)) is not None:
            recall(substitute, known, done=False)
        return substitute

    @property
    def _keeps_earlier_writes(self) -> bool:
        return self.checkpoints is not None and not self.replaying
