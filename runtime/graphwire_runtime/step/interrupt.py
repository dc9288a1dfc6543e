"""`interrupt`: ask a question from inside a node, and get the answer when the thread is resumed.

`Task.ask` finds the answer or raises; `drive.loop` shows the question and ends the run; `thread.checkpoints`
keeps question and answer.
"""

from __future__ import annotations

from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.foreign.innermost import innermost
from graphwire_runtime.step.task import Task

__all__ = ["interrupt"]


def interrupt(value: Any, *, response_schema: Any = None) -> Any:
    """Ask a question inside a node, or inside a tool that a node calls; return the answer.

    The first call raises, which ends the node; the graph's stream shows `value` and ends. When the thread is
    resumed with `Command(resume=answer)`, the node runs again **from its top**, and this call returns the
    answer. Several calls in one node are answered in their order. The code before a call runs again with
    every resume.

    Args:
        value: the question. It is stored with the thread, so it should be plain data.
        response_schema: what the answer must be, for whoever gives it. A JSON Schema is shown as it is. A
            pydantic class, TypedDict or dataclass is shown as its JSON Schema; the answer is then validated,
            and returned as an instance.

    Raises RuntimeError if no node is running, and pydantic.ValidationError for an answer that does not fit
    such a class; the question can then be answered again. Do not catch anything else that it raises.
    """
    task: Task | None = innermost(var_child_runnable_config.get())
    if task is None:
        raise RuntimeError(
            f"interrupt({value!r}) was called where no node is running; call it inside a node or a tool"
        )
    return task.ask(value, response_schema)
