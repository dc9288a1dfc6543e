"""What a run's messages add up to, call by call, are the messages of its state.

About `gateway/graphwire_gateway/execution/calls.py` and `clients/python/graphwire/messages.py`.
"""

import asyncio
from typing import Any

import pytest
from graphwire.event_reader import EventReader
from graphwire.events import MessagesEvent
from graphwire.messages import MessageChunk
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.log.fold import Fold
from graphwire_gateway.log.record import Record
from graphwire_protocol.codec import decode_frames
from graphwire_protocol.filters import Filter, Matcher
from graphwire_protocol.frames import Event
from graphwire_protocol.projection import Projector
from graphwire_runtime import START, RetryPolicy, StateGraph
from graphwire_runtime.servable import RETRIES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import LIBRARIES, OURS, Library, library
from tests.support.speaking import Failing, Said, Scripted, chat

MESSAGES = Matcher(Filter(modes=("messages",), namespaces=(("**",),)))


@pytest.fixture(params=LIBRARIES)
def lib(request: pytest.FixtureRequest) -> Library:
    return library(request.param)


async def messages_of(graph: Any, config: Any = None) -> tuple[list[Record], list[Any]]:
    """Return the records of a run's messages, and the messages of its state."""
    encoder = Encoder(Projector(), 1 << 20)
    records, state = [], []
    async for ns, mode, part in graph.astream(
        {"messages": []}, config, stream_mode=["messages", "values", RETRIES], subgraphs=True
    ):
        if mode == "messages":
            records.append(encoder.part(ns, mode, part))
        elif mode == RETRIES:
            records += encoder.take_back(part["checkpoint_ns"])
        elif not ns:
            state = part["messages"]
    return records, state


def summed(records: list[Record]) -> list[tuple[str | None, str]]:
    """Return id and text of each message that a client adds up."""
    reader, sums = EventReader("r"), {}
    for seq, record in enumerate(records, 1):
        frame = b'{"type":"event","sub":1,"n":%d,"seq":%d,%s}' % (seq, seq, record.body)
        (read,) = decode_frames(frame)
        assert isinstance(read, Event)
        event = reader.read(read)
        assert isinstance(event, MessagesEvent)
        if event.discard:
            del sums[event.call]
        elif isinstance(event.message, MessageChunk) and event.call in sums:
            sums[event.call] += event.message
        else:
            sums[event.call] = event.message
    return [(message.id, message.text) for message in sums.values()]


def folded(records: list[Record]) -> list[tuple[str, str]]:
    """Return id and text of each message in a snapshot."""
    fold = Fold()
    for record in records:
        fold.add(record)
    rows = fold.snapshot(MESSAGES)["messages"]
    return [(row["id"], row["message"].get("content", "")) for row in rows]


texts = st.sampled_from(["", "a", "b ", "c"])
mixed = st.lists(st.tuples(texts, st.sampled_from([None, "msg", "resp", "lc_own"])), min_size=1, max_size=4)
passed_on = st.lists(st.tuples(texts, st.just("lc_run--inner")), min_size=1, max_size=3)
pieces = mixed | passed_on
nodes = st.lists(st.lists(pieces, min_size=1, max_size=3), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes, st.booleans(), st.booleans(), st.booleans())
def test_whatever_ids_its_chunks_have_a_call_adds_up_to_the_message_in_the_state(
    lib: Library, nodes: Any, parallel: bool, sync: bool, streams: bool
) -> None:
    count = 0
    plan = []
    for number, node_calls in enumerate(nodes):
        named = []
        for each in node_calls:
            count += 1
            named.append([(text, None if kind is None else f"{kind}-{count}") for text, kind in each])
        plan.append((f"node{number}", named))
    graph = chat(lib, *plan, parallel=parallel, sync=sync, disable_streaming=not streams)
    records, state = asyncio.run(messages_of(graph))
    expected = sorted((message.id, message.text) for message in state)
    assert len(expected) == count
    assert sorted(summed(records)) == expected  # type: ignore[type-var]
    assert sorted(folded(records)) == expected


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=2), min_size=1, max_size=3
    )
)
def test_every_call_of_a_model_with_a_fixed_id_is_a_message_of_its_own(lib: Library, nodes: Any) -> None:
    plan = [
        (f"node{number}", [[(text, "fixed") for text in call] for call in node_calls])
        for number, node_calls in enumerate(nodes)
    ]
    expected = sorted("".join(call) for node_calls in nodes for call in node_calls)
    for parallel in (False, True):
        records, _ = asyncio.run(messages_of(chat(lib, *plan, parallel=parallel)))
        assert sorted(text for _, text in summed(records)) == expected
        assert sorted(text for _, text in folded(records)) == expected
        assert {id for id, _ in folded(records)} == {"fixed"}


async def test_calls_of_one_node_at_the_same_time_are_told_apart(lib: Library) -> None:
    models = [Scripted(pieces=[(letter, "fixed") for letter in word]) for word in ("abc", "xyz", "123")]

    async def ask(state: Said, config: RunnableConfig) -> Any:
        return {"messages": await asyncio.gather(*(model.ainvoke("go", config) for model in models))}

    graph = lib.StateGraph(Said).add_node("ask", ask).add_edge(lib.START, "ask").compile()
    records, _ = await messages_of(graph)
    assert sorted(text for _, text in folded(records)) == ["123", "abc", "xyz"]


