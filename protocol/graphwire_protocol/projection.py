"""Python values as JSON and back: one projection for states, updates, payloads and inputs.

What JSON has is JSON. The rest is tagged by an object with a ``$`` key, so that nothing is lost silently:
``$bytes $set $float $int $map $obj`` come back as they were; ``$error $repr $cut`` stand for what cannot
travel and come back as ``Failed``, ``Opaque`` and ``Cut``. LangChain's messages are known by their class's
name alone: nothing here imports them.
"""

import base64
import dataclasses
import datetime
import decimal
import enum
import math
import numbers
import pathlib
import uuid
from collections import deque
from collections.abc import Callable, Mapping, Set
from typing import Any, Literal

import orjson
from pydantic import BaseModel

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
    """Stands for what was too deep, cyclic or too large to send (``bytes`` then tells its size)."""

    reason: Literal["cycle", "depth", "size"]
    bytes: int | None = None


class TagError(ValueError):
    """A value whose ``$`` tag is unknown or malformed. ``path`` names it, the value is not told."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


def looks_like_message(value: Mapping[str, Any]) -> bool:
    """Tell whether a receiver takes this JSON object for a message."""
    kind = value.get("type")
    return (
        "content" in value
        and isinstance(kind, str)
        and (kind in _MESSAGE_TYPES or kind.endswith("MessageChunk"))
    )


def is_message_class(cls: type) -> bool:
    """Tell whether ``cls`` is a message: LangChain's, or marked as this client's own."""
    known = _MESSAGE_CLASSES.get(cls)
    if known is None:
        known = hasattr(cls, "__graphwire_message__") or any(
            base.__name__ == "BaseMessage" and base.__module__.startswith("langchain_core.")
            for base in cls.__mro__
        )
        _MESSAGE_CLASSES[cls] = known
    return known


_MESSAGE_CLASSES: dict[type, bool] = {}


def _no_error(error: BaseException) -> dict[str, str]:
    return {}


class Projector:
    """Turns Python values into JSON.

    ``describe_error`` is asked for the object behind ``$error`` of each exception met; by default nothing
    of it is told.
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
        plain = self.project(value)
        try:
            return orjson.dumps(plain)
        except TypeError:  # a lone surrogate, the one thing that a projected value may still hold
            return orjson.dumps(_without_surrogates(plain))

    def project(self, value: Any) -> Any:
        """Return ``value`` as what JSON has: dicts with string keys, lists, strings, numbers, None."""
        return self._walk(value, 1, [])

    def _walk(self, value: Any, depth: int, above: list[int]) -> Any:
        cls = value.__class__
        if value is None or cls is str or cls is bool:
            return value
        if cls is int:
            return value if -MAX_INT <= value <= MAX_INT else {"$int": str(value)}
        if cls is float:
            return value if math.isfinite(value) else {"$float": _float_name(value)}
        if isinstance(value, enum.Enum):
            return self._walk(value.value, depth, above)
        simple = _simple(value)
        if simple is not _NOT_SIMPLE:
            return simple
        if depth > MAX_DEPTH:
            return {"$cut": {"reason": "depth"}}
        if id(value) in above:
            return {"$cut": {"reason": "cycle"}}
        above.append(id(value))
        try:
            return self._compound(value, depth, above)
        finally:
            above.pop()

    def _compound(self, value: Any, depth: int, above: list[int]) -> Any:
        def each(item: Any) -> Any:
            return self._walk(item, depth + 1, above)

        if isinstance(value, list | tuple | deque):
            return [each(item) for item in value]
        if isinstance(value, Set):
            return {"$set": [each(item) for item in value]}
        if isinstance(value, Mapping):
            if not all(isinstance(key, str) for key in value):
                return {"$map": [[each(key), each(item)] for key, item in value.items()]}
            out = {str(key): each(item) for key, item in value.items()}
            return {"$obj": out} if _needs_wrapping(out) else out
        if isinstance(value, BaseException):
            return {"$error": self._describe_error(value)}
        if is_message_class(type(value)):
            return {name: each(item) for name, item in message_fields(value).items()}
        fields = _fields(value)
        if fields is not None:
            out = {name: each(item) for name, item in fields.items()}
            return {"$obj": out} if _needs_wrapping(out) else out
        return {"$repr": _short_repr(value), "$type": type(value).__qualname__}


_DIRECT = orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS


def _is_faithful(out: bytes) -> bool:
    # orjson is right about everything but these: a null may have been a NaN, a key may begin with a dollar,
    # an object may look like a message, nesting may be too deep. Seldom met, cheap to look for.
    return (
        b"null" not in out
        and b'"$' not in out
        and b'"content":' not in out
        and out.count(b"{") + out.count(b"[") <= MAX_DEPTH
    )


_NOT_SIMPLE = object()


