"""No message of a server is larger than its `welcome` announces, whatever a graph makes or a client asks.

About `gateway/graphwire_gateway/cutting.py`, `gateway/graphwire_gateway/runs/states.py`,
`gateway/graphwire_gateway/runs/listing.py` and `protocol/graphwire_protocol/server.py`.
"""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import graphwire
import orjson
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import Library, Speaker, node
from tests.support.peer import everything, spec
from tests.support.questions import words

LIMITS = {"max_event_bytes": 10_000, "max_frame_bytes": 20_000, "log_events": 50, "log_min_age_s": 0}
BIG = "x" * 500_000
"""More than any message may hold."""


class State(TypedDict, total=False):
    topic: str
    note: str
    many: Annotated[list[str], operator.add]
    pdf: str
    number: int


def large_in_every_mode(lib: Library) -> Any:
    async def load(state: State, config: RunnableConfig) -> State:
        lib.get_stream_writer()({"blob": BIG})
        model = Speaker(words=["one ", BIG, " two"], metadata={"blob": BIG, "kept": "yes"})
        await model.ainvoke("speak", config)
        return {"pdf": BIG, "note": "loaded"}

    async def again(state: State) -> State:
        return {"note": "summed"}

    inner = lib.StateGraph(State).add_node("load", load).add_edge(lib.START, "load").compile()
    outer = lib.StateGraph(State).add_node("sub", inner).add_node("again", again)
    return outer.add_edge(lib.START, "sub").add_edge("sub", "again").compile(checkpointer=InMemorySaver())


@pytest.mark.parametrize("values", ["full", "patch"])
async def test_an_event_of_any_mode_fits_and_only_what_is_too_large_is_cut(
    serve, watched, lib: Library, values: str
) -> None:
    server = await serve({"big": large_in_every_mode(lib)}, limits=LIMITS)
    peer = await watched(server)
    views = [everything(1, values=values), spec(2, "values", "updates", keys=["note"], values=values)]
    await peer.run("big", {"topic": "t"}, *views, run="r", thread="t")
    assert (await peer.closed(1))[-1]["status"] == "completed"
    await peer.closed(2)
    modes = {event["mode"] for event in peer.events(1) if b'"$cut":{"reason":"size"' in orjson.dumps(event)}
    assert modes == {"values", "updates", "custom", "messages", "tasks", "checkpoints"} | (modes & {"debug"})
    notes = [
        event["data"]["note"] for event in peer.events(2) if event["mode"] == "values" and "base" not in event
    ]
    assert "loaded" in notes
    metas = [event["meta"] for event in peer.events(1) if "meta" in event]
    assert metas[0]["kept"] == "yes"
    assert metas[0]["blob"]["$cut"]["reason"] == "size"
    whole = await peer.ask(type="result", run="r")
    assert (whole["code"], whole["retry"], whole["details"]["status"]) == ("too_large", "never", "completed")
    assert "max_event_bytes" in whole["message"]


async def test_a_client_is_told_of_a_result_and_a_state_that_are_too_large(serve, lib: Library) -> None:
    server = await serve({"big": large_in_every_mode(lib)}, limits=LIMITS)
    async with graphwire.connect(server.url) as client:
        run = await client.run("big", {"topic": "t"}, thread="t", modes=["values"])
        with pytest.raises(graphwire.Refused, match=r"500,0.*max_event_bytes, which is 10,000"):
            await run.result()
        with pytest.raises(
            graphwire.Refused, match=r"some of its keys, without 'pdf' for example, .* \(too_large\)"
        ):
            await client.state("big", "t")
        assert (await client.state("big", "t", keys=["note", "topic"])).values == {
            "note": "summed",
            "topic": "t",
        }
        history = [state async for state in client.state_history("big", "t")]
        assert [state.values.get("note") for state in history][:2] == ["summed", "loaded"]
        assert type(history[0].values["pdf"]).__name__ == "Cut"
        graph = client.graph("big")
        with pytest.raises(graphwire.StreamBroken, match="cut a value of 500,"):
            await graph.aget_state({"configurable": {"thread_id": "t"}})
        with pytest.raises(graphwire.StreamBroken, match="cut a value of 500,"):
            await graph.ainvoke({"topic": "t"}, {"configurable": {"thread_id": "u"}})


# ── questions ────────────────────────────────────────────────────────────────────────────────────


def asking(lib: Library, count: int) -> Any:
    async def ask(state: State) -> State:
        return {"many": [words(lib).interrupt(f"{state['number']}" + "?" * 4000)]}

    def fan(state: State) -> Any:
        return [words(lib).Send("ask", {"number": number}) for number in range(count)]

    graph = lib.StateGraph(State).add_node("ask", ask).add_conditional_edges(lib.START, fan, ["ask"])
    return graph.compile(checkpointer=InMemorySaver())


