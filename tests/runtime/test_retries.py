"""Nodes that run again after a failure, and nodes that are cancelled after a timeout.

About `runtime/graphwire_runtime/drive/execute.py` and `runtime/graphwire_runtime/plan/policies.py`.
"""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any

import pytest
from graphwire_runtime import START, NodeTimeoutError, RetryPolicy, StateGraph, StreamWriter, interrupt
from graphwire_runtime.servable import RETRIES
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

SOON = RetryPolicy(initial_interval=0, jitter=False)


class Log(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


def tries(error: Exception, times: int) -> Any:
    left = [times]

    def node(state: Log, writer: StreamWriter) -> Any:
        writer(left[0])
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return {"log": ["done"]}

    return node


def graph(action: Any, **kwargs: Any) -> Any:
    return StateGraph(Log).add_node("node", action, **kwargs).add_edge(START, "node")


async def test_a_retried_node_is_announced_once(drain: Any) -> None:
    built = graph(tries(ConnectionError("down"), 2), retry_policy=SOON).compile()
    chunks = await drain(built, {}, stream_mode=["custom", "updates", "tasks"])
    assert [mode for mode, _ in chunks] == ["tasks", "custom", "custom", "custom", "updates", "tasks"]
    assert chunks[4] == ("updates", {"node": {"log": ["done"]}})


async def test_the_last_attempts_error_is_raised(drain: Any) -> None:
    built = graph(tries(ConnectionError("down"), 9), retry_policy=SOON._replace(max_attempts=2)).compile()
    seen: list[Any] = []
    with pytest.raises(ConnectionError, match="down"):
        await drain(built, {}, into=seen, stream_mode="custom")
    assert seen == [9, 8]


@pytest.mark.parametrize(
    ("policy", "error", "again"),
    [
        (SOON, ValueError(), False),
        (SOON, ConnectionResetError(), True),
        (SOON, TimeoutError(), False),
        (SOON, type("Odd", (Exception,), {})(), True),
        (SOON._replace(retry_on=ValueError), ValueError(), True),
        (SOON._replace(retry_on=[KeyError, ValueError]), ConnectionError(), False),
        (SOON._replace(retry_on=lambda error: "again" in str(error)), ValueError("again"), True),
        ([SOON._replace(retry_on=KeyError), SOON._replace(retry_on=ValueError)], ValueError(), True),
    ],
)
async def test_only_errors_that_the_policy_covers_are_retried(
    policy: Any, error: Any, again: bool, drain: Any
) -> None:
    built = graph(tries(error, 1), retry_policy=policy).compile()
    if again:
        assert await drain(built, {}) == [{"node": {"log": ["done"]}}]
    else:
        with pytest.raises(type(error)):
            await drain(built, {})


def test_waits_grow_to_their_limit() -> None:
    policy = RetryPolicy(initial_interval=1, backoff_factor=3, max_interval=5, jitter=False)
    assert [policy.wait(attempts) for attempts in (1, 2, 3)] == [1, 3, 5]
    assert 1 <= policy._replace(jitter=True).wait(1) <= 2


async def test_a_server_error_is_retried_and_a_client_error_is_not() -> None:
    class Answered(Exception):
        def __init__(self, status: int) -> None:
            self.response = type("Response", (), {"status_code": status})

    assert SOON.covers(Answered(503))
    assert not SOON.covers(Answered(404))


async def test_a_graph_inside_continues_where_it_failed(drain: Any) -> None:
    inner = StateGraph(Log).add_sequence(
        [("before", lambda state: {"log": ["before"]}), ("node", tries(ConnectionError(), 1))]
    )
    inner.add_edge(START, "before")
    outer = graph(inner.compile(), retry_policy=SOON).compile(checkpointer=InMemorySaver())
    chunks = await drain(outer, {}, config={"configurable": {"thread_id": "t"}})
    assert chunks == [{"node": {"log": ["before", "done"]}}]


async def test_an_interrupt_is_not_retried(drain: Any) -> None:
    policy = SOON._replace(retry_on=Exception)
    chunks = await drain(graph(lambda state: interrupt("?"), retry_policy=policy).compile(), {})
    assert [list(chunk) for chunk in chunks] == [["__interrupt__"]]


async def test_a_node_that_takes_too_long_is_cancelled() -> None:
    cancelled = asyncio.Event()

    async def wait(state: Log) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with pytest.raises(NodeTimeoutError, match=r"'node' may take 0\.01 seconds"):
        await graph(wait, timeout=0.01).compile().ainvoke({})
    assert cancelled.is_set()


def test_a_timeout_is_for_async_nodes() -> None:
    with pytest.raises(ValueError, match="is not async"):
        graph(lambda state: None, timeout=1)


async def test_a_server_hears_which_tasks_begin_again_in_order_with_what_they_stream(drain: Any) -> None:
    outer = graph(tries(ConnectionError(), 2), retry_policy=SOON).compile()
    chunks = await drain(outer, {}, stream_mode=["custom", RETRIES])
    assert [mode if mode == RETRIES else chunk for mode, chunk in chunks] == [2, RETRIES, 1, RETRIES, 0]
    again = chunks[1][1]
    assert again["name"] == "node"
    assert again["checkpoint_ns"] == f"node:{again['id']}"
    assert await drain(graph(tries(ConnectionError(), 2), retry_policy=SOON).compile(), {}) == [
        {"node": {"log": ["done"]}}
    ]


@pytest.mark.parametrize("keeps", [False, True])
async def test_within_a_task_that_begins_again_those_tasks_do_that_are_not_finished(
    drain: Any, keeps: bool
) -> None:
    inner = StateGraph(Log).add_sequence(
        [("before", lambda state: {"log": ["before"]}), ("node", tries(ConnectionError(), 1))]
    )
    inner.add_edge(START, "before")
    outer = graph(inner.compile(), retry_policy=SOON)
    built = outer.compile(checkpointer=InMemorySaver() if keeps else None)
    config = {"configurable": {"thread_id": "t"}} if keeps else None
    chunks = await drain(built, {}, config=config, stream_mode=[RETRIES, "tasks"], subgraphs=True)
    again = [chunk["name"] for _, mode, chunk in chunks if mode == RETRIES]
    assert again == (["node", "node"] if keeps else ["node", "before", "node"])
    namespaces = {ns for ns, mode, _ in chunks if mode == RETRIES}
    assert len(namespaces) == 2
    ids = {chunk["id"] for _, mode, chunk in chunks if mode == "tasks"}
    assert {chunk["id"] for _, mode, chunk in chunks if mode == RETRIES} <= ids
