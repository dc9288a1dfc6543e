"""Which values are plain: a JSON library writes them as the projection would, and cannot be harmed by them.

What is plain is of Python's own classes and not too much, however often a part of it is repeated. Anything
else runs code of its own, would take memory without a bound, or even crash the library (an enum whose
``value`` raises does).
"""

import math
from typing import Any

_LEAVES = frozenset({str, int, float, bool, type(None)})
_SIMPLE = _LEAVES - {float}  # a float may be a NaN, which is no JSON
_PLAIN = _LEAVES | {dict, list, tuple}
_FLAT = 64  # items of an object that is looked at without counting
_KEYS = frozenset({str})


def is_plain(value: Any, max_depth: int, max_values: int, max_chars: int) -> bool:
    """Tell whether ``value`` is plain: no deeper, no more values and no more characters than that.

    Takes no longer than these bounds allow, even if the value contains itself.
    """
    cls = type(value)
    if cls not in _PLAIN:
        return False
    if cls is dict and len(value) <= _FLAT and _flat_chars(value) <= max_chars:
        return True  # most events
    level = [value]
    for _ in range(max_depth):
        below: list[Any] = []
        for item in level:
            cls = type(item)
            if cls is dict:
                if not _KEYS.issuperset(map(type, item)):
                    return False
                max_chars -= sum(map(len, item))
                parts: Any = item.values()
            elif cls is list or cls is tuple:
                parts = item
            else:
                parts = (item,)
            max_values -= len(parts)
            kinds = set(map(type, parts))
            if str in kinds:
                max_chars -= sum([len(part) for part in parts if type(part) is str])
            if max_values < 0 or max_chars < 0 or not kinds <= _PLAIN:
                return False
            floats = [part for part in parts if type(part) is float] if float in kinds else []
            if not all(map(math.isfinite, floats)):
                return False
            if not kinds <= _LEAVES:
                below += [part for part in parts if type(part) not in _LEAVES]
        if not below:
            return True
        level = below
    return False


def _flat_chars(value: dict[Any, Any]) -> float:
    """Return the characters of an object of small objects and lists; infinity if it is another one."""
    if not _KEYS.issuperset(map(type, value)):
        return math.inf
    chars = sum(map(len, value))
    for part in value.values():
        cls = type(part)
        if cls is str:
            chars += len(part)
        elif cls is dict or cls is list:
            items = part
            if cls is dict:
                if not _KEYS.issuperset(map(type, part)):
                    return math.inf
                chars += sum(map(len, part))
                items = part.values()
            kinds = set(map(type, items))
            if len(part) > _FLAT or not kinds <= _SIMPLE:
                return math.inf
            if str in kinds:
                chars += sum([len(item) for item in items if type(item) is str])
        elif cls not in _SIMPLE:
            return math.inf
    return chars
