"""JSON schemas and pydantic models of what a graph takes and returns, made from its schema classes."""

from __future__ import annotations

import dataclasses
import sys
import types
from collections.abc import Sequence
from typing import Annotated, Any, Union, get_args, get_origin

import typing_extensions
from langchain_core.utils.pydantic import create_model_v2
from pydantic import BaseModel, TypeAdapter

from graphwire_runtime.plan.channels import Collected, LastValue
from graphwire_runtime.plan.schema import Schema, annotations_of, bare, is_model, is_typed_dict

__all__ = ["fields_model", "json_schema", "json_schema_of", "readable", "root_model"]


def json_schema(schema: Schema, title: str) -> dict[str, Any]:
    """The JSON schema of an input or output. A pydantic class and a TypedDict have titles of their own."""
    cls = schema.cls
    if schema.rooted:
        return {**TypeAdapter(cls).json_schema(), "default": None, "title": title}
    if is_model(cls) or is_typed_dict(cls):
        return json_schema_of(cls)
    defaults = _defaults(cls)
    fields: dict[str, Any] = {
        key: (kind, defaults.get(key, None if _may_be_none(kind) else ...))
        for key, kind in _types(schema, written=True).items()
    }
    return dict(create_model_v2(title, field_definitions=fields).model_json_schema())


def json_schema_of(cls: type[Any]) -> dict[str, Any]:
    """The JSON schema of a class, as pydantic writes it."""
    return dict(cls.model_json_schema() if is_model(cls) else TypeAdapter(readable(cls)).json_schema())


def root_model(kind: Any, title: str) -> type[BaseModel]:
    """A pydantic class itself, or a model with this title of a value of another type."""
    return kind if is_model(kind) else create_model_v2(title, root=readable(kind))


def fields_model(schema: Schema, title: str) -> type[BaseModel]:
    """A model with the keys of a schema, none of which is required."""
    fields: dict[str, Any] = {key: (kind, None) for key, kind in _types(schema, written=False).items()}
    return create_model_v2(title, field_definitions=fields)


def readable(cls: Any) -> Any:
    """A type as pydantic can read it: before Python 3.12 that is no `typing.TypedDict`."""
    if is_typed_dict(cls) and type(cls).__module__ == "typing" and sys.version_info < (3, 12):
        return _rebuilt(cls)
    return cls


def _types(schema: Schema, *, written: bool) -> dict[str, Any]:
    """The types of what is written to each key, or of its values."""
    hints = annotations_of(schema.cls)
    kinds: dict[str, Any] = {}
    for key, channel in schema.channels.items():
        kind = bare(hints[key])
        if isinstance(channel, Collected):
            (item,) = {each.typ for each in get_args(kind)[1:] if hasattr(each, "typ")} or {Any}
            several = types.GenericAlias(list if written else Sequence, (item,))
            kind = Union[(item, several)] if written else several  # noqa: UP007
        elif get_origin(kind) is Annotated and not isinstance(channel, LastValue):
            kind = get_args(kind)[0]
        kinds[key] = kind
    return kinds


def _defaults(cls: Any) -> dict[str, Any]:
    found = {}
    for field in dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ():
        if field.default is not dataclasses.MISSING:
            found[field.name] = field.default
        elif field.default_factory is not dataclasses.MISSING:
            found[field.name] = field.default_factory()
    return found


def _may_be_none(kind: Any) -> bool:
    origin = get_origin(kind)
    if origin is Annotated:
        return _may_be_none(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return any(map(_may_be_none, get_args(kind)))
    return kind is None or kind is type(None)


def _rebuilt(cls: Any) -> Any:
    """A `typing.TypedDict` as one of typing_extensions: pydantic reads no other kind before Python 3.12."""
    hints = typing_extensions.get_type_hints(cls, include_extras=True)
    fields = {
        # a Required within a string annotation is not yet among __required_keys__
        key: hint if key in cls.__required_keys__ or _is_marked(hint) else typing_extensions.NotRequired[hint]
        for key, hint in hints.items()
    }
    rebuilt: Any = typing_extensions.TypedDict(cls.__name__, fields)  # type: ignore[misc]
    rebuilt.__module__, rebuilt.__doc__ = cls.__module__, cls.__doc__
    return rebuilt


def _is_marked(hint: Any) -> bool:
    return get_origin(hint) in (typing_extensions.Required, typing_extensions.NotRequired)
