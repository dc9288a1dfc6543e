"""Random graphs, streamed, stopped and resumed here and in LangGraph; what once differed stands as cases.

About `runtime/graphwire_runtime/drive/parts.py`, `runtime/graphwire_runtime/drive/iterate.py` and
`runtime/graphwire_runtime/stream/display.py`. `python -m tests.support.random_programs graphs 0 10000` tries
more of them.
"""

from __future__ import annotations

import asyncio
import random
import sys
from dataclasses import dataclass
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import BaseModel, ValidationError

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded
from tests.support.random_graphs import drawn, lived
from tests.support.random_nodes import Speaker

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's nodes lose their context there"),
]

WHERE: Any = {"configurable": {"thread_id": "t"}}
BOTH = pytest.mark.parametrize("lg", [OURS, THEIRS], ids=["ours", "theirs"])
ONCE_DIFFERENT = (2420, 2753)
TRIES = 6
"""How often LangGraph runs a program whose tasks side by side may end in any order."""


@pytest.mark.parametrize("seed", [*range(25), *ONCE_DIFFERENT])
async def test_a_random_graph_streams_the_same(seed: int) -> None:
    program = drawn(random.Random(seed))
    ours = await lived(OURS, program)
    for _ in range(TRIES):
        theirs = await lived(THEIRS, program)
        if theirs == ours:
            return
    assert ours == theirs, program


def chain(lg: Any, *nodes: Any, schema: Any = None, saver: Any = None, **kwargs: Any) -> Any:
    graph = lg.StateGraph(schema or lg.MessagesState)
    names = [f"n{index}" for index in range(len(nodes))]
    for name, node in zip(names, nodes, strict=True):
        graph.add_node(name, node, **(kwargs if name == "n0" else {}))
    for before, after in zip([lg.START, *names], names, strict=False):
        graph.add_edge(before, after)
    return graph.compile(checkpointer=saver)


class Wide(BaseModel):
    text: str = "blank"
    size: int = 0


class Text(BaseModel):
    text: str


@dataclass
class Data:
    text: str = "blank"


def writes(value: Any) -> Any:
    return lambda state: value


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("subgraphs", [False, True], ids=["", "subgraphs"])
async def test_states_in_parts_are_instances_of_the_schemas_of_the_graph_that_was_called(
    how: str, subgraphs: bool
) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        inner = chain(lg, writes({"text": "in"}), schema=Data)
        graph = lg.StateGraph(Wide, output_schema=Text).add_node("sub", inner).add_edge(lg.START, "sub")
        compiled = graph.compile(checkpointer=InMemorySaver())
        kwargs: Any = {"stream_mode": ["values", "checkpoints", "debug"], "subgraphs": subgraphs}
        found = await recorded(compiled, {"text": "a"}, how, version="v2", config=WHERE, **kwargs)
        seen.append(found)
    assert seen[0] == seen[1]
    data = [part["data"] for part in seen[0][0] if part["type"] == "values"]
    assert data[-1] == ("Text", {"text": "in"})
    states = [part["data"]["values"] for part in seen[0][0] if part["type"] == "checkpoints"]
    assert states[-1] == ("Wide", {"text": "in", "size": 0})


@BOTH
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_state_that_the_output_schema_refuses_raises_where_it_would_be_shown(lg: Any, version: str) -> None:
    graph = lg.StateGraph(Wide, output_schema=Text).add_node("one", writes({"text": 5}))
    compiled = graph.add_edge(lg.START, "one").compile(checkpointer=InMemorySaver())
    shown = []
    try:
        for chunk in compiled.stream({"text": "a"}, WHERE, stream_mode="values", version=version):
            shown.append(chunk)  # noqa: PERF402
    except ValidationError:
        assert version == "v2"
    assert len(shown) == (2 if version == "v1" else 1)
    assert compiled.get_state(WHERE).values == {"text": 5}


@BOTH
def test_with_one_key_shown_a_part_of_a_question_has_no_state(lg: Any) -> None:
    graph = chain(lg, lambda state: {"text": lg.interrupt("?")}, schema=Wide, saver=InMemorySaver())
    output = graph.invoke({"text": "a"}, WHERE, output_keys="text", version="v2")
    assert isinstance(output.value, Wide)
    assert [asked.value for asked in output.interrupts] == ["?"]


@BOTH
def test_the_output_at_a_question_holds_the_state_though_nothing_was_written(lg: Any) -> None:
    graph = chain(lg, lambda state: lg.interrupt("?"), saver=InMemorySaver())
    output = graph.invoke(lg.Command(goto="n0"), WHERE)
    assert output["messages"] == []
    assert output["__interrupt__"][0].value == "?"


