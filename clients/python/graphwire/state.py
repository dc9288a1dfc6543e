"""A thread at one of its checkpoints: LangGraph's ``StateSnapshot``, in plain immutable data.

The fields are LangGraph's, name by name and in its order. Asking for one is the client's business.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from graphwire_protocol.payloads import AskedInterrupt
from graphwire_protocol.replies import Ok, ThreadState
from graphwire_protocol.replies import StateTask as TaskOnWire
from pydantic import ValidationError

from graphwire.events import Interrupt, restored


class StateTask(NamedTuple):
    """A task of the step that a thread stands before.

    ``path`` is where it stands in its step, ``error`` stands for the exception that it ended with,
    ``interrupts`` are what it asks, ``result`` what it has written. ``state`` of a subgraph is the ``config``
    of its checkpoint, or its ``StateSnapshot`` where that was asked for.
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

    ``values`` is the state, ``next`` names the nodes that come next (none where the thread has come to its
    end), ``tasks`` are theirs and ``interrupts`` what they ask. ``config`` names the checkpoint and
    ``parent_config`` the one before it, as ``{"configurable": {"thread_id", "checkpoint_ns",
    "checkpoint_id"}}``. A thread that nobody has written has no values, no ``metadata`` and no
    ``created_at``.
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
        """The checkpoint's id: what ``checkpoint`` and ``before`` take."""
        id = self.config.get("configurable", {}).get("checkpoint_id")
        return id if isinstance(id, str) else None


def snapshot_of(state: Ok | ThreadState) -> StateSnapshot:
    """Return the snapshot that a reply holds."""
    return StateSnapshot(
        values=restored(state.values),
        next=state.next or (),
        config=restored(state.config or {}),
        metadata=restored(state.metadata),
        created_at=state.created_at,
        parent_config=restored(state.parent_config),
        tasks=tuple(map(_task, state.tasks or ())),
        interrupts=_interrupts(state.interrupts or ()),
    )


def _task(task: TaskOnWire) -> StateTask:
    path = _tuples(restored(task.path))
    return StateTask(
        id=task.id,
        name=task.name,
        path=path if isinstance(path, tuple) else (),
        error=restored(task.error),
        interrupts=_interrupts(task.interrupts),
        state=_inner(task.state),
        result=restored(task.result),
    )


def _inner(state: Any) -> Any:
    """Return the state of a subgraph's task; one that is no config is a snapshot."""
    if isinstance(state, dict) and "configurable" not in state:
        try:
            return snapshot_of(ThreadState.model_validate(state))
        except ValidationError:
            pass  # of a newer server: as it came
    return restored(state)


def _interrupts(marks: Sequence[AskedInterrupt]) -> tuple[Interrupt, ...]:
    return tuple(Interrupt(mark.id, restored(mark.value)) for mark in marks)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
