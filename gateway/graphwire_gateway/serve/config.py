"""The configuration of ``graphwire serve``: a file, the environment, and what the command line adds.

``graphwire.toml`` has ``[graphs] [server] [auth] [limits]``; an environment variable names section and key,
``GRAPHWIRE_LIMITS__DRAIN_S=5``. The command line wins over the environment, the environment over the file.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from graphwire_protocol.types import Mode
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from graphwire_gateway.errors import CannotServe
from graphwire_gateway.graphs.spec import GraphSpec, RunsOn
from graphwire_gateway.limits import Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "graphwire.toml"
"""What is read from the working directory when no file is named."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class GraphSection(_Section):
    """``[graphs.NAME]``: a graph with settings of its own."""

    target: str
    runner: RunsOn = "thread"
    record: tuple[Mode, ...] = ()
    record_subgraphs: bool = False
    description: str | None = None

    def spec(self) -> GraphSpec:
        """Return how the graph is served."""
        return GraphSpec(self.target, self.runner, self.record, self.record_subgraphs, self.description)


class ServerSection(_Section):
    """``[server]``: where to listen, where logs live, who may connect from where, what keeps threads.

    ``store`` is where logs live; ``checkpointer`` and ``graph_store`` are targets of LangGraph's savers and
    stores, for graphs that were compiled without. With ``shared_threads`` a thread of a graph is the same for
    every principal. ``ignore_encryption`` serves a project that wants what is kept encrypted at rest.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8765
    store: str = "memory://"
    allowed_origins: tuple[str, ...] | None = None
    allowed_origin_regex: str | None = None
    checkpointer: str | None = None
    graph_store: str | None = None
    shared_threads: bool = False
    expose_errors: bool | None = None
    insecure: bool = False
    ignore_encryption: bool = False
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"


class AuthSection(_Section):
    """``[auth]``: static tokens, each of one principal; or the target of a ``langgraph_sdk.Auth``."""

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
        """Let the environment win over what is passed in, which is the file."""
        return env_settings, init_settings

    def specs(self) -> dict[str, GraphSpec]:
        """Return the graphs to serve, by name."""
        return {
            name: GraphSpec(graph) if isinstance(graph, str) else graph.spec()
            for name, graph in self.graphs.items()
        }


def load(
    file: Path | None,
    overrides: Mapping[str, Mapping[str, Any]],
    project: Mapping[str, Mapping[str, Any]] | None = None,
) -> Config:
    """Read the configuration; ``overrides`` holds the command line's settings by section, ``project`` those
    of a ``langgraph.json``, over which everything else wins. A ``[graphs.NAME]`` without a target means the
    project's graph of that name.

    ``file`` None means ``graphwire.toml`` in the working directory, if there is one. Raises ``CannotServe``
    that names the setting and what is wrong with it.
    """
    data = _read(file)
    for name, settings in (project or {}).items():
        own = data.setdefault(name, {})
        if isinstance(own, dict):  # else it is refused below
            data[name] = {**settings, **own, **(_of_project(settings, own) if name == "graphs" else {})}
    within = ""
    try:
        config = Config(**data)
        for name, settings in overrides.items():
            within = f"{name}."
            section = getattr(config, name)
            if isinstance(section, dict):
                config = config.model_copy(update={name: {**section, **settings}})
            elif settings:
                merged = type(section).model_validate({**section.model_dump(), **settings})
                config = config.model_copy(update={name: merged})
    except ValidationError as error:
        # Of a union's members the one that came furthest is the one that was meant.
        faults = error.errors(include_url=False, include_input=False)
        fault = max(faults, key=lambda fault: len(fault["loc"]))
        parts = [str(part) for part in fault["loc"] if part not in ("str", "GraphSection")]
        reason = (
            f"there is no such setting; {_known(parts)}"
            if fault["type"] == "extra_forbidden"
            else _targetless(project)
            if fault["type"] == "missing" and parts[0] == "graphs" and parts[-1] == "target"
            else fault["msg"]
        )
        raise CannotServe(f"the setting {within}{'.'.join(parts)} is not right: {reason}") from None
    return config


def _of_project(graphs: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says more of the project's graphs, with what the project says of them."""
    return {
        name: {**graphs[name], **more}
        for name, more in own.items()
        if name in graphs and isinstance(more, dict) and "target" not in more
    }


def _targetless(project: Mapping[str, Mapping[str, Any]] | None) -> str:
    wanted = 'it is missing, as in: target = "./file.py:attribute"'
    if project is None:
        return wanted
    return f"{wanted}; and langgraph.json has no graph of that name, it has: {', '.join(project['graphs'])}"


def _known(parts: list[str]) -> str:
    section = Config.model_fields.get(parts[0]) if len(parts) > 1 else None
    model = GraphSection if parts[0] == "graphs" else section.annotation if section else Config
    fields = getattr(model, "model_fields", {})
    return f"known here are: {', '.join(fields)}"


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
