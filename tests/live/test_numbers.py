"""The runs of a thread are numbered as they begin, and say where they began.

About `gateway/graphwire_gateway/runs/numbers.py`, `gateway/graphwire_gateway/runs/states.py` and
`gateway/graphwire_gateway/execution/execution.py`.
"""

from tests.live.test_states import OURS, state, stepped
from tests.support.graphs import Library
from tests.support.peer import Frame, Peer, everything


async def rows(peer: Peer) -> dict[str, Frame]:
    listed = await peer.ask(type="list", what="runs", graph="stepper", thread="t")
    return {row["run"]: row for row in listed["runs"]}


async def test_a_state_names_the_latest_run_and_each_run_where_it_began(serve, connect, lib: Library) -> None:
    peer = await stepped(serve, connect, lib)
    first = await state(peer)
    row = (await rows(peer))["r"]
    assert (row["thread_seq"], row["checkpoint"]) == (1, "")
    assert (first["thread_seq"], first["thread_epoch"]) == (1, row["thread_epoch"])
    await peer.run("stepper", {"topic": "y"}, everything(2), run="r2", thread="t")
    await peer.closed(2)
    row = (await rows(peer))["r2"]
    assert (row["thread_seq"], row["thread_epoch"]) == (2, first["thread_epoch"])
    assert row["checkpoint"] == first["config"]["configurable"]["checkpoint_id"]
    assert (await state(peer))["thread_seq"] == 2
    asked = first["parent_config"]["configurable"]["checkpoint_id"]
    await peer.run("stepper", None, everything(3), run="r3", thread="t", checkpoint=asked)
    await peer.closed(3)
    row = (await rows(peer))["r3"]
    assert (row["thread_seq"], row["checkpoint"]) == (3, asked)


async def test_a_thread_whose_runs_are_forgotten_has_no_number_and_counts_anew(serve, connect) -> None:
    peer = await stepped(serve, connect, OURS)
    first = (await rows(peer))["r"]
    await peer.ask(type="delete", run="r")
    told = await state(peer)
    assert "thread_seq" not in told
    assert "thread_epoch" not in told
    await peer.run("stepper", {"topic": "y"}, everything(2), run="r2", thread="t")
    await peer.closed(2)
    row = (await rows(peer))["r2"]
    assert row["thread_seq"] == 1
    assert row["thread_epoch"] != first["thread_epoch"]
    assert row["checkpoint"] == told["config"]["configurable"]["checkpoint_id"]


async def test_runs_are_numbered_as_they_begin_and_a_watch_tells_where(serve, connect) -> None:
    peer = await stepped(serve, connect, OURS, interrupt_before=["two"])
    await peer.ask(type="watch", sub=9, graphs=["stepper"], thread="t")
    for run in ("later", "never", "last"):
        await peer.run("stepper", {"topic": run}, run=run, thread="t", if_busy="enqueue")
    assert all("thread_seq" not in row for name, row in (await rows(peer)).items() if name != "r")
    await peer.ask(type="cancel", run="never")
    for run in ("r", "later", "last"):  # each stops at the breakpoint, though nobody sees its updates
        await peer.until(
            lambda frame, run=run: (frame.get("run"), frame.get("status")) == (run, "interrupted")
        )
        await peer.ask(type="respond", run=run, responses=[])
    await peer.until(lambda frame: (frame.get("run"), frame.get("status")) == ("last", "completed"))
    told = [frame for frame in peer.frames if frame["type"] == "run_info"]
    numbers = {frame["run"]: frame.get("thread_seq") for frame in told}
    assert numbers == {"r": 1, "later": 2, "never": None, "last": 3}
    known = [frame["run"] for frame in told if frame["status"] == "running" and "checkpoint" in frame]
    assert "later" in known
    assert "last" in known
