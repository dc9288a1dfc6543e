"""Which call of a model a chunk belongs to, under which key, and which id its message has.

A chunk's own id does not tell: one call may use several (OpenAI's Responses API names its message in the
first chunk, and LangChain the last one), and two calls may use the same (models with fixed ids). What tells
is the metadata. LangGraph and our runtime hand one and the same object over with all chunks of a call.
Metadata that came over a wire is a new object each time; there, the id and the task have to do.

A call's key is unique in the log. It is the id of the call's first chunk, unless that id came before. The
message's id is the one that LangChain gives to the sum of the chunks, as far as it is known.
"""

from collections import deque
from typing import Any

import orjson
from graphwire_protocol.deltas import preferred_id
from graphwire_protocol.scalars import exact_text
from graphwire_protocol.types import Namespace

from graphwire_gateway.execution.origin import Origin

_KNOWN_CALLS = 4096  # calls whose end has not come; beyond them the oldest counts as ended
_KNOWN_ENDED = 256  # ended calls that a late chunk may still belong to
_KNOWN_IDS = 4096  # ids that are remembered; beyond them every call gets a made-up key
_MADE_UP = "call-"
_TASK = ("langgraph_node", "langgraph_checkpoint_ns", "langgraph_step", "tags")


class ModelCall:
    """A call of a model, as far as its chunks have come."""

    __slots__ = ("has_run_id", "id", "is_named", "is_over", "key", "lines", "meta", "metadata", "origin")

    def __init__(self, key: str, id: str, metadata: Any, origin: Origin, meta: bytes) -> None:
        self.key = key
        self.id = id
        """The message's id, as far as it is known."""
        self.metadata = metadata
        self.origin = origin
        self.meta = meta
        self.has_run_id = False  # whether a chunk had the id that LangChain makes of a run of a model
        self.is_named = False
        self.is_over = False
        self.lines: dict[str | None, Line] = {}

    def may_use(self, id: str | None, is_end: bool) -> bool:
        """Return whether a chunk with its metadata and this new id is likely to be its own.

        ``generate`` calls a model for several prompts with the same metadata. Each of these calls has an
        ``lc_run-`` id. One call can have two: a model that wraps another one passes that one's id on, and
        LangChain's end, an empty chunk, has the wrapper's.
        """
        if id is not None and id.startswith("lc_run-"):
            return not self.has_run_id or (is_end and not self.is_over)
        return not self.is_over


class Line:
    """What all deltas of a call that have the same id of their own have in common, encoded."""

    __slots__ = ("call", "head", "key", "meta", "metadata", "origin", "own_id", "text")

    def __init__(self, call: ModelCall, own_id: str | None) -> None:
        self.call = call
        self.key = call.key
        self.metadata = call.metadata
        self.meta = call.meta
        self.origin = call.origin
        self.own_id = own_id
        self.rename()

    def rename(self) -> None:
        """Take over the call's id."""
        id = self.call.id
        self.head = message_head(id, self.key)
        own = b""
        if self.own_id is not None and self.own_id != id:
            own = b'"id":%s,' % orjson.dumps(self.own_id)
        self.text = b'%s{%s"delta":{"type":"AIMessageChunk",%s"content":' % (
            self.origin.prefix,
            self.head,
            own,
        )


def message_head(id: str, key: str) -> bytes:
    """Return the fields with which the data of a message begins: its id, and its call's key if it differs."""
    if id == key:
        return b'"id":%s,' % orjson.dumps(id)
    return b'"id":%s,"call":%s,' % (orjson.dumps(id), orjson.dumps(key))


