"""How the frames of a run become its events.

An ``EventReader`` restores values from the wire's tags. It remembers the metadata that the server sends only
once for each call of a model, and which messages the last snapshot had to cut.
"""

from collections import OrderedDict
from typing import Any

from graphwire_protocol.frames import Event as EventFrame
from graphwire_protocol.frames import Gap, Snapshot
from graphwire_protocol.payloads import Interrupts, Lifecycle
from pydantic import ValidationError

from graphwire.events import (
    CheckpointsEvent,
    CustomEvent,
    DebugEvent,
    Event,
    GapEvent,
    InterruptEvent,
    LifecycleEvent,
    MessagesEvent,
    SnapshotEvent,
    SnapshotMessage,
    TasksEvent,
    UnknownEvent,
    UpdatesEvent,
    ValuesEvent,
    asked_of,
    cut_bytes,
    failure_of,
    interrupts_of,
    restored,
)
from graphwire.messages import Message, MessageChunk, message_from_json

_REMEMBERED = 1024  # messages being written at the same time whose metadata is kept

_PLAIN: dict[str, type[TasksEvent | CheckpointsEvent | DebugEvent]] = {
    "tasks": TasksEvent,
    "checkpoints": CheckpointsEvent,
    "debug": DebugEvent,
}


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
        void_after=life.void_after,
        **fields,
    )
