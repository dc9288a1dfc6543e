"""The process obeys its operator, whatever its graphs, their savers and its output do.

About `gateway/graphwire_gateway/serve/process.py`, `gateway/graphwire_gateway/serve/command.py`,
`gateway/graphwire_gateway/connections/descriptors.py`, `gateway/graphwire_gateway/connections/peer.py` and
`gateway/graphwire_gateway/server.py`.
"""

import asyncio
import contextlib
import os
import re
import resource
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE
from pathlib import Path

import graphwire
import pytest

from tests.live.test_command import PROGRAM, program, run
from tests.support.processes import started
from tests.support.wire import Declined, Wire

pytestmark = pytest.mark.processes

STUCK = """
import asyncio, contextlib, sys, time
from typing import TypedDict
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph


class State(TypedDict, total=False):
    n: int


def graph(node, saver=None):
    return StateGraph(State).add_node("n", node).add_edge(START, "n").compile(checkpointer=saver)


def ready():
    print("stuck now", file=sys.stderr, flush=True)


async def swallow(state):
    ready()
    while True:
        with contextlib.suppress(BaseException):
            await asyncio.sleep(60)


class Saver(InMemorySaver):
    async def aput(self, *args, **kwargs):
        ready()
        await asyncio.Event().wait()


class Blocking(InMemorySaver):
    async def aput(self, *args, **kwargs):
        ready()
        time.sleep(600)


async def one(state):
    return {"n": 1}


swallows, hung_saver, blocking_saver = graph(swallow), graph(one, Saver()), graph(one, Blocking())


@contextlib.asynccontextmanager
async def hung_exit():
    yield graph(one)
    ready()
    await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def blocking_exit():
    yield graph(one)
    ready()
    time.sleep(600)


@contextlib.contextmanager
def sync_exit():
    yield graph(one)
    ready()
    time.sleep(600)


async def floods(state):
    ready()
    while True:
        print("x" * 100_000)


async def floods_log(state):
    import logging
    ready()
    while True:
        logging.getLogger("application").warning("x" * 100_000)


full_stdout, full_log = graph(floods), graph(floods_log)
"""

LITTLE_S = 12.0
"""What a server may take beyond ``drain_s``."""


@pytest.mark.parametrize("signals", [1, 2])
@pytest.mark.parametrize(
    "graph",
    [
        "swallows",
        "hung_saver",
        "blocking_saver",
        "hung_exit",
        "blocking_exit",
        "sync_exit",
        "full_stdout",
        "full_log",
    ],
)
async def test_a_server_goes_within_its_drain_and_at_once_at_the_second_signal(
    tmp_path: Path, graph: str, signals: int
) -> None:
    (tmp_path / "stuck.py").write_text(STUCK)
    env = {"GRAPHWIRE_LIMITS__DRAIN_S": "0.2" if signals == 1 else "600"}
    async with program(tmp_path, "serve", f"./stuck.py:{graph}", "--port", "0", **env) as server:
        url = (await server.until(r"at (ws://[\d.]+:\d+/ws)")).group(1)
        has_exit = graph.endswith("exit")
        async with graphwire.connect(url) as client:
            await client.run(graph, {"n": 1}, thread=None if has_exit else "t")
            if not has_exit:
                await server.until("^stuck now")
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            if signals == 2:
                if graph != "full_log":
                    await server.until("^draining")
                server.process.send_signal(signal.SIGINT)  # of two SIGTERMs one may get lost
            # Nobody reads its output from here on; process.wait() would wait for somebody to.
            with contextlib.suppress(ChildProcessError):
                gone = asyncio.to_thread(os.waitid, os.P_PID, server.process.pid, os.WEXITED | os.WNOWAIT)
                await asyncio.wait_for(gone, 2 * LITTLE_S)
        seconds = time.monotonic() - began
    assert seconds < LITTLE_S, seconds


FEW = 64