class Calls:
    """The calls of models in one log.

    ``before`` counts the events that an earlier process wrote. Which keys they have is not known, so that
    every key is made up, and is none that can have been made up there.
    """

    def __init__(self, before: int = 0) -> None:
        self._before = f"{before}-" if before else ""
        self.lines: dict[str | None, Line] = {}
        """By a chunk's own id: the line of the latest call that used it."""
        self._calls: dict[str, ModelCall] = {}  # by key, those that are remembered
        self._by_metadata: dict[
            int, ModelCall
        ] = {}  # the latest with that object; a call keeps its object alive
        self._ended: deque[ModelCall] = deque()
        self._keys: dict[str, str] = {}  # by id: the key of the latest call that used it
        self._count = 0
        self._unnamed = 0

    def line(self, id: str | None, ns: Namespace, metadata: Any, is_end: bool) -> Line | None:
        """Return the line for a chunk; None if its call begins with it.

        ``is_end`` says whether it is empty but for being the last one.
        """
        call = self._made_with(metadata, ns)
        if not _is_from_here(metadata):
            if call is None or id not in call.lines:
                call = self._resembling(id, ns, metadata)
        elif call is not None and id not in call.lines and not call.may_use(id, is_end):
            call = None
        return None if call is None else self._line(call, id)

    def begin(self, id: str | None, metadata: Any, origin: Origin, meta: bytes) -> Line:
        """Return the line for a chunk with which a call begins."""
        if len(self._calls) >= _KNOWN_CALLS:
            self._forget(next(iter(self._calls.values())))
        name = self._named(id)
        call = ModelCall(self._new_key(name), name, metadata, origin, meta)
        self._calls[call.key] = call
        self._by_metadata[_identity(metadata)] = call
        return self._line(call, id)

    def end(self, call: ModelCall) -> None:
        """Note that the call's last chunk has come."""
        if not call.is_over:
            call.is_over = True
            self._ended.append(call)
            if len(self._ended) > _KNOWN_ENDED:
                self._forget(self._ended.popleft())

    def whole(
        self, id: str | None, metadata: Any, origin: Origin, meta: bytes, *, is_answer: bool
    ) -> tuple[str, str]:
        """Return the key and the id of a whole message; ``is_answer`` says whether a model may have said it.

        It is a message of its own. But the whole answer of a call replaces the call's chunks, and a message
        whose id was shown before replaces what was shown, as it does in the state.
        """
        name = self._named(id)
        call = self._made_with(metadata, origin.address.ns)
        if call is not None and _is_from_here(metadata):
            self._remember(name, call.key)
            return call.key, name
        known = self._keys.get(name)
        if known is not None:
            return known, name
        call = ModelCall(self._new_key(name), name, metadata, origin, meta)
        if is_answer:  # its call may be taken back
            self._calls[call.key] = call
            self.end(call)
        return call.key, name

    def take_back(self, checkpoint_ns: str) -> list[ModelCall]:
        """Forget the calls of the task with this ``checkpoint_ns`` that are remembered; return them."""
        void = [
            call
            for call in self._calls.values()
            if call.metadata.get("langgraph_checkpoint_ns") == checkpoint_ns
        ]
        for call in void:
            self._forget(call)
        return void

    def _made_with(self, metadata: Any, ns: Namespace) -> ModelCall | None:
        """Return the latest call at ``ns`` with this very object as its metadata."""
        call = self._by_metadata.get(_identity(metadata))
        return None if call is None or call.origin.address.ns != ns else call

    def _resembling(self, id: str | None, ns: Namespace, metadata: Any) -> ModelCall | None:
        known = self.lines.get(id)
        if id is None or known is None or known.call.is_over or known.origin.address.ns != ns:
            return None
        if any(known.metadata.get(name) != metadata.get(name) for name in _TASK):
            return None
        return known.call

    def _line(self, call: ModelCall, id: str | None) -> Line:
        line = call.lines.get(id)
        if line is None:
            line = call.lines[id] = Line(call, id)
            if id:
                self._use(call, id)
        self.lines[id] = line
        return line

    def _use(self, call: ModelCall, id: str) -> None:
        self._remember(id, call.key)
        if id.startswith("lc_run-"):
            call.has_run_id = True
        if not call.is_named or preferred_id(call.id, id) != call.id:
            call.id, call.is_named = id, True
            for line in call.lines.values():
                line.rename()

    def _named(self, id: str | None) -> str:
        if id:
            return exact_text(id)  # the main loop merges messages by it, and runs no code of the graph's
        self._unnamed += 1
        return f"unnamed-{self._before}{self._unnamed}"

    def _new_key(self, id: str) -> str:
        self._count += 1
        if self._before or id in self._keys or len(self._keys) >= _KNOWN_IDS or id.startswith(_MADE_UP):
            key = f"{_MADE_UP}{self._before}{self._count}"
        else:
            key = id
        self._remember(id, key)
        return key

    def _remember(self, id: str, key: str) -> None:
        if id in self._keys or len(self._keys) < _KNOWN_IDS:
            self._keys[id] = key

    def _forget(self, call: ModelCall) -> None:
        self._calls.pop(call.key, None)
        if self._by_metadata.get(_identity(call.metadata)) is call:
            del self._by_metadata[_identity(call.metadata)]
        for id, line in call.lines.items():
            if self.lines.get(id) is line:
                del self.lines[id]


_identity = id  # the built-in: here, an id is a message's


def _is_from_here(metadata: Any) -> bool:
    """Return whether metadata was made in this process, so that it is one object for each call.

    LangGraph's has tuples. What came over a wire has lists, and a graph of another kind has neither.
    """
    return metadata.get("langgraph_path").__class__ is tuple
