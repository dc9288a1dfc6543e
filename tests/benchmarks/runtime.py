"""The runtime beside LangGraph, in one process: what a superstep, a token, an event and a run cost its CPU.

Both run the same graph in turns, so that a noisy machine is noisy to both; what counts is the ratio of the
medians. `python -m tests.benchmarks.runtime` measures only this.
"""

import asyncio
import gc
import importlib
import operator
import statistics
import time
import tracemalloc
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from langchain_core.callbacks import BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver
from rich.console import Console
from rich.table import Table

from tests.benchmarks.graphs import MODULES, UnpacedModel, custom, tokens

ROUNDS = 31
SHORT, LONG = 2, 52
"""Supersteps of the two chains whose difference is the cost of a superstep."""
REPEATS = 5
EVENTS = 1000
RUNS = 100
PARKED = 300

Measure = Callable[[], float]


class State(TypedDict, total=False):
    """What the chains carry."""

    number: int
    log: Annotated[list[str], operator.add]


class InlineListener(BaseCallbackHandler):
    """The least that can hear a model's tokens: one callback that runs inline and does nothing."""

    run_inline = True

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        """Hear a token."""


@dataclass(frozen=True)
class Comparison:
    """Something to measure in both, and the ratio to LangGraph that is aimed at."""

    what: str
    unit: str
    aim: str
    measure: Callable[[str], Measure]
    rounds: int = ROUNDS


def spent(work: Callable[[], object]) -> float:
    """The microseconds of CPU time that some work takes."""
    gc.collect()
    before = time.process_time_ns()
    work()
    return (time.process_time_ns() - before) / 1000


def chain(framework: str, length: int, *, blocking: bool = False, routers: bool = False) -> Any:
    """A graph of nodes one after the other, by edges or by a sync router behind each."""
    module = importlib.import_module(MODULES[framework][0])

    async def count(state: State) -> State:
        return {"number": state["number"] + 1}

    def count_blocking(state: State) -> State:
        return {"number": state["number"] + 1}

    nodes = [(f"node{index}", count_blocking if blocking else count) for index in range(length)]
    builder = module.StateGraph(State).add_edge(module.START, "node0")
    if not routers:
        return builder.add_sequence(nodes).compile()
    for index, (name, node) in enumerate(nodes):
        builder.add_node(name, node)
        if index:
            builder.add_conditional_edges(nodes[index - 1][0], lambda _, name=name: name, [name])
    return builder.compile()


async def drained(graph: Any, value: Any, mode: str) -> None:
    """Stream a run and take everything."""
    async for _ in graph.astream(value, stream_mode=mode):
        pass


def superstep(
    mode: str, *, blocking: bool = False, sync: bool = False, routers: bool = False
) -> Callable[[str], Measure]:
    """What one more superstep of one node adds to a run.

    Args:
        mode: the stream mode.
        blocking: whether the run blocks, and with it its nodes.
        sync: whether the nodes have no async form, in a run that has.
        routers: whether a router without an async form follows each node.
    """

    def measure(framework: str) -> Measure:
        short, long = (
            chain(framework, length, blocking=blocking or sync, routers=routers) for length in (SHORT, LONG)
        )

        async def stream(graph: Any) -> None:
            for _ in range(REPEATS):
                await drained(graph, {"number": 0}, mode)

        def stream_blocking(graph: Any) -> None:
            for _ in range(REPEATS):
                deque(graph.stream({"number": 0}, stream_mode=mode), maxlen=0)

        def cost(graph: Any) -> float:
            return spent(lambda: stream_blocking(graph) if blocking else asyncio.run(stream(graph))) / REPEATS

        return lambda: (cost(long) - cost(short)) / (LONG - SHORT)

    return measure


def event(build: Callable[[str], Any], mode: str) -> Callable[[str], Measure]:
    """What a token or a custom event costs, in a run of many."""

    def measure(framework: str) -> Measure:
        graph = build(framework)
        return lambda: spent(lambda: asyncio.run(drained(graph, {"count": EVENTS}, mode))) / EVENTS

    return measure


def token_floor() -> Measure:
    """What a token costs without any graph: the model is called, and one inline callback hears it."""
    model, listener = UnpacedModel(), InlineListener()

    async def speak() -> None:
        await model.ainvoke(str(EVENTS), {"callbacks": [listener]}, stream=True)

    return lambda: spent(lambda: asyncio.run(speak())) / EVENTS


def whole_run(how: str) -> Callable[[str], Measure]:
    """What a run of one node costs from its call to its end."""

    def measure(framework: str) -> Measure:
        graph = chain(framework, 1, blocking=how == "invoke")

        async def several() -> None:
            for _ in range(RUNS):
                if how == "ainvoke":
                    await graph.ainvoke({"number": 0})
                else:
                    await drained(graph, {"number": 0}, "updates")

        def several_blocking() -> None:
            for _ in range(RUNS):
                graph.invoke({"number": 0})

        return lambda: spent(several_blocking if how == "invoke" else lambda: asyncio.run(several())) / RUNS

    return measure


