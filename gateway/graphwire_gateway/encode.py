"""A part of a graph's stream becomes a record: JSON bytes, made once a run.

One encoder a run, used where the graph runs, so that a chunk is bytes before the graph goes on and changes
the objects in it. The hot case, a token, is written by hand and tested to equal the protocol's models.
"""

from typing import Any

import orjson
from graphwire_protocol.base import Wire
from graphwire_protocol.filters import Address
from graphwire_protocol.projection import Projector, message_fields
from graphwire_protocol.types import Namespace

from graphwire_gateway.store.base import Record

_KNOWN_METAS = 256  # messages whose encoded metadata is at hand; an older one is encoded again
_MANY_PLACES = 4096  # addresses that are shared; a run with more of them starts to share anew


class Encoder:
    """Turns parts into records.

    ``max_event_bytes`` bounds the ``data`` of one event; what is larger is sent as ``$cut``.
    """

    def __init__(self, projector: Projector, max_event_bytes: int) -> None:
        self._projector = projector
        self._max = max_event_bytes
        self._addresses: dict[tuple[Any, ...], Address] = {}
        self._prefixes: dict[Address, bytes] = {}
        self._metas: dict[str, tuple[Any, bytes, Address]] = {}  # message id → its metadata, encoded; place
        self._unnamed = 0

    def part(self, ns: Namespace, mode: str, chunk: Any) -> Record:
        """Encode what the graph yielded for ``mode`` at ``ns`` (``()`` for the root)."""
        match mode:
            case "messages":
                return self._message(ns, *chunk)
            case "updates":
                return self._update(ns, chunk)
            case "values":
                if isinstance(chunk, dict) and "__interrupt__" in chunk:
                    state = {key: value for key, value in chunk.items() if key != "__interrupt__"}
                    return self._record(ns, mode, None, state, chunk["__interrupt__"])
                return self._record(ns, mode, None, chunk)
            case "tasks":
                return self._record(ns, mode, chunk.get("name"), chunk)
        return self._record(ns, mode, None, chunk)

    def own(self, mode: str, data: Wire) -> Record:
        """Encode an event of the server's own: ``lifecycle`` or ``interrupt``."""
        return self._splice(self._address((), mode, None, ()), orjson.dumps(data.to_wire()))

    def project(self, value: Any) -> Any:
        """Return a value as plain JSON."""
        return self._projector.project(value)

    def value(self, value: Any) -> bytes:
        """Encode a bare value, such as a run's output."""
        return self._bounded(self._projector.dumps(value))

    def _update(self, ns: Namespace, chunk: Any) -> Record:
        if not isinstance(chunk, dict):
            return self._record(ns, "updates", None, chunk)
        if "__interrupt__" in chunk:
            rest = {key: value for key, value in chunk.items() if key != "__interrupt__"}
            return self._record(ns, "updates", None, rest, chunk["__interrupt__"])
        node = next((key for key in chunk if key != "__metadata__"), None)
        return self._record(ns, "updates", node, chunk)

    def _record(
        self, ns: Namespace, mode: str, node: str | None, data: Any, interrupts: Any = None
    ) -> Record:
        extra = b""
        if interrupts is not None:
            marks = [{"id": item.id, "value": item.value} for item in interrupts]
            extra = b',"interrupts":' + self._projector.dumps(marks)
        return self._splice(
            self._address(ns, mode, node, ()), self._bounded(self._projector.dumps(data)), extra
        )

    def _message(self, ns: Namespace, message: Any, metadata: Any) -> Record:
        fields = message.__dict__
        id = fields["id"] or self._id_for(metadata)
        meta, place = self._metadata(ns, id, metadata)
        if message.__class__.__name__.endswith("Chunk"):
            delta = _plain_text(message, fields)
            if delta is None:
                delta = self._delta(message)
            data = b'{"id":%s,"delta":%s}' % (orjson.dumps(id), delta)
        else:
            data = b'{"id":%s,"message":%s}' % (orjson.dumps(id), self._projector.dumps(message))
        return self._splice(place, self._bounded(data), message=id, meta=meta)

    def _delta(self, chunk: Any) -> bytes:
        fields = message_fields(chunk)
        fields.pop("id", None)
        if not fields["content"]:
            del fields["content"]
        return self._projector.dumps_fields(fields)

    def _metadata(self, ns: Namespace, id: str, metadata: Any) -> tuple[bytes, Address]:
        known = self._metas.get(id)
        if known is not None and known[0] is metadata and known[2].ns == ns:
            return known[1], known[2]
        if len(self._metas) >= _KNOWN_METAS:
            del self._metas[next(iter(self._metas))]
        place = self._address(
            ns, "messages", metadata.get("langgraph_node"), tuple(metadata.get("tags") or ())
        )
        encoded = self._projector.dumps(metadata)
        self._metas[id] = (metadata, encoded, place)
        return encoded, place

    def _id_for(self, metadata: Any) -> str:
        # A message without an id is still one message: all its deltas share their metadata object.
        for id, (known, _, _) in self._metas.items():
            if known is metadata:
                return id
        self._unnamed += 1
        return f"unnamed-{self._unnamed}"

    def _address(self, ns: Namespace, mode: str, node: str | None, tags: tuple[str, ...]) -> Address:
        key = (mode, ns, node, tags)
        address = self._addresses.get(key)
        if address is None:
            if len(self._addresses) >= _MANY_PLACES:
                self._addresses.clear()
                self._prefixes.clear()
            address = self._addresses[key] = Address(mode, ns, node, tags)
            head: dict[str, Any] = {"mode": mode}
            if ns:
                head["ns"] = ns
            if node is not None:
                head["node"] = node
            self._prefixes[address] = orjson.dumps(head)[1:-1] + b',"data":'
        return address

    def _splice(
        self,
        address: Address,
        data: bytes,
        extra: bytes = b"",
        message: str | None = None,
        meta: bytes | None = None,
    ) -> Record:
        prefix = self._prefixes[address]
        start = len(prefix)
        return Record(address, prefix + data + extra, start, start + len(data), message, meta)

    def _bounded(self, data: bytes) -> bytes:
        if len(data) <= self._max:
            return data
        return b'{"$cut":{"reason":"size","bytes":%d}}' % len(data)


def _plain_text(message: Any, fields: dict[str, Any]) -> bytes | None:
    """Encode a delta that is nothing but text, which nearly all are; None if it is more than that."""
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
        return b'{"type":"AIMessageChunk","content":%s}' % orjson.dumps(content)
    except (KeyError, TypeError):  # another class's fields, or a lone surrogate
        return None


_CHUNK_FIELDS = 11
"""How many fields a chunk has whose every other field was looked at; with more it takes the general way."""
