"""Timeouts of nodes, and error handlers that run in place of failed nodes, compared with LangGraph.

About `runtime/graphwire_runtime/drive/timeout.py`, `runtime/graphwire_runtime/errors.py` and
`runtime/graphwire_runtime/step/context.py`.

Long because limits of time and of retries are tried for each way in which a node can run.
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
from langchain_core.tracers import BaseTracer
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, in_any_order, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]


class Log(TypedDict, total=False):
    number: int
    log: Annotated[list[Any], operator.add]


def writes(word: Any) -> Callable[[Any], Any]:
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
    graph = lg.StateGraph(Log).add_node("first", writes("first")).add_edge(lg.START, "first")
    graph.add_node("many", fails_at_one, error_handler=writes("caught")).add_node("z", writes("z"))
    return graph.add_conditional_edges(
        "first", lambda state: [*(lg.Send("many", {"number": n}) for n in range(3)), "z"]
    )


SOON = {"retry_on": ValueError, "initial_interval": 0, "jitter": False}

CASES: dict[str, Callable[[Any], Any]] = {
    "a handler that names what runs next": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": reports(lg)})
    ).add_node("next", writes("next")),
    "a handler after which no edge is followed": lambda lg: (
        fan(lg, ("bad", fails, {"error_handler": writes("caught")}))
        .add_node("next", writes("next"))
        .add_edge("bad", "next")
    ),
    "a handler for tries that have all failed": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": writes("caught"), "retry_policy": lg.RetryPolicy(**SOON)})
    ),
    "a handler that fails": lambda lg: fan(lg, ("bad", fails, {"error_handler": fails})),
    "a handler that returns nothing": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": lambda state: None})
    ),
    "a handler that is async": lambda lg: fan(lg, ("bad", fails, {"error_handler": reports_late})),
    "a handler that is not needed": lambda lg: fan(
        lg, ("good", writes("x"), {"error_handler": writes("caught")})
    ),
    "a handler of a node that asks": lambda lg: fan(
        lg, ("asks", lambda state: lg.interrupt("?"), {"error_handler": writes("caught")})
    ),
    "a handler that asks": lambda lg: fan(lg, ("bad", fails, {"error_handler": asks(lg)})),
    "a handler of a router that fails": lambda lg: fan(
        lg, ("good", writes("x"), {"error_handler": writes("caught")})
    ).add_conditional_edges("good", fails),
    "a handler of a router that fails beside an edge": lambda lg: (
        fan(lg, ("good", writes("x"), {"error_handler": writes("caught")}))
        .add_node("next", writes("next"))
        .add_edge("good", "next")
        .add_conditional_edges("good", fails)
    ),
    "a handler of a router that fails after a jump": lambda lg: (
        fan(lg, ("good", jumps(lg), {"error_handler": writes("caught")}))
        .add_node("next", writes("next"))
        .add_conditional_edges("good", fails)
    ),
    "a handler of a graph inside": lambda lg: fan(
        lg, ("outer", fan(lg, ("inner", fails, {})).compile(), {"error_handler": writes("caught")})
    ),
    "handlers of sent tasks": sends,
    "a handler for all": lambda lg: fan(lg, ("bad", fails, {})).set_node_defaults(
        error_handler=writes("caught")
    ),
    "a handler of one's own before the one for all": lambda lg: fan(
        lg, ("bad", fails, {"error_handler": writes("own")})
    ).set_node_defaults(error_handler=writes("all")),
    "retries for all": lambda lg: fan(lg, ("bad", once(), {})).set_node_defaults(
        retry_policy=lg.RetryPolicy(**SOON)
    ),
    "a join that a failed node does not arrive at": lambda lg: (
        fan(lg, ("bad", fails, {"error_handler": writes("caught")}), ("good", writes("good"), {}))
        .add_node("next", writes("next"))
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


def once(after: threading.Event | None = None) -> Callable[[Any], Any]:
    """Fails the first time, when what it is to be `after` has come."""
    left = [1]

    def node(state: Any) -> Any:
        if left:
            left.pop()
            assert after is None or after.wait(10)
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
        # LangGraph's snapshots also show what a node wrote if its router failed
        kept = saver and case not in FAILING_ROUTERS
        history = [View()(state) for state in graph.get_state_history(config)] if kept else []
        seen.append((chunks, error, history))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("names", [("a", "b", "c"), ("A", "b", "c")])
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_what_a_handler_writes_counts_in_the_order_of_its_node(names: tuple[str, ...], bad: int) -> None:
    values = []
    for lg in (OURS, THEIRS):
        nodes: list[tuple[str, Any, dict[str, Any]]] = [(name, writes(name), {}) for name in names]
        nodes[bad] = (names[bad], fails, {"error_handler": writes("caught")})
        values.append(fan(lg, *nodes).compile().invoke({"number": 1}))
    assert values[0] == values[1]


def asking(lg: Any) -> Any:
    return lambda state: {"log": [lg.interrupt("?")]}


class Watched(InMemorySaver):
    """Says when it keeps what the node `good` has written."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = threading.Event()

    def put_writes(self, config: Any, writes: Any, task_id: str, task_path: str = "") -> None:
        super().put_writes(config, writes, task_id, task_path)
        if ("log", ["good"]) in writes:
            self.kept.set()


