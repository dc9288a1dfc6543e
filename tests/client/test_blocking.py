"""A remote graph without an event loop: the same shapes, one by one, and Ctrl-C at any moment.

About `clients/python/graphwire/blocking.py`.
"""

import asyncio
import contextlib
import gc
import inspect
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import graphwire
import pytest
from graphwire.blocking import LoopThread, wait
from graphwire.transport import NotOpened
from graphwire_protocol.commands import Cancel, StateUpdate
from graphwire_protocol.commands import Run as RunCommand
from graphwire_protocol.replies import ThreadState

from tests.support.model_run import TERMINAL, ModelRun
from tests.support.model_server import ModelServer, impatient, settle


@pytest.fixture
def server() -> ModelServer:
    server = ModelServer()
    server.on_run = play
    return server


@pytest.fixture
def blocking(server: ModelServer) -> Iterator[graphwire.Client]:
    with graphwire.connect("ws://model/ws", open=server.open, backoff=impatient()) as client:
        yield client
    assert not [thread for thread in threading.enumerate() if thread.name == "graphwire-client"]


def play(run: ModelRun) -> None:
    run.lifecycle("running")
    for number in range(5):
        run.emit("custom", number)
    run.complete({"joke": "Why"})


def only(server: ModelServer) -> ModelRun:
    (run,) = server.runs.values()
    return run


def until(condition: Any) -> None:
    """Wait for something that happens in the client's thread."""
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.001)
    raise AssertionError("it did not happen")


@contextlib.contextmanager
def ctrl_c_once_it_runs(server: ModelServer) -> Iterator[None]:
    def press() -> None:
        until(lambda: server.runs)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def test_a_stream_yields_what_the_async_one_does(blocking):
    assert list(blocking.graph("joke").stream({}, stream_mode="custom")) == [0, 1, 2, 3, 4]
    pairs = list(blocking.graph("joke").stream({}, stream_mode=["custom"], subgraphs=True))
    assert pairs[0] == ((), "custom", 0)


@pytest.mark.parametrize("name", ["stream", "invoke", "get_state", "get_state_history", "update_state"])
def test_a_blocking_method_has_the_parameters_of_the_async_one(name):
    blocking, other = (inspect.signature(getattr(graphwire.RemoteGraph, form)) for form in (name, f"a{name}"))
    assert blocking.parameters == other.parameters
    assert "config" in blocking.parameters
    assert blocking.return_annotation is not inspect.Signature.empty


def test_invoking_returns_the_output(blocking):
    assert blocking.graph("joke").invoke({"topic": "cats"}) == {"joke": "Why"}


