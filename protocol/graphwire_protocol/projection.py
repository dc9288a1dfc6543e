"""Python values as JSON and back: one projection for states, updates, payloads and inputs.

What JSON can express is plain JSON. The rest is tagged by an object with a ``$`` key, so that nothing is lost
silently. ``$bytes $set $float $int $map $obj`` are restored as they were. ``$error $repr $cut`` stand for
values that cannot be sent, and are restored as ``Failed``, ``Opaque`` and ``Cut``. LangChain's messages are
recognised by the name of their class: nothing here imports them.

A projection always succeeds, and always ends. A value's own code (properties, iterators, serializers, a
``__repr__``) may raise anything, ``SystemExit`` and ``KeyboardInterrupt`` included; then ``$repr`` takes the
place of that value alone. The values that are visited, and their bytes, have a bound, so that a million keys
or an iterator without an end cost no more than it; near the top each part has a share of its own, so that no
large one uses up what its neighbours need. One thing stays out of reach: code of a value that never returns.

Long because both directions stay together: each tag is written and read here, and a change to one needs the
other.
"""

import base64
import dataclasses
import enum
import functools
import math
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from itertools import islice
from typing import Any, Literal, TypeAlias

import orjson
from pydantic import BaseModel, PlainSerializer, RootModel, WrapSerializer
from pydantic.fields import FieldInfo

from graphwire_protocol.errors import path_text
from graphwire_protocol.plain import is_plain
from graphwire_protocol.scalars import (
    MAX_DIGITS,
    NOT_SCALAR,
    array_items,
    exact_text,
    integer,
    real,
    scalar,
    sendable,
)
from graphwire_protocol.types import MAX_INT

MAX_DEPTH = 64
MAX_VALUES = 1 << 20
"""The most values that a projection visits; a collection with more becomes ``$cut``."""
MAX_BYTES = 1 << 26
"""The most characters and bytes that a projection copies; a text that does not fit becomes ``$cut``."""

_ROOM = 4
"""How many times the size of what is sent a projection copies: enough to see what has to be cut."""
_SHARED_DEPTH = 3  # down to which each part has a share of what may be visited
_SHARE_VALUES = 1 << 10
_SHARE_BYTES = 1 << 16

_REPR_CHARS = 200

_MESSAGE_TYPES = frozenset({"human", "ai", "system", "tool", "function", "chat", "remove"})


@dataclasses.dataclass(frozen=True, slots=True)
class Opaque:
    """Stands for an object that JSON cannot hold: its class's name and a short text."""

    text: str
    type: str


@dataclasses.dataclass(frozen=True, slots=True)
class Failed:
    """Stands for an exception; ``type`` and ``message`` only where the server exposes errors."""

    error_id: str | None = None
    type: str | None = None
    message: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Cut:
    """Stands for what was too deep, cyclic or too large to send (then ``bytes`` is its size, or less)."""

    reason: Literal["cycle", "depth", "size"]
    bytes: int | None = None


