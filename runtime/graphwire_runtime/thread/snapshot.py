"""`StateSnapshot`: a thread at one checkpoint, seen from outside; and what the `checkpoints` mode shows.

Both are made from where a run stands and from the tasks of its next superstep, which are prepared but not
run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.runnables import RunnableConfig

from graphwire_runtime.plan.channels import fold
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.step.task import PUSH, Task
from graphwire_runtime.step.writes import Written, written
from graphwire_runtime.stream.display import Show, interrupt_data, result_of, results, shown_values
from graphwire_runtime.thread.checkpoints import Checkpoints
from graphwire_runtime.types import START, Interrupt

__all__ = ["PregelTask", "StateSnapshot", "checkpoint_payload", "open_interrupts", "snapshot_of"]


class PregelTask(NamedTuple):
    """A task of the superstep that comes after a checkpoint."""

    id: str
    name: str
    path: tuple[Any, ...]
    error: Any = None
    """The repr of what it failed with, None if it did not fail."""
    interrupts: tuple[Interrupt, ...] = ()
    """The questions that it waits at."""
    state: Any = None
    """If its node is a graph: the config of that graph's checkpoint, or its StateSnapshot if asked for."""
    result: Any = None
    """What it wrote, by key, or bare if the state is one value; None if it has not come to its end."""


class StateSnapshot(NamedTuple):
    """A thread at one checkpoint."""

    values: Any
    """The state."""
    next: tuple[str, ...]
    """The nodes that run next; empty if the run had come to its end."""
    config: RunnableConfig
    """The config that names this checkpoint."""
    metadata: dict[str, Any] | None
    """`source` ("input", "loop", "update" or "fork"), `step`, `parents`, and the metadata of the config."""
    created_at: str | None
    """UTC, ISO 8601; None if the thread is empty."""
    parent_config: RunnableConfig | None
    """The config of the checkpoint before this one."""
    tasks: tuple[PregelTask, ...]
    interrupts: tuple[Interrupt, ...]
    """The interrupts of all tasks."""


def open_interrupts(pending: Iterable[tuple[str, str, Any]]) -> list[str]:
    """The ids of the interrupts among pending writes whose tasks have not come to their end since."""
    tasks = written(pending, {}).values()
    # a task that was called and its caller wait at the same question
    return list(dict.fromkeys(asked.id for task in tasks if not task.done for asked in task.interrupts))


def snapshot_of(
    checkpoints: Checkpoints, standing: Standing, tasks: Sequence[Task], *, applied: bool
) -> StateSnapshot:
    """The snapshot of a checkpoint.

    Args:
        checkpoints: where the checkpoint was loaded.
        standing: restored from it.
        tasks: those of the next superstep, or START's if input waits.
        applied: add what finished tasks of an unfinished superstep have written, and take them off `next`.
    """
    plan = standing.plan
    known = written(checkpoints.pending, plan.channels)
    order = {name: index for index, name in enumerate(plan.nodes)}
    tasks = sorted(tasks, key=lambda task: -1 if task.path[0] == PUSH else order.get(task.name, 0))
    done = [task for task in tasks if known.get(task.id, Written()).done] if applied else []
    shown = []
    for task in tasks:
        earlier = known.get(task.id, Written())
        shown.append(
            PregelTask(
                task.id,
                task.name,
                task.path,
                earlier.error,
                () if task in done else earlier.interrupts,
                _config_below(checkpoints, task),
                result_of(earlier.pairs, plan.keys) if earlier.done else None,
            )
        )
    values = standing.values
    if done and any(task.name != START for task in done):
        values = dict(values)
        done.sort(
            key=lambda task: (task.path[0] == PUSH, task.path[1])
        )  # the order in which a superstep ends
        fold(plan.channels, values, [pair for task in done for pair in known[task.id].pairs])
    return StateSnapshot(
        shown_values(values, plan.keys),
        tuple(task.name for task in tasks if task not in done),
        {"configurable": dict((checkpoints.config or {})["configurable"])},
        checkpoints.metadata,
        checkpoints.checkpoint["ts"],
        checkpoints.parent_config,  # type: ignore[arg-type]
        tuple(shown),
        tuple(asked for task in shown for asked in task.interrupts),
    )


def checkpoint_payload(
    checkpoints: Checkpoints,
    standing: Standing,
    tasks: Sequence[Task],
    known: Mapping[str, Written],
    show: Show,
) -> dict[str, Any]:
    """What the `checkpoints` mode shows of the checkpoint that a run stands at.

    Args:
        checkpoints: of the run.
        standing: of the run.
        tasks: those of the next superstep, or START's if input waits.
        known: what is known of tasks from an earlier run at this checkpoint, by task id.
        show: the keys that the results of tasks show.
    """
    return {
        "config": checkpoints.config,
        "parent_config": checkpoints.parent_config,
        "values": shown_values(standing.values, standing.plan.keys),
        "metadata": checkpoints.metadata,
        "next": [task.name for task in tasks],
        "tasks": [_task_payload(checkpoints, task, known.get(task.id), show) for task in tasks],
    }


def _task_payload(checkpoints: Checkpoints, task: Task, known: Written | None, show: Show) -> dict[str, Any]:
    payload: dict[str, Any] = {"id": task.id, "name": task.name}
    if known is not None and known.error is not None:
        payload["error"] = known.error
    else:
        if known is not None and known.done and (result := _shown_results(known, show)):
            payload["result"] = result
        asked = () if known is None else known.interrupts
        payload["interrupts"] = tuple(interrupt_data(each) for each in asked)
    payload["state"] = _config_below(checkpoints, task)
    return payload


def _shown_results(known: Written, show: Show) -> Any:
    if isinstance(show, str):
        return results(pair for pair in known.pairs if pair[0] == show).get(show)
    return results(pair for pair in known.pairs if pair[0] in show)


def _config_below(checkpoints: Checkpoints, task: Task) -> Any:
    """The config of the checkpoints of the graph that a task runs, None if it runs none that is kept."""
    inner = task.node.subgraph
    if inner is None or inner.checkpointer is False:
        return None
    return {"configurable": {"thread_id": checkpoints.id, "checkpoint_ns": task.checkpoint_ns}}
