"""The command line: lists, the schema, the version, exit codes, and commands of other packages.

About `clients/python/graphwire/__init__.py`, `clients/python/graphwire/__main__.py`,
`clients/python/graphwire/cli/__init__.py`,
`clients/python/graphwire/cli/app.py`, `clients/python/graphwire/cli/listing.py`,
`clients/python/graphwire/cli/graphs.py`, `clients/python/graphwire/cli/runs.py`,
`clients/python/graphwire/cli/options.py`, `clients/python/graphwire/cli/outcome.py`,
`clients/python/graphwire/cli/state.py`, `clients/python/graphwire/cli/schema.py` and
`clients/python/graphwire/cli/version.py`.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import graphwire
import graphwire.cli
import pytest
from graphwire.cli import outcome
from graphwire.cli.app import build, run
from graphwire.transport import NotOpened
from graphwire_protocol.reference import documents
from graphwire_protocol.replies import Edge, Subgraph, ThreadState
from graphwire_protocol.schema import schemas

from tests.support.model_run import AT, ModelRun
from tests.support.model_server import ModelServer, impatient


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    server = ModelServer()

    def connect(url: str, **more: Any) -> graphwire.Client:
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    monkeypatch.setenv("COLUMNS", "100")
    return server


def tell(run: ModelRun) -> None:
    run.lifecycle("running")
    run.tokens("m1", "Why", " did", " it?")
    run.emit("updates", {"write": {"joke": "Why did it?"}}, node="write")
    run.emit("custom", {"progress": 1})
    run.complete()


def test_runs_are_a_table_with_whole_ids(server, capsys):
    id = "run-" + "0123456789" * 9
    server.run(id)
    assert run(["runs"]) == 0
    assert id in capsys.readouterr().out


def test_lists_speak_json_too(server, capfdbinary):
    server.run("r1")
    assert run(["runs", "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["run"] == "r1"
    assert run(["graphs", "--json"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["name"] == "joke"


def test_a_graph_that_is_named_is_drawn_with_its_subgraphs(server, capsys):
    edges = [("__start__", "b"), ("b", "a"), ("a", "__end__")]
    leaf = Subgraph(node="b", nodes=(), edges=(), cut=True)
    parts = tuple(Edge(source=source, target=target) for source, target in edges)
    inner = Subgraph(node="a", nodes=("a", "b"), edges=parts, subgraphs=(leaf,))
    server.graph = {"nodes": ("write", "a"), "subgraphs": (inner,)}
    server.graph["edges"] = (Edge(source="a", target="write", conditional=True),)
    assert run(["graphs", "joke"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "joke  Tells one",
        "├── write",
        "└── a → write?",
        "    ├── b → a  its subgraph is too deep or too large to be shown",
        "    └── a → end",
    ]
    assert run(["graphs", "jokes"]) == 4
    assert "jokes" in capsys.readouterr().err


def test_graphs_are_a_table(server, capsys):
    assert run(["graphs"]) == 0
    assert "Tells one" in capsys.readouterr().out


def test_a_conversation_is_shown_message_by_message(server, capsys):
    call = {"name": "refund", "args": {"order": "A7"}, "id": "c1", "type": "tool_call"}
    said = [
        {"type": "human", "content": "refund it", "id": "h1"},
        {"type": "ai", "content": "", "id": "a1", "tool_calls": [call]},
        {"type": "ai", "content": "word " * 100, "id": "a2"},
    ]
    server.states = [
        ThreadState(values={"messages": said}, next=(), tasks=(), interrupts=(), config={}, created_at=AT)
    ]
    assert run(["state", "joke", "t"]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert rows[:2] == [["messages", "human refund it"], ["messages", "ai calls refund(order=A7)"]]
    assert rows[2][1].startswith("ai word word")
    assert rows[3][0] == "next"


def test_the_schema_that_was_written_is_the_one_that_is_checked(tmp_path, capsys):
    assert run(["schema", "--write", str(tmp_path)]) == 0
    assert run(["schema", "--check", str(tmp_path)]) == 0
    assert capsys.readouterr() == ("", "")
    written = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*.*")}
    assert written == set(documents())


def test_a_schema_that_differs_is_named_with_the_command_that_mends_it(tmp_path, capsys):
    run(["schema", "--write", str(tmp_path)])
    changed = tmp_path / "schema" / "lifecycle.json"
    changed.write_text(changed.read_text().replace("attempt", "attempts"))
    assert run(["schema", "--check", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert f"{changed} differs" in err
    assert f"graphwire schema --write {tmp_path}" in err
    assert err.count("\n") == 1


def test_a_difference_that_breaks_clients_of_the_last_release_is_named(tmp_path, capsys):
    run(["schema", "--write", str(tmp_path)])
    run(["schema", "--release", str(tmp_path)])
    assert run(["schema", "--check", str(tmp_path)]) == 0
    tables = tmp_path / "baseline" / "tables.json"
    tables.write_text(tables.read_text().replace('"busy"', '"engaged"'))
    assert run(["schema", "--check", str(tmp_path)]) == 1
    assert "breaks clients of the last release: error code engaged is gone" in capsys.readouterr().err
    tables.write_text("{")
    assert run(["schema", "--check", str(tmp_path)]) == 1
    assert "cannot be read" in capsys.readouterr().err


def test_the_schema_is_printed_as_one_object(capsys):
    assert run(["schema"]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(schemas())


def test_the_version_names_program_and_protocol(capfd):
    assert run(["version"]) == 0
    assert "graphwire.v1.json" in capfd.readouterr().out
    assert run(["--version"]) == 0
    assert "graphwire.v1.json" in capfd.readouterr().out
    assert run(["version", "--json"]) == 0
    assert set(json.loads(capfd.readouterr().out)) == {"graphwire", "protocol", "python"}


@pytest.mark.processes
def test_the_package_is_the_command_as_well():
    shown = subprocess.run([sys.executable, "-m", "graphwire", "--version"], capture_output=True, check=True)
    assert b"graphwire.v1.json" in shown.stdout


def test_no_server_is_3(server, capsys):
    server.unreachable = NotOpened("connection refused; is the server running?")
    assert run(["graphs", "--url", "ws://there/ws"]) == 3
    assert capsys.readouterr().err.startswith(
        "graphwire: cannot connect to ws://there/ws: connection refused"
    )


def test_a_refusal_is_4(server, capsys):
    server.tokens = {"secret"}
    assert run(["graphs", "--token", "guess"]) == 4
    assert "not known" in capsys.readouterr().err


def test_url_and_token_come_from_the_environment(server, monkeypatch):
    server.tokens = {"secret"}
    monkeypatch.setenv("GRAPHWIRE_TOKEN", "secret")
    assert run(["graphs"]) == 0


@pytest.mark.parametrize(
    "line",
    [
        "run",
        "nonsense",
        "runs --limit 0",
        "run joke -m dreams",
        "schema --write a --check b",
        "cancel",
        "attach",
    ],
)
def test_wrong_usage_is_2(server, capsys, line):
    assert run(line.split()) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_every_command_explains_itself_with_an_example(capsys):
    for command in (
        "run",
        "respond",
        "attach",
        "cancel",
        "runs",
        "threads",
        "state",
        "delete",
        "graphs",
        "schema",
        "version",
    ):
        assert run([command, "--help"]) == 0
        assert f"Example: graphwire {command}" in capsys.readouterr().out
    assert run(["--help"]) == 0
    assert "130" in capsys.readouterr().out


def test_a_fault_of_this_program_is_one_sentence(server, monkeypatch, capsys):
    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("graphwire.cli.app.build", broken)
    assert run(["graphs"]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError: oh" in err
    assert "Traceback" not in err


@pytest.mark.processes
def test_a_reader_that_has_enough_is_no_error(server):
    code = (
        "import sys; from graphwire.cli.app import run; sys.argv = ['graphwire']\n"
        "code = run(['schema'])\nsys.exit(code)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert b"Traceback" not in child.stderr.read()
        assert child.wait(20) in (0, 141)


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], EntryPoint]]:
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(source: str) -> EntryPoint:
        (tmp_path / "a_plugin.py").write_text(source)
        importlib.invalidate_caches()
        return EntryPoint("serve", "a_plugin:serve", "graphwire.commands")

    yield make
    sys.modules.pop("a_plugin", None)


def test_a_plugin_is_a_command(plugin, capsys):
    entry = plugin('def serve(port: int = 1) -> None:\n    """Serve."""\n    print("port", port)\n')
    build(["serve"], [entry])(["serve", "--port", "7"], standalone_mode=False)
    assert capsys.readouterr().out == "port 7\n"


def test_a_plugin_may_be_a_group_of_commands(plugin, capsys):
    entry = plugin(
        "import typer\n"
        'serve = typer.Typer(help="Serve this or that.")\n'
        "@serve.command()\n"
        "def this(port: int = 1) -> None:\n"
        '    print("this", port)\n'
        "@serve.command()\n"
        "def that() -> None:\n"
        '    print("that")\n'
    )
    build(["serve", "this"], [entry])(["serve", "this", "--port", "7"], standalone_mode=False)
    assert capsys.readouterr().out == "this 7\n"
    build(["--help"], [entry])(["--help"], standalone_mode=False)
    assert "Serve this or that." in capsys.readouterr().out


def test_a_broken_plugin_says_why_and_breaks_no_other(plugin, capsys):
    entry = plugin("import nothing_of_the_kind\n")
    with pytest.raises(SystemExit) as ended:
        build(["serve"], [entry])(["serve", "a=b", "--port", "7"])
    assert ended.value.code == 2
    assert "nothing_of_the_kind" in capsys.readouterr().err
    build(["version"], [entry])(["version"], standalone_mode=False)
    with pytest.raises(SystemExit) as ended:
        build(["--help"], [entry])(["--help"])
    assert ended.value.code == 0


def test_a_plugin_is_not_imported_for_another_command(plugin):
    entry = plugin('raise SystemError("imported")\n')
    build(["version"], [entry])
    assert "a_plugin" not in sys.modules


def test_a_plugin_is_not_imported_for_another_plugin(plugin, capsys):
    broken = plugin("raise SystemError('imported')\n")
    other = EntryPoint("other", "graphwire.cli.version:show_version", "graphwire.commands")
    build(["other"], [broken, other])(["other"], standalone_mode=False)
    assert "imported" not in capsys.readouterr().err


@pytest.mark.processes
def test_without_its_extra_the_command_line_says_what_to_install():
    code = "import sys; sys.modules['typer'] = None; import graphwire.cli; graphwire.cli.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == ("graphwire: the command line is not installed: pip install 'graphwire[cli]'\n")


@pytest.mark.processes
def test_the_library_imports_neither_the_command_line_nor_langchain():
    code = (
        "import sys, graphwire; unwanted = {'typer', 'rich', 'langchain_core', 'graphwire_gateway'}; "
        "print(sorted(unwanted & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}
    )
    assert done.stdout == "[]\n"
