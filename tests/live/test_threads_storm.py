"""Threads under a storm: starts, answers, cancels, updates and deletions race from several connections.

A seed draws what happens. The oracle checks what holds in any order: one writer at a time, whole logs, legal
lifecycles, an answer to each request, no data of other principals, and nothing left at the end.

About `gateway/graphwire_gateway/runs/runs.py`, `gateway/graphwire_gateway/runs/run.py`,
`gateway/graphwire_gateway/runs/threads.py` and `gateway/graphwire_gateway/runs/states.py`.
"""

import asyncio
import random
import time
from collections import Counter
from typing import Annotated, Any

import orjson
import pytest
from graphwire_gateway import GraphSpec, Limits, Server
from graphwire_gateway.scope import PRIVATE
from graphwire_protocol.state import RUN
from graphwire_protocol.types import TERMINAL
from graphwire_runtime import END, START, StateGraph, StreamWriter, interrupt
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.peer import Frame, Peer
from tests.support.stores import DelayingStore

pytestmark = pytest.mark.abuse

TOKENS = {"a-token": "ann-the-first", "b-token": "bob-the-second"}
PLACES = [("own", "t"), ("own", None), ("kept", "t"), ("kept", "u"), ("deaf", "t")]
"""Graphs and their threads; a run's id tells which it is of, so that most starts are no conflict."""

ALLOWED = {"busy", "conflict", "not_found", "limit_exceeded"}
MODES = ["custom", "updates", "values"]


class Talked(TypedDict, total=False):
    """Whose run it is, how often it asks, and what it heard."""

    who: str
    asks: int
    naps: int
    heard: Annotated[list[Any], lambda old, new: (old or []) + new]


class Writers:
    """Who writes which thread right now; two at once are written down."""

    def __init__(self) -> None:
        self.now: Counter[str] = Counter()
        self.clashes: list[str] = []

    def enter(self, thread: str) -> None:
        self.now[thread] += 1
        if self.now[thread] > 1:
            self.clashes.append(thread)

    def leave(self, thread: str) -> None:
        self.now[thread] -= 1


def talker(writers: Writers, *, is_deaf: bool = False, saver: Any = None) -> Any:
    """Works a while, asks as often as it is told to, and works again; a deaf one does not hear a cancel."""

    async def work(state: Talked, config: RunnableConfig, writer: StreamWriter) -> Talked:
        thread = config["configurable"]["thread_id"]
        writers.enter(thread)
        try:
            for _ in range(state.get("naps", 0)):
                writer({"who": state["who"]})
                await asyncio.sleep(0)
        finally:
            writers.leave(thread)
        return {"heard": ["worked"]}

    def deaf(state: Talked, config: RunnableConfig) -> Talked:
        thread = config["configurable"]["thread_id"]
        writers.enter(thread)
        try:
            time.sleep(0.001 * state.get("naps", 0))
        finally:
            writers.leave(thread)
        return {"heard": ["worked"]}

    def ask(state: Talked) -> Talked:
        return {"heard": [interrupt({"number": number}) for number in range(state.get("asks", 0))]}

    graph = StateGraph(Talked).add_node("work", deaf if is_deaf else work).add_node("ask", ask)
    graph.add_node("again", deaf if is_deaf else work)
    graph.add_edge(START, "work").add_edge("work", "ask").add_edge("ask", "again").add_edge("again", END)
    return graph.compile(checkpointer=saver)


class Client:
    """One connection that draws what it does, and keeps the books of what it is told."""

    def __init__(self, peer: Peer, who: str, draw: random.Random) -> None:
        self.peer = peer
        self.who = who
        self._draw = draw
        self._sub = 0
        self._id = 0
        self._seen = 0
        self._flight = 0
        self.asks: dict[str, list[str]] = {}

    async def main(self, flights: int) -> None:
        """Send so many flights, each when the last one is answered."""
        for _ in range(flights):
            ids = []
            self._flight += 1
            for _ in range(self._draw.choice((1, 1, 2, 4))):
                self._id += 1
                ids.append(self._id)
                await self.peer.send({"id": self._id, **self._drawn()})
            for id in ids:
                reply = await self.peer.answer(id)
                assert reply["type"] != "error" or reply["code"] in ALLOWED, reply
            self._listen()

    def _listen(self) -> None:
        for frame in self.peer.frames[self._seen :]:
            if frame["type"] == "event" and frame["mode"] == "interrupt":
                pending = [item["id"] for item in frame["data"]["interrupts"]]
                self.asks[self._run_of(frame["sub"])] = pending
        self._seen = len(self.peer.frames)

    def _run_of(self, sub: int) -> str:
        return next(f["run"] for f in self.peer.frames if f["type"] == "subscribed" and f["sub"] == sub)

    def _drawn(self) -> Frame:
        draw = self._draw
        place = draw.randrange(len(PLACES))
        graph, thread = PLACES[place]
        id = f"r-{place}-{self._flight // 6 + draw.randrange(3)}"
        share = draw.random()
        if share < 0.45:
            return self._start(id, graph, thread)
        if share < 0.65:
            id = draw.choice(list(self.asks) or [id])
            pending = self.asks.get(id, [])
            answered = draw.sample(pending, draw.randint(0, len(pending)))
            responses = [{"interrupt": one, "value": self.who} for one in answered]
            return {"type": "respond", "run": id, "responses": responses, "partial": draw.random() < 0.3}
        if share < 0.78:
            return {"type": "cancel", "run": id}
        if share < 0.8 or thread is None:
            return {"type": "result", "run": id}
        if share < 0.84:
            return {"type": "state_update", "graph": graph, "thread": thread, "values": {"heard": ["told"]}}
        if share < 0.88:
            return {"type": "delete", "run": id}
        if share < 0.92:
            return {"type": "delete", "graph": graph, "thread": thread}
        if share < 0.96:
            return {"type": "state", "graph": graph, "thread": thread}
        return {"type": "result", "run": id}

    def _start(self, id: str, graph: str, thread: str | None) -> Frame:
        draw = self._draw
        self._sub += 1
        return {
            "type": "run",
            "run": id,
            "graph": graph,
            "input": {"who": self.who, "asks": draw.choice((0, 0, 1, 2)), "naps": draw.choice((0, 1, 5))},
            "if_busy": draw.choice(("reject", "enqueue", "interrupt", "interrupt")),
            "metadata": {"who": self.who},
            "record": {"modes": MODES},
            "subscribe": [{"sub": self._sub, "filter": {"modes": MODES}} for _ in range(draw.choice((0, 1)))],
            **({} if thread is None else {"thread": thread}),
        }


