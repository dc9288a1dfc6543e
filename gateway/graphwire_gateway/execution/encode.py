"""A part of a graph's stream becomes a record: JSON bytes, encoded once for all readers.

Each run has one encoder. It works on the graph's loop, so that a chunk is bytes before the graph continues
and changes the objects in it. The hot case, a token, is written by hand; tests hold it equal to the
protocol's models.
"""

from typing import Any

import orjson
from graphwire_protocol.filters import Address
from graphwire_protocol.projection import Projector, message_fields
from graphwire_protocol.types import Namespace

from graphwire_gateway.execution.schemas import response_schema_of
from graphwire_gateway.log.record import Record
from graphwire_gateway.scope import Scope, public_checkpoint, without_own

_KNOWN_MESSAGES = 256  # messages whose encoded metadata is remembered; an older one's is encoded again
_KNOWN_ORIGINS = 4096  # origins that are remembered; beyond that many all are forgotten


class _Origin:
    """An address that events come from, and the JSON that each of them begins with."""

    __slots__ = ("address", "prefix", "start")

    def __init__(self, address: Address) -> None:
        self.address = address
        head: dict[str, Any] = {"mode": address.mode}
        if address.ns:
            head["ns"] = address.ns
        if address.node is not None:
            head["node"] = address.node
        self.prefix = orjson.dumps(head)[1:-1] + b',"data":'
        self.start = len(self.prefix)


class _StreamedMessage:
    """A message whose deltas are being streamed: what all of them have in common, encoded."""

    __slots__ = ("id", "meta", "metadata", "origin", "text")

    def __init__(self, id: str, metadata: Any, meta: bytes, origin: _Origin) -> None:
        self.id = orjson.dumps(id)
        self.metadata = metadata
        self.meta = meta
        self.origin = origin
        self.text = b'%s{"id":%s,"delta":{"type":"AIMessageChunk","content":' % (origin.prefix, self.id)


_ROOT_ORIGINS: dict[tuple[Any, ...], _Origin] = {}
"""Origins at the root. All runs share them, so that matchers decide about each address once."""


