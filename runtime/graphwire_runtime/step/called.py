"""`Called`: a task that another task has called. It runs in the same superstep, beside its caller.

Its function is not a node of the graph: it takes any arguments, and what it returns goes to the caller.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graphwire_runtime.namespace import Namespace
from graphwire_runtime.plan.called import arguments_of
from graphwire_runtime.plan.plan import NodePlan
from graphwire_runtime.step.ids import id_of_task, text_of_path
from graphwire_runtime.step.task import PUSH, Task
from graphwire_runtime.types import Command

__all__ = ["Called"]


class Called(Task):
    """A function at work, called as a task.

    Args:
        caller: the task that calls it.
        function: the plan of the function. What it does not say about retries and the cache, the graph says.
        args: its arguments.
        kwargs: the same, by name.
        index: how many tasks its caller has called before.
    """

    __slots__ = ("caller", "within")

    def __init__(
        self,
        caller: Task,
        function: NodePlan,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        index: int,
    ) -> None:
        self.caller = caller
        self.within = (*caller.within, caller.checkpoint_ns)
        plan = caller.run.plan
        if plan.entry is not None or caller.node.metadata:
            function = replace(
                function,
                retries=function.retries or plan.retries,
                cache=function.cache or plan.cache,
                metadata=caller.node.metadata,
            )
        path = (PUSH, caller.path, index, True)
        super().__init__(caller.run, caller.standing, function, (args, kwargs), path, caller.standing.step)

    def _identify(self, step: int, *made_by: str) -> None:
        assert self.caller is not None
        own = f"{self.caller.checkpoint_ns}|{self.name}"
        _, path, index, _ = self.path
        self.id = id_of_task(
            self.standing.seed, own, str(step), self.name, PUSH, text_of_path(path), str(index)
        )
        self.checkpoint_ns = f"{own}:{self.id}"

    @property
    def path_key(self) -> str:
        """The path as a string that sorts as the tasks do."""
        return text_of_path(self.path)

    @property
    def graph(self) -> Namespace:
        """The namespace that its custom data is shown under: as if its caller were a graph."""
        return tuple(self.checkpoint_ns.split("|")[:-1])

    @property
    def shown_input(self) -> Any:
        """The arguments by name."""
        return arguments_of(self.node, *self.input)

    def accept_command(self, command: Command[Any]) -> None:
        """Drop a Command that a graph inside it has sent up: a function has no state to update."""
        self.output = None