def _simple(value: Any) -> Any:
    """Project what has no parts, or return ``_NOT_SIMPLE``."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"$bytes": base64.b64encode(value).decode("ascii")}
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, uuid.UUID | decimal.Decimal | pathlib.PurePath):
        return str(value)
    if isinstance(value, numbers.Integral):
        number = int(value)
        return number if -MAX_INT <= number <= MAX_INT else {"$int": str(number)}
    if isinstance(value, numbers.Real):
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


def _float_name(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return "inf" if value > 0 else "-inf"


def _needs_wrapping(out: dict[str, Any]) -> bool:
    return any(key.startswith("$") for key in out) or looks_like_message(out)


def message_fields(message: Any) -> dict[str, Any]:
    """Return a message's flat fields: ``type``, ``content``, ``id``, and what else is not empty.

    Fields that LangChain derives from ``tool_call_chunks`` are left out beside them.
    """
    fields = dict(message.__dict__)
    fields.update(getattr(message, "model_extra", None) or {})
    out: dict[str, Any] = {"type": message.type, "content": message.content}
    if fields.get("id") is not None:
        out["id"] = fields["id"]
    chunks = fields.get("tool_call_chunks")
    for name, value in fields.items():
        if name in out or name == "id" or value is None or value is False:
            continue
        if isinstance(value, dict | list | str) and not value:
            continue
        if chunks and name in ("tool_calls", "invalid_tool_calls"):
            continue
        out[name] = value
    return out


def _fields(value: Any) -> dict[str, Any] | None:
    if isinstance(value, BaseModel):
        hidden = {name for name, field in type(value).model_fields.items() if field.exclude}
        return {name: item for name, item in value if name not in hidden}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return None


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


def restore(
    value: Any,
    message: Callable[[dict[str, Any]], Any] = _as_dict,
    *,
    inbound: bool = False,
    path: str = "",
) -> Any:
    """Undo the tags of a JSON value; objects that look like messages are made by ``message``.

    ``inbound`` is for a server's inputs: there the tags that stand for something else are refused, as no
    graph could run on a stand-in. Raises ``TagError`` with the ``path`` of an unknown or malformed tag.
    """
    if isinstance(value, list):
        return [restore(item, message, inbound=inbound, path=f"{path}[{i}]") for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if any(key.startswith("$") for key in value):
        return _untag(value, message, inbound, path)
    out = _restore_fields(value, message, inbound, path)
    if looks_like_message(out):
        try:
            return message(out)
        except TagError:
            raise
        except ValueError:
            raise TagError(path, "looks like a message and is not a valid one; wrap it in $obj") from None
    return out


def _restore_fields(
    value: dict[str, Any], message: Callable[[dict[str, Any]], Any], inbound: bool, path: str
) -> dict[str, Any]:
    return {
        key: restore(item, message, inbound=inbound, path=f"{path}.{key}" if path else key)
        for key, item in value.items()
    }


def _untag(value: dict[str, Any], message: Callable[[dict[str, Any]], Any], inbound: bool, path: str) -> Any:
    def inner(item: Any) -> Any:
        return restore(item, message, inbound=inbound, path=path)

    match value:
        case {"$obj": dict(fields), **rest} if not rest:
            return _restore_fields(fields, message, inbound, path)
        case {"$bytes": str(text), **rest} if not rest:
            try:
                return base64.b64decode(text, validate=True)
            except ValueError:
                raise TagError(path, "$bytes is not base64") from None
        case {"$int": str(text), **rest} if not rest:
            digits = text.removeprefix("-")
            if not (digits.isascii() and digits.isdigit() and len(digits) <= 4300):
                raise TagError(path, "$int is not a decimal integer of at most 4300 digits")
            return int(text)
        case {"$float": "nan" | "inf" | "-inf" as text, **rest} if not rest:
            return float(text)
        case {"$set": list(items), **rest} if not rest:
            return {_hashable(inner(item), path) for item in items}
        case {"$map": list(pairs), **rest} if not rest:
            if not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
                raise TagError(path, "$map is not a list of [key, value] pairs")
            return {_hashable(inner(key), path): inner(item) for key, item in pairs}
        case {"$repr": str(text), "$type": str(kind), **rest} if not rest and not inbound:
            return Opaque(text, kind)
        case {"$error": dict(fields), **rest} if not rest and not inbound:
            return Failed(fields.get("error_id"), fields.get("type"), fields.get("message"))
        case {"$cut": {"reason": "cycle" | "depth" as reason}, **rest} if not rest and not inbound:
            return Cut(reason)
        case {"$cut": {"reason": "size", "bytes": int(size)}, **rest} if not rest and not inbound:
            return Cut("size", size)
    raise TagError(path, "not a tag that is understood here; wrap an object with a '$' key in $obj")


def _hashable(value: Any, path: str) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(item, path) for item in value)
    if isinstance(value, set):
        return frozenset(value)
    try:
        hash(value)
    except TypeError:
        raise TagError(path, "a set's entry or a map's key is an object that cannot be one") from None
    return value
