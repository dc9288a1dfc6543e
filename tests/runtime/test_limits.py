"""Timeouts of nodes, and error handlers that run in place of failed nodes, compared with LangGraph.

About `runtime/graphwire_runtime/drive/timeout.py`, `runtime/graphwire_runtime/errors.py` and
`runtime/graphwire_runtime/step/context.py`.
"""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Annotated, Any

import pytest
from graphwire_runtime import (
    START,
    NodeError,
    NodeTimeoutError,
    RetryPolicy,
    Runtime,
    StateGraph,
    TimeoutPolicy,
    TracePolicy,
)
from graphwire_runtime.errors import GraphBubbleUp
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, in_any_order, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]


class Log(TypedDict, total=False):
    number: int
    log: Annotated[list[Any], operator.add]


def says(word: Any) -> Callable[[Any], Any]:
    return lambda state: {"log": [word]}


async def stays(state: Any) -> Any:
    await asyncio.Event().wait()


def fails(state: Any) -> Any:
    raise ValueError("broken")


def fan(lg: Any, *nodes: tuple[str, Any, dict[str, Any]]) -> Any:
    graph = lg.StateGraph(Log)
    for name, action, kwargs in nodes:
        graph.add_node(name, action, **kwargs).add_edge(lg.START, name)
    return graph


def reports(lg: Any) -> Callable[..., Any]:
    def report(state: Any, error: Any) -> Any:
        return lg.Command(update={"log": [error.node, str(error.error)]}, goto="next")

    report.__annotations__["error"] = lg.NodeError
    return report


def asks(lg: Any) -> Callable[..., Any]:
    def ask(state: Any, error: Any) -> Any:
        return {"log": [lg.interrupt("what now?")]}

    ask.__annotations__["error"] = lg.NodeError
    return ask


async def reports_late(state: Any) -> Any:
    await asyncio.sleep(0)
    return {"log": ["late"]}


def jumps(lg: Any) -> Any:
    return lambda state: lg.Command(update={"log": ["x"]}, goto=["next", lg.Send("next", {})])


def fails_at_one(state: Any) -> Any:
    return fails(state) if state["number"] == 1 else {"log": [state["number"]]}


def sends(lg: Any) -> Any:
    graph = lg.StateGraph(Log).add_node("first", says("first")).add_edge(lg.START, "first")
    graph.add_node("many", fails_at_one, error_handler=says("caught")).add_node("z", says("z"))
    return graph.add_conditional_edges(
        "first", lambda state: [*(lg.Send("many", {"number": n}) for n in range(3)), "z"]
    )


SOON = {"retry_on": ValueError, "initial_interval": 0, "jitter": False}

