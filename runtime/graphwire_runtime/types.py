"""The words a graph's author writes: START, END, Send, Command, Overwrite, Interrupt, StreamWriter.

Plain values without behaviour. What they do to a run is in `task` (a node's return) and `loop` (an input).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import typing_extensions

__all__ = ["END", "START", "Command", "GraphOutput", "Interrupt", "Overwrite", "Send", "StreamWriter"]

START = "__start__"
"""Where every run enters: edges from here name the first nodes."""

END = "__end__"
"""Where a path stops: edges to here lead nowhere."""

StreamWriter = Callable[[Any], None]
"""Takes one object of any kind and puts it into the `custom` stream, uncopied."""

State = typing_extensions.TypeVar("State", default=Any)
Context = typing_extensions.TypeVar("Context", default=Any)
Input = typing_extensions.TypeVar("Input", default=State)
Result = typing_extensions.TypeVar("Result", default=State)

N = TypeVar("N")
Output = TypeVar("Output")


@dataclass(frozen=True, slots=True)
class Send:
    """Run `node` in the next superstep with exactly `arg` as its input instead of the state.

    Returned by routers, or within `Command.goto`. Several to one node run side by side.
    """

    node: str
    arg: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Command(Generic[N]):
    """What a node may return instead of an update, and what may be given to a run as input.

    `update` is written like a plain return value: a mapping, a list of `(key, value)` pairs, an instance of a
    schema, or None. `goto` names a node, is a `Send`, or a sequence of both; it adds to the node's edges.
    With `graph=Command.PARENT` both are meant for the graph that holds this one. `resume`, in an input, is
    the answer to the interrupt that the thread waits at, or a mapping of interrupts' ids to answers.
    """

    graph: str | None = None
    update: Any | None = None
    resume: Any | None = None
    goto: Send | Sequence[Send | N] | N = ()

    PARENT: ClassVar[Literal["__parent__"]] = "__parent__"


@dataclass(frozen=True, slots=True)
class Overwrite:
    """Write `value` into a key as it is, past the key's reducer. At most one per key and superstep."""

    value: Any
    type: Literal["__overwrite__"] = "__overwrite__"


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A question that stopped a run: `value` is what the node asked, `id` is what an answer may name it by.

    The id stays the same for as long as the question is open. `response_schema` is what the node said about
    the answer it expects; nothing here looks at it.
    """

    value: Any
    id: str = ""
    response_schema: Any = field(default=None, kw_only=True)


@dataclass(frozen=True, slots=True)
class GraphOutput(Generic[Output]):
    """What `invoke(version="v2")` returns: the output, and the interrupts that stopped the run."""

    value: Output
    interrupts: tuple[Any, ...] = ()
