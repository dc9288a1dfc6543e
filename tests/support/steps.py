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

    before = sys.getprofile()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count
