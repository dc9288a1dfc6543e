"""Agents behind a gateway: tools, agents that call agents, and each agent's tokens through a filter.

About `gateway/graphwire_gateway/execution/encode.py` and `protocol/graphwire_protocol/filters.py`.
"""

from typing import Any

import graphwire
import pytest
from langgraph.types import Command

from tests.support.chunks import comparable, unordered
from tests.support.graphs import Library
from tests.support.providers.agents import (
    DIGEST,
    FIND,
    GO_ON,
    LOOK,
    PLAN,
    SCRIPT,
    TALE,
    asking_agent,
    careful_agent,
    newsroom,
    weather_agent,
)
from tests.support.providers.server import Provider


@pytest.fixture
async def provider(provide) -> Provider:
    return await provide(SCRIPT)


def question(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


EVERYTHING = {"stream_mode": ["values", "updates", "messages", "custom", "tasks"], "subgraphs": True}


async def both(graph: Any, input: Any, way: dict[str, Any], serve: Any) -> tuple[list[str], list[str]]:
    """Return the chunks of the graph itself, and of its stand-in."""
    local = comparable([chunk async for chunk in graph.astream(input, **way)])
    server = await serve({"g": graph})
    async with graphwire.connect(server.url) as client:
        remote = comparable([chunk async for chunk in client.graph("g").astream(input, **way)])
    assert len(local) > 10
    return local, remote


# ── a newsroom: an agent of agents ───────────────────────────────────────────────────────────────


async def test_agents_in_subgraphs_of_subgraphs_stream_as_they_do_locally(
    lib: Library, provider: Provider, serve
) -> None:
    local, remote = await both(newsroom(lib, provider.url), {"topic": "rain"}, EVERYTHING, serve)
    assert remote == local


FILTERS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, PLAN + GO_ON + TALE),
    ({"namespaces": [["**"]]}, PLAN + LOOK + DIGEST + FIND + GO_ON + TALE),
    ({"namespaces": [["researcher"]]}, LOOK + FIND),
    ({"namespaces": [["researcher", "**"]]}, LOOK + DIGEST + FIND),
    ({"namespaces": [["researcher", "tools"]]}, DIGEST),
    ({"namespaces": [["*"]]}, LOOK + FIND),
    ({"namespaces": [[], ["researcher", "tools"]]}, PLAN + DIGEST + GO_ON + TALE),
    ({"namespaces": [["writer"]]}, ()),
    (
        {"namespaces": [["**"]], "exclude": {"namespaces": [["**", "tools"]]}},
        PLAN + LOOK + FIND + GO_ON + TALE,
    ),
    ({"nodes": ["writer"]}, TALE),
    ({"nodes": ["think"]}, ()),
    ({"namespaces": [["**"]], "nodes": ["think", "look_*"]}, LOOK + DIGEST + FIND),
    ({"namespaces": [["**"]], "exclude": {"nodes": ["supervisor", "think"]}}, DIGEST + TALE),
    ({"namespaces": [["**"]], "tags": ["d*"]}, DIGEST + TALE),
    ({"namespaces": [["researcher", "**"]], "tags": ["research", "plan"]}, LOOK + FIND),
    ({"namespaces": [["**"]], "exclude": {"tags": ["plan", "research"]}}, DIGEST + TALE),
]


async def test_of_all_agents_tokens_each_view_of_a_run_gets_exactly_those_that_its_filter_lets_in(
    lib: Library, provider: Provider, serve
) -> None:
    server = await serve({"g": newsroom(lib, provider.url)})
    async with graphwire.connect(server.url) as client:
        record = {"modes": ["messages"], "subgraphs": True}
        run = await client.run("g", {"topic": "rain"}, modes=["lifecycle"], record=record)
        views = [await client.attach(run.id, modes=["messages"], **filter) for filter, _ in FILTERS]
        heard = [await said_in(view) for view in views]
        assert (await run.result())["text"] == "".join(TALE)
    assert heard == [said for _, said in FILTERS]


async def said_in(view: graphwire.Run) -> tuple[str, ...]:
    """Return the texts of the messages that a view gets, but for empty ones."""
    events = [event async for event in view if isinstance(event, graphwire.MessagesEvent)]
    return tuple(event.message.text for event in events if event.message.text)


async def text_of(view: graphwire.Run) -> str:
    return "".join([event.message.text async for event in view if isinstance(event, graphwire.MessagesEvent)])


async def test_many_views_of_one_run_each_get_their_own_agent(
    lib: Library, provider: Provider, serve
) -> None:
    server = await serve({"g": newsroom(lib, provider.url)})
    async with graphwire.connect(server.url) as client:
        run = await client.run(
            "g", {"topic": "rain"}, modes=["messages"], record={"modes": ["custom"], "subgraphs": True}
        )
        desk = await client.attach(run.id, modes=["messages"], namespaces=[["**"]], tags=["digest"])
        work = await client.attach(run.id, modes=["custom"], namespaces=[["researcher", "tools"]])
        texts = [await text_of(view) for view in (run, desk)]
        assert texts == ["".join(PLAN + GO_ON + TALE), "".join(DIGEST)]
        told = [event async for event in work if isinstance(event, graphwire.CustomEvent)]
    assert [event.data for event in told] == [{"looking up": "rain"}, {"found": "rain"}]
    for event in told:
        assert [segment.partition(":")[0] for segment in event.namespace] == ["researcher", "tools"]


