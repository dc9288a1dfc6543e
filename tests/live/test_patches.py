"""``values: patch`` sends what changed and leads to the same states in a fraction of the bytes.

About `gateway/graphwire_gateway/connections/patching.py` and `protocol/graphwire_protocol/patches.py`.
"""

import json
from operator import add
from typing import Annotated, Any, TypedDict

import graphwire
from graphwire_protocol.patches import apply

from tests.support.graphs import OURS, Gate
from tests.support.peer import Frame, spec

WORDS = "the quick brown fox jumps over the lazy dog and says so at some length, as chats do " * 2


class Chat(TypedDict, total=False):
    messages: Annotated[list[dict[str, Any]], add]
    turn: int
    note: str


def chat(turns: int, gate: Gate | None = None, pause_at: int = -1) -> Any:
    """A chat that grows by one message a step, with a note that changes at every tenth."""

    async def speak(state: Chat) -> Chat:
        turn = state["turn"] + 1
        if gate is not None and turn == pause_at:
            await gate.wait()
        update: Chat = {"turn": turn, "messages": [{"role": "ai", "text": f"{turn}: {WORDS}"}]}
        if turn % 10 == 0:
            update["note"] = f"at {turn}"
        return update

    graph = OURS.StateGraph(Chat).add_node(speak).add_edge(OURS.START, "speak")
    graph.add_conditional_edges("speak", lambda state: "speak" if state["turn"] < turns else OURS.END)
    return graph.compile()


def rebuilt(frames: list[Frame]) -> dict[int, Any]:
    """The states by seq, as a client makes them of what it got."""
    out: dict[int, Any] = {}
    last: dict[tuple[str, ...], int] = {}
    for frame in frames:
        if frame["type"] in ("gap", "snapshot"):
            last.clear()
        if frame["type"] != "event" or frame["mode"] != "values":
            continue
        ns = tuple(frame.get("ns", ()))
        if "base" in frame:
            assert frame["base"] == last[ns], "a patch starts from the event before it"
            out[frame["seq"]] = apply(out[frame["base"]], frame["data"])
        else:
            out[frame["seq"]] = frame["data"]
        last[ns] = frame["seq"]
    return out


def whole(frames: list[Frame]) -> dict[int, Any]:
    return {
        frame["seq"]: frame["data"]
        for frame in frames
        if frame["type"] == "event" and frame["mode"] == "values"
    }


async def test_a_chat_of_two_hundred_steps_costs_a_fiftieth_of_its_full_states(serve, connect) -> None:
    server = await serve({"chat": chat(200)}, limits={"log_bytes": 64 << 20})
    peer = await connect(server)
    started = {"turn": 0, "messages": []}
    config = {"recursion_limit": 300}
    await peer.run("chat", started, spec(1, "values"), spec(2, "values", values="patch"), config=config)
    full, patched = await peer.closed(1), await peer.closed(2)
    assert len(whole(full)) == 201
    assert rebuilt(patched) == whole(full)
    assert sum("base" in frame for frame in patched) >= 199, "whole is the first, and what is shorter so"
    ratio = _size(full) / _size(patched)
    assert ratio >= 50, ratio


def _size(frames: list[Frame]) -> int:
    return sum(len(json.dumps(frame)) for frame in frames)


async def test_keys_apply_before_the_difference_is_taken(serve, connect) -> None:
    server = await serve({"chat": chat(30)})
    peer = await connect(server)
    only_note = {"keys": ["note"]}
    await peer.run(
        "chat",
        {"turn": 0, "messages": []},
        spec(1, "values", **only_note),
        spec(2, "values", values="patch", **only_note),
    )
    full, patched = await peer.closed(1), await peer.closed(2)
    assert rebuilt(patched) == whole(full)
    assert {json.dumps(state) for state in whole(full).values()} >= {'{"note": "at 10"}', '{"note": "at 30"}'}
    assert [frame.get("skipped") for frame in (full[-1], patched[-1])] == [full[-1]["skipped"]] * 2


async def test_behind_a_gap_a_whole_state_comes_first(serve, connect) -> None:
    gate = Gate()
    limits = {"log_events": 20, "log_min_age_s": 0}
    server = await serve({"chat": chat(100, gate, pause_at=95)}, limits=limits)
    peer = await connect(server)
    await peer.run("chat", {"turn": 0, "messages": []}, spec(1, "values", values="patch", credit=3), run="r")
    watcher = await connect(server)
    reply = await watcher.ask(type="subscribe", run="r", **spec(5, "values", from_="now"))
    assert reply["type"] == "subscribed"
    if reply["head"] < 96:  # the run stops at its gate behind this one
        await watcher.until(lambda frame: frame.get("seq") == 96 and frame["type"] == "event")
    await peer.send({"type": "credit", "sub": 1, "events": 1000})
    gate.open()
    frames = await peer.closed(1)
    full = await watcher.closed(5)
    gap = max(place for place, frame in enumerate(frames) if frame["type"] == "gap")
    behind = next(frame for frame in frames[gap:] if frame["type"] == "event" and frame["mode"] == "values")
    assert "base" not in behind
    states = rebuilt(frames)
    late = {seq: state for seq, state in whole(full).items() if seq >= behind["seq"]}
    assert {seq: states[seq] for seq in late} == late
    assert len(late) >= 5


async def test_the_client_hands_out_whole_states(serve) -> None:
    server = await serve({"chat": chat(40)})
    async with graphwire.connect(server.url) as client:
        states = []
        for values in ("full", "patch"):
            run = await client.run("chat", {"turn": 0, "messages": []}, modes=["values"], values=values)
            states.append([event.data async for event in run if isinstance(event, graphwire.ValuesEvent)])
    assert len(states[0]) == 41
    assert states[1] == states[0]


async def test_a_client_that_leaves_and_comes_again_sees_every_state_whole(serve) -> None:
    server = await serve({"chat": chat(60)})
    async with graphwire.connect(server.url, window=8) as client:
        run = await client.run("chat", {"turn": 0, "messages": []}, modes=["values"], values="patch")
        turns = []
        while run.position < 60:
            async for event in run:
                if isinstance(event, graphwire.ValuesEvent):
                    turns.append((event.data["turn"], len(event.data["messages"])))
                    if len(turns) % 7 == 0:
                        break
    assert turns == [(turn, turn) for turn in range(61)]
