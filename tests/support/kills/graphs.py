"""The graphs of the server that is killed. Every event says which one of its run it is."""

import asyncio
from typing import Annotated, Any

from graphwire_runtime import END, START, StateGraph, get_stream_writer, interrupt
from typing_extensions import TypedDict

TICKS = 120
"""Events of a run of ``ticks``, in three nodes."""


def _joined(left: list[int], right: list[int]) -> list[int]:
    return left + right


class Counted(TypedDict, total=False):
    """What the nodes have counted."""

    seen: Annotated[list[int], _joined]
    answer: Any


def _ticking(number: int) -> Any:
    async def tick(state: Counted) -> Counted:
        write = get_stream_writer()
        for index in range(number * TICKS // 3, (number + 1) * TICKS // 3):
            write({"i": index})
            await asyncio.sleep(0)
        return {"seen": [number]}

    return tick


def _ticks() -> Any:
    graph = StateGraph(Counted)
    names = [f"part{number}" for number in range(3)]
    for number, name in enumerate(names):
        graph.add_node(name, _ticking(number))
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile()


def _asks() -> Any:
    async def ask(state: Counted) -> Counted:
        get_stream_writer()({"i": 0})
        answer = interrupt("which?")
        get_stream_writer()({"answer": answer})
        return {"answer": answer}

    return StateGraph(Counted).add_node("ask", ask).add_edge(START, "ask").compile()


ticks = _ticks()
asks = _asks()
