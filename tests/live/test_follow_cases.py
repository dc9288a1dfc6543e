"""What a follower tells in the cases that people meet, one by one.

About `clients/python/graphwire/follow.py`, `clients/python/graphwire/follow_events.py` and
`clients/python/graphwire/follow_log.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Annotated, Any

import graphwire
import pytest
from graphwire.transport import NotOpened, open_websocket
from graphwire_gateway import Gateway
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from tests.support.following import Gates, chat, shown
from tests.support.graphs import OURS, Speaker
from tests.support.model_server import ModelServer, impatient


class Talk(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]


def said(text: str, id: str = "h1") -> dict[str, Any]:
    return {"messages": [graphwire.Message("human", text, id=id)]}


def texts(messages: Any) -> list[str]:
    return [text for _, _, text in shown(messages)]


async def until(follower: graphwire.ThreadFollower, wanted: Callable[[Any], Any]) -> list[Any]:
    """Return the events up to the one that is wanted."""
    events: list[Any] = []
    while True:
        events.append(await asyncio.wait_for(anext(follower), 10))
        if wanted(events[-1]):
            return events


def is_end(event: Any) -> bool:
    return isinstance(event, graphwire.FollowMessages) and event.because == "end"


def is_pause(event: Any) -> bool:
    return isinstance(event, graphwire.FollowMessages) and event.because == "pause"


def names(events: list[Any]) -> list[str]:
    """Return the classes of events, of lists why they come."""
    return [
        event.because if isinstance(event, graphwire.FollowMessages) else type(event).__name__
        for event in events
    ]


@pytest.fixture
async def client(serve) -> AsyncIterator[graphwire.Client]:
    """A client of a server with a chat, and one that keeps to a subgraph."""

    async def deep(state: Talk) -> Talk:
        return {"messages": [await Speaker(words=["deep"]).ainvoke("?")]}

    inner = OURS.StateGraph(Talk).add_node(deep).add_edge(OURS.START, "deep").compile()
    nested = OURS.StateGraph(Talk).add_node("inner", inner).add_edge(OURS.START, "inner").compile()
    server = await serve({"chat": chat(OURS, Gates(), InMemorySaver()), "nested": nested})
    async with graphwire.connect(server.url) as client:
        yield client


async def test_a_run_of_somebody_else_comes_from_its_first_event_to_its_end(client) -> None:
    async with client.follow("chat", "t") as follower:
        assert names([await anext(follower)]) == ["state"]
        assert (follower.messages, follower.run) == ((), None)
        await client.run("chat", said("plain"), thread="t", modes=["messages", "custom"])
        events = await until(follower, is_end)
        assert names(events[:2]) == ["FollowRun", "start"]
        assert (events[0].number, events[0].checkpoint, events[0].missing) == (1, "", ())
        assert "MessagesEvent" in names(events)
        assert "CustomEvent" in names(events)
        assert names(events[-2:]) == ["LifecycleEvent", "end"]
        assert texts(follower.messages) == ["plain", "well now", "I say yes"]
        assert follower.run is None


async def test_values_are_followed_exactly_and_shown_as_events_only_if_asked_for(client) -> None:
    async with client.follow("chat", "t") as few, client.follow("chat", "t", modes=["values"]) as all:
        await asyncio.gather(anext(few), anext(all))
        await client.run("chat", said("plain"), thread="t", modes=["messages", "values"])
        events = await until(few, is_end)
        lists = [texts(event.messages) for event in events if names([event]) == ["values"]]
        assert lists == [["plain"], ["plain", "well now"], ["plain", "well now", "I say yes"]]
        assert "ValuesEvent" not in names(events)
        seen = names(await until(all, is_end))
        assert seen.count("ValuesEvent") == seen.count("values") == 3
        assert few.messages == all.messages


async def test_modes_and_subgraphs_that_a_run_does_not_record_are_named(client) -> None:
    wanted: dict[str, Any] = {"modes": ["messages", "custom", "updates"], "namespaces": [["**"]]}
    async with client.follow("nested", "t", **wanted) as follower:
        await anext(follower)
        await client.run("nested", said("hi"), thread="t", modes=["updates"])
        events = await until(follower, is_end)
        begun = next(event for event in events if isinstance(event, graphwire.FollowRun))
        assert begun.missing == ("messages", "custom", "subgraphs")
        assert "UpdatesEvent" in names(events)
        assert texts(follower.messages) == ["hi", "deep"]
        await client.run("nested", said("ho", "h2"), thread="t", **wanted)
        events = await until(follower, is_end)
        begun = next(event for event in events if isinstance(event, graphwire.FollowRun))
        assert (begun.number, begun.missing) == (2, ())
        assert any(event.namespace for event in events if isinstance(event, graphwire.MessagesEvent))


async def test_a_question_is_answered_by_the_follower_or_by_anybody(client) -> None:
    async with client.follow("chat", "t") as asked, client.follow("chat", "t") as other:
        await client.run("chat", said("ask"), thread="t", modes=["messages"])
        events = await until(asked, is_pause)
        (question,) = next(
            event for event in events if isinstance(event, graphwire.InterruptEvent)
        ).interrupts
        assert texts(asked.messages) == ["ask", "well now"]
        await until(other, is_pause)
        await asked.run.respond({question.id: "sure"})
        for follower in (asked, other):
            events = await until(follower, is_end)
            assert "FollowRun" not in names(events)
            assert texts(follower.messages) == ["ask", "well now", "I say sure"]


async def test_a_wait_that_is_cancelled_loses_no_event(client) -> None:
    run = await client.run("chat", said("plain"), thread="t", modes=["messages"])
    await run.result()
    await client.run("chat", said("ask", "h2"), thread="t", modes=["messages"])
    async with client.follow("chat", "t") as whole, client.follow("chat", "t") as hasty:
        wanted = await until(whole, is_pause)
        events: list[Any] = []
        while not events or not is_pause(events[-1]):
            waiting = asyncio.ensure_future(anext(hasty))
            await asyncio.sleep(0)
            if not waiting.done():
                waiting.cancel()
            await asyncio.wait({waiting})
            if not waiting.cancelled():
                events.append(waiting.result())
        assert _of_runs(events) == _of_runs(wanted)


def _of_runs(events: list[Any]) -> list[Any]:
    """Return the events of runs; a run's status depends on when its row was read."""
    found = [event for event in events if getattr(event, "run", None)]
    return [
        replace(event, status=None) if isinstance(event, graphwire.FollowRun) else event for event in found
    ]


