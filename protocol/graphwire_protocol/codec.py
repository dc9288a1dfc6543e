"""Bytes to frames and back.

A frame is validated once, from its bytes. A frame that cannot be read becomes a ``Refusal`` that names path
and reason and never repeats a value. A client reads leniently: a frame of an unknown type becomes an
``Unknown``.
"""

import gc
import re
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, SchemaValidator, core_schema, from_json

from graphwire_protocol.base import Wire
from graphwire_protocol.commands import UNSERVED, Command, Position, Product
from graphwire_protocol.errors import Refusal, path_text
from graphwire_protocol.filters import Exclude, Filter
from graphwire_protocol.frames import ServerFrame
from graphwire_protocol.suggest import choices_of, did_you_mean
from graphwire_protocol.types import MAX_INT, NAME_RULE

_COMMAND: TypeAdapter[Any] = TypeAdapter(Command)
_FRAME: TypeAdapter[Any] = TypeAdapter(ServerFrame)
_BATCH: TypeAdapter[list[Any]] = TypeAdapter(list[ServerFrame])


class _Head(BaseModel):
    """What a refusal repeats of a frame; the rest is parsed without making objects of it."""

    id: Any = None
    type: Any = None


_ECHOED = 64  # how many characters of the peer's input a message may repeat
_SMALL = 64 << 10  # characters of a frame whose wrong words are compared with the right ones, for example
_LISTED = 16  # how many validation errors a refusal lists


@dataclass(frozen=True, slots=True)
class Unknown:
    """A frame of a type that this version does not know; no error, a client may report it."""

    type: str
    fields: dict[str, Any]


def encode(frame: Wire) -> bytes:
    """Return the frame as one JSON object."""
    return orjson.dumps(frame.to_wire())


def decode_command(data: str | bytes) -> Command:
    """Read one frame of a client. Raises ``Refusal``, with the request's ``id`` if that could be read.

    A lone surrogate, which browsers send for half an emoji, becomes U+FFFD.
    """
    if len(data) <= _SMALL or not gc.isenabled():
        return _read(data)
    gc.disable()  # nothing that is parsed is a cycle, and every collection would look at all of it
    try:
        return _read(data)
    finally:
        gc.enable()


def _read(data: str | bytes) -> Command:
    if len(data) > _SMALL:
        _look_at_width(data)
    try:
        command: Command = _validated(data)
    except ValidationError as error:
        replaced = _without_lone_surrogates(data)
        if replaced == data:
            raise _refusal(data, error) from None
        try:
            data, command = replaced, _validated(replaced)
        except ValidationError as other:
            raise _refusal(replaced, other) from None
    if _may_hold_a_literal(data):
        _parsed(data)
    return command


