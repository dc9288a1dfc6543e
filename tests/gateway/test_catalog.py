"""A graph that cannot be served is refused in one sentence that says which, where, why and what to do.

About `gateway/graphwire_gateway/graphs/catalog.py`, `gateway/graphwire_gateway/graphs/spec.py`,
`gateway/graphwire_gateway/errors.py`, `gateway/graphwire_gateway/graphs/entry.py`,
`gateway/graphwire_gateway/graphs/description.py` and `gateway/graphwire_gateway/graphs/load.py`.
"""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway import CannotServe, GraphSpec
from graphwire_gateway.graphs.catalog import Catalog
from graphwire_protocol.errors import Refusal

from tests.support.graphs import counter

FILES = {
    "fine.py": """
        from tests.support.graphs import OURS, Counter
        from fine_helper import NUMBER
        async def count(state: Counter) -> Counter:
            return {"done": NUMBER}
        builder = OURS.StateGraph(Counter).add_node(count).add_edge(OURS.START, "count")
        graph = builder.compile()
        class inside:
            graph = graph
        number = 7
        loose = OURS.StateGraph(Counter).add_edge(OURS.START, "nowhere")
        def returns():
            return 7
        def fails():
            raise ValueError("no key;\\nset it")
        async def imports():
            import nobody_has_this
        def needs(config, database):
            return graph
        def picky(config):
            return config["configurable"]["model"]
        def exits():
            raise SystemExit(3)
    """,
    "chat.py": """
        from contextlib import asynccontextmanager
        from langchain_core.language_models.fake_chat_models import FakeListChatModel
        from graphwire_runtime.compiled import CompiledStateGraph
        model = FakeListChatModel(responses=["Hello."])
        chain = model | str
        def make_agent(config):
            return graph
        @asynccontextmanager
        async def opened(size=3) -> CompiledStateGraph:
            yield graph
        def agent_node(state):
            return {}
        def now():
            return 7
        from fine import graph, returns
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
    "named.py": "import sklearn",
    "saver.py": "import langgraph.checkpoint.mongodb.aio",
    "gone.py": "import orjson.nothing",
    "apart.py": "import elsewhere",
    "relative.py": "from .fine import graph",
    "below.py": "import json\njson.loads('{')",
    "src/elsewhere.py": "graph = None",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
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
        await catalog.open()
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
    ("fine:nothing", "'fine' has no attribute 'nothing'; it has the graphs: builder, graph, loose$"),
    ("fine:inside.nothing", "'fine' has no attribute 'inside.nothing'"),
    (
        "fine:grahp",
        "'fine' has no attribute 'grahp'; did you mean 'graph'\\? It has the graphs: builder, graph, loose$",
    ),
    ("chat:grpah", "did you mean 'graph'\\? It has the graphs: make_agent, opened, graph$"),
    ("raising:graph.x", "importing 'raising' raised ValueError"),
    ("fine:number", "fine:number is of type int, not a graph .* and not a function that makes one"),
    ("fine:Counter", "fine:Counter is the class Counter, not a graph"),
    ("fine:loose", "fine:loose does not compile: ValueError"),
    ("raising:graph", r"importing 'raising' raised ValueError: no good \(.*raising.py, line 3\)"),
    ("./raising.py:graph", r"raised ValueError: no good \(.*raising.py, line 3\)"),
    ("deep:graph", r"importing 'deep' raised ValueError: no good \(.*raising.py, line 3\)"),
    ("exiting:graph", r"importing 'exiting' raised SystemExit: 3 \(.*exiting.py, line 2\)"),
    ("broken:graph", r"'broken' cannot be read as Python: .*\(./broken.py, line 2\): def \(:$"),
    ("missing:graph", r"'missing' imports 'a_package_of_nobody.* \(./missing.py, line 1\); .* not installed"),
    ("./missing.py:graph", "'./missing.py' imports .*: run 'pip install a-package-of-nobody' in the environ"),
    ("named:graph", "run 'pip install scikit-learn' in"),
    ("saver:graph", "'langgraph.checkpoint.mongodb'.* run 'pip install langgraph-checkpoint-mongodb' in"),
    ("gone:graph", r"orjson [\d.]+ does not have it: check the name, or install the version that has it"),
    ("apart:graph", "'elsewhere' is in ./src: put that folder on PYTHONPATH"),
    ("elsewhere:graph", "no module 'elsewhere' is importable from .*; 'elsewhere' is in ./src"),
    ("./relative.py:graph", "attempted relative import .*; put an __init__.py beside the file"),
    ("below:graph", r"raised JSONDecodeError: .* \(./below.py, line 2\)"),
    ("./fine.py:returns", "what ./fine.py:returns makes is of type int, not a graph"),
    ("fine:fails", r"fine:fails raised ValueError: no key; set it \(./fine.py, line \d+\)$"),
    (
        "fine:imports",
        "fine:imports raised ModuleNotFoundError: .*; it is not installed: run 'pip install nob",
    ),
    ("fine:needs", "fine:needs takes 'database', which cannot be given; a factory takes nothing, config:"),
    ("fine:picky", "fine:picky raised KeyError: 'model' .*; it is called once at the start, with an empty"),
    ("fine:exits", "fine:exits raised SystemExit: 3"),
]


@pytest.mark.parametrize("runner", ["inline", "thread"])
@pytest.mark.parametrize(("target", "sentence"), SENTENCES)
async def test_what_cannot_be_served_is_said_in_a_sentence(target: str, sentence: str, runner: str) -> None:
    with pytest.raises(CannotServe, match=sentence) as caught:
        await _open(target, runner)
    assert str(caught.value).startswith("graph 'mine': ")
    assert "\n" not in str(caught.value)


async def test_an_object_that_is_no_graph_is_said_to_be_none() -> None:
    with pytest.raises(CannotServe, match="the object given is of type dict, not a graph"):
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


async def test_a_packages_file_is_imported_as_a_part_of_it_and_once(folder: Path) -> None:
    (folder / "lib" / "pack" / "inner").mkdir(parents=True)
    for folder_name in ("pack", "pack/inner"):
        (folder / "lib" / folder_name / "__init__.py").touch()
    (folder / "lib" / "pack" / "state.py").write_text("from fine import graph\nimport sys\n")
    (folder / "lib" / "pack" / "inner" / "agent.py").write_text(
        "from ..state import graph\nname = __name__\n"
    )
    graph = await _open("./lib/pack/inner/agent.py:graph")
    assert "count" in graph.nodes
    assert sys.modules["pack.inner.agent"].name == "pack.inner.agent"
    assert await _open("pack.inner.agent:graph") is graph


async def test_a_package_whose_name_is_taken_does_not_hide_the_file(folder: Path) -> None:
    (folder / "lib" / "json").mkdir(parents=True)
    (folder / "lib" / "json" / "__init__.py").touch()
    (folder / "lib" / "json" / "agent.py").write_text("from fine import graph\nname = __name__\n")
    assert "count" in (await _open("./lib/json/agent.py:graph")).nodes
    assert sys.modules["agent"].name == "agent"


async def test_the_refusal_of_an_unknown_name_lists_those_there_are() -> None:
    catalog = Catalog({name: GraphSpec(counter(), "inline") for name in ("b", "a")})
    await catalog.open()
    with pytest.raises(Refusal, match="no graph 'c'; this server has: a, b") as caught:
        catalog.get("c")
    assert (caught.value.code, caught.value.details) == ("not_found", {"kind": "graph"})
    catalog = Catalog({"joke": GraphSpec(counter(), "inline")})
    await catalog.open()
    with pytest.raises(Refusal, match=r"no graph 'jole'; did you mean 'joke'\? This server has: joke$"):
        catalog.get("jole")
    await catalog.close(1)


async def test_a_graph_whose_state_has_no_schema_is_described_without_one() -> None:
    graph = counter()

    class Odd(type(graph)):  # type: ignore[misc]
        def get_input_jsonschema(self, config: Any = None) -> Any:
            raise TypeError("no schema")

    graph.__class__ = Odd
    catalog = Catalog({"mine": GraphSpec(graph, "inline")})
    await catalog.open()
    (row,) = catalog.rows()
    assert row.input_schema is None
    assert row.output_schema is not None
    await catalog.close(1)


async def test_a_graph_that_cannot_be_drawn_is_described_without_edges() -> None:
    graph = counter()

    class Odd(type(graph)):  # type: ignore[misc]
        def get_graph(self, *args: Any, **kwargs: Any) -> Any:
            raise ValueError("no picture")

    graph.__class__ = Odd
    catalog = Catalog({"mine": GraphSpec(graph, "inline")})
    await catalog.open()
    (row,) = catalog.rows()
    assert (row.edges, row.nodes) == ((), ("count",))
    await catalog.close(1)
