"""How a graph is served: what it is, which loop it runs on, which modes are always recorded."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from graphwire_protocol.types import Mode

RunsOn: TypeAlias = Literal["thread", "own", "inline"]
"""The loop that a graph runs on; ``GraphSpec`` explains the three."""


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How a graph is served.

    ``target`` is the graph itself, or a function or context manager that makes it, or a string that names one
    of these: ``"module:attribute"`` or ``"path/to/file.py:attribute"``.

    ``runner`` is the loop that the graph runs on: ``thread`` is a loop in a thread that such graphs share,
    apart from the connections'; ``own`` is a loop in a thread of its own, for code that blocks its loop;
    ``inline`` is the main loop, which also serves the connections. A client of a model is often shared by the
    whole process and bound to the first loop that used it, so graphs that share a client should share a loop.

    ``record`` names modes that every run records, even if its first subscriptions do not ask for them;
    ``record_subgraphs`` also records the events of subgraphs. ``description`` is for the list of graphs;
    None takes the graph's own.
    """

    target: Any
    runner: RunsOn = "thread"
    record: tuple[Mode, ...] = ()
    record_subgraphs: bool = False
    description: str | None = None
