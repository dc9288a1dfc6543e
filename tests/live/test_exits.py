"""What a node raises to end more than itself, or what Python treats apart, is a plain failure of its run.

About `gateway/graphwire_gateway/failures.py` and `runtime/graphwire_runtime/drive/execute.py`.
"""

import asyncio
from typing import Any

import graphwire
import pytest
from graphwire_gateway import GraphSpec
from typing_extensions import TypedDict

from tests.support.graphs import Library

pytestmark = pytest.mark.long

KINDS = (
    GeneratorExit,
    SystemExit,
    KeyboardInterrupt,
    asyncio.CancelledError,
    StopIteration,
    StopAsyncIteration,
    TimeoutError,
)


class State(TypedDict, total=False):
    word: str


@pytest.mark.parametrize("is_async", [False, True], ids=["def", "async def"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("default")  # LangGraph's coroutines cannot end in order
async def test_the_run_fails_with_what_its_node_raised(
    serve: Any, lib: Library, kind: type[BaseException], is_async: bool
) -> None:
    def plain(state: State) -> State:
        raise kind("why")

    async def coroutine(state: State) -> State:
        raise kind("why")

    graph = lib.StateGraph(State).add_node("node", coroutine if is_async else plain)
    spec = GraphSpec(graph.add_edge(lib.START, "node").compile(), "thread")
    server = await serve({"g": spec}, expose_errors=True)
    async with graphwire.connect(server.url) as client:
        run = await client.run("g", {"word": "x"})
        with pytest.raises(graphwire.RunFailed) as raised:
            await asyncio.wait_for(run.result(), 20)
    failure = raised.value
    assert failure.code == "graph_error"
    assert kind.__name__ in f"{failure.type} {failure.message}"