class TagError(ValueError):
    """A value whose ``$`` tag is unknown or malformed. ``path`` says where; the value is not repeated."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def looks_like_message(value: Mapping[str, Any]) -> bool:
    """Tell whether a receiver reads this JSON object as a message."""
    kind = value.get("type")
    return (
        "content" in value
        and isinstance(kind, str)
        and (kind in _MESSAGE_TYPES or kind.endswith("MessageChunk"))
    )


_CLASSES = 1024  # classes whose shape is cached; a program that makes classes at run time may have more


@functools.lru_cache(maxsize=_CLASSES)
def is_message_class(cls: type) -> bool:
    """Tell whether ``cls`` is a message class: LangChain's, or one marked as our client's own."""
    return hasattr(cls, "__graphwire_message__") or any(
        base.__name__ == "BaseMessage" and base.__module__.startswith("langchain_core.")
        for base in cls.__mro__
    )


def _no_error(error: BaseException) -> dict[str, str]:
    return {}


Encoders: TypeAlias = Mapping[type, Callable[[Any], Any]]
"""By class, functions that return something with a JSON form for a value without one."""


class Projector:
    """Turns Python values into JSON.

    ``describe_error`` returns the object for ``$error`` of an exception; by default it is empty, so that
    nothing about the exception is sent. ``encoders`` are asked for values that would become ``$repr``: the
    one of the nearest base class. What it returns is projected in the value's place; if it raises, the value
    is one that cannot be read.

    ``max_bytes`` is the size of JSON above which the caller cuts it: then a projection costs no more than in
    proportion to that.
    """

    def __init__(
        self,
        describe_error: Callable[[BaseException], dict[str, str]] = _no_error,
        encoders: Encoders | None = None,
        max_bytes: int | None = None,
    ) -> None:
        self._describe_error = describe_error
        self._encoders = encoders or {}
        self._max_values, self._max_bytes = MAX_VALUES, MAX_BYTES
        if max_bytes is not None:
            # A value takes two bytes at least: what has more of them does not fit anyway.
            self._max_values = min(MAX_VALUES, max(_SHARE_VALUES, max_bytes // _LEAST_BYTES))
            self._max_bytes = min(MAX_BYTES, max(_SHARE_BYTES, max_bytes * _ROOM))

    def dumps(self, value: Any) -> bytes:
        """Return ``value`` as JSON bytes."""
        if is_plain(value, MAX_DEPTH, self._max_values, self._max_bytes):
            try:
                out = orjson.dumps(value, option=_DIRECT)
            except TypeError:
                pass
            else:
                if _is_faithful(out):
                    return out
        return _dumps(self.project(value))

    def dumps_fields(self, fields: Mapping[str, Any]) -> bytes:
        """Return an object as JSON bytes: its values are projected, its keys are the protocol's own."""
        walk = self._walk()
        names = _unique([sendable(exact_text(name)) for name in fields])
        return _dumps({name: walk.value(item, 1) for name, item in zip(names, fields.values(), strict=True)})

    def project(self, value: Any) -> Any:
        """Return ``value`` as plain JSON: dicts with string keys, lists, strings, numbers, booleans, None."""
        return self._walk().value(value, 1)

    def _walk(self) -> "_Walk":
        return _Walk(self._describe_error, self._encoders, self._max_values, self._max_bytes)


