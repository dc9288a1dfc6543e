"""One node being run in one superstep: its input, and everything it wrote.

A task takes the values that the node and its routers return apart into writes, jumps and sends. Who calls the
node, and in which thread, is the business of `drive`; what becomes of the writes, of `loop`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

from langchain_core.callbacks import CallbackManager
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.clock import time
from graphwire_runtime.errors import InvalidUpdateError, NodeError, ParentCommand
from graphwire_runtime.plan.channels import fold
from graphwire_runtime.plan.plan import NodePlan, RouterPlan
from graphwire_runtime.plan.runtime import TASK, ExecutionInfo, Runtime, unheard
from graphwire_runtime.plan.schema import Pairs, pairs_of, shown
from graphwire_runtime.stream.outlet import Namespace
from graphwire_runtime.types import END, Command, Interrupt, Send, StreamWriter

if TYPE_CHECKING:
    from graphwire_runtime.drive.loop import Run
    from graphwire_runtime.drive.timeout import Watch
    from graphwire_runtime.step.writes import Written

__all__ = ["PULL", "PUSH", "Task", "task_id"]

PULL = "__pregel_pull"
"""What a task's path starts with that edges have triggered."""

PUSH = "__pregel_push"
"""The same for a task that a Send has made."""


class Task:
    """A node at work. Also what its extra parameters (`config`, `writer`, `runtime`, …) are read from."""

    __slots__ = (
        "_config",
        "_runtime",
        "answers",
        "asked",
        "attempt",
        "began",
        "cached",
        "callbacks",
        "error",
        "gotos",
        "id",
        "input",
        "interrupts",
        "key",
        "name",
        "nested",
        "node",
        "output",
        "pairs",
        "path",
        "place",
        "retried",
        "returned",
        "run",
        "sends",
        "stopped",
        "substitute",
        "triggers",
        "watch",
    )

    previous = None

    def __init__(self, run: Run, node: NodePlan, input: Any, path: tuple[Any, ...]) -> None:
        self.run = run
        self.node = node
        self.name = node.name
        self.input = input
        self.triggers = node.triggers if path[0] == PULL else (PUSH,)
        self.path = path
        self.id = task_id(run.seed, str(run.step), *map(str, path), *self.triggers)
        place = f"{node.name}:{self.id}"
        self.place = f"{run.place}|{place}" if run.place else place
        self.output: Any = None
        self.pairs: Pairs = []
        self.gotos: list[str] = []
        self.sends: list[Send] = []
        self.nested = 0
        self.asked = 0
        self.answers: list[Any] = []
        self.interrupts: tuple[Interrupt, ...] = ()
        self.stopped = False
        self.retried = False
        self.returned = False
        self.cached = False
        self.key: str | None = None
        self.callbacks: Any = None
        self.attempt = 1
        self.began: float | None = None
        self.watch: Watch | None = None
        self.error: NodeError | None = None
        self.substitute: Task | None = None
        self._config: RunnableConfig | None = None
        self._runtime: Runtime[Any] | None = None

    @property
    def config(self) -> RunnableConfig:
        """The config that the node is given and that models called by it inherit."""
        if self._config is None:
            settings = self.run.settings
            metadata = self.metadata()
            config: dict[str, Any] = {
                **settings.inherited,
                "metadata": metadata,
                "configurable": {
                    **settings.configurable,
                    TASK: self,
                    "checkpoint_ns": self.place,
                    "checkpoint_id": None,
                },
            }
            if settings.tags:
                config["tags"] = settings.tags
            if self.callbacks is not None:
                config["callbacks"] = self.callbacks
            elif (taps := self.run.taps) is not None:
                # a callbacks object and no list: a model called with metadata or tags of its own keeps
                # these, too
                config["callbacks"] = CallbackManager(
                    taps,
                    taps,
                    tags=settings.tags,
                    inheritable_tags=settings.tags,
                    metadata=metadata,
                    inheritable_metadata=metadata,
                )
            if self.watch is not None and self.watch.pulse is not None:
                config["callbacks"] = _also_heard(config.get("callbacks"), self.watch.pulse)
            self._config = cast("RunnableConfig", config)
        return self._config

    @property
    def writer(self) -> StreamWriter:
        """Puts an object into the custom stream."""
        write, beats, task = self.run.writer, [], cast("Task | None", self)
        while task is not None:  # progress of a graph inside is progress of the node that runs it
            if task.watch is not None and task.watch.pulse is not None:
                beats.append(task.watch.beat)
            task = task.run.settings.parent
        if not beats:
            return write

        def write_and_beat(chunk: Any) -> None:
            for beat in beats:
                beat()
            write(chunk)

        return write_and_beat

    @property
    def store(self) -> Any:
        """The long-term store that the graph was compiled with."""
        return self.run.store

    @property
    def runtime(self) -> Runtime[Any]:
        """The run as the node may see it."""
        if self._runtime is None:
            run = self.run
            if self.began is None:
                self.began = time()
            self._runtime = Runtime(
                context=run.context,
                store=run.store,
                stream_writer=self.writer,
                heartbeat=unheard if self.watch is None else self.watch.beat,
                execution_info=ExecutionInfo(
                    "" if run.thread is None else run.thread.checkpoint["id"],
                    self.place,
                    self.id,
                    None if run.thread is None else run.thread.id,
                    None if run.settings.run_id is None else str(run.settings.run_id),
                    self.attempt,
                    self.began,
                ),
            )
        return self._runtime

    def metadata(self) -> dict[str, Any]:
        """Where this task stands, beside what the caller and the node's author have to say."""
        metadata = {
            **self.run.settings.metadata,
            "langgraph_step": self.run.step,
            "langgraph_node": self.name,
            "langgraph_triggers": self.triggers,
            "langgraph_path": self.path,
            "langgraph_checkpoint_ns": self.place,
        }
        if self.node.metadata:
            metadata.update(self.node.metadata)
        return metadata

    def message_metadata(self) -> dict[str, Any]:
        """The same, as it is shown with messages that the node has returned."""
        return {"ls_integration": "langgraph", **self.metadata()}

    @property
    def follows_edges(self) -> bool:
        """Whether its node's edges are followed: not where that failed, though where only its router did."""
        return self.substitute is None or self.returned

    def namespace_for_nested(self) -> Namespace:
        """The namespace of the next graph started inside this task; from the second on with a number."""
        count, self.nested = self.nested, self.nested + 1
        own = tuple(self.place.split("|"))
        return (*own, str(count)) if count else own

    def interrupt_id(self, index: int) -> str:
        """The id of the interrupt that this task raises as its `index`th; the same whenever it runs again."""
        return blake2b(f"{self.place}\0{index}".encode(), digest_size=16).hexdigest()

    def recall(self, known: Written, *, done: bool) -> None:
        """Take over what this task did before its superstep was cut short; all of it, if it is `done`."""
        self.answers = known.answers
        if done:
            self.cached = True
            self.pairs, self.gotos, self.sends = known.pairs, known.gotos, known.sends

    def replaced(self, handler: NodePlan, error: BaseException) -> Task:
        """The task that is run in the place of this one, which has failed."""
        self.substitute = Task(self.run, handler, self.input, (PULL, handler.name, *self.path))
        self.substitute.error = NodeError(self.name, error)
        return self.substitute

    def again(self) -> None:
        """Forget what the attempt that failed has done, but for the graphs in it, which go on."""
        self.output, self.pairs, self.gotos, self.sends = None, [], [], []
        self.nested = self.asked = 0
        self.retried = True
        self.returned = False
        self.attempt += 1
        self._runtime = None

    def accept(self, output: Any) -> None:
        """Take in what the node returned.

        Raises InvalidUpdateError when that is neither an update nor a Command, ParentCommand when it is meant
        for the graph above.
        """
        self.output = output
        if output is None:
            return
        if type(output) is dict:  # by far the most common return
            keys = self.run.plan.channels
            self.pairs = [pair for pair in output.items() if pair[0] in keys]
        elif isinstance(output, Command):
            self._take(output)
        elif isinstance(output, Send):
            self._go(output)
        elif isinstance(output, (list, tuple)) and any(isinstance(item, Command) for item in output):
            for item in output:
                if isinstance(item, Command):
                    self._take(item)
                else:
                    self.pairs += self._update(item)
        else:
            self.pairs = self._update(output)

    def accept_from_below(self, command: Command[Any]) -> None:
        """Take in a Command that a graph inside this task sent up, in place of the node's return."""
        self.output = command
        self._obey(command)

    def state_after(self) -> dict[str, Any]:
        """The values of the run with this task's own writes applied: what its routers see."""
        values = self.run.values
        if not self.pairs:
            return values
        values = dict(values)
        fold(self.run.plan.channels, values, self.pairs)
        return values

    def state_for(self, router: RouterPlan, values: dict[str, Any]) -> Any:
        """A router's view of `state_after`."""
        state = router.view(self.run.readable(values))
        if not router.strict and type(state) is dict:
            for key, _ in self.pairs:
                if key not in state:
                    state[key] = values[key]
        return state

    def route(self, router: RouterPlan, answer: Any) -> None:
        """Take in what a router returned.

        Raises ValueError for None, KeyError for an answer that its path_map does not know, InvalidUpdateError
        for a Send to END.
        """
        answers = answer if isinstance(answer, (list, tuple)) else (answer,)
        targets: list[Any] = []
        for item in answers:
            if item is None:
                raise ValueError(
                    f"router {router.name!r} of node {self.name!r} returned {shown(answer)}; expected the "
                    "name of a node, END, a Send, or a list of them"
                )
            if router.ends is None or isinstance(item, Send):
                targets.append(item)
            elif item in router.ends:
                targets.append(router.ends[item])
            else:
                raise KeyError(
                    f"router {router.name!r} of node {self.name!r} answered {item!r}; its path_map knows "
                    f"{', '.join(map(repr, router.ends))}"
                )
        for target in targets:
            if isinstance(target, Send) and target.node == END:
                raise InvalidUpdateError(
                    f"router {router.name!r} of node {self.name!r} sends {shown(target.arg)} to END, "
                    "which runs nothing"
                )
            self._go(target)

    def hear(self, callbacks: Any) -> None:
        """From here on, let what the task calls be heard by these callbacks."""
        self.callbacks = callbacks
        self.renew()

    def renew(self) -> None:
        """Make anew what the node is given, since what it is made of has changed."""
        self._config = self._runtime = None
        var_child_runnable_config.set(self.config)

    def forget(self) -> None:
        """Drop what only the running node needed; its config and this task refer to each other."""
        self._config = self._runtime = None
        self.callbacks = self.watch = None

    def _take(self, command: Command[Any]) -> None:
        if command.graph == Command.PARENT:
            raise ParentCommand(command)
        self._obey(command)

    def _obey(self, command: Command[Any]) -> None:
        update = command.update
        if isinstance(update, (list, tuple)) and all(_is_pair(item) for item in update):
            keys = self.run.plan.channels
            self.pairs += [(key, value) for key, value in update if key in keys]
        elif update is not None:
            self.pairs += pairs_of(update, self.run.plan.channels) or ()
        goto: Iterable[Any] = (
            command.goto
            if isinstance(command.goto, Sequence) and not isinstance(command.goto, str)
            else (command.goto,)
        )
        for target in goto:
            self._go(target)

    def _go(self, target: Any) -> None:
        if isinstance(target, Send):
            self.sends.append(target)
        elif target != END:
            self.gotos.append(target)

    def _update(self, value: Any) -> Pairs:
        pairs = pairs_of(value, self.run.plan.channels)
        if pairs is None:
            raise InvalidUpdateError(
                f"node {self.name!r} must return a mapping of state keys, an instance of a schema, a Command "
                f"or None, and returned {shown(value)}"
            )
        return pairs


def _also_heard(callbacks: Any, pulse: Any) -> Any:
    if callbacks is None:
        return [pulse]
    callbacks = callbacks.copy()
    callbacks.add_handler(pulse, inherit=True)
    return callbacks


def task_id(*parts: str) -> str:
    """The id of a task, shaped like a UUID and the same for the same parts, in any process."""
    digest = blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _is_pair(item: Any) -> bool:
    return isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str)
