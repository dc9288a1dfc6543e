"""Where a run stands between two supersteps.

One superstep goes like this. The schedule says which nodes run next; `prepare` makes a `Task` for each, with
its input read from the values. The tasks run side by side, and none sees what another writes: each collects
its own writes, jumps and sends. When all have ended, `Standing.apply` folds their writes into the values, in
the order of the tasks, and lets the schedule follow their edges. Then the run stands again, one step further,
and this is the only moment at which it can be saved: a checkpoint is a `Standing`, and a run that is resumed
is one restored.

A superstep may also be left unfinished: a task asks a question or fails. Then the standing stays as it is,
what the other tasks wrote is kept beside it (`writes`), and when the thread is resumed these tasks need not
run again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from graphwire_runtime.plan.channels import MISSING, fade, fold
from graphwire_runtime.plan.plan import Plan
from graphwire_runtime.plan.schema import Pairs
from graphwire_runtime.step.schedule import EndedTask, Schedule

__all__ = ["Standing"]


class Standing:
    """The state of a run between two supersteps.

    Args:
        plan: the graph.
        seed: what task ids are made from. The same seed, step and path give the same id.
        limit: the step after which the run may take no further one.
    """

    __slots__ = (
        "checkpoint_id",
        "limit",
        "plan",
        "planned",
        "resuming",
        "schedule",
        "seed",
        "step",
        "values",
        "waiting_input",
    )

    def __init__(self, plan: Plan, seed: bytes, limit: int) -> None:
        self.plan = plan
        self.seed = seed
        self.limit = limit
        self.step = 0
        self.checkpoint_id = ""
        """The checkpoint that this is; "" if the run is not kept."""
        self.resuming = False
        """Whether the next superstep continues one that an earlier run left unfinished."""
        self.planned = False
        """Whether the next tasks come in the order of the plan, not of their names: after an edit or fork."""
        self.waiting_input: Any = None
        """Input that START has not run with yet, None if there is none."""
        self.schedule = Schedule(plan)
        self.values: dict[str, Any] = {}
        for key, channel in plan.channels.items():
            if (value := channel.empty()) is not MISSING:
                self.values[key] = value

    @property
    def starts(self) -> bool:
        """Whether START has yet to run with the input; an entry runs with it itself."""
        return self.waiting_input is not None and self.plan.entry is None

    def readable(self, values: dict[str, Any], step: int) -> dict[str, Any]:
        """The values with the managed keys added, as nodes and routers read them in superstep `step`."""
        managed = self.plan.managed
        if not managed:
            return values
        return {**values, **{key: each.value(step, self.limit) for key, each in managed.items()}}

    def fold(self, values: dict[str, Any], pairs: Pairs) -> None:
        """Apply the writes of a superstep to `values`, in place; raises like `channels.fold`."""
        if pairs:
            fold(self.plan.channels, values, pairs)
        if self.plan.fading:
            fade(self.plan.fading, values, pairs)

    def apply(self, tasks: Iterable[EndedTask], pairs: Pairs) -> None:
        """End a superstep: fold in what its tasks wrote (`pairs`), and schedule what they lead to.

        Raises InvalidUpdateError for several writes to a key without a reducer, and whatever a reducer
        raises.
        """
        self.fold(self.values, pairs)
        self.planned = False
        self.waiting_input = None
        self.schedule.follow(tasks)
