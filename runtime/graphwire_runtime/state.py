"""Reads and edits a thread between its runs: `get_state`, `get_state_history`, `update_state`.

Each is written once, as a generator that yields the work it needs (a call to the saver, or the routers of a
task) and is sent the result. `perform` does the work blocking, `aperform` awaiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator, Mapping, Sequence
from contextvars import copy_context
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.address import ThreadAddress
from graphwire_runtime.drive.execute import route, route_async
from graphwire_runtime.errors import InvalidUpdateError
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.plan.schema import input_pairs, shown
from graphwire_runtime.step.context import RunContext
from graphwire_runtime.step.prepare import discard, prepare, start_task
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.step.task import Task
from graphwire_runtime.step.writes import NO_WRITES, writes_of, written
from graphwire_runtime.thread.checkpoints import Checkpoints
from graphwire_runtime.thread.saving import is_other
from graphwire_runtime.thread.snapshot import StateSnapshot, snapshot_of
from graphwire_runtime.types import END, START

__all__ = [
    "StateUpdate",
    "ahistory",
    "aperform",
    "get_state",
    "history",
    "perform",
    "update_state",
]

COPY = "__copy__"
"""As `as_node`: copy the checkpoint; values, if any, are a list of (values, as_node) that edit the copy."""

INPUT = "__input__"
"""As `as_node`: the values are input that has not run yet."""

Result = TypeVar("Result")
Work = Generator[tuple[str, tuple[Any, ...]], Any, Result]
"""Yields a method of the saver, "route" or "theirs", and its arguments; is sent what that returned.

The arguments of "theirs" are a method of a graph of LangGraph's, its async form, and their arguments.
"""


class StateUpdate(NamedTuple):
    """One edit of a thread's state, as if `as_node` had returned `values`."""

    values: Any
    as_node: str | None = None
    task_id: str | None = None


def perform(work: Work[Result], saver: Any) -> Result:
    """Do the work, blocking, with this saver."""
    result: Any = None
    while True:
        try:
            kind, args = work.send(result)
        except StopIteration as end:
            return cast("Result", end.value)
        if kind == "theirs":
            result = args[0](*args[2:])
        else:
            result = copy_context().run(route, *args) if kind == "route" else getattr(saver, kind)(*args)


async def aperform(work: Work[Result], saver: Any) -> Result:
    """Do the work on the event loop, with this saver."""
    result: Any = None
    while True:
        try:
            kind, args = work.send(result)
        except StopIteration as end:
            return cast("Result", end.value)
        if kind == "theirs":
            result = await args[1](*args[2:])
        else:
            result = await (route_async(*args) if kind == "route" else getattr(saver, f"a{kind}")(*args))


def get_state(address: ThreadAddress, *, subgraphs: bool) -> Work[StateSnapshot]:
    """The snapshot of the checkpoint that the config names, or of the latest."""
    if address.theirs is not None:
        asked = partial(address.theirs.get_state, subgraphs=subgraphs)
        aasked = partial(address.theirs.aget_state, subgraphs=subgraphs)
        return cast("StateSnapshot", (yield "theirs", (asked, aasked, address.their_config())))
    checkpoints = address.checkpoints()
    saved = yield "get_tuple", (checkpoints.location(),)
    if saved is None:
        config: Any = {"configurable": dict(address.settings.configurable)}
        return StateSnapshot({}, (), config, None, None, None, (), ())
    snapshot = _snapshot(address, checkpoints, saved, applied=address.asked is None)
    if not subgraphs:
        return snapshot
    tasks = []
    for task in snapshot.tasks:
        if task.state is not None:
            inner = address.plan.nodes[task.name].subgraph
            namespace = task.state["configurable"]["checkpoint_ns"]
            if inner.checkpointer is True:
                namespace = "|".join(each.partition(":")[0] for each in namespace.split("|"))
            below = {"configurable": {**task.state["configurable"], "checkpoint_ns": namespace}}
            task = task._replace(state=(yield from get_state(address.inside(below), subgraphs=True)))
        tasks.append(task)
    return snapshot._replace(tasks=tuple(tasks))


