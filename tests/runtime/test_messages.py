"""The messages mode: tokens, whole messages, and the state that holds them.

About `runtime/graphwire_runtime/stream/tokens.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypedDict

import pytest
from graphwire_runtime import END, START, Command, MessagesState, StateGraph, add_messages
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage
from langchain_core.runnables import RunnableConfig, RunnableLambda


class Talk(TypedDict, total=False):
    said: str


def graph_of(node: Any, schema: Any = Talk) -> Any:
    return StateGraph(schema).add_node("talk", node).add_edge(START, "talk").compile()


def shown(chunks: list[Any]) -> list[tuple[str, str]]:
    return [(type(message).__name__, message.content) for message, _ in chunks]


ONE_TWO = [("AIMessageChunk", "one"), ("AIMessageChunk", "two"), ("AIMessageChunk", "")]


async def test_tokens_stream_though_the_node_only_invokes(drain: Any, speaker: Any) -> None:
    chunks = await drain(
        graph_of(lambda state: {"said": speaker().invoke("hi").content}), {}, stream_mode="messages"
    )
    assert shown(chunks) == ONE_TWO
    assert len({message.id for message, _ in chunks}) == 1
    metadata = chunks[0][1]
    assert metadata["langgraph_node"] == "talk"
    assert metadata["langgraph_step"] == 1
    assert metadata["langgraph_triggers"] == ("branch:to:talk",)
    assert metadata["langgraph_checkpoint_ns"].startswith("talk:")
    assert "tags" not in metadata
    assert all(other is metadata for _, other in chunks), "one mapping for all chunks of a call"


async def test_async_nodes_stream_tokens_with_and_without_handing_on_the_config(speaker: Any) -> None:
    async def handing(state: Talk, config: RunnableConfig) -> dict[str, Any]:
        return {"said": (await speaker().ainvoke("hi", config)).content}

    async def trusting(state: Talk) -> dict[str, Any]:
        return {"said": (await speaker().ainvoke("hi")).content}

    for node in (handing, trusting):
        assert shown([c async for c in graph_of(node).astream({}, stream_mode="messages")]) == ONE_TWO


async def test_tokens_come_one_by_one_while_the_model_speaks(speaker: Any) -> None:
    received = asyncio.Event()

    class Patient(speaker):  # type: ignore[misc]
        async def _astream(self, *args: Any, **kwargs: Any) -> Any:
            async for chunk in super()._astream(*args, **kwargs):
                yield chunk
                await asyncio.wait_for(received.wait(), 5)

    async def node(state: Talk) -> dict[str, Any]:
        return {"said": (await Patient().ainvoke("hi")).content}

    stream = graph_of(node).astream({}, stream_mode="messages")
    assert (await anext(stream))[0].content == "one"
    received.set()
    assert len([chunk async for chunk in stream]) == 2


async def test_tags_distinguish_models_and_are_added_to_those_of_the_config(drain: Any, speaker: Any) -> None:
    joke, poem = speaker(words="ha", tags=["joke"]), speaker(words="rose", tags=["poem"])
    graph = graph_of(lambda state: {"said": joke.invoke("x").content + poem.invoke("x").content})
    chunks = await drain(graph, {}, stream_mode="messages", config={"tags": ["mine"]})
    assert [(m.content, meta["tags"]) for m, meta in chunks if m.content] == [
        ("ha", ["mine", "joke"]),
        ("rose", ["mine", "poem"]),
    ]


async def test_metadata_of_config_model_and_call_come_together(drain: Any, speaker: Any) -> None:
    model = speaker(metadata={"model": 1})
    graph = graph_of(lambda state: {"said": model.invoke("x", {"metadata": {"call": 2}}).content})
    config = {"metadata": {"run": 3}, "configurable": {"thread_id": "t", "secret": "s"}}
    ((_, metadata), *_) = await drain(graph, {}, stream_mode="messages", config=config)
    assert {key: metadata.get(key) for key in ("model", "call", "run", "thread_id", "secret")} == {
        "model": 1,
        "call": 2,
        "run": 3,
        "thread_id": "t",
        "secret": None,
    }


async def test_metadata_of_the_run_reaches_models_in_a_chain_with_its_own(drain: Any, speaker: Any) -> None:
    chain = RunnableLambda(lambda state: "hi") | speaker()
    graph = graph_of(
        lambda state: {"said": chain.invoke("x", {"metadata": {"chain": 1}, "tags": ["c"]}).content}
    )
    ((_, metadata), *_) = await drain(
        graph, {}, stream_mode="messages", config={"metadata": {"run": 3}, "tags": ["r"]}
    )
    assert (metadata["chain"], metadata["run"], metadata["langgraph_node"]) == (1, 3, "talk")
    assert metadata["tags"] == ["r", "c"]


async def test_a_model_that_does_not_stream_gives_one_whole_message(drain: Any, speaker: Any) -> None:
    graph = graph_of(lambda state: {"said": speaker(disable_streaming=True).invoke("hi").content})
    assert shown(await drain(graph, {}, stream_mode="messages")) == [("AIMessage", "one two")]


async def test_a_model_in_a_chain_streams_without_the_tags_of_the_chain(drain: Any, speaker: Any) -> None:
    chain = (
        RunnableLambda(lambda state: "hi") | speaker() | RunnableLambda(lambda reply: {"said": reply.content})
    )
    chunks = await drain(graph_of(chain), {}, stream_mode="messages")
    assert shown(chunks) == ONE_TWO
    assert all("tags" not in metadata for _, metadata in chunks)


async def test_a_model_that_breaks_leaves_its_tokens_in_the_stream(drain: Any, speaker: Any) -> None:
    graph = graph_of(lambda state: {"said": speaker(breaks_at=1).invoke("hi").content})
    chunks: list[Any] = []
    with pytest.raises(ConnectionError):
        await drain(graph, {}, stream_mode="messages", into=chunks)
    assert shown(chunks) == ONE_TWO[:1]


async def test_the_nostream_tag_mutes_tokens_but_not_a_message_put_into_the_state(
    drain: Any, speaker: Any
) -> None:
    silent = speaker(tags=["nostream"])
    graph = graph_of(lambda state: {"messages": [silent.invoke("hi")]}, MessagesState)
    assert shown(await drain(graph, {"messages": []}, stream_mode="messages")) == [("AIMessage", "onetwo")]
    mute = graph_of(lambda state: {"said": silent.invoke("hi").content})
    assert await drain(mute, {}, stream_mode="messages") == []


@pytest.mark.parametrize(
    ("returned", "shown"),
    [
        ({"messages": AIMessage("bare", id="1")}, ["bare"]),
        ({"messages": [AIMessage("a", id="1"), HumanMessage("b", id="2")]}, ["a", "b"]),
        (Command(update={"messages": [AIMessage("by command", id="1")]}), ["by command"]),
        ({"messages": [("ai", "pair"), {"role": "ai", "content": "dict"}]}, []),
        ({"messages": [AIMessage("once", id="1"), AIMessage("twice", id="1")]}, ["once"]),
        ({"messages": [HumanMessage("echo", id="input")]}, []),
        ({"messages": [RemoveMessage(id="input")]}, []),
    ],
)
async def test_whole_messages_that_a_node_returns(returned: Any, shown: list[str], drain: Any) -> None:
    graph = graph_of(lambda state: returned, MessagesState)
    chunks = await drain(graph, {"messages": [HumanMessage("hi", id="input")]}, stream_mode="messages")
    assert [message.content for message, _ in chunks] == shown
    assert all(metadata["langgraph_node"] == "talk" for _, metadata in chunks)


async def test_a_streamed_message_that_is_returned_is_not_repeated(drain: Any, speaker: Any) -> None:
    graph = graph_of(lambda state: {"messages": [speaker().invoke("hi")]}, MessagesState)
    chunks = await drain(graph, {"messages": []}, stream_mode=["messages", "values"])
    assert shown([chunk for mode, chunk in chunks if mode == "messages"]) == ONE_TWO
    assert chunks[-1][1]["messages"][0].content == "onetwo"


async def test_a_message_without_an_id_is_shown_with_the_id_it_has_in_the_state(drain: Any) -> None:
    graph = graph_of(lambda state: {"messages": [AIMessage("new")]}, MessagesState)
    chunks = await drain(graph, {"messages": []}, stream_mode=["messages", "updates", "values"])
    assert [mode for mode, _ in chunks] == ["values", "messages", "updates", "values"]
    assert chunks[1][1][0].id
    assert chunks[1][1][0].id == chunks[-1][1]["messages"][0].id


async def test_parallel_models_interleave_and_are_distinguished_by_node(speaker: Any) -> None:
    turns = asyncio.Condition()
    spoken: list[str] = []

    class Polite(speaker):  # type: ignore[misc]
        me: str

        async def _astream(self, *args: Any, **kwargs: Any) -> Any:
            async for chunk in super()._astream(*args, **kwargs):
                async with turns:
                    await asyncio.wait_for(turns.wait_for(lambda: spoken[-1:] != [self.me]), 5)
                    spoken.append(self.me)
                    turns.notify_all()
                yield chunk

    def node(name: str) -> Callable[..., Any]:
        async def speak(state: Talk) -> None:
            await Polite(me=name).ainvoke("hi")

        return speak

    graph = StateGraph(Talk).add_node("a", node("a")).add_node("b", node("b"))
    graph.add_edge(START, "a").add_edge(START, "b")
    chunks = [c async for c in graph.compile().astream({}, stream_mode="messages")]
    assert [meta["langgraph_node"] for m, meta in chunks if m.content] == spoken
    assert len(spoken) == 4


async def test_the_model_of_a_router_streams_as_its_node(drain: Any, speaker: Any) -> None:
    def route(state: Talk) -> str:
        speaker().invoke("where to?")
        return END

    graph = StateGraph(Talk).add_node("talk", lambda state: None).add_edge(START, "talk")
    chunks = await drain(graph.add_conditional_edges("talk", route).compile(), {}, stream_mode="messages")
    assert shown(chunks) == ONE_TWO
    assert {metadata["langgraph_node"] for _, metadata in chunks} == {"talk"}


def test_add_messages_appends_replaces_and_removes_by_id() -> None:
    old = [HumanMessage("a", id="1"), HumanMessage("b", id="2")]
    new = add_messages(old, [AIMessage("B", id="2"), RemoveMessage(id="1"), ("ai", "c")])  # type: ignore[arg-type]
    assert [(message.type, message.content) for message in new] == [("ai", "B"), ("ai", "c")]
    assert all(message.id for message in new)
    assert [message.content for message in old] == ["a", "b"], "the old list is left alone"


def test_add_messages_takes_single_messages_and_chunks() -> None:
    (message,) = add_messages([], AIMessageChunk(content="x", id="1"))
    assert type(message) is AIMessage


def test_add_messages_clears_everything_before_a_remove_all() -> None:
    kept = add_messages(
        [HumanMessage("a", id="1")],  # type: ignore[arg-type]
        [AIMessage("b", id="2"), RemoveMessage(id="__remove_all__"), AIMessage("c", id="3")],  # type: ignore[arg-type]
    )
    assert [message.content for message in kept] == ["c"]


def test_add_messages_refuses_to_remove_what_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"'2'.*no message of the 1"):
        add_messages([HumanMessage("a", id="1")], [RemoveMessage(id="2")])  # type: ignore[arg-type]
