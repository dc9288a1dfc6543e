"""`Task`: one node in one superstep, with its input and everything that it writes.

A task takes what its node and routers return apart into writes to keys, jumps and sends. `drive.execute`
calls the node; `standing` applies the writes when all tasks of the superstep have ended.

Long because a node reads its task through the same object that takes apart what the node returns.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import _set_config_context, var_child_runnable_config

from graphwire_runtime.clock import time
from graphwire_runtime.errors import InvalidUpdateError, NodeError
from graphwire_runtime.foreign.configurable import Configurable
from graphwire_runtime.foreign.signals import interrupted, sent_up
from graphwire_runtime.foreign.words import ours
from graphwire_runtime.namespace import Namespace
from graphwire_runtime.plan.channels import MISSING
from graphwire_runtime.plan.plan import NodePlan, RouterPlan
from graphwire_runtime.plan.policies import TimeoutPolicy
from graphwire_runtime.plan.runtime import ExecutionInfo, Runtime, ServerInfo, no_heartbeat
from graphwire_runtime.plan.schema import ROOT, Pairs, pairs_of, shown
from graphwire_runtime.step.answers import AnswerSchema
from graphwire_runtime.step.config import config_of
from graphwire_runtime.step.context import Progress, RunContext
from graphwire_runtime.step.ids import id_of_interrupt, id_of_task, text_of_path
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.types import END, PREVIOUS, Command, Interrupt, Send, StreamWriter

__all__ = ["PULL", "PUSH", "Task"]

PULL = "__pregel_pull"
"""The first part of the path of a task that edges have triggered."""

HANDLING = "node_error_handler"
"""In the path of the task of an error handler."""

PUSH = "__pregel_push"
"""The first part of the path of a task that a Send has made."""


class Task:
    """A node at work. The node's extra parameters (`config`, `writer`, `runtime`, …) are its attributes.

    Args:
        run: what all tasks of the run share.
        standing: where the run stands.
        node: the node to run.
        input: what the node is called with.
        path: (PULL, name of the node) or (PUSH, number of the send, …); orders the tasks of a superstep.
        step: the superstep, which is one more than the standing's while that has not begun it.
    """

    __slots__ = (
        "_config",
        "_runtime",
        "answers",
        "asked",
        "attempt",
        "began",
        "cached",
        "callbacks",
        "calls",
        "checkpoint_ns",
        "error",
        "failed",
        "gotos",
        "id",
        "input",
        "interrupts",
        "key",
        "name",
        "nested",
        "node",
        "output",
        "over",
        "pairs",
        "path",
        "progress",
        "retried",
        "returned",
        "run",
        "sends",
        "standing",
        "stopped",
        "substitute",
        "triggers",
    )

    caller: Task | None = None
    """The task that has called this one; None for a node's."""
    within: tuple[str, ...] = ()
    """The namespaces of its caller and of the callers of that."""

    def __init__(
        self,
        run: RunContext,
        standing: Standing,
        node: NodePlan,
        input: Any,
        path: tuple[Any, ...],
        step: int,
    ) -> None:
        self.run = run
        self.standing = standing
        self.node = node
        self.name = node.name
        self.input = input
        self.triggers = node.triggers if path[0] == PULL else (PUSH,)
        self.path = path
        self._identify(step, path[0], *(self.triggers if path[0] == PULL else (str(path[1]),)))
        self.output: Any = None
        """What the node returned."""
        self.pairs: Pairs = []
        """Its writes to keys of the state."""
        self.gotos: list[str] = []
        self.sends: list[Send] = []
        self.nested = 0
        """How many graphs it has started."""
        self.asked = 0
        """How many interrupts it has come to in this attempt."""
        self.calls = 0
        """How many tasks it has called, in all attempts."""
        self.over = False
        """Whether it has come to its end, so that it calls nothing any more."""
        self.answers: list[Any] = []
        """The answers to its interrupts so far, in order."""
        self.interrupts: tuple[Interrupt, ...] = ()
        """The questions that stopped it."""
        self.stopped = False
        self.retried = False
        self.returned = False
        self.cached = False
        """Whether its writes were known and it does not run."""
        self.key: str | None = None
        """The key of its input in the cache, None if its result is not cached."""
        self.callbacks: Any = None
        self.attempt = 1
        self.began: float | None = None
        """When `runtime` was first read, in seconds since 1970."""
        self.progress: Progress | None = None
        """The timeout of this attempt, None if it has none."""
        self.error: NodeError | None = None
        """The failure that it handles, None if its node is no error handler."""
        self.substitute: Task | None = None
        """The task of the error handler, once this one has failed."""
        self.failed: Task | None = None
        """The task that failed, if this one is that of its error handler."""
        self._config: RunnableConfig | None = None
        self._runtime: Runtime[Any] | None = None

    def _identify(self, step: int, *made_by: str, inside: str | None = None) -> None:
        around = self.run.checkpoint_ns if inside is None else inside
        own = f"{around}|{self.name}" if around else self.name
        self.id = id_of_task(self.standing.seed, own, str(step), self.name, *made_by)
        self.checkpoint_ns = f"{own}:{self.id}"

    @property
    def config(self) -> RunnableConfig:
        """The config that the node is given and that models called by it inherit."""
        if self._config is None:
            self._config = config_of(self)
        return self._config

    @property
    def beats(self) -> tuple[Callable[[], None], ...]:
        """What counts as progress of this task is reported to these: its own timeout and those around it."""
        if self.progress is None or self.progress.pulse is None:
            return self.run.beats
        return (self.progress.beat, *self.run.beats)

    @property
    def writer(self) -> StreamWriter:
        """Puts an object into the custom stream."""
        at = self.graph if self.failed is None else self.namespace
        write, beats = self.run.display.writer_at(at), self.beats
        if not beats:
            return write

        def write_and_beat(chunk: Any) -> None:
            for beat in beats:
                beat()
            write(chunk)

        return write_and_beat

    @property
    def graph(self) -> Namespace:
        """The namespace that its custom data is shown under."""
        return self.run.namespace

    @property
    def store(self) -> Any:
        """The long-term store that the graph was compiled with."""
        return self.run.store

    @property
    def previous(self) -> Any:
        """What the run before this one saved, in an entrypoint; None in any other graph."""
        return None if self.run.plan.entry is None else self.standing.values.get(PREVIOUS)

    @property
    def shown_input(self) -> Any:
        """The input as tracers see it."""
        return self.input

    @property
    def runtime(self) -> Runtime[Any]:
        """What the node can ask of its run."""
        if self._runtime is None:
            run = self.run
            if self.began is None:
                self.began = time()
            self._runtime = Runtime(
                context=run.context,
                store=run.store,
                stream_writer=self.writer,
                previous=self.previous,
                heartbeat=no_heartbeat if self.progress is None else self.progress.beat,
                execution_info=ExecutionInfo(
                    self.standing.checkpoint_id,
                    self.checkpoint_ns,
                    self.id,
                    None if run.thread is None else run.thread.id,
                    None if run.settings.run_id is None else str(run.settings.run_id),
                    self.attempt,
                    self.began,
                ),
                server_info=ServerInfo.of(run.settings.configurable),
                control=run.control,
            )
        return self._runtime

    def metadata(self) -> dict[str, Any]:
        """Where this task runs, added to the metadata of the caller and of the node's author."""
        metadata = {
            **(self.run.settings.metadata if self.failed is None else self.failed.metadata()),
            "langgraph_step": self.standing.step,
            "langgraph_node": self.name,
            "langgraph_triggers": self.triggers,
            "langgraph_path": self.path,
            "langgraph_checkpoint_ns": self.checkpoint_ns,
        }
        if self.node.metadata:
            metadata.update(self.node.metadata)
        return metadata

    @property
    def follows_edges(self) -> bool:
        """Whether the edges of its node count: not if the node failed, but still if only its router did."""
        return self.substitute is None or self.returned

    @property
    def path_key(self) -> str:
        """The path as a string that sorts as the tasks do."""
        return text_of_path(self.path[:2])

    def namespace_for_nested(self) -> Namespace:
        """The namespace of the next graph started inside this task; from the second on with a number."""
        count = self.next_nested()
        own = tuple(self.checkpoint_ns.split("|"))
        return (*own, str(count)) if count else own

    def next_nested(self) -> int:
        """How many graphs were started inside this task before the one that starts now."""
        count, self.nested = self.nested, self.nested + 1
        return count

    def next_call(self) -> int:
        """How many tasks it called before the one that it calls now."""
        count, self.calls = self.calls, self.calls + 1
        return count

    def next_question(self) -> int:
        """How many interrupts this attempt came to before the one that it comes to now."""
        count, self.asked = self.asked, self.asked + 1
        return count

    def question_id(self, index: int) -> str:
        """The id of the interrupt with this number."""
        return id_of_interrupt(self.checkpoint_ns, index)

    def ask(self, value: Any, response_schema: Any) -> Any:
        """The answer to the task's next interrupt. Raises GraphInterrupt if there is none yet."""
        index = self.next_question()
        schema = AnswerSchema(response_schema)
        if index < len(self.answers):
            return schema.checked(self.answers[index])
        interrupt_id = self.question_id(index)
        answer = self.run.answers.take(interrupt_id)
        if answer is MISSING:
            raise interrupted((Interrupt(value, interrupt_id, response_schema=schema.shown()),))
        checked = schema.checked(answer)
        self.answers.append(answer)
        if self.run.thread is not None:
            self.run.thread.answered(self.id, self.path_key, [*self.answers])
        return checked

    def replace(self, handler: NodePlan, error: BaseException) -> Task:
        """Make the task of the error handler that runs in place of this one, which has failed."""
        path = (*self.path[:3], HANDLING, False)
        made = self.substitute = Task(self.run, self.standing, handler, self.input, path, self.standing.step)
        made.triggers = (PUSH,)
        made._identify(self.standing.step, PUSH, HANDLING, self.id, inside=self.checkpoint_ns)
        made.failed = self
        made.error = NodeError(self.name, error)
        return made

    @property
    def namespace(self) -> Namespace:
        """The graph that it runs in; an error handler counts as one inside the task that failed."""
        return self.run.namespace if self.failed is None else tuple(self.failed.checkpoint_ns.split("|"))

    @property
    def node_metadata(self) -> Mapping[str, Any]:
        """What the author has said of its node, and of the node that failed."""
        own = self.node.metadata or {}
        return own if self.failed is None else {**self.failed.node_metadata, **own}

    def again(self) -> None:
        """Forget what the failed attempt did. Graphs inside it continue where they stopped."""
        self.output, self.pairs, self.gotos, self.sends = None, [], [], []
        self.nested = self.asked = 0
        self.retried = True
        self.returned = False
        self.attempt += 1
        self._runtime = None
        if self._config is not None and type(made := self._config["configurable"]) is Configurable:
            made.empty()

    def accept(self, output: Any) -> None:
        """Take what the node returned apart into writes, jumps and sends.

        Raises InvalidUpdateError if it is neither an update nor a Command, ParentCommand if it is a Command
        for the surrounding graph.
        """
        self.output = output
        if self.node.writes is not None:
            self.pairs += self.node.writes(output)
            return
        if output is None:
            return
        plan = self.run.plan
        if type(output) is dict and not plan.rooted:  # by far the most common return
            keys = plan.channels
            self.pairs += [pair for pair in output.items() if pair[0] in keys]
            return
        given = output
        if isinstance(output, list) or type(output) is tuple:
            output = [ours(item) for item in output]
        else:
            output = ours(output)
        self.output = output
        if isinstance(output, Command):
            self._take_command(output)
        elif isinstance(output, Send):
            self.add_target(output)
            self.pairs += [(ROOT, given)] if plan.rooted else []
        elif isinstance(output, list) and any(isinstance(item, Command) for item in output):
            for item in output:
                if isinstance(item, Command):
                    self._take_command(item)
                else:
                    self.pairs += self._update(item)
        else:
            self.pairs += self._update(given if plan.rooted else output)

    def accept_command(self, command: Command[Any]) -> None:
        """Take a Command as what the node returned: one that a graph inside it sent up, or a run's input.

        It is no output of the node: the messages in it are those of the node that has made it.
        """
        self._apply_command(command)

    def state_after(self) -> dict[str, Any]:
        """The values of the run with only this task's writes applied: what its routers see."""
        values = self.standing.values
        if not self.pairs and not self.run.plan.fading:
            return values
        values = dict(values)
        self.standing.fold(values, self.pairs)
        return values

    def state_for(self, router: RouterPlan, values: dict[str, Any]) -> Any:
        """A router's view of `state_after`."""
        state = router.view(self.standing.readable(values, self.standing.step))
        given = self.input if self.node is self.run.plan.start else self.output
        if not router.strict and isinstance(state, dict) and isinstance(given, dict):
            return {**given, **state}  # also what the node returned that is no key of the state
        return state

    def route(self, router: RouterPlan, answer: Any) -> None:
        """Take what a router returned apart into jumps and sends; raises like `RouterPlan.targets`."""
        for target in router.targets(self.name, answer):
            self.add_target(target)

    def use_callbacks(self, callbacks: Any) -> None:
        """Pass these callbacks to whatever the task calls from now on."""
        self.callbacks = callbacks
        self.renew()

    def renew(self) -> None:
        """Make config and runtime anew, since something that they are made of has changed."""
        self._config = self._runtime = None
        if self.callbacks is None:
            var_child_runnable_config.set(self.config)
        else:
            # also for LangSmith, whose functions find the run by the context
            _set_config_context(self.config)

    def forget(self) -> None:
        """Drop what only the running node needed; the config and this task refer to each other."""
        self.over = True
        self._config = self._runtime = None
        self.callbacks = self.progress = None

    def _take_command(self, command: Command[Any]) -> None:
        if command.graph == Command.PARENT:
            raise sent_up(command, self.run.checkpoint_ns)
        self._apply_command(command)

    def _apply_command(self, command: Command[Any]) -> None:
        update, keys = command.update, self.run.plan.channels
        if isinstance(update, (list, tuple)) and all(map(_is_pair, update)):
            self.pairs += [(key, value) for key, value in update if key in keys]
        elif update is not None:
            pairs = pairs_of(update, keys)
            self.pairs += [(ROOT, update)] if pairs is None and ROOT in keys else pairs or ()
        goto: Iterable[Any] = (
            command.goto
            if isinstance(command.goto, Sequence) and not isinstance(command.goto, str)
            else (command.goto,)
        )
        for target in goto:
            self.add_target(target)

    def add_target(self, target: Any) -> None:
        """Take a name of a node, END or a Send. Raises ValueError for a wrong timeout of a Send."""
        if type(target) is str:
            if target != END:
                self.gotos.append(target)
        elif isinstance(target := ours(target), Send):
            if target.timeout is not None:
                target = dataclasses.replace(target, timeout=TimeoutPolicy.of(target.timeout))
            self.sends.append(target)
        elif target != END:
            self.gotos.append(target)

    def _update(self, value: Any) -> Pairs:
        if self.run.plan.rooted:
            return [(ROOT, value)]
        pairs = pairs_of(value, self.run.plan.channels)
        if pairs is None:
            raise InvalidUpdateError(
                f"node {self.name!r} must return a mapping of state keys, an instance of a schema, a Command "
                f"or None, and returned {shown(value)}"
            )
        return pairs


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