def history(address: ThreadAddress, filters: Any, before: Any, limit: int | None) -> Iterator[StateSnapshot]:
    """The snapshots of a thread, the latest first."""
    if address.theirs is not None:
        their = address.their_config()
        yield from address.theirs.get_state_history(their, filter=filters, before=before, limit=limit)
        return
    config = address.checkpoints().location()
    for saved in address.saver.list(config, before=before, limit=limit, filter=filters):
        yield _snapshot(address, address.checkpoints(), saved, applied=False)


async def ahistory(
    address: ThreadAddress, filters: Any, before: Any, limit: int | None
) -> AsyncIterator[StateSnapshot]:
    """The same as `history`, on the event loop."""
    if address.theirs is not None:
        their = address.their_config()
        found = address.theirs.aget_state_history(their, filter=filters, before=before, limit=limit)
        async for snapshot in found:
            yield snapshot
        return
    config = address.checkpoints().location()
    async for saved in address.saver.alist(config, before=before, limit=limit, filter=filters):
        yield _snapshot(address, address.checkpoints(), saved, applied=False)


def update_state(address: ThreadAddress, supersteps: Sequence[Sequence[StateUpdate]]) -> Work[RunnableConfig]:
    """Make one checkpoint for each superstep, as if the nodes named in it had returned its values.

    Returns the config of the last checkpoint.

    Raises InvalidUpdateError for an unknown node, for values that are no update, and for an update without
    `as_node` if it is not clear which node ran last or if it is not the only one of its superstep;
    ValueError for no supersteps or an empty one.
    """
    if not supersteps or not all(supersteps):
        raise ValueError("an update of a thread takes at least one superstep, each of at least one update")
    if address.theirs is not None:
        edit, aedit = address.theirs.bulk_update_state, address.theirs.abulk_update_state
        return _address_only((yield "theirs", (edit, aedit, address.their_config(), supersteps)))
    config: RunnableConfig | None = None
    left = deque(supersteps)
    while left:
        updates = left.popleft()
        first = config is None
        if config is not None:
            address.asked = config["configurable"]["checkpoint_id"]
        checkpoints = address.checkpoints()
        saved = yield "get_tuple", (checkpoints.location(),)
        if first and address.asked is not None:
            latest = yield "get_tuple", (checkpoints.location(latest=True),)
            checkpoints.superseded = is_other(latest, saved)
        yield from _edit(address, checkpoints, saved, updates)
        for call in checkpoints.queue:  # noqa: UP028  # results are sent, and a list's iterator takes none
            yield call
        config = _address_only(checkpoints.config)
        if updates[0].as_node == COPY and isinstance(updates[0].values, list) and updates[0].values:
            left.appendleft(_edits_of_copy(updates[0].values))
    assert config is not None
    return config


def _edits_of_copy(items: Sequence[Any]) -> list[StateUpdate]:
    """The updates that a copy is given as its values, those of one node behind each other."""
    by_node: dict[Any, list[StateUpdate]] = {}
    for item in items:
        if not isinstance(item, Sequence) or isinstance(item, str) or len(item) < 2:
            raise InvalidUpdateError(
                f"the values of a copy are a list of (values, as_node), and one of them is {shown(item)}"
            )
        by_node.setdefault(item[1], []).append(StateUpdate(item[0], item[1]))
    return [update for updates in by_node.values() for update in updates]


