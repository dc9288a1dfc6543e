"""Runs that ask, over connections that are often cut: two readers of each run answer its questions.

About `gateway/graphwire_gateway/runs/run.py`, `clients/python/graphwire/run.py` and
`clients/python/graphwire/backoff.py`.
"""

import asyncio
from collections import Counter
from typing import Any

import graphwire
import pytest
from graphwire.backoff import Backoff
from graphwire_runtime import interrupt
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.faults.weather import weather
from tests.support.graphs import OURS
from tests.support.peer import Frame, spec
from tests.support.proxy import Proxy
from tests.support.questions import Asked

pytestmark = pytest.mark.abuse

RUNS = 12
ASKS = 6
FAULTS = 60


def quiz() -> Any:
    """Asks one question after the other, with some events between them."""

    def ask(state: Asked) -> Asked:
        writer = OURS.get_stream_writer()
        number = len(state.get("said", ()))
        for event in range(5):
            writer({"asked": number, "event": event})
        return {"said": [[number, interrupt({"number": number})]]}

    def is_over(state: Asked) -> str:
        return OURS.END if len(state["said"]) >= ASKS else "ask"

    graph = OURS.StateGraph(Asked).add_node(ask).add_edge(OURS.START, "ask")
    return graph.add_conditional_edges("ask", is_over, ["ask", OURS.END]).compile(
        checkpointer=InMemorySaver()
    )


async def read(url: str, run: str, reader: str, refusals: Counter[str]) -> list[tuple[int, str]]:
    """Follow a run to its end and answer whatever it asks; return what was shown."""
    shown: list[tuple[int, str]] = []
    client = await connected(url)
    try:
        there = await client.run(
            "quiz", {"topic": run}, run=run, modes=["custom", "updates", "values"], window=16
        )
        while there.status not in ("completed", "failed", "cancelled"):
            async for event in there:
                status = f" {event.status}" if isinstance(event, graphwire.LifecycleEvent) else ""
                shown.append((event.seq, event.mode + status))
            if there.status == "interrupted":
                try:
                    await there.respond({asked.id: reader for asked in there.interrupts})
                except graphwire.Refused as refused:
                    refusals[refused.code] += 1
    finally:
        await client.close()
    return shown


async def connected(url: str) -> graphwire.Client:
    while True:
        client = graphwire.connect(url, backoff=Backoff(first_s=0.005, longest_s=0.05), open_timeout=1)
        try:
            await client.open()
        except graphwire.CannotConnect:
            await asyncio.sleep(0)
        else:
            return client


def told_of(event: Frame) -> str:
    mode: str = event["mode"]
    return f"{mode} {event['data']['status']}" if mode == "lifecycle" else mode


@pytest.mark.parametrize("seed", range(3))
async def test_an_interrupted_run_s_log_is_exact_through_cuts(serve, connect, seed: int) -> None:
    server = await serve({"quiz": quiz()})
    faults: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    plan = weather(f"asking {seed}", 4_000)
    async with Proxy(server.port, plan, faults, buffer=32 << 10) as proxy:
        names = [(f"r{number}", reader) for number in range(RUNS) for reader in ("ann", "bob")]
        logs = await asyncio.wait_for(
            asyncio.gather(*(read(proxy.url, run, reader, refusals) for run, reader in names)), 60
        )
    peer = await connect(server)
    for number in range(RUNS):
        run = f"r{number}"
        await peer.ask(type="subscribe", run=run, **spec(number, "custom", "updates", "values"))
        await peer.closed(number)
        whole = [(event["seq"], told_of(event)) for event in peer.events(number)]
        told = [mode for _, mode in whole if mode.startswith("lifecycle")]
        assert told == [
            *["lifecycle running", "lifecycle interrupted"] * ASKS,
            "lifecycle running",
            "lifecycle completed",
        ]
        for (name, _), log in zip(names, logs, strict=True):
            assert name != run or log == whole
        said = (await peer.ask(type="result", run=run))["output"]["said"]
        assert [question for question, _ in said] == list(range(ASKS))
        assert {answer for _, answer in said} <= {"ann", "bob"}
    assert faults.total() >= FAULTS, faults
    assert set(refusals) <= {"conflict", "not_found"}
    assert refusals["conflict"], refusals
