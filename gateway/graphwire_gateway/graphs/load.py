"""Finds what a target names, ``module:attribute`` or ``path/to/file.py:attribute``, by importing it.

Whatever stands in the way is told in one sentence: what was wanted, which file and line is at fault, what to
do. How what is found makes a graph is ``factory``'s.
"""

import difflib
import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import re
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from graphwire_runtime.servable import Servable

from graphwire_gateway.errors import CannotServe

_PIP_NAMES = {
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "fitz": "pymupdf",
    "google.genai": "google-genai",
    "google.generativeai": "google-generativeai",
    "jwt": "pyjwt",
    "langgraph": '"graphwire[langgraph]"',
    "langgraph.checkpoint.aiosqlite": "langgraph-checkpoint-sqlite",
    "langgraph.checkpoint.mongodb": "langgraph-checkpoint-mongodb",
    "langgraph.checkpoint.postgres": "langgraph-checkpoint-postgres",
    "langgraph.checkpoint.redis": "langgraph-checkpoint-redis",
    "langgraph.checkpoint.sqlite": "langgraph-checkpoint-sqlite",
    "langgraph.prebuilt": "langgraph-prebuilt",
    "langgraph.store.postgres": "langgraph-checkpoint-postgres",
    "langgraph.store.sqlite": "langgraph-checkpoint-sqlite",
    "psycopg": '"psycopg[binary]"',
    "serpapi": "google-search-results",
    "sklearn": "scikit-learn",
    "tavily": "tavily-python",
    "yaml": "pyyaml",
}
"""Modules whose packages have another name than theirs, underscores aside."""

GIVEN = "the object given"
"""Where something comes from that no target names."""

_OURS = Path(__file__).parent
_INSTALLED = ("site-packages", "dist-packages", sysconfig.get_path("stdlib"))


def load(what: str, target: str) -> Any:
    """Return what ``target`` names; ``what`` is how a person calls it. Raises ``CannotServe``."""
    place, colon, attribute = target.rpartition(":")
    if not colon or not place or not attribute:
        raise CannotServe(
            f"{what}: {target!r} is not of the form 'module:attribute' or './file.py:attribute'"
        )
    module = _module(what, place)
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise CannotServe(
                f"{what}: {shown(place)!r} has no attribute {attribute!r}{_near(part, value, module)}"
            )
        value = getattr(value, part)
    return value


def importable_from(folders: Iterable[Path]) -> None:
    """Make the modules in these folders importable."""
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def found_at(what: str, target: Any) -> tuple[Any, str]:
    """Return what a target names, or the object that stands in its place, and how people read where it is
    from. Raises ``CannotServe``.
    """
    if isinstance(target, str):
        return load(what, target), shown(target)
    return target, GIVEN


def shown(place: str) -> str:
    """Return a path as a person in the working directory would write it, anything else as it is."""
    if not Path(place.partition(":")[0]).is_absolute():
        return place
    near = os.path.relpath(place)
    return min(near if near.startswith("..") else f"./{near}", place, key=len)


