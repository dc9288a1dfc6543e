"""Reads LangGraph's channels where a state key is annotated with one, as in `Annotated[int, UntrackedValue]`.

They are recognised by the names of their classes, since nothing here imports LangGraph.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphwire_runtime.plan.channels import Channel, Collected, LastValue, Latest, Reduced

__all__ = ["annotated_channel"]

ROOM = "langgraph.channels."
"""Where LangGraph's own channels are defined."""


def annotated_channel(key: str, metadata: Iterable[Any]) -> Channel | None:
    """The channel among the metadata of a key, an instance or a class; None if there is none.

    Raises TypeError for a channel of which there is no counterpart.
    """
    for item in metadata:
        cls = item if isinstance(item, type) else type(item)
        if any(f"{base.__module__}.{base.__name__}" == f"{ROOM}base.BaseChannel" for base in cls.__mro__):
            return _counterpart(key, item, cls)
    return None


def _counterpart(key: str, item: Any, cls: type[Any]) -> Channel:
    guard = True if isinstance(item, type) else getattr(item, "guard", True)
    match cls.__name__ if cls.__module__.startswith(ROOM) else "":
        case "LastValue":
            return LastValue(key)
        case "AnyValue":
            return Latest(key, guard=False, fades=True, kept=True)
        case "EphemeralValue":
            return Latest(key, guard=guard, fades=True, kept=True)
        case "UntrackedValue":
            return Latest(key, guard=guard, fades=False, kept=False)
        case "Topic":
            return Collected(key, accumulate=not isinstance(item, type) and bool(item.accumulate))
        case "BinaryOperatorAggregate" if not isinstance(item, type):
            return Reduced(key, item.typ, item.operator)
    raise TypeError(
        f"state key {key!r} is annotated with the channel {cls.__name__}, which this runtime does not have; "
        "annotate it with a reducer, a function of the value so far and the update, or with LastValue, "
        "AnyValue, EphemeralValue, UntrackedValue, Topic or an instance of BinaryOperatorAggregate"
    )
