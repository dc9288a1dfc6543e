"""The difference between two states, and how it is applied: ``values: patch``.

Operations are RFC 6902's ``add``, ``remove`` and ``replace``, and ``append``, which adds the items of
``value`` to the end of a list, or ``value`` to the end of a string: what a chat does at every step. States
are JSON as it is sent, with its tags, so that both sides apply the patch to the same thing.
"""

from typing import Any, TypeAlias

import orjson

Operation: TypeAlias = dict[str, Any]
"""``{"op", "path", "value"}``; ``path`` is a JSON pointer (RFC 6901), ``remove`` has no ``value``."""


class PatchError(ValueError):
    """An operation that cannot be applied: the patch was made for another state."""


def difference(old: Any, new: Any) -> list[Operation]:
    """Return the operations that turn ``old`` into ``new``, in the order in which to apply them."""
    out: list[Operation] = []
    _compare("", old, new, out)
    return out


def _compare(path: str, old: Any, new: Any, out: list[Operation]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        _compare_objects(path, old, new, out)
    elif isinstance(old, list) and isinstance(new, list):
        _compare_lists(path, old, new, out)
    elif isinstance(old, str) and isinstance(new, str) and old and new.startswith(old):
        if len(new) > len(old):
            out.append({"op": "append", "path": path, "value": new[len(old) :]})
    elif not _is_same(old, new):
        out.append({"op": "replace", "path": path, "value": new})


def _compare_objects(path: str, old: dict[str, Any], new: dict[str, Any], out: list[Operation]) -> None:
    out.extend({"op": "remove", "path": path + _token(key)} for key in old if key not in new)
    for key, value in new.items():
        if key in old:
            _compare(path + _token(key), old[key], value, out)
        else:
            out.append({"op": "add", "path": path + _token(key), "value": value})


def _compare_lists(path: str, old: list[Any], new: list[Any], out: list[Operation]) -> None:
    shared = min(len(old), len(new))
    if not _is_same(old[:shared], new[:shared]):
        changed = [index for index in range(shared) if not _is_same(old[index], new[index])]
        if len(changed) * 2 > shared:
            out.append({"op": "replace", "path": path, "value": new})
            return
        for index in changed:
            _compare(f"{path}/{index}", old[index], new[index], out)
    if len(new) > shared:
        out.append({"op": "append", "path": path, "value": new[shared:]})
    # From the end, so that no removal shifts the index of the next one.
    out.extend({"op": "remove", "path": f"{path}/{index}"} for index in range(len(old) - 1, shared - 1, -1))


def _is_same(old: Any, new: Any) -> bool:
    # A cheap first test: Python's == finds most differences, but takes 1, 1.0 and True for the same value.
    if old != new:
        return False
    if isinstance(old, str) or old is None:
        return True
    return orjson.dumps(old, option=orjson.OPT_SORT_KEYS) == orjson.dumps(new, option=orjson.OPT_SORT_KEYS)


def _token(key: str) -> str:
    return "/" + key.replace("~", "~0").replace("/", "~1")


def apply(state: Any, operations: list[Operation]) -> Any:
    """Return ``state`` with the operations applied; it is not changed itself. Raises ``PatchError``."""
    for operation in operations:
        try:
            tokens = operation["path"].split("/")[1:]
            state = _changed(state, tokens, operation)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise PatchError(f"{operation.get('op')} at {operation.get('path')}: {error!r}") from None
    return state


def _changed(state: Any, tokens: list[str], operation: Operation) -> Any:
    """Return a changed copy of ``state`` that shares everything off the operation's path with it."""
    if not tokens:
        match operation["op"]:
            case "replace" | "add":
                return operation["value"]
            case "append":
                if type(state) is not type(operation["value"]) or not isinstance(state, str | list):
                    raise PatchError("append is for a list by a list and a string by a string")
                return state + operation["value"]
        raise PatchError("no such operation here")
    token = tokens[0].replace("~1", "/").replace("~0", "~")
    if isinstance(state, dict):
        copy: Any = dict(state)
        key: Any = token
        if token not in copy and (len(tokens) > 1 or operation["op"] != "add"):
            raise PatchError("there is no such key")
    elif isinstance(state, list):
        copy, key = list(state), len(state) if token == "-" else int(token)
        if key < 0:
            raise PatchError("an index is not negative")
    else:
        raise PatchError("only objects and lists have parts")
    if len(tokens) == 1 and operation["op"] == "remove":
        del copy[key]
    elif len(tokens) == 1 and operation["op"] == "add" and isinstance(copy, list):
        if key > len(copy):
            raise PatchError("an index is at most the list's length")
        copy.insert(key, operation["value"])
    elif len(tokens) == 1 and operation["op"] == "add":
        copy[key] = operation["value"]
    else:
        copy[key] = _changed(copy[key], tokens[1:], operation)
    return copy
