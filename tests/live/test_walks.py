"""A real server answers the frames of the reference's walks as the pages say.

About `proto-docs/` and `gateway/graphwire_gateway/connections/dispatch.py`.
"""

import asyncio
import json
from operator import add
from pathlib import Path
from typing import Annotated, Any

import pytest
from graphwire_runtime import interrupt
from langgraph.graph.message import add_messages
from typing_extensions import TypedDict

from tests.live.conftest import Connect, Serve
from tests.support.graphs import OURS, Gate, Hesitant, Speaker
from tests.support.peer import Frame, Peer

PAGES = Path(__file__).parents[2] / "proto-docs"
EXACT = ("id", "sub", "n", "mode", "code", "retry", "recovery", "reason", "created", "credit", "delivered")
"""Fields whose value is the page's; of the others the page tells one that could be."""


def walks(title: str, page: str = "walks") -> list[list[tuple[str, Frame]]]:
    """Return the walks of a section, or of a whole page: who sends what."""
    text = (PAGES / f"{page}.md").read_text("utf-8")
    section = text.partition(f"# {title}\n")[2].partition("\n## ")[0]
    return [
        [
            ("client" if line.startswith("→") else "server", json.loads(line[2:]))
            for line in block.partition("\n```")[0].splitlines()
            if line[0] in "→←"
        ]
        for block in section.split("```wire\n")[1:]
    ]


class Story(TypedDict, total=False):
    topic: str
    joke: str


class Notes(TypedDict, total=False):
    topic: str
    notes: Annotated[list[str], add]
    poem: str


def joker(words: int = 1) -> Any:
    async def write(state: Story) -> Story:
        answer = await Speaker(words=["A cat "] * words + ["walks in."]).ainvoke("a joke")
        return {"joke": str(answer.content)}

    return OURS.StateGraph(Story).add_node(write).add_edge(OURS.START, "write").compile()


def waiter(gate: Gate) -> Any:
    async def wait(state: Story) -> Story:
        OURS.get_stream_writer()({"reading": "a map"})
        await gate.wait()
        return {}

    return OURS.StateGraph(Story).add_node(wait).add_edge(OURS.START, "wait").compile()


async def walk(peer: Peer, steps: list[tuple[str, Frame]], **known: Any) -> None:
    """Send what the page sends, and hold what comes to what the page shows, replies apart from events."""
    since = len(peer.frames)
    for by, frame in steps:
        if by == "client":
            cursor = frame.get("from")
            if isinstance(cursor, dict) and known:
                frame = {**frame, "from": {**cursor, **known}}
            await peer.send(frame)
        else:
            last = await found(peer, frame, since)
            place = next(index for index, frame in enumerate(peer.frames) if frame is last)
            if "n" in frame:  # a reply may overtake; what is numbered stands in its order
                since = place + 1


async def found(peer: Peer, shown: Frame, since: int) -> Frame:
    try:
        return await peer.until(lambda frame: is_like(frame, shown), since=since)
    except asyncio.TimeoutError:
        came = "\n".join(map(json.dumps, peer.frames[since:]))
        raise AssertionError(f"the page shows {json.dumps(shown)}\nand what came is\n{came}") from None


def is_like(found: Frame, shown: Frame) -> bool:
    """Tell whether a frame is of the type, the fields and the exact values that the page shows."""
    if found["type"] != shown["type"] or set(found) != set(shown):
        return False
    if any(found[name] != shown[name] for name in EXACT if name in shown):
        return False
    if shown["type"] != "event":
        return True
    if isinstance(shown["data"], list):  # a patch
        return bool(found["data"] == shown["data"])
    return set(found["data"]) == set(shown["data"])


async def test_start_and_stream(serve: Serve, connect: Connect) -> None:
    server = await serve({"joke": joker()})
    stream, anew, misuse = walks("Start and stream")
    peer = await connect(server, hello=False)
    await walk(peer, stream)
    await walk(await connect(server, hello=False), anew)
    await walk(peer, misuse)


async def test_reconnect(serve: Serve, connect: Connect) -> None:
    server = await serve({"joke": joker()})
    first = await connect(server, hello=False)
    await walk(first, walks("Start and stream")[0])
    epoch = next(frame["epoch"] for frame in first.frames if frame["type"] == "started")
    replay, ended, _ = walks("Reconnect")
    await walk(await connect(server, hello=False), replay, epoch=epoch)
    await walk(await connect(server), ended, epoch=epoch)


class Mail(TypedDict, total=False):
    to: str
    sent: bool


def mailer() -> Any:
    def send(state: Mail) -> Mail:
        return {"sent": interrupt("Send it?")}

    return OURS.StateGraph(Mail).add_node(send).add_edge(OURS.START, "send").compile()


async def test_interrupt_and_branch(serve: Serve, connect: Connect) -> None:
    server = await serve({"mail": mailer()})
    peer = await connect(server)
    answered, late = walks("Interrupt")
    asks = next(index for index, (_, frame) in enumerate(answered) if frame["type"] == "respond")
    await walk(peer, answered[:asks])
    (ask,) = next(frame for frame in peer.frames if frame.get("mode") == "interrupt")["data"]["interrupts"]
    for steps in (answered[asks:], late):
        frame = steps[0][1]
        response = {**frame["responses"][0], "interrupt": ask["id"]}
        await walk(peer, [("client", {**frame, "responses": [response]}), *steps[1:]])
    (branch,) = walks("Branch")
    await walk(peer, branch)


async def test_another_epoch(serve: Serve, connect: Connect) -> None:
    server = await serve({"joke": joker()})
    peer = await connect(server)
    await peer.run("joke", {}, {"sub": 5, "filter": {"modes": ["messages"]}}, run="r-5")
    await peer.closed(5)
    await walk(peer, walks("Gap")[1])


