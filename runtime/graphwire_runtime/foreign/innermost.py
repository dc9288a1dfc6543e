"""`innermost`: the task that code runs in, of whichever library; `TheirTask` is one of LangGraph's.

A graph of LangGraph's in a node of this package's hands the keys of the surrounding task down to its own
tasks, and the other way round. So there may be the keys of both, and the id says whose task is the inner one.
"""

from __future__ import annotations

import functools
from typing import Any

from graphwire_runtime.foreign.configurable import Configurable
from graphwire_runtime.foreign.handles import TASK_ID
from graphwire_runtime.foreign.words import TASK, known, their_policy
from graphwire_runtime.namespace import graph_of

__all__ = ["TheirTask", "innermost"]


class TheirTask:
    """A task of LangGraph's, as the functions read it that find the task they run in.

    Args:
        config: of the task.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.runtime = config["configurable"].get("__pregel_runtime")

    @property
    def writer(self) -> Any:
        """Puts an object into the custom stream."""
        return self.runtime.stream_writer

    @property
    def store(self) -> Any:
        """The long-term store."""
        return self.runtime.store

    def call(self, plan: Any, function: Any, args: Any, kwargs: Any) -> Any:
        """Call a function as a task of LangGraph's run; `plan` has its name and its policies."""
        return self.config["configurable"]["__pregel_call"](
            function if getattr(function, "__name__", None) == plan.name else _named(function, plan.name),
            (args, kwargs),
            retry_policy=[known("types", "RetryPolicy")(*policy) for policy in plan.retries],
            cache_policy=their_policy(plan.cache, "CachePolicy"),
            timeout=their_policy(plan.timeout, "TimeoutPolicy"),
            callbacks=self.config.get("callbacks"),
        )

    def write(self, key: str, value: Any) -> None:
        """Add a write to those of the task; LangGraph ignores one to an unknown key, and logs that."""
        self.config["configurable"]["__pregel_send"]([(key, value)])

    def show_message(self, message: Any) -> None:
        """Stream a message to those who hear the messages of LangGraph's run."""
        callbacks, metadata = self.config.get("callbacks"), self.config["metadata"]
        namespace = graph_of(metadata)
        for each in getattr(callbacks, "handlers", callbacks) or ():
            emit = getattr(each, "_emit", None)
            if emit is not None and (each.subgraphs or namespace in ((), each.parent_ns)):
                emit((namespace, metadata), message, dedupe=False)

    def ask(self, value: Any, response_schema: Any) -> Any:
        """The answer to an interrupt of the task, which LangGraph keeps."""
        return known("types", "interrupt")(value, response_schema=response_schema)


def _named(function: Any, name: str) -> Any:
    """The function under another name, which LangGraph reads."""
    renamed = functools.update_wrapper(functools.partial(function), function)
    renamed.__name__ = name
    return renamed


def innermost(config: Any) -> Any:
    """The task that code with this config runs in; None if it runs in none.

    Args:
        config: the present config, or None.
    """
    configurable = None if config is None else config.get("configurable")
    if configurable is None:
        return None
    if type(configurable) is Configurable:
        return dict.get(configurable, TASK)
    task = configurable.get(TASK)
    inner = configurable.get(TASK_ID)
    return task if inner is None or (task is not None and task.id == inner) else TheirTask(config)
