"""The surface of the five packages: what is listed is there, and what is there is listed."""

import ast
import importlib
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "graphwire_protocol": ROOT / "protocol",
    "graphwire_conformance": ROOT / "protocol",
    "graphwire_runtime": ROOT / "runtime",
    "graphwire_gateway": ROOT / "gateway",
    "graphwire": ROOT / "clients" / "python",
}
SOURCES = sorted(path for name, home in PACKAGES.items() for path in (home / name).rglob("*.py"))


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


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_are_absolute(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    relative = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    assert relative == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_holds(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_named_after_what_it_vaguely_does(path: Path) -> None:
    vague = re.compile(r"manager|handler|helper|utils?$", re.IGNORECASE)
    names = [
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [name for name in [*names, path.stem] if vague.search(name)] == []
