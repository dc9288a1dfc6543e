"""A thread's state at one checkpoint: LangGraph's ``StateSnapshot`` as plain immutable data.

The fields have LangGraph's names and order. ``Requests`` asks for states.
"""

from typing import Any, NamedTuple

from graphwire_protocol.replies import Ok, ThreadState
from graphwire_protocol.replies import StateTask as WireTask
from pydantic import ValidationError

from graphwire.events import Interrupt, asked_of, restored


class StateTask(NamedTuple):
    """A task of the step that comes next in a thread.

    ``path`` orders it within its step. ``error`` describes the exception that ended it, ``interrupts`` are
    the questions that it asks, ``result`` is what it has written. If it runs a subgraph, ``state`` is the
    ``config`` of that graph's checkpoint, or its ``StateSnapshot`` when subgraphs were asked for.
    """

    id: str
    name: str
    path: tuple[Any, ...]
    error: Any = None
    interrupts: tuple[Interrupt, ...] = ()
    state: Any = None
    result: Any = None


class StateSnapshot(NamedTuple):
    """A thread at one checkpoint.

    ``values`` is the state. ``next`` holds the names of the nodes that run next, ``()`` at the end of the
    graph; ``tasks`` are their tasks and ``interrupts`` the questions that these ask. ``config`` names the
    checkpoint and ``parent_config`` the one before it, as ``{"configurable": {"thread_id", "checkpoint_ns",
    "checkpoint_id"}}``. A thread that was never written has no values, no ``metadata`` and no ``created_at``.
    """

    values: Any
    next: tuple[str, ...]
    config: dict[str, Any]
    metadata: dict[str, Any] | None
    created_at: str | None
    parent_config: dict[str, Any] | None
    tasks: tuple[StateTask, ...]
    interrupts: tuple[Interrupt, ...]

    @property
    def checkpoint(self) -> str | None:
        """The checkpoint's id, for the arguments ``checkpoint`` and ``before``."""
        id = self.config.get("configurable", {}).get("checkpoint_id")
        return id if isinstance(id, str) else None


def snapshot_of(state: Ok | ThreadState) -> StateSnapshot:
    """Return the snapshot for a reply, or for one state of a history."""
    return StateSnapshot(
        values=restored(state.values),
        next=state.next or (),
        config=restored(state.config or {}),
        metadata=restored(state.metadata),
        created_at=state.created_at,
        parent_config=restored(state.parent_config),
        tasks=tuple(map(_task, state.tasks or ())),
        interrupts=asked_of(state.interrupts or ()),
    )


def _task(task: WireTask) -> StateTask:
    path = _tuples(restored(task.path))
    return StateTask(
        id=task.id,
        name=task.name,
        path=path if isinstance(path, tuple) else (),
        error=restored(task.error),
        interrupts=asked_of(task.interrupts),
        state=_inner(task.state),
        result=restored(task.result),
    )


def _inner(state: Any) -> Any:
    """Return a subgraph's state: the config of its checkpoint as it is, anything else as a snapshot."""
    if isinstance(state, dict) and "configurable" not in state:
        try:
            return snapshot_of(ThreadState.model_validate(state))
        except ValidationError:
            pass  # from a newer server: returned as it is
    return restored(state)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
