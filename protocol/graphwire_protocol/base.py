"""What every frame has in common: it is frozen, ignores unknown fields, and leaves out unset ones.

A field is of one of three kinds, which differ on the wire: required; optional (``Maybe[T]``: left out or a T,
never ``null``); or a user's value (``Json``: anything, ``null`` included).
"""

import math
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")


class _Optional:
    """Makes ``T | None`` accept Python's None, which means unset, and refuse JSON's ``null``."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        nullable = handler(source)
        if nullable["type"] != "nullable":
            raise TypeError(f"Maybe[...] marks an optional type, not {source!r}")
        return core_schema.json_or_python_schema(json_schema=nullable["schema"], python_schema=nullable)


class _Value:
    """Marks a field as a user's value: an explicit ``None`` is sent as ``null``."""


Maybe: TypeAlias = Annotated[T | None, _Optional()]
"""An optional field. ``None`` in Python is the unset field; ``null`` in JSON is refused."""


class _FailFast:
    """Stops validating a list at its first error, so that a million bad entries cost no more than one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        if schema["type"] != "tuple":
            raise TypeError(f"Many[...] marks a tuple type, not {source!r}")
        return core_schema.tuple_schema(
            schema["items_schema"], variadic_item_index=schema["variadic_item_index"], fail_fast=True
        )


Many: TypeAlias = Annotated[tuple[T, ...], _FailFast()]
"""A list on the wire, validated up to its first error."""


def _checked_numbers(value: Any) -> Any:
    # JSON has no infinity, but a parser reads 1e999 as one: such a number is refused, not rounded. An integer
    # beyond 64 bits could be read but not written again, neither to a store nor to a client.
    pending: list[Iterable[Any]] = [(value,)]
    while pending:
        for item in pending.pop():
            kind = item.__class__
            if kind is str or item is None:
                continue
            if kind is list:
                if item:
                    pending.append(item)
            elif kind is dict:
                if item:
                    pending.append(item.values())
            elif isinstance(item, int):
                if not _LEAST <= item <= _MOST:
                    raise PydanticCustomError(
                        "integer_64", 'an integer beyond 64 bits is written as {"$int": "..."}'
                    )
            elif isinstance(item, float) and not math.isfinite(item):
                raise PydanticCustomError("finite_number", "a number is too large for a float")
    return value


_LEAST, _MOST = -(2**63), 2**64 - 1


Json: TypeAlias = Annotated[Any, _Value()]
"""A user's value as JSON, with its tags; ``projection`` says what they mean."""

JsonObject: TypeAlias = dict[str, Any]
"""A user's value that is an object."""

Input: TypeAlias = Annotated[Any, AfterValidator(_checked_numbers), _Value()]
"""A user's value that a client sends: every number in it can be held exactly."""

InputObject: TypeAlias = Annotated[dict[str, Any], AfterValidator(_checked_numbers)]
"""An ``Input`` that is an object."""


class Wire(BaseModel):
    """An object on the wire: a frame, or a part of one."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    _values: ClassVar[frozenset[str]] = frozenset()
    _aliases: ClassVar[dict[str, str]] = {}

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        fields = cls.model_fields.items()
        cls._values = frozenset(
            name for name, field in fields if any(isinstance(mark, _Value) for mark in field.metadata)
        )
        cls._aliases = {name: field.alias for name, field in fields if field.alias}

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object: names as on the wire, unset optional fields left out."""
        out: dict[str, Any] = {}
        values, aliases = self._values, self._aliases
        for name, value in self.__dict__.items():
            if value is None and not (name in values and name in self.model_fields_set):
                continue
            if aliases:
                name = aliases.get(name, name)
            atomic = value.__class__ is str or value.__class__ is int
            out[name] = value if atomic or name in values else _plain(value)
        return out


def _plain(value: Any) -> Any:
    if isinstance(value, Wire):
        return value.to_wire()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
