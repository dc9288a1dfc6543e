"""A part of a graph's stream becomes a record: JSON bytes, encoded once for all readers.

Each run has one encoder. It works on the graph's loop, so that a chunk is bytes before the graph continues
and changes the objects in it. The hot case, a token, is written by hand; tests hold it equal to the
protocol's models.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from graphwire_protocol.filters import Address
from graphwire_protocol.limits import DEFAULTS
from graphwire_protocol.payloads import PendingInterrupt
from graphwire_protocol.projection import Encoders, Projector, message_fields
from graphwire_protocol.scalars import exact_text
from graphwire_protocol.types import Namespace

from graphwire_gateway.cutting import LEVELS, cut, cut_whole, question_slots, shrink, slots
from graphwire_gateway.errors import CannotServe
from graphwire_gateway.execution.calls import Calls, Line, message_head
from graphwire_gateway.execution.origin import Origin
from graphwire_gateway.execution.schemas import response_schema_of
from graphwire_gateway.failures import RunLimit
from graphwire_gateway.graphs.load import resolve
from graphwire_gateway.log.record import Record
from graphwire_gateway.scope import Scope, public_checkpoint, without_own

NAMES_BYTES = 128 << 10
"""What names of nodes and ids may take in an event beside its data."""

_KNOWN_ORIGINS = 4096  # origins that are remembered; beyond that many all are forgotten


_ROOT_ORIGINS: dict[tuple[Any, ...], Origin] = {}
"""Origins at the root. All runs share them, so that matchers decide about each address once."""


class Encoder:
    """Turns parts into records.

    ``max_event_bytes`` bounds the ``data`` of one event, with its ``interrupts``; of larger data, the largest
    parts become ``$cut``. ``max_meta_bytes`` bounds a message's metadata likewise. ``scope`` is the run's
    thread; its id in the checkpointer never appears in a record. ``events_before`` counts the events of the
    log that an earlier process wrote.
    """

    def __init__(
        self,
        projector: Projector,
        max_event_bytes: int,
        scope: Scope | None = None,
        max_meta_bytes: int = DEFAULTS.max_frame_bytes,
        events_before: int = 0,
    ) -> None:
        self._projector = projector
        self._scope = scope
        self._max = max_event_bytes
        self._max_meta = max_meta_bytes
        self._origins: dict[tuple[Any, ...], Origin] = {}
        self._calls = Calls(events_before)
        self._lines = self._calls.lines

    def part(self, ns: Namespace, mode: str, chunk: Any, asked: Sequence[Any] = ()) -> Record:
        """Encode what the graph yielded for ``mode`` at ``ns`` (``()`` for the root).

        ``asked`` has the interrupts that came beside ``chunk`` instead of in it, in LangGraph's version v2.
        """
        if asked:
            return self._interrupted(ns, mode, chunk, asked)
        if mode == "messages":
            return self._message(ns, chunk[0], chunk[1])
        if mode == "updates":
            return self._update(ns, chunk)
        if mode == "values" and isinstance(chunk, dict) and "__interrupt__" in chunk:
            return self._interrupted(ns, mode, *_parted(chunk))
        if mode == "checkpoints":
            chunk = public_checkpoint(chunk)
        elif mode == "debug" and isinstance(chunk, dict) and chunk.get("type") == "checkpoint":
            chunk = {**chunk, "payload": public_checkpoint(chunk.get("payload"))}
        return self._record(ns, mode, chunk.get("name") if mode == "tasks" else None, chunk)

    def custom_of_task(self, ns: Namespace, task_ns: Namespace, chunk: Any) -> Record:
        """Encode custom data of an ``@task`` of the graph at ``ns``; the graph showed it at ``task_ns``."""
        extra = b',"task_ns":' + orjson.dumps(task_ns)
        return _splice(self._origin((ns, "custom", None, ())), self._bounded(self._dumps(chunk)), extra)

    def take_back(self, checkpoint_ns: str) -> list[Record]:
        """Encode that the messages of a task are void: it begins again."""
        return [
            _splice(
                call.origin,
                b'{%s"delta":{},"discard":true}' % message_head(call.id, call.key),
                call=call.key,
                meta=call.meta,
            )
            for call in self._calls.take_back(checkpoint_ns)
        ]

    def check(self, record: Record) -> None:
        """Check that a message can hold the event, whatever its names are. Raises ``RunLimit``."""
        names = len(record.body) - self._max
        if names > NAMES_BYTES:
            raise RunLimit(
                f"an event of mode {record.address.mode!r} has names of nodes or ids of {names:,} bytes "
                f"beside its data; a message holds {NAMES_BYTES:,}, so use shorter ones"
            )

    def value(self, value: Any) -> bytes:
        """Encode a bare value, such as a run's output."""
        return self._bounded(self._dumps(value))

    def questions(self, asked: tuple[PendingInterrupt, ...]) -> tuple[PendingInterrupt, ...]:
        """Return interrupts that fit into one event together: the largest of their values are cut.

        Raises ``RunLimit`` if there are too many for that.
        """
        parts = [question.to_wire() for question in asked]
        excess = len(orjson.dumps(parts)) + _AROUND_QUESTIONS - self._max
        if excess <= 0:
            return asked
        shrink(question_slots(parts), excess)
        self._check_questions(orjson.dumps(parts), len(parts))
        return tuple(map(PendingInterrupt.model_validate, parts))

    def _check_questions(self, encoded: bytes, count: int) -> None:
        size = len(encoded) + _AROUND_QUESTIONS
        if size > self._max:
            raise RunLimit(
                f"the graph asks {count:,} questions at once, which take {size:,} bytes even without what "
                f"they ask, more than max_event_bytes, which is {self._max:,}; ask fewer at once, or raise "
                "that limit"
            )

    def _dumps(self, value: Any) -> bytes:
        encoded = self._projector.dumps(value)
        return encoded if self._scope is None else self._scope.clear(encoded)

    def _update(self, ns: Namespace, chunk: Any) -> Record:
        if not isinstance(chunk, dict):
            return self._record(ns, "updates", None, chunk)
        if "__interrupt__" in chunk:
            return self._interrupted(ns, "updates", *_parted(chunk))
        node = next((key for key in chunk if key != "__metadata__"), None)
        return self._record(ns, "updates", node, chunk)

    def _interrupted(self, ns: Namespace, mode: str, data: Any, asked: Sequence[Any]) -> Record:
        state, questions = self._dumps(data), b"[%s]" % b",".join(map(self._mark, asked))
        if len(state) + len(questions) > self._max:
            state, questions = self._cut_both(state, questions, LEVELS[mode])
        return _splice(self._origin((ns, mode, None, ())), state, b',"interrupts":' + questions)

    def _cut_both(self, data: bytes, asked: bytes, levels: int) -> tuple[bytes, bytes]:
        """Return a state and what is asked with it, cut so that they fit together."""
        tree, marks = orjson.loads(data), orjson.loads(asked)
        parts = [*slots(tree, levels), *question_slots(marks)]
        if shrink(parts, len(data) + len(asked) - self._max):
            return orjson.dumps(tree), orjson.dumps(marks)
        asked = orjson.dumps(marks)
        self._check_questions(asked, len(marks))
        return cut_whole(len(data)), asked

    def _mark(self, asked: Any) -> bytes:
        mark = b'"id":%s,"value":%s' % (orjson.dumps(asked.id), self._dumps(asked.value))
        schema = response_schema_of(asked)
        return b"{%s}" % (mark if schema is None else mark + b',"response_schema":' + orjson.dumps(schema))

    def _record(self, ns: Namespace, mode: str, node: str | None, data: Any) -> Record:
        encoded = self._dumps(data)
        if len(encoded) > self._max:
            encoded = cut(encoded, self._max, LEVELS.get(mode, 0))
        key = (ns, mode, node, ())
        origin = (self._origins if ns else _ROOT_ORIGINS).get(key) or self._origin(key)
        body = origin.prefix + encoded
        return Record(origin.address, body, origin.start, len(body))

    def _message(self, ns: Namespace, message: Any, metadata: Any) -> Record:
        fields = message.__dict__
        id = fields["id"]
        line = self._lines.get(id)
        if line is None or line.metadata is not metadata or line.origin.address.ns != ns:
            if not _is_chunk(message):
                return self._whole(ns, message, metadata)
            is_end = not fields["content"] and fields.get("chunk_position") == "last"
            line = self._calls.line(id, ns, metadata, is_end) or self._begin(id, ns, metadata)
        text = _plain_text(message, fields)
        if text is not None and len(text) + _ENVELOPE < self._max:
            body = line.text + text + b"}}"
            origin = line.origin
            return Record(origin.address, body, origin.start, len(body), line.key, line.meta)
        if not _is_chunk(message):
            return self._whole(ns, message, metadata)
        encoded = b'{%s"delta":%s}' % (line.head, self._delta(message, line))
        return _splice(line.origin, self._bounded(encoded, line.head), call=line.key, meta=line.meta)

    def _whole(self, ns: Namespace, message: Any, metadata: Any) -> Record:
        origin, meta = self._message_origin(ns, metadata), self._meta(metadata)
        is_answer = message.type == "ai"
        key, id = self._calls.whole(message.id, metadata, origin, meta, is_answer=is_answer)
        head = message_head(id, key)
        encoded = b'{%s"message":%s}' % (head, self._dumps(message))
        return _splice(origin, self._bounded(encoded, head), meta=meta)

    def _delta(self, chunk: Any, line: Line) -> bytes:
        fields = message_fields(chunk)
        fields.pop("id", None)
        if line.own_id is not None and line.own_id != line.call.id:
            fields["id"] = line.own_id
        if fields.get("chunk_position") == "last":
            self._calls.end(line.call)
        if fields["content"] == "":  # an empty list stays: content blocks add up to a list, not to a text
            del fields["content"]
        encoded = self._projector.dumps_fields(fields)
        return encoded if self._scope is None else self._scope.clear(encoded)

    def _begin(self, id: str | None, ns: Namespace, metadata: Any) -> Line:
        origin = self._message_origin(ns, metadata)
        return self._calls.begin(id, metadata, origin, self._meta(metadata))

    def _meta(self, metadata: Any) -> bytes:
        shown = without_own(metadata)
        if self._scope is not None and self._scope.is_held:
            shown = {key: value for key, value in shown.items() if key != "thread_id"}
        return cut(self._dumps(shown), self._max_meta, 1)

    def _message_origin(self, ns: Namespace, metadata: Any) -> Origin:
        tags = tuple(metadata.get("tags") or ())
        return self._origin((ns, "messages", metadata.get("langgraph_node"), tags))

    def _origin(self, key: tuple[Namespace, str, str | None, tuple[str, ...]]) -> Origin:
        ns, mode, node, tags = key
        origins = self._origins if ns else _ROOT_ORIGINS
        origin = origins.get(key)
        if origin is None:
            # The main loop and other runs compare these: no code of the graph's own classes may run there.
            node, tags = None if node is None else _exact(node), tuple(map(_exact, tags))
            origin = Origin(Address(mode, ns, node, tags))
            if len(origins) >= _KNOWN_ORIGINS:
                origins.clear()
            origin = origins.setdefault((ns, mode, node, tags), origin)
        return origin

    def _bounded(self, data: bytes, head: bytes = b"") -> bytes:
        """Return ``data``, or what stands for it if it is too large: behind ``head``, how large it was."""
        if len(data) <= self._max:
            return data
        return b'{%s"$cut":{"reason":"size","bytes":%d}}' % (head, len(data))


