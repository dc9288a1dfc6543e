"""Random graphs, as data, and what is streamed while they run, stop and are resumed.

A `Program` says which graph there is and how it is run, several times on one thread. It is drawn once and
then carried out in either library, so the streams can be compared. What nodes of a graph do is in
`random_nodes`; histories of threads, with edits and forks, are in `histories`.

Left out is what is a fault of LangGraph's:

- "sync" durability of a graph with one inside that keeps nothing, which fails with an AttributeError;
- what is left of a thread behind an InvalidUpdateError with "exit" durability: LangGraph keeps a checkpoint
  of a superstep that was applied in part, at which nothing runs next;
- questions in a graph that keeps nothing, which have another id in every run of LangGraph's: they cannot be
  answered by id;
- what tasks beside one that failed come to, and what their thread is then: LangGraph leaves them some time,
  which depends on Python, on the machine and on the modes. In a `lone` program no task is beside another, and
  all is compared;
- a graph with `checkpointer=True` beside itself: both runs of it write to the one history, in any order;
- a graph inside one that keeps nothing that says nothing of its own checkpointer: LangGraph keeps checkpoints
  of it that nothing finds again;
- async routers of a node that is a graph: LangGraph calls one without awaiting it behind a hand-off;
- two Sends with the same input to one cached node: of those in one superstep, LangGraph finds only the last
  in the cache, and runs the others again;
- two nodes of one graph that hand over to the graph above: of two side by side, LangGraph takes either.

LangGraph stores results in the background, so it depends on the machine whether the next superstep finds
them. Its cache waits for what is on its way (`SettledCache`), so that it does, as in ours.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.messages import BaseMessage
from langgraph.cache.memory import InMemoryCache
from langgraph.checkpoint.memory import InMemorySaver

from tests.support.comparison import THEIRS, View
from tests.support.random_nodes import SCHEMAS, Counts, Node, action, routing
from tests.support.settled_cache import SettledCache

MODES = ["values", "updates", "custom", "messages", "tasks", "checkpoints", "debug"]
PLAIN = ("say", "say", "say", "count", "note", "nothing", "writes", "speak", "tell", "goto", "fan")
ODD = ("overwrite", "list", "fails", "flaky", "handled", "goto", "fan", "ask", "ask")
KEEPS = (None, None, None, True, False)


@dataclass(frozen=True)
class Router:
    """A conditional edge, or the sends of a fan-out."""

    source: str
    targets: tuple[str, ...]
    sends: bool
    awaits: bool


@dataclass(frozen=True)
class Graph:
    nodes: tuple[Node, ...]
    edges: tuple[tuple[str, str], ...]
    joins: tuple[tuple[tuple[str, ...], str], ...]
    routers: tuple[Router, ...]
    schema: str
    output: str | None = None
    """The name of an output schema."""
    keeps: Any = None
    """The `checkpointer` of a graph inside."""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One call of a graph."""

    value: str
    """input, empty, answer, on (None) or command."""
    modes: str | tuple[str, ...]
    subgraphs: bool
    version: str
    limit: int
    durability: str | None
    keys: str | tuple[str, ...] | None
    before: tuple[str, ...] | None


@dataclass(frozen=True)
class Program:
    graph: Graph
    runs: tuple[Run, ...]
    how: str
    kept: bool
    """Whether the outermost graph has a checkpointer."""
    lone: bool
    """Whether no task is ever beside another one."""


def drawn(chance: random.Random) -> Program:
    """A program, by these dice."""
    how = chance.choice(("stream", "stream", "astream", "astream", "invoke", "ainvoke"))
    kept = chance.random() < 0.7
    names: list[str] = []
    lone = chance.random() < 0.4
    deepest = chance.choice((0, 0, 1, 1, 2))
    graph = _graph(chance, 0, deepest, names, awaits="a" in how[:1], kept=kept, lone=lone)
    runs = [_run(chance, "input", graph, kept)]
    for _ in range(chance.randint(0, 3)):
        follow = ("answer", "answer", "answer", "on", "input", "command") if kept else ("input", "empty")
        runs.append(_run(chance, chance.choice(follow), graph, kept))
    if _forgets(graph):
        runs = [replace(run, durability="async") if run.durability == "sync" else run for run in runs]
    return Program(graph, tuple(runs), how, kept, lone)


