"""LangGraph's channels as annotations of state keys: what they do there they do here, and others are refused.

About `runtime/graphwire_runtime/plan/annotations.py` and `runtime/graphwire_runtime/plan/channels.py`.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any

import pytest
from langgraph.channels import (
    AnyValue,
    BinaryOperatorAggregate,
    DeltaChannel,
    EphemeralValue,
    LastValue,
    NamedBarrierValue,
    Topic,
    UntrackedValue,
)
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import NotRequired, TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")

MODES = ["values", "updates", "checkpoints"]
WHERE: Any = {"configurable": {"thread_id": "t"}}


class Odd(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]
    last: Annotated[int, LastValue]
    any: Annotated[int, AnyValue(int)]
    once: Annotated[int, EphemeralValue]
    once_of: NotRequired[Annotated[int, EphemeralValue(int, guard=False)]]
    secret: Annotated[Any, UntrackedValue]
    secret_of: Annotated[int, UntrackedValue(int, guard=False)]
    topic: Annotated[list[int], Topic(int)]
    topics: Annotated[list[int], Topic(int, accumulate=True)]
    total: Annotated[int, BinaryOperatorAggregate(int, operator.add)]


ALL = {
    "last": 1, "any": 2, "once": 3, "once_of": 4, "secret": 5, "secret_of": 6, "topic": 7, "topics": [8],
    "total": 9,
}  # fmt: skip


def sees(name: str, update: dict[str, Any]) -> Any:
    def node(state: Any) -> Any:
        seen = {key: value for key, value in state.items() if key != "log"}
        return {"log": [(name, seen)], **update}

    return node


def chain(lg: Any, saver: Any = None, **kwargs: Any) -> Any:
    graph = lg.StateGraph(Odd)
    graph.add_node("one", sees("one", {}))
    graph.add_node("two", sees("two", ALL))
    graph.add_node("left", sees("left", {"any": 1, "once_of": 1, "secret_of": 1, "topic": 1, "total": 1}))
    graph.add_node(
        "right", sees("right", {"any": 2, "once_of": 2, "secret_of": 2, "topic": [2], "topics": 2})
    )
    graph.add_node("end", sees("end", {}))
    graph.add_edge(lg.START, "one").add_edge("one", "two")

    def route(state: Any) -> Any:
        lg.get_stream_writer()(sorted(state))
        return ["left", "right"]

    graph.add_conditional_edges("two", route, ["left", "right"])
    graph.add_edge(["left", "right"], "end")
    return graph.compile(checkpointer=saver, **kwargs)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("stop", ["two", "left", "end"])
async def test_a_graph_with_such_keys_takes_the_same_steps(how: str, stop: str) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        view, graph = View(), chain(lg, InMemorySaver(), interrupt_before=[stop])
        kwargs: Any = {"stream_mode": [*MODES, "custom"], "config": WHERE}
        first, error = await recorded(graph, {**ALL, "log": []}, how, alike=True, **kwargs)
        stopped = view(graph.get_state(WHERE))
        second, other = await recorded(graph, None, how, alike=True, **kwargs)
        again, last = await recorded(graph, {"once": 5}, how, alike=True, **kwargs)
        chunks = [sorted(map(repr, part)) for part in (first, second, again)]
        seen.append((chunks, error, other, last, stopped, view(list(graph.get_state_history(WHERE)))))
    for mine, yours in zip(*seen, strict=True):
        assert mine == yours


@pytest.mark.parametrize("key", ["last", "once", "secret"])
def test_such_a_key_takes_one_value_per_superstep(key: str) -> None:
    for lg in (OURS, THEIRS):
        graph = lg.StateGraph(Odd)
        for name in ("a", "b"):
            graph.add_node(name, lambda state: {key: 1}).add_edge(lg.START, name)
        with pytest.raises(lg.InvalidUpdateError):
            graph.compile().invoke({"log": []})


@pytest.mark.parametrize("lg", [OURS, THEIRS], ids=["ours", "theirs"])
def test_what_is_untracked_is_stored_nowhere(lg: Any) -> None:
    saver = InMemorySaver()
    graph = lg.StateGraph(Odd)
    graph.add_node("one", lambda state: {"secret": "hidden"})
    graph.add_node("two", lambda arg: {"log": [arg["secret"], lg.interrupt("?")]})
    graph.add_node("three", lambda state: {"secret": "hidden too", "log": ["three"]})
    graph.add_edge(lg.START, "one").add_edge("one", "three")
    graph.add_conditional_edges("one", lambda state: [lg.Send("two", dict(state))], ["two"])
    graph.compile(checkpointer=saver).invoke({"log": [], "secret": "given"}, WHERE)
    stored = str([*saver.blobs.values(), *saver.writes.values(), saver.storage])
    assert "three" in stored
    assert "hidden" not in stored
    start = [each for each in saver.list(WHERE) if each.metadata["step"] == -1]
    assert [each.checkpoint["channel_values"]["__start__"]["secret"] for each in start] == ["given"]


@pytest.mark.parametrize(
    "channel", [DeltaChannel(operator.add), NamedBarrierValue(str, {"a"}), BinaryOperatorAggregate]
)
def test_another_channel_is_refused_by_name(channel: Any) -> None:
    with pytest.raises(TypeError, match=r"'odd' is annotated with the channel \w+, .* UntrackedValue"):
        OURS.StateGraph(TypedDict("S", {"odd": Annotated[list, channel]}))  # type: ignore[operator]


def test_a_channel_of_ones_own_is_refused() -> None:
    class Mine(UntrackedValue):  # type: ignore[type-arg]
        pass

    with pytest.raises(TypeError, match="channel Mine"):
        OURS.StateGraph(TypedDict("S", {"odd": Annotated[int, Mine]}))  # type: ignore[operator]


def test_a_channel_wins_over_a_plain_key_of_another_schema() -> None:
    class Plain(TypedDict):
        secret: int
        other: int

    for lg in (OURS, THEIRS):
        saver = InMemorySaver()
        graph = lg.StateGraph(Odd, input_schema=Plain)
        graph.add_node("one", lambda state: {"secret": 1}).add_edge(lg.START, "one")
        graph.compile(checkpointer=saver).invoke({"other": 1}, WHERE)
        assert "secret" not in saver.get(WHERE)["channel_values"]
