"""Frames against what was written down: objects by their listed fields, placeholders for what varies.

``<absent>`` is a field that must not be there, ``<more>`` ends a list that may go on, ``<any>``,
``<string>``, ``<int>``, ``<name>``, ``<time>``, ``<status>`` stand for any of that kind. ``$NAME`` stands for
what is bound to it; a ``$NAME`` that is not bound yet is bound to what came.
"""

import re
from typing import Any

Bound = dict[str, Any]

_STATUSES = ("queued", "running", "interrupted", "completed", "failed", "cancelled")
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")


def filled(value: Any, bound: Bound) -> Any:
    """Return ``value`` with each ``$NAME`` replaced by what is bound to it."""
    if isinstance(value, str):
        if value in bound:
            return bound[value]
        for name, text in bound.items():
            if value.startswith(name) and isinstance(text, str):
                return text + value[len(name) :]
        return value
    if isinstance(value, list):
        return [filled(item, bound) for item in value]
    if isinstance(value, dict):
        return {name: filled(item, bound) for name, item in value.items()}
    return value


def difference(expected: Any, came: Any, bound: Bound, path: str = "") -> str | None:
    """Return where and how ``came`` is not what is expected; None if it is."""
    if isinstance(expected, str):
        return _text(expected, came, bound, path)
    if isinstance(expected, dict):
        if not isinstance(came, dict):
            return f"{path or 'the frame'} is no object"
        for name, item in expected.items():
            inner = f"{path}.{name}" if path else name
            if name == "path" and not path:
                listed = [fault.get("path") for fault in (came.get("details") or {}).get("errors", [])]
                if item not in listed:
                    return f"details.errors names {listed}, not {item!r}"
            elif item == "<absent>":
                if name in came:
                    return f"{inner} is there"
            elif name not in came:
                return f"{inner} is missing"
            else:
                found = difference(item, came[name], bound, inner)
                if found is not None:
                    return found
        return None
    if isinstance(expected, list):
        return _list(expected, came, bound, path)
    is_same = expected == came and isinstance(expected, bool) == isinstance(came, bool)
    return None if is_same else f"{path} is {came!r}, not {expected!r}"


def _list(expected: list[Any], came: Any, bound: Bound, path: str) -> str | None:
    if not isinstance(came, list):
        return f"{path} is no list"
    has_more = bool(expected) and expected[-1] == "<more>"
    wanted = expected[:-1] if has_more else expected
    if len(came) < len(wanted) or (len(came) > len(wanted) and not has_more):
        return f"{path} has {len(came)} entries, not {len(wanted)}"
    for index, (item, other) in enumerate(zip(wanted, came, strict=False)):
        found = difference(item, other, bound, f"{path}[{index}]")
        if found is not None:
            return found
    return None


def _text(expected: str, came: Any, bound: Bound, path: str) -> str | None:
    fits: bool
    match expected:
        case "<any>":
            fits = True
        case "<string>":
            fits = isinstance(came, str)
        case "<int>":
            fits = isinstance(came, int) and not isinstance(came, bool)
        case "<name>":
            fits = isinstance(came, str) and _NAME.fullmatch(came) is not None
        case "<time>":
            fits = isinstance(came, str) and _TIME.fullmatch(came) is not None
        case "<status>":
            fits = came in _STATUSES
        case _ if expected.startswith("$") and expected[1:].isupper():
            fits = bound.setdefault(expected, came) == came
            expected = repr(bound[expected])
        case _:
            fits = came == expected
    return None if fits else f"{path} is {came!r}, not {expected}"