async def test_with_few_descriptors_newcomers_are_refused_and_runs_go_on(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUCK + "\nfine = graph(one)\n")
    async with program(tmp_path, "serve", "./stuck.py:fine", "--port", "0") as server:
        url = (await server.until(r"at (ws://[\d.]+:\d+/ws)")).group(1)
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (FEW, FEW))  # not of this process
        port = int(re.findall(r"\d+", url)[-1])
        wires: list[Wire] = []

        async def fill() -> None:
            while len(wires) < FEW:
                wires.append(await Wire.open(port))

        with pytest.raises(Declined) as caught:
            await fill()
        assert caught.value.status == 503
        assert "no descriptors left" in caught.value.body
        await server.until(r"few descriptors are left; raise the limit .*limit=64")
        wires.pop().abort()
        async with graphwire.connect(url, wait=10) as client:
            assert (await (await client.run("fine", {"n": 1})).result())["n"] == 1
        for wire in wires:
            wire.abort()


async def test_a_full_disk_under_the_log_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "stuck.py").write_text(STUCK + "\nfine = graph(one)\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    full = os.open("/dev/full", os.O_WRONLY)
    url = f"ws://127.0.0.1:{port}/ws"
    async with started(
        *PROGRAM, "serve", "./stuck.py:fine", "--port", str(port), cwd=tmp_path, stdout=full, stderr=full
    ) as process:
        os.close(full)
        async with graphwire.connect(url, wait=20) as client:
            assert (await (await client.run("fine", {"n": 1})).result())["n"] == 1
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), 20)
    assert (await run(tmp_path, "runs", "--url", url))[0] == 3


USES_ALL = """
import asyncio, sys
from typing import TypedDict

import graphwire
import graphwire_runtime as ours
from graphwire_gateway import Gateway
from langchain_core.language_models import GenericFakeChatModel
from langgraph import graph as theirs
from langgraph.types import interrupt


class State(TypedDict, total=False):
    n: int


async def say(state):
    await GenericFakeChatModel(messages=iter(["a word"])).ainvoke("?")
    return {"n": 1}


def ask(state):
    return {"n": ours.interrupt("?", response_schema={"type": "integer"})}


def ask_theirs(state):
    return {"n": interrupt("?")}


def fail(state):
    raise ValueError("no")


def graph(library, *nodes):
    built = library.StateGraph(State)
    for before, node in zip([library.START, *[one.__name__ for one in nodes]], nodes):
        built.add_node(node).add_edge(before, node.__name__)
    return built.compile()


async def use(url):
    async with graphwire.connect(url) as client:
        for name in ("ours", "theirs"):
            run = await client.run(name, {}, thread="t", modes=["values", "updates", "messages", "debug"])
            async for event in run:
                if isinstance(event, graphwire.InterruptEvent):
                    await run.answer(5)
            state = await client.graph(name).aget_state({"configurable": {"thread_id": "t"}})
            assert state.values == {"n": 5}, state
        for name in ("fails", "they_fail"):
            try:
                await (await client.run(name, {})).result()
            except graphwire.RunFailed:
                pass


async def main():
    graphs = {
        "ours": graph(ours, say, ask), "theirs": graph(theirs, say, ask_theirs),
        "fails": graph(ours, fail), "they_fail": graph(theirs, fail),
    }
    async with Gateway(graphs).serve("127.0.0.1", 0) as server:
        before = set(sys.modules)
        await use(server.url)
        print("\\n".join(sorted(set(sys.modules) - before)))


asyncio.run(main())
"""


async def test_a_server_imports_what_it_will_need_when_it_starts(tmp_path: Path) -> None:
    (tmp_path / "uses_all.py").write_text(USES_ALL)
    command = [sys.executable, "uses_all.py"]
    async with started(*command, cwd=tmp_path, stdout=PIPE, stderr=PIPE) as process:
        out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, err.decode()
    ours = {"langchain_core", "graphwire_gateway", "graphwire_runtime", "jsonschema", "pydantic", "langgraph"}
    assert [name for name in out.decode().split() if name.partition(".")[0] in ours] == []
