"""What a run tells: one small frozen class a mode, made for ``match``.

``EventReader`` turns the protocol's frames into them, restores the values behind the wire's tags and
remembers what is told once a message. Which frames come, and when, is the run's business.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphwire_protocol.frames import Event as EventFrame
from graphwire_protocol.frames import Gap, Snapshot
from graphwire_protocol.payloads import Interrupts, Lifecycle, PendingInterrupt
from graphwire_protocol.projection import TagError, restore
from graphwire_protocol.types import Status
from pydantic import ValidationError

from graphwire.messages import Message, message_from_json

_REMEMBERED = 1024  # messages written at once whose metadata is at hand


@dataclass(frozen=True, slots=True)
class Interrupt:
    """A question that a graph waits for: ``id`` to answer it by, ``value`` as the graph gave it, and the
    ``namespace`` of the subgraph that asks.
    """

    id: str
    value: Any = None
    namespace: tuple[str, ...] = ()


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

    ``run`` is the run's id, ``seq`` the event's place in its log, ``mode`` what kind of event it is, ``data``
    what LangGraph's ``stream_mode`` of that name yields, ``namespace`` the subgraph's path (``()`` is the
    root), ``node`` the node where the server tells it.
    """

    run: str
    seq: int
    mode: str
    data: Any = None
    namespace: tuple[str, ...] = ()
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesEvent(RunEvent):
    """The state after a step. ``interrupts`` are those that LangGraph yields with it."""

    interrupts: tuple[Interrupt, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdatesEvent(RunEvent):
    """``data`` is ``{node: update}``.

    ``interrupts`` are those that LangGraph yields in its place (``()`` at a static breakpoint); ``data`` is
    then empty.
    """

    interrupts: tuple[Interrupt, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomEvent(RunEvent):
    """``data`` is what the graph's stream writer was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagesEvent(RunEvent):
    """A piece of a message (``MessageChunk``) or a whole one (``Message``), with LangGraph's metadata."""

    message: Message
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TasksEvent(RunEvent):
    """A task begins, or has ended: ``data`` as LangGraph's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointsEvent(RunEvent):
    """A checkpoint was written: ``data`` as LangGraph's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugEvent(RunEvent):
    """``data`` as LangGraph's ``debug`` mode yields it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InterruptEvent(RunEvent):
    """The run pauses: ``interrupts`` are all open questions, none at a static breakpoint."""

    interrupts: tuple[Interrupt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleEvent(RunEvent):
    """The run has a new ``status``, since ``at`` (RFC 3339).

    ``attempt`` rises when another worker took the run over; ``discard`` then names the messages that come
    again from their beginning.
    """

    status: Status
    attempt: int
    at: str
    reason: str | None = None
    error: Failure | None = None
    discard: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GapEvent(RunEvent):
    """Events behind ``after_seq``, up to ``upto_seq``, are not to be had any more: ``reason`` is
    ``evicted``, ``epoch_changed`` or ``ahead``.

    A ``SnapshotEvent`` follows and stands for them, but for the modes in ``lost``.
    """

    after_seq: int
    upto_seq: int
    reason: str
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SnapshotMessage:
    """A message as it was at the snapshot: all its pieces added up."""

    message: Message
    metadata: dict[str, Any]
    namespace: tuple[str, ...] = ()
    node: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotEvent(RunEvent):
    """The run as it was at ``seq``: replace what was shown before.

    ``values`` is the root state, ``None`` where the filter or the run has none.
    """

    status: Status
    values: Any = None
    messages: tuple[SnapshotMessage, ...] = ()
    interrupts: tuple[Interrupt, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(RunEvent):
    """An event of a mode that is newer than this client, as it came."""


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

_PLAIN: dict[str, type[CustomEvent | TasksEvent | CheckpointsEvent | DebugEvent]] = {
    "custom": CustomEvent,
    "tasks": TasksEvent,
    "checkpoints": CheckpointsEvent,
    "debug": DebugEvent,
}


def restored(value: Any) -> Any:
    """Return ``value`` without the wire's tags; as it is where a newer server has tagged it."""
    try:
        return restore(value, message_from_json)
    except TagError:
        return value


class EventReader:
    """Reads the frames of one run, in order, across all its attachments."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._metadata: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def read(self, frame: EventFrame | Gap | Snapshot) -> Event:
        """Return the event that ``frame`` is."""
        if isinstance(frame, Gap):
            return GapEvent(
                run=self._run,
                seq=frame.upto_seq,
                mode="gap",
                after_seq=frame.after_seq,
                upto_seq=frame.upto_seq,
                reason=frame.reason,
                lost=frame.lost,
            )
        if isinstance(frame, Snapshot):
            return self._snapshot(frame)
        try:
            return self._event(frame)
        except (ValidationError, KeyError, TypeError, ValueError):
            # A mode that is known with data that is not: the application is told, nothing breaks.
            return self._unknown(frame)

    def _event(self, frame: EventFrame) -> Event:
        mode = frame.mode
        place: dict[str, Any] = {
            "run": self._run,
            "seq": frame.seq,
            "mode": mode,
            "namespace": frame.ns,
            "node": frame.node,
        }
        if mode == "messages":
            return self._message(frame, place)
        if mode == "lifecycle":
            return _lifecycle(frame, place)
        data = restored(frame.data)
        if mode in ("values", "updates"):
            marks = frame.interrupts
            interrupts = None if marks is None else tuple(Interrupt(m.id, restored(m.value)) for m in marks)
            if mode == "values":
                return ValuesEvent(data=data, interrupts=interrupts, **place)
            return UpdatesEvent(data=data, interrupts=interrupts, **place)
        if mode == "interrupt":
            pending = Interrupts.model_validate(frame.data).interrupts
            return InterruptEvent(data=data, interrupts=interrupts_of(pending), **place)
        if mode in _PLAIN:
            return _PLAIN[mode](data=data, **place)
        return UnknownEvent(data=frame.data, **place)

    def _unknown(self, frame: EventFrame) -> UnknownEvent:
        return UnknownEvent(
            run=self._run,
            seq=frame.seq,
            mode=frame.mode,
            data=frame.data,
            namespace=frame.ns,
            node=frame.node,
        )

    def _message(self, frame: EventFrame, place: dict[str, Any]) -> Event:
        data = frame.data
        id = data["id"]
        if "delta" in data:
            raw = {"type": "AIMessageChunk", **data["delta"], "id": id}
        else:
            raw = {**data["message"], "id": id}
        # The message's own keys are the protocol's; only what they hold is tagged.
        message = message_from_json({name: restored(value) for name, value in raw.items()})
        metadata = self._remember(id, frame.meta)
        return MessagesEvent(data=(message, metadata), message=message, metadata=metadata, **place)

    def _remember(self, id: str, meta: dict[str, Any] | None) -> dict[str, Any]:
        if meta is not None:
            self._metadata[id] = restored(meta)
            if len(self._metadata) > _REMEMBERED:
                self._metadata.popitem(last=False)
        elif id not in self._metadata:
            return {}
        self._metadata.move_to_end(id)
        return self._metadata[id]

    def _snapshot(self, frame: Snapshot) -> SnapshotEvent:
        messages: list[SnapshotMessage] = []
        for item in frame.messages:
            fields = {name: restored(value) for name, value in item.message.items()}
            message = message_from_json({**fields, "id": item.id})
            metadata = self._remember(item.id, item.meta)
            messages.append(SnapshotMessage(message, metadata, item.ns, item.node))
        return SnapshotEvent(
            run=self._run,
            seq=frame.seq,
            mode="snapshot",
            status=frame.status,
            values=restored(frame.values),
            messages=tuple(messages),
            interrupts=interrupts_of(frame.interrupts),
        )


def _lifecycle(frame: EventFrame, place: dict[str, Any]) -> LifecycleEvent:
    life = Lifecycle.model_validate(frame.data)
    return LifecycleEvent(
        data=frame.data,
        status=life.status,
        attempt=life.attempt,
        at=life.at,
        reason=life.reason,
        error=failure_of(life),
        discard=life.discard or (),
        **place,
    )


def failure_of(life: Lifecycle) -> Failure | None:
    """Return why the run failed, if this is the event that says it."""
    if life.error is None:
        return None
    error = life.error
    return Failure(error.code, error.message, error.error_id, error.type)


def interrupts_of(pending: tuple[PendingInterrupt, ...]) -> tuple[Interrupt, ...]:
    """Return the open questions of a frame."""
    return tuple(Interrupt(item.id, restored(item.value), item.ns) for item in pending)
