"""The configuration of ``graphwire serve``, from ``graphwire.toml``, the environment and the command line.

The file has the sections ``[graphs]``, ``[server]``, ``[worker]``, ``[auth]`` and ``[limits]``. A variable of
the environment names section and key: ``GRAPHWIRE_LIMITS__DRAIN_S=5``. The command line takes precedence over
the environment, the environment over the file, the file over a project's ``langgraph.json``.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from graphwire_protocol.types import Mode
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.memory_saver import ThreadLimits
from graphwire_gateway.graphs.spec import GraphSpec, RunsOn
from graphwire_gateway.limits import Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "graphwire.toml"
"""The file that is read from the working directory if no other is given."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GraphSection(_Section):
    """``[graphs.NAME]``: a graph with settings of its own, which are those of ``GraphSpec``."""

    target: str
    runner: RunsOn = "thread"
    record: tuple[Mode, ...] = ()
    record_subgraphs: bool = False
    description: str | None = None

    def spec(self) -> GraphSpec:
        """Return the same as a ``GraphSpec``."""
        return GraphSpec(self.target, self.runner, self.record, self.record_subgraphs, self.description)


class ServerSection(_Section):
    """``[server]``: where to listen, which pages are served and may connect, where logs and threads are kept.

    ``store`` is the URL of the logs; ``checkpointer`` and ``graph_store`` are targets, used for graphs
    compiled without, and ``encoders`` a target, too. ``ignore_encryption`` serves a project even if it asks
    for encryption at rest, which graphwire does not have. ``workers`` is how many processes run the graphs
    beside a gateway, on a store in Redis. The other settings are those of ``Gateway``.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    store: str = "memory://"
    allowed_origins: tuple[str, ...] | None = None
    allowed_origin_regex: str | None = None
    checkpointer: str | None = None
    thread_bytes: Annotated[int, Field(ge=1)] = ThreadLimits().bytes
    thread_ttl_s: Annotated[float | None, Field(gt=0, allow_inf_nan=False)] = None
    graph_store: str | None = None
    encoders: str | None = None
    shared_threads: bool = False
    console: bool = True
    expose_errors: bool | None = None
    workers: Annotated[int | None, Field(ge=0, le=256)] = None
    insecure: bool = False
    ignore_encryption: bool = False
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class WorkerSection(_Section):
    """``[worker]``: where gateways reach a worker, and the group that it belongs to."""

    host: str = "127.0.0.1"
    group: str = ""


class AuthSection(_Section):
    """``[auth]``: how clients authenticate.

    ``tokens`` maps each token to its principal; ``path`` is the target of a ``langgraph_sdk.Auth`` instead.
    ``ignore_authorization`` serves an ``Auth`` with authorization handlers, which graphwire does not call.
    """

    tokens: dict[str, str] = Field(default_factory=dict)
    path: str | None = None
    ignore_authorization: bool = False


class Config(BaseSettings):
    """The whole configuration."""

    model_config = SettingsConfigDict(
        env_prefix="GRAPHWIRE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    graphs: dict[str, str | GraphSection] = Field(default_factory=dict)
    server: ServerSection = ServerSection()
    worker: WorkerSection = WorkerSection()
    auth: AuthSection = AuthSection()
    limits: Limits = Limits()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Give the environment precedence over the arguments, which come from the files."""
        return env_settings, init_settings

    def specs(self) -> dict[str, GraphSpec]:
        """Return how each graph is served, by its name."""
        return {
            name: GraphSpec(graph) if isinstance(graph, str) else graph.spec()
            for name, graph in self.graphs.items()
        }


def load(
    file: Path | None,
    overrides: Mapping[str, Mapping[str, Any]],
    project: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Read and merge the configuration.

    ``file`` is a ``graphwire.toml``; None takes the one in the working directory, if there is one.
    ``overrides`` holds the command line's settings and ``project`` those of a ``langgraph.json``, each by
    section. A ``[graphs.NAME]`` without a target configures the graph of that name of the command line or
    the project, and a target of the command line replaces no other setting of the graph.

    Raises ``CannotServe`` that names the setting and what is wrong with it.
    """
    data = _read(file)
    for name, settings in (project or {}).items():
        own = data.setdefault(name, {})
        if isinstance(own, dict):  # Config refuses anything else
            data[name] = {**settings, **own, **(_merged_graphs(settings, own) if name == "graphs" else {})}
    named = overrides.get("graphs", {})
    if isinstance(tables := data.get("graphs"), dict):
        data["graphs"] = {
            **tables,
            **_merged_graphs({name: {"target": target} for name, target in named.items()}, tables),
        }
    prefix = ""
    try:
        config = Config(**data)
        for name, settings in overrides.items():
            prefix = f"{name}."
            section = getattr(config, name)
            if isinstance(section, dict):
                targeted = {graph: _targeted(section.get(graph), settings[graph]) for graph in settings}
                config = config.model_copy(update={name: {**section, **targeted}})
            elif settings:
                merged = type(section).model_validate({**section.model_dump(), **settings})
                config = config.model_copy(update={name: merged})
    except ValidationError as error:
        # Of the members of a union, report the one that matched most of the input.
        faults = error.errors(include_url=False, include_input=False)
        fault = max(faults, key=lambda fault: len(fault["loc"]))
        path = [str(part) for part in fault["loc"] if part not in ("str", "GraphSection")]
        reason = _reason(fault["type"], path, project) or fault["msg"]
        raise CannotServe(f"the setting {prefix}{'.'.join(path)} is not valid: {reason}") from None
    return config


def _targeted(graph: str | GraphSection | None, target: str) -> str | GraphSection:
    """Return a graph with this target, and with its other settings if it has some."""
    return graph.model_copy(update={"target": target}) if isinstance(graph, GraphSection) else target


def _merged_graphs(graphs: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of ``graphs`` that ``own`` has further settings for, with these settings added."""
    return {
        name: {**graphs[name], **more}
        for name, more in own.items()
        if name in graphs and isinstance(more, dict) and "target" not in more
    }


def _reason(kind: str, path: list[str], project: Mapping[str, Mapping[str, Any]] | None) -> str | None:
    """Return what is wrong with the setting at ``path`` where pydantic's own message is no help."""
    match kind, path:
        case "extra_forbidden", [*section, _]:
            return f"there is no such setting; known here are: {', '.join(_settings_of(section))}"
        case "missing", ["graphs", *_, "target"]:
            missing = 'it is missing, as in: target = "./file.py:attribute"'
            if project is None:
                return missing
            names = ", ".join(project["graphs"])
            return f"{missing}; and langgraph.json has no graph of that name, it has: {names}"
    return None


def sections() -> dict[str, list[str]]:
    """Return the settings of each section; of ``[graphs]``, whose keys are names, none."""
    return {
        section: list(_settings_of([section])) for section in Config.model_fields if section != "graphs"
    } | {"graphs": []}


def _settings_of(section: list[str]) -> Iterable[str]:
    match section:
        case []:
            return Config.model_fields
        case ["graphs", *_]:
            return GraphSection.model_fields
    return getattr(Config.model_fields[section[0]].annotation, "model_fields", {})


def _read(file: Path | None) -> dict[str, Any]:
    path = file or Path(FILE)
    if file is None and not path.exists():
        return {}
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise CannotServe(f"cannot read {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise CannotServe(f"{path} is not TOML: {error}") from None
    return data