CASES: dict[str, Callable[[Any], Any]] = {
    "a handler that says where to go on": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": reports(lg)})
    ).add_node("next", says("next")),
    "a handler after which no edge is followed": lambda lg: (
        fan(lg, ("bad", fails, {"error_handler": says("caught")}))
        .add_node("next", says("next"))
        .add_edge("bad", "next")
    ),
    "a handler for tries that have all failed": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": says("caught"), "retry_policy": lg.RetryPolicy(**SOON)})
    ),
    "a handler that fails": lambda lg: fan(lg, ("bad", fails, {"error_handler": fails})),
    "a handler that returns nothing": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": lambda state: None})
    ),
    "a handler that is async": lambda lg: fan(lg, ("bad", fails, {"error_handler": reports_late})),
    "a handler that nobody needs": lambda lg: fan(lg, ("good", says("x"), {"error_handler": says("caught")})),
    "a handler of a node that asks": lambda lg: fan(
        lg, ("asks", lambda state: lg.interrupt("?"), {"error_handler": says("caught")})
    ),
    "a handler that asks": lambda lg: fan(lg, ("bad", fails, {"error_handler": asks(lg)})),
    "a handler of a router that fails": lambda lg: fan(
        lg, ("good", says("x"), {"error_handler": says("caught")})
    ).add_conditional_edges("good", fails),
    "a handler of a router that fails beside an edge": lambda lg: (
        fan(lg, ("good", says("x"), {"error_handler": says("caught")}))
        .add_node("next", says("next"))
        .add_edge("good", "next")
        .add_conditional_edges("good", fails)
    ),
    "a handler of a router that fails after a jump": lambda lg: (
        fan(lg, ("good", jumps(lg), {"error_handler": says("caught")}))
        .add_node("next", says("next"))
        .add_conditional_edges("good", fails)
    ),
    "a handler of a graph inside": lambda lg: fan(
        lg, ("outer", fan(lg, ("inner", fails, {})).compile(), {"error_handler": says("caught")})
    ),
    "handlers of sent tasks": sends,
    "a handler for all": lambda lg: fan(lg, ("bad", fails, {})).set_node_defaults(
        error_handler=says("caught")
    ),
    "a handler of one's own before the one for all": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": says("own")})
    ).set_node_defaults(error_handler=says("all")),
    "retries for all": lambda lg: fan(lg, ("bad", once(), {})).set_node_defaults(
        retry_policy=lg.RetryPolicy(**SOON)
    ),
    "a join that a failed node does not arrive at": lambda lg: (
        fan(lg, ("bad", fails, {"error_handler": says("caught")}), ("good", says("good"), {}))
        .add_node("next", says("next"))
        .add_edge(["bad", "good"], "next")
    ),
}


FAILING_ROUTERS = [
    case for name, case in CASES.items() if name.startswith("a handler of a router that fails")
]
SIDE_BY_SIDE = [
    CASES["handlers of sent tasks"],
    CASES["a join that a failed node does not arrive at"],
    CASES["a handler of a router that fails after a jump"],
]


def once() -> Callable[[Any], Any]:
    left = [1]

    def node(state: Any) -> Any:
        if left:
            left.pop()
            raise ValueError("not yet")
        return {"log": ["at last"]}

    return node


@pytest.mark.parametrize("saver", [False, True], ids=["", "thread"])
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_a_failure_that_is_handled_streams_the_same(case: Any, how: str, saver: bool) -> None:
    seen: list[Any] = []
    for lg in (OURS, THEIRS):
        graph = case(lg).compile(checkpointer=InMemorySaver() if saver else None)
        config = {"configurable": {"thread_id": "t"}}
        alike = case in SIDE_BY_SIDE
        chunks, error = await recorded(
            graph, {"number": 1}, how, alike=alike, stream_mode=MODES, subgraphs=True, config=config
        )
        chunks = in_any_order(chunks) if alike else chunks
        # LangGraph's snapshots also have what a node wrote whose router failed
        kept = saver and case not in FAILING_ROUTERS
        history = [View()(state) for state in graph.get_state_history(config)] if kept else []
        seen.append((chunks, error, history))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("names", [("a", "b", "c"), ("A", "b", "c")])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_what_a_handler_writes_counts_where_its_node_stands(names: tuple[str, ...], bad: int) -> None:
    values = []
    for lg in (OURS, THEIRS):
        nodes: list[tuple[str, Any, dict[str, Any]]] = [(name, says(name), {}) for name in names]
        nodes[bad] = (names[bad], fails, {"error_handler": says("caught")})
        values.append(fan(lg, *nodes).compile().invoke({"number": 1}))
    assert values[0] == values[1]


def asking(lg: Any) -> Any:
    return lambda state: {"log": [lg.interrupt("?")]}


