"""How the deltas of one message add up: LangChain's meaning of ``chunk + chunk``, on plain JSON objects.

Gateway and client share this, so that a merged message in a snapshot equals what a client has that saw every
delta. LangChain raises when it adds two values of different types; here the later one wins, so that a stream
never stops for it.
"""

from typing import Any

_REPLACED = frozenset({"type", "name", "role", "tool_call_id", "status", "chunk_position"})
"""Fields of a message that are replaced by the later value."""

_SAME = frozenset({"id", "output_version", "model_provider"})
"""Keys inside a message's fields that every delta repeats: equal texts are not joined."""

_LATEST = frozenset({"index", "created", "timestamp"})
"""Keys whose numbers are no counts: the later value stands, they are not summed."""


def preferred_id(first: str, second: str) -> str:
    """Return which of two ids of one message LangChain keeps.

    A provider's id comes before the id of LangChain's run, and that before other ids of LangChain; of two
    alike, the first one is kept.
    """
    return second if _rank(second) > _rank(first) else first


def _rank(id: str) -> int:
    if not id:
        return -1
    if not id.startswith("lc_"):
        return 2
    return 1 if id.startswith("lc_run-") else 0


def add_delta(message: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """Return ``message`` with ``delta`` added; both are flat objects, and neither is changed.

    A message that was cut for its size stays as it is: what comes later is not all of it.
    """
    if "$cut" in message:
        return message
    out = dict(message)
    for name, value in delta.items():
        if value is None:
            continue
        if name not in out or out[name] is None or name in _REPLACED:
            out[name] = value
        elif name == "id":
            out[name] = preferred_id(out[name], value)
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
        index = _continued(item, out)
        if index is None:
            out.append(item)
        else:
            # Every delta of a block repeats its type.
            out[index] = _add_dicts(out[index], {key: value for key, value in item.items() if key != "type"})
    return out


def _continued(item: Any, items: list[Any]) -> int | None:
    """Return the position in ``items`` of the block that ``item`` continues: same index, no other id."""
    if not isinstance(item, dict):
        return None
    index = item.get("index")
    if not isinstance(index, int) and not (isinstance(index, str) and index.startswith("lc_")):
        return None
    for position, other in enumerate(items):
        if isinstance(other, dict) and other.get("index") == index:
            ids = {id for id in (other.get("id"), item.get("id")) if id}
            if len(ids) < 2:
                return position
    return None