def _forgets(graph: Graph) -> bool:
    inner = [node.inner for node in graph.nodes if node.inner is not None]
    return any(each.keeps is False or _forgets(each) for each in inner)


def _run(chance: random.Random, value: str, graph: Graph, kept: bool) -> Run:
    dice = chance.random()
    modes: str | tuple[str, ...] = chance.choice(MODES[:5])
    if dice < 0.75:
        some = chance.sample(MODES, chance.randint(1, len(MODES)))
        modes = tuple(some) if "values" in some else ("values", *some)
    keys = chance.choice((*[None] * 9, "text", "log", ("log", "text"), ("total",)))
    names = [node.name for node in graph.nodes]
    before = chance.choice((None, None, None, None, None, (), (chance.choice(names),), ("*",)))
    return Run(
        value,
        modes,
        chance.random() < 0.6,
        "v2" if chance.random() < 0.3 else "v1",
        chance.choice((10, 10, 10, 10, 3, 5)),
        chance.choice((None, "async", "exit", "sync")) if kept else None,
        keys,
        before if kept else None,
    )


def _graph(
    chance: random.Random,
    depth: int,
    deepest: int,
    names: list[str],
    *,
    awaits: bool,
    kept: bool,
    lone: bool,
    lost: bool = False,
) -> Graph:
    nodes: list[Node] = []
    keeps = chance.choice(KEEPS if kept else (None, None, False))
    if keeps is True and not lone:
        keeps = None
    if lost and keeps is None:
        keeps = False
    lost = lost or (depth > 0 and keeps is False)
    for _ in range(chance.randint(1, 5 if depth == 0 else 2)):
        kind = chance.choice(PLAIN if chance.random() < 0.7 else ODD)
        if depth < deepest and chance.random() < (0.5 if not nodes else 0.2):
            kind = chance.choice(("sub", "sub", "call"))
        if depth and chance.random() < 0.06:
            kind = "parent"
        if lone and kind in ("fan", "parent"):
            kind = "goto"
        if kind == "ask" and (not kept or lost):
            kind = "say"
        name = f"{chance.choice('abcxyz')}{len(names)}{kind}"
        names.append(name)
        inner, own_awaits = None, awaits and chance.random() < 0.6
        if kind in ("sub", "call"):
            below = own_awaits or (awaits and kind == "sub")  # a blocking call runs a blocking graph
            inner = _graph(chance, depth + 1, deepest, names, awaits=below, kept=kept, lone=lone, lost=lost)
        nodes.append(
            Node(
                name,
                kind,
                awaits=own_awaits,
                defer=chance.random() < 0.08,
                cached=kind in ("say", "count", "note", "sub") and chance.random() < 0.12,
                tagged=chance.random() < 0.1,
                times=chance.choice((1, 1, 2)),
                inner=inner,
            )
        )
    own = [node.name for node in nodes]
    nodes = [
        _aimed(chance, node, own[:1] if lone else own, [each for each in names if each not in own])
        for node in nodes
    ]
    edges = [
        ("__start__", name)
        for name in chance.sample(own, 1 if lone else min(len(own), chance.choice((1, 1, 1, 2, 3))))
    ]
    joins, routers = [], []
    for place, name in enumerate(own):
        dice = chance.random()
        later = own[place + 1 :]
        if lone and nodes[place].kind == "goto":
            continue
        if dice < 0.5 and later:
            edges += [
                (name, each)
                for each in (
                    later[:1] if lone else chance.sample(later, min(len(later), chance.choice((1, 1, 2))))
                )
            ]
        elif dice < 0.55:
            edges.append((name, "__end__"))
        elif dice < 0.85:
            targets = tuple(chance.sample(own, 1 if lone else chance.randint(1, min(3, len(own)))))
            routers.append(
                Router(
                    name,
                    targets,
                    chance.random() < 0.4,
                    awaits and nodes[place].kind not in ("sub", "call") and chance.random() < 0.4,
                )
            )
    if not lone and chance.random() < 0.1:
        routers.append(Router("__start__", tuple(own[:2]), chance.random() < 0.3, False))
    if not lone and len(own) > 2 and chance.random() < 0.4:
        sources = chance.sample(own, 2)
        joins.append((tuple(sources), chance.choice(own)))
    schema = chance.choice(("dict", "dict", "dict", "dict", "model", "data"))
    sent = {name for router in routers if router.sends for name in router.targets}
    sent |= {name for node in nodes if node.kind == "fan" for name in node.targets}
    nodes = [
        replace(node, cached=node.cached and schema == "dict" and node.name not in sent) for node in nodes
    ]
    # attempts are counted by name, so there must be one task of it at a time
    nodes = [
        replace(node, kind="say") if node.kind == "flaky" and (depth or node.name in sent) else node
        for node in nodes
    ]
    over = [node.name for node in nodes if node.kind == "parent"]
    nodes = [replace(node, kind="say") if node.name in over[1:] else node for node in nodes]
    return Graph(
        tuple(nodes),
        tuple(dict.fromkeys(edges)),
        tuple(joins),
        tuple(routers),
        schema,
        chance.choice((None, None, None, None, "narrow", "narrow model")) if depth == 0 else None,
        keeps,
        tuple(name for name in own if kept and chance.random() < 0.04),
        tuple(name for name in own if kept and chance.random() < 0.04),
    )


