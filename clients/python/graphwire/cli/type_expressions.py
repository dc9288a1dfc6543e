"""JSON Schema as expressions of TypeScript's types.

A schema may be anything, also malformed: what has no type in TypeScript is ``unknown``. The text is always
valid, and its length is bounded by that of the schema. ``typescript.py`` makes declarations of expressions.
"""

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from graphwire.cli.message_types import MESSAGE, MESSAGE_INPUT, message_type, one_of_messages

Side: TypeAlias = Literal["input", "state"]
"""Whether a value goes to a graph or comes from it: a ``Date`` may be sent, and it comes back as text."""

MAX_DEPTH = 40
"""How deep a schema is followed; what is deeper is ``unknown``."""
MAX_MEMBERS = 500
"""How many members a union may have. A longer one is ``unknown``, a longer ``enum`` its values' types."""

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*", re.ASCII)
_LINE = 100  # columns
_MAX_COMMENT = 600  # characters
_MAX_SHOWN = 60  # characters of a default in a comment
_MAX_TUPLE = 64  # elements
_SAFE_INTEGER = 2**53
_OBJECT = frozenset({"properties", "required", "additionalProperties", "patternProperties"})
_ARRAY = frozenset({"items", "prefixItems"})
_PLAIN = {"string": "string", "number": "number", "integer": "number", "boolean": "boolean", "null": "null"}


class Type(NamedTuple):
    """An expression. ``binds`` is 0 for one that stands anywhere, 1 for an intersection, 2 for a union.

    ``members`` is the count of members of the union that it is, with those of its references. ``options`` are
    the members as written. ``has_fields``: it is an object with fields, which may be an interface.
    """

    text: str
    binds: int = 0
    members: int = 1
    options: tuple[str, ...] = ()
    has_fields: bool = False

    def within(self, binds: int) -> str:
        """Return the text where nothing may stand that binds as loosely as ``binds`` or more so."""
        return f"({self.text})" if self.binds >= binds else self.text


UNKNOWN = Type("unknown")
NEVER = Type("never")

Reference: TypeAlias = Callable[[str, bool], Type]
"""Returns the type of what a ``$ref`` names. True says that no object or array is around the reference."""


