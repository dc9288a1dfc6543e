"""Python values as JSON and back: one projection for states, updates, payloads and inputs.

What JSON can express is plain JSON. The rest is tagged by an object with a ``$`` key, so that nothing is lost
silently. ``$bytes $set $float $int $map $obj`` are restored as they were. ``$error $repr $cut`` stand for
values that cannot be sent, and are restored as ``Failed``, ``Opaque`` and ``Cut``. LangChain's messages are
recognised by the name of their class: nothing here imports them.

Long because both directions stay together: each tag is written and read here, and a change to one needs the
other.
"""

import base64
import contextlib
import dataclasses
import datetime
import decimal
import enum
import functools
import math
import numbers
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Collection, Mapping, Set
from typing import Any, Literal, TypeAlias

import orjson
from pydantic import BaseModel, PlainSerializer, RootModel, WrapSerializer
from pydantic.fields import FieldInfo

from graphwire_protocol.errors import path_text
from graphwire_protocol.types import MAX_INT

MAX_DEPTH = 64
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
    """Stands for what was too deep, cyclic or too large (then ``bytes`` is its size) to send."""

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


class Projector:
    """Turns Python values into JSON.

    ``describe_error`` returns the object for ``$error`` of an exception; by default it is empty, so that
    nothing about the exception is sent.
    """

    def __init__(self, describe_error: Callable[[BaseException], dict[str, str]] = _no_error) -> None:
        self._describe_error = describe_error

    def dumps(self, value: Any) -> bytes:
        """Return ``value`` as JSON bytes."""
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
        return _dumps({name: self.project(value) for name, value in fields.items()})

    def project(self, value: Any) -> Any:
        """Return ``value`` as plain JSON: dicts with string keys, lists, strings, numbers, booleans, None."""
        return self._walk(value, 1, [])

    def _walk(self, value: Any, depth: int, parents: list[int]) -> Any:
        cls = value.__class__
        if value is None or cls is str or cls is bool:
            return value
        if cls is int:
            return value if -MAX_INT <= value <= MAX_INT else _big(value)
        if cls is float:
            return value if math.isfinite(value) else {"$float": _float_name(value)}
        if isinstance(value, enum.Enum):
            return self._walk(value.value, depth, parents)
        simple = _simple(value)
        if simple is not _NOT_SIMPLE:
            return simple
        if depth > MAX_DEPTH:
            return {"$cut": {"reason": "depth"}}
        if id(value) in parents:
            return {"$cut": {"reason": "cycle"}}
        parents.append(id(value))
        try:
            return self._compound(value, depth, parents)
        finally:
            parents.pop()

    def _compound(self, value: Any, depth: int, parents: list[int]) -> Any:
        def each(item: Any) -> Any:
            return self._walk(item, depth + 1, parents)

        if isinstance(value, list | tuple | deque):
            return [each(item) for item in value]
        if isinstance(value, Set):
            return {"$set": [each(item) for item in value]}
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                return {"$map": [[each(key), each(item)] for key, item in value.items()]}
            out = {str.__str__(key): each(item) for key, item in value.items()}
            return {"$obj": out} if _needs_wrapping(out) else out
        if isinstance(value, BaseException):
            return {"$error": self._describe_error(value)}
        if is_message_class(value.__class__):
            out = {name: each(item) for name, item in message_fields(value).items()}
            return {"$obj": out} if any(name.startswith("$") for name in out) else out
        if isinstance(value, BaseModel) and _serializes_itself(value.__class__):
            return each(value.model_dump())
        if isinstance(value, RootModel):
            return each(value.root)
        fields = _fields(value)
        if fields is not None:
            out = {name: each(item) for name, item in fields.items()}
            return {"$obj": out} if _needs_wrapping(out) else out
        return {"$repr": _short_repr(value), "$type": type(value).__qualname__}


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
    # Where orjson's own output may differ from the projection: a null may have been a NaN, a key may begin
    # with a dollar, an object may look like a message, nesting may be too deep. All are rare, and cheap to
    # look for.
    return (
        b"null" not in out
        and b'"$' not in out
        and b'"content":' not in out
        and (len(out) <= 2 * MAX_DEPTH or out.count(b"{") + out.count(b"[") <= MAX_DEPTH)
    )


_NOT_SIMPLE = object()