@BOTH
def test_no_breakpoints_of_a_call_are_those_of_the_graph(lg: Any) -> None:
    graph = lg.StateGraph(lg.MessagesState).add_node("one", writes(None)).add_edge(lg.START, "one")
    compiled = graph.compile(checkpointer=InMemorySaver(), interrupt_before=["one"])
    compiled.invoke({"messages": []}, WHERE, interrupt_before=[])
    assert compiled.get_state(WHERE).next == ("one",)


@BOTH
def test_a_breakpoint_inside_is_shown_behind_what_the_tasks_beside_it_wrote(lg: Any) -> None:
    inner = lg.StateGraph(Wide).add_node("in", writes(None)).add_edge(lg.START, "in")
    graph = lg.StateGraph(Wide).add_node("sub", inner.compile(interrupt_after=["in"]))
    graph.add_node("z", writes({"text": "z"})).add_edge(lg.START, "sub").add_edge(lg.START, "z")
    compiled = graph.compile(checkpointer=InMemorySaver())
    chunks = list(compiled.stream({"size": 1}, WHERE, stream_mode=["updates", "values"]))
    assert chunks[-1] == ("updates", {"__interrupt__": ()})
    assert chunks[-2][0] == "values"
    assert chunks[-2][1]["text"] == "z"


@BOTH
def test_a_checkpoint_shows_results_of_the_keys_that_the_run_shows(lg: Any) -> None:
    left = [1]

    def fails(state: Any) -> Any:
        if left:
            raise ValueError(left.pop())

    graph = lg.StateGraph(Wide).add_node("one", writes({"text": "1"})).add_node("two", fails)
    compiled = graph.add_edge(lg.START, "one").add_edge(lg.START, "two").compile(checkpointer=InMemorySaver())
    with pytest.raises(ValueError, match="1"):
        compiled.invoke({"size": 1}, WHERE)
    shown = compiled.stream(None, WHERE, stream_mode="checkpoints", output_keys="text")
    assert [task.get("result") for task in next(shown)["tasks"]] == ["1", None]
    compiled.invoke(None, WHERE)


@BOTH
async def test_nodes_beside_a_failed_one_that_need_not_wait_come_to_their_ends(lg: Any) -> None:
    async def fails(state: Any) -> Any:
        raise ValueError

    async def ends(state: Any) -> Any:
        return {"text": "z"}

    graph = lg.StateGraph(Wide).add_node("a", fails).add_node("z", ends)
    compiled = graph.add_edge(lg.START, "a").add_edge(lg.START, "z").compile()
    assert await recorded(compiled, {"size": 1}, "astream") == ([{"z": {"text": "z"}}], "ValueError")


@BOTH
@pytest.mark.parametrize("how", ["invoke", "ainvoke"])
async def test_a_wrong_answer_stops_no_node_beside_it(lg: Any, how: str) -> None:
    ran = []

    async def slow(state: Any) -> Any:
        lg.interrupt("slow?")
        for _ in range(100):
            await asyncio.sleep(0)
        ran.append(1)

    graph = lg.StateGraph(Wide)
    graph.add_node("asks", lambda state: lg.interrupt("?", response_schema=Text) and None)
    beside = slow if how == "ainvoke" else lambda state: lg.interrupt("slow?") and ran.append(1)
    graph.add_node("beside", beside)
    compiled = graph.add_edge(lg.START, "asks").add_edge(lg.START, "beside")
    compiled = compiled.compile(checkpointer=InMemorySaver())

    async def run(value: Any) -> None:
        if how == "ainvoke":
            await compiled.ainvoke(value, WHERE)
        else:
            compiled.invoke(value, WHERE)

    await run({"size": 1})
    asked = compiled.get_state(WHERE).interrupts
    answers = {each.id: {"text": 5} if each.value == "?" else 1 for each in asked}
    with pytest.raises(ValidationError):
        await run(lg.Command(resume=answers))
    assert ran == [1]
    assert [each.value for each in compiled.get_state(WHERE).interrupts] == ["?"]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("subgraphs", [False, True], ids=["", "subgraphs"])
async def test_a_hand_off_makes_no_event_of_messages(how: str, subgraphs: bool) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        up = lg.Command(graph=lg.Command.PARENT, update={"messages": [AIMessage("up", id="up")]}, goto="n1")
        graph = chain(lg, chain(lg, writes(up)), writes(None))
        kwargs: Any = {"stream_mode": ["messages", "updates", "tasks"], "subgraphs": subgraphs}
        seen.append(await recorded(graph, {"messages": [HumanMessage("hi", id="hi")]}, how, **kwargs))
    assert seen[0] == seen[1]
    assert "'messages', ((" not in str(seen[0])


