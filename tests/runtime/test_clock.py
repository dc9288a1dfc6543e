"""Time and ids: what a run takes from outside can be replaced, and ids of checkpoints sort as these are made.

About `runtime/graphwire_runtime/clock.py`.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any, TypedDict
from uuid import UUID

import pytest
from graphwire_runtime import START, RetryPolicy, StateGraph, StreamWriter
from langgraph.checkpoint.memory import InMemorySaver

THREAD: Any = {"configurable": {"thread_id": "t"}}


class Count(TypedDict, total=False):
    number: int


def add(state: Count) -> Count:
    return {"number": state["number"] + 1}


def test_ids_of_checkpoints_are_uuids_of_version_6_that_sort_as_these_were_made() -> None:
    graph = StateGraph(Count).add_sequence([(f"node{index}", add) for index in range(20)])
    graph = graph.add_edge(START, "node0").compile(checkpointer=InMemorySaver())
    before = datetime.now(timezone.utc)
    graph.invoke({"number": 0}, THREAD)
    history = list(graph.get_state_history(THREAD))
    ids = [snapshot.config["configurable"]["checkpoint_id"] for snapshot in history]
    assert len(set(ids)) == 22
    assert ids == sorted(ids, reverse=True)
    assert {UUID(each).version for each in ids} == {6}
    times = [datetime.fromisoformat(snapshot.created_at or "") for snapshot in history]
    assert before <= times[-1] <= times[0] <= datetime.now(timezone.utc)


@pytest.mark.parametrize("blocking", [True, False])
async def test_waits_between_attempts_go_through_the_clock(
    blocking: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def apause(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("graphwire_runtime.drive.execute.pause", waited.append)
    monkeypatch.setattr("graphwire_runtime.drive.execute.apause", apause)
    monkeypatch.setattr("graphwire_runtime.plan.policies.chance", lambda: 0.25)
    attempts: list[int] = []

    def fail_twice(state: Count, writer: StreamWriter) -> Count:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError
        return {"number": len(attempts)}

    policy = RetryPolicy(initial_interval=60, backoff_factor=2)
    graph = (
        StateGraph(Count).add_node(fail_twice, retry_policy=policy).add_edge(START, "fail_twice").compile()
    )
    value: Count = {"number": 0}
    assert (graph.invoke(value) if blocking else await graph.ainvoke(value)) == {"number": 3}
    assert waited == [60.25, 120.25]
