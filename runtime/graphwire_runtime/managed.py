"""Managed state keys: computed when a node starts, never written, and never shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

__all__ = ["IsLastStep", "Managed", "RemainingSteps"]


class Managed:
    """Put into `Annotated` to make a state key a managed one.

    Args:
        value: computes it from the number of the present superstep and the limit, in supersteps.
    """

    __slots__ = ("value",)

    def __init__(self, value: Callable[[int, int], Any]) -> None:
        self.value = value


RemainingSteps = Annotated[int, Managed(lambda step, limit: limit - step)]
"""The type of a key that holds how many supersteps are left, including the present one."""

IsLastStep = Annotated[bool, Managed(lambda step, limit: step == limit - 1)]
"""The type of a key that holds whether this is the last superstep that the recursion limit allows."""
