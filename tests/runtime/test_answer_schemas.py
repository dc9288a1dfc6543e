"""`interrupt(response_schema=...)`: shown as JSON Schema, and a type validates the answer, as in LangGraph.

About `runtime/graphwire_runtime/step/answers.py` and `runtime/graphwire_runtime/step/interrupt.py`.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import TypeAdapter, ValidationError
from typing_extensions import TypedDict

from tests.support.graphs import LIBRARIES, Library, library
from tests.support.questions import DECISION, Decision, decider, words


@pytest.fixture(params=LIBRARIES)
def lib(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


class Typed(TypedDict):
    ok: bool


@dataclass
class Data:
    ok: bool


THREAD: Any = {"configurable": {"thread_id": "t"}}
SCHEMAS = [
    (Decision, DECISION, "Decision(ok=True, why=None)"),
    (Typed, TypeAdapter(Typed).json_schema(), "{'ok': True}"),
    (Data, TypeAdapter(Data).json_schema(), "Data(ok=True)"),
    (bool | None, TypeAdapter(bool | None).json_schema(), "None"),
    (DECISION, DECISION, "{'ok': 'yes'}"),
    (None, None, "{'ok': 'yes'}"),
]


@pytest.mark.parametrize("durability", ["sync", "exit"])
@pytest.mark.parametrize(("given", "shown", "came"), SCHEMAS)
def test_the_question_shows_a_json_schema_and_a_type_is_what_the_node_gets(
    lib: Library, given: Any, shown: Any, came: str, durability: str
) -> None:
    graph = decider(lib, given, InMemorySaver())
    (asked,) = graph.invoke({"topic": "x"}, THREAD, durability=durability)["__interrupt__"]
    assert asked.response_schema == shown
    state = graph.get_state(THREAD, subgraphs=True)
    for one in (state, state.tasks[0], state.tasks[0].state, state.tasks[0].state.tasks[0]):
        assert one.interrupts[0].response_schema == shown
    answer = None if came == "None" else {"ok": "yes"}
    resume = words(lib).Command(resume={asked.id: answer})
    assert graph.invoke(resume, THREAD)["said"] == [came]


def test_an_answer_that_does_not_fit_fails_and_the_question_can_be_answered_again(lib: Library) -> None:
    graph = decider(lib, Decision, InMemorySaver())
    (asked,) = graph.invoke({"topic": "x"}, THREAD)["__interrupt__"]
    command = words(lib).Command
    for wrong in (command(resume={"ok": "perhaps"}), command(resume={asked.id: 5})):
        with pytest.raises(ValidationError) as raised:
            graph.invoke(wrong, THREAD)
        assert getattr(raised.value, "_langgraph_invalid_resume", False) is True
        assert [one.id for one in graph.get_state(THREAD).interrupts] == [asked.id]
    assert graph.invoke(command(resume={"ok": "no"}), THREAD)["said"] == ["Decision(ok=False, why=None)"]


def test_an_answer_is_validated_again_when_its_node_runs_again(lib: Library) -> None:
    interrupt = words(lib).interrupt

    def ask(state: Any) -> Any:
        first = interrupt("first?", response_schema=Decision)
        return {"said": [repr(first), interrupt("second?")]}

    class State(TypedDict, total=False):
        topic: str
        said: list[str]

    graph = lib.StateGraph(State).add_node(ask).add_edge(lib.START, "ask").compile(InMemorySaver())
    command = words(lib).Command
    graph.invoke({"topic": "x"}, THREAD)
    graph.invoke(command(resume={"ok": "yes"}), THREAD)
    assert graph.invoke(command(resume=2), THREAD)["said"] == ["Decision(ok=True, why=None)", 2]
