"""How a run begins: with an input, with an answer, or with nothing, where its thread stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graphwire_runtime.errors import EmptyInputError, InvalidUpdateError, note_task
from graphwire_runtime.plan.schema import input_pairs
from graphwire_runtime.step.interrupt import Answers
from graphwire_runtime.step.task import Task
from graphwire_runtime.step.writes import written
from graphwire_runtime.thread.snapshot import open_interrupts
from graphwire_runtime.types import Command

if TYPE_CHECKING:
    from graphwire_runtime.drive.loop import Run

__all__ = ["begin", "start_again"]


def begin(run: Run, value: Any) -> list[Task] | None:
    """What has to be executed first: START's task if it has routers, or nothing; then comes `settle`.

    None where the thread's checkpoint is gone on from: then `next_tasks` comes first.

    Raises EmptyInputError, InvalidUpdateError or pydantic.ValidationError where the input cannot start a
    run, RuntimeError for an answer that cannot be given.
    """
    thread = run.thread
    if thread is None:
        run.step = 0
    elif thread.saved is None:
        run.step = -2
    else:
        thread.restore(run)
        run.limit = run.step + 2 + run.settings.recursion_limit
        parent = run.settings.parent
        if run.nested and parent is not None:
            run.resuming = parent.run.resuming or parent.retried
        else:
            run.resuming = value is None or isinstance(value, Command)
    if isinstance(value, Command) and not run.nested:
        _answer(run, value)
    if run.resuming:
        _go_on(run, value)
        return None
    return _start(run, value)


def start_again(run: Run) -> list[Task]:
    """Run START with the input that the thread has kept."""
    task, value = run.start_task(), run.waiting_input
    task.pairs = input_pairs(value, run.plan.input, run.plan.input.channels)
    return _begun(run, task)


def _answer(run: Run, command: Command[Any]) -> None:
    if command.graph is not None:
        error = InvalidUpdateError(
            f"a Command given as input is for the graph itself, and this one is for {command.graph!r}"
        )
        note_task(error, run.plan.start.name, run.seed)
        raise error
    if command.resume is None:
        return
    if run.thread is None:
        raise RuntimeError(
            f"graph {run.plan.name!r} was given Command(resume=...), and has no checkpointer that could "
            "have kept what was interrupted; compile it with one"
        )
    answers = Answers(command.resume)
    if answers.one_for_all and len(asked := open_interrupts(run.thread.pending)) > 1:
        raise RuntimeError(
            f"thread {run.thread.id!r} waits at {len(asked)} interrupts, and one answer came that names "
            f"none of them; pass Command(resume={{id: answer}}) with ids of {', '.join(asked)}"
        )
    run.answers = answers


def _go_on(run: Run, value: Any) -> None:
    """Resume the thread where its checkpoint stands."""
    thread = run.thread
    assert thread is not None
    if isinstance(value, Command) and not run.nested:
        task = Task(run, run.plan.start, None, run.plan.start.path)
        task.accept_from_below(value)
        thread.write(run, task.pairs)
        thread.go(run, task.gotos, task.sends)
        thread.commanded(task.pairs, task.gotos, task.sends)
    run.passing = True
    run.touched = True
    run.display.show_values(run.values)
    if thread.asked is not None and value is None:
        run.step += 1
        thread.copy(run, "fork", run.step)
    else:
        run.written = written(thread.pending, run.plan.channels)
    run.show_checkpoint()


def _start(run: Run, value: Any) -> list[Task]:
    thread = run.thread
    start = run.plan.start
    if thread is not None and value is not None:
        run.discard()
        run.step += 1
        run.waiting_input = {} if isinstance(value, Command) else value
        thread.commit(run, "input", run.step, run.tasks)
        run.tasks = []
    task = Task(run, start, value, start.path)
    try:
        if isinstance(value, Command):
            task.accept_from_below(value)
            if not (task.pairs or task.gotos or task.sends or value.update is not None or value.resume):
                raise EmptyInputError(f"graph {run.plan.name!r} was given an empty Command as input")
        elif value is None:
            raise EmptyInputError(
                f"graph {run.plan.name!r} was given None as input, and there is no saved state to go on "
                "from; pass a mapping of state keys (it may be empty)"
            )
        else:
            task.pairs = input_pairs(value, run.plan.input, run.plan.input.channels)
    except InvalidUpdateError as error:
        note_task(error, task.name, task.id)
        raise
    run.tasks = [task]
    if thread is not None:
        run.show_checkpoint()
    return _begun(run, task)


def _begun(run: Run, task: Task) -> list[Task]:
    run.tasks = [task]
    if run.thread is not None:
        run.waiting_input = None
        run.step += 1
        if not task.node.routers:
            run.thread.finished(task)
    return run.tasks if task.node.routers else []
