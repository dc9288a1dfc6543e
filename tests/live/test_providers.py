"""Real providers' own client libraries behind a gateway, against a local server that answers for them.

About `gateway/graphwire_gateway/execution/encode.py`, `gateway/graphwire_gateway/failures.py` and
`clients/python/graphwire/messages.py`.
"""

import asyncio
import contextlib
from typing import Any

import graphwire
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.runnables import RunnableConfig

from tests.support.chunks import comparable, unordered
from tests.support.graphs import OURS, Library
from tests.support.providers.graphs import (
    EXAMPLES,
    ITEMS,
    JOKE,
    PLACE,
    POEM,
    SCRIPT,
    Example,
    Topic,
    claude,
    gpt,
)
from tests.support.providers.script import Say
from tests.support.providers.server import Provider


@pytest.fixture
async def provider(provide) -> Provider:
    return await provide(SCRIPT)


def cases() -> list[Any]:
    return [
        pytest.param(example, way, id=f"{name} {way['stream_mode']}")
        for name, example in EXAMPLES.items()
        for way in example.ways
    ]


@pytest.mark.parametrize(("example", "way"), cases())
async def test_a_served_graph_streams_what_the_local_one_does(
    lib: Library, example: Example, way: dict[str, Any], provider: Provider, serve
) -> None:
    graph = example.build(lib, provider.url)
    local = comparable([chunk async for chunk in graph.astream(example.input, **way)])
    server = await serve({"g": graph})
    async with graphwire.connect(server.url) as client:
        remote = comparable([chunk async for chunk in client.graph("g").astream(example.input, **way)])
    assert local, "the example streams something"
    if example.unordered:
        local, remote = unordered(local), unordered(remote)
    assert remote == local
    asked = [str(asked.body) for asked in provider.asked]
    half = len(asked) // 2
    assert sorted(asked[:half]) == sorted(asked[half:]), "either asks the model the same"


async def tokens(run: graphwire.Run) -> list[str]:
    """Return the texts of a run's messages, but for empty ones."""
    events = [event async for event in run if isinstance(event, graphwire.MessagesEvent)]
    return [event.message.text for event in events if event.message.text]


