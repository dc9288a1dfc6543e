"""The tasks of the next superstep, made from where the run stands."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace

from graphwire_runtime.plan.schema import ROOT
from graphwire_runtime.step.context import RunContext
from graphwire_runtime.step.standing import Standing
from graphwire_runtime.step.task import PUSH, Task

__all__ = ["discard", "prepare", "start_task"]

logger = logging.getLogger(__name__)


def prepare(run: RunContext, standing: Standing, *, with_inputs: bool = True) -> list[Task]:
    """Make the tasks of the next superstep: those of sends first, then one for each triggered node by name.

    Without their inputs (`with_inputs=False`) they can be looked at but not run.
    """
    nodes, schedule, step = run.plan.nodes, standing.schedule, standing.step + 1
    tasks = []
    for index, send in enumerate(schedule.sends):
        node = nodes.get(send.node)
        if node is None:
            logger.warning("%s: a Send to %r, which is no node, was ignored", run.plan.title, send.node)
            continue
        if send.timeout is not None:
            node = replace(node, timeout=send.timeout)
        tasks.append(Task(run, standing, node, send.arg, (PUSH, index, False), step))
    names: Iterable[str] = schedule.triggered
    if len(schedule.triggered) > 1:
        names = [name for name in nodes if name in schedule.triggered] if standing.planned else sorted(names)
    for name in names:
        node = nodes[name]
        if node.rooted and ROOT not in standing.values:
            continue
        value = None
        if node is run.plan.entry:
            value = standing.waiting_input
        elif with_inputs:
            value = node.view(standing.readable(standing.values, step))
        tasks.append(Task(run, standing, node, value, node.path, step))
    return tasks


def start_task(run: RunContext, standing: Standing) -> Task:
    """The task of START, with the input that waits for it."""
    return Task(run, standing, run.plan.start, standing.waiting_input, run.plan.start.path, standing.step + 1)


def discard(run: RunContext, standing: Standing) -> list[Task]:
    """Let new input replace what was to run next; return the tasks that will not run."""
    tasks = prepare(run, standing, with_inputs=False)
    for task in tasks:
        standing.schedule.consume(task)
    standing.schedule.begun()
    return tasks
