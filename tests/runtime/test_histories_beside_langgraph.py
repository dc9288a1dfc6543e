"""Random histories of nested graphs, here and in LangGraph, and what was found different once, as cases.

About `runtime/graphwire_runtime/thread/replay.py`, `runtime/graphwire_runtime/thread/triggers.py`,
`runtime/graphwire_runtime/drive/start.py`,
`runtime/graphwire_runtime/thread/checkpoints.py` and `runtime/graphwire_runtime/state.py`.
"""

from __future__ import annotations

import random
import sys
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.comparison import OURS, THEIRS
from tests.support.histories import Graph, Node, Note, built, drawn, lived

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's nodes lose their context there"),
]

WHERE: Any = {"configurable": {"thread_id": "t"}}
ONCE_DIFFERENT = (1250, 5412)
BOTH = pytest.mark.parametrize("lg", [OURS, THEIRS], ids=["ours", "theirs"])


@pytest.mark.parametrize("seed", [*range(40), *ONCE_DIFFERENT])
async def test_a_random_history_is_the_same(seed: int) -> None:
    plan = drawn(random.Random(seed))
    ours, theirs = [await lived(lg, plan, InMemorySaver()) for lg in (OURS, THEIRS)]
    for mine, yours in zip(ours, theirs, strict=True):
        assert mine == yours, plan


def asking(lg: Any, kind: str = "sub", keeps: Any = True, *before: Node, **kwargs: Any) -> Any:
    """A graph of one node that is, or calls, a graph that asks two questions one after the other."""
    inner = Graph((Node("one", "ask"), Node("two", "ask")), keeps=keeps)
    return built(lg, Graph((*before, Node("inner", kind, inner=inner)), **kwargs), InMemorySaver())


def asked(graph: Any) -> list[Any]:
    return [each.value for each in graph.get_state(WHERE).interrupts]


def at(graph: Any, *following: str, config: Any = WHERE) -> Any:
    """The config of the first checkpoint at which these nodes run next."""
    return [each.config for each in graph.get_state_history(config) if each.next == following][-1]


def answer(lg: Any, graph: Any, *answers: str) -> None:
    for each in answers:
        graph.invoke(lg.Command(resume=each), WHERE)


@BOTH
@pytest.mark.parametrize("kind", ["sub", "call"])
def test_a_replay_winds_back_a_graph_that_keeps_one_history(lg: Any, kind: str) -> None:
    graph = asking(lg, kind)
    graph.invoke({"text": "a"}, WHERE)
    answer(lg, graph, "1", "2")
    assert asked(graph) == []
    graph.invoke(None, at(graph, "inner"))
    assert asked(graph) == ["one.0"]
    answer(lg, graph, "new", "newer")
    assert graph.get_state(WHERE).values["log"][-1] in ("two:newer", "inner got [['two:newer']]")
    assert "one:1" not in str(graph.get_state(WHERE).values)


@BOTH
def test_a_fork_winds_back_a_graph_that_keeps_one_history_to_its_last_turn(lg: Any) -> None:
    graph = asking(lg)
    for turn in ("a", "b"):
        graph.invoke({"text": turn}, WHERE)
        answer(lg, graph, turn + "1", turn + "2")
    second = next(each.config for each in graph.get_state_history(WHERE) if each.next == ("inner",))
    fork = graph.update_state(second, {"text": "forked"}, as_node="__start__")
    graph.invoke(None, fork)
    below = graph.get_state(WHERE, subgraphs=True).tasks[0].state
    assert below.values["text"] == "forked"
    assert "one:a1" in below.values["log"]
    assert "one:b1" not in below.values["log"]
    assert asked(graph) == ["one.0"]


@BOTH
@pytest.mark.parametrize("keeps", [None, True])
def test_an_answer_at_the_latest_checkpoint_by_its_id_is_no_replay(lg: Any, keeps: Any) -> None:
    graph = asking(lg, "sub", keeps, Node("first", "say"))
    graph.invoke({"text": "a"}, WHERE)
    graph.invoke(lg.Command(resume="1"), graph.get_state(WHERE).config)
    assert asked(graph) == ["two.0"]
    assert len([each for each in graph.get_state_history(WHERE) if each.metadata["source"] == "fork"]) == 0


