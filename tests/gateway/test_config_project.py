"""A ``langgraph.json`` is served as it is: what can be honoured is, and the rest is named.

About `gateway/graphwire_gateway/serve/langgraph_json.py`, `gateway/graphwire_gateway/serve/config.py`,
`gateway/graphwire_gateway/serve/selection.py` and `gateway/graphwire_gateway/serve/environment.py`.
"""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphwire_gateway import CannotServe, GraphSpec
from graphwire_gateway.graphs.load import importable_from
from graphwire_gateway.serve import environment
from graphwire_gateway.serve.config import load
from graphwire_gateway.serve.langgraph_json import Project, read
from graphwire_gateway.serve.selection import Selection


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    for name in list(os.environ):
        if name.startswith("GRAPHWIRE_"):
            monkeypatch.delenv(name)
    return tmp_path


def project(folder: Path, **fields: Any) -> Project:
    fields = {"graphs": {"agent": "./agent.py:graph"}, **fields}
    (folder / "langgraph.json").write_text(json.dumps(fields))
    return read(folder)


def test_graphs_are_found_from_the_file_by_path_and_by_module(folder: Path) -> None:
    graphs = {
        "file": "./src/agent.py:graph",
        "up": "../other.py:make",
        "bare": "agent.py:graph",
        "module": "my_project.agents:agent",
        "more": {"path": "src/more.py:graph", "description": "More."},
    }
    got = project(folder, graphs=graphs)
    specs = load(None, {}, got.settings).specs()
    assert {name: spec.target for name, spec in specs.items()} == {
        "file": f"{folder}/src/agent.py:graph",
        "up": f"{folder}/../other.py:make",
        "bare": f"{folder}/agent.py:graph",
        "module": "my_project.agents:agent",
        "more": f"{folder}/src/more.py:graph",
    }
    assert specs["more"].description == "More."
    assert (got.warnings, got.notes, got.env) == ((), (), {})


def test_saver_store_auth_and_origins_become_settings(folder: Path) -> None:
    got = project(
        folder,
        checkpointer={"path": "./saver.py:make"},
        store={"path": "pkg.store:make"},
        auth={"path": "./auth.py:auth"},
        http={
            "cors": {
                "allow_origins": ["https://a.example"],
                "allow_origin_regex": "https://.*",
                "allow_methods": ["GET"],
            }
        },
    )
    config = load(None, {}, got.settings)
    assert config.server.checkpointer == f"{folder}/saver.py:make"
    assert config.server.graph_store == "pkg.store:make"
    assert config.server.allowed_origins == ("https://a.example",)
    assert config.server.allowed_origin_regex == "https://.*"
    assert config.auth.path == f"{folder}/auth.py:auth"
    assert got.warnings == ()


def test_everything_that_is_not_honoured_is_named_in_one_line(folder: Path) -> None:
    got = project(
        folder,
        **{"$schema": "x", "python_version": "3.12", "dockerfile_lines": [], "ui": {}, "webhooks": {"a": 1}},
        http={"app": "./x.py:app", "disable_mcp": True, "cors": {"max_age": 3}},
        checkpointer={"ttl": {"default_ttl": 3}, "serde": {}},
        store={"index": {"dims": 3}},
        auth={"path": "./a.py:auth", "openapi": {}},
        graphs={"agent": {"path": "./a.py:g", "color": "red"}},
    )
    assert got.warnings == (
        f"{folder}/langgraph.json: graphwire does not honour auth.openapi, checkpointer.serde, "
        "checkpointer.ttl, graphs.agent.color, http.app, http.disable_mcp, store.index, ui, webhooks",
    )
    assert got.notes == (f"{folder}/langgraph.json: ignored, of the build: dockerfile_lines, python_version",)


def test_unknown_keys_are_listed_apart_with_what_was_probably_meant(folder: Path) -> None:
    got = project(
        folder,
        grpahs={},
        colour="red",
        webhooks={},
        checkpointer={"ttl": {}},
        auth={"pathh": "./auth.py:auth"},
        http={"cors": {"allow_origin": []}},
    )
    assert got.warnings == (
        f"{folder}/langgraph.json: graphwire does not honour checkpointer.ttl, webhooks",
        f"{folder}/langgraph.json: unknown: 'auth.pathh' (did you mean 'auth.path'?), 'colour', "
        "'grpahs' (did you mean 'graphs'?), "
        "'http.cors.allow_origin' (did you mean 'http.cors.allow_origins'?)",
    )
    with pytest.raises(
        CannotServe, match=r"names no graphs; .*; unknown: 'grpahs' \(did you mean 'graphs'\?"
    ):
        project(folder, graphs={}, grpahs={"agent": "./agent.py:graph"})


