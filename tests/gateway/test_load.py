"""A target is found as Python finds it, and what hinders that is said in one sentence.

How the catalog refuses whole graphs is in `tests/gateway/test_catalog.py`.
About `gateway/graphwire_gateway/graphs/load.py`.
"""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway import CannotServe
from graphwire_gateway.graphs.load import (
    importable_from,
    is_graph,
    is_uncompiled,
    line_of,
    load,
    remedy,
)
from graphwire_runtime import START, StateGraph
from typing_extensions import TypedDict

Write = Callable[[str, str], Path]


class State(TypedDict, total=False):
    n: int


def builder() -> Any:
    return StateGraph(State).add_node("a", lambda state: {}).add_edge(START, "a")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """``write(name, source)`` writes a file below the working directory; imports are forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    before = set(sys.modules)

    def file(name: str, source: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        return path

    yield file
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(target: str) -> str:
    with pytest.raises(CannotServe) as refused:
        load("graph 'g'", target)
    message = str(refused.value)
    assert message.startswith("graph 'g': ")
    assert "\n" not in message
    return message


def test_an_attribute_of_a_module_or_a_file_is_found(write: Write) -> None:
    path = write("load_one.py", "class a:\n    b = 1\n")
    assert load("g", "load_one:a.b") == 1
    assert load("g", "./load_one.py:a.b") == 1
    assert load("g", f"{path}:a.b") == 1


def test_a_file_is_imported_once(write: Write) -> None:
    write("load_two.py", "thing = object()\n")
    thing = load("g", "./load_two.py:thing")
    assert load("g", "./load_two.py:thing") is thing
    assert load("g", "load_two:thing") is thing


def test_two_files_of_one_name_are_two_modules(write: Write) -> None:
    write("one/load_same.py", "n = 1\n")
    write("two/load_same.py", "n = 2\n")
    assert [load("g", f"./{folder}/load_same.py:n") for folder in ("one", "two")] == [1, 2]
    assert sys.modules["load_same"].n == 1, "the second one does not take the first one's place"


def test_a_file_of_a_package_may_import_from_its_package(write: Write) -> None:
    write("load_package/__init__.py", "")
    write("load_package/words.py", "word = 'hello'\n")
    write("load_package/graph.py", "from .words import word\n")
    assert load("g", "./load_package/graph.py:word") == "hello"
    assert load("g", "./load_package/graph.py:word") is load("g", "load_package.graph:word")


@pytest.mark.parametrize("target", ["", "module", ":a", "module:", ":"])
def test_a_target_has_two_parts(target: str) -> None:
    assert "'module:attribute'" in refusal(target)


def test_a_misspelled_attribute_is_answered_with_the_one_meant(write: Write) -> None:
    write("load_near.py", "joke = 1\n")
    assert "did you mean 'joke'?" in refusal("load_near:jole")


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("x = 1\nthis is no Python\n", ["cannot be read as Python", "line 2"]),
        ("x = 1\ny = x / 0\n", ["ZeroDivisionError", "line 2"]),
        ("x = 1\nimport a_package_of_nobody\n", ["line 2", "pip install a-package-of-nobody"]),
        ("from .words import word\n", ["__init__.py"]),
        ("raise SystemExit('enough')\n", ["SystemExit: enough"]),
        ("raise ValueError('two\\n lines')\n", ["ValueError: two lines"]),
    ],
)
def test_what_a_file_does_wrong_is_said_with_its_line(write: Write, source: str, words: list[str]) -> None:
    write("load_wrong.py", source)
    message = refusal("./load_wrong.py:graph")
    assert [word for word in ["load_wrong.py", *words] if word not in message] == []


def test_a_file_that_failed_is_read_anew(write: Write) -> None:
    write("load_mended.py", "raise ValueError\n")
    refusal("./load_mended.py:n")
    write("load_mended.py", "n = 1  # of another size\n")
    assert load("g", "./load_mended.py:n") == 1


def test_a_module_in_a_folder_beside_is_found_there(write: Write) -> None:
    write("src/load_beside.py", "n = 1\n")
    assert "./src" in refusal("load_beside:n")
    importable_from([Path("src").resolve()])
    assert load("g", "load_beside:n") == 1


def test_the_line_of_an_error_is_the_user_s(write: Write) -> None:
    write("load_deep.py", "import json\n\ndef fail():\n    json.loads('{')\n")
    fail = load("g", "load_deep:fail")
    with pytest.raises(ValueError, match="property name") as raised:
        fail()
    assert line_of(raised.value) == "./load_deep.py, line 4"
    assert line_of(ValueError("never raised")) == "no line known"


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("yaml", "pip install pyyaml"),
        ("langgraph.checkpoint.redis.aio", "langgraph-checkpoint-redis"),
        ("some_package.part", "pip install some-package"),
        ("orjson.nothing", "check the name"),
    ],
)
def test_a_missing_module_is_answered_with_what_to_install(module: str, words: str) -> None:
    assert words in remedy(ModuleNotFoundError(name=module))


def test_a_graph_is_told_from_its_builder_and_from_anything_else() -> None:
    graph = builder()
    assert (is_graph(graph), is_uncompiled(graph)) == (True, True)
    compiled = graph.compile()
    assert (is_graph(compiled), is_uncompiled(compiled)) == (True, False)
    for other in (StateGraph, builder, None, "graph", object()):
        assert not is_graph(other)
