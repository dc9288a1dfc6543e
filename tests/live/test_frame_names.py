"""Messages keep their bound, too, where names, ids, questions and reasons would break it.

About `gateway/graphwire_gateway/execution/encode.py`, `gateway/graphwire_gateway/runs/states.py`,
`gateway/graphwire_gateway/runs/details.py` and `gateway/graphwire_gateway/runs/listing.py`.
"""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from tests.support.graphs import Library, node
from tests.support.peer import everything, spec
from tests.support.questions import words

LIMITS = {"max_event_bytes": 10_000, "max_frame_bytes": 20_000}


class State(TypedDict, total=False):
    topic: str
    note: str
    many: Annotated[list[str], operator.add]
    number: int
    said: list[Any]


def asking(lib: Library, count: int) -> Any:
    async def ask(state: State) -> State:
        return {"many": [words(lib).interrupt(f"{state['number']}?")]}

    def fan(state: State) -> Any:
        return [words(lib).Send("ask", {"number": number}) for number in range(count)]

    graph = lib.StateGraph(State).add_node("ask", ask).add_conditional_edges(lib.START, fan, ["ask"])
    return graph.compile(checkpointer=InMemorySaver())


@pytest.mark.long
async def test_more_questions_than_an_event_holds_fail_the_run_and_the_thread_says_so(
    serve, watched, lib: Library
) -> None:
    server = await serve({"ask": asking(lib, 700)}, limits=LIMITS)
    peer = await watched(server)
    await peer.ask(type="watch", sub=9)
    for sub, view in enumerate([everything(0), spec(1, "values"), spec(2, "updates")]):
        await peer.run("ask", {"topic": "t"}, view, run=f"r{sub}", thread="t")
        await peer.closed(sub)
        last = peer.events(sub)[-1]["data"]
        assert (last["status"], last["error"]["code"]) == ("failed", "limit_exceeded")
        assert "asks 700 questions at once" in last["error"]["message"]
        assert "raise that limit" in last["error"]["message"]
        await peer.until(lambda frame: frame["type"] == "run_info" and frame["status"] == "failed")
    refused = await peer.ask(type="state", graph="ask", thread="t")
    assert (refused["code"], refused["details"]["limit"]) == ("too_large", "max_event_bytes")
    assert "700 tasks and 700 questions" in refused["message"]
    page = await peer.ask(type="state_history", graph="ask", thread="t")
    assert page["code"] == "too_large"
    assert page["details"]["checkpoint"] in page["message"]
    before = page["details"]["checkpoint"]
    rest = await peer.ask(type="state_history", graph="ask", thread="t", before=before)
    assert rest["type"] == "ok"
    await peer.ask(type="list", what="runs")


async def test_what_nobody_can_answer_fits_beside_the_output(serve, watched, lib: Library) -> None:
    async def ask(state: State) -> State:
        return {"note": words(lib).interrupt("?" * 9000)}

    graph = lib.StateGraph(State).add_node("ask", ask).add_edge(lib.START, "ask").compile(checkpointer=False)
    server = await serve({"ask": graph}, limits={**LIMITS, "max_frame_bytes": 9000})
    peer = await watched(server)
    await peer.run("ask", {"topic": "t" * 8000}, spec(1, "values"), run="r")
    await peer.closed(1)
    result = await peer.ask(type="result", run="r")
    assert result["output"]["topic"] == "t" * 8000
    assert [one["value"]["$cut"]["reason"] for one in result["interrupts"]] == ["size"]


# ── names ────────────────────────────────────────────────────────────────────────────────────────

LONG = "n" * 200_000
"""More than a name may have, and less than a message."""


async def test_names_that_no_message_holds_fail_the_run_by_what_they_are(
    serve, watched, lib: Library
) -> None:
    async def work(state: State) -> State:
        return {"note": "n"}

    async def speak(state: State) -> State:
        return {"said": [AIMessage("hello", id=LONG)]}

    async def fail(state: State) -> State:
        raise type(LONG, (ValueError,), {})("no")

    graphs = {
        "named": lib.StateGraph(State).add_node(LONG, work).add_edge(lib.START, LONG).compile(),
        "speaks": node(speak, lib, State),
        "fails": node(fail, lib, State),
        "plain": node(work, lib, State),
    }
    server = await serve(graphs, limits=LIMITS, expose_errors=True)
    peer = await watched(server)
    await peer.ask(type="watch", sub=9)
    cases = (("named", "updates"), ("named", "tasks"), ("speaks", "messages"))
    for sub, (graph, mode) in enumerate(cases):
        await peer.run(graph, {"topic": "t"}, spec(sub, mode), run=f"{graph}-{mode}")
        await peer.closed(sub)
        last = peer.events(sub)[-1]["data"]
        assert (last["status"], last["error"]["code"]) == ("failed", "limit_exceeded")
        assert f"mode '{mode}' has names of nodes or ids" in last["error"]["message"]
    await peer.run("fails", {"topic": "t"}, spec(4, "tasks"), run="f")
    await peer.closed(4)
    failure = peer.events(4)[-1]["data"]["error"]
    assert (failure["code"], failure["type"]) == ("graph_error", LONG[:256])
    await peer.run("plain", {"topic": "t"}, spec(5, "values"), run="p")
    await peer.closed(5)
    await peer.ask(type="subscribe", run="p", **spec(6, "values", nodes=["wrok", "x"]))
    await peer.ask(type="list", what="runs")


async def test_a_graph_that_is_too_large_for_a_list_is_named(serve, watched) -> None:
    async def work(state: State) -> State:
        return {}

    many: Any = StateGraph(State)
    for number in range(300):
        many.add_node(f"node-{number}", work).add_edge(START, f"node-{number}")
    server = await serve({"many": many.compile(), "plain": node(work, schema=State)}, limits=LIMITS)
    peer = await watched(server)
    refused = await peer.ask(type="list", what="graphs")
    assert (refused["code"], refused["details"]["graph"]) == ("too_large", "many")
    assert "name another graph in list.graph" in refused["message"]
    assert [row["name"] for row in (await peer.ask(type="list", what="graphs", graph="plain"))["graphs"]] == [
        "plain"
    ]