def test_states_are_read_and_written(blocking, server):
    config = {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c1"}}
    state = ThreadState(values={"n": 1}, next=("a",), tasks=(), interrupts=(), config=config)
    server.states = [state]
    graph = blocking.graph("joke")
    assert graph.get_state(config).values == {"n": 1}
    assert [state.next for state in graph.get_state_history(config, limit=1)] == [("a",)]
    assert graph.update_state(config, {"n": 2}, as_node="a") == {"configurable": {"checkpoint_id": "new"}}
    (update,) = server.of(StateUpdate)
    assert (update.thread, update.checkpoint, update.as_node) == ("t", "c1", "a")


def test_no_more_is_fetched_than_the_window(server):
    def run(run: ModelRun) -> None:
        run.lifecycle("running")
        for number in range(100):
            run.emit("custom", number)

    server.on_run = run
    with graphwire.connect("ws://model/ws", window=4, open=server.open) as client:
        chunks = client.graph("joke").stream({}, stream_mode="custom")
        assert [next(chunks) for _ in range(3)] == [0, 1, 2]
        (attachment,) = server.connection.attachments.values()
        assert attachment.n <= 3 + 4 + 1  # what was taken, a window, the run's status
        chunks.close()


@pytest.mark.parametrize("leave", ["close", "drop"])
def test_leaving_the_iterator_cancels_the_run(blocking, server, leave):
    server.on_run = lambda run: (run.lifecycle("running"), run.emit("custom", 0))
    chunks = blocking.graph("joke").stream({}, stream_mode="custom")
    assert next(chunks) == 0
    if leave == "close":
        chunks.close()
    del chunks
    gc.collect()
    assert only(server).status() == "cancelled"


def test_an_iterator_that_outlives_its_client_ends_without_a_word(server):
    server.on_run = lambda run: (run.lifecycle("running"), run.emit("custom", 0))
    with graphwire.connect("ws://model/ws", open=server.open) as client:
        chunks = client.graph("joke").stream({}, stream_mode="custom")
        assert next(chunks) == 0
    with pytest.raises((RuntimeError, graphwire.ConnectionClosed)):
        next(chunks)
    chunks.close()
    with pytest.raises(RuntimeError, match="client is closed"):
        client.graph("joke").invoke({})


def test_ctrl_c_cancels_the_run_before_it_leaves(blocking, server):
    server.on_run = lambda run: run.lifecycle("running")
    with pytest.raises(KeyboardInterrupt), ctrl_c_once_it_runs(server):
        blocking.graph("joke").invoke({})
    assert only(server).status() == "cancelled"
    assert server.of(Cancel)


def test_ctrl_c_within_a_stream_cancels_it_too(blocking, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.emit("custom", 0))
    with pytest.raises(KeyboardInterrupt), ctrl_c_once_it_runs(server):
        for _ in blocking.graph("joke").stream({}, stream_mode="custom"):
            pass
    assert only(server).status() == "cancelled"


class InterruptAt:
    """Raises ``KeyboardInterrupt`` in this thread, before the ``n``-th line of ``graphwire.blocking``."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __enter__(self) -> "InterruptAt":
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename != graphwire.blocking.__file__:
            return None
        if event == "line":
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self._trace


def interrupted_at_every_line(work: Callable[[], object]) -> int:
    """Do ``work`` again and again, interrupted one line later each time, until it comes to its end."""
    for line in itertools.count(1):
        try:
            with InterruptAt(line) as interrupt:
                work()
        except KeyboardInterrupt:
            pass
        if interrupt.left > 0:
            return line
    raise AssertionError


def test_wherever_ctrl_c_arrives_in_an_invocation_nothing_is_left_behind(blocking, server):
    graph = blocking.graph("joke")
    assert interrupted_at_every_line(lambda: graph.invoke({})) > 10
    until(lambda: all(run.status() in TERMINAL for run in server.runs.values()))
    assert graph.invoke({}) == {"joke": "Why"}


def test_wherever_ctrl_c_arrives_in_a_stream_its_run_is_cancelled(blocking, server):
    server.on_run = lambda run: (run.lifecycle("running"), run.emit("custom", 0))
    graph = blocking.graph("joke")

    def take_one() -> None:
        chunks = graph.stream({}, stream_mode="custom")
        assert next(chunks) == 0
        chunks.close()

    assert interrupted_at_every_line(take_one) > 20
    until(lambda: all(run.status() in TERMINAL for run in server.runs.values()))


async def test_a_start_whose_waiting_is_cancelled_is_cancelled_on_the_server(client, server):
    server.mute = {"run"}
    starting = asyncio.ensure_future(client.graph("joke").ainvoke({}))
    await settle()
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    (start,) = server.of(RunCommand)
    (cancel,) = server.of(Cancel)
    assert cancel.run == start.run


def test_an_error_of_the_graph_is_raised_here(blocking, server):
    error = {"code": "graph_error", "message": "no cats", "type": "ValueError"}
    server.on_run = lambda run: run.lifecycle("failed", error=error)
    with pytest.raises(graphwire.RemoteError, match="no cats"):
        blocking.graph("joke").invoke({})
    with pytest.raises(graphwire.RemoteError, match="no cats"):
        list(blocking.graph("joke").stream({}))


def test_a_server_that_cannot_be_reached_leaves_no_thread_behind():
    async def refuse(url: str, timeout_s: float) -> Any:
        raise NotOpened("nobody there")

    with (
        pytest.raises(graphwire.CannotConnect, match="nobody there"),
        graphwire.connect("ws://model/ws", open=refuse),
    ):
        pass
    assert not [thread for thread in threading.enumerate() if thread.name == "graphwire-client"]


async def test_on_the_client_s_own_loop_waiting_is_an_error(client):
    graph = client.graph("joke")
    config = {"configurable": {"thread_id": "t"}}
    for form in (
        lambda: graph.invoke({}),
        lambda: graph.stream({}),
        lambda: graph.get_state(config),
        lambda: graph.get_state_history(config),
        lambda: graph.update_state(config, {}),
    ):
        with pytest.raises(RuntimeError, match="await the form with an a"):
            form()


async def test_another_thread_may_wait_for_a_client_of_this_loop(client, server):
    graph = client.graph("joke")
    assert await asyncio.to_thread(graph.invoke, {}) == {"joke": "Why"}
    assert await asyncio.to_thread(lambda: list(graph.stream({}, stream_mode="custom"))) == [0, 1, 2, 3, 4]


async def test_a_client_with_a_loop_of_its_own_is_not_awaited_on_another(server):
    with graphwire.connect("ws://model/ws", open=server.open) as client:
        with pytest.raises(RuntimeError, match="lives on another event loop"):
            await client.graphs()
        assert client.graph("joke").invoke({}) == {"joke": "Why"}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("run", ("joke",)),
        ("attach", ("r1",)),
        ("watch", ()),
        ("graphs", ()),
        ("runs", ()),
        ("threads", ()),
        ("state", ("joke", "t")),
        ("state_history", ("joke", "t")),
        ("update_state", ("joke", "t", {})),
        ("delete", ()),
        ("cancel", ("r1",)),
        ("respond", ("r1",)),
        ("result", ("r1",)),
    ],
)
def test_what_nobody_could_await_is_an_error_at_the_call(blocking, server, name, arguments):
    with pytest.raises(RuntimeError, match=rf"client.{name}\(\) needs an event loop.* client.graph\(name\)"):
        getattr(blocking, name)(*arguments)
    assert blocking.graph("joke").invoke({}) == {"joke": "Why"}


def test_a_client_that_is_not_connected_says_how(server):
    client = graphwire.connect("ws://model/ws", open=server.open)
    with pytest.raises(RuntimeError, match="not connected"):
        client.graph("joke").invoke({})


def test_what_waits_when_the_loop_ends_is_told_so():
    thread = LoopThread()
    loop = thread.start()
    stopping = threading.Timer(0.01, thread.stop)
    stopping.start()
    with pytest.raises(graphwire.ConnectionClosed):
        wait(loop, lambda: asyncio.sleep(60))
    stopping.join()


def in_a_fork(work: Callable[[], object]) -> str:
    """Do ``work`` in a forked process; return what it raised there, or that it hung."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(5)  # ends a child that hangs
        said = b""
        try:
            work()
        except BaseException as error:
            said = f"{type(error).__name__}: {error}".encode()
        os.write(writing, said)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    return said if status == 0 else "it hung"


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork()")
@pytest.mark.parametrize("method", ["invoke", "stream", "next", "get_state", "get_state_history"])
def test_in_a_forked_process_waiting_is_an_error_that_says_connect_again(blocking, server, method):
    graph = blocking.graph("joke")
    chunks = graph.stream({}, stream_mode="custom")
    assert next(chunks) == 0
    config = {"configurable": {"thread_id": "t"}}
    work = {
        "invoke": lambda: graph.invoke({}),
        "stream": lambda: list(graph.stream({})),
        "next": lambda: next(chunks),
        "get_state": lambda: graph.get_state(config),
        "get_state_history": lambda: list(graph.get_state_history(config)),
    }[method]
    assert in_a_fork(work).startswith("RuntimeError: this client belongs to the process that connected it")
    assert list(chunks) == [1, 2, 3, 4]
    assert graph.invoke({}) == {"joke": "Why"}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork()")
def test_a_forked_process_may_leave_what_its_parent_opened_and_connect_anew(server):
    def leave() -> None:
        chunks.close()
        client.__exit__(None, None, None)
        with graphwire.connect("ws://model/ws", open=server.open) as own:
            assert own.graph("joke").invoke({}) == {"joke": "Why"}

    with graphwire.connect("ws://model/ws", open=server.open) as client:
        chunks = client.graph("joke").stream({}, stream_mode="custom")
        assert next(chunks) == 0
        assert in_a_fork(leave) == ""
        assert list(chunks) == [1, 2, 3, 4]
