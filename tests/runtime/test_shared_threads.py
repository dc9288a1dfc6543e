"""A thread that one library begins and the other continues, at every kind of stop.

About `runtime/graphwire_runtime/step/writes.py`, `runtime/graphwire_runtime/step/ids.py` and
`runtime/graphwire_runtime/thread/checkpoints.py`.
"""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable
from contextlib import nullcontext
from itertools import cycle, islice
from typing import Annotated, Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from typing_extensions import TypedDict

from tests.support.comparison import OURS, THEIRS, View
from tests.support.postgres import fresh_saver

pytestmark = pytest.mark.filterwarnings("default")

WHERE: Any = {"configurable": {"thread_id": "t"}}
SAVERS: dict[str, Callable[[], Any]] = {
    "memory": lambda: nullcontext(InMemorySaver()),
    "sqlite": lambda: nullcontext(SqliteSaver(sqlite3.connect(":memory:", check_same_thread=False))),
}
O, T = OURS, THEIRS  # noqa: E741
ORDERS = {"in turn": [O, T], "in turn, theirs first": [T, O], "ours": [O]}


def latest(old: str, new: str) -> str:
    return new


class Note(TypedDict, total=False):
    text: Annotated[str, latest]
    log: Annotated[list[str], operator.add]


def graph(lg: Any, saver: Any, left: list[int], **kwargs: Any) -> Any:
    """A graph that stops at questions, also of graphs inside and of tasks of sends, and at a failure."""

    def say(word: str) -> Any:
        return lambda state: {"log": [word]}

    def ask(word: str, times: int = 1) -> Any:
        return lambda state: {"log": [word + "".join(lg.interrupt(f"{word}{n}") for n in range(times))]}

    def work(number: int) -> Any:
        return {"log": [f"work{number}{lg.interrupt('work?') if number == 1 else ''}"]}

    def fails(state: Any) -> Any:
        if left:
            raise ValueError(left.pop())
        return {"log": ["mended"]}

    def inner(keeps: Any, times: int) -> Any:
        built = lg.StateGraph(Note).add_node("pre", say("pre")).add_node("asks", ask("inner", times))
        return built.add_edge(lg.START, "pre").add_edge("pre", "asks").compile(checkpointer=keeps)

    built = lg.StateGraph(Note).add_node("first", say("first")).add_node("asks", ask("ask"))
    built.add_node("work", work).add_node("fails", fails).add_node("inner", inner(None, 2))
    built.add_node("keeps", inner(True, 1)).add_node("join", say("join"))
    built.add_node("last", say("last"), defer=True)
    built.add_edge(lg.START, "first").add_edge("first", "asks").add_edge("first", "last")
    built.add_conditional_edges("asks", lambda state: [lg.Send("work", n) for n in range(3)], ["work"])
    built.add_edge("work", "fails").add_edge("fails", "inner").add_edge("fails", "keeps")
    built.add_edge(["inner", "keeps"], "join")
    return built.compile(checkpointer=saver, **kwargs)


def lived(order: list[Any], saver: Any, before: list[str]) -> list[Any]:
    view, left, seen = View(alike=True), [1, 2], []
    value: Any = {"text": "hi"}
    ours, others = [graph(lg, saver, left, interrupt_before=before) for lg in (OURS, THEIRS)]
    for turn, lg in enumerate(islice(cycle(order), 9)):
        runs = ours if lg is OURS else others
        if turn:
            asked = runs.get_state(WHERE).interrupts
            value = lg.Command(resume={each.id: str(turn) for each in asked}) if asked else None
        error = None
        try:
            runs.invoke(value, WHERE)
        except ValueError as failure:
            error = str(failure)
        state, theirs = [each.get_state(WHERE, subgraphs=True) for each in (ours, others)]
        for mine, yours in zip(state.tasks, theirs.tasks, strict=True):
            assert (mine.id, mine.name) == (yours.id, yours.name)
        assert {each.id for each in state.interrupts} == {each.id for each in theirs.interrupts}
        assert view(state) == view(theirs)
        seen.append((turn, error, sorted(state.values["log"]), state.next, len(state.interrupts)))
    return seen


_alone: dict[Any, list[Any]] = {}


def continued(order: Any, saver: Callable[[], Any], before: list[str], name: str) -> None:
    """Compare a thread with one that only LangGraph carried on, which it does once for each saver's name."""
    key = (name, *before)
    if key not in _alone:
        with saver() as kept:
            _alone[key] = lived([THEIRS], kept, before)
    alone = _alone[key]
    assert [error for _, error, *_ in alone if error] == ["2", "1"]
    assert "last" in alone[-1][2]
    with saver() as kept:
        assert lived(order, kept, before) == alone


IN_ORDER = pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
BEFORE = pytest.mark.parametrize("before", [[], ["asks", "keeps", "last"]], ids=["", "breakpoints"])


@IN_ORDER
@pytest.mark.parametrize("saver", SAVERS)
@BEFORE
def test_either_library_continues_a_thread_of_the_other(order: Any, saver: str, before: list[str]) -> None:
    continued(order, SAVERS[saver], before, saver)


@IN_ORDER
@BEFORE
def test_either_library_continues_a_thread_of_the_other_in_postgres(
    order: Any, before: list[str], postgres: str
) -> None:
    continued(order, lambda: fresh_saver(postgres), before, "postgres")
