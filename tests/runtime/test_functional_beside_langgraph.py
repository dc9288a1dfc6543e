"""Entrypoints and tasks: the same program in both libraries, chunk by chunk, state by state.

About `runtime/graphwire_runtime/functional/entrypoint.py`, `runtime/graphwire_runtime/functional/task.py`,
`runtime/graphwire_runtime/functional/workflow.py`, `runtime/graphwire_runtime/step/called.py`,
`runtime/graphwire_runtime/plan/called.py`, `runtime/graphwire_runtime/drive/calls.py` and
`runtime/graphwire_runtime/drive/future.py`.
"""

from __future__ import annotations

import sys
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langgraph.checkpoint.memory import InMemorySaver

from tests.support import workflows
from tests.support.comparison import OURS, THEIRS, View, in_any_order
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


async def lived(
    lib: Any, name: str, how: str, modes: Any, *, keeps: bool = True, states: bool = True, **kwargs: Any
) -> list[Any]:
    """What is seen of a program while its acts are done, its `states`, its history."""
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
        if keeps and states:
            seen.append(shown(view(graph.get_state(CONFIG, subgraphs=True))))
    if keeps and states:
        seen.append([shown(view(each)) for each in graph.get_state_history(CONFIG)])
    return seen


def runs(name: str, how: str) -> bool:
    """Whether a program can be run so: LangGraph's async functions lose their context before Python 3.11."""
    if how.startswith("a") or name in ASYNC:
        return how.startswith("a") and sys.version_info >= (3, 11)
    return True


def each_way(*hows: str) -> list[tuple[str, str]]:
    """Every program in every way in which it can be run."""
    return [(name, how) for name in ACTS for how in hows if runs(name, how)]


def in_pairs(values: list[str], *hows: str) -> list[tuple[str, str, str]]:
    """Every program with every value, in one of the ways: every two of program, value and way meet."""
    found = []
    for index, name in enumerate(ACTS):
        ways = [how for how in hows if runs(name, how)]
        found += [
            (name, value, ways[(index + number) % len(ways)]) for number, value in enumerate(values) if ways
        ]
    return found


@pytest.mark.parametrize(("name", "how"), each_way("stream", "astream"))
async def test_streams_are_those_of_langgraph(name: str, how: str) -> None:
    assert await lived(OURS, name, how, MODES) == await lived(THEIRS, name, how, MODES)


@pytest.mark.parametrize(("name", "mode", "how"), in_pairs(MODES, "stream", "astream"))
async def test_a_stream_of_one_mode_is_that_of_langgraph(name: str, mode: str, how: str) -> None:
    ours = await lived(OURS, name, how, mode, states=False)
    assert ours == await lived(THEIRS, name, how, mode, states=False)


@pytest.mark.parametrize(("name", "version", "how"), in_pairs(["v1", "v2"], "stream", "astream"))
async def test_streams_with_subgraphs_are_those_of_langgraph(name: str, version: str, how: str) -> None:
    way: dict[str, Any] = {"subgraphs": True, "version": version}
    assert await lived(OURS, name, how, MODES, **way) == await lived(THEIRS, name, how, MODES, **way)


@pytest.mark.parametrize(
    ("name", "durability", "how"), in_pairs(["sync", "async", "exit"], "invoke", "ainvoke")
)
async def test_results_and_histories_are_those_of_langgraph(name: str, durability: str, how: str) -> None:
    way: dict[str, Any] = {"durability": durability}
    assert await lived(OURS, name, how, None, **way) == await lived(THEIRS, name, how, None, **way)


@pytest.mark.parametrize(("name", "how"), each_way("stream", "astream"))
async def test_runs_that_are_not_kept_are_those_of_langgraph(name: str, how: str) -> None:
    ours = await lived(OURS, name, how, MODES, keeps=False)
    assert ours == await lived(THEIRS, name, how, MODES, keeps=False)


