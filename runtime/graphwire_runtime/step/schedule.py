"""Which nodes run next: those that edges, jumps and joins have triggered, deferred ones last, and sends."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from graphwire_runtime.plan.plan import NodePlan, Plan
from graphwire_runtime.types import Send

if TYPE_CHECKING:
    from graphwire_runtime.step.task import Task

__all__ = ["Schedule"]

logger = logging.getLogger(__name__)


class Schedule:
    """The next superstep of a run, and what has arrived at its joins."""

    __slots__ = ("_plan", "fired", "joined", "sends", "triggered", "waiting")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.triggered: set[str] = set()
        self.waiting: set[str] = set()
        """Deferred nodes that have been triggered."""
        self.joined: dict[str, set[str]] = {}
        """Who has arrived, by the joins' triggers."""
        self.fired: set[str] = set()
        """The joins that all have arrived at and whose target has not run since."""
        self.sends: list[Send] = []

    def trigger(self, name: str) -> None:
        """Have a node run next, or last if it is deferred."""
        node = self._plan.nodes.get(name)
        if node is None:
            logger.warning("graph %r: a jump to %r, which is no node, was ignored", self._plan.name, name)
            return
        (self.waiting if node.defer else self.triggered).add(name)

    def follow(self, tasks: Iterable[Task]) -> None:
        """See where the tasks of a superstep, all of which have ended, lead to."""
        if self.joined:
            # a join that has fired starts anew when its node has run, and before that step's arrivals count
            for task in tasks:
                self.consume(task.node)
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
        """What was to run next is run, or never will be."""
        self.triggered, self.sends = set(), []

    def clear(self) -> None:
        """Have nothing run next, nor last; joins stay as they are."""
        self.begun()
        self.waiting = set()

    def consume(self, node: NodePlan) -> None:
        """Let the joins that have made a node run begin anew."""
        for trigger in node.triggers:
            if trigger in self.fired:
                self.fired.discard(trigger)
                del self.joined[trigger]
