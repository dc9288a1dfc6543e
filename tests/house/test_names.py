"""The public names of the five packages are complete and say what they name.

About `protocol/graphwire_protocol/__init__.py`, `protocol/graphwire_conformance/__init__.py`,
`runtime/graphwire_runtime/__init__.py`, `gateway/graphwire_gateway/__init__.py` and
`clients/python/graphwire/__init__.py`.
"""

import ast
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.sources import MODULES, PACKAGES, Module


def filled(name: str) -> ModuleType:
    package = importlib.import_module(name)
    if not hasattr(package, "__all__"):
        pytest.skip(f"{name} has no surface yet")
    return package


def imported(package: ModuleType) -> set[str]:
    """Return the names that the package's face brings in or defines, its own modules aside."""
    assert package.__file__ is not None
    names: set[str] = set()
    for node in ast.parse(Path(package.__file__).read_text("utf-8")).body:
        match node:
            case ast.Import() | ast.ImportFrom():
                names |= {alias.asname or alias.name for alias in node.names}
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
    return {name for name in names if not name.startswith("_")}


@pytest.mark.parametrize("name", PACKAGES)
def test_every_listed_name_is_there_and_listed_once(name: str) -> None:
    package = filled(name)
    assert [listed for listed in package.__all__ if not hasattr(package, listed)] == []
    assert len(package.__all__) == len(set(package.__all__))


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_on_the_face_of_a_package_is_listed(name: str) -> None:
    package = filled(name)
    own = imported(package) - {"TYPE_CHECKING", "Any", "annotations"}
    lazy = "__getattr__" in vars(package)  # then what is listed may be imported on demand
    assert own - set(package.__all__) == set()
    assert lazy or set(package.__all__) - own - {"__version__"} == set()


@pytest.mark.parametrize("name", PACKAGES)
def test_a_star_import_brings_what_is_listed(name: str) -> None:
    package = filled(name)
    scope: dict[str, object] = {}
    exec(f"from {name} import *", scope)
    assert set(package.__all__) <= set(scope)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_that_it_is_typed_and_what_it_is(name: str) -> None:
    assert (PACKAGES[name] / name / "py.typed").exists()
    assert importlib.import_module(name).__doc__


def test_imports_are_absolute() -> None:
    relative = [
        f"{module}:{node.lineno}"
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_every_module_says_what_it_holds() -> None:
    assert [str(module) for module in MODULES if not module.docstring] == []


LANGGRAPHS = {"GraphCallbackHandler"}
"""Vague names that are LangGraph's, and so the ones that its users look for."""


def test_nothing_is_named_after_what_it_vaguely_does() -> None:
    vague = re.compile(r"manager|handler|helper|utils?$", re.IGNORECASE)
    names = [
        (str(module), node.name)
        for module in MODULES
        for node in module.nodes
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    names += [(str(module), module.path.stem) for module in MODULES]
    assert [name for name in names if vague.search(name[1]) and name[1] not in LANGGRAPHS] == []


SHARED = {
    "Failure": "a failure as the protocol writes it and as the client's events show it",
    "GraphOutput": "LangGraph's class: made by the runtime, rebuilt by the client",
    "Interrupt": "LangGraph's class: made by the runtime, shown by the client",
    "Run": "the frame that starts a run; a run as its server and as its client see it",
    "RunGone": "the frame that says that a run is gone, and what the client's watch yields then",
    "SnapshotMessage": "a message of a snapshot as the protocol writes it and as the client's events show it",
    "StateSnapshot": "LangGraph's class: made by the runtime, rebuilt by the client",
    "StateTask": "a task of a state as the protocol writes it and as the client shows it",
    "StateUpdate": "the frame that edits a state, and LangGraph's class, which the runtime takes",
    "ThreadGone": "the frame that says that a thread is gone, and what the client's watch yields then",
}
"""Public class names that several modules define, with the reason: one thing, seen from several sides."""


def classes() -> dict[str, list[Module]]:
    """Return the public class names that several modules define, each with these modules."""
    found: dict[str, list[Module]] = {}
    for module in MODULES:
        for node in module.nodes:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found.setdefault(node.name, []).append(module)
    return {name: modules for name, modules in found.items() if len(modules) > 1}


def test_a_class_name_stands_for_one_thing() -> None:
    found = [
        f"{name}: {', '.join(map(str, modules))}"
        for name, modules in classes().items()
        if name not in SHARED or len({module.package for module in modules}) < len(modules)
    ]
    assert not found, "rename all but one of each:\n" + "\n".join(found)


def test_the_list_of_shared_class_names_is_short_and_needed() -> None:
    assert len(SHARED) <= 10
    assert set(SHARED) - set(classes()) == set(), "these are unique now: take them off the list"
