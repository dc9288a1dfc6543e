"""The errors that this package raises by name.

    Exception
    ├── EmptyInputError          a run has neither input nor saved state to start from
    ├── InvalidUpdateError       a node or an input wrote what the state cannot take
    ├── GraphBubbleUp            not a failure: a signal to the runtime through a node's code
    │   ├── GraphDrained         a run stops because its RunControl asks for it
    │   ├── GraphInterrupt       a question stops the graph, see `interrupt`
    │   └── ParentCommand        a Command is for the surrounding graph
    ├── NodeTimeoutError         a node took too long
    ├── NodeCancelledError       a node cancelled itself, not its run
    └── RecursionError
        └── GraphRecursionError  a run needs more supersteps than its recursion_limit

Mistakes in building a graph raise ValueError or TypeError. Exceptions of nodes reach the caller unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "EmptyInputError",
    "GraphBubbleUp",
    "GraphDrained",
    "GraphInterrupt",
    "GraphRecursionError",
    "InvalidUpdateError",
    "NodeCancelledError",
    "NodeError",
    "NodeTimeoutError",
    "ParentCommand",
]


class EmptyInputError(Exception):
    """A run was given no input, and there is no saved state to continue from."""


class InvalidUpdateError(Exception):
    """What was written does not fit the state, for example several values for a key without a reducer."""


class NodeCancelledError(Exception):
    """A node raised `asyncio.CancelledError` although its run had not been cancelled."""


class NodeTimeoutError(Exception):
    """A node reached a limit of its `timeout`.

    Attributes:
        node: the name of the node.
        kind: "run" for the limit on the whole attempt, "idle" for the limit on time without progress.
        timeout: the limit, in seconds.
        elapsed: how long the attempt ("run") or the time without progress ("idle") lasted, in seconds.
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
    """What an `error_handler` receives as its parameter `error`."""

    node: str
    """The name of the node that failed."""
    error: BaseException
    """What it raised."""


class GraphRecursionError(RecursionError):
    """A run reached its `recursion_limit`, in supersteps, before it came to an end."""


def out_of_steps(title: str, limit: int) -> GraphRecursionError:
    """The error of a run of the graph with this title."""
    return GraphRecursionError(
        f"{title} took {limit} supersteps, all that its recursion_limit allows, without coming to an end; "
        "raise `recursion_limit` in the config if it needs more"
    )


class GraphBubbleUp(Exception):
    """Not a failure, but a signal to the runtime. The code of a node must not catch it."""


class GraphDrained(GraphBubbleUp):
    """A run has stopped before a superstep, because its `RunControl` was asked for that.

    It reaches the caller. The thread can be resumed with None as input.

    Attributes:
        reason: what was given to `request_drain`.
    """

    def __init__(self, reason: str = "shutdown") -> None:
        super().__init__(f"the run was asked to stop: {reason}")
        self.reason = reason


class GraphInterrupt(GraphBubbleUp):
    """Carries the `Interrupt`s of a task to the graph that runs it; none if a graph stopped at a breakpoint.

    It never reaches the caller of the outermost graph; the stream of that graph ends normally.
    """

    def __init__(self, interrupts: tuple[Any, ...] = ()) -> None:
        super().__init__(interrupts)
        self.interrupts = interrupts


class ParentCommand(GraphBubbleUp):
    """Carries a `Command(graph=Command.PARENT)` to the surrounding graph.

    It reaches the caller if there is none.
    """

    def __init__(self, command: Any) -> None:
        super().__init__(command)
        self.command = command


def note_task(error: BaseException, name: str, task_id: str) -> None:
    """Add the task to the notes of an exception; Python 3.10 has none."""
    if hasattr(error, "add_note"):
        error.add_note(f"During task with name '{name}' and id '{task_id}'")


def kept_text(error: BaseException) -> str:
    """Return an exception's `repr`, as a checkpoint keeps it. A huge text among its arguments is cut.

    To write out 50 MB takes a fifth of a second, in which no other thread runs.
    """
    args: tuple[Any, ...] = vars(BaseException)["args"].__get__(error)  # its class may have its own
    if type(error).__repr__ is not BaseException.__repr__ or not any(_is_huge(arg) for arg in args):
        return repr(error)
    return f"{type(error).__name__}({', '.join(_cut_repr(arg) for arg in args)})"


_MAX_LENGTH = 65_536


def _is_huge(value: Any) -> bool:
    return type(value) in (str, bytes) and len(value) > _MAX_LENGTH


def _cut_repr(value: Any) -> str:
    if not _is_huge(value):
        return repr(value)
    return f"{value[:_MAX_LENGTH]!r} … {len(value) - _MAX_LENGTH} more left out"
