"""What ``graphwire serve`` is asked to serve, and the configuration that results.

Graphs are named by targets on the command line, by a ``langgraph.json`` and by ``graphwire.toml``. Reading
these two files is left to ``langgraph_json`` and ``config``.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.load import importable_from, short_path
from graphwire_gateway.serve import environment, langgraph_json
from graphwire_gateway.serve.config import FILE, Config, load, sections
from graphwire_gateway.serve.langgraph_json import Project
from graphwire_gateway.stores import is_shared

Note: TypeAlias = tuple[Literal["info", "warning"], str]
"""A line for the log: its level and its text."""


@dataclass(frozen=True, slots=True)
class Selection:
    """What the command line selects."""

    targets: tuple[str, ...]
    """The arguments: ``module:attribute``, ``NAME=module:attribute``, a ``langgraph.json`` or its folder."""
    config: Path | None
    """The file given by ``--config``: a ``graphwire.toml`` or a ``langgraph.json``."""
    settings: Mapping[str, Any]
    """The options that belong to ``[server]``, by setting; None for an option that was not given."""
    conformance_graphs: bool
    """Whether to serve the conformance kit's graphs as well."""
    worker_settings: Mapping[str, Any] = field(default_factory=dict)
    """The options that belong to ``[worker]``, likewise."""
    is_worker: bool = False
    """Whether a worker is asked for, and not a server or a gateway."""
    is_restart: bool = False
    """Whether only code changed since the last server; what that one printed is not printed again."""

    @property
    def project(self) -> Path | None:
        """The ``langgraph.json`` to serve, or its folder. Raises ``CannotServe`` if two are named.

        If no graph is named, this is the ``langgraph.json`` in the working directory, if there is one.
        """
        named = [Path(target) for target in self.targets if _is_project(target)]
        if self.config is not None and self.config.suffix == ".json":
            named.append(self.config)
        if len(named) > 1:
            raise CannotServe(
                f"{' and '.join(map(str, named))} are two projects; serve each by a command of its own"
            )
        if named:
            return named[0]
        here = Path(langgraph_json.FILE)
        return here if not self.targets and not self.conformance_graphs and here.is_file() else None

    @property
    def toml(self) -> Path | None:
        """The ``graphwire.toml`` given by ``--config``."""
        return None if self.config is None or self.config.suffix == ".json" else self.config

    def resolve(self) -> tuple[Config, list[Note]]:
        """Return the configuration, and what the log should say about its sources.

        Sets the environment variables of the project and of ``.env``, and makes the project's folders
        importable. Raises ``CannotServe``.
        """
        notes: list[Note] = []
        project = None if self.project is None else _set_up(self.project, notes)
        _provide_dotenv(None if project is None else project.env_file, notes)
        notes += [("warning", sentence) for sentence in environment.unknown(os.environ, sections())]
        settings = _given(self.settings, {name: name for name in ("host", "port", "store", "console")})
        of_worker = _given(self.worker_settings, {name: f"worker_{name}" for name in ("host", "group")})
        graphs = {**(_conformance_graphs() if self.conformance_graphs else {}), **_graphs(self.targets)}
        resolved = load(
            self.toml,
            {"graphs": graphs, "server": settings, "worker": of_worker},
            None if project is None else project.settings,
        )
        if project is not None and project.wants_encryption and not resolved.server.ignore_encryption:
            raise CannotServe(
                f"{project.path} wants encryption, and graphwire encrypts nothing at rest: saved threads "
                "would be readable. If that is acceptable, or the checkpointer itself encrypts, set "
                "[server] ignore_encryption = true in graphwire.toml, or "
                "GRAPHWIRE_SERVER__IGNORE_ENCRYPTION=true"
            )
        if resolved.server.workers and not is_shared(resolved.server.store):
            raise CannotServe(
                f"{resolved.server.workers} workers share a store in Redis, as in --store "
                "redis://localhost:6379/0; with any other one process serves the graphs: leave out --workers"
            )
        is_gateway = is_shared(resolved.server.store) and not resolved.server.workers
        command = "worker" if self.is_worker else "serve"
        if not resolved.graphs and (self.is_worker or not is_gateway):
            raise CannotServe(
                f"no graphs to serve; name one, as in: graphwire {command} joke=app.graphs:joke "
                "(or a langgraph.json, or list them under [graphs] in graphwire.toml)"
            )
        return resolved, notes

    def source_folders(self) -> list[Path]:
        """Return the folders with the server's code: the project's, the targets' and the working one."""
        folders = [Path()]
        with contextlib.suppress(CannotServe):  # the server reports it, and a change may fix it
            if self.project is not None:
                folders += langgraph_json.read(self.project).folders
        for target in self.targets:
            unnamed = target.partition("=")[2] or target
            folders.append(Path(unnamed.rpartition(":")[0]).parent)
        return list(dict.fromkeys(folder for folder in folders if folder.is_dir()))

    def configuration_files(self) -> set[Path]:
        """Return the absolute paths of the files that configure the server, whether or not they exist."""
        files = [self.toml or Path(FILE), Path(environment.FILE)]
        with contextlib.suppress(CannotServe):
            if self.project is not None:
                files.append(langgraph_json.find(self.project))
                env_file = langgraph_json.read(self.project).env_file
                files += [] if env_file is None else [env_file]
        return {file.resolve() for file in files}


