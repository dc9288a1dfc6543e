"""Asking somebody outside the graph: `interrupt` in a node, and the answers that a resumed run brings.

How an interrupted task ends is in `loop`; where its question waits for the answer, in `thread`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.errors import GraphInterrupt
from graphwire_runtime.plan.channels import MISSING
from graphwire_runtime.plan.runtime import TASK
from graphwire_runtime.types import Interrupt

if TYPE_CHECKING:
    from graphwire_runtime.step.task import Task

__all__ = ["Answers", "interrupt"]

_ID = re.compile("[0-9a-f]{32}")


def interrupt(value: Any, *, response_schema: Any = None) -> Any:
    """Stop the graph at this place of a node, or of a tool it calls, and ask; return the answer.

    The first time this raises, which ends the node; the graph's stream shows `value` and ends. When the
    thread is resumed with `Command(resume=answer)`, the node runs again **from its top**, and this call
    returns the answer. Several calls in one node are answered in their order. What stands before a call runs
    once for every resume.

    Args:
        value: the question; it is stored with the thread, so it should be plain data.
        response_schema: shown with the question, for whoever answers.

    Raises RuntimeError where no node is running. Do not catch what it raises otherwise.
    """
    config = var_child_runnable_config.get()
    task: Task | None = None if config is None else config.get("configurable", {}).get(TASK)
    if task is None:
        raise RuntimeError(
            f"interrupt({value!r}) was called where no node is running; call it inside a node or a tool"
        )
    index, task.asked = task.asked, task.asked + 1
    if index < len(task.answers):
        return task.answers[index]
    name = task.interrupt_id(index)
    answer = task.run.answers.take(name)
    if answer is MISSING:
        raise GraphInterrupt((Interrupt(value, name, response_schema=response_schema),))
    task.answers = [*task.answers, answer]
    if task.run.thread is not None:
        task.run.thread.answered(task)
    return answer


class Answers:
    """What a resumed run was given: one answer for whoever asks first, or answers by interrupts' ids.

    Graphs inside a graph share it with the graph around them.
    """

    __slots__ = ("_any", "by_id")

    def __init__(self, resume: Any = None) -> None:
        self._any: list[Any] = []
        self.by_id: dict[str, Any] = {}
        if isinstance(resume, Mapping) and resume and all(_is_id(key) for key in resume):
            self.by_id = dict(resume)
        elif resume is not None:
            self._any.append(resume)

    @property
    def one_for_all(self) -> bool:
        """Whether there is an answer that names no interrupt."""
        return bool(self._any)

    def take(self, name: str) -> Any:
        """The answer to an interrupt, MISSING where there is none; each is taken once."""
        if name in self.by_id:
            return self.by_id.pop(name)
        try:
            return self._any.pop()  # atomic: of two threads that ask at once, one gets it
        except IndexError:
            return MISSING

    def expire(self) -> None:
        """Drop the answer that names no interrupt: it was meant for the superstep that was resumed."""
        self._any.clear()


def _is_id(key: Any) -> bool:
    return isinstance(key, str) and _ID.fullmatch(key) is not None
