"""A client that resumes by the protocol's rule misses and repeats nothing, whatever byte it is cut at.

About `gateway/graphwire_gateway/connections/delivery.py`, `clients/python/graphwire/transport.py`,
`protocol/graphwire_protocol/cursor.py` and `clients/python/graphwire/reconnector.py`.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any

import graphwire
import orjson
import pytest

from tests.support.graphs import OURS, Counter, node
from tests.support.proxy import Act, Proxy, cut
from tests.support.wire import Gone, Wire

pytestmark = pytest.mark.slow_store

LOG = 2500
RUNS = 5
EACH = 30
"""How often each sort of cut must have happened."""


def paced() -> Any:
    """A graph that writes ``{"i": 0}`` and so on in small bursts, so that it is at work while cuts happen."""

    async def count(state: Counter) -> Counter:
        writer = OURS.get_stream_writer()
        for number in range(state["count"]):
            writer({"i": number, "text": "x" * (number % 60)})
            if number % 25 == 24:
                await asyncio.sleep(0.004)
        return {"done": state["count"]}

    return node(count)


def plan(seed: int, done: Callable[[], bool]) -> Callable[[int], list[Act]]:
    """Cut handshakes, flights, replays and events in turn, at random bytes, until ``done``."""
    draw = random.Random(seed)

    def next_cut(number: int) -> list[Act]:
        if done():
            return []
        match draw.randrange(8):
            case 0 | 1:
                return [cut("down", draw.randrange(1, 129))]
            case 2:
                return [cut("up", draw.randrange(1, 200))]
            case 3:
                return [cut("up", draw.randrange(250, 1500))]
            case 4 | 5:
                return [cut("down", draw.randrange(200, 6000))]
        return [cut("down", draw.randrange(6000, 40_000))]

    return next_cut


def has_enough(proxy: Proxy) -> bool:
    return min(proxy.cuts[kind] for kind in ("handshake", "frame", "replay")) >= EACH


class Resumer:
    """A client made of frames that resumes by the rule: from its cursors, ignoring what it has seen."""

    def __init__(self, port: int, runs: list[str], credit: int | None) -> None:
        self.port = port
        self.credit = credit
        self.open = dict(enumerate(runs))
        self.cursor: dict[int, tuple[str, int]] = {}
        self.values: dict[str, list[int]] = {run: [] for run in runs}
        self.seqs: dict[str, list[int]] = {run: [] for run in runs}
        self.ends: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        while self.open:
            try:
                await self._connection()
            except Gone:
                await asyncio.sleep(0)

    async def _connection(self) -> None:
        wire = await Wire.open(self.port)
        try:
            flight = [{"type": "hello", "id": 0}]
            for sub, run in self.open.items():
                frame: dict[str, Any] = {
                    "type": "subscribe",
                    "id": sub + 1,
                    "sub": sub,
                    "run": run,
                    "filter": {"modes": ["custom"]},
                }
                if sub in self.cursor:
                    epoch, seq = self.cursor[sub]
                    frame["from"] = {"epoch": epoch, "seq": seq}
                if self.credit is not None:
                    frame["credit"] = self.credit
                flight.append(frame)
            wire.send(*map(orjson.dumps, flight))
            attached: dict[int, list[Any]] = {}
            while self.open:
                message = orjson.loads(await wire.recv())
                taken: dict[int, int] = {}
                for frame in message if isinstance(message, list) else [message]:
                    if "sub" in frame:
                        self._take(frame, attached, taken)
                for sub, events in taken.items():
                    if self.credit is not None:
                        wire.send(orjson.dumps({"type": "credit", "sub": sub, "events": events}))
        finally:
            wire.abort()

    def _take(self, frame: dict[str, Any], attached: dict[int, list[Any]], taken: dict[int, int]) -> None:
        sub = frame["sub"]
        run = self.open.get(sub)
        assert run is not None, ("nothing follows closed", frame)
        if frame["type"] == "subscribed":
            attached[sub] = [frame["epoch"], 0]
            if sub in self.cursor:
                assert (frame["epoch"], frame["after"]) == self.cursor[sub]
            return
        place = attached[sub]
        if frame["type"] == "event":
            place[1] += 1
            assert frame["n"] == place[1], "n is dense from 1 per attachment"
            epoch, seq = self.cursor.get(sub, (place[0], 0))
            assert epoch == place[0]
            assert frame["seq"] > seq, "a server does not repeat what lies at or before the cursor"
            self.cursor[sub] = (place[0], frame["seq"])
            self.seqs[run].append(frame["seq"])
            if frame["mode"] == "custom":
                self.values[run].append(frame["data"]["i"])
                taken[sub] = taken.get(sub, 0) + 1
        elif frame["type"] == "mark":
            self.cursor[sub] = (place[0], frame["seq"])
        elif frame["type"] == "closed":
            self.ends[run] = frame
            del self.open[sub]
        else:
            assert frame["type"] == "synced", frame


@pytest.mark.parametrize("credit", [64, None])
async def test_a_raw_client_that_resumes_from_its_cursors_loses_and_repeats_nothing(
    serve, connect, credit: int | None
) -> None:
    server = await serve({"paced": paced()}, limits={"request_burst": 100_000, "disconnect_grace_s": 0})
    starter = await connect(server)
    names = [f"r{number}" for number in range(RUNS)]
    for name in names:
        await starter.run("paced", {"count": LOG}, run=name, record={"modes": ["custom"]})
    proxy: Proxy
    async with Proxy(server.port, plan(7, lambda: has_enough(proxy))) as proxy:
        seeker = Resumer(proxy.port, names, credit)
        # When the runs are through before there were enough cuts, more of them are read from the start.
        while True:
            await asyncio.wait_for(seeker.run(), 30)
            for name in names:
                assert seeker.values[name] == list(range(LOG))
                assert seeker.seqs[name] == list(range(1, LOG + 3))
                assert seeker.ends[name]["status"] == "completed"
            if has_enough(proxy):
                break
            seeker = Resumer(proxy.port, names, credit)


async def test_the_python_client_s_iterators_lose_and_repeat_nothing(serve, connect) -> None:
    server = await serve({"paced": paced()}, limits={"request_burst": 100_000})
    proxy: Proxy
    async with Proxy(server.port, plan(11, lambda: has_enough(proxy))) as proxy:
        backoff = graphwire.Backoff(first_s=0.001, longest_s=0.002)
        opened = None
        while opened is None:
            try:
                client = graphwire.connect(proxy.url, backoff=backoff, window=64)
                await client.open()
                opened = client
            except graphwire.GraphwireError:
                continue

        async def follow(number: int) -> list[int]:
            run = await opened.run("paced", {"count": LOG}, modes=["custom"], run=f"p{number}")
            values: list[int] = []
            async for event in run:
                if isinstance(event, graphwire.CustomEvent):
                    values.append(event.data["i"])
                assert not isinstance(event, graphwire.GapEvent)
            assert await run.result() == {"count": LOG, "done": LOG}
            return values

        number = 0
        try:
            while not has_enough(proxy):
                runs = [follow(number + place) for place in range(RUNS)]
                for values in await asyncio.wait_for(asyncio.gather(*runs), 30):
                    assert values == list(range(LOG))
                number += RUNS
        finally:
            await opened.close()
