"""Imports what a target names: ``module:attribute`` or ``path/to/file.py:attribute``.

Every failure is one sentence in a ``CannotServe``: what was wanted, which file and line is at fault, what to
do. Whether the object is a factory is for ``factory`` to see. The parameter ``label`` is how error messages
call what is loaded, such as ``graph 'joke'``.
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
"""The package to install for a module, if it is not the module's name with hyphens for underscores."""

GIVEN_OBJECT = "the object given"
"""The source of something that was given as an object, not by a target."""

_OWN_FOLDER = Path(__file__).parent
_LIBRARY_FOLDERS = ("site-packages", "dist-packages", sysconfig.get_path("stdlib"))


def load(label: str, target: str) -> Any:
    """Import and return what ``target`` names. Raises ``CannotServe``."""
    location, colon, attribute = target.rpartition(":")
    if not colon or not location or not attribute:
        raise CannotServe(
            f"{label}: {target!r} is not of the form 'module:attribute' or './file.py:attribute'"
        )
    module = _module(label, location)
    value: Any = module
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise CannotServe(
                f"{label}: {short_path(location)!r} has no attribute {attribute!r}"
                f"{_suggestions(part, value, module)}"
            )
        value = getattr(value, part)
    return value


def importable_from(folders: Iterable[Path]) -> None:
    """Make the modules in these folders importable; modules found elsewhere come first."""
    for folder in folders:
        if str(folder) not in sys.path:
            sys.path.append(str(folder))


def resolve(label: str, target: Any) -> tuple[Any, str]:
    """Return what a target names and its source for people; any object but a string is returned as it is.

    Raises ``CannotServe``.
    """
    if isinstance(target, str):
        return load(label, target), short_path(target)
    return target, GIVEN_OBJECT


def short_path(path: str) -> str:
    """Return an absolute path relative to the working directory, if that is shorter.

    ``:attribute`` may follow the path; a relative path and a module's name are returned as they are.
    """
    if not Path(path.partition(":")[0]).is_absolute():
        return path
    relative = os.path.relpath(path)
    return min(relative if relative.startswith("..") else f"./{relative}", path, key=len)


def line_of(error: BaseException) -> str:
    """Return the file and line of the user's code at which ``error`` was raised, for people."""
    if isinstance(error, SyntaxError) and error.filename is not None:
        return f"{short_path(error.filename)}, line {error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith("<")
        and Path(frame.filename).parent != _OWN_FOLDER
        and "importlib" not in frame.filename
    ]
    # A library may raise far below the line that the user can change.
    own = [
        frame for frame in frames if not any(part in frame.filename for part in _LIBRARY_FOLDERS)
    ] or frames
    return f"{short_path(own[-1].filename)}, line {own[-1].lineno}" if own else "no line known"


def _suggestions(part: str, value: Any, module: ModuleType) -> str:
    """Return similar names, and the graphs of the module, as the end of a sentence."""
    names = [name for name in vars(value) if not name.startswith("_")] if hasattr(value, "__dict__") else []
    similar = difflib.get_close_matches(part, names, cutoff=0.6)
    meant = f"; did you mean {' or '.join(map(repr, similar))}?" if similar else ""
    graphs = [
        name for name, item in vars(module).items() if is_graph(item) or _makes_a_graph(name, item, module)
    ]
    if value is not module or not graphs:
        return meant
    return f"{f'{meant} It' if meant else '; it'} has the graphs: {', '.join(graphs)}"


def is_graph(value: Any) -> bool:
    """Return whether this is a graph, compiled or not."""
    return not isinstance(value, type) and (isinstance(value, Servable) or is_uncompiled(value))


def is_uncompiled(value: Any) -> bool:
    """Return whether this is a graph that is not compiled yet."""
    return not hasattr(value, "astream") and hasattr(value, "compile") and hasattr(value, "add_node")


