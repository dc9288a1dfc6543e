"""The values that a graph's author writes and reads: START, END, Send, Command, Overwrite, Interrupt, …

They have no behaviour. `step.task` takes them apart when a node returns them, `drive.start` when they are
input.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import typing_extensions
from langchain_core.messages.tool import ToolOutputMixin

__all__ = [
    "END",
    "INTERRUPT",
    "PREVIOUS",
    "RETURN",
    "START",
    "Command",
    "GraphOutput",
    "Interrupt",
    "Overwrite",
    "Send",
    "StreamWriter",
    "with_interrupts",
]

START = "__start__"
"""Where every run starts: edges from START lead to the first nodes."""

END = "__end__"
"""Where a path ends: an edge to END runs nothing."""

INTERRUPT = "__interrupt__"
"""The key of values and updates that shows the interrupts that stopped a graph."""

RETURN = "__return__"
"""The key under which a task that was called has what its function returned."""

PREVIOUS = "__previous__"
"""The key of an entrypoint's state that holds what its next run gets as `previous`."""

StreamWriter = Callable[[Any], None]
"""Puts one object of any kind into the `custom` stream, without copying it."""

State = typing_extensions.TypeVar("State", default=Any)
Context = typing_extensions.TypeVar("Context", default=Any)
Input = typing_extensions.TypeVar("Input", default=State)
Result = typing_extensions.TypeVar("Result", default=State)

N = TypeVar("N")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Send:
    """Runs `node` in the next superstep, with `arg` as its input in place of the state.

    A router returns it, or a node in `Command.goto`. Several Sends to one node run side by side.
    """

    node: str
    arg: Any
    timeout: Any = field(default=None, kw_only=True)
    """How long an attempt of this task may take, in seconds or as a TimeoutPolicy; None for what the node
    has. In a blocking run, and for a timeout that is not positive, the task fails with ValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[N], ToolOutputMixin):
    """What a node or tool may return in place of an update, and a caller may give in place of an input.

    LangGraph's own parts, such as its ToolNode, take it for a Command of theirs.
    """

    graph: str | None = None
    """`Command.PARENT` if update and goto are for the surrounding graph, None for this one."""
    update: Any | None = None
    """Writes: a mapping, a list of `(key, value)` pairs, an instance of a schema, or None."""
    resume: Any | None = None
    """In an input: the answer to the interrupt that the thread waits at, or answers by interrupt id."""
    goto: Send | Sequence[Send | N] | N = ()
    """What runs next, besides the targets of the node's edges: a node's name, a `Send`, or several."""

    PARENT: ClassVar[Literal["__parent__"]] = "__parent__"

    @property  # type: ignore[misc]
    def __class__(self) -> Any:  # what `isinstance` asks beside the type
        """LangGraph's Command if that is imported."""
        return getattr(sys.modules.get("langgraph.types"), "Command", Command)

    def __reduce__(self) -> Any:
        return _command, (self.graph, self.update, self.resume, self.goto)

    def _update_as_tuples(self) -> Any:
        """What LangGraph calls to read the update."""
        return self.__class__._update_as_tuples(self)


def _command(graph: Any, update: Any, resume: Any, goto: Any) -> Command[Any]:
    return Command(graph=graph, update=update, resume=resume, goto=goto)


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Sets a key to `value`, without its reducer. At most one per key and superstep."""

    value: Any
    type: Literal["__overwrite__"] = "__overwrite__"


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A question that stopped a run."""

    value: Any
    """The question."""
    id: str = ""
    """Names it in `Command(resume={id: answer})`; the same for as long as the question is open."""
    response_schema: Any = field(default=None, kw_only=True)
    """The JSON Schema of the answer that the node expects, None if it names none."""


@dataclass(frozen=True, slots=True)
class GraphOutput(Generic[Output]):
    """What `invoke(version="v2")` returns: the output, and the interrupts that stopped the run."""

    value: Output
    """None if no key of the output was ever written."""
    interrupts: tuple[Any, ...] = ()


def with_interrupts(chunk: Any, interrupts: Sequence[Any]) -> Any:
    """A state as the values mode shows it with the interrupts that stop the run; itself if there are none.

    A state that is no mapping, since one key is shown, gives way to them.
    """
    if not interrupts:
        return chunk
    return {**(chunk if isinstance(chunk, dict) else {}), INTERRUPT: interrupts}