LEFT: dict[str, Callable[[Any, threading.Event], Any]] = {
    "beside a question": lambda lg, kept: fan(
        lg, ("bad", fails, {"error_handler": reports(lg)}), ("asks", asking(lg), {})
    ).add_node("next", writes("next")),
    "for a question of its handler": lambda lg, kept: fan(lg, ("bad", fails, {"error_handler": asks(lg)})),
    "by a failure of its handler": lambda lg, kept: fan(
        lg, ("bad", fails, {"error_handler": once(kept)}), ("good", writes("good"), {})
    ),
    "with a graph inside": lambda lg, kept: fan(
        lg,
        ("outer", fan(lg, ("inner", fails, {})).compile(), {"error_handler": writes("caught")}),
        ("asks", asking(lg), {}),
    ),
    "after it was sent": lambda lg, kept: (
        lg.StateGraph(Log)
        .add_node("bad", fails, error_handler=writes("caught"))
        .add_node("asks", asking(lg))
        .add_conditional_edges(lg.START, lambda state: [lg.Send("bad", {"number": 2}), "asks"])
    ),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("case", LEFT.values(), ids=LEFT)
async def test_a_handled_node_does_not_run_again_when_its_thread_is_resumed(case: Any, how: str) -> None:
    seen: list[Any] = []
    for lg in (OURS, THEIRS):
        saver = Watched()
        graph = case(lg, saver.kept).compile(checkpointer=saver)
        config: Any = {"configurable": {"thread_id": "t"}}
        story: list[Any] = []
        for value in ({"number": 1}, lg.Command(resume="yes")):
            chunks, error = await recorded(
                graph, value, how, alike=True, stream_mode=MODES, subgraphs=True, config=config
            )
            # what is still shown of other nodes after a failure depends on which was first
            story.append((in_any_order(chunks) if error is None else None, error))
            story.append(View(alike=True)(graph.get_state(config)) if error is None else None)
        seen.append(story)
    assert seen[0] == seen[1]
    assert seen[0][-1][1]["next"] == ()


def test_a_handler_that_runs_again_gets_the_repr_of_the_error() -> None:
    observed: list[NodeError] = []

    def handler(state: Log, error: NodeError) -> Log:
        observed.append(error)
        return {"log": [error.node]}

    built = fan(OURS, ("bad", fails, {"error_handler": handler}), ("asks", asking(OURS), {}))
    graph, config = built.compile(checkpointer=InMemorySaver()), {"configurable": {"thread_id": "t"}}
    graph.invoke({}, config)
    assert graph.invoke(OURS.Command(resume="yes"), config)["log"] == ["yes", "bad"]
    assert [type(each.error) for each in observed] == [ValueError, RuntimeError]
    assert str(observed[1].error) == repr(observed[0].error)


@pytest.mark.parametrize("error", [KeyboardInterrupt, GraphBubbleUp])
def test_only_failures_of_nodes_are_handled(error: type[BaseException]) -> None:
    def leaves(state: Log) -> Log:
        raise error

    graph = fan(OURS, ("bad", leaves, {"error_handler": writes("caught")})).compile()
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


def test_a_node_that_failed_without_a_handler_runs_again_although_it_has_one_now() -> None:
    saver, config = InMemorySaver(), {"configurable": {"thread_id": "t"}}
    with pytest.raises(ValueError, match="broken"):
        fan(OURS, ("bad", fails, {})).compile(checkpointer=saver).invoke({}, config)
    later = fan(OURS, ("bad", writes("mended"), {"error_handler": writes("caught")})).compile(
        checkpointer=saver
    )
    assert later.invoke(None, config)["log"] == ["mended"]


def test_a_failed_node_runs_again_from_an_older_checkpoint() -> None:
    built = fan(OURS, ("bad", once(), {"error_handler": writes("caught")}), ("asks", asking(OURS), {}))
    graph, config = built.compile(checkpointer=InMemorySaver()), {"configurable": {"thread_id": "t"}}
    graph.invoke({}, config)
    before = graph.get_state(config).config
    assert graph.invoke(OURS.Command(resume="yes"), config)["log"] == ["yes", "caught"]
    graph.invoke(None, before)
    assert graph.invoke(OURS.Command(resume="no"), config)["log"] == ["no", "at last"]


def test_default_retries_apply_to_handlers_too() -> None:
    graph = fan(OURS, ("bad", fails, {"error_handler": once()}))
    graph.set_node_defaults(retry_policy=RetryPolicy(max_attempts=2, **SOON))
    assert graph.compile().invoke({})["log"] == ["at last"]


@pytest.mark.parametrize(("handler", "error"), [(stays, NodeTimeoutError), (writes("caught"), None)])
async def test_a_default_timeout_applies_to_async_handlers(handler: Any, error: Any) -> None:
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
        graph = fan(lg, ("long", stays, {}), ("short", writes("short"), {})).compile()
        graph.step_timeout = 0.1
        seen.append(
            await recorded(graph, {"number": 1}, "astream", stream_mode=["values", "updates", "tasks"])
        )
    assert seen[0] == seen[1]
    assert seen[0][1] == "TimeoutError"


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "side by side"])
def test_a_blocking_superstep_that_took_too_long_ends_the_run_when_it_ends(beside: bool) -> None:
    proceed = threading.Event()

    def blocks(state: Any) -> Any:
        assert proceed.wait(10)
        return {"log": ["blocked"]}

    nodes: list[Any] = [("long", blocks, {}), ("short", writes("short"), {})][: 1 + beside]
    graph = fan(OURS, *nodes).compile()
    graph.step_timeout = 0.05
    timer = threading.Timer(0.3, proceed.set)
    timer.start()
    seen: list[Any] = []
    with pytest.raises(TimeoutError, match=r"superstep 1 .* may take 0\.05 seconds"):
        seen.extend(graph.stream({"number": 1}))
    timer.join()
    assert seen == [{"short": {"log": ["short"]}}][: int(beside)]


