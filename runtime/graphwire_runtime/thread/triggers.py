"""The channels of a checkpoint that schedule nodes, made from where a run stands and read back.

They are the triggers of nodes and of joins, the sends, and the input that START has not run with. A deferred
node's trigger also says whether everything else had ended, so that the node runs next.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from graphwire_runtime.step.standing import Standing
from graphwire_runtime.step.writes import BRANCH, SENDS, kept_send, sent
from graphwire_runtime.types import START

__all__ = ["read_triggers", "triggers_of"]


def read_triggers(standing: Standing, values: Mapping[str, Any], is_new: Callable[[str, str], bool]) -> None:
    """Put into the schedule what the channels of a checkpoint say.

    Args:
        standing: whose schedule is empty.
        values: the values of the checkpoint's channels.
        is_new: whether a channel has changed since the node of this name last ran.
    """
    plan = standing.plan
    for node in plan.nodes.values():
        for trigger in node.triggers:
            if trigger not in values:
                continue
            value, finished = values[trigger], True
            if node.defer and isinstance(value, (list, tuple)) and len(value) == 2:
                value, finished = value
            if trigger in plan.joins:
                arrived = set(value or ())
                if arrived:
                    standing.schedule.joined[trigger] = arrived
                if not arrived >= plan.joins[trigger].sources:
                    continue
                standing.schedule.fired.add(trigger)
            if is_new(trigger, node.name):
                (standing.schedule.triggered if finished else standing.schedule.waiting).add(node.name)
    standing.schedule.sends = [sent(send) for send in values.get(SENDS) or ()]
    if START in values and is_new(START, START if plan.entry is None else plan.entry.name):
        standing.waiting_input = values[START]


def triggers_of(standing: Standing, touched: Collection[str], before: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the channels that schedule what is to run next.

    Args:
        standing: what is saved.
        touched: the channels that the superstep has written.
        before: the values at the checkpoint before.
    """
    plan = standing.plan
    schedule: dict[str, Any] = {}
    for name in (*standing.schedule.triggered, *standing.schedule.waiting):
        trigger = f"{BRANCH}{name}"
        deferred = plan.nodes[name].defer
        if trigger in touched or (deferred and trigger in before):
            schedule[trigger] = [None, name in standing.schedule.triggered] if deferred else None
    for trigger in plan.joins:
        if trigger in standing.schedule.joined or trigger in before:
            arrived, target = set(standing.schedule.joined.get(trigger, ())), plan.joins[trigger].target
            deferred = plan.nodes[target].defer
            schedule[trigger] = [arrived, target in standing.schedule.triggered] if deferred else arrived
    if standing.schedule.sends or SENDS in before:
        schedule[SENDS] = [kept_send(send, plan.untracked) for send in standing.schedule.sends]
    if standing.waiting_input is not None:
        schedule[START] = standing.waiting_input
    return schedule
