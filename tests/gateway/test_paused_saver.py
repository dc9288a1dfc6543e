"""About `gateway/graphwire_gateway/graphs/pause.py` and `gateway/graphwire_gateway/graphs/paused_saver.py`.

What of a saver a process sees that repeats what followed a pause. ``tests/live/test_answered_runs.py`` tests
the rest.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphwire_gateway.graphs.pause import Pause, newest_since
from graphwire_gateway.graphs.paused_saver import PausedSaver, read_pause
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.types import INTERRUPT, RESUME
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver


@pytest.fixture
async def saver() -> AsyncIterator[AsyncSqliteSaver]:
    """A saver whose thread waits at ``c2``, with ``n1`` inside; one task has ended, one was answered."""
    async with AsyncSqliteSaver.from_conn_string(":memory:") as saver:
        for ns, id in (("", "c1"), ("", "c2"), ("n", "n1")):
            await put(saver, ns, id)
        await write(saver, "", "c2", "ended", ("said", 1))
        await write(saver, "", "c2", "asks", (INTERRUPT, "?"), (RESUME, ["first"]))
        await write(saver, "n", "n1", "inside", (INTERRUPT, "?"))
        yield saver


def place(ns: str = "", **fields: str) -> Any:
    return {"configurable": {"thread_id": "t", "checkpoint_ns": ns, **fields}}


async def put(saver: Any, ns: str, id: str, **metadata: Any) -> None:
    checkpoint = {**empty_checkpoint(), "id": id.replace("n", "d")}
    await saver.aput(place(ns), checkpoint, {"source": "loop", **metadata}, {})


async def write(saver: Any, ns: str, id: str, task: str, *writes: tuple[str, Any]) -> None:
    await saver.aput_writes(place(ns, checkpoint_id=id.replace("n", "d")), writes, task)


async def pause_of(saver: Any) -> Pause:
    pause = await read_pause(saver, "t")
    assert pause is not None
    return pause


async def writes(saver: Any, ns: str = "", **fields: str) -> list[Any]:
    found = await saver.aget_tuple(place(ns, **fields))
    return sorted((found.checkpoint["id"], *each) for each in found.pending_writes)


async def go_further(saver: Any) -> None:
    """Do what a process does that is then killed."""
    await write(saver, "", "c2", "asks", (RESUME, ["first", "second"]))
    await write(saver, "", "c2", "asks", ("said", 2), ("to", None))
    await write(saver, "n", "n1", "inside", (RESUME, ["inner"]))
    await write(saver, "n", "n1", "called", ("__return__", 1))
    await put(saver, "n", "n2")
    await put(saver, "other", "n3", source="input")
    await put(saver, "", "e")


async def repeated(saver: Any, pause: Pause, attempt: int = 2) -> PausedSaver:
    newest = await newest_since(saver, "t", pause)
    assert newest is not None
    return PausedSaver(saver, pause.repeated(newest, attempt))


async def test_what_followed_a_pause_is_not_seen(saver: AsyncSqliteSaver) -> None:
    pause = await pause_of(saver)
    before = [await writes(saver), await writes(saver, "n")]
    assert (pause.checkpoint, pause.newest) == ("c2", "d1")
    await go_further(saver)
    again = await repeated(saver, pause)
    assert [await writes(again), await writes(again, "n")] == before
    assert await again.aget_tuple(place("other")) is None
    assert await again.aget_tuple(place(checkpoint_id="e")) is None
    ids = [each.checkpoint["id"] async for each in again.alist({"configurable": {"thread_id": "t"}})]
    assert ids == ["d1", "c2", "c1"]
    assert [each.checkpoint["id"] async for each in again.alist(place(), limit=1)] == ["c2"]
    seen = await asyncio.to_thread(again.get_tuple, place())
    assert sorted((seen.checkpoint["id"], *each) for each in seen.pending_writes) == before[0]


async def test_what_is_done_once_more_is_seen_here_and_at_the_next_pause(saver: AsyncSqliteSaver) -> None:
    pause = await pause_of(saver)
    await go_further(saver)
    again = await repeated(saver, pause)
    await again.aget_tuple(place())
    await write(again, "", "c2", "asks", ("said", 3), ("to", None))
    await put(again, "n", "f")
    assert ("c2", "asks", "said", 3) in await writes(again)
    assert ("c2", "asks", "said", 2) in await writes(saver, checkpoint_id="c2"), (
        "it keeps what was written first"
    )
    following = await pause_of(again)
    assert following.hidden == ((pause.newest, "e"),)
    assert following.newest == "f"
    next_one = PausedSaver(saver, following)
    assert await writes(next_one) == await writes(again)
    third = PausedSaver(saver, following.repeated("g", 3))
    assert await writes(third) == await writes(again)
    late = await repeated(saver, pause, 3)
    assert ("c2", "asks", RESUME, ["first"]) in await writes(late)
    assert not [each for each in await writes(late) if each[1:3] == ("asks", "said")]


async def test_behind_its_next_checkpoint_nothing_is_hidden_any_more(saver: AsyncSqliteSaver) -> None:
    pause = await pause_of(saver)
    await go_further(saver)
    again = await repeated(saver, pause)
    await put(again, "", "f")
    following = await pause_of(again)
    assert (following.checkpoint, following.hidden, following.attempt) == ("f", (), 1)


@pytest.mark.parametrize(
    ("ns", "id", "source"),
    [("", "e", "update"), ("", "e", "input"), ("n", "n2", "update"), ("n", "n2", "fork")],
)
async def test_what_did_not_follow_from_an_answer_is_not_hidden(
    saver: AsyncSqliteSaver, ns: str, id: str, source: str
) -> None:
    pause = await pause_of(saver)
    assert await newest_since(saver, "t", pause) == "d1"
    await put(saver, ns, id, source=source)
    assert await newest_since(saver, "t", pause) is None


async def test_a_thread_that_is_gone_or_another_one_is_not_repeated(saver: AsyncSqliteSaver) -> None:
    pause = await pause_of(saver)
    assert await newest_since(saver, "t", pause.model_copy(update={"checkpoint": "c1"})) is None
    await saver.adelete_thread("t")
    assert await newest_since(saver, "t", pause) is None
    assert await read_pause(saver, "t") is None


async def test_delta_channels_and_very_many_tasks_are_not_repeated(saver: AsyncSqliteSaver) -> None:
    await put(saver, "n", "n2", counters_since_delta_snapshot={"said": [1, 1]})
    assert await read_pause(saver, "t") is None
    await put(saver, "n", "n3")
    assert await read_pause(saver, "t") is not None
    for number in range(1001):
        await write(saver, "n", "n3", f"task {number}", ("said", number))
    assert await read_pause(saver, "t") is None