async def test_many_questions_fit_together_and_each_can_be_answered(serve, watched, lib: Library) -> None:
    server = await serve({"ask": asking(lib, 100)}, limits={**LIMITS, "max_frame_bytes": 40_000})
    peer = await watched(server)
    await peer.run("ask", {"topic": "t"}, everything(1), run="r", thread="t")
    event = await peer.until(lambda frame: frame.get("mode") == "interrupt")
    asked = event["data"]["interrupts"]
    assert len(asked) == len({one["id"] for one in asked}) == 100
    assert {type(one["value"]) for one in asked} <= {dict, str}
    late = await watched(server)
    await late.ask(type="subscribe", run="r", **spec(1, "values", from_="snapshot"))
    snapshot = await late.until(lambda frame: frame["type"] == "snapshot")
    assert [one["id"] for one in snapshot["interrupts"]] == [one["id"] for one in asked]
    state = await peer.ask(type="state", graph="ask", thread="t")
    assert (state["values"], len(state["tasks"])) == ({"topic": "t", "many": []}, 100)
    assert sorted(one["id"] for one in state["interrupts"]) == sorted(one["id"] for one in asked)
    await peer.ask(type="list", what="runs")
    answers = [{"interrupt": one["id"], "value": "y"} for one in asked]
    assert (await peer.ask(type="respond", run="r", responses=answers))["status"] == "running"
    assert (await peer.closed(1))[-1]["status"] == "completed"


# ── histories and lists ──────────────────────────────────────────────────────────────────────────


def stepping(lib: Library, steps: int) -> Any:
    async def step(state: State) -> State:
        number = state.get("number", 0) + 1
        return {"number": number, "note": "n" * 4000, "pdf": BIG if number == 7 else "small"}

    graph = lib.StateGraph(State).add_node("step", step).add_edge(lib.START, "step")
    graph.add_conditional_edges("step", lambda state: "step" if state["number"] < steps else lib.END)
    return graph.compile(checkpointer=InMemorySaver())


async def test_a_history_comes_in_pages_without_a_hole(serve, watched, lib: Library) -> None:
    server = await serve({"step": stepping(lib, 120)}, limits=LIMITS)
    peer = await watched(server)
    await peer.run(
        "step", {"topic": "t"}, spec(1, "lifecycle"), run="r", thread="t", config={"recursion_limit": 200}
    )
    await peer.closed(1)
    pages: list[Any] = [await peer.ask(type="state_history", graph="step", thread="t")]
    while "cursor" in pages[-1]:
        before = pages[-1]["cursor"]
        pages.append(await peer.ask(type="state_history", graph="step", thread="t", before=before))
    numbers = [state["values"].get("number", 0) for page in pages for state in page["states"]]
    assert numbers == [*range(120, -1, -1), 0]
    assert len(pages) > 50
    small = await peer.ask(type="state_history", graph="step", thread="t", keys=["number"], limit=5)
    assert (1 < len(small["states"]) <= 5, "cursor" in small) == (True, True)
    async with graphwire.connect(server.url) as client:
        states = [state async for state in client.state_history("step", "t")]
        assert [state.values.get("number", 0) for state in states] == numbers
        assert len([state async for state in client.state_history("step", "t", limit=50)]) == 50


async def test_lists_of_runs_and_graphs_come_in_pages(serve, watched) -> None:
    async def nothing(state: State) -> State:
        return {}

    graphs = {f"g{number}": node(nothing, schema=State) for number in range(100)}
    server = await serve(graphs, limits=LIMITS)
    peer = await watched(server)
    for number in range(60):
        metadata = {"blob": "m" * 15_000, "number": number}
        await peer.run("g0", {"topic": "t"}, run=f"r{number}", metadata=metadata)
    rows: list[Any] = []
    page = await peer.ask(type="list", what="runs")
    while True:
        rows += page["runs"]
        if "cursor" not in page:
            break
        page = await peer.ask(type="list", what="runs", cursor=page["cursor"])
    assert [row["run"] for row in rows] == [f"r{number}" for number in range(59, -1, -1)]
    await peer.ask(type="watch", sub=9)
    await peer.until(lambda frame: frame["type"] == "synced" and frame["sub"] == 9)
    async with graphwire.connect(server.url) as client:
        assert [row.name for row in await client.graphs()] == list(graphs)
        assert len([row async for row in client.runs()]) == 60


# ── snapshots ────────────────────────────────────────────────────────────────────────────────────


