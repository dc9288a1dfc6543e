"""One execution of a graph as a state machine: supersteps, writes, triggers, interrupts.

It knows neither threads nor an event loop; `drive` asks it for the tasks of a superstep, has them executed,
and tells it how each ended. What a stream shows of it is `display`'s; what is kept of it, `thread`'s.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Literal

from graphwire_runtime.channels import MISSING
from graphwire_runtime.config import Settings
from graphwire_runtime.display import Display
from graphwire_runtime.errors import (
    EmptyInputError,
    GraphBubbleUp,
    GraphRecursionError,
    InvalidUpdateError,
    NodeError,
    ParentCommand,
    note_task,
)
from graphwire_runtime.interrupt import Answers
from graphwire_runtime.plan import NodePlan, Plan
from graphwire_runtime.schema import Pairs, input_pairs
from graphwire_runtime.snapshot import checkpoint_payload, open_interrupts
from graphwire_runtime.stream import Namespace
from graphwire_runtime.task import PULL, PUSH, Task
from graphwire_runtime.thread import Thread
from graphwire_runtime.types import Command, Interrupt, StreamWriter
from graphwire_runtime.writes import Written, written

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
        "_limit",
        "_passing",
        "_prepared",
        "_substituted",
        "_writer",
        "answers",
        "caching",
        "context",
        "display",
        "ended",
        "fired",
        "interrupts",
        "joined",
        "namespace",
        "nested",
        "place",
        "plan",
        "resuming",
        "seed",
        "sends",
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
        "triggered",
        "values",
        "waiting",
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
        self._passing = False
        self._prepared = False
        self._limit = settings.recursion_limit
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
        self.triggered: set[str] = set()
        self.waiting: set[str] = set()
        self.joined: dict[str, set[str]] = {}
        self.fired: set[str] = set()
        self.sends: list[Any] = []
        self.waiting_input: Any = None
        self.written: dict[str, Written] = {}
        self._substituted = False
        self.caching = False
        self.worked_out: list[Task] = []

    # ---- the order of events: begin, then (settle, next_tasks) until it has ended

    def begin(self, value: Any) -> list[Task] | None:
        """What has to be executed first: START's task if it has routers, or nothing; then comes `settle`.

        None where the thread's checkpoint is gone on from: then `next_tasks` comes first.

        Raises EmptyInputError, InvalidUpdateError or pydantic.ValidationError where the input cannot start a
        run, RuntimeError for an answer that cannot be given.
        """
        thread = self.thread
        if thread is None:
            self.step = 0
        elif thread.saved is None:
            self.step = -2
        else:
            thread.restore(self)
            self._limit = self.step + 2 + self.settings.recursion_limit
            parent = self.settings.parent
            if self.nested and parent is not None:
                self.resuming = parent.run.resuming or parent.retried
            else:
                self.resuming = value is None or isinstance(value, Command)
        if isinstance(value, Command) and not self.nested:
            self._answer(value)
        if self.resuming:
            self._go_on(value)
            return None
        return self._start(value)

    def _answer(self, command: Command[Any]) -> None:
        if command.graph is not None:
            error = InvalidUpdateError(
                f"a Command given as input is for the graph itself, and this one is for {command.graph!r}"
            )
            note_task(error, self.plan.start.name, self.seed)
            raise error
        if command.resume is None:
            return
        if self.thread is None:
            raise RuntimeError(
                f"graph {self.plan.name!r} was given Command(resume=...), and has no checkpointer that could "
                "have kept what was interrupted; compile it with one"
            )
        answers = Answers(command.resume)
        if answers.one_for_all and len(asked := open_interrupts(self.thread.pending)) > 1:
            raise RuntimeError(
                f"thread {self.thread.id!r} waits at {len(asked)} interrupts, and one answer came that names "
                f"none of them; pass Command(resume={{id: answer}}) with ids of {', '.join(asked)}"
            )
        self.answers = answers

    def _go_on(self, value: Any) -> None:
        """Resume the thread where its checkpoint stands."""
        thread = self.thread
        assert thread is not None
        if isinstance(value, Command) and not self.nested:
            task = Task(self, self.plan.start, None, self.plan.start.path)
            task.accept_from_below(value)
            thread.write(self, task.pairs)
            thread.go(self, task.gotos, task.sends)
            thread.commanded(task.pairs, task.gotos, task.sends)
        self._passing = True
        self.touched = True
        self.display.show_values(self.values)
        if thread.asked is not None and value is None:
            self.step += 1
            thread.copy(self, "fork", self.step)
        else:
            self.written = written(thread.pending, self.plan.channels)
        self._show_checkpoint()

    def _start(self, value: Any) -> list[Task]:
        thread = self.thread
        start = self.plan.start
        if thread is not None and value is not None:
            self.discard()
            self.step += 1
            self.waiting_input = {} if isinstance(value, Command) else value
            thread.commit(self, "input", self.step, self.tasks)
            self.tasks = []
        task = Task(self, start, value, start.path)
        try:
            if isinstance(value, Command):
                task.accept_from_below(value)
                if not (task.pairs or task.gotos or task.sends or value.update is not None or value.resume):
                    raise EmptyInputError(f"graph {self.plan.name!r} was given an empty Command as input")
            elif value is None:
                raise EmptyInputError(
                    f"graph {self.plan.name!r} was given None as input, and there is no saved state to go on "
                    "from; pass a mapping of state keys (it may be empty)"
                )
            else:
                task.pairs = input_pairs(value, self.plan.input, self.plan.input.channels)
        except InvalidUpdateError as error:
            note_task(error, task.name, task.id)
            raise
        self.tasks = [task]
        if thread is not None:
            self._show_checkpoint()
        return self._begun(task)

    def discard(self) -> None:
        """Let new input take the place of whatever was to run next."""
        self.prepare(with_inputs=False)
        for task in self.tasks:
            self._consume(task)
        self._prepared = False
        self.triggered, self.sends = set(), []

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
            self.fold(self.values, pairs)
        if self.joined:
            # a join that has fired starts anew when its node has run, and before that step's arrivals count
            for task in tasks:
                self._consume(task)
        self.sends = [send for task in tasks for send in task.sends]
        for task in tasks:
            if task.substitute is not None:
                continue
            node = task.node
            for name in node.edges:
                self.trigger(name)
            for name in task.gotos:
                self.trigger(name)
            for join in node.joins:
                arrived = self.joined.setdefault(join.trigger, set())
                arrived.add(node.name)
                if arrived >= join.sources:
                    self.fired.add(join.trigger)
                    self.trigger(join.target)
        if self.waiting and not self.triggered:
            self.triggered, self.waiting = self.waiting, set()
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
            self._show_checkpoint()
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
            return self._start_again()
        if self.step >= self._limit:
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
        self.sends, self.triggered = [], set()
        self.step += 1
        if self._before and not self._passing and self._stops(self._before, tasks):
            self.step -= 1
            self._break()
            return None
        self._passing = False
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
        substitutes = (
            [made for task in tasks if (made := self._substitute_again(task))] if self.written else ()
        )
        if display.tasks or display.debug:
            for task in (*tasks, *substitutes):
                display.show_start(self.step, task)
        if self.written:
            for task in tasks:
                if task.cached:
                    display.show_update(task)
            return [*(task for task in tasks if not task.cached and task.substitute is None), *substitutes]
        return tasks

    def start_task(self) -> Task:
        """The task of START, with the input that it waits to be run with."""
        return Task(self, self.plan.start, self.waiting_input, self.plan.start.path)

    def _start_again(self) -> list[Task]:
        """Run START with the input that the thread has kept."""
        task, value = self.start_task(), self.waiting_input
        task.pairs = input_pairs(value, self.plan.input, self.plan.input.channels)
        return self._begun(task)

    def _begun(self, task: Task) -> list[Task]:
        self.tasks = [task]
        if self.thread is not None:
            self.waiting_input = None
            self.step += 1
            if not task.node.routers:
                self.thread.finished(task)
        return self.tasks if task.node.routers else []

    def prepare(self, *, with_inputs: bool = True) -> None:
        """Make the tasks of the next superstep, without their inputs if they are only to be looked at."""
        nodes = self.plan.nodes
        step, self.step = self.step, self.step + 1
        self.tasks = []
        for index, send in enumerate(self.sends):
            node = nodes.get(send.node)
            if node is None:
                logger.warning(
                    "graph %r: a Send to %r, which is no node, was ignored", self.plan.name, send.node
                )
                continue
            self.tasks.append(Task(self, node, send.arg, (PUSH, index, False)))
        for name in sorted(self.triggered) if len(self.triggered) > 1 else self.triggered:
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
            self.fold(self.values, pairs)
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
                    outlet.tap.note_output(task.output, self.namespace, lambda: self._message_metadata(task))
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
        handled = (
            handler is not None and isinstance(error, Exception) and not isinstance(error, GraphBubbleUp)
        )
        if self.thread is not None:
            self.thread.failed(task, error, handled=handled)
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
        substitute = Task(self, handler, task.input, (PULL, handler.name, *task.path))
        substitute.error = NodeError(task.name, error)
        if (known := self.written.get(substitute.id)) is not None:
            substitute.recall(known, done=False)
        task.substitute = substitute
        task.gotos, task.sends = [], []
        self._substituted = True
        return substitute

    # ---- what tasks read

    @property
    def writer(self) -> StreamWriter:
        """Puts an object into the custom stream of whoever asked for it."""
        if self._writer is None:
            self._writer = self.display.writer()
        return self._writer

    def fold(self, values: dict[str, Any], pairs: Pairs) -> None:
        """Fold writes, several of one key together, into a mapping of values."""
        channels = self.plan.channels
        if len(pairs) == 1:
            ((key, value),) = pairs
            values[key] = channels[key].fold(values.get(key, MISSING), (value,))
            return
        writes: dict[str, list[Any]] = {}
        for key, value in pairs:
            writes.setdefault(key, []).append(value)
        for key, new in writes.items():
            values[key] = channels[key].fold(values.get(key, MISSING), new)

    def readable(self, values: dict[str, Any]) -> dict[str, Any]:
        """Values with the managed keys, as nodes and routers read them."""
        managed = self.plan.managed
        if not managed:
            return values
        return {**values, **{key: each.value(self.step, self._limit) for key, each in managed.items()}}

    def trigger(self, name: str) -> None:
        """Have a node run next, or last if it is deferred."""
        node = self.plan.nodes.get(name)
        if node is None:
            logger.warning("graph %r: a jump to %r, which is no node, was ignored", self.plan.name, name)
            return
        (self.waiting if node.defer else self.triggered).add(name)

    # ---- within

    @property
    def _goes_on(self) -> bool:
        """Whether what had been done counts: who goes back in time runs everything again."""
        return self.thread is not None and not self.thread.asked

    def _consume(self, task: Task) -> None:
        for trigger in task.node.triggers:
            if trigger in self.fired:
                self.fired.discard(trigger)
                del self.joined[trigger]

    def _show_checkpoint(self) -> None:
        if self.thread is not None and (self.display.checkpoints or self.display.debug):
            if self.waiting_input is None:
                self.prepare()
            self.display.show_checkpoint(self.step, checkpoint_payload(self))

    def _message_metadata(self, task: Task) -> dict[str, Any]:
        return {"ls_integration": "langgraph", **task.metadata()}
