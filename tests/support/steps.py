"""How much work something is, in steps of Python: a measure that knows no clock."""

import sys
from collections.abc import Callable
from typing import Any


def lines_of(work: Callable[[], Any], file: str | None = None) -> int:
    """Return how many lines ``work`` runs; with ``file``, of that file alone."""
    count = 0

    def trace(frame: Any, event: str, argument: Any) -> Any:
        nonlocal count
        if file is not None and frame.f_code.co_filename != file:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def calls_of(work: Callable[[], Any]) -> int:
    """Return how many functions in Python ``work`` calls."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    _profiled(work, profile)
    return count


def copies_of(work: Callable[[], Any]) -> int:
    """Return how much functions in Python make in ``work``: characters, bytes and entries, which C may copy.

    Counted is what a function holds in its variables, or returns, when it ends: each object once, and what it
    has grown by since.
    """
    made: dict[int, tuple[Any, int]] = {}  # with the object, so that no other one gets its id

    def profile(frame: Any, event: str, argument: Any) -> None:
        if event == "return":
            for value in (*frame.f_locals.values(), argument):
                if isinstance(value, str | bytes | list | dict):
                    before = made.get(id(value))
                    made[id(value)] = (value, max(len(value), 0 if before is None else before[1]))

    _profiled(work, profile)
    return sum([size for _, size in made.values()])


def _profiled(work: Callable[[], Any], profile: Callable[[Any, str, Any], None]) -> None:
    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