def talking(lib: Library, sizes: list[int], gate: asyncio.Event | None = None) -> Any:
    async def talk(state: State, config: RunnableConfig) -> State:
        for number, size in enumerate(sizes):
            words = [f"{number} ", *["w" * 1000] * (size // 1000), "end"]
            await Speaker(words=words).ainvoke("speak", config)
        return {"note": "n" * 3000, "topic": "t" * 200}

    return lib.StateGraph(State).add_node("talk", talk).add_edge(lib.START, "talk").compile()


async def test_a_snapshot_fits_and_keeps_the_id_of_every_message(serve, watched, lib: Library) -> None:
    sizes = [0, 400_000, 1000, *[2000] * 150]
    server = await serve({"talk": talking(lib, sizes)}, limits=LIMITS)
    peer = await watched(server)
    await peer.run(
        "talk", {"topic": "t"}, spec(1, "messages"), run="r", record={"modes": ["messages", "values"]}
    )
    seen: dict[str, None] = {}
    for frame in await peer.closed(1):
        if frame["type"] == "snapshot":  # this reader fell behind the log, as on a slow store
            seen |= dict.fromkeys(row["id"] for row in frame["messages"])
        elif frame["type"] == "event" and frame["mode"] == "messages":
            seen[frame["data"]["id"]] = None
    ids = list(seen)
    assert len(ids) == len(sizes)
    late = await watched(server)
    await late.ask(type="subscribe", run="r", **spec(1, "messages", "values", from_="snapshot"))
    snapshot = await late.until(lambda frame: frame["type"] == "snapshot")
    rows = snapshot["messages"]
    assert [row["id"] for row in rows] == ids
    assert all(row["node"] == "talk" for row in rows)
    assert rows[0]["message"]["content"] == "0 end"
    assert rows[1]["message"].keys() == {"type", "$cut"}
    assert rows[1]["message"]["$cut"]["bytes"] > 400_000
    async with graphwire.connect(server.url) as client:
        run = await client.attach("r", modes=["messages"], start="snapshot")
        events = [event async for event in run]
    (shown,) = [event for event in events if isinstance(event, graphwire.SnapshotEvent)]
    assert [item.message.id for item in shown.messages] == ids
    assert shown.messages[0].cut_bytes is None
    assert (shown.messages[1].cut_bytes or 0) > 400_000


# ── refusals and echoes ──────────────────────────────────────────────────────────────────────────


async def test_what_a_client_sends_comes_back_within_the_bound(serve, watched, lib: Library) -> None:
    async def fail(state: State) -> State:
        raise ValueError(BIG)

    server = await serve({"fail": node(fail, lib, State)}, limits=LIMITS, expose_errors=True)
    peer = await watched(server)
    name = "n" * 18_000
    await peer.ask(type="run", graph="fail", input={}, **{name: 1})
    await peer.ask(type="run", graph="fail", input={}, **{f"{n}{name[:1000]}": 1 for n in range(16)})
    await peer.ask(type="run", graph=name, input={})
    await peer.ask(type="list", what="runs", graph=name)
    await peer.ask(type="list", what="runs", cursor=name)
    await peer.ask(type="state", graph="fail", thread=name)
    await peer.ask(type="run", graph="fail", input={"topic": {"$x": name}})
    await peer.ask(type="subscribe", sub=1, run="r", filter={"modes": [name]})
    await peer.text(orjson.dumps({"type": name}).decode())
    await peer.text('{"type":"ping","t":[' + ",".join(["1e15"] * 3900) + "]}")
    await peer.until(lambda frame: frame["type"] == "pong")
    patterns = [["s" * 100] * 3] * 60
    await peer.run("fail", {}, spec(1, "values", namespaces=patterns), run="r")
    assert (await peer.closed(1))[-1]["status"] == "failed"


async def test_a_thread_whose_messages_are_too_large_is_followed_all_the_same(serve, lib: Library) -> None:
    class Chat(TypedDict, total=False):
        messages: Annotated[list[Any], operator.add]

    async def say(state: Chat) -> Chat:
        return {"messages": [{"role": "user", "content": BIG}]}

    graph = lib.StateGraph(Chat).add_node("say", say).add_edge(lib.START, "say")
    server = await serve({"chat": graph.compile(checkpointer=InMemorySaver())}, limits=LIMITS)
    async with graphwire.connect(server.url) as client:
        run = await client.run("chat", {"messages": []}, thread="t", modes=["lifecycle"])
        assert [event.status async for event in run][-1] == "completed"
        async for event in client.follow("chat", "t"):
            assert isinstance(event, graphwire.FollowMessages)
            assert (event.cut_bytes or 0) >= len(BIG)
            break
