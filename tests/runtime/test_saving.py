"""Everything that is queued for the saver is written, whenever a run is cancelled; nothing else is made.

About `runtime/graphwire_runtime/thread/saving.py` and `runtime/graphwire_runtime/thread/checkpoints.py`.
"""

import asyncio
import contextlib
import errno
import gc
from operator import add
from typing import Annotated, Any

import pytest
from graphwire_runtime import START, InvalidUpdateError, StateGraph
from graphwire_runtime.thread import checkpoints
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict


class Said(TypedDict, total=False):
    said: Annotated[list[str], add]


class Slow(InMemorySaver):
    """Writes nothing before `gate` is open. `asked` is set by the first write, `idle` when all are done."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()
        self.idle = asyncio.Event()
        self._left = 0

    async def aput(self, *args: Any) -> Any:
        self._left += 1
        self.asked.set()
        self.idle.clear()
        await self.gate.wait()
        out = self.put(*args)
        self._left -= 1
        if not self._left:
            self.idle.set()
        return out


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_cancelled_run_leaves_no_write_undone(durability: Any, cancels: int) -> None:
    def one(state: Said) -> Said:
        return {"said": ["one"]}

    saver = Slow()
    graph = StateGraph(Said).add_node(one).add_edge(START, "one").compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}
    run = asyncio.create_task(graph.ainvoke({"said": ["begin"]}, config, durability=durability))
    await asyncio.wait_for(saver.asked.wait(), 5)
    for _ in range(cancels):
        run.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
    saver.gate.set()
    with contextlib.suppress(asyncio.CancelledError):
        await run
    await asyncio.wait_for(saver.idle.wait(), 5)
    state = await graph.aget_state(config)
    assert state.values["said"][0] == "begin"


class Full(InMemorySaver):
    """Has no room for one write, the first that `method` makes when a run is under way."""

    def __init__(self, method: str) -> None:
        super().__init__()
        self._method = method
        self._is_full = True
        self.has_refused = asyncio.Event()

    def _take(self, method: str) -> None:
        if method == self._method and self._is_full:
            self._is_full = False
            self.has_refused.set()
            raise OSError(errno.ENOSPC, "No space left on device")

    async def aput(self, *args: Any) -> Any:
        self._take("aput")
        return self.put(*args)

    async def aput_writes(self, *args: Any) -> None:
        self._take("aput_writes")
        self.put_writes(*args)


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.parametrize("method", ["aput", "aput_writes"])
async def test_a_write_that_failed_fails_its_run_though_later_ones_succeed(
    method: str, durability: Any
) -> None:
    async def say(state: Said) -> Said:
        return {"said": ["word"]}

    async def say_late(state: Said) -> Said:
        await asyncio.wait_for(saver.has_refused.wait(), 5)
        return {"said": ["late"]}

    async def say_last(state: Said) -> Said:
        await asyncio.wait_for(saver.has_refused.wait(), 5)
        for _ in range(10):
            await asyncio.sleep(0)  # the write of what ended before is begun meanwhile
        return {"said": ["last"]}

    saver = Full(method)
    builder = StateGraph(Said).add_node(say).add_node(say_late).add_node(say_last)
    for name in ("say", "say_late", "say_last"):
        builder.add_edge(START, name)
    graph = builder.compile(checkpointer=saver)
    config: Any = {"configurable": {"thread_id": "t"}}
    logged: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: logged.append(context))
    with pytest.raises(OSError, match="No space left on device"):
        await graph.ainvoke({"said": ["begin"]}, config, durability=durability)
    gc.collect()
    await asyncio.sleep(0)
    assert logged == []
    assert "last" in (await graph.ainvoke({"said": ["again"]}, config, durability=durability))["said"]


def _counted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The moments of the checkpoints that are made from now on."""
    made: list[float] = []
    timestamp = checkpoints.timestamp

    def counted(seconds: float) -> str:
        made.append(seconds)
        return timestamp(seconds)

    monkeypatch.setattr(checkpoints, "timestamp", counted)
    return made


@pytest.mark.parametrize(("durability", "made"), [("sync", 5), ("async", 5), ("exit", 1)])
async def test_no_checkpoint_is_made_that_nobody_saves(
    durability: Any, made: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say(state: Said) -> Said:
        return {"said": [str(len(state["said"]))]}

    saver = InMemorySaver()
    nodes = [(name, say) for name in "abc"]
    graph = StateGraph(Said).add_sequence(nodes).add_edge(START, "a").compile(checkpointer=saver)
    counted = _counted(monkeypatch)
    config: Any = {"configurable": {"thread_id": "t"}}
    await graph.ainvoke({"said": ["begin"]}, config, durability=durability)
    assert len(counted) == made
    state = await graph.aget_state(config)
    assert state.values == {"said": ["begin", "1", "2", "3"]}
    assert (state.metadata or {})["step"] == 3


async def test_what_is_saved_at_the_end_is_the_state_before_the_superstep_that_failed() -> None:
    class Both(TypedDict, total=False):
        first: int
        then: int

    def one(state: Both) -> Both:
        return {"first": 1, "then": 1}

    def again(state: Both) -> Both:
        return {"first": 2, "then": 2}

    def other(state: Both) -> Both:
        return {"then": 3}  # two writes to a key that takes one: "first" is written by then

    saver = InMemorySaver()
    graph = (
        StateGraph(Both)
        .add_node(one)
        .add_node(again)
        .add_node(other)
        .add_edge(START, "one")
        .add_edge("one", "again")
        .add_edge("one", "other")
        .compile(checkpointer=saver)
    )
    config: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(InvalidUpdateError):
        await graph.ainvoke({}, config, durability="exit")
    saved = saver.get_tuple(config)
    assert saved is not None
    values = saved.checkpoint["channel_values"]
    assert (values["first"], values["then"]) == (1, 1)
    assert sorted(saved.checkpoint["updated_channels"] or ()) == [
        "branch:to:again",
        "branch:to:other",
        "first",
        "then",
    ]


@pytest.mark.parametrize("durability", ["sync", "exit"])
def test_of_an_exception_a_checkpoint_keeps_its_repr_without_the_rest_of_a_huge_text(durability: Any) -> None:
    def fail(state: Said) -> Said:
        raise ValueError("x" * 1_000_000, 7) if state["said"] == ["huge"] else ValueError("short", 7)

    graph = StateGraph(Said).add_node(fail).add_edge(START, "fail").compile(checkpointer=InMemorySaver())
    kept = []
    for text in ("short", "huge"):
        thread: Any = {"configurable": {"thread_id": text}}
        with pytest.raises(ValueError, match=text[0] if text == "short" else "x"):
            graph.invoke({"said": [text]}, thread, durability=durability)
        kept.append(graph.get_state(thread).tasks[0].error)
    assert kept[0] == "ValueError('short', 7)"
    assert len(kept[1]) < 70_000
    assert kept[1].startswith("ValueError('xxx")
    assert kept[1].endswith("x' … 934464 more left out, 7)")


def test_an_exception_s_own_repr_is_kept() -> None:
    class Own(Exception):
        args: Any = property(lambda self: 1 / 0)

        def __repr__(self) -> str:
            return "mine"

    def fail(state: Said) -> Said:
        raise Own("x" * 1_000_000)

    graph = StateGraph(Said).add_node(fail).add_edge(START, "fail").compile(checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "t"}}
    with pytest.raises(Own):
        graph.invoke({"said": []}, thread)
    assert graph.get_state(thread).tasks[0].error == "mine"
