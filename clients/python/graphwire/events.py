"""The events of a run: one small frozen class for each mode, made for ``match``.

``EventReader`` makes them from the protocol's frames. It restores values from the wire's tags, and remembers
the metadata that the server sends only once for each message.

Long because an event and how it is read from its frame change together.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from graphwire_protocol.frames import Event as EventFrame
from graphwire_protocol.frames import Gap, Snapshot
from graphwire_protocol.payloads import AskedInterrupt, Interrupts, Lifecycle, PendingInterrupt
from graphwire_protocol.projection import Cut, TagError, restore
from graphwire_protocol.types import Status
from pydantic import ValidationError

from graphwire.errors import Refused
from graphwire.messages import Message, MessageChunk, message_from_json

_REMEMBERED = 1024  # messages being written at the same time whose metadata is kept


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
    was not sent. ``data`` then only stands for it.
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

    ``attempt`` counts from 1 and rises when another worker takes over the run; ``discard`` then holds the
    ``call`` of each message that is sent again from its beginning.
    """

    status: Status
    attempt: int
    at: str
    reason: str | None = None
    error: Failure | None = None
    discard: tuple[str, ...] = ()


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

_PLAIN: dict[str, type[TasksEvent | CheckpointsEvent | DebugEvent]] = {
    "tasks": TasksEvent,
    "checkpoints": CheckpointsEvent,
    "debug": DebugEvent,
}


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


class EventReader:
    """Makes events of the frames of one run, in order, across all its subscriptions."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._metadata: OrderedDict[str, dict[str, Any]] = OrderedDict()  # by ``call``
        self._cut: dict[str, int | None] = {}  # calls that the last snapshot had to cut, with their sizes

    def read(self, frame: EventFrame | Gap | Snapshot) -> Event:
        """Return the event for ``frame``."""
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
            # A known mode with unknown data, from a newer server: the application gets it as it is.
            return self._unknown(frame)

    def _event(self, frame: EventFrame) -> Event:
        mode = frame.mode
        fields: dict[str, Any] = {
            "run": self._run,
            "seq": frame.seq,
            "mode": mode,
            "namespace": frame.ns,
            "node": frame.node,
        }
        if mode == "messages":
            return self._message(frame, fields)
        if mode == "lifecycle":
            event = _lifecycle(frame, fields)
            for call in event.discard:  # it is sent again, whole
                self._cut.pop(call, None)
            return event
        data = restored(frame.data)
        fields["cut_bytes"] = cut_bytes(data)
        if mode in ("values", "updates"):
            marks = frame.interrupts
            interrupts = None if marks is None else asked_of(marks)
            if mode == "values":
                return ValuesEvent(data=data, interrupts=interrupts, **fields)
            return UpdatesEvent(data=data, interrupts=interrupts, **fields)
        if mode == "interrupt":
            pending = Interrupts.model_validate(frame.data).interrupts
            return InterruptEvent(data=data, interrupts=interrupts_of(pending), **fields)
        if mode == "custom":
            return CustomEvent(data=data, task_namespace=frame.task_ns, **fields)
        if mode in _PLAIN:
            return _PLAIN[mode](data=data, **fields)
        return UnknownEvent(data=frame.data, **fields)

    def _unknown(self, frame: EventFrame) -> UnknownEvent:
        return UnknownEvent(
            run=self._run,
            seq=frame.seq,
            mode=frame.mode,
            data=frame.data,
            namespace=frame.ns,
            node=frame.node,
        )

    def _message(self, frame: EventFrame, fields: dict[str, Any]) -> Event:
        data = frame.data
        id = data.get("id")
        call = data.get("call", id)
        chunk_id = id
        if "delta" in data and call in self._cut and not data.get("discard"):
            fields["cut_bytes"] = self._cut[call]
            last = {name: data["delta"][name] for name in ("chunk_position",) if name in data["delta"]}
            piece = MessageChunk("unknown", id=id, extras=last)
            metadata = self._remember(call, frame.meta)
            return MessagesEvent(
                data=(piece, metadata), message=piece, metadata=metadata, call=call, chunk_id=id, **fields
            )
        if "$cut" in data:
            fields["cut_bytes"] = cut_bytes(restored({"$cut": data["$cut"]}))
            message = Message("unknown", id=id)
        else:
            if "delta" in data:
                raw = {"type": "AIMessageChunk", **data["delta"], "id": id}
                chunk_id = data["delta"].get("id", id)
            else:
                raw = {**data["message"], "id": id}
            # The keys of a message belong to the protocol; only the values may be tagged.
            message = message_from_json({name: restored(value) for name, value in raw.items()})
        metadata = self._remember(call, frame.meta)
        return MessagesEvent(
            data=(message, metadata),
            message=message,
            metadata=metadata,
            call=call,
            chunk_id=chunk_id,
            discard=bool(data.get("discard")),
            **fields,
        )

    def _remember(self, call: str | None, meta: dict[str, Any] | None) -> dict[str, Any]:
        if call is None:
            return {} if meta is None else restored(meta)
        if meta is not None:
            self._metadata[call] = restored(meta)
            if len(self._metadata) > _REMEMBERED:
                self._metadata.popitem(last=False)
        elif call not in self._metadata:
            return {}
        self._metadata.move_to_end(call)
        return self._metadata[call]

    def _snapshot(self, frame: Snapshot) -> SnapshotEvent:
        messages: list[SnapshotMessage] = []
        self._cut.clear()
        for item in frame.messages:
            call = item.id if item.call is None else item.call
            metadata = self._remember(call, item.meta)
            size: int | None = None
            if "$cut" in item.message:
                size = self._cut[call] = cut_bytes(restored({"$cut": item.message["$cut"]}))
                message = Message(str(item.message.get("type", "unknown")), id=item.id)
            else:
                restored_fields = {name: restored(value) for name, value in item.message.items()}
                message = message_from_json({**restored_fields, "id": item.id})
            messages.append(SnapshotMessage(message, metadata, item.ns, item.node, size, call))
        return SnapshotEvent(
            run=self._run,
            seq=frame.seq,
            mode="snapshot",
            status=frame.status,
            values=restored(frame.values),
            messages=tuple(messages),
            interrupts=interrupts_of(frame.interrupts),
        )


def cut_bytes(data: Any) -> int | None:
    """Return the size of what ``data`` stands for; None if it is all there."""
    return data.bytes if isinstance(data, Cut) and data.reason == "size" else None


def _lifecycle(frame: EventFrame, fields: dict[str, Any]) -> LifecycleEvent:
    life = Lifecycle.model_validate(frame.data)
    return LifecycleEvent(
        data=frame.data,
        status=life.status,
        attempt=life.attempt,
        at=life.at,
        reason=life.reason,
        error=failure_of(life),
        discard=life.discard or (),
        **fields,
    )


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
