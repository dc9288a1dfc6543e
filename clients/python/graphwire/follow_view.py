"""The messages of a thread, put together from what following it yields: what a chat page shows.

Pure: it takes events and does no I/O, so an application may keep another view with the same events. The one
of ``follow`` is ``follower.messages``.
"""

from typing import Any

from graphwire.events import LifecycleEvent, MessagesEvent, SnapshotEvent, SnapshotMessage
from graphwire.follow_events import FollowDiscard, FollowEvent, FollowMessages
from graphwire.messages import Message, MessageChunk


class ThreadView:
    """The messages of a thread at one moment.

    It consists of the messages of a state, and of those that a run has streamed since: a streamed message
    replaces the one of the same id, or is the next one. A later state replaces both.
    """

    def __init__(self) -> None:
        self._settled: tuple[Any, ...] = ()
        self._streamed: dict[str, Message] = {}  # by call of a model, in the order in which they began
        self._merged: tuple[Any, ...] | None = ()

    @property
    def messages(self) -> tuple[Any, ...]:
        """All messages, in order."""
        if self._merged is None:
            self._merged = self._merge()
        return self._merged

    def apply(self, event: FollowEvent) -> None:
        """Take the next event into account."""
        match event:
            case FollowMessages(messages=messages):
                self._settled = messages
                self._streamed.clear()
            case FollowDiscard():
                self._streamed.clear()
            case SnapshotEvent(messages=items):
                known = set(map(_id, self._settled))
                new = (item for item in items if item.message.id not in known)
                self._streamed = {_call(item, item.message): item.message for item in new}
            case MessagesEvent(discard=True, message=message):
                self._streamed.pop(_call(event, message), None)
            case MessagesEvent(cut_bytes=int(), message=message):
                self._streamed.setdefault(_call(event, message), message)  # it adds up to nothing
            case MessagesEvent(message=message) if message.type != "remove":
                self._add(_call(event, message), message)
            case LifecycleEvent(discard=discard) if discard:
                for call in discard:
                    self._streamed.pop(call, None)
            case _:
                return
        self._merged = None

    def _add(self, call: str, message: Message) -> None:
        before = self._streamed.get(call)
        if isinstance(before, MessageChunk) and isinstance(message, MessageChunk):
            message = before + message
        self._streamed[call] = message

    def _merge(self) -> tuple[Any, ...]:
        out = list(self._settled)
        places = {id: place for place, id in enumerate(map(_id, out)) if id is not None}
        for message in self._streamed.values():
            place = places.get(message.id) if message.id is not None else None
            if place is None:
                out.append(message)
            else:
                out[place] = message
        return tuple(out)


def _call(event: MessagesEvent | SnapshotMessage, message: Message) -> str:
    """Return the key of the call of a model that wrote the message; a server of 1.0 may name none."""
    return event.call or message.id or ""


def _id(message: Any) -> str | None:
    id = message.get("id") if isinstance(message, dict) else getattr(message, "id", None)
    return id if isinstance(id, str) else None