def _aimed(chance: random.Random, node: Node, own: list[str], above: list[str]) -> Node:
    """The node with what a Command of its own names."""
    targets = tuple(chance.sample(own, chance.randint(1, min(2, len(own)))))
    if node.kind == "parent" and above:
        targets = (chance.choice(above),)
    return replace(node, targets=targets)


def built(lg: Any, graph: Graph, checkpointer: Any, cache: Any = None) -> Any:
    """The graph of a program in one of the libraries."""
    schema, counts = SCHEMAS[graph.schema](lg), Counts()
    output = None if graph.output is None else SCHEMAS[graph.output](lg)
    builder = lg.StateGraph(schema) if output is None else lg.StateGraph(schema, output_schema=output)
    for node in graph.nodes:
        inner = None if node.inner is None else built(lg, node.inner, node.inner.keeps)
        kwargs: dict[str, Any] = {"defer": node.defer}
        if node.kind == "flaky":
            kwargs["retry_policy"] = lg.RetryPolicy(initial_interval=0.0, jitter=False, retry_on=ValueError)
        if node.kind == "handled":
            kwargs["error_handler"] = action(lg, Node(node.name, "handler", targets=node.targets), counts)
        if node.cached:
            kwargs["cache_policy"] = lg.CachePolicy()
        if node.tagged:
            kwargs["metadata"] = {"mark": node.name}
        builder.add_node(node.name, action(lg, node, counts, inner), **kwargs)
    for source, target in graph.edges:
        builder.add_edge(source, target)
    for sources, target in graph.joins:
        builder.add_edge(list(sources), target)
    for router in graph.routers:
        route = routing(lg, router.source, router.targets, sends=router.sends, awaits=router.awaits)
        builder.add_conditional_edges(router.source, route, [*router.targets, lg.END])
    return builder.compile(
        checkpointer=checkpointer,
        cache=cache,
        interrupt_before=list(graph.before),
        interrupt_after=list(graph.after),
    )


class MessageView(View):
    """Leaves out the ids of messages, which LangGraph gives when it may have shown and kept them already."""

    def __call__(self, value: Any) -> Any:
        if isinstance(value, BaseMessage):
            return (type(value).__name__, value.content)
        return super().__call__(value)


WHERE: Any = {"thread_id": "t"}


