"""Many random graphs or histories, carried out here and in LangGraph, as a command.

    python -m tests.support.random_programs graphs 0 10000
    python -m tests.support.random_programs histories 0 10000
    python -m tests.support.random_programs outside 0 10000
    python -m tests.support.random_programs inside 0 10000

The last two mix the libraries: ours is outside and LangGraph's inside, or the other way round, and so in turn
further in.

It prints the seed of each that differs, and at the end how many did. Tasks side by side may end in any order:
a program differs if LangGraph never does what we did, of `TRIES` times.
"""

from __future__ import annotations

import asyncio
import logging
import random
import sys
import warnings
from dataclasses import replace
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from tests.support import histories, random_graphs
from tests.support.comparison import OURS, THEIRS

TRIES = 6


async def graphs(lg: Any, seed: int) -> list[Any]:
    """What is seen of the random graph with this seed."""
    return await random_graphs.lived(lg, random_graphs.drawn(random.Random(seed)))


async def outside(lg: Any, seed: int) -> list[Any]:
    """What is seen of a random graph of ours with LangGraph's inside, or of LangGraph's alone."""
    program = _nested(seed, THEIRS)
    return await random_graphs.lived(lg, program, THEIRS if lg is OURS else None)


async def inside(lg: Any, seed: int) -> list[Any]:
    """What is seen of a random graph of LangGraph's with ours inside, or of LangGraph's alone."""
    return await random_graphs.lived(THEIRS, _nested(seed, OURS), OURS if lg is OURS else None)


def _nested(seed: int, inner: Any) -> random_graphs.Program:
    """A program with graphs inside, those of this library, and so in turn."""
    chance = random.Random(seed)
    program = random_graphs.drawn(chance)
    while not any(node.inner for node in program.graph.nodes):
        program = random_graphs.drawn(chance)
    return replace(program, graph=_shown(program.graph, OURS if inner is THEIRS else THEIRS))


def _shown(graph: random_graphs.Graph, lg: Any) -> random_graphs.Graph:
    """The graph, where none of ours says `checkpointer=False`: LangGraph looks for that at its own only."""
    inner = OURS if lg is THEIRS else THEIRS
    nodes = tuple(replace(node, inner=node.inner and _shown(node.inner, inner)) for node in graph.nodes)
    return replace(graph, nodes=nodes, keeps=graph.keeps if lg is THEIRS else graph.keeps or None)


async def lives(lg: Any, seed: int) -> list[Any]:
    """What is seen of the random history with this seed."""
    return await histories.lived(lg, histories.drawn(random.Random(seed)), InMemorySaver())


KINDS = {"graphs": graphs, "histories": lives, "outside": outside, "inside": inside}


async def _seen(kind: Any, lg: Any, seed: int) -> Any:
    """What is seen, or the kind of error of a thread that cannot be read."""
    try:
        return await kind(lg, seed)
    except Exception as error:
        return [type(error).__name__]


async def compared(kind: Any, first: int, last: int) -> int:
    """Compare programs with these seeds; returns how many differ."""
    different = 0
    for seed in range(first, last):
        ours = await _seen(kind, OURS, seed)
        for _ in range(TRIES):
            theirs = await _seen(kind, THEIRS, seed)
            if theirs == ours:
                break
        else:
            different += 1
            where = [
                turn for turn, (mine, yours) in enumerate(zip(ours, theirs, strict=False)) if mine != yours
            ]
            print(f"{seed} differs at {where}", flush=True)
    return different


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    first, last = map(int, sys.argv[2:])
    count = asyncio.run(compared(KINDS[sys.argv[1]], first, last))
    print(f"{last - first} {sys.argv[1]}, {count} differ")
    sys.exit(bool(count))