def travelled(lib: Any, name: str) -> list[Any]:
    """What comes of replays, forks, edits and breakpoints on the thread of a program."""
    saver = InMemorySaver()
    graph = getattr(workflows, name)(lib, saver)
    view, seen = View(), []

    def run(value: Any, config: Any = CONFIG, **kwargs: Any) -> None:
        try:
            seen.append(
                [shown(view(each)) for each in graph.stream(value, config, stream_mode=MODES, **kwargs)]
            )
        except Exception as error:
            seen.append(type(error).__name__)
        seen.append(shown(view(graph.get_state(CONFIG))))

    run("x")
    run(lib.Command(resume="a"))
    run("y", interrupt_before=["main"])
    run(None)
    run(None, interrupt_after=["main"])
    # to the end, since in LangGraph an old answer would answer the first question behind new input
    for answer in "bcd":
        run(lib.Command(resume=answer))
    run("z", output_keys="__end__")
    history = list(graph.get_state_history(CONFIG))
    for state in history:
        run(None, state.config)
    run(lib.Command(resume="c"), history[-1].config)
    if "ask" not in name:  # the same
        run("w", history[-1].config)
    graph.update_state(history[-1].config, "edited", "main")
    run(None)
    run("v")
    graph.update_state(CONFIG, None, lib.END)
    run(None)
    graph.update_state(CONFIG, "input", "__input__")
    run(None)
    graph.update_state(CONFIG, None, "__copy__")
    run(None)
    return [*seen, [shown(view(each)) for each in graph.get_state_history(CONFIG)]]


@pytest.mark.parametrize("name", ["asking", "failing", "parrot"])
def test_replays_forks_and_edits_are_those_of_langgraph(name: str) -> None:
    assert travelled(OURS, name) == travelled(THEIRS, name)


@pytest.mark.parametrize("name", ["plain", "awaiting", "final", "asking", "cached", "nesting"])
@pytest.mark.parametrize(
    "kwargs", [{"version": "v2"}, {"stream_mode": "updates"}, {"stream_mode": ["tasks"]}]
)
async def test_results_of_other_modes_are_those_of_langgraph(name: str, kwargs: Any) -> None:
    if not runs(name, "ainvoke" if name in ASYNC else "invoke"):
        pytest.skip("LangGraph's async functions lose their context there")
    found = []
    for lib in (OURS, THEIRS):
        graph, view, seen = getattr(workflows, name)(lib, InMemorySaver()), View(), []
        for act in ACTS[name]:
            value = lib.Command(resume=act.answer) if isinstance(act, Ask) else act
            if name in ASYNC:
                seen.append(shown(view(await graph.ainvoke(value, CONFIG, **kwargs))))
            else:
                seen.append(shown(view(graph.invoke(value, CONFIG, **kwargs))))
        found.append(seen)
    assert found[0] == found[1]


class Tree(BaseCallbackHandler):
    """The runs that tracers hear of, each with that above it."""

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}
        self.seen: list[Any] = []

    def on_chain_start(self, serialized: Any, inputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.names[run_id] = kwargs["name"]
        above = self.names.get(kwargs.get("parent_run_id"))
        path = (kwargs.get("metadata") or {}).get("langgraph_path")
        self.seen.append(("start", above, kwargs["name"], inputs, path))

    def on_chain_end(self, outputs: Any, *, run_id: Any, **kwargs: Any) -> None:
        self.seen.append(("end", self.names[run_id], outputs))

    def on_chain_error(self, error: BaseException, *, run_id: Any, **kwargs: Any) -> None:
        self.seen.append(("error", self.names[run_id], type(error).__name__))


@pytest.mark.parametrize("name", ["plain", "awaiting", "failing", "retried"])
async def test_tracers_hear_of_tasks_as_from_langgraph(name: str) -> None:
    if not runs(name, "ainvoke" if name in ASYNC else "invoke"):
        pytest.skip("LangGraph's async functions lose their context there")
    heard = []
    for lib in (OURS, THEIRS):
        graph, tree = getattr(workflows, name)(lib, InMemorySaver()), Tree()
        config = {**CONFIG, "callbacks": [tree]}
        try:
            if name in ASYNC:
                await graph.ainvoke(ACTS[name][0], config)
            else:
                graph.invoke(ACTS[name][0], config)
        except ValueError:
            pass
        heard.append(View()(tree.seen))
    assert heard[0] == heard[1]