# ── LangChain's agents ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("asked", ["The weather in Oslo?", "The weather of two?"])
async def test_an_agent_of_langchain_streams_as_it_does_locally(
    asked: str, provider: Provider, serve
) -> None:
    local, remote = await both(weather_agent(provider.url), question(asked), EVERYTHING, serve)
    if "two" in asked:  # its tools run in parallel
        local, remote = unordered(local), unordered(remote)
    assert remote == local


async def test_an_agent_s_tokens_calls_tool_results_and_progress_arrive_in_their_order(
    provider: Provider, serve
) -> None:
    server = await serve({"g": weather_agent(provider.url)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", question("The weather in Oslo?"), modes=["messages", "custom"])
        told: list[Any] = []
        async for event in run:
            match event:
                case graphwire.MessagesEvent(message=graphwire.Message(type="tool") as message):
                    told.append((message.name, message.text, event.node))
                case graphwire.MessagesEvent(message=message) if message.text:
                    told.append(message.text)
                case graphwire.CustomEvent(data=data):
                    told.append(data)
        output = await run.result()
    assert told == [
        *("Let me ", "see. "),
        {"asking": "Oslo"},
        {"asked": "Oslo"},
        ("forecast", "Snow in Oslo", "tools"),
        *("It ", "snows."),
    ]
    assert [message.type for message in output["messages"]] == ["human", "ai", "tool", "ai"]


async def test_an_agent_that_a_tool_asks_streams_below_the_tool(provider: Provider, serve) -> None:
    local, remote = await both(asking_agent(provider.url), question("Ask an expert!"), EVERYTHING, serve)
    assert remote == local


@pytest.mark.parametrize(
    ("filter", "said"),
    [
        ({}, ("I ", "ask. ", "It snows.", "The expert ", "says snow.")),
        ({"namespaces": [["tools"]]}, ("Let me ", "see. ", "Snow in Oslo", "It ", "snows.")),
        ({"namespaces": [["**"]], "tags": ["outer"]}, ("I ", "ask. ", "The expert ", "says snow.")),
        ({"namespaces": [["**"]], "nodes": ["tools"]}, ("Snow in Oslo", "It snows.")),
    ],
)
async def test_of_an_agent_below_an_agent_exactly_those_tokens_arrive_that_the_filter_lets_in(
    filter: dict[str, Any], said: tuple[str, ...], provider: Provider, serve
) -> None:
    server = await serve({"g": asking_agent(provider.url)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", question("Ask an expert!"), modes=["messages"], **filter)
        events = [event async for event in run if isinstance(event, graphwire.MessagesEvent)]
        assert tuple(event.message.text for event in events if event.message.text) == said


# ── a human's word ───────────────────────────────────────────────────────────────────────────────


async def test_a_tool_that_asks_for_approval_stops_its_agent_before_it_acts(
    provider: Provider, serve
) -> None:
    wiped: list[str] = []
    server = await serve({"g": careful_agent(provider.url, wiped)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", question("Wipe the disk!"), modes=["messages"])
        texts = [event.message.text async for event in run if isinstance(event, graphwire.MessagesEvent)]
        assert "".join(texts) == "As you wish. "
        assert run.status == "interrupted"
        (asked,) = run.interrupts
        assert asked.value == {"question": "May I?", "action": "wipe", "disk": "sda"}
        assert wiped == []
        await run.cancel()
        with pytest.raises(graphwire.RunCancelled):
            await run.result()
    assert wiped == []


@pytest.mark.parametrize(
    ("word", "heard", "done"),
    [("yes", "sda is wiped" + "It is done.", ["sda"]), ("no", "The human declined." + "Then not.", [])],
)
async def test_a_human_s_word_lets_the_agent_go_on(
    word: str, heard: str, done: list[str], provider: Provider, serve
) -> None:
    wiped: list[str] = []
    server = await serve({"g": careful_agent(provider.url, wiped)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", question("Wipe the disk!"), modes=["messages"])
        assert await text_of(run) == "As you wish. "
        (asked,) = run.interrupts
        await run.respond({asked.id: word})
        assert await text_of(run) == heard
        output = await run.result()
    assert [message.type for message in output["messages"]] == ["human", "ai", "tool", "ai"]
    assert wiped == done


async def test_an_agent_that_was_given_the_word_streams_as_it_does_locally(provider: Provider, serve) -> None:
    way = {"stream_mode": ["values", "updates", "messages"]}
    config = {"configurable": {"thread_id": "t"}}
    inputs = [question("Wipe the disk!"), Command(resume="yes")]

    async def stream(graph: Any) -> list[str]:
        chunks: list[Any] = []
        for input in inputs:
            chunks += [chunk async for chunk in graph.astream(input, config, **way)]
        return comparable(chunks)

    local = await stream(careful_agent(provider.url, []))
    server = await serve({"g": careful_agent(provider.url, [])})
    async with graphwire.connect(server.url) as client:
        remote = await stream(client.graph("g"))
    assert len(local) > 10
    assert remote == local