def test_dependencies_are_import_paths_or_packages_that_should_be_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("package/src", "lib", "plain"):
        (folder / name).mkdir(parents=True)
    (folder / "package" / "pyproject.toml").touch()
    dependencies = [".", "./package", "lib", "orjson>=3", "nobody-has_this[x]>=1", "git+https://a.example/b"]
    got = project(folder, dependencies=[*dependencies, "nobody @ git+https://a.example/c"])
    assert got.folders == (folder, folder, folder / "package" / "src", folder / "package", folder / "lib")
    assert got.warnings == (
        f"{folder}/langgraph.json: dependencies that are not installed: nobody-has_this, nobody; "
        "run: pip install nobody-has_this nobody",
    )
    monkeypatch.setattr(sys, "path", ["before"])
    importable_from(got.folders)
    assert sys.path == ["before", *map(str, dict.fromkeys(got.folders))]
    with pytest.raises(CannotServe, match=r"dependencies names './none', and there is no folder .*none"):
        project(folder, dependencies=["./none"])


def test_env_is_a_file_or_an_object_and_never_overrides(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "keys").write_text("A_KEY=file\nexport OTHER_KEY='of the file'\n# x\nEMPTY\n")
    monkeypatch.setenv("A_KEY", "process")
    monkeypatch.delenv("OTHER_KEY", raising=False)
    got = project(folder, env="./keys")
    assert got.env == {"A_KEY": "file", "OTHER_KEY": "of the file"}
    assert got.env_file == folder / "keys"
    assert environment.provide(got.env) == ["A_KEY"]
    assert (os.environ["A_KEY"], os.environ["OTHER_KEY"]) == ("process", "of the file")
    monkeypatch.delenv("OTHER_KEY")
    assert project(folder, env={}).env_file is None
    assert project(folder, env={"A": "b", "N": 3, "T": True}).env == {"A": "b", "N": "3", "T": "true"}
    assert "which does not exist" in project(folder, env=".env").warnings[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"langgraph.json is not JSON: .* \(line 1, column 2\)"),
        ("[]", "langgraph.json: the file is not valid"),
        ('{"graphs": 3}', "langgraph.json: graphs is not valid"),
        ('{"graphs": {"a": 3}}', "langgraph.json: graphs.a is not valid"),
        ('{"graphs": {"a": {"path": 3}}}', r"langgraph.json: graphs.a.path is not valid: .* string"),
        ('{"graphs": {}}', "langgraph.json names no graphs"),
        ('{"graphs": {"a": "./agent.ts:graph"}}', "graph 'a': './agent.ts:graph' is not Python"),
        ('{"graphs": {"a": "x:y"}, "http": {"cors": {"allow_origins": "x"}}}', "http.cors.allow_origins is"),
    ],
)
def test_a_wrong_file_is_refused_by_what_is_wrong_with_it(folder: Path, text: str, words: str) -> None:
    (folder / "langgraph.json").write_text(text)
    with pytest.raises(CannotServe, match=words) as caught:
        read(folder / "langgraph.json")
    assert "\n" not in str(caught.value)


def test_a_folder_without_the_file_is_refused(folder: Path) -> None:
    with pytest.raises(CannotServe, match=r"there is no file .*elsewhere/langgraph.json"):
        read(folder / "elsewhere")