@pytest.mark.parametrize(
    ("name", "filter", "said"),
    [
        ("init_chat_model", {}, JOKE),
        ("filter by tag", {}, (*JOKE, *POEM)),
        ("filter by tag", {"tags": ["joke"]}, JOKE),
        ("filter by tag", {"exclude": {"tags": ["joke"]}}, POEM),
        ("filter by node", {"nodes": ["write_poem"]}, POEM),
        ("filter by node", {"nodes": ["write_joke"]}, JOKE),
        ("nostream", {}, POEM),
        ("anthropic", {}, JOKE),
        ("openai calls tools", {}, SCRIPT["weather"].tokens),
        ("anthropic calls tools", {}, SCRIPT["weather"].tokens),
    ],
)
async def test_a_subscription_gets_the_tokens_that_the_provider_sent_and_its_filter_lets_in(
    lib: Library, name: str, filter: dict[str, Any], said: tuple[str, ...], provider: Provider, serve
) -> None:
    example = EXAMPLES[name]
    server = await serve({"g": example.build(lib, provider.url)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", example.input, modes=["messages"], **filter)
        assert tuple(await tokens(run)) == said
    assert all(asked.streams for asked in provider.asked)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raw client in a tool", [{"role": "assistant", "content": token} for token in ITEMS]),
        ("raw client in plain code", [{"custom_llm_chunk": token} for token in ("", *POEM, None)]),
        (
            "custom data of a tool",
            [{"data": f"Retrieved {count}/100 records", "type": "progress"} for count in (0, 100)],
        ),
    ],
)
async def test_a_client_of_its_own_streams_as_custom_data(
    lib: Library, name: str, said: list[Any], provider: Provider, serve
) -> None:
    example = EXAMPLES[name]
    server = await serve({"g": example.build(lib, provider.url)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", example.input, modes=["custom"])
        assert [event.data async for event in run if isinstance(event, graphwire.CustomEvent)] == said


async def test_a_model_with_disable_streaming_is_asked_for_a_whole_message_which_comes_as_one(
    lib: Library, provider: Provider, serve
) -> None:
    example = EXAMPLES["disable_streaming"]
    server = await serve({"g": example.build(lib, provider.url)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", example.input, modes=["messages"])
        (event,) = [event async for event in run if isinstance(event, graphwire.MessagesEvent)]
        assert not isinstance(event.message, graphwire.MessageChunk)
        assert (event.message.type, event.message.text) == ("ai", "".join(JOKE))
        ((message, _),) = [
            chunk async for chunk in client.graph("g").astream(example.input, stream_mode="messages")
        ]
    assert type(message) is AIMessage
    assert [asked.streams for asked in provider.asked] == [False, False]


@pytest.mark.parametrize("name", ["openai calls tools", "anthropic calls tools"])
async def test_the_pieces_of_tool_calls_add_up_to_the_message_in_the_state(
    lib: Library, name: str, provider: Provider, serve
) -> None:
    example = EXAMPLES[name]
    server = await serve({"g": example.build(lib, provider.url)})
    async with graphwire.connect(server.url) as client:
        way = {"stream_mode": ["messages", "updates"]}
        chunks = [chunk async for chunk in client.graph("g").astream(example.input, **way)]
        pieces = [chunk for mode, (chunk, *_) in chunks[:-1] if mode == "messages"]
        run = await client.run("g", example.input, modes=["messages"])
        seen = [event.message async for event in run if isinstance(event, graphwire.MessagesEvent)]
    whole = sum(pieces[1:], pieces[0])
    assert isinstance(whole, AIMessageChunk)
    assert len(pieces) > 10, "the arguments come in pieces"
    mode, update = chunks[-1]
    (message,) = update["call_model"]["messages"]
    assert mode == "updates"
    calls = [("forecast", PLACE), ("forecast", {"place": "Rome"})]
    for of in (whole, message, sum(seen[1:], seen[0])):
        assert [(call["name"], call["args"]) for call in of.tool_calls] == calls
    assert whole.content == message.content
    assert [call["id"] for call in whole.tool_calls] == [call["id"] for call in message.tool_calls]
    assert whole.usage_metadata == message.usage_metadata
    assert message.usage_metadata["output_tokens"] == 4


# ── what goes wrong ──────────────────────────────────────────────────────────────────────────────


SAID = ("one ", "two ", "three ")
BROKEN = {
    "cut": Say(SAID, end="cut"),
    "overload": Say(SAID, end="error"),
    "fault": Say(status=500),
    "too many": Say(status=429),
    "hang": Say(SAID, end="hang"),
}


@pytest.fixture
async def broken(provide) -> Provider:
    return await provide(BROKEN)


def asks(make: Any, url: str, lib: Library = OURS) -> Any:
    """A graph whose one node asks a model about the topic."""
    model = make(url)

    async def ask(state: Topic, config: RunnableConfig) -> Topic:
        return {"joke": (await model.ainvoke(state["topic"], config)).content}

    return lib.StateGraph(Topic).add_node(ask).add_edge(lib.START, "ask").compile()


def asks_with_plain_code(make: Any, url: str, lib: Library = OURS) -> Any:
    """The same without a coroutine."""
    model = make(url)

    def ask(state: Topic) -> Topic:
        return {"joke": model.invoke(state["topic"]).content}

    return lib.StateGraph(Topic).add_node(ask).add_edge(lib.START, "ask").compile()


_PEER_CLOSED = "peer closed connection without sending complete message body (incomplete chunked read)"


@pytest.mark.parametrize(
    ("make", "how", "type", "message"),
    [
        (
            gpt,
            "cut",
            "OpenAIConnectionError",
            f"Connection error. (caused by RemoteProtocolError: {_PEER_CLOSED})",
        ),
        (gpt, "overload", "APIError", "The engine is currently overloaded"),
        (gpt, "fault", "OpenAIAPIError", "Error code: 500 - The server had an error while processing"),
        (gpt, "too many", "OpenAIRateLimitError", "Error code: 429 - Rate limit reached for requests"),
        (claude, "cut", "RemoteProtocolError", _PEER_CLOSED),
        (claude, "overload", "APIStatusError", "The engine is currently overloaded"),
        (claude, "fault", "AnthropicAPIError", "The server had an error while processing your request"),
        (claude, "too many", "AnthropicRateLimitError", "Rate limit reached for requests"),
    ],
)
async def test_a_provider_s_failure_comes_behind_its_tokens_and_says_what_happened(
    lib: Library, make: Any, how: str, type: str, message: str, broken: Provider, serve
) -> None:
    server = await serve({"g": asks(make, broken.url, lib)})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"topic": how}, modes=["messages"])
        *said, end = [event async for event in run]
        texts = [event.message.text for event in said if isinstance(event, graphwire.MessagesEvent)]
        assert tuple(filter(None, texts)) == BROKEN[how].tokens
        assert isinstance(end, graphwire.LifecycleEvent)
        assert end.status == "failed"
        assert end.error is not None
        assert (end.error.code, end.error.type) == ("graph_error", type)
        assert message in end.error.message
        with pytest.raises(graphwire.RunFailed, match=type):
            await run.result()

        heard: list[str] = []

        async def listen() -> None:
            async for chunk, _ in client.graph("g").astream({"topic": how}, stream_mode="messages"):
                heard.append(chunk.text)

        with pytest.raises(graphwire.RemoteError) as raised:
            await listen()
        assert raised.value.type == type
        assert message in str(raised.value)
        assert tuple(filter(None, heard)) == BROKEN[how].tokens


async def test_beyond_loopback_a_provider_s_failure_tells_an_id_alone(broken: Provider, serve) -> None:
    server = await serve({"g": asks(gpt, broken.url)}, expose_errors=False)
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"topic": "cut"}, modes=["messages"])
        assert tuple(await tokens(run)) == SAID
        with pytest.raises(graphwire.RunFailed) as raised:
            await run.result()
    assert (raised.value.code, raised.value.type) == ("graph_error", None)
    assert raised.value.message == f"the graph raised an exception (error_id {raised.value.error_id})"


