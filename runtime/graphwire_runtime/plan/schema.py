"""`Schema`: a state's TypedDict, dataclass or pydantic class, or the type of a state of one value, read once.

It knows the class's channels, and makes a node's view from the values of a run. `pairs_of` goes the other
way, from what a node returned to writes as `(key, value)` pairs. `json_schema` describes schemas.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, get_args, get_origin

import typing_extensions
from pydantic import BaseModel

from graphwire_runtime.errors import InvalidUpdateError
from graphwire_runtime.foreign.words import managed_of
from graphwire_runtime.managed import Managed
from graphwire_runtime.plan.annotations import annotated_channel
from graphwire_runtime.plan.channels import Channel, LastValue, Reduced, checked_reducer

__all__ = ["ROOT", "Pairs", "Schema", "bare", "coerce_context", "pairs_of"]

Pairs = list[tuple[str, Any]]
"""Writes to state keys, in the order in which they were made."""

ROOT = "__root__"
"""The key of a state that is one value, in LangGraph's layout."""

View = Callable[[Mapping[str, Any]], Any]


class Schema:
    """One schema class.

    Attributes:
        cls: the class.
        keys: its keys in order, without managed ones.
        channels: by key.
        managed: the managed keys.
        rooted: whether it is one value, whose key is ROOT.

    Raises TypeError for a class of the author's own without annotated fields, for anything that is no type,
    and for an annotation with a channel that is not supported.
    """

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        hints = annotations_of(cls)
        if not hints and not is_typed_dict(cls) and not dataclasses.is_dataclass(cls) and not is_model(cls):
            if not _is_of_one_value(cls):
                raise TypeError(
                    "a state schema is a TypedDict, a dataclass, a pydantic model, or a type such as dict or "
                    f"Annotated[list, add] for a state of one value; {cls!r} has no annotated fields"
                )
            hints = {ROOT: cls}
        self.managed = {key: found for key, hint in hints.items() if (found := _managed(hint)) is not None}
        self.channels: dict[str, Channel] = {
            key: _channel(key, hint) for key, hint in hints.items() if key not in self.managed
        }
        self.keys = tuple(self.channels)
        self.rooted = self.keys == (ROOT,) and not self.managed

    def view(self) -> View:
        """A function that makes a node's input from the values of a run: a dict, or an instance of the class.

        Keys without a value are left out; a dataclass or model then uses its default or raises. A state of
        one value is that value, None if it has none.
        """
        if self.rooted:
            return lambda values: values.get(ROOT)
        keys = (*self.keys, *self.managed)
        if is_typed_dict(self.cls) or not (dataclasses.is_dataclass(self.cls) or is_model(self.cls)):

            def as_dict(values: Mapping[str, Any]) -> Any:
                return {key: values[key] for key in keys if key in values}

            return as_dict
        cls = self.cls

        def as_instance(values: Mapping[str, Any]) -> Any:
            return cls(**{key: values[key] for key in keys if key in values})

        return as_instance

    def instance(self, values: Mapping[str, Any]) -> Any:
        """The values as an instance of a dataclass or pydantic class; for a TypedDict the mapping itself."""
        return self.cls(**values) if self.makes_instances else values

    @property
    def makes_instances(self) -> bool:
        """Whether the class is a dataclass or pydantic class, and its fields are keys of the state."""
        return not self.rooted and (is_model(self.cls) or dataclasses.is_dataclass(self.cls))


def pairs_of(value: Any, keys: Mapping[str, Any]) -> Pairs | None:
    """The writes in what a node returned, or in `Command.update`, without keys that are not in `keys`.

    Args:
        value: a mapping, an object whose class has annotated fields, or None for no writes.
        keys: the keys of the state; a mapping for its keys only.

    Returns None if the value is no update.
    """
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [(key, value[key]) for key in value if key in keys]
    cls = type(value)
    if dataclasses.is_dataclass(value):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.name in keys]
    if isinstance(value, BaseModel):
        given = value.model_fields_set
        return [
            (name, getattr(value, name))
            for name in cls.model_fields
            if name in keys and (name in given or getattr(value, name) is not None)
        ]
    if hints := annotations_of(cls):
        return [(name, getattr(value, name)) for name in hints if name in keys and hasattr(value, name)]
    return None


