"""What a case is, how a module lists its cases, and the frames that they send.

The cases are in ``flow``, ``interrupts``, ``runs`` and so on: each has a list ``CASES``, which ``judge``
collects. Cases that need no code are in ``data/``, and ``vectors`` tries them.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from graphwire_conformance.protocol import Frame
from graphwire_conformance.servers.server import ServerUnderTest

ALL_MODES = ["custom", "messages", "updates", "tasks", "values"]

Case: TypeAlias = Callable[[ServerUnderTest], Awaitable[None]]
"""Tries one thing; raises ``Violation`` where a rule is broken, ``Skipped`` where it cannot be tried."""


class Cases(list[tuple[str, str, Case]]):
    """Cases in the order in which they are tried, each with its name and its rule."""

    def add(self, name: str, rule: str) -> Callable[[Case], Case]:
        """Return a decorator that adds a case."""

        def decorate(case: Case) -> Case:
            self.append((name, rule, case))
            return case

        return decorate


def spec(sub: int, *modes: str, **fields: Any) -> Frame:
    """Return a spec: ``credit`` and ``from_`` beside the filter's fields."""
    out: Frame = {"sub": sub}
    if "credit" in fields:
        out["credit"] = fields.pop("credit")
    if "from_" in fields:
        out["from"] = fields.pop("from_")
    return {**out, "filter": {"modes": list(modes), **fields}}


def run(graph: str, input: Any, *specs: Frame, **fields: Any) -> Frame:
    """Return a ``run`` of one of the kit's graphs."""
    return {
        "type": "run",
        "graph": f"conformance.{graph}",
        "input": input,
        "subscribe": list(specs),
        **fields,
    }


def subscribe(run: str, spec: Frame) -> Frame:
    """Return a ``subscribe``."""
    return {"type": "subscribe", "run": run, **spec}