@dataclass(frozen=True)
class Expressions:
    """Makes expressions of the schemas of one document.

    ``refer`` makes the types of references, ``target`` finds their schemas. ``messages`` has the types of
    LangChain's messages that were used.
    """

    side: Side
    refer: Reference
    target: Callable[[str], Any]
    messages: list[str] = field(default_factory=list)

    def of(self, schema: Any, depth: int = 0, *, is_direct: bool = True) -> Type:
        """Return the type of a schema. ``is_direct``: no object or array is around it."""
        if schema is False:
            return NEVER
        if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
            return UNKNOWN
        parts = [self._own(schema, depth, is_direct)]
        choices = [schema[word] for word in ("anyOf", "oneOf") if isinstance(schema.get(word), list)]
        parts += [self._choice(options, depth, is_direct) for options in choices]
        if isinstance(schema.get("allOf"), list):
            parts += [self.of(part, depth + 1, is_direct=is_direct) for part in schema["allOf"]]
        whole = intersection(parts)
        return union([whole, Type("null")]) if schema.get("nullable") is True else whole

    def _own(self, schema: Mapping[str, Any], depth: int, is_direct: bool) -> Type:
        parts = []
        reference = schema.get("$ref")
        if isinstance(reference, str):
            message = self._message(reference)
            parts.append(self._sent(message) if message else self.refer(reference, is_direct))
        if "const" in schema:
            parts.append(literal(schema["const"]))
        elif isinstance(schema.get("enum"), list):
            parts.append(_enum(schema["enum"]))
        else:
            kinds = schema.get("type")
            if isinstance(kinds, str):
                kinds = [kinds]
            if not isinstance(kinds, list):
                kinds = [
                    kind for kind, keys in (("object", _OBJECT), ("array", _ARRAY)) if keys & schema.keys()
                ]
            if kinds:
                parts.append(union([self._kind(kind, schema, depth) for kind in kinds]))
        return intersection(parts)

    def _choice(self, options: Sequence[Any], depth: int, is_direct: bool) -> Type:
        messages = one_of_messages([self._class(option) for option in options])
        if messages is not None:
            return self._sent(messages)
        return union([self.of(option, depth + 1, is_direct=is_direct) for option in options])

    def _class(self, schema: Any) -> str | None:
        reference = schema.get("$ref") if isinstance(schema, Mapping) else None
        return self._message(reference) if isinstance(reference, str) else None

    def _message(self, reference: str) -> str | None:
        return message_type(reference.rpartition("/")[2], self.target(reference))

    def _sent(self, message: str) -> Type:
        self.messages.append(message)
        return Type(MESSAGE_INPUT if message == MESSAGE and self.side == "input" else message)

    def _kind(self, kind: Any, schema: Mapping[str, Any], depth: int) -> Type:
        if kind == "object":
            return self._object(schema, depth)
        if kind == "array":
            return Type(self._array(schema, depth))
        if kind == "string":
            return _text(schema.get("format"), self.side)
        return Type(_PLAIN[kind]) if isinstance(kind, str) and kind in _PLAIN else UNKNOWN

    def _object(self, schema: Mapping[str, Any], depth: int) -> Type:
        properties, required = schema.get("properties"), schema.get("required")
        properties = properties if isinstance(properties, Mapping) else {}
        names = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
        fields = {**properties, **dict.fromkeys(sorted(names - properties.keys()), True)}
        more = schema.get("additionalProperties")
        patterns = schema.get("patternProperties")
        rest: Type | None
        if patterns and isinstance(patterns, Mapping) and not fields and more in (None, False):
            rest = union([self.of(part, depth + 1, is_direct=False) for part in patterns.values()])
        elif not fields:
            rest = self.of(True if more is None else more, depth + 1, is_direct=False)
        else:  # the index has to suit the fields, too
            rest = UNKNOWN if patterns or more not in (None, False) else None
        lines = []
        for name, part in fields.items():
            type = self.of(part, depth + 1, is_direct=False)
            mark = "" if name in names else "?"
            lines += [*comment(part), f"{before(f'{key(name)}{mark}:', type)};"]
        if rest is not None:
            lines.append(f"[key: string]: {rest.text};")
        if not fields:
            return Type(f"{{ {lines[0].rstrip(';')} }}")
        return Type("\n".join(["{", *(indented(line) for line in lines), "}"]), has_fields=True)

    def _array(self, schema: Mapping[str, Any], depth: int) -> str:
        prefix, items = schema.get("prefixItems"), schema.get("items")
        if isinstance(items, list):  # as schemas had it before 2020-12
            prefix, items = items, schema.get("additionalItems")
        if not isinstance(prefix, list) or not prefix or len(prefix) > _MAX_TUPLE:
            item = self.of(items, depth + 1, is_direct=False)
            return f"Set<{item.text}>" if schema.get("uniqueItems") is True else f"{item.within(1)}[]"
        least, most = (_count(schema.get(name)) for name in ("minItems", "maxItems"))
        elements = []
        for index, part in enumerate(prefix):
            element = self.of(part, depth + 1, is_direct=False)
            elements.append(element.text if index < (least or 0) else f"{element.within(1)}?")
        if items is not False and (most is None or most > len(prefix)):
            elements.append(f"...{self.of(items, depth + 1, is_direct=False).within(1)}[]")
        return f"[{', '.join(elements)}]"


def union(types: Sequence[Type]) -> Type:
    """Return the union of types, each once and ``null`` last."""
    kept = list({type.text: type for type in types if type != NEVER}.values())
    count = sum(type.members for type in kept)
    if UNKNOWN in kept or count > MAX_MEMBERS:
        return UNKNOWN
    texts = dict.fromkeys(text for type in kept for text in type.options or [type.text])
    if "null" in texts:
        del texts["null"]
        texts["null"] = None
    if len(texts) < 2:
        return kept[0] if kept else NEVER
    return Type(" | ".join(texts), 2, count, tuple(texts))


