"""State keys that nobody writes and nothing shows: what a node may know of its run when it starts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

__all__ = ["IsLastStep", "Managed", "RemainingSteps"]


class Managed:
    """Marks a state key, in `Annotated`, as a function of the present superstep and the recursion limit."""

    __slots__ = ("value",)

    def __init__(self, value: Callable[[int, int], Any]) -> None:
        self.value = value


RemainingSteps = Annotated[int, Managed(lambda step, limit: limit - step)]
"""The type of a state key that says how many supersteps are left, the present one among them."""

IsLastStep = Annotated[bool, Managed(lambda step, limit: step == limit - 1)]
"""The type of a state key that says whether the next superstep would be one too many."""
