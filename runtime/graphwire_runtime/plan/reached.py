"""`reached_by`: what a function reaches from outside: captured values, globals, their attributes.

A graph that a node calls is found so, in the node's code. What is found may never be reached in a run. To
name one graph too many costs nothing; to miss one loses its state.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

__all__ = ["reached_by"]


def reached_by(function: Any) -> list[Any]:
    """The values that a function reaches: those it has captured, globals, and attributes of both.

    For a bound method that its object offers, such as `graph.invoke`, the object counts. A decorated function
    counts as the one that it wraps. For anything else than a function written in Python, nothing.
    """
    function = getattr(function, "__func__", function)
    wrapped = getattr(function, "__wrapped__", None)
    if callable(wrapped):
        function = getattr(wrapped, "__func__", wrapped)
    if not isinstance(function, FunctionType):
        return []
    code = function.__code__
    captured: dict[str, Any] = {}
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        try:
            captured[name] = cell.cell_contents
        except ValueError:
            continue  # not bound yet, such as a function that calls itself
    found = [*captured.values(), *_loaded(code, captured, function.__globals__)]
    return [getattr(value, "__self__", value) for value in found]


def _loaded(code: CodeType, captured: dict[str, Any], names: dict[str, Any]) -> Iterator[Any]:
    """The globals and captured values that code loads, and their attributes; functions in it count."""
    value: Any = None
    for instruction in dis.get_instructions(code):
        match instruction.opname:
            case "LOAD_GLOBAL" | "LOAD_NAME":
                value = names.get(instruction.argval)
            case "LOAD_DEREF" | "LOAD_CLASSDEREF":
                value = captured.get(instruction.argval)
            case "LOAD_ATTR" | "LOAD_METHOD":
                value = _attribute(value, instruction.argval)
            case "EXTENDED_ARG":
                continue
            case _:
                value = None  # the chain of attributes ends here
        if value is not None:
            yield value
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from _loaded(inner, captured, names)


def _attribute(value: Any, name: str) -> Any:
    try:
        return None if value is None else getattr(value, name, None)
    except Exception:  # a property that does not work yet
        return None