@pytest.mark.parametrize("make", [gpt, claude])
@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize("stop", ["cancel", "leave"])
async def test_to_cancel_a_run_whose_provider_hangs_closes_the_connection_to_the_provider(
    lib: Library, make: Any, runner: str, stop: str, broken: Provider, serve
) -> None:
    server = await serve({"g": asks(make, broken.url, lib)}, runner=runner, limits={"cancel_grace_s": 30})
    async with graphwire.connect(server.url) as client:
        if stop == "cancel":
            run = await client.run("g", {"topic": "hang"}, modes=["messages"])
            assert await said_so_far(run) == SAID
            await asyncio.wait_for(broken.hanging.wait(), 10)
            assert not broken.left.is_set()
            await run.cancel("enough")
            assert await tokens(run) == []
            with pytest.raises(graphwire.RunCancelled, match="enough"):
                await run.result()
        else:
            stream = client.graph("g").astream({"topic": "hang"}, stream_mode="messages")
            async for chunk, _ in stream:
                if chunk.text == SAID[-1]:
                    break
            assert not broken.left.is_set()
            await stream.aclose()
        await asyncio.wait_for(broken.left.wait(), 10)


async def said_so_far(run: graphwire.Run) -> tuple[str, ...]:
    """Read up to the token behind which the provider hangs."""
    said: list[str] = []
    async for event in run:
        if isinstance(event, graphwire.MessagesEvent) and event.message.text:
            said.append(event.message.text)
            if said[-1] == SAID[-1]:
                break
    return tuple(said)


async def test_a_provider_that_hangs_longer_than_a_run_may_last_is_left(broken: Provider, serve) -> None:
    server = await serve({"g": asks(gpt, broken.url)}, limits={"max_run_s": 1, "cancel_grace_s": 30})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"topic": "hang"}, modes=["messages"])
        assert tuple(await tokens(run)) == SAID
        with pytest.raises(graphwire.RunFailed) as raised:
            await run.result()
    assert raised.value.code == "timeout"
    assert raised.value.message == "the run took longer than 1 s (max_run_s)"
    await asyncio.wait_for(broken.left.wait(), 10)


async def test_plain_code_that_waits_for_its_provider_is_left_behind_and_its_run_ends_in_time(
    broken: Provider, serve
) -> None:
    graph = asks_with_plain_code(gpt, broken.url)
    server = await serve({"g": graph}, runner="thread", limits={"cancel_grace_s": 0.1})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"topic": "hang"}, modes=["messages"])
        assert await said_so_far(run) == SAID
        await run.cancel()
        assert await tokens(run) == []
        with pytest.raises(graphwire.RunCancelled):
            await run.result()
        assert not broken.left.is_set(), "nobody can stop a thread: it waits on"
        broken.release.set()


async def test_a_cancel_that_is_lost_where_a_token_comes_in_the_same_moment_is_made_good(serve) -> None:
    waits, again = asyncio.Event(), asyncio.Event()

    async def ask(state: Topic) -> Topic:
        waits.set()
        with contextlib.suppress(asyncio.CancelledError):  # as asyncio.wait_for loses it before Python 3.12
            await asyncio.Event().wait()
        try:
            await asyncio.Event().wait()
        finally:
            again.set()
        return {}

    graph = OURS.StateGraph(Topic).add_node(ask).add_edge(OURS.START, "ask").compile()
    server = await serve({"g": graph}, limits={"cancel_grace_s": 0.1})
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"topic": "hang"})
        await waits.wait()
        await run.cancel()
        with pytest.raises(graphwire.RunCancelled):
            await run.result()
        await asyncio.wait_for(again.wait(), 1)


@pytest.mark.long
@pytest.mark.parametrize("make", [gpt, claude])
@pytest.mark.parametrize(
    "runner",
    ["inline", "thread"],
)
# The libraries' clients keep their connections, and with them the loop that is closed at the end.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_graphs_that_are_served_together_may_share_a_provider_s_connections(
    make: Any, runner: str, serve, provide
) -> None:
    provider = await provide(SCRIPT, keeps_alive=True)
    graphs = {name: asks(make, provider.url) for name in ("one", "other")}
    server = await serve(graphs, runner=runner)
    async with graphwire.connect(server.url) as client:
        for name in ("one", "other", "one", "other"):
            assert (await client.graph(name).ainvoke({"topic": "joke"}))["joke"] == "".join(JOKE)
    assert provider.connections < 4
