"""Looking at a thread from outside, and editing it: `get_state`, `get_state_history`, `update_state`.

Each is written once, as a generator that yields what it needs done (a call to the saver, the routers of a
task) and is sent the result; `perform` and `aperform` do it, blocking or awaiting.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextvars import copy_context
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.drive.execute import route, route_async
from graphwire_runtime.drive.loop import Run
from graphwire_runtime.errors import InvalidUpdateError
from graphwire_runtime.plan.config import Settings, settings_for
from graphwire_runtime.plan.schema import input_pairs
from graphwire_runtime.step.task import Task
from graphwire_runtime.step.writes import written
from graphwire_runtime.stream.display import Display
from graphwire_runtime.thread.checkpoints import Thread
from graphwire_runtime.thread.snapshot import StateSnapshot, snapshot_of
from graphwire_runtime.types import END, START

if TYPE_CHECKING:
    from graphwire_runtime.compiled import CompiledStateGraph

__all__ = ["StateUpdate", "ahistory", "aperform", "get_state", "history", "perform", "update_state"]

Result = TypeVar("Result")
Work = Generator[tuple[str, tuple[Any, ...]], Any, Result]


class StateUpdate(NamedTuple):
    """One edit of a thread's state, as if `as_node` had returned `values`."""

    values: Any
    as_node: str | None = None
    task_id: str | None = None


def perform(work: Work[Result], saver: Any) -> Result:
    """Do the work, blocking."""
    result: Any = None
    while True:
        try:
            kind, args = work.send(result)
        except StopIteration as end:
            return cast("Result", end.value)
        result = copy_context().run(route, *args) if kind == "route" else getattr(saver, kind)(*args)


async def aperform(work: Work[Result], saver: Any) -> Result:
    """Do the work on the event loop."""
    result: Any = None
    while True:
        try:
            kind, args = work.send(result)
        except StopIteration as end:
            return cast("Result", end.value)
        result = await (route_async(*args) if kind == "route" else getattr(saver, f"a{kind}")(*args))


class Place:
    """A graph of a thread: the outermost one or, by the config's `checkpoint_ns`, one inside it.

    Raises ValueError where nothing keeps the thread, the config names none, or the graph has no such graph.
    """

    def __init__(self, graph: CompiledStateGraph, config: RunnableConfig | None, saver: Any = None) -> None:
        self.settings: Settings = settings_for(graph.config, config)
        self.given = config
        configurable = self.settings.configurable
        parent = self.settings.parent
        if saver is None and parent is not None and parent.run.thread is not None:
            saver = parent.run.thread.saver
        self.saver = graph.checkpointer if saver is None else saver
        if self.saver is None or isinstance(self.saver, bool):
            raise ValueError(
                f"graph {graph.name!r} has no checkpointer, so there is no thread to look at; "
                "compile it with one"
            )
        if configurable.get("thread_id") is None:
            raise ValueError("the config of a thread is {'configurable': {'thread_id': ...}}; it names none")
        self.namespace: str = configurable.get("checkpoint_ns") or ""
        self.asked: str | None = configurable.get("checkpoint_id")
        self.root = self.graph = graph
        for each in self.namespace.split("|") if self.namespace else ():
            name = each.partition(":")[0]
            node = self.graph.plan.nodes.get(name)
            if name.isdigit():
                continue
            if node is None or node.subgraph is None:
                raise ValueError(
                    f"checkpoint_ns {self.namespace!r} leads to {name!r}, and graph "
                    f"{self.graph.name!r} has no graph of that name in it"
                )
            self.graph = node.subgraph

    def thread(self) -> Thread:
        """The thread, not yet loaded."""
        return Thread(self.saver, "sync", self.settings, self.namespace, self.asked, {})

    def stand(self, thread: Thread, saved: Any) -> Run:
        """A run that stands at a checkpoint and shows nothing to anybody."""
        plan = self.graph.plan
        namespace = tuple(self.namespace.split("|")) if self.namespace else ()
        run = Run(
            plan,
            self.settings,
            seed="",
            namespace=namespace,
            display=Display(plan, self.settings, namespace, (), None, plan.keys),
            context=None,
            thread=thread,
            store=self.graph.store,
        )
        if saved is not None:
            thread.parents = dict(saved.metadata.get("parents") or {})
            thread.load(saved)
            thread.restore(run, jumps=False)
        return run


def get_state(place: Place, *, subgraphs: bool) -> Work[StateSnapshot]:
    """The snapshot of the checkpoint that the config names, or of the latest."""
    thread = place.thread()
    saved = yield "get_tuple", (thread.location(),)
    if saved is None:
        return StateSnapshot(
            {}, (), {"configurable": dict(place.settings.configurable)}, None, None, None, (), ()
        )
    snapshot = _look(place, thread, saved, applied=place.asked is None)
    if not subgraphs:
        return snapshot
    tasks = []
    for task in snapshot.tasks:
        if task.state is not None:
            inner = place.graph.plan.nodes[task.name].subgraph
            namespace = task.state["configurable"]["checkpoint_ns"]
            if inner.checkpointer is True:
                namespace = "|".join(each.partition(":")[0] for each in namespace.split("|"))
            config = {"configurable": {**task.state["configurable"], "checkpoint_ns": namespace}}
            below = Place(place.root, cast("RunnableConfig", config), place.saver)
            task = task._replace(state=(yield from get_state(below, subgraphs=True)))
        tasks.append(task)
    return snapshot._replace(tasks=tuple(tasks))


