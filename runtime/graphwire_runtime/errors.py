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

from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "EmptyInputError",
    "GraphBubbleUp",
    "GraphInterrupt",
    "GraphRecursionError",
    "InvalidUpdateError",
    "NodeCancelledError",
    "NodeError",
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
    """A node met a limit of the `timeout` that it was added with.

    `kind` says which limit, `timeout` how long it is, `elapsed` for how long the node has been at work
    ("run") or without progress ("idle"); all in seconds.
    """

    def __init__(
        self,
        node: str,
        elapsed: float,
        *,
        kind: Literal["idle", "run"],
        idle_timeout: float | None = None,
        run_timeout: float | None = None,
    ) -> None:
        self.node = node
        self.elapsed = elapsed
        self.kind = kind
        self.idle_timeout = idle_timeout
        self.run_timeout = run_timeout
        self.timeout = run_timeout if kind == "run" else idle_timeout
        limit, found = (
            ("take", "had not come to its end after")
            if kind == "run"
            else ("be idle for", "made no progress for")
        )
        super().__init__(f"node {node!r} may {limit} {self.timeout} seconds, and {found} {elapsed:.3f}")


@dataclass(frozen=True, slots=True)
class NodeError:
    """What an `error_handler` is told: which node failed, and how."""

    node: str
    error: BaseException


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
