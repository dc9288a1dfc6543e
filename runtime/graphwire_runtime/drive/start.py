"""`begin`: how a run starts, with an input, with an answer, or with nothing where its thread stopped."""

from __future__ import annotations

from typing import Any

from graphwire_runtime.clock import checkpoint_id
from graphwire_runtime.drive.loop import Loop
from graphwire_runtime.errors import EmptyInputError, InvalidUpdateError, note_task
from graphwire_runtime.plan.plan import NodePlan
from graphwire_runtime.plan.schema import input_pairs
from graphwire_runtime.step.prepare import discard
from graphwire_runtime.step.task import Task
from graphwire_runtime.step.writes import RESUME, written
from graphwire_runtime.thread.checkpoints import Checkpoints
from graphwire_runtime.thread.replay import Replay, begins_branch, older
from graphwire_runtime.thread.snapshot import open_interrupts
from graphwire_runtime.types import Command

__all__ = ["begin"]


def begin(loop: Loop, value: Any) -> list[Task] | None:
    """Start a run whose checkpoints, if it has any, are loaded.

    Args:
        loop: the run.
        value: its input; None or a Command resumes its thread.

    Returns the tasks to execute before `settle`: START's, if START has routers, or none. None when resuming
    from a checkpoint; call `next_tasks` next.

    Raises EmptyInputError or InvalidUpdateError if the run cannot start with this input, RuntimeError for an
    answer that cannot be given.
    """
    checkpoints, standing = loop.checkpoints, loop.standing
    resumes = loop.continued if loop.run.nested else value is None or isinstance(value, Command)
    known = checkpoints is not None and checkpoints.saved is not None
    standing.resuming = resumes and (known or loop.run.nested)
    if checkpoints is None:
        standing.step = 0
        if loop.run.lent is not None:  # graphs inside may be kept, and say what they are in
            standing.checkpoint_id = checkpoint_id(0)
    elif not known:
        standing.step = -2
    else:
        checkpoints.restore(standing)
        standing.limit = standing.step + 2 + loop.run.settings.recursion_limit
    if isinstance(value, Command) and not loop.run.nested:
        _check_command(loop, value)
    if checkpoints is None:
        return _start(loop, value)
    travels = _travels(loop, checkpoints, value)
    loop.replaying = travels or checkpoints.superseded
    if travels:  # the answers that were given there are asked for again
        checkpoints.pending = [each for each in checkpoints.pending if each[1] != RESUME]
    tasks = None
    if known and resumes:
        _resume(loop, checkpoints, value, travels=travels)
    else:
        tasks = _start(loop, value)
    if travels and not loop.run.nested:
        checkpoints.replay = Replay(older(checkpoints.saved) if tasks is None else standing.checkpoint_id)
    return tasks


def _travels(loop: Loop, checkpoints: Checkpoints, value: Any) -> bool:
    """Whether the run repeats what was done at its checkpoint, rather than answers what was asked there."""
    if loop.run.nested:
        return checkpoints.asked is not None or checkpoints.replay is not None
    answers = isinstance(value, Command) and value.resume is not None
    return checkpoints.asked is not None and not answers


def _check_command(loop: Loop, command: Command[Any]) -> None:
    run, checkpoints = loop.run, loop.checkpoints
    if command.graph is not None:
        error = InvalidUpdateError(
            f"a Command given as input is for the graph itself, and this one is for {command.graph!r}"
        )
        note_task(error, run.plan.start.name, loop.standing.checkpoint_id)
        raise error
    if command.resume is None:
        return
    if checkpoints is None:
        raise RuntimeError(
            f"{run.plan.title} was given Command(resume=...), and has no checkpointer that could "
            "have kept what was interrupted; compile it with one"
        )
    if run.answers.one_for_all and len(asked := open_interrupts(checkpoints.pending)) > 1:
        raise RuntimeError(
            f"thread {checkpoints.id!r} waits at {len(asked)} interrupts, and the one answer names "
            f"none of them; pass Command(resume={{id: answer}}) with ids of {', '.join(asked)}"
        )


def _resume(loop: Loop, checkpoints: Checkpoints, value: Any, *, travels: bool) -> None:
    """Continue the thread from its checkpoint; from a new one like it, if the thread has others after it."""
    run, standing = loop.run, loop.standing
    forks = travels and (checkpoints.superseded or not begins_branch(checkpoints.metadata))
    if isinstance(value, Command) and not run.nested:
        task = Task(run, standing, run.plan.start, None, run.plan.start.path, standing.step)
        task.accept_command(value)
        if not (task.pairs or task.gotos or task.sends) and value.resume is None:
            raise _empty(run.plan.title)
        checkpoints.write(standing, task.pairs)
        checkpoints.jump(standing, task.gotos, task.sends)
        if not forks:
            kept = [pair for pair in task.pairs if pair[0] not in run.plan.untracked]
            checkpoints.commanded(kept, task.gotos, task.sends)
    checkpoints.passed()
    loop.passing = True
    loop.touched = True
    loop.display.show_values(standing.values)
    if forks:
        standing.step += 1
        checkpoints.copy(standing, "fork", standing.step)
    else:
        loop.written = written(checkpoints.pending, run.plan.channels)
    loop.show_checkpoint()


def _start(loop: Loop, value: Any) -> list[Task] | None:
    """Start with new input; on a thread, it replaces what was to run next."""
    run, standing, checkpoints = loop.run, loop.standing, loop.checkpoints
    start = run.plan.start
    if checkpoints is not None and value is not None:
        discarded = discard(run, standing)
        standing.step += 1
        standing.waiting_input = {} if isinstance(value, Command) else value
        checkpoints.commit(standing, "input", standing.step, discarded)
    if run.plan.entry is not None:
        _enter(loop, run.plan.entry, value)
        return None
    step = standing.step if checkpoints is None else standing.step + 1
    task = Task(run, standing, start, value, start.path, step)
    try:
        if isinstance(value, Command):
            task.accept_command(value)
            if not (task.pairs or task.gotos or task.sends or value.update is not None or value.resume):
                raise _empty(run.plan.title)
        elif value is None:
            raise _nothing(run.plan.title)
        else:
            task.pairs = input_pairs(value, run.plan.input, run.plan.input.channels)
    except InvalidUpdateError as error:
        note_task(error, task.name, task.id)
        raise
    loop.show_checkpoint()
    return loop.begun(task)


def _enter(loop: Loop, entry: NodePlan, value: Any) -> None:
    """Let the entry run next, with the input itself."""
    standing = loop.standing
    if value is None:
        raise _nothing(loop.run.plan.title)
    if isinstance(value, Command):
        raise _empty(loop.run.plan.title)
    if loop.checkpoints is None:
        standing.step -= 1  # no superstep writes the input
        standing.waiting_input = value
    standing.schedule.trigger(entry.name)
    loop.show_checkpoint()


def _nothing(title: str) -> EmptyInputError:
    return EmptyInputError(
        f"{title} was given None as input, and there is no saved state to go on "
        "from; pass a mapping of state keys (it may be empty)"
    )


def _empty(title: str) -> EmptyInputError:
    return EmptyInputError(f"{title} was given an empty Command as input")
