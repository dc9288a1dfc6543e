"""``langgraph.json``: the file in which a LangGraph project says what it serves.

What graphwire honours of it becomes settings for ``config``, environment variables and import paths.
Everything else is named in a warning.
"""

import difflib
import importlib.metadata
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.serve.environment import values_of

FILE = "langgraph.json"

_BUILD_KEYS = frozenset(
    (
        "$schema",
        "_INTERNAL_docker_tag",
        "api_version",
        "base_image",
        "dockerfile_lines",
        "image_distro",
        "keep_pkg_tools",
        "node_version",
        "pip_config_file",
        "pip_installer",
        "python_version",
    )
)
"""Keys about building an image. They do not matter here: the environment is already built."""

_SERVER_KEYS = frozenset(("encryption", "ui", "ui_config", "webhooks"))
"""Keys that LangGraph's server honours and graphwire does not."""

_HTTP_KEYS = frozenset(
    f"http.cors.{name}"
    for name in ("allow_credentials", "allow_headers", "allow_methods", "expose_headers", "max_age")
)
"""Keys that have no meaning for a WebSocket."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", strict=True)


class _Graph(_Part):
    path: str
    description: str | None = None


class _Cors(_Part):
    allow_origins: list[str] | None = None
    allow_origin_regex: str | None = None


class _Http(_Part):
    cors: _Cors | None = None


class _Named(_Part):
    path: str | None = None


class _File(_Part):
    graphs: dict[str, str | _Graph] = Field(default_factory=dict)
    dependencies: list[str] = Field(default_factory=list)
    env: str | dict[str, str | int | float | bool] = Field(default_factory=dict)
    http: _Http | None = None
    checkpointer: _Named | None = None
    store: _Named | None = None
    auth: _Named | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """What graphwire takes from a ``langgraph.json``."""

    path: Path
    settings: dict[str, dict[str, Any]]
    """By section and setting, as in ``graphwire.toml``; targets have absolute paths."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables that the graphs need."""
    env_file: Path | None = None
    """The file that ``env`` was read from, if any."""
    wants_encryption: bool = False
    """Whether the project asks for encryption at rest, which graphwire does not have."""
    folders: tuple[Path, ...] = ()
    """The folders to import its modules from."""
    warnings: tuple[str, ...] = ()
    """What is not honoured, unknown or missing, for people."""
    notes: tuple[str, ...] = ()
    """What is ignored because it does not matter here, for people."""


def find(path: Path) -> Path:
    """Return the ``langgraph.json`` that ``path`` is or, if it is a folder, holds. Raises ``CannotServe``."""
    file = path / FILE if path.is_dir() else path
    if not file.is_file():
        raise CannotServe(f"there is no file {file}; name a langgraph.json, or a folder that holds one")
    return file


def read(path: Path) -> Project:
    """Read the ``langgraph.json`` that ``path`` is or holds. Raises ``CannotServe`` for a wrong file."""
    path = find(path)
    file = _parsed(path)
    root = path.resolve().parent
    extra = {name: similar for name, similar in _extra(file) if name not in _HTTP_KEYS}
    unknown = [
        _meant(name, similar) for name, similar in sorted(extra.items()) if similar or _is_unknown(name)
    ]
    if not file.graphs:
        raise CannotServe(
            f'{path} names no graphs; it needs: "graphs": {{"agent": "./agent.py:graph"}}'
            + (f"; unknown: {', '.join(unknown)}" if unknown else "")
        )
    warnings: list[str] = []
    env_file = root / file.env if isinstance(file.env, str) else None
    env = _env(file, env_file, warnings)
    not_installed = [
        name for name in map(_package, file.dependencies) if name and not _is_installed(name, root)
    ]
    if unknown:
        warnings.insert(0, f"{path}: unknown: {', '.join(unknown)}")
    unhonoured = [
        name
        for name, similar in sorted(extra.items())
        if not similar and not _is_unknown(name) and name not in _BUILD_KEYS
    ]
    if unhonoured:
        warnings.insert(0, f"{path}: graphwire does not honour {', '.join(unhonoured)}")
    if not_installed:
        warnings.append(
            f"{path}: dependencies that are not installed: {', '.join(not_installed)}; "
            f"run: pip install {' '.join(not_installed)}"
        )
    build = [name for name in sorted(extra) if name in _BUILD_KEYS and name != "$schema"]
    return Project(
        path=path,
        settings=_settings(file, path, root),
        env=env,
        env_file=env_file if env_file is not None and env_file.is_file() else None,
        wants_encryption=(file.model_extra or {}).get("encryption") is not None,
        folders=tuple(_folders(file, root)),
        warnings=tuple(warnings),
        notes=(f"{path}: ignored, of the build: {', '.join(build)}",) if build else (),
    )