def waiting_run(framework: str) -> Measure:
    """The kibibytes that a run holds while its node waits for something outside."""
    module = importlib.import_module(MODULES[framework][0])
    gate: dict[str, asyncio.Event] = {}

    async def wait(state: State) -> State:
        await gate["open"].wait()
        return {"number": 1}

    graph = module.StateGraph(State).add_node(wait).add_edge(module.START, "wait").compile()

    async def parked() -> float:
        gate["open"] = asyncio.Event()

        async def start(count: int) -> list[asyncio.Task[Any]]:
            runs = [asyncio.create_task(graph.ainvoke({"number": 0})) for _ in range(count)]
            for _ in range(50):
                await asyncio.sleep(0)
            return runs

        runs = await start(20)  # whatever is made once is there now
        before = _traced()
        runs += await start(PARKED)
        held = _traced() - before
        gate["open"].set()
        await asyncio.gather(*runs)
        return held / PARKED / 1024

    return lambda: _tracing(lambda: asyncio.run(parked()))


def asking_run(framework: str) -> Measure:
    """The kibibytes that a thread holds in LangGraph's in-memory saver while it waits at an interrupt."""
    module, types = (importlib.import_module(name) for name in MODULES[framework])

    def ask(state: State) -> State:
        return {"log": [types.interrupt("go on?")]}

    builder = module.StateGraph(State).add_node(ask).add_edge(module.START, "ask")

    def parked() -> float:
        graph = builder.compile(checkpointer=InMemorySaver())

        def start(first: int, count: int) -> None:
            for thread in range(first, first + count):
                graph.invoke({"number": 0}, {"configurable": {"thread_id": str(thread)}})

        start(0, 20)
        before = _traced()
        start(20, PARKED)
        return (_traced() - before) / PARKED / 1024

    return lambda: _tracing(parked)


def _tracing(work: Callable[[], float]) -> float:
    tracemalloc.start()
    try:
        return work()
    finally:
        tracemalloc.stop()


def _traced() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


TOKEN = Comparison("a token, `messages`", "µs", "0.70", event(tokens, "messages"))
COMPARISONS = [
    Comparison("a superstep of one node, `updates`", "µs", "0.33", superstep("updates")),
    Comparison("the same, `debug`", "µs", "0.33", superstep("debug")),
    Comparison("the same, blocking, `values`", "µs", "0.33", superstep("values", blocking=True)),
    Comparison("a superstep of a sync node, `updates`", "µs", "2 async", superstep("updates", sync=True)),
    Comparison("the same with a sync router", "µs", "2 async", superstep("updates", sync=True, routers=True)),
    Comparison("an async node with a sync router", "µs", "2 async", superstep("updates", routers=True)),
    TOKEN,
    Comparison("a custom event", "µs", "0.60", event(custom, "custom")),
    Comparison("a whole run of one node, `astream`", "µs", "0.25", whole_run("astream")),
    Comparison("the same, `ainvoke`", "µs", "0.25", whole_run("ainvoke")),
    Comparison("the same, `invoke`", "µs", "0.25", whole_run("invoke")),
    Comparison("a run that waits in a node", "KiB", "0.33", waiting_run, rounds=3),
    Comparison("a thread that waits at an interrupt", "KiB", "", asking_run, rounds=3),
]


def medians(contenders: list[Measure], rounds: int) -> list[float]:
    """The median of each contender's rounds, which take turns; the first round only warms up."""
    seen = [[measure() for measure in contenders] for _ in range(rounds + 1)][1:]
    return [statistics.median(costs) for costs in zip(*seen, strict=True)]


def show(console: Console) -> None:
    """Measure everything and print the table."""
    table = Table(title=f"runtime beside LangGraph, in one process, medians of up to {ROUNDS} rounds")
    for column in ("what", "unit", "ours", "LangGraph", "ratio", "aim"):
        table.add_column(column, justify="left" if column in ("what", "unit") else "right")
    gc.collect()
    gc.freeze()  # the modules: the collections between rounds need not look at them again
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for each in COMPARISONS:
            contenders = [each.measure(framework) for framework in ("ours", "langgraph")]
            if each is TOKEN:
                contenders.append(token_floor())
            ours, theirs, *floor = medians(contenders, each.rounds)
            table.add_row(
                each.what, each.unit, f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}", each.aim
            )
            for least in floor:  # of the token alone
                row = (f"{least:.2f}", f"{theirs:.2f}", f"{least / theirs:.2f}")
                table.add_row("langchain-core's own token, no graph", each.unit, *row, "")
                table.add_row("a token to langchain-core's own", "", "", "", f"{ours / least:.2f}", "1.15")
    console.print(table)


if __name__ == "__main__":
    show(Console())
