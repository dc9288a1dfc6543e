"""What tasks of an unfinished superstep have written, as a saver keeps it beside a checkpoint, or a cache.

A write is a channel and a value: a key of the state, a node or a join to be triggered, a Send; or what is to
be known of the task itself: what it asks, which answers it has had, how it failed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.stream.outlet import INTERRUPT
from graphwire_runtime.types import Interrupt, Overwrite, Send

if TYPE_CHECKING:
    from graphwire_runtime.step.task import Task

__all__ = ["Written", "packed", "path_of", "sent", "unpacked", "writes_of", "written"]

SENDS = "__pregel_tasks"
RESUME = "__resume__"
ERROR = "__error__"
HANDLED = "__error_source_node__"
NOTHING = "__no_writes__"
BRANCH = "branch:to:"
NOBODY = "00000000-0000-0000-0000-"
"""How ids begin under which writes of no task stand: those of a Command that resumed the thread."""


def writes_of(task: Task, *, with_edges: bool = True) -> list[tuple[str, Any]]:
    """What a task wrote and where it goes on to, as channels' writes; `written` reads them.

    Without its edges for whoever knows them, and may know better by the time of reading.
    """
    writes = [(key, packed(value)) for key, value in task.pairs]
    writes += [
        (f"{BRANCH}{name}", None) for name in ((*task.node.edges,) if with_edges else ()) + (*task.gotos,)
    ]
    writes += [(join.trigger, task.name) for join in task.node.joins if with_edges]
    writes += [(SENDS, [send.node, send.arg]) for send in task.sends]
    return writes or [(NOTHING, None)]


class Written:
    """What is known of a task that ran at this checkpoint before."""

    __slots__ = ("answers", "done", "error", "gotos", "handled", "interrupts", "pairs", "sends")

    def __init__(self) -> None:
        self.pairs: Pairs = []
        self.gotos: list[str] = []
        self.sends: list[Send] = []
        self.done = False
        self.error: str | None = None
        self.handled = False
        self.interrupts: tuple[Interrupt, ...] = ()
        self.answers: list[Any] = []


def written(pending: Iterable[tuple[str, str, Any]], keys: Mapping[str, Any]) -> dict[str, Written]:
    """Sort pending writes by the tasks that made them."""
    found: dict[str, Written] = {}
    for task_id, channel, value in pending:
        if task_id.startswith(NOBODY):
            continue
        task = found.setdefault(task_id, Written())
        if channel == INTERRUPT:
            task.interrupts = tuple(_interrupt(asked) for asked in value)
        elif channel == RESUME:
            task.answers = list(value) if isinstance(value, (list, tuple)) else [value]
        elif channel == ERROR:
            task.error = value if isinstance(value, str) else repr(value)
        elif channel == HANDLED:
            task.handled = True
        else:
            task.done = True
            if channel in keys:
                task.pairs.append((channel, unpacked(value)))
            elif channel == SENDS:
                task.sends.append(sent(value))
            elif channel.startswith(BRANCH):
                task.gotos.append(channel.removeprefix(BRANCH))
    return found


def path_of(task: Task) -> str:
    """A task's place in its superstep; sorts as the tasks do."""
    kind, where, *_ = task.path
    return f"~{kind}, {where:010}" if isinstance(where, int) else f"~{kind}, {where}"


# Plain data for what the graph's own words are, so that a saver can read it back without being told of this
# package's classes; and the classes of whoever else wrote the checkpoint are understood by their fields.


def sent(value: Any) -> Send:
    """The Send that was written."""
    return Send(value[0], value[1]) if isinstance(value, (list, tuple)) else Send(value.node, value.arg)


def _interrupt(value: Any) -> Interrupt:
    if isinstance(value, Mapping):
        return Interrupt(value["value"], value["id"], response_schema=value.get("response_schema"))
    return Interrupt(value.value, value.id, response_schema=getattr(value, "response_schema", None))


def packed(value: Any) -> Any:
    """What is written to a key of the state, as it is kept."""
    return {"__overwrite__": value.value} if type(value) is Overwrite else value


def unpacked(value: Any) -> Any:
    """The same as it was."""
    if type(value) is dict and len(value) == 1 and "__overwrite__" in value:
        return Overwrite(value["__overwrite__"])
    return value