def _parsed(path: Path) -> _File:
    try:
        return _File.model_validate(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise CannotServe(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise CannotServe(f"{path} is not UTF-8: {error.reason}") from None
    except json.JSONDecodeError as error:
        raise CannotServe(
            f"{path} is not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
        ) from None
    except ValidationError as error:
        fault = max(error.errors(include_url=False, include_input=False), key=lambda fault: len(fault["loc"]))
        parts = [str(part) for part in fault["loc"] if part not in ("str", "_Graph")]
        raise CannotServe(f"{path}: {'.'.join(parts) or 'the file'} is not valid: {fault['msg']}") from None


def _extra(part: BaseModel, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key that no model has, and the known key that it is a misspelling of, or ``""``."""
    model = type(part)
    known = [*model.model_fields, *(_BUILD_KEYS | _SERVER_KEYS if isinstance(part, _File) else ())]
    for name in part.model_extra or ():
        similar = [] if name in known else difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        yield prefix + name, prefix + similar[0] if similar else ""
    for name in part.model_fields_set & set(model.model_fields):
        value = getattr(part, name)
        parts = value if isinstance(value, dict) else {}
        if isinstance(value, BaseModel):
            yield from _extra(value, f"{prefix}{name}.")
        for key, item in parts.items():
            if isinstance(item, BaseModel):
                yield from _extra(item, f"{prefix}{name}.{key}.")


def _is_unknown(name: str) -> bool:
    # Below the top level, LangGraph may have keys that are not listed here.
    return "." not in name and name not in _BUILD_KEYS | _SERVER_KEYS


def _meant(name: str, similar: str) -> str:
    return f"{name!r} (did you mean {similar!r}?)" if similar else repr(name)


def _settings(file: _File, path: Path, root: Path) -> dict[str, dict[str, Any]]:
    graphs: dict[str, Any] = {}
    for name, graph in file.graphs.items():
        target = _target(graph if isinstance(graph, str) else graph.path, root, f"{path}: graph {name!r}")
        graphs[name] = {"target": target}
        if isinstance(graph, _Graph) and graph.description is not None:
            graphs[name]["description"] = graph.description
    server: dict[str, Any] = {}
    for key, part in (("checkpointer", file.checkpointer), ("graph_store", file.store)):
        if part is not None and part.path is not None:
            server[key] = _target(part.path, root, f"{path}: {key}")
    cors = None if file.http is None else file.http.cors
    if cors is not None and cors.allow_origins is not None:
        server["allowed_origins"] = cors.allow_origins
    if cors is not None and cors.allow_origin_regex is not None:
        server["allowed_origin_regex"] = cors.allow_origin_regex
    auth: dict[str, Any] = {}
    if file.auth is not None and file.auth.path is not None:
        auth["path"] = _target(file.auth.path, root, f"{path}: auth")
    return {"graphs": graphs, "server": server, "auth": auth}


def _target(target: str, root: Path, label: str) -> str:
    """Return the target with an absolute path, if it names a file."""
    location, _, attribute = target.rpartition(":")
    if re.search(r"\.[cm]?[jt]sx?$", location):
        raise CannotServe(
            f"{label}: {target!r} is not Python; graphwire serves graphs that Python can import"
        )
    if location.endswith(".py") or "/" in location:
        return f"{root / location}:{attribute}"
    return target


def _env(file: _File, path: Path | None, warnings: list[str]) -> dict[str, str]:
    if isinstance(file.env, dict):
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in file.env.items()
        }
    if path is None or not path.is_file():
        warnings.append(f"env names {path}, which does not exist")
        return {}
    return values_of(path)


def _folders(file: _File, root: Path) -> Iterator[Path]:
    yield root
    for dependency in file.dependencies:
        folder = (root / dependency).resolve()
        if not dependency.startswith(".") and not folder.is_dir():
            continue
        if not folder.is_dir():
            raise CannotServe(f"{FILE}: dependencies names {dependency!r}, and there is no folder {folder}")
        # If the project were installed, a src folder would be on the import path.
        is_project = (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()
        if is_project and (folder / "src").is_dir():
            yield folder / "src"
        yield folder


def _package(dependency: str) -> str:
    """Return the name of the package that a dependency asks for, or ``""`` for a path or a URL."""
    if dependency.startswith((".", "/")) or re.match(r"[a-z+]+://|git\+", dependency):
        return ""
    named = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", dependency)
    return named.group() if named else ""


def _is_installed(package: str, root: Path) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return (root / package).is_dir()  # a folder of the project
    return True