def _parted(chunk: dict[str, Any]) -> tuple[dict[str, Any], Sequence[Any]]:
    """Return the data of a chunk, and the interrupts in it."""
    return {key: value for key, value in chunk.items() if key != "__interrupt__"}, chunk["__interrupt__"]


_AROUND_QUESTIONS = len(b'{"interrupts":}')

_ENVELOPE = 512  # bytes that ids and names take beside a token's text, at most


def _splice(
    origin: Origin,
    data: bytes,
    extra: bytes = b"",
    call: str | None = None,
    meta: bytes | None = None,
) -> Record:
    start = origin.start
    return Record(origin.address, origin.prefix + data + extra, start, start + len(data), call, meta)


def _exact(name: Any) -> str:
    return exact_text(name if isinstance(name, str) else str(name))


def _is_chunk(message: Any) -> bool:
    return bool(message.__class__.__name__.endswith("Chunk"))


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


def encoders_of(encoders: Encoders | str | None) -> Encoders | None:
    """Return functions by classes, which a target may name. Raises ``CannotServe``."""
    if encoders is None:
        return None
    found, source = resolve("encoders", encoders)
    if not isinstance(found, Mapping):
        raise CannotServe(
            f"encoders: {source} is of type {type(found).__name__}, not a mapping of classes to functions"
        )
    for cls, function in found.items():
        if not (isinstance(cls, type) and callable(function)):
            raise CannotServe(
                f"encoders: {source} maps {cls!r}; it maps classes to functions, {{Money: str}}"
            )
    return found