@BOTH
def test_a_run_from_a_checkpoint_of_the_graph_inside_asks_what_was_asked_there(lg: Any) -> None:
    graph = asking(lg)
    graph.invoke({"text": "a"}, WHERE)
    answer(lg, graph, "1")
    below = {"configurable": {"thread_id": "t", "checkpoint_ns": "inner"}}
    graph.invoke(None, at(graph, "one", config=below))
    assert asked(graph) == ["one.0"]
    assert graph.get_state(WHERE, subgraphs=True).tasks[0].state.metadata["source"] == "fork"


@BOTH
def test_an_edit_that_is_run_from_makes_no_copy(lg: Any) -> None:
    graph = asking(lg, "sub", None, Node("first", "say"))
    graph.invoke({"text": "a"}, WHERE)
    graph.invoke(None, graph.update_state(at(graph, "first"), {"text": "b"}, as_node="first"))
    assert next(iter(graph.get_state_history(WHERE))).metadata["source"] == "update"
    graph.invoke(None, at(graph, "first"))
    assert [each.metadata["source"] for each in graph.get_state_history(WHERE)][:2] == ["loop", "fork"]


@BOTH
def test_two_calls_in_one_node_have_two_histories(lg: Any) -> None:
    inner = Graph((Node("said", "say"),), keeps=True)
    graph = built(lg, Graph((Node("call", "call", 2, inner),)), InMemorySaver())
    for _ in range(2):
        graph.invoke({"text": "a"}, WHERE)
    for namespace in ("call", "call|1"):
        saved = graph.checkpointer.get({"configurable": {"thread_id": "t", "checkpoint_ns": namespace}})
        assert saved["channel_values"]["log"] == ["said", "said"]


@BOTH
def test_a_graph_that_keeps_a_history_does_so_in_one_that_keeps_nothing(lg: Any) -> None:
    inner = Graph((Node("said", "say"),), keeps=True)
    middle = Graph((Node("sub", "sub", inner=inner),), keeps=False)
    graph = built(lg, Graph((Node("middle", "sub", inner=middle),)), InMemorySaver())
    for _ in range(2):
        graph.invoke({"text": "a"}, WHERE)
    saved = graph.checkpointer.get({"configurable": {"thread_id": "t", "checkpoint_ns": "middle|sub"}})
    assert saved["channel_values"]["log"].count("said") > 2