class _Walk:
    """One walk through a value: how much it may still visit, and the values that it is inside of."""

    def __init__(
        self,
        describe_error: Callable[[BaseException], dict[str, str]],
        encoders: Encoders,
        max_values: int,
        max_bytes: int,
    ) -> None:
        self._describe_error = describe_error
        self._encoders = encoders
        self._values = max_values
        self._bytes = max_bytes
        self._parents: list[int] = []

    def value(self, value: Any, depth: int) -> Any:
        cls = type(value)  # a value's ``__class__`` may be anything, or raise
        if value is None or cls is bool:
            return value
        if cls is str:
            return self._text(value)
        if cls is int:
            return value if -MAX_INT <= value <= MAX_INT else self._scalar(integer(value))
        if cls is float:
            return value if math.isfinite(value) else real(value)
        try:
            if (cls is dict or cls is list) and depth <= MAX_DEPTH:
                return self._builtin(value, cls, depth)
            return self._other(value, cls, depth)
        except BaseException as error:
            return _tag(_unreadable(cls, error))

    def _builtin(self, value: Any, cls: type, depth: int) -> Any:
        """Project a ``dict`` or a ``list``, as ``_other`` would, in fewer steps: most parts are one."""
        if id(value) in self._parents:
            return {"$cut": {"reason": "cycle"}}
        if len(value) > self._values:
            return {"$cut": {"reason": "size", "bytes": _LEAST_BYTES * len(value)}}
        self._values -= len(value)
        if not value:
            return {} if cls is dict else []
        self._parents.append(id(value))
        try:
            if cls is dict:
                return self._object(list(value.items()), depth + 1)
            return self._each(list(value), depth + 1)
        except _TooMany as cut:
            return {"$cut": {"reason": "size", "bytes": cut.bytes}}
        finally:
            self._parents.pop()

    def _each(self, items: list[Any], depth: int) -> list[Any]:
        """Project values that stand beside each other: near the top, each has a share of its own."""
        values = min(_SHARE_VALUES, self._values // (2 * len(items) or 1))
        if depth > _SHARED_DEPTH or not values:
            return [self.value(item, depth) for item in items]
        size = min(_SHARE_BYTES, self._bytes // (2 * len(items) or 1))
        out = []
        left = len(items)
        for item in items:
            left -= 1
            if type(item) is str and len(item) <= size:
                out.append(self._text(item))
                continue
            self._values -= left * values
            self._bytes -= left * size
            out.append(self.value(item, depth))
            self._values += left * values
            self._bytes += left * size
        return out

    def _other(self, value: Any, cls: type, depth: int) -> Any:
        if cls not in _COLLECTIONS and not issubclass(cls, enum.Enum):
            out = _tag(value) if cls in _STAND_INS else scalar(value, cls, self._bytes)
            if out is not NOT_SCALAR:
                return self._scalar(out)
        if depth > MAX_DEPTH:
            return {"$cut": {"reason": "depth"}}
        if id(value) in self._parents:
            return {"$cut": {"reason": "cycle"}}
        self._parents.append(id(value))
        try:
            return self._compound(value, cls, depth + 1)
        except _TooMany as cut:
            return {"$cut": {"reason": "size", "bytes": cut.bytes}}
        finally:
            self._parents.pop()

    def _compound(self, value: Any, cls: type, depth: int) -> Any:
        if issubclass(cls, enum.Enum):
            return self.value(value.value, depth)
        if isinstance(value, list | tuple | deque):
            return self._list(value, depth)
        if isinstance(value, Set):
            return {"$set": self._list(value, depth)}
        if isinstance(value, Mapping):
            return self._mapping(value, cls, depth)
        if isinstance(value, BaseException):
            return {"$error": self._error(value)}
        if is_message_class(value.__class__):
            fields = self._fields(message_fields(value), depth)
            return {"$obj": fields} if any(name.startswith("$") for name in fields) else fields
        if isinstance(value, BaseModel) and _serializes_itself(value.__class__):
            return self.value(_dumped(value), depth)
        if isinstance(value, RootModel):
            return self.value(value.root, depth)
        held = _fields(value)
        if held is not None:
            return _wrapped(self._fields(held, depth))
        items = array_items(value, cls)
        if items is not NOT_SCALAR:
            return self.value(items, depth)
        for base in cls.__mro__ if self._encoders else ():
            if base in self._encoders:
                return self.value(self._encoders[base](value), depth)
        return self._scalar({"$repr": _short_repr(value), "$type": _name(cls)})

    def _list(self, value: Iterable[Any], depth: int) -> list[Any]:
        return self._each(self._taken(value), depth)

    def _mapping(self, value: Mapping[Any, Any], cls: type, depth: int) -> dict[str, Any]:
        return self._object(self._pairs(value, cls), depth)

    def _object(self, pairs: list[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        keys, values = [key for key, _ in pairs], [item for _, item in pairs]
        if _TEXT.issuperset(map(type, keys)) and (joined := "".join(keys)).isascii():  # as nearly all are
            out = dict(zip(keys, self._named(keys, values, depth), strict=True))
            return _wrapped(out) if "$" in joined or "content" in out else out
        if not all(issubclass(type(key), str) for key in keys):
            return {"$map": [[self.value(key, depth), self.value(item, depth)] for key, item in pairs]}
        names = [sendable(exact_text(key)) for key in keys]
        items = self._named(names, values, depth)
        if len(set(names)) < len(names):  # they differed only in what cannot be sent
            return {"$map": [[name, item] for name, item in zip(names, items, strict=True)]}
        return _wrapped(dict(zip(names, items, strict=True)))

    def _pairs(self, value: Mapping[Any, Any], cls: type) -> list[tuple[Any, Any]]:
        if getattr(cls, "items", None) is not Mapping.items:
            return [(key, item) for key, item in self._taken(value.items())]
        # This is what ``Mapping.items`` does, but that one item that cannot be read spoils no other.
        return [(key, _read(value.__getitem__, key)) for key in self._taken(value)]

    def _fields(self, fields: dict[str, Any], depth: int) -> dict[str, Any]:
        names = _unique([sendable(exact_text(name)) for name in fields])
        return dict(zip(names, self._named(names, list(fields.values()), depth), strict=True))

    def _named(self, names: list[str], items: list[Any], depth: int) -> list[Any]:
        size = sum(map(len, names))
        if size > self._bytes:
            raise _TooMany(size)
        self._bytes -= size
        return self._each(items, depth)

    def _error(self, error: BaseException) -> dict[str, str]:
        try:
            described = self._describe_error(error)
            return {name: self._sized(exact_text(text), len(text)) for name, text in described.items()}
        except BaseException:
            return {}

    def _taken(self, items: Iterable[Any]) -> list[Any]:
        """Return all items at once: a collection that another thread changes is read as it is now."""
        # What says its size truthfully costs nothing when it is too large. Of what may have no end, some part
        # of the rest is spent before that is known.
        cls: Any = type(items)
        is_sized = getattr(cls, "__iter__", None) in _SIZED and getattr(cls, "__len__", None) in _SIZED
        limit = self._values if is_sized else self._values // 8
        if is_sized and len(items) > limit:  # type: ignore[arg-type]
            raise _TooMany(_LEAST_BYTES * len(items))  # type: ignore[arg-type]
        out = list(islice(items, limit + 1))
        self._values -= min(len(out), self._values)
        if len(out) > limit:
            raise _TooMany(_LEAST_BYTES * len(out))
        return out

    def _scalar(self, out: Any) -> Any:
        cls = type(out)
        if cls is str:
            return self._text(out)
        if cls is dict:
            return self._sized(out, sum(len(text) for text in out.values() if type(text) is str))
        return out

    def _text(self, text: str) -> Any:
        return self._sized(text if text.isascii() else sendable(text), len(text))

    def _sized(self, out: Any, size: int) -> Any:
        if size > self._bytes:
            return {"$cut": {"reason": "size", "bytes": size}}
        self._bytes -= size
        return out


_TEXT = frozenset({str})
_COLLECTIONS = frozenset({dict, list, tuple, set})
_LEAST_BYTES = 2  # an item of a list or an object takes no less
_BUILTIN: tuple[Any, ...] = (list, tuple, deque, set, frozenset, dict)
_BUILTIN += (type({}.keys()), type({}.items()), type(OrderedDict[Any, Any]().items()))
_SIZED = frozenset(method for cls in _BUILTIN for method in (cls.__iter__, cls.__len__))
"""How built-in collections iterate and measure themselves; a class with other ways may not end."""


class _TooMany(Exception):
    """A collection has more items than a walk may still visit: JSON of ``bytes`` or more."""

    def __init__(self, bytes: int) -> None:
        self.bytes = bytes


_type_name = type.__dict__["__qualname__"].__get__
"""Reads the name of a class without asking its metaclass, which may raise."""


def _name(cls: type) -> str:
    return exact_text(_type_name(cls))[:_REPR_CHARS]


def _unreadable(cls: type, error: BaseException) -> Opaque:
    # Neither the ``repr`` nor the error's message: they may hold what a serializer would have hidden.
    return Opaque(f"<cannot be read: {_name(type(error))}>", _name(cls))


def _read(read: Callable[[Any], Any], key: Any) -> Any:
    try:
        return read(key)
    except BaseException as error:
        return _unreadable(object, error)


_STAND_INS = frozenset({Opaque, Failed, Cut})


def _tag(value: Opaque | Failed | Cut) -> dict[str, Any]:
    if isinstance(value, Opaque):
        return {"$repr": exact_text(value.text), "$type": exact_text(value.type)}
    if isinstance(value, Failed):
        texts = {"error_id": value.error_id, "type": value.type, "message": value.message}
        return {"$error": {name: exact_text(text) for name, text in texts.items() if text}}
    size = {} if value.bytes is None else {"bytes": int(value.bytes)}
    return {"$cut": {"reason": exact_text(value.reason), **size}}


def _unique(names: list[str]) -> list[str]:
    """Return names of fields, each different from those before it: some may differ in what cannot be sent."""
    if len(set(names)) == len(names):
        return names
    out: dict[str, None] = {}
    for name in names:
        while name in out:
            name += "\N{REPLACEMENT CHARACTER}"
        out[name] = None
    return list(out)


def _wrapped(out: dict[str, Any]) -> dict[str, Any]:
    return {"$obj": out} if _needs_wrapping(out) else out


def _dumps(plain: Any) -> bytes:
    try:
        return orjson.dumps(plain)
    except TypeError:  # a lone surrogate, the one thing that a projected value may still hold
        return orjson.dumps(_without_surrogates(plain))


_DIRECT = (
    orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)


def _is_faithful(out: bytes) -> bool:
    # Where orjson's own output of a plain value may differ from the projection: a key may begin with a
    # dollar, an object may look like a message. Both are rare, and cheap to look for.
    return b'"$' not in out and b'"content":' not in out


def _needs_wrapping(out: dict[str, Any]) -> bool:
    return any(key.startswith("$") for key in out) or looks_like_message(out)


def message_fields(message: Any) -> dict[str, Any]:
    """Return a message's flat fields: ``type``, ``content``, ``id``, and what else is not empty.

    An empty field is kept if its absence would mean something else. If there are ``tool_call_chunks``, the
    fields that LangChain derives from them are left out.
    """
    left_out: Collection[str]
    if isinstance(message, BaseModel):
        fields, left_out = _model_fields(message), _shape(message.__class__).empty_by_default
    else:
        fields = left_out = dict(message.__dict__)
    # Our client's own messages keep received fields that they do not declare in ``extras``.
    extras = fields.pop("extras", {}) if hasattr(message, "__graphwire_message__") else {}
    out: dict[str, Any] = {"type": message.type, "content": message.content}
    if fields.get("id") is not None:
        out["id"] = fields["id"]
    chunks = fields.get("tool_call_chunks")
    for name, value in fields.items():
        if name in out or name == "id":
            continue
        if _is_empty(value):
            if name in left_out:
                continue
        elif chunks and name in ("tool_calls", "invalid_tool_calls"):
            continue
        out[name] = value
    return {**out, **extras} if extras else out


def _is_empty(value: Any) -> bool:
    if value is None or value is False:
        return True
    try:
        return isinstance(value, dict | list | str) and not value
    except BaseException:
        return False


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, BaseModel):
        return _model_fields(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        excluded = _shape(value.__class__).excluded
        names = [field.name for field in dataclasses.fields(value) if field.name not in excluded]
        return _attributes(value, names)
    return None


def _attributes(value: Any, names: Iterable[str]) -> dict[str, Any]:
    out = {}
    for name in names:
        try:
            out[name] = getattr(value, name)
        except AttributeError:  # a field that was never set
            continue
        except BaseException as error:
            out[name] = _unreadable(object, error)
    return out


def _model_fields(model: BaseModel) -> dict[str, Any]:
    """Return the declared and the extra fields, but no other attributes, such as cached values."""
    held = model.__dict__
    shape = _shape(model.__class__)
    fields = {name: held[name] for name in shape.sent if name in held}
    for name, excludes in shape.sent_unless:
        if name not in fields:
            continue
        excluded = _read(excludes, fields[name])
        if isinstance(excluded, Opaque):  # nobody knows whether the field may be sent
            fields[name] = excluded
        elif excluded:
            del fields[name]
    if model.__pydantic_extra__:
        fields.update(model.__pydantic_extra__)
    return fields


class _Shape:
    """What pydantic knows about the fields of a model or a pydantic dataclass; nothing for other classes.

    ``sent`` and ``excluded`` are names as the class declares them, ``sent_unless`` holds its conditions, and
    ``empty_by_default`` the fields that a receiver sets to an empty value by itself.
    """

    def __init__(self, fields: dict[str, FieldInfo]) -> None:
        self.excluded = frozenset(name for name, field in fields.items() if field.exclude)
        self.sent = tuple(name for name in fields if name not in self.excluded)
        self.sent_unless = [(name, field.exclude_if) for name, field in fields.items() if field.exclude_if]
        self.empty_by_default = frozenset(
            name for name, field in fields.items() if _is_empty_by_default(field)
        )


@functools.lru_cache(maxsize=_CLASSES)
def _shape(cls: type) -> _Shape:
    return _Shape(getattr(cls, "__pydantic_fields__", {}))


@functools.lru_cache(maxsize=_CLASSES)
def _serializes_itself(cls: type[BaseModel]) -> bool:
    """Tell whether a model has serializers of its own: what they hide must not be sent."""
    own = cls.__pydantic_decorators__
    if own.field_serializers or own.model_serializers:
        return True
    marks = (mark for field in cls.model_fields.values() for mark in field.metadata)
    return any(isinstance(mark, PlainSerializer | WrapSerializer) for mark in marks)


def _dumped(model: BaseModel) -> Any:
    """Return what a model's own serializers make of it; of fields whose serializer raises, a stand-in."""
    try:
        return model.model_dump()
    except BaseException:
        if type(model).__pydantic_decorators__.model_serializers or isinstance(model, RootModel):
            raise
    out: dict[str, Any] = {}
    for name in (*_shape(type(model)).sent, *(model.__pydantic_extra__ or ())):
        try:
            out.update(model.model_dump(include={name}))
        except BaseException as error:
            out[name] = _unreadable(object, error)
    return out


def _is_empty_by_default(field: FieldInfo) -> bool:
    if field.default_factory is not None:
        return field.default_factory in (dict, list, str)
    return not field.is_required() and not field.default


def _short_repr(value: Any) -> str:
    try:
        text = exact_text(repr(value))
    except BaseException as error:
        text = f"<{_name(type(value))} whose repr raised {_name(type(error))}>"
    return text if len(text) <= _REPR_CHARS else text[: _REPR_CHARS - 1] + "…"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return sendable(value)
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value


def _as_dict(message: dict[str, Any]) -> Any:
    return message


_Location: TypeAlias = tuple[Any, str | int] | None
"""Where a value is: its parent's location, and its key or index there. Becomes a path only for an error."""


def restore(
    value: Any,
    message: Callable[[dict[str, Any]], Any] = _as_dict,
    *,
    inbound: bool = False,
    path: str = "",
) -> Any:
    """Undo the tags of a JSON value; objects that look like messages are made by ``message``.

    ``inbound`` is for inputs to a server: there the tags ``$error $repr $cut`` are refused, as a graph could
    not use what they stand for. Raises ``TagError`` with the ``path`` of an unknown or malformed tag.

    An entry of a set or a key of a map may be restored as an unhashable object, such as the dict of a frozen
    dataclass. Then the set is restored as a list and the map as a list of pairs; inbound it is refused. The
    same holds for a map in which a key occurs twice.
    """
    return _Restoring(message, inbound).whole(value, path)


_SAME_HASH = 64  # entries of a set, or keys of a map


_PLAIN = frozenset({str, int, float, bool, type(None)})  # which have no tags


class _Fault(Exception):
    """What is wrong with an object of the value that is restored."""

    def __init__(self, value: dict[str, Any], reason: str) -> None:
        super().__init__(reason)
        self.value = value
        self.reason = reason


class _Restoring:
    def __init__(self, message: Callable[[dict[str, Any]], Any], inbound: bool) -> None:
        self._message = message
        self._inbound = inbound

    def whole(self, value: Any, path: str) -> Any:
        try:
            return self.value(value)
        except _Fault as fault:
            # Nobody keeps track of where one is: that would take as long as the rest.
            raise TagError(path_text(_way_to(fault.value, value), path), fault.reason) from None

    def value(self, value: Any) -> Any:
        if isinstance(value, list):
            return [item if item.__class__ in _PLAIN else self.value(item) for item in value] if value else []
        if not isinstance(value, dict):
            return value
        for key in value:
            if key.startswith("$"):
                return self._untag(value)
        out = self._fields(value) if value else {}
        if "content" in out and looks_like_message(out):
            try:
                return self._message(out)
            except TagError:
                raise
            except Exception:  # LangChain's validation raises errors of many kinds, a KeyError among them
                raise _Fault(value, "looks like a message and is not a valid one; wrap it in $obj") from None
        return out

    def _fields(self, value: dict[str, Any]) -> dict[str, Any]:
        return {key: item if item.__class__ in _PLAIN else self.value(item) for key, item in value.items()}

    def _untag(self, value: dict[str, Any]) -> Any:
        match value:
            case {"$obj": dict(fields), **rest} if not rest:
                return self._fields(fields)
            case {"$bytes": str(text), **rest} if not rest:
                try:
                    return base64.b64decode(text, validate=True)
                except ValueError:
                    raise _Fault(value, "$bytes is not base64") from None
            case {"$int": str(text), **rest} if not rest:
                digits = text.removeprefix("-")
                if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_DIGITS):
                    raise _Fault(value, f"$int is not a decimal integer of at most {MAX_DIGITS} digits")
                return int(text)
            case {"$float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
                return float(text)
            case {"$set": list(items), **rest} if not rest:
                return self._set(self.value(items), value)
            case {"$map": list(pairs), **rest} if not rest:
                if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
                    raise _Fault(value, "$map is not a list of [key, value] pairs")
                return self._map(self.value(pairs), value)
            case {"$repr": str(text), "$type": str(kind), **rest} if not rest and not self._inbound:
                return Opaque(text, kind)
            case {"$error": dict(fields), **rest} if not rest and not self._inbound:
                return Failed(fields.get("error_id"), fields.get("type"), fields.get("message"))
            case {"$cut": {"reason": "cycle" | "depth" as reason}, **rest} if not rest and not self._inbound:
                return Cut(reason)
            case {"$cut": {"reason": "size", "bytes": int(size)}, **rest} if not rest and not self._inbound:
                return Cut("size", size)
        raise _Fault(value, "not a tag that is understood here; wrap an object with a '$' key in $obj")

    def _set(self, items: list[Any], value: dict[str, Any]) -> Any:
        try:
            entries = list(map(_hashable, items))
            _check_spread(entries, value)
            return set(entries)
        except TypeError:
            if self._inbound:
                raise _Fault(value, "$set has an entry that cannot be one of a set") from None
            return items

    def _map(self, pairs: list[list[Any]], value: dict[str, Any]) -> Any:
        try:
            keys = [_hashable(key) for key, _ in pairs]
            _check_spread(keys, value)
            out = dict(zip(keys, (item for _, item in pairs), strict=True))
        except TypeError:
            if self._inbound:
                raise _Fault(value, "$map has a key that cannot be one") from None
            return [(key, item) for key, item in pairs]
        if len(out) < len(pairs):
            if self._inbound:
                raise _Fault(value, "$map has a key twice")
            return [(key, item) for key, item in pairs]
        return out


def _check_spread(entries: list[Any], value: dict[str, Any]) -> None:
    # Entries of one hash are compared with each other: 30,000 chosen integers would take seconds.
    if len(entries) > _SAME_HASH and max(Counter(map(hash, entries)).values()) > _SAME_HASH:
        raise _Fault(value, f"more than {_SAME_HASH} entries have the same hash")


def _way_to(wanted: dict[str, Any], value: Any) -> list[str | int]:
    """Return the keys and indices that lead to an object within a value."""
    found: _Location = None
    pending: list[tuple[Any, _Location]] = [(value, None)]
    while pending:
        item, at = pending.pop()
        if item is wanted:
            found = at
            break
        if isinstance(item, dict) and item.keys() == {"$obj"}:  # it is no step of the way
            item = item["$obj"]
        inner = item.items() if isinstance(item, dict) else enumerate(item)
        pending += [(part, (at, key)) for key, part in inner if isinstance(part, dict | list)]
    way: list[str | int] = []
    while found is not None:
        found, key = found
        way.append(key)
    return way[::-1]


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, set):
        return frozenset(value)
    hash(value)
    return value