async def test_a_superstep_within_its_timeout_is_not_affected(drain: Any) -> None:
    graph = fan(OURS, ("one", writes("one"), {})).compile()
    graph.step_timeout = 60
    assert await drain(graph, {}) == [{"one": {"log": ["one"]}}]


async def test_each_superstep_has_its_own_time(
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
    built = fan(OURS, ("one", writes("one"), {})).add_node("next", next_one).add_edge("one", "next")
    graph = built.compile()
    graph.step_timeout = 900
    assert await graph.ainvoke({}) == {"log": ["one", [True, False]]}
    assert [timer.cancelled() for timer in begun] == [True, True]


def policy(lg: Any, **kwargs: Any) -> Any:
    return lg.TimeoutPolicy(**kwargs)


async def observed(lg: Any, node: Any, **limits: Any) -> Any:
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
    ours, theirs = await observed(OURS, node, **limits), await observed(THEIRS, node, **limits)
    assert ours == theirs
    assert ours[1] == error


async def test_only_a_heartbeat_counts_if_the_policy_demands_it() -> None:
    chunks, error = await observed(OURS, writes_for_long, idle_timeout=0.12, refresh_on="heartbeat")
    assert error == "NodeTimeoutError"
    assert 1 <= len([chunk for mode, chunk in chunks if mode == "custom"]) < 6


async def test_tokens_and_graphs_inside_are_progress(speaker: Any) -> None:
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


async def test_the_error_names_the_limit() -> None:
    graph = fan(OURS, ("node", stays, {"timeout": TimeoutPolicy(idle_timeout=0.05, run_timeout=9)})).compile()
    with pytest.raises(NodeTimeoutError, match=r"'node' may be idle for 0\.05 seconds") as caught:
        await graph.ainvoke({})
    error = caught.value
    assert (error.node, error.kind, error.timeout) == ("node", "idle", 0.05)
    assert (error.idle_timeout, error.run_timeout) == (0.05, 9)
    assert error.elapsed >= 0.05


async def test_a_timeout_is_retried_and_then_handled(drain: Any) -> None:
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
def test_wrong_limits_are_refused(timeout: Any, error: str) -> None:
    with pytest.raises(ValueError, match=error):
        StateGraph(Log).add_node("node", stays, timeout=timeout)
    with pytest.raises(TypeError, match="a number of seconds"):
        StateGraph(Log).add_node("node", stays, timeout="5")  # type: ignore[arg-type]


def test_a_default_timeout_is_for_async_nodes() -> None:
    graph = fan(OURS, ("node", writes("x"), {})).set_node_defaults(timeout=1)
    with pytest.raises(ValueError, match="is not async"):
        graph.compile()


# ---- other settings of nodes


async def test_debug_prints_updates_and_values(drain: Any, capsys: pytest.CaptureFixture[str]) -> None:
    printed = []
    for lg in (OURS, THEIRS):
        graph = fan(lg, ("node", writes("x"), {})).compile(debug=True)
        await drain(graph, {"number": 1})
        await drain(graph, {"number": 1}, debug=False)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].count("[updates]") == 2  # LangGraph, too, prints what was compiled to print


