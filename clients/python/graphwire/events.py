"""The events of a run: one small frozen class for each mode, made for ``match``.

``event_reader`` makes them from the protocol's frames. What is small and what other frames hold too, values,
questions and failures, is restored here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphwire_protocol.payloads import AskedInterrupt, Lifecycle, PendingInterrupt
from graphwire_protocol.projection import Cut, TagError, restore
from graphwire_protocol.types import Status

from graphwire.errors import Refused
from graphwire.messages import Message, message_from_json


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A question that a graph asked with ``interrupt(value)`` and that has no answer yet.

    ``id`` names it in ``run.respond({id: answer})``; ``namespace`` is the path of the subgraph that asks.
    ``response_schema`` is the JSON Schema that the server checks the answer against, ``None`` without one.
    """

    id: str
    value: Any = None
    namespace: tuple[str, ...] = ()
    response_schema: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a run failed; see ``RunFailed`` for the fields."""

    code: str
    message: str
    error_id: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """What all events have in common.

    ``run`` is the run's id and ``seq`` the event's position in its log, from 1. ``mode`` is the kind of
    event, and ``data`` what LangGraph's ``stream_mode`` of that name yields. ``namespace`` is the
    subgraph's path (``()`` is the root), and ``node`` the name of the node, ``None`` if the server does not
    say.

    ``cut_bytes`` is ``None``, or the size of data that is larger than the server's ``max_event_bytes`` and
    was not sent. ``data`` then only stands for it. A key that alone is too large is a ``Cut`` within
    ``data``.
    """

    run: str
    seq: int
    mode: str
    data: Any = None
    namespace: tuple[str, ...] = ()
    node: str | None = None
    cut_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesEvent(RunEvent):
    """``data`` is the state after a step, ``interrupts`` the questions that LangGraph yields with it."""

    interrupts: tuple[Interrupt, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatesEvent(RunEvent):
    """``data`` is ``{node: update}``.

    When LangGraph yields interrupts instead, ``data`` is empty and ``interrupts`` holds them (``()`` at a
    static breakpoint). Otherwise ``interrupts`` is ``None``.
    """

    interrupts: tuple[Interrupt, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomEvent(RunEvent):
    """``data`` is what a node passed to its stream writer.

    ``task_namespace``: if LangGraph's ``@task`` passed it, where LangGraph shows it with subgraphs.
    """

    task_namespace: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesEvent(RunEvent):
    """A piece of a message (``MessageChunk``) or a whole one (``Message``), with LangGraph's metadata.

    ``data`` is the pair ``(message, metadata)``. ``call`` names the call of a model that wrote the message,
    uniquely in the run: add up the pieces with the same ``call``, not those with the same ``id``, because a
    model may use an id again. A whole message replaces what came before with its ``call``.

    ``message.id`` is the one that the state will have, as far as it is known; ``chunk_id`` is the one that
    this piece had in the graph. ``discard``: the node failed and begins again; drop what you have of the
    ``call``. With ``cut_bytes`` the message has only its ``id``, and the type ``unknown``; an older server
    sends no ``id`` then, and ``call`` is ``None``. So it is with all later pieces of a message that a
    snapshot had to cut: nobody can add them to anything.
    """

    message: Message
    metadata: dict[str, Any]
    call: str | None = None
    chunk_id: str | None = None
    discard: bool = False

    def __post_init__(self) -> None:
        """Let what is left out be the message's id."""
        for name in ("call", "chunk_id"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.message.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksEvent(RunEvent):
    """A task starts or has ended; ``data`` as LangGraph's ``tasks`` mode yields it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointsEvent(RunEvent):
    """A checkpoint was written; ``data`` as LangGraph's ``checkpoints`` mode yields it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugEvent(RunEvent):
    """``data`` is what LangGraph's ``debug`` mode yields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptEvent(RunEvent):
    """The run pauses: ``interrupts`` are all open questions, ``()`` at a static breakpoint."""

    interrupts: tuple[Interrupt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent(RunEvent):
    """The run has a new ``status``, since ``at`` (RFC 3339).

    ``attempt`` counts from 1 and rises when another process takes over the run and repeats its last step.
    ``void_after`` is then the ``seq`` behind which all that the graph said before this event is void, in
    every mode: drop it, it comes again. ``discard`` holds the ``call`` of each message among that.
    """

    status: Status
    attempt: int
    at: str
    reason: str | None = None
    error: Failure | None = None
    discard: tuple[str, ...] = ()
    void_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEvent(RunEvent):
    """The events after ``after_seq``, up to and including ``upto_seq``, are no longer available.

    ``reason`` is ``evicted``, ``epoch_changed`` or ``ahead``. A ``SnapshotEvent`` follows and replaces them,
    except for events of the modes in ``lost``.
    """

    after_seq: int
    upto_seq: int
    reason: str
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapshotMessage:
    """A message as it was at the snapshot: all its pieces added up. Later pieces have the same ``call``.

    With ``cut_bytes``, its size, it was too large for the snapshot: the message has only its ``id`` and its
    ``type``, and the events of its later pieces have ``cut_bytes`` too.
    """

    message: Message
    metadata: dict[str, Any]
    namespace: tuple[str, ...] = ()
    node: str | None = None
    cut_bytes: int | None = None
    call: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotEvent(RunEvent):
    """The run as it was at ``seq``. It replaces everything that was shown before.

    ``values`` is the state of the root graph, ``None`` if the filter or the run's log has no values.
    """

    status: Status
    values: Any = None
    messages: tuple[SnapshotMessage, ...] = ()
    interrupts: tuple[Interrupt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(RunEvent):
    """An event whose mode or data this version does not know; ``data`` is as it was sent."""


Event: TypeAlias = (
    ValuesEvent
    | UpdatesEvent
    | CustomEvent
    | MessagesEvent
    | TasksEvent
    | CheckpointsEvent
    | DebugEvent
    | InterruptEvent
    | LifecycleEvent
    | GapEvent
    | SnapshotEvent
    | UnknownEvent
)
"""Everything that iterating over a run yields."""


def restored(value: Any) -> Any:
    """Return the value behind the wire's tags, or ``value`` itself if a newer server used an unknown tag."""
    try:
        return restore(value, message_from_json)
    except TagError:
        return value


def whole_output(run: str, output: Any) -> Any:
    """Return a run's output. Raises ``Refused`` if the server, one of 1.0, cut all of it for its size."""
    value = restored(output)
    size = cut_bytes(value)
    if size is not None:
        raise Refused(
            "too_large",
            f"the output of run {run} takes {size:,} bytes, more than the server's max_event_bytes; read "
            "values events with keys for parts of it, or raise that limit",
            details={"bytes": size},
        )
    return value


def cut_bytes(data: Any) -> int | None:
    """Return the size of what ``data`` stands for; None if it is all there."""
    return data.bytes if isinstance(data, Cut) and data.reason == "size" else None


def failure_of(life: Lifecycle) -> Failure | None:
    """Return why the run failed; ``None`` if the event is no failure."""
    if life.error is None:
        return None
    error = life.error
    return Failure(error.code, error.message, error.error_id, error.type)


def interrupts_of(pending: tuple[PendingInterrupt, ...]) -> tuple[Interrupt, ...]:
    """Return the questions of a frame as ``Interrupt``s."""
    return tuple(Interrupt(item.id, restored(item.value), item.ns, item.response_schema) for item in pending)


def asked_of(marks: Iterable[AskedInterrupt]) -> tuple[Interrupt, ...]:
    """Return questions as a state has them as ``Interrupt``s."""
    return tuple(
        Interrupt(mark.id, restored(mark.value), response_schema=mark.response_schema) for mark in marks
    )
