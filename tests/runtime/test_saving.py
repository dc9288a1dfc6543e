"""Everything that is queued for the saver is written, whenever the run is cancelled.

About `runtime/graphwire_runtime/thread/saving.py`.
"""

import asyncio
import contextlib
from operator import add
from typing import Annotated, Any

import pytest
from graphwire_runtime import START, StateGraph
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
