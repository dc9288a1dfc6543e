"""A Send with a timeout of its own, and a dict as a node, beside the same of LangGraph's.

About `runtime/graphwire_runtime/step/prepare.py`, `runtime/graphwire_runtime/step/writes.py` and
`runtime/graphwire_runtime/plan/call.py`.
"""

from __future__ import annotations

import asyncio
import operator
import sys
from datetime import timedelta
from typing import Annotated, Any

import graphwire_runtime
import langgraph.types
import pytest
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, in_any_order, recorded

pytestmark = pytest.mark.filterwarnings("default")

WORDS = {"ours": graphwire_runtime, "theirs": langgraph.types}
ASYNC_HOWS = [how for how in HOWS if how != "stream"]
THREAD = {"configurable": {"thread_id": "1"}}


class Pad(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


async def waits(state: Any) -> Any:
    await asyncio.sleep(state["for"])
    return {"log": [state["for"]]}


def sending(lib: Any, *sends: Any, node: Any = waits, by: str = "router", **given: Any) -> Any:
    graph = lib.StateGraph(Pad).add_node("waits", node, **given)
    if by == "router":
        graph.add_conditional_edges("__start__", lambda state: [*sends])
    else:
        command = (langgraph.types if lib is THEIRS else graphwire_runtime).Command(goto=[*sends])
        graph.add_node("first", lambda state: command).add_edge("__start__", "first")
    return graph.compile(InMemorySaver())


@pytest.mark.parametrize("how", ASYNC_HOWS)
@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("by", ["router", "command"])
@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"timeout": 0.02}, "NodeTimeoutError"),
        ({"timeout": timedelta(milliseconds=20)}, "NodeTimeoutError"),
        ({"timeout": {"idle_timeout": 0.02}}, "NodeTimeoutError"),
        ({"timeout": 60}, None),
        ({}, None),
    ],
)
async def test_a_send_limits_its_own_task(given: Any, error: Any, by: str, words: str, how: str) -> None:
    def build(lib: Any) -> Any:
        made = WORDS["theirs" if lib is THEIRS else words]
        limits = given.get("timeout")
        policy = made.TimeoutPolicy(**limits) if isinstance(limits, dict) else limits
        arguments = {"timeout": policy} if given else {}
        sends = [
            made.Send("waits", {"for": 0.0}),
            made.Send("waits", {"for": 5.0 if error else 0.01}, **arguments),
        ]
        return sending(lib, *sends, by=by)

    ours, theirs = [
        await recorded(build(lib), {}, how, config=THREAD, stream_mode=["tasks", "values"], alike=True)
        for lib in (OURS, THEIRS)
    ]
    assert ours[1] == theirs[1] == error
    assert in_any_order(ours[0]) == in_any_order(theirs[0])


@pytest.mark.parametrize("how", ASYNC_HOWS)
async def test_the_timeout_of_a_send_counts_in_place_of_that_of_its_node(how: str) -> None:
    for lib, words in ((OURS, graphwire_runtime), (THEIRS, langgraph.types)):
        send = words.Send("waits", {"for": 0.05}, timeout=60)
        assert (await recorded(sending(lib, send, timeout=0.01), {}, how, config=THREAD))[1] is None


@pytest.mark.parametrize("node", [waits, RunnableLambda(lambda state: {"log": [1]}), lambda state: {}])
def test_a_blocking_run_cannot_keep_a_timeout(node: Any) -> None:
    for lib, words in ((OURS, graphwire_runtime), (THEIRS, langgraph.types)):
        graph = sending(lib, words.Send("waits", {"for": 0}, timeout=60), node=node)
        with pytest.raises(ValueError, match=r"timeout"):
            graph.invoke({}, THREAD)


@pytest.mark.parametrize("timeout", [0, -1, "long"])
async def test_a_wrong_timeout_of_a_send_is_refused(timeout: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="run_timeout must be"):
        await sending(OURS, OURS.Send("waits", {"for": 0}, timeout=timeout)).ainvoke({}, THREAD)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's nodes lose their context there")
@pytest.mark.parametrize(("first", "then"), [(OURS, OURS), (OURS, THEIRS), (THEIRS, OURS)])
async def test_a_thread_keeps_the_timeouts_of_its_sends_for_either_library(first: Any, then: Any) -> None:
    """The thread stops before the node, and goes on in the other library."""
    saver = InMemorySaver()

    def build(lib: Any) -> Any:
        words = langgraph.types if lib is THEIRS else graphwire_runtime
        graph = lib.StateGraph(Pad).add_node("waits", waits).add_node("first", lambda state: {})
        graph.add_edge("__start__", "first")
        policy = words.TimeoutPolicy(run_timeout=0.02, idle_timeout=9)
        graph.add_conditional_edges("first", lambda state: [words.Send("waits", {"for": 5}, timeout=policy)])
        return graph.compile(saver, interrupt_before=["waits"])

    await build(first).ainvoke({}, THREAD)
    with pytest.raises((graphwire_runtime.NodeTimeoutError, THEIRS.NodeTimeoutError)):
        await build(then).ainvoke(None, THREAD)


async def test_a_cached_send_keeps_its_timeout() -> None:
    def route(state: Any) -> Any:
        return OURS.Command(goto=OURS.Send("waits", {"for": 5}, timeout=0.02))

    cache = InMemoryCache()
    for _ in range(2):
        graph = OURS.StateGraph(Pad).add_node("waits", waits).add_edge("__start__", "route")
        graph.add_node("route", route, cache_policy=OURS.CachePolicy())
        with pytest.raises(OURS.NodeTimeoutError):
            await graph.compile(cache=cache).ainvoke({})


# ── a dict as a node ─────────────────────────────────────────────────────────────────────────────


class Pair(TypedDict, total=False):
    a: int
    left: int
    right: int


PARTS = {"left": lambda state: state["a"] + 1, "right": RunnableLambda(lambda state: state["a"] + 2)}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ["named", None])
async def test_a_dict_is_a_node_as_in_langgraph(name: str | None, how: str) -> None:
    def build(lib: Any) -> Any:
        graph = lib.StateGraph(Pair)
        graph.add_node(*([PARTS] if name is None else [name, PARTS]))
        return graph.add_edge("__start__", name or "dict").compile()

    runs = [
        await recorded(build(lib), {"a": 1}, how, stream_mode=["updates", "tasks"]) for lib in (OURS, THEIRS)
    ]
    assert runs[0] == runs[1]
    assert build(OURS).invoke({"a": 1}) == {"a": 1, "left": 2, "right": 3}
    assert isinstance(build(OURS).get_graph().nodes[name or "dict"].data, RunnableParallel)
