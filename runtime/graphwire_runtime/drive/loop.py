"""One execution of a graph as a state machine: supersteps, writes, triggers, interrupts.

It knows neither threads nor an event loop; `drive` asks it for the tasks of a superstep, has them executed,
and tells it how each ended. What a stream shows of it is `display`'s; what is kept of it, `thread`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

from graphwire_runtime.drive.start import start_again
from graphwire_runtime.errors import GraphBubbleUp, GraphRecursionError, ParentCommand, note_task
from graphwire_runtime.plan.channels import MISSING, fold
from graphwire_runtime.plan.config import Settings
from graphwire_runtime.plan.plan import NodePlan, Plan
from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.step.interrupt import Answers
from graphwire_runtime.step.schedule import Schedule
from graphwire_runtime.step.task import PUSH, Task
from graphwire_runtime.step.writes import Written
from graphwire_runtime.stream.display import Display
from graphwire_runtime.stream.outlet import Namespace
from graphwire_runtime.thread.checkpoints import Thread
from graphwire_runtime.thread.snapshot import checkpoint_payload
from graphwire_runtime.types import Interrupt, StreamWriter

__all__ = ["Breakpoints", "Run"]

logger = logging.getLogger(__name__)

Breakpoints = Literal["*"] | Sequence[str]

NO_ANSWERS = Answers()


class Run:
    """One execution.

    Args:
        plan: the graph.
        settings: the merged config.
        seed: what the ids of its tasks are made from; the same seed and path give the same ids.
        namespace: where the graph stands among the graphs that run it.
        display: where it shows what happens.
        context: the run's context.
        thread: where it is kept, None for a run that leaves nothing behind.
        before: the nodes to stop before.
        after: the nodes to stop after.
    """

    __slots__ = (
        "_after",
        "_before",
        "_prepared",
        "_substituted",
        "_writer",
        "answers",
        "caching",
        "context",
        "display",
        "ended",
        "interrupts",
        "limit",
        "namespace",
        "nested",
        "passing",
        "place",
        "plan",
        "resuming",
        "schedule",
        "seed",
        "settings",
        "step",
        "stopped",
        "stopping",
        "store",
        "taps",
        "tasks",
        "thread",
        "touched",
        "trace",
        "values",
        "waiting_input",
        "worked_out",
        "written",
    )
    answers: Answers
    step: int

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        *,
        seed: str,
        namespace: Namespace,
        display: Display,
        context: Any,
        thread: Thread | None = None,
        before: Breakpoints = (),
        after: Breakpoints = (),
        store: Any = None,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.seed = seed
        self.namespace = namespace
        self.place = "|".join(namespace)
        self.display = display
        self.context = context
        self.thread = thread
        self.store = store
        self.taps: list[Any] | None = None
        self.trace: Any = None
        self.stopping = False
        self._writer: StreamWriter | None = None
        self._before = before
        self._after = after
        self.passing = False
        self._prepared = False
        self.limit = settings.recursion_limit
        parent = settings.parent
        self.nested = parent is not None and not settings.detached
        self.answers = parent.run.answers if parent is not None and self.nested else NO_ANSWERS
        self.resuming = False
        self.ended = False
        self.stopped = False
        self.interrupts: tuple[Interrupt, ...] = ()
        self.step = 0
        self.tasks: list[Task] = []
        self.values: dict[str, Any] = {}
        for key, channel in plan.channels.items():
            if (value := channel.empty()) is not MISSING:
                self.values[key] = value
        self.touched = False
        self.schedule = Schedule(plan)
        self.waiting_input: Any = None
        self.written: dict[str, Written] = {}
        self._substituted = False
        self.caching = False
        self.worked_out: list[Task] = []

    # ---- the order of events: it is begun, then (settle, next_tasks) until it has ended

    def discard(self) -> None:
        """Let new input take the place of whatever was to run next."""
        self.prepare(with_inputs=False)
        for task in self.tasks:
            self.schedule.consume(task.node)
        self._prepared = False
        self.schedule.begun()

    def settle(self, source: str = "loop") -> None:
        """Apply what the tasks of the superstep wrote, see which nodes that triggers, and show the values.

        `source` is what the thread's metadata say of where the writes came from.

        Raises InvalidUpdateError, or what a reducer raises.
        """
        if self._substituted:
            self._substituted = False
            self.tasks = [each for task in self.tasks for each in (task, task.substitute) if each is not None]
        tasks = self.tasks
        if len(tasks) > 1:  # sends stand first, but what they write and send on counts last
            tasks = self.tasks = sorted(tasks, key=lambda task: PUSH in task.path)
            pairs = [pair for task in tasks for pair in task.pairs]
            stopped = any(task.stopped for task in tasks)
        else:
            pairs = tasks[0].pairs
            stopped = tasks[0].stopped
        if stopped:
            self._halt(pairs)
            return
        if pairs:
            fold(self.plan.channels, self.values, pairs)
        self.schedule.follow(tasks)
        if pairs and self.display.shows(pairs):
            self.touched = True
            if self.display.values:
                self.display.show_values(self.values)
        if self.thread is not None:
            self.resuming = False
            self.written = {}
            if not self.nested:
                self.answers.expire()
            self.thread.commit(self, source, self.step, tasks)
            self.show_checkpoint()
        if self._after and self._stops(self._after, tasks):
            self._break()

    def next_tasks(self) -> list[Task] | None:
        """The tasks of the next superstep that have to be executed, announced to whoever asked.

        None when the run has ended. Tasks that the thread's store has the writes of are not among them.

        Raises GraphRecursionError, or what building a node's input raises.
        """
        if self.ended:
            return None
        if self.waiting_input is not None:
            return start_again(self)
        if self.step >= self.limit:
            raise GraphRecursionError(
                f"graph {self.plan.name!r} took {self.settings.recursion_limit} supersteps, all that its "
                "recursion_limit allows, without coming to an end; raise `recursion_limit` in the config if "
                "it needs more"
            )
        if not self._prepared:
            self.prepare()
        self._prepared = False
        tasks = self.tasks
        if not tasks:
            self.ended = True
            return None
        self.schedule.begun()
        self.step += 1
        if self._before and not self.passing and self._stops(self._before, tasks):
            self.step -= 1
            self._break()
            return None
        self.passing = False
        if self.caching:
            for task in tasks:
                if task.node.cache is not None and not task.cached:
                    task.key = task.node.cache.key(task.name, task.input)
        display = self.display
        if display.messages:
            for task in tasks:
                for outlet in display.messages:
                    if outlet.tap is not None:
                        outlet.tap.note_input(task.input)
        if not self.written:
            self._show_start(tasks)
            return tasks
        substitutes = [made for task in tasks if (made := self._substitute_again(task)) is not None]
        self._show_start([*tasks, *substitutes])
        for task in tasks:
            if task.cached:
                display.show_update(task)
        return [*(task for task in tasks if not task.cached and task.substitute is None), *substitutes]

    def _show_start(self, tasks: Sequence[Task]) -> None:
        if self.display.tasks or self.display.debug:
            for task in tasks:
                self.display.show_start(self.step, task)

    def start_task(self) -> Task:
        """The task of START, with the input that it waits to be run with."""
        return Task(self, self.plan.start, self.waiting_input, self.plan.start.path)

    def prepare(self, *, with_inputs: bool = True) -> None:
        """Make the tasks of the next superstep, without their inputs if they are only to be looked at."""
        nodes, schedule = self.plan.nodes, self.schedule
        step, self.step = self.step, self.step + 1
        self.tasks = []
        for index, send in enumerate(schedule.sends):
            node = nodes.get(send.node)
            if node is None:
                logger.warning(
                    "graph %r: a Send to %r, which is no node, was ignored", self.plan.name, send.node
                )
                continue
            self.tasks.append(Task(self, node, send.arg, (PUSH, index, False)))
        for name in sorted(schedule.triggered) if len(schedule.triggered) > 1 else schedule.triggered:
            node = nodes[name]
            self.tasks.append(
                Task(self, node, node.view(self.readable(self.values)) if with_inputs else None, node.path)
            )
        self.step = step
        self._prepared = True
        if self.written:
            for task in self.tasks:
                known = self.written.get(task.id)
                if known is not None:
                    task.recall(known, done=known.done and self._goes_on)

    def show_checkpoint(self) -> None:
        """Show the checkpoint that the run stands at."""
        if self.thread is not None and (self.display.checkpoints or self.display.debug):
            if self.waiting_input is None:
                self.prepare()
            self.display.show_checkpoint(self.step, checkpoint_payload(self))

    # ---- stops

    def _stops(self, at: Breakpoints, tasks: Sequence[Task]) -> bool:
        return any((at == "*" or task.name in at) and task.node is not self.plan.start for task in tasks)

    def _break(self) -> None:
        """Stop at a static breakpoint."""
        self.ended = self.stopped = True
        if not self.nested:
            self.display.show_interrupts(())

    def _halt(self, pairs: Pairs) -> None:
        """Stop in the middle of a superstep, some of whose tasks ask for something."""
        self.ended = self.stopped = True
        self.interrupts = tuple(asked for task in self.tasks for asked in task.interrupts)
        if pairs and not self.nested:
            # what the others wrote is shown and is the output, but no checkpoint is made of it
            fold(self.plan.channels, self.values, pairs)
            if self.display.shows(pairs):
                self.touched = True
                self.display.show_values(self.values)

    # ---- how a task ended

    def finished(self, task: Task) -> None:
        """Show the messages, the update and the result of a task that came to its end."""
        if self.thread is not None:
            self.thread.finished(task)
        if task.node is self.plan.start:
            return
        if task.key is not None:
            self.worked_out.append(task)
        display = self.display
        if display.messages and task.output is not None:
            for outlet in display.messages:
                if outlet.tap is not None:
                    outlet.tap.note_output(task.output, self.namespace, task.message_metadata)
        if display.updates:
            display.show_update(task)
        if display.tasks or display.debug:
            display.show_result(self.step, task)

    def recalled(self, task: Task) -> None:
        """Show the update of a task whose result was known."""
        if self.thread is not None:
            self.thread.finished(task)
        self.display.show_update(task)

    def interrupted(self, task: Task, interrupts: tuple[Interrupt, ...]) -> None:
        """Show what a task asks that was stopped by that."""
        task.stopped, task.interrupts = True, interrupts
        if not interrupts:  # a static breakpoint below: there is nothing to be answered
            if not self.nested:
                self.display.show_interrupts(())
            return
        pairs, task.pairs, task.gotos, task.sends = task.pairs, [], [], []
        if self.thread is not None:
            self.thread.interrupted(task)
        display = self.display
        display.show_interrupts(interrupts)
        if display.values:
            display.show_values(self.values, interrupts)
        display.show_result(self.step, task)
        task.pairs = pairs  # of a node whose router asks; they are shown in the end, and written again later

    def failed(self, task: Task, error: BaseException) -> Task | None:
        """Show what a failed task had written, and its error.

        Returns the task of its node's handler, None where the failure is the run's.
        """
        if isinstance(error, ParentCommand):
            return None  # no failure: the parent shows it as its own node's update
        if task.node is self.plan.start:
            note_task(error, task.name, task.id)
            return None
        handler = task.node.handler
        if not isinstance(error, Exception) or isinstance(error, GraphBubbleUp):
            handler = None
        if self.thread is not None:
            self.thread.failed(task, error, handled=handler is not None)
        if task.pairs:
            self.display.show_update(task)
        self.display.show_result(self.step, task, error)
        note_task(error, task.name, task.id)
        return None if handler is None else self._substitute(task, handler, error)

    def _substitute_again(self, task: Task) -> Task | None:
        """The task of the handler of a node that had failed when the thread was left, None where none had."""
        known, handler = self.written.get(task.id), task.node.handler
        if known is None or not known.handled or handler is None or not self._goes_on:
            return None
        return self._substitute(task, handler, RuntimeError(known.error))

    def _substitute(self, task: Task, handler: NodePlan, error: BaseException) -> Task:
        self._substituted = True
        substitute = task.replaced(handler, error)
        if (known := self.written.get(substitute.id)) is not None:
            substitute.recall(known, done=False)
        return substitute

    # ---- what tasks read

    @property
    def writer(self) -> StreamWriter:
        """Puts an object into the custom stream of whoever asked for it."""
        if self._writer is None:
            self._writer = self.display.writer()
        return self._writer

    def readable(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values with the managed keys, as nodes and routers read them."""
        managed = self.plan.managed
        if not managed:
            return values
        return {**values, **{key: each.value(self.step, self.limit) for key, each in managed.items()}}

    # ---- within

    @property
    def _goes_on(self) -> bool:
        """Whether what had been done counts: who goes back in time runs everything again."""
        return self.thread is not None and not self.thread.asked
