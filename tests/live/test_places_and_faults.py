"""Wherever code of a graph or of the operator is called, what it does harms its own run or request at most.

Each cell of the matrix is a place with a fault. Its run ends once, with a sentence; its requests are answered
within ``state_timeout_s``; the runs of a second connection go on; the graph works once the fault is over.

About `gateway/graphwire_gateway/runs/asking.py`, `gateway/graphwire_gateway/execution/execution.py`,
`gateway/graphwire_gateway/connections/langgraph_auth.py` and `runtime/graphwire_runtime/thread/saving.py`.
"""

import asyncio
import contextlib
import gc
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from graphwire_gateway import GraphSpec
from graphwire_gateway.connections import langgraph_auth
from graphwire_gateway.graphs import job
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph_sdk import Auth

from tests.support.graphs import LIBRARIES, OURS, Library, counter, library
from tests.support.misbehaving import PLACES, RAISED, Fault, Money, one_node, plain
from tests.support.peer import Frame, Peer, spec

pytestmark = [
    pytest.mark.long,
    # of __del__, and of LangGraph behind a GeneratorExit
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

BOUND_S = 10.0
PAUSE_S = 0.05
LIMITS = {"state_timeout_s": 0.2, "cancel_grace_s": 0.1, "max_event_bytes": 1 << 16}


def asked_of(graph: str, type: str) -> Frame:
    """Return a request of that type about the thread of the cell."""
    fields: dict[str, Frame] = {
        "list": {"what": "threads", "graph": graph},
        "state_update": {"graph": graph, "thread": "t", "values": {"said": [2]}},
    }
    return {"type": type, **fields.get(type, {"graph": graph, "thread": "t"})}


async def ended(peer: Peer, sub: int) -> Frame:
    """Return the data of the only terminal event of a run."""
    await asyncio.wait_for(peer.closed(sub), BOUND_S)
    events = [event["data"] for event in peer.events(sub) if event["mode"] == "lifecycle"]
    (end,) = [data for data in events if data["status"] in ("completed", "failed", "cancelled")]
    return end


class Cell:
    """A place with a fault, as the graph ``name``."""

    def __init__(self, lib: Library, name: str, kind: str) -> None:
        self.name = f"{kind} in {name}"
        self.place = PLACES[name]
        self.fault = Fault(kind)
        self.graph = self.place.build(lib, self.fault)
        self.is_lost = lib.name == "langgraph" and name.startswith(
            "aput"
        )  # LangGraph ignores a cancelled write

    async def check(self, peer: Peer) -> None:
        if self.place.asks is not None:
            await peer.run(self.name, {"n": 1}, spec(1, "lifecycle"), thread="t")
            assert (await ended(peer, 1))["status"] == "completed"
        self.fault.is_on = True
        try:
            await self._check_run(peer)
            if self.place.asks is not None:
                await self._check_request(peer, self.place.asks)
        finally:
            self.fault.end()
        await peer.run(self.name, {"n": 1}, spec(3, "lifecycle"), thread="later")
        assert (await ended(peer, 3))["status"] == "completed"

    async def _check_run(self, peer: Peer) -> None:
        started = await peer.run(self.name, {"n": 1}, spec(2, "lifecycle", "values", "updates"))
        kind, waits = self.fault.kind, self.place.waits
        if kind == "block" or (kind == "hang" and waits == "run"):
            ending = asyncio.ensure_future(ended(peer, 2))
            working = asyncio.ensure_future(self.fault.at_work.wait())
            await asyncio.wait([ending, working], return_when=asyncio.FIRST_COMPLETED)
            working.cancel()
            await peer.send({"type": "cancel", "id": 1, "run": started["run"]})
            end = await ending
        else:
            end = await ended(peer, 2)
        if not self.place.fails or (kind == "CancelledError" and self.is_lost):
            assert end["status"] in ("completed", "failed", "cancelled"), end
        elif kind in RAISED:
            assert end["status"] == "failed", end
        elif kind == "hang":
            assert end["status"] == "cancelled", end
        assert end["status"] != "failed" or end["error"]["message"], end

    async def _check_request(self, peer: Peer, type: str) -> None:
        reply = await asyncio.wait_for(peer.ask(**asked_of(self.name, type)), BOUND_S)
        assert reply["type"] == "error", reply
        assert reply["message"].startswith(type), reply
        if self.fault.kind == "hang":
            assert reply["code"] == "unavailable", reply
        await peer.settled()
        assert [frame for frame in peer.frames if frame.get("id") == reply["id"]] == [reply]


async def go_on(peer: Peer, until: asyncio.Event) -> int:
    """Let runs of another graph go on until the event and once more; return how many did."""
    done, is_last = 0, False
    while not is_last:
        is_last = until.is_set()
        done += 1
        await peer.run("counter", {"count": 3}, spec(done, "lifecycle"))
        assert (await ended(peer, done))["status"] == "completed"
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(until.wait(), PAUSE_S)
    return done


async def check(serve: Any, connect: Any, cells: list[Cell], runner: Any, other: Any) -> None:
    """Check cells at once on one server, beside runs of a graph on the runner ``other``."""
    graphs = {cell.name: GraphSpec(cell.graph, runner) for cell in cells}
    server = await serve(
        {**graphs, "counter": GraphSpec(counter(), other)},
        limits=LIMITS,
        expose_errors=True,
        encoders={Money: lambda money: money.fault.now()},
    )
    is_over = asyncio.Event()
    going_on = asyncio.ensure_future(go_on(await connect(server), is_over))
    peers = [await connect(server, held=1 << 30) for _ in cells]
    results = await asyncio.gather(
        *(asyncio.wait_for(cell.check(peer), 3 * BOUND_S) for cell, peer in zip(cells, peers, strict=True)),
        return_exceptions=True,
    )
    is_over.set()
    assert await asyncio.wait_for(going_on, BOUND_S)
    wrong = {
        cell.name: f"{type(result).__name__}: {result}"
        for cell, result in zip(cells, results, strict=True)
        if result is not None
    }
    assert wrong == {}


@pytest.fixture
def nothing_unhandled(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No loop logs that an exception had nobody to handle it."""
    monkeypatch.setattr(job, "LEFTOVER_S", 0.1)
    yield
    gc.collect(1)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


EXITS = ("Exception", "Own", "SystemExit", "KeyboardInterrupt", "CancelledError", "GeneratorExit")
OF_LANGGRAPH = (*EXITS, "StopIteration", "StopAsyncIteration", "RecursionError")
"""With LangGraph, one of the errors that are like any other to both libraries."""


OF_GATEWAY = ("sync factory", "end of factory", "alist", "adelete_thread", "store's aget", "encoder")
"""Places where the library makes no difference."""
OF_LOOP = ("async node", "aput", "async callback handler", "task left behind")
"""Places where code runs in tasks of its own, which an application's loop must survive."""


def _where(name: str) -> Iterator[tuple[str, str, str]]:
    """Yield the place with each library and runner that makes a difference to it."""
    if name.startswith("__"):
        yield from ((name, OURS.name, "inline"), (name, "langgraph", "thread"))
        return
    for lib in LIBRARIES:
        if lib == OURS.name or name not in OF_GATEWAY:
            yield name, lib, "thread"
        if name in OF_LOOP or (lib == OURS.name and name in ("callback handler", "adelete_thread")):
            yield name, lib, "inline"


@pytest.mark.parametrize(("name", "lib", "runner"), [each for name in PLACES for each in _where(name)])
async def test_what_is_raised_and_what_never_returns(
    serve: Any, connect: Any, name: str, lib: str, runner: str, nothing_unhandled: None
) -> None:
    raised = EXITS if name.startswith("__") else RAISED if lib == OURS.name else OF_LANGGRAPH
    kinds = [*raised, *["hang"] * (PLACES[name].waits is not None)]
    if name == "callback handler" and runner == "inline" and sys.version_info < (3, 13):
        kinds.remove("StopIteration")  # asyncio's own threads lose it: whoever awaits it waits without end
    await check(serve, connect, [Cell(library(lib), name, kind) for kind in kinds], runner, runner)


async def test_what_blocks_its_loop(serve: Any, connect: Any, lib: Library, nothing_unhandled: None) -> None:
    cells = [Cell(lib, name, "block") for name in PLACES if not name.startswith(("__eq__", "__hash__"))]
    await check(serve, connect, cells, "own", "thread")


async def test_what_is_huge(serve: Any, connect: Any, nothing_unhandled: None) -> None:
    cells = [Cell(OURS, name, "text") for name in ("sync node", "encoder", "__str__ of an exception")]
    cells += [Cell(OURS, name, "keys") for name in ("async node", "encoder")]
    await check(serve, connect, cells, "own", "thread")


@pytest.mark.parametrize("is_async", [True, False])
async def test_an_authenticate_function(
    serve: Any, connect: Any, is_async: bool, monkeypatch: pytest.MonkeyPatch, nothing_unhandled: None
) -> None:
    monkeypatch.setattr(langgraph_auth, "ANSWER_S", 0.2)
    faults = {kind: Fault(kind) for kind in (*RAISED, "hang" if is_async else "block")}
    for fault in faults.values():
        fault.is_on = True

    async def later(authorization: str) -> str:
        fault = faults.get(authorization.removeprefix("Bearer "))
        return "ann" if fault is None else await fault.later()

    def now(authorization: str) -> str:
        fault = faults.get(authorization.removeprefix("Bearer "))
        return "ann" if fault is None else fault.now()

    auth = Auth()
    auth.authenticate(later if is_async else now)
    server = await serve({"counter": counter()}, auth=auth)
    is_over = asyncio.Event()
    going_on = asyncio.ensure_future(go_on(await connect(server, token="good"), is_over))
    for kind, fault in faults.items():
        peer = await connect(server, hello=False)
        reply = await asyncio.wait_for(peer.ask(type="hello", token=kind), BOUND_S)
        assert (reply["code"], reply["message"]) == ("unauthenticated", "the token is not accepted"), kind
        assert await peer.gone() == 4401
        fault.end()
    is_over.set()
    assert await asyncio.wait_for(going_on, BOUND_S)


class Blocking(InMemorySaver):
    """A saver whose methods block, and note in which threads."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()

    def get_tuple(self, *args: Any, **options: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        return super().get_tuple(*args, **options)

    def put(self, *args: Any, **options: Any) -> Any:
        self.threads.add(threading.current_thread().name)
        return super().put(*args, **options)

    def put_writes(self, *args: Any, **options: Any) -> None:
        self.threads.add(threading.current_thread().name)
        super().put_writes(*args, **options)

    def list(self, *args: Any, **options: Any) -> Iterator[Any]:
        self.threads.add(threading.current_thread().name)
        yield from super().list(*args, **options)

    def delete_thread(self, *args: Any, **options: Any) -> None:
        self.threads.add(threading.current_thread().name)
        super().delete_thread(*args, **options)


class Sync(Blocking):
    """A saver without async methods."""

    aget_tuple = BaseCheckpointSaver.aget_tuple
    aput = BaseCheckpointSaver.aput
    aput_writes = BaseCheckpointSaver.aput_writes
    alist = BaseCheckpointSaver.alist
    adelete_thread = BaseCheckpointSaver.adelete_thread


@pytest.mark.parametrize("kind", [Blocking, Sync])
async def test_a_saver_that_blocks_is_called_on_its_graph_s_loop_alone(
    serve: Any, connect: Any, lib: Library, kind: type[Blocking], nothing_unhandled: None
) -> None:
    saver = kind()
    server = await serve({"g": GraphSpec(one_node(lib, plain, checkpointer=saver), "own")})
    peer = await connect(server)
    for sub, fields in ((1, {}), (2, {"thread": "t"})):
        await peer.run("g", {"n": 1}, spec(sub, "lifecycle"), **fields)
        end = await ended(peer, sub)
        assert end["status"] == ("completed" if kind is Blocking else "failed")
        assert kind is Blocking or end["error"]["message"]
    for type in ("state", "state_history", "state_update", "list", "delete"):
        reply = await peer.ask(**asked_of("g", type))
        assert reply["type"] == ("ok" if kind is Blocking else "error"), reply
        assert kind is Blocking or reply["message"].startswith(type)
    assert [name for name in saver.threads if not name.startswith("graphwire-g")] == []
