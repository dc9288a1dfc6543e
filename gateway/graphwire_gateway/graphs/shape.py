"""What requests can name in a graph: the keys of its input and of its state, its nodes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """The names in a graph. Nothing is known of a graph of another library than the two."""

    input: tuple[str, ...] | None = None
    """The keys of the input; None if it is one value, or not known."""
    state: tuple[str, ...] | None = None
    """All keys of the state; None if it is one value, or not known."""
    nodes: tuple[str, ...] | None = None
    """The nodes; None if not known."""
    is_fixed: bool = False
    """Whether every use of the graph has this shape: it is not made anew for each."""


def shape_of(graph: Any, *, is_fixed: bool) -> Shape:
    """Return the shape of a compiled graph. Call it on the graph's loop."""
    try:
        return Shape(*_keys(graph), _nodes(graph), is_fixed)
    except BaseException:  # what a library calls its parts may change; its graphs are served all the same
        return Shape()


def _keys(graph: Any) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    plan = getattr(graph, "plan", None)
    if plan is not None:
        if plan.entry is not None:  # a function, as a graph
            return None, None
        return _several(plan.input.channels), _several({**plan.channels, **plan.managed})
    builder: Any = getattr(graph, "builder", None)
    if builder is None and type(graph).__module__.startswith("langgraph."):  # the same
        return None, None
    return _several(builder.schemas[builder.input_schema]), _several({**builder.channels, **builder.managed})


def _several(keys: Any) -> tuple[str, ...] | None:
    return None if "__root__" in keys else tuple(keys)


def _nodes(graph: Any) -> tuple[str, ...]:
    return tuple(name for name in graph.nodes if not name.startswith("__"))
