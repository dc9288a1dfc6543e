"""Each public name of LangGraph's is there, or the page about the runtime says why it is not.

About `runtime/README.md` and `runtime/graphwire_runtime/__init__.py`.
"""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import graphwire_runtime
import pytest

from tests.support.comparison import OURS, THEIRS
from tests.support.workflows import Pad

README = (Path(__file__).parents[2] / "runtime" / "README.md").read_text("utf-8")


def left_out(heading: str) -> dict[str, str]:
    """Return what the page leaves out under a heading, with the reasons."""
    _, _, section = README.partition(f"\n### {heading}\n")
    assert section or heading not in README, heading
    return dict(re.findall(r"^\| `(\w+)` \| (.*?) ?\|$", section.partition("\n#")[0], re.MULTILINE))


def public(thing: Any) -> set[str]:
    """Return the public names of an object or a module."""
    listed = getattr(thing, "__all__", None) if inspect.ismodule(thing) else None
    return {name for name in listed or dir(thing) if not name.startswith("_")}


def builder(lib: Any) -> Any:
    return lib.StateGraph(Pad).add_node("one", lambda state: {}).add_edge("__start__", "one")


def workflow(lib: Any) -> Any:
    @lib.entrypoint()
    def flow(value: Any) -> Any:
        return value

    return flow


def task(lib: Any) -> Any:
    @lib.task
    def work() -> None: ...

    return work


MODULES = [
    "callbacks",
    "config",
    "func",
    "graph",
    "graph.message",
    "graph.ui",
    "managed",
    "runtime",
    "types",
]
OWN = {
    "langgraph.config": {
        "get_config",
        "get_store",
        "get_stream_writer",
    },  # which has no __all__, and imports others
}
OBJECTS: dict[str, tuple[str, Any]] = {
    "a compiled graph": ("A compiled graph", lambda lib: builder(lib).compile()),
    "an entrypoint's graph": ("A compiled graph", workflow),
    "a task's function": ("A task", task),
    "a builder": ("`StateGraph`", builder),
    "a runtime": ("`Runtime`", lambda lib: lib.Runtime()),
    "its execution_info": ("`ExecutionInfo`", lambda lib: lib.ExecutionInfo("", "", "")),
    "its control": ("`RunControl`", lambda lib: lib.RunControl()),
    "entrypoint": ("`entrypoint`", lambda lib: lib.entrypoint),
}


@pytest.mark.parametrize("module", MODULES)
def test_each_name_of_a_module_is_there_or_left_out_with_a_reason(module: str) -> None:
    theirs = importlib.import_module(f"langgraph.{module}")
    names = OWN.get(theirs.__name__) or public(theirs)
    listed = left_out("`langgraph.graph`" if module == "graph.message" else f"`langgraph.{module}`")
    missing = {name for name in names if not hasattr(graphwire_runtime, name)}
    assert missing == set(listed) & names
    assert [name for name in listed if hasattr(graphwire_runtime, name)] == [], "listed, and there"


@pytest.mark.parametrize("name", OBJECTS)
def test_each_attribute_of_an_object_is_there_or_left_out_with_a_reason(name: str) -> None:
    heading, make = OBJECTS[name]
    theirs, ours = public(make(THEIRS)), public(make(OURS))
    assert theirs - ours == set(left_out(heading)) & theirs
    assert set(left_out(heading)) & ours == set(), "listed, and there"


def test_each_name_that_is_left_out_is_one_of_langgraphs() -> None:
    headings = re.findall(r"^### (.+)$", README, re.MULTILINE)
    assert len(headings) >= 4
    theirs = {name for module in MODULES for name in public(importlib.import_module(f"langgraph.{module}"))}
    theirs |= {name for _, make in OBJECTS.values() for name in public(make(THEIRS))}
    for heading in headings:
        assert left_out(heading), f"nothing is left out of {heading}"
        assert set(left_out(heading)) <= theirs
        assert next(iter(left_out(heading).values())), "the first row has a reason"


METHODS = [
    *("stream", "astream", "invoke", "ainvoke", "get_state", "get_state_history", "update_state"),
    *("bulk_update_state", "get_graph", "get_subgraphs", "clear_cache", "with_config", "copy"),
    *("get_input_schema", "get_output_jsonschema", "config_schema", "as_tool"),
]


@pytest.mark.parametrize("method", METHODS)
def test_a_method_takes_the_arguments_of_langgraphs(method: str) -> None:
    ours, theirs = (
        inspect.signature(getattr(builder(lib).compile(), method)).parameters for lib in (OURS, THEIRS)
    )
    assert [name for name in theirs if name not in ours and not name.startswith("deprecated")] == []
    named = [
        name for name in theirs if name in ours and theirs[name].kind is not inspect.Parameter.VAR_KEYWORD
    ]
    assert [name for name in ours if name in named] == named, "in the same order"
