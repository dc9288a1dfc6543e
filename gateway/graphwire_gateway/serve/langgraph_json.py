"""``langgraph.json``: the file by which LangGraph's projects say what they serve, read as it is.

What of it a graphwire server can honour becomes settings of ``config``, an environment and import paths; the
rest is named, in one line.
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

_OF_THE_BUILD = frozenset(
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
"""What says how an image is built; who serves from an environment has built it already."""

_OF_ITS_SERVER = frozenset(("encryption", "ui", "ui_config", "webhooks"))
"""What LangGraph's server reads, and graphwire does not."""

_OF_HTTP = frozenset(
    f"http.cors.{name}"
    for name in ("allow_credentials", "allow_headers", "allow_methods", "expose_headers", "max_age")
)
"""What means nothing to a WebSocket."""


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
    """What a ``langgraph.json`` comes to."""

    path: Path
    settings: dict[str, dict[str, Any]]
    """As ``graphwire.toml`` would say it, with absolute paths."""
    env: dict[str, str] = field(default_factory=dict)
    env_file: Path | None = None
    """Where ``env`` was read from, if from a file."""
    wants_encryption: bool = False
    """Whether what is kept is to be encrypted at rest, which graphwire does not do."""
    folders: tuple[Path, ...] = ()
    """From where its modules are importable."""
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find(place: Path) -> Path:
    """Return the file that ``place`` is or holds. Raises ``CannotServe``."""
    path = place / FILE if place.is_dir() else place
    if not path.is_file():
        raise CannotServe(f"there is no file {path}; name a langgraph.json, or a folder that holds one")
    return path


def read(place: Path) -> Project:
    """Read the file that ``place`` is or holds. Raises ``CannotServe`` that says what is wrong with it."""
    path = find(place)
    file = _parsed(path)
    home = path.resolve().parent
    extra = {name: near for name, near in _extra(file) if name not in _OF_HTTP}
    unknown = [_meant(name, near) for name, near in sorted(extra.items()) if near or _is_unknown(name)]
    if not file.graphs:
        raise CannotServe(
            f'{path} names no graphs; it wants: "graphs": {{"agent": "./agent.py:graph"}}'
            + (f"; unknown: {', '.join(unknown)}" if unknown else "")
        )
    missing: list[str] = []
    env_file = home / file.env if isinstance(file.env, str) else None
    env = _env(file, env_file, missing)
    absent = [name for name in map(_package, file.dependencies) if name and not _is_installed(name, home)]
    if unknown:
        missing.insert(0, f"{path}: unknown: {', '.join(unknown)}")
    unhonoured = [
        name
        for name, near in sorted(extra.items())
        if not near and not _is_unknown(name) and name not in _OF_THE_BUILD
    ]
    if unhonoured:
        missing.insert(0, f"{path}: graphwire does not honour {', '.join(unhonoured)}")
    if absent:
        missing.append(
            f"{path}: dependencies that are not installed: {', '.join(absent)}; "
            f"run: pip install {' '.join(absent)}"
        )
    build = [name for name in sorted(extra) if name in _OF_THE_BUILD and name != "$schema"]
    return Project(
        path=path,
        settings=_settings(file, path, home),
        env=env,
        env_file=env_file if env_file is not None and env_file.is_file() else None,
        wants_encryption=(file.model_extra or {}).get("encryption") is not None,
        folders=tuple(_folders(file, home)),
        warnings=tuple(missing),
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
        raise CannotServe(f"{path}: {'.'.join(parts) or 'the file'} is not right: {fault['msg']}") from None


def _extra(part: BaseModel, above: str = "") -> Iterator[tuple[str, str]]:
    """Name what the file has and no model knows, each with the name that is known and near."""
    model = type(part)
    known = [*model.model_fields, *(_OF_THE_BUILD | _OF_ITS_SERVER if isinstance(part, _File) else ())]
    for name in part.model_extra or ():
        near = [] if name in known else difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        yield above + name, above + near[0] if near else ""
    for name in part.model_fields_set & set(model.model_fields):
        value = getattr(part, name)
        parts = value if isinstance(value, dict) else {}
        if isinstance(value, BaseModel):
            yield from _extra(value, f"{above}{name}.")
        for key, item in parts.items():
            if isinstance(item, BaseModel):
                yield from _extra(item, f"{above}{name}.{key}.")


def _is_unknown(name: str) -> bool:
    # Of parts, LangGraph may know more than is known here.
    return "." not in name and name not in _OF_THE_BUILD | _OF_ITS_SERVER


def _meant(name: str, near: str) -> str:
    return f"{name!r} (did you mean {near!r}?)" if near else repr(name)


def _settings(file: _File, path: Path, home: Path) -> dict[str, dict[str, Any]]:
    graphs: dict[str, Any] = {}
    for name, graph in file.graphs.items():
        target = _target(graph if isinstance(graph, str) else graph.path, home, f"{path}: graph {name!r}")
        graphs[name] = {"target": target}
        if isinstance(graph, _Graph) and graph.description is not None:
            graphs[name]["description"] = graph.description
    server: dict[str, Any] = {}
    for key, part in (("checkpointer", file.checkpointer), ("graph_store", file.store)):
        if part is not None and part.path is not None:
            server[key] = _target(part.path, home, f"{path}: {key}")
    cors = None if file.http is None else file.http.cors
    if cors is not None and cors.allow_origins is not None:
        server["allowed_origins"] = cors.allow_origins
    if cors is not None and cors.allow_origin_regex is not None:
        server["allowed_origin_regex"] = cors.allow_origin_regex
    auth: dict[str, Any] = {}
    if file.auth is not None and file.auth.path is not None:
        auth["path"] = _target(file.auth.path, home, f"{path}: auth")
    return {"graphs": graphs, "server": server, "auth": auth}


def _target(target: str, home: Path, what: str) -> str:
    place, _, attribute = target.rpartition(":")
    if re.search(r"\.[cm]?[jt]sx?$", place):
        raise CannotServe(f"{what}: {target!r} is not Python; graphwire serves graphs that Python can import")
    if place.endswith(".py") or "/" in place:
        return f"{home / place}:{attribute}"
    return target


def _env(file: _File, path: Path | None, missing: list[str]) -> dict[str, str]:
    if isinstance(file.env, dict):
        return {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in file.env.items()
        }
    if path is None or not path.is_file():
        missing.append(f"env names {path}, which is not there")
        return {}
    return values_of(path)


def _folders(file: _File, home: Path) -> Iterator[Path]:
    yield home
    for dependency in file.dependencies:
        folder = (home / dependency).resolve()
        if not dependency.startswith(".") and not folder.is_dir():
            continue
        if not folder.is_dir():
            raise CannotServe(f"{FILE}: dependencies names {dependency!r}, and there is no folder {folder}")
        # An installed project with this layout has src on its path.
        is_project = (folder / "pyproject.toml").is_file() or (folder / "setup.py").is_file()
        if is_project and (folder / "src").is_dir():
            yield folder / "src"
        yield folder


def _package(dependency: str) -> str:
    """Return the package that a dependency asks for, nothing where it does not say."""
    if dependency.startswith((".", "/")) or re.match(r"[a-z+]+://|git\+", dependency):
        return ""
    named = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", dependency)
    return named.group() if named else ""


def _is_installed(package: str, home: Path) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return (home / package).is_dir()
    return True