class Encoder:
    """Turns parts into records.

    ``max_event_bytes`` bounds the ``data`` of one event; larger data becomes ``$cut``. ``scope`` is the run's
    thread; its id in the checkpointer never appears in a record.
    """

    def __init__(self, projector: Projector, max_event_bytes: int, scope: Scope | None = None) -> None:
        self._projector = projector
        self._scope = scope
        self._max = max_event_bytes
        self._origins: dict[tuple[Any, ...], _Origin] = {}
        self._messages: dict[str | None, _StreamedMessage] = {}
        self._unnamed = 0

    def part(self, ns: Namespace, mode: str, chunk: Any) -> Record:
        """Encode what the graph yielded for ``mode`` at ``ns`` (``()`` for the root)."""
        if mode == "messages":
            return self._message(ns, chunk[0], chunk[1])
        if mode == "updates":
            return self._update(ns, chunk)
        if mode == "values" and isinstance(chunk, dict) and "__interrupt__" in chunk:
            return self._interrupted(ns, mode, chunk)
        if mode == "checkpoints":
            chunk = public_checkpoint(chunk)
        elif mode == "debug" and isinstance(chunk, dict) and chunk.get("type") == "checkpoint":
            chunk = {**chunk, "payload": public_checkpoint(chunk.get("payload"))}
        return self._record(ns, mode, chunk.get("name") if mode == "tasks" else None, chunk)

    def value(self, value: Any) -> bytes:
        """Encode a bare value, such as a run's output."""
        return self._bounded(self._dumps(value))

    def _dumps(self, value: Any) -> bytes:
        encoded = self._projector.dumps(value)
        return encoded if self._scope is None else self._scope.clear(encoded)

    def _update(self, ns: Namespace, chunk: Any) -> Record:
        if not isinstance(chunk, dict):
            return self._record(ns, "updates", None, chunk)
        if "__interrupt__" in chunk:
            return self._interrupted(ns, "updates", chunk)
        node = next((key for key in chunk if key != "__metadata__"), None)
        return self._record(ns, "updates", node, chunk)

    def _interrupted(self, ns: Namespace, mode: str, chunk: dict[str, Any]) -> Record:
        marks = b",".join(self._mark(item) for item in chunk["__interrupt__"])
        rest = {key: value for key, value in chunk.items() if key != "__interrupt__"}
        extra = b',"interrupts":[%s]' % marks
        origin = self._origin((ns, mode, None, ()))
        return _splice(origin, self._bounded(self._dumps(rest)), extra)

    def _mark(self, asked: Any) -> bytes:
        mark = b'"id":%s,"value":%s' % (orjson.dumps(asked.id), self._dumps(asked.value))
        schema = response_schema_of(asked)
        return b"{%s}" % (mark if schema is None else mark + b',"response_schema":' + orjson.dumps(schema))

    def _record(self, ns: Namespace, mode: str, node: str | None, data: Any) -> Record:
        encoded = self._dumps(data)
        if len(encoded) > self._max:
            encoded = self._bounded(encoded)
        key = (ns, mode, node, ())
        origin = (self._origins if ns else _ROOT_ORIGINS).get(key) or self._origin(key)
        body = origin.prefix + encoded
        return Record(origin.address, body, origin.start, len(body))

    def _message(self, ns: Namespace, message: Any, metadata: Any) -> Record:
        fields = message.__dict__
        id = fields["id"]
        known = self._messages.get(id)
        if known is None or known.metadata is not metadata or known.origin.address.ns != ns:
            if id is None:
                id = self._id_for(metadata)
            known = self._begin(id, ns, metadata)
        text = _plain_text(message, fields)
        if text is not None and len(text) + _ENVELOPE < self._max:
            body = known.text + text + b"}}"
            origin = known.origin
            return Record(origin.address, body, origin.start, len(body), id, known.meta)
        kind, data = b"message", b""
        if message.__class__.__name__.endswith("Chunk"):
            kind, data = b"delta", self._delta(message)
        else:
            data = self._dumps(message)
        encoded = b'{"id":%s,"%s":%s}' % (known.id, kind, data)
        return _splice(known.origin, self._bounded(encoded, known.id), message=id, meta=known.meta)

    def _delta(self, chunk: Any) -> bytes:
        fields = message_fields(chunk)
        fields.pop("id", None)
        if fields["content"] == "":  # an empty list stays: content blocks add up to a list, not to a text
            del fields["content"]
        encoded = self._projector.dumps_fields(fields)
        return encoded if self._scope is None else self._scope.clear(encoded)

    def _begin(self, id: str, ns: Namespace, metadata: Any) -> _StreamedMessage:
        if len(self._messages) >= _KNOWN_MESSAGES:
            del self._messages[next(iter(self._messages))]
        tags = tuple(metadata.get("tags") or ())
        origin = self._origin((ns, "messages", metadata.get("langgraph_node"), tags))
        shown = without_own(metadata)
        if self._scope is not None and self._scope.is_held:
            shown = {key: value for key, value in shown.items() if key != "thread_id"}
        message = _StreamedMessage(id, metadata, self._dumps(shown), origin)
        self._messages[id] = message
        return message

    def _id_for(self, metadata: Any) -> str:
        # Deltas without an id belong to one message if they share their metadata object.
        for id, known in self._messages.items():
            if known.metadata is metadata and id is not None:
                return id
        self._unnamed += 1
        return f"unnamed-{self._unnamed}"

    def _origin(self, key: tuple[Namespace, str, str | None, tuple[str, ...]]) -> _Origin:
        ns, mode, node, tags = key
        origins = self._origins if ns else _ROOT_ORIGINS
        origin = origins.get(key)
        if origin is None:
            if len(origins) >= _KNOWN_ORIGINS:
                origins.clear()
            origin = origins[key] = _Origin(Address(mode, ns, node, tags))
        return origin

    def _bounded(self, data: bytes, message: bytes | None = None) -> bytes:
        """Return ``data``, or what stands for it if it is too large; ``message`` is the encoded id of one."""
        if len(data) <= self._max:
            return data
        id = b"" if message is None else b'"id":%s,' % message
        return b'{%s"$cut":{"reason":"size","bytes":%d}}' % (id, len(data))


_ENVELOPE = 512  # bytes that ids and names take beside a token's text, at most


def _splice(
    origin: _Origin,
    data: bytes,
    extra: bytes = b"",
    message: str | None = None,
    meta: bytes | None = None,
) -> Record:
    start = origin.start
    return Record(origin.address, origin.prefix + data + extra, start, start + len(data), message, meta)


def _plain_text(message: Any, fields: dict[str, Any]) -> bytes | None:
    """Encode the content of a delta that holds only text, as nearly all do; None if it holds more."""
    content = fields["content"]
    if content.__class__ is not str or not content or message.__pydantic_extra__:
        return None
    try:
        if (
            len(fields) != _CHUNK_FIELDS
            or fields["type"] != "AIMessageChunk"
            or fields["additional_kwargs"]
            or fields["response_metadata"]
            or fields["name"]
            or fields["tool_calls"]
            or fields["invalid_tool_calls"]
            or fields["usage_metadata"]
            or fields["tool_call_chunks"]
            or fields["chunk_position"]
        ):
            return None
        return orjson.dumps(content)
    except (KeyError, TypeError):  # another class's fields, or a lone surrogate
        return None


_CHUNK_FIELDS = 11
"""The number of fields that ``_plain_text`` knows. A chunk with more takes the general path."""
