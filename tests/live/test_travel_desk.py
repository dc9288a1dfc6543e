"""An example to be copied: an agent of langchain in a graph of ours asks another agent, and a person.

About `clients/python/examples/travel_desk/README.md`, `runtime/graphwire_runtime/foreign/host.py` and
`gateway/graphwire_gateway/graphs/savers.py`.
"""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import graphwire
import pytest

from tests.support.processes import started
from tests.support.projects import serving

pytest.importorskip("langchain.agents")
pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.version_info < (3, 11), reason="LangGraph's coroutines interrupt from 3.11 on"),
]

DESK = Path(__file__).parents[2] / "clients" / "python" / "examples" / "travel_desk"
APPROVED = {"decisions": [{"type": "approve"}]}

TRAINS = ("A train to Oslo leaves at nine",)
REVIEWS = ("People love Oslo.",)
SCOUT = tuple(
    re.findall(r"\S+\s*", "I have read it all: People love Oslo. Go there, and stay for a night or two.")
)
ADVICE = ("".join(SCOUT),)
BOOKED = ("The train to Oslo is booked",)
PLANNER = tuple(re.findall(r"\S+\s*", "The train to Oslo is booked. This was trip 1 of our conversation."))


@asynccontextmanager
async def desk(folder: Path, pace: str = "0") -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Serve the project, with so many seconds for a word; yield the process and the server's address."""
    env = {"TRAVEL_DB": str(folder / "travel.db"), "TRAVEL_PACE": pace}
    async with serving(DESK, folder, "trip", env) as served:
        yield served


def says(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def waits_for(run: graphwire.Run) -> list[dict[str, Any]]:
    """Return the actions that a run asks a person about."""
    with pytest.raises(graphwire.RunInterrupted) as caught:
        await asyncio.wait_for(run.result(), 30)
    (interrupt,) = caught.value.interrupts
    return [{key: action[key] for key in ("name", "args")} for action in interrupt.value["action_requests"]]


async def said_in(view: graphwire.Run) -> tuple[str, ...]:
    """Return the texts of the messages that a view gets, but for empty ones."""
    events = [event async for event in view if isinstance(event, graphwire.MessagesEvent)]
    return tuple(event.message.text for event in events if event.message.text)


FILTERS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"namespaces": [["**"]]}, TRAINS + REVIEWS + SCOUT + ADVICE + BOOKED + PLANNER),
    ({"namespaces": [["planner"]]}, TRAINS + ADVICE + BOOKED + PLANNER),
    ({"namespaces": [["planner", "tools"]]}, REVIEWS + SCOUT),
    ({"namespaces": [["**"]], "nodes": ["model"]}, SCOUT + PLANNER),
    ({"namespaces": [["**"]], "nodes": ["tool?"]}, TRAINS + REVIEWS + ADVICE + BOOKED),
    ({"namespaces": [["**"]], "tags": ["scout"]}, SCOUT),
    ({"namespaces": [["**"]], "tags": ["plan*"]}, PLANNER),
    ({"namespaces": [["**"]], "exclude": {"tags": ["scout"]}}, TRAINS + REVIEWS + ADVICE + BOOKED + PLANNER),
    ({"namespaces": [["**"]], "exclude": {"namespaces": [["planner", "**"]]}}, ()),
]


async def test_every_filter_lets_in_what_the_readme_says(tmp_path: Path) -> None:
    record: dict[str, Any] = {
        "modes": ["messages", "custom", "updates", "values", "tasks"],
        "subgraphs": True,
    }
    async with desk(tmp_path) as (_, url), graphwire.connect(url) as client:
        run = await client.run(
            "trip", says("I want to go to Oslo"), thread="ann", modes=["lifecycle"], record=record
        )
        assert await waits_for(run) == [{"name": "book", "args": {"city": "Oslo"}}]
        await run.answer(APPROVED)
        result = await asyncio.wait_for(run.result(), 30)
        assert (result["messages"][-1].text, result["length"]) == ("".join(PLANNER), 8)

        for filter, said in FILTERS:
            view = await client.attach(run.id, modes=["messages"], **filter)
            assert await said_in(view) == said, filter

        everything = {"modes": ["custom", "updates", "tasks"], "namespaces": [["**"]]}
        view = await client.attach(run.id, **everything)
        seen = [event async for event in view]
        told = [
            (tuple(part.partition(":")[0] for part in event.namespace), event.data)
            for event in seen
            if isinstance(event, graphwire.CustomEvent)
        ]
        assert told == [
            (("planner",), {"looking for trains to": "Oslo"}),
            (("planner", "tools"), {"reading reviews of": "Oslo"}),
            (("planner",), {"booking": "Oslo"}),
        ]
        assert {type(event) for event in seen} >= {graphwire.UpdatesEvent, graphwire.TasksEvent}
        root = await client.attach(run.id, modes=["updates"], nodes=["note"])
        (noted,) = [event async for event in root if isinstance(event, graphwire.UpdatesEvent)]
        assert noted.data == {"note": {"length": 8}}