async def test_a_graph_that_is_not_served_and_a_thread_that_cannot_be(client) -> None:
    with pytest.raises(graphwire.Refused, match="not_found"):
        await anext(client.follow("elsewhere", "t"))
    with pytest.raises(ValueError, match="thread"):
        client.follow("chat", "no/thread")


async def test_a_client_that_is_closed_ends_the_loop_with_why(client) -> None:
    follower = client.follow("chat", "t")
    await anext(follower)
    waiting = asyncio.ensure_future(anext(follower))
    await asyncio.sleep(0)
    await client.close()
    with pytest.raises(graphwire.ConnectionClosed):
        await waiting
    with pytest.raises(StopAsyncIteration):
        await anext(follower)


async def test_a_server_that_numbers_no_runs_is_refused() -> None:
    server = ModelServer()
    async with graphwire.connect("ws://model/ws", open=server.open, backoff=impatient()) as client:
        if client.server.minor:
            client._exchange._session.welcome = client.server.model_copy(update={"minor": 0})
        with pytest.raises(graphwire.Refused, match="unsupported"):
            await anext(client.follow("chat", "t"))


async def test_text_that_went_with_the_process_is_withdrawn_and_what_the_database_has_stays(tmp_path) -> None:
    graph = chat(OURS, Gates(), None)

    def saver() -> Any:
        return AsyncSqliteSaver.from_conn_string(str(tmp_path / "chat.db"))

    serving = Gateway({"chat": graph}, checkpointer=saver).serve("127.0.0.1", 0)
    urls = [(await serving.__aenter__()).url]
    transports: list[Any] = []

    async def open(url: str, timeout_s: float) -> Any:
        if not urls:
            raise NotOpened("the server is down")
        transports.append(await open_websocket(urls[0], timeout_s))
        return transports[-1]

    async with graphwire.connect("ws://chat/ws", open=open, backoff=impatient()) as client:
        await (await client.run("chat", said("plain"), thread="t", modes=["messages"])).result()
        follower = client.follow("chat", "t")
        await anext(follower)
        held = await client.run("chat", said("hold", "h2"), thread="t", modes=["messages"])
        await until(follower, lambda event: texts(follower.messages)[-1:] == ["I "])
        urls.clear()
        transports[-1]._socket.transport.abort()
        await serving.__aexit__(None, None, None)
        async with Gateway({"chat": graph}, checkpointer=saver).serve("127.0.0.1", 0) as again:
            urls.append(again.url)
            events = await until(follower, lambda event: isinstance(event, graphwire.FollowMessages))
            discard = next(event for event in events if isinstance(event, graphwire.FollowDiscard))
            assert (discard.reason, discard.run) == ("lost", held.id)
            assert events[-1].because == "state"
            assert texts(follower.messages) == ["plain", "well now", "I say yes", "hold", "well now"]
            await client.run("chat", said("plain", "h3"), thread="t", modes=["messages"])
            events = await until(follower, is_end)
            assert names(events[:2]) == ["FollowRun", "start"]
            assert events[0].number == 1
            assert texts(follower.messages)[4:] == ["well now", "plain", "well now", "I say yes"]
        await follower.aclose()


async def test_a_run_of_another_user_on_a_shared_thread_is_a_hole(serve) -> None:
    tokens = {"a-long-random-token": "ann", "b-long-random-token": "bob"}
    server = await serve({"chat": chat(OURS, Gates(), InMemorySaver())}, tokens=tokens, shared_threads=True)
    ann = graphwire.connect(server.url, token="a-long-random-token")
    bob = graphwire.connect(server.url, token="b-long-random-token")
    async with ann, bob, bob.follow("chat", "t") as follower:
        await anext(follower)
        await (await ann.run("chat", said("plain"), thread="t", modes=["messages"])).result()
        await bob.run("chat", said("plain", "h2"), thread="t", modes=["messages"])
        events = await until(follower, is_end)
        assert isinstance(events[0], graphwire.FollowDiscard)
        assert (events[0].reason, events[0].run) == ("missed", None)
        begun = next(event for event in events if isinstance(event, graphwire.FollowRun))
        assert begun.number == 2
        assert len(follower.messages) == 6
        late = bob.follow("chat", "t")
        assert names([await anext(late)]) == ["state"]
        assert late.messages == follower.messages
        await late.aclose()
