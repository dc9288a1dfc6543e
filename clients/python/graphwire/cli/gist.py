"""A JSON Schema in one line, for a person who answers a question."""

import json
from collections.abc import Mapping
from typing import Any

_DEPTH = 4  # objects within objects; deeper ones are an ellipsis


def gist(schema: Mapping[str, Any]) -> str:
    """Return what a JSON value looks like that fits, as in ``{"ok": boolean, "why"?: string or null}``.

    A ``?`` marks a key that may be missing. What a line cannot say, such as bounds, is left out.
    """
    return _gist(schema, schema, _DEPTH)


def _gist(schema: Any, root: Mapping[str, Any], depth: int) -> str:
    if not isinstance(schema, Mapping):
        return "anything"
    if depth == 0:
        return "…"
    target = _target(schema.get("$ref"), root)
    if target is not None:
        return _gist(target, root, depth - 1)
    if "const" in schema:
        return json.dumps(schema["const"])
    if isinstance(schema.get("enum"), list):
        return " or ".join(json.dumps(value) for value in schema["enum"])
    for name in ("anyOf", "oneOf"):
        if isinstance(schema.get(name), list):
            return " or ".join(dict.fromkeys(_gist(one, root, depth) for one in schema[name]))
    kind = schema.get("type")
    if isinstance(schema.get("properties"), Mapping):
        required = schema.get("required") or ()
        keys = [
            f"{json.dumps(key)}{'' if key in required else '?'}: {_gist(inner, root, depth - 1)}"
            for key, inner in schema["properties"].items()
        ]
        return f"{{{', '.join(keys)}}}"
    if kind == "array":
        return f"[{_gist(schema['items'], root, depth - 1)}, …]" if "items" in schema else "[…]"
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    return kind if isinstance(kind, str) else "anything"


def _target(ref: Any, root: Mapping[str, Any]) -> Any:
    """Return what a reference into the same schema names; None for any other."""
    if not isinstance(ref, str) or not ref.startswith("#/"):
        return None
    found: Any = root
    for part in ref[2:].split("/"):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
