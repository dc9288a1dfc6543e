"""What tasks of an unfinished superstep have written, in the form that a saver or a cache keeps.

A write is a pair of channel and value. The channel is a key of the state, the trigger of a node or join, or
SENDS; or it holds a fact about the task itself: its interrupts, the answers to them, its failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import make_dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

from graphwire_runtime.foreign.words import ours
from graphwire_runtime.plan.policies import TimeoutPolicy
from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.step.task import Task
from graphwire_runtime.types import END, INTERRUPT, PREVIOUS, RETURN, Interrupt, Overwrite, Send

__all__ = [
    "NO_WRITES",
    "Written",
    "kept_interrupt",
    "kept_send",
    "packed",
    "recall",
    "sent",
    "unpacked",
    "writes_of",
    "written",
]

SENDS = "__pregel_tasks"
RESUME = "__resume__"
ERROR = "__error__"
HANDLED = "__error_source_node__"
NO_WRITES: list[tuple[str, Any]] = [("__no_writes__", None)]
"""What is kept of a task that has written nothing and leads nowhere, so that it counts as finished."""
BRANCH = "branch:to:"
LIMITS = ("run_timeout", "idle_timeout", "refresh_on")
BARE = (RETURN, END, PREVIOUS)
"""Channels that hold what a function returned, as it is."""
COMMAND_TASK_PREFIX = "00000000-0000-0000-0000-"
"""Task-id prefix for writes made by a resuming Command, which belong to no task."""


def writes_of(task: Task, *, with_edges: bool = True) -> list[tuple[str, Any]]:
    """What a task wrote and where it leads, as (channel, value) pairs that `written` reads.

    `with_edges=False` is for the cache: edges are read from the current plan instead.
    """
    untracked = task.run.plan.untracked if with_edges else ()
    writes = [
        (key, value if key in BARE else packed(value)) for key, value in task.pairs if key not in untracked
    ]
    writes += [
        (f"{BRANCH}{name}", None) for name in ((*task.node.edges,) if with_edges else ()) + (*task.gotos,)
    ]
    writes += [(join.trigger, task.name) for join in task.node.joins if with_edges]
    writes += [(SENDS, kept_send(send, untracked)) for send in task.sends]
    return writes or NO_WRITES


class Written:
    """What is known of a task from an earlier run at the same checkpoint."""

    __slots__ = ("answers", "done", "error", "gotos", "handled", "interrupts", "pairs", "sends")

    def __init__(self) -> None:
        self.pairs: Pairs = []
        self.gotos: list[str] = []
        self.sends: list[Send] = []
        self.done = False
        """Whether it finished."""
        self.error: str | None = None
        """The repr of what it failed with."""
        self.handled = False
        """Whether its error handler was to run in its place."""
        self.interrupts: tuple[Interrupt, ...] = ()
        self.answers: list[Any] = []


def recall(task: Task, known: Written, *, done: bool) -> None:
    """Give a task the answers that it had; if it is `done`, also its writes, so that it need not run."""
    task.answers = [*known.answers]
    if done:
        task.cached = True
        task.pairs, task.gotos, task.sends = known.pairs, known.gotos, known.sends
        task.output = dict(known.pairs).get(RETURN)


def written(pending: Iterable[tuple[str, str, Any]], keys: Mapping[str, Any]) -> dict[str, Written]:
    """Pending writes by the ids of the tasks that made them, without those of a resuming Command.

    Args:
        pending: (task id, channel, value), in the order of writing.
        keys: the keys of the state; a mapping for its keys only.
    """
    found: dict[str, Written] = {}
    for task_id, channel, value in pending:
        if task_id.startswith(COMMAND_TASK_PREFIX):
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
            if channel in BARE:
                task.pairs.append((channel, value))
            elif channel in keys:
                task.pairs.append((channel, unpacked(value)))
            elif channel == SENDS:
                task.sends.append(sent(value))
            elif channel.startswith(BRANCH):
                task.gotos.append(channel.removeprefix(BRANCH))
    return found


# Sends and interrupts are kept as LangGraph's classes if it is installed, so that it can continue the thread,
# and as plain data otherwise. A saver stores the name of a class and its fields, so LangGraph is not imported
# here. What LangGraph has kept is read by the names of its fields.


@cache
def _kept(name: str, *fields: str) -> Callable[..., Any] | None:
    """A class that savers take for one of LangGraph's, None if that is not installed."""
    try:
        if find_spec("langgraph.types") is None:
            return None
    except ModuleNotFoundError:
        return None
    return make_dataclass(name, fields, namespace={"__module__": "langgraph.types"}, frozen=True)


def kept_send(send: Send, untracked: Collection[str]) -> Any:
    """A Send as it is kept, without the values of untracked keys."""
    arg = send.arg
    if untracked and isinstance(arg, dict):
        arg = {key: value for key, value in arg.items() if key not in untracked}
    if send.timeout is None:
        made = _kept("Send", "node", "arg")
        return [send.node, arg] if made is None else made(send.node, arg)
    limits = {name: getattr(send.timeout, name) for name in LIMITS}
    made, policy = _kept("Send", "node", "arg", "timeout"), _kept("TimeoutPolicy", *LIMITS)
    if made is None or policy is None:
        return [send.node, arg, limits]
    return made(send.node, arg, policy(**limits))


def sent(value: Any) -> Send:
    """The Send that a kept value stands for."""
    if isinstance(value, (list, tuple)):
        node, arg, *limits = value
        return Send(node, arg, timeout=TimeoutPolicy(**limits[0]) if limits else None)
    return Send(value.node, value.arg, timeout=getattr(value, "timeout", None))


def kept_interrupt(asked: Interrupt) -> Any:
    """An interrupt as it is kept."""
    data = {"value": asked.value, "id": asked.id, "response_schema": asked.response_schema}
    made = _kept("Interrupt", *data)
    return data if made is None else made(**data)


def _interrupt(value: Any) -> Interrupt:
    if isinstance(value, Mapping):
        return Interrupt(value["value"], value["id"], response_schema=value.get("response_schema"))
    return Interrupt(value.value, value.id, response_schema=getattr(value, "response_schema", None))


def packed(value: Any) -> Any:
    """A write to a key of the state, as it is kept."""
    if type(value) is not Overwrite:
        value = ours(value) if type(value).__name__ == "Overwrite" else value
    return {"__overwrite__": value.value} if type(value) is Overwrite else value


def unpacked(value: Any) -> Any:
    """The write that a kept value stands for; undoes `packed`."""
    if type(value) is dict and len(value) == 1 and "__overwrite__" in value:
        return Overwrite(value["__overwrite__"])
    return value