async def lived(lg: Any, program: Program) -> list[Any]:
    """Carry out a program; returns the chunks of each run and how it ended, and the thread's history."""
    saver = InMemorySaver() if program.kept else None
    graph = built(lg, program.graph, saver, SettledCache() if lg is THEIRS else InMemoryCache())
    view = MessageView(alike=True)
    seen: list[Any] = []
    for turn, run in enumerate(program.runs):
        config: Any = {"recursion_limit": run.limit, "configurable": {**WHERE, "own": 1}, "tags": ["run"]}
        chunks: list[Any] = []
        error = None
        try:
            value = _value(lg, graph, run, turn, config)
            await _carried_out(program, graph, run, value, config, chunks, view)
        except Exception as failure:
            error = type(failure).__name__
        segments = in_segments(chunks)
        if error is not None and not program.lone:
            seen.append((turn, segments[:-1], "failed"))
            return seen
        seen.append((turn, segments, error))
        if error == "InvalidUpdateError" and run.durability == "exit":
            return seen
    if program.kept:
        history: list[Any] = []
        try:
            for state in graph.get_state_history({"configurable": WHERE}):
                history.append(view(state))  # noqa: PERF401
        except Exception as failure:
            history.append(type(failure).__name__)
        seen.append(("history", history))
    return seen


def _value(lg: Any, graph: Any, run: Run, turn: int, config: Any) -> Any:
    if run.value == "input":
        return {"text": f"in{turn}", "log": [f"in{turn}"]}
    if run.value == "answer":
        asked = sorted(graph.get_state(config).interrupts, key=lambda each: str(each.value))
        return lg.Command(resume={each.id: f"{each.value}!{turn}" for each in asked}) if asked else None
    if run.value == "command":
        return lg.Command(update={"log": [f"command{turn}"]})
    return {} if run.value == "empty" else None


async def _carried_out(
    program: Program, graph: Any, run: Run, value: Any, config: Any, chunks: list[Any], view: View
) -> None:
    modes = list(run.modes) if isinstance(run.modes, tuple) else run.modes
    kwargs: dict[str, Any] = {"version": run.version, "durability": run.durability}
    kwargs["output_keys"] = list(run.keys) if isinstance(run.keys, tuple) else run.keys
    kwargs["interrupt_before"] = "*" if run.before == ("*",) else run.before and list(run.before)
    keep: Callable[[Any], None] = lambda chunk: chunks.append(view(chunk))  # noqa: E731
    if program.how == "invoke":
        keep(graph.invoke(value, config, **kwargs))
    elif program.how == "ainvoke":
        keep(await graph.ainvoke(value, config, **kwargs))
    elif program.how == "stream":
        for chunk in graph.stream(value, config, stream_mode=modes, subgraphs=run.subgraphs, **kwargs):
            keep(chunk)
    else:
        async for chunk in graph.astream(value, config, stream_mode=modes, subgraphs=run.subgraphs, **kwargs):
            keep(chunk)


def in_segments(chunks: list[Any]) -> list[list[str]]:
    """Chunks with those sorted that nodes side by side may have made in any order.

    A superstep of the outermost graph ends with a chunk that only the run itself makes.
    """
    segments: list[list[str]] = [[]]
    for chunk in chunks:
        segments[-1].append(repr(chunk))
        if _ends(chunk):
            segments[-1].sort()
            segments.append([])
    segments[-1].sort()
    return segments


def _ends(chunk: Any) -> bool:
    """Whether this is the state of the outermost graph, or a checkpoint of it."""
    if isinstance(chunk, dict):
        mode, namespace, data = chunk.get("type"), chunk.get("ns"), chunk
        asked = bool(chunk.get("interrupts"))
    elif isinstance(chunk, tuple) and chunk and isinstance(chunk[-1], dict):
        namespace = chunk[0] if len(chunk) == 3 else ()
        mode, data = chunk[-2], chunk[-1]
        asked = "__interrupt__" in data
    else:
        return False
    return namespace == () and not asked and mode in ("values", "checkpoints")
