"""The demo's graphs, on this runtime and on LangGraph's.

About `gateway/graphwire_gateway/demo/graphs.py`.
"""

import functools
import inspect
import itertools
import sys
from collections import defaultdict
from typing import Any

import pytest
from graphwire_gateway.demo import graphs
from graphwire_gateway.demo.model import VARIABLE, demo_model
from graphwire_gateway.runs.answers import check_answer
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage

unpaced = functools.partial(demo_model, tokens_per_second=0, seed=1)


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture(params=["graphwire", "langgraph"])
def runtime(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Build the graphs on this runtime, and once more, from the same builders, on LangGraph's."""
    if request.param == "langgraph":
        import langgraph.graph
        import langgraph.types

        monkeypatch.setattr(graphs, "StateGraph", langgraph.graph.StateGraph)
        monkeypatch.setattr(graphs, "Send", langgraph.types.Send)
        monkeypatch.setattr(graphs, "interrupt", langgraph.types.interrupt)
    return str(request.param)


def needs_writer(runtime: str) -> None:
    if runtime == "langgraph" and sys.version_info < (3, 11):
        pytest.skip("LangGraph gives an async node its writer from Python 3.11 on")


async def streamed(
    graph: Any, input: Any, modes: list[str], config: Any = None
) -> list[tuple[tuple[str, ...], str, Any]]:
    return [item async for item in graph.astream(input, config, stream_mode=modes, subgraphs=True)]


async def test_a_joke_and_a_poem_are_written_side_by_side_under_their_tags(runtime: str) -> None:
    graph = graphs.build_joke_and_poem(unpaced)
    parts = await streamed(graph, {"topic": "cats"}, ["messages", "updates", "values"])
    texts: dict[str, str] = defaultdict(str)
    order = []
    for _, mode, data in parts:
        if mode == "messages" and data[0].content:
            message, meta = data
            assert [meta["langgraph_node"]] == [f"write_{tag}" for tag in meta["tags"]]
            texts[meta["tags"][0]] += message.content
            order.append(meta["tags"][0])
    final = [data for _, mode, data in parts if mode == "values"][-1]
    assert final == {"topic": "cats", **texts}
    assert "cats" in final["joke"].lower()
    assert "cats" in final["poem"].lower()
    turns = [tag for tag, _ in itertools.groupby(order)]
    assert len(turns) > 10, "the two take turns"


async def test_research_runs_each_question_in_a_namespace_of_its_own(runtime: str) -> None:
    needs_writer(runtime)
    graph = graphs.build_research(unpaced, reading_s=0)
    parts = await streamed(graph, {"topic": "the sea"}, ["messages", "updates", "custom", "values"])
    final = [data for ns, mode, data in parts if mode == "values" and ns == ()][-1]
    assert len(final["questions"]) == 3
    assert [finding.split("\n")[0] for finding in final["findings"]] == final["questions"]

    by_namespace: dict[tuple[str, ...], list[Any]] = defaultdict(list)
    for ns, mode, data in parts:
        if mode == "custom":
            by_namespace[ns].append(data)
    assert len(by_namespace) == 3
    levels = [[step.partition(":")[0] for step in ns] for ns in by_namespace]
    assert levels == [["researcher", "library"]] * 3, "a subgraph within a subgraph"
    for notes in by_namespace.values():
        assert [note["reading"] for note in notes] == list(graphs.SOURCES)
        assert all(note["pages"] > 0 for note in notes)

    spoken: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for ns, mode, data in parts:
        if mode == "messages" and data[0].content:
            spoken[data[1]["tags"][0]].add(ns)
    assert spoken["plan"] == spoken["summary"] == {()}
    assert spoken["notes"] == {ns[:1] for ns in by_namespace}
    assert "the sea" in final["summary"].lower()


async def test_a_plan_is_read_as_real_models_write_it(runtime: str) -> None:
    needs_writer(runtime)
    replies = {
        "plan": "1. What is tea?\n\n- Why is it hot?\n * Who made it? \n4. One too many?",
        "notes": "Nobody knows.",
        "summary": "Tea.",
    }

    def scripted(tags: list[str]) -> Any:
        messages = itertools.repeat(AIMessage(replies[tags[0]]))
        return GenericFakeChatModel(messages=messages, tags=tags)

    state = await graphs.build_research(scripted, reading_s=0).ainvoke({"topic": "tea"})
    assert state["questions"] == ["What is tea?", "Why is it hot?", "Who made it?"]
    assert state["findings"][0] == "What is tea?\nNobody knows."
    assert state["summary"] == "Tea."


async def test_the_long_job_reports_its_progress(runtime: str) -> None:
    needs_writer(runtime)
    order = {"topic": "cats", "steps": 4, "seconds": 0.06}
    parts = await streamed(graphs.build_longjob(), order, ["custom", "messages", "values"])
    progress = [data for _, mode, data in parts if mode == "custom"]
    assert [(note["phase"], note["done"], note["total"]) for note in progress] == [
        (phase, done, 4) for phase in graphs.PHASES for done in (1, 2, 3, 4)
    ]
    etas = [note["eta_s"] for note in progress]
    assert etas == sorted(etas, reverse=True)
    assert etas[-1] == 0
    assert not [data for _, mode, data in parts if mode == "messages"]
    assert "cats" in parts[-1][2]["report"]


@pytest.mark.parametrize("is_allowed", [True, False])
async def test_the_chat_asks_before_it_sends_a_mail_and_remembers(runtime: str, is_allowed: bool) -> None:
    needs_writer(runtime)  # and its interrupts
    from langgraph.checkpoint.memory import InMemorySaver

    if runtime == "langgraph":
        from langgraph.types import Command
    else:
        from graphwire_runtime import Command
    graph = graphs.build_chat(unpaced)
    graph.checkpointer = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    state = await graph.ainvoke({"messages": [HumanMessage("A joke about tea")]}, config)
    assert [message.type for message in state["messages"]] == ["human", "ai"]
    assert "tea" in state["messages"][-1].text.lower()

    order = {"messages": [HumanMessage("Write a mail about cats!")]}
    parts = await streamed(graph, order, ["updates"], config)
    (question,) = parts[-1][2]["__interrupt__"]
    assert question.value == {"question": "Send this mail?", "to": "everyone", "about": "cats"}
    assert question.response_schema == {"type": "boolean"}
    state = await graph.ainvoke(Command(resume=is_allowed), config)
    kinds = [message.type for message in state["messages"]]
    assert kinds == ["human", "ai", "human", "ai", "tool", "ai"]
    _, _, _, call, done, answer = state["messages"]
    assert call.tool_calls[0]["name"] == "send_mail"
    assert done.tool_call_id == call.tool_calls[0]["id"]
    assert done.text == ("Sent a mail about cats" if is_allowed else "Sent no mail about cats")
    assert "cats" in answer.text.lower()


@pytest.mark.parametrize(
    ("booking", "ticket"),
    [
        (
            {
                "travellers": 2,
                "coach": "first",
                "and_back": True,
                "meals": ["lunch"],
                "note": "By the window.",
            },
            "To the sea, there and back: 2 in first class, lunch. By the window.",
        ),
        (
            {"travellers": 1, "coach": "second", "and_back": False},
            "To the sea, one way: 1 in second class, no meals.",
        ),
    ],
)
async def test_the_journey_asks_with_a_form_and_writes_the_ticket(
    runtime: str, booking: dict[str, Any], ticket: str
) -> None:
    needs_writer(runtime)  # and its interrupts
    from langgraph.checkpoint.memory import InMemorySaver

    if runtime == "langgraph":
        from langgraph.types import Command
    else:
        from graphwire_runtime import Command
    graph = graphs.build_journey(unpaced)
    graph.checkpointer = InMemorySaver()
    config: Any = {"configurable": {"thread_id": "t"}}
    parts = await streamed(graph, {"place": "the sea"}, ["updates"], config)
    (question,) = parts[-1][2]["__interrupt__"]
    assert question.value == {"question": "Who travels to the sea, and how?"}
    assert question.response_schema == graphs.BOOKING
    assert check_answer(question.response_schema, booking, "answer") == []
    state = await graph.ainvoke(Command(resume=booking), config)
    assert state["ticket"] == ticket
    assert "the sea" in state["advice"].lower()


def test_the_form_of_the_journey_refuses_what_no_train_has() -> None:
    good = {"travellers": 1, "coach": "second", "and_back": False}
    for wrong in ({"travellers": 10}, {"coach": "third"}, {"note": 5}, {"meals": ["tea"]}, {"dog": True}):
        assert check_answer(graphs.BOOKING, {**good, **wrong}, "answer"), wrong
    assert check_answer(graphs.BOOKING, {"coach": "second"}, "answer")


@pytest.mark.parametrize("name", ["joke_and_poem", "research", "longjob", "chat", "journey"])
def test_the_served_graphs_say_what_they_are_and_what_they_take(name: str) -> None:
    graph = getattr(graphs, name)
    assert graph.description == inspect.getdoc(getattr(graphs, f"build_{name}"))
    assert "\n" not in graph.description
    schema = graph.get_input_jsonschema()
    assert schema["required"] == [{"chat": "messages", "journey": "place"}.get(name, "topic")]
