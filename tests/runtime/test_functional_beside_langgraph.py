"""Entrypoints and tasks: the same program in both libraries, chunk by chunk, state by state.

About `runtime/graphwire_runtime/functional/entrypoint.py`, `runtime/graphwire_runtime/functional/task.py`,
`runtime/graphwire_runtime/functional/workflow.py`, `runtime/graphwire_runtime/step/called.py`,
`runtime/graphwire_runtime/plan/called.py`, `runtime/graphwire_runtime/drive/calls.py` and
`runtime/graphwire_runtime/drive/future.py`.
"""

from __future__ import annotations

from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from tests.support import workflows
from tests.support.comparison import HOWS, OURS, THEIRS, View, in_any_order
from tests.support.workflows import ACTS, ASYNC, UNORDERED, Ask

MODES = ["values", "updates", "custom", "messages", "tasks", "debug", "checkpoints"]
CONFIG: Any = {"configurable": {"thread_id": "t"}}
HIDDEN = ("ls_integration", "ls_provider", "ls_model_type", "versions", "lc_versions", "__graphwire_task")


def shown(value: Any) -> Any:
    """A chunk without what only names the library, and without the order of keys in configs."""
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items() if key not in HIDDEN}
    if type(value) not in (list, tuple):
        return value
    items = [shown(each) for each in value]
    # LangGraph repeats a question of a task in a graph inside: as the task's, and as its caller's
    return type(value)(
        each for index, each in enumerate(items) if not asks(each) or each not in items[:index]
    )


def asks(value: Any) -> bool:
    """Whether this is a question, as an object or as data."""
    return (type(value) is tuple and value[:1] == ("Interrupt",)) or (
        isinstance(value, dict) and value.keys() == {"id", "value", "response_schema"}
    )


async def lived(lib: Any, name: str, how: str, modes: Any, *, keeps: bool = True, **kwargs: Any) -> list[Any]:
    """What is seen of a program while its acts are done, and its history."""
    saver = InMemorySaver() if keeps else None
    graph = getattr(workflows, name)(lib, saver)
    unordered = name in UNORDERED
    view, seen = View(alike=unordered), []
    for act in ACTS[name]:
        value = act
        if isinstance(act, Ask):
            if not keeps:
                break
            value = lib.Command(resume=act.answer)
            if act.number is not None:
                asked = graph.get_state(CONFIG).interrupts[act.number]
                value = lib.Command(resume={asked.id: act.answer})
        chunks, error = [], None
        try:
            if how == "stream":
                for chunk in graph.stream(value, CONFIG, stream_mode=modes, **kwargs):
                    chunks.append(shown(view(chunk)))  # noqa: PERF401  # an error leaves what came before
            elif how == "astream":
                async for chunk in graph.astream(value, CONFIG, stream_mode=modes, **kwargs):
                    chunks.append(shown(view(chunk)))  # noqa: PERF401
            elif how == "invoke":
                chunks.append(shown(view(graph.invoke(value, CONFIG, **kwargs))))
            else:
                chunks.append(shown(view(await graph.ainvoke(value, CONFIG, **kwargs))))
        except Exception as failure:
            error = (type(failure).__name__, str(failure) if isinstance(failure, ValueError) else "")
        seen.append((in_any_order(chunks) if unordered else chunks, error))
        if keeps:
            seen.append(shown(view(graph.get_state(CONFIG, subgraphs=True))))
    if keeps:
        seen.append([shown(view(each)) for each in graph.get_state_history(CONFIG)])
    return seen


def runs(name: str, how: Any) -> bool:
    return name not in ASYNC or how.startswith("a")


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("mode", [*MODES, MODES])
async def test_streams_are_those_of_langgraph(name: str, how: str, mode: Any) -> None:
    if runs(name, how):
        assert await lived(OURS, name, how, mode) == await lived(THEIRS, name, how, mode)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_streams_with_subgraphs_are_those_of_langgraph(name: str, how: str, version: str) -> None:
    if runs(name, how):
        way: dict[str, Any] = {"subgraphs": True, "version": version}
        assert await lived(OURS, name, how, MODES, **way) == await lived(THEIRS, name, how, MODES, **way)


@pytest.mark.parametrize("how", ["invoke", *(["ainvoke"] if len(HOWS) > 1 else [])])
@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_results_and_histories_are_those_of_langgraph(name: str, how: str, durability: str) -> None:
    if runs(name, how):
        way: dict[str, Any] = {"durability": durability}
        assert await lived(OURS, name, how, None, **way) == await lived(THEIRS, name, how, None, **way)


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", ACTS)
async def test_runs_that_are_not_kept_are_those_of_langgraph(name: str, how: str) -> None:
    if runs(name, how):
        ours = await lived(OURS, name, how, MODES, keeps=False)
        assert ours == await lived(THEIRS, name, how, MODES, keeps=False)