@BOTH
def test_a_replay_from_the_start_stops_at_the_breakpoints_behind_it(lg: Any) -> None:
    graph = built(lg, Graph((Node("said", "say"),), stops=("said",)), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    graph.invoke(None, at(graph, "__start__"))
    assert graph.get_state(WHERE).next == ("said",)


@BOTH
def test_an_edit_before_the_only_node_has_run_is_input(lg: Any) -> None:
    graph = built(lg, Graph((Node("said", "say"),), stops=("said",)), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    graph.update_state(WHERE, {"text": "b"})
    assert graph.get_state(WHERE).next == ("said",)


@BOTH
def test_an_edit_of_the_past_leaves_the_tasks_there_as_they_were(lg: Any) -> None:
    graph = asking(lg, "sub", None, Node("first", "say"))
    graph.invoke({"text": "a"}, WHERE)
    graph.update_state(at(graph, "first"), {"log": ["edit"]}, as_node="first")
    task = graph.get_state(at(graph, "first")).tasks[0]
    assert task.result == {"log": ["first"]}


@BOTH
def test_updates_in_one_superstep_must_say_as_which_node(lg: Any) -> None:
    graph = built(lg, Graph((Node("said", "say"),)), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    for updates in (
        [("said", {"log": ["1"]}), (None, {"log": ["2"]})],
        [(lg.END, None), ("said", None)],
        [("__copy__", None), ("said", None)],
        [("__input__", {"text": "b"}), ("said", None)],
        [("__input__", None)],
    ):
        with pytest.raises(lg.InvalidUpdateError):
            graph.bulk_update_state(WHERE, [[lg.StateUpdate(values, name) for name, values in updates]])
    with pytest.raises(lg.InvalidUpdateError):
        graph.update_state({"configurable": {"thread_id": "empty"}}, None, "__copy__")


@BOTH
def test_an_edit_of_nothing_is_no_result_of_the_last_node(lg: Any) -> None:
    graph = built(lg, Graph((Node("first", "say"), Node("last", "say"))), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    graph.update_state(WHERE, {"log": ["edit"]}, as_node="first")
    before = graph.get_state(WHERE).config
    graph.update_state(WHERE, None, as_node="last")
    assert graph.get_state(before).tasks[0].result is None


@BOTH
def test_a_copy_takes_edits(lg: Any) -> None:
    graph = asking(lg, "sub", None, Node("first", "say"))
    graph.invoke({"text": "a"}, WHERE)
    graph.update_state(at(graph, "first"), [({"log": ["copied"]}, "first")], "__copy__")
    history = list(graph.get_state_history(WHERE))
    assert [each.metadata["source"] for each in history][:2] == ["update", "fork"]
    assert history[0].values["log"] == ["copied"]
    assert history[0].next == ("inner",)
    assert history[1].tasks[0].result == {"log": ["copied"]}


@BOTH
def test_input_that_is_an_edit_comes_before_the_first_step(lg: Any) -> None:
    graph = built(lg, Graph((Node("said", "say"),)), InMemorySaver())
    graph.update_state(WHERE, {"text": "a"}, "__input__")
    snapshot = graph.get_state(WHERE)
    assert (snapshot.metadata["step"], snapshot.next) == (-1, ("__start__",))
    assert graph.invoke(None, WHERE) == {"text": "a", "log": ["said"]}


@BOTH
def test_a_deferred_node_survives_an_edit(lg: Any) -> None:
    graph = lg.StateGraph(Note)
    for name in ("first", "second", "last"):
        graph.add_node(name, lambda state, name=name: {"log": [name]}, defer=name == "last")
    graph.add_edge(lg.START, "first").add_edge("first", "second").add_edge("first", "last")
    compiled = graph.compile(checkpointer=InMemorySaver(), interrupt_before=["last"])
    compiled.invoke({}, WHERE)
    assert compiled.get_state(WHERE).next == ("last",)
    compiled.update_state(WHERE, {"log": ["edited"]}, as_node="second")
    assert compiled.get_state(WHERE).next == ("last",)
    assert compiled.invoke(None, WHERE)["log"][-1] == "last"


@BOTH
@pytest.mark.parametrize("later", [False, True], ids=["latest", "older"])
def test_an_answer_runs_a_finished_node_again_only_at_an_older_checkpoint(lg: Any, later: bool) -> None:
    ran: list[str] = []
    graph = lg.StateGraph(Note)
    graph.add_node("done", lambda state: ran.append("done")).add_edge(lg.START, "done")
    graph.add_node("asks", lambda state: {"log": [lg.interrupt("?")]}).add_edge(lg.START, "asks")
    compiled = graph.compile(checkpointer=InMemorySaver())
    compiled.invoke({"text": "a"}, WHERE)
    before = compiled.get_state(WHERE).config
    if later:
        compiled.update_state(WHERE, {"text": "b"}, as_node="asks")
    compiled.invoke(lg.Command(resume="yes"), before)
    assert ran == (["done", "done"] if later else ["done"])


@BOTH
def test_a_run_from_an_edit_asks_again_what_was_answered_there(lg: Any) -> None:
    graph = built(lg, Graph((Node("first", "say"), Node("twice", "ask", 2))), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    edit = graph.update_state(WHERE, {"log": ["edit"]}, as_node="first")
    graph.invoke(None, edit)
    answer(lg, graph, "1")
    assert asked(graph) == ["twice.1"]
    graph.invoke(None, edit)
    assert asked(graph) == ["twice.0"]


@pytest.mark.parametrize("by", ["edit", "fork"])
def test_an_answer_behind_a_run_from_the_head_is_to_the_question_that_it_asked(by: str) -> None:
    """LangGraph keeps the answer given before, and takes it for this question and this one for the next."""
    inner = Graph((Node("twice", "ask", 2),), keeps=True)
    nodes = (
        Node("first", "say"),
        Node("sub", "sub", inner=inner) if by == "fork" else Node("twice", "ask", 2),
    )
    graph = built(OURS, Graph(nodes), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    if by == "fork":
        graph.invoke(None, at(graph, "sub"))
    else:
        graph.update_state(WHERE, {"log": ["edit"]}, as_node="first")
    answer(OURS, graph, "stale")
    graph.invoke(None, graph.get_state(WHERE).config)
    assert asked(graph) == ["twice.0"]
    answer(OURS, graph, "1")
    assert asked(graph) == ["twice.1"]
    answer(OURS, graph, "2")
    assert graph.get_state(WHERE).values["log"][-2:] == ["twice:1", "twice:2"]


@BOTH
def test_an_edit_of_a_fork_before_any_node_has_run_must_say_as_which(lg: Any) -> None:
    graph = built(lg, Graph((Node("one", "ask"), Node("two", "say"))), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    graph.invoke(None, at(graph, "__start__"))
    fork = next(each for each in graph.get_state_history(WHERE) if each.next == ("__start__",))
    assert fork.metadata["source"] == "fork"
    with pytest.raises(lg.InvalidUpdateError):
        graph.update_state(fork.config, {"log": ["edit"]})
    graph.update_state(fork.config, {"log": ["edit"]}, as_node="one")
    assert graph.get_state(WHERE).next == ("two",)


@BOTH
def test_a_graph_inside_is_wound_back_once_in_a_replay(lg: Any) -> None:
    inner = Graph((Node("said", "say"),), keeps=True)
    graph = built(
        lg, Graph((Node("call", "call", inner=inner), Node("say", "say")), loops=True), InMemorySaver()
    )
    graph.invoke({"text": "a"}, WHERE)
    graph.invoke(None, at(graph, "call"))
    saved = graph.checkpointer.get({"configurable": {"thread_id": "t", "checkpoint_ns": "call"}})
    assert saved["channel_values"]["log"] == ["said", "said"]


@BOTH
def test_an_empty_map_of_answers_answers_nothing(lg: Any) -> None:
    graph = built(lg, Graph((Node("asks", "ask"),)), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    assert "__interrupt__" in graph.invoke(lg.Command(resume={}), WHERE)
    assert asked(graph) == ["asks.0"]


def test_a_command_that_says_nothing_is_refused_on_a_thread_too() -> None:
    graph = built(OURS, Graph((Node("asks", "ask"),)), InMemorySaver())
    graph.invoke({"text": "a"}, WHERE)
    with pytest.raises(OURS.EmptyInputError):
        graph.invoke(OURS.Command(), WHERE)


@pytest.mark.parametrize("how", ["sync", "async"])
@pytest.mark.parametrize("kind", ["sub", "call"])
@pytest.mark.parametrize("keeps", [None, True])
async def test_with_durability_exit_only_unfinished_graphs_inside_are_kept(
    keeps: Any, kind: str, how: str
) -> None:
    seen: list[Any] = []
    for lg in (OURS, THEIRS):
        graph = asking(lg, kind, keeps, Node("before", "sub", inner=Graph((Node("x", "say"),))))
        kept = []
        for value in ({"text": "a"}, lg.Command(resume="1"), lg.Command(resume="2")):
            if how == "sync":
                graph.invoke(value, WHERE, durability="exit")
            else:
                await graph.ainvoke(value, WHERE, durability="exit")
            stored = graph.checkpointer.storage["t"]
            kept.append(
                sorted((name.partition(":")[0], len(saved)) for name, saved in stored.items() if saved)
            )
        seen.append(kept)
    assert seen[0] == seen[1]
    assert "before" not in dict(seen[0][-1])


@BOTH
@pytest.mark.parametrize("returned", [{"log": ["x"], "extra": 1}, {"extra": 1}, None])
def test_a_router_sees_what_its_node_returned_beside_the_state(lg: Any, returned: Any) -> None:
    seen: list[Any] = []

    def route(state: Any) -> Any:
        seen.append(dict(state))
        return lg.END

    graph = lg.StateGraph(Note).add_node("one", lambda state: returned).add_edge(lg.START, "one")
    graph.add_conditional_edges("one", route, [lg.END])
    compiled = graph.compile(checkpointer=InMemorySaver())
    assert "extra" not in compiled.invoke({"text": "a"}, WHERE)
    compiled.update_state(WHERE, {"text": "b", "added": 2}, as_node="one")
    state = {"text": "a", "log": ["x"] if returned and "log" in returned else []}
    assert seen[0] == {**state, **({"extra": 1} if returned else {})}
    assert seen[1] == {**state, "text": "b", "added": 2}