def test_the_toml_wins_over_the_project_the_environment_over_it_and_the_command_line_over_all(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    got = project(folder, checkpointer={"path": "pkg:a"}, store={"path": "pkg:b"}, auth={"path": "pkg:c"})
    Path("graphwire.toml").write_text(
        '[graphs]\nagent = "mine:graph"\nmore = "more:graph"\n[server]\ncheckpointer = "toml:a"\nport = 7\n'
    )
    monkeypatch.setenv("GRAPHWIRE_AUTH__IGNORE_AUTHORIZATION", "true")
    monkeypatch.setenv("GRAPHWIRE_SERVER__PORT", "8")
    config = load(None, {"server": {"host": "localhost"}}, got.settings)
    assert (config.server.checkpointer, config.server.graph_store, config.auth.path) == (
        "toml:a",
        "pkg:b",
        "pkg:c",
    )
    assert (config.auth.ignore_authorization, config.server.port, config.server.host) == (
        True,
        8,
        "localhost",
    )
    assert {name: spec.target for name, spec in config.specs().items()} == {
        "agent": "mine:graph",
        "more": "more:graph",
    }
    Path("graphwire.toml").write_text("graphs = 3\n")
    with pytest.raises(CannotServe, match="the setting graphs is not valid"):
        load(None, {}, got.settings)


def test_the_toml_says_more_of_a_graph_of_the_project_by_its_name_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graphs = {
        name: {"path": f"pkg:{name}", "description": "Chats on."} for name in ("agent", "chat", "other")
    }
    got = project(folder, graphs=graphs)
    toml = Path("graphwire.toml")
    toml.write_text(
        '[graphs.agent]\nrunner = "own"\nrecord = ["custom"]\n'
        '[graphs.chat]\ndescription = "Chats."\n[graphs.other]\ntarget = "mine:other"\n'
    )
    monkeypatch.setenv("GRAPHWIRE_GRAPHS__CHAT__RUNNER", "inline")
    assert load(None, {}, got.settings).specs() == {
        "agent": GraphSpec("pkg:agent", "own", ("custom",), description="Chats on."),
        "chat": GraphSpec("pkg:chat", "inline", description="Chats."),
        "other": GraphSpec("mine:other"),
    }
    toml.write_text('[graphs.agnet]\nrunner = "own"\n')
    with pytest.raises(CannotServe, match=r"graphs.agnet.target .* no graph of that name, it has: agent, ch"):
        load(None, {}, got.settings)
    with pytest.raises(CannotServe, match=r'graphs.agnet.target is not valid: it is missing, as in: [^;]*"$'):
        load(None, {})


def test_the_toml_says_more_of_a_graph_of_the_command_line_by_its_name_alone() -> None:
    toml = Path("graphwire.toml")
    toml.write_text('[graphs.agent]\nrecord = ["values"]\n[graphs.other]\ntarget = "o:o"\nrunner = "own"\n')
    graphs = {"agent": "pkg:agent", "other": "pkg:other", "new": "pkg:new"}
    assert load(None, {"graphs": graphs}).specs() == {
        "agent": GraphSpec("pkg:agent", record=("values",)),
        "other": GraphSpec("pkg:other", "own"),
        "new": GraphSpec("pkg:new"),
    }


def selection(console: bool | None) -> Selection:
    settings = {"console": console, "host": None, "port": None, "store": None}
    return Selection(("joke=graphs:joke",), None, settings, conformance_graphs=False)


@pytest.mark.parametrize(
    ("option", "variable", "setting", "served"),
    [
        (None, None, None, True),
        (False, None, None, False),
        (None, "false", None, False),
        (None, None, "false", False),
        (True, "false", "false", True),
        (None, "true", "false", True),
    ],
)
def test_the_console_is_served_unless_it_is_switched_off(
    monkeypatch: pytest.MonkeyPatch,
    option: bool | None,
    variable: str | None,
    setting: str | None,
    served: bool,
) -> None:
    if variable is not None:
        monkeypatch.setenv("GRAPHWIRE_CONSOLE", variable)
    if setting is not None:
        Path("graphwire.toml").write_text(f"[server]\nconsole = {setting}\n")
    config, _ = selection(option).resolve()
    assert config.server.console is served


@pytest.mark.parametrize(
    ("option", "variable", "dotenv", "setting", "group"),
    [
        (None, None, None, None, ""),
        (None, None, None, "file", "file"),
        (None, None, "dotenv", "file", "dotenv"),
        (None, "variable", "dotenv", "file", "variable"),
        ("option", "variable", "dotenv", "file", "option"),
        ("", "variable", None, "file", ""),
    ],
)
def test_one_place_says_the_group_of_a_worker_to_whoever_starts_it(
    monkeypatch: pytest.MonkeyPatch,
    option: str | None,
    variable: str | None,
    dotenv: str | None,
    setting: str | None,
    group: str,
) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    if variable is not None:
        os.environ["GRAPHWIRE_WORKER_GROUP"] = variable
    if dotenv is not None:
        Path(".env").write_text(f"GRAPHWIRE_WORKER_GROUP={dotenv}\nGRAPHWIRE_WORKER_HOST=gpu7\n")
    if setting is not None:
        Path("graphwire.toml").write_text(f'[worker]\ngroup = "{setting}"\n')
    selected = replace(selection(None), worker_settings={"group": option, "host": None})
    config, _ = selected.resolve()
    assert config.worker.group == group
    assert config.worker.host == ("127.0.0.1" if dotenv is None else "gpu7")
