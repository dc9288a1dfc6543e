"""`RunContext`: what stays the same for a whole run, shared by all its tasks.

What changes from superstep to superstep is in `standing`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.callbacks import BaseCallbackHandler

from graphwire_runtime.namespace import Namespace
from graphwire_runtime.plan.config import Settings
from graphwire_runtime.plan.plan import NodePlan, Plan
from graphwire_runtime.step.answers import NO_ANSWERS, ResumeAnswers
from graphwire_runtime.stream.display import Display
from graphwire_runtime.stream.tokens import TokenTap

__all__ = ["KeptThread", "Progress", "RunContext", "TaskCalls", "too_late"]


class TaskCalls:
    """What a task needs in order to call another. This one refuses: `drive.calls` has those of runs."""

    def start(self, caller: Any, function: NodePlan, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Begin a task beside its caller; return the future of its result.

        Raises RuntimeError if it cannot.
        """
        raise too_late(function.name, caller.name)


def too_late(name: str, caller: str) -> RuntimeError:
    """The error for a call where no superstep could wait for the task."""
    return RuntimeError(
        f"task {name!r} was called by {caller!r}, which is not at work; call it while the entrypoint, "
        "node or task runs"
    )


NO_CALLS = TaskCalls()


class KeptThread(Protocol):
    """What a task, and a graph that runs inside it, need from the thread: its `Checkpoints`, from below."""

    id: str
    saver: Any
    durability: str
    namespace: str
    replay: Any
    """How graphs inside are wound back, None if the run is no replay."""

    @property
    def parents(self) -> Mapping[str, str]:
        """The ids of the checkpoints that the surrounding graphs stand at, by their namespaces."""

    def answered(self, task_id: str, path: str, answers: Sequence[Any]) -> None:
        """Keep the answers that a task has taken, for when it runs again."""


class Progress(Protocol):
    """What a task needs of the `Timeout` of its present attempt."""

    pulse: BaseCallbackHandler | None
    """Reports progress whenever LangChain calls it; None if only heartbeats are progress."""

    def beat(self) -> None:
        """Report progress, from any thread."""


@dataclass(slots=True)
class RunContext:
    """The surroundings of one run.

    Set when the run is opened, and, but for `calls`, never changed. It is not a frozen dataclass, because to
    make one of those takes 5 µs, a twentieth of a short run.
    """

    plan: Plan
    settings: Settings
    namespace: Namespace
    """The path of graphs from the outermost to this one; empty for the outermost."""
    checkpoint_ns: str
    """The namespace as one string, its parts joined by "|"."""
    display: Display
    nested: bool = False
    """Whether the run belongs to the run of the surrounding graph: it shares its thread and its answers."""
    context: Any = None
    """What the caller passed as `context=`."""
    store: Any = None
    thread: KeptThread | None = None
    """None if the run is not kept."""
    answers: ResumeAnswers = NO_ANSWERS
    taps: Sequence[TokenTap] | None = None
    """The callbacks of models that tasks call, if nothing but these listens."""
    beats: tuple[Callable[[], None], ...] = ()
    """The heartbeats of the surrounding graphs' tasks: progress here is progress there."""
    repeated: bool = False
    """Whether it runs in a task of a surrounding graph that has failed and begins again."""
    lent: KeptThread | None = None
    """The nearest thread around the run: a graph inside a run that is not kept may have its history there."""
    control: Any = None
    """Asks the run to stop before its next superstep: a RunControl, or LangGraph's of a graph around."""
    calls: TaskCalls = NO_CALLS
    """Begins the tasks that tasks call. Set once, when the run begins."""
