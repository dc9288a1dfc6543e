"""What has ended is freed at once, without the garbage collector, which comes rarely to a server.

About `gateway/graphwire_gateway/log/log.py`, `gateway/graphwire_gateway/graphs/job.py`,
`gateway/graphwire_gateway/graphs/node_threads.py`, `gateway/graphwire_gateway/connections/dispatch.py` and
`gateway/graphwire_gateway/connections/delivery.py`.
"""

import gc
import logging
import weakref
from collections import Counter
from collections.abc import Iterator

import pytest
from graphwire_gateway import GraphSpec
from graphwire_gateway.cluster.link import Link
from graphwire_gateway.cluster.outbox import Outbox
from graphwire_gateway.cluster.relay import CommandRelay
from graphwire_gateway.connections.connection import Connection
from graphwire_gateway.connections.delivery import _matchers
from graphwire_gateway.execution.execution import Execution
from graphwire_gateway.graphs.job import Job
from graphwire_gateway.graphs.node_threads import _Call
from graphwire_gateway.runs.run import Run
from typing_extensions import TypedDict
from websockets.asyncio.client import ClientConnection

from tests.live.conftest import Connect, Serve
from tests.support.graphs import Library
from tests.support.peer import everything
from tests.support.waiting import until


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # to look for objects is to look at all that are not frozen
    gc.disable()
    yield
    gc.enable()


class State(TypedDict, total=False):
    n: int


async def waits_not(state: State) -> State:
    return {"n": 1}


def in_a_thread(state: State) -> State:
    return {"n": 2}


async def fails(state: State) -> State:
    raise ValueError("no")


def alive(*classes: type) -> Counter[str]:
    """Return how many objects of each class there are."""
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in classes)


@pytest.mark.one_process
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("node", [waits_not, in_a_thread, fails])
async def test_a_deleted_run_and_all_that_it_was_made_of_is_freed(
    serve: Serve, connect: Connect, lib: Library, node: object, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "graphwire")  # a record would keep the traceback of a failure
    graph = lib.StateGraph(State).add_node("n", node).add_edge(lib.START, "n").compile()
    server = await serve({"g": GraphSpec(graph, "thread")})
    peer = await connect(server)
    # LangGraph's own cycles hold the job of an execution, and little else.
    classes = (Run, Execution, *([] if lib.name == "langgraph" else [Job, _Call]))
    before = alive(*classes)
    await peer.run("g", {"n": 0}, everything(1), run="r")
    await peer.closed(1)
    ref = weakref.ref(server._runs._runs.get("anonymous/r"))
    await until(lambda: (run := ref()) is not None and run._execution is None)
    assert (await peer.ask(type="delete", run="r"))["type"] == "ok"
    await until(lambda: alive(*classes) == before)


@pytest.mark.usefixtures("no_collector")
async def test_a_closed_connection_and_its_filters_are_freed(
    serve: Serve, connect: Connect, lib: Library
) -> None:
    graph = lib.StateGraph(State).add_node("n", waits_not).add_edge(lib.START, "n").compile()
    server = await serve({"g": graph})
    classes = (Connection, CommandRelay, Link, Outbox, ClientConnection)  # all but the first are of gateways
    before = alive(*classes)
    peer = await connect(server)
    await peer.run("g", {"n": 0}, everything(1), run="r")
    await peer.ask(type="watch", sub=2)
    await peer.closed(1)
    assert alive(*classes) > before
    await peer.wire.close()
    await until(lambda: alive(*classes) <= before and not _matchers)