def intersection(types: Sequence[Type]) -> Type:
    """Return the intersection of types; of none it is ``unknown``."""
    members = {type.text: type for type in types if type != UNKNOWN}
    if NEVER in members.values():
        return NEVER
    if len(members) < 2:
        return next(iter(members.values()), UNKNOWN)
    count = math.prod(min(type.members, MAX_MEMBERS + 1) for type in members.values())
    if count > MAX_MEMBERS:  # a compiler would write it all out
        return UNKNOWN
    return Type(" & ".join(type.within(2) for type in members.values()), 1, count)


def _enum(values: Sequence[Any]) -> Type:
    if len(values) <= MAX_MEMBERS:
        return union([literal(value) for value in values])
    names = {bool: "boolean", str: "string", int: "number", float: "number", type(None): "null"}
    return union([Type(names[type(value)]) if type(value) in names else UNKNOWN for value in values])


def literal(value: Any, depth: int = 0) -> Type:
    """Return the type of one JSON value."""
    if isinstance(value, bool) or value is None:
        return Type(json.dumps(value))
    if isinstance(value, int | float):
        return Type(json.dumps(value) if abs(value) < _SAFE_INTEGER else "number")  # a NaN is no less
    if isinstance(value, str):
        return Type(quoted(value))
    if depth > MAX_DEPTH:
        return UNKNOWN
    if isinstance(value, list):
        return Type(f"[{', '.join(literal(item, depth + 1).text for item in value)}]")
    if isinstance(value, Mapping):
        fields = "; ".join(
            f"{key(str(name))}: {literal(item, depth + 1).text}" for name, item in value.items()
        )
        return Type(f"{{ {fields} }}" if fields else "{ [key: string]: never }")
    return UNKNOWN


def _text(format: Any, side: Side) -> Type:
    if format == "binary":  # bytes
        return Type("Uint8Array")
    if format == "date-time" and side == "input":
        return union([Type("string"), Type("Date")])
    if format == "duration":  # a timedelta is sent as its seconds
        return union([Type("number"), Type("string")]) if side == "input" else Type("number")
    return Type("string")


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def before(words: str, type: Type) -> str:
    """Return a type with words before it. Of a long union, each member has its line."""
    if len(words) + len(type.text) <= _LINE or not type.options or "\n" in type.text:
        return f"{words} {type.text}"
    return "".join([words, *(f"\n  | {option}" for option in type.options)])


def key(name: str) -> str:
    """Return a name as a key of an object: as it is, or in quotes."""
    return name if _IDENTIFIER.fullmatch(name) else quoted(name)


def quoted(text: str) -> str:
    """Return a text in quotes. What could not be seen, or be encoded, is escaped."""
    return json.dumps(text, ensure_ascii=not text.isprintable())


def comment(schema: Any) -> list[str]:
    """Return the lines of a comment about a schema: its description, format and default."""
    if not isinstance(schema, Mapping):
        return []
    lines = _described(schema.get("description"))
    format, default = schema.get("format"), schema.get("default")
    if isinstance(format, str) and format not in ("binary", "duration"):
        lines.append(f"Format: {format[:_MAX_SHOWN]}.")
    if default not in (None, [], {}, ""):
        shown = json.dumps(default, ensure_ascii=False, default=repr)
        lines += [f"Default: {shown}."] if len(shown) <= _MAX_SHOWN else []
    return commented(lines)


def _described(text: Any) -> list[str]:
    if not isinstance(text, str):
        return []
    cut = text.strip()
    if len(cut) > _MAX_COMMENT:
        cut = f"{cut[:_MAX_COMMENT].rsplit(maxsplit=1)[0]} …"
    return cut.splitlines()


def commented(lines: Sequence[str]) -> list[str]:
    """Return a comment of these lines. No text ends it, or tells a compiler anything."""
    shown = []
    for line in lines:
        text = "".join(
            c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line.expandtabs().rstrip()
        )
        shown.append(text.replace("@ts-", "@ ts-").replace("*/", "* /"))
    if not any(shown):
        return []
    if len(shown) == 1:
        return [f"/** {shown[0].strip()} */"]
    return ["/**", *(f" * {line}".rstrip() for line in shown), " */"]


def indented(text: str) -> str:
    """Return lines two columns further to the right."""
    return "\n".join(f"  {line}" if line else line for line in text.split("\n"))
