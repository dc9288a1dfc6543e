"""The schedule: which nodes run next, which wait, and what has arrived at joins.

A node runs in the next superstep if an edge, a jump (`Command.goto`) or a completed join triggers it, or if a
`Send` names it. A deferred node waits until nothing else is left to run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Protocol

from graphwire_runtime.plan.plan import NodePlan, Plan
from graphwire_runtime.types import Send

__all__ = ["EndedTask", "Schedule"]

logger = logging.getLogger(__name__)


class EndedTask(Protocol):
    """What the schedule reads of a task that has ended."""

    node: NodePlan
    triggers: tuple[str, ...]
    """The triggers that made it run; those of its node wait on if a Send did."""
    gotos: list[str]
    sends: list[Send]

    @property
    def follows_edges(self) -> bool:
        """Whether the edges of its node count."""


class Schedule:
    """What runs in the next superstep of a run."""

    __slots__ = ("_plan", "fired", "joined", "sends", "triggered", "waiting")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.triggered: set[str] = set()
        """The nodes that run next."""
        self.waiting: set[str] = set()
        """Deferred nodes that are triggered and wait until nothing else runs."""
        self.joined: dict[str, set[str]] = {}
        """By the trigger of each join, the source nodes that have arrived."""
        self.fired: set[str] = set()
        """Triggers of complete joins whose target has not run since."""
        self.sends: list[Send] = []

    def trigger(self, name: str) -> None:
        """Run a node next, or let it wait if it is deferred. An unknown name is logged and ignored."""
        node = self._plan.nodes.get(name)
        if node is None:
            logger.warning("%s: a jump to %r, which is no node, was ignored", self._plan.title, name)
            return
        (self.waiting if node.defer else self.triggered).add(name)

    def follow(self, tasks: Iterable[EndedTask]) -> None:
        """Schedule what the tasks of a superstep lead to; all of them have ended."""
        if self.joined:
            # a complete join starts anew once its target has run, before the arrivals of that step count
            for task in tasks:
                self.consume(task)
        self.sends = [send for task in tasks for send in task.sends]
        for task in tasks:
            for name in task.gotos:
                self.trigger(name)
            if not task.follows_edges:
                continue
            node = task.node
            for name in node.edges:
                self.trigger(name)
            for join in node.joins:
                arrived = self.joined.setdefault(join.trigger, set())
                arrived.add(node.name)
                if arrived >= join.sources:
                    self.fired.add(join.trigger)
                    self.trigger(join.target)
        if self.waiting and not self.triggered:
            self.triggered, self.waiting = self.waiting, set()

    def begun(self) -> None:
        """Forget what was to run next: it runs now, or it never will."""
        self.triggered, self.sends = set(), []

    def clear(self) -> None:
        """Forget what was to run next and what waits. Arrivals at joins stay."""
        self.begun()
        self.waiting = set()

    def consume(self, task: EndedTask) -> None:
        """Start the complete joins anew that made a task run."""
        for trigger in task.triggers:
            if trigger in self.fired:
                self.fired.discard(trigger)
                del self.joined[trigger]
