"""`graphwire types`: what it writes and where, what it says of a file that is not current, and its errors.

About `clients/python/graphwire/cli/types.py`.
"""

from typing import Any

import graphwire
import pytest
from graphwire.cli import outcome
from graphwire.cli.app import run
from graphwire.cli.typescript import HEADER
from graphwire.transport import NotOpened

from tests.support.model_server import ModelServer, impatient

URL = "ws://model/ws"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> ModelServer:
    server = ModelServer()

    def connect(url: str, **more: Any) -> graphwire.Client:
        assert url == URL
        return graphwire.connect(url, open=server.open, backoff=impatient(), **more)

    monkeypatch.setattr(outcome, "connect", connect)
    server.output_schema = {"type": "object", "properties": {"joke": {"type": "string"}}}
    return server


def test_types_go_to_stdout_and_remarks_to_stderr(server, capsys):
    assert run(["types", URL]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"{HEADER}\n\n")
    assert "joke: { input: unknown; state: JokeState };" in out
    assert "export interface JokeState {\n  joke?: string;\n}\n" in out
    assert err == "graphwire: the server has no schema of the input of joke, which is unknown\n"
    assert run(["types", "--url", URL]) == 0
    assert capsys.readouterr().out == out


def test_a_file_is_written_and_then_it_is_current(server, capsys, tmp_path):
    file = tmp_path / "graphs.ts"
    assert run(["types", URL, "--out", str(file)]) == 0
    assert run(["types", URL, "--check", str(file)]) == 0
    out, err = capsys.readouterr()
    assert (out, err.count("graphwire:")) == ("", 2)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # as git checks it out on Windows
    assert run(["types", URL, "--check", str(file)]) == 0


def test_a_file_that_is_not_current_is_named_with_what_differs(server, capsys, tmp_path):
    file = tmp_path / "graphs.ts"
    assert run(["types", URL, "-o", str(file)]) == 0
    file.write_text(file.read_text() + "\nexport type Old = 1;\n")
    before = file.read_text()
    server.output_schema = {
        "type": "object",
        "properties": {"joke": {"$ref": "#/$defs/Joke"}},
        "$defs": {"Joke": {"type": "string"}},
    }
    capsys.readouterr()
    assert run(["types", URL, "--check", str(file)]) == 1
    assert capsys.readouterr().err.splitlines()[1:] == [
        f"graphwire: {file} is not current: changed JokeState; new Joke; gone Old; "
        f"write it with: graphwire types {URL} --out {file}"
    ]
    assert file.read_text() == before
    file.write_text(before.replace(HEADER, "// mine"))
    server.output_schema = {"type": "object", "properties": {"joke": {"type": "string"}}}
    file.write_text(file.read_text().replace("\nexport type Old = 1;\n", ""))
    assert run(["types", URL, "--check", str(file)]) == 1
    assert "is not current: its first line or its order; write it with" in capsys.readouterr().err


def test_a_missing_file_and_an_unwritable_one_are_one_sentence(server, capsys, tmp_path):
    file = tmp_path / "no" / "graphs.ts"
    assert run(["types", URL, "--check", str(file)]) == 1
    assert f"graphwire: {file} is missing; write it with: graphwire types" in capsys.readouterr().err
    assert run(["types", URL, "--out", str(file)]) == 1
    assert f"graphwire: cannot write {file}: No such file or directory\n" in capsys.readouterr().err
    assert run(["types", URL, "--check", str(tmp_path)]) == 1
    assert f"graphwire: cannot read {tmp_path}: Is a directory\n" in capsys.readouterr().err


def test_without_graphs_nothing_is_written(server, capsys, tmp_path, monkeypatch):
    async def none(self: graphwire.Client) -> list[Any]:
        return []

    monkeypatch.setattr(graphwire.Client, "graphs", none)
    assert run(["types", URL, "--out", str(tmp_path / "graphs.ts")]) == 1
    assert capsys.readouterr().err == (
        "graphwire: the server offers you no graphs, so there are no types to write\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_is_not_there_is_one_sentence(server, capsys, monkeypatch):
    async def refuse(*_: Any, **__: Any) -> Any:
        raise NotOpened("nobody listens")

    monkeypatch.setattr(server, "open", refuse)
    assert run(["types", URL]) == 3
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


def test_only_one_of_out_and_check(server, capsys, tmp_path):
    file = str(tmp_path / "graphs.ts")
    assert run(["types", URL, "--check", file, "--out", file]) == 2
    assert "--out and --check exclude each other" in capsys.readouterr().err
