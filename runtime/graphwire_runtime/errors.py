"""Every error this package raises by name.

    Exception
    ├── EmptyInputError          a run was given nothing to start from
    ├── InvalidUpdateError       a node, an input or a step wrote what the state cannot take
    ├── GraphBubbleUp            no failure: what a task hands up through the code that called it
    │   ├── GraphInterrupt       a question that stops the graph, see `interrupt`
    │   └── ParentCommand        a command for the graph above; an error only where there is none
    ├── NodeTimeoutError         a node took longer than it may
    ├── NodeCancelledError       a node cancelled itself, while nobody had cancelled the run
    └── RecursionError
        └── GraphRecursionError  a run took more supersteps than its recursion_limit

Errors in how a graph is built are plain ValueError or TypeError; a node's own exceptions pass as they are.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "EmptyInputError",
    "GraphBubbleUp",
    "GraphInterrupt",
    "GraphRecursionError",
    "InvalidUpdateError",
    "NodeCancelledError",
    "NodeTimeoutError",
    "ParentCommand",
]


class EmptyInputError(Exception):
    """The run was given no input, and there is no saved state to go on from."""


class InvalidUpdateError(Exception):
    """What was written does not fit the state: not a mapping, or too many values for one key."""


class NodeCancelledError(Exception):
    """A node ended in `asyncio.CancelledError` although nobody had cancelled the run."""


class NodeTimeoutError(Exception):
    """A node did not come to its end within the `timeout` it was added with."""


class GraphRecursionError(RecursionError):
    """The run reached its `recursion_limit` (in supersteps) without coming to an end."""


class GraphBubbleUp(Exception):
    """Not a failure: it rises through a node's code to the runtime, and is not to be caught on the way."""


class GraphInterrupt(GraphBubbleUp):
    """Carries the `Interrupt`s of a task up to the graph that runs it; none for a static breakpoint.

    It never reaches the caller of the outermost graph, whose stream ends normally.
    """

    def __init__(self, interrupts: tuple[Any, ...] = ()) -> None:
        super().__init__(interrupts)
        self.interrupts = interrupts


class ParentCommand(GraphBubbleUp):
    """Carries a `Command(graph=Command.PARENT)` up to the graph that runs this one.

    It reaches the caller only from a graph that has no parent.
    """

    def __init__(self, command: Any) -> None:
        super().__init__(command)
        self.command = command


def note_task(error: BaseException, name: str, task_id: str) -> None:
    """Say on the exception itself which task it ended (Python 3.11 and later keep such notes)."""
    if hasattr(error, "add_note"):
        error.add_note(f"During task with name '{name}' and id '{task_id}'")