class Recording(BaseTracer):
    """Keeps what a tracer is given of chains."""

    def __init__(self, observed: list[Any]) -> None:
        super().__init__()
        self.observed = observed

    def _persist_run(self, run: Any) -> None:
        pass

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.observed.append(inputs)

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:  # type: ignore[override]
        self.observed.append(outputs)


class Hearing(BaseCallbackHandler):
    """Keeps what a handler that is no tracer is given of chains."""

    def __init__(self) -> None:
        self.observed: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, **kwargs: Any) -> None:
        self.observed.append(inputs)

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        self.observed.append(outputs)


@pytest.mark.parametrize("lg", [OURS, THEIRS], ids=["ours", "theirs"])
async def test_tracers_see_what_the_trace_policy_lets_through(drain: Any, lg: Any) -> None:
    observed: list[Any] = []
    other = Hearing()
    quiet = lg.TracePolicy(process_inputs=lambda value: "input", process_outputs=lambda value: "output")
    graph = fan(lg, ("node", writes("x"), {"trace_policy": quiet})).compile()
    chunks = await drain(graph, {"number": 1}, config={"callbacks": [Recording(observed), other]})
    assert chunks == [{"node": {"log": ["x"]}}]
    assert observed[1:3] == ["input", "output"]
    assert other.observed[1]["number"] == 1
    assert other.observed[2] == {"log": ["x"]}


@pytest.mark.parametrize("lg", [OURS, THEIRS], ids=["ours", "theirs"])
async def test_a_stream_of_events_shows_what_the_trace_policy_hides_from_tracers(lg: Any) -> None:
    quiet = lg.TracePolicy(process_inputs=lambda value: "input", process_outputs=lambda value: "output")
    graph = fan(lg, ("node", writes("x"), {"trace_policy": quiet})).compile()
    seen = [
        each async for each in graph.astream_events({"number": 1}, version="v2") if each["name"] == "node"
    ]
    assert [(each["event"], {**each["data"], "input": None}) for each in seen] == [
        ("on_chain_start", {"input": None}),
        ("on_chain_stream", {"input": None, "chunk": {"log": ["x"]}}),
        ("on_chain_end", {"input": None, "output": {"log": ["x"]}}),
    ]
    assert seen[0]["data"]["input"]["number"] == 1


async def test_a_trace_policy_that_raises_fails_no_run_and_shows_nothing(drain: Any) -> None:
    observed: list[Any] = []
    broken = TracePolicy(process_inputs=lambda value: value["no"], process_outputs=lambda value: 1 / 0)
    graph = fan(OURS, ("node", writes("x"), {"trace_policy": broken})).compile()
    config = {"callbacks": [Recording(observed)]}
    assert await drain(graph, {"number": 1}, config=config) == [{"node": {"log": ["x"]}}]
    assert observed[1:3] == [
        {"error": "the trace policy of node 'node' raised KeyError"},
        {"error": "the trace policy of node 'node' raised ZeroDivisionError"},
    ]


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
def test_outside_a_node_there_is_no_runtime(function: str) -> None:
    with pytest.raises(RuntimeError, match=rf"{function}\(\) was called where no node is running"):
        getattr(OURS, function)()
