"""One execution of a graph as a state machine: supersteps, writes, triggers, and what each of them shows.

It knows neither threads nor an event loop; `drive` asks it for the tasks of a superstep, has them executed,
and tells it how each ended. Everything that a stream shows is pushed from here, except the tokens of models,
which `messages` hears.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from graphwire_runtime.channels import MISSING
from graphwire_runtime.clock import timestamp
from graphwire_runtime.config import Settings
from graphwire_runtime.errors import (
    EmptyInputError,
    GraphRecursionError,
    InvalidUpdateError,
    NotSupportedError,
    ParentCommand,
    note_task,
)
from graphwire_runtime.plan import Plan
from graphwire_runtime.runtime import Runtime, ignore
from graphwire_runtime.schema import Pairs, input_pairs
from graphwire_runtime.stream import Namespace, Outlet
from graphwire_runtime.task import Task
from graphwire_runtime.types import Command, StreamWriter

__all__ = ["Run"]

logger = logging.getLogger(__name__)

Show = str | tuple[str, ...]


class Run:
    """One execution.

    Args:
        plan: the graph.
        settings: the merged config.
        seed: what the ids of its tasks are made from; the same seed and path give the same ids.
        namespace: where the graph stands among the graphs that run it.
        outlets: everybody who may want its chunks; which modes are produced at all follows from them.
        own: that one of the outlets which streams this very graph, if any.
        show: the keys (or the one key, unwrapped) that values and updates show.
        context: the run's context.
    """

    __slots__ = (
        "_debug",
        "_fired",
        "_messages",
        "_runtime",
        "_show_all",
        "_tasks",
        "_updates",
        "_values",
        "_waiting",
        "_writer",
        "context",
        "custom",
        "joined",
        "namespace",
        "outlets",
        "place",
        "plan",
        "seed",
        "settings",
        "show",
        "step",
        "stopping",
        "taps",
        "tasks",
        "touched",
        "trace",
        "triggered",
        "values",
    )

    def __init__(
        self,
        plan: Plan,
        settings: Settings,
        *,
        seed: str,
        namespace: Namespace,
        outlets: Sequence[Outlet],
        own: Outlet | None,
        show: Show,
        context: Any,
    ) -> None:
        self.plan = plan
        self.settings = settings
        self.seed = seed
        self.namespace = namespace
        self.place = "|".join(namespace)
        self.outlets = outlets
        self.show = show
        self._show_all = show == plan.keys
        self.context = context
        self.taps: list[Any] | None = None
        self.trace: Any = None
        self.stopping = False
        self._values, self._updates, self._tasks, self._debug, self._messages, self.custom = (
            tuple(outlet for outlet in outlets if mode in outlet.modes)
            for mode in ("values", "updates", "tasks", "debug", "messages", "custom")
        )
        if own is not None and "custom" in own.modes:
            self.custom = (own,)  # who streams a graph's custom data takes it from everybody further out
        self._writer: StreamWriter | None = None
        self._runtime: Runtime[Any] | None = None
        self.step = 0
        self.tasks: list[Task] = []
        self.values: dict[str, Any] = {}
        for key, channel in plan.channels.items():
            if (value := channel.empty()) is not MISSING:
                self.values[key] = value
        self.touched = False
        self.triggered: dict[str, set[str]] = {}
        self._waiting: dict[str, set[str]] = {}
        self.joined: dict[str, set[str]] = {}
        self._fired: set[str] = set()

    # ---- the order of events: begin, then (settle, next_tasks) until there are none

    def begin(self, value: Any) -> Task:
        """The task of START, whose writes are the input; it waits to be settled, after its routers have run.

        Raises EmptyInputError, InvalidUpdateError or pydantic.ValidationError where the input cannot start a
        run.
        """
        start = self.plan.start
        task = Task(self, start, value, (start.name,), start.path)
        try:
            if isinstance(value, Command):
                self._begin_with(value, task)
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
        return task

    def _begin_with(self, command: Command[Any], task: Task) -> None:
        if command.graph is not None:
            raise InvalidUpdateError(
                f"a Command given as input is for the graph itself, and this one is for {command.graph!r}"
            )
        if command.resume is not None:
            raise NotSupportedError(
                "Command(resume=...) needs a checkpointer to have kept what was interrupted"
            )
        task.accept_from_below(command)
        if not (task.pairs or task.gotos or task.sends or command.update is not None):
            raise EmptyInputError(f"graph {self.plan.name!r} was given an empty Command as input")

    def next_tasks(self) -> list[Task]:
        """The tasks of the next superstep, announced to whoever asked; none when the run is over.

        Raises GraphRecursionError, or what building a node's input raises.
        """
        if self.step >= self.settings.recursion_limit:
            raise GraphRecursionError(
                f"graph {self.plan.name!r} took {self.step} supersteps, all that its recursion_limit allows, "
                "without coming to an end; raise `recursion_limit` in the config if it needs more"
            )
        sends = [send for task in self.tasks for send in task.sends]
        if not self.triggered and self._waiting:
            self.triggered, self._waiting = self._waiting, {}
        self.tasks = []
        if not sends and not self.triggered:
            return self.tasks
        self.step += 1
        nodes = self.plan.nodes
        for index, send in enumerate(sends):
            node = nodes.get(send.node)
            if node is None:
                logger.warning(
                    "graph %r: a Send to %r, which is no node, was ignored", self.plan.name, send.node
                )
                continue
            self.tasks.append(Task(self, node, send.arg, ("__pregel_push",), ("__pregel_push", index, False)))
        triggered, self.triggered = self.triggered, {}
        for name in sorted(triggered) if len(triggered) > 1 else triggered:
            node = nodes[name]
            triggers = triggered[name]
            self.tasks.append(
                Task(
                    self,
                    node,
                    node.view(self.values),
                    (node.trigger,)
                    if len(triggers) == 1 and node.trigger in triggers
                    else tuple(sorted(triggers)),
                    node.path,
                )
            )
        if self._messages:
            for task in self.tasks:
                for outlet in self._messages:
                    if outlet.tap is not None:
                        outlet.tap.note_input(task.input)
        if self._tasks or self._debug:
            for task in self.tasks:
                self._announce("task", self._task_payload(task))
        return self.tasks

    def settle(self) -> None:
        """Apply what the tasks of the superstep wrote, see which nodes that triggers, and show the values.

        Raises InvalidUpdateError, or what a reducer raises.
        """
        tasks = self.tasks
        if len(tasks) > 1:  # sends stand first, but what they write and send on counts last
            tasks = self.tasks = sorted(tasks, key=lambda task: task.path[0] == "__pregel_push")
            pairs = [pair for task in tasks for pair in task.pairs]
        else:
            pairs = tasks[0].pairs
        if pairs:
            self.fold(self.values, pairs)
        if self.joined:
            # a join that has fired starts anew when its node has run, and before that step's arrivals count
            for task in tasks:
                for trigger in task.triggers:
                    if trigger in self._fired:
                        self._fired.discard(trigger)
                        del self.joined[trigger]
        for task in tasks:
            node = task.node
            for name in node.edges:
                self._trigger(name)
            for name in task.gotos:
                self._trigger(name)
            for join in node.joins:
                arrived = self.joined.setdefault(join.trigger, set())
                arrived.add(node.name)
                if arrived >= join.sources:
                    self._fired.add(join.trigger)
                    self._trigger(join.target, join.trigger)
        if pairs and self._writes_shown(pairs):
            self.touched = True
            if self._values:
                for outlet in self._values:
                    chunk = self.output(self.show)
                    if outlet.parts and isinstance(chunk, dict):
                        chunk = self.plan.state.instance(chunk)
                    outlet.push("values", self.namespace, chunk)

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

    def output(self, show: Show) -> Any:
        """The present values of the keys to be shown, in schema order; the bare value for a single name."""
        values = self.values
        if isinstance(show, str):
            return values.get(show)
        return {key: values[key] for key in show if key in values}

    # ---- how a task ended

    def finished(self, task: Task) -> None:
        """Show the messages, the update and the result of a task that came to its end."""
        if task.node is self.plan.start:
            return
        if self._messages and task.output is not None:
            for outlet in self._messages:
                if outlet.tap is not None:
                    outlet.tap.note_output(task.output, self.namespace, lambda: self._message_metadata(task))
        if self._updates:
            self._show_update(task)
        if self._tasks or self._debug:
            self._announce("task_result", self._result_payload(task, None))

    def failed(self, task: Task, error: BaseException) -> None:
        """Show what a failed task had written, and its error."""
        if isinstance(error, ParentCommand):
            return  # no failure: the parent shows it as its own node's update
        if task.node is self.plan.start:
            note_task(error, task.name, task.id)
            return
        if self._updates and task.pairs:
            self._show_update(task)
        if self._tasks or self._debug:
            self._announce("task_result", self._result_payload(task, error))
        note_task(error, task.name, task.id)

    # ---- what tasks read

    @property
    def writer(self) -> StreamWriter:
        """Puts an object into the custom stream of whoever asked for it."""
        if self._writer is None:
            self._writer = _writer(self.custom, self.namespace)
        return self._writer

    @property
    def runtime(self) -> Runtime[Any]:
        """The run as its nodes may see it."""
        if self._runtime is None:
            self._runtime = Runtime(context=self.context, stream_writer=self.writer)
        return self._runtime

    @property
    def live(self) -> bool:
        """Whether chunks may come while a node is still at work, so that it must not block their reader."""
        return any(
            outlet.subgraphs or "custom" in outlet.modes or "messages" in outlet.modes
            for outlet in self.outlets
        )

    # ---- within

    def _trigger(self, name: str, trigger: str | None = None) -> None:
        node = self.plan.nodes.get(name)
        if node is None:
            logger.warning("graph %r: a jump to %r, which is no node, was ignored", self.plan.name, name)
            return
        (self._waiting if node.defer else self.triggered).setdefault(name, set()).add(trigger or node.trigger)

    def _writes_shown(self, pairs: Pairs) -> bool:
        if self._show_all:
            return True
        show = (self.show,) if isinstance(self.show, str) else self.show
        return any(key in show for key, _ in pairs)

    def _show_update(self, task: Task) -> None:
        update = {task.name: self._update(task.pairs)}
        for outlet in self._updates:
            outlet.push("updates", self.namespace, update)

    def _update(self, pairs: Pairs) -> Any:
        show = self.show
        if isinstance(show, str):
            values = [value for key, value in pairs if key == show]
            return None if not values else values[0] if len(values) == 1 else values
        if not self._show_all:
            pairs = [pair for pair in pairs if pair[0] in show]
        if not pairs:
            return None
        update = dict(pairs)
        return update if len(update) == len(pairs) else [{key: value} for key, value in pairs]

    def _announce(self, kind: str, payload: dict[str, Any]) -> None:
        for outlet in self._tasks:
            outlet.push("tasks", self.namespace, payload)
        if self._debug:
            event = {"step": self.step, "timestamp": timestamp(), "type": kind, "payload": payload}
            for outlet in self._debug:
                outlet.push("debug", self.namespace, event)

    def _task_payload(self, task: Task) -> dict[str, Any]:
        payload = {"id": task.id, "name": task.name, "input": task.input, "triggers": task.triggers}
        metadata: dict[str, Any] = {**self.settings.user_metadata(), **(task.node.metadata or {})}
        if self.settings.tags:
            metadata["tags"] = self.settings.tags
        if metadata:
            payload["metadata"] = metadata
        return payload

    def _result_payload(self, task: Task, error: BaseException | None) -> dict[str, Any]:
        writes: dict[str, Any] = {}
        several: set[str] = set()
        for key, value in task.pairs:
            if key not in writes:
                writes[key] = value
            elif key in several:
                writes[key]["$writes"].append(value)
            else:
                several.add(key)
                writes[key] = {"$writes": [writes[key], value]}
        return {"id": task.id, "name": task.name, "error": error, "result": writes, "interrupts": []}

    def _message_metadata(self, task: Task) -> dict[str, Any]:
        return {"ls_integration": "langgraph", **task.metadata()}


def _writer(outlets: Iterable[Outlet], namespace: Namespace) -> StreamWriter:
    pushes: list[Callable[[str, Namespace, Any], None]] = [outlet.push for outlet in outlets]
    if not pushes:
        return ignore
    if len(pushes) == 1:
        (push,) = pushes

        def write(chunk: Any) -> None:
            push("custom", namespace, chunk)

        return write

    def write_to_all(chunk: Any) -> None:
        for push in pushes:
            push("custom", namespace, chunk)

    return write_to_all