LEFT: dict[str, Callable[[Any], Any]] = {
    "beside a question": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": reports(lg)}), ("asks", asking(lg), {})
    ).add_node("next", says("next")),
    "for a question of its handler": lambda lg: fan(lg, ("bad", fails, {"error_handler": asks(lg)})),
    "by a failure of its handler": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": once()}), ("good", says("good"), {})
    ),
    "with a graph inside": lambda lg: fan(
        lg,
        ("outer", fan(lg, ("inner", fails, {})).compile(), {"error_handler": says("caught")}),
        ("asks", asking(lg), {}),
    ),
    "after it was sent": lambda lg: (
        lg.StateGraph(Log)
        .add_node("bad", fails, error_handler=says("caught"))
        .add_node("asks", asking(lg))
        .add_conditional_edges(lg.START, lambda state: [lg.Send("bad", {"number": 2}), "asks"])
    ),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", LEFT.values(), ids=LEFT)
async def test_a_node_that_failed_before_its_thread_was_left_is_not_run_again(case: Any, how: str) -> None:
    seen: list[Any] = []
    for lg in (OURS, THEIRS):
        graph = case(lg).compile(checkpointer=InMemorySaver())
        config: Any = {"configurable": {"thread_id": "t"}}
        story: list[Any] = []
        for value in ({"number": 1}, lg.Command(resume="yes")):
            chunks, error = await recorded(
                graph, value, how, alike=True, stream_mode=MODES, subgraphs=True, config=config
            )
            # what is still shown of others when a node fails depends on who was first
            story.append((in_any_order(chunks) if error is None else None, error))
            story.append(View(alike=True)(graph.get_state(config)) if error is None else None)
        seen.append(story)
    assert seen[0] == seen[1]
    assert seen[0][-1][1]["next"] == ()


def test_the_handler_of_a_node_that_failed_before_its_thread_was_left_is_told_how() -> None:
    told: list[NodeError] = []

    def handler(state: Log, error: NodeError) -> Log:
        told.append(error)
        return {"log": [error.node]}

    built = fan(OURS, ("bad", fails, {"error_handler": handler}), ("asks", asking(OURS), {}))
    graph, config = built.compile(checkpointer=InMemorySaver()), {"configurable": {"thread_id": "t"}}
    graph.invoke({}, config)
    assert graph.invoke(OURS.Command(resume="yes"), config)["log"] == ["yes", "bad"]
    assert [type(each.error) for each in told] == [ValueError, RuntimeError]
    assert str(told[1].error) == repr(told[0].error)


@pytest.mark.parametrize("error", [KeyboardInterrupt, GraphBubbleUp])
def test_what_is_no_failure_of_a_node_is_not_handled(error: type[BaseException]) -> None:
    def leaves(state: Log) -> Log:
        raise error

    graph = fan(OURS, ("bad", leaves, {"error_handler": says("caught")})).compile()
    with pytest.raises(error):
        graph.invoke({})


def test_an_error_is_given_to_a_parameter_of_its_type_and_to_no_other_nodes() -> None:
    def handler(state: Log, error: NodeError) -> Log:
        return {"log": [error.node, type(error.error).__name__]}

    def node(state: Log, error: str = "mine") -> Log:
        return {"log": [error]}

    built = fan(OURS, ("bad", fails, {"error_handler": handler}), ("good", node, {}))
    built.add_node("untyped", lambda state, error="mine": {"log": [error]}).add_edge("good", "untyped")
    assert built.compile().invoke({})["log"] == ["bad", "ValueError", "mine", "mine"]


def test_what_failed_without_a_handler_is_run_again_though_it_has_one_now() -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    with pytest.raises(ValueError, match="broken"):
        fan(OURS, ("bad", fails, {})).compile(checkpointer=saver).invoke({}, config)
    later = fan(OURS, ("bad", says("mended"), {"error_handler": says("caught")})).compile(checkpointer=saver)
    assert later.invoke(None, config)["log"] == ["mended"]


def test_who_goes_back_in_time_runs_a_node_again_that_had_failed() -> None:
    built = fan(OURS, ("bad", once(), {"error_handler": says("caught")}), ("asks", asking(OURS), {}))
    graph, config = built.compile(checkpointer=InMemorySaver()), {"configurable": {"thread_id": "t"}}
    graph.invoke({}, config)
    before = graph.get_state(config).config
    assert graph.invoke(OURS.Command(resume="yes"), config)["log"] == ["yes", "caught"]
    graph.invoke(None, before)
    assert graph.invoke(OURS.Command(resume="no"), config)["log"] == ["no", "at last"]