async def test_the_misuses_of_a_filter(serve: Serve, connect: Connect) -> None:
    gate = Gate()
    server = await serve({"research": waiter(gate)})
    start, typo, unrecorded = walks("Filter")
    peer = await connect(server)
    await walk(peer, start[:4])
    for step in (typo, unrecorded):
        await walk(peer, step)
    gate.open()
    await peer.closed(1)


async def test_cancel(serve: Serve, connect: Connect) -> None:
    server = await serve({"wait": waiter(Gate())})
    peer = await connect(server)
    await peer.run("wait", {}, {"sub": 1, "filter": {"modes": ["updates"]}}, run="r-5")
    await peer.until(lambda frame: frame["type"] == "event")
    await walk(peer, walks("Cancel")[0])


async def test_slow_reader(serve: Serve, connect: Connect) -> None:
    server = await serve({"joke": joker(words=20)})
    peer = await connect(server)
    await peer.run("joke", {}, {"sub": 5, "filter": {"modes": ["messages"]}}, run="r-1")
    await peer.closed(5)
    await walk(peer, walks("Slow reader")[0])
    await peer.settled()
    assert len(peer.events(1)) == 4


async def test_patches(serve: Serve, connect: Connect) -> None:
    gate = Gate()

    def write(state: Notes) -> Notes:
        return {"notes": ["quick"], "poem": "Soft and quick"}

    async def wait(state: Notes) -> Notes:
        await gate.wait()
        return {}

    graph = OURS.StateGraph(Notes).add_node(write).add_node(wait)
    graph.add_edge(OURS.START, "write").add_edge("write", "wait")
    server = await serve({"notes": graph.compile()})
    peer = await connect(server)
    patched = walks("Patches", "events")[0]
    whole = next(frame["data"] for _, frame in patched if frame.get("mode") == "values")
    await peer.run("notes", whole, {"sub": 5, "filter": {"modes": ["values"]}}, run="r-7c1e")
    await peer.until(lambda frame: frame.get("sub") == 5 and frame.get("n") == 3)
    await walk(peer, patched)
    gate.open()
    await peer.closed(1)


async def test_watching(serve: Serve, connect: Connect) -> None:
    gate = Gate()
    server = await serve({"joke": waiter(gate)})
    peer = await connect(server)
    await peer.run("joke", {}, {"sub": 5, "filter": {"modes": ["messages"]}}, run="r-7c1e")
    await peer.until(lambda frame: frame["type"] == "event")
    *before, after = walks("Watching", "watching")[0]
    await walk(peer, before)
    gate.open()
    await walk(peer, [after])


class Talk(TypedDict, total=False):
    messages: Annotated[list[Any], add_messages]


def chat(gate: Gate) -> Any:
    async def write(state: Talk) -> Talk:
        first = len(state["messages"]) == 1
        words = ["A cat ", "walks in."] if first else ["A dog ", "follows."]
        speaker = Speaker(words=words) if first else Hesitant(words=words, gate=gate, at=1)
        return {"messages": [await speaker.ainvoke("go on")]}

    return OURS.StateGraph(Talk).add_node(write).add_edge(OURS.START, "write").compile()


async def say(peer: Peer, run: str, text: str) -> None:
    message = {"type": "human", "content": text}
    spec = {"sub": 5, "filter": {"modes": ["messages"]}}
    await peer.run("chat", {"messages": [message]}, spec, run=run, thread="ann")


async def test_a_reload_in_mid_run(serve: Serve, connect: Connect) -> None:
    gate = Gate()
    server = await serve({"chat": chat(gate)})
    starter = await connect(server)
    await say(starter, "r-1", "hi")
    await starter.closed(5)
    (second_page,) = walks("A second page", "reload")
    idle = await connect(server)
    started = next(index for index, (_, frame) in enumerate(second_page) if frame.get("run") == "r-2")
    await walk(idle, second_page[:started])
    starter.forget()
    await say(starter, "r-2", "more")
    await walk(idle, second_page[started:])
    await starter.until(lambda frame: frame.get("mode") == "messages")
    while len(await messages_of(idle)) < 3:  # a saver may be later than the graph
        pass
    (reload,) = walks("A reload in mid-run", "reload")
    place = next(
        index for index, (by, frame) in enumerate(reload) if by == "client" and "checkpoint" in frame
    )
    live = next(index for index, (_, frame) in enumerate(reload) if frame.get("n") == 3)
    page = await connect(server, hello=False)
    await walk(page, reload[:place])
    begun = next(frame["checkpoint"] for frame in page.frames if frame.get("run") == "r-2")
    await walk(page, [("client", {**reload[place][1], "checkpoint": begun}), *reload[place + 1 : live]])
    gate.open()
    await walk(page, reload[live:])
    shown = [frame["values"]["messages"] for frame in page.frames if "values" in frame]
    told = [frame["values"]["messages"] for by, frame in reload if "values" in frame]
    assert [texts(messages) for messages in shown] == [texts(messages) for messages in told]
    named = [frame["thread_seq"] for frame in page.frames if "values" in frame]
    assert named == [frame["thread_seq"] for _, frame in reload if "values" in frame]


async def messages_of(peer: Peer) -> list[Frame]:
    return (await peer.ask(type="state", graph="chat", thread="ann"))["values"]["messages"]


def texts(messages: list[Frame]) -> list[str]:
    return [message["content"] for message in messages]


@pytest.mark.parametrize("section", ["Start and stream", "Multiplex", "Filter", "Cancel", "Reconnect", "Gap"])
def test_every_walk_has_its_frames(section: str) -> None:
    assert all(walks(section))
