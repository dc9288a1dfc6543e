"""Channels: for each key of the state, the rule by which the writes of a superstep change its value.

A channel holds no value; `step.standing` has the values of a run. `schema` finds out which channels a graph
has.
"""

from __future__ import annotations

import collections.abc
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from graphwire_runtime.errors import InvalidUpdateError
from graphwire_runtime.foreign.words import ours
from graphwire_runtime.types import Overwrite

__all__ = [
    "MISSING",
    "Channel",
    "Collected",
    "LastValue",
    "Latest",
    "Reduced",
    "checked_reducer",
    "fade",
    "fold",
]

MISSING: Any = object()
"""The value of a key that was never written and has no default."""

Reducer = Callable[[Any, Any], Any]

_EMPTY_OF: dict[Any, Callable[[], Any]] = {
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}


class Channel(Protocol):
    """The rule of one state key."""

    fades: bool
    """Whether a superstep that does not write to the key leaves it without a value."""
    kept: bool
    """Whether a checkpoint holds its value."""

    def empty(self) -> Any:
        """The value before anything is written, or MISSING."""

    def fold(self, current: Any, writes: Sequence[Any]) -> Any:
        """The value after a superstep that made these `writes`, at least one. `current` may be MISSING."""


class LastValue:
    """A key without a reducer: takes one write per superstep, which replaces the value."""

    __slots__ = ("key",)
    fades, kept = False, True

    def __init__(self, key: str) -> None:
        self.key = key

    def empty(self) -> Any:
        """Nothing."""
        return MISSING

    def fold(self, current: Any, writes: Sequence[Any]) -> Any:
        """The one write. Raises InvalidUpdateError if there are more."""
        if len(writes) != 1:
            raise InvalidUpdateError(
                f"state key {self.key!r} takes one value per superstep, and tasks side by side wrote "
                f"{len(writes)}; annotate the key with a reducer to combine them"
            )
        return writes[0]


class Reduced:
    """A key with a reducer: the author's function of the value so far and one write."""

    __slots__ = ("_new", "key", "reduce")
    fades, kept = False, True

    def __init__(self, key: str, annotation: Any, reduce: Reducer) -> None:
        self.key = key
        self.reduce = reduce
        self._new = _maker_of_empty(annotation)

    def empty(self) -> Any:
        """An instance of the annotated type, MISSING if it cannot be made without arguments."""
        return MISSING if self._new is None else self._new()

    def fold(self, current: Any, writes: Sequence[Any]) -> Any:
        """The value with the writes reduced into it, or the value of an Overwrite among them."""
        replaced = False
        for value in writes:
            overwrites, new = _unwrap(value)
            if overwrites:
                if replaced:
                    raise InvalidUpdateError(
                        f"state key {self.key!r} takes one Overwrite per superstep, and got a second one"
                    )
                current, replaced = new, True
            elif replaced:
                continue  # an Overwrite is the whole new value, wherever it is among the writes
            else:
                current = value if current is MISSING else self.reduce(current, value)
        return current


class Latest:
    """A key without a reducer that fades, is not kept, or takes the last of several writes per superstep."""

    __slots__ = ("_guard", "fades", "kept", "key")

    def __init__(self, key: str, *, guard: bool, fades: bool, kept: bool) -> None:
        self.key = key
        self.fades = fades
        self.kept = kept
        self._guard = LastValue(key) if guard else None

    def empty(self) -> Any:
        """Nothing."""
        return MISSING

    def fold(self, current: Any, writes: Sequence[Any]) -> Any:
        """The last write. Raises InvalidUpdateError if there are more, and only one may be."""
        return writes[-1] if self._guard is None else self._guard.fold(current, writes)


class Collected:
    """A key whose value is the list of what was written, in one superstep or in all; lists are added up."""

    __slots__ = ("fades", "key")
    kept = True

    def __init__(self, key: str, *, accumulate: bool) -> None:
        self.key = key
        self.fades = not accumulate

    def empty(self) -> Any:
        """Nothing."""
        return MISSING

    def fold(self, current: Any, writes: Sequence[Any]) -> Any:
        """The list."""
        found = [] if self.fades or current is MISSING else list(current)
        for value in writes:
            if isinstance(value, list):
                found += value
            else:
                found.append(value)
        return found


def fade(keys: Sequence[str], values: dict[str, Any], pairs: Sequence[tuple[str, Any]]) -> None:
    """Remove from `values`, in place, those of the `keys` that a superstep did not write to."""
    written = {key for key, _ in pairs}
    for key in keys:
        if key not in written:
            values.pop(key, None)


def fold(channels: Mapping[str, Channel], values: dict[str, Any], pairs: Sequence[tuple[str, Any]]) -> None:
    """Apply the writes of a superstep to `values`, in place. Writes to the same key are folded together.

    Args:
        channels: by key; every key that is written must be there.
        values: the present values.
        pairs: the writes, as (key, value).

    Raises InvalidUpdateError for several writes to a key without a reducer, and whatever a reducer raises.
    """
    if len(pairs) == 1:
        ((key, value),) = pairs
        values[key] = channels[key].fold(values.get(key, MISSING), (value,))
        return
    writes: dict[str, list[Any]] = {}
    for key, value in pairs:
        writes.setdefault(key, []).append(value)
    for key, new in writes.items():
        values[key] = channels[key].fold(values.get(key, MISSING), new)


def checked_reducer(key: str, reduce: Reducer) -> Reducer:
    """The reducer itself. Raises ValueError if it cannot be called with two positional arguments."""
    try:
        parameters = inspect.signature(reduce).parameters.values()
    except (TypeError, ValueError):
        return reduce  # written in C without a signature
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(positional) == 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return reduce
    raise ValueError(
        f"the reducer of state key {key!r} must take two positional arguments, the value so far and the "
        f"update, but {reduce!r} has the signature {inspect.signature(reduce)}"
    )


def _maker_of_empty(annotation: Any) -> Callable[[], Any] | None:
    kind = getattr(annotation, "__origin__", annotation)
    kind = _EMPTY_OF.get(kind, kind)
    if not isinstance(kind, type):
        return None
    try:
        kind()
    except Exception:
        return None
    return kind


def _unwrap(value: Any) -> tuple[bool, Any]:
    kind = type(value)
    if kind is Overwrite:
        return True, value.value
    if kind is dict:
        if len(value) == 1 and "__overwrite__" in value:
            return True, value["__overwrite__"]  # the form that survives JSON
    elif kind.__name__ == "Overwrite" and type(twin := ours(value)) is Overwrite:
        return True, twin.value
    return False, value
