"""A node of LangGraph that begins again is noticed, and what it said before is taken back.

About `gateway/graphwire_gateway/execution/attempts.py`.
"""

from typing import Any
from uuid import uuid4

import pytest
from graphwire_gateway.execution.attempts import Attempts
from graphwire_gateway.execution.encode import Encoder
from graphwire_gateway.log.fold import Fold
from graphwire_protocol.filters import Filter, Matcher
from graphwire_protocol.projection import Projector
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.runnables import RunnableConfig, RunnableLambda

from tests.support.graphs import Library, library
from tests.support.speaking import Failing, Said, Scripted

MESSAGES = Matcher(Filter(modes=("messages",), namespaces=(("**",),)))


@pytest.fixture
def lib() -> Library:
    return library("langgraph")


def soon() -> Any:
    types = pytest.importorskip("langgraph.types")
    return types.RetryPolicy(initial_interval=0, jitter=False, max_attempts=4)


async def told(graph: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]], int]:
    """Return id and text of a run's messages, of its state's, and how many were taken back."""
    attempts, encoder, fold = Attempts(), Encoder(Projector(), 1 << 20), Fold()
    state: list[Any] = []
    taken_back = 0

    def take_back(ns: str) -> None:
        nonlocal taken_back
        for record in encoder.take_back(ns):
            taken_back += 1
            fold.add(record)

    stream = graph.astream(
        {"messages": []}, {"callbacks": [attempts]}, stream_mode=["messages", "values"], subgraphs=True
    )
    async for ns, mode, part in stream:
        if mode == "messages":
            void = attempts.void_before(part[1])
            if void is not None:
                take_back(void)
            fold.add(encoder.part(ns, mode, part))
        elif not ns:
            state = part["messages"]
    for void in attempts.void_at_end():
        take_back(void)
    rows = fold.snapshot(MESSAGES)["messages"]
    shown = [(row["id"], row["message"]["content"]) for row in rows]
    return shown, [(message.id, message.text) for message in state], taken_back


@pytest.mark.parametrize("times", [0, 1, 2])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize("sync", [False, True])
async def test_the_messages_of_the_last_attempt_are_those_of_the_state(
    lib: Library, sync: bool, streams: bool, times: int
) -> None:
    model = Scripted(pieces=[("a", None), ("b", None)], disable_streaming=not streams)
    fails = Failing(times)

    async def ask(state: Said, config: RunnableConfig) -> Any:
        answers = [await model.ainvoke("go", config) for _ in range(2)]
        fails()
        return {"messages": answers}

    def ask_blocking(state: Said, config: RunnableConfig) -> Any:
        answers = [model.invoke("go", config) for _ in range(2)]
        fails()
        return {"messages": answers}

    builder = lib.StateGraph(Said).add_node("ask", ask_blocking if sync else ask, retry_policy=soon())
    shown, state, taken_back = await told(builder.add_edge(lib.START, "ask").compile())
    assert shown == state
    assert len(state) == 2
    assert taken_back == 2 * times


async def test_a_last_attempt_that_says_nothing_takes_back_too(lib: Library) -> None:
    model, fails = Scripted(pieces=[("a", None)]), Failing(1)

    async def ask(state: Said, config: RunnableConfig) -> Any:
        if fails.left:
            await model.ainvoke("go", config)
        fails()
        return {}

    builder = lib.StateGraph(Said).add_node("ask", ask, retry_policy=soon())
    assert await told(builder.add_edge(lib.START, "ask").compile()) == ([], [], 1)


async def test_a_chain_of_the_node_s_name_that_fails_within_it_is_no_attempt_of_the_node(
    lib: Library,
) -> None:
    model, fails = Scripted(pieces=[("a", None)]), Failing(1)

    async def inner(value: Any, config: RunnableConfig) -> Any:
        answer = await model.ainvoke("go", config)
        fails()
        return answer

    async def ask(state: Said, config: RunnableConfig) -> Any:
        first = await model.ainvoke("go", config)
        chain = RunnableLambda(inner, name="ask").with_retry(wait_exponential_jitter=False)
        return {"messages": [first, await chain.ainvoke("x", config)]}

    builder = lib.StateGraph(Said).add_node("ask", ask, retry_policy=soon())
    shown, state, taken_back = await told(builder.add_edge(lib.START, "ask").compile())
    assert taken_back == 0
    assert len(shown) == 3
    assert set(state) < set(shown)


async def test_a_node_of_a_graph_inside_that_is_retried_is_found(lib: Library) -> None:
    model, fails = Scripted(pieces=[("a", None)]), Failing(2)

    async def ask(state: Said, config: RunnableConfig) -> Any:
        answer = await model.ainvoke("go", config)
        fails()
        return {"messages": [answer]}

    inner = (
        lib.StateGraph(Said).add_node("ask", ask, retry_policy=soon()).add_edge(lib.START, "ask").compile()
    )
    outer = lib.StateGraph(Said).add_node("outer", inner).add_edge(lib.START, "outer").compile()
    shown, state, taken_back = await told(outer)
    assert (shown, taken_back) == (state, 2)


def test_what_the_stream_still_holds_of_a_failed_attempt_is_not_taken_for_the_next_one() -> None:
    attempts = Attempts()
    metas: list[dict[str, Any]] = []
    for _ in range(3):
        run_id = uuid4()
        node = {"langgraph_checkpoint_ns": "ask:1", "langgraph_node": "ask"}
        attempts.on_chain_start({}, {}, run_id=run_id, metadata=node, name="ask")
        metas.append(dict(node))
        attempts.on_chat_model_start({}, [], metadata=metas[-1])
        attempts.on_chain_error(ValueError(), run_id=run_id)
    assert attempts.has_any
    assert [attempts.void_before(meta) for meta in (metas[0], metas[1], metas[1], metas[2], metas[2])] == [
        None,
        "ask:1",
        None,
        "ask:1",
        None,
    ]
    assert list(attempts.void_at_end()) == []


async def test_the_graph_s_own_callbacks_hear_as_before(lib: Library) -> None:
    class Own(BaseCallbackHandler):
        heard = 0

        def on_chain_start(self, *args: Any, **kwargs: Any) -> None:
            self.heard += 1

    own = Own()

    async def ask(state: Said) -> Any:
        return {}

    builder = lib.StateGraph(Said).add_node("ask", ask, retry_policy=soon()).add_edge(lib.START, "ask")
    await told(builder.compile().with_config({"callbacks": [own]}))
    assert own.heard == 2


async def test_an_answer_at_once_that_has_its_provider_s_id_is_taken_back(lib: Library) -> None:
    models = iter([Scripted(pieces=[("a", f"msg_{number}")], disable_streaming=True) for number in (1, 2)])
    fails = Failing(1)

    async def ask(state: Said, config: RunnableConfig) -> Any:
        answer = await next(models).ainvoke("go", config)
        fails()
        return {"messages": [answer]}

    builder = lib.StateGraph(Said).add_node("ask", ask, retry_policy=soon())
    shown, state, taken_back = await told(builder.add_edge(lib.START, "ask").compile())
    assert (shown, taken_back) == (state, 1)
    assert [id for id, _ in state] == ["msg_2"]
