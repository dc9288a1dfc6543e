"""What a thread looks like from outside: `StateSnapshot` and its tasks, and the `checkpoints` stream's view.

Made from a run that stands at a checkpoint and has prepared, but not begun, its next superstep.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.plan.channels import fold
from graphwire_runtime.step.task import PUSH
from graphwire_runtime.step.writes import Written, written
from graphwire_runtime.stream.display import interrupt_data, results
from graphwire_runtime.types import START, Interrupt

if TYPE_CHECKING:
    from graphwire_runtime.drive.loop import Run
    from graphwire_runtime.step.task import Task

__all__ = ["PregelTask", "StateSnapshot", "checkpoint_payload", "open_interrupts", "snapshot_of"]


class PregelTask(NamedTuple):
    """A task of the superstep that a thread stands before."""

    id: str
    name: str
    path: tuple[Any, ...]
    error: Any = None
    """How it failed, if it did."""
    interrupts: tuple[Interrupt, ...] = ()
    """What it asks."""
    state: Any = None
    """Of a node that is a graph: the config of its checkpoint, or the StateSnapshot itself if asked for."""
    result: Any = None
    """What it wrote, if it came to its end."""


class StateSnapshot(NamedTuple):
    """A thread at one checkpoint."""

    values: Any
    """The state."""
    next: tuple[str, ...]
    """The nodes that would run next; none where the run had come to its end."""
    config: RunnableConfig
    """Where this checkpoint is."""
    metadata: dict[str, Any] | None
    """`source` ("input", "loop", "update" or "fork"), `step`, `parents`, and the metadata of the config."""
    created_at: str | None
    parent_config: RunnableConfig | None
    """Where the checkpoint before this one is."""
    tasks: tuple[PregelTask, ...]
    interrupts: tuple[Interrupt, ...]
    """What the tasks ask."""


def open_interrupts(pending: Iterable[tuple[str, str, Any]]) -> list[str]:
    """The ids of the interrupts among pending writes whose tasks have not come to their end since."""
    tasks = written(pending, {}).values()
    return [asked.id for task in tasks if not task.done for asked in task.interrupts]


def snapshot_of(run: Run, *, applied: bool) -> StateSnapshot:
    """The snapshot of the checkpoint that a run stands at.

    `applied` adds what tasks of the unfinished superstep have already written, and takes them off `next`.
    """
    thread = run.thread
    assert thread is not None
    known = written(thread.pending, run.plan.channels)
    place = {name: index for index, name in enumerate(run.plan.nodes)}
    tasks = sorted(next_of(run), key=lambda task: -1 if task.path[0] == PUSH else place.get(task.name, 0))
    done = [task for task in tasks if known.get(task.id, Written()).done] if applied else []
    shown = []
    for task in tasks:
        ran = known.get(task.id, Written())
        shown.append(
            PregelTask(
                task.id,
                task.name,
                task.path,
                ran.error,
                () if task in done else ran.interrupts,
                place_of(run, task),
                results(ran.pairs) if ran.done else None,
            )
        )
    values = run.values
    if done and any(task.name != START for task in done):
        values = dict(values)
        done.sort(key=lambda task: (task.path[0] == PUSH, task.path[1]))  # as `settle` would apply them
        fold(run.plan.channels, values, [pair for task in done for pair in known[task.id].pairs])
    return StateSnapshot(
        run.display.output(values, run.plan.keys),
        tuple(task.name for task in tasks if task not in done),
        {"configurable": dict((thread.config or {})["configurable"])},
        thread.metadata,
        thread.checkpoint["ts"],
        thread.parent_config,  # type: ignore[arg-type]
        tuple(shown),
        tuple(asked for task in shown for asked in task.interrupts),
    )


def checkpoint_payload(run: Run) -> dict[str, Any]:
    """What the `checkpoints` mode shows of the checkpoint that a run stands at."""
    thread = run.thread
    assert thread is not None
    tasks = next_of(run)
    return {
        "config": thread.config,
        "parent_config": thread.parent_config,
        "values": run.display.output(run.values, run.plan.keys),
        "metadata": thread.metadata,
        "next": [task.name for task in tasks],
        "tasks": [_task_payload(run, task, run.written.get(task.id)) for task in tasks],
    }


def _task_payload(run: Run, task: Task, known: Written | None) -> dict[str, Any]:
    payload: dict[str, Any] = {"id": task.id, "name": task.name}
    if known is not None and known.error is not None:
        payload["error"] = known.error
    else:
        if known is not None and known.done and known.pairs:
            payload["result"] = results(known.pairs)
        asked = () if known is None else known.interrupts
        payload["interrupts"] = tuple(interrupt_data(each) for each in asked)
    payload["state"] = place_of(run, task)
    return payload


def next_of(run: Run) -> list[Task]:
    """The tasks of the superstep that a run stands before."""
    if run.waiting_input is None:
        return run.tasks
    return [run.start_task()]


def place_of(run: Run, task: Task) -> Any:
    """The config of the checkpoints of the graph that a task runs, None where it runs none."""
    inner = task.node.subgraph
    if inner is None or inner.checkpointer is False or run.thread is None:
        return None
    return {"configurable": {"thread_id": run.thread.id, "checkpoint_ns": task.place}}
