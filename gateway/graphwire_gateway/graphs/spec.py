"""How a graph is served: what it is, the loop that it runs on, what of it is recorded."""

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from graphwire_protocol.types import Mode

RunsOn: TypeAlias = Literal["thread", "own", "inline"]


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """How a graph is served.

    ``target`` is ``module:attribute``, ``path/to/file.py:attribute`` or what these name: the graph itself, or
    a function or context manager that makes it. ``record`` names modes that are recorded whatever a run's
    first subscriptions ask for.

    ``runner`` is the loop that it lives on: ``thread`` one that it shares with other graphs, apart from the
    connections'; ``own`` one in a thread of its own, for code that blocks its loop; ``inline`` the
    connections'. Models' clients are often shared by a whole process and bound to the loop that was first, so
    graphs that share a client share a loop.
    """

    target: Any
    runner: RunsOn = "thread"
    record: tuple[Mode, ...] = ()
    record_subgraphs: bool = False
    description: str | None = None