def line_of(error: BaseException) -> str:
    """Name the file and line of the user's code at which ``error`` was raised."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{shown(error.filename)}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and Path(frame.filename).parent != _OURS
        and "importlib" not in frame.filename
    ]
    # A library may raise far below the line that a person can change.
    own = [frame for frame in frames if not any(part in frame.filename for part in _INSTALLED)] or frames
    return f"{shown(own[-1].filename)}, line {own[-1].lineno}" if own else "no line known"


def _near(part: str, value: Any, module: ModuleType) -> str:
    names = [name for name in vars(value) if not name.startswith("_")] if hasattr(value, "__dict__") else []
    near = difflib.get_close_matches(part, names, cutoff=0.6)
    meant = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
    graphs = [
        name for name, item in vars(module).items() if is_graph(item) or _makes_a_graph(name, item, module)
    ]
    if value is not module or not graphs:
        return meant
    return f"{f'{meant} It' if meant else '; it'} has the graphs: {', '.join(graphs)}"


def is_graph(value: Any) -> bool:
    """Tell whether this is a graph, compiled or not."""
    return not isinstance(value, type) and (isinstance(value, Servable) or is_uncompiled(value))


def is_uncompiled(value: Any) -> bool:
    """Tell whether this is a graph that is still to be compiled."""
    return not hasattr(value, "astream") and hasattr(value, "compile") and hasattr(value, "add_node")


def _makes_a_graph(name: str, value: Any, module: ModuleType) -> bool:
    """Guess whether a function of the module makes a graph, by what it is called, takes and returns."""
    if name.startswith("_") or not inspect.isfunction(value) or value.__module__ != module.__name__:
        return False
    signature = inspect.signature(value)
    returned = signature.return_annotation
    said = name if returned is signature.empty else f"{name} {getattr(returned, '__name__', returned)}"
    return re.search("graph|agent|pregel", said, re.IGNORECASE) is not None and all(
        parameter.name in ("config", "runtime") or parameter.default is not parameter.empty
        for parameter in signature.parameters.values()
    )


def _module(what: str, place: str) -> ModuleType:
    named = shown(place)
    try:
        is_file = place.endswith(".py")
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            # A file's own folder comes first.
            sys.path.insert(len(sys.path) if is_file else 0, str(Path.cwd()))
        if is_file:
            return _file(what, Path(place))
        return importlib.import_module(place)
    except CannotServe:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(error.name + ".")):
            raise CannotServe(
                f"{what}: no module {error.name!r} is importable from {Path.cwd()}; "
                f"{_lies(error.name) or 'check the name, or give the path of the file: ./file.py:attribute'}"
            ) from error
        raise CannotServe(f"{what}: {_missing(named, error)}") from error
    except SyntaxError as error:
        text = f": {error.text.strip()}" if error.text else ""
        raise CannotServe(
            f"{what}: {named!r} cannot be read as Python: {error.msg} ({line_of(error)}){text}"
        ) from error
    except BaseException as error:
        hint = ""
        if isinstance(error, ImportError) and "relative import" in str(error):
            hint = "; put an __init__.py beside the file, or import by the full name"
        raise CannotServe(
            f"{what}: importing {named!r} raised {told(error)} ({line_of(error)}){hint}"
        ) from error


def told(error: BaseException) -> str:
    """Return type and message of an exception, in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _missing(named: str, error: ModuleNotFoundError) -> str:
    return f"{named!r} imports {error.name!r} ({line_of(error)}); {remedy(error)}"


def remedy(error: ModuleNotFoundError) -> str:
    """Say what to do where a module is missing."""
    name = error.name or "?"
    package = _package(name)
    version = _version(package) if "." in name else None
    if version is not None:
        return f"{version} does not have it: check the name, or install the version that has it"
    return _lies(name) or (
        f"it is not installed: run 'pip install {package}' in the environment that runs graphwire"
    )


def _package(name: str) -> str:
    """Return the name under which pip knows a module."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        known = _PIP_NAMES.get(".".join(parts[:count]))
        if known is not None:
            return known
    return parts[0].replace("_", "-")


def _version(package: str) -> str | None:
    """Return the version of a package that is installed."""
    name = re.sub(r"^graphwire\[(.*)\]$", r"\1", package.strip('"'))
    try:
        return f"{name} {importlib.metadata.version(name.partition('[')[0])}"
    except importlib.metadata.PackageNotFoundError:
        return None


def _lies(name: str) -> str:
    """Say where in the project a module lies that is not importable."""
    top = name.partition(".")[0]
    for folder in sorted(path for path in Path().iterdir() if path.is_dir()):
        if folder.name.startswith("."):
            continue
        if (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file():
            return (
                f"{top!r} lies in ./{folder}: put that on PYTHONPATH, or under dependencies of langgraph.json"
            )
    return ""


def _file(what: str, path: Path) -> ModuleType:
    path = path.resolve()
    if not path.is_file():
        raise CannotServe(f"{what}: there is no file {path}")
    package = _in_package(path)
    if package is not None:
        return package
    # The file's folder is importable from it, as when Python runs the file.
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    known = sys.modules.get(path.stem)
    if known is not None and getattr(known, "__file__", None) == str(path):
        return known
    unique = path.stem if known is None else f"graphwire_graph_{len(sys.modules)}_{path.stem}"
    spec = importlib.util.spec_from_file_location(unique, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[unique] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[unique]
        raise
    return module


def _in_package(path: Path) -> ModuleType | None:
    """Import a package's file by its full name, so that relative imports work and it is imported once."""
    names, root = [path.stem], path.parent
    while (root / "__init__.py").is_file() and root.name.isidentifier():
        names.insert(0, root.name)
        root = root.parent
    if len(names) == 1 or not path.stem.isidentifier():
        return None
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    found = importlib.util.find_spec(names[0])
    if found is None or found.origin is None or Path(found.origin).resolve().parent != root / names[0]:
        return None  # another package of that name is there already
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    return importlib.import_module(".".join(names))
