"""Random histories of threads of nested graphs, as data, and what can be seen while one is lived through.

A `Plan` says which graphs there are and what is done to their thread: runs, answers, edits, copies, replays
and forks from any checkpoint, that of a graph inside included. It is drawn once and then lived through in
either library, so what is seen can be compared.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import pairwise
from operator import add
from typing import Annotated, Any

from typing_extensions import TypedDict

from tests.support.comparison import View

MODES = ["values", "updates", "tasks", "checkpoints"]
KEEPS = (None, None, True, True, False)


class Note(TypedDict, total=False):
    text: str
    log: Annotated[list[Any], add]


@dataclass(frozen=True)
class Node:
    name: str
    kind: str
    """say, ask, fail, sub (a graph) or call (a function that calls a graph)."""
    times: int = 1
    """How many questions it asks, or how often it calls the graph."""
    inner: Graph | None = None


@dataclass(frozen=True)
class Graph:
    nodes: tuple[Node, ...]
    loops: bool = False
    keeps: Any = None
    """The `checkpointer` of a graph inside."""
    stops: tuple[str, ...] = ()


@dataclass(frozen=True)
class Act:
    kind: str
    pick: int
    """Chooses among the checkpoints, questions or nodes that there are then."""
    other: int = 0


@dataclass(frozen=True)
class Plan:
    graph: Graph
    acts: tuple[Act, ...]
    how: str
    durability: str


KINDS = (
    *("input", "resume", "resume", "resume", "resume one", "on", "on", "edit", "edit as", "edit then"),
    *("replay", "replay", "replay", "fork", "edit there", "edit there then", "resume there", "command there"),
    *("edit none", "edit end", "edit input", "edits", "edit copy", "edit copy"),
    *("copy", "inner replay", "inner edit", "resume at head", "on at head", "command"),
)


def drawn(chance: random.Random, *, acts: int = 6, kinds: tuple[str, ...] = KINDS) -> Plan:
    """A plan, by these dice."""
    graph = _graph(chance, 0, chance.choice((1, 1, 1, 2)), [0])
    # LangGraph forgets what a Command has written when the thread is then edited or copied
    left_out = chance.choice(("edit", "command"))
    kinds = tuple(kind for kind in kinds if left_out not in kind and (left_out, kind) != ("edit", "copy"))
    done = tuple(
        Act(chance.choice(kinds), chance.randrange(60), chance.randrange(60))
        for _ in range(chance.randint(1, acts))
    )
    how = chance.choice(("stream", "stream", "astream", "invoke", "ainvoke"))
    # LangGraph fails with "sync" durability where a graph inside keeps nothing
    durability = "async" if _forgets(graph) else chance.choice(("sync", "async"))
    return Plan(graph, (Act("input", 0), *done), how, durability)


def _inside_forgetful(graph: Graph, lost: bool = False) -> set[str]:
    names = {node.name for node in graph.nodes if lost}
    for node in graph.nodes:
        if node.inner is not None:
            names |= _inside_forgetful(node.inner, lost or node.inner.keeps is False)
    return names


def _forgets(graph: Graph) -> bool:
    inner = [node.inner for node in graph.nodes if node.inner is not None]
    return any(each.keeps is False or _forgets(each) for each in inner)


def _graph(
    chance: random.Random, depth: int, deepest: int, count: list[int], keeps: tuple[Any, ...] = KEEPS
) -> Graph:
    nodes = []
    own = chance.choice(keeps)
    if depth and own is False:
        keeps = (True, False)  # LangGraph stores checkpoints of others there that nothing finds again
    for index in range(chance.randint(1, 3 if depth == 0 else 2)):
        kinds = ["say", "say", "ask", "ask"] if depth else ["say", "say", "ask"]
        if depth < deepest:
            kinds += ["sub", "sub", "sub", "call", "call"]
        kind = chance.choice(kinds)
        if index == 0 and depth < deepest and depth == 0 and chance.random() < 0.5:
            kind = chance.choice(("sub", "call"))
        count[0] += 1
        name = f"{kind}{count[0]}"
        if kind in ("sub", "call"):
            times = chance.choice((1, 1, 2)) if kind == "call" else 1
            nodes.append(Node(name, kind, times, _graph(chance, depth + 1, deepest, count, keeps)))
        else:
            nodes.append(Node(name, kind, chance.choice((1, 1, 2)) if kind == "ask" else 1))
    stops = tuple(each.name for each in nodes if chance.random() < 0.08)
    return Graph(tuple(nodes), chance.random() < 0.25, own, stops)


def built(lg: Any, graph: Graph, checkpointer: Any) -> Any:
    """The graph of a plan in one of the libraries."""
    builder = lg.StateGraph(Note)
    for node in graph.nodes:
        builder.add_node(node.name, _action(lg, node))
    names = [node.name for node in graph.nodes]
    builder.add_edge(lg.START, names[0])
    for before, after in pairwise(names):
        builder.add_edge(before, after)
    if graph.loops:
        most = 4

        def again(state: Any) -> Any:
            return names[0] if len(state.get("log", ())) < most else lg.END

        builder.add_conditional_edges(names[-1], again, [names[0], lg.END])
    return builder.compile(checkpointer=checkpointer, interrupt_before=list(graph.stops))


def _action(lg: Any, node: Node) -> Any:
    if node.kind == "say":
        return lambda state: {"log": [node.name]}
    if node.kind == "ask":

        def ask(state: Any) -> Any:
            return {"log": [f"{node.name}:{lg.interrupt(f'{node.name}.{n}')}" for n in range(node.times)]}

        return ask
    assert node.inner is not None
    inner = built(lg, node.inner, node.inner.keeps)
    if node.kind == "sub":
        return inner

    def call(state: Any) -> Any:
        found = [inner.invoke({"text": f"{node.name}.{n}"})["log"][-1:] for n in range(node.times)]
        return {"log": [f"{node.name} got {found}"]}

    return call


async def lived(lg: Any, plan: Plan, saver: Any) -> list[Any]:
    """Live through a plan; returns what is seen after each act."""
    parallel = any(act.kind in ("edits", "edit copy") for act in plan.acts)
    graph, view = built(lg, plan.graph, saver), View(alike=parallel or _forgets(plan.graph))
    seen: list[Any] = []
    where: Any = {"configurable": {"thread_id": "t"}}
    for turn, act in enumerate(plan.acts):
        chunks: list[Any] = []
        error = None
        try:
            for value, config in _steps(lg, plan, graph, act, turn, where, chunks, view):
                run = {**config, "recursion_limit": 30}
                await _run(plan, graph, value, run, chunks, view)
        except Exception as failure:
            error = type(failure).__name__
        snapshot = graph.get_state(where, subgraphs=True)
        if parallel:
            chunks.sort(key=repr)
        seen.append((turn, act, chunks, error, view(snapshot)))
    seen.append([view(each) for each in graph.get_state_history(where)])
    return seen


async def _run(plan: Plan, graph: Any, value: Any, config: Any, chunks: list[Any], view: View) -> None:
    kwargs: Any = {"durability": plan.durability}
    if plan.how == "invoke":
        chunks.append(view(graph.invoke(value, config, **kwargs)))
    elif plan.how == "ainvoke":
        chunks.append(view(await graph.ainvoke(value, config, **kwargs)))
    elif plan.how == "stream":
        for chunk in graph.stream(value, config, stream_mode=MODES, subgraphs=True, **kwargs):
            chunks.append(view(chunk))  # noqa: PERF401
    else:
        async for chunk in graph.astream(value, config, stream_mode=MODES, subgraphs=True, **kwargs):
            chunks.append(view(chunk))  # noqa: PERF401


def _steps(
    lg: Any, plan: Plan, graph: Any, act: Act, turn: int, where: Any, chunks: list[Any], view: View
) -> Any:
    """The runs of an act, as (value, config); edits are made on the way."""
    snapshot = graph.get_state(where)
    history = list(graph.get_state_history(where))
    there = history[act.pick % len(history)].config if history else where
    if snapshot.interrupts and there == history[0].config and _begins_branch(history[0]):
        there = history[-1].config  # LangGraph would ask again there and then take the answer given before
    names = [node.name for node in plan.graph.nodes]
    # in LangGraph, what is asked in a graph that keeps nothing has another id in every run: it has no answer
    lost = _inside_forgetful(plan.graph)
    kind = act.kind
    second = names[act.other % len(names)]

    def answer(open: Any, some: int = 99) -> Any:
        # Answers name their questions: LangGraph keeps one that does not, and gives it to later questions.
        asked = [each for each in open if each.value.partition(".")[0] not in lost]
        asked = sorted(asked, key=lambda each: str(each.value))[:some]
        return lg.Command(resume={each.id: f"{turn}" for each in asked}) if asked else None

    def edit(at: Any, as_node: Any = None) -> Any:
        found = graph.update_state(at, {"log": [f"edit{turn}"]}, as_node=as_node)
        chunks.append(view(found))
        return found

    if kind == "input":
        yield {"text": f"in{turn}"}, where
    elif kind == "resume":
        yield answer(snapshot.interrupts), where
    elif kind == "resume one":
        yield answer(snapshot.interrupts, 1), where
    elif kind == "on":
        yield None, where
    elif kind == "edit":
        edit(where)
    elif kind == "edit as":
        edit(where, names[act.pick % len(names)])
    elif kind == "edit then":
        yield None, edit(where, names[act.pick % len(names)])
    elif kind == "replay":
        yield None, there
    elif kind == "fork":
        yield {"text": f"fork{turn}"}, there
    elif kind == "edit there":
        edit(there, names[act.other % len(names)])
    elif kind == "edit there then":
        yield None, edit(there, names[act.other % len(names)])
    elif kind == "resume there":
        yield answer(graph.get_state(there).interrupts), there
    elif kind == "command there":
        yield lg.Command(update={"log": [f"command{turn}"]}), there
    elif kind == "command":
        yield lg.Command(update={"log": [f"command{turn}"]}), where
    elif kind == "edit none":
        chunks.append(view(graph.update_state(where, None)))
    elif kind == "edit end":
        if any(task.result is not None for task in snapshot.tasks):
            return  # LangGraph would follow edges of finished tasks, though nothing is to run next
        chunks.append(view(graph.update_state(where, {} if act.pick % 2 else None, lg.END)))
    elif kind == "edit input":
        if not snapshot.next:
            yield None, graph.update_state(where, {"text": f"edited{turn}"}, "__input__")
    elif kind == "edits":
        some = [_update(lg, {"log": [f"edits{turn}.{n}"]}, name) for n, name in enumerate((names[0], second))]
        bare = [_update(lg, {"log": ["bare"]}), some[1]]
        chunks.append(view(graph.bulk_update_state(where, ([some], [some[:1], some], [bare])[act.pick % 3])))
    elif kind == "edit copy":
        items = [({"log": [f"copy{turn}.{n}"]}, name) for n, name in enumerate((names[0], second, second))]
        found = graph.update_state(there, items if act.pick % 2 else "dropped", as_node="__copy__")
        chunks.append(view(found))
        yield None, found
    elif kind == "copy":
        chunks.append(view(graph.update_state(there, None, as_node="__copy__")))
    elif kind == "resume at head":
        yield answer(snapshot.interrupts), snapshot.config
    elif kind == "on at head":
        yield None, snapshot.config
    elif kind in ("inner replay", "inner edit"):
        found = _below(graph.get_state(where, subgraphs=True))
        if not found:
            return
        at = found[act.pick % len(found)]
        if kind == "inner edit":
            at = edit(at)
        else:
            named = {key: at["configurable"][key] for key in ("thread_id", "checkpoint_ns")}
            earlier = list(graph.get_state_history({"configurable": named}))
            at = earlier[act.other % len(earlier)].config if earlier else at
        yield None, at


def _begins_branch(snapshot: Any) -> bool:
    """Whether an edit, a copy or a replay made the checkpoint, so that a run from it makes no other."""
    return snapshot.metadata["source"] in ("update", "fork")


def _update(lg: Any, values: Any, as_node: str | None = None) -> Any:
    return lg.StateUpdate(values, as_node)


def _below(snapshot: Any) -> list[Any]:
    found = []
    for task in snapshot.tasks:
        if hasattr(task.state, "tasks"):
            if task.state.metadata is not None:
                found.append(task.state.config)
            found += _below(task.state)
    return found
