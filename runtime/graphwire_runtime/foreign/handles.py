"""What a task gives to LangGraph's parts in it: the values of the keys that they read in `configurable`.

Each value is the task's own, in the form that LangGraph's parts expect: answers are taken from the answers of
the run, writes become writes of the task, and custom data and the chunks of graphs inside go to the outlets.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

from langchain_core.runnables.config import var_child_runnable_config

from graphwire_runtime.errors import InvalidUpdateError
from graphwire_runtime.foreign.relay import Relay
from graphwire_runtime.foreign.words import known

__all__ = ["CHECKPOINTER", "PREFIX", "TASK_ID", "handles_of"]

PREFIX = "__pregel_"
"""How the keys begin that LangGraph uses inside `configurable`."""

TASK_ID = "__pregel_task_id"
"""The key that says which task, of either library, the others belong to."""

CHECKPOINTER = "__pregel_checkpointer"
"""The key of the saver that a graph lends to the graphs inside it."""


def handles_of(task: Any) -> dict[str, Any]:
    """The keys for a `Task`, with their values."""
    thread = task.run.thread
    handles: dict[str, Any] = {
        TASK_ID: task.id,
        "__pregel_send": partial(_send, task),
        "__pregel_read": partial(_read, task),
        "__pregel_read_state": (
            partial(_state, task) if task.caller is None and task.path[0] == "__pregel_push" else None
        ),
        "__pregel_call": partial(_call, task),
        CHECKPOINTER: None if thread is None else thread.saver,
        "__pregel_resuming": task.standing.resuming or task.retried,
        "__pregel_scratchpad": _scratchpad(task),
        "__pregel_runtime": _runtime(task),
    }
    if thread is not None:
        handles["__pregel_durability"] = thread.durability
        if (replay := thread.replay) is not None:
            handles["__pregel_replay_state"] = replay.for_langgraph(known("_internal._replay", "ReplayState"))
    if named := task.run.answers.named:
        handles["__pregel_resume_map"] = named
    relay = Relay(task)
    if relay.modes:
        handles["__pregel_stream"] = relay
    return handles


def _send(task: Any, writes: Iterable[tuple[str, Any]]) -> None:
    keys = task.run.plan.channels
    for key, value in writes:
        if key == "__resume__":
            if task.run.thread is not None:
                task.run.thread.answered(task.id, task.path_key, [*value])
        elif key == "__pregel_tasks":
            task.add_target(value)
        elif key in keys:
            task.pairs.append((key, value))
        else:
            raise InvalidUpdateError(
                f"a part of LangGraph's in node {task.name!r} wrote to {key!r}, which is no key of "
                f"{task.run.plan.title}; its keys are {', '.join(keys)}"
            )


def _read(task: Any, select: str | Sequence[str], fresh: bool = False) -> Any:
    values = task.standing.readable(task.state_after() if fresh else task.standing.values, task.standing.step)
    if isinstance(select, str):
        return values.get(select)
    return {key: values[key] for key in select if key in values}


def _state(task: Any) -> Any:
    """The state as the node of the task reads it when an edge leads to it."""
    return task.node.view(task.standing.readable(task.standing.values, task.standing.step))


def _call(task: Any, func: Any, input: tuple[tuple[Any, ...], dict[str, Any]], **asked: Any) -> Any:
    """Call the function of a @task of LangGraph's as a task of this package."""
    asked.pop("callbacks", None)
    return task.run.calls.start_theirs(task, func, *input, **asked)


def _scratchpad(task: Any) -> Any:
    """The counters of a task and its answers."""
    answers = task.run.answers
    count = len(task.answers)
    for name in (task.question_id(count), task.question_id(0)):  # older threads have only the first id
        if name in answers.named:
            task.answers.append(answers.take(name))
            break

    def get_null_resume(consume: bool = False) -> Any:
        return answers.unnamed(consume=consume)

    kind = known("_internal._scratchpad", "PregelScratchpad") or SimpleNamespace
    return kind(
        step=task.standing.step,
        stop=task.standing.limit,
        call_counter=itertools.count().__next__,
        interrupt_counter=task.next_question,
        get_null_resume=get_null_resume,
        resume=task.answers,
        subgraph_counter=partial(_started_inside, task),
    )


def _started_inside(task: Any) -> int:
    """The number of a graph that starts in a task; its nodes are heard from now on."""
    for tap in task.run.display.taps:
        if tap.subgraphs:
            tap.ignore_chain = False
    number: int = task.next_nested()
    return number


def _runtime(task: Any) -> Any:
    own = task.runtime
    writer = partial(_write, task)
    kind, info = known("runtime", "Runtime"), known("runtime", "ExecutionInfo")
    if kind is None or info is None:
        return own
    at = own.execution_info
    server = own.server_info and known("runtime", "ServerInfo")(
        own.server_info.assistant_id, own.server_info.graph_id, own.server_info.user
    )
    return kind(
        context=own.context,
        store=own.store,
        stream_writer=writer,
        heartbeat=own.heartbeat,
        previous=own.previous,
        server_info=server,
        **({"control": own.control} if hasattr(kind, "control") else {}),
        execution_info=info(**{field: getattr(at, field) for field in at.__slots__}),
    )


def _write(task: Any, chunk: Any) -> None:
    """Put an object into the custom stream, under the namespace of the graph that runs here."""
    config: Any = var_child_runnable_config.get() or {}
    here = (config.get("configurable") or {}).get("checkpoint_ns") or task.checkpoint_ns
    namespace = tuple(here.split("|")[:-1])
    if namespace == task.graph:
        task.writer(chunk)
        return
    for beat in task.beats:
        beat()
    for outlet in task.run.display.custom:
        if outlet.subgraphs:
            outlet.push("custom", namespace, chunk)