def _given(options: Mapping[str, Any], variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the options that were given, or that a variable of the environment has.

    typer has read the environment before that of ``.env`` was in it.
    """
    found = {name: os.environ.get(f"GRAPHWIRE_{variable.upper()}") for name, variable in variables.items()}
    given = {name: value for name, value in options.items() if value is not None}
    return {**{name: value for name, value in found.items() if value}, **given}


def _is_project(target: str) -> bool:
    return "=" not in target and ":" not in target and (target.endswith(".json") or Path(target).is_dir())


def _set_up(path: Path, notes: list[Note]) -> Project:
    """Read a project; provide its environment and make its folders importable."""
    project = langgraph_json.read(path)
    already_set = environment.provide(project.env)
    if project.env_file is not None:
        notes.append(("info", _env_note(project.env_file, project.env, already_set)))
    importable_from(project.folders)
    notes += [("info", note) for note in project.notes]
    notes += [("warning", warning) for warning in project.warnings]
    return project


def _provide_dotenv(env_file: Path | None, notes: list[Note]) -> None:
    """Set the variables of the working directory's ``.env``, unless ``env_file`` is that file."""
    dotenv = Path(environment.FILE)
    if dotenv.is_file() and (env_file is None or not dotenv.samefile(env_file)):
        values = environment.values_of(dotenv)
        notes.append(("info", _env_note(dotenv, values, environment.provide(values))))


def _env_note(file: Path, values: Mapping[str, str], already_set: list[str]) -> str:
    kept = f"; set already, and left as they were: {', '.join(already_set)}" if already_set else ""
    return f"read {short_path(str(file.absolute()))}: {len(values)} variable{'s'[: len(values) != 1]}{kept}"


def _conformance_graphs() -> dict[str, str]:
    from graphwire_conformance.graphs import TARGETS

    return TARGETS


def _graphs(targets: tuple[str, ...]) -> dict[str, str]:
    """Return the targets that name graphs, by the name to serve each under."""
    graphs: dict[str, str] = {}
    for given in targets:
        if _is_project(given):
            continue
        name, equals, target = given.partition("=")
        if not equals:
            name, target = _default_name(given), given
        if not name or not target:
            raise CannotServe(
                f"{given!r} is not of the form NAME=module:attribute or NAME=./file.py:attribute, "
                "and not a langgraph.json or a folder that holds one"
            )
        if name in graphs:
            raise CannotServe(
                f"{graphs[name]!r} and {target!r} are both called {name!r}; give them names: NAME={target}"
            )
        graphs[name] = target
    return graphs


def _default_name(target: str) -> str:
    """Return the attribute's name; the module's if the attribute is just called ``graph``."""
    module, _, attribute = target.rpartition(":")
    last = attribute.rpartition(".")[2]
    if last != "graph":
        return last if module else ""
    path = Path(module.removesuffix(".py"))
    name = path.parent.resolve().name if path.name == "__init__" else path.name
    return name if module.endswith(".py") else module.rpartition(".")[2]
