"""`GraphCallbackHandler`: a callback that hears when a run stops, and when it resumes a thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.callbacks.manager import ahandle_event, handle_event

from graphwire_runtime.drive.loop import Loop
from graphwire_runtime.drive.trace import Trace
from graphwire_runtime.foreign.words import known, theirs
from graphwire_runtime.types import Interrupt

__all__ = [
    "GraphCallbackHandler",
    "GraphInterruptEvent",
    "GraphLifecycleEvent",
    "GraphLifecycleStatus",
    "GraphResumeEvent",
    "aresumed",
    "astopped",
    "resumed",
    "stopped",
]

GraphLifecycleStatus = Literal[
    "input", "pending", "done", "interrupt_before", "interrupt_after", "out_of_steps"
]
"""What a run is at: for events "pending", or the breakpoint at which it stops."""


@dataclass(frozen=True, slots=True)
class GraphInterruptEvent:
    """A run of an outermost graph has stopped at questions, or at a breakpoint."""

    run_id: UUID | None
    """As callbacks have it."""
    status: GraphLifecycleStatus
    checkpoint_id: str
    """The checkpoint that the run stands at; "" if it is not kept."""
    checkpoint_ns: tuple[str, ...]
    """The namespace of the graph, `()` for the outermost."""
    interrupts: tuple[Interrupt, ...]
    """The questions; none at a breakpoint."""


@dataclass(frozen=True, slots=True)
class GraphResumeEvent:
    """A run continues its thread from a checkpoint; a graph inside it does so, too."""

    run_id: UUID | None
    status: GraphLifecycleStatus
    checkpoint_id: str
    checkpoint_ns: tuple[str, ...]


GraphLifecycleEvent = GraphInterruptEvent | GraphResumeEvent


class GraphCallbackHandler(BaseCallbackHandler):
    """A callback of LangChain's, for `config["callbacks"]`, that also hears of a graph's interrupts.

    Its methods may be async. One of LangGraph's works as well, and gets LangGraph's events.
    """

    def on_interrupt(self, event: GraphInterruptEvent) -> Any:
        """A run has stopped."""

    def on_resume(self, event: GraphResumeEvent) -> Any:
        """A run has resumed."""


def resumed(loop: Loop, trace: Trace) -> None:
    """Report that a run continues its thread, if it does."""
    if loop.standing.resuming and loop.standing.checkpoint_id:
        for handlers, event in _events(loop, trace, "on_resume"):
            handle_event(handlers, "on_resume", None, event)


async def aresumed(loop: Loop, trace: Trace) -> None:
    """The same as `resumed`, in an asynchronous run."""
    if loop.standing.resuming and loop.standing.checkpoint_id:
        for handlers, event in _events(loop, trace, "on_resume"):
            await ahandle_event(handlers, "on_resume", None, event)


def stopped(loop: Loop, trace: Trace) -> None:
    """Report that a run has stopped before its end, if it has."""
    if loop.stopped:
        for handlers, event in _events(loop, trace, "on_interrupt"):
            handle_event(handlers, "on_interrupt", None, event)


async def astopped(loop: Loop, trace: Trace) -> None:
    """The same as `stopped`, in an asynchronous run."""
    if loop.stopped:
        for handlers, event in _events(loop, trace, "on_interrupt"):
            await ahandle_event(handlers, "on_interrupt", None, event)


def _events(loop: Loop, trace: Trace, name: str) -> Iterator[tuple[list[BaseCallbackHandler], Any]]:
    """The event that there is now, once for those who know ours and once for those who know LangGraph's."""
    handlers: list[BaseCallbackHandler] = trace.run.handlers
    own: list[BaseCallbackHandler] = [each for each in handlers if isinstance(each, GraphCallbackHandler)]
    kind = known("callbacks", "GraphCallbackHandler")
    foreign = [] if kind is None else [each for each in handlers if isinstance(each, kind)]
    at: dict[str, Any] = {
        "run_id": trace.run.run_id,
        "status": loop.status,
        "checkpoint_id": loop.standing.checkpoint_id,
        "checkpoint_ns": loop.run.namespace,
    }
    asks = name == "on_interrupt"
    if own:
        event = GraphInterruptEvent(**at, interrupts=loop.interrupts) if asks else GraphResumeEvent(**at)
        yield own, event
    if foreign:
        made = known("callbacks", "GraphInterruptEvent" if asks else "GraphResumeEvent")
        yield foreign, made(**at, interrupts=tuple(map(theirs, loop.interrupts))) if asks else made(**at)