def _simple(value: Any) -> Any:
    """Project a value that has no parts; return ``_NOT_SIMPLE`` for any other."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(bytes(value)).decode("ascii")}
    if isinstance(value, datetime.datetime):
        return _timestamp(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID | decimal.Decimal | pathlib.PurePath):
        return str(value)
    if isinstance(value, numbers.Integral):
        number = int(value)
        return number if -MAX_INT <= number <= MAX_INT else _big(number)
    if isinstance(value, numbers.Real) and not isinstance(value, numbers.Rational):
        real = float(value)
        return real if math.isfinite(real) else {"$float": _float_name(real)}
    if isinstance(value, Opaque):
        return {"$repr": value.text, "$type": value.type}
    if isinstance(value, Failed):
        return {"$error": {name: text for name, text in dataclasses.asdict(value).items() if text}}
    if isinstance(value, Cut):
        size = {} if value.bytes is None else {"bytes": value.bytes}
        return {"$cut": {"reason": value.reason, **size}}
    return _NOT_SIMPLE


_MAX_DIGITS = 4300
"""The most digits that Python converts between text and integers (its guard against slow conversions)."""

_TOO_BIG = 10**_MAX_DIGITS


def _big(number: int) -> dict[str, str]:
    if -_TOO_BIG < number < _TOO_BIG:
        return {"$int": str(number)}
    return {"$repr": f"<an integer of {number.bit_length()} bits>", "$type": "int"}


def _timestamp(value: datetime.datetime) -> str:
    # RFC 3339 allows offsets of whole minutes only; local mean times before 1900 have seconds as well.
    offset = value.utcoffset()
    if offset is not None and offset % datetime.timedelta(minutes=1):
        with contextlib.suppress(OverflowError):  # near the first and the last year it keeps its offset
            value = value.astimezone(datetime.timezone.utc)
    return value.isoformat()


def _float_name(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"


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
        if value is None or value is False or (isinstance(value, dict | list | str) and not value):
            if name in left_out:
                continue
        elif chunks and name in ("tool_calls", "invalid_tool_calls"):
            continue
        out[name] = value
    return {**out, **extras} if extras else out


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, BaseModel):
        return _model_fields(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        excluded = _shape(value.__class__).excluded
        names = [field.name for field in dataclasses.fields(value) if field.name not in excluded]
        return {name: getattr(value, name) for name in names if hasattr(value, name)}
    return None


def _model_fields(model: BaseModel) -> dict[str, Any]:
    """Return the declared and the extra fields, but no other attributes, such as cached values."""
    held = model.__dict__
    shape = _shape(model.__class__)
    fields = {name: held[name] for name in shape.sent if name in held}
    for name, excludes in shape.sent_unless:
        if name in fields and excludes(fields[name]):
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


def _is_empty_by_default(field: FieldInfo) -> bool:
    if field.default_factory is not None:
        return field.default_factory in (dict, list, str)
    return not field.is_required() and not field.default


def _short_repr(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__qualname__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= _REPR_CHARS else text[: _REPR_CHARS - 1] + "…"


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
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
    dataclass. Then the set is restored as a list and the map as a list of pairs; inbound it is refused.
    """
    return _Restoring(message, inbound, path).value(value, None)


class _Restoring:
    def __init__(self, message: Callable[[dict[str, Any]], Any], inbound: bool, path: str) -> None:
        self._message = message
        self._inbound = inbound
        self._path = path

    def value(self, value: Any, at: _Location) -> Any:
        if isinstance(value, list):
            return [self.value(item, (at, index)) for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return value
        if any(key.startswith("$") for key in value):
            return self._untag(value, at)
        out = self._fields(value, at)
        if looks_like_message(out):
            try:
                return self._message(out)
            except TagError:
                raise
            except Exception:  # LangChain's validation raises errors of many kinds, a KeyError among them
                raise self._fault(
                    at, "looks like a message and is not a valid one; wrap it in $obj"
                ) from None
        return out

    def _fields(self, value: dict[str, Any], at: _Location) -> dict[str, Any]:
        return {key: self.value(item, (at, key)) for key, item in value.items()}

    def _untag(self, value: dict[str, Any], at: _Location) -> Any:
        match value:
            case {"$obj": dict(fields), **rest} if not rest:
                return self._fields(fields, at)
            case {"$bytes": str(text), **rest} if not rest:
                try:
                    return base64.b64decode(text, validate=True)
                except ValueError:
                    raise self._fault(at, "$bytes is not base64") from None
            case {"$int": str(text), **rest} if not rest:
                digits = text.removeprefix("-")
                if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
                    raise self._fault(at, f"$int is not a decimal integer of at most {_MAX_DIGITS} digits")
                return int(text)
            case {"$float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
                return float(text)
            case {"$set": list(items), **rest} if not rest:
                return self._set(self.value(items, (at, "$set")), at)
            case {"$map": list(pairs), **rest} if not rest:
                if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
                    raise self._fault(at, "$map is not a list of [key, value] pairs")
                return self._map(self.value(pairs, (at, "$map")), at)
            case {"$repr": str(text), "$type": str(kind), **rest} if not rest and not self._inbound:
                return Opaque(text, kind)
            case {"$error": dict(fields), **rest} if not rest and not self._inbound:
                return Failed(fields.get("error_id"), fields.get("type"), fields.get("message"))
            case {"$cut": {"reason": "cycle" | "depth" as reason}, **rest} if not rest and not self._inbound:
                return Cut(reason)
            case {"$cut": {"reason": "size", "bytes": int(size)}, **rest} if not rest and not self._inbound:
                return Cut("size", size)
        raise self._fault(at, "not a tag that is understood here; wrap an object with a '$' key in $obj")

    def _set(self, items: list[Any], at: _Location) -> Any:
        try:
            return {_hashable(item) for item in items}
        except TypeError:
            if self._inbound:
                raise self._fault(at, "$set has an entry that cannot be one of a set") from None
            return items

    def _map(self, pairs: list[list[Any]], at: _Location) -> Any:
        try:
            return {_hashable(key): item for key, item in pairs}
        except TypeError:
            if self._inbound:
                raise self._fault(at, "$map has a key that cannot be one") from None
            return [(key, item) for key, item in pairs]

    def _fault(self, at: _Location, reason: str) -> TagError:
        parts: list[str | int] = []
        while at is not None:
            at, part = at
            parts.append(part)
        return TagError(path_text(reversed(parts), self._path), reason)


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    if isinstance(value, set):
        return frozenset(value)
    hash(value)
    return value
