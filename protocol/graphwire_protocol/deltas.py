"""How the deltas of one message add up: LangChain's meaning of ``chunk + chunk``, on plain JSON objects.

Gateway and client share it, so that a snapshot's merged message equals what a client that saw every delta
holds. Where LangChain refuses to add two values of different types, the later one wins: a stream must go on.
"""

from typing import Any

_REPLACED = frozenset({"type", "id", "name", "role", "tool_call_id", "status", "chunk_position"})
"""Fields of a message that name or state something: the later value stands."""

_SAME = frozenset({"id", "output_version", "model_provider"})
"""Keys below a message that are repeated in every delta: equal ones are not joined."""

_LATEST = frozenset({"index", "created", "timestamp"})
"""Numbers that count nothing and are not summed."""


def add_delta(message: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """Return the message that ``delta`` makes of ``message``; both are flat fields, neither is changed."""
    out = dict(message)
    for name, value in delta.items():
        if value is None:
            continue
        if name not in out or out[name] is None or name in _REPLACED:
            out[name] = value
        elif name == "content":
            out[name] = _add_content(out[name], value)
        elif name == "usage_metadata":
            out[name] = _add_usage(out[name], value)
        else:
            out[name] = _add(name, out[name], value)
    return out


def _add_content(left: Any, right: Any) -> Any:
    if not isinstance(left, str | list) or not isinstance(right, str | list):
        return right
    if isinstance(left, str):
        return left + right if isinstance(right, str) else [left, *right]
    if isinstance(right, list):
        return _add_lists(left, right)
    if not right:
        return left
    if left and isinstance(left[-1], str):
        return [*left[:-1], left[-1] + right]
    return [*left, right]


def _add_usage(left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        return {**left, **{key: _add_usage(left[key], n) if key in left else n for key, n in right.items()}}
    return left + right if type(left) is int and type(right) is int else right


def _add(name: str, left: Any, right: Any) -> Any:
    if isinstance(left, dict) and isinstance(right, dict):
        return _add_dicts(left, right)
    if isinstance(left, list) and isinstance(right, list):
        return _add_lists(left, right)
    if isinstance(left, str) and isinstance(right, str):
        stays = (name in _SAME and left == right) or (name == "index" and left.startswith("lc_"))
        return left if stays else left + right
    counts = type(left) is int and type(right) is int and name not in _LATEST
    return left + right if counts and left != right else right


def _add_dicts(left: dict[str, Any], right: dict[str, Any]) -> dict[str, Any]:
    out = dict(left)
    for name, value in right.items():
        if value is None and name in out:
            continue
        out[name] = value if out.get(name) is None else _add(name, out[name], value)
    return out


def _add_lists(left: list[Any], right: list[Any]) -> list[Any]:
    out = list(left)
    for item in right:
        place = _place_of(item, out)
        if place is None:
            out.append(item)
        else:
            # The type of a block is said once; a later delta repeats it.
            out[place] = _add_dicts(out[place], {key: value for key, value in item.items() if key != "type"})
    return out


def _place_of(item: Any, items: list[Any]) -> int | None:
    """Return where the list holds the block that ``item`` continues: the same index, no other id."""
    if not isinstance(item, dict):
        return None
    index = item.get("index")
    if not isinstance(index, int) and not (isinstance(index, str) and index.startswith("lc_")):
        return None
    for place, other in enumerate(items):
        if isinstance(other, dict) and other.get("index") == index:
            ids = {id for id in (other.get("id"), item.get("id")) if id}
            if len(ids) < 2:
                return place
    return None
