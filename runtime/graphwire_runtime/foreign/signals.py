"""Signals of a node's code to whoever runs it, in the form that both libraries know.

An interrupt, and a Command for the surrounding graph, leave a node as exceptions. They may pass through code
of the other library on their way, such as a ToolNode, which lets only its own library's signals pass. So each
is raised as an instance of both libraries' classes if LangGraph is imported, and both libraries' are caught.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from graphwire_runtime.errors import GraphBubbleUp, GraphDrained, GraphInterrupt, ParentCommand
from graphwire_runtime.foreign.words import both, known, ours, ours_of_asked, their_send, theirs
from graphwire_runtime.namespace import nodes_in
from graphwire_runtime.types import Command, Interrupt

__all__ = [
    "asking",
    "bubbling",
    "command_for",
    "drain",
    "interrupted",
    "interrupts_of",
    "passing",
    "sent_up",
    "sent_up_by",
]

Kinds = tuple[type[BaseException], ...]


def asking() -> Kinds:
    """What to catch for a question."""
    return _kinds(GraphInterrupt)


def sent_up_by() -> Kinds:
    """What to catch for a Command for the surrounding graph."""
    return _kinds(ParentCommand)


def passing() -> Kinds:
    """What to catch for a signal of a graph inside that says nothing of the task that it comes through."""
    return (*_kinds(ParentCommand), *_kinds(GraphDrained))


def bubbling() -> Kinds:
    """What to catch for any signal that is no failure."""
    return _kinds(GraphBubbleUp)


def interrupts_of(error: Any) -> tuple[Interrupt, ...]:
    """The interrupts that a signal from `asking` carries."""
    if isinstance(error, GraphInterrupt):
        return error.interrupts
    return tuple(map(ours_of_asked, error.args[0] if error.args else ()))


def interrupted(interrupts: tuple[Interrupt, ...]) -> GraphInterrupt:
    """The signal that stops a node at these questions; none if a graph in it stopped at a breakpoint."""
    error: GraphInterrupt = _raised(GraphInterrupt)(interrupts)
    error.args = (tuple(map(theirs, interrupts)),)
    return error


def drain(control: Any) -> None:
    """Raise the signal that a run has stopped before a superstep if its RunControl was asked for that."""
    if control.drain_requested:
        raise _raised(GraphDrained)(control.drain_reason)


def sent_up(command: Command[Any], namespace: str) -> ParentCommand:
    """The signal that carries a Command out of a graph.

    Args:
        command: `graph` is `Command.PARENT`.
        namespace: of the graph that it leaves, which LangGraph reads as the name of the task around it.
    """
    error: ParentCommand = _raised(ParentCommand)(command)
    kind = known("types", "Command")
    if kind is not None:
        goto: Any = command.goto
        if not isinstance(goto, str):
            targets = goto if isinstance(goto, Sequence) else (goto,)
            goto = [each if isinstance(each, str) else their_send(each) for each in targets]
        error.args = (kind(graph=namespace or command.graph, update=command.update, goto=goto),)
    return error


def command_for(error: Any, namespace: str) -> Command[Any]:
    """The Command of a signal from `sent_up_by`, for the task with this namespace.

    Raises the signal again if LangGraph has addressed it to a task further out.
    """
    if isinstance(error, ParentCommand):
        command: Command[Any] = error.command
        return command
    command = ours(error.args[0])
    if command.graph in (Command.PARENT, namespace, "|".join(nodes_in(namespace.split("|")))):
        return replace(command, graph=None)
    raise error


def _kinds(kind: type[Exception]) -> Kinds:
    theirs = known("errors", kind.__name__)
    return (kind,) if theirs is None else (kind, theirs)


def _raised(kind: type[Exception]) -> Any:
    return both(kind, known("errors", kind.__name__))
