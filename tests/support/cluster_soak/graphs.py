"""The graphs that the workers run. Every event says which one of its run it is, who made it, and when."""

import asyncio
import os
import time
from typing import Annotated, Any

from graphwire_runtime import END, START, StateGraph, get_stream_writer, interrupt
from typing_extensions import TypedDict

TICKS = 60
"""Events of a run of ``ticks``, in three nodes."""

BY = "SOAK_PART"
"""The environment variable that names the process: each that is started has a name of its own."""

_PAUSE_S = 0.04
_CLEANS_UP_S = 0.9  # a run that is cancelled takes so long, in which its worker may be killed
_EVERY = 4  # events to a pause, so that some come together


def _joined(left: list[int], right: list[int]) -> list[int]:
    return left + right


class Noted(TypedDict, total=False):
    """What the nodes have noted."""

    seen: Annotated[list[int], _joined]
    answer: Any


def _write(index: int, **more: Any) -> None:
    made = {"i": index, "by": os.environ.get(BY, ""), "at": time.monotonic_ns()}
    get_stream_writer()({**made, **more})


def _ticking(number: int) -> Any:
    async def tick(state: Noted) -> Noted:
        try:
            for index in range(number * TICKS // 3, (number + 1) * TICKS // 3):
                _write(index)
                await asyncio.sleep(0 if index % _EVERY else _PAUSE_S)
        except asyncio.CancelledError:
            await asyncio.sleep(_CLEANS_UP_S)
            raise
        return {"seen": [number]}

    return tick


def _ticks() -> Any:
    graph = StateGraph(Noted)
    names = [f"part{number}" for number in range(3)]
    for number, name in enumerate(names):
        graph.add_node(name, _ticking(number))
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile()


def _asks() -> Any:
    async def ask(state: Noted) -> Noted:
        _write(0)
        answer = interrupt("which?")
        for index in range(1, 9):
            _write(index, answer=answer)
            await asyncio.sleep(_PAUSE_S)
        return {"answer": answer}

    return StateGraph(Noted).add_node("ask", ask).add_edge(START, "ask").compile()


ticks = _ticks()
asks = _asks()
