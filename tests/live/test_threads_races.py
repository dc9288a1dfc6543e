"""Races for a thread and for a run's id; a gate brings each one about on purpose.

About `gateway/graphwire_gateway/runs/threads.py` and `gateway/graphwire_gateway/runs/runs.py`.
"""

import asyncio
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.graphs import LIBRARIES, Gate, counter, library
from tests.support.peer import Frame, Peer, everything, spec
from tests.support.questions import asker, held
from tests.support.stores import DelayingStore

pytestmark = pytest.mark.slow_store

OURS = library(LIBRARIES[0])


class SlowToCreate(DelayingStore):
    """A store that holds up the creation and the deletion of some logs."""

    def __init__(self, *names: str) -> None:
        super().__init__(append_s=0, read_s=0)
        self.gates = {f"anonymous/{name}": asyncio.Event() for name in names}
        self.waiting: set[str] = set()

    def let_through(self, name: str) -> None:
        self.gates[f"anonymous/{name}"].set()

    async def _pass(self, run: str) -> None:
        if run in self.gates:
            self.waiting.add(run)
            await self.gates[run].wait()

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        await self._pass(run)
        await super().create(run, epoch)


class SlowToDelete(SlowToCreate):
    """A store that holds up deletions."""

    async def create(self, run: str, epoch: str, start: bytes = b"") -> None:
        await DelayingStore.create(self, run, epoch)

    async def delete(self, run: str) -> None:
        await self._pass(run)
        await super().delete(run)


