"""Messages and their chunks: plain frozen data, without LangChain.

They can be sent back as they are: the protocol's projection knows ``__graphwire_message__``. So a state that
one run returned may be the input of another. The protocol's ``deltas`` define how chunks add up.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, TypeAlias, TypeVar

from graphwire_protocol.deltas import add_delta
from graphwire_protocol.projection import message_fields

Content: TypeAlias = str | list[Any]
"""Text, or a list of strings and content blocks (dicts with a ``type``)."""

M = TypeVar("M", bound="Message")


@dataclass(frozen=True)
class Message:
    """One whole message.

    ``type`` is ``human``, ``ai``, ``system``, ``tool``, ``function``, ``chat`` or ``remove``. ``tool_calls``
    are ``{"name", "args": {..}, "id", "type"}``. Other fields, such as the ``tool_call_id`` of a tool
    message, are in ``extras``.
    """

    type: str
    content: Content = ""
    id: str | None = None
    name: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    usage_metadata: dict[str, Any] | None = None
    additional_kwargs: dict[str, Any] = field(default_factory=dict)
    response_metadata: dict[str, Any] = field(default_factory=dict)
    extras: dict[str, Any] = field(default_factory=dict)

    __graphwire_message__: ClassVar[bool] = True

    @property
    def text(self) -> str:
        """The content if it is a string, else its text blocks joined."""
        if isinstance(self.content, str):
            return self.content
        return "".join(map(_text_of, self.content))

    def to_json(self) -> dict[str, Any]:
        """Return the fields as flat JSON, without empty ones; ``message_from_json()`` reads them back."""
        return message_fields(self)


@dataclass(frozen=True)
class MessageChunk(Message):
    """A piece of a message that is being written; ``chunk + next_chunk`` joins them.

    ``type`` is ``AIMessageChunk`` for what a model streams. ``tool_call_chunks`` are ``{"name", "args": "..",
    "id", "index"}`` with pieces of JSON text in ``args``; ``tool_calls`` are those with complete ``args``.
    Adding works as in LangChain: texts are joined, blocks and tool calls with the same ``index`` are merged,
    token counts are summed, and of several ids the provider's is kept.
    """

    tool_call_chunks: list[dict[str, Any]] = field(default_factory=list)

    def __add__(self, other: "MessageChunk") -> "MessageChunk":
        """Return this piece followed by ``other``."""
        if not isinstance(other, MessageChunk):
            return NotImplemented
        merged = _from_fields(MessageChunk, add_delta(self.to_json(), other.to_json()))
        assert isinstance(merged, MessageChunk)
        return merged


def _text_of(block: Any) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, dict) and block.get("type", "text") == "text":
        return str(block.get("text", ""))
    return ""


def message_from_json(raw: Mapping[str, Any]) -> Message:
    """Return the message with the flat fields ``raw``, whose values have no wire tags any more."""
    is_chunk = str(raw.get("type", "")).endswith("MessageChunk")
    return _from_fields(MessageChunk if is_chunk else Message, raw)


def _from_fields(cls: type[M], raw: Mapping[str, Any]) -> M:
    known = {item.name for item in fields(cls)} - {"extras"}
    own = {name: value for name, value in raw.items() if name in known and value is not None}
    extras = {name: value for name, value in raw.items() if name not in known}
    pieces = own.get("tool_call_chunks")
    if pieces and not own.get("tool_calls"):
        own["tool_calls"] = _complete(pieces)
    return cls(extras=extras, **own)


def _complete(pieces: Any) -> list[dict[str, Any]]:
    """Return the tool calls whose arguments are complete JSON."""
    calls: list[dict[str, Any]] = []
    for piece in pieces:
        if not isinstance(piece, dict) or not piece.get("name"):
            continue
        try:
            args = json.loads(piece["args"]) if piece.get("args") else {}
        except (TypeError, ValueError):
            continue
        if isinstance(args, dict):
            calls.append({"name": piece["name"], "args": args, "id": piece.get("id"), "type": "tool_call"})
    return calls