def asking_twice(lib: Library, model: Scripted, sync: bool) -> Any:
    """Return a graph whose node asks ``model`` for the answers to two prompts at once."""
    prompts: list[Any] = [[HumanMessage("one")], [HumanMessage("two")]]

    async def ask(state: Said, config: RunnableConfig) -> Any:
        how: Any = {name: config.get(name) for name in ("callbacks", "metadata")}
        result = model.generate(prompts, **how) if sync else await model.agenerate(prompts, **how)
        answers: list[Any] = [each[0] for each in result.generations]
        return {"messages": [answer.message for answer in answers]}

    return lib.StateGraph(Said).add_node("ask", ask).add_edge(lib.START, "ask").compile()


@pytest.mark.parametrize("sync", [False, True])
async def test_the_calls_for_several_prompts_are_told_apart(lib: Library, sync: bool) -> None:
    graph = asking_twice(lib, Scripted(pieces=[("a", None), ("b", None)]), sync)
    records, state = await messages_of(graph)
    assert sorted(folded(records)) == sorted((message.id, message.text) for message in state)


async def test_in_our_runtime_they_are_even_under_one_id() -> None:
    """LangGraph hands over the same metadata for both."""
    graph = asking_twice(OURS, Scripted(pieces=[("a", "fixed"), ("b", "fixed")]), sync=False)
    records, _ = await messages_of(graph)
    assert folded(records) == [("fixed", "ab"), ("fixed", "ab")]


# ── nodes that fail and begin again ──────────────────────────────────────────────────────────────

SOON = RetryPolicy(initial_interval=0, jitter=False, max_attempts=4)


def persisting(models: list[Scripted], fails: Failing, sync: bool, where: str) -> Any:
    """Return a builder of a graph with a node that calls the models, fails, and is retried.

    ``where`` it fails: in that ``node``; or, if a graph in the node calls the models, ``inside`` the node
    that does, in a ``later`` node of the inner graph, or ``outside`` of that graph.
    """

    async def ask(state: Said, config: RunnableConfig) -> Any:
        answers = [await model.ainvoke("go", config) for model in models]
        if where in ("node", "inside"):
            fails()
        return {"messages": answers}

    def ask_blocking(state: Said, config: RunnableConfig) -> Any:
        answers = [model.invoke("go", config) for model in models]
        if where in ("node", "inside"):
            fails()
        return {"messages": answers}

    def later(state: Said) -> Any:
        if where == "later":
            fails()
        return {}

    call = ask_blocking if sync else ask
    if where == "node":
        return StateGraph(Said).add_node("ask", call, retry_policy=SOON).add_edge(START, "ask")
    inner = StateGraph(Said).add_node("ask", call).add_node(later)
    below = inner.add_edge(START, "ask").add_edge("ask", "later").compile()

    async def outer(state: Said, config: RunnableConfig) -> Any:
        result = await below.ainvoke(state, config)
        if where == "outside":
            fails()
        return result

    return StateGraph(Said).add_node("outer", outer, retry_policy=SOON).add_edge(START, "outer")


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("streams", [True, False])
@pytest.mark.parametrize("sync", [False, True])
@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("where", ["node", "inside", "later", "outside"])
async def test_the_answers_of_an_attempt_that_failed_are_taken_back_and_no_others(
    where: str, keeps: bool, sync: bool, streams: bool, times: int
) -> None:
    models = [
        Scripted(pieces=[("a", None), ("b", None)], disable_streaming=not streams),
        Scripted(pieces=[("c", None)], disable_streaming=not streams),
    ]
    builder = persisting(models, Failing(times), sync, where)
    graph = builder.compile(checkpointer=InMemorySaver() if keeps else None)
    records, state = await messages_of(graph, {"configurable": {"thread_id": "t"}} if keeps else None)
    expected = [(message.id, message.text) for message in state]
    assert len(expected) == 2
    assert folded(records) == expected
    assert summed(records) == expected
    taken_back = sum(b'"discard":true' in record.data for record in records)
    is_kept = keeps and where in ("later", "outside")  # the inner graph continues behind the answers
    assert taken_back == (0 if is_kept else 2 * times)


class Breaking(Scripted):
    """Breaks off in the middle, as often as ``fails`` says."""

    fails: Any

    async def _astream(self, *args: Any, **kwargs: Any) -> Any:
        async for piece in super()._astream(*args, **kwargs):
            yield piece
            self.fails()


async def test_half_an_answer_is_taken_back_whatever_its_ids() -> None:
    model = Breaking(pieces=[("half", "fixed"), (" and half", "fixed")], fails=Failing(2))

    async def ask(state: Said, config: RunnableConfig) -> Any:
        return {"messages": [await model.ainvoke("go", config)]}

    graph = StateGraph(Said).add_node("ask", ask, retry_policy=SOON).add_edge(START, "ask").compile()
    records, _ = await messages_of(graph)
    assert folded(records) == summed(records) == [("fixed", "half and half")]