class GatedSaver(InMemorySaver):
    """A saver that writes when its gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_waiting = asyncio.Event()

    async def aput(self, *args: Any) -> Any:
        if not self.gate.is_set():
            self.is_waiting.set()
        await self.gate.wait()
        return await super().aput(*args)


async def until(condition: Any) -> None:
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it does not come to that")


async def reached(peer: Peer, sub: int, status: str) -> Frame:
    def is_wanted(frame: Frame) -> bool:
        is_cycle = frame.get("sub") == sub and frame.get("mode") == "lifecycle"
        return is_cycle and frame["data"]["status"] == status

    return (await peer.until(is_wanted))["data"]


async def test_a_run_that_interrupts_supersedes_one_that_begins_to_ask_meanwhile(serve, connect) -> None:
    store = SlowToCreate("b")
    server = await serve({"asker": asker(OURS)}, store=store)
    peer, other = await connect(server), await connect(server)
    await other.send(
        {"type": "run", "id": 1, "graph": "asker", "run": "a", "thread": "t", "input": {"topic": "a"}}
        | {"subscribe": [everything(1)]}
    )
    start = {"type": "run", "id": 1, "graph": "asker", "run": "b", "thread": "t", "if_busy": "interrupt"}
    await peer.send({**start, "input": {"topic": "b"}, "subscribe": [everything(1)]})
    await reached(other, 1, "interrupted")
    await until(lambda: store.waiting)
    store.let_through("b")
    assert (await reached(other, 1, "cancelled"))["reason"] == "superseded"
    await reached(peer, 1, "interrupted")


async def test_one_that_is_superseded_before_it_is_created_ends_in_a_log_of_its_own(serve, connect) -> None:
    store = SlowToCreate("a")
    server = await serve({"asker": asker(OURS)}, store=store)
    peer, other = await connect(server), await connect(server)
    start = {"type": "run", "id": 1, "graph": "asker", "thread": "t", "subscribe": [everything(1)]}
    await peer.send({**start, "run": "a", "input": {"topic": "a"}})
    await until(lambda: store.waiting)
    await other.send({**start, "run": "b", "input": {"topic": "b"}, "if_busy": "interrupt"})
    await reached(other, 1, "queued")
    store.let_through("a")
    assert (await reached(peer, 1, "cancelled"))["reason"] == "superseded"
    await peer.closed(1)
    await reached(other, 1, "interrupted")


async def test_of_two_that_interrupt_the_earlier_one_does_not_cancel_the_later_one(serve, connect) -> None:
    gate = Gate()
    store = SlowToCreate("b", "c")
    server = await serve({"held": held(OURS, gate)}, store=store)
    peers = [await connect(server) for _ in range(3)]
    starts = [
        {"type": "run", "id": 1, "graph": "held", "run": name, "thread": "t", "input": {"topic": name}}
        | {"if_busy": "interrupt", "subscribe": [everything(1)]}
        for name in ("a", "b", "c")
    ]
    await peers[0].send(starts[0])
    await reached(peers[0], 1, "running")
    await peers[1].send(starts[1])
    await until(lambda: store.waiting)
    await peers[2].send(starts[2])
    await until(lambda: len(store.waiting) == 2)
    store.let_through("b")
    await peers[0].closed(1)
    store.let_through("c")
    await reached(peers[2], 1, "running")
    gate.open()
    ends = [(await peer.closed(1))[-1]["status"] for peer in peers]
    assert ends == ["cancelled", "completed", "completed"]


async def test_who_asks_for_a_run_and_goes_does_not_end_its_creation(serve, connect) -> None:
    store = SlowToCreate("a")
    server = await serve({"asker": asker(OURS)}, store=store)
    peer, other = await connect(server), await connect(server)
    start = {"type": "run", "id": 1, "graph": "asker", "thread": "t", "subscribe": [everything(1)]}
    await peer.send({**start, "run": "a", "input": {"topic": "a"}})
    await until(lambda: store.waiting)
    await other.send({"type": "delete", "id": 1, "run": "a"})
    await other.settled()
    other.wire.abort()
    await until(lambda: len(server._listener.connections) == 1)
    store.let_through("a")
    await reached(peer, 1, "interrupted")


async def test_a_run_behind_an_update_supersedes_the_one_that_asks(serve, connect) -> None:
    saver = GatedSaver()
    server = await serve({"asker": asker(OURS, saver)})
    peer, other = await connect(server), await connect(server)
    await peer.run("asker", {"topic": "a"}, everything(1), run="a", thread="t")
    await reached(peer, 1, "interrupted")
    saver.gate.clear()
    update = {"type": "state_update", "id": 1, "graph": "asker", "thread": "t", "values": {"topic": "b"}}
    await other.send({**update, "as_node": "plan"})
    await saver.is_waiting.wait()
    started = await peer.run("asker", {"topic": "c"}, everything(2), run="b", thread="t")
    assert started["status"] == "queued"
    saver.gate.set()
    assert (await other.answer(1))["type"] == "ok"
    assert (await reached(peer, 1, "cancelled"))["reason"] == "superseded"
    await reached(peer, 2, "interrupted")


async def test_a_viewer_without_credit_is_told_that_its_run_is_deleted(serve, connect) -> None:
    server = await serve({"counter": counter()})
    peer = await connect(server)
    await peer.run("counter", {"count": 5}, spec(1, "custom", credit=0), spec(2, "custom"), run="r")
    await peer.closed(2)
    await peer.ask(type="delete", run="r")
    assert (await peer.closed(1))[-1]["reason"] == "deleted"


async def test_an_id_that_is_used_anew_has_nothing_to_do_with_the_run_before(serve, connect) -> None:
    store = SlowToDelete("r")
    server = await serve({"counter": counter()}, store=store)
    peer, other = await connect(server), await connect(server)
    first = await peer.run("counter", {"count": 5}, spec(1, "custom", credit=1), run="r")
    await peer.ask(type="subscribe", run="r", **spec(2, "custom"))
    await peer.closed(2)
    await peer.send({"type": "delete", "id": 7, "run": "r"})
    await until(lambda: store.waiting)
    await other.send({"type": "delete", "id": 7, "run": "r"})
    await other.send(
        {"type": "run", "id": 1, "graph": "counter", "run": "r", "input": {"count": 9}}
        | {"subscribe": [spec(1, "custom")]}
    )
    await other.send({"type": "ping", "t": 1})
    store.let_through("r")
    assert (await peer.answer(7))["type"] == "ok"
    assert (await other.answer(7))["code"] == "not_found"
    second = await other.answer(1)
    assert second["epoch"] != first["epoch"]
    frames = await other.closed(1)
    assert (frames[-1]["reason"], frames[-1]["status"]) == ("end", "completed")
    await peer.send({"type": "credit", "sub": 1, "events": 100})
    assert (await peer.closed(1))[-1]["reason"] == "deleted"
    assert len([event for event in peer.events(1) if event["mode"] == "custom"]) <= 1
