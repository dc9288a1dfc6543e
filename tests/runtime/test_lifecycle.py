"""Callbacks that hear of interrupts and of resumed threads, beside the same of LangGraph's.

About `runtime/graphwire_runtime/drive/lifecycle.py`.
"""

from __future__ import annotations

import operator
from typing import Annotated, Any
from uuid import UUID

import graphwire_runtime
import langgraph.callbacks
import pytest
from langgraph.checkpoint.memory import InMemorySaver
from typing_extensions import TypedDict

from tests.support.comparison import HOWS, OURS, THEIRS, View, recorded

pytestmark = pytest.mark.filterwarnings("default")


class Pad(TypedDict, total=False):
    log: Annotated[list[Any], operator.add]


def hearing(module: Any, asynchronous: bool) -> tuple[Any, list[Any]]:
    """Return a callback of a library, and the list of what it hears."""
    heard: list[Any] = []

    class Ear(module.GraphCallbackHandler):  # type: ignore[misc]
        def on_interrupt(self, event: Any) -> None:
            assert isinstance(event, module.GraphInterruptEvent)
            heard.append(("interrupt", event))

        def on_resume(self, event: Any) -> None:
            assert isinstance(event, module.GraphResumeEvent)
            heard.append(("resume", event))

        def on_chain_start(self, *args: Any, name: str | None = None, **kwargs: Any) -> None:
            heard.append(("start", name))

    class AsyncEar(Ear):
        async def on_interrupt(self, event: Any) -> None:
            super().on_interrupt(event)

        async def on_resume(self, event: Any) -> None:
            super().on_resume(event)

    return (AsyncEar if asynchronous else Ear)(), heard


def asks(lib: Any) -> Any:
    return lambda state: {"log": [lib.interrupt("name?")]}


def line(lib: Any, *nodes: Any, saver: Any = None, **given: Any) -> Any:
    graph = lib.StateGraph(Pad)
    named = [(f"n{index}", node) for index, node in enumerate(nodes)]
    return graph.add_sequence(named).add_edge("__start__", "n0").compile(saver, **given)


def fan(lib: Any) -> Any:
    graph = lib.StateGraph(Pad)
    for name in ("a", "b"):
        graph.add_node(name, asks(lib)).add_edge("__start__", name)
    return graph.compile(InMemorySaver())


def idle(state: Any) -> Any:
    return {"log": ["idle"]}


CASES: dict[str, tuple[Any, list[Any]]] = {
    "a question": (lambda lib: line(lib, idle, asks(lib), saver=InMemorySaver()), [{}, "answer"]),
    "two questions": (fan, [{}, "answers"]),
    "a breakpoint before": (
        lambda lib: line(lib, idle, idle, saver=InMemorySaver(), interrupt_before=["n1"]),
        [{}, None],
    ),
    "a breakpoint after": (
        lambda lib: line(lib, idle, idle, saver=InMemorySaver(), interrupt_after="*"),
        [{}, None, None],
    ),
    "in a graph inside": (
        lambda lib: line(lib, idle, line(lib, idle, asks(lib)), saver=InMemorySaver()),
        [{}, "answer"],
    ),
    "twice": (lambda lib: line(lib, asks(lib), asks(lib), saver=InMemorySaver()), [{}, "one", "two", {}]),
    "no thread": (lambda lib: line(lib, idle), [{}]),
}


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("name", CASES)
async def test_events_come_as_in_langgraph(name: str, how: str) -> None:
    build, values = CASES[name]
    told = {}
    for lib, module in (
        (THEIRS, langgraph.callbacks),
        (OURS, langgraph.callbacks),
        (OURS, graphwire_runtime),
    ):
        graph = build(lib)
        ear, heard = hearing(module, how == "astream")
        config: Any = {"configurable": {"thread_id": "1"}, "callbacks": [ear], "max_concurrency": 1}
        chunks = []
        for value in values:
            if value == "answers":
                value = lib.Command(resume={each.id: "x" for each in graph.get_state(config).interrupts})
            elif isinstance(value, str):
                value = lib.Command(resume=value)
            chunks.append(await recorded(graph, value, how, config=config))
            if graph.checkpointer is not None:
                at = graph.get_state(config).config["configurable"]["checkpoint_id"]
                heard.append(("stands at", at))
        events = [each for each in heard if each[0] != "start"]
        for kind, event in events:
            assert kind == "stands at" or event.run_id is not None
        told[f"{lib is OURS} {module.__name__}"] = View()([chunks, [event_of(each) for each in heard]])
    expected = told.pop("False langgraph.callbacks")
    assert len(told) == 2
    for each in told.values():
        assert each == expected


def event_of(heard: tuple[str, Any]) -> Any:
    """Return an event without its run and its class."""
    kind, event = heard
    if isinstance(event, str) or event is None:
        return kind, event
    interrupts = [(each.id, each.value) for each in getattr(event, "interrupts", ())]
    return kind, event.status, event.checkpoint_id, event.checkpoint_ns, interrupts


async def test_the_run_of_an_event_is_that_of_the_callbacks() -> None:
    ear, heard = hearing(graphwire_runtime, asynchronous=False)
    run_id = "11111111-1111-1111-1111-111111111111"
    config: Any = {"configurable": {"thread_id": "1"}, "callbacks": [ear], "run_id": UUID(run_id)}
    await line(OURS, asks(OURS), saver=InMemorySaver()).ainvoke({}, config)
    assert [str(event.run_id) for kind, event in heard if kind == "interrupt"] == [run_id]


def test_a_raising_callback_does_not_fail_the_run(caplog: pytest.LogCaptureFixture) -> None:
    class Bad(graphwire_runtime.GraphCallbackHandler):
        def on_interrupt(self, event: Any) -> None:
            raise LookupError("broken")

    config: Any = {"configurable": {"thread_id": "1"}, "callbacks": [Bad()]}
    output = line(OURS, asks(OURS), saver=InMemorySaver()).invoke({}, config)
    assert [asked.value for asked in output["__interrupt__"]] == ["name?"]
    assert "broken" in caplog.text