def _makes_a_graph(name: str, value: Any, module: ModuleType) -> bool:
    """Guess whether a function of the module makes a graph, from its name, parameters and return type."""
    if name.startswith("_") or not inspect.isfunction(value) or value.__module__ != module.__name__:
        return False
    signature = inspect.signature(value)
    returned = signature.return_annotation
    words = name if returned is signature.empty else f"{name} {getattr(returned, '__name__', returned)}"
    return re.search("graph|agent|pregel", words, re.IGNORECASE) is not None and all(
        parameter.name in ("config", "runtime") or parameter.default is not parameter.empty
        for parameter in signature.parameters.values()
    )


def _module(label: str, location: str) -> ModuleType:
    """Import the module that is named, or the file at a path that ends in ``.py``."""
    short = short_path(location)
    try:
        is_file = location.endswith(".py")
        if "" not in sys.path and str(Path.cwd()) not in sys.path:
            # For a file, its own folder goes before the working directory.
            sys.path.insert(len(sys.path) if is_file else 0, str(Path.cwd()))
        if is_file:
            return _file(label, Path(location))
        return importlib.import_module(location)
    except CannotServe:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (location == error.name or location.startswith(error.name + ".")):
            raise CannotServe(
                f"{label}: no module {error.name!r} is importable from {Path.cwd()}; "
                f"{_folder_hint(error.name) or 'check the name, or name the file: ./file.py:attribute'}"
            ) from error
        raise CannotServe(
            f"{label}: {short!r} imports {error.name!r} ({line_of(error)}); {remedy(error)}"
        ) from error
    except SyntaxError as error:
        text = f": {error.text.strip()}" if error.text else ""
        raise CannotServe(
            f"{label}: {short!r} cannot be read as Python: {error.msg} ({line_of(error)}){text}"
        ) from error
    except BaseException as error:
        hint = ""
        if isinstance(error, ImportError) and "relative import" in str(error):
            hint = "; put an __init__.py beside the file, or import by the full name"
        raise CannotServe(
            f"{label}: importing {short!r} raised {describe(error)} ({line_of(error)}){hint}"
        ) from error


def describe(error: BaseException) -> str:
    """Return the type and message of an exception in one line, or its type if its own code raises."""
    try:
        text = " ".join(str(error).split())
    except BaseException:
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def remedy(error: ModuleNotFoundError) -> str:
    """Return what to do about a module that is missing, for people."""
    name = error.name or "?"
    package = _package(name)
    installed = _installed_version(package) if "." in name else None
    if installed is not None:
        return f"{installed} does not have it: check the name, or install the version that has it"
    return _folder_hint(name) or (
        f"it is not installed: run 'pip install {package}' in the environment that runs graphwire"
    )


def _package(name: str) -> str:
    """Return what to pass to ``pip install`` to get a module."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        known = _PIP_NAMES.get(".".join(parts[:count]))
        if known is not None:
            return known
    return parts[0].replace("_", "-")


def _installed_version(package: str) -> str | None:
    """Return name and version of a package, or None if it is not installed."""
    name = re.sub(r"^graphwire\[(.*)\]$", r"\1", package.strip('"'))
    try:
        return f"{name} {importlib.metadata.version(name.partition('[')[0])}"
    except importlib.metadata.PackageNotFoundError:
        return None


def _folder_hint(name: str) -> str:
    """Return what to do about a module in a folder of the project that is not importable, or nothing."""
    top = name.partition(".")[0]
    for folder in sorted(path for path in Path().iterdir() if path.is_dir()):
        if folder.name.startswith("."):
            continue
        if (folder / f"{top}.py").is_file() or (folder / top / "__init__.py").is_file():
            return (
                f"{top!r} is in ./{folder}: put that folder on PYTHONPATH, "
                "or under dependencies in langgraph.json"
            )
    return ""


def _file(label: str, path: Path) -> ModuleType:
    """Import a file, once."""
    path = path.resolve()
    if not path.is_file():
        raise CannotServe(f"{label}: there is no file {path}")
    member = _package_member(path)
    if member is not None:
        return member
    # As when Python runs the file, it can import its neighbours.
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


def _package_member(path: Path) -> ModuleType | None:
    """Import a file of a package by its full name, so that relative imports work and it is imported once.

    Returns None if the file is in no package, or another package of that name is importable.
    """
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
        return None
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    return importlib.import_module(".".join(names))
