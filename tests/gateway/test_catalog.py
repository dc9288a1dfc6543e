"""A graph that cannot be served is refused in one sentence that says which, where, why and what to do."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway import CannotServe, GraphSpec
from graphwire_gateway.catalog import Catalog
from graphwire_protocol.errors import Refusal
from kit.graphs import counter

FILES = {
    "fine.py": """
        from kit.graphs import OURS, Counter
        from fine_helper import NUMBER
        async def count(state: Counter) -> Counter:
            return {"done": NUMBER}
        builder = OURS.StateGraph(Counter).add_node(count).add_edge(OURS.START, "count")
        graph = builder.compile()
        class inside:
            graph = graph
        number = 7
    """,
    "fine_helper.py": "NUMBER = 7",
    "raising.py": """
        x = 1
        raise ValueError("no good")
    """,
    "exiting.py": "import sys\nsys.exit(3)",
    "missing.py": "import a_package_of_nobody.sub",
    "broken.py": "x = 1\ndef (:\n",
    "deep.py": "import raising",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).write_text(textwrap.dedent(text))
    known, path = set(sys.modules), list(sys.path)
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.path[:] = path
    for name in set(sys.modules) - known:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


async def _open(target: Any, runner: Any = "inline") -> Any:
    catalog = Catalog({"mine": GraphSpec(target, runner)})
    try:
        await catalog.open(lambda items: None)
        return catalog.get("mine").graph
    finally:
        await catalog.close(5)


@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize("target", ["fine:graph", "./fine.py:graph", "fine.py:graph", "fine:inside.graph"])
async def test_a_graph_is_found_by_module_and_by_file(target: str, runner: str) -> None:
    graph = await _open(target, runner)
    assert set(graph.nodes) - {"__start__"} == {"count"}


SENTENCES = [
    ("fine", "'fine' is not of the form 'module:attribute' or './file.py:attribute'"),
    (":graph", "not of the form"),
    ("fine:", "not of the form"),
    ("nobody:graph", "no module 'nobody' is importable from .*; check the name"),
    ("nobody.inner:graph", "no module 'nobody' is importable"),
    ("./nobody.py:graph", "there is no file .*nobody.py"),
    ("fine:nothing", "'fine' has no attribute 'nothing'; it has the graphs: graph"),
    ("fine:inside.nothing", "'fine' has no attribute 'inside.nothing'"),
    ("fine:builder", "'fine:builder' is a graph under construction; add .compile()"),
    ("fine:number", "'fine:number' is a int, not a compiled graph"),
    ("raising:graph", r"importing 'raising' raised ValueError: no good \(.*raising.py, line 3\)"),
    ("./raising.py:graph", r"raised ValueError: no good \(.*raising.py, line 3\)"),
    ("deep:graph", r"importing 'deep' raised ValueError: no good \(.*raising.py, line 3\)"),
    ("exiting:graph", r"importing 'exiting' raised SystemExit: 3 \(.*exiting.py, line 2\)"),
    ("broken:graph", r"raised SyntaxError: .*\(.*broken.py, line 2\)"),
    (
        "missing:graph",
        r"'missing' imports 'a_package_of_nobody', which is not installed \(.*missing.py, line 1\)",
    ),
    ("./missing.py:graph", r"imports 'a_package_of_nobody', which is not installed"),
]


@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize(("target", "sentence"), SENTENCES)
async def test_what_cannot_be_served_is_said_in_a_sentence(target: str, sentence: str, runner: str) -> None:
    with pytest.raises(CannotServe, match=sentence) as caught:
        await _open(target, runner)
    assert str(caught.value).startswith("graph 'mine': ")
    assert "\n" not in str(caught.value)


async def test_an_object_that_is_no_graph_is_said_to_be_none() -> None:
    with pytest.raises(CannotServe, match="the object given is a dict, not a compiled graph"):
        await _open({"a": 1})


async def test_two_files_of_one_name_are_two_modules(folder: Path) -> None:
    (folder / "other").mkdir()
    text = (
        (folder / "fine.py")
        .read_text()
        .replace('"count"', '"other"')
        .replace("add_node(count)", 'add_node("other", count)')
    )
    (folder / "other" / "fine.py").write_text(text)
    first = await _open("./fine.py:graph")
    second = await _open("./other/fine.py:graph")
    assert set(first.nodes) != set(second.nodes)
    assert await _open("./fine.py:graph") is first


async def test_an_unknown_name_is_told_which_there_are() -> None:
    catalog = Catalog({name: GraphSpec(counter(), "inline") for name in ("b", "a")})
    await catalog.open(lambda items: None)
    with pytest.raises(Refusal, match="no graph 'c'; this server has: a, b") as caught:
        catalog.get("c")
    assert (caught.value.code, caught.value.details) == ("not_found", {"kind": "graph"})
    await catalog.close(1)


async def test_a_graph_whose_state_has_no_schema_is_described_without_one() -> None:
    graph = counter()

    class Odd(type(graph)):  # type: ignore[misc]
        def get_input_jsonschema(self, config: Any = None) -> Any:
            raise TypeError("no schema")

    graph.__class__ = Odd
    catalog = Catalog({"mine": GraphSpec(graph, "inline")})
    await catalog.open(lambda items: None)
    (row,) = await catalog.rows()
    assert row.input_schema is None
    assert row.output_schema is not None
    await catalog.close(1)