def test_retries_for_all_hold_for_handlers_too() -> None:
    graph = fan(OURS, ("bad", fails, {"error_handler": once()}))
    graph.set_node_defaults(retry_policy=RetryPolicy(max_attempts=2, **SOON))
    assert graph.compile().invoke({})["log"] == ["at last"]


@pytest.mark.parametrize(("handler", "error"), [(stays, NodeTimeoutError), (says("caught"), None)])
async def test_a_timeout_for_all_holds_for_handlers_that_are_async(handler: Any, error: Any) -> None:
    async def breaks(state: Log) -> Log:
        raise ValueError("broken")

    graph = fan(OURS, ("bad", breaks, {"error_handler": handler})).set_node_defaults(timeout=0.05).compile()
    if error is None:
        assert (await graph.ainvoke({}))["log"] == ["caught"]
    else:
        with pytest.raises(error):
            await asyncio.wait_for(graph.ainvoke({}), 10)


async def test_the_time_without_progress_is_counted_from_the_last() -> None:
    beaten = []

    async def beats_then_stays(state: Log, runtime: Runtime) -> Log:
        loop = asyncio.get_running_loop()
        for _ in range(20):
            beaten.append(loop.time())
            runtime.heartbeat()
            await asyncio.sleep(0.01)
        return await stays(state)

    graph = fan(OURS, ("node", beats_then_stays, {"timeout": TimeoutPolicy(idle_timeout=0.3)})).compile()
    with pytest.raises(NodeTimeoutError) as caught:
        await graph.ainvoke({})
    assert caught.value.elapsed <= asyncio.get_running_loop().time() - beaten[-1]


# ---- time


async def test_a_superstep_may_take_only_so_long_and_what_ended_before_is_shown() -> None:
    seen = []
    for lg in (OURS, THEIRS):
        graph = fan(lg, ("long", stays, {}), ("short", says("short"), {})).compile()
        graph.step_timeout = 0.1
        seen.append(
            await recorded(graph, {"number": 1}, "astream", stream_mode=["values", "updates", "tasks"])
        )
    assert seen[0] == seen[1]
    assert seen[0][1] == "TimeoutError"


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "side by side"])
def test_a_blocking_superstep_that_took_too_long_ends_the_run_when_it_ends(beside: bool) -> None:
    go_on = threading.Event()

    def blocks(state: Any) -> Any:
        assert go_on.wait(10)
        return {"log": ["blocked"]}

    nodes: list[Any] = [("long", blocks, {}), ("short", says("short"), {})][: 1 + beside]
    graph = fan(OURS, *nodes).compile()
    graph.step_timeout = 0.05
    timer = threading.Timer(0.3, go_on.set)
    timer.start()
    seen: list[Any] = []
    with pytest.raises(TimeoutError, match=r"superstep 1 .* may take 0\.05 seconds"):
        seen.extend(graph.stream({"number": 1}))
    timer.join()
    assert seen == [{"short": {"log": ["short"]}}][: int(beside)]


async def test_a_superstep_in_time_is_left_alone(drain: Any) -> None:
    graph = fan(OURS, ("one", says("one"), {})).compile()
    graph.step_timeout = 60
    assert await drain(graph, {}) == [{"one": {"log": ["one"]}}]