@pytest.mark.parametrize("how", HOWS)
async def test_a_hand_off_stops_no_node_beside_it(how: str) -> None:
    seen = []
    for lg in (OURS, THEIRS):
        ran: list[int] = []

        async def slow(state: Any, ran: list[int] = ran) -> Any:
            for _ in range(100):
                await asyncio.sleep(0)
            ran.append(1)

        up = lg.Command(graph=lg.Command.PARENT, update={"text": "up"})
        inner = lg.StateGraph(Wide).add_node("a", writes(up)).add_edge(lg.START, "a")
        inner.add_node("z", slow if how == "astream" else lambda state, ran=ran: ran.append(1))
        graph = chain(lg, inner.add_edge(lg.START, "z").compile(), schema=Wide)
        seen.append((await recorded(graph, {"size": 1}, how), ran))
    assert seen[0] == seen[1]
    assert seen[0][1] == [1]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("subgraphs", [False, True], ids=["", "subgraphs"])
async def test_an_error_handler_streams_as_a_graph_inside_the_node_that_failed(
    how: str, subgraphs: bool
) -> None:
    seen = []
    for lg in (OURS, THEIRS):

        def fails(state: Any) -> Any:
            raise ValueError

        def handles(state: Any, lg: Any = lg) -> Any:
            lg.get_stream_writer()("data")
            return {"messages": [Speaker().invoke("x"), AIMessage("whole", id="whole")]}

        graph = chain(lg, fails, error_handler=handles, metadata={"mark": 1})
        kwargs: Any = {"stream_mode": ["messages", "updates", "custom", "tasks"], "subgraphs": subgraphs}
        seen.append(await recorded(graph, {"messages": [HumanMessage("hi", id="hi")]}, how, **kwargs))
    assert seen[0] == seen[1]
    assert ("AIMessageChunk" in str(seen[0])) is subgraphs


@pytest.mark.parametrize("mode", ["updates", "tasks", "messages"])
def test_a_message_has_its_id_when_it_is_shown_and_in_what_is_kept(mode: str) -> None:
    graph = chain(OURS, writes({"messages": [AIMessage("x")]}), saver=InMemorySaver())
    view = View()
    shown = [view(chunk) for chunk in graph.stream({"messages": []}, WHERE, stream_mode=mode)]
    assert "('AIMessage', 'x', 'id" in str(shown)
    kept = next(each for each in graph.get_state_history(WHERE) if each.next == ("n0",))
    ids = {message.id for message in graph.get_state(WHERE).values["messages"]}
    assert {message.id for message in kept.tasks[0].result["messages"]} == ids


@BOTH
def test_with_durability_exit_a_graph_inside_that_ran_out_of_supersteps_begins_anew(lg: Any) -> None:
    inner = lg.StateGraph(Wide).add_node("in", writes({"size": 1})).add_edge(lg.START, "in")
    inner.add_conditional_edges("in", lambda state: "in", ["in"])
    graph = lg.StateGraph(Wide).add_node("sub", inner.compile()).add_edge(lg.START, "sub")
    compiled = graph.compile(checkpointer=InMemorySaver())
    config = {**WHERE, "recursion_limit": 3}
    for value in ({"text": "a"}, None):
        with pytest.raises(lg.GraphRecursionError):
            compiled.invoke(value, config, durability="exit")
    stored = compiled.checkpointer.storage["t"]
    assert [name for name, saved in stored.items() if saved] == [""]


@BOTH
@pytest.mark.parametrize("ends", [False, True], ids=["edge", "join"])
def test_a_send_to_a_deferred_node_leaves_it_waiting_for_what_else_it_is_to_run_for(
    lg: Any, ends: bool
) -> None:
    ran: list[str] = []

    def node(name: str, returned: Any = None) -> Any:
        return lambda state: ran.append(name) or returned

    graph = lg.StateGraph(Wide)
    graph.add_node("first", node("first", lg.Command(goto=[lg.Send("last", {"size": 1})])))
    graph.add_node("second", node("second")).add_node("third", node("third"))
    graph.add_node("last", node("last"), defer=True)
    graph.add_edge(lg.START, "first").add_edge("first", "second").add_edge("second", "third")
    if ends:
        graph.add_edge(lg.START, "third").add_edge(["first", "third"], "last")
    else:
        graph.add_edge("first", "last")
    compiled = graph.compile(checkpointer=InMemorySaver(), interrupt_before=["third"])
    compiled.invoke({"size": 1}, WHERE)
    while compiled.get_state(WHERE).next:
        compiled.invoke(None, WHERE)
    assert ran.count("last") == 2
    assert ran[-1] == "last"