def _counted(place: str, values: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """Return the schema of an object whose unknown fields are counted in the context, up to one too many."""

    def count(name: str, info: core_schema.ValidationInfo) -> None:
        if name not in _KNOWN:
            found: Any = info.context
            found.append(place)
            if len(found) > _LISTED:
                raise ValueError

    keys = core_schema.with_info_plain_validator_function(count)
    return _whatever(core_schema.dict_schema(keys, values, fail_fast=True))


def _whatever(schema: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """Return a schema that takes what ``schema`` does not, too, without making an object of it."""
    return core_schema.with_default_schema(schema, default=None, on_error="default")


def _only(**fields: core_schema.CoreSchema) -> core_schema.CoreSchema:
    """Return the schema of an object of which only these fields are looked at."""
    optional = {name: core_schema.typed_dict_field(each, required=False) for name, each in fields.items()}
    return _whatever(core_schema.typed_dict_schema(optional, extra_behavior="ignore"))


_KNOWN = frozenset(name for model in (Filter, Exclude, Position, Product) for name in model.model_fields)
_ANYTHING = _whatever(core_schema.none_schema())
_SPEC = {
    "filter": _counted("filter", _counted("filter", _ANYTHING)),
    "from": _counted("from", _ANYTHING),
}
_WIDE_PARTS = SchemaValidator(
    core_schema.tagged_union_schema(
        {
            "hello": _only(client=_counted("client", _ANYTHING)),
            "subscribe": _only(**_SPEC),
            "run": _only(subscribe=_whatever(core_schema.list_schema(_only(**_SPEC)))),
        },
        discriminator="type",
    )
)
"""Counts the fields that nobody knows in those parts of a frame that are no user's values."""


def _look_at_width(data: str | bytes) -> None:
    """Raise ``Refusal`` for a frame with too many unknown fields in one of its parts.

    The validator would note each of them, or copy all of them for each field that is missing beside them.
    """
    found: list[str] = []
    try:
        _WIDE_PARTS.validate_json(data, context=found)
    except ValidationError:
        return  # of another type, or no JSON
    if len(found) > _LISTED:
        head = _Head.model_validate_json(data)
        raise _too_many(head.type, _id({"id": head.id}), found[-1])


def _validated(data: str | bytes) -> Command:
    command: Command = _COMMAND.validate_json(data, strict=True, by_alias=True, by_name=False)
    return command


_ESCAPE = re.compile(
    r"(?P<pair>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
"""An escape in JSON text: two surrogates that are one character, one alone, or any other."""


def _without_lone_surrogates(data: str | bytes) -> str | bytes:
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    if "\\u" not in text:
        return data
    return _ESCAPE.sub(lambda found: "\\ufffd" if found["lone"] else found[0], text)


def _may_hold_a_literal(data: str | bytes) -> bool:
    if isinstance(data, bytes):
        return b"NaN" in data or b"Infinity" in data
    return "NaN" in data or "Infinity" in data


def _parsed(data: str | bytes) -> Any:
    # The validating parser accepts the literals NaN and Infinity, which are not JSON.
    try:
        return from_json(data, allow_inf_nan=False)
    except ValueError as error:
        raise Refusal("bad_frame", _not_json(str(error))) from None


def _not_json(reason: str) -> str:
    return f"the message is not one JSON object: {reason}"


def _refusal(data: str | bytes, error: ValidationError) -> Refusal:
    has_many = error.error_count() > _LISTED
    # A list of all faults would cost far more than to find them, and a large frame would be copied into each.
    faults = [] if has_many else error.errors(include_url=False, include_input=len(data) <= _SMALL)
    first: Any = {"type": "many"} if has_many else faults[0]
    if first["type"] in ("json_invalid", "string_unicode"):
        reason = str(first.get("ctx", {}).get("error", "syntax error"))
        if "number out of range" in reason:
            return Refusal(
                "invalid_argument",
                f"an integer has too many digits: {reason}",
                id=_id_despite_long_integers(data),
            )
        return Refusal("bad_frame", _not_json(reason))
    try:
        head = _Head.model_validate_json(data)
    except ValidationError:
        return Refusal("bad_frame", "a frame is a JSON object with a string 'type'")
    if _may_hold_a_literal(data):
        _parsed(data)
    id, kind = _id({"id": head.id}), head.type
    if not isinstance(kind, str):
        return Refusal("bad_frame", "a frame is a JSON object with a string 'type'", id=id)
    if kind in UNSERVED:
        return Refusal("unsupported", f"{kind!r} frames are not served by this server", id=id)
    if first["type"] == "union_tag_invalid" and first["loc"] == ():
        return Refusal("unknown_type", f"no frame type {kind[:_ECHOED]!r}", id=id)
    return _too_many(kind, id) if has_many else _invalid(kind, faults, id)


def _too_many(kind: str, id: int | None, place: str = "filter") -> Refusal:
    # Whatever else is wrong, a small frame has so many faults only in its filters: each unknown field is one.
    reason = f"more than {_LISTED} fields that this server does not know"
    path = "subscribe" if kind == "run" else place
    details = {"errors": [{"path": path, "reason": reason}]}
    code = "invalid_filter" if place == "filter" else "invalid_argument"
    return Refusal(code, f"{kind}.{path}: {reason}", id=id, details=details)


_LONG_INTEGER = re.compile(r"[0-9]{1000,}")


def _id_despite_long_integers(data: str | bytes) -> int | None:
    """Read the id of a frame in which another integer is too long for the parser."""
    text = data if isinstance(data, str) else data.decode("utf-8", "replace")
    try:
        return _id(from_json(_LONG_INTEGER.sub("0", text)))
    except ValueError:
        return None


def _id(frame: Any) -> int | None:
    id = frame.get("id") if isinstance(frame, dict) else None
    return id if type(id) is int and 0 <= id <= MAX_INT else None


def _invalid(kind: str, faults: list[ErrorDetails], id: int | None) -> Refusal:
    listed = [{"path": _path(fault), "reason": _reason(fault)} for fault in faults]
    in_filter = [fault for fault in listed if _is_in_filter(fault["path"])]
    listed = (in_filter or listed)[:_LISTED]
    code = "invalid_filter" if in_filter else "invalid_argument"
    first = listed[0]
    where = f"{kind}.{first['path']}" if first["path"] else kind
    return Refusal(code, f"{where}: {first['reason']}", id=id, details={"errors": listed})


def _is_in_filter(path: str) -> bool:
    parts = path.replace("[", ".").split(".")
    return parts[0] == "filter" or (parts[0] == "subscribe" and "filter" in parts[2:3])


def _path(fault: ErrorDetails) -> str:
    _, *parts = fault["loc"]  # the first one is the frame's type
    # The validator names the members of unions that it tried; they are not part of the path. The name of an
    # unknown field is, even if it looks like one of them.
    last = len(parts) - (fault["type"] == "extra_forbidden")
    return path_text([part for part in parts[:last] if not _is_member(part)] + parts[last:])


def _is_member(part: str | int) -> bool:
    return isinstance(part, str) and (part in ("Position", "str") or part.endswith("]"))


def _reason(fault: ErrorDetails) -> str:
    kind = fault["type"]
    if kind == "union_tag_invalid":  # its message repeats the tag
        return "not one of the expected types"
    if kind == "extra_forbidden":
        return "not a field that this server knows"
    if kind == "string_pattern_mismatch":  # nothing else has a pattern
        return NAME_RULE
    given = fault.get("input")
    meant = did_you_mean(given, choices_of(fault)) if isinstance(given, str) else ""
    return f"{fault['msg']}{meant}"


def decode_frames(data: str | bytes) -> list[Any]:
    """Read one message of a server: its frames in order, each a ``ServerFrame`` or ``Unknown``.

    Raises ``ValueError`` for what no version of the protocol allows.
    """
    batch = data[:1] in ("[", b"[")
    try:
        return _BATCH.validate_json(data) if batch else [_FRAME.validate_json(data)]
    except ValidationError:
        pass
    raw = from_json(data)
    return [_lenient(item) for item in (raw if isinstance(raw, list) else [raw])]


def _lenient(raw: Any) -> Any:
    if not isinstance(raw, dict) or not isinstance(raw.get("type"), str):
        raise ValueError("a server's frame is a JSON object with a string 'type'")
    try:
        return _FRAME.validate_python(raw)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        if fault["type"] == "union_tag_invalid" and fault["loc"] == ():
            return Unknown(raw["type"], raw)
        raise ValueError(f"{raw['type'][:_ECHOED]}.{_path(fault)}: {_reason(fault)}") from None