async def test_the_time_of_a_superstep_that_has_ended_is_not_the_next_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    begun: list[asyncio.TimerHandle] = []

    def call_later(delay: float, *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
        timer = loop.call_at(loop.time() + delay, *args, **kwargs)
        if delay == 900:
            begun.append(timer)
        return timer

    def next_one(state: Any) -> Any:
        return {"log": [[timer.cancelled() for timer in begun]]}

    monkeypatch.setattr(loop, "call_later", call_later)
    built = fan(OURS, ("one", says("one"), {})).add_node("next", next_one).add_edge("one", "next")
    graph = built.compile()
    graph.step_timeout = 900
    assert await graph.ainvoke({}) == {"log": ["one", [True, False]]}
    assert [timer.cancelled() for timer in begun] == [True, True]


def policy(lg: Any, **kwargs: Any) -> Any:
    return lg.TimeoutPolicy(**kwargs)


async def told(lg: Any, node: Any, **limits: Any) -> Any:
    async def named(state: Any, runtime: Any) -> Any:
        return await node(runtime)

    named.__annotations__["runtime"] = lg.Runtime
    graph = fan(lg, ("node", named, {"timeout": lg.TimeoutPolicy(**limits)})).compile()
    return await recorded(graph, {"number": 1}, "astream", stream_mode=["custom", "updates", "tasks"])


async def writes_and_stays(runtime: Any) -> Any:
    runtime.stream_writer("begun")
    await asyncio.Event().wait()


async def writes_for_long(runtime: Any) -> Any:
    for turn in range(6):
        await asyncio.sleep(0.05)
        runtime.stream_writer(turn)
    return {"log": ["done"]}


async def beats_for_long(runtime: Any) -> Any:
    for _ in range(6):
        await asyncio.sleep(0.05)
        runtime.heartbeat()
    return {"log": ["done"]}


@pytest.mark.parametrize(
    ("node", "limits", "error"),
    [
        (writes_and_stays, {"run_timeout": 0.05}, "NodeTimeoutError"),
        (writes_and_stays, {"idle_timeout": 0.05}, "NodeTimeoutError"),
        (
            writes_and_stays,
            {"idle_timeout": timedelta(milliseconds=50), "run_timeout": 60},
            "NodeTimeoutError",
        ),
        (writes_for_long, {"idle_timeout": 0.2}, None),
        (beats_for_long, {"idle_timeout": 0.2}, None),
        (beats_for_long, {"idle_timeout": 0.2, "refresh_on": "heartbeat"}, None),
        (beats_for_long, {"idle_timeout": 0.2, "run_timeout": 0.1}, "NodeTimeoutError"),
    ],
)
async def test_a_node_may_be_slow_or_silent_only_for_so_long(node: Any, limits: Any, error: Any) -> None:
    ours, theirs = await told(OURS, node, **limits), await told(THEIRS, node, **limits)
    assert ours == theirs
    assert ours[1] == error


async def test_only_a_heartbeat_counts_where_that_is_said() -> None:
    chunks, error = await told(OURS, writes_for_long, idle_timeout=0.12, refresh_on="heartbeat")
    assert error == "NodeTimeoutError"
    assert 1 <= len([chunk for mode, chunk in chunks if mode == "custom"]) < 6


async def test_a_model_that_speaks_and_a_graph_that_works_inside_are_progress(speaker: Any) -> None:
    inner_writes = StateGraph(Log)

    async def write(state: Log, runtime: Runtime) -> None:
        for turn in range(4):
            await asyncio.sleep(0.05)
            runtime.stream_writer(turn)

    async def speak(state: Log) -> None:
        for _ in range(4):
            await asyncio.sleep(0.05)
            await speaker().ainvoke("x")

    inner = inner_writes.add_sequence([speak, write]).add_edge(START, "speak").compile()

    async def call(state: Log) -> Any:
        return await inner.ainvoke(state)

    graph = fan(OURS, ("outer", call, {"timeout": TimeoutPolicy(idle_timeout=0.15)})).compile()
    assert await graph.ainvoke({"number": 1}) == {"number": 1, "log": []}


async def test_the_error_says_which_limit_was_met() -> None:
    graph = fan(OURS, ("node", stays, {"timeout": TimeoutPolicy(idle_timeout=0.05, run_timeout=9)})).compile()
    with pytest.raises(NodeTimeoutError, match=r"'node' may be idle for 0\.05 seconds") as caught:
        await graph.ainvoke({})
    error = caught.value
    assert (error.node, error.kind, error.timeout) == ("node", "idle", 0.05)
    assert (error.idle_timeout, error.run_timeout) == (0.05, 9)
    assert error.elapsed >= 0.05


async def test_a_timeout_is_tried_again_and_then_handled(drain: Any) -> None:
    attempts: list[int] = []

    async def slow(state: Log, runtime: Runtime) -> None:
        assert runtime.execution_info is not None
        attempts.append(runtime.execution_info.node_attempt)
        await asyncio.Event().wait()

    def handler(state: Log, error: NodeError) -> Log:
        return {"log": [type(error.error).__name__]}

    graph = StateGraph(Log).set_node_defaults(
        retry_policy=RetryPolicy(max_attempts=2, initial_interval=0, jitter=False), timeout=0.02
    )
    built = graph.add_node("slow", slow, error_handler=handler).add_edge(START, "slow").compile()
    assert (await built.ainvoke({}))["log"] == ["NodeTimeoutError"]
    assert attempts == [1, 2]


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        (0, "run_timeout must be more than 0"),
        (TimeoutPolicy(idle_timeout=-1), "idle_timeout must be more than 0"),
        (TimeoutPolicy(idle_timeout=1, refresh_on="x"), "refresh_on must be"),  # type: ignore[arg-type]
    ],
)
def test_limits_that_are_none_are_refused(timeout: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        StateGraph(Log).add_node("node", stays, timeout=timeout)
    with pytest.raises(TypeError, match="a number of seconds"):
        StateGraph(Log).add_node("node", stays, timeout="5")  # type: ignore[arg-type]


def test_a_timeout_for_all_is_for_async_nodes() -> None:
    graph = fan(OURS, ("node", says("x"), {})).set_node_defaults(timeout=1)
    with pytest.raises(ValueError, match="is not async"):
        graph.compile()


# ---- what else is said of nodes


async def test_debug_prints_updates_and_values(drain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for lg in (OURS, THEIRS):
        graph = fan(lg, ("node", says("x"), {})).compile(debug=True)
        await drain(graph, {"number": 1})
        await drain(graph, {"number": 1}, debug=False)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].count("[updates]") == 2  # LangGraph, too, prints what was compiled to print


async def test_tracers_are_told_what_the_trace_policy_leaves(drain: Any) -> None:
    told: list[Any] = []

    class Tracer(BaseCallbackHandler):
        def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
            told.append(inputs)

        def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
            told.append(outputs)

    quiet = TracePolicy(process_inputs=lambda value: "input", process_outputs=lambda value: "output")
    graph = fan(OURS, ("node", says("x"), {"trace_policy": quiet})).compile()
    chunks = await drain(graph, {"number": 1}, config={"callbacks": [Tracer()]})
    assert chunks == [{"node": {"log": ["x"]}}]
    assert told[1:3] == ["input", "output"]


async def test_a_node_may_ask_where_it_runs(drain: Any) -> None:
    seen: list[Any] = []

    def node(state: Any, runtime: Runtime, config: Any) -> None:
        assert OURS.get_runtime() is runtime
        assert OURS.get_store() is runtime.store
        assert OURS.get_config() == config
        seen.append(runtime.execution_info)

    graph = fan(OURS, ("node", node, {})).compile(checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "t"}}
    await drain(graph, {}, config=config)
    (info,) = seen
    history = list(graph.get_state_history(config))
    assert (info.thread_id, info.node_attempt) == ("t", 1)
    assert (info.checkpoint_id, info.task_id) == (
        history[1].config["configurable"]["checkpoint_id"],
        history[1].tasks[0].id,
    )


@pytest.mark.parametrize("function", ["get_runtime", "get_config", "get_store"])
def test_where_no_node_runs_there_is_nothing_to_ask(function: str) -> None:
    with pytest.raises(RuntimeError, match=rf"{function}\(\) was called where no node is running"):
        getattr(OURS, function)()