def input_pairs(value: Any, schema: Schema, keys: Mapping[str, Any]) -> Pairs:
    """The writes in the input of a run, as they are: a pydantic class validates what a node gets to see.

    Raises InvalidUpdateError if it is no update.
    """
    if schema.rooted:
        return [] if value is None else [(ROOT, value)]
    pairs = pairs_of(value, keys)
    if pairs is None:
        raise InvalidUpdateError(
            f"the input of a run must be a mapping or an instance of its input schema "
            f"({schema.cls.__name__}), got {shown(value)}"
        )
    return pairs


def coerce_context(cls: type[Any] | None, context: Any) -> Any:
    """`context` as an instance of the context schema, if it is a mapping and that a dataclass or model."""
    if cls is None or not isinstance(context, Mapping):
        return context
    if is_model(cls) or dataclasses.is_dataclass(cls):
        return cls(**context)
    return context


def annotations_of(cls: Any) -> dict[str, Any]:
    """The annotated fields of a class with their metadata; empty if there are none or they do not resolve."""
    if not isinstance(cls, type) or cls.__module__ == "builtins":
        return {}
    try:
        hints = typing_extensions.get_type_hints(cls, include_extras=True)
    except Exception:
        return {}
    if issubclass(cls, BaseModel):
        return {name: hints[name] for name in cls.model_fields if name in hints}
    return {name: hint for name, hint in hints.items() if not _is_class_variable(hint)}


def _is_of_one_value(cls: Any) -> bool:
    """Whether this is a type without fields of its own: a builtin, an alias, an Annotated type, a union."""
    return (isinstance(cls, type) or get_origin(cls) is not None) and not hasattr(cls, "__annotations__")


def is_model(cls: Any) -> bool:
    """Whether this is a pydantic model class."""
    return isinstance(cls, type) and issubclass(cls, BaseModel)


def is_typed_dict(cls: Any) -> bool:
    """Whether this is a TypedDict class, from `typing` or `typing_extensions`."""
    return typing_extensions.is_typeddict(cls)


def merged(channels: dict[str, Channel], more: Iterable[tuple[str, Channel]]) -> None:
    """Add the channels of another schema, in place. A key with a rule of its own wins over a plain one."""
    for key, channel in more:
        if key not in channels or (isinstance(channels[key], LastValue) and type(channel) is not LastValue):
            channels[key] = channel


def _channel(key: str, hint: Any) -> Channel:
    hint = bare(hint)
    if get_origin(hint) is Annotated:
        annotation, *metadata = get_args(hint)
        if (channel := annotated_channel(key, metadata)) is not None:
            return channel
        last = metadata[-1]
        if callable(last) and not isinstance(last, type):
            return Reduced(key, annotation, checked_reducer(key, last))
    return LastValue(key)


def _managed(hint: Any) -> Managed | None:
    hint = bare(hint)
    metadata = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    for each in metadata:
        if isinstance(each, Managed):
            return each
        if (twin := managed_of(each)) is not None:
            return twin
    return None


def _is_class_variable(hint: Any) -> bool:
    return get_origin(hint) is ClassVar or hint is ClassVar


def bare(hint: Any) -> Any:
    """An annotation without `Required`, `NotRequired` and `ReadOnly` around it."""
    while get_origin(hint) in (
        typing_extensions.Required,
        typing_extensions.NotRequired,
        typing_extensions.ReadOnly,
    ):
        (hint,) = get_args(hint)
    return hint


def shown(value: Any) -> str:
    """A value for an error message: its type, and its repr cut to 200 characters."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 200 else text[:197] + '...'}"