async def end_all(client: Client) -> None:
    """Let every run of a principal end: what asks is cancelled, what waits has its turn."""
    peer = client.peer
    end = asyncio.get_running_loop().time() + 10
    while True:
        rows = (await peer.ask(type="list", what="runs", limit=1000))["runs"]
        assert all(row["metadata"] == {"who": client.who} for row in rows)
        going_on = [row for row in rows if row["status"] not in TERMINAL]
        if not going_on:
            return
        assert asyncio.get_running_loop().time() < end, orjson.dumps(going_on).decode()
        for row in going_on:
            if row["status"] == "interrupted":
                await peer.ask(type="cancel", run=row["run"])
        await asyncio.sleep(0.005)


def judge(client: Client, others: set[str]) -> Counter[str]:
    """Hold every frame that a client got to the rules; return what was seen."""
    seen: Counter[str] = Counter()
    told = orjson.dumps([frame for frame in client.peer.frames if frame["type"] != "welcome"])
    for word in others:
        assert word.encode() not in told
    at: dict[int, tuple[int, str | None]] = {}
    closed: set[int] = set()
    for frame in client.peer.frames:
        sub = frame.get("sub")
        if frame["type"] == "error":
            seen[frame["code"]] += 1
        if frame["type"] == "subscribed":
            at[frame["sub"]] = (0, None)
        elif frame["type"] == "event":
            assert sub not in closed, frame
            seq, status = at[sub]
            assert frame["seq"] == frame["n"] == seq + 1, frame
            assert status not in TERMINAL, frame
            if frame["mode"] == "lifecycle":
                assert (status, frame["data"]["status"]) in RUN, (status, frame)
                status = frame["data"]["status"]
                seen[f"{status} {frame['data'].get('reason', '')}".strip()] += 1
            if frame["mode"] == "custom":
                assert frame["data"] == {"who": client.who}
            at[sub] = (frame["seq"], status)
        elif frame["type"] == "closed":
            closed.add(frame["sub"])
            seen[f"closed {frame['reason']}"] += 1
            assert frame["reason"] == "deleted" or at[sub][1] == frame["status"]
    assert closed == set(at), "a subscription was never closed"
    return seen


def left(server: Server, saver: InMemorySaver) -> dict[str, Any]:
    """Return what runs have left behind: places taken, threads in use, numbers off, private threads kept."""
    runs: Any = server._runs
    return {
        "unfinished": [(run.id, run.status) for run in runs._runs.unfinished()],
        "threads": {saved: vars(thread) for saved, thread in runs._threads._queues.items()},
        "running": [run.id for run in runs._slots._running],
        "queued": [run.id for each in runs._slots._waiting.values() for run in each],
        "active": {who: count for who, count in runs._active.items() if count},
        "private": [thread for thread in saver.storage if thread.startswith(PRIVATE)],
    }


async def nothing_left(server: Server, saver: InMemorySaver) -> None:
    """Wait until nothing is left."""
    end = asyncio.get_running_loop().time() + 5
    while any(left(server, saver).values()):
        assert asyncio.get_running_loop().time() < end, left(server, saver)
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("seed", range(8))
async def test_threads_survive_a_storm(serve, connect, seed: int) -> None:
    writers = Writers()
    saver = InMemorySaver()
    runner = ("inline", "thread")[seed % 2]
    graphs = {
        "own": GraphSpec(talker(writers, saver=saver), runner),
        "kept": GraphSpec(talker(writers), runner),
        "deaf": GraphSpec(talker(writers, is_deaf=True), "thread"),
    }
    limits = {"cancel_grace_s": 0.002, "max_server_runs": 1 + seed % 3, "request_burst": 100_000}
    store = DelayingStore(Limits(**limits).of_log(), 0.001, 0.0005) if seed % 3 else None
    server = await serve(graphs, limits=limits, tokens=TOKENS, store=store)
    draw = random.Random(seed)
    clients = [
        Client(await connect(server, token=token), who, random.Random(draw.random()))
        for token, who in TOKENS.items()
        for _ in range(3)
    ]
    await asyncio.gather(*(client.main(40) for client in clients))
    for client in (clients[0], clients[3]):
        await end_all(client)
    await nothing_left(server, saver)
    seen: Counter[str] = Counter()
    for client in clients:
        await client.peer.settled()
        seen += judge(client, set(TOKENS.values()) - {client.who})
    print(dict(seen))
    assert writers.clashes == []
    assert not +writers.now