def _edit(
    address: ThreadAddress, checkpoints: Checkpoints, saved: Any, updates: Sequence[StateUpdate]
) -> Work[None]:
    run, standing = address.at(checkpoints, saved)
    plan = run.plan
    step = checkpoints.step + 1 if saved is not None else 0
    only = updates[0]
    ends = only.as_node == END and only.values is None
    if len(updates) > 1 and (ends or only.as_node in (COPY, INPUT)):
        raise InvalidUpdateError(f"an update as_node={only.as_node!r} stands alone in its superstep")
    if only.as_node == COPY:
        if saved is None:
            raise InvalidUpdateError(f"thread {checkpoints.id!r} has no checkpoint that could be copied")
        checkpoints.copy(standing, "fork", step, beside=True)
        return
    if only.as_node == INPUT:
        if only.values is None:
            raise InvalidUpdateError(f"an update as_node={INPUT!r} must have values")
        discarded = discard(run, standing)
        standing.waiting_input = only.values
        checkpoints.commit(standing, "input", step if saved is not None else -1, discarded)
        return
    if ends:
        if address.asked is None and saved is not None and standing.waiting_input is None:
            _apply_finished(run, standing, checkpoints)
        dropped = _next_tasks(run, standing)
        standing.schedule.clear()
        standing.waiting_input = None
        checkpoints.commit(standing, "update", step, (), ran=dropped)
        return
    if len(updates) > 1 and any(update.as_node is None for update in updates):
        raise InvalidUpdateError("several updates in one superstep must each say as_node")
    sources = [update.as_node or _last_node(plan, saved) for update in updates]
    replaced: dict[str, deque[str]] = {}
    for each in _next_tasks(run, standing):
        replaced.setdefault(each.name, deque()).append(each.id)
    # an edit is no run of the nodes that were to run next: deferred ones still wait for theirs
    deferred = {name for name in standing.schedule.triggered if plan.nodes[name].defer}
    standing.schedule.begun()
    standing.step, standing.waiting_input = step, None
    tasks = []
    for source, update in zip(sources, updates, strict=True):
        node = plan.start if source == START else plan.nodes.get(source)
        if node is None:
            raise InvalidUpdateError(
                f"update_state got as_node={source!r}, which is no node; nodes are {sorted(plan.nodes)}"
            )
        task = Task(run, standing, node, None, node.path, step)
        if source == START:
            task.pairs = input_pairs(update.values, plan.input, plan.input.channels)
        else:
            task.accept(update.values)
        if node.routers:
            yield "route", (task,)
        tasks.append(task)
        ids = replaced.get(source)
        if update.task_id is not None or ids:  # the edit stands for the task that would have run
            task.id = update.task_id or (ids.popleft() if ids else "")
            if not checkpoints.superseded and writes_of(task) != NO_WRITES:
                checkpoints.finished(task)
    standing.apply(tasks, [pair for task in tasks for pair in task.pairs])
    standing.schedule.triggered |= deferred
    checkpoints.commit(standing, "update", step, tasks, ran=())


def _next_tasks(run: RunContext, standing: Standing) -> list[Task]:
    """The tasks that run next, without their inputs."""
    if standing.starts:
        return [start_task(run, standing)]
    return prepare(run, standing, with_inputs=False)


def _apply_finished(run: RunContext, standing: Standing, checkpoints: Checkpoints) -> None:
    """Fold in what the finished tasks of an unfinished superstep wrote."""
    known = written(checkpoints.pending, run.plan.channels)
    for task in prepare(run, standing, with_inputs=False):
        if (earlier := known.get(task.id)) is not None and earlier.done and earlier.pairs:
            checkpoints.write(standing, earlier.pairs)


def _last_node(plan: Plan, saved: Any) -> str:
    """The node that ran last, as whose return an update without `as_node` counts."""
    if saved is None:
        return START
    seen: Mapping[str, Mapping[str, Any]] = saved.checkpoint["versions_seen"]
    last = sorted(
        (
            (version, name)
            for name, versions in seen.items()
            if name in plan.nodes or name == START
            for version in versions.values()
        ),
        reverse=True,
    )
    if not last and any(seen.values()):
        raise InvalidUpdateError(
            "update_state cannot tell which node the update comes from, since no node had run where this "
            f"thread was forked; say as_node, which is {START!r} for an update that is input"
        )
    if not last:
        return START
    if len(last) > 1 and last[0][0] == last[1][0] and last[0][1] != last[1][1]:
        raise InvalidUpdateError(
            f"update_state cannot tell which node the update comes from, since {last[0][1]!r} and "
            f"{last[1][1]!r} ran last, side by side; say as_node"
        )
    return last[0][1]


def _snapshot(
    address: ThreadAddress, checkpoints: Checkpoints, saved: Any, *, applied: bool
) -> StateSnapshot:
    run, standing = address.at(checkpoints, saved)
    tasks = _next_tasks(run, standing)
    snapshot = snapshot_of(checkpoints, standing, tasks, applied=applied)
    return snapshot._replace(config=_address_only(snapshot.config))


def _address_only(config: Any) -> RunnableConfig:
    """The config of a checkpoint without whatever else its run was given."""
    address = {
        key: value
        for key, value in config["configurable"].items()
        if key == "thread_id" or key.startswith("checkpoint_")
    }
    return {"configurable": address}