async def test_a_server_that_is_killed_at_work_and_while_it_waits_goes_on_where_it_was(
    tmp_path: Path,
) -> None:
    everybody: dict[str, Any] = {"modes": ["messages", "custom"], "namespaces": [["**"]], "thread": "ann"}
    async with desk(tmp_path, pace="0.2") as (process, url), graphwire.connect(url) as client:
        run = await client.run("trip", says("I want to go to Oslo"), **everybody)
        async for event in run:
            if isinstance(event, graphwire.MessagesEvent) and event.message.text == SCOUT[0]:
                break
        process.kill()
        await process.wait()
    assert process.returncode == -9

    async with desk(tmp_path) as (process, url), graphwire.connect(url) as client:
        state = await client.state("trip", "ann")
        assert (state.next, state.interrupts) == (("planner",), ())
        run = await client.run("trip", **everybody)
        events = [event async for event in run]
        told = [event.data for event in events if isinstance(event, graphwire.CustomEvent)]
        assert told == [], "trains and reviews were found before the kill"
        said = [event.message.text for event in events if isinstance(event, graphwire.MessagesEvent)]
        assert "".join(said) == "".join(SCOUT + ADVICE), "the step at work begins anew"
        assert await waits_for(run) == [{"name": "book", "args": {"city": "Oslo"}}]
        process.kill()
        await process.wait()

    async with desk(tmp_path) as (_, url), graphwire.connect(url) as client:
        state = await client.state("trip", "ann")
        assert [interrupt.value["action_requests"][0]["name"] for interrupt in state.interrupts] == ["book"]
        run = await client.run("trip", command={"resume": APPROVED}, **everybody)
        told = [event.data async for event in run if isinstance(event, graphwire.CustomEvent)]
        assert told == [{"booking": "Oslo"}]
        result = await asyncio.wait_for(run.result(), 30)
        assert result["messages"][-1].text == "".join(PLANNER)

        run = await client.run("trip", says("and now to Rome"), thread="ann")
        assert await waits_for(run) == [{"name": "book", "args": {"city": "Rome"}}]
        await run.answer({"decisions": [{"type": "reject", "message": "too far"}]})
        result = await asyncio.wait_for(run.result(), 30)
        assert result["messages"][-1].text.endswith("too far. This was trip 2 of our conversation.")
        assert [message.type for message in result["messages"]].count("human") == 2


async def typed_to_client(url: str, text: str, *arguments: str) -> str:
    """Run the example's client, in which a person types this text; return what it prints."""
    async with started(
        sys.executable,
        str(DESK / "client.py"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={**os.environ, "GRAPHWIRE_URL": url},
    ) as process:
        out, _ = await asyncio.wait_for(process.communicate(text.encode()), 30)
    return out.decode()


async def test_the_client_prints_what_the_readme_shows_and_goes_on_after_it_was_stopped(
    tmp_path: Path,
) -> None:
    readme = (DESK / "README.md").read_text("utf-8")
    shown = re.findall(r"^\$ python client.py ann \"(.*)\"\n((?:[^`].*\n)+)", readme, re.MULTILINE)
    ((text, lines),) = shown
    question = "book {'city': 'Oslo'}? Type yes, or why not: "
    before, after = lines.replace(f"{question}yes\n", question).split(question)
    async with desk(tmp_path) as (_, url):
        assert await typed_to_client(url, "yes\n", "bob", text) == f"{before}{question}{after}"
        assert await typed_to_client(url, "", "ann", text) == f"{before}{question}", "nobody answers"
        assert await typed_to_client(url, "yes\n", "ann") == f"{question}{after}"
        assert await typed_to_client(url, "", "ann") == "Nothing is left to do.\n"