def history(place: Place, filters: Any, before: Any, limit: int | None) -> Iterator[StateSnapshot]:
    """The snapshots of a thread, the latest first."""
    config = place.thread().location()
    for saved in place.saver.list(config, before=before, limit=limit, filter=filters):
        yield _look(place, place.thread(), saved, applied=False)


async def ahistory(
    place: Place, filters: Any, before: Any, limit: int | None
) -> AsyncIterator[StateSnapshot]:
    """The same as `history`, on the event loop."""
    config = place.thread().location()
    async for saved in place.saver.alist(config, before=before, limit=limit, filter=filters):
        yield _look(place, place.thread(), saved, applied=False)


def update_state(place: Place, supersteps: Sequence[Sequence[StateUpdate]]) -> Work[RunnableConfig]:
    """Make a checkpoint per superstep, each as if the nodes that it names had returned what it says.

    Raises InvalidUpdateError for an unknown node, for values that are no update, and where it is not clear
    which node an update without `as_node` is meant to come from; ValueError for nothing to do.
    """
    if not supersteps or not all(supersteps):
        raise ValueError("an update of a thread takes at least one superstep, each of at least one update")
    config: RunnableConfig | None = None
    for updates in supersteps:
        if config is not None:
            place.asked = config["configurable"]["checkpoint_id"]
        thread = place.thread()
        saved = yield "get_tuple", (thread.location(),)
        run = place.stand(thread, saved)
        yield from _edit(place, run, saved, updates)
        for kind, *args in thread.queue:
            yield kind if kind == "put" else "put_writes", tuple(args)
        config = _place_only(thread.config)
    assert config is not None
    return config


def _edit(place: Place, run: Run, saved: Any, updates: Sequence[StateUpdate]) -> Work[None]:
    thread = run.thread
    assert thread is not None
    step = thread.step + 1 if saved is not None else 0
    only = updates[0]
    if only.as_node == "__copy__":
        thread.copy(run, "fork", step, beside=True)
        return
    if only.as_node == "__input__":
        run.discard()
        run.step, run.waiting_input = step, only.values
        thread.commit(run, "input", step, run.tasks)
        return
    sources = [
        update.as_node or _source(place, thread, saved) for update in updates if _says_anything(update)
    ]
    if not sources:
        thread.copy(run, "update", step)
        return
    if sources == [END]:
        if place.asked is None and saved is not None and run.waiting_input is None:
            _apply_finished(run)
        run.schedule.clear()
        run.waiting_input = None
        thread.commit(run, "update", step, ())
        return
    run.prepare(with_inputs=False)
    run.schedule.begun()
    standing, run.step, run.waiting_input = run.tasks, step, None
    tasks = []
    for source, update in zip(sources, updates, strict=False):
        node = run.plan.start if source == START else run.plan.nodes.get(source)
        if node is None:
            raise InvalidUpdateError(
                f"update_state was told as_node={source!r}, which is no node; nodes are "
                f"{sorted(run.plan.nodes)}"
            )
        task = Task(run, node, None, node.path)
        if source == START:
            task.pairs = input_pairs(update.values or {}, run.plan.input, run.plan.input.channels)
        else:
            task.accept(update.values)
        if node.routers:
            yield "route", (task,)
        tasks.append(task)
        instead = next((each for each in standing if each.name == source), None)
        if instead is not None:  # it is answered for by the edit
            task.id = instead.id
            thread.finished(task)
    run.tasks = tasks
    run.settle("update")


def _says_anything(update: StateUpdate) -> bool:
    return update.values is not None or update.as_node is not None


def _apply_finished(run: Run) -> None:
    """Fold in what the finished tasks of an interrupted superstep wrote."""
    thread = run.thread
    assert thread is not None
    known = written(thread.pending, run.plan.channels)
    run.prepare(with_inputs=False)
    for task in run.tasks:
        if (ran := known.get(task.id)) is not None and ran.done and ran.pairs:
            thread.write(run, ran.pairs)


def _source(place: Place, thread: Thread, saved: Any) -> str:
    """The node that an update is taken to come from: the one that ran last."""
    nodes = place.graph.plan.nodes
    if saved is None:
        return START
    if len(nodes) == 1:
        return next(iter(nodes))
    seen: Mapping[str, Mapping[str, Any]] = saved.checkpoint["versions_seen"]
    last = sorted(
        ((version, name) for name, looked in seen.items() if name in nodes for version in looked.values()),
        reverse=True,
    )
    if not last:
        return START
    if len(last) > 1 and last[0][0] == last[1][0] and last[0][1] != last[1][1]:
        raise InvalidUpdateError(
            f"update_state cannot tell which node the update comes from, since {last[0][1]!r} and "
            f"{last[1][1]!r} ran last, side by side; say as_node"
        )
    return last[0][1]


def _look(place: Place, thread: Thread, saved: Any, *, applied: bool) -> StateSnapshot:
    run = place.stand(thread, saved)
    run.prepare(with_inputs=False)
    snapshot = snapshot_of(run, applied=applied)
    return snapshot._replace(config=_place_only(snapshot.config))


def _place_only(config: Any) -> RunnableConfig:
    """A checkpoint's config without whatever else the run was given."""
    place = {
        key: value
        for key, value in config["configurable"].items()
        if key == "thread_id" or key.startswith("checkpoint_")
    }
    return {"configurable": place}
